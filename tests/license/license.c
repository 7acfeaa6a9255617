#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>

#include <cmocka.h>

#include "base/file.h"

#include "records.h"

static void test_readers(void **state)
{
	static const char *const names[] = {
	    "wmdrm", "xmr", "drmv1", "clearkey", "lcp", "signed", "opaque", NULL};
	size_t i = 0;

	(void)state;
	for (; license_readers[i] != NULL; i++) {
		assert_string_equal(license_readers[i]->name, names[i]);
		assert_true(license_readers[i]->title[0] != '\0');
		assert_non_null(license_readers[i]->read);
	}
	assert_null(names[i]);
}

static void test_detection(void **state)
{
	static const struct {
		const char *data;
		size_t size;
		const char *format;
		int code;
		const char *text;
	} table[] = {
	    {"", 0, NULL, RH_E_LICENSE_INVALID, "is empty"},
	    {"", 0, "opaque", RH_E_LICENSE_INVALID, "is empty"},
	    {"PK\3\4", 4, NULL, RH_E_LICENSE_FORMAT, "--format opaque keeps any file"},
	    {" \n", 2, NULL, RH_E_LICENSE_FORMAT, "--format opaque"},
	    {"\xff\xfe", 2, NULL, RH_E_LICENSE_FORMAT, "--format opaque"},
	    {"[1]", 3, NULL, RH_E_LICENSE_FORMAT, "--format opaque"},
	    {"x", 1, "dice", RH_E_LICENSE_FORMAT, "no reader of licences is called \"dice\""},
	    {"x", 1, "", RH_E_LICENSE_FORMAT, "no reader of licences"},
	    {"x", 1, "wmdrm", RH_E_LICENSE_XML, "line 1"},
	    {"x", 1, "lcp", RH_E_LICENSE_INVALID, "line 1"},
	    {"<a/>", 4, NULL, RH_E_LICENSE_FORMAT, "root element is a"},
	    {"{}", 2, NULL, RH_E_LICENSE_FORMAT, "no Readium LCP"},
	};
	static struct records records;

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		records_read(
		    &records, table[i].data, table[i].size, "dir/file", table[i].format);
		assert_int_equal(records.code, table[i].code);
		if (strstr(records.error.text, table[i].text) == NULL)
			fail_msg("%s", records.error.text);
		/* Without a name the sentence still makes sense, and nobody has to ask for it.
		 */
		records_read(&records, table[i].data, table[i].size, NULL, table[i].format);
		assert_int_equal(records.code, table[i].code);
		assert_memory_equal(records.error.text, "licence: ", 9);
	}
}

static void test_names_in_messages(void **state)
{
	char name[1024];
	const struct license_document document = {
	    .data = (const uint8_t *)"?", .size = 1, .name = name};
	rh_error error;

	(void)state;
	/* Of a long path its end is shown, from the start of a character. */
	strcpy(name, "/first/");
	while (strlen(name) < 800)
		strcat(name, "\xe2\x82\xac");
	strcat(name, "/last.xml");
	assert_int_equal(license_read(&document, NULL, NULL, &error), RH_E_LICENSE_FORMAT);
	assert_memory_equal(error.text, "...\xe2\x82\xac", 6);
	assert_non_null(strstr(error.text, "/last.xml: no known"));
	assert_null(strstr(error.text, "/first/"));
	/* What a terminal would obey is not passed on. */
	strcpy(name, "a\33[2J\nb");
	assert_int_equal(license_read(&document, NULL, NULL, &error), RH_E_LICENSE_FORMAT);
	assert_memory_equal(error.text, "a [2J b: ", 9);
}

static void test_too_big(void **state)
{
	static struct records records;
	static uint8_t data[LICENSE_MAX + 1];

	(void)state;
	data[0] = 1;
	records_read(&records, data, LICENSE_MAX + 1, "x", "opaque");
	assert_int_equal(records.code, RH_E_LICENSE_TOO_BIG);
	assert_non_null(strstr(records.error.text, "1048577 bytes"));
	records_read(&records, data, LICENSE_MAX, "x", "opaque");
	assert_int_equal(records.code, RH_OK);
}

static void test_opaque(void **state)
{
	static const struct {
		const char *name, *title;
	} table[] = {
	    {"a/b c.lic", "b c.lic"},
	    {"b.lic", "b.lic"},
	    {"a/", ""},
	    {NULL, ""},
	    {"a/\xc3\xa9\n\xff", "\xc3\xa9 ?"},
	};
	static struct records records;

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		records_read(&records, "abc", 3, table[i].name, "opaque");
		assert_int_equal(records.code, RH_OK);
		assert_int_equal(records.count, 1);
		/* FIPS 180-2, B.1 */
		assert_string_equal(
		    records.items[0].id, "sha256-ba7816bf8f01cfea414140de5dae2223");
		assert_string_equal(records.items[0].title, table[i].title);
		assert_string_equal(records.items[0].format, "opaque");
		assert_int_equal(records.items[0].backup, LICENSE_YES);
		assert_int_equal(license_class(&records.items[0]), LICENSE_OWNED);
	}
	/* What another reader would know stays a file like any other. */
	records_read(&records, "<LICENSE", 8, "x", "opaque");
	assert_int_equal(records.code, RH_OK);
}

