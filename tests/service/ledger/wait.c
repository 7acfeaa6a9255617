#include "fixture.h"

/* How long a release waits. */

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

static void set_wait(struct fixture *f, enum policy_scope scope, const char *id, int64_t wait)
{
	struct policy policy = policy_unset;

	policy.release_wait = wait;
	assert_ok(ledger_policy_set(f->ledger, NOW, "local:test", scope,
	    scope == POLICY_SERVICE ? NULL : ISSUER, id, &policy, error));
}

/* Asks, and takes it back. */
static void assert_waits(
    struct fixture *f, int64_t now, struct ledger_release release, int64_t wait)
{
	assert_waiting(ask(f, now, release), now + wait);
	release.cancel = true;
	assert_state(ask(f, now, release), RELEASE_CANCELLED);
}

static void test_wait(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K"), other = license_of("b", "K");
	struct ledger_release release = {.computer = "c2", .release = "R"};

	enroll(f, NOW, "c2", "R");
	assert_granted(restore_one(f, NOW, "c2", NULL, &l), 2, 4);
	set_wait(f, POLICY_SERVICE, NULL, 100);
	assert_waits(f, NOW, release, 100);
	set_wait(f, POLICY_ISSUER, NULL, 50); /* the narrower one holds */
	assert_waits(f, NOW + 1, release, 50);
	set_wait(f, POLICY_ISSUER, NULL, 200);
	assert_waits(f, NOW + 2, release, 200);
	set_wait(f, POLICY_LICENSE, "a", 300);
	assert_waits(f, NOW + 3, release, 300);
	/* Of several licences the longest. */
	assert_granted(restore_one(f, NOW, "c2", NULL, &other), 2, 4);
	assert_waits(f, NOW + 4, release, 300);
	set_wait(f, POLICY_LICENSE, "a", 20);
	assert_waits(f, NOW + 5, release, 200);
	/* One that holds nothing waits as the service says. */
	enroll(f, NOW, "c9", "R");
	release.computer = "c9";
	assert_waits(f, NOW + 5, release, 100);
}

/* Whose licences it holds is not known before it has shown one: then the longest of all. */
static void test_unseen(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");
	struct ledger_release release = {
	    .computer = "K", .release = "R", .owner_license_key = "K", .owner_release = "R"};

	set_wait(f, POLICY_ISSUER, NULL, 50);
	assert_waits(f, NOW, release, WEEK);
	set_wait(f, POLICY_SERVICE, NULL, 10);
	assert_waits(f, NOW + 1, release, 50);
	set_wait(f, POLICY_LICENSE, "b", 300);
	assert_waits(f, NOW + 2, release, 300);
	assert_costs(plan_one(f, NOW + 3, "c2", NULL, &l), 2, 4); /* leaves no row */
	assert_waits(f, NOW + 3, release, 300);
	assert_granted(restore_one(f, NOW + 4, "c2", NULL, &l), 2, 4);
	assert_waits(f, NOW + 4, release, 50);
	/* Nor is it of a licence key that it claimed beside licences of others. */
	enroll(f, NOW, "c1", "R");
	assert_granted(restore_one(f, NOW + 5, "c1", "K1", &l), 3, 4);
	release.computer = "c1";
	assert_waits(f, NOW + 5, release, 300);
}

/* It is the original of what it claims first, and of what it claims later. */
static void test_two_claims(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K"), other = license_of("b", "K2");
	struct ledger_release release = {
	    .computer = "c1", .release = "R", .owner_license_key = "K", .owner_release = "R"};

	set_wait(f, POLICY_ISSUER, NULL, 300);
	set_wait(f, POLICY_LICENSE, "b", 50);
	assert_free(restore_one(f, NOW, "c1", "K", &l), 1, 4);
	assert_waits(f, NOW, release, 300);
	assert_free(restore_one(f, NOW, "c1", "K2", &other), 1, 4);
	assert_waits(f, NOW + 1, release, 300);
	release.owner_license_key = "K2";
	assert_waits(f, NOW + 2, release, 300);
	release.owner_license_key = "K3";
	assert_problem(ask(f, NOW + 3, release), PROBLEM_RELEASE_PROOF);
}

/* What it was released from before does not count again. */
static void test_held_no_more(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K"), other = license_of("b", "K2");
	struct ledger_release release = {.computer = "c1", .release = "R"};

	set_wait(f, POLICY_ISSUER, NULL, 300);
	set_wait(f, POLICY_LICENSE, "b", 50);
	enroll(f, NOW, "c1", "R");
	assert_free(restore_one(f, NOW, "c1", "K", &l), 1, 4);
	assert_waiting(ask(f, NOW, release), NOW + 300);
	assert_granted(restore_one(f, NOW + 300, "c1", "K", &other), 2, 4);
	assert_waits(f, NOW + 300, release, 50);
}

static void test_at_once(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");
	struct ledger_release release = {.computer = "c2", .release = "R"};
	struct answer answer;

	enroll(f, NOW, "c2", "R");
	assert_granted(restore_one(f, NOW, "c2", NULL, &l), 2, 4);
	set_wait(f, POLICY_SERVICE, NULL, 0);
	answer = ask(f, NOW, release);
	assert_int_equal(answer.state, RELEASE_RELEASED);
	assert_int_equal(answer.effective, NOW);
	assert_granted(restore_one(f, NOW, "c5", NULL, &l), 2, 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(test_wait), TEST(test_unseen),
	    TEST(test_two_claims), TEST(test_held_no_more), TEST(test_at_once)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
