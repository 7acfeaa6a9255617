#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "clocks.h"
#include "engine/engine.h"
#include "issue.h"
#include "kit.h"

/* Rights in use, one rule after the other; test_rights.c mixes them. */

#define ISSUER "https://shop.example"
#define OTHER "https://other.example"
#define KEY "9a04f079-9840-4286-ab92-e65be0885f95"
#define ROOT "root-of-all"
#define START INT64_C(1800000000)
#define DAY INT64_C(86400)

struct scene {
	struct kit kit;
	struct issue_keys *keys;
	struct issue_keys *others; /* of another issuer */
	rh_store *store;
};

static int open_scene(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);
	char *set;

	assert_non_null(scene);
	clocks = (struct clocks){START, 1000, 1};
	kit_open(&scene->kit);
	scene->store = kit_store(scene->kit.store, RH_STORE_CREATE);
	scene->keys = issue_keys_new("first", "ES256");
	scene->others = issue_keys_new("first", "ES256");
	set = issue_set(&scene->keys, 1, ISSUER);
	kit_pin(&scene->kit, scene->store, set);
	free(set);
	*state = scene;
	return 0;
}

static int close_scene(void **state)
{
	struct scene *scene = *state;

	rh_store_close(scene->store);
	issue_keys_free(scene->keys);
	issue_keys_free(scene->others);
	kit_close(&scene->kit);
	free(scene);
	return 0;
}

/* Issues it to this computer and adds it; what is left out is filled in. */
static void add(struct scene *scene, struct issue issue)
{
	struct issue_keys *keys = scene->keys;
	const char *jwk;
	char *license;

	assert_int_equal(rh_store_computer_jwk(scene->store, &jwk, NULL), RH_OK);
	if (issue.issuer == NULL)
		issue.issuer = ISSUER;
	else
		keys = scene->others;
	if (issue.key_id == NULL)
		issue.key_id = KEY;
	issue.computer = jwk;
	license = issue_license(keys, &issue);
	assert_int_equal(kit_add_signed(scene->store, license), RH_OK);
	free(license);
}

static unsigned denied(struct scene *scene, const char *key_id, const char *action)
{
	unsigned bits = 0xffff;
	rh_error error;

	if (rh_query_action_allowed(scene->store, key_id, action, &bits, &error) != RH_OK)
		fail_msg("%s", error.text);
	return bits;
}

static rh_license_state state_of(struct scene *scene, const char *action)
{
	rh_license_state state;
	rh_error error;

	memset(&state, 0xff, sizeof state);
	if (rh_query_license_state(scene->store, KEY, action, &state, &error) != RH_OK)
		fail_msg("%s", error.text);
	return state;
}

static int use(struct scene *scene, const char *license, const char *action, rh_use *ret)
{
	rh_error error = {0};
	int code = rh_license_use(scene->store, license, action, ret, &error);

	if (code != RH_OK) {
		assert_int_equal(error.code, code);
		assert_true(error.text[0] != '\0');
	}
	return code;
}

static int secret(struct scene *scene, const char *action)
{
	void *bytes = NULL;
	size_t size = 0;
	int code = rh_license_secret(scene->store, KEY, action, &bytes, &size, NULL);

	assert_true((code == RH_OK) == (bytes != NULL));
	rh_free_secret_bytes(bytes, size);
	return code;
}

