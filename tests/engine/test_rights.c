#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "clocks.h"
#include "issue.h"
#include "kit.h"

/*
 * Random sequences of using, adding again, removing, backing up, restoring, and clocks that
 * are set, on four computers.  A model says what each step must give; apart from it, uses
 * are counted, and periods timed by a clock that nobody sets.
 *
 * REHOST_STEPS and REHOST_SEED choose how many and which.
 */

#define ISSUER "https://shop.example"
#define COMPUTERS 4
#define LICENSES 6
#define DOCUMENTS 2 /* of a licence: an earlier and a later issue */
#define BACKUPS 64
#define ROUND 250 /* steps with the same stores */
#define STEPS 1000
#define START INT64_C(1800000000)
#define NEVER INT64_MIN

/* What the licences of a round say; each has a key id of its own, which is its id. */
static const struct plan {
	int owner; /* the computer that it is issued to; -1: any */
	int plays; /* the count of "play"; 0: not granted */
	int period; /* of "view"; 0: not granted.  "copy" is always free */
	bool backup;
	bool ends; /* some day */
	bool secret;
} plans[LICENSES] = {
    {0, 12, 0, true, false, true},
    {0, 9, 1500, true, false, true},
    {1, 20, 400, true, true, false},
    {0, 8, 900, false, false, true},
    {2, 0, 2500, true, true, true},
    {-1, 0, 700, true, false, false},
};

/* The most spent state that a store has seen; the licence itself may be gone meanwhile. */
struct state {
	int plays;
	int64_t first_use;
};

struct computer {
	rh_store *store;
	char directory[96];
	char recovery[128];
	const char *name;
	int64_t skew; /* of its clock */
	int64_t started;
	unsigned start;
	struct {
		bool known;
		int64_t wall, boot;
		unsigned start;
	} noted;
	bool here[LICENSES];
	struct state states[LICENSES];
	/* Not the model: the true time of the first use since the computer was started. */
	int64_t first_true[LICENSES];
};

struct backup {
	char directory[112];
	int from;
	bool in[LICENSES];
	struct state states[LICENSES];
};

static struct world {
	struct issue_keys *keys;
	struct computer computers[COMPUTERS];
	char *documents[LICENSES][DOCUMENTS];
	struct backup backups[BACKUPS];
	int backup_count;
	int64_t now; /* the true time */
	int played[LICENSES]; /* on all computers */
} world;

static struct kit kit;
static unsigned long long seed;

static unsigned chance(unsigned below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)((seed >> 33) % below);
}

/* ---- The model ---- */

static const char *license_id(int license)
{
	static const char *const ids[LICENSES] = {"l0", "l1", "l2", "l3", "l4", "l5"};

	return ids[license];
}

/* From here on the clocks are those of the computer. */
static struct computer *be(int number)
{
	struct computer *computer = &world.computers[number];

	clocks.wall = world.now + computer->skew;
	clocks.boot = world.now - computer->started;
	clocks.start = computer->start;
	return computer;
}

static int64_t moment_of(const struct computer *computer, bool *ret_set_back)
{
	int64_t reached = NEVER;

	*ret_set_back = false;
	if (computer->noted.known) {
		reached = computer->noted.wall + clocks.boot;
		if (computer->noted.start == computer->start)
			reached -= computer->noted.boot;
		*ret_set_back = clocks.wall < reached - 120;
	}
	return clocks.wall > reached ? clocks.wall : reached;
}

static void note(struct computer *computer, bool anyhow)
{
	bool set_back;
	int64_t now = moment_of(computer, &set_back);

	if (!anyhow && computer->noted.known && now - computer->noted.wall <= 60)
		return;
	computer->noted.known = true;
	computer->noted.wall = now;
	computer->noted.boot = clocks.boot;
	computer->noted.start = computer->start;
}

static void merge(struct state *state, const struct state *other)
{
	if (other->plays < state->plays)
		state->plays = other->plays;
	if (other->first_use != NEVER &&
	    (state->first_use == NEVER || other->first_use < state->first_use))
		state->first_use = other->first_use;
}

