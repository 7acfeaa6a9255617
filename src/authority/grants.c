#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/merkle.h"
#include "authority/message_json.h"
#include "authority/statement.h"

int grant_leaf(const struct grant *grant, uint8_t ret[DIGEST_SIZE], rh_error *error)
{
	char *text;
	int code, size;

	if (strchr(grant->issuer, '\n') != NULL || strchr(grant->license, '\n') != NULL ||
	    strchr(grant->computer, '\n') != NULL)
		return error_set(
		    error, RH_E_LICENSE_INVALID, "a grant: one of its texts has two lines");
	if (grant->since < 0 || grant->since > MESSAGE_TIME_LAST)
		return error_set(error, RH_E_LICENSE_INVALID, "a grant: since no time");
	size = asprintf(&text,
	    "rehost grant 1\n%s\n%s\n%s\n%" PRIu32 "\n%" PRIu32 "\n%" PRId64 "\n",
	    grant->issuer, grant->license, grant->computer, grant->number, grant->limit,
	    grant->since);
	if (size < 0)
		return error_memory(error);
	code = merkle_leaf(ret, text, (size_t)size, error);
	free(text);
	return code;
}

int grants_sign(const struct jose_key *service_key, const char *service, const char *computer,
    int64_t now, const uint8_t (*leaves)[DIGEST_SIZE], size_t count, char **ret,
    rh_error *error)
{
	char root[STATEMENT_DIGEST_SIZE];
	uint8_t digest[DIGEST_SIZE];
	int code = merkle_root(digest, leaves, count, error);

	if (code != RH_OK)
		return code;
	statement_put_digest(root, digest);
	return statement_sign(service_key, TYPE_GRANTS, true,
	    json_pack("{s:s,s:s,s:I,s:I,s:s}", "iss", service, "sub", computer, "iat",
		(json_int_t)now, "size", (json_int_t)count, "root", root),
	    ret, error);
}

static int check_tree(
    const struct jws *jws, const uint8_t (*leaves)[DIGEST_SIZE], size_t count, rh_error *error)
{
	uint8_t signed_root[DIGEST_SIZE], root[DIGEST_SIZE];
	int64_t size;
	int code = statement_digest(jws, "root", signed_root, error);

	if (code != RH_OK)
		return code;
	if (!jws_number(jws->claims, "size", &size) || count == 0 || (uint64_t)size != count)
		return statement_wrong(error, "size", "is not the number of the grants");
	code = merkle_root(root, leaves, count, error);
	if (code == RH_OK && !bytes_equal(root, signed_root, sizeof root))
		code = statement_wrong(error, "root", "is not that of the grants");
	return code;
}

int grants_check(const char *text, const struct jose_set *keys, const char *service,
    const char *computer, const uint8_t (*leaves)[DIGEST_SIZE], size_t count, rh_error *error)
{
	struct jws jws = {0};
	int64_t time;
	int code = statement_of_service(&jws, text, TYPE_GRANTS, keys, error);

	if (code == RH_OK)
		code = statement_text(&jws, "iss", service, error);
	if (code == RH_OK)
		code = statement_text(&jws, "sub", computer, error);
	if (code == RH_OK)
		code = statement_time(&jws, "iat", &time, error);
	if (code == RH_OK)
		code = check_tree(&jws, leaves, count, error);
	jws_free(&jws);
	return code;
}
