/* Statements that run many times in one exchange, and connections that are lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "service/database_internal.h"

#include "database_kit.h"

static const struct statement insert_meta = {
    "insert_meta", "INSERT INTO meta (name, value) VALUES ($1, $2)", 2, "tt"};
static const struct statement get_meta = {
    "get_meta", "SELECT value FROM meta WHERE name = $1", 1, "t"};
static const struct statement insert_audit = {"insert_audit",
    "INSERT INTO audit (seq, time, kind, actor, body, hash) VALUES ($1, $2, $3, '', $4, '')", 4,
    "iitt"};
static const struct statement get_audit = {
    "get_audit", "SELECT seq, time, kind, body FROM audit WHERE seq = $1", 1, "i"};
/* Waits until they are gone. */
static const struct statement terminate = {"terminate",
    "SELECT count(*) FROM (SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()) AS gone",
    0, ""};

static int take_text(void *context, size_t index, const struct row *row, rh_error *error)
{
	(void)index;
	(void)error;
	snprintf(context, 64, "%s", row_text(row, 0));
	return RH_OK;
}

static struct connection *take(struct database *database)
{
	struct connection *connection = NULL;
	rh_error error = {0};

	if (database_take(database, true, &connection, &error) != RH_OK)
		fail_msg("%s", error.text);
	return connection;
}

static void begin(struct connection *connection)
{
	rh_error error = {0};

	if (connection_begin(connection, &error) != RH_OK)
		fail_msg("%s", error.text);
}

static int put_meta(
    struct connection *connection, const char *name, const char *value, rh_error *error)
{
	const struct value values[] = {value_text(name), value_text(value)};

	return database_query(connection, &insert_meta, values, NULL, NULL, error);
}

/* "" if there is none. */
static void expect_meta(struct database *database, const char *name, const char *value)
{
	struct connection *connection = take(database);
	const struct value values[] = {value_text(name)};
	char text[64] = "";

	begin(connection);
	assert_int_equal(
	    database_query(connection, &get_meta, values, take_text, text, NULL), RH_OK);
	assert_int_equal(connection_commit(connection, NULL), RH_OK);
	database_give(connection);
	assert_string_equal(text, value);
}

/* ---- Many at once ---- */

#define MANY 3000
#define BODY 4000

static int in_order(void *context, size_t index, const struct row *row, rh_error *error)
{
	size_t *next = context;

	(void)error;
	assert_int_equal(index, *next);
	assert_int_equal(row_integer(row, 0), index);
	assert_int_equal(strlen(row_text(row, 3)), BODY);
	++*next;
	return RH_OK;
}

static void test_many(void **state)
{
	struct database *database = kit_database(2);
	struct connection *connection = take(database);
	struct value *values = calloc((size_t)MANY * 4, sizeof *values);
	char *body = malloc(BODY + 1);
	struct value none = value_null();
	size_t next = 0;
	(void)state;

	assert_non_null(values);
	assert_non_null(body);
	memset(body, 'b', BODY);
	body[BODY] = '\0';
	for (int i = 0; i < MANY; i++) {
		values[4 * i] = value_integer(i);
		values[4 * i + 1] = value_integer(-i);
		values[4 * i + 2] = value_text("kind");
		values[4 * i + 3] = value_text(body);
	}
	assert_int_equal(
	    database_query_many(connection, &insert_audit, values, 1, NULL, NULL, NULL),
	    RH_E_INTERNAL);
	begin(connection);
	assert_int_equal(
	    database_query_many(connection, &insert_audit, &none, 0, NULL, NULL, NULL), RH_OK);
	assert_int_equal(
	    database_query_many(connection, &insert_audit, values, MANY, NULL, NULL, NULL),
	    RH_OK);
	assert_int_equal(connection_changes(connection), MANY);
	for (int i = 0; i < MANY; i++)
		values[i] = value_integer(i);
	assert_int_equal(
	    database_query_many(connection, &get_audit, values, MANY, in_order, &next, NULL),
	    RH_OK);
	assert_int_equal(next, MANY);
	assert_int_equal(connection_commit(connection, NULL), RH_OK);
	database_give(connection);
	free(body);
	free(values);
	kit_database_drop(database);
}

