#include <stdlib.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/stat.h>

#include "fixture.h"

static void fill(struct fixture *f, unsigned count)
{
	assert_ok(store_begin(f->store, &fixture_error));
	for (unsigned i = 0; i < count; i++)
		assert_fails(sample_insert(f->store, f->sealer, i, &fixture_error), RH_S_ADDED);
	assert_ok(store_commit(f->store, &fixture_error));
}

/* Every row is there, in order, and opens. */
static void check_all(struct fixture *f, unsigned count)
{
	struct store_cursor *cursor;
	struct store_row row = {0};
	bool more;
	unsigned seen = 0;

	assert_ok(store_cursor_new(f->store, false, &cursor, &fixture_error));
	for (;;) {
		assert_ok(store_cursor_next(cursor, &row, &more, &fixture_error));
		if (!more)
			break;
		assert_int_equal(row.number, seen + 1);
		sample_check(f->sealer, &row, seen++);
	}
	assert_int_equal(seen, count);
	store_cursor_free(cursor);
	store_row_free(&row);
}

static void test_round_trip(void **state)
{
	struct fixture *f = *state;
	struct store_totals totals;
	struct stat st;

	fixture_open(f, STORE_CREATE);
	assert_int_equal(stat(f->file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	fill(f, 100);
	check_all(f, 100);
	assert_ok(store_totals(f->store, &totals, &fixture_error));
	assert_int_equal(totals.licenses, 100);
	assert_int_equal(totals.restricted, 10);
	assert_int_equal(totals.managed, 0);
	assert_ok(store_check_pages(f->store, &fixture_error));
	fixture_close(f);

	fixture_open(f, 0);
	check_all(f, 100);
	assert_ok(store_check_pages(f->store, &fixture_error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_round_trip, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
