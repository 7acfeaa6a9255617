#include <string.h>

#include "base/text.h"
#include "authority/message_json.h"
#include "authority/statement.h"

#define BASE64 (BASE64_URL | BASE64_NO_PAD)

int statement_wrong(rh_error *error, const char *claim, const char *what)
{
	return error_set(
	    error, RH_E_LICENSE_INVALID, "signed statement: claim %s %s", claim, what);
}

/* ---- Reading ---- */

/* Services name their keys by thumbprint, whatever "kid" a key has in the set. */
static const struct jose_key *find_key(const struct jose_set *keys, const char *id)
{
	for (size_t i = 0; i < keys->count; i++) {
		const struct jose_set_key *key = &keys->keys[i];

		if (key->signs && (strcmp(jose_key_thumbprint(key->key), id) == 0 ||
				      strcmp(key->id, id) == 0))
			return key->key;
	}
	return NULL;
}

int statement_of_service(struct jws *jws, const char *text, const char *type,
    const struct jose_set *keys, rh_error *error)
{
	struct jws read = {0};
	const struct jose_key *key = NULL;
	int code = jws_read(&read, text, strlen(text), type, error);

	if (code == RH_OK && read.key != NULL)
		code = error_set(error, RH_E_LICENSE_INVALID,
		    "signed statement: it brings its own key, where one of a service is named");
	if (code == RH_OK) {
		key = find_key(keys, read.key_id);
		if (key == NULL)
			code = error_set(error, RH_E_LICENSE_ISSUER,
			    "signed statement: it names no key of the service that is known "
			    "here");
	}
	if (code == RH_OK)
		code = jws_verify(&read, key, error);
	if (code == RH_OK)
		*jws = read;
	else
		jws_free(&read);
	return code;
}

int statement_of_key(
    struct jws *jws, const char *text, size_t size, const char *type, rh_error *error)
{
	struct jws read = {0};
	int code = jws_read(&read, text, size, type, error);

	if (code == RH_OK && read.key == NULL)
		code = error_set(error, RH_E_LICENSE_INVALID,
		    "signed statement: it does not bring the key that signed it");
	if (code == RH_OK)
		code = jws_verify(&read, NULL, error);
	if (code == RH_OK)
		*jws = read;
	else
		jws_free(&read);
	return code;
}

int statement_text(
    const struct jws *jws, const char *claim, const char *expected, rh_error *error)
{
	const char *text = json_string_value(json_object_get(jws->claims, claim));

	if (text == NULL)
		return statement_wrong(error, claim, "is missing or no text");
	if (strcmp(text, expected) != 0)
		return statement_wrong(error, claim, "is not what it must be here");
	return RH_OK;
}

int statement_digest(
    const struct jws *jws, const char *claim, uint8_t ret[DIGEST_SIZE], rh_error *error)
{
	const json_t *value = json_object_get(jws->claims, claim);
	uint8_t digest[DIGEST_SIZE];

	if (!json_is_string(value) ||
	    base64_decode(digest, sizeof digest, json_string_value(value),
		json_string_length(value), BASE64) != DIGEST_SIZE)
		return statement_wrong(
		    error, claim, "is missing or no canonical base64url of 32 bytes");
	memcpy(ret, digest, sizeof digest);
	return RH_OK;
}

int statement_thumbprint(
    const struct jws *jws, const char *claim, char ret[JOSE_THUMBPRINT_SIZE], rh_error *error)
{
	uint8_t digest[DIGEST_SIZE];
	int code = statement_digest(jws, claim, digest, error);

	if (code == RH_OK)
		memcpy(ret, json_string_value(json_object_get(jws->claims, claim)),
		    JOSE_THUMBPRINT_SIZE);
	return code;
}

int statement_time(const struct jws *jws, const char *claim, int64_t *ret, rh_error *error)
{
	int64_t time;

	if (!jws_number(jws->claims, claim, &time) || time > MESSAGE_TIME_LAST)
		return statement_wrong(error, claim, "is missing or no time");
	*ret = time;
	return RH_OK;
}

