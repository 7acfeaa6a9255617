#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "issue/fields.h"

#define COUNT_MAX INT64_C(9007199254740991) /* 2^53 - 1 */

const struct field fields[] = {
    {"jti", "id", FIELD_ID, 1, 255},
    {"sub", NULL, FIELD_TEXT, 1, 4096},
    {"iat", "issued", FIELD_TIME, 0, TIME_MAX},
    {"nbf", "not_before", FIELD_TIME, 0, TIME_MAX},
    {"exp", "expires", FIELD_TIME, 0, TIME_MAX},
    {"key_id", NULL, FIELD_KEY_ID, 1, 127},
    {"title", NULL, FIELD_TITLE, 1, TITLE_MAX},
    {"actions", "action", FIELD_ACTIONS, 0, 0},
    {"backup", NULL, FIELD_BOOLEAN, 0, 0},
    {"service", NULL, FIELD_SERVICE, 1, 511},
    {"computers", NULL, FIELD_INTEGER, 1, 1000000},
    {"priority", NULL, FIELD_INTEGER, INT32_MIN, INT32_MAX},
    {"root_key_id", "root", FIELD_KEY_ID, 1, 127},
    {"computer", NULL, FIELD_COMPUTER, 1, 4096},
    {"content_key", NULL, FIELD_KEY, 1, CONTENT_KEY_MAX},
    {"crit", NULL, FIELD_NAMES, 0, 0},
};
const size_t field_count = sizeof fields / sizeof fields[0];

const struct field *field_find(const char *name)
{
	for (size_t i = 0; i < field_count; i++)
		if (strcmp(fields[i].name, name) == 0 ||
		    (fields[i].alias != NULL && strcmp(fields[i].alias, name) == 0))
			return &fields[i];
	return NULL;
}

int field_invalid(rh_error *error, const struct field *field, const char *what)
{
	return error_set(error, RH_E_LICENSE_INVALID, "%s: %s", field->name, what);
}

/* ---- the values of JSON ---- */

static bool is_action_name(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return length >= 1 && length <= 31 && name[length] == '\0';
}

static int check_action(const struct field *field, const char *name, const json_t *action,
    bool strict, rh_error *error)
{
	const char *member;
	json_t *value;

	if (!is_action_name(name))
		return field_invalid(error, field,
		    "the name of an action must be 1 to 31 of a-z, 0-9, '.', '_' and '-'");
	if (!json_is_object(action))
		return field_invalid(error, field, "what an action allows must be an object");
	json_object_foreach((json_t *)action, member, value)
	{
		bool known = strcmp(member, "count") == 0 || strcmp(member, "period") == 0;

		if (!known && !strict)
			continue;
		if (!known)
			return field_invalid(
			    error, field, "an action has \"count\" and \"period\" only");
		if (!json_is_integer(value) || json_integer_value(value) < 1 ||
		    json_integer_value(value) > COUNT_MAX)
			return field_invalid(error, field,
			    "\"count\" and \"period\" must be numbers from 1 to 2^53 - 1");
	}
	return RH_OK;
}

static int check_actions(
    const struct field *field, const json_t *value, bool strict, rh_error *error)
{
	size_t counted = 0;
	const char *name;
	json_t *action;

	if (!json_is_object(value))
		return field_invalid(
		    error, field, "must be an object, from names to what is allowed");
	if (json_object_size(value) > ACTIONS_MAX)
		return field_invalid(error, field, "at most 16 actions");
	json_object_foreach((json_t *)value, name, action)
	{
		int code = check_action(field, name, action, strict, error);

		if (code != RH_OK)
			return code;
		counted += json_object_get(action, "count") != NULL;
	}
	if (counted > COUNTED_MAX)
		return field_invalid(error, field, "at most 8 actions with a count");
	return RH_OK;
}

static bool text_fits(const json_t *value, int64_t min, int64_t max)
{
	return json_is_string(value) && (int64_t)json_string_length(value) >= min &&
	       (int64_t)json_string_length(value) <= max;
}

