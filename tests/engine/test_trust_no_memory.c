/*
 * Every allocation of ours and of jansson fails in turn, while pins come and go and a signed
 * licence is added: the answer is RH_E_MEMORY, and the store is as it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "failing.h"
#include "pin_kit.h"

/* What is done while memory runs out, and what must hold after it failed. */
struct scene {
	struct pin_kit *kit;
	char *text;
	int expected;
	int (*act)(struct scene *scene, rh_error *error);
	void (*check)(struct scene *scene);
};

static void play(struct scene *scene)
{
	int code = RH_E_MEMORY;
	size_t failed = 0;

	for (size_t n = 1; code == RH_E_MEMORY; n++) {
		rh_error error = {0};

		failing_nth(n);
		code = scene->act(scene, &error);
		failing_stop();
		if (code == RH_E_MEMORY) {
			failed++;
			assert_int_equal(error.code, RH_E_MEMORY);
			scene->check(scene);
		} else if (code != scene->expected) {
			fail_msg("allocation %zu: %s: %s", n, rh_code_name(code), error.text);
		}
	}
	assert_true(failed > 10);
}

static void one_pin(struct scene *scene)
{
	assert_int_equal(pin_kit_count(scene->kit->store, RH_PIN_ISSUER), 1);
}

static int act_add_pin(struct scene *scene, rh_error *error)
{
	return rh_pin_add(scene->kit->store, RH_PIN_ISSUER, scene->kit->path, "the \"second\"",
	    NULL, NULL, error);
}

static int act_update_pin(struct scene *scene, rh_error *error)
{
	return rh_pin_add(
	    scene->kit->store, RH_PIN_ISSUER, scene->kit->path, ISSUER, NULL, NULL, error);
}

static int act_remove_pin(struct scene *scene, rh_error *error)
{
	return rh_pin_remove(scene->kit->store, RH_PIN_ISSUER, ISSUER, error);
}

static int act_import(struct scene *scene, rh_error *error)
{
	rh_store *store = scene->kit->store;
	struct report report;
	int code;

	report_init(&report, NULL, RH_OPERATION_RESTORE);
	code = store_begin(store->store, error);
	if (code == RH_OK)
		code = pins_import(store, scene->text, &report, error);
	if (code == RH_OK)
		code = store_commit(store->store, error);
	if (code != RH_OK)
		store_rollback(store->store);
	return code;
}

static int act_trust(struct scene *scene, rh_error *error)
{
	struct trust trust;
	int code = trust_load(scene->kit->store, true, scene->text, &trust, error);

	if (code == RH_OK)
		trust_free(&trust);
	return code;
}

static int one_document(void *context, rh_document *ret, rh_error *error)
{
	char **text = context;

	(void)error;
	if (*text == NULL)
		return 0;
	*ret = (rh_document){.data = *text, .size = strlen(*text), .name = "one"};
	*text = NULL;
	return 1;
}

static int act_add(struct scene *scene, rh_error *error)
{
	char *text = scene->text;
	rh_summary summary;
	int code = rh_add(scene->kit->store, one_document, &text, NULL, &summary, error);

	if (code == RH_OK)
		assert_int_equal(summary.failed, 0);
	return code;
}

static void no_license(struct scene *scene)
{
	assert_int_equal(kit_count(scene->kit->store, NULL), 0);
}

/* It was there, in an earlier issue with a use less: that one, whole. */
static void old_license(struct scene *scene)
{
	void *secret;
	size_t size;

	assert_int_equal(
	    rh_license_secret(scene->kit->store, "a", "play", &secret, &size, NULL), RH_OK);
	assert_int_equal(size, 3);
	rh_free_secret_bytes(secret, size);
}