static void counts(void **state)
{
	struct scene *scene = *state;
	rh_license_state left;
	rh_use used;

	add(scene,
	    (struct issue){.id = "l", .actions = "{\"play\":{\"count\":2},\"copy\":{}}"});
	assert_int_equal(denied(scene, KEY, "Play"), 0);
	left = state_of(scene, "PLAY");
	assert_int_equal(left.category, RH_CATEGORY_COUNT);
	assert_int_equal(left.count_count, 1);
	assert_int_equal(left.counts[0], 2);
	assert_int_equal(left.date_count, 0);
	assert_int_equal(left.period, 0);
	assert_int_equal(left.vague, 0);

	assert_int_equal(use(scene, "l", "play", &used), RH_OK);
	assert_string_equal(used.id, "l");
	assert_int_equal(used.remaining, 1);
	assert_true(used.ends == RH_TIME_NONE);
	assert_int_equal(use(scene, KEY, "PLAY", NULL), RH_OK);
	assert_int_equal(use(scene, KEY, "play", NULL), RH_E_RIGHT_SPENT);
	assert_int_equal(use(scene, "l", "play", NULL), RH_E_RIGHT_SPENT);
	assert_int_equal(denied(scene, KEY, "play"), RH_DENIED_SPENT);
	left = state_of(scene, "play");
	assert_int_equal(left.category, RH_CATEGORY_NO_RIGHT);
	assert_int_equal(left.count_count, 0);

	assert_int_equal(use(scene, KEY, "copy", &used), RH_OK);
	assert_true(used.remaining == UINT64_MAX);
	assert_int_equal(state_of(scene, "copy").category, RH_CATEGORY_UNLIMITED);
	assert_int_equal(use(scene, KEY, "print", NULL), RH_E_NO_RIGHT);
	assert_int_equal(denied(scene, KEY, "print"), RH_DENIED_NO_RIGHT);
	assert_int_equal(denied(scene, "unheard of", "play"), RH_DENIED_NO_LICENSE);
	assert_int_equal(use(scene, "unheard of", "play", NULL), RH_E_LICENSE_UNKNOWN);
}

/* An older state must not fit the row any more. */
static void versions(void **state)
{
	struct scene *scene = *state;
	struct store_row row = {0};

	add(scene,
	    (struct issue){.id = "l", .actions = "{\"play\":{\"count\":2},\"copy\":{}}"});
	for (int64_t i = 0; i < 3; i++) {
		assert_int_equal(store_get(scene->store->store, "l", &row, NULL), RH_OK);
		assert_int_equal(row.state_version, i);
		assert_int_equal(use(scene, "l", "copy", NULL), RH_OK);
		assert_int_equal(
		    use(scene, "l", "play", NULL), i < 2 ? RH_OK : RH_E_RIGHT_SPENT);
	}
	store_row_free(&row);
}

/* The example program, with the clock that there is. */
static void example_plays(void **state)
{
	struct scene *scene = *state;
	char command[512];
	int status;

	add(scene, (struct issue){.id = "l",
		       .actions = "{\"play\":{\"count\":2}}",
		       .content_key = "key",
		       .content_key_size = 3});
	rh_store_close(scene->store);
	scene->store = NULL;
	snprintf(command, sizeof command, "%s %s %s >%s/out 2>&1", PLAY, KEY, scene->kit.store,
	    scene->kit.root);
	for (int i = 0; i < 3; i++) {
		status = system(command);
		assert_int_equal(
		    WEXITSTATUS(status), i < 2 ? 0 : rh_code_exit_status(RH_E_RIGHT_SPENT));
	}
	scene->store = kit_store(scene->kit.store, 0);
	assert_int_equal(use(scene, "l", "play", NULL), RH_E_RIGHT_SPENT);
}

static void arguments(void **state)
{
	struct scene *scene = *state;
	rh_license_state left;
	unsigned bits;
	size_t size;
	void *bytes;

	assert_int_equal(
	    rh_query_action_allowed(NULL, KEY, "play", &bits, NULL), RH_E_ARGUMENT);
	assert_int_equal(
	    rh_query_action_allowed(scene->store, "", "play", &bits, NULL), RH_E_ARGUMENT);
	assert_int_equal(
	    rh_query_action_allowed(scene->store, KEY, NULL, &bits, NULL), RH_E_ARGUMENT);
	assert_int_equal(
	    rh_query_action_allowed(scene->store, KEY, "play", NULL, NULL), RH_E_ARGUMENT);
	assert_int_equal(
	    rh_query_license_state(scene->store, KEY, "", &left, NULL), RH_E_ARGUMENT);
	assert_int_equal(rh_license_use(NULL, KEY, "play", NULL, NULL), RH_E_ARGUMENT);
	assert_int_equal(rh_license_use(scene->store, NULL, "play", NULL, NULL), RH_E_ARGUMENT);
	assert_int_equal(
	    rh_license_secret(scene->store, KEY, "play", NULL, &size, NULL), RH_E_ARGUMENT);
	assert_int_equal(
	    rh_license_secret(scene->store, KEY, NULL, &bytes, &size, NULL), RH_E_ARGUMENT);
	assert_int_equal(rh_license_rights(scene->store, "x", NULL, NULL, NULL), RH_E_ARGUMENT);
}

