/* Licences by key id, and the census. */
#include <stdio.h>
#include <unistd.h>

#include "store/internal.h"

#include "fixture.h"

#define NOW 1000000

/* ---- Rows ---- */

struct sample {
	const char *id;
	const char *key_id;
	const char *service;
	const char *format;
	int64_t not_after;
	enum license_right backup;
	size_t size;
};

static void put(struct fixture *f, const struct sample *sample, int want)
{
	static const char zeros[4096];
	struct store_row row = {0};
	struct license_state none;

	license_state_init(&none);
	sample_facts(&row.facts, 0);
	strcpy(row.facts.id, sample->id);
	strcpy(row.facts.key_id, sample->key_id);
	strcpy(row.facts.service, sample->service != NULL ? sample->service : "");
	row.facts.format = sample->format != NULL ? sample->format : "opaque";
	row.facts.not_after = sample->not_after != 0 ? sample->not_after : LICENSE_TIME_NONE;
	row.facts.backup = sample->backup;
	assert_ok(
	    store_seal(f->sealer, &row, zeros, sample->size, NULL, 0, &none, &fixture_error));
	assert_fails(store_insert(f->store, &row, NULL, &fixture_error), want);
	store_row_free(&row);
}

static void put_key(struct fixture *f, const char *id, const char *key_id)
{
	put(f, &(struct sample){.id = id, .key_id = key_id, .size = 10}, RH_S_ADDED);
}

/* ---- By key id ---- */

struct found {
	struct fixture *f;
	char ids[512];
	const char *root; /* looked up within */
	char roots[512];
	int stop;
};

static int note_row(void *context, const struct store_row *row, rh_error *error)
{
	struct store_content content = {0};
	struct found *found = context;
	struct found inner = {.f = found->f};
	int code = RH_OK;

	assert_ok(store_open_row(found->f->sealer, row, &content, &fixture_error));
	assert_int_equal(content.document.size, 10);
	store_content_free(&content);
	strcat(strcat(found->ids, row->facts.id), " ");
	if (found->root != NULL) {
		code = store_by_key(found->f->store, found->root, note_row, &inner, error);
		strcpy(found->roots, inner.ids);
	}
	return found->stop != 0 ? found->stop : code;
}

static void expect(struct fixture *f, const char *key_id, const char *ids)
{
	struct found found = {.f = f};

	assert_ok(store_by_key(f->store, key_id, note_row, &found, &fixture_error));
	assert_string_equal(found.ids, ids);
}

static void expect_keys(struct fixture *f)
{
	expect(f, "0123456789abcdef", "a d ");
	expect(f, "xxxx456789abcdef", "b ");
	expect(f, "456789abcdef", "e ");
	expect(f, "short", "f h ");
	expect(f, "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", "g ");
	/* Neither part of a key id, nor another case, nor none. */
	expect(f, "56789abcdef", "");
	expect(f, "Short", "");
	expect(f, "shor", "");
	expect(f, "short ", "");
	expect(f, "%", "");
	expect(f, "", "");
}

static void put_keys(struct fixture *f)
{
	put_key(f, "a", "0123456789abcdef");
	put_key(f, "b", "xxxx456789abcdef");
	put_key(f, "c", "");
	put_key(f, "d", "0123456789abcdef");
	put_key(f, "e", "456789abcdef");
	put_key(f, "h", "x");
	put_key(f, "f", "short");
	put_key(f, "g", "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9");
}

/* h moves to another key, behind f in order of adding. */
static void move_key(struct fixture *f)
{
	struct store_row row = {0};

	assert_ok(store_remove(f->store, "h", &fixture_error));
	put_key(f, "h", "y");
	assert_ok(store_get(f->store, "h", &row, &fixture_error));
	strcpy(row.facts.key_id, "short");
	assert_ok(store_seal(f->sealer, &row, "0123456789", 10, NULL, 0, NULL, &fixture_error));
	assert_ok(store_replace(f->store, row.number, &row, &fixture_error));
	store_row_free(&row);
}

static int64_t indexes(struct fixture *f)
{
	return fixture_sql_number(f,
	    "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND"
	    " name IN ('licenses_by_key', 'licenses_census')");
}

static void test_by_key(void **state)
{
	struct fixture *f = *state;

	fixture_open(f, STORE_CREATE);
	expect(f, "short", "");
	put_keys(f);
	move_key(f);
	expect_keys(f);
	assert_ok(store_check_pages(f->store, &fixture_error));
	fixture_close(f);
	fixture_open(f, STORE_READ_ONLY);
	assert_ok(store_index(f->store, &fixture_error));
	expect_keys(f);
	assert_int_equal(indexes(f), 1);
	fixture_close(f);
	fixture_open(f, 0);
	assert_ok(store_index(f->store, &fixture_error));
	assert_int_equal(indexes(f), 2);
	assert_ok(store_index(f->store, &fixture_error));
	expect_keys(f);
	assert_ok(store_check_pages(f->store, &fixture_error));
}

