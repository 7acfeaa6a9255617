#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/ledger_internal.h"

/* Release of lost computers: asked for, waiting, in effect. */

_Static_assert(RELEASE_WAITING == 0 && RELEASE_RELEASED == 1 && RELEASE_CANCELLED == 2,
    "statements have them as numbers");

/* ---- Taking effect ---- */

#define SETTLE_AT_ONCE 64
#define SETTLE_PLACES 1000 /* of others */

struct due {
	struct due_release {
		char computer[JOSE_THUMBPRINT_SIZE];
		int64_t effective;
	} releases[SETTLE_AT_ONCE];
	size_t count;
};

static int by_name(const void *a, const void *b)
{
	const struct due_release *left = a, *right = b;

	return strcmp(left->computer, right->computer);
}

static int on_due(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct due *due = context;

	(void)index;
	(void)error;
	if (due->count == SETTLE_AT_ONCE)
		return RH_OK;
	row_copy(due->releases[due->count].computer, JOSE_THUMBPRINT_SIZE, row, 0);
	due->releases[due->count++].effective = row_integer(row, 1);
	return RH_OK;
}

int settle_one(struct change *change, const char *computer, int64_t effective, rh_error *error)
{
	static const struct statement state = {"ledger_settle",
	    "UPDATE releases SET state = 1 WHERE computer = $1 AND state = 0"
	    " AND effective <= $2",
	    2, "ti"};
	static const struct statement slots = {"ledger_settle_slots",
	    "UPDATE slots SET released = $2 WHERE computer = $1 AND released IS NULL", 2, "ti"};
	static const struct statement originals = {"ledger_settle_originals",
	    "UPDATE originals SET released = $2 WHERE (license_key = $1 OR computer = $1)"
	    " AND released IS NULL",
	    2, "ti"};
	const struct value values[] = {value_text(computer), value_integer(effective)};
	int code;

	code = database_query(change->connection, &state, values, NULL, NULL, error);
	if (code != RH_OK || connection_changes(change->connection) == 0)
		return code; /* somebody else was first */
	code = database_query(change->connection, &slots, values, NULL, NULL, error);
	if (code == RH_OK) {
		change->settled += connection_changes(change->connection);
		code =
		    database_query(change->connection, &originals, values, NULL, NULL, error);
	}
	if (code == RH_OK)
		code = change_note(change, "released", computer,
		    json_pack(
			"{s:s, s:I}", "computer", computer, "effective", (json_int_t)effective),
		    error);
	return code;
}

/* In the order of names, so that two that settle do not wait for each other. */
int settle(
    struct change *change, const char *computer, const char *license_key, rh_error *error)
{
	static const struct statement select = {"ledger_due",
	    "SELECT computer, effective FROM releases"
	    " WHERE computer IN ($2, $3) AND state = 0 AND effective <= $1"
	    " UNION SELECT computer, effective FROM (SELECT computer, effective FROM releases"
	    " WHERE state = 0 AND effective <= $1 ORDER BY effective LIMIT 62) AS due",
	    3, "itt"};
	struct due due = {.count = 0};
	int code = database_query(change->connection, &select,
	    (const struct value[]){
		value_integer(change->now), value_text(computer), value_text(license_key)},
	    on_due, &due, error);

	qsort(due.releases, due.count, sizeof *due.releases, by_name);
	for (size_t i = 0; code == RH_OK && i < due.count; i++) {
		const struct due_release *release = &due.releases[i];

		if (change->settled < SETTLE_PLACES ||
		    strcmp(release->computer, computer) == 0 ||
		    strcmp(release->computer, license_key) == 0)
			code = settle_one(change, release->computer, release->effective, error);
	}
	return code;
}

