#include "fixture.h"

/* The policy alone: every small case, against what it means. */

#define AT 7 /* now */
#define END 60 /* nothing changes after it */

enum gone { STAYS, WAS_RELEASED, DUE, SOON, LATER, GONES };

static void set_gone(enum gone gone, int64_t *released, int64_t *releasing)
{
	static const int64_t times[] = {[DUE] = AT, [SOON] = 9, [LATER] = 13};

	*released = gone == WAS_RELEASED ? 6 : NEVER;
	*releasing = gone >= DUE ? times[gone] : NEVER;
}

/* Of ${number}: 0 is nobody, then since 1 or 5 with each way to go. */
static bool set_holder(struct holder *holder, unsigned number, unsigned name)
{
	if (number == 0)
		return false;
	number--;
	memset(holder, 0, sizeof *holder);
	snprintf(holder->computer, sizeof holder->computer, "c%u", name);
	holder->since = number % 2 == 0 ? 1 : 5;
	set_gone((enum gone)(number / 2), &holder->released, &holder->releasing);
	return true;
}
#define HOLDERS (1 + 2 * GONES)

static bool here(int64_t released, int64_t releasing, int64_t now)
{
	return released == NEVER && (releasing == NEVER || now < releasing);
}

/* The rules as the header says them, told once more in the plainest way. */
static enum problem expected(const struct count *count, int64_t now)
{
	int64_t used = here(count->original_released, count->original_releasing, now) ? 1 : 0;
	int64_t fresh = 0, last = -1000;

	for (size_t i = 0; i < count->holder_count; i++) {
		const struct holder *h = &count->holders[i];

		used += here(h->released, h->releasing, now) ? 1 : 0;
		fresh += now < h->since + count->policy.period ? 1 : 0;
		last = h->since > last ? h->since : last;
	}
	if (used >= count->policy.computers + count->extra)
		return PROBLEM_LIMIT;
	if (count->policy.period > 0 && count->policy.period_computers != POLICY_UNSET &&
	    fresh >= count->policy.period_computers)
		return PROBLEM_PERIOD;
	return now < last + count->policy.cooldown ? PROBLEM_COOLDOWN : PROBLEM_NONE;
}

static void check_next(const struct count *count, int64_t next)
{
	for (int64_t time = AT; time < END; time++) {
		if (expected(count, time) == PROBLEM_NONE) {
			assert_int_equal(next, time);
			return;
		}
	}
	assert_true(next == NEVER);
}

/* A number of one's own, and none above the limit. */
static void check_number(const struct count *count, const struct ledger_outcome *outcome)
{
	assert_in_range(outcome->number, 1, outcome->limit);
	if (outcome->number == 1)
		assert_false(here(count->original_released, count->original_releasing, AT));
	for (size_t i = 0; i < count->holder_count; i++)
		if (here(count->holders[i].released, count->holders[i].releasing, AT))
			assert_int_not_equal(outcome->number, count->holders[i].number);
}

static void check(const struct count *count)
{
	enum problem problem = expected(count, AT);
	struct ledger_outcome outcome;

	decide(count, "new", "X", AT, &outcome);
	assert_int_equal(outcome.problem, problem);
	assert_int_equal(
	    outcome.result, problem == PROBLEM_NONE ? MESSAGE_COSTS : MESSAGE_REFUSED);
	assert_int_equal(outcome.limit, count->policy.computers + count->extra);
	if (problem == PROBLEM_NONE)
		check_number(count, &outcome);
	else
		check_next(count, outcome.next);
	for (size_t i = 0; i < count->holder_count; i++) {
		const struct holder *h = &count->holders[i];

		decide(count, h->computer, NULL, AT, &outcome);
		assert_int_equal(
		    outcome.result == MESSAGE_FREE, here(h->released, h->releasing, AT));
		if (outcome.result == MESSAGE_FREE) {
			assert_int_equal(outcome.number, h->number);
			assert_int_equal(outcome.since, h->since);
		}
	}
	decide(count, "new", "K", AT, &outcome);
	assert_int_equal(outcome.result == MESSAGE_FREE,
	    here(count->original_released, count->original_releasing, AT));
}

static void number_them(struct count *count)
{
	int64_t next = here(count->original_released, count->original_releasing, AT) ? 2 : 1;

	/* Those that went before left theirs to others. */
	for (size_t i = 0; i < count->holder_count; i++) {
		struct holder *h = &count->holders[i];

		h->number = next;
		if (here(h->released, h->releasing, AT))
			next++;
	}
}

