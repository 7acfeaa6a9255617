#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "license/license.h"

#define ONE "ZsXBia-CcHnrgB681OPys-HwnKYa5clfeI0ukWI0QPQ"
#define TWO "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static int parse(struct license_state *state, const char *json, rh_error *error)
{
	return license_state_parse(state, json, strlen(json), error);
}

static void check_format(const struct license_state *state, const char *expected)
{
	struct buffer buffer = {0};
	rh_error error;

	assert_int_equal(buffer_append_text(&buffer, "<", &error), RH_OK);
	assert_int_equal(license_state_format(state, &buffer, &error), RH_OK);
	assert_int_equal(buffer.size, strlen(expected) + 1);
	assert_memory_equal(buffer.data + 1, expected, strlen(expected));
	buffer_free(&buffer);
}

static void test_round_trip(void **unused)
{
	static const char *const documents[] = {
	    "{}",
	    "{\"counts\":{\"play\":3}}",
	    "{\"counts\":{\"play\":0,\"copy\":9223372036854775807},\"first_use\":\"2026-11-"
	    "22T15:10:00Z\","
	    "\"format\":\"opaque\",\"name\":\"\xc3\xa9.lic\"}",
	    "{\"first_use\":\"1970-01-01T00:00:00Z\"}",
	    "{\"name\":\"a \\\"b\\\"\"}",
	    "{\"computer\":\"" ONE "\"}",
	    "{\"counts\":{\"play\":3},\"first_use\":\"2026-11-22T15:10:00Z\","
	    "\"computer\":\"" ONE "\",\"format\":\"signed\",\"name\":\"a\"}",
	};
	struct license_state state;
	rh_error error;

	(void)unused;
	for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
		assert_int_equal(parse(&state, documents[i], &error), RH_OK);
		assert_int_equal(license_state_empty(&state), i == 0);
		check_format(&state, documents[i]);
	}
}

static void test_tolerates(void **unused)
{
	struct license_state state;
	rh_error error;

	(void)unused;
	assert_int_equal(parse(&state,
			     "\xef\xbb\xbf{ \"later\": {\"x\": [1]}, \"counts\": {},\n"
			     "\"first_use\": \"2026-11-22T16:10:00.5+01:00\" }\n",
			     &error),
	    RH_OK);
	check_format(&state, "{\"first_use\":\"2026-11-22T15:10:00Z\"}");
}

static void test_any_file_name(void **unused)
{
	struct license_state state, again;
	struct buffer buffer = {0};
	rh_error error;

	(void)unused;
	license_state_init(&state);
	assert_true(license_state_empty(&state));
	strcpy(state.name, "a\nb\xff.lic");
	check_format(&state, "{\"name\":\"a b?.lic\"}");
	assert_int_equal(license_state_format(&state, &buffer, &error), RH_OK);
	assert_int_equal(license_state_parse(&again, buffer.data, buffer.size, &error), RH_OK);
	assert_string_equal(again.name, "a b?.lic");
	buffer_free(&buffer);
}

static void test_errors(void **unused)
{
	static const struct {
		const char *json, *text;
	} table[] = {
	    {"", "cut off"},
	    {"[]", "no JSON object"},
	    {"{\"counts\":1}", "member counts is no object"},
	    {"{\"counts\":{\"play\":-1}}", "no count"},
	    {"{\"counts\":{\"play\":1.5}}", "no count"},
	    {"{\"counts\":{\"play\":null}}", "no count"},
	    {"{\"counts\":{\"\":1}}", "malformed action"},
	    {"{\"counts\":{\"a\\tb\":1}}", "malformed action"},
	    {"{\"counts\":{\"abcdefghijklmnopqrstuvwxyz012345\":1}}", "malformed action"},
	    {"{\"counts\":{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,"
	     "\"i\":1}}",
		"too many"},
	    {"{\"counts\":{\"a\":1,\"a\":2}}", "twice"},
	    {"{\"counts\":{},\"counts\":{}}", "twice"},
	    {"{\"first_use\":5}", "member first_use"},
	    {"{\"first_use\":\"then\"}", "member first_use"},
	    {"{\"first_use\":\"1969-12-31T23:59:59Z\"}", "member first_use"},
	    {"{\"first_use\":\"9999-12-31T23:59:59-01:00\"}", "member first_use"},
	    {"{\"computer\":7}", "member computer is no thumbprint"},
	    {"{\"computer\":\"\"}", "member computer is no thumbprint"},
	    {"{\"computer\":\"AAAA\"}", "member computer is no thumbprint"},
	    {"{\"computer\":\"" ONE "A\"}", "member computer is no thumbprint"},
	    {"{\"computer\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\"}",
		"member computer is no thumbprint"},
	    {"{\"computer\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}",
		"member computer is no thumbprint"},
	    {"{\"format\":\"\"}", "member format"},
	    {"{\"format\":\"abcdefghijklmnopqrstuvwxyz012345\"}", "member format"},
	    {"{\"name\":\"a\\nb\"}", "member name"},
	    {"{\"name\":[]}", "member name"},
	    {"{\"name\":\"\xff\"}", "no UTF-8"},
	};
	struct license_state state, before;
	rh_error error;

	(void)unused;
	license_state_init(&state);
	strcpy(state.name, "as it was");
	before = state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		assert_int_equal(parse(&state, table[i].json, &error), RH_E_LICENSE_INVALID);
		if (strstr(error.text, table[i].text) == NULL)
			fail_msg("%s: %s", table[i].json, error.text);
		assert_int_equal(parse(&state, table[i].json, NULL), RH_E_LICENSE_INVALID);
		assert_memory_equal(&state, &before, sizeof state);
	}
}

