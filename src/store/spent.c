#include <stdio.h>
#include <string.h>

#include "store/internal.h"

/* What removed licences had spent: sealed states by the names of store_spent_name. */

/* Neither an issuer's name nor an id holds a line feed. */
void store_spent_name(char text[STORE_SPENT_SIZE], const struct license *facts)
{
	bool proves = license_format_signed(facts->format);

	snprintf(text, STORE_SPENT_SIZE, "%s%s%s", proves ? facts->issuer : "",
	    proves ? "\n" : "", facts->id);
}

/* Opens the state in the current row of ${statement}. */
static int open_spent(
    struct store *store, sqlite3_stmt *statement, struct license_state *ret, rh_error *error)
{
	struct buffer json = {0};
	int code = named_open(
	    store, SEALED_SPENT, statement, "what a removed licence had spent", &json, error);

	if (code == RH_OK)
		code = license_state_parse(ret, json.data, json.size, error);
	buffer_free(&json);
	return code;
}

/* A file that only this handle's reading keeps in version 1 has no such table. */
static int has_table(struct store *store, bool *ret, rh_error *error)
{
	int64_t version = 2;
	int code = RH_OK;

	if (store->read_only)
		code = statement_run(store, SQL_USER_VERSION, &version, error);
	*ret = version >= 2;
	return code;
}

static int count_all(struct store *store, uint64_t *ret, rh_error *error)
{
	struct license_state state;
	sqlite3_stmt *statement;
	bool there = false;
	int code, result;

	*ret = 0;
	code = has_table(store, &there, error);
	if (code != RH_OK || !there)
		return code;
	code = statement_get(store, SQL_SPENT_ALL, &statement, error);
	if (code != RH_OK)
		return code;
	while (code == RH_OK && (result = sqlite3_step(statement)) == SQLITE_ROW) {
		code = open_spent(store, statement, &state, error);
		(*ret)++;
	}
	if (code == RH_OK && result != SQLITE_DONE)
		code = database_failed(store, result, DOING_READ, error);
	sqlite3_reset(statement);
	return code;
}

int spent_check(struct store *store, rh_error *error)
{
	struct totals totals;
	uint64_t count;
	int code = RH_OK;

	if (store->writing)
		totals = store->totals;
	else
		code = totals_load(store, &totals, error);
	if (code == RH_OK)
		code = count_all(store, &count, error);
	if (code == RH_OK && totals.spent != count)
		code = error_set(error, RH_E_STORE_DAMAGED,
		    "%s keeps %llu states of removed licences, %llu were written", store->path,
		    (unsigned long long)count, (unsigned long long)totals.spent);
	store->spent_checked = code == RH_OK;
	return code;
}

/* Within a transaction.  ${ret} NULL: only whether it is there. */
static int read_spent(struct store *store, const char *id, struct license_state *ret,
    bool *ret_there, rh_error *error)
{
	sqlite3_stmt *statement;
	bool table = false;
	int code, result;

	*ret_there = false;
	if (store->writing && store->totals.spent == 0)
		return RH_OK;
	code = has_table(store, &table, error);
	if (code != RH_OK || !table)
		return code;
	code = statement_get(store, SQL_SPENT_GET, &statement, error);
	if (code != RH_OK)
		return code;
	sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
	result = sqlite3_step(statement);
	if (result == SQLITE_ROW)
		*ret_there = true;
	if (result == SQLITE_ROW && ret != NULL)
		code = open_spent(store, statement, ret, error);
	else if (result != SQLITE_ROW && result != SQLITE_DONE)
		code = database_failed(store, result, DOING_READ, error);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	/* Not there: then none may be missing, or be there under a false id. */
	if (code == RH_OK && !*ret_there && !store->spent_checked)
		code = spent_check(store, error);
	return code;
}

int spent_is_kept(struct store *store, const struct license *facts, bool *ret, rh_error *error)
{
	char name[STORE_SPENT_SIZE];

	store_spent_name(name, facts);
	return read_spent(store, name, NULL, ret, error);
}

static int write_spent(
    struct store *store, const char *id, const struct license_state *state, rh_error *error)
{
	struct buffer json = {0}, sealed = {0};
	struct associated a;
	sqlite3_stmt *statement;
	int code, result;

	associated_named(&a, SEALED_SPENT, store, id);
	code = license_state_format(state, &json, error);
	if (code == RH_OK)
		code = buffer_reserve(&sealed, json.size + SEAL_OVERHEAD, error);
	if (code == RH_OK)
		code = sealer_seal(
		    store->values, a.data, a.size, json.data, json.size, sealed.data, error);
	if (code == RH_OK)
		code = statement_get(store, SQL_SPENT_SET, &statement, error);
	if (code != RH_OK)
		goto done;
	sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
	sqlite3_bind_blob(
	    statement, 2, sealed.data, (int)(json.size + SEAL_OVERHEAD), SQLITE_STATIC);
	result = sqlite3_step(statement);
	if (result != SQLITE_DONE)
		code = database_failed(store, result, DOING_WRITE, error);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
done:
	buffer_free(&json);
	buffer_free(&sealed);
	return code;
}

int spent_keep(struct store *store, const struct license *facts,
    const struct license_state *state, rh_error *error)
{
	char name[STORE_SPENT_SIZE];
	struct license_state kept;
	bool there;
	int code;

	if (state->count_count == 0 && state->first_use == LICENSE_TIME_NONE)
		return RH_OK;
	store_spent_name(name, facts);
	code = read_spent(store, name, &kept, &there, error);
	if (code != RH_OK)
		return code;
	if (!there)
		kept = *state;
	else if (!license_state_merge(&kept, state))
		return RH_OK;
	code = write_spent(store, name, &kept, error);
	if (code == RH_OK) {
		store->totals.spent += !there;
		store->totals_changed = true;
	}
	return code;
}

static int remove_spent(struct store *store, const char *id, rh_error *error)
{
	sqlite3_stmt *statement;
	int code, result;

	code = statement_get(store, SQL_SPENT_REMOVE, &statement, error);
	if (code != RH_OK)
		return code;
	sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
	result = sqlite3_step(statement);
	if (result != SQLITE_DONE)
		code = database_failed(store, result, DOING_WRITE, error);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	if (code == RH_OK) {
		store->totals.spent--;
		store->totals_changed = true;
	}
	return code;
}

int store_spent(struct store *store, const char *name, bool take, struct license_state *ret,
    rh_error *error)
{
	struct license_state state;
	bool own, there;
	int code;

	license_state_init(&state);
	code = take ? write_enter(store, &own, error) : store_read_begin(store, error);
	if (code != RH_OK)
		return code;
	code = read_spent(store, name, &state, &there, error);
	if (code == RH_OK && there && take)
		code = remove_spent(store, name, error);
	if (take)
		code = write_leave(store, own, code, error);
	else
		store_read_end(store);
	if (code == RH_OK)
		*ret = state;
	return code;
}
