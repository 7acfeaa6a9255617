#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/bytes.h"
#include "crypto/internal.h"
#include "crypto/crypto.h"

#define NONCES_PER_BLOCK 341 /* about 4 KiB of random bytes at a time */

struct sealer {
	struct aead *seal;
	struct aead *open;

	/* Nonces not used yet; those of the process that this one was forked from are not ours.
	 */
	uint8_t nonces[NONCES_PER_BLOCK][AEAD_NONCE_SIZE];
	size_t nonces_left;
	unsigned forks;
};

_Static_assert(SEAL_OVERHEAD == AEAD_NONCE_SIZE + AEAD_TAG_SIZE, "layout of a sealed value");

/* How often this process is a fork of one that had sealers. */
static atomic_uint forks;
static pthread_once_t forks_counted = PTHREAD_ONCE_INIT;

static void count_fork(void)
{
	atomic_fetch_add_explicit(&forks, 1, memory_order_relaxed);
}

static void count_forks(void)
{
	pthread_atfork(NULL, NULL, count_fork);
}

int sealer_new(const uint8_t key[KEY_SIZE], struct sealer **ret, rh_error *error)
{
	struct sealer *sealer = calloc(1, sizeof *sealer);
	int code;

	if (sealer == NULL)
		return error_memory(error);
	pthread_once(&forks_counted, count_forks);
	code = aead_new(AEAD_AES_256_GCM, key, true, &sealer->seal, error);
	if (code == RH_OK)
		code = aead_new(AEAD_AES_256_GCM, key, false, &sealer->open, error);
	if (code != RH_OK) {
		sealer_free(sealer);
		return code;
	}
	*ret = sealer;
	return RH_OK;
}

static int next_nonce(struct sealer *sealer, uint8_t nonce[AEAD_NONCE_SIZE], rh_error *error)
{
	unsigned now = atomic_load_explicit(&forks, memory_order_relaxed);

	if (sealer->nonces_left == 0 || sealer->forks != now) {
		sealer->nonces_left = 0;
		crypto_begin();
		if (RAND_bytes(&sealer->nonces[0][0], sizeof sealer->nonces) != 1)
			return crypto_failed(
			    error, RH_E_INTERNAL, "libcrypto gives no random numbers");
		sealer->nonces_left = NONCES_PER_BLOCK;
		sealer->forks = now;
	}
	memcpy(nonce, sealer->nonces[--sealer->nonces_left], AEAD_NONCE_SIZE);
	return RH_OK;
}

int sealer_seal(struct sealer *sealer, const void *associated, size_t associated_size,
    const void *bytes, size_t size, uint8_t *out, rh_error *error)
{
	int code = next_nonce(sealer, out, error);

	if (code != RH_OK)
		return code;
	return aead_seal(sealer->seal, out, associated, associated_size, bytes, size,
	    out + AEAD_NONCE_SIZE, error);
}

int sealer_open(struct sealer *sealer, const void *associated, size_t associated_size,
    const void *sealed, size_t size, uint8_t *out, rh_error *error)
{
	const uint8_t *nonce = sealed;
	bool authentic = false;
	int code = RH_OK;

	if (size >= SEAL_OVERHEAD)
		code = aead_open(sealer->open, nonce, associated, associated_size,
		    nonce + AEAD_NONCE_SIZE, size - AEAD_NONCE_SIZE, out, &authentic, error);
	if (code == RH_OK && !authentic)
		code = error_set(error, RH_E_STORE_DAMAGED, "a sealed value was changed");
	return code;
}

void sealer_free(struct sealer *sealer)
{
	if (sealer == NULL)
		return;
	aead_free(sealer->seal);
	aead_free(sealer->open);
	bytes_wipe(sealer, sizeof *sealer);
	free(sealer);
}
