#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "license/license.h"

/* A table of licences at a moment: what is denied, what is left, when it ends. */

#define HERE "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define ELSEWHERE "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA"
#define NONE LICENSE_TIME_NONE
#define UNLIMITED LICENSE_UNLIMITED
#define NO_RIGHT LICENSE_DENIED_NO_RIGHT
#define SPENT LICENSE_DENIED_SPENT
#define EXPIRED LICENSE_DENIED_EXPIRED
#define NOT_STARTED LICENSE_DENIED_NOT_STARTED
#define CLOCK LICENSE_DENIED_CLOCK

/* One licence: play as the row says, and an unlimited "read". */
struct row {
	const char *what;
	/* The licence. */
	int64_t not_before, not_after;
	uint64_t count; /* of play */
	int64_t period; /* of play */
	const char *bound; /* cnf */
	/* Its state. */
	int64_t left; /* -1: not in the state */
	int64_t first_use;
	const char *kept; /* computer of the state */
	/* The moment. */
	int64_t now;
	bool set_back;
	/* What comes of it. */
	unsigned denied;
	uint64_t remaining;
	int64_t ends;
	unsigned read_denied; /* of the other action */
};

static const struct row rows[] = {
    {"unlimited", NONE, NONE, UNLIMITED, 0, "", -1, NONE, "", 1000, false, 0, UNLIMITED, NONE,
	0},
    {"unlimited, clock set back", NONE, NONE, UNLIMITED, 0, "", -1, NONE, "", 1000, true, 0,
	UNLIMITED, NONE, 0},
    {"count", NONE, NONE, 3, 0, HERE, -1, NONE, HERE, 1000, false, 0, 3, NONE, 0},
    {"count, clock set back", NONE, NONE, 3, 0, HERE, -1, NONE, HERE, 1000, true, 0, 3, NONE,
	0},
    {"count used", NONE, NONE, 3, 0, HERE, 1, NONE, HERE, 1000, false, 0, 1, NONE, 0},
    {"count spent", NONE, NONE, 3, 0, HERE, 0, NONE, HERE, 1000, false, SPENT, 0, NONE, 0},
    {"state claims more", NONE, NONE, 3, 0, HERE, 9, NONE, HERE, 1000, false, 0, 3, NONE, 0},
    {"nothing granted", NONE, NONE, 0, 0, HERE, -1, NONE, HERE, 1000, false, SPENT, 0, NONE, 0},
    {"count of anybody", NONE, NONE, 3, 0, "", 2, NONE, "", 1000, false, 0, 2, NONE, 0},
    {"count elsewhere", NONE, NONE, 3, 0, ELSEWHERE, 2, NONE, ELSEWHERE, 1000, false, SPENT, 0,
	NONE, 0},
    {"state of another computer", NONE, NONE, 3, 0, HERE, 2, NONE, ELSEWHERE, 1000, false,
	SPENT, 0, NONE, 0},
    {"issued elsewhere, counts here", NONE, NONE, 3, 0, ELSEWHERE, 2, NONE, HERE, 1000, false,
	0, 2, NONE, 0},
    {"issued elsewhere, no state", NONE, NONE, 3, 0, ELSEWHERE, -1, NONE, "", 1000, false,
	SPENT, 0, NONE, 0},
    {"uncounted elsewhere", NONE, NONE, UNLIMITED, 0, ELSEWHERE, -1, NONE, ELSEWHERE, 1000,
	false, 0, UNLIMITED, NONE, 0},

    {"from, before", 1001, NONE, UNLIMITED, 0, "", -1, NONE, "", 1000, false, NOT_STARTED,
	UNLIMITED, NONE, NOT_STARTED},
    {"from, at", 1000, NONE, UNLIMITED, 0, "", -1, NONE, "", 1000, false, 0, UNLIMITED, NONE,
	0},
    {"from, clock set back", 900, NONE, UNLIMITED, 0, "", -1, NONE, "", 1000, true, CLOCK,
	UNLIMITED, NONE, CLOCK},
    {"until, before", NONE, 1001, UNLIMITED, 0, "", -1, NONE, "", 1000, false, 0, UNLIMITED,
	1001, 0},
    {"until, at", NONE, 1000, UNLIMITED, 0, "", -1, NONE, "", 1000, false, EXPIRED, UNLIMITED,
	1000, EXPIRED},
    {"until, clock set back", NONE, 2000, UNLIMITED, 0, "", -1, NONE, "", 1000, true, CLOCK,
	UNLIMITED, 2000, CLOCK},
    {"over, clock set back", NONE, 500, UNLIMITED, 0, "", -1, NONE, "", 1000, true,
	CLOCK | EXPIRED, UNLIMITED, 500, CLOCK | EXPIRED},
    {"from until, within", 1000, 1001, UNLIMITED, 0, "", -1, NONE, "", 1000, false, 0,
	UNLIMITED, 1001, 0},
    {"from until, never", 1001, 1000, UNLIMITED, 0, "", -1, NONE, "", 1000, false,
	EXPIRED | NOT_STARTED, UNLIMITED, 1000, EXPIRED | NOT_STARTED},
    {"before 1970", -2000, -1000, UNLIMITED, 0, "", -1, NONE, "", -1500, false, 0, UNLIMITED,
	-1000, 0},

    {"count from", 1001, NONE, 3, 0, HERE, 2, NONE, HERE, 1000, false, NOT_STARTED, 2, NONE,
	NOT_STARTED},
    {"count until, over and spent", NONE, 1000, 3, 0, HERE, 0, NONE, HERE, 1000, false,
	SPENT | EXPIRED, 0, 1000, EXPIRED},
    {"count from until", 900, 1100, 3, 0, HERE, 2, NONE, HERE, 1000, false, 0, 2, 1100, 0},
    {"all at once", 2000, 1000, 3, 60, HERE, 0, 900, HERE, 1000, true,
	SPENT | EXPIRED | NOT_STARTED | CLOCK, 0, 960, EXPIRED | NOT_STARTED | CLOCK},

    {"period, not used", NONE, NONE, UNLIMITED, 60, "", -1, NONE, "", 1000, false, 0, UNLIMITED,
	NONE, 0},
    {"period, last second", NONE, NONE, UNLIMITED, 60, "", -1, 941, "", 1000, false, 0,
	UNLIMITED, 1001, 0},
    {"period, over", NONE, NONE, UNLIMITED, 60, "", -1, 940, "", 1000, false, EXPIRED,
	UNLIMITED, 1000, 0},
    {"period, not used, clock set back", NONE, NONE, UNLIMITED, 60, "", -1, NONE, "", 1000,
	true, CLOCK, UNLIMITED, NONE, 0},
    {"period, clock set back", NONE, NONE, UNLIMITED, 60, "", -1, 990, "", 1000, true, CLOCK,
	UNLIMITED, 1050, 0},
    {"period, used in the future", NONE, NONE, UNLIMITED, 60, "", -1, 1001, "", 1000, false,
	CLOCK, UNLIMITED, 1061, 0},
    {"period, used now", NONE, NONE, UNLIMITED, 60, "", -1, 1000, "", 1000, false, 0, UNLIMITED,
	1060, 0},
    {"period longer than the licence", NONE, 1010, UNLIMITED, 60, "", -1, 990, "", 1000, false,
	0, UNLIMITED, 1010, 0},
    {"period shorter than the licence", NONE, 1060, UNLIMITED, 20, "", -1, 990, "", 1000, false,
	0, UNLIMITED, 1010, 0},
    {"endless period", NONE, NONE, UNLIMITED, INT64_C(9007199254740991), "", -1, 990, "", 1000,
	false, 0, UNLIMITED, INT64_C(253402300799), 0},
    {"period elsewhere", NONE, NONE, UNLIMITED, 60, ELSEWHERE, -1, 990, ELSEWHERE, 1000, false,
	0, UNLIMITED, 1050, 0},
    {"first use without a period", NONE, NONE, UNLIMITED, 0, "", -1, 2000, "", 1000, false, 0,
	UNLIMITED, NONE, 0},
    {"count and period", NONE, NONE, 3, 60, HERE, 2, 990, HERE, 1000, false, 0, 2, 1050, 0},
    {"count and period, over", NONE, NONE, 3, 60, HERE, 2, 900, HERE, 1000, false, EXPIRED, 2,
	960, 0},
};

