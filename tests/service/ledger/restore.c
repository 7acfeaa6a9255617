#include "fixture.h"

/* What a restore costs, and what it is answered. */

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

static struct policy unset(void)
{
	return policy_unset;
}

/* Four computers, the original among them, though it never came. */
static void test_four(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");
	struct ledger_outcome outcome;

	assert_costs(plan_one(f, NOW, "c2", NULL, &l), 2, 4);
	outcome = restore_one(f, NOW, "c2", NULL, &l);
	assert_granted(outcome, 2, 4);
	assert_int_equal(outcome.since, NOW);
	assert_granted(restore_one(f, NOW + 1, "c3", NULL, &l), 3, 4);
	assert_granted(restore_one(f, NOW + 2, "c4", NULL, &l), 4, 4);
	outcome = restore_one(f, NOW + 3, "c5", NULL, &l);
	assert_refused(outcome, PROBLEM_LIMIT, 4, 4);
	assert_true(outcome.next == NEVER);
	assert_int_equal(strlen(outcome.token), LEDGER_TOKEN_SIZE - 1);
	assert_refused(plan_one(f, NOW + 3, "c5", NULL, &l), PROBLEM_LIMIT, 4, 4);
	/* Those that have it, in any order, and the original by its claim. */
	outcome = restore_one(f, NOW + 4, "c4", NULL, &l);
	assert_free(outcome, 4, 4);
	assert_int_equal(outcome.since, NOW + 2);
	assert_free(restore_one(f, NOW + 4, "c2", NULL, &l), 2, 4);
	outcome = restore_one(f, NOW + 5, "c1", "K", &l);
	assert_free(outcome, 1, 4);
	assert_int_equal(outcome.since, l.issued);
	/* From then on it is known without. */
	assert_free(restore_one(f, NOW + 6, "c1", NULL, &l), 1, 4);
	assert_free(plan_one(f, NOW + 6, "c1", NULL, &l), 1, 4);
}

/* Issued to no computer: nobody takes a place but those that restore it. */
static void test_no_original(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "");
	struct ledger_status status;

	l.computers = 2;
	assert_ok(ledger_status(f->ledger, NOW, &l, &status, error));
	assert_int_equal(status.used, 0);
	assert_int_equal(status.count, 0);
	free(status.computers);
	assert_granted(restore_one(f, NOW, "c2", "", &l), 1, 2);
	assert_granted(restore_one(f, NOW, "c3", NULL, &l), 2, 2);
	assert_refused(restore_one(f, NOW, "c4", "K", &l), PROBLEM_LIMIT, 2, 2);
	assert_free(restore_one(f, NOW, "c2", NULL, &l), 1, 2);
	assert_ok(ledger_status(f->ledger, NOW, &l, &status, error));
	assert_int_equal(status.used, 2);
	assert_int_equal(status.count, 2);
	assert_string_equal(status.computers[0].computer, "c2");
	assert_false(status.computers[0].original);
	free(status.computers);
}

/* Charged before it told what it is: the slot comes back. */
static void test_claim_later(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K"), other = license_of("b", "OTHER");
	struct ledger_status status;

	assert_granted(restore_one(f, NOW, "c1", NULL, &l), 2, 4);
	assert_granted(restore_one(f, NOW, "c1", NULL, &other), 2, 4);
	assert_free(plan_one(f, NOW, "c1", "K", &l), 1, 4);
	assert_free(restore_one(f, NOW, "c1", "K", &l), 1, 4);
	assert_ok(ledger_status(f->ledger, NOW, &l, &status, error));
	assert_int_equal(status.used, 1);
	assert_int_equal(status.count, 1);
	assert_string_equal(status.computers[0].computer, "c1");
	assert_true(status.computers[0].original && status.computers[0].known);
	free(status.computers);
	assert_free(restore_one(f, NOW, "c1", "K", &other), 2, 4);
	assert_granted(restore_one(f, NOW, "c2", NULL, &l), 2, 4);
	/* Who holds the key may sign claims for any number of computers: they count. */
	assert_costs(plan_one(f, NOW, "c9", "K", &l), 3, 4);
	assert_granted(restore_one(f, NOW, "c9", "K", &l), 3, 4);
	assert_granted(restore_one(f, NOW, "c8", "K", &l), 4, 4);
	assert_refused(restore_one(f, NOW, "c7", "K", &l), PROBLEM_LIMIT, 4, 4);
	assert_free(restore_one(f, NOW, "c1", NULL, &l), 1, 4);
}

