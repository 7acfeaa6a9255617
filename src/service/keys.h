#ifndef SERVICE_KEYS_H
#define SERVICE_KEYS_H

#include "crypto/jose.h"

/*
 * The service's own keys: DIRECTORY/service-keys.json, mode 0600: a JWK set of P-256 keys with
 * private halves; "use" says "sig" or "enc", "iat" when each was made, "kid" is its thumbprint.
 * The newest of each use signs, or is offered to seal for; older ones verify and open what is
 * under way.  Several rehostd of one ledger have copies of one file.
 */
#define SERVICE_KEYS_FILE "service-keys.json"

struct service_keys;

/*
 * Makes the file if it is missing and ${create}.  RH_E_ACCESS
 * for a file that others may read, RH_E_PIN_KEYS for one that cannot be used.
 */
int service_keys_open(const char *directory, const char *address, bool create, int64_t now,
    struct service_keys **ret, rh_error *error);
void service_keys_close(struct service_keys *keys);

const struct jose_key *service_keys_signing(const struct service_keys *keys);
/* Public halves of all, to check statements with. */
const struct jose_set *service_keys_set(const struct service_keys *keys);
/* "/v1/keys": the public JWK set with "service". */
const char *service_keys_public(const struct service_keys *keys);

/*
 * Opens a compact JWE that was sealed for any of the encryption keys ("kid" picks it).
 * RH_E_LICENSE_CONTENT_KEY.
 */
int service_keys_open_jwe(const struct service_keys *keys, const char *jwe, size_t size,
    struct buffer *ret, rh_error *error);

/* A key for ${purpose} that everybody has who has the signing key. */
int service_keys_derive(const struct service_keys *keys, const char *purpose,
    uint8_t ret[KEY_SIZE], rh_error *error);

/*
 * Adds a new key of each use to the file, flushed, and keeps the older ones.  Who has opened
 * the file before goes on with the keys that he read.
 */
int service_keys_rotate(const char *directory, int64_t now, rh_error *error);

#endif
