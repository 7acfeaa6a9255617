#include <limits.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/bytes.h"
#include "crypto/internal.h"

struct aead {
	EVP_CIPHER *algorithm;
	EVP_CIPHER_CTX *context;
};

static int cipher_failed(rh_error *error)
{
	return crypto_failed(error, RH_E_INTERNAL, "libcrypto cannot encrypt or decrypt");
}

int aead_new(const char *cipher, const uint8_t key[KEY_SIZE], bool seal, struct aead **ret,
    rh_error *error)
{
	struct aead *aead = calloc(1, sizeof *aead);

	if (aead == NULL)
		return error_memory(error);
	crypto_begin();
	aead->algorithm = EVP_CIPHER_fetch(NULL, cipher, NULL);
	if (aead->algorithm != NULL)
		aead->context = EVP_CIPHER_CTX_new();
	if (aead->context == NULL ||
	    EVP_CipherInit_ex2(aead->context, aead->algorithm, key, NULL, seal, NULL) != 1) {
		aead_free(aead);
		return cipher_failed(error);
	}
	*ret = aead;
	return RH_OK;
}

int aead_rekey(struct aead *aead, const uint8_t key[KEY_SIZE], rh_error *error)
{
	crypto_begin();
	if (EVP_CipherInit_ex2(aead->context, NULL, key, NULL, -1, NULL) != 1)
		return cipher_failed(error);
	return RH_OK;
}

/* Everything but the tag.  EVP functions take sizes as int. */
static bool cipher_run(EVP_CIPHER_CTX *context, const uint8_t *nonce, const void *associated,
    size_t associated_size, const uint8_t *bytes, size_t size, uint8_t *out)
{
	int done;

	if (EVP_CipherInit_ex2(context, NULL, NULL, nonce, -1, NULL) != 1)
		return false;
	if (associated_size > 0 &&
	    EVP_CipherUpdate(context, NULL, &done, associated, (int)associated_size) != 1)
		return false;
	if (size > 0 && (EVP_CipherUpdate(context, out, &done, bytes, (int)size) != 1 ||
			    (size_t)done != size))
		return false;
	return true;
}

int aead_seal(struct aead *aead, const uint8_t nonce[AEAD_NONCE_SIZE], const void *associated,
    size_t associated_size, const void *bytes, size_t size, uint8_t *out, rh_error *error)
{
	uint8_t rest[EVP_MAX_BLOCK_LENGTH];
	int done;

	if (associated_size > INT_MAX || size > INT_MAX)
		return error_set(error, RH_E_ARGUMENT, "too many bytes to encrypt at once");
	crypto_begin();
	if (!cipher_run(aead->context, nonce, associated, associated_size, bytes, size, out) ||
	    EVP_CipherFinal_ex(aead->context, rest, &done) != 1 ||
	    EVP_CIPHER_CTX_ctrl(
		aead->context, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_SIZE, out + size) != 1)
		return cipher_failed(error);
	return RH_OK;
}

int aead_open(struct aead *aead, const uint8_t nonce[AEAD_NONCE_SIZE], const void *associated,
    size_t associated_size, const uint8_t *sealed, size_t size, uint8_t *out,
    bool *ret_authentic, rh_error *error)
{
	uint8_t rest[EVP_MAX_BLOCK_LENGTH];
	size_t body = size - AEAD_TAG_SIZE;
	int done;

	if (associated_size > INT_MAX || size > INT_MAX)
		return error_set(error, RH_E_ARGUMENT, "too many bytes to decrypt at once");
	crypto_begin();
	if (!cipher_run(aead->context, nonce, associated, associated_size, sealed, body, out) ||
	    EVP_CIPHER_CTX_ctrl(aead->context, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_SIZE,
		(void *)(sealed + body)) != 1) {
		bytes_wipe(out, body);
		return cipher_failed(error);
	}
	*ret_authentic = EVP_CipherFinal_ex(aead->context, rest, &done) == 1;
	if (!*ret_authentic) {
		bytes_wipe(out, body);
		ERR_clear_error();
	}
	return RH_OK;
}

void aead_free(struct aead *aead)
{
	if (aead == NULL)
		return;
	EVP_CIPHER_CTX_free(aead->context);
	EVP_CIPHER_free(aead->algorithm);
	free(aead);
}
