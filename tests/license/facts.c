#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "license/license.h"

static struct license sample(void)
{
	struct license license = {
	    .id = "e3136375-8010-bdb6-2d7b-6ef3903f055a",
	    .key_id = "af638f67-a4bc-f148-11fd-afc2d7760e9f",
	    .issuer = "Tidewater Music",
	    .title = "Winter \xe6\x97\xa5",
	    .issued = -5,
	    .not_before = LICENSE_TIME_NONE,
	    .not_after = 1795360200,
	    .counts = {{"play", 3}, {"copy to cd", UINT64_MAX}},
	    .count_count = 2,
	    .backup = LICENSE_YES,
	    .reason = "",
	    .format = license_format_name("wmdrm"),
	};

	return license;
}

static void round_trip(void **state)
{
	struct license license = sample(), back;
	struct buffer line = {0}, again = {0};

	(void)state;
	assert_non_null(license.format);
	assert_int_equal(license_facts_format(&license, &line, NULL), RH_OK);
	assert_true(line.size > 0);
	assert_null(memchr(line.data, '\n', line.size));
	memset(&back, 0x55, sizeof back);
	assert_true(license_facts_parse(&back, line.data, line.size));
	assert_string_equal(back.id, license.id);
	assert_string_equal(back.title, license.title);
	assert_string_equal(back.service, "");
	assert_int_equal(back.issued, -5);
	assert_int_equal(back.not_before, LICENSE_TIME_NONE);
	assert_int_equal(back.count_count, 2);
	assert_string_equal(back.counts[1].action, "copy to cd");
	assert_true(back.counts[1].remaining == UINT64_MAX);
	assert_ptr_equal(back.format, license.format);
	assert_int_equal(license_class(&back), LICENSE_OWNED);
	assert_int_equal(license_facts_format(&back, &again, NULL), RH_OK);
	assert_int_equal(again.size, line.size);
	assert_memory_equal(again.data, line.data, line.size);
	buffer_free(&line);
	buffer_free(&again);
}

/* Cut anywhere, or with any byte made a NUL, it is no line or another one; never a crash. */
static void cut_lines(void **state)
{
	struct license license = sample(), back;
	struct buffer line = {0};

	(void)state;
	assert_int_equal(license_facts_format(&license, &line, NULL), RH_OK);
	for (size_t size = 0; size < line.size; size++) {
		uint8_t *exact = malloc(size > 0 ? size : 1);

		memcpy(exact, line.data, size);
		license_facts_parse(&back, exact, size);
		free(exact);
	}
	for (size_t i = 0; i < line.size; i++) {
		uint8_t old = line.data[i];

		line.data[i] = '\0';
		assert_false(license_facts_parse(&back, line.data, line.size));
		line.data[i] = old;
	}
	buffer_free(&line);
}

static void not_believed(void **state)
{
	static const char *const lines[] = {
	    "", "2", "1\twmdrm\tid\t\t\t\t\t\t\t", /* other readers */
	    "2\tunknown\tid\t\t\t\t\t\t\t", /* a format that is none */
	    "2\twmdrm\t\t\t\t\t\t\t\t", /* no id */
	    "2\twmdrm\tid\t\t\t\t\t\t", /* a field too few */
	    "2\twmdrm\tid\t\t\t\t\tx\t\t", /* a time that is none */
	    "2\twmdrm\tid\t\t\t\t\t\t\t\tplay", /* a count without number */
	    "2\twmdrm\tid\t\t\t\t\t\t\t\t3", /* and without action */
	    "2\twmdrm\tid\t\t\t\xff\t\t\t\t", /* no UTF-8 */
	};
	struct license back;

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		assert_false(license_facts_parse(&back, lines[i], strlen(lines[i])));
	assert_true(license_facts_parse(&back, "2\twmdrm\tid\t\t\t\t\t\t\t", 17));
}

/* A managed licence has a line, too, and comes out of it managed. */
static void managed(void **state)
{
	struct license license = sample(), back;
	struct buffer line = {0};

	(void)state;
	strcpy(license.service, "https://licences.example/");
	strcpy(license.title, "{\"en\":\"River songs\"}");
	license.format = license_format_name("signed");
	assert_int_equal(license_facts_format(&license, &line, NULL), RH_OK);
	assert_true(license_facts_parse(&back, line.data, line.size));
	assert_int_equal(license_class(&back), LICENSE_MANAGED);
	assert_string_equal(back.service, license.service);
	assert_string_equal(back.title, license.title);
	assert_true(license_format_signed(back.format));
	buffer_free(&line);
}

static void not_written(void **state)
{
	struct license restricted = sample(), tab = sample();
	struct buffer line = {0};

	(void)state;
	restricted.backup = LICENSE_NO;
	strcpy(tab.title, "a\tb");
	assert_int_equal(license_facts_format(&restricted, &line, NULL), RH_OK);
	assert_int_equal(license_facts_format(&tab, &line, NULL), RH_OK);
	assert_int_equal(line.size, 0);
	buffer_free(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(round_trip),
	    cmocka_unit_test(cut_lines),
	    cmocka_unit_test(not_believed),
	    cmocka_unit_test(managed),
	    cmocka_unit_test(not_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
