#include "base/bytes.h"
#include "crypto/age_stream.h"

int age_stream_new(const uint8_t file_key[AGE_FILE_KEY_SIZE],
    const uint8_t nonce[AGE_NONCE_SIZE], bool seal, struct aead **ret, rh_error *error)
{
	uint8_t key[KEY_SIZE];
	int code = hkdf_sha256(key, sizeof key, file_key, AGE_FILE_KEY_SIZE, nonce,
	    AGE_NONCE_SIZE, "payload", error);

	if (code == RH_OK)
		code = aead_new(AEAD_CHACHA20_POLY1305, key, seal, ret, error);
	bytes_wipe(key, sizeof key);
	return code;
}

/* An 11-byte counter, of which 64 bits are enough, and the flag of the last chunk. */
static void chunk_nonce(uint8_t nonce[AEAD_NONCE_SIZE], uint64_t chunk, bool last)
{
	nonce[0] = nonce[1] = nonce[2] = 0;
	put_u64be(nonce + 3, chunk);
	nonce[11] = last;
}

int age_stream_seal(struct aead *stream, uint64_t chunk, bool last, const void *bytes,
    size_t size, uint8_t *out, rh_error *error)
{
	uint8_t nonce[AEAD_NONCE_SIZE];

	chunk_nonce(nonce, chunk, last);
	return aead_seal(stream, nonce, NULL, 0, bytes, size, out, error);
}

int age_stream_open(struct aead *stream, uint64_t chunk, bool last, const uint8_t *sealed,
    size_t size, uint8_t *out, bool *ret_authentic, rh_error *error)
{
	uint8_t nonce[AEAD_NONCE_SIZE];

	chunk_nonce(nonce, chunk, last);
	return aead_open(stream, nonce, NULL, 0, sealed, size, out, ret_authentic, error);
}