/* ---- Signing ---- */

void statement_put_digest(char text[STATEMENT_DIGEST_SIZE], const uint8_t digest[DIGEST_SIZE])
{
	base64_encode(text, digest, DIGEST_SIZE, BASE64);
}

int statement_sign(const struct jose_key *key, const char *type, bool service, json_t *claims,
    char **ret, rh_error *error)
{
	int code;

	if (claims == NULL)
		return error_memory(error);
	code =
	    jws_sign(key, type, service ? jose_key_thumbprint(key) : NULL, claims, ret, error);
	json_decref(claims);
	return code;
}

/* ---- The certificate of a computer ---- */

int certificate_sign(const struct jose_key *service_key, const char *service,
    const char *computer, int64_t now, char **ret, rh_error *error)
{
	return statement_sign(service_key, TYPE_COMPUTER, true,
	    json_pack("{s:s,s:s,s:I}", "iss", service, "sub", computer, "iat", (json_int_t)now),
	    ret, error);
}

int certificate_check(const char *text, const struct jose_set *keys, const char *service,
    const char *computer, rh_error *error)
{
	struct jws jws = {0};
	int64_t time;
	int code = statement_of_service(&jws, text, TYPE_COMPUTER, keys, error);

	if (code == RH_OK)
		code = statement_text(&jws, "iss", service, error);
	if (code == RH_OK)
		code = statement_text(&jws, "sub", computer, error);
	if (code == RH_OK)
		code = statement_time(&jws, "iat", &time, error);
	jws_free(&jws);
	return code;
}

/* ---- The head of the ledger ---- */

bool head_follows(const struct head *head, const struct head *kept)
{
	if (head->resolved > 0 && kept->time <= head->resolved)
		return true;
	if (head->seq == kept->seq)
		return bytes_equal(head->hash, kept->hash, DIGEST_SIZE);
	return head->seq > kept->seq;
}

int head_sign(const struct jose_key *service_key, const char *service, const struct head *head,
    char **ret, rh_error *error)
{
	char hash[STATEMENT_DIGEST_SIZE];
	json_t *claims;

	statement_put_digest(hash, head->hash);
	claims = json_pack("{s:s,s:I,s:s,s:I}", "iss", service, "seq", (json_int_t)head->seq,
	    "hash", hash, "iat", (json_int_t)head->time);
	if (claims != NULL && head->resolved > 0 &&
	    json_object_set_new(claims, "resolved", json_integer(head->resolved)) != 0) {
		json_decref(claims);
		claims = NULL;
	}
	return statement_sign(service_key, TYPE_HEAD, true, claims, ret, error);
}

static int head_claims(const struct jws *jws, struct head *ret, rh_error *error)
{
	struct head head = {0};
	int code = RH_OK;

	if (!jws_number(jws->claims, "seq", &head.seq))
		code = statement_wrong(error, "seq", "is missing or no number of an entry");
	if (code == RH_OK)
		code = statement_digest(jws, "hash", head.hash, error);
	if (code == RH_OK)
		code = statement_time(jws, "iat", &head.time, error);
	if (code == RH_OK && json_object_get(jws->claims, "resolved") != NULL)
		code = statement_time(jws, "resolved", &head.resolved, error);
	if (code == RH_OK)
		*ret = head;
	return code;
}

int head_read(const char *text, struct head *ret, rh_error *error)
{
	struct jws jws = {0};
	int code = jws_read(&jws, text, strlen(text), TYPE_HEAD, error);

	if (code == RH_OK)
		code = head_claims(&jws, ret, error);
	jws_free(&jws);
	return code;
}

int head_check(const char *text, const struct jose_set *keys, const char *service,
    struct head *ret, rh_error *error)
{
	struct jws jws = {0};
	int code = statement_of_service(&jws, text, TYPE_HEAD, keys, error);

	if (code == RH_OK)
		code = statement_text(&jws, "iss", service, error);
	if (code == RH_OK)
		code = head_claims(&jws, ret, error);
	jws_free(&jws);
	return code;
}
