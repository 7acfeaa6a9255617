/* Somebody edits the store with another tool: every single column, one at a time. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sqlite3.h>

#include "fixture.h"

#define ROWS 4
#define VALUES 2
#define REMOVED 21 /* this licence and the next odd one were here, and had spent something */

static const char *const value_names[VALUES] = {"first", "second"};

struct table {
	const char *name;
	const char *key; /* the column that names a row */
};

static const struct table tables[] = {
    {"store", "one"},
    {"dictionaries", "number"},
    {"licenses", "number"},
    {"sealed_values", "name"},
    {"spent", "id"},
};

/* How a value is changed; each gives another value of a type that fits. */
enum edit {
	EDIT_FIRST,
	EDIT_MIDDLE,
	EDIT_LAST,
	EDIT_LONGER,
	EDIT_SHORTER,
	EDIT_NULL,
	EDIT_COUNT
};

static void copy_file(const char *from, const char *to)
{
	FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
	char bytes[65536];
	size_t size;

	assert_non_null(in);
	assert_non_null(out);
	while ((size = fread(bytes, 1, sizeof bytes, in)) > 0)
		assert_int_equal(fwrite(bytes, 1, size, out), size);
	fclose(in);
	assert_int_equal(fclose(out), 0);
}

static void bind_edited(sqlite3_stmt *update, sqlite3_value *value, enum edit edit)
{
	int type = sqlite3_value_type(value);
	const unsigned char *from = sqlite3_value_blob(value);
	int size = sqlite3_value_bytes(value);
	unsigned char *bytes;

	if (edit == EDIT_NULL || type == SQLITE_NULL) {
		if (type != SQLITE_NULL)
			sqlite3_bind_null(update, 1);
		return;
	}
	if (type == SQLITE_INTEGER) {
		int64_t number = sqlite3_value_int64(value);
		const int64_t by[] = {[EDIT_FIRST] = INT64_MIN,
		    [EDIT_MIDDLE] = 256,
		    [EDIT_LAST] = 1,
		    [EDIT_LONGER] = 1000,
		    [EDIT_SHORTER] = 2};

		sqlite3_bind_int64(update, 1, number ^ by[edit]);
		return;
	}
	bytes = calloc(1, (size_t)size + 2);
	assert_non_null(bytes);
	if (size > 0)
		memcpy(bytes, from, (size_t)size);
	if (size == 0 || edit == EDIT_LONGER)
		bytes[size++] = 'x';
	else if (edit == EDIT_SHORTER)
		size--;
	else
		bytes[edit == EDIT_FIRST ? 0 : edit == EDIT_LAST ? size - 1 : size / 2] ^= 1;
	if (type == SQLITE_TEXT)
		sqlite3_bind_text(update, 1, (char *)bytes, size, free);
	else
		sqlite3_bind_blob(update, 1, bytes, size, free);
}

/* Edits one column of one row; false if there is no such edit of this value. */
static bool apply(struct fixture *f, const struct table *table, int row, int column,
    enum edit edit, char *name, size_t name_size)
{
	sqlite3 *db;
	sqlite3_stmt *select, *update;
	sqlite3_value *value, *key;
	char sql[256];
	int result;

