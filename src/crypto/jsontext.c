#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/jsontext.h"

/*
 * Not jansson's own reader: where memory runs out, that of 2.14 drops characters of a text
 * (lex_save() in its load.c), and writes behind the end of its memory if the quote that
 * closes it was among them.
 */
#define DEPTH_MAX 512

struct reader {
	const char *start, *p, *end;
	unsigned depth;
	char *scratch; /* texts without their escapes: all of them need less than the input */
	size_t used;
	const char *wrong; /* NULL while all is well, or where memory ran out */
};

static const char *const malformed = "the JSON is not well-formed";

/* For what is wrong at ${reader->p}. */
static json_t *wrong(struct reader *reader, const char *words)
{
	if (reader->wrong == NULL)
		reader->wrong = reader->p == reader->end ? "the text is cut off" : words;
	return NULL;
}

static void skip_space(struct reader *reader)
{
	while (reader->p < reader->end && *reader->p != '\0' &&
	       strchr(" \t\r\n", *reader->p) != NULL)
		reader->p++;
}

/* Takes ${c}, after white space. */
static bool take(struct reader *reader, char c)
{
	skip_space(reader);
	if (reader->p == reader->end || *reader->p != c)
		return false;
	reader->p++;
	return true;
}

static bool take_hex(struct reader *reader, unsigned *ret)
{
	uint8_t bytes[2];
	char digits[5] = {0};

	for (size_t i = 0; i < 4; i++) {
		if (reader->p == reader->end)
			return false;
		digits[i] = *reader->p++;
	}
	if (!text_unhex(digits, bytes, sizeof bytes))
		return false;
	*ret = (unsigned)bytes[0] << 8 | bytes[1];
	return true;
}

static char *put_utf8(char *out, unsigned c)
{
	if (c < 0x80) {
		*out++ = (char)c;
		return out;
	}
	if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
	} else {
		if (c < 0x10000) {
			*out++ = (char)(0xe0 | c >> 12);
		} else {
			*out++ = (char)(0xf0 | c >> 18);
			*out++ = (char)(0x80 | (c >> 12 & 63));
		}
		*out++ = (char)(0x80 | (c >> 6 & 63));
	}
	*out++ = (char)(0x80 | (c & 63));
	return out;
}

/* Behind "\u".  NULL if it is no character. */
static char *take_unicode(struct reader *reader, char *out)
{
	unsigned c, low;

	if (!take_hex(reader, &c))
		return NULL;
	if (c == 0) {
		wrong(reader, "a NUL character");
		return NULL;
	}
	if (c >= 0xd800 && c < 0xdc00) {
		if (reader->end - reader->p < 2 || memcmp(reader->p, "\\u", 2) != 0)
			return NULL;
		reader->p += 2;
		if (!take_hex(reader, &low) || low < 0xdc00 || low > 0xdfff)
			return NULL;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	} else if (c >= 0xdc00 && c < 0xe000) {
		return NULL;
	}
	return put_utf8(out, c);
}

/* Behind a backslash. */
static char *take_escape(struct reader *reader, char *out)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *name;

	if (reader->p == reader->end)
		return NULL;
	if (*reader->p == 'u') {
		reader->p++;
		return take_unicode(reader, out);
	}
	name = *reader->p != '\0' ? strchr(names, *reader->p) : NULL;
	if (name == NULL)
		return NULL;
	reader->p++;
	*out++ = values[name - names];
	return out;
}

/* Behind the quote; the text goes to the scratch memory, with NUL. */
static bool take_text(struct reader *reader, const char **ret, size_t *ret_size)
{
	const char *begin = reader->p;
	char *text = reader->scratch + reader->used, *out = text;

	while (out != NULL && reader->p < reader->end && *reader->p != '"') {
		unsigned char c = (unsigned char)*reader->p;

		if (c < 0x20) {
			wrong(reader, c == '\0' ? "a NUL character" : malformed);
			return false;
		}
		reader->p++;
		if (c != '\\')
			*out++ = (char)c;
		else
			out = take_escape(reader, out);
	}
	if (out == NULL || reader->p == reader->end) {
		wrong(reader, malformed);
		return false;
	}
	if (!utf8_valid(begin, (size_t)(reader->p - begin))) {
		wrong(reader, "no UTF-8 text");
		return false;
	}
	reader->p++;
	*out = '\0';
	*ret = text;
	*ret_size = (size_t)(out - text);
	reader->used += *ret_size + 1;
	return true;
}

static size_t digits(struct reader *reader)
{
	const char *begin = reader->p;

	while (reader->p < reader->end && *reader->p >= '0' && *reader->p <= '9')
		reader->p++;
	return (size_t)(reader->p - begin);
}

static bool at(const struct reader *reader, const char *any)
{
	return reader->p < reader->end && *reader->p != '\0' && strchr(any, *reader->p) != NULL;
}

/* The characters of a number (RFC 8259, section 6). */
static bool scan_number(struct reader *reader, bool *ret_integer)
{
	reader->p += at(reader, "-");
	if (at(reader, "0"))
		reader->p++;
	else if (digits(reader) == 0)
		return false;
	*ret_integer = !at(reader, ".eE");
	if (at(reader, ".")) {
		reader->p++;
		if (digits(reader) == 0)
			return false;
	}
	if (at(reader, "eE")) {
		reader->p++;
		reader->p += at(reader, "+-");
		if (digits(reader) == 0)
			return false;
	}
	return true;
}

