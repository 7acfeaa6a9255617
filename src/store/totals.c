#include <string.h>

#include "store/internal.h"

void totals_add(struct store_totals *totals, const struct store_row *row)
{
	enum license_class class = license_class(&row->facts);

	totals->licenses++;
	totals->restricted += class == LICENSE_RESTRICTED;
	totals->managed += class == LICENSE_MANAGED;
	totals->bytes += class == LICENSE_RESTRICTED ? 0 : row->bytes;
}

void totals_subtract(struct store_totals *totals, const struct store_row *row)
{
	struct store_totals one = {0};

	totals_add(&one, row);
	totals->licenses -= one.licenses;
	totals->restricted -= one.restricted;
	totals->managed -= one.managed;
	totals->bytes -= one.bytes;
}

int totals_load(struct store *store, struct totals *ret, rh_error *error)
{
	uint8_t plain[TOTALS_SIZE] = {0};
	struct associated a;
	sqlite3_stmt *statement;
	size_t size;
	int code, result;

	code = statement_get(store, SQL_TOTALS_GET, &statement, error);
	if (code != RH_OK)
		return code;
	result = sqlite3_step(statement);
	size = result == SQLITE_ROW ? (size_t)sqlite3_column_bytes(statement, 0) : 0;
	if (size == TOTALS_SIZE + SEAL_OVERHEAD || size == TOTALS_SIZE_1 + SEAL_OVERHEAD) {
		associated_start(&a, SEALED_TOTALS, store->id);
		code = sealer_open(store->values, a.data, a.size,
		    sqlite3_column_blob(statement, 0), size, plain, error);
	} else if (result == SQLITE_ROW || result == SQLITE_DONE) {
		code = RH_E_STORE_DAMAGED;
	} else {
		code = database_failed(store, result, DOING_READ, error);
	}
	sqlite3_reset(statement);
	if (code == RH_E_STORE_DAMAGED)
		return error_set(
		    error, code, "the totals of %s were changed or damaged", store->path);
	if (code != RH_OK)
		return code;
	ret->licenses.licenses = get_u64be(plain);
	ret->licenses.restricted = get_u64be(plain + 8);
	ret->licenses.managed = get_u64be(plain + 16);
	ret->licenses.bytes = get_u64be(plain + 24);
	ret->values = get_u64be(plain + 32);
	ret->spent = get_u64be(plain + 40);
	return RH_OK;
}

int totals_seal(struct store *store, const struct totals *totals,
    uint8_t sealed[TOTALS_SIZE + SEAL_OVERHEAD], rh_error *error)
{
	uint8_t plain[TOTALS_SIZE];
	struct associated a;

	put_u64be(plain, totals->licenses.licenses);
	put_u64be(plain + 8, totals->licenses.restricted);
	put_u64be(plain + 16, totals->licenses.managed);
	put_u64be(plain + 24, totals->licenses.bytes);
	put_u64be(plain + 32, totals->values);
	put_u64be(plain + 40, totals->spent);
	associated_start(&a, SEALED_TOTALS, store->id);
	return sealer_seal(store->values, a.data, a.size, plain, sizeof plain, sealed, error);
}

int totals_save(struct store *store, rh_error *error)
{
	uint8_t sealed[TOTALS_SIZE + SEAL_OVERHEAD];
	sqlite3_stmt *statement;
	int code, result;

	code = totals_seal(store, &store->totals, sealed, error);
	if (code == RH_OK)
		code = statement_get(store, SQL_TOTALS_SET, &statement, error);
	if (code != RH_OK)
		return code;
	sqlite3_bind_blob(statement, 1, sealed, sizeof sealed, SQLITE_STATIC);
	result = sqlite3_step(statement);
	if (result != SQLITE_DONE)
		code = database_failed(store, result, DOING_WRITE, error);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return code;
}

int totals_recount(struct store *store, rh_error *error)
{
	struct store_row row = {0};
	struct store_totals counted = {0};
	struct store_cursor *cursor;
	bool more;
	int code;

	code = store_cursor_new(store, true, &cursor, error);
	if (code != RH_OK)
		return code;
	while ((code = store_cursor_next(cursor, &row, &more, error)) == RH_OK && more)
		totals_add(&counted, &row);
	store_cursor_free(cursor);
	store_row_free(&row);
	if (code == RH_OK)
		store->totals.licenses = counted;
	return code;
}
