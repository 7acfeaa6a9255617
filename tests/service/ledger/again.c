#include "fixture.h"

/* The same commit again: what it is answered, and that nothing is charged twice. */

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

static void assert_same(const struct ledger_outcome *a, const struct ledger_outcome *b)
{
	assert_result(*b, a->result, a->problem, a->number, a->limit, __FILE__, __LINE__);
	assert_int_equal(a->since, b->since);
	assert_int_equal(a->next, b->next);
	assert_string_equal(a->token, b->token);
}

static void test_batch(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l[] = {license_of("b", "K"), license_of("a", "K"),
	    license_of("b", "K"), license_of("c", "K"), license_of("d", "K")};
	struct ledger_visitor visitor = visitor_of("c2", NULL);
	struct ledger_outcome o[5], again[5];
	enum problem problem;
	struct head head, second;
	char *grants, *same;
	uint8_t leaves[4][DIGEST_SIZE];
	size_t count = 0;

	l[3].problem = PROBLEM_LICENSE_SIGNATURE;
	assert_granted(restore_one(f, NOW, "c2", NULL, &l[4]), 2, 4);
	assert_ok(commit_request(f->ledger, NOW + 7, &visitor, "batch-one", l, 5, o, &grants,
	    &problem, &head, error));
	assert_int_equal(problem, PROBLEM_NONE);
	assert_granted(o[0], 2, 4);
	assert_granted(o[1], 2, 4);
	assert_refused(o[2], PROBLEM_LICENSE_TWICE, 0, 0);
	assert_refused(o[3], PROBLEM_LICENSE_SIGNATURE, 0, 0);
	assert_free(o[4], 2, 4);
	for (size_t i = 0; i < 5; i++) {
		const struct grant grant = {
		    l[i].issuer, l[i].id, "c2", o[i].number, o[i].limit, o[i].since};

		if (o[i].result != MESSAGE_REFUSED)
			assert_ok(grant_leaf(&grant, leaves[count++], error));
	}
	assert_ok(grants_check(grants, &f->keys, SERVICE, "c2",
	    (const uint8_t(*)[DIGEST_SIZE])leaves, count, error));

	/* The same again, later: not a word differs, and the log did not grow. */
	assert_ok(commit_request(f->ledger, NOW + 50 * DAY / 2, &visitor, "batch-one", l, 5,
	    again, &same, &problem, &second, error));
	assert_int_equal(problem, PROBLEM_NONE);
	for (size_t i = 0; i < 5; i++)
		assert_same(&o[i], &again[i]);
	assert_string_equal(grants, same);
	assert_int_equal(head.seq, second.seq);
	assert_int_equal(second.time, NOW + 50 * DAY / 2);
	free(grants);
	free(same);
}

static void test_idempotency(void **state)
{
	struct fixture *f = *state;
	struct ledger_license l = license_of("a", "K");
	struct ledger_visitor visitor = visitor_of("c2", NULL), other = visitor_of("c3", NULL);
	const uint8_t body[DIGEST_SIZE] = {1}, another[DIGEST_SIZE] = {2};
	struct ledger_commit commit = {"key", body, "n1"};
	struct ledger_outcome o;
	enum problem problem;
	struct head head;
	char *grants = NULL, *untouched = (char *)&commit;

	assert_ok(ledger_commit(
	    f->ledger, NOW, &visitor, &commit, &l, 1, &o, &grants, &problem, &head, error));
	assert_granted(o, 2, 4);
	free(grants);
	/* The nonce was used up. */
	grants = untouched;
	assert_ok(ledger_commit(
	    f->ledger, NOW, &visitor, &commit, &l, 1, &o, &grants, &problem, &head, error));
	assert_int_equal(problem, PROBLEM_NONCE_USED);
	commit = (struct ledger_commit){"key", another, "n2"};
	assert_ok(ledger_commit(
	    f->ledger, NOW, &visitor, &commit, &l, 1, &o, &grants, &problem, &head, error));
	assert_int_equal(problem, PROBLEM_IDEMPOTENCY);
	commit.body = body;
	assert_ok(ledger_commit(
	    f->ledger, NOW, &other, &commit, &l, 1, &o, &grants, &problem, &head, error));
	assert_int_equal(problem, PROBLEM_IDEMPOTENCY);
	assert_ptr_equal(grants, untouched);
	/* Refused ones did not use up theirs. */
	assert_ok(ledger_commit(
	    f->ledger, NOW, &visitor, &commit, &l, 1, &o, &grants, &problem, &head, error));
	assert_int_equal(problem, PROBLEM_NONE);
	assert_granted(o, 2, 4);
	free(grants);
	/* A new request after it is free. */
	assert_free(restore_one(f, NOW, "c2", NULL, &l), 2, 4);
}