/* The reasons that must be given. */
static unsigned must_deny(int number, int license, const char *action)
{
	const struct computer *computer = &world.computers[number];
	const struct plan *plan = &plans[license];
	const struct state *state = &computer->states[license];
	bool view = strcmp(action, "view") == 0, set_back;
	int64_t now = moment_of(computer, &set_back);
	unsigned denied = 0;

	if (!computer->here[license])
		return RH_DENIED_NO_LICENSE;
	if (strcmp(action, "play") == 0) {
		if (plan->plays == 0)
			return RH_DENIED_NO_RIGHT;
		if (plan->owner != number || state->plays == 0)
			denied |= RH_DENIED_SPENT;
	}
	if (view && state->first_use != NEVER) {
		if (now >= state->first_use + plan->period)
			denied |= RH_DENIED_EXPIRED;
		if (now < state->first_use)
			denied |= RH_DENIED_CLOCK;
	}
	if (view && plan->period == 0)
		return RH_DENIED_NO_RIGHT;
	if (set_back && (view || plan->ends))
		denied |= RH_DENIED_CLOCK;
	return denied;
}

static int must_give(unsigned denied)
{
	if (denied == 0)
		return RH_OK;
	if (denied & RH_DENIED_NO_LICENSE)
		return RH_E_LICENSE_UNKNOWN;
	if (denied & RH_DENIED_NO_RIGHT)
		return RH_E_NO_RIGHT;
	if (denied & RH_DENIED_CLOCK)
		return RH_E_CLOCK_SET_BACK;
	return denied & RH_DENIED_EXPIRED ? RH_E_RIGHT_OVER : RH_E_RIGHT_SPENT;
}

/* ---- What no model may excuse ---- */

static void witness(int number, int license, const char *action)
{
	struct computer *computer = &world.computers[number];
	const struct plan *plan = &plans[license];

	if (computer->first_true[license] == NEVER)
		computer->first_true[license] = world.now;
	if (strcmp(action, "play") == 0) {
		assert_true(++world.played[license] <= plan->plays);
		assert_int_equal(plan->owner, number);
	}
	if (strcmp(action, "view") == 0)
		assert_true(world.now - computer->first_true[license] < plan->period);
}

/* ---- The steps ---- */

static const char *any_action(void)
{
	static const char *const actions[] = {"play", "view", "copy"};

	return actions[chance(3)];
}

static void step_use(int number, int license)
{
	struct computer *computer = be(number);
	struct state *state = &computer->states[license];
	const struct plan *plan = &plans[license];
	const char *action = any_action();
	unsigned denied = must_deny(number, license, action), bits = 99;
	bool play = strcmp(action, "play") == 0, spends = false, set_back;
	int64_t now = moment_of(computer, &set_back);
	rh_error error = {0};
	rh_use use;
	int code;

	assert_int_equal(rh_query_action_allowed(
			     computer->store, license_id(license), action, &bits, &error),
	    RH_OK);
	assert_int_equal(bits, denied);
	code = rh_license_use(computer->store, license_id(license), action, &use, &error);
	if (code != must_give(denied))
		fail_msg("%s of %s on %d: %s", action, license_id(license), number, error.text);
	if (code != RH_OK)
		return;
	witness(number, license, action);
	if (play) {
		state->plays--;
		spends = true;
		assert_int_equal(use.remaining, state->plays);
	}
	if (plan->period > 0 && state->first_use == NEVER) {
		state->first_use = now;
		spends = true;
	}
	if (plan->period > 0 || plan->ends)
		note(computer, spends);
	else if (spends)
		note(computer, false);
}

static int take_rights(void *context, const rh_license *license, const rh_rights *rights)
{
	const struct computer *computer = context;
	int number = (int)(computer - world.computers);
	int which = license->id[1] - '0';
	const struct state *state = &computer->states[which];

	assert_int_equal(rights->known, 1);
	assert_true(rights->first_use == state->first_use);
	assert_int_equal(license->count_count, plans[which].plays > 0);
	if (license->count_count > 0)
		assert_int_equal(license->counts[0].remaining,
		    plans[which].owner == number ? state->plays : 0);
	for (size_t i = 0; i < rights->action_count; i++) {
		const rh_action *action = &rights->actions[i];

		assert_int_equal(action->denied, must_deny(number, which, action->name));
		if (strcmp(action->name, "play") == 0)
			assert_int_equal(
			    action->remaining, plans[which].owner == number ? state->plays : 0);
	}
	return 0;
}

/* Everything that is told of the licence is as the model says. */
static void step_query(int number, int license)
{
	struct computer *computer = be(number);
	const struct plan *plan = &plans[license];
	unsigned denied = must_deny(number, license, "play");
	rh_license_state left;

	assert_int_equal(
	    rh_query_license_state(computer->store, license_id(license), "play", &left, NULL),
	    RH_OK);
	if (denied != 0) {
		assert_int_equal(left.category, RH_CATEGORY_NO_RIGHT);
	} else {
		assert_int_equal(
		    left.category, plan->ends ? RH_CATEGORY_COUNT_UNTIL : RH_CATEGORY_COUNT);
		assert_int_equal(left.counts[0], computer->states[license].plays);
	}
	assert_int_equal(rh_license_rights(
			     computer->store, license_id(license), take_rights, computer, NULL),
	    computer->here[license] ? RH_OK : RH_E_LICENSE_UNKNOWN);
}

