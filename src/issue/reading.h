#ifndef ISSUE_READING_H
#define ISSUE_READING_H

#include "issue/license.h"

/* A signed licence taken apart: header and claims, and the JWS as libjose verifies it. */
struct parts {
	json_t *header;
	json_t *claims;
	json_t *jws;
};

/* RH_E_LICENSE_INVALID unless it is a compact JWS of two objects and a signature. */
int parts_read(const char *text, size_t size, struct parts *ret, rh_error *error);
void parts_clear(struct parts *parts);

/* Whether header and claims are of the form of FORMATS.md. */
int parts_check(const struct parts *parts, rh_error *error);

/* Whether the signature is that key's. */
bool parts_verify(const struct parts *parts, const json_t *key);

#endif
