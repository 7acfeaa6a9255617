#ifndef ISSUE_JWK_H
#define ISSUE_JWK_H

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"

#define JWK_FILE_MAX (8u * 1024 * 1024) /* bytes of a file of keys */
#define THUMBPRINT_SIZE 44 /* RFC 7638 with SHA-256 in base64url, and NUL */

/* Reads a file ("-": standard input) that holds one JSON object; wiped when freed. */
int jwk_read_file(const char *path, json_t **ret, rh_error *error);

/*
 * The public half of a P-256 key: "kty", "crv", "x" and "y" alone.  RH_E_PIN_KEYS if it is
 * none; ${what} names it in the message.
 */
int jwk_public(const json_t *jwk, const char *what, json_t **ret, rh_error *error);

/* RFC 7638. */
int jwk_thumbprint(const json_t *jwk, char thumbprint[THUMBPRINT_SIZE], rh_error *error);

#endif