static void step_secret(int number, int license)
{
	struct computer *computer = be(number);
	int must = must_give(must_deny(number, license, "copy"));
	void *secret = NULL;
	size_t size = 0;

	if (must == RH_OK && !plans[license].secret)
		must = RH_E_NO_SECRET;
	assert_int_equal(rh_license_secret(computer->store, license_id(license), "copy",
			     &secret, &size, NULL),
	    must);
	if (must != RH_OK)
		return;
	assert_int_equal(size, 2);
	assert_memory_equal(secret, license_id(license), 2);
	rh_free_secret_bytes(secret, size);
	if (plans[license].period > 0 || plans[license].ends)
		note(computer, false);
}

static void step_add(int number, int license)
{
	struct computer *computer = be(number);
	const char *document = world.documents[license][chance(DOCUMENTS)];
	int code = kit_add_signed(computer->store, document);

	if (plans[license].owner >= 0 && plans[license].owner != number) {
		assert_int_equal(code, RH_E_LICENSE_COMPUTER);
		return;
	}
	if (code != RH_OK && code != RH_S_STATE_MERGED && code != RH_S_ALREADY_HERE &&
	    code != RH_S_UPDATED && code != RH_S_OLDER)
		fail_msg(
		    "adding %s to %d: %s", license_id(license), number, rh_code_name(code));
	computer->here[license] = true;
}

static void step_remove(int number, int license)
{
	struct computer *computer = be(number);
	int code = rh_remove(computer->store, license_id(license), NULL);

	assert_int_equal(code, computer->here[license] ? RH_OK : RH_E_LICENSE_UNKNOWN);
	computer->here[license] = false;
}

static void step_backup(int number)
{
	struct computer *computer = be(number);
	struct backup *backup = &world.backups[world.backup_count];
	rh_error error;

	if (world.backup_count == BACKUPS)
		return;
	*backup = (struct backup){.from = number};
	snprintf(backup->directory, sizeof backup->directory, "%s/backup-%d", kit.root,
	    world.backup_count);
	assert_int_equal(mkdir(backup->directory, 0700), 0);
	if (rh_backup(computer->store, backup->directory, NULL, NULL, NULL, &error) != RH_OK)
		fail_msg("%s", error.text);
	for (int i = 0; i < LICENSES; i++) {
		backup->in[i] = computer->here[i] && plans[i].backup;
		backup->states[i] = computer->states[i];
	}
	world.backup_count++;
}

/* Any backup that there is, however old, of whatever computer. */
static void step_restore(int number)
{
	struct computer *computer = be(number);
	rh_open_options options = RH_OPEN_OPTIONS_INIT;
	const struct backup *backup;
	rh_error error;

	if (world.backup_count == 0)
		return;
	backup = &world.backups[chance((unsigned)world.backup_count)];
	options.recovery_key = world.computers[backup->from].recovery;
	if (rh_restore(computer->store, backup->directory, &options, NULL, NULL, &error) !=
	    RH_OK)
		fail_msg("%s", error.text);
	for (int i = 0; i < LICENSES; i++) {
		if (!backup->in[i])
			continue;
		computer->here[i] = true;
		merge(&computer->states[i], &backup->states[i]);
	}
	for (int i = 0; i < LICENSES; i++)
		step_query(number, i);
}

static void step_clock(int number)
{
	struct computer *computer = &world.computers[number];

	switch (chance(4)) {
	case 0:
		computer->skew = 0;
		break;
	case 1:
		computer->skew -= chance(300);
		break;
	default:
		computer->skew += (int64_t)chance(4000) - 2000;
	}
}

static void step_start(int number)
{
	struct computer *computer = &world.computers[number];

	be(number);
	rh_store_close(computer->store);
	if (chance(3) == 0) {
		computer->started = world.now;
		computer->start++;
		for (int i = 0; i < LICENSES; i++)
			computer->first_true[i] = NEVER;
		be(number);
	}
	kit_be(&kit, computer->name);
	computer->store = kit_store(computer->directory, 0);
}

