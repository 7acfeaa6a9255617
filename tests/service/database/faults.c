/* Memory that runs out, media that are full, and SQLite's copy while it is used. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "service/database_internal.h"

#include "database_kit.h"
#include "failing.h"

static const struct statement put = {"put",
    "INSERT INTO meta (name, value) VALUES ($1, $2)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    2, "tt"};
static const struct statement get = {"get", "SELECT value FROM meta WHERE name = $1", 1, "t"};
static const struct statement grow = {"grow",
    "INSERT INTO audit (seq, time, kind, actor, body, hash) VALUES ($1, 0, '', '', $2, '')", 2,
    "it"};
static const struct statement count_audit = {
    "count_audit", "SELECT count(*) FROM audit", 0, ""};
static const struct statement pair = {"pair",
    "SELECT max(value) = min(value), count(*) FROM meta WHERE name IN ('a', 'b')", 0, ""};

static int take_integer(void *context, size_t index, const struct row *row, rh_error *error)
{
	(void)index;
	(void)error;
	*(int64_t *)context = row_integer(row, 0);
	return RH_OK;
}

static int take_text(void *context, size_t index, const struct row *row, rh_error *error)
{
	(void)index;
	(void)error;
	snprintf(context, 64, "%s", row_text(row, 0));
	return RH_OK;
}

/* ---- Allocations ---- */

static sqlite3_mem_methods memory;

static void *sql_malloc(int size)
{
	void *probe = __wrap_malloc(1);

	free(probe);
	return probe != NULL ? memory.xMalloc(size) : NULL;
}

static void *sql_realloc(void *old, int size)
{
	void *probe = __wrap_malloc(1);

	free(probe);
	return probe != NULL ? memory.xRealloc(old, size) : NULL;
}

static void hook(void)
{
	sqlite3_mem_methods failing;

	assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory), SQLITE_OK);
	failing = memory;
	failing.xMalloc = sql_malloc;
	failing.xRealloc = sql_realloc;
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &failing), SQLITE_OK);
}

/* A little of everything, in one transaction. */
static int work_on(struct database *database, const char *text, rh_error *error)
{
	struct value values[4] = {
	    value_text("a"), value_text(text), value_text("b"), value_text(text)};
	struct connection *connection = NULL;
	char read[64] = "";
	int code;

	code = database_take(database, true, &connection, error);
	if (code == RH_OK)
		code = connection_begin(connection, error);
	if (code == RH_OK)
		code = database_query_many(connection, &put, values, 2, NULL, NULL, error);
	if (code == RH_OK)
		code = database_query(connection, &get, values, take_text, read, error);
	if (code == RH_OK)
		assert_string_equal(read, text);
	if (code == RH_OK)
		code = connection_commit(connection, error);
	database_give(connection);
	return code;
}

static int open_and_work(const char *address, const char *text, rh_error *error)
{
	struct database *database = NULL;
	int code = database_open(address, 2, &database, error);

	if (code == RH_OK)
		code = work_on(database, text, error);
	database_close(database);
	return code;
}

static void expect_pair(const char *address, const char *old, const char *now)
{
	struct value name = value_text("a");
	struct connection *connection = NULL;
	struct database *database = NULL;
	char read[64] = "";
	int64_t same = 0;

	assert_int_equal(database_open(address, 1, &database, NULL), RH_OK);
	assert_int_equal(database_take(database, false, &connection, NULL), RH_OK);
	assert_int_equal(
	    database_query(connection, &pair, NULL, take_integer, &same, NULL), RH_OK);
	assert_int_equal(same, 1);
	assert_int_equal(database_query(connection, &get, &name, take_text, read, NULL), RH_OK);
	if (strcmp(read, old) != 0)
		assert_string_equal(read, now);
	database_give(connection);
	database_close(database);
}

/* Every allocation fails in turn, first of the making, then of the use. */
static void fail_each(const char *address, const char *what)
{
	char old[16] = "start", now[16];
	rh_error error = {0};
	size_t count, failures = 0;

	failing_nth(0);
	assert_int_equal(open_and_work(address, old, &error), RH_OK);
	count = failing_stop();
	assert_true(count > 0);
	for (size_t i = 1; i <= count; i++) {
		int code;

		error_clear(&error);
		snprintf(now, sizeof now, "%zu", i);
		failing_nth(i);
		code = open_and_work(address, now, &error);
		failing_stop();
		/* SQLite does without some. */
		if (code != RH_OK && code != RH_E_MEMORY)
			fail_msg("%s %zu: %s", what, i, error.text);
		if (code != RH_OK)
			assert_int_equal(error.code, RH_E_MEMORY);
		failures += code != RH_OK;
		expect_pair(address, code == RH_OK ? now : old, now);
		assert_int_equal(open_and_work(address, now, &error), RH_OK);
		memcpy(old, now, sizeof old);
	}
	assert_true(failures > 0);
}