/* The index is made when it is asked for, within the fill or after it. */
static void test_fill(void **state)
{
	struct fixture *f = *state;

	for (int ask = 0; ask < 2; ask++) {
		fixture_open(f, STORE_CREATE);
		assert_ok(store_begin_fill(f->store, &fixture_error));
		put_keys(f);
		assert_true(f->store->unindexed);
		if (ask)
			expect(f, "short", "f ");
		assert_int_equal(f->store->unindexed, !ask);
		move_key(f);
		assert_ok(store_commit(f->store, &fixture_error));
		assert_int_equal(indexes(f), 1 + ask);
		expect_keys(f);
		assert_ok(store_index(f->store, &fixture_error));
		assert_int_equal(indexes(f), 2);
		expect_keys(f);
		assert_ok(store_check_pages(f->store, &fixture_error));
		fixture_close(f);
		unlink(f->file);
	}

	/* Given up: the next one has an index again. */
	fixture_open(f, STORE_CREATE);
	assert_ok(store_begin_fill(f->store, &fixture_error));
	put_keys(f);
	store_rollback(f->store);
	assert_int_equal(
	    fixture_sql_number(f, "SELECT count(*) FROM sqlite_schema WHERE name = "
				  "'licenses_by_key'"),
	    1);
	put_keys(f);
	move_key(f);
	expect_keys(f);
	assert_ok(store_check_pages(f->store, &fixture_error));
}

/* A statement that is still reading keeps the index from being dropped. */
static void test_fill_beside_reading(void **state)
{
	struct fixture *f = *state;
	sqlite3_stmt *reading;

	fixture_open(f, STORE_CREATE);
	assert_ok(store_begin(f->store, &fixture_error));
	assert_ok(statement_new(f->store, SQL_STORE_GET, &reading, &fixture_error));
	assert_int_equal(sqlite3_step(reading), SQLITE_ROW);
	put_keys(f);
	assert_false(f->store->unindexed);
	sqlite3_finalize(reading);
	move_key(f);
	assert_ok(store_commit(f->store, &fixture_error));
	expect_keys(f);
	assert_ok(store_check_pages(f->store, &fixture_error));
}

static void test_within(void **state)
{
	struct fixture *f = *state;
	struct found found = {.f = f, .root = "456789abcdef"};

	fixture_open(f, STORE_CREATE);
	put_keys(f);
	assert_ok(store_by_key(f->store, "0123456789abcdef", note_row, &found, &fixture_error));
	assert_string_equal(found.ids, "a d ");
	assert_string_equal(found.roots, "e ");

	found = (struct found){.f = f, .stop = RH_E_CANCELED};
	assert_fails(
	    store_by_key(f->store, "0123456789abcdef", note_row, &found, &fixture_error),
	    RH_E_CANCELED);
	assert_string_equal(found.ids, "a ");
	/* It has let go of its moment. */
	assert_ok(store_begin(f->store, &fixture_error));
	expect(f, "short", "f ");
	store_rollback(f->store);
}

/* A row that somebody edited is an answer of its own, not one licence fewer. */
static void test_edited(void **state)
{
	struct fixture *f = *state;
	struct found found = {.f = f};

	fixture_open(f, STORE_CREATE);
	put_keys(f);
	fixture_close(f);
	fixture_sql(f, "UPDATE licenses SET counts = '9 play' || char(10) WHERE id = 'd'");
	fixture_open(f, 0);
	assert_fails(
	    store_by_key(f->store, "0123456789abcdef", note_row, &found, &fixture_error),
	    RH_E_STORE_DAMAGED);
	assert_string_equal(found.ids, "a ");
	assert_non_null(strstr(fixture_error.text, "licence d "));
	fixture_close(f);

	/* So is a table that is gone. */
	fixture_sql(f, "DROP TABLE licenses");
	fixture_open(f, 0);
	assert_fails(
	    store_by_key(f->store, "x", note_row, &found, &fixture_error), RH_E_STORE_DAMAGED);
	assert_ok(store_begin(f->store, &fixture_error));
}

/* ---- Census ---- */

struct groups {
	char text[1024];
	int stop;
};

static int note_group(void *context, const struct store_census *group, rh_error *error)
{
	struct groups *groups = context;
	size_t used = strlen(groups->text);

	(void)error;
	snprintf(groups->text + used, sizeof groups->text - used, "%.20s %s %llu %llu\n",
	    group->service, group->expired ? "over" : "on", (unsigned long long)group->licenses,
	    (unsigned long long)group->bytes);
	return groups->stop;
}

static void expect_census(struct fixture *f, int64_t now, const char *text)
{
	struct groups groups = {.stop = RH_OK};

	assert_ok(store_census(f->store, now, note_group, &groups, &fixture_error));
	assert_string_equal(groups.text, text);
}