static void test_limits_of(void **state)
{
	struct fixture *f = *state;
	struct ledger_license own = license_of("own", "K"), plain = license_of("plain", "K");
	struct policy policy = unset();

	own.computers = 2;
	assert_granted(restore_one(f, NOW, "c2", NULL, &own), 2, 2);
	assert_refused(restore_one(f, NOW, "c3", NULL, &own), PROBLEM_LIMIT, 2, 2);
	/* The issuer's policy is wider than the licence's own word. */
	policy.computers = 3;
	assert_ok(ledger_policy_set(
	    f->ledger, NOW, "local:test", POLICY_ISSUER, ISSUER, NULL, &policy, error));
	assert_refused(restore_one(f, NOW, "c3", NULL, &own), PROBLEM_LIMIT, 2, 2);
	assert_costs(plan_one(f, NOW, "c3", NULL, &plain), 2, 3);
	policy.computers = 5;
	assert_ok(ledger_policy_set(
	    f->ledger, NOW, "local:test", POLICY_LICENSE, ISSUER, "own", &policy, error));
	assert_granted(restore_one(f, NOW, "c3", NULL, &own), 3, 5);
	policy.computers = 9;
	set_policy(f, policy);
	assert_costs(plan_one(f, NOW, "c3", NULL, &plain), 2, 3);
	/* Who has it keeps it when the limit sinks. */
	policy.computers = 1;
	assert_ok(ledger_policy_set(
	    f->ledger, NOW, "local:test", POLICY_LICENSE, ISSUER, "own", &policy, error));
	assert_free(restore_one(f, NOW, "c3", NULL, &own), 3, 3);
	assert_refused(restore_one(f, NOW, "c4", NULL, &own), PROBLEM_LIMIT, 3, 1);
}

static void test_exceptions(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");

	l.computers = 1;
	assert_refused(restore_one(f, NOW, "c2", NULL, &l), PROBLEM_LIMIT, 1, 1);
	assert_ok(ledger_exception_add(f->ledger, NOW, "local:test", ISSUER, "a", 1, NOW + DAY,
	    "asked by telephone", error));
	assert_ok(ledger_exception_add(
	    f->ledger, NOW, "local:test", ISSUER, "a", 1, NEVER, "", error));
	assert_granted(restore_one(f, NOW, "c2", NULL, &l), 2, 3);
	assert_costs(plan_one(f, NOW + DAY - 1, "c3", NULL, &l), 3, 3);
	assert_refused(restore_one(f, NOW + DAY, "c3", NULL, &l), PROBLEM_LIMIT, 2, 2);
	assert_free(restore_one(f, NOW + DAY, "c2", NULL, &l), 2, 2);
}

static void test_period(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");
	struct policy policy = unset();
	struct ledger_outcome outcome;

	policy.computers = 100;
	policy.period = 30 * DAY;
	policy.period_computers = 2;
	set_policy(f, policy);
	assert_free(restore_one(f, NOW, "c1", "K", &l), 1, 100); /* never a new one */
	assert_granted(restore_one(f, NOW, "c2", NULL, &l), 2, 100);
	assert_granted(restore_one(f, NOW + DAY, "c3", NULL, &l), 3, 100);
	outcome = restore_one(f, NOW + 2 * DAY, "c4", NULL, &l);
	assert_refused(outcome, PROBLEM_PERIOD, 3, 100);
	assert_int_equal(outcome.next, NOW + 30 * DAY);
	assert_refused(plan_one(f, NOW + 30 * DAY - 1, "c4", NULL, &l), PROBLEM_PERIOD, 3, 100);
	assert_granted(restore_one(f, NOW + 30 * DAY, "c4", NULL, &l), 4, 100);
	outcome = restore_one(f, NOW + 30 * DAY, "c5", NULL, &l);
	assert_refused(outcome, PROBLEM_PERIOD, 4, 100);
	assert_int_equal(outcome.next, NOW + 31 * DAY);
	policy.period_computers = 0;
	set_policy(f, policy);
	outcome = restore_one(f, NOW + 900 * DAY, "c5", NULL, &l);
	assert_refused(outcome, PROBLEM_PERIOD, 4, 100);
	assert_true(outcome.next == NEVER);
}

static void test_cooldown(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");
	struct policy policy = unset();
	struct ledger_outcome outcome;

	policy.cooldown = 100;
	set_policy(f, policy);
	assert_granted(restore_one(f, NOW, "c2", NULL, &l), 2, 4);
	assert_free(restore_one(f, NOW, "c1", "K", &l), 1, 4);
	outcome = restore_one(f, NOW + 99, "c3", NULL, &l);
	assert_refused(outcome, PROBLEM_COOLDOWN, 2, 4);
	assert_int_equal(outcome.next, NOW + 100);
	assert_granted(restore_one(f, NOW + 100, "c3", NULL, &l), 3, 4);
}