static int refuse(void *context, const struct license *license,
    const struct license_rights *rights, rh_error *error)
{
	(void)rights;
	(void)license;
	++*(int *)context;
	if (error != NULL)
		error->code = RH_E_CANCELED;
	return RH_E_CANCELED;
}

static void test_sink_stops(void **state)
{
	static const char two[] = "<LICENSERESPONSE><LICENSE><DATA/></LICENSE>"
				  "<LICENSE><DATA/></LICENSE></LICENSERESPONSE>";
	struct license_document document = {.data = (const uint8_t *)two, .size = strlen(two)};
	int calls = 0;
	rh_error error;

	(void)state;
	assert_int_equal(license_read(&document, refuse, &calls, &error), RH_E_CANCELED);
	assert_int_equal(calls, 1);
	document.format = "opaque";
	assert_int_equal(license_read(&document, refuse, &calls, NULL), RH_E_CANCELED);
	assert_int_equal(calls, 2);
}

static void test_class(void **state)
{
	static const struct {
		enum license_right backup;
		const char *service;
		enum license_class class;
	} table[] = {
	    {LICENSE_YES, "", LICENSE_OWNED},
	    {LICENSE_YES, "https://x", LICENSE_MANAGED},
	    {LICENSE_NO, "", LICENSE_RESTRICTED},
	    {LICENSE_NO, "https://x", LICENSE_RESTRICTED},
	    {LICENSE_UNKNOWN, "", LICENSE_RESTRICTED},
	};
	struct license license = {0};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		license.backup = table[i].backup;
		strcpy(license.service, table[i].service);
		assert_int_equal(license_class(&license), table[i].class);
	}
}

static void test_path_component(void **state)
{
	static const struct {
		const char *id, *component;
	} table[] = {
	    {"00112233-4455-6677-8899-aabbccddeeff", "00112233-4455-6677-8899-aabbccddeeff"},
	    {"Aa_-.9", "Aa_-.9"},
	    {".", "%2E"},
	    {"..", "%2E."},
	    {".hidden", "%2Ehidden"},
	    {"a/b", "a%2Fb"},
	    {"a%2Fb", "a%252Fb"},
	    {"urn:uuid:1", "urn%3Auuid%3A1"},
	    {"\xc3\xa9 \x7f", "%C3%A9%20%7F"},
	    /* 60 characters are the limit, */
	    {"012345678901234567890123456789012345678901234567890123456789",
		"012345678901234567890123456789012345678901234567890123456789"},
	    {"01234567890123456789012345678901234567890123456789012345/",
		"01234567890123456789012345678901234567890123456789012345%2F"},
	    /* of what was written, not of the id. */
	    {"0123456789012345678901234567890123456789012345678901234567890",
		"sha256-4479dab395552c7a01190926e54af267c657d64e36bb7233"},
	    {"//////////////////////////////",
		"sha256-8d5eec84231c16011e85b9f911d59f006f15919ced14b3f7"},
	    {"", "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934c"},
	};
	char text[LICENSE_COMPONENT_SIZE];
	rh_error error;

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		memset(text, 'x', sizeof text);
		assert_int_equal(license_path_component(text, table[i].id, &error), RH_OK);
		assert_string_equal(text, table[i].component);
	}
}

