#ifndef ISSUE_LICENSE_H
#define ISSUE_LICENSE_H

#include "issue/computers.h"

/* One signed licence (src/license/FORMATS.md, section "signed"). */

#define LICENSE_TYPE "rehost-license+jwt"
#define LICENSE_ID_SIZE 256

/* A random id, "urn:uuid:" and a UUID of version 4. */
int license_random_id(char id[LICENSE_ID_SIZE], rh_error *error);

/* A random content key of 16 bytes, in base64url; the caller wipes it. */
#define RANDOM_KEY_SIZE 24
int license_random_key(char key[RANDOM_KEY_SIZE], rh_error *error);

/*
 * Signs ${row}, a checked row with "jti" and "iat", with ${key} of the issuer.  Its
 * "content_key" in base64url is sealed for ${computer} (NULL: none), and becomes the claim.
 * ${*ret} is a compact JWS, freed with free().  Several threads may sign at once with keys of
 * their own.
 */
int license_sign(const json_t *row, const char *issuer, const json_t *key,
    const struct computer *computer, char **ret, rh_error *error);

#endif
