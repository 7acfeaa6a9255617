#include <string.h>

#include "license/jsontext.h"

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

int jsontext_read(const void *bytes, size_t size, json_t **ret, rh_error *why)
{
	const char *text = bytes;
	json_error_t error;
	json_t *value;

	if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		size -= 3;
	}
	memset(&error, 0, sizeof error);
	value = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	if (value == NULL) {
		/* Where memory runs out jansson mostly says nothing. */
		if (error.text[0] == '\0' ||
		    json_error_code(&error) == json_error_out_of_memory)
			return error_memory(why);
		return error_set(why, RH_E_LICENSE_INVALID, "line %d, column %d: %s",
		    error.line, error.column, words(json_error_code(&error)));
	}
	*ret = value;
	return RH_OK;
}
