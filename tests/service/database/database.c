/* What database.h promises, of SQLite and, through with_postgres.py, of PostgreSQL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "database_kit.h"

#define HASH "0123456789abcdef"

static const struct statement insert_meta = {
    "insert_meta", "INSERT INTO meta (name, value) VALUES ($1, $2)", 2, "tt"};
static const struct statement get_meta = {
    "get_meta", "SELECT value FROM meta WHERE name = $1 FOR UPDATE", 1, "t"};
static const struct statement all_meta = {
    "all_meta", "SELECT name FROM meta WHERE name NOT LIKE 'rehostd %' ORDER BY name", 0, ""};
static const struct statement update_meta = {"update_meta",
    /* Not in their order, and one twice. */
    "UPDATE meta SET value = $2 || $1 WHERE name = $1", 2, "tt"};
static const struct statement insert_audit = {"insert_audit",
    "INSERT INTO audit (seq, time, kind, actor, body, hash) VALUES ($1, $2, $3, '', $4, '" HASH
    "')",
    4, "iitt"};
static const struct statement get_audit = {
    "get_audit", "SELECT seq, time, kind, body FROM audit WHERE seq = $1", 1, "i"};
static const struct statement count_audit = {
    "count_audit", "SELECT count(*), coalesce(sum(seq), 0), count(*) > 0 FROM audit", 0, ""};
static const struct statement insert_case = {"insert_case",
    "INSERT INTO cases (token_hash, license, computer, problem, created)"
    " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (license, computer) DO NOTHING RETURNING number",
    5, "tttti"};
static const struct statement get_head = {"get_head",
    "SELECT seq, hash, rolled_back, resolved, issuers_version FROM head WHERE id = 1", 0, ""};
static const struct statement wrong = {"wrong", "SELECT nothing FROM nowhere", 0, ""};
static const struct statement null_kind = {
    "null_kind", "INSERT INTO nonces (nonce, expires) VALUES ('n', $1)", 1, "i"};

struct text {
	char text[256];
	unsigned rows;
};

static int take_text(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct text *text = context;

	(void)error;
	assert_int_equal(index, 0);
	text->rows++;
	strncat(text->text, row_text(row, 0), sizeof text->text - strlen(text->text) - 1);
	return RH_OK;
}

static int take_integer(void *context, size_t index, const struct row *row, rh_error *error)
{
	(void)index;
	(void)error;
	*(int64_t *)context = row_integer(row, 0);
	return RH_OK;
}

static struct connection *take(struct database *database, bool writing)
{
	struct connection *connection = NULL;
	rh_error error = {0};

	if (database_take(database, writing, &connection, &error) != RH_OK)
		fail_msg("%s", error.text);
	return connection;
}

static void begin(struct connection *connection)
{
	assert_int_equal(connection_begin(connection, NULL), RH_OK);
}

static void put_meta(struct connection *connection, const char *name, const char *value)
{
	const struct value values[] = {value_text(name), value_text(value)};
	rh_error error = {0};

	if (database_query(connection, &insert_meta, values, NULL, NULL, &error) != RH_OK)
		fail_msg("%s", error.text);
}

/* "" if there is none. */
static void expect_meta(struct database *database, const char *name, const char *value)
{
	struct connection *connection = take(database, true);
	const struct value values[] = {value_text(name)};
	struct text text = {0};

	begin(connection);
	assert_int_equal(
	    database_query(connection, &get_meta, values, take_text, &text, NULL), RH_OK);
	assert_int_equal(connection_commit(connection, NULL), RH_OK);
	database_give(connection);
	assert_string_equal(text.text, value);
}

/* ---- Opening ---- */

static void test_opening(void **state)
{
	struct database *database = kit_database(4), *again = NULL;
	struct connection *connection;
	int64_t seq = -1;
	(void)state;

	assert_string_equal(
	    database_kind(database), kit_is_postgres() ? "postgresql" : "sqlite");
	assert_int_equal(database_open(kit_database_address(database), 1, &again, NULL), RH_OK);
	connection = take(again, false);
	assert_int_equal(
	    database_query(connection, &get_head, NULL, take_integer, &seq, NULL), RH_OK);
	assert_int_equal(seq, 0);
	database_give(connection);
	database_close(again);
	kit_database_drop(database);
	database_close(NULL);
	database_give(NULL);
}

