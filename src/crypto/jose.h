#ifndef CRYPTO_JOSE_H
#define CRYPTO_JOSE_H

#include <stdbool.h>

#include "crypto/crypto.h"

/*
 * JOSE for licences: ES256 signatures (RFC 7518, section 3.4) and content keys under
 * ECDH-ES+A256KW with A256GCM (RFC 7518, sections 4.6 and 5.3), both with P-256 and in
 * compact form.  Everything here reads bytes from outside, and is bounded.
 */

#define JOSE_THUMBPRINT_SIZE 44 /* 43 characters of base64url, and NUL (RFC 7638, SHA-256) */
#define JOSE_KEY_ID_SIZE 128 /* "kid" and NUL */
#define JOSE_KEYS_MAX 64 /* keys in a set */
#define JOSE_SET_MAX (64 * 1024) /* bytes of a JWK set */
#define JOSE_JWE_MAX (16 * 1024) /* characters of a compact JWE */
#define JOSE_SECRET_MAX (4 * 1024) /* bytes inside one */

/* A P-256 key, ready for use; several threads may use one at once. */
struct jose_key;

/* RH_E_ARGUMENT if the point is not on the curve. */
int jose_key_public(
    const uint8_t x[32], const uint8_t y[32], struct jose_key **ret, rh_error *error);
/* RH_E_ARGUMENT for a scalar outside 1 to n - 1. */
int jose_key_private(const uint8_t secret[KEY_SIZE], struct jose_key **ret, rh_error *error);
/* A new private key, and its scalar (bytes_wipe). */
int jose_key_generate(struct jose_key **ret, uint8_t ret_secret[KEY_SIZE], rh_error *error);
void jose_key_free(struct jose_key *key);

/* RFC 7638, over the public half; the key's. */
const char *jose_key_thumbprint(const struct jose_key *key);

/* The public half as a JWK, members in the order of RFC 7638; the key's. */
const char *jose_key_jwk(const struct jose_key *key);

/*
 * Whether ${signature} (the third part of a compact JWS, as text) is the key's over the
 * ${size} characters of the first two parts with the dot between them.
 * RH_E_LICENSE_SIGNATURE also for text that is not canonical base64url of 64 bytes.
 */
int jose_verify(const struct jose_key *key, const char *signed_text, size_t size,
    const char *signature, size_t signature_size, rh_error *error);

/*
 * Opens a compact JWE with the private ${key}; ${ret} gets what is inside (buffer_free_secret).
 * RH_E_LICENSE_CONTENT_KEY for anything that does not open: another key, an edited
 * character, another algorithm, "crit" or "zip", nothing inside or more than
 * JOSE_SECRET_MAX.  RH_E_ARGUMENT for a public key.
 */
int jose_open(const struct jose_key *key, const char *jwe, size_t size, struct buffer *ret,
    rh_error *error);

/*
 * Seals for the public half of ${key}: a compact JWE, freed with free().  ${key_id}
 * goes into its header as "kid" unless it is NULL.
 */
int jose_seal(const struct jose_key *key, const char *key_id, const void *bytes, size_t size,
    char **ret, rh_error *error);

/* A JWK set (RFC 7517, section 5) as far as it can be used here. */
struct jose_set {
	size_t count;
	struct jose_set_key {
		char id[JOSE_KEY_ID_SIZE]; /* "kid", or the thumbprint */
		bool signs; /* may verify ES256 signatures */
		bool encrypts; /* may be sealed for */
		struct jose_key *key;
	} keys[JOSE_KEYS_MAX];
	char name[512]; /* the member that ${name_member} names: text, or "" */
};

/*
 * Reads a set, or one JWK alone.  Keys of other types, curves or algorithms are passed over; a
 * private member ("d") is refused: this is the file that must stay with its owner.
 * "use", "key_ops" and "alg" decide what a key is for; without them, for both.
 * RH_E_PIN_KEYS names the key and the member; also if no key is left, or a key id stands twice.
 * ${set} is freed with jose_set_free after success.
 */
int jose_set_read(struct jose_set *set, const void *json, size_t size, const char *name_member,
    rh_error *error);
void jose_set_free(struct jose_set *set);

#endif
