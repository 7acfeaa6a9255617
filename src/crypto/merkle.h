#ifndef CRYPTO_MERKLE_H
#define CRYPTO_MERKLE_H

#include <stdbool.h>

#include "crypto/crypto.h"

/* Merkle trees of RFC 6962, section 2.1, over SHA-256. */

#define MERKLE_PATH_MAX 32 /* hashes */

int merkle_leaf(uint8_t out[DIGEST_SIZE], const void *bytes, size_t size, rh_error *error);

/* The root of ${count} leaf hashes, one or more. */
int merkle_root(uint8_t out[DIGEST_SIZE], const uint8_t (*leaves)[DIGEST_SIZE], size_t count,
    rh_error *error);

/* The audit path of leaf ${index} (RFC 6962, section 2.1.1); ${*ret_count} hashes. */
int merkle_path(uint8_t path[MERKLE_PATH_MAX][DIGEST_SIZE], size_t *ret_count,
    const uint8_t (*leaves)[DIGEST_SIZE], size_t count, size_t index, rh_error *error);

/* Whether the path leads from the leaf to the root (RFC 9162, section 2.1.3.2). */
int merkle_verify(const uint8_t leaf[DIGEST_SIZE], size_t index, size_t count,
    const uint8_t (*path)[DIGEST_SIZE], size_t path_count, const uint8_t root[DIGEST_SIZE],
    bool *ret, rh_error *error);

#endif
