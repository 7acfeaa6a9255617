/*
 * Every allocation of ours and of jansson fails in turn, while a store with owned, managed
 * and restricted signed licences is backed up, verified and restored: the answer is
 * RH_E_MEMORY, and what was there stays.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "failing.h"
#include "scene.h"

#define SERVICE "https://licences.example/lms"

/* ---- Acts ---- */

static rh_store *other;

static int act_backup(struct scene *scene, rh_error *error)
{
	rh_backup_options options = RH_BACKUP_OPTIONS_INIT;

	options.overwrite = 1;
	return rh_backup(scene->store, scene->kit.media, &options, NULL, NULL, error);
}

static int act_verify(struct scene *scene, rh_error *error)
{
	return rh_verify(scene->store, scene->kit.media, NULL, NULL, NULL, error);
}

static int act_plan(struct scene *scene, rh_error *error)
{
	rh_open_options options = RH_OPEN_OPTIONS_INIT;
	int code;

	options.recovery_key = scene->recovery.identity;
	options.plan = 1;
	code = rh_restore(NULL, scene->kit.media, &options, NULL, NULL, error);
	return code == RH_E_INDIVIDUALIZE ? (error->code = RH_OK) : code;
}

static int act_restore(struct scene *scene, rh_error *error)
{
	rh_open_options options = RH_OPEN_OPTIONS_INIT;
	int code;

	options.recovery_key = scene->recovery.identity;
	code = rh_restore(other, scene->kit.media, &options, NULL, NULL, error);
	return code == RH_E_INDIVIDUALIZE ? (error->code = RH_OK) : code;
}

static int no_pins(void *context, const rh_pin *pin)
{
	(void)context;
	(void)pin;
	fail_msg("an issuer was taken over");
	return 0;
}

/* What must hold after a failure. */
static void check(struct scene *scene)
{
	rh_summary summary;

	assert_int_equal(
	    rh_verify(scene->store, scene->kit.media, NULL, NULL, &summary, NULL), RH_OK);
	assert_int_equal(summary.done, 2);
	/* What needs no service is restored with its issuer, or not at all. */
	if (kit_count(other, NULL) == 0)
		assert_int_equal(rh_pin_list(other, RH_PIN_ISSUER, no_pins, NULL, NULL), RH_OK);
	else
		assert_int_equal(kit_count(other, "id=owned"), 1);
}

static void undo(void)
{
	assert_int_equal(rh_remove(other, "owned", NULL), RH_OK);
	assert_int_equal(rh_pin_remove(other, RH_PIN_ISSUER, SCENE_ISSUER, NULL), RH_OK);
}

static void play(struct scene *scene, int (*act)(struct scene *scene, rh_error *error))
{
	size_t n = 0;

	do {
		rh_error error = {0};
		int code;

		failing_nth(++n);
		code = act(scene, &error);
		failing_stop();
		assert_int_equal(error.code, code);
		if (code != RH_OK && (code != RH_E_MEMORY || !failing_happened()))
			fail_msg("allocation %zu: %s", n, error.text);
		if (code != RH_OK)
			check(scene);
		/* It did without, or what needs no service was stored before. */
		if (act == act_restore && kit_count(other, NULL) > 0)
			undo();
	} while (failing_happened());
	assert_true(n > 20);
}

static void no_memory(void **state)
{
	struct scene scene;
	struct issue_keys *service = issue_keys_new("s1", "ECDH-ES+A256KW");
	struct issue issue = {.id = "owned",
	    .actions = "{\"play\":{\"count\":3}}",
	    .content_key = "Sixteen secrets!",
	    .content_key_size = 16,
	    .backup = 1};

	rh_error error;

	(void)state;
	scene_open(&scene);
	scene_add(&scene, issue);
	issue.id = "managed";
	issue.service = SERVICE;
	scene_add(&scene, issue);
	issue.id = "unknown-service";
	issue.service = SERVICE "/2";
	scene_add(&scene, issue);
	scene_pin(&scene, scene.store, RH_PIN_SERVICE, service, SERVICE);
	other = kit_store(scene.kit.other, RH_STORE_CREATE);
	assert_int_equal(act_backup(&scene, NULL), RH_OK);
	play(&scene, act_backup);
	play(&scene, act_verify);
	play(&scene, act_plan);
	play(&scene, act_restore);
	assert_int_equal(act_restore(&scene, &error), RH_OK);
	assert_int_equal(kit_count(other, NULL), 1);
	rh_store_close(other);
	issue_keys_free(service);
	scene_close(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_memory),
	};

	json_set_alloc_funcs(__wrap_malloc, free);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