static void pins_come_and_go(void **state)
{
	struct scene scene = {.kit = *state, .check = one_pin};

	pin_kit_put_set(scene.kit, 0, 1, ISSUER);
	assert_int_equal(rh_pin_add(scene.kit->store, RH_PIN_ISSUER, scene.kit->path, NULL,
			     NULL, NULL, NULL),
	    RH_OK);
	pin_kit_put_set(scene.kit, 0, 3, NULL);
	scene.act = act_add_pin;
	play(&scene);
	assert_int_equal(
	    rh_pin_remove(scene.kit->store, RH_PIN_ISSUER, "the \"second\"", NULL), RH_OK);
	scene.act = act_update_pin;
	scene.expected = RH_S_UPDATED;
	play(&scene);
	scene.act = act_remove_pin;
	scene.expected = RH_OK;
	play(&scene);
	assert_int_equal(pin_kit_count(scene.kit->store, RH_PIN_ISSUER), 0);
}

static void pins_travel(void **state)
{
	struct scene scene = {.kit = *state, .check = one_pin};
	struct pins pins;

	pin_kit_put_set(scene.kit, 0, 2, NULL);
	for (int i = 0; i < 3; i++)
		assert_int_equal(rh_pin_add(scene.kit->store, RH_PIN_ISSUER, scene.kit->path,
				     i == 0   ? "a"
				     : i == 1 ? "b"
					      : "c",
				     NULL, NULL, NULL),
		    RH_OK);
	assert_int_equal(pins_load(scene.kit->store, RH_PIN_ISSUER, &pins, NULL), RH_OK);
	assert_int_equal(pins_export(&pins, &scene.text, NULL), RH_OK);
	pins_free(&pins);
	assert_int_equal(rh_pin_remove(scene.kit->store, RH_PIN_ISSUER, "a", NULL), RH_OK);
	assert_int_equal(rh_pin_remove(scene.kit->store, RH_PIN_ISSUER, "c", NULL), RH_OK);
	scene.act = act_trust;
	play(&scene);
	scene.act = act_import;
	play(&scene);
	assert_int_equal(pin_kit_count(scene.kit->store, RH_PIN_ISSUER), 3);
	free(scene.text);
}

static void licences_come(void **state)
{
	struct scene scene = {.kit = *state, .check = no_license, .act = act_add};
	struct issue issue = {.id = "a",
	    .issuer = ISSUER,
	    .key_id = "k",
	    .actions = "{\"play\":{\"count\":3}}",
	    .content_key = "one",
	    .content_key_size = 3};

	assert_int_equal(rh_store_computer_jwk(scene.kit->store, &issue.computer, NULL), RH_OK);
	pin_kit_put_set(scene.kit, 0, 1, ISSUER);
	assert_int_equal(rh_pin_add(scene.kit->store, RH_PIN_ISSUER, scene.kit->path, NULL,
			     NULL, NULL, NULL),
	    RH_OK);
	scene.text = issue_license(scene.kit->keys[0], &issue);
	play(&scene);
	assert_int_equal(rh_license_use(scene.kit->store, "a", "play", NULL, NULL), RH_OK);

	/* A later issue in its place; then what it spent, when it was removed and comes back.
	 */
	free(scene.text);
	issue.issued = 1700000001;
	issue.content_key_size = 2;
	scene.text = issue_license(scene.kit->keys[0], &issue);
	scene.check = old_license;
	play(&scene);
	assert_int_equal(rh_remove(scene.kit->store, "a", NULL), RH_OK);
	scene.check = no_license;
	play(&scene);
	for (int i = 0; i < 2; i++)
		assert_int_equal(
		    rh_license_use(scene.kit->store, "a", "play", NULL, NULL), RH_OK);
	assert_int_equal(
	    rh_license_use(scene.kit->store, "a", "play", NULL, NULL), RH_E_RIGHT_SPENT);
	free(scene.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(pins_come_and_go, pin_kit_setup, pin_kit_teardown),
	    cmocka_unit_test_setup_teardown(pins_travel, pin_kit_setup, pin_kit_teardown),
	    cmocka_unit_test_setup_teardown(licences_come, pin_kit_setup, pin_kit_teardown),
	};

	json_set_alloc_funcs(__wrap_malloc, free);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
