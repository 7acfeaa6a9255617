#ifndef CRYPTO_INTERNAL_H
#define CRYPTO_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/crypto.h"

/* Shared inside the room only. */

/*
 * Before a function's first call of libcrypto: forgets earlier failures of this
 * thread, so that crypto_failed tells of these calls only.
 */
void crypto_begin(void);

/*
 * After a call of libcrypto failed: RH_E_MEMORY if that was for want of memory,
 * else ${code} with the sentence ${what}.  Empties this thread's error queue of libcrypto.
 */
int crypto_failed(rh_error *error, int code, const char *what);

/*
 * An AEAD cipher of libcrypto under one key, in one direction, with 96-bit nonces
 * and 128-bit tags.  Not for two threads at once.
 */
#define AEAD_NONCE_SIZE 12
#define AEAD_TAG_SIZE 16

#define AEAD_AES_256_GCM "AES-256-GCM" /* NIST SP 800-38D */
#define AEAD_CHACHA20_POLY1305 "ChaCha20-Poly1305" /* RFC 8439 */

struct aead;

/* ${cipher} is one of the two names; ${seal} says which direction. */
int aead_new(const char *cipher, const uint8_t key[KEY_SIZE], bool seal, struct aead **ret,
    rh_error *error);
/* From now on under another key. */
int aead_rekey(struct aead *aead, const uint8_t key[KEY_SIZE], rh_error *error);
/* ${out} takes size + AEAD_TAG_SIZE bytes: ciphertext, tag. */
int aead_seal(struct aead *aead, const uint8_t nonce[AEAD_NONCE_SIZE], const void *associated,
    size_t associated_size, const void *bytes, size_t size, uint8_t *out, rh_error *error);
/*
 * ${size} counts the tag and is at least AEAD_TAG_SIZE; ${out} takes size -
 * AEAD_TAG_SIZE bytes.  ${*ret_authentic} is false, and ${out} wiped, if anything was
 * changed; that is no error.
 */
int aead_open(struct aead *aead, const uint8_t nonce[AEAD_NONCE_SIZE], const void *associated,
    size_t associated_size, const uint8_t *sealed, size_t size, uint8_t *out,
    bool *ret_authentic, rh_error *error);
void aead_free(struct aead *aead);

#endif
