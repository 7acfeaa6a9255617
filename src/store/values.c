#include <string.h>

#include "store/internal.h"

void associated_named(
    struct associated *a, enum sealed_kind kind, struct store *store, const char *name)
{
	associated_start(a, kind, store->id);
	associated_text(a, name);
}

int named_open(struct store *store, enum sealed_kind kind, sqlite3_stmt *statement,
    const char *what, struct buffer *ret, rh_error *error)
{
	const char *name = (const char *)sqlite3_column_text(statement, 0);
	const void *sealed = sqlite3_column_blob(statement, 1);
	size_t size = (size_t)sqlite3_column_bytes(statement, 1);
	struct associated a;
	int code;

	buffer_clear(ret);
	code = buffer_reserve(ret, size + 1, error);
	if (code != RH_OK)
		return code;
	if (name == NULL)
		return error_memory(error);
	associated_named(&a, kind, store, name);
	if (a.overflow || size < SEAL_OVERHEAD ||
	    strlen(name) != (size_t)sqlite3_column_bytes(statement, 0))
		code = RH_E_STORE_DAMAGED;
	else
		code =
		    sealer_open(store->values, a.data, a.size, sealed, size, ret->data, error);
	if (code == RH_E_STORE_DAMAGED)
		return error_set(
		    error, code, "%s of %s was changed or damaged", what, store->path);
	if (code == RH_OK)
		ret->size = size - SEAL_OVERHEAD;
	return code;
}

static int open_value(
    struct store *store, sqlite3_stmt *statement, struct buffer *ret, rh_error *error)
{
	return named_open(store, SEALED_VALUE, statement, "a sealed value", ret, error);
}

int values_check(struct store *store, rh_error *error)
{
	struct buffer value = {0};
	struct totals totals;
	sqlite3_stmt *statement;
	uint64_t count = 0;
	int code, result;

	code = statement_get(store, SQL_VALUE_ALL, &statement, error);
	if (code != RH_OK)
		return code;
	while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
		code = open_value(store, statement, &value, error);
		if (code != RH_OK)
			goto done;
		count++;
	}
	if (result != SQLITE_DONE) {
		code = database_failed(store, result, DOING_READ, error);
		goto done;
	}
	if (store->writing)
		totals = store->totals;
	else
		code = totals_load(store, &totals, error);
	if (code == RH_OK && totals.values != count)
		code = error_set(error, RH_E_STORE_DAMAGED,
		    "%s has %llu sealed values, %llu were written", store->path,
		    (unsigned long long)count, (unsigned long long)totals.values);
done:
	sqlite3_reset(statement);
	buffer_free_secret(&value);
	return code;
}

int store_value_get(struct store *store, const char *name, struct buffer *ret, rh_error *error)
{
	sqlite3_stmt *statement;
	int code, result;

	code = store_read_begin(store, error);
	if (code != RH_OK)
		return code;
	code = statement_get(store, SQL_VALUE_GET, &statement, error);
	if (code != RH_OK)
		goto done;
	sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
	result = sqlite3_step(statement);
	if (result == SQLITE_ROW) {
		code = open_value(store, statement, ret, error);
	} else if (result == SQLITE_DONE) {
		/* Not there: then none may be there under a false name either. */
		buffer_clear(ret);
		code = values_check(store, error);
	} else {
		code = database_failed(store, result, DOING_READ, error);
	}
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
done:
	store_read_end(store);
	return code;
}

static int walk_values(struct store *store, const char *prefix,
    int (*on_value)(void *context, const void *value, size_t size, rh_error *error),
    void *context, rh_error *error)
{
	struct buffer value = {0};
	sqlite3_stmt *statement;
	const char *name;
	int code, result = SQLITE_ROW;

	code = statement_get(store, SQL_VALUE_ALL, &statement, error);
	if (code != RH_OK)
		return code;
	while (code == RH_OK && (result = sqlite3_step(statement)) == SQLITE_ROW) {
		name = (const char *)sqlite3_column_text(statement, 0);
		if (name == NULL)
			code = error_memory(error);
		else if (strncmp(name, prefix, strlen(prefix)) == 0)
			code = open_value(store, statement, &value, error);
		else
			continue;
		if (code == RH_OK)
			code = on_value(context, value.data, value.size, error);
	}
	if (code == RH_OK && result != SQLITE_DONE)
		code = database_failed(store, result, DOING_READ, error);
	sqlite3_reset(statement);
	buffer_free_secret(&value);
	return code;
}

int store_value_walk(struct store *store, const char *prefix,
    int (*on_value)(void *context, const void *value, size_t size, rh_error *error),
    void *context, rh_error *error)
{
	int code = store_read_begin(store, error);

	if (code != RH_OK)
		return code;
	/* None may be missing, or there under a false name. */
	code = values_check(store, error);
	if (code == RH_OK)
		code = walk_values(store, prefix, on_value, context, error);
	store_read_end(store);
	return code;
}

static int value_write(
    struct store *store, const char *name, const void *value, size_t size, rh_error *error)
{
	struct buffer sealed = {0};
	struct associated a;
	sqlite3_stmt *statement;
	int code, result;

	associated_named(&a, SEALED_VALUE, store, name);
	if (a.overflow || size > LICENSE_MAX)
		return error_set(error, RH_E_ARGUMENT, "a value is too large for the store");
	code = buffer_reserve(&sealed, size + SEAL_OVERHEAD, error);
	if (code == RH_OK)
		code =
		    sealer_seal(store->values, a.data, a.size, value, size, sealed.data, error);
	if (code == RH_OK)
		code = statement_get(
		    store, size > 0 ? SQL_VALUE_SET : SQL_VALUE_REMOVE, &statement, error);
	if (code != RH_OK)
		goto done;
	sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
	if (size > 0)
		sqlite3_bind_blob(
		    statement, 2, sealed.data, (int)(size + SEAL_OVERHEAD), SQLITE_STATIC);
	result = sqlite3_step(statement);
	if (result != SQLITE_DONE)
		code = database_failed(store, result, DOING_WRITE, error);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
done:
	buffer_free(&sealed);
	return code;
}

int store_value_set(
    struct store *store, const char *name, const void *value, size_t size, rh_error *error)
{
	struct buffer before = {0};
	bool own;
	int code;

	code = write_enter(store, &own, error);
	if (code != RH_OK)
		return code;
	code = store_value_get(store, name, &before, error);
	if (code == RH_OK)
		code = value_write(store, name, value, size, error);
	if (code == RH_OK) {
		store->totals.values += size > 0;
		store->totals.values -= before.size > 0;
		store->totals_changed = true;
	}
	buffer_free_secret(&before);
	return write_leave(store, own, code, error);
}
