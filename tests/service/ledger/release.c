#include "fixture.h"

/* Lost computers: asked for, called off, in effect. */

static int setup(void **state)
{
	static struct fixture f;

	fixture_open(&f, 4);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	fixture_close(*state);
	return 0;
}

static void fill(struct fixture *f, const struct ledger_license *l)
{
	enroll(f, NOW, "c2", "R");
	enroll(f, NOW, "c3", "R");
	assert_granted(restore_one(f, NOW, "c2", NULL, l), 2, 4);
	assert_granted(restore_one(f, NOW, "c3", NULL, l), 3, 4);
	assert_granted(restore_one(f, NOW, "c4", NULL, l), 4, 4);
}

static void test_life(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");
	struct ledger_release release = {.computer = "c2", .release = "R", .nonce = "r1"};
	struct ledger_outcome outcome;
	struct ledger_status status;

	fill(f, &l);
	assert_waiting(ask(f, NOW, release), NOW + WEEK);
	assert_problem(ask(f, NOW, release), PROBLEM_NONCE_USED);
	release.nonce = "r2";
	assert_waiting(ask(f, NOW + DAY, release), NOW + WEEK);
	outcome = plan_one(f, NOW + DAY, "c5", NULL, &l);
	assert_refused(outcome, PROBLEM_LIMIT, 4, 4);
	assert_int_equal(outcome.next, NOW + WEEK);
	assert_ok(ledger_status(f->ledger, NOW + DAY, &l, &status, error));
	assert_int_equal(status.used, 4);
	assert_int_equal(status.next, NOW + WEEK);
	assert_string_equal(status.computers[1].computer, "c2");
	assert_int_equal(status.computers[1].releasing, NOW + WEEK);
	free(status.computers);
	assert_refused(restore_one(f, NOW + WEEK - 1, "c5", NULL, &l), PROBLEM_LIMIT, 4, 4);
	/* It takes effect whether anybody looks or not. */
	assert_ok(ledger_status(f->ledger, NOW + WEEK, &l, &status, error));
	assert_int_equal(status.used, 3);
	free(status.computers);
	assert_costs(plan_one(f, NOW + WEEK, "c5", NULL, &l), 2, 4);
	assert_granted(restore_one(f, NOW + WEEK, "c5", NULL, &l), 2, 4);
	assert_free(restore_one(f, NOW + WEEK, "c4", NULL, &l), 4, 4);
	/* Its old owner is a new computer, and there is no room. */
	assert_refused(restore_one(f, NOW + WEEK, "c2", NULL, &l), PROBLEM_LIMIT, 4, 4);
	release.nonce = "r3";
	assert_state(ask(f, NOW + WEEK + 1, release), RELEASE_RELEASED);
}

/* More are due than one change settles: room that is needed is made all the same. */
static void test_many_due(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");
	struct ledger_release release = {.computer = "c3", .release = "R"};
	struct ledger_counts before, after;
	char name[16];

	fill(f, &l);
	for (int i = 0; i < 150; i++) {
		const struct ledger_release one = {.computer = name, .release = "R"};

		snprintf(name, sizeof name, "a%03d", i);
		enroll(f, NOW, name, "R");
		assert_waiting(ask(f, NOW, one), NOW + WEEK);
	}
	assert_waiting(ask(f, NOW + 1, release), NOW + 1 + WEEK);
	release.computer = "c2";
	assert_waiting(ask(f, NOW + 1, release), NOW + 1 + WEEK);
	assert_ok(ledger_counts(f->ledger, &before, error));
	assert_granted(restore_one(f, NOW + 1 + WEEK, "c5", NULL, &l), 2, 4);
	assert_ok(ledger_counts(f->ledger, &after, error));
	assert_in_range(after.entries - before.entries, 3, 66);
	/* One whose time has come cannot call it off. */
	assert_granted(restore_one(f, NOW + 1 + WEEK, "a149", NULL, &l), 3, 4);
	assert_refused(restore_one(f, NOW + 1 + WEEK, "c3", NULL, &l), PROBLEM_LIMIT, 4, 4);
	assert_int_equal(
	    ask(f, NOW + 1 + WEEK, (struct ledger_release){.computer = "a148", .release = "R"})
		.state,
	    RELEASE_RELEASED);
}

