#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing.h"
#include "issue.h"
#include "kit.h"

/* Every allocation of ours fails in turn: each is told, nothing is spent, nothing is left. */

#define ISSUER "https://shop.example"

static uint64_t left_of(rh_store *store)
{
	rh_license_state left;

	assert_int_equal(rh_query_license_state(store, "key", "play", &left, NULL), RH_OK);
	return left.counts[0];
}

static int use(rh_store *store, rh_error *error)
{
	return rh_license_use(store, "key", "play", NULL, error);
}

static int ask(rh_store *store, rh_error *error)
{
	unsigned denied = 99;
	int code = rh_query_action_allowed(store, "key", "play", &denied, error);

	assert_int_equal(denied, code == RH_OK ? 0 : 99);
	return code;
}

static int ask_more(rh_store *store, rh_error *error)
{
	rh_license_state left = {.category = 99};
	int code = rh_query_license_state(store, "key", "play", &left, error);

	assert_int_equal(left.category, code == RH_OK ? RH_CATEGORY_COUNT_UNTIL : 99);
	return code;
}

static int take_secret(rh_store *store, rh_error *error)
{
	void *bytes = NULL;
	size_t size = 99;
	int code = rh_license_secret(store, "key", "play", &bytes, &size, error);

	assert_int_equal(size, code == RH_OK ? 4 : 99);
	rh_free_secret_bytes(bytes, size);
	return code;
}

static int ignore_rights(void *context, const rh_license *license, const rh_rights *rights)
{
	(void)context;
	(void)license;
	(void)rights;
	return 0;
}

static int tell(rh_store *store, rh_error *error)
{
	return rh_license_rights(store, "leaf", ignore_rights, NULL, error);
}

static int ignore_license(void *context, const rh_license *license)
{
	(void)context;
	(void)license;
	return 0;
}

static int enumerate(rh_store *store, rh_error *error)
{
	return rh_enumerate(store, "title=*", ignore_license, NULL, error);
}

/* A licence and its root, both limited in every way. */
static rh_store *prepare(struct kit *kit)
{
	struct issue_keys *keys = issue_keys_new("k", "ES256");
	struct issue issue = {.id = "leaf",
	    .issuer = ISSUER,
	    .key_id = "key",
	    .actions = "{\"play\":{\"count\":1000,\"period\":2000000000}}",
	    .root = "root-key",
	    .not_after = INT64_C(4000000000),
	    .content_key = "1234",
	    .content_key_size = 4};
	char *set = issue_set(&keys, 1, ISSUER), *license;
	rh_store *store;

	kit_open(kit);
	store = kit_store(kit->store, RH_STORE_CREATE);
	kit_pin(kit, store, set);
	assert_int_equal(rh_store_computer_jwk(store, &issue.computer, NULL), RH_OK);
	license = issue_license(keys, &issue);
	assert_int_equal(kit_add_signed(store, license), RH_OK);
	free(license);
	issue.id = "root";
	issue.key_id = issue.root;
	issue.root = NULL;
	license = issue_license(keys, &issue);
	assert_int_equal(kit_add_signed(store, license), RH_OK);
	free(license);
	free(set);
	issue_keys_free(keys);
	assert_int_equal(use(store, NULL), RH_OK);
	return store;
}

static void every_allocation(void **state)
{
	static int (*const functions[])(rh_store *, rh_error *) = {
	    use, ask, ask_more, take_secret, tell, enumerate};
	struct kit kit;
	rh_store *store = prepare(&kit);
	rh_error error;

	(void)state;
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
		uint64_t left = left_of(store);
		size_t count;

		failing_nth(0);
		assert_int_equal(functions[i](store, &error), RH_OK);
		count = failing_stop();
		assert_true(count > 0);
		left -= functions[i] == use;
		for (size_t k = 1; k <= count; k++) {
			int code;

			failing_nth(k);
			code = functions[i](store, &error);
			failing_stop();
			if (code != RH_E_MEMORY || error.code != RH_E_MEMORY)
				fail_msg("function %zu, allocation %zu of %zu: %s", i, k, count,
				    rh_code_name(code));
			assert_int_equal(left_of(store), left);
		}
	}
	rh_store_close(store);
	kit_close(&kit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
