#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

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
int jsontext_read(const void *bytes, size_t size, json_t **ret, rh_error *why)
{
	json_error_t error, again;
	const char *text = bytes;
	json_t *first, *second;
	int code;

	if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		size -= 3;
	}
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
