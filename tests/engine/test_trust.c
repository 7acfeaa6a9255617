/* Pins in a backup, and who is trusted by them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pin_kit.h"

static void import(rh_store *store, const char *text, struct heard *heard, int expected)
{
	rh_listener listener = kit_listener(heard);
	struct report report;
	rh_error error = {0};

	report_init(&report, &listener, RH_OPERATION_RESTORE);
	assert_int_equal(store_begin(store->store, NULL), RH_OK);
	assert_int_equal(pins_import(store, text, &report, &error), expected);
	if (expected == RH_OK) {
		assert_int_equal(store_commit(store->store, NULL), RH_OK);
	} else {
		assert_int_equal(error.code, expected);
		assert_true(error.text[0] != '\0');
		store_rollback(store->store);
	}
}

static void travel(void **state)
{
	struct pin_kit *f = *state;
	rh_store *other = kit_store(f->kit.other, RH_STORE_CREATE);
	struct pins pins = {0};
	struct heard *heard = calloc(1, sizeof *heard);
	struct pins_seen seen = {0};
	char *text = (char *)"untouched";

	assert_non_null(heard);
	assert_int_equal(pins_load(f->store, RH_PIN_ISSUER, &pins, NULL), RH_OK);
	assert_int_equal(pins_export(&pins, &text, NULL), RH_OK);
	assert_null(text);

	pin_kit_put_set(f, 0, 2, ISSUER);
	assert_int_equal(
	    rh_pin_add(f->store, RH_PIN_ISSUER, f->path, NULL, NULL, NULL, NULL), RH_OK);
	assert_int_equal(
	    rh_pin_add(f->store, RH_PIN_ISSUER, f->path, "b", NULL, NULL, NULL), RH_OK);
	pin_kit_put_set(f, 1, 1, NULL);
	assert_int_equal(
	    rh_pin_add(other, RH_PIN_ISSUER, f->path, "b", NULL, NULL, NULL), RH_OK);
	assert_int_equal(pins_load(f->store, RH_PIN_ISSUER, &pins, NULL), RH_OK);
	assert_null(pins_find(&pins, "a"));
	assert_string_equal(pins_find(&pins, "b")->name, "b");
	assert_int_equal(pins_export(&pins, &text, NULL), RH_OK);
	pins_free(&pins);

	/* What is pinned there stays; what is not is told. */
	import(other, text, heard, RH_OK);
	assert_int_equal(kit_heard(heard, RH_EVENT_NOTICE), 1);
	assert_non_null(strstr(heard->last_text, ISSUER));
	pin_kit_list(other, RH_PIN_ISSUER, &seen);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.keys, 2);
	assert_string_equal(seen.source, f->path);
	assert_int_equal(pins_load(other, RH_PIN_ISSUER, &pins, NULL), RH_OK);
	assert_int_equal(pins_find(&pins, "b")->keys.count, 1);
	pins_free(&pins);
	import(other, text, heard, RH_OK);
	assert_int_equal(kit_heard(heard, RH_EVENT_NOTICE), 0);
	free(text);
	free(heard);
	rh_store_close(other);
}

/* More than fits is told, and is no failure. */
static void too_many_travel(void **state)
{
	struct pin_kit *f = *state;
	rh_store *other = kit_store(f->kit.other, RH_STORE_CREATE);
	struct heard *heard = calloc(1, sizeof *heard);
	struct pins pins = {0};
	char name[32], *text;

	assert_non_null(heard);
	pin_kit_put_set(f, 0, 1, NULL);
	for (int i = 0; i < 256; i++) {
		snprintf(name, sizeof name, "issuer %03d", i);
		assert_int_equal(
		    rh_pin_add(f->store, RH_PIN_ISSUER, f->path, name, NULL, NULL, NULL),
		    RH_OK);
	}
	assert_int_equal(
	    rh_pin_add(other, RH_PIN_ISSUER, f->path, "mine", NULL, NULL, NULL), RH_OK);
	assert_int_equal(pins_load(f->store, RH_PIN_ISSUER, &pins, NULL), RH_OK);
	assert_int_equal(pins_export(&pins, &text, NULL), RH_OK);
	assert_true(strlen(text) <= BACKUP_ISSUERS_MAX);
	pins_free(&pins);
	import(other, text, heard, RH_OK);
	assert_int_equal(kit_heard(heard, RH_EVENT_NOTICE), 256);
	assert_non_null(strstr(heard->last_text, "issuer 255"));
	assert_non_null(strstr(heard->last_text, "more than"));
	assert_int_equal(pin_kit_count(other, RH_PIN_ISSUER), 256);
	free(text);
	free(heard);
	rh_store_close(other);
}

