/*
 * Licences of several issuers, and such as anybody can write, in one store: none spends,
 * spares or takes the place of another issuer's.
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

#include "scene.h"

#define STRANGER "https://stranger.example"
#define ID "one id"
#define KEY "9a04f079-9840-4286-ab92-e65be0885f95"
#define KEY_BASE64 "mgTweZhAQoarkuZb4IhflQ"
#define ROOT "00010203-0405-0607-0809-0a0b0c0d0e0f"
#define ROOT_BASE64 "AAECAwQFBgcICQoLDA0ODw"
#define COUNTED "{\"play\":{\"count\":3}}"

struct both {
	struct scene scene;
	struct issue_keys *stranger;
};

static int setup(void **state)
{
	struct both *both = calloc(1, sizeof *both);

	assert_non_null(both);
	scene_open(&both->scene);
	both->stranger = issue_keys_new("2026", "ES256");
	scene_pin(&both->scene, both->scene.store, RH_PIN_ISSUER, both->stranger, STRANGER);
	*state = both;
	return 0;
}

static int teardown(void **state)
{
	struct both *both = *state;

	issue_keys_free(both->stranger);
	scene_close(&both->scene);
	free(both);
	return 0;
}

/* Adds what the issuer, or the stranger, issued to this computer; what became of it. */
static int add(struct both *both, bool stranger, struct issue issue)
{
	char *license;
	int code;

	issue.issuer = stranger ? STRANGER : SCENE_ISSUER;
	issue.computer = both->scene.computer;
	license = issue_license(stranger ? both->stranger : both->scene.issuer, &issue);
	code = kit_add_signed(both->scene.store, license);
	free(license);
	return code;
}

/* A licence that everybody can write: plays as often as wanted. */
static void add_clearkey(struct both *both, const char *key_base64)
{
	char text[256];

	snprintf(text, sizeof text,
	    "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"%s\",\"k\":\"AAAA\"}],"
	    "\"type\":\"persistent-license\"}",
	    key_base64);
	assert_int_equal(
	    kit_add_document(both->scene.store, text, strlen(text), "a.json", NULL, NULL),
	    RH_OK);
}

static uint64_t play(struct both *both, const char *license, const char *want_id)
{
	rh_use used;
	rh_error error;

	if (rh_license_use(both->scene.store, license, "play", &used, &error) != RH_OK)
		fail_msg("%s", error.text);
	assert_string_equal(used.id, want_id);
	return used.remaining;
}

/* What one issuer's licence had spent when it was removed is not another's. */
static void spent(void **state)
{
	struct both *both = *state;
	const struct issue issue = {.id = ID, .actions = COUNTED};

	assert_int_equal(add(both, false, issue), RH_OK);
	assert_int_equal(play(both, ID, ID), 2);
	assert_int_equal(play(both, ID, ID), 1);
	assert_int_equal(rh_remove(both->scene.store, ID, NULL), RH_OK);
	assert_int_equal(add(both, true, issue), RH_OK);
	assert_int_equal(play(both, ID, ID), 2);
	assert_int_equal(rh_remove(both->scene.store, ID, NULL), RH_OK);
	/* Nor is it forgotten over that. */
	assert_int_equal(add(both, false, issue), RH_S_STATE_MERGED);
	assert_int_equal(play(both, ID, ID), 0);
	assert_int_equal(rh_remove(both->scene.store, ID, NULL), RH_OK);
	assert_int_equal(add(both, true, issue), RH_S_STATE_MERGED);
	assert_int_equal(play(both, ID, ID), 1);
}

/* A root is its issuer's own. */
static void roots(void **state)
{
	struct both *both = *state;
	const struct issue root = {.key_id = ROOT, .actions = "{\"play\":{}}"};
	struct issue issue = {.id = "leaf", .key_id = KEY, .actions = "{\"play\":{}}"};
	unsigned denied = 0;

	issue.root = ROOT;
	assert_int_equal(add(both, false, issue), RH_OK);
	add_clearkey(both, ROOT_BASE64);
	issue = root;
	issue.id = "a stranger's";
	assert_int_equal(add(both, true, issue), RH_OK);
	assert_int_equal(
	    rh_query_action_allowed(both->scene.store, KEY, "play", &denied, NULL), RH_OK);
	assert_int_equal(denied, RH_DENIED_CHAIN);
	assert_int_equal(
	    rh_license_use(both->scene.store, KEY, "play", NULL, NULL), RH_E_NO_ROOT);
	issue.id = "the root";
	assert_int_equal(add(both, false, issue), RH_OK);
	assert_true(play(both, KEY, "leaf") == UINT64_MAX);
}

/* One that costs nothing stands before the one whose content key is taken: it spares nothing.
 */
static void spared(void **state)
{
	struct both *both = *state;
	struct issue issue = {
	    .id = "counted", .key_id = KEY, .actions = COUNTED, .content_key = "a key"};
	void *secret = NULL;
	size_t size;

	issue.content_key_size = 5;
	issue.priority = -1;
	add_clearkey(both, KEY_BASE64);
	assert_int_equal(add(both, true,
			     (struct issue){.id = "a stranger's",
				 .key_id = KEY,
				 .actions = "{\"play\":{}}",
				 .priority = 9}),
	    RH_OK);
	assert_int_equal(add(both, false, issue), RH_OK);
	for (uint64_t left = 3; left > 0; left--) {
		assert_int_equal(
		    rh_license_secret(both->scene.store, KEY, "play", &secret, &size, NULL),
		    RH_OK);
		rh_free_secret_bytes(secret, size);
		assert_int_equal(play(both, KEY, "counted"), left - 1);
	}
	assert_int_equal(
	    rh_license_secret(both->scene.store, KEY, "play", &secret, &size, NULL),
	    RH_E_NO_SECRET);
}

int main(void)
{
#define WITH_BOTH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
	    WITH_BOTH(spent),
	    WITH_BOTH(roots),
	    WITH_BOTH(spared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