static json_t *take_number(struct reader *reader)
{
	const char *begin = reader->p;
	char *text = reader->scratch + reader->used;
	long long integer = 0;
	double real = 0;
	bool is_integer;

	if (!scan_number(reader, &is_integer))
		return wrong(reader, malformed);
	/* Something closes the array or object around it, or will: there is room for the NUL.
	 */
	*(char *)mempcpy(text, begin, (size_t)(reader->p - begin)) = '\0';
	errno = 0;
	if (is_integer) {
		integer = strtoll(text, NULL, 10);
	} else {
		/* Allocates nothing in the C library of GNU: it is always there. */
		locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);

		if (c == (locale_t)0)
			return NULL;
		real = strtod_l(text, NULL, c);
		freelocale(c);
	}
	if (errno == ERANGE && (is_integer || isinf(real)))
		return wrong(reader, "a number is too large");
	return is_integer ? json_integer(integer) : json_real(real);
}

static json_t *take_word(struct reader *reader)
{
	static const char *const words[] = {"true", "false", "null"};
	json_t *values[] = {json_true(), json_false(), json_null()};

	for (size_t i = 0; i < 3; i++) {
		size_t length = strlen(words[i]);

		if ((size_t)(reader->end - reader->p) >= length &&
		    memcmp(reader->p, words[i], length) == 0) {
			reader->p += length;
			return values[i];
		}
	}
	return wrong(reader, malformed);
}

static json_t *take_value(struct reader *reader);

/* Behind the brace, up to the next member's comma or the brace that closes. */
static bool take_member(struct reader *reader, json_t *object)
{
	size_t used = reader->used, size;
	const char *name;
	json_t *value;
	bool good;

	if (!take(reader, '"')) {
		wrong(reader, malformed);
		return false;
	}
	if (!take_text(reader, &name, &size))
		return false;
	if (json_object_get(object, name) != NULL) {
		reader->p--;
		wrong(reader, "a member stands twice");
		return false;
	}
	if (!take(reader, ':')) {
		wrong(reader, malformed);
		return false;
	}
	value = take_value(reader);
	good = value != NULL && json_object_set_new_nocheck(object, name, value) == 0;
	reader->used = used;
	return good;
}

static bool take_element(struct reader *reader, json_t *array)
{
	json_t *value = take_value(reader);

	return value != NULL && json_array_append_new(array, value) == 0;
}

/* Behind the bracket that opens: an object or an array. */
static json_t *take_container(struct reader *reader, bool is_object)
{
	const char close = is_object ? '}' : ']';
	json_t *value;
	bool good;

	if (++reader->depth > DEPTH_MAX)
		return wrong(reader, "values are nested too deep");
	value = is_object ? json_object() : json_array();
	good = value != NULL;
	if (good && !take(reader, close)) {
		do
			good = is_object ? take_member(reader, value)
					 : take_element(reader, value);
		while (good && take(reader, ','));
		if (good && !take(reader, close)) {
			wrong(reader, malformed);
			good = false;
		}
	}
	reader->depth--;
	if (!good) {
		json_decref(value);
		value = NULL;
	}
	return value;
}

/* NULL with nothing wrong: no memory. */
static json_t *take_value(struct reader *reader)
{
	const char *text;
	size_t size, used = reader->used;
	json_t *value;

	if (take(reader, '{'))
		return take_container(reader, true);
	if (take(reader, '['))
		return take_container(reader, false);
	if (at(reader, "-0123456789"))
		return take_number(reader);
	if (!take(reader, '"'))
		return take_word(reader);
	if (!take_text(reader, &text, &size))
		return NULL;
	value = json_stringn_nocheck(text, size);
	reader->used = used;
	return value;
}

static int refused(const struct reader *reader, rh_error *why)
{
	const char *line = reader->start;
	size_t lines = 1;

	for (const char *p = reader->start; p < reader->p; p++)
		if (*p == '\n') {
			lines++;
			line = p + 1;
		}
	return error_set(why, RH_E_LICENSE_INVALID, "line %zu, column %zu: %s", lines,
	    (size_t)(reader->p - line) + (reader->p < reader->end), reader->wrong);
}

int jsontext_read(const void *bytes, size_t size, json_t **ret, rh_error *why)
{
	struct reader reader = {.start = bytes};
	json_t *value = NULL;
	int code = RH_OK;

	if (size >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
		reader.start += 3;
		size -= 3;
	}
	reader.p = reader.start;
	reader.end = reader.start + size;
	reader.scratch = malloc(size + 1);
	if (reader.scratch == NULL)
		return error_memory(why);
	skip_space(&reader);
	if (at(&reader, "{["))
		value = take_value(&reader);
	else
		wrong(&reader, malformed);
	skip_space(&reader);
	if (value != NULL && reader.p < reader.end) {
		json_decref(value);
		value = wrong(&reader, "something follows the value");
	}
	if (value != NULL)
		*ret = value;
	else
		code = reader.wrong != NULL ? refused(&reader, why) : error_memory(why);
	/* There may have been a key among the texts. */
	bytes_wipe(reader.scratch, size + 1);
	free(reader.scratch);
	return code;
}