/* Who comes pays for few of the places of others; those count as free all the same. */
static void test_many_places(void **state)
{
	static const struct statement places = {"test_places",
	    "INSERT INTO slots (license_number, computer, number, since)"
	    " WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 601)"
	    " SELECT 1000 * c.license_number + n.i, c.computer, c.number, 0 FROM n"
	    " JOIN slots c ON c.license_number < 1000",
	    0, ""};
	static const struct statement settled = {
	    "test_settled", "SELECT COUNT(*) FROM releases WHERE state = 1", 0, ""};
	static const char *const names[] = {"c2", "c3", "c4", "c5", "c6"};
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K"), other = license_of("b", "");
	struct ledger_license third = license_of("c", "");
	struct ledger_status status;

	fill(f, &l);
	assert_granted(restore_one(f, NOW, "c5", NULL, &other), 1, 4);
	assert_granted(restore_one(f, NOW, "c6", NULL, &other), 2, 4);
	tamper(f, &places);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		ask(f, NOW, (struct ledger_release){.computer = names[i], .actor = "token:x"});
	/* Two of others, and its own. */
	assert_granted(restore_one(f, NOW + WEEK, "c5", NULL, &third), 1, 4);
	assert_int_equal(look_up(f, &settled), 3);
	assert_ok(ledger_status(f->ledger, NOW + WEEK, &l, &status, error));
	assert_int_equal(status.used, 1);
	free(status.computers);
	assert_granted(restore_one(f, NOW + WEEK, "c7", NULL, &third), 2, 4);
	assert_int_equal(look_up(f, &settled), 5);
}

static void test_comes_back(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");
	struct ledger_release release = {.computer = "c2", .release = "R"};

	fill(f, &l);
	assert_waiting(ask(f, NOW, release), NOW + WEEK);
	/* Released and taken again in the same second. */
	assert_granted(restore_one(f, NOW + WEEK, "c2", NULL, &l), 2, 4);
	assert_free(restore_one(f, NOW + WEEK, "c2", NULL, &l), 2, 4);
	/* That one can be released again. */
	assert_waiting(ask(f, NOW + WEEK, release), NOW + 2 * WEEK);
	assert_costs(plan_one(f, NOW + 2 * WEEK, "c5", NULL, &l), 2, 4);
}

enum way { BY_PLAN, BY_COMMIT, BY_HEAD, BY_ENROLL, WAYS };

static void show_up(struct fixture *f, enum way way, const struct ledger_license *l)
{
	struct ledger_visitor visitor = visitor_of("c2", NULL);
	enum problem problem;
	struct head head;

	switch (way) {
	case BY_PLAN:
		plan_one(f, NOW + DAY, "c2", NULL, l);
		break;
	case BY_COMMIT:
		restore_one(f, NOW + DAY, "c2", NULL, l);
		break;
	case BY_HEAD:
		assert_ok(ledger_head(f->ledger, NOW + DAY, &visitor, &problem, &head, error));
		assert_int_equal(problem, PROBLEM_NONE);
		break;
	case BY_ENROLL:
	default:
		enroll(f, NOW + DAY, "c2", NULL);
		break;
	}
}

