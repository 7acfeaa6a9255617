#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/params.h>

#include "base/text.h"
#include "crypto/internal.h"
#include "crypto/p256.h"

int p256_failed(rh_error *error)
{
	return crypto_failed(error, RH_E_INTERNAL, "libcrypto cannot work with a P-256 key");
}

/* The public point of ${scalar}; RH_E_ARGUMENT if it is not of 1 to n - 1. */
static int public_point(uint8_t point[P256_POINT_SIZE], const BIGNUM *scalar, rh_error *error)
{
	EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	EC_POINT *product = NULL;
	int code = RH_OK;

	if (group != NULL)
		product = EC_POINT_new(group);
	if (product == NULL)
		code = p256_failed(error);
	else if (BN_is_zero(scalar) || BN_cmp(scalar, EC_GROUP_get0_order(group)) >= 0)
		code = error_set(error, RH_E_ARGUMENT, "the private scalar is no P-256 key");
	else if (EC_POINT_mul(group, product, scalar, NULL, NULL, NULL) != 1 ||
		 EC_POINT_point2oct(group, product, POINT_CONVERSION_UNCOMPRESSED, point,
		     P256_POINT_SIZE, NULL) != P256_POINT_SIZE)
		code = p256_failed(error);
	EC_POINT_free(product);
	EC_GROUP_free(group);
	return code;
}

int p256_secret(const uint8_t secret[KEY_SIZE], uint8_t point[P256_POINT_SIZE], BIGNUM **ret,
    rh_error *error)
{
	BIGNUM *scalar;
	int code;

	crypto_begin();
	scalar = BN_secure_new();
	if (scalar == NULL || BN_bin2bn(secret, KEY_SIZE, scalar) == NULL) {
		code = p256_failed(error);
	} else {
		BN_set_flags(scalar, BN_FLG_CONSTTIME);
		code = public_point(point, scalar, error);
	}
	if (code == RH_OK && ret != NULL)
		*ret = scalar;
	else
		BN_clear_free(scalar);
	return code;
}

EVP_PKEY *p256_key(const uint8_t point[P256_POINT_SIZE], const BIGNUM *scalar)
{
	char curve[] = "P-256";
	uint8_t native[KEY_SIZE];
	OSSL_PARAM params[4], *p = params;
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;

	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0);
	*p++ = OSSL_PARAM_construct_octet_string(
	    OSSL_PKEY_PARAM_PUB_KEY, (void *)point, P256_POINT_SIZE);
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

void p256_jwk(char text[P256_JWK_SIZE], const uint8_t point[P256_POINT_SIZE])
{
	char *p = stpcpy(text, P256_JWK_START);

	p += base64_encode(p, point + 1, 32, BASE64_JOSE);
	p = stpcpy(p, P256_JWK_MIDDLE);
	p += base64_encode(p, point + 33, 32, BASE64_JOSE);
	strcpy(p, P256_JWK_END);
}

bool base64_jose_read(void *bytes, size_t size, const char *text, size_t length)
{
	return base64_decode(bytes, size, text, length, BASE64_JOSE) == (ptrdiff_t)size;
}

/* An INTEGER of 32 big-endian bytes without a sign (X.690, section 8.3); returns its size. */
static size_t put_integer(uint8_t *der, const uint8_t number[32])
{
	size_t zeros = 0, sign;

	while (zeros < 31 && number[zeros] == 0)
		zeros++;
	sign = number[zeros] >> 7;
	der[0] = 2;
	der[1] = (uint8_t)(32 - zeros + sign);
	der[2] = 0;
	memcpy(der + 2 + sign, number + zeros, 32 - zeros);
	return 2 + 32 - zeros + sign;
}

size_t es256_to_der(uint8_t der[ES256_DER_MAX], const uint8_t signature[ES256_SIZE])
{
	size_t size = put_integer(der + 2, signature);

	size += put_integer(der + 2 + size, signature + 32);
	der[0] = 0x30; /* SEQUENCE */
	der[1] = (uint8_t)size;
	return 2 + size;
}
