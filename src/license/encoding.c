#include <stdlib.h>
#include <string.h>
#include <uchar.h>

#include "base/text.h"
#include "license/reader.h"
#include "license/encoding.h"

#define DECLARATION_MAX 256

static bool starts_with(const uint8_t *data, size_t size, const char *text, size_t length)
{
	return size >= length && memcmp(data, text, length) == 0;
}

/* ---- UTF-16 (XML 1.0, appendix F.1) ---- */

static bool is_utf16(const uint8_t *data, size_t size, bool *ret_little)
{
	*ret_little =
	    starts_with(data, size, "\xff\xfe", 2) || starts_with(data, size, "<\0", 2);
	return *ret_little || starts_with(data, size, "\xfe\xff", 2) ||
	       starts_with(data, size, "\0<", 2);
}

static int from_utf16(const struct xml_source *source, bool little, const uint8_t **ret,
    size_t *ret_size, void **ret_owned, rh_error *error)
{
	size_t length = source->size / 2, first = 0;
	const uint8_t *p = source->data;
	char16_t *units;
	char *text;
	rh_error why;
	int code;

	if (source->size % 2 != 0)
		return reader_fail(source->document, error, RH_E_LICENSE_XML,
		    "%sUTF-16 with an odd number of bytes", source->place);
	units = malloc(source->size);
	if (units == NULL)
		return error_memory(error);
	for (size_t i = 0; i < length; i++)
		units[i] =
		    (char16_t)(p[2 * i + (little ? 1 : 0)] << 8 | p[2 * i + (little ? 0 : 1)]);
	if (units[0] == 0xfeff)
		first = 1;
	code = utf8_from_utf16(units + first, length - first, &text, &why);
	free(units);
	if (code == RH_E_MEMORY)
		return error_memory(error);
	if (code != RH_OK)
		return reader_fail(source->document, error, RH_E_LICENSE_XML, "%sUTF-16: %s",
		    source->place, why.text);
	*ret = (const uint8_t *)text;
	*ret_size = strlen(text);
	*ret_owned = text;
	return RH_OK;
}

/* ---- one byte a character ---- */

/* windows-1252, 80 to 9F; 0 is not assigned.  ISO-8859-1 has no printable characters there. */
static const char16_t upper_controls[32] = {
    0x20ac,
    0,
    0x201a,
    0x0192,
    0x201e,
    0x2026,
    0x2020,
    0x2021,
    0x02c6,
    0x2030,
    0x0160,
    0x2039,
    0x0152,
    0,
    0x017d,
    0,
    0,
    0x2018,
    0x2019,
    0x201c,
    0x201d,
    0x2022,
    0x2013,
    0x2014,
    0x02dc,
    0x2122,
    0x0161,
    0x203a,
    0x0153,
    0,
    0x017e,
    0x0178,
};

static int from_bytes(const struct xml_source *source, const uint8_t **ret, size_t *ret_size,
    void **ret_owned, rh_error *error)
{
	char16_t *units = malloc(source->size * sizeof *units);
	rh_error why;
	char *text;
	int code;

	if (units == NULL)
		return error_memory(error);
	for (size_t i = 0; i < source->size; i++) {
		uint8_t c = source->data[i];
		units[i] = c >= 0x80 && c < 0xa0 ? upper_controls[c - 0x80] : c;
	}
	code = utf8_from_utf16(units, source->size, &text, &why);
	free(units);
	if (code == RH_E_MEMORY)
		return error_memory(error);
	if (code != RH_OK)
		return reader_fail(source->document, error, RH_E_LICENSE_XML,
		    "%sa byte that windows-1252 does not have", source->place);
	*ret = (const uint8_t *)text;
	*ret_size = strlen(text);
	*ret_owned = text;
	return RH_OK;
}

/* ---- what the document says ---- */

/* The name in the XML declaration's encoding="..."; "" if it has none. */
static void declared(const struct xml_source *source, char name[32])
{
	char head[DECLARATION_MAX + 1];
	size_t size = source->size < DECLARATION_MAX ? source->size : DECLARATION_MAX;
	char *end, *at, *close;

	name[0] = '\0';
	for (size_t i = 0; i < size; i++)
		head[i] = (char)source->data[i];
	head[size] = '\0';
	end = strstr(head, "?>");
	if (strncmp(head, "<?xml", 5) != 0 || end == NULL)
		return;
	*end = '\0';
	at = strstr(head, "encoding");
	if (at == NULL)
		return;
	at += strlen("encoding");
	at += strspn(at, " \t\r\n=");
	if (*at != '"' && *at != '\'')
		return;
	close = strchr(at + 1, *at);
	if (close != NULL)
		text_copy(name, 32, at + 1, (size_t)(close - at - 1));
}

/* Line and column, from 1, of the first byte that is not UTF-8. */
static int fail_utf8(const struct xml_source *source, rh_error *error)
{
	size_t line = 1, column = 1, i = 0;

	while (i < source->size) {
		size_t length = 1;

		while (length <= 4 && length <= source->size - i &&
		       !utf8_valid(source->data + i, length))
			length++;
		if (length > 4 || length > source->size - i)
			break;
		column++;
		if (source->data[i] == '\n') {
			line++;
			column = 1;
		}
		i += length;
	}
	return reader_fail(source->document, error, RH_E_LICENSE_XML,
	    "%sline %zu, column %zu: no UTF-8 text", source->place, line, column);
}

/* How many bytes are ASCII; most documents are, and eight bytes are looked at in one go. */
static size_t ascii_span(const uint8_t *data, size_t size)
{
	size_t i = 0;
	uint64_t word;

	for (; i + sizeof word <= size; i += sizeof word) {
		memcpy(&word, data + i, sizeof word);
		if ((word & UINT64_C(0x8080808080808080)) != 0)
			break;
	}
	while (i < size && data[i] < 0x80)
		i++;
	return i;
}

/* UTF-8 without NUL, as utf8_valid() has it, in a fraction of the time. */
static bool is_utf8(const uint8_t *data, size_t size)
{
	size_t i = ascii_span(data, size);

	while (i < size) {
		size_t start = i;

		while (i < size && data[i] >= 0x80)
			i++;
		if (!utf8_valid(data + start, i - start))
			return false;
		i += ascii_span(data + i, size - i);
	}
	return memchr(data, 0, size) == NULL;
}

int encoding_to_utf8(const struct xml_source *source, const uint8_t **ret, size_t *ret_size,
    void **ret_owned, rh_error *error)
{
	char name[32];
	bool little;

	if (is_utf16(source->data, source->size, &little))
		return from_utf16(source, little, ret, ret_size, ret_owned, error);
	if (ascii_span(source->data, source->size) < source->size) {
		declared(source, name);
		if (reader_same_name(name, "iso-8859-1") || reader_same_name(name, "latin1") ||
		    reader_same_name(name, "windows-1252"))
			return from_bytes(source, ret, ret_size, ret_owned, error);
		/* Text that once was UTF-16 often still says so. */
		if (name[0] != '\0' && !reader_same_name(name, "utf-8") &&
		    !reader_same_name(name, "utf8") && !reader_same_name(name, "us-ascii") &&
		    !reader_same_name(name, "utf-16") && !reader_same_name(name, "unicode"))
			return reader_fail(source->document, error, RH_E_LICENSE_XML,
			    "%sline 1: the encoding \"%s\" is not read", source->place, name);
	}
	if (!is_utf8(source->data, source->size))
		return fail_utf8(source, error);
	*ret = source->data;
	*ret_size = source->size;
	*ret_owned = NULL;
	return RH_OK;
}
