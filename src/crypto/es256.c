#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include "base/bytes.h"
#include "base/text.h"
#include "crypto/internal.h"
#include "crypto/p256.h"

/* The one protected header that we write and read: {"alg":"ES256"} (RFC 7515, section 4). */
#define JWS_HEADER "eyJhbGciOiJFUzI1NiJ9"

int es256_key_generate(uint8_t secret[KEY_SIZE], rh_error *error)
{
	EVP_PKEY *key;
	BIGNUM *scalar = NULL;
	int code = RH_OK;

	crypto_begin();
	key = EVP_EC_gen("P-256");
	if (key == NULL || EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &scalar) != 1 ||
	    BN_bn2binpad(scalar, secret, KEY_SIZE) != KEY_SIZE)
		code = p256_failed(error);
	BN_clear_free(scalar);
	EVP_PKEY_free(key);
	return code;
}

int es256_public_jwk(const uint8_t secret[KEY_SIZE], char **ret, rh_error *error)
{
	uint8_t point[P256_POINT_SIZE];
	char *jwk;
	int code = p256_secret(secret, point, NULL, error);

	if (code != RH_OK)
		return code;
	jwk = malloc(P256_JWK_SIZE);
	if (jwk == NULL)
		return error_memory(error);
	p256_jwk(jwk, point);
	*ret = jwk;
	return RH_OK;
}

/* Takes ${literal} off ${*text}. */
static bool take(const char **text, const char *literal)
{
	size_t length = strlen(literal);

	if (strncmp(*text, literal, length) != 0)
		return false;
	*text += length;
	return true;
}

static bool take_base64(const char **text, size_t length, uint8_t *bytes, size_t size)
{
	if (strnlen(*text, length) != length || !base64_jose_read(bytes, size, *text, length))
		return false;
	*text += length;
	return true;
}

static bool read_jwk(const char *jwk, uint8_t point[P256_POINT_SIZE])
{
	point[0] = POINT_CONVERSION_UNCOMPRESSED;
	return take(&jwk, P256_JWK_START) &&
	       take_base64(&jwk, P256_COORDINATE_LENGTH, point + 1, 32) &&
	       take(&jwk, P256_JWK_MIDDLE) &&
	       take_base64(&jwk, P256_COORDINATE_LENGTH, point + 33, 32) &&
	       take(&jwk, P256_JWK_END) && *jwk == '\0';
}

static bool read_jws(const char *jws, uint8_t signature[ES256_SIZE])
{
	return take(&jws, JWS_HEADER "..") &&
	       take_base64(&jws, ES256_LENGTH, signature, ES256_SIZE) && *jws == '\0';
}

/* The signing input (RFC 7515, section 5.1): header, ".", payload in base64url. */
static bool feed(EVP_MD_CTX *context, const uint8_t *payload, size_t size)
{
	enum { PIECE = 3 * 1024 };
	char text[BASE64_SIZE(PIECE)];
	bool good = EVP_DigestUpdate(context, JWS_HEADER ".", sizeof JWS_HEADER) == 1;

	while (good && size > 0) {
		size_t piece = size < PIECE ? size : PIECE;
		size_t length = base64_encode(text, payload, piece, BASE64_JOSE);

		good = EVP_DigestUpdate(context, text, length) == 1;
		payload += piece;
		size -= piece;
	}
	return good;
}

bool es256_from_der(uint8_t signature[ES256_SIZE], const uint8_t *der, size_t size)
{
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)size);
	bool good = pair != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, 32) == 32 &&
		    BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + 32, 32) == 32;

	ECDSA_SIG_free(pair);
	return good;
}

int es256_sign_detached(const uint8_t secret[KEY_SIZE], const void *payload, size_t size,
    char **ret, rh_error *error)
{
	uint8_t point[P256_POINT_SIZE], der[ES256_DER_MAX], signature[ES256_SIZE];
	char text[BASE64_SIZE(ES256_SIZE)];
	size_t der_size = sizeof der;
	EVP_MD_CTX *context = NULL;
	BIGNUM *scalar = NULL;
	EVP_PKEY *key;
	char *jws;
	int code;

	code = p256_secret(secret, point, &scalar, error);
	if (code != RH_OK)
		return code;
	key = p256_key(point, scalar);
	BN_clear_free(scalar);
	if (key == NULL)
		return p256_failed(error);
	context = EVP_MD_CTX_new();
	if (context == NULL ||
	    EVP_DigestSignInit_ex(context, NULL, "SHA256", NULL, NULL, key, NULL) != 1 ||
	    !feed(context, payload, size) ||
	    EVP_DigestSignFinal(context, der, &der_size) != 1 ||
	    /* Without memory libcrypto 3.0 reports success and a size of -1. */
	    der_size > sizeof der || !es256_from_der(signature, der, der_size)) {
		code = crypto_failed(error, RH_E_INTERNAL, "libcrypto cannot sign");
		goto out;
	}
	base64_encode(text, signature, sizeof signature, BASE64_JOSE);
	if (asprintf(&jws, JWS_HEADER "..%s", text) < 0)
		code = error_memory(error);
	else
		*ret = jws;
out:
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	return code;
}

int es256_verify_detached(
    const char *jwk, const char *jws, const void *payload, size_t size, rh_error *error)
{
	uint8_t point[P256_POINT_SIZE], der[ES256_DER_MAX], signature[ES256_SIZE];
	size_t der_size;
	EVP_MD_CTX *context = NULL;
	EVP_PKEY *key = NULL;
	int code = RH_OK;

	if (!read_jwk(jwk, point))
		return error_set(error, RH_E_BACKUP_CORRUPT, "the public key is malformed");
	if (!read_jws(jws, signature))
		return error_set(error, RH_E_BACKUP_CORRUPT, "the signature is malformed");
	crypto_begin();
	key = p256_key(point, NULL);
	if (key == NULL)
		return crypto_failed(
		    error, RH_E_BACKUP_CORRUPT, "the public key is no P-256 point");

	der_size = es256_to_der(der, signature);
	context = EVP_MD_CTX_new();
	if (context == NULL ||
	    EVP_DigestVerifyInit_ex(context, NULL, "SHA256", NULL, NULL, key, NULL) != 1 ||
	    !feed(context, payload, size))
		code =
		    crypto_failed(error, RH_E_INTERNAL, "libcrypto cannot verify a signature");
	else if (EVP_DigestVerifyFinal(context, der, der_size) != 1)
		code = crypto_failed(error, RH_E_BACKUP_CORRUPT, "the signature is wrong");
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	return code;
}
