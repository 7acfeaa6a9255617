#include <stdio.h>
#include <string.h>

#include "rehost/rehost.h"

#include "holds.h"
#include "signed.h"
#include "signed_seen.h"

#define SWORN                                                                                  \
	(BIT(COUNTED) | BIT(PERIODIC) | BIT(PLAIN) | BIT(MANAGED) | BIT(RESTRICTED) |          \
	    BIT(EXPIRED))

/* Uses of COUNTED since the folder was made. */
static struct {
	unsigned reported; /* that a call said were spent */
	unsigned tried;
	unsigned seen; /* in the store, when it was last looked at */
	int64_t ends; /* of PERIODIC; 0: not begun */
} tally;

void signed_forget(void)
{
	memset(&tally, 0, sizeof tally);
}

/* ---- Events ---- */

/* A licence that is left out for what it says, and not for what failed. */
static bool is_refused_by_right(const rh_event *event)
{
	const char *id = event->license != NULL ? event->license->id : "";

	switch (event->code) {
	case RH_E_RESTRICTED:
		return strcmp(id, signed_names[RESTRICTED]) == 0;
	case RH_E_LICENSE_EXPIRED:
		return strcmp(id, signed_names[EXPIRED]) == 0;
	case RH_E_INDIVIDUALIZE:
		return event->type == RH_EVENT_NEEDS_INDIVIDUALIZATION ||
		       strcmp(id, signed_names[MANAGED]) == 0;
	default:
		return event->code == RH_OK || event->code >= RH_S_ADDED;
	}
}

static int on_event(void *context, const rh_event *event)
{
	struct outcome *outcome = context;

	count_event(outcome, event->type == RH_EVENT_END, event->code);
	outcome->leaks += signed_leaks(event->text) || signed_leaks(event->next_step);
	if (event->type != RH_EVENT_END && outcome->refused.code == RH_OK &&
	    !is_refused_by_right(event)) {
		outcome->refused.code = event->code;
		snprintf(outcome->refused.text, sizeof outcome->refused.text, "refused: %.900s",
		    event->text);
	}
	return 0;
}

/* What is refused and should not be is what the call ends in. */
static void end_call(struct outcome *outcome)
{
	if (outcome->code != RH_OK || outcome->refused.code == RH_OK)
		return;
	outcome->error = outcome->refused;
	outcome->code = outcome->end_code = outcome->refused.code;
}

/* Answers that are false end in a code that nothing that fails may end in. */
static void expect(struct outcome *outcome, bool good, const char *what)
{
	if (outcome->code != RH_OK || good)
		return;
	outcome->code = outcome->error.code = RH_E_LICENSE_DAMAGED;
	snprintf(outcome->error.text, sizeof outcome->error.text, "%s", what);
}

/* ---- What is where ---- */

static bool say(char *why, size_t size, const char *what, const struct seen *seen)
{
	snprintf(why, size,
	    "%s: licences %#x, %u uses left (%u reported, %u tried), denied %#x, period ends "
	    "%lld, %u issuers",
	    what, seen->mask, (unsigned)seen->left, tally.reported, tally.tried, seen->denied,
	    (long long)seen->ends, seen->issuers);
	return false;
}

/* What holds for the store sworn whatever is done: looks at it, too. */
static bool sworn_holds(const char *place, unsigned before, unsigned after, enum ending ending,
    struct seen *seen, char *why, size_t size)
{
	rh_error error;
	bool counted;

	if (signed_look(place, "sworn", seen, &error) != RH_OK) {
		snprintf(why, size, "sworn: %.300s", error.text);
		return false;
	}
	if (seen->mask != after && (ending != FAILED || seen->mask != before))
		return say(why, size, "other licences", seen);
	counted = (seen->mask & (BIT(COUNTED) | BIT(LATER))) != 0;
	if (counted && (seen->left > SIGNED_GRANTED - SIGNED_SPENT - tally.reported ||
			   seen->left < SIGNED_GRANTED - SIGNED_SPENT - tally.tried))
		return say(why, size, "another count", seen);
	if (tally.ends != 0 && seen->ends != tally.ends)
		return say(why, size, "another end of the period", seen);
	return true;
}

