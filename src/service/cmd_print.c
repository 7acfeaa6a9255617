#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "cli/text.h"
#include "service/cmd_print.h"

#define COLUMNS_MAX 16
#define DAY 86400

/* Hashes and keys are for programs. */
static bool is_shown(const char *name)
{
	return strcmp(name, "hash") != 0 && strcmp(name, "known") != 0;
}

/* ---- One value ---- */

static char *duration_text(int64_t seconds)
{
	static const struct {
		int64_t seconds;
		char unit;
	} units[] = {{DAY, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	size_t i = 0;
	char *text;

	while (i < 3 && (seconds == 0 || seconds % units[i].seconds != 0))
		i++;
	return asprintf(
		   &text, "%lld%c", (long long)(seconds / units[i].seconds), units[i].unit) < 0
		   ? NULL
		   : text;
}

static bool is_duration(const char *name)
{
	return strcmp(name, "period") == 0 || strcmp(name, "cooldown") == 0 ||
	       strcmp(name, "release_wait") == 0;
}

static char *string_text(const char *string)
{
	char minute[TEXT_SIZE];
	size_t size = strlen(string);
	int64_t time;

	if (size == strlen("2026-11-22T15:10:00Z") && time_parse(string, size, &time))
		return strdup(text_minute(minute, time));
	return text_safe(size > 0 ? string : "-");
}

static char *value_shown(const char *name, const json_t *value);

static int append_member(
    struct buffer *text, const char *name, const char *shown, rh_error *error)
{
	const char *const parts[] = {text->size > 0 ? " " : "", name, "=", shown};
	int code = shown != NULL ? RH_OK : error_memory(error);

	for (size_t i = 0; i < 4 && code == RH_OK; i++)
		code = buffer_append_text(text, parts[i], error);
	return code;
}

/* "licence=song-1 reason=lost"; without what is long or says nothing. */
static char *members_text(const json_t *object)
{
	struct buffer text = {0};
	const char *name;
	json_t *value;
	rh_error error;
	int code = RH_OK;

	json_object_foreach((json_t *)object, name, value)
	{
		char *shown;

		if (json_is_null(value) || json_string_length(value) > 200 ||
		    (json_is_string(value) && json_string_length(value) == 0))
			continue;
		shown = value_shown(name, value);
		if (code == RH_OK)
			code = append_member(&text, name, shown, &error);
		free(shown);
	}
	if (code == RH_OK)
		code = buffer_append(&text, "", 1, &error);
	if (code != RH_OK) {
		buffer_free(&text);
		return NULL;
	}
	return (char *)text.data;
}

/* free(); NULL: no memory. */
static char *value_shown(const char *name, const json_t *value)
{
	char *text = NULL;

	if (value == NULL || json_is_null(value))
		return strdup("-");
	if (json_is_boolean(value))
		return strdup(json_is_true(value) ? "yes" : "no");
	if (json_is_string(value))
		return string_text(json_string_value(value));
	if (json_is_integer(value) && is_duration(name))
		return duration_text(json_integer_value(value));
	if (json_is_array(value))
		return asprintf(&text, "%zu", json_array_size(value)) < 0 ? NULL : text;
	/* A set of keys counts as its keys. */
	if (json_is_object(value) && strcmp(name, "keys") == 0)
		return value_shown(name, json_object_get(value, "keys"));
	if (json_is_object(value))
		return members_text(value);
	return json_dumps(value, JSON_ENCODE_ANY);
}

/* ---- Tables ---- */

struct column {
	const char *name;
	size_t width;
};

static size_t find_columns(const json_t *rows, struct column columns[COLUMNS_MAX])
{
	const char *name;
	json_t *value;
	size_t count = 0;

	json_object_foreach(json_array_get(rows, 0), name, value)
	{
		if (count == COLUMNS_MAX || !is_shown(name))
			continue;
		columns[count++] = (struct column){name, strlen(name)};
	}
	return count;
}

static void measure(const json_t *rows, struct column *column)
{
	size_t i, width;
	json_t *row;

	json_array_foreach(rows, i, row)
	{
		char *text = value_shown(column->name, json_object_get(row, column->name));

		width = text != NULL ? text_width(text) : 0;
		if (width > column->width)
			column->width = width;
		free(text);
	}
}

/* "RELEASE WAIT" of "release_wait". */
static void print_heading(const char *name)
{
	for (; *name != '\0'; name++)
		putchar(*name == '_' ? ' ' : toupper((unsigned char)*name));
}

static void print_gap(size_t width, size_t used)
{
	printf("%*s", (int)(width - used + 2), "");
}

static void print_row(const json_t *row, const struct column *columns, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *text =
		    value_shown(columns[i].name, json_object_get(row, columns[i].name));

		fputs(text != NULL ? text : "-", stdout);
		if (i + 1 < count)
			print_gap(columns[i].width, text != NULL ? text_width(text) : 1);
		free(text);
	}
	putchar('\n');
}

void print_table(const json_t *rows)
{
	struct column columns[COLUMNS_MAX];
	size_t count = find_columns(rows, columns), i;
	json_t *row;

	for (i = 0; i < count; i++) {
		measure(rows, &columns[i]);
		print_heading(columns[i].name);
		if (i + 1 < count)
			print_gap(columns[i].width, strlen(columns[i].name));
	}
	putchar('\n');
	json_array_foreach(rows, i, row) print_row(row, columns, count);
}

/* ---- Records ---- */

#define LABEL_WIDTH 17

static void print_label(const char *name)
{
	int used = 0;

	for (; name[used] != '\0'; used++)
		putchar(name[used] == '_' ? ' ' : name[used]);
	printf("%*s", used < LABEL_WIDTH ? LABEL_WIDTH - used : 1, "");
}

void print_record(const json_t *object)
{
	const json_t *table = NULL;
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)object, name, value)
	{
		char *text;

		if (json_is_array(value)) {
			table = value;
			continue;
		}
		text = value_shown(name, value);
		print_label(name);
		puts(text != NULL ? text : "-");
		free(text);
	}
	if (json_array_size(table) > 0) {
		putchar('\n');
		print_table(table);
	}
}