/* The highest priority first, then the order of adding. */
static void several(void **state)
{
	struct scene *scene = *state;
	rh_use used;

	add(scene, (struct issue){.id = "low", .actions = "{\"play\":{}}", .priority = -1});
	add(scene, (struct issue){.id = "one", .actions = "{\"play\":{\"count\":1}}"});
	add(scene, (struct issue){.id = "two", .actions = "{\"play\":{\"count\":1}}"});
	add(scene, (struct issue){.id = "top", .actions = "{\"copy\":{}}", .priority = 7});
	assert_int_equal(state_of(scene, "play").category, RH_CATEGORY_COUNT);
	assert_int_equal(state_of(scene, "play").vague, RH_VAGUE_MORE_LICENSES);
	assert_int_equal(state_of(scene, "copy").vague, 0);
	assert_int_equal(use(scene, KEY, "play", &used), RH_OK);
	assert_string_equal(used.id, "one");
	assert_int_equal(use(scene, KEY, "play", &used), RH_OK);
	assert_string_equal(used.id, "two");
	assert_int_equal(use(scene, KEY, "play", &used), RH_OK);
	assert_string_equal(used.id, "low");
	assert_int_equal(state_of(scene, "play").category, RH_CATEGORY_UNLIMITED);
	assert_int_equal(state_of(scene, "play").vague, 0);
	assert_int_equal(denied(scene, KEY, "play"), 0);
	/* An id is that licence alone; and the reason is that of one that grants it. */
	assert_int_equal(use(scene, "one", "play", NULL), RH_E_RIGHT_SPENT);
	assert_int_equal(use(scene, "top", "play", NULL), RH_E_NO_RIGHT);
	assert_int_equal(rh_remove(scene->store, "low", NULL), RH_OK);
	assert_int_equal(use(scene, KEY, "play", NULL), RH_E_RIGHT_SPENT);
	assert_int_equal(denied(scene, KEY, "play"), RH_DENIED_SPENT | RH_DENIED_NO_RIGHT);
}

static void periods(void **state)
{
	struct scene *scene = *state;
	rh_license_state left;
	rh_use used;

	add(scene,
	    (struct issue){.id = "l",
		.actions =
		    "{\"play\":{\"period\":86400,\"count\":9},\"view\":{\"period\":3600}}",
		.not_after = START + 40 * DAY});
	left = state_of(scene, "play");
	assert_int_equal(left.category, RH_CATEGORY_AFTER_FIRST_USE);
	assert_int_equal(left.period, DAY);
	assert_int_equal(left.counts[0], 9);
	assert_int_equal(left.date_count, 1);
	assert_true(left.dates[0] == START + 40 * DAY);

	assert_int_equal(use(scene, KEY, "play", &used), RH_OK);
	assert_true(used.ends == START + DAY);
	assert_int_equal(used.remaining, 8);
	left = state_of(scene, "play");
	assert_int_equal(left.category, RH_CATEGORY_COUNT_UNTIL);
	assert_int_equal(left.period, 0);
	assert_true(left.dates[0] == START + DAY);
	/* The first use is the licence's, whatever the action. */
	left = state_of(scene, "view");
	assert_int_equal(left.category, RH_CATEGORY_UNTIL);
	assert_true(left.dates[0] == START + 3600);

	clocks_pass(3599);
	assert_int_equal(use(scene, KEY, "view", NULL), RH_OK);
	clocks_pass(1);
	assert_int_equal(use(scene, KEY, "view", NULL), RH_E_RIGHT_OVER);
	assert_int_equal(denied(scene, KEY, "view"), RH_DENIED_EXPIRED);
	assert_int_equal(use(scene, KEY, "play", &used), RH_OK);
	assert_true(used.ends == START + DAY);
	clocks_pass(DAY);
	assert_int_equal(use(scene, KEY, "play", NULL), RH_E_RIGHT_OVER);
	clocks_pass(40 * DAY);
	assert_int_equal(use(scene, KEY, "play", NULL), RH_E_LICENSE_EXPIRED);
	assert_int_equal(state_of(scene, "play").category, RH_CATEGORY_NO_RIGHT);
}