static const struct sample census[] = {
    {"1", "k", NULL, "signed", NOW - 1, LICENSE_YES, 1},
    {"2", "k", NULL, "signed", NOW, LICENSE_YES, 2},
    {"3", "k", NULL, "signed", NOW + 1, LICENSE_YES, 4},
    {"4", "k", NULL, "signed", 0, LICENSE_YES, 8},
    {"5", "k", NULL, "signed", NOW, LICENSE_NO, 16},
    {"6", "k", NULL, "opaque", NOW, LICENSE_YES, 32},
    {"7", "k", "https://b", "signed", NOW, LICENSE_YES, 64},
    {"8", "k", "https://b", "signed", NOW + 1, LICENSE_YES, 128},
    {"9", "k", "https://b", "opaque", NOW, LICENSE_YES, 256},
    {"a", "k", "https://b", "signed", NOW, LICENSE_UNKNOWN, 512},
    {"b", "k", "https://a", "signed", 0, LICENSE_YES, 1024},
    {"c", "k", "https://c", "signed", 5, LICENSE_YES, 2048},
    {"d", "k", "https://d", "signed", 0, LICENSE_NO, 4096},
};

static void test_census(void **state)
{
	struct fixture *f = *state;
	struct groups groups = {.stop = RH_E_CANCELED};

	fixture_open(f, STORE_CREATE);
	expect_census(f, NOW, "");
	assert_ok(store_begin(f->store, &fixture_error));
	for (size_t i = 0; i < sizeof census / sizeof *census; i++)
		put(f, &census[i], RH_S_ADDED);
	expect_census(f, 4, "https://a on 1 1024\nhttps://b on 3 448\nhttps://c on 1 2048\n");
	assert_ok(store_commit(f->store, &fixture_error));
	expect_census(f, NOW,
	    " over 2 3\nhttps://a on 1 1024\nhttps://b on 2 384\nhttps://b over 1 64\n"
	    "https://c over 1 2048\n");
	expect_census(f, INT64_MAX,
	    " over 3 7\nhttps://a on 1 1024\nhttps://b on 1 256\nhttps://b over 2 192\n"
	    "https://c over 1 2048\n");
	expect_census(
	    f, INT64_MIN, "https://a on 1 1024\nhttps://b on 3 448\nhttps://c on 1 2048\n");
	assert_fails(
	    store_census(f->store, NOW, note_group, &groups, &fixture_error), RH_E_CANCELED);
	assert_string_equal(groups.text, " over 2 3\n");
	/* It has let go of its moment. */
	assert_ok(store_remove(f->store, "1", &fixture_error));
	assert_ok(store_remove(f->store, "2", &fixture_error));
	assert_ok(store_check_pages(f->store, &fixture_error));
	groups.text[0] = '\0';
	assert_fails(
	    store_census(f->store, NOW, note_group, &groups, &fixture_error), RH_E_CANCELED);
	assert_string_equal(groups.text, "https://a on 1 1024\n");
	fixture_close(f);

	fixture_sql(f, "UPDATE licenses SET service = printf('%.600c', 'x') WHERE id = 'b'");
	fixture_open(f, 0);
	groups.stop = RH_OK;
	assert_fails(store_census(f->store, NOW, note_group, &groups, &fixture_error),
	    RH_E_STORE_DAMAGED);
	fixture_close(f);
	/* One that would be told twice: who makes room for each service would have too little.
	 */
	fixture_sql(f, "UPDATE licenses SET service = CAST(X'68747470733a2f2f6200' AS TEXT)"
		       " WHERE id = 'b'");
	fixture_open(f, 0);
	groups.text[0] = '\0';
	assert_fails(store_census(f->store, NOW, note_group, &groups, &fixture_error),
	    RH_E_STORE_DAMAGED);
	fixture_close(f);
	fixture_sql(f, "DROP TABLE licenses");
	fixture_open(f, 0);
	assert_fails(store_census(f->store, NOW, note_group, &groups, &fixture_error),
	    RH_E_STORE_DAMAGED);
}

/* ---- Without a scan ---- */

static void expect_plan(struct fixture *f, enum statement which, const char *plan)
{
	char sql[4096];
	sqlite3_stmt *statement, *explained;

	assert_ok(statement_new(f->store, which, &explained, &fixture_error));
	snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", sqlite3_sql(explained));
	sqlite3_finalize(explained);
	assert_int_equal(
	    sqlite3_prepare_v2(f->store->db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(statement, 3), plan);
	assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
	sqlite3_finalize(statement);
}

static void test_plans(void **state)
{
	struct fixture *f = *state;

	fixture_open(f, STORE_CREATE);
	expect_plan(f, SQL_BY_KEY, "SEARCH licenses USING INDEX licenses_by_key (<expr>=?)");
	expect_plan(f, SQL_CENSUS_EXPIRED,
	    "SEARCH licenses USING COVERING INDEX licenses_census"
	    " (service=? AND format=? AND not_after<?)");
	expect_plan(f, SQL_CENSUS_SERVICES,
	    "SEARCH licenses USING COVERING INDEX licenses_census (service>?)");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_by_key),
	    TEST(test_fill),
	    TEST(test_fill_beside_reading),
	    TEST(test_within),
	    TEST(test_edited),
	    TEST(test_census),
	    TEST(test_plans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
