#ifndef SERVICE_NONCES_H
#define SERVICE_NONCES_H

#include "authority/message.h"

/*
 * Nonces that any rehostd with the same keys takes: time, random bytes, and an HMAC under a key
 * derived from the signing key.  Each is used once: the ledger notes those of requests that
 * change something; this process remembers the others for as long as they last.
 */
#define NONCE_LIFE 300 /* seconds */
#define NONCE_SIZE 57 /* characters and NUL */

struct nonces;
int nonces_new(const uint8_t key[KEY_SIZE], struct nonces **ret, rh_error *error);
void nonces_free(struct nonces *nonces);
int nonces_make(struct nonces *nonces, int64_t now, char ret[NONCE_SIZE], rh_error *error);

enum nonce_verdict { NONCE_GOOD, NONCE_UNKNOWN, NONCE_USED, NONCE_FULL /* too many at once */ };
/* Looks and uses it up in one step.  Safe on several threads. */
enum nonce_verdict nonces_use(struct nonces *nonces, int64_t now, const char *nonce);

#endif
