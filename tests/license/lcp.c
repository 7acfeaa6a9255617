#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "records.h"

/* A whole document, in pieces that the tests exchange. */
#define ID "\"id\":\"licence-1\""
#define ISSUED "\"issued\":\"2024-10-02T09:14:31Z\""
#define PROVIDER "\"provider\":\"https://shop.example\""
#define CONTENT_KEY "\"content_key\":{\"encrypted_value\":\"AAAA\",\"algorithm\":\"aes\"}"
#define USER_KEY                                                                               \
	"\"user_key\":{\"text_hint\":\"hint\",\"algorithm\":\"sha\",\"key_check\":\"AAAA\"}"
#define ENCRYPTION "\"encryption\":{\"profile\":\"basic\"," CONTENT_KEY "," USER_KEY "}"
#define HINT "{\"rel\":\"hint\",\"href\":\"https://shop.example/hint\"}"
#define BOOK                                                                                   \
	"{\"rel\":\"publication\",\"href\":\"https://shop.example/1\",\"title\":\"A Book\"}"
#define LINKS "\"links\":[" HINT "," BOOK "]"
#define SIGNATURE                                                                              \
	"\"signature\":{\"algorithm\":\"ecdsa\",\"certificate\":\"AAAA\",\"value\":\"AAAA\"}"
#define DOCUMENT(id, issued, provider, encryption, links, rest)                                \
	"{" id "," issued "," provider "," encryption "," links "," rest "}"
#define WITH(rest) DOCUMENT(ID, ISSUED, PROVIDER, ENCRYPTION, LINKS, SIGNATURE rest)
#define WITH_LINKS(links)                                                                      \
	DOCUMENT(ID, ISSUED, PROVIDER, ENCRYPTION, "\"links\":" links, SIGNATURE)
#define WITH_ENCRYPTION(inside)                                                                \
	DOCUMENT(ID, ISSUED, PROVIDER, "\"encryption\":" inside, LINKS, SIGNATURE)

#define USUAL(behind)                                                                          \
	"licence-1|https://shop.example/1|https://shop.example|A "                             \
	"Book|2024-10-02T09:14:31Z|" behind

static void test_good(void **state)
{
	static const struct {
		const char *document, *record;
	} table[] = {
	    {WITH(""), USUAL("|||yes")},
	    {"\xef\xbb\xbf \r\n" WITH(""), USUAL("|||yes")},
	    {WITH(",\"rights\":{}"), USUAL("|||yes")},
	    {WITH(",\"rights\":{\"print\":20,\"copy\":0}"), USUAL("||print:20,copy:0|yes")},
	    {WITH(",\"rights\":{\"copy\":9223372036854775807}"),
		USUAL("||copy:9223372036854775807|yes")},
	    {WITH(",\"rights\":{\"start\":\"2026-03-01T08:00:00+01:00\",\"end\":\"2026-03-22\","
		  "\"https://shop.example/x\":[1]}"),
		USUAL("2026-03-01T07:00:00Z|2026-03-22T00:00:00Z||yes")},
	    {WITH(
		 ",\"updated\":\"2025-01-01T00:00:00Z\",\"user\":{\"id\":\"x\"},\"more\":null"),
		USUAL("|||yes")},
	    /* The relation may be one of several; the first publication counts. */
	    {WITH_LINKS(
		 "[{\"rel\":[\"other\",\"publication\"],\"href\":\"b\",\"title\":\"\\u00c9\"},"
		 "{\"rel\":[\"hint\"],\"href\":\"h\"}," BOOK "]"),
		"licence-1|b|https://shop.example|\xc3\x89|2024-10-02T09:14:31Z||||yes"},
	    {WITH_LINKS("[{\"rel\":[\"hint\",\"publication\"],\"href\":\"b\"}]"),
		"licence-1|b|https://shop.example||2024-10-02T09:14:31Z||||yes"},
	    {WITH_LINKS(
		 "[" HINT ",{\"rel\":\"publication\",\"href\":\"a\\u0007b\",\"hash\":\"abcd\","
		 "\"title\":\"x\\ny\"}]"),
		"licence-1|abcd|https://shop.example|x y|2024-10-02T09:14:31Z||||yes"},
	    {WITH_LINKS(
		 "[" HINT ",{\"rel\":\"publication\",\"href\":\"a\\u0007b\",\"title\":7}]"),
		"licence-1||https://shop.example||2024-10-02T09:14:31Z||||yes"},
	};
	static struct records records;
	char text[RECORD_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		records_read(&records, table[i].document, strlen(table[i].document), "x", NULL);
		if (records.code != RH_OK)
			fail_msg("%s\n%s", records.error.text, table[i].document);
		assert_int_equal(records.count, 1);
		assert_string_equal(records.items[0].format, "lcp");
		record_text(text, &records.items[0]);
		assert_string_equal(text, table[i].record);
	}
}

