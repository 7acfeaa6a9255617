#include <stdarg.h>
#include <setjmp.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <libxml/parser.h>
#include <libxml/xmlmemory.h>

#include "base/text.h"
#include "license/license.h"

#include "failing.h"

/*
 * Every allocation fails in turn, and what is given back to the heap (free() is wrapped here)
 * is looked through for a key.
 */
static bool watching;

static const char secret[] = "Q2xlYXJLZXktc2VjcmV0LTE2";

void __real_free(void *old);
void __wrap_free(void *old);

void __wrap_free(void *old)
{
	if (old != NULL && watching)
		assert_null(memmem(old, malloc_usable_size(old), secret, strlen(secret)));
	__real_free(old);
}

struct reading {
	struct license licenses[4];
	struct license_rights rights[4];
	size_t count;
};

static int collect(void *context, const struct license *license,
    const struct license_rights *rights, rh_error *error)
{
	struct reading *reading = context;

	(void)error;
	if (rights != NULL)
		reading->rights[reading->count] = *rights;
	reading->licenses[reading->count++] = *license;
	return RH_OK;
}

static void check(const void *data, size_t size, int expected)
{
	const struct license_document document = {.data = data, .size = size, .name = "x"};
	static struct reading whole, reading;
	rh_error error;
	size_t count;

	memset(&whole, 0, sizeof whole);
	failing_nth(0);
	watching = true;
	assert_int_equal(license_read(&document, collect, &whole, &error), expected);
	count = failing_stop();
	assert_true(count > 0 || expected != RH_OK);
	for (size_t i = 1; i <= count; i++) {
		int code;

		memset(&reading, 0, sizeof reading);
		failing_nth(i);
		code = license_read(&document, collect, &reading, &error);
		failing_stop();
		if (code == RH_E_MEMORY) {
			assert_int_equal(reading.count, 0);
			continue;
		}
		if (code != expected)
			fail_msg("allocation %zu of %zu: %d %s", i, count, code, error.text);
		if (code == RH_OK)
			assert_memory_equal(&reading, &whole, sizeof reading);
	}
	watching = false;
}

static size_t make_drmv1(uint8_t bytes[165])
{
	memset(bytes, 0, 165);
	memcpy(bytes, "\0\1\0\0\x75\0\0\0", 8);
	memcpy(bytes + 48, "song", 4);
	return 165;
}

static void test_drmv1(void **state)
{
	uint8_t bytes[165];
	char text[BASE64_SIZE(165)];

	(void)state;
	check(bytes, make_drmv1(bytes), RH_OK);
	check(text, base64_encode(text, bytes, sizeof bytes, 0), RH_OK);
	check(text, base64_encode(text, bytes, sizeof bytes - 9, 0), RH_E_LICENSE_INVALID);
}

static void test_xmr(void **state)
{
	static const uint8_t bytes[] = "XMR\0\0\0\0\1"
				       "0123456789abcdef"
				       "\0\3\0\1\0\0\0\x14"
				       "\0\1\0\x13\0\0\0\x0c\0\0\0\1";

	(void)state;
	check(bytes, sizeof bytes - 1, RH_OK);
	check(bytes, sizeof bytes - 2, RH_E_LICENSE_INVALID);
}

static void test_envelope(void **state)
{
	char document[2048], first[BASE64_SIZE(165)], second[BASE64_SIZE(100)];
	uint8_t bytes[165], encrypted[100];

	(void)state;
	make_drmv1(bytes);
	memset(encrypted, 0x91, sizeof encrypted);
	base64_encode(first, bytes, sizeof bytes, 0);
	base64_encode(second, encrypted, sizeof encrypted, 0);
	sprintf(document,
	    "<LICENSERESPONSE><LICENSE version='0.1.0.0'>%s</LICENSE><LICENSE>%s</LICENSE>"
	    "<LICENSE><DATA><ONACTION type='Play'/></DATA></LICENSE></LICENSERESPONSE>",
	    first, second);
	check(document, strlen(document), RH_OK);
}

static void test_clearkey(void **state)
{
	char document[1024];

	(void)state;
	sprintf(document,
	    "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"AQ\",\"k\":\"%s\"},"
	    "{\"kty\":\"oct\",\"kid\":\"AQI\",\"k\" : \"%s\"}],\"type\":\"temporary\"}",
	    secret, secret);
	check(document, strlen(document), RH_OK);
	sprintf(document, "{\"keys\":[{\"kty\":\"oct\",\"\\u006b\":\"%s\",\"d\":[\"%s\"]",
	    secret, secret);
	check(document, strlen(document), RH_E_LICENSE_INVALID);
	/* A set of private keys, which is no licence. */
	sprintf(document, "{\"keys\":[{\"kty\":\"EC\",\"d\":\"%s\"}]}", secret);
	check(document, strlen(document), RH_E_LICENSE_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_drmv1),
	    cmocka_unit_test(test_xmr),
	    cmocka_unit_test(test_envelope),
	    cmocka_unit_test(test_clearkey),
	};

	xmlMemSetup(free, __wrap_malloc, __wrap_realloc, __wrap_strdup);
	json_set_alloc_funcs(__wrap_malloc, __wrap_free);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