static bool unchanged(
    const char *place, enum ending ending, struct seen *seen, char *why, size_t size)
{
	return sworn_holds(place, SWORN, SWORN, ending, seen, why, size);
}

/* ---- Adding ---- */

static int next_document(void *context, rh_document *ret, rh_error *error)
{
	unsigned *range = context;

	(void)error;
	if (range[0] == range[1])
		return 0;
	*ret = (rh_document){.data = signed_texts[range[0]],
	    .size = strlen(signed_texts[range[0]]),
	    .name = "made here"};
	range[0]++;
	return 1;
}

static void add(rh_store *store, unsigned first, unsigned end, struct outcome *outcome)
{
	rh_listener listener = {on_event, NULL, outcome};
	unsigned range[2] = {first, end};

	if (outcome->code != RH_OK)
		return;
	outcome->calls++;
	outcome->code = rh_add(store, next_document, range, &listener, NULL, &outcome->error);
	end_call(outcome);
}

void signed_add(const char *place, unsigned first, unsigned end, struct outcome *outcome)
{
	rh_store *store = signed_open(place, "sworn", 0, outcome);

	add(store, first, end, outcome);
	rh_store_close(store);
}

static void run_add(const char *place, struct outcome *outcome)
{
	signed_add(place, NEW_COUNTED, LATER + 1, outcome);
}

static bool holds_add(const char *place, enum ending ending, char *why, size_t size)
{
	struct seen seen;
	unsigned after =
	    (SWORN & ~BIT(COUNTED)) | BIT(NEW_COUNTED) | BIT(NEW_MANAGED) | BIT(LATER);

	return sworn_holds(place, SWORN, after, ending, &seen, why, size);
}

/* Removed, and added again: what was spent stays spent. */
static void run_again(const char *place, struct outcome *outcome)
{
	rh_store *store = signed_open(place, "sworn", 0, outcome);

	if (outcome->code == RH_OK) {
		outcome->code = rh_remove(store, signed_names[COUNTED], &outcome->error);
		if (outcome->code == RH_E_LICENSE_UNKNOWN)
			outcome->code = outcome->error.code = RH_OK;
	}
	add(store, COUNTED, COUNTED + 1, outcome);
	rh_store_close(store);
	if (outcome->ends > 0)
		outcome->end_code = outcome->code;
}

static bool holds_again(const char *place, enum ending ending, char *why, size_t size)
{
	struct seen seen;

	return sworn_holds(place, SWORN & ~BIT(COUNTED), SWORN, ending, &seen, why, size) ||
	       (ending == FAILED && unchanged(place, ending, &seen, why, size));
}

/* ---- Pins ---- */

static void run_pin(const char *place, struct outcome *outcome)
{
	rh_store *store = signed_open(place, "sworn", 0, outcome);
	char path[PATH_SIZE];

	join(path, place, "another.jwks");
	if (outcome->code == RH_OK)
		outcome->code =
		    rh_pin_add(store, RH_PIN_ISSUER, path, NULL, NULL, NULL, &outcome->error);
	if (outcome->code == RH_S_ALREADY_HERE)
		outcome->code = outcome->error.code = RH_OK;
	rh_store_close(store);
}

static bool holds_pin(const char *place, enum ending ending, char *why, size_t size)
{
	struct seen seen;

	if (!unchanged(place, ending, &seen, why, size))
		return false;
	if (seen.issuers == 2 ? seen.another
			      : ending == FAILED && seen.issuers == 1 && !seen.another)
		return true;
	return say(why, size, "another issuer is wrong", &seen);
}

/* ---- Using ---- */