static void test_wrong_addresses(void **state)
{
	static const struct {
		const char *address;
		int code;
	} cases[] = {
	    {"", RH_E_ARGUMENT},
	    {"mysql://secret@localhost/ledger", RH_E_ARGUMENT},
	    {"sqlite:", RH_E_ARGUMENT},
	    {"sqlite:/proc/nowhere/secret.db", RH_E_DATABASE},
	    {"sqlite:/dev", RH_E_DATABASE},
	    {"postgresql://user:secret@localhost/ledger?nonsense=secret", RH_E_ARGUMENT},
	    {"postgresql://user:secret@[::1/ledger", RH_E_ARGUMENT},
	    {"postgresql://user:secret@127.0.0.1:1/ledger", RH_E_DATABASE},
	};
	(void)state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct database *database = NULL;
		rh_error error = {0};
		int code = database_open(cases[i].address, 1, &database, &error);

		if (code != cases[i].code && i != 3)
			fail_msg("%s: %s", cases[i].address, error.text);
		assert_int_not_equal(code, RH_OK);
		assert_null(database);
		assert_int_equal(error.code, code);
		assert_string_not_equal(error.text, "");
		if (strncmp(cases[i].address, "sqlite", 6) != 0)
			assert_null(strstr(error.text, "secret"));
	}
}

static void test_newer_schema(void **state)
{
	static const struct statement sqlite = {"newer", "PRAGMA user_version = 1000", 0, ""};
	static const struct statement postgres = {
	    "newer", "UPDATE meta SET value = '1000' WHERE name = 'rehostd schema'", 0, ""};
	struct database *database = kit_database(2), *again = NULL;
	struct connection *connection = take(database, true);
	rh_error error = {0};
	(void)state;

	assert_int_equal(database_query(connection, kit_is_postgres() ? &postgres : &sqlite,
			     NULL, NULL, NULL, &error),
	    RH_OK);
	database_give(connection);
	assert_int_equal(
	    database_open(kit_database_address(database), 2, &again, &error), RH_E_STORE_NEWER);
	assert_non_null(strstr(error.text, "1000"));
	assert_null(again);
	kit_database_drop(database);
}

static void test_not_a_ledger(void **state)
{
	static const struct statement sqlite = {"other", "PRAGMA application_id = 1", 0, ""};
	static const struct statement postgres = {
	    "other", "DELETE FROM meta WHERE name = 'rehostd schema'", 0, ""};
	struct database *database = kit_database(2), *again = NULL;
	struct connection *connection = take(database, true);
	(void)state;

	assert_int_equal(database_query(connection, kit_is_postgres() ? &postgres : &sqlite,
			     NULL, NULL, NULL, NULL),
	    RH_OK);
	database_give(connection);
	assert_int_equal(
	    database_open(kit_database_address(database), 2, &again, NULL), RH_E_DATABASE);
	kit_database_drop(database);
}

/* ---- Values ---- */

static int take_audit(void *context, size_t index, const struct row *row, rh_error *error)
{
	(void)error;
	(void)context;
	assert_int_equal(index, 0);
	assert_true(row_integer(row, 0) == INT64_MIN);
	assert_true(row_integer(row, 1) == INT64_MAX);
	assert_string_equal(row_text(row, 2), "");
	assert_string_equal(row_text(row, 3), "L\xc3\xadzenz \xf0\x9f\x94\x91 '; DROP");
	for (unsigned i = 0; i < 4; i++)
		assert_false(row_is_null(row, i));
	*(unsigned *)context += 1;
	return RH_OK;
}

static int take_head(void *context, size_t index, const struct row *row, rh_error *error)
{
	(void)error;
	assert_int_equal(index, 0);
	assert_int_equal(strlen(row_text(row, 1)), 64);
	assert_true(row_is_null(row, 2));
	assert_string_equal(row_text(row, 2), "");
	assert_true(row_is_null(row, 3));
	assert_int_equal(row_integer(row, 3), 0);
	*(unsigned *)context += 1;
	return RH_OK;
}

static void test_values(void **state)
{
	struct database *database = kit_database(2);
	struct connection *connection = take(database, true);
	/* The text goes on behind its size. */
	struct value text = {
	    VALUE_TEXT, 0, "L\xc3\xadzenz \xf0\x9f\x94\x91 '; DROP TABLE audit", 20};
	const struct value values[] = {
	    value_integer(INT64_MIN), value_integer(INT64_MAX), value_text(""), text};
	unsigned rows = 0;
	(void)state;

	assert_int_equal(value_text(NULL).type, VALUE_NULL);
	begin(connection);
	assert_int_equal(
	    database_query(connection, &insert_audit, values, NULL, NULL, NULL), RH_OK);
	assert_int_equal(connection_changes(connection), 1);
	assert_int_equal(connection_commit(connection, NULL), RH_OK);
	assert_int_equal(
	    database_query(connection, &get_audit, values, take_audit, &rows, NULL), RH_OK);
	assert_int_equal(rows, 1);
	assert_int_equal(connection_changes(connection), 0);
	assert_int_equal(
	    database_query(connection, &get_head, NULL, take_head, &rows, NULL), RH_OK);
	assert_int_equal(rows, 2);
	/* Rows that nobody wants to see. */
	assert_int_equal(database_query(connection, &get_head, NULL, NULL, NULL, NULL), RH_OK);
	database_give(connection);
	kit_database_drop(database);
}

