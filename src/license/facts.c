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

/* Room for everything but the text of six fields. */
#define NUMBERS_MAX (16 + 3 * 24 + LICENSE_COUNTS_MAX * 56)

static char *put_time(char *p, int64_t time)
{
	*p++ = '\t';
	if (time == LICENSE_TIME_NONE)
		return p;
	if (time < 0)
		*p++ = '-';
	return text_decimal(p, time < 0 ? 0 - (uint64_t)time : (uint64_t)time);
}

/* Once for every licence of a backup, so without printf. */
int license_facts_format(const struct license *license, struct buffer *buffer, rh_error *error)
{
	const char *texts[] = {license->format, license->id, license->key_id, license->issuer,
	    license->title, license->service};
	const int64_t times[] = {license->issued, license->not_before, license->not_after};
	size_t room = NUMBERS_MAX;
	char *p;
	int code;

	if (license_class(license) == LICENSE_RESTRICTED)
		return RH_OK;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		room += strlen(texts[i]) + 1;
		if (strpbrk(texts[i], "\t\n") != NULL)
			return RH_OK;
	}
	code = buffer_reserve(buffer, room, error);
	if (code != RH_OK)
		return code;
	p = text_decimal((char *)buffer->data + buffer->size, LICENSE_READERS_VERSION);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		p = stpcpy(stpcpy(p, "\t"), texts[i]);
	for (size_t i = 0; i < sizeof times / sizeof *times; i++)
		p = put_time(p, times[i]);
	for (size_t i = 0; i < license->count_count; i++) {
		*p++ = '\t';
		p = text_decimal(p, license->counts[i].remaining);
		p = stpcpy(stpcpy(p, " "), license->counts[i].action);
	}
	buffer->size = (size_t)(p - (char *)buffer->data);
	return RH_OK;
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
	text[0] = '\0';
	return field->size == 0 || reader_exact_text(text, capacity, field->text, field->size);
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