static int check_title(const struct field *field, const json_t *value, rh_error *error)
{
	const char *tag;
	json_t *text;

	if (json_is_string(value))
		return text_fits(value, field->min, field->max)
			   ? RH_OK
			   : field_invalid(error, field, "must have 1 to 16,384 bytes");
	if (!json_is_object(value) || json_object_size(value) == 0)
		return field_invalid(
		    error, field, "must be a text, or an object from language tags to texts");
	json_object_foreach((json_t *)value, tag, text)
	{
		if (!field_is_tag(tag, strlen(tag)))
			return field_invalid(error, field, "not a language tag, as in \"en\"");
		if (!text_fits(text, field->min, field->max))
			return field_invalid(error, field, "must have 1 to 16,384 bytes");
	}
	return RH_OK;
}

/* What is issued must be an address that a service can have; licences are read as they are. */
static int check_service(
    const struct field *field, const json_t *value, bool strict, rh_error *error)
{
	const char *text = json_string_value(value);
	size_t start;

	if (!text_fits(value, field->min, field->max))
		return field_invalid(error, field, "must be an address of 1 to 511 bytes");
	start = strncmp(text, "https://", 8) == 0  ? 8
		: strncmp(text, "http://", 7) == 0 ? 7
						   : 0;
	if (start == 0 || !isgraph((unsigned char)text[start]) || text[start] == '/')
		return field_invalid(error, field, "must begin with https:// and a host");
	for (const char *at = text; *at != '\0'; at++)
		if (!isgraph((unsigned char)*at))
			return field_invalid(error, field, "may hold printable ASCII only");
	if (strict && !text_is_service(text))
		return field_invalid(error, field,
		    "must look like https://licences.example/lms: no '/' at its end, no query, "
		    "nothing escaped, no '..'");
	if (strict && !text_is_asked(text))
		return field_invalid(error, field,
		    "no computer asks a service on another one without encryption: write "
		    "https:// (http:// is for tests, as in http://127.0.0.1:8443)");
	return RH_OK;
}

/* Never more than what is wrong with it: this is a secret. */
static int check_key(const struct field *field, const json_t *value, rh_error *error)
{
	const char *text = json_string_value(value);
	uint8_t bytes[CONTENT_KEY_MAX];
	ptrdiff_t size;

	if (text == NULL)
		return field_invalid(error, field, "must be base64url, or \"random\"");
	if (strcmp(text, "random") == 0)
		return RH_OK;
	size = base64_decode(
	    bytes, sizeof bytes, text, json_string_length(value), BASE64_URL | BASE64_NO_PAD);
	bytes_wipe(bytes, sizeof bytes);
	if (size < 1)
		return field_invalid(error, field,
		    "must be \"random\", or 1 to 4,096 bytes in base64url without padding");
	return RH_OK;
}

/* Claims that readers know; "computer" is none. */
static bool is_claim(const char *name)
{
	const struct field *field = field_find(name);

	if (strcmp(name, "iss") == 0 || strcmp(name, "cnf") == 0)
		return true;
	return field != NULL && field->kind != FIELD_COMPUTER && strcmp(field->name, name) == 0;
}

static int check_names(
    const struct field *field, const json_t *value, bool strict, rh_error *error)
{
	const json_t *name;
	size_t i;

	if (!json_is_array(value) || json_array_size(value) == 0)
		return field_invalid(error, field, "must be an array of names");
	json_array_foreach(value, i, name)
	{
		if (!json_is_string(name))
			return field_invalid(error, field, "must be an array of names");
		if (is_claim(json_string_value(name)))
			continue;
		return error_set(error, strict ? RH_E_LICENSE_INVALID : RH_E_LICENSE_CRITICAL,
		    "%s: names something that no Rehost knows, so the licence would be "
		    "refused",
		    field->name);
	}
	return RH_OK;
}

