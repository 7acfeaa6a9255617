/* Licences in base64 within the XML of an envelope, in each of the formats that stand there. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

#include "records.h"
#include "wmdrm.h"

/* An envelope around base64 of the bytes, in lines of 76 characters. */
static size_t wrap(char *target, const char *version, const void *bytes, size_t size)
{
	static char base64[BASE64_SIZE(65536)];
	size_t length = base64_encode(base64, bytes, size, 0);
	size_t at =
	    (size_t)sprintf(target, "<LICENSERESPONSE>\n<LICENSE version=\"%s\">\n", version);

	for (size_t i = 0; i < length; i += 76)
		at += (size_t)sprintf(target + at, "%.76s\n", base64 + i);
	return at + (size_t)sprintf(target + at, "</LICENSE></LICENSERESPONSE>");
}

static void test_wrapped(void **state)
{
	static const char inner[] = PLAIN(IDS BACKUP "<META name='title'>Within</META>");
	static const char broken[] = "<LICENSE>\n<DATA>\n</LICENSE>";
	static const char envelope[] = ENVELOPE(PLAIN(IDS));
	static const char twice[] = "<LICENSE>QUJD</LICENSE>";
	static struct records records;
	static char document[65536];
	uint8_t wide[2048];

	(void)state;
	records_read(
	    &records, document, wrap(document, "2.0.0.0", inner, strlen(inner)), "x", NULL);
	assert_int_equal(records.code, RH_OK);
	assert_string_equal(records.items[0].id, LID_TEXT);
	assert_string_equal(records.items[0].title, "Within");
	assert_int_equal(records.items[0].backup, LICENSE_YES);

	records_read(&records, document,
	    wrap(document, "2.0.0.0", wide, records_utf16(wide, inner, true, false)), "x",
	    NULL);
	assert_int_equal(records.code, RH_OK);
	assert_string_equal(records.items[0].title, "Within");

	/* The place of a fault within names both. */
	records_read(
	    &records, document, wrap(document, "2.0.0.0", broken, strlen(broken)), "x", NULL);
	assert_int_equal(records.code, RH_E_LICENSE_XML);
	assert_non_null(strstr(records.error.text, "x: LICENSE 1: line 3, column "));

	records_read(&records, document, wrap(document, "2.0.0.0", envelope, strlen(envelope)),
	    "x", NULL);
	assert_int_equal(records.code, RH_E_LICENSE_FORMAT);
	records_read(
	    &records, document, wrap(document, "2.0.0.0", twice, strlen(twice)), "x", NULL);
	assert_int_equal(records.code, RH_E_LICENSE_INVALID);
}

static void test_not_wrapped(void **state)
{
	static const struct {
		const char *version;
		const char *bytes;
		size_t size;
		int code;
		const char *text;
	} table[] = {
	    {"3.0.0.0", "XMR\0\0\0\0\1", 8, RH_E_LICENSE_INVALID,
		"x: LICENSE 1: XMR licence: it is cut off"},
	    {"2.0.0.0", "XMR\0\0\0\0\1", 8, RH_E_LICENSE_INVALID,
		"x: LICENSE 1: XMR licence: it is cut off"},
	    {"3.0.0.0", "YMR\0\0\0\0\1", 8, RH_E_LICENSE_INVALID, "no XMR in it"},
	    {"0.1.0.0", "\0\1\0\0", 4, RH_E_LICENSE_INVALID,
		"x: LICENSE 1: version 1 licence: it is cut off"},
	    {"", "\0\1\0\0\x75\0\0\0", 8, RH_E_LICENSE_INVALID, "version 1 licence"},
	    {"", "\0\1\0\0\x75\0\0\1", 8, RH_E_LICENSE_INVALID, "too short"},
	    {"2.0.0.0", "\x91\x02\x7f", 3, RH_E_LICENSE_INVALID, "too short"},
	    {"9.9", "\x91\x02\x7f", 3, RH_E_LICENSE_FORMAT, "version 9.9"},
	    {"2.0.0.0", "", 0, RH_E_LICENSE_INVALID, "LICENSE 1 is empty"},
	};
	static struct records records;
	static char document[4096];

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		size_t size = wrap(document, table[i].version, table[i].bytes, table[i].size);

		records_read(&records, document, size, "x", NULL);
		assert_int_equal(records.code, table[i].code);
		if (strstr(records.error.text, table[i].text) == NULL)
			fail_msg("%s", records.error.text);
	}
}