static void test_rights(void **state)
{
	static const struct {
		const char *document, *rights;
	} table[] = {
	    {WITH(""), "read,print,copy"},
	    {WITH(",\"rights\":{}"), "read,print,copy"},
	    {WITH(",\"rights\":{\"end\":\"2026-03-22\",\"start\":\"2026-03-01\"}"),
		"read,print,copy"},
	    {WITH(",\"rights\":{\"print\":20,\"copy\":0}"), "read,print:20,copy:0"},
	    {WITH(",\"rights\":{\"copy\":7,\"https://shop.example/x\":[1]}"),
		"read,print,copy:7 vague"},
	};
	static struct records records;
	char text[RECORD_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		records_read(&records, table[i].document, strlen(table[i].document), "x", NULL);
		assert_int_equal(records.code, RH_OK);
		record_rights(text, &records, 0);
		assert_string_equal(text, table[i].rights);
	}
}

/* What else has "keys" is still told by its own members. */
static void test_detection(void **state)
{
	static const char *const lcp[] = {WITH(",\"keys\":[]"), "{\"keys\":[],\"provider\":1}",
	    "{\"encryption\":1,\"keys\":[]}", "{\"a\":{\"keys\":[]}}", "{\"a\":\"keys\"}",
	    "{\"a\":[\"keys\"]}", "{", "{\"keys\"", "{\"keys", "{\"keys\\"};
	static struct records records;

	(void)state;
	for (size_t i = 0; i < sizeof lcp / sizeof lcp[0]; i++) {
		records_read(&records, lcp[i], strlen(lcp[i]), "x", NULL);
		if (records.code != RH_OK && strstr(records.error.text, "LCP") == NULL &&
		    strstr(records.error.text, "line 1") == NULL)
			fail_msg("%s: %s", lcp[i], records.error.text);
		assert_null(strstr(records.error.text, "ClearKey"));
		assert_int_equal(records.code == RH_OK, i == 0);
	}
}