static void test_memory(void **state)
{
	struct database *database = kit_database(2);
	(void)state;

	fail_each(kit_database_address(database), "use");
	kit_database_drop(database);
}

/* A new database each time. */
static void test_memory_making(void **state)
{
	rh_error error = {0};
	size_t count = 1;
	(void)state;

	for (size_t i = 0; i <= count; i += i < 40 ? 1 : 7) {
		struct kit_place place;
		int code;

		kit_place_make(&place);
		failing_nth(i);
		code = open_and_work(place.address, "first", &error);
		if (i == 0)
			count = failing_stop();
		failing_stop();
		if (code != RH_OK && (code != RH_E_MEMORY || i == 0))
			fail_msg("%zu: %s", i, error.text);
		if (code != RH_OK)
			assert_int_equal(open_and_work(place.address, "second", &error), RH_OK);
		kit_place_drop(&place);
	}
}

/* A reader of long texts, which SQLite puts together from several pages. */
static void test_memory_reading(void **state)
{
	struct database *database = kit_database(2);
	struct connection *connection = NULL;
	char *text = malloc(60001), *read = malloc(64);
	struct value values[] = {value_text("long"), value_null()};
	size_t count;
	(void)state;

	memset(text, 'l', 60000);
	text[60000] = '\0';
	values[1] = value_text(text);
	assert_int_equal(database_take(database, true, &connection, NULL), RH_OK);
	assert_int_equal(database_query(connection, &put, values, NULL, NULL, NULL), RH_OK);
	failing_nth(0);
	assert_int_equal(
	    database_query(connection, &get, values, take_text, read, NULL), RH_OK);
	count = failing_stop();
	for (size_t i = 1; i <= count; i++) {
		int code;

		*read = '\0';
		failing_nth(i);
		code = database_query(connection, &get, values, take_text, read, NULL);
		failing_stop();
		assert_true(code == RH_E_MEMORY || code == RH_OK);
		if (code == RH_OK)
			assert_int_equal(strspn(read, "l"), 63);
	}
	database_give(connection);
	free(text);
	free(read);
	kit_database_drop(database);
}

/* ---- A full medium ---- */

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int grow_once(struct database *database, int64_t number, rh_error *error)
{
	static char body[20001];
	struct value values[2] = {value_integer(number), value_null()};
	struct connection *connection = NULL;
	int code;

	memset(body, 'b', sizeof body - 1);
	values[1] = value_text(body);
	code = database_take(database, true, &connection, error);
	if (code == RH_OK)
		code = connection_begin(connection, error);
	if (code == RH_OK)
		code = database_query(connection, &grow, values, NULL, NULL, error);
	if (code == RH_OK)
		code = connection_commit(connection, error);
	database_give(connection);
	return code;
}

static int64_t rows_of(struct database *database)
{
	struct connection *connection = NULL;
	int64_t count = -1;

	assert_int_equal(database_take(database, false, &connection, NULL), RH_OK);
	assert_int_equal(
	    database_query(connection, &count_audit, NULL, take_integer, &count, NULL), RH_OK);
	database_give(connection);
	return count;
}

static void test_full(void **state)
{
	struct database *database = kit_database(2);
	int64_t number = 0;
	rh_error error = {0};
	int failures = 0;
	(void)state;

	limit_files(400000);
	/* One may find room once more: the log is moved into the file when it is closed. */
	while (failures < 6 && number < 1000) {
		int code = grow_once(database, number, &error);

		assert_true(code == RH_OK || code == RH_E_DATABASE);
		failures = code == RH_OK ? 0 : failures + 1;
		number += code == RH_OK;
	}
	limit_files(RLIM_INFINITY);
	assert_string_not_equal(error.text, "");
	assert_true(number > 0 && number < 1000);
	assert_int_equal(rows_of(database), number);
	assert_int_equal(grow_once(database, number, NULL), RH_OK);
	assert_int_equal(rows_of(database), number + 1);
	kit_database_drop(database);
}

static void test_full_from_the_start(void **state)
{
	struct kit_place place;
	struct database *database = NULL;
	(void)state;

	kit_place_make(&place);
	for (rlim_t size = 0; size < 100000; size += 4096) {
		limit_files(size);
		assert_int_equal(
		    database_open(place.address, 2, &database, NULL), RH_E_DATABASE);
		assert_null(database);
	}
	limit_files(RLIM_INFINITY);
	assert_int_equal(database_open(place.address, 2, &database, NULL), RH_OK);
	assert_int_equal(rows_of(database), 0);
	database_close(database);
	kit_place_drop(&place);
}

/* ---- The copy ---- */