	assert_int_equal(sqlite3_open(f->file, &db), SQLITE_OK);
	sqlite3_exec(db, "PRAGMA ignore_check_constraints = ON; PRAGMA synchronous = OFF", NULL,
	    NULL, NULL);
	snprintf(sql, sizeof sql, "SELECT %s, * FROM %s LIMIT 1 OFFSET %d", table->key,
	    table->name, row);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &select, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(select), SQLITE_ROW);
	key = sqlite3_value_dup(sqlite3_column_value(select, 0));
	value = sqlite3_value_dup(sqlite3_column_value(select, column + 1));
	snprintf(name, name_size, "%s", sqlite3_column_name(select, column + 1));
	snprintf(sql, sizeof sql, "UPDATE %s SET %s = ?1 WHERE %s = ?2", table->name, name,
	    table->key);
	sqlite3_finalize(select);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &update, NULL), SQLITE_OK);
	bind_edited(update, value, edit);
	sqlite3_bind_value(update, 2, key);
	if (sqlite3_value_type(value) == SQLITE_NULL) {
		/* From nothing to something: whatever the column takes. */
		sqlite3_bind_blob(update, 1, edit == EDIT_FIRST ? "x" : "", edit == EDIT_FIRST,
		    SQLITE_STATIC);
		if (sqlite3_step(update) != SQLITE_DONE) {
			sqlite3_reset(update);
			sqlite3_bind_int64(update, 1, edit == EDIT_FIRST ? 7 : 0);
		}
		sqlite3_reset(update);
	}
	result = sqlite3_step(update);
	sqlite3_finalize(update);
	sqlite3_value_free(key);
	sqlite3_value_free(value);
	if (result == SQLITE_DONE)
		assert_int_equal(sqlite3_changes(db), 1);
	sqlite3_close(db);
	return result == SQLITE_DONE;
}

/* Reads everything there is; the first code that is no success. */
static int read_rows(struct store *store, struct store_sealer *sealer, bool facts_only)
{
	struct store_content content = {0};
	struct store_cursor *cursor;
	struct store_row row = {0};
	bool more;
	int code, worst = RH_OK;

	code = store_cursor_new(store, facts_only, &cursor, &fixture_error);
	if (code != RH_OK)
		return code;
	while (
	    (code = store_cursor_next(cursor, &row, &more, &fixture_error)) == RH_OK && more) {
		if (facts_only)
			code = store_check_facts(sealer, &row, &fixture_error);
		else
			code = store_open_row(sealer, &row, &content, &fixture_error);
		if (worst == RH_OK)
			worst = code;
	}
	store_cursor_free(cursor);
	store_row_free(&row);
	store_content_free(&content);
	return code != RH_OK ? code : worst;
}

static int read_rest(struct store *store)
{
	struct license_state state;
	struct license facts;
	struct buffer value = {0};
	struct store_totals totals;
	int code = store_totals(store, &totals, &fixture_error);

	for (int i = 0; i < VALUES && code == RH_OK; i++) {
		code = store_value_get(store, value_names[i], &value, &fixture_error);
		if (code == RH_OK && value.size == 0)
			code = RH_E_STORE_MISSING;
	}
	buffer_free_secret(&value);
	for (unsigned i = REMOVED; i <= REMOVED + 2 && code == RH_OK; i += 2) {
		sample_facts(&facts, i);
		code = store_spent(store, facts.id, false, &state, &fixture_error);
		if (code == RH_OK && state.count_count == 0)
			code = RH_E_INTERNAL;
	}
	return code;
}

/* The first code that is no success; and those of the facts alone, and of the opened rows. */
static int read_all(struct fixture *f, int *ret_facts, int *ret_opened)
{
	struct store *store;
	struct store_sealer *sealer;
	int code = fixture_try(f, STORE_READ_ONLY, &store, &fixture_error);

	*ret_facts = *ret_opened = code;
	if (code != RH_OK)
		return code;
	assert_ok(store_sealer_new(store, &sealer, &fixture_error));
	*ret_facts = read_rows(store, sealer, true);
	*ret_opened = read_rows(store, sealer, false);
	code = *ret_opened != RH_OK ? *ret_opened : *ret_facts;
	if (code == RH_OK)
		code = read_rest(store);
	store_sealer_free(sealer);
	store_close(store);
	return code;
}

