/*
 * A restore of managed licences, while one allocation after the other fails: what was granted
 * is stored or is free the next time, and nothing is counted twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing.h"
#include "fake_service.h"
#include "scene.h"

static const char *const ids[] = {"managed-1", "managed-2", "managed-counted", "owned"};
#define COUNT (sizeof ids / sizeof *ids)
#define MANAGED (COUNT - 1)

static struct scene scene;
static struct fake *fake;
static rh_store *store;

static int act(int plan, rh_error *error)
{
	rh_open_options options = RH_OPEN_OPTIONS_INIT;

	options.recovery_key = scene.recovery.identity;
	options.individualize = 1;
	options.plan = plan;
	return rh_restore(store, scene.kit.media, &options, NULL, NULL, error);
}

static int setup(void **state)
{
	char path[128];
	rh_error error;

	(void)state;
	fake = fake_open();
	scene_open(&scene);
	snprintf(path, sizeof path, "%s/service.json", scene.kit.root);
	fake_keys(fake, path);
	assert_int_equal(
	    rh_pin_add(scene.store, RH_PIN_SERVICE, path, fake->address, NULL, NULL, NULL),
	    RH_OK);
	for (size_t i = 0; i < COUNT; i++)
		scene_add(&scene,
		    (struct issue){.id = ids[i],
			.key_id = ids[i],
			.actions = i == 2 ? "{\"play\":{\"count\":3}}" : "{\"play\":{}}",
			.service = i < MANAGED ? fake->address : NULL,
			.computers = i < MANAGED ? 4 : 0,
			.content_key = "Sixteen secrets!",
			.content_key_size = 16,
			.backup = 1});
	if (rh_backup(scene.store, scene.kit.media, NULL, NULL, NULL, &error) != RH_OK)
		fail_msg("%s", error.text);
	kit_be(&scene.kit, "b");
	store = kit_store(scene.kit.other, RH_STORE_CREATE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rh_store_close(store);
	kit_be(&scene.kit, "a");
	scene_close(&scene);
	fake_close(fake);
	return 0;
}

static void expect_all(void)
{
	rh_grant grant;
	rh_error error;

	for (size_t i = 0; i < MANAGED; i++)
		if (rh_license_verify_grant(store, ids[i], &grant, &error) != RH_OK)
			fail_msg("%s: %s", ids[i], error.text);
	assert_int_equal(kit_count(store, NULL), COUNT);
	assert_int_equal(fake_charged(fake), MANAGED);
}

/* What failed for want of memory alone. */
static void check_code(size_t n, int code, const rh_error *error)
{
	assert_int_equal(error->code, code);
	if (code == RH_OK || (code == RH_E_MEMORY && failing_happened()))
		return;
	fail_msg("allocation %zu: %s: %s", n, rh_code_name(code), error->text);
}

static void restores(void **state)
{
	size_t n = 0;
	rh_error error = {0};
	int code;

	(void)state;
	do {
		error = (rh_error){0};
		failing_nth(++n);
		code = act(0, &error);
		failing_stop();
		check_code(n, code, &error);
		if (code != RH_OK && act(0, &error) != RH_OK)
			fail_msg("after allocation %zu: %s", n, error.text);
		expect_all();
		assert_int_equal(rh_store_check(store, NULL, NULL, NULL), RH_OK);
		for (size_t i = 0; i < COUNT; i++)
			assert_int_equal(rh_remove(store, ids[i], NULL), RH_OK);
	} while (failing_happened());
	assert_true(n > 100);
}

static void plans(void **state)
{
	size_t n = 0;
	rh_error error = {0};
	int code;

	(void)state;
	do {
		error = (rh_error){0};
		failing_nth(++n);
		code = act(1, &error);
		failing_stop();
		check_code(n, code, &error);
		assert_int_equal(kit_count(store, NULL), 0);
	} while (failing_happened());
	assert_true(n > 50);
}

static void verifies(void **state)
{
	rh_grant grant;
	size_t n = 0;
	rh_error error = {0};
	int code;

	(void)state;
	assert_int_equal(act(0, &error), RH_OK);
	do {
		failing_nth(++n);
		code = rh_license_verify_grant(store, ids[0], &grant, &error);
		failing_stop();
		check_code(n, code, &error);
		error = (rh_error){0};
	} while (failing_happened());
	assert_true(n > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(restores),
	    cmocka_unit_test(plans),
	    cmocka_unit_test(verifies),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