int settle_holders(struct change *change, struct items *items, rh_error *error)
{
	int code = RH_OK;

	for (size_t i = 0; i < items->count; i++) {
		struct count *count = &items->items[i].count;

		for (size_t k = 0; k < count->holder_count && code == RH_OK; k++) {
			struct holder *holder = &count->holders[k];

			if (holder->released != LICENSE_TIME_NONE ||
			    !holder_gone(holder->released, holder->releasing, change->now))
				continue;
			code = settle_one(change, holder->computer, holder->releasing, error);
			holder->released = holder->releasing;
		}
	}
	return code;
}

/* ---- Whose it is ---- */

struct target {
	const struct ledger_release *release;
	char computer[JOSE_THUMBPRINT_SIZE]; /* under which the release is kept */
	char license_key[JOSE_THUMBPRINT_SIZE]; /* that it was asked for by, or is stated; "" */
	char keeper[JOSE_THUMBPRINT_SIZE]; /* release key that the ledger knows; "" */
	bool known; /* came here */
	bool original; /* known as the original of something */
	int64_t effective; /* of the release that waits, or took effect last */
	int64_t state;
	bool asked; /* there is one */
	int64_t result_effective;
	enum release_state result;
};

static int on_computer(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct target *target = context;

	(void)index;
	(void)error;
	target->known = true;
	row_copy(target->computer, sizeof target->computer, row, 0);
	row_copy(target->keeper, sizeof target->keeper, row, 1);
	row_copy(target->license_key, sizeof target->license_key, row, 2);
	return RH_OK;
}

static int on_owner(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct target *target = context;

	(void)index;
	(void)error;
	target->original = true;
	row_copy(target->keeper, sizeof target->keeper, row, 0);
	if (*row_text(row, 1) != '\0')
		row_copy(target->computer, sizeof target->computer, row, 1);
	return RH_OK;
}

/* By its name here, or by its licence key: then under its name here, if it ever came. */
static int find_target(struct change *change, struct target *target, rh_error *error)
{
	static const struct statement computers = {"ledger_target",
	    "SELECT computer, release, COALESCE((SELECT o.license_key FROM originals o"
	    " WHERE o.license_key = $2 AND o.computer = computers.computer), '')"
	    " FROM computers WHERE computer = $1 FOR UPDATE",
	    2, "tt"};
	static const struct statement originals = {"ledger_target_original",
	    "SELECT release, computer FROM originals WHERE license_key = $1", 1, "t"};
	static const struct statement licenses = {"ledger_target_license",
	    "SELECT 1 FROM licenses WHERE original = $1 LIMIT 1", 1, "t"};
	const char *asked = target->release->computer;
	const char *stated = target->release->owner_license_key;
	const struct value values[] = {
	    value_text(asked), value_text(stated != NULL ? stated : "")};
	int code;

	snprintf(target->computer, sizeof target->computer, "%s", asked);
	code =
	    database_query(change->connection, &computers, values, on_computer, target, error);
	if (code != RH_OK || target->known)
		return code;
	snprintf(target->license_key, sizeof target->license_key, "%s", asked);
	code = database_query(change->connection, &originals, values, on_owner, target, error);
	if (code == RH_OK && !target->original)
		code = database_query(
		    change->connection, &licenses, values, row_there, &target->original, error);
	return code;
}

static bool same(const char *a, const char *b)
{
	return a != NULL && b != NULL && *a != '\0' && strcmp(a, b) == 0;
}

static enum problem check_proof(const struct target *target)
{
	const struct ledger_release *release = target->release;
	bool stated = same(target->license_key, release->owner_license_key);

	if (!target->known && !target->original && (release->release == NULL || !stated))
		return PROBLEM_RELEASE_UNKNOWN;
	if (release->release == NULL || same(target->keeper, release->release))
		return PROBLEM_NONE;
	if (stated && same(release->owner_release, release->release))
		return PROBLEM_NONE;
	if (!target->known && *target->keeper == '\0' && !stated)
		return PROBLEM_RELEASE_UNKNOWN;
	return PROBLEM_RELEASE_PROOF;
}

