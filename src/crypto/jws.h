#ifndef CRYPTO_JWS_H
#define CRYPTO_JWS_H

#include <jansson.h>

#include "crypto/jose.h"

/*
 * Signed statements: compact JWS with ES256 over JSON claims, with "typ" in the
 * protected header and either "kid" or "jwk" (src/authority/PROTOCOL.md, "Signed statements").
 */

#define JWS_MAX (16 * 1024) /* characters */

/*
 * Signs ${claims} (an object, not taken).  ${key_id} goes into the header as "kid"; NULL: the
 * public half as "jwk".  ${ret} is freed with free(); RH_E_ARGUMENT for a public key.
 */
int jws_sign(const struct jose_key *key, const char *type, const char *key_id,
    const json_t *claims, char **ret, rh_error *error);

/* A statement that was taken apart.  All zero is empty. */
struct jws {
	json_t *claims; /* an object */
	char key_id[JOSE_KEY_ID_SIZE]; /* "kid", or "" */
	struct jose_key *key; /* "jwk"; NULL if there is none */
	const char *text; /* the caller's: what was read */
	size_t signed_size; /* of header and payload with the dot between */
	size_t size;
};

/*
 * Reads without a look at the signature: of ${type}, algorithm ES256, no "crit",
 * exactly one of "kid" and "jwk".  RH_E_LICENSE_INVALID says what is wrong, without quoting.
 */
int jws_read(struct jws *jws, const char *text, size_t size, const char *type, rh_error *error);

/* Whether ${key} signed it; NULL: the "jwk" in it.  RH_E_LICENSE_SIGNATURE. */
int jws_verify(const struct jws *jws, const struct jose_key *key, rh_error *error);

void jws_free(struct jws *jws);

/*
 * Text of 1 to ${size} - 1 bytes, without control characters, in the claim ${name}; false if it
 * is not there or no such text.
 */
bool jws_text(const json_t *claims, const char *name, char *ret, size_t size);
/* A number of 0 or more. */
bool jws_number(const json_t *claims, const char *name, int64_t *ret);

#endif