static void test_errors(void **state)
{
	static const struct {
		const char *document;
		int code;
		const char *text;
	} table[] = {
	    /* Another format. */
	    {"{}", RH_E_LICENSE_FORMAT, "member encryption is missing"},
	    {"{" ENCRYPTION "}", RH_E_LICENSE_FORMAT, "member provider is missing"},
	    {"{\"key\":[{\"kty\":\"oct\"}]}", RH_E_LICENSE_FORMAT,
		"member encryption is missing"},
	    /* Broken JSON, with its place, never with its text. */
	    {"{", RH_E_LICENSE_INVALID, "line 1, column 1: the text is cut off"},
	    {"{\n \"id\": secret\n}", RH_E_LICENSE_INVALID, "line 2, column "},
	    {WITH("") "x", RH_E_LICENSE_INVALID, "something follows"},
	    {WITH("," ID), RH_E_LICENSE_INVALID, "a member stands twice"},
	    {WITH(",\"x\":\"\xff\""), RH_E_LICENSE_INVALID, "no UTF-8"},
	    {WITH(",\"x\":\"\\u0000\""), RH_E_LICENSE_INVALID, "NUL"},
	    {WITH(",\"x\":99999999999999999999"), RH_E_LICENSE_INVALID, "too large"},
	    /* Members that are missing or of another type. */
	    {DOCUMENT("\"a\":1", ISSUED, PROVIDER, ENCRYPTION, LINKS, SIGNATURE),
		RH_E_LICENSE_INVALID, "member id is missing"},
	    {DOCUMENT("\"id\":1", ISSUED, PROVIDER, ENCRYPTION, LINKS, SIGNATURE),
		RH_E_LICENSE_INVALID, "member id is no text"},
	    {DOCUMENT("\"id\":\"\"", ISSUED, PROVIDER, ENCRYPTION, LINKS, SIGNATURE),
		RH_E_LICENSE_INVALID, "member id is empty"},
	    {DOCUMENT("\"id\":\"a\\nb\"", ISSUED, PROVIDER, ENCRYPTION, LINKS, SIGNATURE),
		RH_E_LICENSE_INVALID, "member id is too long or holds control"},
	    {DOCUMENT(ID, "\"a\":1", PROVIDER, ENCRYPTION, LINKS, SIGNATURE),
		RH_E_LICENSE_INVALID, "member issued is missing"},
	    {DOCUMENT(ID, "\"issued\":\"soon\"", PROVIDER, ENCRYPTION, LINKS, SIGNATURE),
		RH_E_LICENSE_INVALID, "member issued is no date"},
	    {DOCUMENT(ID, ISSUED, "\"provider\":null", ENCRYPTION, LINKS, SIGNATURE),
		RH_E_LICENSE_INVALID, "member provider is no text"},
	    {WITH_ENCRYPTION("[]"), RH_E_LICENSE_INVALID, "member encryption is no object"},
	    {WITH_ENCRYPTION("{}"), RH_E_LICENSE_INVALID,
		"member encryption.profile is missing"},
	    {WITH_ENCRYPTION("{\"profile\":\"p\"," USER_KEY "}"), RH_E_LICENSE_INVALID,
		"member encryption.content_key is missing"},
	    {WITH_ENCRYPTION(
		 "{\"profile\":\"p\",\"content_key\":{\"algorithm\":\"a\"}," USER_KEY "}"),
		RH_E_LICENSE_INVALID,
		"member encryption.content_key.encrypted_value is missing"},
	    {WITH_ENCRYPTION("{\"profile\":\"p\"," CONTENT_KEY "}"), RH_E_LICENSE_INVALID,
		"member encryption.user_key is missing"},
	    {WITH_ENCRYPTION(
		 "{\"profile\":\"p\"," CONTENT_KEY ",\"user_key\":{\"text_hint\":1}}"),
		RH_E_LICENSE_INVALID, "member encryption.user_key.text_hint is no text"},
	    {WITH_LINKS("{}"), RH_E_LICENSE_INVALID, "member links is no array"},
	    {WITH_LINKS("[]"), RH_E_LICENSE_INVALID, "rel \"hint\""},
	    {WITH_LINKS("[" HINT "]"), RH_E_LICENSE_INVALID, "rel \"publication\""},
	    {WITH_LINKS("[" BOOK "]"), RH_E_LICENSE_INVALID, "rel \"hint\""},
	    {WITH_LINKS("[" HINT ",7]"), RH_E_LICENSE_INVALID, "member links[1] is no object"},
	    {WITH_LINKS("[" HINT ",{\"href\":\"a\"}]"), RH_E_LICENSE_INVALID,
		"member links[1].rel is missing"},
	    {WITH_LINKS("[" HINT ",{\"href\":\"a\",\"rel\":7}]"), RH_E_LICENSE_INVALID,
		"member links[1].rel is neither"},
	    {WITH_LINKS("[{\"rel\":\"hint\"}," BOOK "]"), RH_E_LICENSE_INVALID,
		"member links[0].href is missing"},
	    {DOCUMENT(ID, ISSUED, PROVIDER, ENCRYPTION, LINKS, "\"a\":1"), RH_E_LICENSE_INVALID,
		"member signature is missing"},
	    {DOCUMENT(
		 ID, ISSUED, PROVIDER, ENCRYPTION, LINKS, "\"signature\":{\"value\":\"x\"}"),
		RH_E_LICENSE_INVALID, "member signature.algorithm is missing"},
	    {WITH(",\"rights\":7"), RH_E_LICENSE_INVALID, "member rights is no object"},
	    {WITH(",\"rights\":{\"print\":-1}"), RH_E_LICENSE_INVALID,
		"member rights.print is no count"},
	    {WITH(",\"rights\":{\"print\":1.0}"), RH_E_LICENSE_INVALID,
		"member rights.print is no count"},
	    {WITH(",\"rights\":{\"copy\":\"7\"}"), RH_E_LICENSE_INVALID,
		"member rights.copy is no count"},
	    {WITH(",\"rights\":{\"copy\":null}"), RH_E_LICENSE_INVALID,
		"member rights.copy is no count"},
	    {WITH(",\"rights\":{\"start\":1}"), RH_E_LICENSE_INVALID,
		"member rights.start is no date"},
	    {WITH(",\"rights\":{\"end\":\"2026-02-30\"}"), RH_E_LICENSE_INVALID,
		"member rights.end is no date"},
	    {WITH(",\"updated\":\"\""), RH_E_LICENSE_INVALID, "member updated is no date"},
	};
	static struct records records;

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		records_read(
		    &records, table[i].document, strlen(table[i].document), "a/b.lcpl", NULL);
		if (records.code != table[i].code ||
		    strstr(records.error.text, table[i].text) == NULL)
			fail_msg(
			    "%s\n%d %s", table[i].document, records.code, records.error.text);
		assert_null(strstr(records.error.text, "secret"));
	}
	records_read(&records, "[]", 2, "x", "lcp");
	assert_int_equal(records.code, RH_E_LICENSE_FORMAT);
}

