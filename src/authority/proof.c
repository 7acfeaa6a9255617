#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "authority/message_json.h"
#include "authority/statement.h"

int proof_sign(const struct jose_key *key, const struct proof *proof, const void *body,
    size_t size, char **ret, rh_error *error)
{
	char text[STATEMENT_DIGEST_SIZE], *jws = NULL;
	uint8_t digest[DIGEST_SIZE];
	json_t *claims;
	int code = sha256(digest, body, size, error);

	if (code != RH_OK)
		return code;
	statement_put_digest(text, digest);
	claims = json_pack("{s:s,s:s,s:I,s:s,s:s,s:s*}", "htm", proof->method, "htu",
	    proof->address, "iat", (json_int_t)proof->time, "nonce", proof->nonce, "body", text,
	    "certificate", proof->certificate);
	code = statement_sign(key, TYPE_PROOF, false, claims, &jws, error);
	if (code == RH_OK && strlen(jws) > MESSAGE_PROOF_MAX) {
		free(jws);
		return error_set(error, RH_E_ARGUMENT,
		    "the proof of a request has more than %d characters", MESSAGE_PROOF_MAX);
	}
	if (code == RH_OK)
		*ret = jws;
	return code;
}

static int claim_text(
    const struct jws *jws, const char *claim, size_t most, const char **ret, rh_error *error)
{
	const json_t *value = json_object_get(jws->claims, claim);
	size_t size = json_string_length(value);

	if (!json_is_string(value) || size < 1 || size > most ||
	    !utf8_clean(json_string_value(value), size))
		return statement_wrong(
		    error, claim, "is missing, too long, or holds control characters");
	*ret = json_string_value(value);
	return RH_OK;
}

static int read_claims(
    const struct jws *jws, struct proof *ret, uint8_t body[DIGEST_SIZE], rh_error *error)
{
	int code = claim_text(jws, "htm", MESSAGE_PROOF_MAX, &ret->method, error);

	if (code == RH_OK)
		code = claim_text(jws, "htu", MESSAGE_PROOF_MAX, &ret->address, error);
	if (code == RH_OK)
		code = statement_time(jws, "iat", &ret->time, error);
	if (code == RH_OK)
		code = claim_text(jws, "nonce", MESSAGE_NONCE_MAX, &ret->nonce, error);
	if (code == RH_OK)
		code = statement_digest(jws, "body", body, error);
	if (code == RH_OK && json_object_get(jws->claims, "certificate") != NULL)
		code = claim_text(jws, "certificate", JWS_MAX, &ret->certificate, error);
	return code;
}

int proof_read(struct jws *jws, struct proof *ret, const char *text, size_t size,
    const void *body, size_t body_size, rh_error *error)
{
	uint8_t signed_digest[DIGEST_SIZE], digest[DIGEST_SIZE];
	struct jws read = {0};
	struct proof proof = {0};
	int code;

	if (size > MESSAGE_PROOF_MAX)
		return error_set(error, RH_E_LICENSE_INVALID,
		    "signed statement: more than %d characters", MESSAGE_PROOF_MAX);
	code = statement_of_key(&read, text, size, TYPE_PROOF, error);
	if (code == RH_OK)
		code = read_claims(&read, &proof, signed_digest, error);
	if (code == RH_OK)
		code = sha256(digest, body, body_size, error);
	if (code == RH_OK && !bytes_equal(digest, signed_digest, sizeof digest))
		code = error_set(error, RH_E_LICENSE_DAMAGED,
		    "signed statement: claim body is that of another request");
	if (code == RH_OK) {
		*jws = read;
		*ret = proof;
	} else {
		jws_free(&read);
	}
	return code;
}