static void run_use(const char *place, struct outcome *outcome)
{
	rh_store *store = signed_open(place, "sworn", 0, outcome);
	rh_use use = {.ends = RH_TIME_NONE};

	if (outcome->code == RH_OK) {
		tally.tried++;
		outcome->code =
		    rh_license_use(store, signed_names[COUNTED], "play", &use, &outcome->error);
		tally.reported += outcome->code == RH_OK;
		expect(outcome, use.remaining >= SIGNED_GRANTED - SIGNED_SPENT - tally.tried,
		    "more was spent than was asked for");
	}
	if (outcome->code == RH_OK) {
		outcome->code = rh_license_use(
		    store, signed_names[PERIODIC], "play", &use, &outcome->error);
		if (outcome->code == RH_OK && tally.ends == 0)
			tally.ends = use.ends;
		expect(outcome, use.ends == tally.ends, "the period ends at another time");
	}
	rh_store_close(store);
}

static bool holds_use(const char *place, enum ending ending, char *why, size_t size)
{
	unsigned before = tally.seen;
	struct seen seen;

	if (!unchanged(place, ending, &seen, why, size))
		return false;
	tally.seen = (unsigned)(SIGNED_GRANTED - SIGNED_SPENT - seen.left);
	if (seen.ends != 0)
		tally.ends = seen.ends;
	/* Each run asks for one use. */
	if (tally.seen > before + 1 || (ending != FAILED && tally.seen != before + 1))
		return say(why, size, "not one use was taken", &seen);
	return true;
}

static int check_rights(void *context, const rh_license *license, const rh_rights *rights)
{
	struct outcome *outcome = context;

	expect(outcome,
	    strcmp(license->id, signed_names[COUNTED]) == 0 && rights->known && rights->here &&
		rights->action_count == 1 && rights->actions[0].denied == 0 &&
		rights->actions[0].granted == SIGNED_GRANTED &&
		rights->actions[0].remaining == SIGNED_GRANTED - SIGNED_SPENT,
	    "other rights");
	return 0;
}

/* Everything that can be asked about a licence. */
static void ask(rh_store *store, struct outcome *outcome)
{
	rh_error *error = &outcome->error;
	struct outcome seen = {0};
	rh_license_state state = {0};
	unsigned denied = 0;

	outcome->code = signed_see_secret(store, COUNTED, error);
	if (outcome->code == RH_OK)
		outcome->code = signed_see_secret(store, MANAGED, error);
	if (outcome->code == RH_OK)
		outcome->code =
		    rh_query_action_allowed(store, signed_names[PLAIN], "play", &denied, error);
	expect(outcome, denied == 0, "denied");
	if (outcome->code == RH_OK)
		outcome->code = rh_query_action_allowed(
		    store, signed_names[EXPIRED], "play", &denied, error);
	expect(outcome, denied == RH_DENIED_EXPIRED, "not denied for its time");
	if (outcome->code == RH_OK)
		outcome->code =
		    rh_query_license_state(store, signed_names[COUNTED], "play", &state, error);
	expect(outcome,
	    state.category == RH_CATEGORY_COUNT &&
		state.counts[0] == SIGNED_GRANTED - SIGNED_SPENT,
	    "another count");
	if (outcome->code == RH_OK)
		outcome->code =
		    rh_license_rights(store, signed_names[COUNTED], check_rights, &seen, error);
	expect(outcome, seen.code == RH_OK, seen.error.text);
}

static void run_ask(const char *place, struct outcome *outcome)
{
	rh_store *store = signed_open(place, "sworn", 0, outcome);

	if (outcome->code == RH_OK)
		ask(store, outcome);
	rh_store_close(store);
}

static bool holds_ask(const char *place, enum ending ending, char *why, size_t size)
{
	struct seen seen;

	return unchanged(place, ending, &seen, why, size);
}

/* ---- Backing up and restoring ---- */

void signed_backup(const char *place, const char *stick, struct outcome *outcome)
{
	rh_backup_options options = RH_BACKUP_OPTIONS_INIT;
	rh_listener listener = {on_event, NULL, outcome};
	rh_store *store = signed_open(place, "sworn", 0, outcome);
	char path[PATH_SIZE];

	if (outcome->code != RH_OK)
		return;
	join(path, place, stick);
	options.overwrite = 1;
	outcome->calls++;
	outcome->code = rh_backup(store, path, &options, &listener, NULL, &outcome->error);
	end_call(outcome);
	rh_store_close(store);
}

