#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/bytes.h"
#include "crypto/internal.h"
#include "crypto/crypto.h"

struct checksum {
	EVP_CIPHER *algorithm;
	EVP_CIPHER_CTX *context;
	uint8_t key[KEY_SIZE];
};

/*
 * One key and one nonce for all sums of an object: they are compared, never shown.
 * ${key} NULL: the one that is set.
 */
static int start(struct checksum *checksum, const uint8_t *key, rh_error *error)
{
	static const uint8_t nonce[AEAD_NONCE_SIZE];

	crypto_begin();
	if (EVP_EncryptInit_ex2(checksum->context, key != NULL ? checksum->algorithm : NULL,
		key, nonce, NULL) != 1)
		return crypto_failed(error, RH_E_INTERNAL, "libcrypto cannot make a checksum");
	return RH_OK;
}

static int make(const uint8_t key[KEY_SIZE], struct checksum **ret, rh_error *error)
{
	struct checksum *checksum = calloc(1, sizeof *checksum);
	int code;

	if (checksum == NULL)
		return error_memory(error);
	memcpy(checksum->key, key, KEY_SIZE);
	crypto_begin();
	checksum->algorithm = EVP_CIPHER_fetch(NULL, AEAD_AES_256_GCM, NULL);
	if (checksum->algorithm != NULL)
		checksum->context = EVP_CIPHER_CTX_new();
	if (checksum->context == NULL)
		code = crypto_failed(error, RH_E_INTERNAL, "libcrypto cannot make a checksum");
	else
		code = start(checksum, key, error);
	if (code != RH_OK) {
		checksum_free(checksum);
		return code;
	}
	*ret = checksum;
	return RH_OK;
}

int checksum_new(struct checksum **ret, rh_error *error)
{
	uint8_t key[KEY_SIZE];
	int code = random_bytes(key, sizeof key, error);

	if (code == RH_OK)
		code = make(key, ret, error);
	bytes_wipe(key, sizeof key);
	return code;
}

int checksum_twin(const struct checksum *checksum, struct checksum **ret, rh_error *error)
{
	return make(checksum->key, ret, error);
}

int checksum_update(struct checksum *checksum, const void *bytes, size_t size, rh_error *error)
{
	int done;

	if (size > INT_MAX)
		return error_set(error, RH_E_ARGUMENT, "too many bytes for a checksum at once");
	crypto_begin();
	if (size > 0 &&
	    EVP_EncryptUpdate(checksum->context, NULL, &done, bytes, (int)size) != 1)
		return crypto_failed(error, RH_E_INTERNAL, "libcrypto cannot make a checksum");
	return RH_OK;
}

int checksum_finish(struct checksum *checksum, uint8_t out[CHECKSUM_SIZE], rh_error *error)
{
	uint8_t rest[EVP_MAX_BLOCK_LENGTH];
	int done;

	crypto_begin();
	if (EVP_EncryptFinal_ex(checksum->context, rest, &done) != 1 ||
	    EVP_CIPHER_CTX_ctrl(checksum->context, EVP_CTRL_AEAD_GET_TAG, CHECKSUM_SIZE, out) !=
		1)
		return crypto_failed(error, RH_E_INTERNAL, "libcrypto cannot make a checksum");
	return start(checksum, NULL, error);
}

void checksum_free(struct checksum *checksum)
{
	if (checksum == NULL)
		return;
	EVP_CIPHER_CTX_free(checksum->context);
	EVP_CIPHER_free(checksum->algorithm);
	bytes_wipe(checksum->key, sizeof checksum->key);
	free(checksum);
}