static void test_blocked(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K"), unseen = license_of("b", "K");
	struct ledger_status status;

	assert_granted(restore_one(f, NOW, "c2", NULL, &l), 2, 4);
	assert_ok(ledger_block(
	    f->ledger, NOW, "local:test", ISSUER, "a", true, "payment failed", error));
	assert_refused(restore_one(f, NOW, "c2", NULL, &l), PROBLEM_LICENSE_BLOCKED, 2, 4);
	assert_refused(plan_one(f, NOW, "c1", "K", &l), PROBLEM_LICENSE_BLOCKED, 2, 4);
	assert_ok(ledger_status(f->ledger, NOW, &l, &status, error));
	assert_true(status.blocked);
	free(status.computers);
	assert_ok(
	    ledger_block(f->ledger, NOW, "local:test", ISSUER, "a", false, "paid", error));
	assert_free(restore_one(f, NOW, "c2", NULL, &l), 2, 4);
	/* Before it was ever seen; its document fills the row. */
	assert_ok(ledger_block(f->ledger, NOW, "local:test", ISSUER, "b", true, NULL, error));
	assert_refused(
	    restore_one(f, NOW + 5, "c1", "K", &unseen), PROBLEM_LICENSE_BLOCKED, 1, 4);
	assert_ok(ledger_block(f->ledger, NOW, "local:test", ISSUER, "b", false, NULL, error));
	assert_free(restore_one(f, NOW, "c1", "K", &unseen), 1, 4);
}

static void test_nothing(void **state)
{
	struct fixture *f = *state;
	struct ledger_visitor visitor = visitor_of("c2", NULL);
	enum problem problem;
	struct head head;
	char *grants;

	assert_ok(commit_request(
	    f->ledger, NOW, &visitor, NULL, NULL, 0, NULL, &grants, &problem, &head, error));
	assert_int_equal(problem, PROBLEM_NONE);
	assert_null(grants);
}

static void test_cases(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");
	struct ledger_outcome planned, refused;
	struct ledger_case found;
	struct ledger_counts counts;

	l.computers = 2;
	assert_granted(restore_one(f, NOW, "c2", NULL, &l), 2, 2);
	planned = plan_one(f, NOW + 1, "c3", NULL, &l);
	refused = restore_one(f, NOW + 2, "c3", NULL, &l);
	assert_string_equal(planned.token, refused.token);
	planned = plan_one(f, NOW + 3, "c4", NULL, &l);
	assert_string_not_equal(planned.token, refused.token);
	assert_ok(ledger_counts(f->ledger, &counts, error));
	assert_int_equal(counts.cases, 2);
	assert_int_equal(counts.licenses, 1);
	assert_int_equal(counts.slots, 1);

	assert_ok(ledger_case(f->ledger, NOW + 9, refused.token, 0, &found, error));
	assert_string_equal(found.license.id, "a");
	assert_string_equal(found.license.title, "Title of a");
	assert_string_equal(found.license.issuer, ISSUER);
	assert_string_equal(found.issuer_title, "Issuer");
	assert_string_equal(found.contact, "https://issuer.example/help");
	assert_string_equal(found.computer, "c3");
	assert_int_equal(found.problem, PROBLEM_LIMIT);
	assert_int_equal(found.created, NOW + 1);
	assert_int_equal(found.release_wait, 7 * DAY);
	assert_int_equal(found.status.used, 2);
	assert_int_equal(found.status.count, 2);
	assert_string_equal(found.status.computers[0].computer, "K");
	assert_false(found.status.computers[0].known);
	assert_string_equal(found.status.computers[1].computer, "c2");
	free(found.status.computers);
	assert_ok(ledger_case(f->ledger, NOW + 9, NULL, found.number, &found, error));
	free(found.status.computers);
	assert_int_equal(
	    ledger_case(f->ledger, NOW, "nobody", 0, &found, NULL), RH_E_LICENSE_UNKNOWN);
	assert_int_equal(
	    ledger_case(f->ledger, NOW, NULL, 99999, &found, NULL), RH_E_LICENSE_UNKNOWN);
}

