#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/bytes.h"
#include "base/text.h"
#include "crypto/internal.h"
#include "crypto/crypto.h"

/* The one protected header that we write and read: {"alg":"ES256"} (RFC 7515, section 4). */
#define JWS_HEADER "eyJhbGciOiJFUzI1NiJ9"
#define JWK_START "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\""
#define JWK_MIDDLE "\",\"y\":\""
#define JWK_END "\"}"

#define BASE64_JOSE (BASE64_URL | BASE64_NO_PAD)
#define COORDINATE_LENGTH 43 /* characters of 32 bytes */
#define SIGNATURE_SIZE 64 /* r and s, 32 bytes each (RFC 7518, section 3.4) */
#define SIGNATURE_LENGTH 86 /* its characters */
#define SIGNATURE_DER_MAX 72 /* two INTEGERs of at most 33 bytes, three headers of 2 */
#define POINT_SIZE 65 /* 4, x, y (SEC 1, section 2.3.3) */

static int ec_failed(rh_error *error)
{
	return crypto_failed(error, RH_E_INTERNAL, "libcrypto cannot work with a P-256 key");
}

int es256_key_generate(uint8_t secret[KEY_SIZE], rh_error *error)
{
	EVP_PKEY *key;
	BIGNUM *scalar = NULL;
	int code = RH_OK;

	crypto_begin();
	key = EVP_EC_gen("P-256");
	if (key == NULL || EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &scalar) != 1 ||
	    BN_bn2binpad(scalar, secret, KEY_SIZE) != KEY_SIZE)
		code = ec_failed(error);
	BN_clear_free(scalar);
	EVP_PKEY_free(key);
	return code;
}

/* The public point of ${scalar}; RH_E_ARGUMENT if it is not of 1 to n - 1. */
static int public_point(uint8_t point[POINT_SIZE], const BIGNUM *scalar, rh_error *error)
{
	EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	EC_POINT *product = NULL;
	int code = RH_OK;

	if (group != NULL)
		product = EC_POINT_new(group);
	if (product == NULL)
		code = ec_failed(error);
	else if (BN_is_zero(scalar) || BN_cmp(scalar, EC_GROUP_get0_order(group)) >= 0)
		code = error_set(error, RH_E_ARGUMENT, "the private scalar is no P-256 key");
	else if (EC_POINT_mul(group, product, scalar, NULL, NULL, NULL) != 1 ||
		 EC_POINT_point2oct(group, product, POINT_CONVERSION_UNCOMPRESSED, point,
		     POINT_SIZE, NULL) != POINT_SIZE)
		code = ec_failed(error);
	EC_POINT_free(product);
	EC_GROUP_free(group);
	return code;
}

/*
 * The key of a point and, unless ${scalar} is NULL, its private scalar.  NULL if
 * libcrypto refuses it: a point that is not on the curve, or no memory.
 */
static EVP_PKEY *make_key(const uint8_t point[POINT_SIZE], const BIGNUM *scalar)
{
	char curve[] = "P-256";
	uint8_t native[KEY_SIZE];
	OSSL_PARAM params[4], *p = params;
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;

	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0);
	*p++ = OSSL_PARAM_construct_octet_string(
	    OSSL_PKEY_PARAM_PUB_KEY, (void *)point, POINT_SIZE);
	if (scalar != NULL) {
		BN_bn2nativepad(scalar, native, sizeof native);
		*p++ = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, native, sizeof native);
	}
	*p = OSSL_PARAM_construct_end();
	if (context != NULL && EVP_PKEY_fromdata_init(context) == 1)
		EVP_PKEY_fromdata(context, &key,
		    scalar != NULL ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params);
	bytes_wipe(native, sizeof native);
	EVP_PKEY_CTX_free(context);
	return key;
}

/* ${ret_key} may be NULL. */
static int read_secret(const uint8_t secret[KEY_SIZE], uint8_t point[POINT_SIZE],
    EVP_PKEY **ret_key, rh_error *error)
{
	BIGNUM *scalar;
	EVP_PKEY *key = NULL;
	int code = RH_OK;

	crypto_begin();
	scalar = BN_secure_new();
	if (scalar == NULL || BN_bin2bn(secret, KEY_SIZE, scalar) == NULL) {
		code = ec_failed(error);
		goto out;
	}
	BN_set_flags(scalar, BN_FLG_CONSTTIME);
	code = public_point(point, scalar, error);
	if (code != RH_OK || ret_key == NULL)
		goto out;
	key = make_key(point, scalar);
	if (key == NULL)
		code = ec_failed(error);
	else
		*ret_key = key;
out:
	BN_clear_free(scalar);
	return code;
}

