#include "fixture.h"

/* An old copy of the ledger is put back: the first that saw a newer head finds out. */

static struct head head_now(struct fixture *f, int64_t now)
{
	enum problem problem;
	struct head head;

	assert_ok(ledger_head(f->ledger, now, NULL, &problem, &head, error));
	assert_int_equal(problem, PROBLEM_NONE);
	return head;
}

/* Everything that was written after ${seq} is gone. */
static void put_back(struct fixture *f, int64_t seq)
{
	static const struct statement log = {
	    "test_log_back", "DELETE FROM audit WHERE seq > $1", 1, "i"};
	static const struct statement head = {"test_head_back",
	    "UPDATE head SET seq = $1, hash = (SELECT hash FROM audit WHERE seq = $1)"
	    " WHERE id = 1",
	    1, "i"};
	const struct value value = value_integer(seq);
	struct connection *connection;

	assert_ok(database_take(f->database, true, &connection, error));
	assert_ok(connection_begin(connection, error));
	assert_ok(database_query(connection, &log, &value, NULL, NULL, error));
	assert_ok(database_query(connection, &head, &value, NULL, NULL, error));
	assert_ok(connection_commit(connection, error));
	database_give(connection);
}

static enum problem commit_with(
    struct fixture *f, int64_t now, const char *computer, const struct head *seen)
{
	struct ledger_license l = license_of("a", "K");
	struct ledger_visitor visitor = {.computer = computer, .head = seen};
	struct ledger_outcome outcome;
	enum problem problem;
	struct head head;
	char *grants = NULL;

	assert_ok(commit_request(
	    f->ledger, now, &visitor, NULL, &l, 1, &outcome, &grants, &problem, &head, error));
	free(grants);
	return problem;
}

static void refuses(struct fixture *f, int64_t now)
{
	struct ledger_license l = license_of("a", "K");
	struct ledger_visitor visitor = visitor_of("c7", NULL);
	const struct ledger_issuer issuer = {"i", NULL, NULL, "{}", 0};
	const struct ledger_token token = {.name = "t", .scope = TOKEN_READ, .expires = NEVER};
	struct ledger_release release = {.computer = "c2", .actor = "x"};
	struct ledger_outcome outcome;
	struct ledger_status status;
	enum problem problem;
	enum release_state state;
	int64_t effective;
	struct head head;
	char *text;

	assert_int_equal(commit_with(f, now, "c7", NULL), PROBLEM_ROLLED_BACK);
	assert_ok(
	    ledger_plan(f->ledger, now, &visitor, &l, 1, &outcome, &problem, &head, error));
	assert_int_equal(problem, PROBLEM_ROLLED_BACK);
	assert_ok(
	    ledger_enroll(f->ledger, now, "c7", NULL, NULL, "nonce", &problem, &head, error));
	assert_int_equal(problem, PROBLEM_ROLLED_BACK);
	assert_ok(ledger_release(
	    f->ledger, now, &release, &state, &effective, &problem, &head, error));
	assert_int_equal(problem, PROBLEM_ROLLED_BACK);
	assert_ok(ledger_head(f->ledger, now, NULL, &problem, &head, error));
	assert_int_equal(problem, PROBLEM_ROLLED_BACK);

	assert_int_equal(ledger_policy_set(f->ledger, now, "a", POLICY_SERVICE, NULL, NULL,
			     &policy_unset, NULL),
	    RH_E_SERVICE_ROLLED_BACK);
	assert_int_equal(
	    ledger_issuer_put(f->ledger, now, "a", &issuer, NULL), RH_E_SERVICE_ROLLED_BACK);
	assert_int_equal(
	    ledger_issuer_remove(f->ledger, now, "a", ISSUER, NULL), RH_E_SERVICE_ROLLED_BACK);
	assert_int_equal(ledger_block(f->ledger, now, "a", ISSUER, "a", true, "", NULL),
	    RH_E_SERVICE_ROLLED_BACK);
	assert_int_equal(
	    ledger_exception_add(f->ledger, now, "a", ISSUER, "a", 1, NEVER, "", NULL),
	    RH_E_SERVICE_ROLLED_BACK);
	assert_int_equal(ledger_token_make(f->ledger, now, "a", &token, &text, NULL),
	    RH_E_SERVICE_ROLLED_BACK);

	/* What only tells still does. */
	assert_ok(ledger_status(f->ledger, now, &l, &status, error));
	free(status.computers);
}

