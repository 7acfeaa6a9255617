#include <string.h>

#include "service/ledger_internal.h"

/* Computers that are here: individualization, and what they say about themselves. */

static const char *text_or_empty(const char *text)
{
	return text != NULL ? text : "";
}

/* ---- Its row ---- */

struct known {
	bool there;
	char name[MESSAGE_NAME_MAX * 4 + 1];
	char release[JOSE_THUMBPRINT_SIZE];
};

static int on_known(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct known *known = context;

	(void)index;
	(void)error;
	known->there = true;
	row_copy(known->name, sizeof known->name, row, 0);
	row_copy(known->release, sizeof known->release, row, 1);
	return RH_OK;
}

/* Locks the row as well. */
static int insert(struct change *change, const char *computer, bool *ret_new, rh_error *error)
{
	static const struct statement insert_new = {"ledger_computer_new",
	    "INSERT INTO computers (computer, enrolled, last_seen) VALUES ($1, $2, $2)"
	    " ON CONFLICT (computer) DO NOTHING",
	    2, "ti"};
	static const struct statement seen = {"ledger_computer_seen",
	    "UPDATE computers SET last_seen = $2 WHERE computer = $1", 2, "ti"};
	const struct value values[] = {value_text(computer), value_integer(change->now)};
	int code = database_query(change->connection, &insert_new, values, NULL, NULL, error);

	if (code != RH_OK)
		return code;
	*ret_new = connection_changes(change->connection) > 0;
	if (*ret_new)
		return RH_OK;
	return database_query(change->connection, &seen, values, NULL, NULL, error);
}

int visit_enter(struct change *change, const char *computer, const char *name,
    const char *release, struct visit *ret, rh_error *error)
{
	static const struct statement select = {"ledger_computer",
	    "SELECT name, release FROM computers WHERE computer = $1", 1, "t"};
	static const struct statement update = {"ledger_computer_set",
	    "UPDATE computers SET name = $2, release = $3 WHERE computer = $1", 3, "ttt"};
	struct known known = {0};
	bool named, keyed;
	int code = insert(change, computer, &ret->changed, error);

	if (code != RH_OK || (name == NULL && release == NULL))
		return code;
	code = database_query(change->connection, &select,
	    (const struct value[]){value_text(computer)}, on_known, &known, error);
	if (code != RH_OK)
		return code;
	named = name != NULL && strcmp(name, known.name) != 0;
	keyed = release != NULL && *known.release == '\0'; /* set once */
	if (!named && !keyed)
		return RH_OK;
	ret->changed = true;
	return database_query(change->connection, &update,
	    (const struct value[]){value_text(computer), value_text(named ? name : known.name),
		value_text(keyed ? release : known.release)},
	    NULL, NULL, error);
}

/* ---- What it proves ---- */

struct original {
	bool there;
	char computer[JOSE_THUMBPRINT_SIZE];
	bool released;
};

static int on_original(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct original *original = context;

	(void)index;
	(void)error;
	original->there = true;
	row_copy(original->computer, sizeof original->computer, row, 0);
	original->released = !row_is_null(row, 1);
	return RH_OK;
}

/*
 * From now on the computer is known for the original without its claim.  What it was charged
 * before it proved itself comes free.
 */
static int set_original(
    struct change *change, const char *computer, const char *claim, rh_error *error)
{
	static const struct statement put = {"ledger_original_put",
	    "INSERT INTO originals (license_key, computer) VALUES ($1, $2)"
	    " ON CONFLICT (license_key) DO UPDATE SET computer = excluded.computer"
	    " WHERE originals.computer = ''",
	    2, "tt"};
	static const struct statement free_slots = {"ledger_original_slots",
	    "UPDATE slots SET released = $3 WHERE computer = $2 AND released IS NULL"
	    " AND license_number IN (SELECT l.number FROM slots s JOIN licenses l"
	    " ON l.number = s.license_number WHERE s.computer = $2 AND l.original = $1)",
	    3, "tti"};
	const struct value values[] = {
	    value_text(claim), value_text(computer), value_integer(change->now)};
	int code = database_query(change->connection, &put, values, NULL, NULL, error);

	if (code == RH_OK && connection_changes(change->connection) == 0)
		return RH_OK; /* another one was first */
	if (code == RH_OK)
		code =
		    database_query(change->connection, &free_slots, values, NULL, NULL, error);
	if (code == RH_OK)
		code = change_note(change, "original", computer,
		    json_pack("{s:s}", "licence_key", claim), error);
	return code;
}

static int keep_owner(
    struct change *change, const struct ledger_visitor *visitor, rh_error *error)
{
	static const struct statement put = {"ledger_owner",
	    "INSERT INTO originals (license_key, release) VALUES ($1, $2)"
	    " ON CONFLICT (license_key) DO UPDATE SET release = excluded.release"
	    " WHERE originals.release = ''",
	    2, "tt"};

