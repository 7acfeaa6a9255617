#ifndef CRYPTO_AGE_STREAM_H
#define CRYPTO_AGE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/age_header.h"
#include "crypto/internal.h"

/* The payload of an age file, chunk by chunk (C2SP age.md, "Payload"). */

#define AGE_NONCE_SIZE 16
#define AGE_CHUNK_SIZE 65536
#define AGE_CHUNK_SEALED (AGE_CHUNK_SIZE + AEAD_TAG_SIZE)

/* The cipher under the payload key of ${file_key} and ${nonce}; free with aead_free. */
int age_stream_new(const uint8_t file_key[AGE_FILE_KEY_SIZE],
    const uint8_t nonce[AGE_NONCE_SIZE], bool seal, struct aead **ret, rh_error *error);

int age_stream_seal(struct aead *stream, uint64_t chunk, bool last, const void *bytes,
    size_t size, uint8_t *out, rh_error *error);
int age_stream_open(struct aead *stream, uint64_t chunk, bool last, const uint8_t *sealed,
    size_t size, uint8_t *out, bool *ret_authentic, rh_error *error);

#endif
