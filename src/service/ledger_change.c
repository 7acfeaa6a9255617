#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "crypto/jsontext.h"

#include "service/ledger_internal.h"
#include "service/nonces.h"

/* Transactions of the ledger: again and again until no other was in the way. */

static void change_free(struct change *change)
{
	for (size_t i = 0; i < change->entry_count; i++) {
		free(change->entries[i].actor);
		free(change->entries[i].body);
	}
	free(change->entries);
}

static int run_work(
    struct change *change, bool writing, change_work work, void *context, rh_error *error)
{
	int code = connection_begin(change->connection, error);

	if (code == RH_OK)
		code = work(change, context, error);
	if (!writing || code != RH_OK || change->problem != PROBLEM_NONE || change->quiet)
		return code;
	code = log_append(change, error);
	if (code == RH_OK && change->problem == PROBLEM_NONE)
		code = connection_commit(change->connection, error);
	return code;
}

static int run_once(
    struct change *change, bool writing, change_work work, void *context, rh_error *error)
{
	int code;

	code = database_take(change->ledger->database, writing, &change->connection, error);
	if (code != RH_OK)
		return code;
	code = run_work(change, writing, work, context, error);
	database_give(change->connection); /* rolls back what was not committed */
	change->connection = NULL;
	change_free(change);
	if (code == RH_OK && change->rolled_back)
		code = head_note_rolled_back(change->ledger, &change->seen, error);
	return code;
}

static void pause_a_little(unsigned tries)
{
	uint8_t random = 0;
	struct timespec time = {0, 0};

	random_bytes(&random, sizeof random, NULL);
	time.tv_nsec = (long)(random + 1) * 10000 * (long)tries;
	nanosleep(&time, NULL);
}

static int run(struct change *model, bool writing, change_work work, void *context,
    enum problem *ret_problem, struct head *ret_head, rh_error *error)
{
	struct change change;
	int code;

	for (unsigned tries = 1;; tries++) {
		change = *model;
		code = run_once(&change, writing, work, context, error);
		if (code != RH_E_DATABASE_CONFLICT)
			break;
		if (tries == LEDGER_TRIES)
			return error_set(error, RH_E_DATABASE,
			    "the ledger is changed by so many at once that there was no turn");
		pause_a_little(tries);
	}
	if (code != RH_OK)
		return code;
	if (ret_problem != NULL)
		*ret_problem = change.problem;
	if (ret_head != NULL)
		*ret_head = change.head;
	error_clear(error); /* of a try before */
	return RH_OK;
}

int change_run(struct ledger *ledger, int64_t now, bool resolves, change_work work,
    void *context, enum problem *ret_problem, struct head *ret_head, rh_error *error)
{
	struct change change = {.ledger = ledger, .now = now, .resolves = resolves};

	return run(&change, true, work, context, ret_problem, ret_head, error);
}

int reading_run(struct ledger *ledger, int64_t now, change_work work, void *context,
    enum problem *ret_problem, struct head *ret_head, rh_error *error)
{
	struct change change = {.ledger = ledger, .now = now};

	return run(&change, false, work, context, ret_problem, ret_head, error);
}

int change_admin(
    struct ledger *ledger, int64_t now, change_work work, void *context, rh_error *error)
{
	enum problem problem = PROBLEM_NONE;
	int code = change_run(ledger, now, false, work, context, &problem, NULL, error);

	if (code == RH_OK && problem == PROBLEM_ROLLED_BACK)
		code = error_set(error, RH_E_SERVICE_ROLLED_BACK,
		    "the ledger was put back to an old copy and changes nothing until that is "
		    "resolved");
	return code;
}

/* ---- What a transaction does ---- */

static int entries_grow(struct change *change, rh_error *error)
{
	size_t capacity = change->entry_capacity == 0 ? 4 : 2 * change->entry_capacity;
	struct entry *entries;

	if (change->entry_count < change->entry_capacity)
		return RH_OK;
	entries = realloc(change->entries, capacity * sizeof *entries);
	if (entries == NULL)
		return error_memory(error);
	change->entries = entries;
	change->entry_capacity = capacity;
	return RH_OK;
}

