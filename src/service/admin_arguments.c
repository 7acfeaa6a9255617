#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#include "license/license.h"
#include "service/admin.h"

#define TEXT_MAX 4096 /* bytes */
#define NUMBER_MAX INT64_C(999999999999999)
#define TIME_LAST INT64_C(253402300799) /* of the year 9999 */

/* "90", "7d", "12h", "30m", "10s" in seconds. */
static bool read_duration(const char *text, int64_t *ret)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'\0', 1}, {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	int64_t number = 0;
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 9 || (text[digits] != '\0' && text[digits + 1] != '\0'))
		return false;
	for (size_t i = 0; i < digits; i++)
		number = number * 10 + (text[i] - '0');
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (units[i].unit == text[digits]) {
			*ret = number * units[i].seconds;
			return true;
		}
	}
	return false;
}

static bool read_digits(const char *text, int64_t *ret)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 15 || text[digits] != '\0')
		return false;
	*ret = strtoll(text, NULL, 10);
	return true;
}

/* The value as a number; false if it is none of its kind. */
static bool read_number(const json_t *value, enum admin_kind kind, int64_t *ret)
{
	const char *text = json_string_value(value);

	if (json_is_integer(value)) {
		*ret = json_integer_value(value);
		return *ret >= 0 && *ret <= (kind == ADMIN_TIME ? TIME_LAST : NUMBER_MAX);
	}
	if (text == NULL)
		return false;
	if (kind == ADMIN_TIME)
		return time_parse(text, strlen(text), ret) && *ret >= 0;
	return kind == ADMIN_NUMBER ? read_digits(text, ret) : read_duration(text, ret);
}

static bool fits(const json_t *value, enum admin_kind kind)
{
	int64_t number;

	if (kind == ADMIN_OBJECT)
		return json_is_object(value);
	if (kind == ADMIN_TEXT)
		return json_is_string(value) && json_string_length(value) > 0 &&
		       json_string_length(value) <= TEXT_MAX &&
		       strlen(json_string_value(value)) == json_string_length(value);
	return read_number(value, kind, &number);
}

static const char *kind_words(enum admin_kind kind)
{
	static const char *const words[] = {[ADMIN_TEXT] = "a text of at most 4096 bytes",
	    [ADMIN_NUMBER] = "a number",
	    [ADMIN_DURATION] = "a duration, as in 7d, 12h, 30m or 10s",
	    [ADMIN_TIME] = "a time, as in 2027-01-31T12:00:00Z",
	    [ADMIN_OBJECT] = "an object"};

	return words[kind];
}

static const struct admin_argument *argument_find(
    const struct admin_operation *operation, const char *name)
{
	for (const struct admin_argument *one = operation->arguments; one->name != NULL; one++)
		if (strcmp(one->name, name) == 0)
			return one;
	return NULL;
}

int admin_check(
    const struct admin_operation *operation, const json_t *arguments, rh_error *error)
{
	const struct admin_argument *argument;
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)arguments, name, value)
	{
		argument = argument_find(operation, name);
		if (argument == NULL)
			return error_set(error, RH_E_ARGUMENT, "%s takes no argument %.60s",
			    operation->name, name);
		if (!fits(value, argument->kind))
			return error_set(error, RH_E_ARGUMENT, "%s must be %s", name,
			    kind_words(argument->kind));
	}
	for (argument = operation->arguments; argument->name != NULL; argument++)
		if (argument->required && json_object_get(arguments, argument->name) == NULL)
			return error_set(error, RH_E_ARGUMENT, "%s needs the argument %s",
			    operation->name, argument->name);
	return RH_OK;
}

const char *admin_text(const json_t *arguments, const char *name)
{
	const char *text = json_string_value(json_object_get(arguments, name));

	return text != NULL ? text : "";
}

int64_t admin_number(const json_t *arguments, const char *name, int64_t otherwise)
{
	static const enum admin_kind kinds[] = {ADMIN_NUMBER, ADMIN_DURATION, ADMIN_TIME};
	const json_t *value = json_object_get(arguments, name);
	int64_t number;

	/* A text that one kind takes means the same to the others that take it. */
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds && value != NULL; i++)
		if (read_number(value, kinds[i], &number))
			return number;
	return otherwise;
}

int admin_result(struct admin *admin, json_t *result, rh_error *error)
{
	int code;

	if (result == NULL)
		return error_memory(error);
	code = admin->on_result(admin->context, result, error);
	json_decref(result);
	return code;
}

json_t *admin_time(int64_t time)
{
	char text[TIME_TEXT_SIZE];

	if (time == LICENSE_TIME_NONE)
		return json_null();
	time_format(text, time);
	return json_string(text);
}
