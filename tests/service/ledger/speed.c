#include "base/clock.h"

#include "fixture.h"

/* How many commits a second: no test, run by hand.  speed [SECONDS] */

static double seconds = 3;

static struct ledger_license *make(unsigned round, unsigned count)
{
	struct ledger_license *licenses = calloc(count, sizeof *licenses);

	assert_non_null(licenses);
	for (unsigned i = 0; i < count; i++) {
		char id[40];

		snprintf(id, sizeof id, "%u-%u-%u", count, round, i);
		licenses[i] = license_of(id, "K");
	}
	return licenses;
}

static void commit_batch(struct fixture *f, const char *computer,
    const struct ledger_license *licenses, unsigned count, struct ledger_outcome *outcomes,
    enum message_result expected)
{
	struct ledger_visitor visitor = visitor_of(computer, NULL);
	enum problem problem;
	struct head head;
	char *grants;

	assert_ok(commit_request(f->ledger, NOW, &visitor, NULL, licenses, count, outcomes,
	    &grants, &problem, &head, error));
	assert_int_equal(problem, PROBLEM_NONE);
	assert_int_equal(outcomes[count - 1].result, expected);
	free(grants);
}

static void measure(struct fixture *f, unsigned count)
{
	struct ledger_outcome *outcomes = calloc(count, sizeof *outcomes);
	uint64_t spent[2] = {0, 0};
	unsigned rounds = 0;

	assert_non_null(outcomes);
	while ((double)spent[0] < seconds * 1e9) {
		struct ledger_license *licenses = make(rounds++, count);

		for (int again = 0; again < 2; again++) {
			uint64_t start = clock_monotonic();

			commit_batch(f, "c2", licenses, count, outcomes,
			    again ? MESSAGE_FREE : MESSAGE_GRANTED);
			spent[again] += clock_monotonic() - start;
		}
		free(licenses);
	}
	printf("%s, %u licences: %.1f commits/s new, %.1f commits/s free\n",
	    kit_is_postgres() ? "postgresql" : "sqlite", count, rounds / (spent[0] / 1e9),
	    rounds / (spent[1] / 1e9));
	free(outcomes);
}

static void test_speed(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 2);
	measure(&f, 1);
	measure(&f, 10);
	measure(&f, 500);
	fixture_close(&f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_speed)};

	if (argc > 1)
		seconds = strtod(argv[1], NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