/* A second handle, as of another rehostd, names the same case. */
static void test_case_shared(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");
	struct ledger_outcome first, second;
	struct ledger *kept = f->ledger;

	l.computers = 1;
	first = restore_one(f, NOW, "c2", NULL, &l);
	assert_ok(ledger_open(f->database, SERVICE, f->key, &f->keys, &f->ledger, error));
	second = restore_one(f, NOW, "c2", NULL, &l);
	ledger_close(f->ledger);
	f->ledger = kept;
	assert_string_equal(first.token, second.token);
}

/* A plan leaves nothing behind but cases. */
static void test_plan_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l[] = {license_of("a", "K"), license_of("b", "K")};
	struct ledger_visitor visitor = visitor_of("c2", "K2");
	struct ledger_outcome o[2];
	struct ledger_counts before, after;
	enum problem problem;
	struct head head;

	assert_ok(ledger_counts(f->ledger, &before, error));
	assert_ok(ledger_plan(f->ledger, NOW, &visitor, l, 2, o, &problem, &head, error));
	assert_costs(o[0], 2, 4);
	assert_costs(o[1], 2, 4);
	assert_ok(ledger_counts(f->ledger, &after, error));
	assert_memory_equal(&before, &after, sizeof before);
	assert_int_equal(head.seq, after.entries);
}

static void test_recognise(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K"), found[2];

	l.computers = 7;
	assert_costs(plan_one(f, NOW, "c2", NULL, &l), 2, 7);
	memset(found, 0, sizeof found);
	memcpy(found[1].digest, l.digest, DIGEST_SIZE);
	assert_ok(ledger_recognise(f->ledger, found, 2, NULL, error));
	assert_string_equal(found[1].key, "");
	assert_granted(restore_one(f, NOW, "c2", NULL, &l), 2, 7);
	assert_ok(ledger_recognise(f->ledger, found, 2, NULL, error));
	assert_string_equal(found[0].key, "");
	assert_memory_equal(&found[1], &l, sizeof l);
	/* Not of issuers that are no longer served. */
	assert_ok(ledger_issuer_remove(f->ledger, NOW, "local:test", ISSUER, error));
	assert_ok(ledger_recognise(f->ledger, found, 2, NULL, error));
	assert_string_equal(found[1].key, "");
}

/* A later document changes what it says, but not whose the licence was. */
static void test_renewed(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K"), later = l, found;

	assert_granted(restore_one(f, NOW, "c2", NULL, &l), 2, 4);
	later.issued += 5;
	later.digest[0] ^= 1;
	later.computers = 6;
	snprintf(later.original, sizeof later.original, "K2");
	snprintf(later.title, sizeof later.title, "New title");
	assert_costs(plan_one(f, NOW, "c3", "K2", &later), 3, 6);
	assert_free(plan_one(f, NOW, "c2", NULL, &later), 2, 6);
	assert_granted(restore_one(f, NOW, "c3", "K2", &later), 3, 6);
	assert_free(restore_one(f, NOW, "c1", "K", &later), 1, 6);
	memcpy(found.digest, later.digest, DIGEST_SIZE);
	assert_ok(ledger_recognise(f->ledger, &found, 1, NULL, error));
	assert_string_equal(found.title, "New title");
	assert_string_equal(found.original, "K");
	/* The earlier one brings nothing back. */
	assert_free(restore_one(f, NOW, "c2", NULL, &l), 2, 6);
}

/* A plan, and a status, by the document that is shown: as the restore will be. */
static void test_renewed_plan(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K"), later = l, last;
	struct ledger_outcome planned, restored;
	struct ledger_status status;

	l.computers = 1;
	assert_refused(restore_one(f, NOW, "c2", NULL, &l), PROBLEM_LIMIT, 1, 1);
	later.issued += 5;
	later.digest[0] ^= 1;
	later.computers = 2;
	planned = plan_one(f, NOW, "c1", "K", &later);
	restored = restore_one(f, NOW, "c1", "K", &later);
	assert_free(planned, 1, 2);
	assert_free(restored, 1, 2);
	assert_int_equal(planned.since, later.issued);
	assert_int_equal(restored.since, later.issued);
	last = later;
	last.issued += 5;
	last.digest[0] ^= 2;
	last.computers = 1;
	assert_ok(ledger_status(f->ledger, NOW, &last, &status, error));
	assert_int_equal(status.limit, 1);
	free(status.computers);
	assert_costs(plan_one(f, NOW, "c2", NULL, &later), 2, 2);
	assert_refused(plan_one(f, NOW, "c3", NULL, &last), PROBLEM_LIMIT, 1, 1);
	assert_refused(restore_one(f, NOW, "c3", NULL, &last), PROBLEM_LIMIT, 1, 1);
}

