#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "crypto/jsontext.h"
#include "license/reader.h"

#define STATE_MAX (64 * 1024)

/* Times of use that are believed: 1970 to 9999. */
#define TIME_FIRST 0
#define TIME_LAST INT64_C(253402300799)

void license_state_init(struct license_state *state)
{
	memset(state, 0, sizeof *state);
	state->first_use = LICENSE_TIME_NONE;
}

bool license_state_empty(const struct license_state *state)
{
	return state->count_count == 0 && state->first_use == LICENSE_TIME_NONE &&
	       state->computer[0] == '\0' && state->format[0] == '\0' && state->name[0] == '\0';
}

/* ---- reading ---- */

static int invalid(rh_error *error, const char *member, const char *what)
{
	return error_set(
	    error, RH_E_LICENSE_INVALID, "state of a licence: member %s %s", member, what);
}

static int parse_counts(struct license_state *state, json_t *counts, rh_error *error)
{
	const char *action;
	json_t *value;

	if (counts == NULL)
		return RH_OK;
	if (!json_is_object(counts))
		return invalid(error, "counts", "is no object");
	if (json_object_size(counts) > LICENSE_COUNTS_MAX)
		return invalid(error, "counts", "has too many members");
	json_object_foreach(counts, action, value)
	{
		struct license_count *count = &state->counts[state->count_count++];

		if (!reader_exact_text(
			count->action, sizeof count->action, action, strlen(action)))
			return invalid(error, "counts", "has a malformed action");
		if (!json_is_integer(value) || json_integer_value(value) < 0)
			return invalid(error, "counts", "has a value that is no count");
		count->remaining = (uint64_t)json_integer_value(value);
	}
	return RH_OK;
}

static int parse_first_use(struct license_state *state, const json_t *value, rh_error *error)
{
	int64_t time;

	if (value == NULL)
		return RH_OK;
	if (!json_is_string(value) ||
	    !time_parse(json_string_value(value), json_string_length(value), &time))
		return invalid(error, "first_use", "is no date and time");
	if (time < TIME_FIRST || time > TIME_LAST)
		return invalid(error, "first_use", "is no time that a licence was used");
	state->first_use = time;
	return RH_OK;
}

static int parse_computer(struct license_state *state, const json_t *value, rh_error *error)
{
	if (value == NULL)
		return RH_OK;
	if (!json_is_string(value) || !reader_thumbprint(state->computer,
					  json_string_value(value), json_string_length(value)))
		return invalid(error, "computer", "is no thumbprint of a key");
	return RH_OK;
}

static int parse_text(
    char *target, size_t capacity, const json_t *root, const char *name, rh_error *error)
{
	const json_t *value = json_object_get(root, name);

	if (value == NULL)
		return RH_OK;
	if (!json_is_string(value) || !reader_exact_text(target, capacity,
					  json_string_value(value), json_string_length(value)))
		return invalid(error, name, "is no text that fits");
	return RH_OK;
}

static int parse_members(struct license_state *state, const json_t *root, rh_error *error)
{
	int code;

	if (!json_is_object(root))
		return error_set(
		    error, RH_E_LICENSE_INVALID, "state of a licence: no JSON object");
	code = parse_counts(state, json_object_get(root, "counts"), error);
	if (code != RH_OK)
		return code;
	code = parse_first_use(state, json_object_get(root, "first_use"), error);
	if (code != RH_OK)
		return code;
	code = parse_computer(state, json_object_get(root, "computer"), error);
	if (code != RH_OK)
		return code;
	code = parse_text(state->format, sizeof state->format, root, "format", error);
	if (code != RH_OK)
		return code;
	return parse_text(state->name, sizeof state->name, root, "name", error);
}

int license_state_parse(
    struct license_state *state, const void *json, size_t size, rh_error *error)
{
	struct license_state parsed;
	rh_error why;
	json_t *root;
	int code;

