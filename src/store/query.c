#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

struct store_cursor {
	struct store *store;
	sqlite3_stmt *statement;
	bool facts_only;
	bool ended;
};

int store_read_begin(struct store *store, rh_error *error)
{
	int64_t ignored;
	int code;

	if (!store->writing && store->readers == 0) {
		store->spent_checked = false;
		code = transaction_begin(store, SQL_BEGIN_READ, error);
		/* The first read chooses the moment. */
		if (code == RH_OK)
			code = statement_run(store, SQL_TOTALS_GET, &ignored, error);
		if (code != RH_OK) {
			transaction_rollback(store);
			return code;
		}
	}
	store->readers++;
	return RH_OK;
}

void store_read_end(struct store *store)
{
	store->readers--;
	/* A rollback of a transaction that only read cannot fail. */
	if (!store->writing && store->readers == 0)
		transaction_rollback(store);
}

int store_totals(struct store *store, struct store_totals *ret, rh_error *error)
{
	struct totals totals;
	int code;

	if (store->writing) {
		*ret = store->totals.licenses;
		return RH_OK;
	}
	code = totals_load(store, &totals, error);
	if (code == RH_OK)
		*ret = totals.licenses;
	return code;
}

int store_cursor_new(
    struct store *store, bool facts_only, struct store_cursor **ret, rh_error *error)
{
	struct store_cursor *cursor = calloc(1, sizeof *cursor);
	int code;

	if (cursor == NULL)
		return error_memory(error);
	cursor->store = store;
	cursor->facts_only = facts_only;
	code = statement_new(
	    store, facts_only ? SQL_SCAN_FACTS : SQL_SCAN, &cursor->statement, error);
	if (code == RH_OK)
		code = store_read_begin(store, error);
	if (code != RH_OK) {
		sqlite3_finalize(cursor->statement);
		free(cursor);
		return code;
	}
	store_cursor_after(cursor, INT64_MIN);
	*ret = cursor;
	return RH_OK;
}

void store_cursor_after(struct store_cursor *cursor, int64_t number)
{
	sqlite3_bind_int64(cursor->statement, 1, number);
}

int store_cursor_next(
    struct store_cursor *cursor, struct store_row *row, bool *ret_row, rh_error *error)
{
	int code, result;

	result = cursor->ended ? SQLITE_DONE : sqlite3_step(cursor->statement);
	if (result == SQLITE_ROW) {
		code =
		    row_read(cursor->store, cursor->statement, cursor->facts_only, row, error);
		if (code == RH_OK)
			*ret_row = true;
		return code;
	}
	if (result != SQLITE_DONE)
		return database_failed(cursor->store, result, DOING_READ, error);
	cursor->ended = true;
	*ret_row = false;
	return RH_OK;
}

void store_cursor_free(struct store_cursor *cursor)
{
	if (cursor == NULL)
		return;
	sqlite3_finalize(cursor->statement);
	store_read_end(cursor->store);
	free(cursor);
}

int store_get(struct store *store, const char *id, struct store_row *row, rh_error *error)
{
	sqlite3_stmt *statement;
	int code, result;

	code = statement_get(store, SQL_GET, &statement, error);
	if (code != RH_OK)
		return code;
	sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
	result = sqlite3_step(statement);
	if (result == SQLITE_ROW) {
		code = row_read(store, statement, false, row, error);
		if (code == RH_OK)
			code = store_check_facts(store->sealer, row, error);
	} else if (result == SQLITE_DONE) {
		code = error_set(error, RH_E_LICENSE_UNKNOWN, "there is no licence %s in %s",
		    id, store->path);
	} else {
		code = database_failed(store, result, DOING_READ, error);
	}
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return code;
}

/* How many ids, at most 2, start with ${prefix}; ${id} is the first. */
static int find(struct store *store, const char *prefix, size_t length, char *id, size_t size,
    int *ret, rh_error *error)
{
	char end[sizeof((struct license *)0)->id + 1];
	sqlite3_stmt *statement;
	int code, result;

	code = statement_get(store, SQL_FIND, &statement, error);
	if (code != RH_OK)
		return code;
	/* No UTF-8 text has the byte 0xff, so this sorts behind all that continue it. */
	memcpy(end, prefix, length);
	end[length] = '\xff';
	sqlite3_bind_text(statement, 1, prefix, (int)length, SQLITE_STATIC);
	sqlite3_bind_text(statement, 2, end, (int)length + 1, SQLITE_STATIC);
	*ret = 0;
	while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
		size_t bytes = (size_t)sqlite3_column_bytes(statement, 0);

		if ((*ret)++ > 0)
			continue;
		if (bytes >= size) {
			code = error_set(error, RH_E_ARGUMENT,
			    "the licence's id has %zu bytes, there is room for %zu", bytes,
			    size - 1);
			break;
		}
		memcpy(id, sqlite3_column_text(statement, 0), bytes);
		id[bytes] = '\0';
	}
	if (code == RH_OK && result != SQLITE_DONE)
		code = database_failed(store, result, DOING_READ, error);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return code;
}