static void test_status_unknown(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");
	struct ledger_status status;

	l.issued = NEVER;
	assert_ok(ledger_status(f->ledger, NOW, &l, &status, error));
	assert_int_equal(status.limit, 4);
	assert_int_equal(status.used, 1);
	assert_int_equal(status.count, 1);
	assert_string_equal(status.computers[0].computer, "K");
	assert_true(status.computers[0].original && !status.computers[0].known);
	assert_int_equal(status.computers[0].since, NOW);
	free(status.computers);
}

static void test_enroll(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");
	struct ledger_status status;
	enum problem problem;
	struct head one, two;

	assert_ok(
	    ledger_enroll(f->ledger, NOW, "c2", "Lap\"top", "R", "e1", &problem, &one, error));
	assert_int_equal(problem, PROBLEM_NONE);
	assert_int_equal(one.time, NOW);
	assert_ok(
	    ledger_enroll(f->ledger, NOW + 1, "c2", NULL, NULL, "e2", &problem, &two, error));
	assert_int_equal(problem, PROBLEM_NONE);
	assert_int_equal(one.seq, two.seq);
	assert_ok(
	    ledger_enroll(f->ledger, NOW + 1, "c2", NULL, NULL, "e2", &problem, &two, error));
	assert_int_equal(problem, PROBLEM_NONCE_USED);
	/* The release key stays; the name may change. */
	assert_ok(ledger_enroll(
	    f->ledger, NOW + 1, "c2", "New", "OTHER", "e3", &problem, &two, error));
	assert_int_equal(two.seq, one.seq + 1);
	assert_ok(ledger_enroll(
	    f->ledger, NOW + 1, "c2", "New", "OTHER", "e4", &problem, &two, error));
	assert_int_equal(two.seq, one.seq + 1);
	assert_granted(restore_one(f, NOW, "c2", NULL, &l), 2, 4);
	assert_ok(ledger_status(f->ledger, NOW, &l, &status, error));
	assert_string_equal(status.computers[1].name, "New");
	free(status.computers);
}

static int64_t count_rows(struct fixture *f)
{
	static const struct statement count = {"test_requests",
	    "SELECT (SELECT COUNT(*) FROM requests) + (SELECT COUNT(*) FROM nonces)", 0, ""};

	return look_up(f, &count);
}

static void test_pruned(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");

	restore_one(f, NOW, "c2", NULL, &l);
	assert_int_equal(count_rows(f), 2);
	for (int i = 0; i < 63; i++)
		restore_one(f, NOW, "c2", NULL, &l);
	assert_int_equal(count_rows(f), 128);
	/* After 30 days, with the next round. */
	restore_one(f, NOW + 30 * DAY + 1, "c2", NULL, &l);
	assert_int_equal(count_rows(f), 2);
}

static void test_cases_pruned(void **state)
{
	static const struct statement select = {
	    "test_cases", "SELECT COUNT(*) FROM cases", 0, ""};
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K"), other = license_of("b", "K");
	char token[LEDGER_TOKEN_SIZE];

	l.computers = 1;
	strcpy(token, restore_one(f, NOW - 340 * DAY, "c2", NULL, &l).token);
	/* A page that is named again stays for a month at least. */
	assert_string_equal(restore_one(f, NOW - 30 * DAY, "c2", NULL, &l).token, token);
	assert_string_equal(restore_one(f, NOW, "c2", NULL, &l).token, token);
	assert_int_equal(look_up(f, &select), 1);
	for (int i = 0; i < 64; i++)
		restore_one(f, NOW + 365 * DAY, "c2", NULL, &other);
	assert_int_equal(look_up(f, &select), 1);
	for (int i = 0; i < 64; i++)
		restore_one(f, NOW + 365 * DAY + 1, "c2", NULL, &other);
	assert_int_equal(look_up(f, &select), 0);
	assert_string_equal(restore_one(f, NOW + 366 * DAY, "c2", NULL, &l).token, token);
	assert_int_equal(look_up(f, &select), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(test_four), TEST(test_no_original),
	    TEST(test_claim_later), TEST(test_limits_of), TEST(test_exceptions),
	    TEST(test_period), TEST(test_cooldown), TEST(test_blocked), TEST(test_nothing),
	    TEST(test_cases), TEST(test_case_shared), TEST(test_plan_changes_nothing),
	    TEST(test_recognise), TEST(test_renewed), TEST(test_renewed_plan),
	    TEST(test_status_unknown), TEST(test_enroll), TEST(test_pruned),
	    TEST(test_cases_pruned)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
