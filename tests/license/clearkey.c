#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "crypto/crypto.h"

#include "records.h"

#define KID1 "AQIDBAUGBwgJCgsMDQ4PEA"
#define KID2 "AAECAwQFBgcICQoLDA0ODw"
#define GUID1 "01020304-0506-0708-090a-0b0c0d0e0f10"
#define GUID2 "00010203-0405-0607-0809-0a0b0c0d0e0f"
#define SECRET "c2VjcmV0LWNvbnRlbnQta2V5"
#define KEY(kid) "{\"kty\":\"oct\",\"kid\":\"" kid "\",\"k\":\"" SECRET "\"}"
#define SET(keys) "{\"keys\":[" keys "]}"
#define LASTING(keys) "{\"keys\":[" keys "],\"type\":\"persistent-license\"}"

static struct records records;

static void read_text(const char *text)
{
	records_read(&records, text, strlen(text), "a/b.json", NULL);
	for (const uint8_t *p = (const uint8_t *)&records;
	     (p = memchr(p, SECRET[0], (size_t)((const uint8_t *)(&records + 1) - p))) != NULL;
	     p++)
		assert_false((size_t)((const uint8_t *)(&records + 1) - p) >= strlen(SECRET) &&
			     memcmp(p, SECRET, strlen(SECRET)) == 0);
}

static void check_error(int code, const char *text)
{
	assert_int_equal(records.code, code);
	if (strstr(records.error.text, text) == NULL)
		fail_msg("%s", records.error.text);
}

/* What is behind the id, which is synthesized. */
static const char *shown(size_t index)
{
	static char text[2 * RECORD_TEXT_SIZE];
	char record[RECORD_TEXT_SIZE], rights[RECORD_TEXT_SIZE];

	if (records.code != RH_OK)
		fail_msg("%s", records.error.text);
	assert_true(index < records.count);
	assert_string_equal(records.items[index].format, "clearkey");
	assert_memory_equal(records.items[index].id, "sha256-", 7);
	record_text(record, &records.items[index]);
	record_rights(rights, &records, index);
	snprintf(text, sizeof text, "%s %s", strchr(record, '|'), rights);
	return text;
}

/* ---- what is read ---- */

