#ifndef CRYPTO_JSONTEXT_H
#define CRYPTO_JSONTEXT_H

#include <jansson.h>

#include "base/error.h"

/* JSON text from outside, as values of jansson. */

/*
 * Reads ${size} bytes of JSON (RFC 8259): an object or an array, nested at most 512 deep, no
 * name twice in an object, no U+0000, whole numbers within 64 bits; a byte order mark is
 * skipped.  On failure ${why} says what and where, without quoting the text, and the code is
 * RH_E_LICENSE_INVALID (the caller makes its own of it) or RH_E_MEMORY.  The value is freed
 * with json_decref().
 */
int jsontext_read(const void *bytes, size_t size, json_t **ret, rh_error *why);

#endif
