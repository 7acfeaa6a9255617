#ifndef LICENSE_JSONTEXT_H
#define LICENSE_JSONTEXT_H

#include <jansson.h>

#include "base/error.h"

/* JSON text from outside, over jansson.  Private to this room. */

/*
 * Reads ${size} bytes of JSON (RFC 8259; a byte order mark is skipped, no name twice in an
 * object). On failure ${why} says what and where, without quoting the text, and the code is
 * RH_E_LICENSE_INVALID or RH_E_MEMORY.  The value is freed with json_decref().
 */
int jsontext_read(const void *bytes, size_t size, json_t **ret, rh_error *why);

#endif