static int take_sums(void *context, size_t index, const struct row *row, rh_error *error)
{
	(void)error;
	(void)context;
	(void)index;
	assert_int_equal(row_integer(row, 0), 2);
	assert_int_equal(row_integer(row, 1), 30);
	assert_int_equal(row_integer(row, 2), 1);
	return RH_OK;
}

static void test_dialects(void **state)
{
	struct database *database = kit_database(2);
	struct connection *connection = take(database, true);
	struct value audit[] = {
	    value_integer(10), value_integer(1), value_text("k"), value_text("b")};
	const struct value update[] = {value_text("b"), value_text("x")};
	struct text names = {0};
	(void)state;

	/* By bytes, whatever the language of the server is. */
	put_meta(connection, "b", "1");
	put_meta(connection, "B", "2");
	put_meta(connection, "a", "3");
	put_meta(connection, "\xc3\xa4", "4");
	assert_int_equal(
	    database_query(connection, &all_meta, NULL, take_text, &names, NULL), RH_OK);
	assert_string_equal(names.text, "Bab\xc3\xa4");
	assert_int_equal(names.rows, 4);

	assert_int_equal(
	    database_query(connection, &update_meta, update, NULL, NULL, NULL), RH_OK);
	assert_int_equal(connection_changes(connection), 1);
	for (int i = 0; i < 2; i++, audit[0] = value_integer(20))
		assert_int_equal(
		    database_query(connection, &insert_audit, audit, NULL, NULL, NULL), RH_OK);
	assert_int_equal(
	    database_query(connection, &count_audit, NULL, take_sums, NULL, NULL), RH_OK);
	database_give(connection);
	expect_meta(database, "b", "xb");
	expect_meta(database, "\xc3\xa4", "4");
	kit_database_drop(database);
}

static void test_numbers_given(void **state)
{
	struct database *database = kit_database(2);
	struct connection *connection = take(database, true);
	struct value values[] = {value_text("hash 1"), value_text("license"),
	    value_text("computer"), value_text("limit"), value_integer(1)};
	int64_t first = 0, second = 0, none = -1;
	(void)state;

	assert_int_equal(
	    database_query(connection, &insert_case, values, take_integer, &first, NULL),
	    RH_OK);
	assert_int_equal(connection_changes(connection), 1);
	values[0] = value_text("hash 2");
	assert_int_equal(
	    database_query(connection, &insert_case, values, take_integer, &none, NULL), RH_OK);
	assert_int_equal(connection_changes(connection), 0);
	assert_int_equal(none, -1);
	values[2] = value_text("another");
	assert_int_equal(
	    database_query(connection, &insert_case, values, take_integer, &second, NULL),
	    RH_OK);
	assert_true(first >= 1 && second > first);
	database_give(connection);
	kit_database_drop(database);
}

/* ---- Transactions ---- */

static void test_transactions(void **state)
{
	struct database *database = kit_database(3);
	struct connection *connection = take(database, true);
	(void)state;

	begin(connection);
	put_meta(connection, "a", "1");
	connection_rollback(connection);
	connection_rollback(connection);
	begin(connection);
	assert_int_equal(connection_begin(connection, NULL), RH_E_INTERNAL);
	put_meta(connection, "b", "2");
	assert_int_equal(connection_commit(connection, NULL), RH_OK);
	assert_int_equal(connection_commit(connection, NULL), RH_E_INTERNAL);
	begin(connection);
	put_meta(connection, "c", "3");
	database_give(connection);

	expect_meta(database, "a", "");
	expect_meta(database, "b", "2");
	expect_meta(database, "c", "");
	kit_database_drop(database);
}

