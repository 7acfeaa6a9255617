#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <libxml/parser.h>
#include <libxml/xmlmemory.h>

#include "failing.h"
#include "vectors.h"

/* Every allocation fails in turn: ours, libxml2's and jansson's. */

static int collect(void *context, const struct license *license,
    const struct license_rights *rights, rh_error *error)
{
	(void)rights;
	(void)error;
	*(struct license *)context = *license;
	return RH_OK;
}

static int read_one(const char *text, struct license *license, rh_error *error)
{
	const struct license_document document = {
	    .data = (const uint8_t *)text, .size = strlen(text), .name = "x"};

	return license_read(&document, collect, license, error);
}

static void check_document(const char *text, int expected)
{
	struct license whole = {0}, license;
	rh_error error;
	size_t count;

	failing_nth(0);
	assert_int_equal(read_one(text, &whole, &error), expected);
	count = failing_stop();
	assert_true(count > 3);
	for (size_t i = 1; i <= count; i++) {
		int code;

		memset(&license, 0, sizeof license);
		failing_nth(i);
		code = read_one(text, &license, &error);
		failing_stop();
		if (code == RH_E_MEMORY)
			continue;
		/* A library may do without; what comes out is whole all the same. */
		if (code != expected)
			fail_msg("allocation %zu of %zu: %d %s", i, count, code, error.text);
		if (code == RH_OK)
			assert_memory_equal(&license, &whole, sizeof license);
	}
	assert_int_equal(read_one(text, &license, &error), expected);
}

static void test_wmdrm(void **state)
{
	(void)state;
	check_document(
	    "<?xml version='1.0' encoding='utf-8'?><LICENSERESPONSE><LICENSE version='2.0.0.0'>"
	    "<DATA><LID>one</LID><KID>AQIDBAUGBwgJCgsMDQ4PEA==</KID>"
	    "<META name='title'>A &amp; B</META><META name=' url ' value='a&#10;b'/>"
	    "<ONSTORE><ACTION><![CDATA[secstate.n = 5]]></ACTION></ONSTORE>"
	    "<ONACTION type='Play'><CONDITION><![CDATA[secstate.n > 0]]></CONDITION>"
	    "<ACTION>secstate.n--</ACTION></ONACTION><ONACTION type='Backup'/>"
	    "</DATA></LICENSE></LICENSERESPONSE>",
	    RH_OK);
	check_document("<LICENSERESPONSE><LICENSE "
		       "version='2.0.0.0'>PExJQ0VOU0U+PERBVEE+"
		       "PExJRD5pbjwvTElEPjwvREFUQT48L0xJQ0VOU0U+</LICENSE>"
		       "<LICENSE><DATA><LID>two</LID></DATA></LICENSE></LICENSERESPONSE>",
	    RH_OK);
	check_document("<?xml version='1.0' encoding='ISO-8859-1'?><LICENSE><DATA><LID>a</LID>"
		       "<META name='title'>\xe9</META></DATA></LICENSE>",
	    RH_OK);
	check_document("<LICENSE><DATA><LID>a</DATA></LICENSE>", RH_E_LICENSE_XML);
	check_document(
	    "<LICENSE><DATA><LID>a</LID><LID>b</LID></DATA></LICENSE>", RH_E_LICENSE_INVALID);
}

static void test_lcp(void **state)
{
	(void)state;
	check_document(
	    "{\"id\":\"1\",\"issued\":\"2024-10-02T09:14:31Z\",\"provider\":\"p\","
	    "\"encryption\":{"
	    "\"profile\":\"p\",\"content_key\":{\"encrypted_value\":\"A\",\"algorithm\":\"a\"},"
	    "\"user_key\":{\"text_hint\":\"h\",\"algorithm\":\"a\",\"key_check\":\"A\"}},"
	    "\"links\":[{\"rel\":\"hint\",\"href\":\"h\"},{\"rel\":[\"publication\"],\"href\":"
	    "\"b\"}],"
	    "\"rights\":{\"print\":1},"
	    "\"signature\":{\"algorithm\":\"a\",\"certificate\":\"A\",\"value\":\"A\"}}",
	    RH_OK);
	check_document("{\"id\":\"1\",\"provider\":[{\"a\":1.5},null]", RH_E_LICENSE_INVALID);
}