struct scene {
	struct license facts;
	struct license_rights rights;
	struct license_state state;
	struct license_holding holding;
	struct license_moment moment;
};

static void set_scene(struct scene *scene, const struct row *row)
{
	memset(scene, 0, sizeof *scene);
	scene->facts.not_before = row->not_before;
	scene->facts.not_after = row->not_after;
	scene->facts.issued = NONE;
	scene->rights.action_count = 2;
	strcpy(scene->rights.actions[0].name, "read");
	scene->rights.actions[0].count = UNLIMITED;
	strcpy(scene->rights.actions[1].name, "play");
	scene->rights.actions[1].count = row->count;
	scene->rights.actions[1].period = row->period;
	strcpy(scene->rights.computer, row->bound);
	license_state_init(&scene->state);
	scene->state.first_use = row->first_use;
	strcpy(scene->state.computer, row->kept);
	if (row->left >= 0) {
		strcpy(scene->state.counts[0].action, "other");
		strcpy(scene->state.counts[1].action, "play");
		scene->state.counts[1].remaining = (uint64_t)row->left;
		scene->state.count_count = 2;
	}
	scene->holding = (struct license_holding){&scene->facts, &scene->rights, &scene->state};
	scene->moment = (struct license_moment){row->now, row->set_back, HERE};
}