/* Every kind of limit. */
static void categories(void **state)
{
	static const struct {
		const char *actions;
		int from, until;
		int category;
	} kinds[] = {
	    {"{\"play\":{}}", 0, 0, RH_CATEGORY_UNLIMITED},
	    {"{\"play\":{\"count\":3}}", 0, 0, RH_CATEGORY_COUNT},
	    {"{\"play\":{}}", 1, 0, RH_CATEGORY_FROM},
	    {"{\"play\":{}}", 0, 1, RH_CATEGORY_UNTIL},
	    {"{\"play\":{}}", 1, 1, RH_CATEGORY_FROM_UNTIL},
	    {"{\"play\":{\"count\":3}}", 1, 0, RH_CATEGORY_COUNT_FROM},
	    {"{\"play\":{\"count\":3}}", 0, 1, RH_CATEGORY_COUNT_UNTIL},
	    {"{\"play\":{\"count\":3}}", 1, 1, RH_CATEGORY_COUNT_FROM_UNTIL},
	    {"{\"play\":{\"period\":5}}", 0, 0, RH_CATEGORY_AFTER_FIRST_USE},
	    {"{\"copy\":{}}", 0, 0, RH_CATEGORY_NO_RIGHT},
	};
	struct scene *scene = *state;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		int64_t from = kinds[i].from ? START - DAY : 0;
		int64_t until = kinds[i].until ? START + DAY : 0;
		bool counted = strstr(kinds[i].actions, "count") != NULL;
		rh_license_state left;

		add(scene, (struct issue){.id = "l",
			       .actions = kinds[i].actions,
			       .not_before = from,
			       .not_after = until});
		left = state_of(scene, "play");
		assert_int_equal(left.category, kinds[i].category);
		assert_int_equal(left.count_count, counted);
		assert_int_equal(left.counts[0], counted ? 3 : 0);
		assert_int_equal(left.date_count, kinds[i].from + kinds[i].until);
		if (from != 0)
			assert_true(left.dates[0] == from);
		if (until != 0)
			assert_true(left.dates[left.date_count - 1] == until);
		assert_int_equal(rh_remove(scene->store, "l", NULL), RH_OK);
	}
}

/* Nothing was noted yet: a clock that is wrong is just another time. */
static void not_yet(void **state)
{
	struct scene *scene = *state;
	rh_license_state left;

	add(scene, (struct issue){.id = "l",
		       .actions = "{\"play\":{\"period\":60}}",
		       .not_before = START,
		       .not_after = START + DAY});
	clocks.wall = START - 1;
	assert_int_equal(use(scene, KEY, "play", NULL), RH_E_LICENSE_NOT_YET);
	assert_int_equal(denied(scene, KEY, "play"), RH_DENIED_NOT_STARTED);
	left = state_of(scene, "play");
	assert_int_equal(left.category, RH_CATEGORY_FROM_UNTIL);
	assert_true(left.dates[0] == START && left.dates[1] == START + DAY);
	assert_int_equal(left.period, 60);
	clocks.wall = START;
	/* The beginning is past: there is only an end to tell. */
	left = state_of(scene, "play");
	assert_int_equal(left.category, RH_CATEGORY_AFTER_FIRST_USE);
	assert_int_equal(left.date_count, 1);
	assert_true(left.dates[0] == START + DAY);
	assert_int_equal(use(scene, KEY, "play", NULL), RH_OK);
	clocks_pass(DAY);
	assert_int_equal(use(scene, KEY, "play", NULL), RH_E_LICENSE_EXPIRED);
	assert_int_equal(secret(scene, "play"), RH_E_LICENSE_EXPIRED);
}