int store_find(struct store *store, const char *prefix, char *id, size_t size, rh_error *error)
{
	size_t length = strlen(prefix);
	char found[sizeof((struct license *)0)->id];
	int code, count;

	if (length == 0)
		return error_set(error, RH_E_ARGUMENT, "no licence id was given");
	if (length >= sizeof found)
		return error_set(error, RH_E_LICENSE_UNKNOWN,
		    "there is no licence in %s whose id is that long", store->path);
	code = find(store, prefix, length, found, sizeof found, &count, error);
	if (code != RH_OK)
		return code;
	if (count == 0)
		return error_set(error, RH_E_LICENSE_UNKNOWN,
		    "no licence in %s has an id that starts with %s", store->path, prefix);
	/* The exact id sorts first. */
	if (count > 1 && strcmp(found, prefix) != 0)
		return error_set(error, RH_E_ARGUMENT,
		    "several licences in %s have an id that starts with %s", store->path,
		    prefix);
	if (strlen(found) >= size)
		return error_set(error, RH_E_ARGUMENT, "there is no room for the id %s", found);
	memcpy(id, found, strlen(found) + 1);
	return RH_OK;
}

/* ---- Checking ---- */

static int check_pages(struct store *store, rh_error *error)
{
	sqlite3_stmt *statement;
	const char *says;
	int code, result;

	code = statement_get(store, SQL_CHECK_PAGES, &statement, error);
	if (code != RH_OK)
		return code;
	result = sqlite3_step(statement);
	says = result == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
	if (result != SQLITE_ROW)
		code = database_failed(store, result, DOING_READ, error);
	else if (says == NULL)
		code = error_memory(error);
	else if (strcmp(says, "ok") != 0)
		code = error_set(error, RH_E_STORE_DAMAGED, "the store %s is damaged: %s",
		    store->path, says);
	sqlite3_reset(statement);
	if (code != RH_OK)
		return code;

	code = statement_get(store, SQL_CHECK_KEYS, &statement, error);
	if (code != RH_OK)
		return code;
	result = sqlite3_step(statement);
	if (result == SQLITE_ROW)
		code = error_set(error, RH_E_STORE_DAMAGED,
		    "the store %s is damaged: a compression dictionary is missing",
		    store->path);
	else if (result != SQLITE_DONE)
		code = database_failed(store, result, DOING_READ, error);
	sqlite3_reset(statement);
	return code;
}

static int check_rows(struct store *store, rh_error *error)
{
	struct store_row row = {0};
	struct store_totals counted = {0}, kept;
	struct store_cursor *cursor = NULL;
	bool more = true;
	int code;

	code = store_cursor_new(store, true, &cursor, error);
	if (code != RH_OK)
		return code;
	while (code == RH_OK) {
		code = store_cursor_next(cursor, &row, &more, error);
		if (code != RH_OK || !more)
			break;
		code = store_check_facts(store->sealer, &row, error);
		totals_add(&counted, &row);
	}
	if (code == RH_OK)
		code = store_totals(store, &kept, error);
	if (code == RH_OK && memcmp(&counted, &kept, sizeof kept) != 0)
		code = error_set(error, RH_E_STORE_DAMAGED,
		    "%s holds %llu licences of %llu bytes, %llu of %llu bytes were written",
		    store->path, (unsigned long long)counted.licenses,
		    (unsigned long long)counted.bytes, (unsigned long long)kept.licenses,
		    (unsigned long long)kept.bytes);
	store_cursor_free(cursor);
	store_row_free(&row);
	return code;
}

int store_check_pages(struct store *store, rh_error *error)
{
	int code;

	code = store_read_begin(store, error);
	if (code != RH_OK)
		return code;
	code = check_pages(store, error);
	if (code == RH_OK)
		code = dictionary_load_all(store, error);
	if (code == RH_OK)
		code = values_check(store, error);
	if (code == RH_OK)
		code = spent_check(store, error);
	if (code == RH_OK)
		code = check_rows(store, error);
	store_read_end(store);
	return code;
}