static void test_limit(void **unused)
{
	size_t limit = 64 * 1024;
	char *json = malloc(limit + 1);
	struct license_state state;
	rh_error error;

	(void)unused;
	assert_non_null(json);
	memset(json, ' ', limit + 1);
	memcpy(json, "{}", 2);
	assert_int_equal(license_state_parse(&state, json, limit, &error), RH_OK);
	assert_int_equal(
	    license_state_parse(&state, json, limit + 1, &error), RH_E_LICENSE_INVALID);
	free(json);
}

static void test_merge(void **unused)
{
	static const struct {
		const char *mine, *other, *merged;
		bool changed;
	} table[] = {
	    {"{}", "{}", "{}", false},
	    {"{\"counts\":{\"play\":3}}", "{\"counts\":{\"play\":2}}",
		"{\"counts\":{\"play\":2}}", true},
	    {"{\"counts\":{\"play\":2}}", "{\"counts\":{\"play\":3}}",
		"{\"counts\":{\"play\":2}}", false},
	    {"{\"counts\":{\"play\":2}}", "{\"counts\":{\"play\":2}}",
		"{\"counts\":{\"play\":2}}", false},
	    {"{\"counts\":{\"play\":2}}", "{\"counts\":{\"copy\":0,\"play\":1}}",
		"{\"counts\":{\"play\":1,\"copy\":0}}", true},
	    {"{\"counts\":{\"play\":2}}", "{}", "{\"counts\":{\"play\":2}}", false},
	    {"{}", "{\"first_use\":\"2026-01-01T00:00:00Z\"}",
		"{\"first_use\":\"2026-01-01T00:00:00Z\"}", true},
	    {"{\"first_use\":\"2026-01-01T00:00:00Z\"}", "{}",
		"{\"first_use\":\"2026-01-01T00:00:00Z\"}", false},
	    {"{\"first_use\":\"2026-01-01T00:00:00Z\"}",
		"{\"first_use\":\"2025-01-01T00:00:00Z\"}",
		"{\"first_use\":\"2025-01-01T00:00:00Z\"}", true},
	    {"{\"first_use\":\"2025-01-01T00:00:00Z\"}",
		"{\"first_use\":\"2026-01-01T00:00:00Z\"}",
		"{\"first_use\":\"2025-01-01T00:00:00Z\"}", false},
	    {"{\"format\":\"opaque\",\"name\":\"a\"}", "{\"name\":\"b\"}",
		"{\"format\":\"opaque\",\"name\":\"a\"}", false},
	    {"{\"computer\":\"" ONE "\"}", "{\"computer\":\"" ONE "\"}",
		"{\"computer\":\"" ONE "\"}", false},
	    {"{\"computer\":\"" ONE "\"}", "{}", "{\"computer\":\"" ONE "\"}", false},
	    {"{}", "{\"computer\":\"" ONE "\"}", "{\"computer\":\"" ONE "\"}", true},
	    {"{\"computer\":\"" ONE "\"}", "{\"counts\":{\"play\":1},\"computer\":\"" TWO "\"}",
		"{\"counts\":{\"play\":1},\"computer\":\"" ONE "\"}", true},
	    /* No room for a ninth count: what is there stays. */
	    {"{\"counts\":{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1}}",
		"{\"counts\":{\"i\":1}}",
		"{\"counts\":{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1}"
		"}",
		false},
	};
	struct license_state mine, other;
	rh_error error;

	(void)unused;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		assert_int_equal(parse(&mine, table[i].mine, &error), RH_OK);
		assert_int_equal(parse(&other, table[i].other, &error), RH_OK);
		assert_int_equal(license_state_merge(&mine, &other), table[i].changed);
		check_format(&mine, table[i].merged);
		/* A second time changes nothing. */
		assert_false(license_state_merge(&mine, &other));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_tolerates),
	    cmocka_unit_test(test_any_file_name),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_limit),
	    cmocka_unit_test(test_merge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
