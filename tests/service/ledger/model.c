#include "fixture.h"

/* Random days of a ledger against a model of it that fits a screen. */

#define COMPUTERS 7 /* computer 0 is the original of every licence */
#define LICENSES 4
#define STEPS 400
#define RUNS 6

enum hold { NOT, HOLDS };

struct model {
	enum hold holds[LICENSES][COMPUTERS]; /* [0]: the original, by its claim alone */
	int64_t since[LICENSES][COMPUTERS];
	int64_t releasing[COMPUTERS]; /* NEVER: not */
	bool original_released;
	bool came; /* the original */
	int64_t limit[LICENSES];
	int64_t last[LICENSES]; /* new computer */
	int64_t cooldown;
	int64_t now;
};

static unsigned seed;

static unsigned dice(unsigned sides)
{
	seed = seed * 1103515245U + 12345U;
	return (seed >> 16) % sides;
}

static const char *name_of(unsigned computer)
{
	static const char *const names[COMPUTERS] = {"c0", "c1", "c2", "c3", "c4", "c5", "c6"};

	return names[computer];
}

static struct ledger_license license_number(unsigned license)
{
	char id[16];

	snprintf(id, sizeof id, "l%u", license);
	return license_of(id, "K");
}

/* ---- The model ---- */

static void model_time(struct model *model, int64_t seconds)
{
	model->now += seconds;
	for (unsigned c = 0; c < COMPUTERS; c++) {
		if (model->releasing[c] == NEVER || model->releasing[c] > model->now)
			continue;
		model->releasing[c] = NEVER;
		for (unsigned l = 0; l < LICENSES; l++)
			model->holds[l][c] = NOT;
		if (c == 0)
			model->original_released = true;
	}
}

static uint32_t model_used(const struct model *model, unsigned license)
{
	uint32_t used = 0;

	for (unsigned c = 0; c < COMPUTERS; c++)
		used += model->holds[license][c] == HOLDS ? 1 : 0;
	return used;
}

static enum problem model_refusal(const struct model *model, unsigned license)
{
	if (model_used(model, license) >= model->limit[license])
		return PROBLEM_LIMIT;
	if (model->last[license] != NEVER &&
	    model->now < model->last[license] + model->cooldown)
		return PROBLEM_COOLDOWN;
	return PROBLEM_NONE;
}

/* Whether it is here for free: the original as such, too. */
static bool model_free(const struct model *model, unsigned license, unsigned computer)
{
	return model->holds[license][computer] == HOLDS;
}

/* ---- Steps ---- */

static void restore(struct fixture *f, struct model *model)
{
	unsigned computer = dice(COMPUTERS), license = dice(LICENSES);
	struct ledger_license l = license_number(license);
	bool plan = dice(3) == 0, was_free;
	enum problem refusal;
	struct ledger_outcome outcome;

	model->releasing[computer] = NEVER;
	was_free = model_free(model, license, computer);
	refusal = model_refusal(model, license);
	outcome = (plan ? plan_one : restore_one)(
	    f, model->now, name_of(computer), computer == 0 ? "K" : NULL, &l);
	if (was_free) {
		assert_int_equal(outcome.result, MESSAGE_FREE);
		assert_int_equal(outcome.since, model->since[license][computer]);
		return;
	}
	assert_int_equal(outcome.problem, refusal);
	if (refusal != PROBLEM_NONE) {
		assert_int_equal(outcome.number, model_used(model, license));
		return;
	}
	assert_int_equal(outcome.result, plan ? MESSAGE_COSTS : MESSAGE_GRANTED);
	assert_in_range(outcome.number, 1, model->limit[license]);
	if (plan)
		return;
	model->holds[license][computer] = HOLDS;
	model->since[license][computer] = model->last[license] = model->now;
}

static bool model_holds_any(const struct model *model, unsigned computer)
{
	for (unsigned l = 0; l < LICENSES; l++)
		if (model->holds[l][computer] == HOLDS)
			return true;
	return false;
}

