#include <stdlib.h>
#include <string.h>

#include "store/internal.h"

/*
 * Grants of License Management Services: what a reply has in common once, and a row for each
 * licence.  They prove themselves, so what does not fit is no grant (RH_E_GRANT), and no damage
 * to the store.
 */

#define ROOT_MAX (16 * 1024) /* characters of a signed root */
#define LEAVES_MAX 4096 /* of one reply */

enum grant_column {
	GRANT_SERVICE,
	GRANT_COMPUTER,
	GRANT_ROOT,
	GRANT_LEAVES,
	GRANT_POSITION,
	GRANT_PLACE,
	GRANT_ALLOWED,
	GRANT_SINCE
};

void store_grant_free(struct store_grant *grant)
{
	free(grant->root);
	free(grant->leaves);
	*grant = (struct store_grant){.number = 0};
}

/* A file that this handle only reads may be of a version without such tables. */
static int has_tables(struct store *store, bool *ret, rh_error *error)
{
	int64_t version = 3;
	int code = RH_OK;

	if (store->read_only)
		code = statement_run(store, SQL_USER_VERSION, &version, error);
	*ret = version >= 3;
	return code;
}

/* Runs a statement that changes something. */
static int run(struct store *store, sqlite3_stmt *statement, rh_error *error)
{
	int result = sqlite3_step(statement), code = RH_OK;

	if (result != SQLITE_DONE)
		code = database_failed(store, result, DOING_WRITE, error);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return code;
}

static int run_with_number(
    struct store *store, enum statement which, int64_t number, rh_error *error)
{
	sqlite3_stmt *statement;
	int code = statement_get(store, which, &statement, error);

	if (code != RH_OK)
		return code;
	sqlite3_bind_int64(statement, 1, number);
	return run(store, statement, error);
}

/* ---- Writing ---- */

int store_grants_add(
    struct store *store, const struct store_grant *common, int64_t *ret_batch, rh_error *error)
{
	sqlite3_stmt *statement;
	int code;

	if (!store->writing)
		return error_set(
		    error, RH_E_STORE_WRITE, "there is no transaction on %s", store->path);
	if (common->leaf_count == 0 || common->leaf_count > LEAVES_MAX ||
	    strlen(common->root) > ROOT_MAX)
		return error_set(error, RH_E_ARGUMENT, "grants that are too large");
	code = statement_get(store, SQL_GRANTS_ADD, &statement, error);
	if (code != RH_OK)
		return code;
	sqlite3_bind_text(statement, 1, common->service, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 2, common->computer, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 3, common->root, -1, SQLITE_STATIC);
	sqlite3_bind_blob(statement, 4, common->leaves, (int)(common->leaf_count * DIGEST_SIZE),
	    SQLITE_STATIC);
	code = run(store, statement, error);
	if (code == RH_OK)
		*ret_batch = sqlite3_last_insert_rowid(store->db);
	return code;
}

/* The batch that the licence's grant is of; 0: it has none. */
static int batch_of(struct store *store, int64_t number, int64_t *ret, rh_error *error)
{
	sqlite3_stmt *statement;
	int code = statement_get(store, SQL_GRANT_BATCH, &statement, error), result;

	if (code != RH_OK)
		return code;
	*ret = 0;
	sqlite3_bind_int64(statement, 1, number);
	result = sqlite3_step(statement);
	if (result == SQLITE_ROW)
		*ret = sqlite3_column_int64(statement, 0);
	else if (result != SQLITE_DONE)
		code = database_failed(store, result, DOING_READ, error);
	sqlite3_reset(statement);
	return code;
}

int store_grant_put(struct store *store, int64_t number, int64_t batch,
    const struct store_grant *grant, rh_error *error)
{
	sqlite3_stmt *statement;
	int64_t before = 0;
	bool own;
	int code = write_enter(store, &own, error);

	if (code != RH_OK)
		return code;
	code = batch_of(store, number, &before, error);
	if (code == RH_OK)
		code = statement_get(store, SQL_GRANT_PUT, &statement, error);
	if (code == RH_OK) {
		sqlite3_bind_int64(statement, 1, number);
		sqlite3_bind_int64(statement, 2, batch);
		sqlite3_bind_int64(statement, 3, (int64_t)grant->position);
		sqlite3_bind_int64(statement, 4, grant->number);
		sqlite3_bind_int64(statement, 5, grant->limit);
		sqlite3_bind_int64(statement, 6, grant->since);
		code = run(store, statement, error);
	}
	if (code == RH_OK && before != 0 && before != batch)
		code = run_with_number(store, SQL_GRANTS_REMOVE_UNUSED, before, error);
	return write_leave(store, own, code, error);
}

