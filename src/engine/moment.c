#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#include "engine/engine.h"

/*
 * The sealed value "clock": "1 WALL BOOT ID", the moment that was noted last, the seconds
 * since the start of the computer at that time, and which start that was ("-": unknown).
 */
#define VALUE "clock"
#define VALUE_MAX 128

/* A clock that is behind by this much was set right, not back. */
#define TOLERANCE 120

/* A note is as good as new for so long; within one start of the computer it does not age. */
#define NOTE_AGE 60

#define TIME_LAST INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

struct note {
	int64_t wall;
	int64_t boot;
	char id[CLOCK_BOOT_ID_SIZE];
};

static bool note_parse(struct note *note, const struct buffer *value)
{
	char text[VALUE_MAX];
	int end = -1;

	if (value->size >= sizeof text || memchr(value->data, '\0', value->size) != NULL)
		return false;
	memcpy(text, value->data, value->size);
	text[value->size] = '\0';
	if (sscanf(text, "1 %15" SCNd64 " %15" SCNd64 " %36s%n", &note->wall, &note->boot,
		note->id, &end) != 3)
		return false;
	return (size_t)end == value->size && note->wall >= 0 && note->wall <= TIME_LAST &&
	       note->boot >= 0;
}

static int note_load(struct rh_store *store, struct note *ret, bool *ret_known, rh_error *error)
{
	struct buffer value = {0};
	int code = store_value_get(store->store, VALUE, &value, error);

	*ret_known = code == RH_OK && value.size > 0;
	if (*ret_known && !note_parse(ret, &value))
		code = error_set(error, RH_E_STORE_DAMAGED,
		    "the time that the store in %s keeps is malformed", store->directory);
	buffer_free(&value);
	return code;
}

/* At least so many seconds have passed since the note. */
static int64_t elapsed(const struct note *note)
{
	char id[CLOCK_BOOT_ID_SIZE];
	int64_t boot = clock_boot();

	clock_boot_id(id);
	/* An unknown start: if it is another one, still more time has passed. */
	if (id[0] == '\0' || strcmp(note->id, "-") == 0)
		return boot >= note->boot ? boot - note->boot : boot;
	if (strcmp(note->id, id) == 0)
		return boot >= note->boot ? boot - note->boot : 0;
	return boot;
}

int moment_now(struct rh_store *store, struct license_moment *ret, rh_error *error)
{
	int64_t now = clock_now(), reached = 0;
	const struct jose_key *key;
	struct note note;
	bool known;
	int code;

	code = computer_license_key(store->computer, &key, error);
	if (code == RH_OK)
		code = note_load(store, &note, &known, error);
	if (code != RH_OK)
		return code;
	if (known)
		reached = note.wall + elapsed(&note);
	ret->set_back = known && now < reached - TOLERANCE;
	now = now > reached ? now : reached;
	ret->now = now < TIME_LAST ? now : TIME_LAST;
	ret->computer = jose_key_thumbprint(key);
	return RH_OK;
}

int moment_note(struct rh_store *store, const struct license_moment *moment, rh_error *error)
{
	char id[CLOCK_BOOT_ID_SIZE], text[VALUE_MAX];
	int size;

	clock_boot_id(id);
	size = snprintf(text, sizeof text, "1 %" PRId64 " %" PRId64 " %s", moment->now,
	    clock_boot(), id[0] != '\0' ? id : "-");
	return store_value_set(store->store, VALUE, text, (size_t)size, error);
}

int moment_due(
    struct rh_store *store, const struct license_moment *moment, bool *ret, rh_error *error)
{
	struct note note;
	bool known;
	int code = note_load(store, &note, &known, error);

	if (code == RH_OK)
		*ret = !known || moment->now - note.wall > NOTE_AGE;
	return code;
}
