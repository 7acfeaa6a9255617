/* Several threads, and several programs, at one database. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "service/database_internal.h"

#include "database_kit.h"

#define THREADS 6
#define ROUNDS 40

static const struct statement get = {
    "get", "SELECT value FROM meta WHERE name = $1 FOR UPDATE", 1, "t"};
static const struct statement set = {
    "set", "UPDATE meta SET value = $2 WHERE name = $1", 2, "tt"};
static const struct statement add = {
    "add", "INSERT INTO meta (name, value) VALUES ($1, '0')", 1, "t"};
static const struct statement heads = {"heads", "SELECT count(*) FROM head", 0, ""};

static int take_integer(void *context, size_t index, const struct row *row, rh_error *error)
{
	(void)index;
	(void)error;
	*(int64_t *)context = strtoll(row_text(row, 0), NULL, 10);
	return RH_OK;
}

static void add_row(struct database *database, const char *name)
{
	struct connection *connection = NULL;
	const struct value value = value_text(name);

	assert_int_equal(database_take(database, true, &connection, NULL), RH_OK);
	assert_int_equal(database_query(connection, &add, &value, NULL, NULL, NULL), RH_OK);
	database_give(connection);
}

static int64_t read_row(struct database *database, const char *name)
{
	struct connection *connection = NULL;
	const struct value value = value_text(name);
	int64_t number = -1;

	assert_int_equal(database_take(database, true, &connection, NULL), RH_OK);
	assert_int_equal(connection_begin(connection, NULL), RH_OK);
	assert_int_equal(
	    database_query(connection, &get, &value, take_integer, &number, NULL), RH_OK);
	database_give(connection);
	return number;
}

/* One more in a transaction that reads, and writes what it has read. */
static int count_up(struct connection *connection, const char *name, rh_error *error)
{
	struct value values[2] = {value_text(name), value_null()};
	int64_t number = -1;
	char text[24];
	int code;

	code = database_query(connection, &get, values, take_integer, &number, error);
	if (code != RH_OK)
		return code;
	snprintf(text, sizeof text, "%lld", (long long)number + 1);
	values[1] = value_text(text);
	return database_query(connection, &set, values, NULL, NULL, error);
}

struct worker {
	struct database *database;
	pthread_t thread;
	int failed;
	atomic_int *holding; /* connections that are out */
	atomic_int *most;
};

static void *count_many(void *argument)
{
	struct worker *worker = argument;
	rh_error error = {0};

	for (int done = 0; done < ROUNDS && !worker->failed;) {
		struct connection *connection = NULL;
		int code = database_take(worker->database, true, &connection, &error);

		if (code == RH_OK)
			code = connection_begin(connection, &error);
		if (code == RH_OK)
			code = count_up(connection, "counter", &error);
		if (code == RH_OK)
			code = connection_commit(connection, &error);
		database_give(connection);
		if (code == RH_OK)
			done++;
		else if (code != RH_E_DATABASE_CONFLICT)
			worker->failed = code;
	}
	return NULL;
}

