#ifndef CRYPTO_JSONTEXT_H
#define CRYPTO_JSONTEXT_H

#include <jansson.h>

#include "base/bytes.h"

/* JSON text from outside, over jansson. */

/*
 * Reads ${size} bytes of JSON (RFC 8259; a byte order mark is skipped, no name twice in an
 * object). On failure ${why} says what and where, without quoting the text, and the code is
 * RH_E_LICENSE_INVALID (the caller makes its own of it) or RH_E_MEMORY.  The value is freed
 * with json_decref().
 */
int jsontext_read(const void *bytes, size_t size, json_t **ret, rh_error *why);

/*
 * Appends ${value} without white space, members in the order in which they were set; ${ret} is
 * as it was after RH_E_MEMORY.
 */
int jsontext_write(const json_t *value, struct buffer *ret, rh_error *error);

#endif
