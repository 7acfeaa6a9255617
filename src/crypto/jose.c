#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/internal.h"
#include "crypto/jose_key.h"
#include "crypto/jose.h"

/* Everything that libcrypto looks up by name is looked up here, once a key. */
static int prepare(struct jose_key *key, const uint8_t point[P256_POINT_SIZE], rh_error *error)
{
	EVP_PKEY *pkey = p256_key(point, key->scalar);

	/* The one failure that is not libcrypto's own. */
	if (pkey == NULL)
		return crypto_failed(
		    error, RH_E_ARGUMENT, "the public key is no point of P-256");
	key->verify = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	if (key->scalar != NULL)
		key->sign = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	EVP_PKEY_free(pkey);
	if (key->verify == NULL || EVP_PKEY_verify_init(key->verify) != 1)
		return p256_failed(error);
	if (key->scalar != NULL && (key->sign == NULL || EVP_PKEY_sign_init(key->sign) != 1))
		return p256_failed(error);
	key->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	key->group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	if (key->group != NULL)
		key->point = EC_POINT_new(key->group);
	if (key->sha256 == NULL || key->point == NULL ||
	    EC_POINT_oct2point(key->group, key->point, point, P256_POINT_SIZE, NULL) != 1)
		return p256_failed(error);
	return RH_OK;
}

/* Takes ${scalar}, which may be NULL. */
static int key_new(const uint8_t point[P256_POINT_SIZE], BIGNUM *scalar, struct jose_key **ret,
    rh_error *error)
{
	struct jose_key *key = calloc(1, sizeof *key);
	uint8_t digest[DIGEST_SIZE];
	int code;

	if (key == NULL) {
		BN_clear_free(scalar);
		return error_memory(error);
	}
	key->scalar = scalar;
	crypto_begin();
	code = prepare(key, point, error);
	if (code == RH_OK) {
		p256_jwk(key->jwk, point);
		code = sha256(digest, key->jwk, strlen(key->jwk), error);
	}
	if (code != RH_OK) {
		jose_key_free(key);
		return code;
	}
	base64_encode(key->thumbprint, digest, sizeof digest, BASE64_JOSE);
	*ret = key;
	return RH_OK;
}

int jose_key_public(
    const uint8_t x[32], const uint8_t y[32], struct jose_key **ret, rh_error *error)
{
	uint8_t point[P256_POINT_SIZE] = {POINT_CONVERSION_UNCOMPRESSED};

	memcpy(point + 1, x, 32);
	memcpy(point + 33, y, 32);
	return key_new(point, NULL, ret, error);
}

int jose_key_private(const uint8_t secret[KEY_SIZE], struct jose_key **ret, rh_error *error)
{
	uint8_t point[P256_POINT_SIZE];
	BIGNUM *scalar = NULL;
	int code = p256_secret(secret, point, &scalar, error);

	return code == RH_OK ? key_new(point, scalar, ret, error) : code;
}

int jose_key_generate(struct jose_key **ret, uint8_t ret_secret[KEY_SIZE], rh_error *error)
{
	uint8_t secret[KEY_SIZE];
	int code = es256_key_generate(secret, error);

	if (code == RH_OK)
		code = jose_key_private(secret, ret, error);
	if (code == RH_OK)
		memcpy(ret_secret, secret, KEY_SIZE);
	bytes_wipe(secret, sizeof secret);
	return code;
}

void jose_key_free(struct jose_key *key)
{
	if (key == NULL)
		return;
	EVP_PKEY_CTX_free(key->verify);
	EVP_PKEY_CTX_free(key->sign);
	EVP_MD_free(key->sha256);
	EC_POINT_free(key->point);
	EC_GROUP_free(key->group);
	BN_clear_free(key->scalar);
	free(key);
}

const char *jose_key_thumbprint(const struct jose_key *key)
{
	return key->thumbprint;
}

const char *jose_key_jwk(const struct jose_key *key)
{
	return key->jwk;
}

int jose_verify(const struct jose_key *key, const char *signed_text, size_t size,
    const char *signature, size_t signature_size, rh_error *error)
{
	uint8_t bytes[ES256_SIZE], der[ES256_DER_MAX], digest[DIGEST_SIZE];
	EVP_PKEY_CTX *context = NULL;
	int code = RH_OK;

	if (!base64_jose_read(bytes, sizeof bytes, signature, signature_size))
		return error_set(
		    error, RH_E_LICENSE_SIGNATURE, "the signature is no ES256 signature");
	crypto_begin();
	if (EVP_Digest(signed_text, size, digest, NULL, key->sha256, NULL) == 1)
		context = EVP_PKEY_CTX_dup(key->verify);
	if (context == NULL)
		code =
		    crypto_failed(error, RH_E_INTERNAL, "libcrypto cannot verify a signature");
	else if (EVP_PKEY_verify(
		     context, der, es256_to_der(der, bytes), digest, sizeof digest) != 1)
		code = crypto_failed(error, RH_E_LICENSE_SIGNATURE, "the signature is wrong");
	EVP_PKEY_CTX_free(context);
	return code;
}

int jose_sign(const struct jose_key *key, const void *bytes, size_t size,
    uint8_t signature[ES256_SIZE], rh_error *error)
{
	uint8_t der[ES256_DER_MAX], digest[DIGEST_SIZE];
	size_t der_size = sizeof der;
	EVP_PKEY_CTX *context = NULL;
	int code = RH_OK;

	if (key->sign == NULL)
		return error_set(error, RH_E_ARGUMENT, "the key has no private half");
	crypto_begin();
	if (EVP_Digest(bytes, size, digest, NULL, key->sha256, NULL) == 1)
		context = EVP_PKEY_CTX_dup(key->sign);
	if (context == NULL ||
	    EVP_PKEY_sign(context, der, &der_size, digest, sizeof digest) != 1 ||
	    /* Without memory libcrypto 3.0 reports success and a size of -1. */
	    der_size > sizeof der || !es256_from_der(signature, der, der_size))
		code = crypto_failed(error, RH_E_INTERNAL, "libcrypto cannot sign");
	EVP_PKEY_CTX_free(context);
	return code;
}