static void step(void)
{
	int number = (int)chance(COMPUTERS), license = (int)chance(LICENSES);
	unsigned kind = chance(100);

	world.now += chance(60);
	if (kind < 50)
		step_use(number, license);
	else if (kind < 58)
		step_query(number, license);
	else if (kind < 66)
		step_secret(number, license);
	else if (kind < 76)
		step_add(number, license);
	else if (kind < 80)
		step_remove(number, license);
	else if (kind < 85)
		step_backup(number);
	else if (kind < 92)
		step_restore(number);
	else if (kind < 97)
		step_clock(number);
	else
		step_start(number);
}

/* ---- Rounds ---- */

static void open_computer(int number, const char *set)
{
	static const char *const names[COMPUTERS] = {"a", "b", "c", "d"};
	struct computer *computer = &world.computers[number];
	rh_recovery_key key;

	*computer = (struct computer){
	    .name = names[number], .start = (unsigned)number * 1000 + 1, .started = START};
	snprintf(
	    computer->directory, sizeof computer->directory, "%s/%s", kit.root, computer->name);
	for (int i = 0; i < LICENSES; i++) {
		computer->states[i] = (struct state){plans[i].plays, NEVER};
		computer->first_true[i] = NEVER;
	}
	be(number);
	kit_be(&kit, computer->name);
	computer->store = kit_store(computer->directory, RH_STORE_CREATE);
	kit_pin(&kit, computer->store, set);
	assert_int_equal(rh_recovery_make(computer->store, NULL), RH_OK);
	assert_int_equal(rh_recovery_show(computer->store, &key, NULL), RH_OK);
	snprintf(computer->recovery, sizeof computer->recovery, "%s", key.identity);
	rh_recovery_free(&key);
}

static void make_documents(int license)
{
	const struct plan *plan = &plans[license];
	struct issue issue = {.id = license_id(license),
	    .issuer = ISSUER,
	    .key_id = license_id(license),
	    .backup = plan->backup};
	char play[64] = "", view[64] = "", actions[192];

	if (plan->plays > 0)
		snprintf(play, sizeof play, "\"play\":{\"count\":%d},", plan->plays);
	if (plan->period > 0)
		snprintf(view, sizeof view, "\"view\":{\"period\":%d},", plan->period);
	snprintf(actions, sizeof actions, "{%s%s\"copy\":{}}", play, view);
	issue.actions = actions;
	if (plan->owner >= 0)
		assert_int_equal(rh_store_computer_jwk(
				     world.computers[plan->owner].store, &issue.computer, NULL),
		    RH_OK);
	if (plan->secret) {
		issue.content_key = license_id(license);
		issue.content_key_size = 2;
	}
	if (plan->ends)
		issue.not_after = START * 2;
	for (int i = 0; i < DOCUMENTS; i++) {
		issue.issued = START - 1000 + i;
		world.documents[license][i] = issue_license(world.keys, &issue);
	}
}

static void open_world(void)
{
	char *set;

	memset(&world, 0, sizeof world);
	world.now = START;
	kit_open(&kit);
	world.keys = issue_keys_new("k", "ES256");
	set = issue_set(&world.keys, 1, ISSUER);
	for (int i = 0; i < COMPUTERS; i++)
		open_computer(i, set);
	free(set);
	for (int i = 0; i < LICENSES; i++) {
		make_documents(i);
		step_add(plans[i].owner >= 0 ? plans[i].owner : 3, i);
	}
}

/* Every store is whole, and everything it shows is as the model says. */
static void close_world(void)
{
	for (int i = 0; i < COMPUTERS; i++) {
		struct computer *computer = be(i);

		for (int k = 0; k < LICENSES; k++)
			step_query(i, k);
		assert_int_equal(rh_store_check(computer->store, NULL, NULL, NULL), RH_OK);
		rh_store_close(computer->store);
	}
	for (int i = 0; i < LICENSES; i++)
		for (int k = 0; k < DOCUMENTS; k++)
			free(world.documents[i][k]);
	issue_keys_free(world.keys);
	kit_close(&kit);
}

static long setting(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? atol(text) : otherwise;
}

static void sequences(void **state)
{
	long steps = setting("REHOST_STEPS", STEPS);

	(void)state;
	seed = (unsigned long long)setting("REHOST_SEED", (long)time(NULL));
	print_message("REHOST_SEED=%llu REHOST_STEPS=%ld\n", seed, steps);
	for (long i = 0; i < steps; i++) {
		if (i % ROUND == 0) {
			if (i > 0)
				close_world();
			open_world();
		}
		step();
	}
	close_world();
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(sequences)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