static void test_many_conflict(void **state)
{
	struct database *database = kit_database(2);
	struct connection *connection = take(database);
	struct value values[2 * 600];
	static char names[600][16];
	rh_error error = {0};
	(void)state;

	for (int i = 0; i < 600; i++) {
		snprintf(names[i], sizeof names[i], "n%d", i == 400 ? 7 : i);
		values[2 * i] = value_text(names[i]);
		values[2 * i + 1] = value_text("");
	}
	begin(connection);
	assert_int_equal(
	    database_query_many(connection, &insert_meta, values, 600, NULL, NULL, &error),
	    RH_E_DATABASE_CONFLICT);
	assert_non_null(strstr(error.text, "insert_meta"));
	connection_rollback(connection);
	assert_int_equal(put_meta(connection, "after", "it works", NULL), RH_OK);
	database_give(connection);
	expect_meta(database, "after", "it works");
	expect_meta(database, "n3", "");
	kit_database_drop(database);
}

/* ---- PostgreSQL: connections that are lost ---- */

/* All but those of ${other}. */
static void cut(struct database *other)
{
	struct connection *connection = take(other);

	assert_int_equal(database_query(connection, &terminate, NULL, NULL, NULL, NULL), RH_OK);
	database_give(connection);
}

struct pair {
	struct database *database;
	struct database *other; /* of the same address, with one connection */
};

static void open_pair(struct pair *pair, unsigned connections)
{
	pair->database = kit_database(connections);
	assert_int_equal(
	    database_open(kit_database_address(pair->database), 1, &pair->other, NULL), RH_OK);
}

static void drop_pair(struct pair *pair)
{
	database_close(pair->other);
	kit_database_drop(pair->database);
}

/* Connections that were lost while nothing was asked of them trouble nobody. */
static void test_lost_while_idle(void **state)
{
	struct connection *connections[3];
	struct pair pair;
	rh_error error = {0};
	(void)state;

	open_pair(&pair, 3);
	for (size_t i = 0; i < 3; i++)
		connections[i] = take(pair.database);
	assert_int_equal(put_meta(connections[0], "a", "1", NULL), RH_OK);
	for (size_t i = 0; i < 3; i++)
		database_give(connections[i]);
	cut(pair.other);
	for (size_t i = 0; i < 3; i++)
		connections[i] = take(pair.database);
	for (size_t i = 0; i < 3; i++)
		if (put_meta(connections[i], (const char *[]){"b", "c", "d"}[i], "2", &error) !=
		    RH_OK)
			fail_msg("%s", error.text);
	for (size_t i = 0; i < 3; i++)
		database_give(connections[i]);
	expect_meta(pair.database, "d", "2");
	drop_pair(&pair);
}

/* Between being taken and the begin; its statements are prepared anew. */
static void test_lost_before_begin(void **state)
{
	struct connection *connection;
	struct pair pair;
	(void)state;

	open_pair(&pair, 1);
	connection = take(pair.database);
	assert_int_equal(put_meta(connection, "a", "1", NULL), RH_OK);
	cut(pair.other);
	begin(connection);
	assert_int_equal(put_meta(connection, "b", "2", NULL), RH_OK);
	assert_int_equal(connection_commit(connection, NULL), RH_OK);
	database_give(connection);
	expect_meta(pair.database, "b", "2");
	drop_pair(&pair);
}

static void test_lost_within(void **state)
{
	struct connection *connection;
	struct pair pair;
	struct value values[4] = {
	    value_text("c"), value_text("3"), value_text("d"), value_text("4")};
	rh_error error = {0};
	(void)state;

	open_pair(&pair, 1);
	for (int many = 0; many < 2; many++) {
		connection = take(pair.database);
		begin(connection);
		assert_int_equal(put_meta(connection, "a", "1", NULL), RH_OK);
		cut(pair.other);
		assert_int_equal(many ? database_query_many(connection, &insert_meta, values, 2,
					    NULL, NULL, &error)
				      : put_meta(connection, "b", "secret", &error),
		    RH_E_DATABASE);
		assert_null(strstr(error.text, "secret"));
		/* Nothing more goes through it, least of all half a transaction. */
		assert_int_equal(put_meta(connection, "b", "2", NULL), RH_E_DATABASE);
		assert_int_equal(
		    database_query_many(connection, &insert_meta, values, 2, NULL, NULL, NULL),
		    RH_E_DATABASE);
		assert_int_equal(connection_commit(connection, NULL), RH_E_DATABASE);
		database_give(connection);
		expect_meta(pair.database, "a", "");
		expect_meta(pair.database, "b", "");
		expect_meta(pair.database, "c", "");
	}
	drop_pair(&pair);
}