static void test_table(void **state)
{
	struct scene scene;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct row *row = &rows[i];
		unsigned denied, read;

		set_scene(&scene, row);
		denied = license_denied(&scene.holding, &scene.moment, "play");
		read = license_denied(&scene.holding, &scene.moment, "READ");
		if (denied != row->denied || read != row->read_denied)
			fail_msg("%s: denied %#x, read %#x", row->what, denied, read);
		assert_int_equal(license_denied(&scene.holding, &scene.moment, "PLAY"), denied);
		if (license_remaining(&scene.holding, &scene.moment, "Play") != row->remaining)
			fail_msg("%s: remaining", row->what);
		assert_true(
		    license_remaining(&scene.holding, &scene.moment, "read") == UNLIMITED);
		if (license_ends(&scene.holding, "pLAY") != row->ends)
			fail_msg("%s: ends", row->what);
		assert_true(license_ends(&scene.holding, "read") == row->not_after);
	}
}

/* What is spent is what the table allows, and only that moves. */
static void test_spend_table(void **state)
{
	struct scene scene;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct row *row = &rows[i];
		struct license_state before;
		bool counted = row->count != UNLIMITED, starts, changed;

		if (row->denied != 0)
			continue;
		set_scene(&scene, row);
		before = scene.state;
		starts = row->period > 0 && row->first_use == NONE;
		changed = license_spend(&scene.state, &scene.holding, &scene.moment, "Play");
		if (changed != (counted || starts))
			fail_msg("%s: changed", row->what);
		assert_true(scene.state.first_use == (starts ? row->now : row->first_use));
		if (counted)
			assert_true(license_remaining(&scene.holding, &scene.moment, "play") ==
				    row->remaining - 1);
		else
			assert_int_equal(scene.state.count_count, before.count_count);
		assert_string_equal(scene.state.computer, before.computer);
		if (row->left >= 0)
			assert_memory_equal(
			    &scene.state.counts[0], &before.counts[0], sizeof before.counts[0]);
	}
}