/* The computer is not lost: in whatever way it shows up. */
static void test_called_off(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");
	struct ledger_release release = {.computer = "c2", .release = "R"};
	struct ledger_status status;

	fill(f, &l);
	for (enum way way = BY_PLAN; way < WAYS; way++) {
		struct ledger_counts before, after;

		assert_waiting(ask(f, NOW + way, release), NOW + way + WEEK);
		assert_ok(ledger_counts(f->ledger, &before, error));
		show_up(f, way, &l);
		assert_ok(ledger_counts(f->ledger, &after, error));
		assert_int_equal(
		    after.entries, before.entries + 1 + (way == BY_COMMIT ? 1 : 0));
		assert_ok(ledger_status(f->ledger, NOW + 3 * WEEK, &l, &status, error));
		assert_int_equal(status.used, 4);
		assert_true(status.next == NEVER);
		free(status.computers);
	}
}

static void test_cancel(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");
	struct ledger_release release = {.computer = "c2", .release = "R"};
	struct ledger_release cancel = {.computer = "c2", .release = "R", .cancel = true};

	fill(f, &l);
	assert_state(ask(f, NOW, cancel), RELEASE_CANCELLED);
	assert_waiting(ask(f, NOW, release), NOW + WEEK);
	cancel.release = "R2";
	assert_problem(ask(f, NOW, cancel), PROBLEM_RELEASE_PROOF);
	cancel.release = "R";
	assert_state(ask(f, NOW + 1, cancel), RELEASE_CANCELLED);
	assert_state(ask(f, NOW + 2, cancel), RELEASE_CANCELLED);
	assert_refused(restore_one(f, NOW + 2 * WEEK, "c5", NULL, &l), PROBLEM_LIMIT, 4, 4);
	assert_waiting(ask(f, NOW + 2 * WEEK, release), NOW + 3 * WEEK);
	/* Too late. */
	assert_state(ask(f, NOW + 3 * WEEK, cancel), RELEASE_RELEASED);
	assert_costs(plan_one(f, NOW + 3 * WEEK, "c5", NULL, &l), 2, 4);
}

/* Asked for by a clock that is behind, or was set back, it waits as any other. */
static void test_clocks(void **state)
{
	static const struct statement count = {
	    "test_waiting", "SELECT COUNT(*) FROM releases WHERE state = 0", 0, ""};
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");
	struct ledger_release release = {.computer = "c2", .release = "R"};
	struct ledger_release cancel = {.computer = "c2", .release = "R", .cancel = true};

	fill(f, &l);
	assert_waiting(ask(f, NOW + 10, release), NOW + 10 + WEEK);
	assert_state(ask(f, NOW + 10, cancel), RELEASE_CANCELLED);
	assert_waiting(ask(f, NOW, release), NOW + WEEK);
	assert_waiting(ask(f, NOW + 1, release), NOW + WEEK);
	assert_waiting(ask(f, NOW + 11, release), NOW + WEEK);
	assert_int_equal(look_up(f, &count), 1);
	assert_state(ask(f, NOW + 1, cancel), RELEASE_CANCELLED);
	assert_int_equal(look_up(f, &count), 0);
	assert_refused(restore_one(f, NOW + 2 * WEEK, "c5", NULL, &l), PROBLEM_LIMIT, 4, 4);
}

/* Two who ask at once: the second finds that it waits already. */
static void test_waits_once(void **state)
{
	static const struct statement insert = {"test_second",
	    "INSERT INTO releases (computer, requested, effective, state, actor)"
	    " SELECT computer, requested + 1, effective, state, actor FROM releases",
	    0, ""};
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");
	struct connection *connection;
	rh_error fault = {0};

	fill(f, &l);
	assert_waiting(
	    ask(f, NOW, (struct ledger_release){.computer = "c2", .release = "R"}), NOW + WEEK);
	assert_ok(database_take(f->database, true, &connection, error));
	assert_ok(connection_begin(connection, error));
	assert_int_equal(database_query(connection, &insert, NULL, NULL, NULL, &fault),
	    RH_E_DATABASE_CONFLICT);
	database_give(connection);
}