/* Nothing granted, nothing kept: it is decided again, and may be another request. */
static void test_refusal_again(void **state)
{
	static const struct statement kept = {
	    "test_kept", "SELECT COUNT(*) FROM requests", 0, ""};
	struct fixture *f = *state;
	struct ledger_license l[] = {license_of("a", "K"), license_of("b", "K")};
	struct ledger_visitor visitor = visitor_of("c2", NULL);
	const uint8_t body[DIGEST_SIZE] = {1}, another[DIGEST_SIZE] = {2};
	struct ledger_commit commit = {"key", body, "n1"};
	struct ledger_outcome o[2];
	enum problem problem;
	struct head first, head;
	char *grants;

	l[0].computers = 1;
	l[1].problem = PROBLEM_LICENSE_SIGNATURE;
	assert_ok(ledger_commit(
	    f->ledger, NOW, &visitor, &commit, l, 2, o, &grants, &problem, &first, error));
	assert_null(grants);
	assert_refused(o[0], PROBLEM_LIMIT, 1, 1);
	assert_refused(o[1], PROBLEM_LICENSE_SIGNATURE, 0, 0);
	assert_int_equal(look_up(f, &kept), 0);
	/* The nonce was used up all the same. */
	assert_ok(ledger_commit(
	    f->ledger, NOW, &visitor, &commit, l, 2, o, &grants, &problem, &head, error));
	assert_int_equal(problem, PROBLEM_NONCE_USED);
	commit.nonce = "n2";
	assert_ok(ledger_commit(
	    f->ledger, NOW, &visitor, &commit, l, 2, o, &grants, &problem, &head, error));
	assert_refused(o[0], PROBLEM_LIMIT, 1, 1);
	assert_int_equal(head.seq, first.seq);
	commit = (struct ledger_commit){"key", another, "n3"};
	l[0].computers = 2;
	l[0].issued += 5;
	l[0].digest[0] ^= 1;
	assert_ok(ledger_commit(
	    f->ledger, NOW, &visitor, &commit, l, 1, o, &grants, &problem, &head, error));
	assert_int_equal(problem, PROBLEM_NONE);
	assert_granted(o[0], 2, 2);
	assert_int_equal(head.seq, first.seq + 1);
	assert_int_equal(look_up(f, &kept), 1);
	free(grants);
}

/* ---- What became of it meanwhile ---- */

/* The batch of all the following tests, on the computer "c2". */
#define BATCH 2

struct sent {
	struct ledger_license licenses[BATCH];
	struct ledger_outcome outcomes[BATCH];
	char *grants;
};

/* Its answer is always signed as it is. */
static void send(struct fixture *f, int64_t now, struct sent *sent)
{
	struct ledger_visitor visitor = visitor_of("c2", NULL);
	uint8_t leaves[BATCH][DIGEST_SIZE];
	enum problem problem;
	struct head head;
	size_t count = 0;

	free(sent->grants);
	sent->licenses[0] = license_of("a", "K");
	sent->licenses[1] = license_of("b", "K");
	assert_ok(commit_request(f->ledger, now, &visitor, "the-batch", sent->licenses, BATCH,
	    sent->outcomes, &sent->grants, &problem, &head, error));
	assert_int_equal(problem, PROBLEM_NONE);
	for (size_t i = 0; i < BATCH; i++) {
		const struct ledger_outcome *o = &sent->outcomes[i];
		const struct grant grant = {sent->licenses[i].issuer, sent->licenses[i].id,
		    "c2", o->number, o->limit, o->since};

		if (o->result != MESSAGE_REFUSED)
			assert_ok(grant_leaf(&grant, leaves[count++], error));
	}
	if (count == 0)
		assert_null(sent->grants);
	else
		assert_ok(grants_check(sent->grants, &f->keys, SERVICE, "c2",
		    (const uint8_t(*)[DIGEST_SIZE])leaves, count, error));
}

static void block(struct fixture *f, bool blocked)
{
	assert_ok(
	    ledger_block(f->ledger, NOW, "local:test", ISSUER, "b", blocked, "stolen", error));
}