static void with_policies(struct count *count)
{
	static const int64_t periods[][2] = {
	    {0, POLICY_UNSET}, {2, 1}, {6, 1}, {6, 2}, {10, 2}, {10, POLICY_UNSET}, {0, 1}};

	for (count->policy.computers = 1; count->policy.computers <= 4;
	     count->policy.computers++)
		for (size_t p = 0; p < sizeof periods / sizeof *periods; p++)
			for (count->policy.cooldown = 0; count->policy.cooldown <= 6;
			     count->policy.cooldown += 2) {
				count->policy.period = periods[p][0];
				count->policy.period_computers = periods[p][1];
				check(count);
			}
}

static void test_all(void **state)
{
	struct holder holders[3];
	struct count count = {.original = "K", .holders = holders, .policy = policy_default};

	(void)state;
	for (enum gone original = STAYS; original < GONES; original++)
		for (unsigned i = 0; i < HOLDERS * HOLDERS * HOLDERS; i++) {
			set_gone(original, &count.original_released, &count.original_releasing);
			count.holder_count = 0;
			count.holder_count +=
			    set_holder(&holders[count.holder_count], i % HOLDERS, 0);
			count.holder_count +=
			    set_holder(&holders[count.holder_count], i / HOLDERS % HOLDERS, 1);
			count.holder_count +=
			    set_holder(&holders[count.holder_count], i / HOLDERS / HOLDERS, 2);
			number_them(&count);
			with_policies(&count);
		}
}

/* A slot from before the original proved itself is no second computer. */
static void test_original_with_slot(void **state)
{
	struct holder holder = {
	    .computer = "c1", .number = 2, .since = 1, .released = NEVER, .releasing = NEVER};
	struct count count = {.original = "K",
	    .original_computer = "c1",
	    .original_since = 0,
	    .original_released = NEVER,
	    .original_releasing = NEVER,
	    .policy = policy_default,
	    .holders = &holder,
	    .holder_count = 1};
	struct ledger_outcome outcome;

	(void)state;
	assert_int_equal(count_used(&count, AT), 1);
	decide(&count, "c1", NULL, AT, &outcome);
	assert_free(outcome, 1, 4);
	/* Released as the original it still has its slot. */
	count.original_released = 5;
	assert_int_equal(count_used(&count, AT), 1);
	decide(&count, "c1", NULL, AT, &outcome);
	assert_free(outcome, 2, 4);
	count.blocked = true;
	decide(&count, "c1", NULL, AT, &outcome);
	assert_refused(outcome, PROBLEM_LICENSE_BLOCKED, 1, 4);
}

/* Nobody is the original of a licence that names none, and it takes no place. */
static void test_no_original(void **state)
{
	struct count count = {
	    .original_released = NEVER, .original_releasing = NEVER, .policy = policy_default};
	struct ledger_outcome outcome;

	(void)state;
	decide(&count, "c1", "", AT, &outcome);
	assert_costs(outcome, 1, 4);
	decide(&count, "", NULL, AT, &outcome);
	assert_costs(outcome, 1, 4);
	assert_int_equal(count_used(&count, AT), 0);
	count.extra = INT64_C(1) << 40;
	assert_int_equal(count_limit(&count), UINT32_MAX);
}

static void test_resolve(void **state)
{
	struct policy license = policy_unset, issuer = policy_unset, service = policy_unset;
	struct policy policy = policy_resolve(&license, 0, &issuer, &service);

	(void)state;
	assert_memory_equal(&policy, &policy_default, sizeof policy);
	service = (struct policy){9, 8, 7, 6, 5};
	policy = policy_resolve(&license, 0, &issuer, &service);
	assert_memory_equal(&policy, &service, sizeof policy);
	issuer.cooldown = 0;
	issuer.computers = 3;
	policy = policy_resolve(&license, 0, &issuer, &service);
	assert_int_equal(policy.computers, 3);
	assert_int_equal(policy.cooldown, 0);
	assert_int_equal(policy.period, 8);
	policy = policy_resolve(&license, 11, &issuer, &service);
	assert_int_equal(policy.computers, 11);
	license.computers = 12;
	license.release_wait = 0;
	policy = policy_resolve(&license, 11, &issuer, &service);
	assert_int_equal(policy.computers, 12);
	assert_int_equal(policy.release_wait, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_all),
	    cmocka_unit_test(test_original_with_slot), cmocka_unit_test(test_no_original),
	    cmocka_unit_test(test_resolve)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