static void run_workers(struct worker *workers, size_t count, void *(*work)(void *))
{
	for (size_t i = 0; i < count; i++)
		assert_int_equal(
		    pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(workers[i].failed, 0);
}

static void test_counter(void **state)
{
	struct worker workers[THREADS] = {{0}};
	struct database *database = kit_database(4), *second = NULL;
	(void)state;

	/* Half of them through a pool of their own, as another rehostd has one. */
	assert_int_equal(
	    database_open(kit_database_address(database), 2, &second, NULL), RH_OK);
	add_row(database, "counter");
	for (size_t i = 0; i < THREADS; i++)
		workers[i].database = i % 2 == 0 ? database : second;
	run_workers(workers, THREADS, count_many);
	assert_int_equal(read_row(database, "counter"), THREADS * ROUNDS);
	database_close(second);
	kit_database_drop(database);
}

/* ---- The pool ---- */

static void *hold_often(void *argument)
{
	struct worker *worker = argument;

	for (int i = 0; i < ROUNDS && !worker->failed; i++) {
		struct connection *connection = NULL;
		int now, most;

		worker->failed = database_take(worker->database, false, &connection, NULL);
		if (worker->failed)
			break;
		now = atomic_fetch_add(worker->holding, 1) + 1;
		most = atomic_load(worker->most);
		while (now > most && !atomic_compare_exchange_weak(worker->most, &most, now))
			;
		worker->failed = database_query(connection, &heads, NULL, NULL, NULL, NULL);
		atomic_fetch_sub(worker->holding, 1);
		/* Some are broken, and replaced by those who wait. */
		if (i % 8 == 0)
			connection->broken = true;
		database_give(connection);
	}
	return NULL;
}

static void test_pool(void **state)
{
	struct worker workers[THREADS] = {{0}};
	struct database *database = kit_database(3);
	atomic_int holding = 0, most = 0;
	(void)state;

	for (size_t i = 0; i < THREADS; i++)
		workers[i] =
		    (struct worker){.database = database, .holding = &holding, .most = &most};
	run_workers(workers, THREADS, hold_often);
	assert_in_range(most, 1, kit_is_postgres() ? 3 : 2);
	kit_database_drop(database);
}

static void test_pool_is_out(void **state)
{
	struct database *database = kit_database(1);
	struct connection *first = NULL, *second = NULL;
	rh_error error = {0};
	(void)state;

	database->wait_ms = 1020;
	assert_int_equal(database_take(database, true, &first, NULL), RH_OK);
	assert_int_equal(database_take(database, true, &second, &error), RH_E_DATABASE);
	assert_null(second);
	assert_string_not_equal(error.text, "");
	database_give(first);
	assert_int_equal(database_take(database, true, &first, NULL), RH_OK);
	database_give(first);
	kit_database_drop(database);
}

/* ---- Several that start on nothing ---- */

struct opener {
	const char *address;
	pthread_t thread;
	int code;
	rh_error error;
	struct database *database;
};

static void *open_it(void *argument)
{
	struct opener *opener = argument;

	opener->code = database_open(opener->address, 2, &opener->database, &opener->error);
	return NULL;
}

static void expect_one_head(struct database *database)
{
	struct connection *connection = NULL;
	int64_t count = 0;

	assert_int_equal(database_take(database, false, &connection, NULL), RH_OK);
	assert_int_equal(
	    database_query(connection, &heads, NULL, take_integer, &count, NULL), RH_OK);
	assert_int_equal(count, 1);
	database_give(connection);
}

static void test_openers(void **state)
{
	(void)state;
	for (int round = 0; round < 8; round++) {
		struct opener openers[THREADS] = {{0}};
		struct kit_place place;

		kit_place_make(&place);
		for (size_t i = 0; i < THREADS; i++) {
			openers[i].address = place.address;
			assert_int_equal(
			    pthread_create(&openers[i].thread, NULL, open_it, &openers[i]), 0);
		}
		for (size_t i = 0; i < THREADS; i++)
			assert_int_equal(pthread_join(openers[i].thread, NULL), 0);
		for (size_t i = 0; i < THREADS; i++) {
			if (openers[i].code != RH_OK)
				fail_msg("%s", openers[i].error.text);
			expect_one_head(openers[i].database);
			database_close(openers[i].database);
		}
		kit_place_drop(&place);
	}
}

/* Runs before there are threads. */
static void test_programs(void **state)
{
	struct kit_place place;
	struct database *database = NULL;
	pid_t children[THREADS];
	(void)state;

	kit_place_make(&place);
	for (size_t i = 0; i < THREADS; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] == 0) {
			struct opener opener = {.address = place.address};

			open_it(&opener);
			if (opener.code == RH_OK)
				database_close(opener.database);
			_exit(opener.code == RH_OK ? 0 : 1);
		}
	}
	for (size_t i = 0; i < THREADS; i++) {
		int status = -1;

		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(database_open(place.address, 2, &database, NULL), RH_OK);
	expect_one_head(database);
	database_close(database);
	kit_place_drop(&place);
}

