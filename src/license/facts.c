#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "license/reader.h"
#include "license/license.h"

/*
 * Fields with a TAB between them, which no text of a record holds: version of the readers,
 * format, id, key id, issuer, title, service, issued, not before, not after, and one
 * "REMAINING ACTION" for each count.
 */
enum { FIELD_COUNT = 10 };

static int put_text(struct buffer *buffer, const char *text, rh_error *error)
{
	int code = buffer_append(buffer, "\t", 1, error);

	return code == RH_OK ? buffer_append_text(buffer, text, error) : code;
}

static int put_time(struct buffer *buffer, int64_t time, rh_error *error)
{
	char text[24] = "";

	if (time != LICENSE_TIME_NONE)
		snprintf(text, sizeof text, "%lld", (long long)time);
	return put_text(buffer, text, error);
}

static int put_counts(const struct license *license, struct buffer *buffer, rh_error *error)
{
	int code = RH_OK;

	for (size_t i = 0; i < license->count_count && code == RH_OK; i++) {
		char text[64];

		snprintf(text, sizeof text, "%llu %.31s",
		    (unsigned long long)license->counts[i].remaining,
		    license->counts[i].action);
		code = put_text(buffer, text, error);
	}
	return code;
}

int license_facts_format(const struct license *license, struct buffer *buffer, rh_error *error)
{
	const char *texts[] = {license->format, license->id, license->key_id, license->issuer,
	    license->title, license->service};
	const int64_t times[] = {license->issued, license->not_before, license->not_after};
	char version[16];
	int code;

	if (license_class(license) != LICENSE_OWNED)
		return RH_OK;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (strpbrk(texts[i], "\t\n") != NULL)
			return RH_OK;
	snprintf(version, sizeof version, "%d", LICENSE_READERS_VERSION);
	code = buffer_append_text(buffer, version, error);
	for (size_t i = 0; i < sizeof texts / sizeof *texts && code == RH_OK; i++)
		code = put_text(buffer, texts[i], error);
	for (size_t i = 0; i < sizeof times / sizeof *times && code == RH_OK; i++)
		code = put_time(buffer, times[i], error);
	return code == RH_OK ? put_counts(license, buffer, error) : code;
}

/* ---- Reading ---- */

struct field {
	const char *text;
	size_t size;
};

static bool next_field(const char **at, const char *end, struct field *field)
{
	const char *tab;

	if (*at > end)
		return false;
	tab = memchr(*at, '\t', (size_t)(end - *at));
	field->text = *at;
	field->size = (size_t)((tab != NULL ? tab : end) - *at);
	*at = tab != NULL ? tab + 1 : end + 1;
	return true;
}

static bool get_text(const struct field *field, char *text, size_t capacity)
{
	if (field->size >= capacity || !utf8_valid(field->text, field->size))
		return false;
	memcpy(text, field->text, field->size);
	text[field->size] = '\0';
	return true;
}

static bool get_time(const struct field *field, int64_t *ret)
{
	char text[24], *end;

	*ret = LICENSE_TIME_NONE;
	if (field->size == 0)
		return true;
	if (!get_text(field, text, sizeof text))
		return false;
	*ret = strtoll(text, &end, 10);
	return *end == '\0' && *ret != LICENSE_TIME_NONE && *ret != INT64_MAX;
}

static bool get_count(const struct field *field, struct license *license)
{
	struct license_count *count = &license->counts[license->count_count];
	char text[64], *end;

	if (license->count_count == LICENSE_COUNTS_MAX || !get_text(field, text, sizeof text) ||
	    text[0] < '0' || text[0] > '9')
		return false;
	count->remaining = strtoull(text, &end, 10);
	if (*end != ' ' || end[1] == '\0' || strlen(end + 1) >= sizeof count->action)
		return false;
	memcpy(count->action, end + 1, strlen(end + 1) + 1);
	license->count_count++;
	return true;
}

bool license_facts_parse(struct license *license, const void *line, size_t size)
{
	const char *at = line, *end = at + size;
	struct field fields[FIELD_COUNT], count;
	char version[16], format[32];
	int64_t times[3];

	if (size > LICENSE_FACTS_MAX || memchr(line, '\0', size) != NULL)
		return false;
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (!next_field(&at, end, &fields[i]))
			return false;
	if (!get_text(&fields[0], version, sizeof version) ||
	    atoi(version) != LICENSE_READERS_VERSION ||
	    !get_text(&fields[1], format, sizeof format) ||
	    !get_text(&fields[2], license->id, sizeof license->id) || license->id[0] == '\0' ||
	    !get_text(&fields[3], license->key_id, sizeof license->key_id) ||
	    !get_text(&fields[4], license->issuer, sizeof license->issuer) ||
	    !get_text(&fields[5], license->title, sizeof license->title) ||
	    !get_text(&fields[6], license->service, sizeof license->service))
		return false;
	for (size_t i = 0; i < 3; i++)
		if (!get_time(&fields[7 + i], &times[i]))
			return false;
	license->issued = times[0];
	license->not_before = times[1];
	license->not_after = times[2];
	license->count_count = 0;
	while (next_field(&at, end, &count))
		if (!get_count(&count, license))
			return false;
	license->backup = LICENSE_YES;
	license->reason = "";
	license->format = license_format_name(format);
	return license->format != NULL;
}
