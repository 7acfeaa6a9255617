/*
 * Stores of earlier versions.  version-1/ was made by the program before migration 2, with the
 * functions of fixture.c: licences 0 to 11, a dictionary learned before licence 6, the values
 * "first" and "second"; the machine id is the fixture's.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zstd.h>

#include "base/file.h"
#include "store/internal.h"

#include "fixture.h"

#define LICENSES 12

static void write_file(const char *path, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

static void old_store(struct fixture *f)
{
	static uint8_t database[1 << 20];
	struct buffer bytes = {0};
	char path[160];
	size_t size;

	computer_close(f->computer);
	assert_ok(file_read_whole(
	    AT_FDCWD, VERSION_1 "/computer.key", 4096, &bytes, "computer.key", &fixture_error));
	snprintf(path, sizeof path, "%s/%s", f->directory, COMPUTER_KEY_FILE);
	write_file(path, bytes.data, bytes.size);
	f->computer = fixture_computer(f);
	buffer_clear(&bytes);
	assert_ok(file_read_whole(AT_FDCWD, VERSION_1 "/licenses.db.zst", sizeof database,
	    &bytes, "licenses.db.zst", &fixture_error));
	size = ZSTD_decompress(database, sizeof database, bytes.data, bytes.size);
	assert_false(ZSTD_isError(size));
	write_file(f->file, database, size);
	buffer_free(&bytes);
}

static int check_row(void *context, const struct store_row *row, rh_error *error)
{
	struct fixture *f = context;

	(void)error;
	assert_true(row->number > 0 && row->number <= LICENSES);
	sample_check(f->sealer, row, (unsigned)row->number - 1);
	return RH_OK;
}

static int no_group(void *context, const struct store_census *group, rh_error *error)
{
	(void)context;
	(void)group;
	return error_set(error, RH_E_INTERNAL, "a group");
}

static void check_value(struct fixture *f, const char *name, const char *want)
{
	struct buffer value = {0};

	assert_ok(store_value_get(f->store, name, &value, &fixture_error));
	assert_int_equal(value.size, strlen(want));
	assert_memory_equal(value.data, want, value.size);
	buffer_free_secret(&value);
}

/* Everything that version 1 held. */
static void check_store(struct fixture *f)
{
	struct store_cursor *cursor;
	struct store_row row = {0};
	struct license_state spent;
	unsigned seen = 0;
	bool more;

	assert_ok(store_cursor_new(f->store, false, &cursor, &fixture_error));
	for (;;) {
		assert_ok(store_cursor_next(cursor, &row, &more, &fixture_error));
		if (!more)
			break;
		sample_check(f->sealer, &row, seen++);
		assert_ok(
		    store_by_key(f->store, row.facts.key_id, check_row, f, &fixture_error));
		assert_ok(store_spent(f->store, row.facts.id, false, &spent, &fixture_error));
		assert_true(license_state_empty(&spent));
	}
	store_cursor_free(cursor);
	store_row_free(&row);
	assert_int_equal(seen, LICENSES);
	check_value(f, "first", "value one");
	check_value(f, "second", "value two");
	assert_ok(store_census(f->store, INT64_MAX, no_group, NULL, &fixture_error));
	assert_ok(store_check_pages(f->store, &fixture_error));
}

static void test_migrates(void **state)
{
	struct fixture *f = *state;
	struct license_state spent;
	struct license facts;

	old_store(f);
	assert_int_equal(fixture_sql_number(f, "PRAGMA user_version"), 1);
	fixture_open(f, 0);
	check_store(f);
	fixture_close(f);
	assert_int_equal(fixture_sql_number(f, "PRAGMA user_version"), schema_step_count);

	/* The totals are still version 1's; now they grow. */
	fixture_open(f, 0);
	sample_facts(&facts, 5);
	assert_ok(store_remove(f->store, facts.id, &fixture_error));
	assert_ok(store_spent(f->store, facts.id, false, &spent, &fixture_error));
	assert_int_equal(spent.first_use, 7005);
	fixture_close(f);
	fixture_open(f, STORE_READ_ONLY);
	assert_ok(store_check_pages(f->store, &fixture_error));
	assert_ok(store_spent(f->store, facts.id, false, &spent, &fixture_error));
	assert_int_equal(spent.first_use, 7005);
}