/* ---- Asking ---- */

static int on_last(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct target *target = context;

	(void)index;
	(void)error;
	target->asked = true;
	target->state = row_integer(row, 0);
	target->effective = row_integer(row, 1);
	return RH_OK;
}

/*
 * How long it has to wait: the longest that a policy asks for of the licences that it holds, of
 * any licence while none is known that an original was issued.
 */
static int find_wait(
    struct change *change, const struct target *target, int64_t *ret, rh_error *error)
{
	static const struct statement service = {"ledger_wait",
	    "SELECT release_wait FROM policies WHERE scope = 0 AND release_wait IS NOT NULL", 0,
	    ""};
	static const struct statement held = {"ledger_wait_held",
	    "WITH o AS (SELECT license_key FROM originals"
	    " WHERE (computer = $1 OR license_key = $2) AND released IS NULL)"
	    " SELECT COALESCE(MAX(wait), $3) FROM ("
	    "SELECT COALESCE(p.release_wait, i.release_wait, $3) AS wait FROM ("
	    "SELECT l.license, l.issuer FROM slots s JOIN licenses l"
	    " ON l.number = s.license_number WHERE s.computer = $1 AND s.released IS NULL"
	    " UNION SELECT l.license, l.issuer FROM o JOIN licenses l"
	    " ON l.original = o.license_key"
	    ") h LEFT JOIN policies p ON p.scope = 2 AND p.subject = h.license"
	    " LEFT JOIN policies i ON i.scope = 1 AND i.subject = h.issuer"
	    " UNION SELECT release_wait"
	    " FROM (SELECT release_wait FROM policies UNION SELECT $3) a"
	    " WHERE EXISTS (SELECT 1 FROM o LEFT JOIN licenses l"
	    " ON l.original = o.license_key WHERE l.number IS NULL)) w",
	    3, "tti"};
	int64_t wait = LEDGER_RELEASE_WAIT_DEFAULT;
	int code = database_query(change->connection, &service, NULL, row_first, &wait, error);

	if (code != RH_OK)
		return code;
	return database_query(change->connection, &held,
	    (const struct value[]){value_text(target->computer),
		value_text(target->license_key), value_integer(wait)},
	    row_first, ret, error);
}

/* The original without a row gets one, to be marked when the time comes. */
static int keep_original(struct change *change, const struct target *target, rh_error *error)
{
	static const struct statement put = {"ledger_release_original",
	    "INSERT INTO originals (license_key) VALUES ($1)"
	    " ON CONFLICT (license_key) DO NOTHING",
	    1, "t"};

	if (target->known || strcmp(target->computer, target->license_key) != 0)
		return RH_OK;
	return database_query(change->connection, &put,
	    (const struct value[]){value_text(target->license_key)}, NULL, NULL, error);
}

static int ask(struct change *change, struct target *target, rh_error *error)
{
	static const struct statement insert = {"ledger_release",
	    "INSERT INTO releases (computer, requested, effective, state, actor)"
	    " VALUES ($1, $2, $3, 0, $4) ON CONFLICT (computer, requested) DO UPDATE"
	    " SET effective = excluded.effective, state = 0, actor = excluded.actor",
	    4, "tiit"};
	const char *actor = target->release->actor;
	int64_t wait = 0;
	int code = keep_original(change, target, error);

	if (code == RH_OK)
		code = find_wait(change, target, &wait, error);
	target->result_effective = change->now + wait;
	if (code == RH_OK)
		code = database_query(change->connection, &insert,
		    (const struct value[]){value_text(target->computer),
			value_integer(change->now), value_integer(target->result_effective),
			value_text(actor)},
		    NULL, NULL, error);
	if (code == RH_OK)
		code = change_note(change, "release", actor,
		    json_pack("{s:s, s:I}", "computer", target->computer, "effective",
			(json_int_t)target->result_effective),
		    error);
	target->result = wait == 0 ? RELEASE_RELEASED : RELEASE_WAITING;
	if (code == RH_OK && wait == 0)
		code = settle_one(change, target->computer, change->now, error);
	return code;
}

