#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "base/bytes.h"
#include "crypto/internal.h"
#include "crypto/crypto.h"

struct digest {
	EVP_MD_CTX *context;
};

/* Looked up once: that takes as long as to hash a short text. */
static const EVP_MD *sha256_algorithm(void)
{
	static _Atomic(EVP_MD *) found;
	EVP_MD *algorithm = atomic_load_explicit(&found, memory_order_acquire), *none = NULL;

	if (algorithm != NULL)
		return algorithm;
	algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (algorithm == NULL || atomic_compare_exchange_strong_explicit(&found, &none,
				     algorithm, memory_order_acq_rel, memory_order_acquire))
		return algorithm;
	EVP_MD_free(algorithm);
	return none;
}

void crypto_begin(void)
{
	/* For every seal: clearing an empty queue costs more than looking at it. */
	if (ERR_peek_error() != 0)
		ERR_clear_error();
	errno = 0;
}

int crypto_failed(rh_error *error, int code, const char *what)
{
	unsigned long reason;
	/* Not everywhere does libcrypto itself say that it had no memory. */
	bool memory = errno == ENOMEM;

	while ((reason = ERR_get_error()) != 0)
		if (ERR_GET_REASON(reason) == ERR_R_MALLOC_FAILURE)
			memory = true;
	if (memory)
		return error_memory(error);
	return error_set(error, code, "%s", what);
}

int random_bytes(void *bytes, size_t size, rh_error *error)
{
	uint8_t *p = bytes;

	crypto_begin();
	while (size > 0) {
		int part = size < INT_MAX ? (int)size : INT_MAX;

		if (RAND_priv_bytes(p, part) != 1)
			return crypto_failed(
			    error, RH_E_INTERNAL, "libcrypto gives no random numbers");
		p += part;
		size -= (size_t)part;
	}
	return RH_OK;
}

int hkdf_sha256_bytes(uint8_t *out, size_t out_size, const void *key, size_t key_size,
    const void *salt, size_t salt_size, const void *info, size_t info_size, rh_error *error)
{
	EVP_KDF *algorithm = NULL;
	EVP_KDF_CTX *context = NULL;
	OSSL_PARAM params[5], *p = params;
	int code = RH_OK;

	crypto_begin();
	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key, key_size);
	if (salt_size > 0)
		*p++ = OSSL_PARAM_construct_octet_string(
		    OSSL_KDF_PARAM_SALT, (void *)salt, salt_size);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info, info_size);
	*p = OSSL_PARAM_construct_end();

	algorithm = EVP_KDF_fetch(NULL, "HKDF", NULL);
	if (algorithm != NULL)
		context = EVP_KDF_CTX_new(algorithm);
	if (context == NULL || EVP_KDF_derive(context, out, out_size, params) != 1) {
		bytes_wipe(out, out_size);
		code = crypto_failed(error, RH_E_INTERNAL, "libcrypto cannot derive a key");
	}
	EVP_KDF_CTX_free(context);
	EVP_KDF_free(algorithm);
	return code;
}

int hkdf_sha256(uint8_t *out, size_t out_size, const void *key, size_t key_size,
    const void *salt, size_t salt_size, const char *info, rh_error *error)
{
	return hkdf_sha256_bytes(
	    out, out_size, key, key_size, salt, salt_size, info, strlen(info), error);
}

int hmac_sha256(uint8_t out[DIGEST_SIZE], const void *key, size_t key_size, const void *bytes,
    size_t size, rh_error *error)
{
	unsigned out_size;

	if (key_size > INT_MAX)
		return error_set(error, RH_E_ARGUMENT, "the key is too long");
	crypto_begin();
	/* A NULL key would mean the key of an earlier call. */
	if (key_size == 0)
		key = "";
	if (HMAC(EVP_sha256(), key, (int)key_size, bytes, size, out, &out_size) == NULL)
		return crypto_failed(error, RH_E_INTERNAL, "libcrypto cannot compute an HMAC");
	return RH_OK;
}

int sha256(uint8_t out[DIGEST_SIZE], const void *bytes, size_t size, rh_error *error)
{
	const EVP_MD *algorithm;

	crypto_begin();
	algorithm = sha256_algorithm();
	if (algorithm == NULL || EVP_Digest(bytes, size, out, NULL, algorithm, NULL) != 1)
		return crypto_failed(
		    error, RH_E_INTERNAL, "libcrypto cannot compute a SHA-256");
	return RH_OK;
}

int digest_new(struct digest **ret, rh_error *error)
{
	struct digest *digest = calloc(1, sizeof *digest);
	const EVP_MD *algorithm;

	if (digest == NULL)
		return error_memory(error);
	crypto_begin();
	algorithm = sha256_algorithm();
	if (algorithm != NULL)
		digest->context = EVP_MD_CTX_new();
	if (digest->context == NULL ||
	    EVP_DigestInit_ex2(digest->context, algorithm, NULL) != 1) {
		digest_free(digest);
		return crypto_failed(error, RH_E_INTERNAL, "libcrypto cannot begin a SHA-256");
	}
	*ret = digest;
	return RH_OK;
}

int digest_update(struct digest *digest, const void *bytes, size_t size, rh_error *error)
{
	crypto_begin();
	if (EVP_DigestUpdate(digest->context, bytes, size) != 1)
		return crypto_failed(
		    error, RH_E_INTERNAL, "libcrypto cannot compute a SHA-256");
	return RH_OK;
}

int digest_finish(struct digest *digest, uint8_t out[DIGEST_SIZE], rh_error *error)
{
	crypto_begin();
	if (EVP_DigestFinal_ex(digest->context, out, NULL) != 1 ||
	    EVP_DigestInit_ex2(digest->context, NULL, NULL) != 1)
		return crypto_failed(error, RH_E_INTERNAL, "libcrypto cannot finish a SHA-256");
	return RH_OK;
}

void digest_free(struct digest *digest)
{
	if (digest == NULL)
		return;
	EVP_MD_CTX_free(digest->context);
	free(digest);
}