static void broken_lists(void **state)
{
	static const char *const texts[] = {"", "rubbish", "{}", "[1]", "[{}]",
	    "[{\"name\":\"\",\"source\":\"s\",\"added\":1,\"keys\":[]}]",
	    "[{\"name\":\"a\",\"source\":\"s\",\"added\":1,\"keys\":[]}]",
	    "[{\"name\":\"a\\u0007\",\"source\":\"s\",\"added\":1,\"keys\":[]}]",
	    "[{\"name\":\"a\",\"added\":1,\"keys\":[]}]",
	    "[{\"name\":\"a\",\"source\":\"s\",\"added\":\"1\",\"keys\":[]}]",
	    "[{\"name\":\"a\",\"source\":\"s\",\"added\":1}]",
	    "[{\"name\":\"a\",\"source\":\"s\",\"added\":1,\"keys\":[{}]}]"};
	struct pin_kit *f = *state;
	struct heard *heard = calloc(1, sizeof *heard);
	struct pins pins = {0};
	char *one, *two, *many;
	rh_error error;

	assert_non_null(heard);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		import(f->store, texts[i], heard, RH_E_BACKUP_CORRUPT);
	pin_kit_put_set(f, 0, 1, NULL);
	assert_int_equal(
	    rh_pin_add(f->store, RH_PIN_ISSUER, f->path, "b", NULL, NULL, NULL), RH_OK);
	assert_int_equal(pins_load(f->store, RH_PIN_ISSUER, &pins, NULL), RH_OK);
	assert_int_equal(pins_export(&pins, &one, NULL), RH_OK);
	pins_free(&pins);
	one[strlen(one) - 1] = '\0';

	/* The same name twice; too many entries. */
	assert_true(asprintf(&two, "%s,%s]", one, one + 1) > 0);
	import(f->store, two, heard, RH_E_BACKUP_CORRUPT);
	many = calloc(1, 1024 + 257 * 2);
	assert_non_null(many);
	strcpy(many, "[0");
	for (int i = 0; i < 256; i++)
		strcat(many, ",0");
	strcat(many, "]");
	import(f->store, many, heard, RH_E_BACKUP_CORRUPT);
	assert_int_equal(pin_kit_count(f->store, RH_PIN_ISSUER), 1);

	/* In the store it would be damage. */
	assert_int_equal(
	    store_value_set(f->store->store, "issuers", two, strlen(two), NULL), RH_OK);
	assert_int_equal(pins_load(f->store, RH_PIN_ISSUER, &pins, &error), RH_E_STORE_DAMAGED);
	assert_int_equal(
	    rh_pin_list(f->store, RH_PIN_ISSUER, pin_kit_see, NULL, NULL), RH_E_STORE_DAMAGED);
	assert_int_equal(rh_pin_add(f->store, RH_PIN_ISSUER, f->path, "c", NULL, NULL, NULL),
	    RH_E_STORE_DAMAGED);
	assert_int_equal(rh_pin_remove(f->store, RH_PIN_ISSUER, "b", NULL), RH_E_STORE_DAMAGED);
	free(many);
	free(two);
	free(one);
	free(heard);
}

/* ---- Trust ---- */

static void trust(void **state)
{
	struct pin_kit *f = *state;
	struct trust trust = {0};
	struct pins pins = {0};
	const char *jwk;
	char *text;

	pin_kit_put_set(f, 0, 1, NULL);
	assert_int_equal(
	    rh_pin_add(f->store, RH_PIN_ISSUER, f->path, "a", NULL, NULL, NULL), RH_OK);
	assert_int_equal(trust_load(f->store, false, NULL, &trust, NULL), RH_OK);
	assert_false(trust.trust.moved);
	assert_int_equal(trust.trust.issuer_count, 1);
	assert_string_equal(trust.trust.issuers[0].name, "a");
	assert_string_equal(trust.trust.issuers[0].keys->keys[0].id, "2025");
	assert_int_equal(rh_store_computer_jwk(f->store, &jwk, NULL), RH_OK);
	assert_string_equal(jose_key_jwk(trust.trust.computer), jwk);
	assert_true(trust.trust.now > 1600000000);
	trust_free(&trust);

	/* Those of a backup besides, but not in the place of ours. */
	pin_kit_put_set(f, 1, 1, NULL);
	assert_int_equal(
	    rh_pin_add(f->store, RH_PIN_ISSUER, f->path, "b", NULL, NULL, NULL), RH_OK);
	assert_int_equal(pins_load(f->store, RH_PIN_ISSUER, &pins, NULL), RH_OK);
	assert_int_equal(pins_export(&pins, &text, NULL), RH_OK);
	pins_free(&pins);
	assert_int_equal(rh_pin_remove(f->store, RH_PIN_ISSUER, "b", NULL), RH_OK);
	assert_int_equal(
	    rh_pin_add(f->store, RH_PIN_ISSUER, f->path, "a", NULL, NULL, NULL), RH_S_UPDATED);
	assert_int_equal(trust_load(f->store, true, text, &trust, NULL), RH_OK);
	assert_true(trust.trust.moved);
	assert_int_equal(trust.trust.issuer_count, 2);
	assert_string_equal(trust.trust.issuers[0].keys->keys[0].id, "2026");
	assert_string_equal(trust.trust.issuers[1].name, "b");
	trust_free(&trust);
	assert_int_equal(pin_kit_count(f->store, RH_PIN_ISSUER), 1);

	assert_int_equal(trust_load(NULL, true, text, &trust, NULL), RH_OK);
	assert_int_equal(trust.trust.issuer_count, 2);
	assert_null(trust.trust.computer);
	trust_free(&trust);
	assert_int_equal(trust_load(NULL, true, NULL, &trust, NULL), RH_OK);
	assert_int_equal(trust.trust.issuer_count, 0);
	trust_free(&trust);
	assert_int_equal(
	    trust_load(f->store, true, "rubbish", &trust, NULL), RH_E_BACKUP_CORRUPT);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(travel, pin_kit_setup, pin_kit_teardown),
	    cmocka_unit_test_setup_teardown(too_many_travel, pin_kit_setup, pin_kit_teardown),
	    cmocka_unit_test_setup_teardown(broken_lists, pin_kit_setup, pin_kit_teardown),
	    cmocka_unit_test_setup_teardown(trust, pin_kit_setup, pin_kit_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