bool field_is_plain(const char *text)
{
	for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++)
		if (*at < 0x20 || *at == 0x7F || (*at == 0xC2 && at[1] < 0xA0))
			return false;
	return true;
}

/* Readers take 24 characters that end so for a GUID in base64. */
static bool is_broken_guid(const char *text, size_t size)
{
	uint8_t guid[16];

	return size == 24 && text[22] == '=' && text[23] == '=' &&
	       base64_decode(guid, sizeof guid, text, size, BASE64_LENIENT) != sizeof guid;
}

static int check_id(
    const struct field *field, const json_t *value, bool strict, rh_error *error)
{
	const char *text = json_string_value(value);
	size_t size = json_string_length(value);

	if (field->kind == FIELD_KEY_ID && !strict)
		for (; size > 0 && text[0] == ' '; size--)
			text++;
	while (field->kind == FIELD_KEY_ID && !strict && size > 0 && text[size - 1] == ' ')
		size--;
	if (!field_is_plain(text))
		return field_invalid(error, field, "holds control characters");
	if (field->kind == FIELD_KEY_ID && memchr(text, ' ', size) != NULL)
		return field_invalid(error, field, "holds a space");
	if (field->kind == FIELD_KEY_ID && is_broken_guid(text, size))
		return field_invalid(error, field, "is not base64 of 16 bytes");
	return RH_OK;
}

static int check_number(const struct field *field, const json_t *value, rh_error *error)
{
	char what[96];

	if (json_is_integer(value) && json_integer_value(value) >= field->min &&
	    json_integer_value(value) <= field->max)
		return RH_OK;
	if (field->kind == FIELD_TIME)
		return field_invalid(error, field,
		    "not a time: write it as 2027-01-31T12:00:00Z, 2027-01-31, or seconds "
		    "since 1970");
	snprintf(what, sizeof what, "must be a whole number from %lld to %lld",
	    (long long)field->min, (long long)field->max);
	return field_invalid(error, field, what);
}

int field_check(const struct field *field, const json_t *value, bool strict, rh_error *error)
{
	char what[96];

	switch (field->kind) {
	case FIELD_TIME:
	case FIELD_INTEGER:
		return check_number(field, value, error);
	case FIELD_TITLE:
		return check_title(field, value, error);
	case FIELD_ACTIONS:
		return check_actions(field, value, strict, error);
	case FIELD_BOOLEAN:
		return json_is_boolean(value)
			   ? RH_OK
			   : field_invalid(error, field, "must be true or false");
	case FIELD_SERVICE:
		return check_service(field, value, strict, error);
	case FIELD_NAMES:
		return check_names(field, value, strict, error);
	case FIELD_KEY:
		return check_key(field, value, error);
	case FIELD_COMPUTER:
		if (json_is_object(value))
			return RH_OK;
		break;
	default:
		break;
	}
	if (text_fits(value, field->min, field->max))
		return field->kind == FIELD_ID || field->kind == FIELD_KEY_ID
			   ? check_id(field, value, strict, error)
			   : RH_OK;
	snprintf(what, sizeof what, "must be a text of %lld to %lld bytes",
	    (long long)field->min, (long long)field->max);
	return field_invalid(error, field, what);
}

/* ---- rows ---- */

static bool deeper_than(const json_t *value, unsigned levels)
{
	const char *name;
	json_t *inner;
	size_t i;

	if (!json_is_object(value) && !json_is_array(value))
		return false;
	if (levels == 0)
		return true;
	json_array_foreach(value, i, inner)
	{
		if (deeper_than(inner, levels - 1))
			return true;
	}
	json_object_foreach((json_t *)value, name, inner)
	{
		if (deeper_than(inner, levels - 1))
			return true;
	}
	return false;
}