/* The example licences are what their README says. */
static void test_examples(void **state)
{
	static const struct {
		const char *name, *format;
		const char *records[3];
	} table[] = {
	    {"audiobook-lighthouse-keeper.xml", NULL,
		{"13fb3a61-5d10-08b8-6679-037dc039dff7|9a784fe7-3c47-65b5-5247-555d1e8cb2a9|"
		 "Libro Audio|The Lighthouse Keeper's Almanac, read by Oskar "
		 "Lindqvist|2004-10-01T00:00:00Z||||yes"}},
	    {"audiobook-winter-station.xml", NULL,
		{"d15b61b3-a753-3ece-84fa-5b49306799a8|eb56ca4f-da87-9830-035c-3541149c12cc|"
		 "Plaza Rentals|\320\227\320\270\320\274\320\275\321\217\321\217 "
		 "\321\201\321\202\320\260\320\275\321\206\320\270\321\217 (Winter "
		 "Station)|2005-12-24T17:00:00Z||||yes"}},
	    {"concert-electric-meadow.xml", NULL,
		{"456c60c2-a5ce-ab08-e69c-584e5cfde4e2|19881a14-1b28-bd72-ce74-febd52a011e5|"
		 "Aria Online|Electric Meadow (Live)|2008-03-07T10:41:27Z||||unknown"}},
	    {"film-glass-canyon.xml", NULL,
		{"81a5b94d-7ae6-2d07-aa74-07004713e4b4|18b99b25-5618-e9b9-b5bc-22599a35a9c0|"
		 "Northstar Video|Glass Canyon \342\200\223 "
		 "\346\227\245\346\234\254\350\252\236\347\211\210|2008-08-29T12:00:00Z||||"
		 "no"}},
	    {"film-rental-paper-satellite.xml", NULL,
		{"fc60cd9a-63d3-9266-8368-cdce477dc139|963a1265-05e4-3dea-5534-fc7a5ef88f2f|"
		 "Cinema Direct|Paper Satellite|2009-02-14T19:59:03Z|||play:2|no"}},
	    {"music-amber-river.xml", NULL,
		{"cd5498b2-3eeb-f2c5-92d8-4b7486214eb7|57516737-5d61-d452-9df6-08c5135b9074|"
		 "Tidewater Music|Amber River \342\200\223 "
		 "Reprise|2005-03-12T18:04:55Z|||copytocd:7|yes"}},
	    {"music-golden-engine-two-discs.xml", NULL,
		{"878f2570-1eba-5958-24ff-87ed85c708f6|2e8cf1a8-b652-522f-10db-11bb96e4363e|"
		 "BlueNote Store|Golden Engine, Disc 1|2006-07-04T08:00:00Z||||yes",
		    "35f2248b-f907-5338-9c99-99173238c2ca|457afb6f-b43c-d72a-9beb-65c1084b702d|"
		    "BlueNote Store|Golden Engine, Disc 2|2006-07-04T08:00:00Z||||yes"}},
	    {"music-lettre-d-hiver.xml", NULL,
		{"9ee62b46-11d9-b921-d594-4c997cae58ab|2a728927-3ea6-6f6f-6618-84bf3801433d|"
		 "Harmonia Downloads|Lettre d'hiver (\303\211dition "
		 "Sp\303\251ciale)|2006-11-24T09:30:00Z|||copytocd:3|yes"}},
	    {"radioplay-night-train.xml", NULL,
		{"26dcfe15-252c-22ca-c4f2-84b625da74b3|017ca50f-b1a5-eab1-903a-3cf709448b1b|"
		 "Campus Tunes|Night Train to Harbour Street, Episode "
		 "1|2007-01-19T21:15:40Z|||play:5|yes"}},
	    {"subscription-silent-orchard.xml", NULL,
		{"d9f59978-2392-c9ee-ed69-249da70990cd|bb1a943a-faf7-b118-43f6-d207aea7129c|"
		 "Sound & Vision|Silent "
		 "Orchard|2008-06-01T00:00:00Z|2008-06-01T00:00:00Z|2008-07-01T00:00:00Z||"
		 "yes"}},
	    {"ebook-library-loan.lcpl", NULL,
		{"urn:uuid:b2c9f5d8-3a41-4a72-8a5e-0f6d7e8c9b10|https://"
		 "library.harbourtown.example/loans/77120/publication|https://"
		 "library.harbourtown.example|Kleine Br\303\274cken \303\274ber gro\303\237e "
		 "Fl\303\274sse|2026-03-01T07:00:00Z|2026-03-01T07:00:00Z|2026-03-22T07:00:00Z|"
		 "print:0,copy:0|yes"}},
	    {"ebook-the-cartographers-winter.lcpl", NULL,
		{"3f1c7a52-8e04-4b6b-9d0f-5a1e2c3b4d5e|https://shop.libroaudio.example/files/"
		 "9780000000019.epub|https://shop.libroaudio.example|The Cartographer's "
		 "Winter|2024-10-02T09:14:31Z|||print:20,copy:4000|yes"}},
	    {"synth-studio.lic", "opaque",
		{"sha256-7e5d27e26b6729a168bbf37c8fa249fb|||synth-studio.lic|||||yes"}},
	};
	static struct records records;
	char path[4096], text[RECORD_TEXT_SIZE];
	struct buffer buffer = {0};
	rh_error error;

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", EXAMPLES, table[i].name);
		buffer_clear(&buffer);
		assert_int_equal(
		    file_read_whole(AT_FDCWD, path, LICENSE_MAX, &buffer, path, &error), RH_OK);
		records_read(
		    &records, buffer.data, buffer.size, table[i].name, table[i].format);
		if (records.code != RH_OK)
			fail_msg("%s", records.error.text);
		for (size_t k = 0; k < records.count; k++) {
			record_text(text, &records.items[k]);
			assert_non_null(table[i].records[k]);
			assert_string_equal(text, table[i].records[k]);
		}
		assert_null(table[i].records[records.count]);
	}
	buffer_free(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_readers),
	    cmocka_unit_test(test_detection),
	    cmocka_unit_test(test_names_in_messages),
	    cmocka_unit_test(test_too_big),
	    cmocka_unit_test(test_opaque),
	    cmocka_unit_test(test_sink_stops),
	    cmocka_unit_test(test_class),
	    cmocka_unit_test(test_path_component),
	    cmocka_unit_test(test_examples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