struct writer {
	struct database *database;
	atomic_bool stop;
	atomic_int rounds;
	int code;
};

static void *write_pairs(void *argument)
{
	struct writer *writer = argument;

	while (!atomic_load(&writer->stop) && writer->code == RH_OK) {
		char text[24];

		snprintf(text, sizeof text, "%d", atomic_load(&writer->rounds));
		writer->code = work_on(writer->database, text, NULL);
		atomic_fetch_add(&writer->rounds, 1);
	}
	return NULL;
}

/* Whole, and of one moment. */
static void expect_same(const char *path)
{
	struct database *database = NULL;
	struct connection *connection = NULL;
	char address[256];
	int64_t same = 0;

	snprintf(address, sizeof address, "sqlite:%s", path);
	assert_int_equal(database_open(address, 1, &database, NULL), RH_OK);
	assert_int_equal(database_take(database, false, &connection, NULL), RH_OK);
	assert_int_equal(
	    database_query(connection, &pair, NULL, take_integer, &same, NULL), RH_OK);
	assert_int_equal(same, 1);
	database_give(connection);
	database_close(database);
}

static void copy_path(char ret[256], const struct database *database)
{
	snprintf(ret, 256, "%s-copy", strchr(kit_database_address(database), '/'));
}

static void test_copy(void **state)
{
	struct writer writer = {.database = kit_database(4)};
	pthread_t thread;
	char path[256], address[300];
	rh_error error = {0};
	struct stat st;
	(void)state;

	copy_path(path, writer.database);
	assert_int_equal(work_on(writer.database, "first", NULL), RH_OK);
	for (int i = 0; i < 50; i++)
		assert_int_equal(grow_once(writer.database, i, NULL), RH_OK);
	assert_int_equal(pthread_create(&thread, NULL, write_pairs, &writer), 0);
	for (int i = 0; i < 10; i++) {
		int seen = atomic_load(&writer.rounds);

		if (database_backup(writer.database, path, &error) != RH_OK)
			fail_msg("%s", error.text);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		expect_same(path);
		while (atomic_load(&writer.rounds) == seen && writer.code == RH_OK)
			usleep(1000);
	}
	atomic_store(&writer.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(writer.code, RH_OK);

	/* It is a ledger as any other. */
	snprintf(address, sizeof address, "sqlite:%s", path);
	assert_int_equal(open_and_work(address, "goes on", &error), RH_OK);
	unlink(path);
	assert_int_equal(work_on(writer.database, "twice", NULL), RH_OK);
	assert_int_equal(database_backup(writer.database, path, NULL), RH_OK);
	unlink(path);
	kit_database_drop(writer.database);
}

static void test_copy_fails(void **state)
{
	struct database *database = kit_database(2);
	char path[256], part[300];
	rh_error error = {0};
	(void)state;

	copy_path(path, database);
	snprintf(part, sizeof part, "%s.part", path);
	assert_int_equal(work_on(database, "first", NULL), RH_OK);
	for (int i = 0; i < 50; i++)
		assert_int_equal(grow_once(database, i, NULL), RH_OK);
	assert_int_equal(database_backup(database, "/nowhere/at/all", &error), RH_E_OPEN);
	assert_int_equal(database_backup(database, path, NULL), RH_OK);
	limit_files(100000);
	assert_int_equal(database_backup(database, path, &error), RH_E_DATABASE);
	limit_files(RLIM_INFINITY);
	assert_int_equal(access(part, F_OK), -1);
	expect_same(path);
	assert_int_equal(unlink(path), 0);

	/* What another run left is no hindrance. */
	close(open(part, O_CREAT | O_WRONLY, 0644));
	failing_nth(1);
	assert_int_equal(database_backup(database, path, &error), RH_E_MEMORY);
	failing_stop();
	assert_int_equal(database_backup(database, path, &error), RH_OK);
	assert_int_equal(access(part, F_OK), -1);
	expect_same(path);
	assert_int_equal(unlink(path), 0);
	kit_database_drop(database);
}

int main(void)
{
	const struct CMUnitTest both[] = {
	    cmocka_unit_test(test_memory),
	    cmocka_unit_test(test_memory_reading),
	};
	const struct CMUnitTest sqlite[] = {
	    cmocka_unit_test(test_memory_making),
	    cmocka_unit_test(test_full),
	    cmocka_unit_test(test_full_from_the_start),
	    cmocka_unit_test(test_copy),
	    cmocka_unit_test(test_copy_fails),
	};
	int failed;

	signal(SIGXFSZ, SIG_IGN);
	hook();
	failed = cmocka_run_group_tests(both, NULL, NULL);
	if (!kit_is_postgres())
		failed += cmocka_run_group_tests(sqlite, NULL, NULL);
	return failed;
}
