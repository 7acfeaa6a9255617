#ifndef ISSUE_ISSUER_H
#define ISSUE_ISSUER_H

#include <stdint.h>

#include "issue/jwk.h"

/*
 * The issuer's keys: a JWK set (RFC 7517, section 5) in a file that its owner alone may
 * read, with the member "issuer" beside "keys".  Each key is an ES256 key with "kid" (its
 * thumbprint), "iat" (when it was made) and "key_ops".  The one with "sign" in it signs; only
 * it has its private half "d".  The others verify what they signed once.
 */
#define ISSUER_KEYS_MAX 64 /* as many as Rehost takes of a set */

/* One new set, or one key more in it, made now. */
int issuer_make(const char *name, int64_t now, json_t **ret, rh_error *error);
int issuer_rotate(json_t *set, int64_t now, rh_error *error);
/* RH_E_ARGUMENT for the key that signs, or an unknown one. */
int issuer_remove(json_t *set, const char *kid, rh_error *error);

/* Reads and checks a set of private keys. */
int issuer_read(const char *path, json_t **ret, rh_error *error);
/* The same for the set that ${issuer_public} made. */
int issuer_read_public(const char *path, json_t **ret, rh_error *error);

const char *issuer_name(const json_t *set);
/* The key that signs, the set's; and its "kid". */
const json_t *issuer_key(const json_t *set);
const char *issuer_kid(const json_t *key);
/* The key of this "kid", NULL if there is none. */
const json_t *issuer_find(const json_t *set, const char *kid);

/* The set to publish: public halves alone. */
int issuer_public(const json_t *set, json_t **ret, rh_error *error);

/*
 * Writes the set for its owner alone (mode 0600), flushed.  ${replace}: in place of the file
 * that is there, which stays as it is if this fails; else there must be none.
 */
int issuer_write(const json_t *set, const char *path, bool replace, rh_error *error);

#endif