static void test_records(void **state)
{
	static const struct {
		const char *document, *text;
	} table[] = {
	    {SET(KEY(KID1)), "|" GUID1 "|||||||no play"},
	    {LASTING(KEY(KID1)), "|" GUID1 "|||||||yes play"},
	    {"\xef\xbb\xbf\r\n {\"type\":\"temporary\",\"keys\" :\n[" KEY(KID1) "]}\n",
		"|" GUID1 "|||||||no play"},
	    {"{\"keys\":[" KEY(KID1) "],\"type\":\"persistent-usage-record\"}",
		"|" GUID1 "|||||||unknown play"},
	    /* Key ids of other lengths. */
	    {LASTING(KEY("AQ")), "|01|||||||yes play"},
	    {LASTING(KEY("AQIDBAUGBwgJCgsMDQ4PEBE")),
		"|0102030405060708090a0b0c0d0e0f1011|||||||yes play"},
	    /* Members that mean nothing here, in any order; names only look alike. */
	    {LASTING("{\"alg\":\"A128KW\",\"k\":\"" SECRET "\",\"kid\" : \"" KID1 "\","
		     "\"ext\":true,\"x5c\":[\"kid\",{\"kid\":\"x\"}],\"kty\":\t\"oct\"}"),
		"|" GUID1 "|||||||yes play"},
	    {"{\"more\":{\"encryption\":1,\"type\":2},\"keys\":[" KEY(
		 KID1) "],"
		       "\"name\":\"provider\",\"t\\\"ype\":3}",
		"|" GUID1 "|||||||no play"},
	    {"{\"type\":\"persistent-license\",\"keys\":[{\"kty\":\"oct\",\"kid\":\"" KID1 "\","
	     "\"\\u006b\":\"" SECRET "\"}]}",
		"|" GUID1 "|||||||yes play"},
	    {LASTING("{\"kty\":\"o\\u0063t\",\"kid\":\"\\u0041Q\",\"k\":\"A\"}"),
		"|01|||||||yes play"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		read_text(table[i].document);
		assert_string_equal(shown(0), table[i].text);
		assert_int_equal(records.count, 1);
	}
}

static void test_reasons(void **state)
{
	(void)state;
	read_text(SET(KEY(KID1)));
	assert_non_null(strstr(records.items[0].reason, "temporary"));
	read_text("{\"keys\":[" KEY(KID1) "],\"type\":\"x\"}");
	assert_non_null(strstr(records.items[0].reason, "a type that is not known"));
}

/* The id comes from the sorted key ids alone; each key has its record. */
static void test_ids(void **state)
{
	/* Each key id with its size in front. */
	static const uint8_t kids[] = {16, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
	    16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	uint8_t digest[DIGEST_SIZE];
	char expected[64], second[64];

	(void)state;
	assert_int_equal(sha256(digest, kids, sizeof kids, NULL), RH_OK);
	strcpy(expected, "sha256-");
	text_hex(expected + 7, digest, 16);
	snprintf(second, sizeof second, "%s-2", expected);
	for (int i = 0; i < 3; i++) {
		read_text(i == 0   ? SET(KEY(KID1) "," KEY(KID2))
			  : i == 1 ? LASTING(KEY(KID2) "," KEY(KID1))
				   : SET("{\"kty\":\"oct\",\"kid\":\"" KID2
					 "\",\"k\":\"x\"}," KEY(KID1)));
		assert_int_equal(records.code, RH_OK);
		assert_int_equal(records.count, 2);
		assert_string_equal(records.items[0].id, expected);
		assert_string_equal(records.items[0].key_id, GUID2);
		assert_string_equal(records.items[1].id, second);
		assert_string_equal(records.items[1].key_id, GUID1);
	}
	read_text(SET(KEY(KID1)));
	assert_string_not_equal(records.items[0].id, expected);
	/* A key id that begins another stands before it. */
	read_text(SET(KEY("AQID") "," KEY("AQI") "," KEY("AQ")));
	assert_string_equal(records.items[0].key_id, "01");
	assert_string_equal(records.items[1].key_id, "0102");
	assert_string_equal(records.items[2].key_id, "010203");
}

/* ---- what is refused ---- */

static void test_errors(void **state)
{
	static const struct {
		const char *document;
		int code;
		const char *text;
	} table[] = {
	    {"{\"keys\":[]}", RH_E_LICENSE_INVALID, "it has no keys"},
	    {"{\"keys\":7}", RH_E_LICENSE_FORMAT, "member keys is no array"},
	    {"{\"keys\":null}", RH_E_LICENSE_FORMAT, "member keys is no array"},
	    {SET("7"), RH_E_LICENSE_INVALID, "member keys[0] is no object"},
	    {SET(KEY(KID1) ",[]"), RH_E_LICENSE_INVALID, "member keys[1] is no object"},
	    {SET("{}"), RH_E_LICENSE_FORMAT, "member keys[0].kty is not"},
	    /* Sets of other keys, public or private, are none. */
	    {SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\",\"kid\":\"a\"}"),
		RH_E_LICENSE_FORMAT, "these are keys, but not a licence's"},
	    {SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\":\"" SECRET "\",\"kid\":\"a\"}"),
		RH_E_LICENSE_FORMAT, "these are keys, but not a licence's"},
	    {SET(KEY(KID1) ",{\"kty\":\"RSA\"}"), RH_E_LICENSE_FORMAT, "keys[1].kty is not"},
	    {SET("{\"kty\":[\"oct\"]}"), RH_E_LICENSE_FORMAT, "keys[0].kty is not"},
	    {SET("{\"kty\":\"oct\",\"k\":\"" SECRET "\"}"), RH_E_LICENSE_KEY_ID,
		"member keys[0].kid is no text"},
	    {SET("{\"kty\":\"oct\",\"kid\":7,\"k\":\"" SECRET "\"}"), RH_E_LICENSE_KEY_ID,
		"member keys[0].kid is no text"},
	    {SET(KEY("")), RH_E_LICENSE_KEY_ID, "keys[0].kid is not 1 to 63 bytes"},
	    {SET(KEY("AQ==")), RH_E_LICENSE_KEY_ID, "keys[0].kid is not"},
	    {SET(KEY("AR")), RH_E_LICENSE_KEY_ID, "keys[0].kid is not"},
	    {SET(KEY("A+IDBAUGBwgJCgsMDQ4PEA")), RH_E_LICENSE_KEY_ID, "keys[0].kid is not"},
	    /* An escape in the name hides which member it is. */
	    {SET("{\"kty\":\"oct\",\"k\\u0069d\":\"" KID1 "\",\"k\":\"" SECRET "\"}"),
		RH_E_LICENSE_KEY_ID, "keys[0].kid is not"},
	    {SET("{\"kty\":\"oct\",\"kid\":\"" KID1 "\"}"), RH_E_LICENSE_INVALID,
		"member keys[0].k is no base64url"},
	    {SET("{\"kty\":\"oct\",\"kid\":\"" KID1 "\",\"k\":\"\"}"), RH_E_LICENSE_INVALID,
		"member keys[0].k is no base64url"},
	    {SET("{\"kty\":\"oct\",\"kid\":\"" KID1 "\",\"k\":\"" SECRET "=\"}"),
		RH_E_LICENSE_INVALID, "member keys[0].k is no base64url"},
	    {SET("{\"kty\":\"oct\",\"kid\":\"" KID1 "\",\"k\":\"" SECRET "\\\"\"}"),
		RH_E_LICENSE_INVALID, "member keys[0].k is no base64url"},
	    {SET("{\"kty\":\"oct\",\"kid\":\"" KID1 "\",\"k\":[\"" SECRET "\"]}"),
		RH_E_LICENSE_INVALID, "member keys[0].k is no base64url"},
	    {SET(KEY(KID1) "," KEY(KID1)), RH_E_LICENSE_KEY_ID, "two keys have the same kid"},
	    {"{\"keys\":[" KEY(KID1) "],\"type\":7}", RH_E_LICENSE_INVALID,
		"member type is no text"},
	    {"{\"keys\":[" KEY(KID1) "],\"keys\":[]}", RH_E_LICENSE_INVALID, "stands twice"},
	    {SET("{\"kty\":\"oct\",\"k\":\"A\",\"k\":\"B\"}"), RH_E_LICENSE_INVALID,
		"stands twice"},
	    {"{\"keys\":[" KEY(KID1) "]", RH_E_LICENSE_INVALID, "a/b.json: line 1"},
	    {"{\n\"keys\":[" KEY(KID1) ",}", RH_E_LICENSE_INVALID, "a/b.json: line 2"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		read_text(table[i].document);
		if (records.code != table[i].code ||
		    strstr(records.error.text, table[i].text) == NULL)
			fail_msg(
			    "%s\n%d %s", table[i].document, records.code, records.error.text);
		assert_null(strstr(records.error.text, SECRET));
	}
	records_read(&records, "{}", 2, "x", "clearkey");
	check_error(RH_E_LICENSE_FORMAT, "member keys is missing");
	records_read(&records, "[]", 2, "x", "clearkey");
	check_error(RH_E_LICENSE_FORMAT, "member keys is missing");
	records_read(&records, "\"\\\"", 3, "x", "clearkey");
	assert_int_not_equal(records.code, RH_OK);
}

static void test_lengths(void **state)
{
	char document[512], kid[BASE64_SIZE(64)], hex[129];
	uint8_t bytes[64];

	(void)state;
	memset(bytes, 0xab, sizeof bytes);
	for (size_t size = 1; size <= 64; size++) {
		base64_encode(kid, bytes, size, BASE64_URL | BASE64_NO_PAD);
		sprintf(document, SET(KEY("%s")), kid);
		read_text(document);
		if (size == 64) {
			check_error(RH_E_LICENSE_KEY_ID, "keys[0].kid is not 1 to 63 bytes");
			continue;
		}
		assert_int_equal(records.code, RH_OK);
		text_hex(hex, bytes, size);
		if (size != 16)
			assert_string_equal(records.items[0].key_id, hex);
	}
}

static void test_many(void **state)
{
	static char document[65536];
	char kid[BASE64_SIZE(2)];

	(void)state;
	for (unsigned count = 255; count <= 257; count++) {
		char *at = stpcpy(document, "{\"keys\":[");

		for (unsigned i = count; i > 0; i--) {
			const uint8_t bytes[2] = {(uint8_t)(i >> 8), (uint8_t)i};

			base64_encode(kid, bytes, 2, BASE64_URL | BASE64_NO_PAD);
			at += sprintf(at, "%s" KEY("%s"), i < count ? "," : "", kid);
		}
		strcpy(at, "]}");
		read_text(document);
		if (count > 256) {
			check_error(RH_E_LICENSE_INVALID, "more than 256 keys");
			continue;
		}
		assert_int_equal(records.count, count);
		assert_string_equal(records.items[0].key_id, "0001");
		assert_string_equal(records.items[254].key_id, "00ff");
	}
}

/* Cut off anywhere, and with any one byte changed: the key stays where it is. */
static void test_truncated_and_changed(void **state)
{
	static const char document[] =
	    "{\"keys\": [" KEY(KID1) ", " KEY(KID2) "], \"type\": \"persistent-license\"}";
	static const uint8_t odd[] = {0, '"', '\\', ':', '{', '}', '[', ']', 0xff, 'A', '!'};
	char changed[sizeof document];

	(void)state;
	read_text(document);
	assert_int_equal(records.count, 2);
	for (size_t cut = 1; cut < sizeof document - 1; cut++) {
		memcpy(changed, document, cut);
		changed[cut] = '\0';
		read_text(changed);
		assert_int_equal(records.code, RH_E_LICENSE_INVALID);
	}
	for (size_t at = 0; at < sizeof document - 1; at++) {
		for (size_t i = 0; i < sizeof odd; i++) {
			memcpy(changed, document, sizeof document);
			changed[at] = (char)odd[i];
			records_read(&records, changed, sizeof document - 1, "x", "clearkey");
			assert_null(strstr(records.error.text, SECRET));
		}
	}
}

static void test_nesting(void **state)
{
	static char document[200000];
	char *at;

	(void)state;
	at = stpcpy(document, "{\"keys\":");
	for (int i = 0; i < 100000; i++)
		*at++ = '[';
	*at = '\0';
	read_text(document);
	check_error(RH_E_LICENSE_INVALID, "nested too deep");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_records),
	    cmocka_unit_test(test_reasons),
	    cmocka_unit_test(test_ids),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_lengths),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_truncated_and_changed),
	    cmocka_unit_test(test_nesting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