/* Who only reads takes the file as it is, and leaves it so. */
static void test_read_only(void **state)
{
	struct fixture *f = *state;
	struct buffer before = {0}, after = {0};
	struct license_state spent;
	struct license facts;

	old_store(f);
	assert_ok(file_read_whole(AT_FDCWD, f->file, 1 << 24, &before, f->file, NULL));
	fixture_open(f, STORE_READ_ONLY);
	check_store(f);
	sample_facts(&facts, 5);
	assert_fails(
	    store_spent(f->store, facts.id, true, &spent, &fixture_error), RH_E_ACCESS);
	assert_fails(store_remove(f->store, facts.id, &fixture_error), RH_E_ACCESS);
	fixture_close(f);
	assert_ok(file_read_whole(AT_FDCWD, f->file, 1 << 24, &after, f->file, NULL));
	assert_int_equal(after.size, before.size);
	assert_memory_equal(after.data, before.data, before.size);
	buffer_free(&before);
	buffer_free(&after);
}

/* A reader goes on while somebody else migrates and removes. */
static void test_migrated_beside(void **state)
{
	struct fixture *f = *state;
	struct license_state spent;
	struct store *writer;
	struct license facts;

	old_store(f);
	fixture_open(f, STORE_READ_ONLY);
	assert_ok(fixture_try(f, 0, &writer, &fixture_error));
	check_store(f);
	sample_facts(&facts, 11);
	assert_ok(store_remove(writer, facts.id, &fixture_error));
	assert_ok(store_spent(f->store, facts.id, false, &spent, &fixture_error));
	assert_int_equal(spent.first_use, 7011);
	assert_ok(store_check_pages(f->store, &fixture_error));
	store_close(writer);
}

/* Version 2 is version 1 after the second step. */
static void old_store_2(struct fixture *f)
{
	old_store(f);
	fixture_sql(f, schema_steps[1]);
	assert_int_equal(fixture_sql_number(f, "PRAGMA user_version"), 2);
}

static void test_migrates_2(void **state)
{
	struct fixture *f = *state;
	struct store_grant grant;
	struct license facts;

	old_store_2(f);
	sample_facts(&facts, 5);
	fixture_open(f, STORE_READ_ONLY);
	check_store(f);
	assert_fails(store_grant_get(f->store, facts.id, &grant, &fixture_error), RH_E_GRANT);
	fixture_close(f);
	assert_int_equal(fixture_sql_number(f, "PRAGMA user_version"), 2);
	fixture_open(f, 0);
	check_store(f);
	assert_fails(store_grant_get(f->store, facts.id, &grant, &fixture_error), RH_E_GRANT);
	fixture_close(f);
	assert_int_equal(fixture_sql_number(f, "PRAGMA user_version"), 3);
	assert_int_equal(fixture_sql_number(f, "SELECT count(*) FROM grants"), 0);
}

/* A migration that cannot be is none. */
static void test_refused(void **state)
{
	struct fixture *f = *state;
	struct store *store;

	old_store(f);
	fixture_sql(f, "CREATE TABLE spent (x)");
	assert_fails(fixture_try(f, 0, &store, &fixture_error), RH_E_STORE_DAMAGED);
	assert_int_equal(fixture_sql_number(f, "PRAGMA user_version"), 1);
	assert_int_equal(
	    fixture_sql_number(f, "SELECT count(*) FROM sqlite_schema WHERE name LIKE"
				  " 'licenses_%'"),
	    0);
	fixture_sql(f, "DROP TABLE spent");
	fixture_open(f, 0);
	check_store(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_migrates),
	    TEST(test_read_only),
	    TEST(test_migrated_beside),
	    TEST(test_migrates_2),
	    TEST(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