static void clock_set_back(void **state)
{
	struct scene *scene = *state;
	rh_use used;

	add(scene, (struct issue){.id = "l",
		       .actions = "{\"play\":{\"period\":86400},\"copy\":{\"count\":5}}"});
	add(scene, (struct issue){.id = "u",
		       .key_id = "until",
		       .actions = "{\"play\":{}}",
		       .not_after = START + 10 * DAY});
	assert_int_equal(use(scene, KEY, "play", NULL), RH_OK);

	/* Set right by a little: that is not setting back, and wins no time. */
	clocks_pass(1000);
	clocks.wall -= 120;
	assert_int_equal(use(scene, KEY, "play", &used), RH_OK);
	assert_true(used.ends == START + DAY);
	clocks.wall -= 1;
	assert_int_equal(use(scene, KEY, "play", NULL), RH_E_CLOCK_SET_BACK);
	assert_int_equal(denied(scene, KEY, "play"), RH_DENIED_CLOCK);
	assert_int_equal(use(scene, "until", "play", NULL), RH_E_CLOCK_SET_BACK);
	assert_int_equal(use(scene, KEY, "copy", NULL), RH_OK);

	/* The computer runs on, and the period with it. */
	clocks_pass(DAY);
	assert_int_equal(denied(scene, KEY, "play"), RH_DENIED_CLOCK | RH_DENIED_EXPIRED);
	clocks.wall += 121;
	assert_int_equal(use(scene, KEY, "play", NULL), RH_E_RIGHT_OVER);
	assert_int_equal(use(scene, "until", "play", &used), RH_OK);
	assert_true(used.ends == START + 10 * DAY);
	assert_true(used.remaining == UINT64_MAX);

	/* Started anew: what was noted, and the time since then. */
	clocks = (struct clocks){START + DAY, 500, 2};
	assert_int_equal(use(scene, "until", "play", NULL), RH_E_CLOCK_SET_BACK);
	clocks.wall = START + DAY + 1000 + 500 - 120;
	assert_int_equal(use(scene, "until", "play", NULL), RH_OK);
	/* One start cannot be told from another: the less of both. */
	clocks = (struct clocks){START + DAY + 1000 + 500 + 200 - 120, 700, 0};
	assert_int_equal(use(scene, "until", "play", NULL), RH_OK);
	clocks.wall--;
	assert_int_equal(use(scene, "until", "play", NULL), RH_E_CLOCK_SET_BACK);
}

static void set_value(struct scene *scene, const char *text)
{
	assert_int_equal(
	    store_value_set(scene->store->store, "clock", text, strlen(text), NULL), RH_OK);
}