static void run_backup(const char *place, struct outcome *outcome)
{
	signed_backup(place, "stick", outcome);
}

static bool holds_backup(const char *place, enum ending ending, char *why, size_t size)
{
	struct seen seen;

	return unchanged(place, ending, &seen, why, size) &&
	       stick_holds(place, "stick", signed_recovery, SIGNED_STICK, SIGNED_FULL, ending,
		   why, size);
}

/* Ends in RH_OK if nothing was refused but ${managed} licences, by their service. */
static void restore(
    rh_store *store, const char *path, unsigned managed, struct outcome *outcome)
{
	rh_open_options options = RH_OPEN_OPTIONS_INIT;
	rh_listener listener = {on_event, NULL, outcome};
	rh_summary summary = {0};

	if (outcome->code != RH_OK)
		return;
	options.recovery_key = signed_recovery;
	outcome->calls++;
	outcome->code = rh_restore(store, path, &options, &listener, &summary, &outcome->error);
	if (outcome->code == (managed > 0 ? RH_E_INDIVIDUALIZE : RH_OK)) {
		if (outcome->end_code == outcome->code)
			outcome->end_code = RH_OK;
		outcome->code = RH_OK;
	}
	end_call(outcome);
	expect(outcome, summary.failed == managed, "another number was refused");
}

static void run_restore(const char *place, struct outcome *outcome)
{
	rh_store *store;
	char path[PATH_SIZE];

	faults_be('b');
	store = signed_open(place, "second", RH_STORE_CREATE, outcome);
	join(path, place, "full");
	restore(store, path, 1, outcome);
	rh_store_close(store);
	faults_be('a');
}

static bool holds_restore(const char *place, enum ending ending, char *why, size_t size)
{
	struct seen seen;
	rh_error error;
	int code;

	faults_be('b');
	code = signed_look(place, "second", &seen, &error);
	faults_be('a');
	if (code != RH_OK) {
		snprintf(why, size, "second: %.300s", error.text);
		return false;
	}
	if (seen.mask == 0 ? ending != FAILED || seen.issuers != 0
			   : seen.mask != (BIT(COUNTED) | BIT(PERIODIC) | BIT(PLAIN)) ||
				 seen.issuers != 1 || seen.denied != RH_DENIED_SPENT)
		return say(why, size, "on the second computer", &seen);
	return stick_holds(
	    place, "full", signed_recovery, SIGNED_FULL, SIGNED_FULL, ending, why, size);
}

/* A backup from before the last use, after the licence was removed. */
static void run_old(const char *place, struct outcome *outcome)
{
	rh_store *store = signed_open(place, "sworn", 0, outcome);
	char path[PATH_SIZE];

	if (outcome->code == RH_OK) {
		outcome->code = rh_remove(store, signed_names[COUNTED], &outcome->error);
		if (outcome->code == RH_E_LICENSE_UNKNOWN)
			outcome->code = outcome->error.code = RH_OK;
	}
	join(path, place, "stick");
	restore(store, path, 0, outcome);
	rh_store_close(store);
	if (outcome->ends > 0)
		outcome->end_code = outcome->code;
}

static bool holds_old(const char *place, enum ending ending, char *why, size_t size)
{
	return holds_again(place, ending, why, size) &&
	       stick_holds(place, "stick", signed_recovery, SIGNED_STICK, SIGNED_STICK, ending,
		   why, size);
}

/* Public-key arithmetic takes its time, and thousands of allocations. */
#define STRIDE 17

const struct scenario signed_scenarios[] = {
    {"signed-add", false, run_add, holds_add, STRIDE},
    {"signed-again", false, run_again, holds_again, STRIDE},
    {"pin", false, run_pin, holds_pin, STRIDE},
    {"use", false, run_use, holds_use, STRIDE},
    {"ask", false, run_ask, holds_ask, STRIDE},
    {"signed-backup", false, run_backup, holds_backup, STRIDE},
    {"signed-restore", false, run_restore, holds_restore, STRIDE},
    {"restore-old", false, run_old, holds_old, STRIDE},
    {NULL, false, NULL, NULL, 0},
};