static void test_put_back(void **state)
{
	struct fixture f;
	struct head old, newer, seen;
	struct ledger_counts counts;
	uint64_t entries;
	bool rolled_back;

	(void)state;
	fixture_open(&f, 4);
	assert_int_equal(commit_with(&f, NOW, "c2", NULL), PROBLEM_NONE);
	old = head_now(&f, NOW);
	assert_int_equal(commit_with(&f, NOW + 1, "c3", &old), PROBLEM_NONE);
	newer = head_now(&f, NOW + 2);
	assert_int_equal(newer.time, NOW + 2);
	assert_ok(ledger_rolled_back(f.ledger, &rolled_back, &seen, error));
	assert_false(rolled_back);

	put_back(&f, old.seq);
	/* Old heads tell nothing. */
	assert_int_equal(commit_with(&f, NOW + 3, "c2", &old), PROBLEM_NONE);
	/* The log has grown past it, with another entry in its place. */
	assert_int_equal(commit_with(&f, NOW + 3, "c2", NULL), PROBLEM_NONE);
	assert_int_equal(commit_with(&f, NOW + 4, "c3", &newer), PROBLEM_ROLLED_BACK);
	refuses(&f, NOW + 5);
	assert_ok(ledger_rolled_back(f.ledger, &rolled_back, &seen, error));
	assert_true(rolled_back);
	assert_int_equal(seen.seq, newer.seq);
	assert_memory_equal(seen.hash, newer.hash, DIGEST_SIZE);
	assert_int_equal(seen.time, NOW + 2);

	/* It is in the database, not in this process. */
	ledger_close(f.ledger);
	assert_ok(ledger_open(f.database, SERVICE, f.key, &f.keys, &f.ledger, error));
	refuses(&f, NOW + 6);
	assert_ok(ledger_counts(f.ledger, &counts, error));
	assert_ok(ledger_resolve(f.ledger, NOW + 10, "local:root", "disk replaced", error));
	assert_ok(ledger_rolled_back(f.ledger, &rolled_back, &seen, error));
	assert_false(rolled_back);
	assert_ok(ledger_audit_verify(f.ledger, &entries, error));
	assert_int_equal(entries, counts.entries + 1);
	/* Heads from before are no longer compared, those from after are. */
	assert_int_equal(commit_with(&f, NOW + 11, "c3", &newer), PROBLEM_NONE);
	newer.time = NOW + 11;
	assert_int_equal(commit_with(&f, NOW + 12, "c3", &newer), PROBLEM_ROLLED_BACK);
	assert_ok(ledger_resolve(f.ledger, NOW + 13, "local:root", "again", error));
	assert_int_equal(commit_with(&f, NOW + 14, "c3", NULL), PROBLEM_NONE);
	/* Nothing to resolve changes nothing. */
	assert_ok(ledger_counts(f.ledger, &counts, error));
	assert_ok(ledger_resolve(f.ledger, NOW + 15, "local:root", "again", error));
	assert_ok(ledger_audit_verify(f.ledger, &entries, error));
	assert_int_equal(entries, counts.entries);
	fixture_close(&f);
}

enum way { BY_PLAN, BY_HEAD, WAYS };

/* A head that is further than the log; found by each that is shown one. */
static void test_found_by(void **state)
{
	(void)state;
	for (enum way way = BY_PLAN; way < WAYS; way++) {
		struct fixture f;
		struct ledger_license l = license_of("a", "K");
		struct ledger_visitor visitor = visitor_of("c2", NULL);
		struct ledger_outcome outcome;
		enum problem problem;
		struct head newer, head;
		bool rolled_back;

		fixture_open(&f, 4);
		assert_int_equal(commit_with(&f, NOW, "c2", NULL), PROBLEM_NONE);
		newer = head_now(&f, NOW);
		put_back(&f, newer.seq - 1);
		visitor.head = &newer;
		if (way == BY_PLAN)
			assert_ok(ledger_plan(f.ledger, NOW + 1, &visitor, &l, 1, &outcome,
			    &problem, &head, error));
		else
			assert_ok(
			    ledger_head(f.ledger, NOW + 1, &visitor, &problem, &head, error));
		assert_int_equal(problem, PROBLEM_ROLLED_BACK);
		assert_ok(ledger_rolled_back(f.ledger, &rolled_back, &head, error));
		assert_true(rolled_back);
		refuses(&f, NOW + 2);
		fixture_close(&f);
	}
}

/* The empty log has a head, too. */
static void test_from_nothing(void **state)
{
	struct fixture f;
	const struct head nothing = {.time = NOW}, wrong = {.hash = {1}, .time = NOW};

	(void)state;
	fixture_open(&f, 4);
	assert_int_equal(commit_with(&f, NOW, "c2", &nothing), PROBLEM_NONE);
	assert_int_equal(commit_with(&f, NOW, "c2", &wrong), PROBLEM_ROLLED_BACK);
	fixture_close(&f);
}

/* A file of SQLite, copied while it was used, and put back. */
static void test_file(void **state)
{
	struct fixture f;
	struct database *copy;
	struct ledger *ledger, *kept;
	struct head newer;
	char path[600], address[620];

	(void)state;
	if (kit_is_postgres())
		return;
	fixture_open(&f, 4);
	assert_int_equal(commit_with(&f, NOW, "c2", NULL), PROBLEM_NONE);
	snprintf(path, sizeof path, "%s.old", kit_database_address(f.database) + 7);
	snprintf(address, sizeof address, "sqlite:%s", path);
	assert_ok(database_backup(f.database, path, error));
	assert_int_equal(commit_with(&f, NOW, "c3", NULL), PROBLEM_NONE);
	newer = head_now(&f, NOW);

	assert_ok(database_open(address, 2, &copy, error));
	assert_ok(ledger_open(copy, SERVICE, f.key, &f.keys, &ledger, error));
	kept = f.ledger;
	f.ledger = ledger;
	assert_int_equal(commit_with(&f, NOW + 1, "c2", NULL), PROBLEM_NONE);
	assert_int_equal(commit_with(&f, NOW + 1, "c4", &newer), PROBLEM_ROLLED_BACK);
	refuses(&f, NOW + 2);
	ledger_close(ledger);
	database_close(copy);
	remove(path);
	f.ledger = kept;
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_put_back),
	    cmocka_unit_test(test_found_by), cmocka_unit_test(test_from_nothing),
	    cmocka_unit_test(test_file)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