static int cancel(struct change *change, struct target *target, rh_error *error)
{
	static const struct statement update = {"ledger_release_cancel",
	    "UPDATE releases SET state = 2 WHERE computer = $1 AND state = 0", 1, "t"};
	int code = database_query(change->connection, &update,
	    (const struct value[]){value_text(target->computer)}, NULL, NULL, error);

	target->result = RELEASE_CANCELLED;
	target->result_effective = target->effective;
	if (code == RH_OK)
		code = change_note(change, "release-cancelled", target->release->actor,
		    json_pack("{s:s}", "computer", target->computer), error);
	return code;
}

/* Whether anything is left to be released under its names. */
static int find_held(
    struct change *change, const struct target *target, bool *ret, rh_error *error)
{
	static const struct statement select = {"ledger_held",
	    "SELECT 1 FROM slots WHERE computer = $1 AND released IS NULL"
	    " UNION SELECT 1 FROM originals WHERE (computer = $1 OR license_key = $2)"
	    " AND released IS NULL",
	    2, "tt"};

	*ret = false;
	return database_query(change->connection, &select,
	    (const struct value[]){
		value_text(target->computer), value_text(target->license_key)},
	    row_there, ret, error);
}

static int decide_release(struct change *change, struct target *target, rh_error *error)
{
	static const struct statement select = {"ledger_release_last",
	    "SELECT state, effective FROM releases WHERE computer = $1"
	    " ORDER BY (state = 0) DESC, requested DESC LIMIT 1",
	    1, "t"};
	bool held = false, waits;
	int code = database_query(change->connection, &select,
	    (const struct value[]){value_text(target->computer)}, on_last, target, error);

	if (code == RH_OK)
		code = find_held(change, target, &held, error);
	if (code != RH_OK)
		return code;
	waits = target->asked && target->state == RELEASE_WAITING;
	if (target->release->cancel && waits)
		return cancel(change, target, error);
	if (!target->release->cancel && !waits &&
	    !(target->asked && target->state == RELEASE_RELEASED && !held))
		return ask(change, target, error);
	/* It stands as it is. */
	target->result = target->asked ? (enum release_state)target->state : RELEASE_CANCELLED;
	target->result_effective = target->asked ? target->effective : LICENSE_TIME_NONE;
	return RH_OK;
}

static int release_work(struct change *change, void *context, rh_error *error)
{
	struct target *target = context;
	const struct ledger_release *release = target->release;
	int code;

	*target = (struct target){.release = release};
	code = head_compare(change, NULL, error);
	if (code == RH_OK && change->problem == PROBLEM_NONE && release->nonce != NULL)
		code = change_nonce(change, release->nonce, error);
	if (code == RH_OK && change->problem == PROBLEM_NONE)
		code = find_target(change, target, error);
	if (code == RH_OK && change->problem == PROBLEM_NONE)
		code = settle(change, target->computer, target->license_key, error);
	if (code != RH_OK || change->problem != PROBLEM_NONE)
		return code;
	change->problem = check_proof(target);
	if (change->problem != PROBLEM_NONE)
		return RH_OK;
	return decide_release(change, target, error);
}

int ledger_release(struct ledger *ledger, int64_t now, const struct ledger_release *release,
    enum release_state *ret_state, int64_t *ret_effective, enum problem *ret_problem,
    struct head *ret_head, rh_error *error)
{
	struct target target = {.release = release};
	enum problem problem;
	int code =
	    change_run(ledger, now, false, release_work, &target, &problem, ret_head, error);

	if (code != RH_OK)
		return code;
	if (problem == PROBLEM_NONE) {
		*ret_state = target.result;
		*ret_effective = target.result_effective;
	}
	*ret_problem = problem;
	return RH_OK;
}