static void noted_time(void **state)
{
	static const char *const malformed[] = {"1", "2 1 1 -", "1 1 1 ", "1 1 1 - ",
	    "1 -1 1 -", "1 1 -1 -", "1 253402300800 1 -", "1 x 1 -", "1 1 1 - -",
	    "1 1 1 0123456789012345678901234567890123456789"};
	struct scene *scene = *state;
	struct license_moment moment;
	bool due;

	for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
		set_value(scene, malformed[i]);
		assert_int_equal(moment_now(scene->store, &moment, NULL), RH_E_STORE_DAMAGED);
	}
	assert_int_equal(
	    rh_license_use(scene->store, KEY, "play", NULL, NULL), RH_E_STORE_DAMAGED);
	set_value(scene, "1 1800000100 900 -");
	assert_int_equal(moment_now(scene->store, &moment, NULL), RH_OK);
	assert_true(moment.now == START + 200);
	assert_true(moment.set_back);
	assert_int_equal(moment_due(scene->store, &moment, &due, NULL), RH_OK);
	assert_true(due);
	clocks.wall = INT64_MAX;
	assert_int_equal(moment_now(scene->store, &moment, NULL), RH_OK);
	assert_true(moment.now == INT64_C(253402300799));
	clocks.wall = INT64_MIN;
	assert_int_equal(moment_now(scene->store, &moment, NULL), RH_OK);
	assert_true(moment.now == START + 200);
	set_value(scene, "");
	assert_int_equal(moment_now(scene->store, &moment, NULL), RH_OK);
	assert_true(moment.now == 0);
	assert_false(moment.set_back);
}

static void chains(void **state)
{
	struct scene *scene = *state;
	rh_license_state left;
	rh_use used;

	add(scene,
	    (struct issue){
		.id = "leaf", .actions = "{\"play\":{\"count\":5},\"copy\":{}}", .root = ROOT});
	assert_int_equal(use(scene, KEY, "play", NULL), RH_E_NO_ROOT);
	assert_int_equal(denied(scene, KEY, "play"), RH_DENIED_CHAIN);
	/* A root that hangs on another one. */
	add(scene,
	    (struct issue){
		.id = "chained", .key_id = ROOT, .root = KEY, .actions = "{\"play\":{}}"});
	assert_int_equal(use(scene, KEY, "play", NULL), RH_E_CHAIN);
	assert_int_equal(denied(scene, KEY, "play"), RH_DENIED_CHAIN);
	/* One that denies. */
	add(scene, (struct issue){.id = "root",
		       .key_id = ROOT,
		       .actions = "{\"play\":{\"count\":2}}",
		       .not_after = START + DAY});
	assert_int_equal(use(scene, KEY, "copy", NULL), RH_E_NO_ROOT);
	assert_int_equal(denied(scene, KEY, "copy"), RH_DENIED_CHAIN | RH_DENIED_NO_RIGHT);

	/* Both limit, and both are spent. */
	left = state_of(scene, "play");
	assert_int_equal(left.category, RH_CATEGORY_COUNT_UNTIL);
	assert_int_equal(left.counts[0], 2);
	assert_true(left.dates[0] == START + DAY);
	assert_int_equal(use(scene, KEY, "play", &used), RH_OK);
	assert_string_equal(used.id, "leaf");
	assert_int_equal(used.remaining, 1);
	assert_true(used.ends == START + DAY);
	assert_int_equal(use(scene, "root", "play", &used), RH_OK);
	assert_int_equal(used.remaining, 0);
	assert_int_equal(use(scene, KEY, "play", NULL), RH_E_NO_ROOT);
	assert_int_equal(denied(scene, KEY, "play"), RH_DENIED_CHAIN | RH_DENIED_SPENT);
	/* The leaf lost one use only. */
	add(scene, (struct issue){.id = "root 2", .key_id = ROOT, .actions = "{\"play\":{}}"});
	assert_int_equal(state_of(scene, "play").counts[0], 4);
	assert_int_equal(use(scene, "leaf", "play", &used), RH_OK);
	assert_int_equal(used.remaining, 3);
	assert_true(used.ends == RH_TIME_NONE);
}