static void test_spend_to_the_end(void **state)
{
	static const struct row row = {
	    "", NONE, NONE, 3, 60, HERE, -1, NONE, HERE, 1000, false, 0, 0, 0, 0};
	struct scene scene;

	(void)state;
	set_scene(&scene, &row);
	for (unsigned left = 3; left > 0; left--) {
		assert_int_equal(license_denied(&scene.holding, &scene.moment, "play"), 0);
		assert_int_equal(
		    license_remaining(&scene.holding, &scene.moment, "play"), left);
		assert_true(license_spend(&scene.state, &scene.holding, &scene.moment, "PLAY"));
		scene.moment.now++;
	}
	assert_int_equal(scene.state.count_count, 1);
	assert_string_equal(scene.state.counts[0].action, "play");
	assert_int_equal(scene.state.counts[0].remaining, 0);
	assert_int_equal(scene.state.first_use, 1000);
	assert_int_equal(license_denied(&scene.holding, &scene.moment, "play"), SPENT);
	assert_false(license_spend(&scene.state, &scene.holding, &scene.moment, "play"));
	assert_int_equal(scene.state.counts[0].remaining, 0);
	/* The first use is the licence's, whatever the action. */
	scene.state.first_use = NONE;
	assert_true(license_spend(&scene.state, &scene.holding, &scene.moment, "read"));
	assert_int_equal(scene.state.first_use, 1003);
	assert_false(license_spend(&scene.state, &scene.holding, &scene.moment, "read"));
}

static void test_not_granted(void **state)
{
	struct license_state before;
	struct scene scene;

	(void)state;
	set_scene(&scene, &rows[0]);
	before = scene.state;
	scene.facts.not_after = 5;
	for (int i = 0; i < 2; i++) {
		const char *action = i == 0 ? "print" : "play";

		assert_int_equal(
		    license_denied(&scene.holding, &scene.moment, action), NO_RIGHT);
		assert_int_equal(license_remaining(&scene.holding, &scene.moment, action), 0);
		assert_int_equal(license_ends(&scene.holding, action), 5);
		assert_false(
		    license_spend(&scene.state, &scene.holding, &scene.moment, action));
		assert_memory_equal(&scene.state, &before, sizeof before);
		/* The second time no rights are known at all. */
		scene.holding.rights = NULL;
	}
}

/* A state that has no place left to count in allows nothing that is counted. */
static void test_full_state(void **state)
{
	struct scene scene;

	(void)state;
	set_scene(&scene, &rows[2]);
	for (size_t i = 0; i < LICENSE_COUNTS_MAX; i++)
		snprintf(scene.state.counts[i].action, 32, "old%zu", i);
	scene.state.count_count = LICENSE_COUNTS_MAX;
	assert_int_equal(license_denied(&scene.holding, &scene.moment, "play"), SPENT);
	assert_false(license_spend(&scene.state, &scene.holding, &scene.moment, "play"));
	strcpy(scene.state.counts[7].action, "Play");
	scene.state.counts[7].remaining = 2;
	assert_true(license_spend(&scene.state, &scene.holding, &scene.moment, "play"));
	assert_int_equal(scene.state.counts[7].remaining, 1);
}

/* First uses that state.json could not hold are brought to where it can. */
static void test_times_out_of_range(void **state)
{
	static const struct row row = {
	    "", NONE, NONE, UNLIMITED, 60, "", -1, NONE, "", -5, false, 0, 0, 0, 0};
	struct scene scene;

	(void)state;
	set_scene(&scene, &row);
	assert_true(license_spend(&scene.state, &scene.holding, &scene.moment, "play"));
	assert_int_equal(scene.state.first_use, 0);
	scene.state.first_use = NONE;
	scene.moment.now = INT64_MAX;
	assert_true(license_spend(&scene.state, &scene.holding, &scene.moment, "play"));
	assert_true(scene.state.first_use == INT64_C(253402300799));
	assert_true(license_ends(&scene.holding, "play") == INT64_C(253402300799));
	assert_int_equal(license_denied(&scene.holding, &scene.moment, "play"), EXPIRED);
}

static void test_no_computer(void **state)
{
	struct scene scene;

	(void)state;
	set_scene(&scene, &rows[2]);
	scene.moment.computer = NULL;
	assert_int_equal(license_denied(&scene.holding, &scene.moment, "play"), SPENT);
	assert_int_equal(license_denied(&scene.holding, &scene.moment, "read"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_spend_table),
	    cmocka_unit_test(test_spend_to_the_end),
	    cmocka_unit_test(test_not_granted),
	    cmocka_unit_test(test_full_state),
	    cmocka_unit_test(test_times_out_of_range),
	    cmocka_unit_test(test_no_computer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
