#include <string.h>

#include "store/internal.h"

/* ---- By key id ---- */

int store_index(struct store *store, rh_error *error)
{
	int64_t there;
	int code;

	if (store->read_only || store->writing || store->readers > 0)
		return RH_OK;
	code = statement_run(store, SQL_KEY_INDEX_THERE, &there, error);
	if (code != RH_OK || there > 0)
		return code;
	code = store_begin(store, error);
	/* Somebody may have been faster. */
	if (code == RH_OK)
		code = statement_run(store, SQL_KEY_INDEX_THERE, &there, error);
	if (code == RH_OK && there == 0)
		code = statement_run(store, SQL_KEY_INDEX_MAKE, NULL, error);
	if (code == RH_OK)
		code = store_commit(store, error);
	if (code != RH_OK)
		store_rollback(store);
	return code;
}

int store_by_key(struct store *store, const char *key_id,
    int (*on_row)(void *context, const struct store_row *row, rh_error *error), void *context,
    rh_error *error)
{
	struct store_row row = {0};
	sqlite3_stmt *statement = NULL;
	int code, result = SQLITE_DONE;

	code = write_index(store, error);
	if (code == RH_OK)
		code = store_read_begin(store, error);
	if (code != RH_OK)
		return code;
	/* One of its own: ${on_row} may look for the root's key. */
	code = statement_new(store, SQL_BY_KEY, &statement, error);
	if (code != RH_OK)
		goto done;
	sqlite3_bind_text(statement, 1, key_id, -1, SQLITE_STATIC);
	while (code == RH_OK && (result = sqlite3_step(statement)) == SQLITE_ROW) {
		code = row_read(store, statement, false, &row, error);
		if (code == RH_OK)
			code = store_check_facts(store->sealer, &row, error);
		if (code == RH_OK)
			code = on_row(context, &row, error);
	}
	if (code == RH_OK && result != SQLITE_DONE)
		code = database_failed(store, result, DOING_READ, error);
done:
	sqlite3_finalize(statement);
	store_read_end(store);
	store_row_free(&row);
	return code;
}

/* ---- Census ---- */

typedef int (*on_census)(void *context, const struct store_census *group, rh_error *error);

static int tell(on_census on_group, void *context, struct store_census *group, bool expired,
    int64_t licenses, int64_t bytes, rh_error *error)
{
	if (licenses == 0)
		return RH_OK;
	group->expired = expired;
	group->licenses = (uint64_t)licenses;
	group->bytes = (uint64_t)bytes;
	return on_group(context, group, error);
}

/* The groups of one service, from the current row of ${statement}. */
static int tell_service(struct store *store, sqlite3_stmt *statement, on_census on_group,
    void *context, rh_error *error)
{
	struct store_census group = {.licenses = 0};
	const char *service = (const char *)sqlite3_column_text(statement, 0);
	size_t size = (size_t)sqlite3_column_bytes(statement, 0);
	int64_t expired = sqlite3_column_int64(statement, 3);
	int64_t expired_bytes = sqlite3_column_int64(statement, 4);
	int code;

	if (service == NULL)
		return error_memory(error);
	/* One with a NUL in it would be told a second time under the name of another. */
	if (size >= sizeof group.service || strlen(service) != size)
		return error_set(error, RH_E_STORE_DAMAGED,
		    "a licence in %s was changed or damaged: its service is no address",
		    store->path);
	memcpy(group.service, service, size);
	code =
	    tell(on_group, context, &group, false, sqlite3_column_int64(statement, 1) - expired,
		sqlite3_column_int64(statement, 2) - expired_bytes, error);
	if (code == RH_OK)
		code = tell(on_group, context, &group, true, expired, expired_bytes, error);
	return code;
}

static int services(
    struct store *store, int64_t now, on_census on_group, void *context, rh_error *error)
{
	sqlite3_stmt *statement;
	int code, result = SQLITE_DONE;

	code = statement_get(store, SQL_CENSUS_SERVICES, &statement, error);
	if (code != RH_OK)
		return code;
	sqlite3_bind_int64(statement, 1, now);
	while (code == RH_OK && (result = sqlite3_step(statement)) == SQLITE_ROW)
		code = tell_service(store, statement, on_group, context, error);
	if (code == RH_OK && result != SQLITE_DONE)
		code = database_failed(store, result, DOING_READ, error);
	sqlite3_reset(statement);
	return code;
}

/* Of no service: only the expired, so that the index leads straight to them. */
static int expired(
    struct store *store, int64_t now, on_census on_group, void *context, rh_error *error)
{
	struct store_census group = {.licenses = 0};
	int64_t licenses = 0, bytes = 0;
	sqlite3_stmt *statement;
	int code, result;

	code = statement_get(store, SQL_CENSUS_EXPIRED, &statement, error);
	if (code != RH_OK)
		return code;
	sqlite3_bind_int64(statement, 1, now);
	result = sqlite3_step(statement);
	if (result == SQLITE_ROW) {
		licenses = sqlite3_column_int64(statement, 0);
		bytes = sqlite3_column_int64(statement, 1);
	} else {
		code = database_failed(store, result, DOING_READ, error);
	}
	sqlite3_reset(statement);
	if (code == RH_OK)
		code = tell(on_group, context, &group, true, licenses, bytes, error);
	return code;
}

int store_census(struct store *store, int64_t now,
    int (*on_group)(void *context, const struct store_census *group, rh_error *error),
    void *context, rh_error *error)
{
	int code;

	code = store_read_begin(store, error);
	if (code != RH_OK)
		return code;
	code = expired(store, now, on_group, context, error);
	if (code == RH_OK)
		code = services(store, now, on_group, context, error);
	store_read_end(store);
	return code;
}
