/* What was spent outlives the licence; and an edit of what is left is found. */
#include <stdio.h>
#include <stdlib.h>

#include "store/internal.h"

#include "fixture.h"

static void state_of(
    struct license_state *state, const char *action, uint64_t remaining, int64_t first_use)
{
	license_state_init(state);
	state->first_use = first_use;
	if (action == NULL)
		return;
	state->count_count = 1;
	strcpy(state->counts[0].action, action);
	state->counts[0].remaining = remaining;
}

/* Adds licence ${id} with this state. */
static void add(
    struct fixture *f, const char *id, const struct license_state *state, bool want_spent)
{
	struct store_here here = {.spent = !want_spent};
	struct store_row row = {0};

	sample_facts(&row.facts, 1);
	strcpy(row.facts.id, id);
	assert_ok(store_seal(f->sealer, &row, "text", 4, NULL, 0, state, &fixture_error));
	assert_fails(store_insert(f->store, &row, &here, &fixture_error), RH_S_ADDED);
	assert_int_equal(here.spent, want_spent);
	assert_int_equal(here.number, row.number);
	assert_int_equal(here.has_state, row.has_state);
	assert_fails(store_insert(f->store, &row, &here, &fixture_error), RH_S_ALREADY_HERE);
	assert_false(here.spent);
	store_row_free(&row);
}

/* Puts another state into the row of ${id}. */
static void change(struct fixture *f, const char *id, const struct license_state *state)
{
	struct store_row row = {0};

	assert_ok(store_get(f->store, id, &row, &fixture_error));
	row.state_version++;
	assert_ok(store_seal(f->sealer, &row, "text", 4, NULL, 0, state, &fixture_error));
	assert_ok(store_replace(f->store, row.number, &row, &fixture_error));
	store_row_free(&row);
}

static void expect(
    struct fixture *f, const char *id, bool take, uint64_t remaining, int64_t first_use)
{
	struct license_state state;

	memset(&state, 0xff, sizeof state);
	assert_ok(store_spent(f->store, id, take, &state, &fixture_error));
	assert_int_equal(state.count_count, 1);
	assert_string_equal(state.counts[0].action, "play");
	assert_int_equal(state.counts[0].remaining, remaining);
	assert_int_equal(state.first_use, first_use);
}

static void expect_none(struct fixture *f, const char *id)
{
	struct license_state state, taken;

	memset(&state, 0xff, sizeof state);
	memset(&taken, 0xff, sizeof taken);
	assert_ok(store_spent(f->store, id, false, &state, &fixture_error));
	assert_true(license_state_empty(&state));
	assert_ok(store_spent(f->store, id, true, &taken, &fixture_error));
	assert_true(license_state_empty(&taken));
}

static void test_remove_add(void **state)
{
	struct fixture *f = *state;
	struct license_state s;

	fixture_open(f, STORE_CREATE);
	state_of(&s, "play", 3, 500);
	strcpy(s.name, "a.lic");
	add(f, "a", &s, false);
	state_of(&s, NULL, 0, LICENSE_TIME_NONE);
	add(f, "b", &s, false);
	strcpy(s.name, "only a name");
	add(f, "c", &s, false);
	state_of(&s, NULL, 0, 600);
	add(f, "d", &s, false);
	expect_none(f, "a");

	assert_ok(store_remove(f->store, "a", &fixture_error));
	assert_ok(store_remove(f->store, "b", &fixture_error));
	assert_ok(store_remove(f->store, "c", &fixture_error));
	assert_ok(store_remove(f->store, "d", &fixture_error));
	assert_int_equal(fixture_sql_number(f, "SELECT count(*) FROM spent"), 2);
	fixture_close(f);
	fixture_open(f, 0);
	assert_ok(store_check_pages(f->store, &fixture_error));
	expect(f, "a", false, 3, 500);
	expect_none(f, "b");
	expect_none(f, "c");
	assert_ok(store_spent(f->store, "d", false, &s, &fixture_error));
	assert_int_equal(s.first_use, 600);

	/* Added again, and the state taken over in the same transaction, or given up. */
	state_of(&s, "play", 9, LICENSE_TIME_NONE);
	assert_ok(store_begin(f->store, &fixture_error));
	add(f, "b", &s, false);
	add(f, "a", &s, true);
	expect(f, "a", true, 3, 500);
	expect_none(f, "a");
	store_rollback(f->store);
	expect(f, "a", false, 3, 500);
	add(f, "a", &s, true);
	expect(f, "a", true, 3, 500);
	expect_none(f, "a");
	assert_ok(store_check_pages(f->store, &fixture_error));
	assert_ok(store_remove(f->store, "a", &fixture_error));
	expect(f, "a", true, 9, LICENSE_TIME_NONE);
	assert_ok(store_check_pages(f->store, &fixture_error));
	assert_int_equal(fixture_sql_number(f, "SELECT count(*) FROM spent"), 1);
}

