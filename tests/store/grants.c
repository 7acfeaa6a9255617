/* Grants of License Management Services, as the store keeps them. */
#include <stdio.h>
#include <stdlib.h>

#include "store/internal.h"

#include "fixture.h"

#define LICENSES 6
#define SERVICE "https://licences.example/lms"

static void insert_samples(struct fixture *f)
{
	for (unsigned n = 0; n < LICENSES; n++)
		assert_int_equal(
		    sample_insert(f->store, f->sealer, n, &fixture_error), RH_S_ADDED);
}

static int setup(void **state)
{
	int code = fixture_setup(state);
	struct fixture *f = *state;

	fixture_open(f, STORE_CREATE);
	insert_samples(f);
	return code;
}

static const char *id_of(unsigned n)
{
	static struct license facts;

	sample_facts(&facts, n);
	return facts.id;
}

static int64_t number_of(struct fixture *f, unsigned n)
{
	struct store_row row = {0};
	int64_t number;

	assert_ok(store_get(f->store, id_of(n), &row, &fixture_error));
	number = row.number;
	store_row_free(&row);
	return number;
}

/* A batch over ${count} licences from ${first}; of ${salt} so that batches differ. */
static void put_batch(struct fixture *f, unsigned first, unsigned count, uint8_t salt)
{
	uint8_t leaves[LICENSES][DIGEST_SIZE];
	char root[16];
	struct store_grant grant = {.service = SERVICE,
	    .computer = "computer",
	    .root = root,
	    .leaves = leaves,
	    .leaf_count = count,
	    .limit = 4};
	int64_t batch = 0;

	snprintf(root, sizeof root, "root-%u", salt);
	for (unsigned i = 0; i < count; i++)
		memset(leaves[i], salt + (int)i, DIGEST_SIZE);
	assert_ok(store_begin(f->store, &fixture_error));
	assert_ok(store_grants_add(f->store, &grant, &batch, &fixture_error));
	for (unsigned i = 0; i < count; i++) {
		grant.position = i;
		grant.number = salt + i;
		grant.since = 1000 + salt;
		assert_ok(store_grant_put(
		    f->store, number_of(f, first + i), batch, &grant, &fixture_error));
	}
	assert_ok(store_commit(f->store, &fixture_error));
}

static void expect_grant(
    struct fixture *f, unsigned n, unsigned i, unsigned count, uint8_t salt)
{
	struct store_grant grant;
	char root[16];

	snprintf(root, sizeof root, "root-%u", salt);
	assert_ok(store_grant_get(f->store, id_of(n), &grant, &fixture_error));
	assert_string_equal(grant.service, SERVICE);
	assert_string_equal(grant.computer, "computer");
	assert_string_equal(grant.root, root);
	assert_int_equal(grant.position, i);
	assert_int_equal(grant.number, salt + i);
	assert_int_equal(grant.limit, 4);
	assert_int_equal(grant.since, 1000 + salt);
	assert_int_equal(grant.leaf_count, count);
	assert_int_equal(grant.leaves[i][31], salt + i);
	store_grant_free(&grant);
	assert_null(grant.root);
}

static void expect_none(struct fixture *f, unsigned n, int code)
{
	struct store_grant grant;

	assert_fails(store_grant_get(f->store, id_of(n), &grant, &fixture_error), code);
}

static void test_kept(void **state)
{
	struct fixture *f = *state;

	put_batch(f, 1, 3, 10);
	fixture_close(f);
	fixture_open(f, STORE_READ_ONLY);
	expect_none(f, 0, RH_E_GRANT);
	for (unsigned i = 0; i < 3; i++)
		expect_grant(f, 1 + i, i, 3, 10);
	expect_none(f, 4, RH_E_GRANT);
	expect_none(f, LICENSES, RH_E_LICENSE_UNKNOWN);
	assert_ok(store_check_pages(f->store, &fixture_error));
}

/* A later grant takes the place of an earlier one, and a batch goes with its last grant. */
static void test_replaced(void **state)
{
	struct fixture *f = *state;

	put_batch(f, 0, 3, 10);
	put_batch(f, 2, 2, 20);
	expect_grant(f, 1, 1, 3, 10);
	expect_grant(f, 2, 0, 2, 20);
	fixture_close(f);
	assert_int_equal(fixture_sql_number(f, "SELECT count(*) FROM grant_batches"), 2);
	fixture_open(f, 0);
	put_batch(f, 0, 2, 30);
	fixture_close(f);
	assert_int_equal(fixture_sql_number(f, "SELECT count(*) FROM grant_batches"), 2);
	assert_int_equal(
	    fixture_sql_number(f, "SELECT count(*) FROM grant_batches WHERE root = 'root-10'"),
	    0);
	fixture_open(f, 0);
	expect_grant(f, 0, 0, 2, 30);
}