static void content_keys(void **state)
{
	static const uint8_t one[] = "sixteen bytes 1!", two[] = "another key";
	struct scene *scene = *state;
	void *bytes = NULL;
	size_t size = 0;

	add(scene, (struct issue){.id = "none", .actions = "{\"play\":{}}", .priority = 2});
	assert_int_equal(secret(scene, "play"), RH_E_NO_SECRET);
	add(scene, (struct issue){.id = "one",
		       .actions = "{\"play\":{\"count\":1}}",
		       .content_key = one,
		       .content_key_size = sizeof one,
		       .priority = 1});
	add(scene, (struct issue){.id = "two",
		       .actions = "{\"play\":{}}",
		       .content_key = two,
		       .content_key_size = sizeof two});
	assert_int_equal(
	    rh_license_secret(scene->store, KEY, "play", &bytes, &size, NULL), RH_OK);
	assert_int_equal(size, sizeof one);
	assert_memory_equal(bytes, one, size);
	rh_free_secret_bytes(bytes, size);
	assert_int_equal(secret(scene, "copy"), RH_E_NO_RIGHT);
	/* The secret stays with the licence when it is used, and goes no further than it. */
	assert_int_equal(use(scene, "one", "play", NULL), RH_OK);
	assert_int_equal(rh_license_secret(scene->store, "one", "play", &bytes, &size, NULL),
	    RH_E_RIGHT_SPENT);
	assert_int_equal(
	    rh_license_secret(scene->store, KEY, "play", &bytes, &size, NULL), RH_OK);
	assert_int_equal(size, sizeof two);
	assert_memory_equal(bytes, two, size);
	rh_free_secret_bytes(bytes, size);
}

/* ---- What is told ---- */

struct told {
	rh_rights rights;
	rh_action actions[16];
	char title[64];
	uint64_t count; /* of the first counted action, as the licence shows it */
};

static int take_rights(void *context, const rh_license *license, const rh_rights *rights)
{
	struct told *told = context;

	told->rights = *rights;
	for (size_t i = 0; i < rights->action_count; i++)
		told->actions[i] = rights->actions[i];
	snprintf(told->title, sizeof told->title, "%s", license->title);
	told->count = license->count_count > 0 ? license->counts[0].remaining : 999;
	return 0;
}

static int take_count(void *context, const rh_license *license)
{
	*(uint64_t *)context = license->counts[0].remaining;
	return 0;
}

static void rights_are_told(void **state)
{
	struct scene *scene = *state;
	struct told told;
	uint64_t count = 99;
	char *set;

	set = issue_set(&scene->others, 1, OTHER);
	kit_pin(&scene->kit, scene->store, set);
	free(set);
	add(scene, (struct issue){.id = "the licence",
		       .issuer = OTHER,
		       .actions = "{\"play\":{\"count\":4,\"period\":60},\"copy\":{}}",
		       .title = "{\"en\":\"River songs\",\"de\":\"Flusslieder\"}",
		       .root = ROOT,
		       .priority = 3});
	add(scene,
	    (struct issue){
		.id = "root", .issuer = OTHER, .key_id = ROOT, .actions = "{\"play\":{}}"});
	assert_int_equal(use(scene, KEY, "play", NULL), RH_OK);
	assert_int_equal(
	    rh_license_rights(scene->store, "the", take_rights, &told, NULL), RH_OK);
	assert_int_equal(told.rights.action_count, 2);
	assert_int_equal(told.rights.known, 1);
	assert_int_equal(told.rights.vague, 0);
	assert_int_equal(told.rights.priority, 3);
	assert_int_equal(told.rights.here, 1);
	assert_true(told.rights.first_use == START);
	assert_int_equal(told.actions[0].granted, 4);
	assert_int_equal(told.actions[0].remaining, 3);
	assert_int_equal(told.actions[0].period, 60);
	assert_true(told.actions[0].ends == START + 60);
	assert_int_equal(told.actions[0].denied, 0);
	assert_true(told.actions[1].granted == UINT64_MAX);
	assert_int_equal(told.actions[1].denied, RH_DENIED_CHAIN | RH_DENIED_NO_RIGHT);
	assert_string_equal(told.title, "River songs");
	assert_int_equal(told.count, 3);
	assert_int_equal(rh_get(scene->store, "the", take_count, &count, NULL), RH_OK);
	assert_int_equal(count, 3);
	count = 99;
	assert_int_equal(
	    rh_enumerate(scene->store, "id=the*", take_count, &count, NULL), RH_OK);
	assert_int_equal(count, 3);

	/* Without its issuer it tells the same, and grants nothing. */
	assert_int_equal(rh_pin_remove(scene->store, RH_PIN_ISSUER, OTHER, NULL), RH_OK);
	assert_int_equal(
	    rh_license_rights(scene->store, "the", take_rights, &told, NULL), RH_OK);
	assert_int_equal(told.actions[0].granted, 4);
	assert_int_equal(told.actions[0].remaining, 0);
	assert_int_equal(told.actions[0].denied, RH_DENIED_NO_RIGHT);
	assert_int_equal(use(scene, KEY, "play", NULL), RH_E_LICENSE_ISSUER);
	assert_int_equal(secret(scene, "play"), RH_E_LICENSE_ISSUER);
	assert_int_equal(denied(scene, KEY, "play"), RH_DENIED_NO_RIGHT);
	add(scene, (struct issue){.id = "mine", .actions = "{\"play\":{}}"});
	assert_int_equal(use(scene, KEY, "play", NULL), RH_OK);
	assert_int_equal(rh_license_rights(scene->store, "nobody", take_rights, &told, NULL),
	    RH_E_LICENSE_UNKNOWN);
}