static void fill(struct fixture *f)
{
	fixture_open(f, STORE_CREATE);
	for (unsigned i = 0; i < ROWS; i++) {
		/* Some rows without a dictionary, some with. */
		if (i == 1)
			learn_samples(f->store);
		assert_fails(
		    sample_insert(f->store, f->sealer, 4 + i, &fixture_error), RH_S_ADDED);
	}
	for (int i = 0; i < VALUES; i++)
		assert_ok(store_value_set(
		    f->store, value_names[i], value_names[i], 5, &fixture_error));
	for (unsigned i = REMOVED; i <= REMOVED + 2; i += 2) {
		struct license facts;

		assert_fails(sample_insert(f->store, f->sealer, i, &fixture_error), RH_S_ADDED);
		sample_facts(&facts, i);
		assert_ok(store_remove(f->store, facts.id, &fixture_error));
	}
	fixture_close(f);
}

/* The facts alone do not tell what lies in the sealed parts, nor of other tables. */
static bool is_fact(const struct table *table, const char *column)
{
	return strcmp(table->name, "licenses") == 0 && strcmp(column, "document") != 0 &&
	       strcmp(column, "secret") != 0 && strcmp(column, "state") != 0;
}

/* The row's number and its seal are looked at with the facts alone; all else is opened too. */
static bool is_opened(const struct table *table, const char *column)
{
	return strcmp(table->name, "licenses") == 0 && strcmp(column, "number") != 0 &&
	       strcmp(column, "seal") != 0;
}

static void test_every_column(void **state)
{
	struct fixture *f = *state;
	char pristine[160], sql[96], name[64];
	int facts, opened, edits = 0;

	fill(f);
	assert_ok(read_all(f, &facts, &opened));
	snprintf(pristine, sizeof pristine, "%s.pristine", f->file);
	copy_file(f->file, pristine);
	for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
		int rows, columns;

		snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", tables[t].name);
		rows = (int)fixture_sql_number(f, sql);
		snprintf(sql, sizeof sql, "SELECT count(*) FROM pragma_table_info('%s')",
		    tables[t].name);
		columns = (int)fixture_sql_number(f, sql);
		assert_true(rows > 0 && columns > 0);
		for (int i = 0; i < rows * columns * EDIT_COUNT; i++) {
			int row = i / EDIT_COUNT / columns, column = i / EDIT_COUNT % columns;
			bool done = apply(f, &tables[t], row, column,
			    (enum edit)(i % EDIT_COUNT), name, sizeof name);
			int code = read_all(f, &facts, &opened);

			if (done && (code != RH_E_STORE_DAMAGED ||
					(is_fact(&tables[t], name) && facts != code) ||
					(is_opened(&tables[t], name) && opened != code)))
				fail_msg("%s.%s, row %d, edit %d: %d, facts %d, opened %d",
				    tables[t].name, name, row, i % EDIT_COUNT, code, facts,
				    opened);
			/* NOT NULL and UNIQUE refuse some, but never the first. */
			if (i % EDIT_COUNT == EDIT_FIRST)
				assert_true(done);
			edits += done;
			copy_file(pristine, f->file);
		}
	}
	assert_true(edits > (int)(ROWS * 22 * 4));
	assert_ok(read_all(f, &facts, &opened));
}

/* One statement of SQL, and whether facts alone tell. */
static void assert_found(struct fixture *f, const char *sql, bool by_facts)
{
	int facts, opened;

	fixture_sql(f, sql);
	assert_fails(read_all(f, &facts, &opened), RH_E_STORE_DAMAGED);
	assert_int_equal(facts == RH_E_STORE_DAMAGED, by_facts);
}

static void test_swaps(void **state)
{
	struct fixture *f = *state;
	char pristine[160];

	fill(f);
	snprintf(pristine, sizeof pristine, "%s.pristine", f->file);
	copy_file(f->file, pristine);
	assert_found(f,
	    "UPDATE licenses SET number = -1 WHERE number = 1;"
	    "UPDATE licenses SET number = 1 WHERE number = 2;"
	    "UPDATE licenses SET number = 2 WHERE number = -1",
	    true);
	copy_file(pristine, f->file);
	assert_found(f,
	    "CREATE TABLE kept AS SELECT number, document FROM licenses;"
	    "UPDATE licenses SET document ="
	    " (SELECT document FROM kept WHERE kept.number = 3 - licenses.number)"
	    " WHERE number <= 2",
	    false);
}