/* Removed twice without taking: the more spent of both. */
static void test_merge(void **state)
{
	struct fixture *f = *state;
	struct license_state s;

	fixture_open(f, STORE_CREATE);
	state_of(&s, "play", 5, 500);
	add(f, "a", &s, false);
	state_of(&s, "play", 4, 500);
	change(f, "a", &s);
	assert_ok(store_remove(f->store, "a", &fixture_error));
	expect(f, "a", false, 4, 500);
	state_of(&s, "play", 2, 700);
	add(f, "a", &s, true);
	assert_ok(store_remove(f->store, "a", &fixture_error));
	expect(f, "a", false, 2, 500);
	state_of(&s, "play", 7, LICENSE_TIME_NONE);
	add(f, "a", &s, true);
	assert_ok(store_remove(f->store, "a", &fixture_error));
	expect(f, "a", false, 2, 500);
	assert_int_equal(fixture_sql_number(f, "SELECT count(*) FROM spent"), 1);
	assert_ok(store_check_pages(f->store, &fixture_error));
}

/* ---- Edits ---- */

static void spend_two(struct fixture *f)
{
	struct license_state s;

	fixture_open(f, STORE_CREATE);
	for (int i = 0; i < 2; i++) {
		state_of(&s, "play", 3 + (uint64_t)i, 500);
		add(f, i == 0 ? "a" : "b", &s, false);
		assert_ok(store_remove(f->store, i == 0 ? "a" : "b", &fixture_error));
	}
	fixture_close(f);
}

/* The licence that somebody wants back unspent does not come in. */
static void refuse(struct fixture *f, const char *sql)
{
	struct store_row row = {0};
	struct store_here here;
	struct license_state s;

	spend_two(f);
	fixture_sql(f, sql);
	fixture_open(f, 0);
	assert_fails(store_check_pages(f->store, &fixture_error), RH_E_STORE_DAMAGED);
	assert_fails(store_spent(f->store, "a", false, &s, &fixture_error), RH_E_STORE_DAMAGED);
	assert_fails(store_spent(f->store, "a", true, &s, &fixture_error), RH_E_STORE_DAMAGED);
	sample_facts(&row.facts, 1);
	strcpy(row.facts.id, "c");
	assert_ok(store_seal(f->sealer, &row, "text", 4, NULL, 0, NULL, &fixture_error));
	assert_fails(store_insert(f->store, &row, &here, &fixture_error), RH_E_STORE_DAMAGED);
	assert_int_equal(row.number, 0);
	assert_int_equal(fixture_sql_number(f, "SELECT count(*) FROM licenses"), 0);
	store_row_free(&row);
	fixture_close(f);
	remove(f->file);
}

static void test_edits(void **state)
{
	struct fixture *f = *state;

	refuse(f, "DELETE FROM spent WHERE id = 'a'");
	refuse(f, "DELETE FROM spent");
	refuse(f, "UPDATE spent SET id = 'A' WHERE id = 'a'");
	refuse(f, "UPDATE spent SET id = id || 'x'");
	refuse(f, "UPDATE spent SET state = (SELECT state FROM spent WHERE id = 'b')"
		  " WHERE id = 'a'; DELETE FROM spent WHERE id = 'b'");
	refuse(
	    f, "UPDATE spent SET state = x'' WHERE id = 'a'; DELETE FROM spent WHERE id = 'b'");
	refuse(f, "DROP TABLE spent");
}