/* A claim of the issuer's own. */
static int check_own(const char *name, const json_t *value, rh_error *error)
{
	if (strcmp(name, "cnf") == 0)
		return error_set(
		    error, RH_E_LICENSE_INVALID, "cnf: is made from the computer: name that");
	if (strpbrk(name, ".:/") == NULL)
		return error_set(error, RH_E_LICENSE_INVALID,
		    "%.64s: no such field; a claim of your own needs a name with '.', ':' or "
		    "'/' in it, as in example.org/grade",
		    name);
	if (deeper_than(value, DEPTH_MAX - 1))
		return error_set(
		    error, RH_E_LICENSE_INVALID, "%.64s: nested over 16 deep", name);
	return RH_OK;
}

/* The value in the form of FORMATS.md: a time as seconds. */
static json_t *normal_value(const struct field *field, json_t *value)
{
	int64_t time;

	if (field->kind == FIELD_TIME && json_is_string(value) &&
	    field_time(json_string_value(value), &time))
		return json_integer(time);
	return json_incref(value);
}

static int check_member(
    json_t *checked, const char *name, json_t *value, bool is_input, rh_error *error)
{
	const struct field *field = field_find(name);
	json_t *normal;
	int code;

	/* Licences know no aliases. */
	if (!is_input && field != NULL && strcmp(field->name, name) != 0)
		field = NULL;
	if (field == NULL) {
		code = is_input && strcmp(name, "iss") != 0 ? check_own(name, value, error)
							    : RH_OK;
		if (code == RH_OK)
			json_object_set(checked, name, value);
		return code;
	}
	if (json_object_get(checked, field->name) != NULL)
		return field_invalid(error, field, "stands twice");
	normal = is_input ? normal_value(field, value) : json_incref(value);
	code = field_check(field, normal, is_input, error);
	if (code == RH_OK)
		json_object_set(checked, field->name, normal);
	json_decref(normal);
	return code;
}

static int check_row(json_t *row, bool is_input, rh_error *error)
{
	json_t *checked = json_object(), *value;
	const char *name;
	int code = RH_OK;

	json_object_foreach(row, name, value)
	{
		code = check_member(checked, name, value, is_input, error);
		if (code != RH_OK)
			break;
	}
	if (code == RH_OK) {
		json_object_clear(row);
		json_object_update(row, checked);
	}
	json_decref(checked);
	return code;
}

int fields_check_row(json_t *row, rh_error *error)
{
	return check_row(row, true, error);
}

int fields_check_claims(json_t *claims, rh_error *error)
{
	return check_row(claims, false, error);
}

static bool is_counted(const json_t *row)
{
	const char *name;
	json_t *action;

	json_object_foreach(json_object_get(row, "actions"), name, action)
	{
		if (json_object_get(action, "count") != NULL)
			return true;
	}
	return false;
}

static bool comes_after(const json_t *row, const char *later, const char *earlier)
{
	const json_t *a = json_object_get(row, later), *b = json_object_get(row, earlier);

	return a == NULL || b == NULL || json_integer_value(a) > json_integer_value(b);
}

int fields_check_whole(const json_t *row, bool has_computer, bool strict, rh_error *error)
{
	const char *root = json_string_value(json_object_get(row, "root_key_id"));
	const char *key = json_string_value(json_object_get(row, "key_id"));
	const char *what = NULL;

	if (!has_computer && is_counted(row))
		what = "actions: a count needs a computer to be issued to";
	else if (!has_computer && json_object_get(row, "content_key") != NULL)
		what = "content_key: needs a computer to be issued to";
	else if (json_object_get(row, "computers") != NULL &&
		 json_object_get(row, "service") == NULL)
		what = "computers: needs a service that counts them";
	else if (!strict)
		what = NULL;
	else if (!comes_after(row, "exp", "nbf"))
		what = "exp: must come after nbf";
	else if (!comes_after(row, "exp", "iat"))
		what = "exp: must come after iat";
	else if (root != NULL && key != NULL && strcmp(root, key) == 0)
		what = "root_key_id: is the licence's own key_id";
	if (what != NULL)
		return error_set(error, RH_E_LICENSE_INVALID, "%s", what);
	return RH_OK;
}
