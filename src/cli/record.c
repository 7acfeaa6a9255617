#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/talk.h"
#include "cli/text.h"
#include "cli/record.h"

static bool is_wanted;

void record_start(bool wanted)
{
	is_wanted = wanted;
}

bool record_wanted(void)
{
	return is_wanted;
}

/*
 * The UTF-16 unit of a character that JSON leaves as it is but a terminal would
 * obey: DEL, C1, marks and overrides of direction; 0 for every other one.
 */
static unsigned obeyed(const char *at, size_t *ret_length)
{
	const unsigned char *c = (const unsigned char *)at;
	unsigned unit = 0;

	*ret_length = 1;
	if (c[0] == 0x7F)
		return 0x7F;
	if (c[0] == 0xC2 && c[1] < 0xA0) {
		*ret_length = 2;
		return c[1];
	}
	if (c[0] == 0xD8 && c[1] == 0x9C) {
		*ret_length = 2;
		return 0x061C;
	}
	if (c[0] == 0xE2 && (c[1] == 0x80 || c[1] == 0x81))
		unit = 0x2000 | (c[1] & 0x3Fu) << 6 | (c[2] & 0x3Fu);
	if ((unit >= 0x200E && unit <= 0x200F) || (unit >= 0x2028 && unit <= 0x202E) ||
	    (unit >= 0x2066 && unit <= 0x2069)) {
		*ret_length = 3;
		return unit;
	}
	return 0;
}

void record_write_many(json_t *object)
{
	char *line = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
	const char *done = line, *at;

	json_decref(object);
	if (line == NULL) {
		talk_error("no memory left for a line of JSON");
		return;
	}
	flockfile(stdout);
	for (at = line; *at != '\0';) {
		size_t length = 1;
		unsigned unit = (unsigned char)*at < 0x7F ? 0 : obeyed(at, &length);

		if (unit != 0) {
			fwrite(done, 1, (size_t)(at - done), stdout);
			printf("\\u%04x", unit);
			done = at + length;
		}
		at += length;
	}
	fwrite(done, 1, (size_t)(at - done), stdout);
	putchar('\n');
	funlockfile(stdout);
	free(line);
}

void record_write(json_t *object)
{
	record_write_many(object);
	fflush(stdout);
}

json_t *record_text(const char *text)
{
	json_t *string = json_string(text);
	char *safe;

	if (string == NULL) {
		safe = text_safe(text);
		string = safe == NULL ? NULL : json_string(safe);
		free(safe);
	}
	return string;
}

json_t *record_text_or_null(const char *text)
{
	return text[0] == '\0' ? json_null() : record_text(text);
}

json_t *record_time(int64_t time)
{
	char text[TEXT_SIZE];

	return time == RH_TIME_NONE ? json_null() : json_string(text_time(text, time));
}

void record_code(json_t *object, int code, const char *next_step)
{
	char number[16];

	snprintf(number, sizeof number, "0x%08X", (unsigned)rh_code_hresult(code));
	json_object_set_new(object, "code", record_text(rh_code_name(code)));
	json_object_set_new(object, "hresult", json_string(number));
	json_object_set_new(object, "message", record_text(rh_code_sentence(code)));
	json_object_set_new(object, "next_step",
	    record_text(next_step[0] != '\0' ? next_step : rh_code_next_step(code)));
}

void record_error(const rh_error *error)
{
	json_t *inner;

	if (!is_wanted)
		return;
	inner = json_object();
	record_code(inner, error->code, "");
	json_object_set_new(inner, "text", record_text(error->text));
	record_write(json_pack("{s:o}", "error", inner));
}

const char *record_class(int license_class)
{
	static const char *const words[] = {"owned", "managed", "restricted"};

	return license_class >= 0 && license_class < 3 ? words[license_class] : "unknown";
}

const char *record_right(int right)
{
	static const char *const words[] = {"no", "yes", "unknown"};

	return right >= 0 && right < 3 ? words[right] : "unknown";
}

json_t *record_license(const rh_license *license)
{
	json_t *object = json_object(), *counts = json_object();

	for (size_t i = 0; i < license->count_count; i++) {
		const rh_count *count = &license->counts[i];
		uint64_t shown =
		    count->remaining > INT64_MAX ? (uint64_t)INT64_MAX : count->remaining;

		json_object_set_new(counts, count->action, json_integer((json_int_t)shown));
	}
	json_object_set_new(object, "id", record_text(license->id));
	json_object_set_new(object, "key_id", record_text_or_null(license->key_id));
	json_object_set_new(object, "format", record_text(license->format));
	json_object_set_new(object, "issuer", record_text_or_null(license->issuer));
	json_object_set_new(object, "title", record_text_or_null(license->title));
	json_object_set_new(object, "issued", record_time(license->issued));
	json_object_set_new(object, "not_before", record_time(license->not_before));
	json_object_set_new(object, "not_after", record_time(license->not_after));
	json_object_set_new(object, "counts", counts);
	json_object_set_new(object, "backup", json_string(record_right(license->backup)));
	json_object_set_new(object, "class", json_string(record_class(license->license_class)));
	json_object_set_new(object, "service", record_text_or_null(license->service));
	json_object_set_new(object, "bytes", json_integer((json_int_t)license->bytes));
	return object;
}