static void test_lengths(void **state)
{
	static struct records records;
	char document[4096];

	(void)state;
	for (int length = 254; length <= 256; length++) {
		sprintf(document,
		    "{\"id\":\"%0*d\"," ISSUED "," PROVIDER "," ENCRYPTION "," LINKS
		    "," SIGNATURE "}",
		    length, 7);
		records_read(&records, document, strlen(document), "x", NULL);
		assert_int_equal(records.code, length <= 255 ? RH_OK : RH_E_LICENSE_INVALID);
	}
	/* An address that does not fit gives way to the hash. */
	for (int length = 126; length <= 128; length++) {
		sprintf(document,
		    "{" ID "," ISSUED "," PROVIDER "," ENCRYPTION "," SIGNATURE
		    ",\"links\":[" HINT
		    ",{\"rel\":\"publication\",\"href\":\"%0*d\",\"hash\":\"abcd\"}]}",
		    length, 7);
		records_read(&records, document, strlen(document), "x", NULL);
		assert_int_equal(records.code, RH_OK);
		if (length <= 127)
			assert_int_equal(strlen(records.items[0].key_id), length);
		else
			assert_string_equal(records.items[0].key_id, "abcd");
	}
}

static void test_nesting(void **state)
{
	static struct records records;
	static char document[LICENSE_MAX];

	(void)state;
	memset(document, '[', sizeof document);
	memcpy(document, "{\"a\":", 5);
	records_read(&records, document, sizeof document, "x", NULL);
	assert_int_equal(records.code, RH_E_LICENSE_INVALID);
	assert_non_null(strstr(records.error.text, "nested too deep"));
}

static void test_truncated_and_changed(void **state)
{
	static const char document[] =
	    WITH(",\"rights\":{\"print\":20,\"end\":\"2026-03-22T08:00:00+01:00\"}");
	static struct records records;
	char changed[sizeof document];

	(void)state;
	for (size_t cut = 0; cut + 1 < sizeof document; cut++) {
		records_read(&records, document, cut, "x", "lcp");
		assert_int_not_equal(records.code, RH_OK);
	}
	for (size_t at = 0; at < sizeof document - 1; at++) {
		memcpy(changed, document, sizeof document);
		changed[at] = (char)(at * 7 + 1);
		records_read(&records, changed, sizeof document - 1, "x", NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_rights),
	    cmocka_unit_test(test_detection),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_lengths),
	    cmocka_unit_test(test_nesting),
	    cmocka_unit_test(test_truncated_and_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
