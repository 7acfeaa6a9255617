#ifndef CRYPTO_P256_H
#define CRYPTO_P256_H

#include <stdbool.h>

#include <openssl/bn.h>
#include <openssl/evp.h>

#include "crypto/crypto.h"

/* P-256 keys and signatures in the forms of JOSE and of libcrypto; inside the room only. */

#define BASE64_JOSE (BASE64_URL | BASE64_NO_PAD)
#define P256_POINT_SIZE 65 /* 4, x, y (SEC 1, section 2.3.3) */
#define P256_COORDINATE_LENGTH 43 /* characters of 32 bytes */
#define P256_JWK_START "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\""
#define P256_JWK_MIDDLE "\",\"y\":\""
#define P256_JWK_END "\"}"
#define P256_JWK_SIZE                                                                          \
	(sizeof P256_JWK_START P256_JWK_MIDDLE P256_JWK_END + 2 * P256_COORDINATE_LENGTH)
#define ES256_SIZE 64 /* r and s, 32 bytes each (RFC 7518, section 3.4) */
#define ES256_LENGTH 86 /* its characters */
#define ES256_DER_MAX 72 /* two INTEGERs of at most 33 bytes, three headers of 2 */

/* What crypto_failed says where nothing can fail but libcrypto itself. */
int p256_failed(rh_error *error);

/*
 * The scalar of 1 to n - 1 (BN_clear_free; unless ${ret} is NULL) and its public point;
 * RH_E_ARGUMENT for another.
 */
int p256_secret(const uint8_t secret[KEY_SIZE], uint8_t point[P256_POINT_SIZE], BIGNUM **ret,
    rh_error *error);

/*
 * The key of a point and, unless ${scalar} is NULL, its private scalar.  NULL if
 * libcrypto refuses it: a point that is not on the curve, or no memory.
 */
EVP_PKEY *p256_key(const uint8_t point[P256_POINT_SIZE], const BIGNUM *scalar);

/* The public JWK, members in the order of RFC 7638. */
void p256_jwk(char text[P256_JWK_SIZE], const uint8_t point[P256_POINT_SIZE]);

/* Reads exactly ${size} bytes from canonical base64url. */
bool base64_jose_read(void *bytes, size_t size, const char *text, size_t length);

/* The DER form (RFC 3279, section 2.2.3) of r and s, and its size. */
size_t es256_to_der(uint8_t der[ES256_DER_MAX], const uint8_t signature[ES256_SIZE]);
/* r and s of such a form; false if it is none, or there is no memory. */
bool es256_from_der(uint8_t signature[ES256_SIZE], const uint8_t *der, size_t size);

#endif