static void test_replay(void **state)
{
	struct fixture *f = *state;
	struct store_row row = {0};
	struct license_state spent;
	struct store_content content = {0};
	struct license facts;
	int ignored;

	fill(f);
	fixture_sql(f, "CREATE TABLE kept AS SELECT * FROM licenses WHERE number = 2");
	sample_facts(&facts, 5);
	fixture_open(f, 0);
	assert_ok(store_get(f->store, facts.id, &row, &fixture_error));
	assert_ok(store_open_row(f->sealer, &row, &content, &fixture_error));
	spent = content.state;
	spent.counts[0].remaining = 0;
	row.state_version++;
	assert_ok(store_seal(f->sealer, &row, content.document.data, content.document.size,
	    content.secret.data, content.secret.size, &spent, &fixture_error));
	assert_ok(store_replace(f->store, row.number, &row, &fixture_error));
	store_row_free(&row);
	store_content_free(&content);
	fixture_close(f);
	assert_ok(read_all(f, &ignored, &ignored));

	/* The old state, and the old document, come from the same licence. */
	assert_found(
	    f, "UPDATE licenses SET state = (SELECT state FROM kept) WHERE number = 2", false);
	fixture_sql(f, "DELETE FROM licenses WHERE number = 2");
	assert_found(f,
	    "INSERT INTO licenses SELECT 9, id, key_id, format, issuer, title, service, reason,"
	    " issued, not_before, not_after, counts, backup, added, bytes, digest,"
	    " state_version, dictionary, seal, document, secret, state FROM kept",
	    true);
}

static void test_missing(void **state)
{
	struct fixture *f = *state;
	struct buffer value = {0};

	fill(f);
	fixture_open(f, 0);
	assert_ok(store_check_pages(f->store, &fixture_error));
	fixture_close(f);

	fixture_sql(f, "DELETE FROM licenses WHERE number = 2");
	fixture_open(f, 0);
	assert_fails(store_check_pages(f->store, &fixture_error), RH_E_STORE_DAMAGED);
	fixture_close(f);

	fixture_sql(f, "DELETE FROM sealed_values WHERE name = 'first'");
	fixture_open(f, 0);
	assert_fails(
	    store_value_get(f->store, "first", &value, &fixture_error), RH_E_STORE_DAMAGED);
	assert_ok(store_value_get(f->store, "second", &value, &fixture_error));
	assert_fails(store_check_pages(f->store, &fixture_error), RH_E_STORE_DAMAGED);
	fixture_close(f);

	fixture_sql(f, "DELETE FROM dictionaries");
	fixture_open(f, 0);
	assert_int_equal(read_rows(f->store, f->sealer, true), RH_OK);
	assert_int_equal(read_rows(f->store, f->sealer, false), RH_E_STORE_DAMAGED);
	assert_fails(store_check_pages(f->store, &fixture_error), RH_E_STORE_DAMAGED);
	buffer_free(&value);
}

/* A damaged licence can be removed, after which all is well again. */
static void test_remove_damaged(void **state)
{
	struct fixture *f = *state;
	struct license facts;
	struct store_totals totals;

	fill(f);
	fixture_sql(f, "UPDATE licenses SET backup = 0, bytes = 1000000 WHERE number = 2");
	fixture_open(f, 0);
	assert_fails(store_check_pages(f->store, &fixture_error), RH_E_STORE_DAMAGED);
	sample_facts(&facts, 5);
	assert_ok(store_remove(f->store, facts.id, &fixture_error));
	assert_ok(store_check_pages(f->store, &fixture_error));
	assert_ok(store_totals(f->store, &totals, &fixture_error));
	assert_int_equal(totals.licenses, ROWS - 1);
	assert_int_equal(totals.restricted, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_every_column, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_swaps, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_replay, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(test_missing, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(
		test_remove_damaged, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