/* A removed licence leaves nothing, and its number may come again. */
static void test_removed(void **state)
{
	struct fixture *f = *state;

	put_batch(f, 4, 2, 10);
	assert_ok(store_remove(f->store, id_of(5), &fixture_error));
	expect_none(f, 5, RH_E_LICENSE_UNKNOWN);
	expect_grant(f, 4, 0, 2, 10);
	assert_int_equal(sample_insert(f->store, f->sealer, 5, &fixture_error), RH_S_ADDED);
	expect_none(f, 5, RH_E_GRANT);
	assert_ok(store_remove(f->store, id_of(4), &fixture_error));
	fixture_close(f);
	assert_int_equal(fixture_sql_number(f, "SELECT count(*) FROM grant_batches"), 0);
	assert_int_equal(fixture_sql_number(f, "SELECT count(*) FROM grants"), 0);
	fixture_open(f, 0);
	assert_ok(store_check_pages(f->store, &fixture_error));
}

/* What was changed by hand is no grant, and no crash. */
static void test_edited(void **state)
{
	static const char *const edits[] = {
	    "UPDATE grants SET position = 3",
	    "UPDATE grants SET position = -1",
	    "UPDATE grants SET place = -1",
	    "UPDATE grants SET allowed = 4294967296",
	    "UPDATE grants SET batch = 99",
	    "UPDATE grant_batches SET leaves = x'00'",
	    "UPDATE grant_batches SET leaves = x''",
	    "UPDATE grant_batches SET leaves = zeroblob(32 * 4097)",
	    "UPDATE grant_batches SET root = ''",
	    "UPDATE grant_batches SET root = CAST(x'410042' AS TEXT)",
	    "UPDATE grant_batches SET service = CAST(zeroblob(600) AS TEXT)",
	    "UPDATE grant_batches SET computer = printf('%044d', 1)",
	    "DELETE FROM grant_batches",
	    "DELETE FROM grants",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
		put_batch(f, 0, 3, 10);
		expect_grant(f, 1, 1, 3, 10);
		fixture_close(f);
		fixture_sql(f, edits[i]);
		fixture_open(f, 0);
		expect_none(f, 1, RH_E_GRANT);
		assert_ok(store_check_pages(f->store, &fixture_error));
	}
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t leaf[1][DIGEST_SIZE] = {{0}};
	char root[] = "root";
	struct store_grant grant = {.root = root, .leaves = leaf, .leaf_count = 1};
	int64_t batch = 7;

	assert_fails(
	    store_grants_add(f->store, &grant, &batch, &fixture_error), RH_E_STORE_WRITE);
	assert_ok(store_begin(f->store, &fixture_error));
	grant.leaf_count = 0;
	assert_fails(store_grants_add(f->store, &grant, &batch, &fixture_error), RH_E_ARGUMENT);
	grant.leaf_count = 4097;
	assert_fails(store_grants_add(f->store, &grant, &batch, &fixture_error), RH_E_ARGUMENT);
	assert_int_equal(batch, 7);
	store_rollback(f->store);
	/* What was not committed is not there. */
	grant.leaf_count = 1;
	assert_ok(store_begin(f->store, &fixture_error));
	assert_ok(store_grants_add(f->store, &grant, &batch, &fixture_error));
	assert_ok(store_grant_put(f->store, number_of(f, 0), batch, &grant, &fixture_error));
	store_rollback(f->store);
	expect_none(f, 0, RH_E_GRANT);
	fixture_close(f);
	fixture_open(f, STORE_READ_ONLY);
	assert_fails(store_grant_put(f->store, 1, batch, &grant, &fixture_error), RH_E_ACCESS);
}

/* A secret that comes after the other parts. */
static void test_secret_later(void **state)
{
	struct fixture *f = *state;
	struct store_row row = {.digest_known = false};
	struct store_content content = {0};
	char document[4096];
	size_t size = sample_document(document, 7);

	sample_facts(&row.facts, 7);
	assert_ok(store_seal(f->sealer, &row, document, size, NULL, 11, NULL, &fixture_error));
	assert_fails(
	    store_open_row(f->sealer, &row, &content, &fixture_error), RH_E_STORE_DAMAGED);
	assert_fails(store_seal_secret(f->sealer, &row, "", 0, &fixture_error), RH_E_ARGUMENT);
	assert_ok(store_seal_secret(f->sealer, &row, "eleven sins", 11, &fixture_error));
	assert_int_equal(store_insert(f->store, &row, NULL, &fixture_error), RH_S_ADDED);
	assert_ok(store_get(f->store, row.facts.id, &row, &fixture_error));
	assert_ok(store_open_row(f->sealer, &row, &content, &fixture_error));
	assert_int_equal(content.secret.size, 11);
	assert_memory_equal(content.secret.data, "eleven sins", 11);
	assert_int_equal(content.document.size, size);
	assert_memory_equal(content.document.data, document, size);
	assert_ok(store_seal(f->sealer, &row, document, size, NULL, 0, NULL, &fixture_error));
	assert_fails(store_seal_secret(f->sealer, &row, "eleven sins", 11, &fixture_error),
	    RH_E_ARGUMENT);
	store_content_free(&content);
	store_row_free(&row);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_kept),
	    TEST(test_replaced),
	    TEST(test_removed),
	    TEST(test_edited),
	    TEST(test_refused),
	    TEST(test_secret_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