/* With a trust, so that the signature is looked at and the content key opened. */
static void check_vector(const char *name, const struct license_trust *trust, int expected)
{
	size_t size, count = 1;
	char *text = vectors_load(name, &size);

	for (size_t i = 0; i <= count; i++) {
		struct buffer secret = {0};
		const struct license_document document = {.data = (const uint8_t *)text,
		    .size = size,
		    .name = "x",
		    .trust = trust,
		    .secret = &secret};
		struct license license = {0};
		size_t allocations;
		rh_error error;
		int code;

		failing_nth(i);
		code = license_read(&document, collect, &license, &error);
		allocations = failing_stop();
		if (i == 0)
			count = allocations;
		if (code != RH_E_MEMORY || i == 0)
			assert_int_equal(code, expected);
		if (code == RH_OK)
			assert_int_equal(license.count_count, 0);
		assert_int_equal(secret.size, code == RH_OK && !trust->moved ? 25 : 0);
		assert_true((license.id[0] != '\0') == (code == RH_OK));
		buffer_free_secret(&secret);
	}
	assert_true(count > 2);
	free(text);
}

static void test_signed(void **state)
{
	struct vectors vectors;
	struct license_trust moved;

	(void)state;
	/* Not jansson's own: within a text, it does not survive that (crypto/jsontext.c). */
	json_set_alloc_funcs(__real_malloc, free);
	vectors_open(&vectors);
	moved = vectors.trust;
	moved.moved = true;
	check_vector("owned.jws", &vectors.trust, RH_OK);
	check_vector("owned.jws", &moved, RH_OK);
	check_vector("edited.jws", &vectors.trust, RH_E_LICENSE_SIGNATURE);
	check_vector("content-key-edited.jws", &vectors.trust, RH_E_LICENSE_CONTENT_KEY);
	check_vector("crit-claim.jws", &vectors.trust, RH_E_LICENSE_CRITICAL);
	check_vector("member-twice.jws", &vectors.trust, RH_E_LICENSE_INVALID);
	vectors_close(&vectors);
	json_set_alloc_funcs(__wrap_malloc, free);
}

static void test_state(void **unused)
{
	static const char json[] =
	    "{\"counts\":{\"play\":3},\"first_use\":\"2026-11-22T15:10:00Z\","
	    "\"computer\":\"ZsXBia-CcHnrgB681OPys-HwnKYa5clfeI0ukWI0QPQ\","
	    "\"format\":\"opaque\",\"name\":\"a.lic\"}";
	struct license_state state;
	struct buffer buffer;
	size_t count = 1000;
	rh_error error;

	(void)unused;
	for (size_t i = 0; i <= count; i++) {
		size_t allocations;
		int code;

		memset(&buffer, 0, sizeof buffer);
		failing_nth(i);
		code = license_state_parse(&state, json, strlen(json), &error);
		if (code == RH_OK)
			code = license_state_format(&state, &buffer, &error);
		allocations = failing_stop();
		if (i == 0)
			count = allocations;
		if (code == RH_OK) {
			assert_int_equal(buffer.size, strlen(json));
			assert_memory_equal(buffer.data, json, buffer.size);
		} else {
			assert_int_equal(code, RH_E_MEMORY);
			assert_int_equal(buffer.size, 0);
		}
		assert_true(i > 0 || code == RH_OK);
		buffer_free(&buffer);
	}
	assert_true(count > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_wmdrm),
	    cmocka_unit_test(test_lcp),
	    cmocka_unit_test(test_signed),
	    cmocka_unit_test(test_state),
	};

	xmlMemSetup(free, __wrap_malloc, __wrap_realloc, __wrap_strdup);
	json_set_alloc_funcs(__wrap_malloc, free);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