static void test_reader_beside_writer(void **state)
{
	struct database *database = kit_database(3);
	struct connection *writer = take(database, true), *reader = take(database, false);
	const struct value values[] = {value_text("x"), value_text("y")};
	int64_t before = -1;
	rh_error error = {0};
	(void)state;

	begin(reader);
	assert_int_equal(
	    database_query(reader, &count_audit, NULL, take_integer, &before, NULL), RH_OK);
	begin(writer);
	assert_int_equal(database_query(writer, &insert_audit,
			     (struct value[]){value_integer(1), value_integer(1),
				 value_text("k"), value_text("b")},
			     NULL, NULL, NULL),
	    RH_OK);
	assert_int_equal(connection_commit(writer, NULL), RH_OK);
	assert_int_equal(
	    database_query(reader, &count_audit, NULL, take_integer, &before, NULL), RH_OK);
	assert_int_equal(before, 0); /* one moment */
	assert_int_equal(connection_commit(reader, NULL), RH_OK);
	assert_int_equal(
	    database_query(reader, &count_audit, NULL, take_integer, &before, NULL), RH_OK);
	assert_int_equal(before, 1);
	begin(reader);
	assert_int_not_equal(
	    database_query(reader, &insert_meta, values, NULL, NULL, &error), RH_OK);
	assert_string_not_equal(error.text, "");
	database_give(reader);
	database_give(writer);
	kit_database_drop(database);
}

static void test_conflicts(void **state)
{
	struct database *database = kit_database(2);
	struct connection *connection = take(database, true);
	const struct value values[] = {value_text("secret name"), value_text("secret value")};
	const struct value null = value_null();
	rh_error error = {0};
	(void)state;

	begin(connection);
	put_meta(connection, "secret name", "1");
	assert_int_equal(database_query(connection, &insert_meta, values, NULL, NULL, &error),
	    RH_E_DATABASE_CONFLICT);
	assert_null(strstr(error.text, "secret"));
	assert_null(strstr(error.text, "INSERT"));
	assert_non_null(strstr(error.text, "insert_meta"));
	connection_rollback(connection);

	/* Another failure of the same connection is no reason to do it again. */
	assert_int_equal(
	    database_query(connection, &null_kind, &null, NULL, NULL, &error), RH_E_INTERNAL);
	assert_int_equal(
	    database_query(connection, &wrong, NULL, NULL, NULL, &error), RH_E_INTERNAL);
	assert_null(strstr(error.text, "nowhere"));
	assert_int_equal(
	    database_query(connection, &insert_audit,
		(struct value[]){value_text("1"), null, null, null}, NULL, NULL, &error),
	    RH_E_INTERNAL);
	put_meta(connection, "after", "it works");
	database_give(connection);
	expect_meta(database, "after", "it works");
	expect_meta(database, "secret name", "");
	kit_database_drop(database);
}

static int refuse_row(void *context, size_t index, const struct row *row, rh_error *error)
{
	(void)index;
	(void)row;
	(void)error;
	++*(unsigned *)context;
	return RH_E_CANCELED;
}

static void test_function_fails(void **state)
{
	struct database *database = kit_database(2);
	struct connection *connection = take(database, true);
	unsigned calls = 0;
	struct text names = {0};
	(void)state;

	put_meta(connection, "a", "1");
	put_meta(connection, "b", "2");
	assert_int_equal(database_query(connection, &all_meta, NULL, refuse_row, &calls, NULL),
	    RH_E_CANCELED);
	assert_int_equal(calls, 1);
	begin(connection);
	assert_int_equal(
	    database_query_many(connection, &all_meta, NULL, 3, refuse_row, &calls, NULL),
	    RH_E_CANCELED);
	assert_int_equal(calls, 2);
	assert_int_equal(
	    database_query(connection, &all_meta, NULL, take_text, &names, NULL), RH_OK);
	assert_string_equal(names.text, "ab");
	database_give(connection);
	kit_database_drop(database);
}

/* ---- SQLite's copy ---- */

static void test_backup_is_sqlites(void **state)
{
	struct database *database = kit_database(2);
	rh_error error = {0};
	(void)state;

	if (kit_is_postgres())
		assert_int_equal(
		    database_backup(database, "/tmp/never", &error), RH_E_ARGUMENT);
	else
		assert_int_equal(database_backup(database,
				     strchr(kit_database_address(database), '/'), &error),
		    RH_E_ARGUMENT);
	kit_database_drop(database);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_opening),
	    cmocka_unit_test(test_wrong_addresses),
	    cmocka_unit_test(test_newer_schema),
	    cmocka_unit_test(test_not_a_ledger),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_dialects),
	    cmocka_unit_test(test_numbers_given),
	    cmocka_unit_test(test_transactions),
	    cmocka_unit_test(test_reader_beside_writer),
	    cmocka_unit_test(test_conflicts),
	    cmocka_unit_test(test_function_fails),
	    cmocka_unit_test(test_backup_is_sqlites),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
