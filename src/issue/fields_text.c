#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "issue/fields.h"

#define TAG_MAX 35 /* characters of a language tag (RFC 5646, section 4.4.1) */

/* Values as options and columns of CSV write them. */

bool field_is_tag(const char *text, size_t length)
{
	size_t part = 0;
	bool first = true;

	if (length > TAG_MAX)
		return false;

	for (size_t i = 0; i <= length; i++) {
		char c = i < length ? text[i] : '-';

		if (c == '-') {
			if (part < (first ? 2u : 1u) || part > 8)
				return false;
			part = 0;
			first = false;
		} else if (first ? !isalpha((unsigned char)c) : !isalnum((unsigned char)c)) {
			return false;
		} else {
			part++;
		}
	}
	return true;
}

static bool read_integer(const char *text, int64_t min, int64_t max, int64_t *ret)
{
	char *end;
	long long value;

	if (!isdigit((unsigned char)text[0]) &&
	    !(text[0] == '-' && isdigit((unsigned char)text[1])))
		return false;
	if (strlen(text) > 19)
		return false;
	value = strtoll(text, &end, 10);
	if (*end != '\0' || value < min || value > max)
		return false;
	*ret = value;
	return true;
}

bool field_time(const char *text, int64_t *ret)
{
	int64_t value;

	if (read_integer(text, 0, TIME_MAX, ret))
		return true;
	if (!time_parse(text, strlen(text), &value) || value < 0 || value > TIME_MAX)
		return false;
	*ret = value;
	return true;
}

/* "count=3" or "period=172800", up to the next comma; NULL if it is neither. */
static const char *read_limit(json_t *action, const char *text)
{
	const char *member = text[0] == 'c' ? "count" : "period";
	size_t size = strlen(member);
	char *end;

	if (strncmp(text, member, size) != 0 || text[size] != '=' ||
	    !isdigit((unsigned char)text[size + 1]) || json_object_get(action, member) != NULL)
		return NULL;
	json_object_set_new(action, member, json_integer(strtoll(text + size + 1, &end, 10)));
	return end;
}

/* "play", or "print:count=3,period=172800" */
static int add_action(
    json_t *actions, const struct field *field, const char *text, rh_error *error)
{
	size_t length = strcspn(text, ":");
	const char *at = text + length;
	json_t *action = json_object();
	char name[33];

	if (length >= sizeof name)
		length = sizeof name - 1; /* still too long, and refused for it */
	snprintf(name, sizeof name, "%.*s", (int)length, text);
	for (char before = ':'; at != NULL && *at == before; before = ',')
		at = read_limit(action, at + 1);
	if (at == NULL || *at != '\0' || json_object_get(actions, name) != NULL) {
		json_decref(action);
		return field_invalid(error, field,
		    at == NULL || *at != '\0'
			? "must look like play, or print:count=3,period=172800"
			: "an action stands twice");
	}
	json_object_set_new(actions, name, action);
	return RH_OK;
}

/* Actions with ';' between them. */
static int add_actions(
    json_t *row, const struct field *field, const char *text, rh_error *error)
{
	json_t *actions = json_object_get(row, field->name);
	char *copy = strdup(text), *rest = copy, *one;
	int code = copy == NULL ? error_memory(error) : RH_OK;

	if (actions == NULL) {
		actions = json_object();
		json_object_set_new(row, field->name, actions);
	}
	while (code == RH_OK && (one = strsep(&rest, ";")) != NULL) {
		one += strspn(one, " ");
		for (size_t size = strlen(one); size > 0 && one[size - 1] == ' '; size--)
			one[size - 1] = '\0';
		if (*one != '\0')
			code = add_action(actions, field, one, error);
	}
	free(copy);
	return code;
}

static int add_title(
    json_t *row, const struct field *field, const char *tag, const char *text, rh_error *error)
{
	json_t *titles = json_object_get(row, field->name), *value = json_string(text);

	if (value == NULL)
		return field_invalid(error, field, "is not UTF-8");
	if (tag == NULL && titles == NULL) {
		json_object_set_new(row, field->name, value);
		return RH_OK;
	}
	if (tag == NULL || (titles != NULL && !json_is_object(titles)) ||
	    json_object_get(titles, tag) != NULL) {
		json_decref(value);
		return field_invalid(error, field,
		    "more than one title: give a language for each, as in \"en=...\"");
	}
	if (titles == NULL) {
		titles = json_object();
		json_object_set_new(row, field->name, titles);
	}
	json_object_set_new(titles, tag, value);
	return RH_OK;
}

static json_t *read_names(const char *text)
{
	json_t *names = json_array();

	for (text += strspn(text, " "); *text != '\0'; text += strspn(text, " ")) {
		json_array_append_new(names, json_stringn(text, strcspn(text, " ")));
		text += strcspn(text, " ");
	}
	return names;
}

static json_t *read_boolean(const char *text)
{
	static const char *const words[] = {"false", "true", "no", "yes", "0", "1"};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcasecmp(text, words[i]) == 0)
			return json_boolean(i % 2);
	return NULL;
}

/* The value that the text writes; what is none is left to check_value. */
static json_t *read_value(const struct field *field, const char *text)
{
	json_t *value = NULL;
	int64_t number;

	if (field->kind == FIELD_TIME && field_time(text, &number))
		value = json_integer(number);
	if (field->kind == FIELD_INTEGER && read_integer(text, field->min, field->max, &number))
		value = json_integer(number);
	if (field->kind == FIELD_BOOLEAN)
		value = read_boolean(text);
	if (field->kind == FIELD_NAMES)
		value = read_names(text);
	if (field->kind == FIELD_COMPUTER && text[strspn(text, " ")] == '{')
		value = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	return value == NULL ? json_string(text) : value;
}

int field_add_text(
    json_t *row, const struct field *field, const char *tag, const char *text, rh_error *error)
{
	json_t *value;
	int code;

	if (field->kind == FIELD_TITLE) {
		code = add_title(row, field, tag, text, error);
	} else if (field->kind == FIELD_ACTIONS) {
		code = add_actions(row, field, text, error);
	} else if (json_object_get(row, field->name) != NULL) {
		code = field_invalid(error, field, "stands twice");
	} else {
		value = read_value(field, text);
		if (value == NULL)
			return field_invalid(error, field, "is not UTF-8");
		json_object_set_new(row, field->name, value);
		code = RH_OK;
	}
	if (code == RH_OK)
		code = field_check(field, json_object_get(row, field->name), true, error);
	return code;
}