/* A row more than there should be. */
static void test_replayed(void **state)
{
	struct fixture *f = *state;
	struct license_state s;

	spend_two(f);
	fixture_sql(f, "CREATE TABLE kept AS SELECT * FROM spent");
	fixture_open(f, 0);
	assert_ok(store_spent(f->store, "a", true, &s, &fixture_error));
	assert_ok(store_check_pages(f->store, &fixture_error));
	fixture_close(f);
	fixture_sql(f, "INSERT INTO spent SELECT * FROM kept WHERE id = 'a'");
	fixture_open(f, 0);
	assert_fails(store_check_pages(f->store, &fixture_error), RH_E_STORE_DAMAGED);
}

/* The ways in which an owner looks at a licence, after one column of it was edited. */
static void expect_found(struct fixture *f, const char *sql, bool by_facts)
{
	struct store_content content = {0};
	struct store_cursor *cursor;
	struct store_row row = {0};
	struct license_state s;
	bool more;
	int code;

	fixture_open(f, STORE_CREATE);
	state_of(&s, "play", 3, 500);
	sample_facts(&row.facts, 1);
	strcpy(row.facts.id, "a");
	assert_ok(store_seal(f->sealer, &row, "text", 4, "key", 3, &s, &fixture_error));
	assert_fails(store_insert(f->store, &row, NULL, &fixture_error), RH_S_ADDED);
	fixture_close(f);
	fixture_sql(f, sql);
	fixture_open(f, 0);
	/* list */
	assert_ok(store_cursor_new(f->store, true, &cursor, &fixture_error));
	assert_ok(store_cursor_next(cursor, &row, &more, &fixture_error));
	assert_true(more);
	code = store_check_facts(f->sealer, &row, &fixture_error);
	assert_int_equal(code, by_facts ? RH_E_STORE_DAMAGED : RH_OK);
	store_cursor_free(cursor);
	/* show */
	code = store_get(f->store, "a", &row, &fixture_error);
	assert_int_equal(code, by_facts ? RH_E_STORE_DAMAGED : RH_OK);
	assert_fails(
	    store_open_row(f->sealer, &row, &content, &fixture_error), RH_E_STORE_DAMAGED);
	/* check, which opens each document after this */
	code = store_check_pages(f->store, &fixture_error);
	assert_int_equal(code, by_facts ? RH_E_STORE_DAMAGED : RH_OK);

	/* It can be removed, but what it had spent is not known any more. */
	assert_ok(store_remove(f->store, "a", &fixture_error));
	assert_ok(store_check_pages(f->store, &fixture_error));
	fixture_close(f);
	remove(f->file);
	store_row_free(&row);
	store_content_free(&content);
}

static void test_edited_counts(void **state)
{
	struct fixture *f = *state;

	expect_found(f, "UPDATE licenses SET counts = '9 play' || char(10)", true);
	expect_found(f, "UPDATE licenses SET counts = ''", true);
	expect_found(f, "UPDATE licenses SET counts = 'nonsense'", true);
	expect_found(f, "UPDATE licenses SET state = NULL", true);
	expect_found(f, "UPDATE licenses SET state = x'00'", false);
	expect_found(f, "UPDATE licenses SET state = zeroblob(length(state))", false);
	expect_found(f, "UPDATE licenses SET state = secret", false);
	expect_found(f, "UPDATE licenses SET secret = NULL", true);
	expect_found(f, "UPDATE licenses SET secret = state", false);
	expect_found(f, "UPDATE licenses SET state_version = 7", true);
	expect_found(f, "UPDATE licenses SET service = 'https://other'", true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_remove_add),
	    TEST(test_merge),
	    TEST(test_edits),
	    TEST(test_replayed),
	    TEST(test_edited_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
