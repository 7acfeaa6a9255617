#ifndef AUTHORITY_STATEMENT_H
#define AUTHORITY_STATEMENT_H

#include "authority/message.h"

/* What the files of signed statements share.  Private to them. */

/* "signed statement: claim ${claim} ${what}"; RH_E_LICENSE_INVALID. */
int statement_wrong(rh_error *error, const char *claim, const char *what);

/* Reads a statement of ${type} and verifies it: with the service's key that "kid" names... */
int statement_of_service(struct jws *jws, const char *text, const char *type,
    const struct jose_set *keys, rh_error *error);
/* ... or with the key that it brings, which is left in ${jws}. */
int statement_of_key(
    struct jws *jws, const char *text, size_t size, const char *type, rh_error *error);

/* Each fails unless the claim is there and has its form; ${expected} is what it must be. */
int statement_text(
    const struct jws *jws, const char *claim, const char *expected, rh_error *error);
int statement_thumbprint(
    const struct jws *jws, const char *claim, char ret[JOSE_THUMBPRINT_SIZE], rh_error *error);
int statement_time(const struct jws *jws, const char *claim, int64_t *ret, rh_error *error);
int statement_digest(
    const struct jws *jws, const char *claim, uint8_t ret[DIGEST_SIZE], rh_error *error);

/* Takes ${claims}, which is NULL if there was no memory for it. */
int statement_sign(const struct jose_key *key, const char *type, bool service, json_t *claims,
    char **ret, rh_error *error);

/* Base64url of a digest, and NUL. */
#define STATEMENT_DIGEST_SIZE 44
void statement_put_digest(char text[STATEMENT_DIGEST_SIZE], const uint8_t digest[DIGEST_SIZE]);

#endif