	if (visitor->owner_license_key == NULL || visitor->owner_release == NULL)
		return RH_OK;
	return database_query(change->connection, &put,
	    (const struct value[]){
		value_text(visitor->owner_license_key), value_text(visitor->owner_release)},
	    NULL, NULL, error);
}

int visit_claim(struct change *change, const struct ledger_visitor *visitor, rh_error *error)
{
	static const struct statement select = {"ledger_original",
	    "SELECT computer, released FROM originals WHERE license_key = $1 FOR UPDATE", 1,
	    "t"};
	struct original original = {0};
	int code = keep_owner(change, visitor, error);

	if (code != RH_OK || visitor->claim == NULL)
		return code;
	code = database_query(change->connection, &select,
	    (const struct value[]){value_text(visitor->claim)}, on_original, &original, error);
	/*
	 * One licence key stands for one computer: whoever holds it could sign claims for any
	 * number of others.
	 */
	if (code != RH_OK || original.released || original.computer[0] != '\0')
		return code;
	return set_original(change, visitor->computer, visitor->claim, error);
}

/* ---- Its release ---- */

static const char *claim_of(const struct ledger_visitor *visitor)
{
	return visitor->claim != NULL ? visitor->claim : visitor->computer;
}

int visit_pending(
    struct change *change, const struct ledger_visitor *visitor, bool *ret, rh_error *error)
{
	static const struct statement select = {"ledger_release_pending",
	    "SELECT 1 FROM releases WHERE computer IN ($1, $2) AND state = 0"
	    " AND effective > $3",
	    3, "tti"};

	*ret = false;
	return database_query(change->connection, &select,
	    (const struct value[]){value_text(visitor->computer), value_text(claim_of(visitor)),
		value_integer(change->now)},
	    row_there, ret, error);
}

int visit_cancel(struct change *change, const struct ledger_visitor *visitor, rh_error *error)
{
	static const struct statement update = {"ledger_release_call_off",
	    "UPDATE releases SET state = 2 WHERE computer IN ($1, $2) AND state = 0"
	    " AND effective > $3",
	    3, "tti"};
	int code = database_query(change->connection, &update,
	    (const struct value[]){value_text(visitor->computer), value_text(claim_of(visitor)),
		value_integer(change->now)},
	    NULL, NULL, error);

	if (code == RH_OK && connection_changes(change->connection) > 0)
		code = change_note(change, "release-cancelled", visitor->computer,
		    json_pack(
			"{s:s, s:s}", "computer", visitor->computer, "why", "it showed up"),
		    error);
	return code;
}

static int seen(struct change *change, void *context, rh_error *error)
{
	const struct ledger_visitor *visitor = context;
	int code = head_compare(change, visitor->head, error);

	if (code == RH_OK && change->problem == PROBLEM_NONE)
		code = visit_cancel(change, visitor, error);
	return code;
}

int visit_seen(struct ledger *ledger, int64_t now, const struct ledger_visitor *visitor,
    enum problem *ret_problem, struct head *ret_head, rh_error *error)
{
	struct ledger_visitor copy = *visitor;

	return change_run(ledger, now, false, seen, &copy, ret_problem, ret_head, error);
}

/* ---- Individualization ---- */

struct enrolling {
	const char *computer;
	const char *name;
	const char *release;
	const char *nonce;
};

static int enroll(struct change *change, void *context, rh_error *error)
{
	const struct enrolling *enrolling = context;
	const struct ledger_visitor visitor = {.computer = enrolling->computer};
	struct visit visit = {0};
	int code = head_compare(change, NULL, error);

	if (code == RH_OK && change->problem == PROBLEM_NONE)
		code = change_nonce(change, enrolling->nonce, error);
	if (code != RH_OK || change->problem != PROBLEM_NONE)
		return code;
	code = visit_enter(
	    change, enrolling->computer, enrolling->name, enrolling->release, &visit, error);
	if (code == RH_OK)
		code = settle(change, enrolling->computer, "", error);
	if (code == RH_OK)
		code = visit_cancel(change, &visitor, error);
	if (code == RH_OK && visit.changed)
		code = change_note(change, "enroll", enrolling->computer,
		    json_pack("{s:s, s:s, s:s}", "computer", enrolling->computer, "name",
			text_or_empty(enrolling->name), "release",
			text_or_empty(enrolling->release)),
		    error);
	return code;
}

int ledger_enroll(struct ledger *ledger, int64_t now, const char *computer, const char *name,
    const char *release, const char *nonce, enum problem *ret_problem, struct head *ret_head,
    rh_error *error)
{
	struct enrolling enrolling = {computer, name, release, nonce};

	return change_run(ledger, now, false, enroll, &enrolling, ret_problem, ret_head, error);
}