static void release(struct fixture *f, struct model *model)
{
	unsigned computer = dice(COMPUTERS);
	struct ledger_release asked = {
	    .computer = name_of(computer), .actor = "x", .cancel = dice(4) == 0};
	enum problem problem;
	enum release_state state;
	struct head head;
	int64_t effective;

	assert_ok(ledger_release(
	    f->ledger, model->now, &asked, &state, &effective, &problem, &head, error));
	if (problem == PROBLEM_RELEASE_UNKNOWN) {
		/* It never restored anything. */
		assert_true(computer == 0 ? !model->came : !model_holds_any(model, computer));
		return;
	}
	assert_int_equal(problem, PROBLEM_NONE);
	if (asked.cancel) {
		if (model->releasing[computer] != NEVER)
			assert_int_equal(state, RELEASE_CANCELLED);
		model->releasing[computer] = NEVER;
	} else if (model->releasing[computer] != NEVER) {
		assert_int_equal(state, RELEASE_WAITING);
		assert_int_equal(effective, model->releasing[computer]);
	} else if (state == RELEASE_WAITING) {
		assert_int_equal(effective, model->now + 100);
		model->releasing[computer] = effective;
	} else {
		assert_false(model_holds_any(model, computer));
	}
}

static void set_limit(struct fixture *f, struct model *model)
{
	unsigned license = dice(LICENSES);
	struct policy policy = policy_unset;
	char id[16];

	model->limit[license] = policy.computers = 1 + dice(6);
	snprintf(id, sizeof id, "l%u", license);
	assert_ok(ledger_policy_set(
	    f->ledger, model->now, "x", POLICY_LICENSE, ISSUER, id, &policy, error));
}

static void compare(struct fixture *f, struct model *model)
{
	for (unsigned i = 0; i < LICENSES; i++) {
		struct ledger_license l = license_number(i);
		struct ledger_status status;

		assert_ok(ledger_status(f->ledger, model->now, &l, &status, error));
		assert_int_equal(status.limit, model->limit[i]);
		assert_int_equal(status.used, model_used(model, i));
		assert_int_equal(status.count, status.used);
		for (unsigned c = 0; c < status.count; c++) {
			const char *name = status.computers[c].computer;
			unsigned number = *name == 'K' ? 0 : (unsigned)(name[1] - '0');

			assert_int_equal(model->holds[i][number], HOLDS);
			assert_int_equal(
			    status.computers[c].releasing, model->releasing[number]);
		}
		free(status.computers);
	}
}

static void start(struct fixture *f, struct model *model)
{
	struct policy policy = policy_unset;

	*model = (struct model){.now = NOW, .cooldown = dice(2) * 10};
	for (unsigned l = 0; l < LICENSES; l++) {
		model->limit[l] = 4;
		model->last[l] = NEVER;
		model->holds[l][0] = HOLDS;
		model->since[l][0] = NOW - 100 * DAY;
	}
	for (unsigned c = 0; c < COMPUTERS; c++)
		model->releasing[c] = NEVER;
	policy.release_wait = 100;
	policy.cooldown = model->cooldown;
	fixture_open(f, 4);
	set_policy(f, policy);
}

static void run(unsigned number)
{
	struct fixture f;
	struct model model;
	struct ledger_license license;
	uint64_t entries;

	seed = number;
	start(&f, &model);
	/* It is known by its name from the first day on. */
	model.came = true;
	license = license_number(0);
	assert_free(restore_one(&f, model.now, "c0", "K", &license), 1, 4);
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned what = dice(10);

		if (what < 6)
			restore(&f, &model);
		else if (what < 8)
			release(&f, &model);
		else if (what < 9)
			set_limit(&f, &model);
		model_time(&model, dice(3) == 0 ? dice(40) : 0);
		compare(&f, &model);
	}
	assert_ok(ledger_audit_verify(f.ledger, &entries, error));
	fixture_close(&f);
}

static void test_days(void **state)
{
	const char *first = getenv("REHOST_TEST_SEED");

	(void)state;
	for (unsigned i = 0; i < RUNS; i++) {
		unsigned number = (first != NULL ? (unsigned)strtoul(first, NULL, 10) : 1) + i;

		print_message("seed %u\n", number);
		run(number);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_days)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
