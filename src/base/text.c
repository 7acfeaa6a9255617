#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

void text_hex(char *text, const void *bytes, size_t size)
{
	static const char digit[] = "0123456789abcdef";
	const uint8_t *p = bytes;

	for (size_t i = 0; i < size; i++) {
		text[2 * i] = digit[p[i] >> 4];
		text[2 * i + 1] = digit[p[i] & 15];
	}
	text[2 * size] = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool text_unhex(const char *text, void *bytes, size_t size)
{
	uint8_t *p = bytes;

	if (strlen(text) != 2 * size)
		return false;
	for (size_t i = 0; i < size; i++) {
		int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		p[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

char *text_decimal(char *p, uint64_t value)
{
	char digits[20];
	size_t count = 0;

	do {
		digits[count++] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	while (count > 0)
		*p++ = digits[--count];
	return p;
}

/* ---- base64 (RFC 4648, sections 4 and 5) ---- */

size_t base64_encode(char *text, const void *bytes, size_t size, unsigned flags)
{
	static const char plain[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static const char url[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *alphabet = flags & BASE64_URL ? url : plain;
	const uint8_t *p = bytes;
	size_t n = 0, i = 0;

	for (; size - i >= 3; i += 3) {
		text[n++] = alphabet[p[i] >> 2];
		text[n++] = alphabet[(p[i] << 4 | p[i + 1] >> 4) & 63];
		text[n++] = alphabet[(p[i + 1] << 2 | p[i + 2] >> 6) & 63];
		text[n++] = alphabet[p[i + 2] & 63];
	}
	for (; i < size; i += 3) {
		size_t have = size - i < 3 ? size - i : 3;
		uint32_t bits = (uint32_t)p[i] << 16;

		if (have > 1)
			bits |= (uint32_t)p[i + 1] << 8;
		if (have > 2)
			bits |= p[i + 2];
		for (size_t k = 0; k < 4; k++) {
			if (k <= have)
				text[n++] = alphabet[bits >> (18 - 6 * k) & 63];
			else if (!(flags & BASE64_NO_PAD))
				text[n++] = '=';
		}
	}
	text[n] = '\0';
	return n;
}

/* Values of the digits of both alphabets, plus 1; the flags say which of the last ones count.
 */
/* clang-format off */
static const uint8_t base64_values[256] = {
	['A'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
	23, 24, 25, 26,
	['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46,
	47, 48, 49, 50, 51, 52,
	['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62,
};
/* clang-format on */

static int base64_value(char c, unsigned flags)
{
	int value = base64_values[(unsigned char)c];

	if (value > 0)
		return value - 1;
	if (flags & BASE64_URL)
		return c == '-' ? 62 : c == '_' ? 63 : -1;
	if (c == '+' || (c == '!' && flags & BASE64_LENIENT))
		return 62;
	if (c == '/' || (c == '*' && flags & BASE64_LENIENT))
		return 63;
	return -1;
}

/* Whether ${padding} signs rightly follow ${digits} characters. */
static bool base64_padded(size_t digits, size_t padding, unsigned flags)
{
	size_t rest = digits % 4;

	if (rest == 1)
		return false;
	if (padding == 0)
		return rest == 0 || (flags & (BASE64_NO_PAD | BASE64_LENIENT)) != 0;
	return !(flags & BASE64_NO_PAD) && rest + padding == 4;
}

/* Four digits and nothing else. */
static bool base64_quad(const char *text, unsigned flags, uint8_t bytes[3])
{
	int a = base64_value(text[0], flags), b = base64_value(text[1], flags),
	    c = base64_value(text[2], flags), d = base64_value(text[3], flags);
	uint32_t bits;

	if ((a | b | c | d) < 0)
		return false;
	bits = (uint32_t)a << 18 | (uint32_t)b << 12 | (uint32_t)c << 6 | (uint32_t)d;
	bytes[0] = (uint8_t)(bits >> 16);
	bytes[1] = (uint8_t)(bits >> 8);
	bytes[2] = (uint8_t)bits;
	return true;
}

ptrdiff_t base64_decode(
    void *bytes, size_t capacity, const char *text, size_t length, unsigned flags)
{
	size_t count = 0, digits = 0, padding = 0;
	uint8_t *p = bytes;
	uint32_t bits = 0;

	while (length - digits >= 4 && capacity - count >= 3 &&
	       base64_quad(text + digits, flags, p + count)) {
		digits += 4;
		count += 3;
	}
	for (size_t i = digits; i < length; i++) {
		int value = base64_value(text[i], flags);

		if (flags & BASE64_LENIENT && text[i] != '\0' && strchr(" \t\r\n", text[i]))
			continue;
		if (text[i] == '=') {
			padding++;
			continue;
		}
		if (value < 0 || padding > 0)
			return -1;
		bits = bits << 6 | (uint32_t)value;
		digits++;
		if (digits % 4 == 1)
			continue;
		if (count == capacity)
			return -1;
		/* The 2nd, 3rd and 4th digit complete a byte, and leave 4, 2 and 0 bits. */
		p[count++] = (uint8_t)(bits >> (2 * (3 - (digits - 1) % 4)));
	}
	if (!base64_padded(digits, padding, flags))
		return -1;
	if (digits % 4 == 2 && (bits & 15) != 0)
		return -1;
	if (digits % 4 == 3 && (bits & 3) != 0)
		return -1;
	return (ptrdiff_t)count;
}

/* ---- UTF-8 and UTF-16 ---- */

/* Length of the character at ${p}, 0 if it is not valid (RFC 3629, section 4). */
static size_t utf8_character(const uint8_t *p, size_t left)
{
	size_t length = p[0] < 0x80   ? 1
			: p[0] < 0xc2 ? 0
			: p[0] < 0xe0 ? 2
			: p[0] < 0xf0 ? 3
			: p[0] < 0xf5 ? 4
				      : 0;

	if (length == 0 || length > left)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if (p[0] == 0xe0 && p[1] < 0xa0)
		return 0;
	if (p[0] == 0xed && p[1] > 0x9f)
		return 0;
	if (p[0] == 0xf0 && p[1] < 0x90)
		return 0;
	if (p[0] == 0xf4 && p[1] > 0x8f)
		return 0;
	return length;
}

bool utf8_valid(const void *bytes, size_t size)
{
	const uint8_t *p = bytes;
	size_t i = 0;

	while (i < size) {
		size_t length = utf8_character(p + i, size - i);
		if (length == 0 || p[i] == 0)
			return false;
		i += length;
	}
	return true;
}

bool utf8_clean(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c == 0x7f)
			return false;
		/* C1 is U+0080 to U+009F, in UTF-8 C2 80 to C2 9F. */
		if (c == 0xc2 && i + 1 < size && (unsigned char)text[i + 1] < 0xa0)
			return false;
	}
	return true;
}

void text_copy(char *target, size_t capacity, const char *source, size_t size)
{
	const uint8_t *p = (const uint8_t *)source;
	size_t n = 0;

	for (size_t i = 0; i < size;) {
		size_t length = utf8_character(p + i, size - i);

		if (n + (length > 0 ? length : 1) >= capacity)
			break;
		if (length == 0) {
			target[n++] = '?';
			i++;
			continue;
		}
		/* C0, DEL, and C1 (U+0080 to U+009F, in UTF-8 C2 80 to C2 9F). */
		if (p[i] < 0x20 || p[i] == 0x7f || (p[i] == 0xc2 && p[i + 1] < 0xa0)) {
			target[n++] = ' ';
		} else {
			memcpy(target + n, p + i, length);
			n += length;
		}
		i += length;
	}
	target[n] = '\0';
}

static size_t utf8_put(char *p, uint32_t c)
{
	if (c < 0x80) {
		p[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		p[0] = (char)(0xc0 | c >> 6);
		p[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		p[0] = (char)(0xe0 | c >> 12);
		p[1] = (char)(0x80 | (c >> 6 & 63));
		p[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	p[0] = (char)(0xf0 | c >> 18);
	p[1] = (char)(0x80 | (c >> 12 & 63));
	p[2] = (char)(0x80 | (c >> 6 & 63));
	p[3] = (char)(0x80 | (c & 63));
	return 4;
}

int utf8_from_utf16(const char16_t *text, size_t length, char **ret, rh_error *error)
{
	/* A unit becomes at most 3 bytes; a pair of units 4. */
	char *utf8 = length < SIZE_MAX / 3 ? malloc(3 * length + 1) : NULL;
	size_t n = 0;

	if (utf8 == NULL)
		return error_memory(error);
	for (size_t i = 0; i < length; i++) {
		uint32_t c = text[i];

		if (c >= 0xd800 && c < 0xdc00 && i + 1 < length && text[i + 1] >= 0xdc00 &&
		    text[i + 1] < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + (text[i + 1] - 0xdc00u);
			i++;
		}
		if (c == 0 || (c >= 0xd800 && c < 0xe000)) {
			bytes_wipe(utf8, n);
			free(utf8);
			return error_set(error, RH_E_ARGUMENT,
			    "the text holds %s at character %zu",
			    c == 0 ? "a NUL" : "half a surrogate pair", i + 1);
		}
		n += utf8_put(utf8 + n, c);
	}
	utf8[n] = '\0';
	*ret = utf8;
	return RH_OK;
}

static uint32_t utf8_get(const uint8_t *p, size_t length)
{
	switch (length) {
	case 1:
		return p[0];
	case 2:
		return (p[0] & 31u) << 6 | (p[1] & 63u);
	case 3:
		return (p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u);
	case 4:
		return (p[0] & 7u) << 18 | (p[1] & 63u) << 12 | (p[2] & 63u) << 6 |
		       (p[3] & 63u);
	default:
		return 0xfffd;
	}
}

int utf16_from_utf8(const char *text, char16_t **ret, size_t *ret_length, rh_error *error)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t size = strlen(text), n = 0;
	char16_t *utf16 = calloc(size + 1, sizeof *utf16);

	if (utf16 == NULL)
		return error_memory(error);
	for (size_t i = 0; i < size;) {
		size_t length = utf8_character(p + i, size - i);
		uint32_t c = utf8_get(p + i, length);

		if (c >= 0x10000) {
			utf16[n++] = (char16_t)(0xd800 + ((c - 0x10000) >> 10));
			utf16[n++] = (char16_t)(0xdc00 + ((c - 0x10000) & 0x3ff));
		} else {
			utf16[n++] = (char16_t)c;
		}
		i += length > 0 ? length : 1;
	}
	utf16[n] = 0;
	*ret = utf16;
	if (ret_length != NULL)
		*ret_length = n;
	return RH_OK;
}

#define ALPHANUMERIC "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* A name or an address, and a port; where they end, or NULL. */
static const char *skip_host(const char *text)
{
	size_t length = *text == '[' ? strspn(text + 1, "0123456789ABCDEFabcdef:.")
				     : strspn(text, ALPHANUMERIC "-._");
	long port;
	char *end;

	if (length == 0 || (*text == '[' && text[length + 1] != ']'))
		return NULL;
	text += *text == '[' ? length + 2 : length;
	if (*text != ':')
		return text;
	length = strspn(text + 1, "0123456789");
	if (length == 0 || length > 5)
		return NULL;
	port = strtol(text + 1, &end, 10);
	return port >= 1 && port <= 65535 ? end : NULL;
}

bool text_is_service(const char *text)
{
	const char *p = NULL;

	if (strlen(text) > TEXT_SERVICE_MAX)
		return false;
	if (strncmp(text, "https://", 8) == 0)
		p = skip_host(text + 8);
	else if (strncmp(text, "http://", 7) == 0)
		p = skip_host(text + 7);
	while (p != NULL && *p == '/') {
		const char *segment = p + 1;
		const size_t length = strspn(segment, ALPHANUMERIC "-._~!$&'()*+,;=:@");

		if (length == 0 || (length <= 2 && strspn(segment, ".") == length))
			return false;
		p = segment + length;
	}
	return p != NULL && *p == '\0';
}

bool text_is_loopback(const char *host)
{
	struct in_addr four;

	return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
	       (strncmp(host, "127.", 4) == 0 && inet_pton(AF_INET, host, &four) == 1);
}

bool text_is_asked(const char *text)
{
	char host[TEXT_SERVICE_MAX + 1];
	size_t length;

	if (strncmp(text, "http://", 7) != 0)
		return true;
	text += 7;
	length = *text == '[' ? strcspn(text, "]") + 1 : strcspn(text, ":/");
	snprintf(host, sizeof host, "%.*s", (int)length, text);
	return text_is_loopback(host);
}

const char *text_amount(char text[TEXT_AMOUNT_SIZE], uint64_t bytes)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(text, TEXT_AMOUNT_SIZE, "%u byte%s", (unsigned)bytes,
		    bytes == 1 ? "" : "s");
		return text;
	}
	/* What would be shown as 1024.0. */
	while (value >= 1023.95 && unit + 1 < sizeof units / sizeof units[0]) {
		value /= 1024;
		unit++;
	}
	snprintf(text, TEXT_AMOUNT_SIZE, "%.1f %s", value, units[unit]);
	return text;
}