int change_note(
    struct change *change, const char *kind, const char *actor, json_t *body, rh_error *error)
{
	struct entry entry = {.kind = kind, .actor = strdup(actor)};
	struct buffer text = {0};
	int code = entry.actor == NULL ? error_memory(error) : entries_grow(change, error);

	if (code == RH_OK)
		code = jsontext_write(body, &text, error);
	if (code == RH_OK)
		code = buffer_append(&text, "", 1, error);
	json_decref(body);
	if (code != RH_OK) {
		free(entry.actor);
		buffer_free(&text);
		return code;
	}
	entry.body = (char *)text.data;
	change->entries[change->entry_count++] = entry;
	return RH_OK;
}

int change_nonce(struct change *change, const char *nonce, rh_error *error)
{
	static const struct statement insert = {"ledger_nonce",
	    "INSERT INTO nonces (nonce, expires) VALUES ($1, $2)"
	    " ON CONFLICT (nonce) DO NOTHING",
	    2, "ti"};
	const struct value values[] = {
	    value_text(nonce), value_integer(change->now + 2 * (int64_t)NONCE_LIFE)};
	int code = database_query(change->connection, &insert, values, NULL, NULL, error);

	if (code == RH_OK && connection_changes(change->connection) == 0)
		change->problem = PROBLEM_NONCE_USED;
	return code;
}

/* ---- Small ---- */

struct value value_time(int64_t time)
{
	return time == LICENSE_TIME_NONE ? value_null() : value_integer(time);
}

int64_t row_time(const struct row *row, unsigned column)
{
	return row_is_null(row, column) ? LICENSE_TIME_NONE : row_integer(row, column);
}

void row_copy(char *target, size_t size, const struct row *row, unsigned column)
{
	snprintf(target, size, "%s", row_text(row, column));
}

int row_first(void *context, size_t index, const struct row *row, rh_error *error)
{
	int64_t *integer = context;

	(void)index;
	(void)error;
	*integer = row_integer(row, 0);
	return RH_OK;
}

int row_there(void *context, size_t index, const struct row *row, rh_error *error)
{
	bool *there = context;

	(void)index;
	(void)row;
	(void)error;
	*there = true;
	return RH_OK;
}

void policy_row(struct policy *policy, const struct row *row, unsigned column)
{
	int64_t *members[] = {&policy->computers, &policy->period, &policy->period_computers,
	    &policy->cooldown, &policy->release_wait};

	for (unsigned i = 0; i < sizeof members / sizeof *members; i++)
		*members[i] =
		    row_is_null(row, column + i) ? POLICY_UNSET : row_integer(row, column + i);
}

enum problem problem_named(const char *code)
{
	for (int i = PROBLEM_NONE + 1; i < PROBLEM_COUNT; i++)
		if (strcmp(problem_code((enum problem)i), code) == 0)
			return (enum problem)i;
	return PROBLEM_NONE;
}

void license_row(struct ledger_license *ret, const struct row *row, unsigned column)
{
	memset(ret, 0, sizeof *ret);
	row_copy(ret->key, sizeof ret->key, row, column);
	row_copy(ret->issuer, sizeof ret->issuer, row, column + 1);
	row_copy(ret->id, sizeof ret->id, row, column + 2);
	row_copy(ret->title, sizeof ret->title, row, column + 3);
	row_copy(ret->service, sizeof ret->service, row, column + 4);
	row_copy(ret->original, sizeof ret->original, row, column + 5);
	ret->computers = (uint32_t)row_integer(row, column + 6);
	ret->issued = row_time(row, column + 7);
	/* "" of one that was blocked before it was seen: no digest. */
	if (!text_unhex(row_text(row, column + 8), ret->digest, sizeof ret->digest))
		memset(ret->digest, 0, sizeof ret->digest);
}

void base64url(char *text, const void *bytes, size_t size)
{
	base64_encode(text, bytes, size, BASE64_URL | BASE64_NO_PAD);
}
