#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/jsontext.h"

/* jansson's own sentences quote the text near the fault; ours never do. */
static const char *words(enum json_error_code code)
{
	switch (code) {
	case json_error_premature_end_of_input:
		return "the text is cut off";
	case json_error_end_of_input_expected:
		return "something follows the value";
	case json_error_invalid_utf8:
		return "no UTF-8 text";
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return "a NUL character";
	case json_error_duplicate_key:
		return "a member stands twice";
	case json_error_stack_overflow:
		return "values are nested too deep";
	case json_error_numeric_overflow:
		return "a number is too large";
	default:
		return "the JSON is not well-formed";
	}
}

static json_t *load(const char *text, size_t size, json_error_t *error)
{
	memset(error, 0, sizeof *error);
	return json_loadb(text, size, JSON_REJECT_DUPLICATES, error);
}

static bool same_error(const json_error_t *a, const json_error_t *b)
{
	return a->text[0] != '\0' && json_error_code(a) == json_error_code(b) &&
	       a->position == b->position && json_error_code(a) != json_error_out_of_memory;
}

/*
 * What jansson needs for a text, and more.  Where memory runs out within a text, jansson 2.14
 * may write behind the end of its own (its load.c, lex_scan_string() after a lex_save() that
 * failed).
 */
static bool has_memory(size_t size)
{
	void *volatile room = malloc(64 * 1024 + 16 * size); /* or a compiler leaves it out */

	free(room);
	return room != NULL;
}

/*
 * The text is read twice: where memory runs out, jansson 2.14 does not always
 * say so; it may drop characters of a text (lex_save() in its load.c), or call
 * it broken.  What two runs agree on is so.
 */
static int read_twice(const char *text, size_t size, json_t **ret, rh_error *why)
{
	json_error_t error, again;
	json_t *first, *second;
	int code;

	if (!has_memory(size))
		return error_memory(why);
	first = load(text, size, &error);
	second = load(text, size, &again);
	if (first != NULL && second != NULL && json_equal(first, second)) {
		*ret = first;
		first = NULL;
		code = RH_OK;
	} else if (first == NULL && second == NULL && same_error(&error, &again)) {
		code = error_set(why, RH_E_LICENSE_INVALID, "line %d, column %d: %s",
		    error.line, error.column, words(json_error_code(&error)));
	} else {
		code = error_memory(why);
	}
	json_decref(first);
	json_decref(second);
	return code;
}

/* ---- Long texts ---- */

/*
 * jansson needs 8 ns for each character of a text, twice.  In a message the texts are long:
 * they are put aside, and jansson reads a mark in the place of each.  That is done only where
 * no "\" is in all the JSON, so that whatever stands between two quotes is a text as it is; a
 * mark begins with U+0001, which no other text can then hold.
 */
#define LONG_TEXT 32 /* bytes that are worth it */
#define LONG_JSON 1024
#define MARK "\\u0001"
#define MARK_CHARACTER 1

struct aside {
	struct buffer json; /* with the marks */
	struct buffer texts; /* struct text, in the order of the marks */
	size_t back; /* how many were put back */
};
struct text {
	const char *bytes;
	size_t size;
};

/* Whether it is a text of JSON as it is: ASCII here, so that its UTF-8 needs no look. */
static bool plain(const char *text, size_t size)
{
	unsigned other = 0;

	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		other |= (unsigned)(c < 0x20) | (c > 0x7e);
	}
	return other == 0;
}

static bool put_mark(struct aside *aside, struct text text)
{
	char mark[sizeof MARK + 20];

	*text_decimal(stpcpy(mark, MARK), aside->texts.size / sizeof text) = '\0';
	return buffer_append_text(&aside->json, mark, NULL) == RH_OK &&
	       buffer_append(&aside->texts, &text, sizeof text, NULL) == RH_OK;
}

/* false: there is nothing to gain, or no memory for it. */
static bool put_aside(struct aside *aside, const char *text, size_t size)
{
	const char *end = text + size, *quote;

	if (size < LONG_JSON || memchr(text, '\\', size) != NULL)
		return false;
	while ((quote = memchr(text, '"', (size_t)(end - text))) != NULL) {
		const char *inside = quote + 1, *close;
		size_t length;

		close = memchr(inside, '"', (size_t)(end - inside));
		if (close == NULL)
			return false;
		length = (size_t)(close - inside);
		if (length < LONG_TEXT || !plain(inside, length))
			inside = close;
		if (buffer_append(&aside->json, text, (size_t)(inside - text), NULL) != RH_OK)
			return false;
		if (inside != close && !put_mark(aside, (struct text){inside, length}))
			return false;
		text = close;
		if (buffer_append(&aside->json, text++, 1, NULL) != RH_OK)
			return false;
	}
	return aside->texts.size > 0 &&
	       buffer_append(&aside->json, text, (size_t)(end - text), NULL) == RH_OK;
}

static bool put_text_back(struct aside *aside, json_t *value)
{
	const char *mark = json_string_value(value);
	struct text text;

	if (mark[0] != MARK_CHARACTER)
		return true;
	if (strtoul(mark + 1, NULL, 10) != aside->back ||
	    aside->back == aside->texts.size / sizeof text)
		return false;
	memcpy(&text, aside->texts.data + aside->back++ * sizeof text, sizeof text);
	return json_string_setn_nocheck(value, text.bytes, text.size) == 0;
}

/* Puts the texts back; false without memory, or if one of them is the name of a member. */
static bool put_back(struct aside *aside, json_t *value)
{
	const char *name;
	json_t *inner;
	bool good = true;
	size_t i;

	if (json_is_string(value))
		return put_text_back(aside, value);
	json_object_foreach(value, name, inner)
	{
		good = good && name[0] != MARK_CHARACTER && put_back(aside, inner);
	}
	json_array_foreach(value, i, inner)
	{
		good = good && put_back(aside, inner);
	}
	return good;
}

int jsontext_read(const void *bytes, size_t size, json_t **ret, rh_error *why)
{
	struct aside aside = {0};
	const char *text = bytes;
	json_t *value = NULL;
	bool done;

	if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		size -= 3;
	}
	done =
	    put_aside(&aside, text, size) &&
	    read_twice((const char *)aside.json.data, aside.json.size, &value, NULL) == RH_OK &&
	    put_back(&aside, value);
	buffer_free(&aside.json);
	buffer_free(&aside.texts);
	if (done) {
		*ret = value;
		return RH_OK;
	}
	/* Also for what is wrong with it, and where. */
	json_decref(value);
	return read_twice(text, size, ret, why);
}

/* ---- Writing ---- */

struct output {
	struct buffer *bytes;
	bool failed;
};

/* jansson 2.14 looks away where a name is not taken (do_dump() in its dump.c). */
static int append(const char *piece, size_t size, void *context)
{
	struct output *output = context;

	if (!output->failed && buffer_append(output->bytes, piece, size, NULL) != RH_OK)
		output->failed = true;
	return output->failed ? -1 : 0;
}

int jsontext_write(const json_t *value, struct buffer *ret, rh_error *error)
{
	struct output output = {.bytes = ret};
	size_t size = ret->size;

	if (value == NULL ||
	    json_dump_callback(value, append, &output, JSON_COMPACT | JSON_ENCODE_ANY) != 0 ||
	    output.failed) {
		ret->size = size;
		return error_memory(error);
	}
	return RH_OK;
}
