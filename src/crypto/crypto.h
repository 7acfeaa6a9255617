#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* Small primitives over libcrypto. */

#define KEY_SIZE 32
#define DIGEST_SIZE 32

int random_bytes(void *bytes, size_t size, rh_error *error);

/* HKDF-SHA-256 (RFC 5869). */
int hkdf_sha256(uint8_t *out, size_t out_size, const void *key, size_t key_size,
    const void *salt, size_t salt_size, const char *info, rh_error *error);
/* The same with any bytes as info. */
int hkdf_sha256_bytes(uint8_t *out, size_t out_size, const void *key, size_t key_size,
    const void *salt, size_t salt_size, const void *info, size_t info_size, rh_error *error);

int hmac_sha256(uint8_t out[DIGEST_SIZE], const void *key, size_t key_size, const void *bytes,
    size_t size, rh_error *error);

int sha256(uint8_t out[DIGEST_SIZE], const void *bytes, size_t size, rh_error *error);

/* SHA-256 in pieces. */
struct digest;
int digest_new(struct digest **ret, rh_error *error);
int digest_update(struct digest *digest, const void *bytes, size_t size, rh_error *error);
/* Gives the digest; the object starts anew. */
int digest_finish(struct digest *digest, uint8_t out[DIGEST_SIZE], rh_error *error);
void digest_free(struct digest *digest);

/*
 * A checksum to tell whether a medium gives back what was written on it: GMAC under a
 * random key that nobody else has.  It is no digest: two objects give different sums, unless
 * they are twins.
 * Five times as fast as SHA-256.
 */
#define CHECKSUM_SIZE 16
struct checksum;
int checksum_new(struct checksum **ret, rh_error *error);
/* Another one under the same key, and so with the same sums. */
int checksum_twin(const struct checksum *checksum, struct checksum **ret, rh_error *error);
int checksum_update(struct checksum *checksum, const void *bytes, size_t size, rh_error *error);
/* Gives the sum; the object starts anew, and the same bytes give the same sum again. */
int checksum_finish(struct checksum *checksum, uint8_t out[CHECKSUM_SIZE], rh_error *error);
void checksum_free(struct checksum *checksum);

/*
 * AES-256-GCM (NIST SP 800-38D) under one key with random 96-bit nonces: at most
 * 2^32 seals a key.  Not for two threads at once: each has its own.
 */
#define SEAL_OVERHEAD (12 /* nonce */ + 16 /* tag */)
struct sealer;
int sealer_new(const uint8_t key[KEY_SIZE], struct sealer **ret, rh_error *error);
/* ${out} takes size + SEAL_OVERHEAD bytes. */
int sealer_seal(struct sealer *sealer, const void *associated, size_t associated_size,
    const void *bytes, size_t size, uint8_t *out, rh_error *error);
/*
 * ${out} takes size - SEAL_OVERHEAD bytes; RH_E_STORE_DAMAGED, with ${out}
 * wiped, if anything was changed.
 */
int sealer_open(struct sealer *sealer, const void *associated, size_t associated_size,
    const void *sealed, size_t size, uint8_t *out, rh_error *error);
void sealer_free(struct sealer *sealer);

/*
 * ES256 (RFC 7518, section 3.4) with a P-256 key given as its 32-byte private
 * scalar.  Signatures are compact JWS (RFC 7515) with detached content
 * (appendix F); the public key is a JWK (RFC 7517) with members in the order of
 * RFC 7638.  Results are freed with free().
 *
 * Both are read in the one form in which they are written here: no white space, the
 * protected header {"alg":"ES256"} and no other, a key with the members "crv",
 * "kty", "x", "y" and no other.  A scalar outside 1 to n - 1 is RH_E_ARGUMENT.
 */
int es256_key_generate(uint8_t secret[KEY_SIZE], rh_error *error);
int es256_public_jwk(const uint8_t secret[KEY_SIZE], char **ret, rh_error *error);
int es256_sign_detached(const uint8_t secret[KEY_SIZE], const void *payload, size_t size,
    char **ret, rh_error *error);
/* RH_E_BACKUP_CORRUPT if the signature is not that of ${jwk} over ${payload}. */
int es256_verify_detached(
    const char *jwk, const char *jws, const void *payload, size_t size, rh_error *error);

#endif
