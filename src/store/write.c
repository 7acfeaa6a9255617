#include <string.h>

#include "store/internal.h"

/* ---- Transactions ---- */

int store_begin(struct store *store, rh_error *error)
{
	int code;

	if (store->read_only)
		return error_set(error, RH_E_ACCESS, "the store %s was opened for reading only",
		    store->path);
	if (store->writing || store->readers > 0)
		return error_set(
		    error, RH_E_INTERNAL, "a transaction on %s is open already", store->path);
	code = transaction_begin(store, SQL_BEGIN_WRITE, error);
	if (code != RH_OK)
		return code;
	code = statement_run(store, SQL_CACHE_WRITING, NULL, error);
	if (code == RH_OK)
		code = totals_load(store, &store->totals, error);
	if (code != RH_OK) {
		transaction_rollback(store);
		return code;
	}
	store->writing = true;
	store->totals_changed = false;
	store->spent_checked = false;
	store->last_number = -1;
	return RH_OK;
}

int store_begin_fill(struct store *store, rh_error *error)
{
	struct store_totals totals;
	int code;

	code = store_totals(store, &totals, error);
	if (code != RH_OK)
		return code;
	if (totals.licenses == 0 && !store->read_only && !store->writing && store->readers == 0)
		store->filling = database_journal(store, false);
	code = store_begin(store, error);
	if (code != RH_OK && store->filling) {
		database_journal(store, true);
		store->filling = false;
	}
	return code;
}

/* Before the first row of an empty store. */
static int write_index_later(struct store *store, rh_error *error)
{
	int code = statement_run(store, SQL_KEY_INDEX_DROP, NULL, error);

	if (code == RH_OK)
		store->unindexed = true;
	if (code != RH_E_STORE_BUSY)
		return code;
	/* A statement of this handle is still reading: then row by row. */
	error_clear(error);
	return RH_OK;
}

int write_index(struct store *store, rh_error *error)
{
	int code;

	if (!store->unindexed)
		return RH_OK;
	code = statement_run(store, SQL_KEY_INDEX_MAKE, NULL, error);
	if (code == RH_OK)
		store->unindexed = false;
	return code;
}

/* SQLite ends a transaction by itself after some failures. */
static int still_open(struct store *store, rh_error *error)
{
	if (store->writing && !sqlite3_get_autocommit(store->db))
		return RH_OK;
	return error_set(error, RH_E_STORE_WRITE, "there is no transaction on %s", store->path);
}

static void ended(struct store *store, bool committed)
{
	store->writing = store->unindexed = false;
	dictionary_settle(store, committed);
	/* If somebody came in between, the next opening does it. */
	if (store->filling)
		database_journal(store, true);
	store->filling = false;
	/* If this fails, the handle only holds more memory than it needs. */
	statement_run(store, SQL_CACHE_READING, NULL, NULL);
}

int store_commit(struct store *store, rh_error *error)
{
	int code;

	code = still_open(store, error);
	if (code == RH_OK && store->totals_changed)
		code = totals_save(store, error);
	if (code == RH_OK)
		code = statement_run(store, SQL_COMMIT, NULL, error);
	if (code != RH_OK)
		return code;
	ended(store, true);
	return RH_OK;
}

void store_rollback(struct store *store)
{
	if (!store->writing)
		return;
	transaction_rollback(store);
	ended(store, false);
}

int write_enter(struct store *store, bool *ret_own, rh_error *error)
{
	*ret_own = !store->writing;
	return store->writing ? still_open(store, error) : store_begin(store, error);
}

int write_leave(struct store *store, bool own, int code, rh_error *error)
{
	if (!own)
		return code;
	if (code == RH_OK)
		code = store_commit(store, error);
	if (code != RH_OK)
		store_rollback(store);
	return code;
}

/* ---- Rows ---- */

static void bind_text(sqlite3_stmt *statement, int column, const char *text)
{
	sqlite3_bind_text(statement, PARAMETER(column), text, -1, SQLITE_STATIC);
}

static void bind_time(sqlite3_stmt *statement, int column, int64_t time)
{
	if (time != LICENSE_TIME_NONE)
		sqlite3_bind_int64(statement, PARAMETER(column), time);
}

static void bind_part(sqlite3_stmt *statement, int column, const struct buffer *part)
{
	if (part->size > 0)
		sqlite3_bind_blob(
		    statement, PARAMETER(column), part->data, (int)part->size, SQLITE_STATIC);
}