static void test_lost_commit(void **state)
{
	struct connection *connection;
	struct pair pair;
	rh_error error = {0};
	(void)state;

	open_pair(&pair, 1);
	connection = take(pair.database);
	begin(connection);
	assert_int_equal(put_meta(connection, "a", "1", NULL), RH_OK);
	cut(pair.other);
	assert_int_equal(connection_commit(connection, &error), RH_E_DATABASE);
	assert_non_null(strstr(error.text, "may have taken place"));
	/* The same connection begins anew. */
	connection_rollback(connection);
	begin(connection);
	assert_int_equal(put_meta(connection, "a", "2", NULL), RH_OK);
	assert_int_equal(connection_commit(connection, NULL), RH_OK);
	database_give(connection);
	expect_meta(pair.database, "a", "2");
	drop_pair(&pair);
}

/* A commit of what the server has given up already commits nothing, and says so. */
static void test_commit_after_failure(void **state)
{
	struct connection *connection;
	struct pair pair;
	(void)state;

	open_pair(&pair, 1);
	connection = take(pair.database);
	begin(connection);
	assert_int_equal(put_meta(connection, "a", "1", NULL), RH_OK);
	assert_int_equal(put_meta(connection, "a", "1", NULL), RH_E_DATABASE_CONFLICT);
	assert_int_not_equal(connection_commit(connection, NULL), RH_OK);
	database_give(connection);
	expect_meta(pair.database, "a", "");
	drop_pair(&pair);
}

/* A server that does not answer is given up. */
static void test_no_answer(void **state)
{
	static const struct statement lock = {"lock", "LOCK TABLE meta", 0, ""};
	struct connection *holds, *waits;
	struct pair pair;
	const struct value values[] = {value_text("a"), value_text("1")};
	(void)state;

	open_pair(&pair, 1);
	expect_meta(pair.database, "a", "");
	holds = take(pair.other);
	for (int mode = 0; mode < 3; mode++) {
		waits = take(pair.database);
		if (mode > 0) { /* prepared already */
			begin(waits);
			assert_int_equal(put_meta(waits, "a", "1", NULL), RH_OK);
			connection_rollback(waits);
		}
		begin(waits);
		begin(holds);
		assert_int_equal(database_query(holds, &lock, NULL, NULL, NULL, NULL), RH_OK);
		pair.database->answer_ms = 100;
		assert_int_equal(mode == 2 ? database_query_many(waits, &insert_meta, values, 1,
						 NULL, NULL, NULL)
					   : put_meta(waits, "a", "1", NULL),
		    RH_E_DATABASE);
		assert_true(waits->broken);
		assert_int_equal(connection_commit(waits, NULL), RH_E_DATABASE);
		pair.database->answer_ms = DATABASE_ANSWER_MS;
		database_give(waits);
		connection_rollback(holds);
	}
	database_give(holds);
	expect_meta(pair.database, "a", "");
	drop_pair(&pair);
}

int main(void)
{
	const struct CMUnitTest both[] = {
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_many_conflict),
	};
	const struct CMUnitTest postgres[] = {
	    cmocka_unit_test(test_lost_while_idle),
	    cmocka_unit_test(test_lost_before_begin),
	    cmocka_unit_test(test_lost_within),
	    cmocka_unit_test(test_lost_commit),
	    cmocka_unit_test(test_no_answer),
	    cmocka_unit_test(test_commit_after_failure),
	};
	int failed = cmocka_run_group_tests(both, NULL, NULL);

	if (kit_is_postgres())
		failed += cmocka_run_group_tests(postgres, NULL, NULL);
	return failed;
}