int grant_remove(struct store *store, int64_t number, rh_error *error)
{
	int64_t batch = 0;
	int code = batch_of(store, number, &batch, error);

	if (code != RH_OK || batch == 0)
		return code;
	code = run_with_number(store, SQL_GRANT_REMOVE, number, error);
	if (code == RH_OK)
		code = run_with_number(store, SQL_GRANTS_REMOVE_UNUSED, batch, error);
	return code;
}

/* ---- Reading ---- */

/* Text of 1 to ${capacity} - 1 bytes; NULL if it is none. */
static const char *text_of(sqlite3_stmt *statement, int column, size_t capacity)
{
	const char *text = (const char *)sqlite3_column_text(statement, column);
	size_t size = (size_t)sqlite3_column_bytes(statement, column);

	return text != NULL && size > 0 && size < capacity && strlen(text) == size ? text
										   : NULL;
}

static bool small_number(sqlite3_stmt *statement, int column, uint32_t *ret)
{
	int64_t number = sqlite3_column_int64(statement, column);

	*ret = (uint32_t)number;
	return number >= 0 && number <= UINT32_MAX;
}

/* From the current row of ${statement}. */
static int read_grant(
    sqlite3_stmt *statement, const char *id, struct store_grant *ret, rh_error *error)
{
	const char *service = text_of(statement, GRANT_SERVICE, sizeof ret->service);
	const char *computer = text_of(statement, GRANT_COMPUTER, sizeof ret->computer);
	const char *root = text_of(statement, GRANT_ROOT, ROOT_MAX + 1);
	size_t size = (size_t)sqlite3_column_bytes(statement, GRANT_LEAVES);
	int64_t position = sqlite3_column_int64(statement, GRANT_POSITION);
	struct store_grant grant = {.since = sqlite3_column_int64(statement, GRANT_SINCE),
	    .position = (size_t)position,
	    .leaf_count = size / DIGEST_SIZE};

	if (service == NULL || computer == NULL || root == NULL || size % DIGEST_SIZE != 0 ||
	    grant.leaf_count > LEAVES_MAX || position < 0 ||
	    grant.position >= grant.leaf_count ||
	    !small_number(statement, GRANT_PLACE, &grant.number) ||
	    !small_number(statement, GRANT_ALLOWED, &grant.limit))
		return error_set(
		    error, RH_E_GRANT, "the grant of licence %s was changed or damaged", id);
	memcpy(grant.service, service, strlen(service) + 1);
	memcpy(grant.computer, computer, strlen(computer) + 1);
	grant.root = strdup(root);
	grant.leaves = malloc(size);
	if (grant.root == NULL || grant.leaves == NULL) {
		store_grant_free(&grant);
		return error_memory(error);
	}
	memcpy(grant.leaves, sqlite3_column_blob(statement, GRANT_LEAVES), size);
	*ret = grant;
	return RH_OK;
}

static int get(struct store *store, const char *id, struct store_grant *ret, rh_error *error)
{
	struct store_row row = {0};
	sqlite3_stmt *statement;
	bool tables = false;
	int code = store_get(store, id, &row, error), result = SQLITE_DONE;

	if (code == RH_OK)
		code = has_tables(store, &tables, error);
	if (code == RH_OK && tables)
		code = statement_get(store, SQL_GRANT_GET, &statement, error);
	if (code == RH_OK && tables) {
		sqlite3_bind_int64(statement, 1, row.number);
		result = sqlite3_step(statement);
		if (result == SQLITE_ROW)
			code = read_grant(statement, id, ret, error);
		else if (result != SQLITE_DONE)
			code = database_failed(store, result, DOING_READ, error);
		sqlite3_reset(statement);
	}
	if (code == RH_OK && result == SQLITE_DONE)
		code = error_set(error, RH_E_GRANT, "licence %s has no grant", id);
	store_row_free(&row);
	return code;
}

int store_grant_get(
    struct store *store, const char *id, struct store_grant *ret, rh_error *error)
{
	int code = store_read_begin(store, error);

	if (code != RH_OK)
		return code;
	code = get(store, id, ret, error);
	store_read_end(store);
	return code;
}