/* SQL_INSERT and SQL_REPLACE take the columns in the order of enum column. */
static int write_row(struct store *store, enum statement which, const struct store_row *row,
    int *ret_result, rh_error *error)
{
	const struct license *f = &row->facts;
	char counts[COUNTS_SIZE];
	sqlite3_stmt *s;
	int code;

	code = statement_get(store, which, &s, error);
	if (code != RH_OK)
		return code;
	row_counts_format(counts, f);
	sqlite3_bind_int64(s, PARAMETER(COLUMN_NUMBER), row->number);
	bind_text(s, COLUMN_ID, f->id);
	bind_text(s, COLUMN_KEY_ID, f->key_id);
	bind_text(s, COLUMN_FORMAT, f->format);
	bind_text(s, COLUMN_ISSUER, f->issuer);
	bind_text(s, COLUMN_TITLE, f->title);
	bind_text(s, COLUMN_SERVICE, f->service);
	bind_text(s, COLUMN_REASON, f->reason);
	bind_time(s, COLUMN_ISSUED, f->issued);
	bind_time(s, COLUMN_NOT_BEFORE, f->not_before);
	bind_time(s, COLUMN_NOT_AFTER, f->not_after);
	bind_text(s, COLUMN_COUNTS, counts);
	sqlite3_bind_int64(s, PARAMETER(COLUMN_BACKUP), f->backup);
	sqlite3_bind_int64(s, PARAMETER(COLUMN_ADDED), row->added);
	sqlite3_bind_int64(s, PARAMETER(COLUMN_BYTES), (int64_t)row->bytes);
	sqlite3_bind_blob(s, PARAMETER(COLUMN_DIGEST), row->digest, DIGEST_SIZE, SQLITE_STATIC);
	sqlite3_bind_int64(s, PARAMETER(COLUMN_STATE_VERSION), row->state_version);
	if (row->dictionary != 0)
		sqlite3_bind_int64(s, PARAMETER(COLUMN_DICTIONARY), row->dictionary);
	sqlite3_bind_blob(s, PARAMETER(COLUMN_SEAL), row->seal, SEAL_OVERHEAD, SQLITE_STATIC);
	bind_part(s, COLUMN_DOCUMENT, &row->document);
	bind_part(s, COLUMN_SECRET, &row->secret);
	bind_part(s, COLUMN_STATE, &row->state);
	*ret_result = sqlite3_step(s);
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return RH_OK;
}

/* Facts of the row with this id, or if NULL this number; RH_E_LICENSE_UNKNOWN. */
static int read_facts(
    struct store *store, const char *id, int64_t number, struct store_row *row, rh_error *error)
{
	sqlite3_stmt *statement;
	int code, result;

	code = statement_get(
	    store, id != NULL ? SQL_GET_FACTS : SQL_GET_FACTS_BY_NUMBER, &statement, error);
	if (code != RH_OK)
		return code;
	if (id != NULL)
		sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
	else
		sqlite3_bind_int64(statement, 1, number);
	result = sqlite3_step(statement);
	if (result == SQLITE_ROW)
		code = row_read(store, statement, true, row, error);
	else if (result == SQLITE_DONE)
		code = error_set(error, RH_E_LICENSE_UNKNOWN, "there is no licence %s in %s",
		    id != NULL ? id : "of that number", store->path);
	else
		code = database_failed(store, result, DOING_READ, error);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return code;
}

static int next_number(struct store *store, int64_t *ret, rh_error *error)
{
	int code;

	if (store->last_number < 0) {
		code = statement_run(store, SQL_LAST_NUMBER, &store->last_number, error);
		if (code != RH_OK)
			return code;
	}
	if (store->last_number < 0 || store->last_number == INT64_MAX)
		return error_set(error, RH_E_STORE_DAMAGED,
		    "the store %s has a row number that cannot be", store->path);
	*ret = store->last_number + 1;
	return RH_OK;
}

/* The id is taken: by the same document, or by another one? */
static int insert_conflict(struct store *store, const struct store_row *row,
    struct store_here *ret_here, rh_error *error)
{
	struct store_row here = {0};
	int code;

	code = read_facts(store, row->facts.id, 0, &here, error);
	if (code == RH_OK)
		code = store_check_facts(store->sealer, &here, error);
	if (code != RH_OK)
		goto done;
	if (ret_here != NULL)
		*ret_here = (struct store_here){.number = here.number,
		    .issued = here.facts.issued,
		    .has_state = here.has_state};
	if (here.bytes == row->bytes && memcmp(here.digest, row->digest, DIGEST_SIZE) == 0)
		code = RH_S_ALREADY_HERE;
	else
		code = error_set(error, RH_E_LICENSE_CONFLICT,
		    "another document with the licence id %s is in %s", row->facts.id,
		    store->path);
done:
	store_row_free(&here);
	return code;
}

static int insert(
    struct store *store, struct store_row *row, struct store_here *ret_here, rh_error *error)
{
	bool spent;
	int code, result;