static void test_proof(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");

	fill(f, &l);
	assert_problem(ask(f, NOW, (struct ledger_release){.computer = "c2", .release = "R2"}),
	    PROBLEM_RELEASE_PROOF);
	assert_problem(ask(f, NOW, (struct ledger_release){.computer = "c9", .release = "R"}),
	    PROBLEM_RELEASE_UNKNOWN);
	/* Came, but never said whose it is. */
	assert_problem(ask(f, NOW, (struct ledger_release){.computer = "c4", .release = "R"}),
	    PROBLEM_RELEASE_PROOF);
	assert_problem(ask(f, NOW, (struct ledger_release){.computer = "c4", .release = ""}),
	    PROBLEM_RELEASE_PROOF);
	/* The original, without and with its owner's statement, and with another's. */
	assert_problem(ask(f, NOW, (struct ledger_release){.computer = "K", .release = "R"}),
	    PROBLEM_RELEASE_UNKNOWN);
	assert_problem(ask(f, NOW,
			   (struct ledger_release){.computer = "K",
			       .release = "R",
			       .owner_license_key = "K",
			       .owner_release = "R2"}),
	    PROBLEM_RELEASE_PROOF);
	assert_problem(ask(f, NOW,
			   (struct ledger_release){.computer = "K",
			       .release = "R",
			       .owner_license_key = "K2",
			       .owner_release = "R"}),
	    PROBLEM_RELEASE_UNKNOWN);
	assert_problem(ask(f, NOW,
			   (struct ledger_release){.computer = "c2",
			       .release = "R2",
			       .owner_license_key = "K",
			       .owner_release = "R2"}),
	    PROBLEM_RELEASE_PROOF);
	assert_waiting(ask(f, NOW,
			   (struct ledger_release){.computer = "K",
			       .release = "R",
			       .owner_license_key = "K",
			       .owner_release = "R"}),
	    NOW + WEEK);
	/* Administrators need none, but there must be something. */
	assert_waiting(
	    ask(f, NOW, (struct ledger_release){.computer = "c4", .actor = "token:x"}),
	    NOW + WEEK);
	assert_problem(
	    ask(f, NOW, (struct ledger_release){.computer = "c9", .actor = "token:x"}),
	    PROBLEM_RELEASE_UNKNOWN);
}

/* The original that never came: number 1 of all its licences comes free. */
static void test_original(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K"), other = license_of("b", "K");
	struct ledger_release release = {
	    .computer = "K", .release = "R", .owner_license_key = "K", .owner_release = "R"};
	struct ledger_status status;

	fill(f, &l);
	assert_waiting(ask(f, NOW, release), NOW + WEEK);
	assert_int_equal(plan_one(f, NOW, "c5", NULL, &l).next, NOW + WEEK);
	assert_granted(restore_one(f, NOW + WEEK, "c5", NULL, &l), 1, 4);
	assert_refused(restore_one(f, NOW + WEEK, "c6", NULL, &l), PROBLEM_LIMIT, 4, 4);
	assert_ok(ledger_status(f->ledger, NOW + WEEK, &l, &status, error));
	assert_int_equal(status.used, 4);
	assert_int_equal(status.count, 4);
	for (size_t i = 0; i < status.count; i++)
		assert_false(status.computers[i].original);
	free(status.computers);
	/* Also of those that come later. */
	assert_granted(restore_one(f, NOW + WEEK, "c5", NULL, &other), 1, 4);
	/* It is found after all: a computer like any other. */
	assert_granted(restore_one(f, NOW + WEEK, "c1", "K", &other), 2, 4);
	assert_refused(restore_one(f, NOW + WEEK, "c1", "K", &l), PROBLEM_LIMIT, 4, 4);
	assert_state(ask(f, NOW + WEEK, release), RELEASE_RELEASED);
}

