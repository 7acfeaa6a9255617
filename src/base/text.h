#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uchar.h>

#include "base/bytes.h"

/* Lower-case hex; ${text} takes 2 * size + 1 bytes. */
void text_hex(char *text, const void *bytes, size_t size);
/* false unless ${text} is exactly 2 * size hex digits of either case. */
bool text_unhex(const char *text, void *bytes, size_t size);

/* Writes decimal digits without NUL, at most 20, and returns where they end. */
char *text_decimal(char *p, uint64_t value);

enum base64_flag {
	BASE64_URL = 1, /* - and _ in place of + and / (RFC 4648, section 5) */
	BASE64_NO_PAD = 2, /* writes no '='; refuses them when reading */
	BASE64_LENIENT = 4 /* reading: white space, missing '=', ! and * as + and / */
};

/* Characters that ${size} bytes need in base64, with padding and NUL. */
#define BASE64_SIZE(size) (((size) + 2) / 3 * 4 + 1)

/* Writes base64 and NUL, returns the number of characters without NUL. */
size_t base64_encode(char *text, const void *bytes, size_t size, unsigned flags);

/*
 * Reads ${length} characters into at most ${capacity} bytes.  Returns how many
 * bytes came out, or -1 if the text is not canonical base64 (RFC 4648,
 * sections 3.3 and 3.5) or does not fit.
 */
ptrdiff_t base64_decode(
    void *bytes, size_t capacity, const char *text, size_t length, unsigned flags);

/* Whether ${size} bytes are valid UTF-8 without NUL. */
bool utf8_valid(const void *bytes, size_t size);

/* Whether valid UTF-8 holds no control characters: neither C0 nor DEL nor C1. */
bool utf8_clean(const char *text, size_t size);

/*
 * Copies as much of the valid UTF-8 ${source} as fits, ending at a character;
 * control characters become spaces.
 */
void text_copy(char *target, size_t capacity, const char *source, size_t size);

/*
 * Whether it can be the address of a service, to which paths are appended, and which is
 * compared byte by byte: "http://" or "https://", a host, a port or none, and a path or none
 * that is as everybody would write it: no '/' at its end, nothing escaped, no "." and "..", no
 * query.
 */
#define TEXT_SERVICE_MAX 511 /* bytes */
bool text_is_service(const char *text);
/*
 * Whether computers ask a service at the address ${text}, which can be one: https, or http on
 * the same computer.
 */
bool text_is_asked(const char *text);
/* Whether a host is this computer whatever a name service says: 127.0.0.1, [::1], localhost. */
bool text_is_loopback(const char *host);

/* An amount for people: "812 bytes", "2.1 KiB", "3.4 GiB". */
#define TEXT_AMOUNT_SIZE 32
const char *text_amount(char text[TEXT_AMOUNT_SIZE], uint64_t bytes);

/*
 * UTF-16 to UTF-8; the result is freed with free().  ${length} counts units
 * without a terminator.  RH_E_ARGUMENT for an unpaired surrogate or a NUL.
 */
int utf8_from_utf16(const char16_t *text, size_t length, char **ret, rh_error *error);

/* UTF-8 to NUL-terminated UTF-16; bytes that are not UTF-8 become U+FFFD. */
int utf16_from_utf8(const char *text, char16_t **ret, size_t *ret_length, rh_error *error);

#endif