/* Formats without rights say so; those with counts and no computer are anybody's. */
static void other_formats(void **state)
{
	struct scene *scene = *state;
	static char text[8192];
	struct told told;
	FILE *file = fopen(EXAMPLES "/ebook-library-loan.lcpl", "r");
	size_t size;

	assert_non_null(file);
	size = fread(text, 1, sizeof text, file);
	fclose(file);
	assert_int_equal(
	    kit_add_document(scene->store, "any", 3, "any", "opaque", NULL), RH_OK);
	assert_int_equal(kit_add_document(scene->store, text, size, "loan", NULL, NULL), RH_OK);
	assert_int_equal(
	    rh_license_rights(scene->store, "sha256-", take_rights, &told, NULL), RH_OK);
	assert_int_equal(told.rights.known, 0);
	assert_int_equal(told.rights.action_count, 0);
	assert_string_equal(told.rights.root, "");
	assert_string_equal(told.rights.computer, "");
}

/* What limits nothing needs no write. */
static void reading_only(void **state)
{
	static const uint8_t key[] = "a key";
	struct scene *scene = *state;
	rh_store *writer = scene->store;

	add(scene, (struct issue){.id = "free",
		       .actions = "{\"play\":{}}",
		       .content_key = key,
		       .content_key_size = sizeof key});
	add(scene, (struct issue){.id = "timed",
		       .key_id = "timed",
		       .actions = "{\"play\":{}}",
		       .not_after = START + DAY});
	add(scene,
	    (struct issue){
		.id = "counted", .key_id = "counted", .actions = "{\"play\":{\"count\":1}}"});
	scene->store = kit_store(scene->kit.store, RH_STORE_READ_ONLY);
	assert_int_equal(use(scene, KEY, "play", NULL), RH_OK);
	assert_int_equal(secret(scene, "play"), RH_OK);
	assert_int_equal(use(scene, "timed", "play", NULL), RH_OK);
	assert_int_equal(use(scene, "counted", "play", NULL), RH_E_ACCESS);
	rh_store_close(scene->store);
	scene->store = writer;
	assert_int_equal(use(scene, "counted", "play", NULL), RH_OK);
}

int main(void)
{
#define SCENE(function) cmocka_unit_test_setup_teardown(function, open_scene, close_scene)
	const struct CMUnitTest tests[] = {
	    SCENE(counts),
	    SCENE(versions),
	    SCENE(example_plays),
	    SCENE(arguments),
	    SCENE(several),
	    SCENE(periods),
	    SCENE(categories),
	    SCENE(not_yet),
	    SCENE(clock_set_back),
	    SCENE(noted_time),
	    SCENE(chains),
	    SCENE(content_keys),
	    SCENE(rights_are_told),
	    SCENE(other_formats),
	    SCENE(reading_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