static void release(struct fixture *f, int64_t now, const char *computer)
{
	const struct ledger_release asked = {.computer = computer, .actor = "local:test"};
	enum release_state released;
	enum problem problem;
	struct head head;
	int64_t effective;

	assert_ok(ledger_release(
	    f->ledger, now, &asked, &released, &effective, &problem, &head, error));
	assert_int_equal(released, RELEASE_RELEASED);
}

static void releases_at_once(struct fixture *f, int64_t computers)
{
	struct policy policy = policy_unset;

	policy.release_wait = 0;
	policy.computers = computers;
	set_policy(f, policy);
}

static void test_blocked_since(void **state)
{
	struct fixture *f = *state;
	struct sent sent = {0};
	char *first;

	send(f, NOW, &sent);
	first = strdup(sent.grants);
	assert_granted(sent.outcomes[1], 2, 4);
	block(f, true);
	send(f, NOW + 1, &sent);
	assert_granted(sent.outcomes[0], 2, 4);
	assert_refused(sent.outcomes[1], PROBLEM_LICENSE_BLOCKED, 2, 4);
	assert_int_equal(strlen(sent.outcomes[1].token), LEDGER_TOKEN_SIZE - 1);
	block(f, false);
	send(f, NOW + 2, &sent);
	assert_granted(sent.outcomes[1], 2, 4);
	assert_string_equal(sent.grants, first);
	free(first);
	free(sent.grants);
}

static void test_released_since(void **state)
{
	struct fixture *f = *state;
	struct sent sent = {0};
	struct ledger_counts before, after;

	releases_at_once(f, 2);
	send(f, NOW, &sent);
	release(f, NOW + 1, "c2");
	assert_ok(ledger_counts(f->ledger, &before, error));
	send(f, NOW + 2, &sent);
	assert_refused(sent.outcomes[0], PROBLEM_LICENSE_RELEASED, 1, 2);
	assert_refused(sent.outcomes[1], PROBLEM_LICENSE_RELEASED, 1, 2);
	assert_ok(ledger_counts(f->ledger, &after, error));
	assert_memory_equal(&before, &after, sizeof before);
	/* Its place is another's; it has one again. */
	assert_granted(restore_one(f, NOW + 3, "c3", NULL, &sent.licenses[1]), 2, 2);
	assert_granted(restore_one(f, NOW + 4, "c2", NULL, &sent.licenses[0]), 2, 2);
	send(f, NOW + 5, &sent);
	assert_free(sent.outcomes[0], 2, 2);
	assert_int_equal(sent.outcomes[0].since, NOW + 4);
	assert_refused(sent.outcomes[1], PROBLEM_LIMIT, 2, 2);
	free(sent.grants);
}

/* A release that waits is called off by whoever shows up, with an old commit too. */
static void test_release_waits(void **state)
{
	struct fixture *f = *state;
	const struct ledger_release asked = {.computer = "c2", .actor = "local:test"};
	struct sent sent = {0};
	enum release_state released;
	enum problem problem;
	struct head head;
	int64_t effective;

	send(f, NOW, &sent);
	assert_ok(ledger_release(
	    f->ledger, NOW + 1, &asked, &released, &effective, &problem, &head, error));
	send(f, effective - 1, &sent);
	assert_granted(sent.outcomes[0], 2, 4);
	send(f, effective + DAY, &sent);
	assert_granted(sent.outcomes[1], 2, 4);
	free(sent.grants);
}

static void test_issuer_gone(void **state)
{
	struct fixture *f = *state;
	struct ledger_visitor visitor = visitor_of("c2", NULL);
	struct sent sent = {0};
	enum problem problem;
	struct head head;

	send(f, NOW, &sent);
	free(sent.grants);
	sent.licenses[0].problem = PROBLEM_LICENSE_ISSUER;
	assert_ok(commit_request(f->ledger, NOW + 1, &visitor, "the-batch", sent.licenses,
	    BATCH, sent.outcomes, &sent.grants, &problem, &head, error));
	assert_refused(sent.outcomes[0], PROBLEM_LICENSE_ISSUER, 0, 0);
	assert_granted(sent.outcomes[1], 2, 4);
	free(sent.grants);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(test_batch), TEST(test_idempotency),
	    TEST(test_refusal_again), TEST(test_blocked_since), TEST(test_released_since),
	    TEST(test_release_waits), TEST(test_issuer_gone)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
