#ifndef CRYPTO_JOSE_KEY_H
#define CRYPTO_JOSE_KEY_H

#include <openssl/ec.h>

#include "crypto/jose.h"
#include "crypto/p256.h"

/* Shared by the files of JOSE only. */

struct jose_key {
	EVP_PKEY_CTX *verify; /* ready for a signature; each thread works with a copy of it */
	EVP_PKEY_CTX *sign; /* the same for signing; NULL: a public key */
	EVP_MD *sha256;
	EC_GROUP *group;
	EC_POINT *point;
	BIGNUM *scalar; /* NULL: a public key */
	char thumbprint[JOSE_THUMBPRINT_SIZE];
	char jwk[P256_JWK_SIZE];
};

/*
 * The ES256 signature of a private ${key} over ${size} bytes, r and s; RH_E_ARGUMENT for a
 * public key.
 */
int jose_sign(const struct jose_key *key, const void *bytes, size_t size,
    uint8_t signature[ES256_SIZE], rh_error *error);

/*
 * The Concat KDF of RFC 7518, section 4.6.2, for a key of at most 256 ${bits}, where it is
 * one SHA-256.  ${u} and ${v} are PartyUInfo and PartyVInfo without their lengths.
 */
struct jose_party {
	const uint8_t *bytes;
	size_t size;
};
int jose_concat_kdf(uint8_t out[KEY_SIZE], const uint8_t z[32], const char *algorithm,
    struct jose_party u, struct jose_party v, unsigned bits, rh_error *error);

#endif