/* ---- Locks ---- */

struct crossing {
	struct database *database;
	pthread_barrier_t *barrier;
	const char *first, *second;
	pthread_t thread;
	int code;
};

static void *cross(void *argument)
{
	struct crossing *crossing = argument;
	struct connection *connection = NULL;
	int code = database_take(crossing->database, true, &connection, NULL);

	if (code == RH_OK)
		code = connection_begin(connection, NULL);
	if (code == RH_OK)
		code = count_up(connection, crossing->first, NULL);
	pthread_barrier_wait(crossing->barrier);
	if (code == RH_OK)
		code = count_up(connection, crossing->second, NULL);
	if (code == RH_OK)
		code = connection_commit(connection, NULL);
	database_give(connection);
	crossing->code = code;
	return NULL;
}

static void test_deadlock(void **state)
{
	struct database *database = kit_database(2);
	pthread_barrier_t barrier;
	struct crossing one = {database, &barrier, "a", "b", 0, -1};
	struct crossing two = {database, &barrier, "b", "a", 0, -1};
	(void)state;

	add_row(database, "a");
	add_row(database, "b");
	assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
	assert_int_equal(pthread_create(&one.thread, NULL, cross, &one), 0);
	assert_int_equal(pthread_create(&two.thread, NULL, cross, &two), 0);
	assert_int_equal(pthread_join(one.thread, NULL), 0);
	assert_int_equal(pthread_join(two.thread, NULL), 0);
	pthread_barrier_destroy(&barrier);
	assert_true((one.code == RH_OK && two.code == RH_E_DATABASE_CONFLICT) ||
		    (two.code == RH_OK && one.code == RH_E_DATABASE_CONFLICT));
	assert_int_equal(read_row(database, "a"), 1);
	assert_int_equal(read_row(database, "b"), 1);
	kit_database_drop(database);
}

/* SQLite's one writer is of another program. */
static void test_busy(void **state)
{
	struct database *database = kit_database(2), *other = NULL;
	struct connection *holds = NULL, *waits = NULL;
	rh_error error = {0};
	(void)state;

	assert_int_equal(database_open(kit_database_address(database), 2, &other, NULL), RH_OK);
	assert_int_equal(database_take(database, true, &holds, NULL), RH_OK);
	assert_int_equal(connection_begin(holds, NULL), RH_OK);
	assert_int_equal(database_take(other, true, &waits, NULL), RH_OK);
	sqlite3_busy_timeout(sqlite_handle(waits), 20);
	assert_int_equal(connection_begin(waits, &error), RH_E_DATABASE_CONFLICT);
	assert_int_equal(connection_commit(holds, NULL), RH_OK);
	assert_int_equal(connection_begin(waits, NULL), RH_OK);
	database_give(holds);
	database_give(waits);
	database_close(other);
	kit_database_drop(database);
}

int main(void)
{
	const struct CMUnitTest both[] = {
	    cmocka_unit_test(test_programs),
	    cmocka_unit_test(test_counter),
	    cmocka_unit_test(test_pool),
	    cmocka_unit_test(test_pool_is_out),
	    cmocka_unit_test(test_openers),
	};
	const struct CMUnitTest postgres[] = {cmocka_unit_test(test_deadlock)};
	const struct CMUnitTest sqlite[] = {cmocka_unit_test(test_busy)};
	int failed = cmocka_run_group_tests(both, NULL, NULL);

	if (kit_is_postgres())
		failed += cmocka_run_group_tests(postgres, NULL, NULL);
	else
		failed += cmocka_run_group_tests(sqlite, NULL, NULL);
	return failed;
}