	code = next_number(store, &row->number, error);
	if (code == RH_OK && store->last_number == 0 && !store->unindexed)
		code = write_index_later(store, error);
	if (code == RH_OK)
		code = row_seal(store->sealer, row, error);
	if (code == RH_OK)
		code = write_row(store, SQL_INSERT, row, &result, error);
	if (code != RH_OK)
		return code;
	if (result != SQLITE_DONE)
		return database_failed(store, result, DOING_WRITE, error);
	if (sqlite3_changes(store->db) == 0)
		return insert_conflict(store, row, ret_here, error);
	store->last_number = row->number;
	totals_add(&store->totals.licenses, row);
	store->totals_changed = true;
	if (ret_here == NULL)
		return RH_S_ADDED;
	code = spent_is_kept(store, &row->facts, &spent, error);
	if (code != RH_OK)
		return code;
	*ret_here = (struct store_here){.number = row->number,
	    .issued = row->facts.issued,
	    .has_state = row->has_state,
	    .spent = spent};
	return RH_S_ADDED;
}

int store_insert(
    struct store *store, struct store_row *row, struct store_here *ret_here, rh_error *error)
{
	bool own;
	int code, ended;

	code = write_enter(store, &own, error);
	if (code != RH_OK)
		return code;
	code = insert(store, row, ret_here, error);
	if (code != RH_S_ADDED)
		row->number = 0;
	ended = code == RH_S_ADDED || code == RH_S_ALREADY_HERE ? RH_OK : code;
	ended = write_leave(store, own, ended, error);
	return ended != RH_OK ? ended : code;
}

static int replace(struct store *store, struct store_row *row, rh_error *error)
{
	struct store_row before = {0};
	int code, result;

	code = read_facts(store, NULL, row->number, &before, error);
	if (code == RH_OK)
		code = store_check_facts(store->sealer, &before, error);
	if (code == RH_OK)
		code = row_seal(store->sealer, row, error);
	if (code == RH_OK)
		code = write_row(store, SQL_REPLACE, row, &result, error);
	if (code != RH_OK)
		goto done;
	if (result == SQLITE_CONSTRAINT_UNIQUE) {
		code = error_set(error, RH_E_LICENSE_CONFLICT,
		    "another licence in %s has the id %s", store->path, row->facts.id);
	} else if (result != SQLITE_DONE) {
		code = database_failed(store, result, DOING_WRITE, error);
	} else {
		totals_subtract(&store->totals.licenses, &before);
		totals_add(&store->totals.licenses, row);
		store->totals_changed = true;
	}
done:
	store_row_free(&before);
	return code;
}

int store_replace(struct store *store, int64_t number, struct store_row *row, rh_error *error)
{
	bool own;
	int code;

	code = write_enter(store, &own, error);
	if (code != RH_OK)
		return code;
	row->number = number;
	return write_leave(store, own, replace(store, row, error), error);
}

/* What the row has spent outlives it, as far as its state still opens. */
static int keep_spent(struct store *store, struct store_row *row, rh_error *error)
{
	struct license_state state;
	sqlite3_stmt *statement;
	int code, result;

	code = statement_get(store, SQL_GET_STATE, &statement, error);
	if (code != RH_OK)
		return code;
	sqlite3_bind_int64(statement, 1, row->number);
	result = sqlite3_step(statement);
	if (result == SQLITE_ROW)
		code = buffer_append(&row->state, sqlite3_column_blob(statement, 0),
		    (size_t)sqlite3_column_bytes(statement, 0), error);
	else
		code = database_failed(store, result, DOING_READ, error);
	sqlite3_reset(statement);
	if (code == RH_OK)
		code = row_open_state(store->sealer, row, &state, error);
	if (code == RH_E_STORE_DAMAGED || code == RH_E_LICENSE_INVALID) {
		error_clear(error);
		return RH_OK;
	}
	return code == RH_OK ? spent_keep(store, &row->facts, &state, error) : code;
}

static int remove_row(struct store *store, const char *id, rh_error *error)
{
	struct store_row row = {0};
	sqlite3_stmt *statement;
	bool damaged;
	int code, result;

	code = read_facts(store, id, 0, &row, error);
	if (code != RH_OK)
		goto done;
	code = store_check_facts(store->sealer, &row, error);
	damaged = code == RH_E_STORE_DAMAGED;
	if (damaged)
		code = RH_OK;
	if (code == RH_OK && row.has_state)
		code = keep_spent(store, &row, error);
	if (code == RH_OK)
		code = grant_remove(store, row.number, error);
	if (code == RH_OK)
		code = statement_get(store, SQL_REMOVE, &statement, error);
	if (code != RH_OK)
		goto done;
	sqlite3_bind_int64(statement, 1, row.number);
	result = sqlite3_step(statement);
	sqlite3_reset(statement);
	if (result != SQLITE_DONE) {
		code = database_failed(store, result, DOING_WRITE, error);
		goto done;
	}
	store->totals_changed = true;
	store->last_number = -1;
	if (damaged) {
		error_clear(error);
		code = totals_recount(store, error);
	} else {
		totals_subtract(&store->totals.licenses, &row);
	}
done:
	store_row_free(&row);
	return code;
}

int store_remove(struct store *store, const char *id, rh_error *error)
{
	bool own;
	int code;

	code = write_enter(store, &own, error);
	if (code != RH_OK)
		return code;
	return write_leave(store, own, remove_row(store, id, error), error);
}