/* A licence that only its client can open: a block of 80 bytes, and more. */
static void test_encrypted(void **state)
{
	static const char second[] = "<LICENSE version='2.0.0.0'>";
	static struct records records;
	static char document[8192], base64[BASE64_SIZE(200)];
	uint8_t bytes[200];
	char text[RECORD_TEXT_SIZE];
	size_t size;

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(0x91 + 37 * i);
	for (int version = 0; version < 2; version++) {
		size = wrap(document, version == 0 ? "2.0.0.0" : "", bytes, sizeof bytes);
		records_read(&records, document, size, "x", NULL);
		assert_int_equal(records.code, RH_OK);
		assert_int_equal(records.count, 1);
		assert_memory_equal(records.items[0].id, "sha256-", 7);
		assert_int_equal(strlen(records.items[0].id), 39);
		record_text(text, &records.items[0]);
		assert_string_equal(strchr(text, '|'), "||||||||unknown");
		assert_non_null(strstr(records.items[0].reason, "still encrypted"));
		assert_string_equal(records.items[0].format, "wmdrm");
		assert_int_equal(license_class(&records.items[0]), LICENSE_RESTRICTED);
		record_rights(text, &records, 0);
		assert_string_equal(text, "none");
	}
	/* The block alone is no licence; one byte more may be. */
	for (size_t length = 1; length < 90; length++) {
		size = wrap(document, "2.0.0.0", bytes, length);
		records_read(&records, document, size, "x", NULL);
		assert_int_equal(records.code, length > 80 ? RH_OK : RH_E_LICENSE_INVALID);
	}
	/* Beside a plain one, and twice: each has an id of its own. */
	base64_encode(base64, bytes, sizeof bytes, 0);
	sprintf(document, ENVELOPE("%s%s</LICENSE>" PLAIN(IDS BACKUP) "%s%s</LICENSE>"), second,
	    base64, second, base64);
	records_read(&records, document, strlen(document), "x", NULL);
	assert_int_equal(records.code, RH_OK);
	assert_int_equal(records.count, 3);
	assert_string_equal(records.items[1].id, LID_TEXT);
	assert_int_equal(records.items[1].backup, LICENSE_YES);
	snprintf(text, sizeof text, "%s-3", records.items[0].id);
	assert_string_equal(records.items[2].id, text);
	assert_string_equal(records.items[2].key_id, "");
}

/* Cut off anywhere, and with any one byte changed: an error or valid records. */
static void test_truncated_and_changed(void **state)
{
	static const char inner[] =
	    PLAIN(IDS BACKUP "<META name='title'>Within \xc3\xa9</META>");
	static char document[8192], changed[8192];
	static struct records records;
	size_t size;

	(void)state;
	size = wrap(document, "2.0.0.0", inner, strlen(inner));
	size -= strlen("</LICENSERESPONSE>");
	size += (size_t)sprintf(document + size, "%s</LICENSERESPONSE>",
	    "<LICENSE><DATA><LID>second</LID><KID>AQIDBAUGBwgJCgsMDQ4PEA==</KID>"
	    "<ISSUEDATE>#20070119 21:15:40Z#</ISSUEDATE><META><title>T &amp; "
	    "T</title></META>" ON_STORE("secstate.n = 5") RULE_DOING("Play",
		"secstate.n > 0 && machine.datetime < "
		"#20080701 00:00:00Z#",
		"secstate.n--") BACKUP "</DATA></LICENSE>");
	records_read(&records, document, size, "x", NULL);
	assert_int_equal(records.code, RH_OK);
	assert_int_equal(records.count, 2);
	for (size_t cut = 0; cut < size; cut++) {
		records_read(&records, document, cut, "x", "wmdrm");
		assert_int_not_equal(records.code, RH_OK);
	}
	for (size_t at = 0; at < size; at++) {
		memcpy(changed, document, size);
		changed[at] = (char)(at * 7 + 1);
		records_read(&records, changed, size, "x", NULL);
		changed[at] = '\xff';
		records_read(&records, changed, size, "x", NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_wrapped),
	    cmocka_unit_test(test_not_wrapped),
	    cmocka_unit_test(test_encrypted),
	    cmocka_unit_test(test_truncated_and_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