int es256_public_jwk(const uint8_t secret[KEY_SIZE], char **ret, rh_error *error)
{
	uint8_t point[POINT_SIZE];
	char x[BASE64_SIZE(32)], y[BASE64_SIZE(32)];
	char *jwk;
	int code = read_secret(secret, point, NULL, error);

	if (code != RH_OK)
		return code;
	base64_encode(x, point + 1, 32, BASE64_JOSE);
	base64_encode(y, point + 33, 32, BASE64_JOSE);
	if (asprintf(&jwk, JWK_START "%s" JWK_MIDDLE "%s" JWK_END, x, y) < 0)
		return error_memory(error);
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
	if (strnlen(*text, length) != length ||
	    base64_decode(bytes, size, *text, length, BASE64_JOSE) != (ptrdiff_t)size)
		return false;
	*text += length;
	return true;
}

static bool read_jwk(const char *jwk, uint8_t point[POINT_SIZE])
{
	point[0] = POINT_CONVERSION_UNCOMPRESSED;
	return take(&jwk, JWK_START) && take_base64(&jwk, COORDINATE_LENGTH, point + 1, 32) &&
	       take(&jwk, JWK_MIDDLE) && take_base64(&jwk, COORDINATE_LENGTH, point + 33, 32) &&
	       take(&jwk, JWK_END) && *jwk == '\0';
}

static bool read_jws(const char *jws, uint8_t signature[SIGNATURE_SIZE])
{
	return take(&jws, JWS_HEADER "..") &&
	       take_base64(&jws, SIGNATURE_LENGTH, signature, SIGNATURE_SIZE) && *jws == '\0';
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

/* r and s of a DER ECDSA-Sig-Value (RFC 3279, section 2.2.3). */
static bool signature_from_der(
    uint8_t signature[SIGNATURE_SIZE], const uint8_t *der, size_t size)
{
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)size);
	bool good = pair != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, 32) == 32 &&
		    BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + 32, 32) == 32;

	ECDSA_SIG_free(pair);
	return good;
}

/* The size of the DER form, 0 if there is no memory. */
static size_t signature_to_der(
    uint8_t der[SIGNATURE_DER_MAX], const uint8_t signature[SIGNATURE_SIZE])
{
	ECDSA_SIG *pair = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(signature, 32, NULL), *s = BN_bin2bn(signature + 32, 32, NULL);
	int size = 0;

	if (pair != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(pair, r, s) == 1) {
		r = s = NULL;
		size = i2d_ECDSA_SIG(pair, &der);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(pair);
	return size > 0 ? (size_t)size : 0;
}

int es256_sign_detached(const uint8_t secret[KEY_SIZE], const void *payload, size_t size,
    char **ret, rh_error *error)
{
	uint8_t point[POINT_SIZE], der[SIGNATURE_DER_MAX], signature[SIGNATURE_SIZE];
	char text[BASE64_SIZE(SIGNATURE_SIZE)];
	size_t der_size = sizeof der;
	EVP_MD_CTX *context = NULL;
	EVP_PKEY *key = NULL;
	char *jws;
	int code;

	code = read_secret(secret, point, &key, error);
	if (code != RH_OK)
		return code;
	context = EVP_MD_CTX_new();
	if (context == NULL ||
	    EVP_DigestSignInit_ex(context, NULL, "SHA256", NULL, NULL, key, NULL) != 1 ||
	    !feed(context, payload, size) ||
	    EVP_DigestSignFinal(context, der, &der_size) != 1 ||
	    /* Without memory libcrypto 3.0 reports success and a size of -1. */
	    der_size > sizeof der || !signature_from_der(signature, der, der_size)) {
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
	uint8_t point[POINT_SIZE], der[SIGNATURE_DER_MAX], signature[SIGNATURE_SIZE];
	size_t der_size;
	EVP_MD_CTX *context = NULL;
	EVP_PKEY *key = NULL;
	int code = RH_OK;

	if (!read_jwk(jwk, point))
		return error_set(error, RH_E_BACKUP_CORRUPT, "the public key is malformed");
	if (!read_jws(jws, signature))
		return error_set(error, RH_E_BACKUP_CORRUPT, "the signature is malformed");
	crypto_begin();
	key = make_key(point, NULL);
	if (key == NULL)
		return crypto_failed(
		    error, RH_E_BACKUP_CORRUPT, "the public key is no P-256 point");

	der_size = signature_to_der(der, signature);
	context = EVP_MD_CTX_new();
	if (der_size == 0 || context == NULL ||
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