/* ---- Policies ---- */

/* What holds if a member is not set for the service. */
static const char *policy_default(const char *name)
{
	static const struct {
		const char *name, *text;
	} defaults[] = {{"computers", "4 (default)"}, {"period", "no limit (default)"},
	    {"period_computers", "no limit (default)"}, {"cooldown", "none (default)"},
	    {"release_wait", "7d (default)"}};

	for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
		if (strcmp(defaults[i].name, name) == 0)
			return defaults[i].text;
	return "-";
}

static const char *unset_text(const char *name, bool issuer, bool license)
{
	if (license)
		return strcmp(name, "computers") == 0
			   ? "as the licence says, else its issuer's policy"
			   : "as its issuer's policy";
	return issuer ? "as the service's policy" : policy_default(name);
}

void print_policy(const json_t *policy)
{
	char *issuer = text_safe(json_string_value(json_object_get(policy, "issuer")));
	char *id = text_safe(json_string_value(json_object_get(policy, "id")));
	bool of_issuer = issuer != NULL && *issuer != '\0',
	     of_license = id != NULL && *id != '\0';
	const char *name;
	json_t *value;

	if (of_license)
		printf("policy of the licence %s of %s\n", id, of_issuer ? issuer : "-");
	else if (of_issuer)
		printf("policy of the issuer %s\n", issuer);
	else
		printf("policy of the service\n");
	json_object_foreach((json_t *)policy, name, value)
	{
		char *text;

		if (json_is_string(value))
			continue;
		text = json_is_null(value) ? strdup(unset_text(name, of_issuer, of_license))
					   : value_shown(name, value);
		printf("  ");
		print_label(name);
		puts(text != NULL ? text : "-");
		free(text);
	}
	free(issuer);
	free(id);
}
