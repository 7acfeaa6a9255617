#ifndef CRYPTO_MANAGED_H
#define CRYPTO_MANAGED_H

#include "crypto/crypto.h"

/*
 * Secrets of managed licences, in a backup and in the messages of the License Management
 * Service: src/backup/FORMAT.md, "Managed secrets".
 */

#define MANAGED_SECRET_MAX (64u << 10) /* bytes of one, sealed */

/*
 * Seals a managed secret for the service: under a key derived (HKDF-SHA-256) from the
 * ${batch_key} for that service and the licence's id.  Appends to ${ret}.
 */
int managed_seal(const uint8_t batch_key[KEY_SIZE], const char *service, const char *id,
    const void *secret, size_t size, struct buffer *ret, rh_error *error);

/* RH_E_LICENSE_DAMAGED if it does not open. */
int managed_open(const uint8_t batch_key[KEY_SIZE], const char *service, const char *id,
    const void *sealed, size_t size, struct buffer *ret, rh_error *error);

/* The same for many secrets under one batch key; one thread at a time. */
struct managed_box;
int managed_box_new(
    const uint8_t batch_key[KEY_SIZE], struct managed_box **ret, rh_error *error);
int managed_box_seal(struct managed_box *box, const char *service, const char *id,
    const void *secret, size_t size, struct buffer *ret, rh_error *error);
int managed_box_open(struct managed_box *box, const char *service, const char *id,
    const void *sealed, size_t size, struct buffer *ret, rh_error *error);
void managed_box_free(struct managed_box *box);

#endif
