#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/jsontext.h"

/* Gives ${text} at its exact size, so that a sanitizer sees the first byte too far. */
static int read_exact(const char *text, size_t size, json_t **ret, rh_error *error)
{
	char *exact = malloc(size > 0 ? size : 1);
	int code;

	assert_non_null(exact);
	memcpy(exact, text, size);
	code = jsontext_read(exact, size, ret, error);
	free(exact);
	return code;
}

static void test_values(void **state)
{
	static const struct {
		const char *text, *compact;
	} table[] = {
	    {"{}", "{}"},
	    {"[]", "[]"},
	    {"\xef\xbb\xbf [ 1 , 2 ] \r\n\t", "[1,2]"},
	    {"[true,false,null]", "[true,false,null]"},
	    {"{\"b\":{\"c\":[{}]},\"a\":[[],\"\"]}", "{\"b\":{\"c\":[{}]},\"a\":[[],\"\"]}"},
	    {"[0,-0,-1,9223372036854775807,-9223372036854775808]",
		"[0,0,-1,9223372036854775807,-9223372036854775808]"},
	    {"[0.5,-1.25e2,1E+2,25e-2,1e-999]", "[0.5,-125.0,100.0,0.25,0.0]"},
	    {"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "[\"\\\"\\\\/\\b\\f\\n\\r\\t\"]"},
	    {"[\"\\u0041\\u00fc\\u20AC\\ud83d\\ude00\"]",
		"[\"A\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\"]"},
	    {"{\"\\u00fc\":\"\xc3\xbc\\u007f\"}", "{\"\xc3\xbc\":\"\xc3\xbc\x7f\"}"},
	    {"{\"\":1,\"a\":{\"a\":2},\"b\":3}", "{\"\":1,\"a\":{\"a\":2},\"b\":3}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		rh_error error = {0};
		json_t *value = NULL;
		char *text;

		if (read_exact(table[i].text, strlen(table[i].text), &value, &error) != RH_OK)
			fail_msg("%s: %s", table[i].text, error.text);
		text = json_dumps(value, JSON_COMPACT);
		assert_string_equal(text, table[i].compact);
		free(text);
		json_decref(value);
	}
}

static void assert_refused(const char *text, size_t size, const char *words)
{
	rh_error error = {0};
	json_t *value = NULL;

	assert_int_equal(read_exact(text, size, &value, &error), RH_E_LICENSE_INVALID);
	assert_int_equal(error.code, RH_E_LICENSE_INVALID);
	if (strstr(error.text, words) == NULL)
		fail_msg("%s: %s", text, error.text);
	assert_null(value);
}

static void test_refused(void **state)
{
	static const char *const malformed[] = {"1", "\"a\"", "null", "[1 2]", "[01]", "[+1]",
	    "[.5]", "[1.]", "[1.x]", "[1e]", "[1ex]", "[-]", "[--1]", "[0x1]", "[nul]",
	    "[True]", "[NaN]", "[Infinity]", "[,]", "[1,]", "[1,,2]", "{,}", "{\"a\"}",
	    "{\"a\":}", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "{1:1}", "{'a':1}", "[}", "{]",
	    "[1}", "[\"\n\"]", "[\"\x1f\"]", "[\"\\x\"]", "[\"\\u00g0\"]", "[\"\\ud800\"]",
	    "[\"\\ud800\\n\"]", "[\"\\ud800\\u0041\"]", "[\"\\udc00\"]", "[1]/* */", "// \n[]",
	    "[\v1]"};
	static const struct {
		const char *text, *words;
	} others[] = {
	    {"", "line 1, column 0: the text is cut off"},
	    {"{", "line 1, column 1: the text is cut off"},
	    {"[1,\n 2,\n  x]", "line 3, column 3: the JSON"},
	    {"[1,", "cut off"},
	    {"{\"a\"", "cut off"},
	    {"{\"a\":", "cut off"},
	    {"[]x", "line 1, column 3: something follows the value"},
	    {"{}{}", "something follows the value"},
	    {"{\"a\":1,\"a\":1}", "a member stands twice"},
	    {"{\"a\":1,\"\\u0061\":1}", "a member stands twice"},
	    {"[\"\\u0000\"]", "a NUL character"},
	    {"{\"\\u0000\":1}", "a NUL character"},
	    {"[\"\xff\"]", "no UTF-8 text"},
	    {"[\"\xc3\"]", "no UTF-8 text"},
	    {"[\"\xed\xa0\x80\"]", "no UTF-8 text"},
	    {"[9223372036854775808]", "a number is too large"},
	    {"[-9223372036854775809]", "a number is too large"},
	    {"[1e999]", "a number is too large"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
		const char *text = malformed[i];

		assert_refused(text, strlen(text),
		    text[0] == '[' && strstr(text, "]/*") != NULL ? "follows" : "well-formed");
	}
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_refused(others[i].text, strlen(others[i].text), others[i].words);
	assert_refused("[\"\0\"]", 5, "well-formed");
}

/* Three texts of one length, in a ${format} of JSON. */
static char *long_text(const char *format, size_t length, char fill)
{
	char *middle = malloc(length + 1), *text;

	assert_non_null(middle);
	memset(middle, fill, length);
	middle[length] = '\0';
	assert_true(asprintf(&text, format, middle, middle, middle) > 0);
	free(middle);
	return text;
}

static void test_long(void **state)
{
	static const char *const good[] = {
	    "{\"a\":\"%s\",\"b\":[\"%s\",\"short\",1,{\"c\":\"%s\"}]}",
	    " [ \"%s\" ,\"\", \"\\u0001\\\\0\", \"%s\" ,\"%s\"]\n",
	    "{\"%s\":1,\"b\":\"%s\",\"c\":\"%s\"}",
	    "[\"\xc3\xbc%s\",\"%s\xe2\x82\xac\",\"%s\",-1.5,true]",
	    "{\"c\":\"%s\",\"a\":\"%s\",\"b\":\"%s\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		for (size_t length = 20; length < 2000; length += 11) {
			char *text = long_text(good[i], length, (char)('A' + length % 26));
			json_t *value = NULL, *expected = json_loads(text, 0, NULL);

			assert_non_null(expected);
			assert_int_equal(read_exact(text, strlen(text), &value, NULL), RH_OK);
			assert_true(json_equal(value, expected));
			json_decref(value);
			json_decref(expected);
			free(text);
		}
	}
}

static void test_long_refused(void **state)
{
	static const struct {
		const char *format, *words;
	} table[] = {
	    {"{\"%s\":1,\"b\":\"%s\",\"%s\":1}", "a member stands twice"},
	    {"[\"%s\",\n\"%s\" \"%s\"]", "line 2, column 2005: the JSON"},
	    {"[\"%s\",\"%s\",\"%s\"", "cut off"},
	    {"[\"%s\",\"%s\",\"%s", "cut off"},
	    {"[\"%s\",\"%s\x01\",\"%s\"]", "well-formed"},
	    {"[\"%s\",\"\x01\"\"0\",\"%s\",\"%s\"]", "well-formed"},
	    {"[\"%s\",\"%s\xff\",\"%s\"]", "no UTF-8 text"},
	    {"\"%s%s%s\"", "well-formed"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		char *text = long_text(table[i].format, 1000, 'x');

		assert_refused(text, strlen(text), table[i].words);
		free(text);
	}
}

static void test_write(void **state)
{
	struct buffer out = {0};
	json_t *value = json_pack(
	    "{s:i,s:[s,b,n],s:I}", "z", 1, "a", "\"/\n\xc3\xbc", 1, "b", (json_int_t)-5);

	(void)state;
	assert_int_equal(buffer_append_text(&out, "x", NULL), RH_OK);
	assert_int_equal(jsontext_write(value, &out, NULL), RH_OK);
	assert_int_equal(buffer_append(&out, "", 1, NULL), RH_OK);
	assert_string_equal(
	    (char *)out.data, "x{\"z\":1,\"a\":[\"\\\"/\\n\xc3\xbc\",true,null],\"b\":-5}");
	assert_int_equal(jsontext_write(NULL, &out, NULL), RH_E_MEMORY);
	buffer_free(&out);
	json_decref(value);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_long),
	    cmocka_unit_test(test_long_refused),
	    cmocka_unit_test(test_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
