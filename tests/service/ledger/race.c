#include <pthread.h>
#include <stdatomic.h>

#include "fixture.h"

/*
 * Several services on one database, and many computers at once at the last slots of the
 * same licences: never one more than the limit, never one less.
 */

#define RACES 300 /* of a test program run; each with RACERS computers */
#define RACERS 8
#define LICENSES 3
#define LIMIT 4 /* the original takes one */

struct race {
	struct ledger *ledgers[2];
	struct ledger_license licenses[LICENSES];
	unsigned number;
	pthread_barrier_t start;
	_Atomic unsigned granted[LICENSES];
	_Atomic unsigned failed;
	_Atomic unsigned winners; /* of all races: computers that got something */
};

struct racer {
	struct race *race;
	unsigned number;
	pthread_t thread;
};

static void count(struct race *race, const struct ledger_license *licenses,
    const struct ledger_outcome *outcomes)
{
	bool wins = false;

	for (size_t i = 0; i < LICENSES; i++) {
		if (outcomes[i].result != MESSAGE_GRANTED)
			continue;
		wins = true;
		for (size_t k = 0; k < LICENSES; k++)
			if (strcmp(licenses[i].key, race->licenses[k].key) == 0)
				atomic_fetch_add(&race->granted[k], 1);
	}
	if (wins)
		atomic_fetch_add(&race->winners, 1);
}

/* Each in another order, and each asks twice under one key. */
static void *run(void *context)
{
	struct racer *racer = context;
	struct race *race = racer->race;
	struct ledger_license licenses[LICENSES];
	struct ledger_outcome outcomes[LICENSES];
	char computer[40] = "", key[40], nonce[40];
	struct ledger_visitor visitor = visitor_of(computer, NULL);
	uint8_t body[DIGEST_SIZE] = {(uint8_t)racer->number};
	struct ledger_commit commit = {key, body, nonce};

	snprintf(computer, sizeof computer, "computer-%u-%u", race->number, racer->number);
	snprintf(key, sizeof key, "key-%u-%u", race->number, racer->number);
	for (size_t i = 0; i < LICENSES; i++)
		licenses[i] = race->licenses[(i + racer->number) % LICENSES];
	pthread_barrier_wait(&race->start);
	for (int again = 0; again < 2; again++) {
		enum problem problem = PROBLEM_NONE;
		rh_error error = {0};
		struct head head;
		char *grants = NULL;

		snprintf(
		    nonce, sizeof nonce, "nonce-%u-%u-%d", race->number, racer->number, again);
		if (ledger_commit(race->ledgers[racer->number % 2], NOW, &visitor, &commit,
			licenses, LICENSES, outcomes, &grants, &problem, &head,
			&error) != RH_OK ||
		    problem != PROBLEM_NONE) {
			print_error("%s %s\n", error.text, problem_code(problem));
			atomic_fetch_add(&race->failed, 1);
		}
		free(grants);
	}
	count(race, licenses, outcomes);
	return NULL;
}

static void check(struct race *race)
{
	for (size_t i = 0; i < LICENSES; i++) {
		struct ledger_status status;

		assert_int_equal(race->granted[i], LIMIT - 1);
		assert_ok(
		    ledger_status(race->ledgers[0], NOW, &race->licenses[i], &status, error));
		assert_int_equal(status.used, LIMIT);
		free(status.computers);
	}
	assert_int_equal(race->failed, 0);
}

static void one_race(struct race *race, unsigned number)
{
	struct racer racers[RACERS];

	race->number = number;
	for (size_t i = 0; i < LICENSES; i++) {
		char id[40];

		snprintf(id, sizeof id, "licence-%u-%zu", number, i);
		race->licenses[i] = license_of(id, "K");
		race->granted[i] = 0;
	}
	assert_int_equal(pthread_barrier_init(&race->start, NULL, RACERS), 0);
	for (unsigned i = 0; i < RACERS; i++) {
		racers[i] = (struct racer){.race = race, .number = i};
		assert_int_equal(pthread_create(&racers[i].thread, NULL, run, &racers[i]), 0);
	}
	for (unsigned i = 0; i < RACERS; i++)
		pthread_join(racers[i].thread, NULL);
	pthread_barrier_destroy(&race->start);
	check(race);
}

static void test_last_slots(void **state)
{
	const char *races = getenv("REHOST_TEST_RACES");
	unsigned count_of = races != NULL ? (unsigned)strtoul(races, NULL, 10) : RACES;
	struct fixture f;
	struct database *second;
	static struct race race;
	uint64_t entries;

	(void)state;
	fixture_open(&f, 6);
	assert_ok(database_open(kit_database_address(f.database), 6, &second, error));
	race.ledgers[0] = f.ledger;
	assert_ok(ledger_open(second, SERVICE, f.key, &f.keys, &race.ledgers[1], error));
	for (unsigned i = 0; i < count_of; i++)
		one_race(&race, i);
	/* One entry each that got something, for the issuer one. */
	assert_ok(ledger_audit_verify(f.ledger, &entries, error));
	assert_int_equal(entries, 1 + race.winners);
	ledger_close(race.ledgers[1]);
	database_close(second);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_last_slots)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