/* One that came is the same computer by both names. */
static void test_original_that_came(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K"), other = license_of("b", "K9");
	struct ledger_release by_key = {
	    .computer = "K", .release = "R", .owner_license_key = "K", .owner_release = "R"};
	struct ledger_release by_name = {.computer = "c1", .actor = "token:x"};
	struct ledger_status status;

	assert_free(restore_one(f, NOW, "c1", "K", &l), 1, 4);
	assert_granted(restore_one(f, NOW, "c1", "K", &other), 2, 4);
	assert_waiting(ask(f, NOW, by_key), NOW + WEEK);
	assert_waiting(ask(f, NOW + 1, by_name), NOW + WEEK);
	assert_ok(ledger_status(f->ledger, NOW, &l, &status, error));
	assert_int_equal(status.computers[0].releasing, NOW + WEEK);
	free(status.computers);
	assert_free(restore_one(f, NOW + DAY, "c1", NULL, &l), 1, 4);
	assert_ok(ledger_status(f->ledger, NOW + WEEK, &l, &status, error));
	assert_int_equal(status.used, 1);
	free(status.computers);
	assert_waiting(ask(f, NOW + WEEK, by_name), NOW + 2 * WEEK);
	assert_ok(ledger_status(f->ledger, NOW + 2 * WEEK, &l, &status, error));
	assert_int_equal(status.used, 0);
	free(status.computers);
	assert_granted(restore_one(f, NOW + 2 * WEEK, "c2", NULL, &other), 2, 4);
	assert_granted(restore_one(f, NOW + 2 * WEEK, "c2", NULL, &l), 1, 4);
}

/* Asked for by its licence key before it ever came; then it comes. */
static void test_original_shows_up(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");
	struct ledger_release release = {
	    .computer = "K", .release = "R", .owner_license_key = "K", .owner_release = "R"};
	struct ledger_status status;

	assert_waiting(ask(f, NOW, release), NOW + WEEK);
	assert_free(plan_one(f, NOW + DAY, "c1", "K", &l), 1, 4);
	assert_ok(ledger_status(f->ledger, NOW + WEEK, &l, &status, error));
	assert_int_equal(status.used, 1);
	free(status.computers);
}

/* A restore brought the owner's statement before: then it need not come again. */
static void test_statement_kept(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");
	struct ledger_visitor visitor = {
	    .computer = "c2", .owner_license_key = "K", .owner_release = "R"};
	struct ledger_outcome outcome;
	enum problem problem;
	struct head head;
	char *grants;

	assert_ok(commit_request(
	    f->ledger, NOW, &visitor, NULL, &l, 1, &outcome, &grants, &problem, &head, error));
	free(grants);
	assert_problem(ask(f, NOW, (struct ledger_release){.computer = "K", .release = "R2"}),
	    PROBLEM_RELEASE_PROOF);
	assert_waiting(
	    ask(f, NOW, (struct ledger_release){.computer = "K", .release = "R"}), NOW + WEEK);
}

/* More than one round of them. */
static void test_many(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");
	static char names[150][8];
	struct ledger_status status;

	l.computers = 200;
	for (size_t i = 0; i < 150; i++) {
		snprintf(names[i], sizeof names[i], "m%zu", i);
		assert_granted(restore_one(f, NOW, names[i], NULL, &l), (uint32_t)i + 2, 200);
		ask(f, NOW, (struct ledger_release){.computer = names[i], .actor = "token:x"});
	}
	assert_granted(restore_one(f, NOW + WEEK, "c2", NULL, &l), 2, 200);
	assert_granted(restore_one(f, NOW + WEEK, "c3", NULL, &l), 3, 200);
	assert_ok(ledger_status(f->ledger, NOW + WEEK, &l, &status, error));
	assert_int_equal(status.used, 3);
	free(status.computers);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(test_life), TEST(test_many_due),
	    TEST(test_many_places), TEST(test_comes_back), TEST(test_called_off),
	    TEST(test_cancel), TEST(test_clocks), TEST(test_waits_once), TEST(test_proof),
	    TEST(test_original), TEST(test_original_that_came), TEST(test_original_shows_up),
	    TEST(test_statement_kept), TEST(test_many)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