	if (size > STATE_MAX)
		return error_set(error, RH_E_LICENSE_INVALID,
		    "state of a licence: %zu bytes; the limit is %d", size, STATE_MAX);
	code = jsontext_read(json, size, &root, &why);
	if (code == RH_E_MEMORY)
		return error_memory(error);
	if (code != RH_OK)
		return error_set(error, code, "state of a licence: %s", why.text);
	license_state_init(&parsed);
	code = parse_members(&parsed, root, error);
	json_decref(root);
	if (code == RH_OK)
		*state = parsed;
	return code;
}

/* ---- writing ---- */

/* Text as JSON can hold it: the name of a file may be any bytes. */
static json_t *clean_text(const char *text)
{
	char clean[256];

	text_copy(clean, sizeof clean, text, strlen(text));
	return json_string(clean);
}

static bool set_counts(json_t *root, const struct license_state *state)
{
	json_t *counts = json_object();

	for (size_t i = 0; counts != NULL && i < state->count_count; i++) {
		const struct license_count *count = &state->counts[i];
		json_int_t remaining =
		    count->remaining > INT64_MAX ? INT64_MAX : (json_int_t)count->remaining;

		if (json_object_set_new(counts, count->action, json_integer(remaining)) != 0) {
			json_decref(counts);
			return false;
		}
	}
	return json_object_set_new(root, "counts", counts) == 0;
}

static bool set_members(json_t *root, const struct license_state *state)
{
	char time[TIME_TEXT_SIZE];

	if (state->count_count > 0 && !set_counts(root, state))
		return false;
	if (state->first_use != LICENSE_TIME_NONE) {
		time_format(time, state->first_use);
		if (time[0] != '\0' &&
		    json_object_set_new(root, "first_use", json_string(time)) != 0)
			return false;
	}
	if (state->computer[0] != '\0' &&
	    json_object_set_new(root, "computer", json_string(state->computer)) != 0)
		return false;
	if (state->format[0] != '\0' &&
	    json_object_set_new(root, "format", clean_text(state->format)) != 0)
		return false;
	return state->name[0] == '\0' ||
	       json_object_set_new(root, "name", clean_text(state->name)) == 0;
}

struct output {
	struct buffer *buffer;
	bool failed;
};

/* jansson 2.14 goes on where a name is not taken (do_dump() in its dump.c). */
static int append(const char *bytes, size_t size, void *context)
{
	struct output *output = context;

	if (!output->failed && buffer_append(output->buffer, bytes, size, NULL) != RH_OK)
		output->failed = true;
	return output->failed ? -1 : 0;
}

int license_state_format(
    const struct license_state *state, struct buffer *buffer, rh_error *error)
{
	struct output output = {.buffer = buffer};
	size_t before = buffer->size;
	json_t *root = json_object();
	int code = RH_OK;

	if (root == NULL || !set_members(root, state) ||
	    json_dump_callback(root, append, &output, JSON_COMPACT) != 0 || output.failed) {
		buffer->size = before;
		code = error_memory(error);
	}
	json_decref(root);
	return code;
}

/* ---- merging ---- */

static struct license_count *find_count(struct license_state *state, const char *action)
{
	for (size_t i = 0; i < state->count_count; i++)
		if (strcmp(state->counts[i].action, action) == 0)
			return &state->counts[i];
	return NULL;
}

bool license_state_merge(struct license_state *state, const struct license_state *other)
{
	bool changed = false;

	for (size_t i = 0; i < other->count_count; i++) {
		struct license_count *mine = find_count(state, other->counts[i].action);

		if (mine != NULL && mine->remaining <= other->counts[i].remaining)
			continue;
		if (mine == NULL) {
			if (state->count_count == LICENSE_COUNTS_MAX)
				continue;
			mine = &state->counts[state->count_count++];
		}
		*mine = other->counts[i];
		changed = true;
	}
	/* LICENSE_TIME_NONE is the least of all times, and means later than any. */
	if (other->first_use != LICENSE_TIME_NONE &&
	    (state->first_use == LICENSE_TIME_NONE || other->first_use < state->first_use)) {
		state->first_use = other->first_use;
		changed = true;
	}
	/* Where both name one and they differ, the counts of neither are for the other. */
	if (state->computer[0] == '\0' && other->computer[0] != '\0') {
		memcpy(state->computer, other->computer, sizeof state->computer);
		changed = true;
	}
	return changed;
}
