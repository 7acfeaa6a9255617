#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "license/license.h"
#include "service/admin.h"
#include "service/html.h"
#include "failing.h"

/* ---- Arguments ---- */

static const struct admin_argument takes[] = {{"number", ADMIN_NUMBER, false},
    {"lasting", ADMIN_DURATION, false}, {"time", ADMIN_TIME, false},
    {"text", ADMIN_TEXT, false}, {"keys", ADMIN_OBJECT, false}, {NULL, 0, false}};
static const struct admin_operation operation = {"test this", false, false, takes, NULL};

/* The number that the argument is; -1 if it is refused. */
static int64_t number_of(const char *name, json_t *value)
{
	json_t *arguments = json_pack("{s:o}", name, value);
	rh_error error;
	int64_t number = -1;

	assert_non_null(arguments);
	if (admin_check(&operation, arguments, &error) == RH_OK)
		number = admin_number(arguments, name, -2);
	else
		assert_int_equal(error.code, RH_E_ARGUMENT);
	json_decref(arguments);
	return number;
}

static void numbers_are_read(void **state)
{
	static const struct {
		const char *name, *text;
		int64_t number;
	} rows[] = {{"number", "4", 4}, {"number", "0", 0}, {"number", "", -1},
	    {"number", "12abc", -1}, {"number", "-4", -1}, {"number", " 4", -1},
	    {"number", "4d", -1}, {"number", "999999999999999", INT64_C(999999999999999)},
	    {"number", "9999999999999999", -1}, {"number", "4.5", -1}, {"lasting", "90", 90},
	    {"lasting", "10s", 10}, {"lasting", "30m", 1800}, {"lasting", "12h", 43200},
	    {"lasting", "7d", 604800}, {"lasting", "7w", -1}, {"lasting", "d", -1},
	    {"lasting", "7dd", -1}, {"lasting", "1234567890", -1},
	    {"time", "1970-01-02", 86400}, {"time", "1970-01-01T00:01:00Z", 60},
	    {"time", "7d", -1}, {"time", "2027", -1}, {"time", "1960-01-01", -1},
	    {"time", "2027-13-01", -1}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(
		    number_of(rows[i].name, json_string(rows[i].text)), rows[i].number);
	assert_int_equal(number_of("number", json_integer(12)), 12);
	assert_int_equal(number_of("number", json_integer(-1)), -1);
	assert_int_equal(number_of("lasting", json_integer(INT64_MAX)), -1);
	assert_int_equal(
	    number_of("time", json_integer(INT64_C(253402300799))), INT64_C(253402300799));
	assert_int_equal(number_of("time", json_integer(INT64_C(253402300800))), -1);
	assert_int_equal(number_of("number", json_true()), -1);
	assert_int_equal(number_of("number", json_real(1.0)), -1);
	assert_int_equal(number_of("other", json_integer(1)), -1);
}

static void texts_are_checked(void **state)
{
	char *large = malloc(4098);

	(void)state;
	assert_non_null(large);
	memset(large, 'x', 4097);
	large[4097] = '\0';
	assert_int_equal(number_of("text", json_string("a")), -2);
	assert_int_equal(number_of("text", json_string("")), -1);
	assert_int_equal(number_of("text", json_stringn("a\0b", 3)), -1);
	assert_int_equal(number_of("text", json_string(large)), -1);
	assert_int_equal(number_of("text", json_string(large + 1)), -2);
	assert_int_equal(number_of("text", json_integer(1)), -1);
	assert_int_equal(number_of("keys", json_object()), -2);
	assert_int_equal(number_of("keys", json_string("x")), -1);
	free(large);
}

static void operations_are_found(void **state)
{
	(void)state;
	assert_true(admin_find("token make")->local);
	assert_true(admin_find("policy set")->writes);
	assert_false(admin_find("policy show")->writes);
	assert_null(admin_find("policy"));
	assert_null(admin_find(""));
}

/* ---- Pages ---- */

static int make_page(struct reply *reply, const char *text, rh_error *error)
{
	struct html *html;
	int code = html_begin(LANGUAGE_ENGLISH, text, &html, error);

	if (code != RH_OK)
		return code;
	html_open(html, "p", "title", text, NULL);
	html_sentence(html, "a {} b", text);
	html_link(html, text, text);
	html_link(html, "https://x.example/?a=\"&b", text);
	html_minute(html, 86400);
	html_close(html);
	return html_end(html, reply, error);
}

static void texts_are_escaped(void **state)
{
	static const char hostile[] = "<script>\"'&\xf0\x9f\x8e\xb5\xe2\x80\xae";
	struct reply reply = {0};
	rh_error error;

	(void)state;
	assert_int_equal(make_page(&reply, hostile, &error), RH_OK);
	assert_int_equal(buffer_append(&reply.body, "", 1, &error), RH_OK);
	assert_null(strstr((char *)reply.body.data, "<script"));
	assert_null(strstr((char *)reply.body.data, "title=\"<"));
	assert_non_null(strstr((char *)reply.body.data, "&lt;script&gt;"));
	assert_non_null(strstr((char *)reply.body.data, "?a=&quot;&amp;b\""));
	assert_non_null(strstr((char *)reply.body.data, ">2 January 1970, 00:00 UTC<"));
	buffer_free(&reply.body);
}

static void lasting_in_words(void **state)
{
	char text[64];

	(void)state;
	assert_string_equal(html_lasting(text, LANGUAGE_ENGLISH, 604800), "7 days");
	assert_string_equal(html_lasting(text, LANGUAGE_GERMAN, 604800), "7 Tagen");
	assert_string_equal(html_lasting(text, LANGUAGE_ENGLISH, 86400), "1 day");
	assert_string_equal(html_lasting(text, LANGUAGE_GERMAN, 86401), "2 Tagen");
	assert_string_equal(html_lasting(text, LANGUAGE_GERMAN, 3600), "1 Stunde");
	assert_string_equal(html_lasting(text, LANGUAGE_ENGLISH, 90), "2 minutes");
	assert_string_equal(html_lasting(text, LANGUAGE_ENGLISH, 2), "2 seconds");
}

static void without_memory_there_is_no_page(void **state)
{
	rh_error error;

	(void)state;
	for (size_t nth = 1;; nth++) {
		struct reply reply = {0};
		int code;

		failing_nth(nth);
		code = make_page(&reply, "text", &error);
		failing_stop();
		assert_true(code == RH_OK || code == RH_E_MEMORY);
		if (code != RH_OK)
			assert_int_equal(reply.body.size, 0);
		buffer_free(&reply.body);
		if (!failing_happened())
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(numbers_are_read),
	    cmocka_unit_test(texts_are_checked),
	    cmocka_unit_test(operations_are_found),
	    cmocka_unit_test(texts_are_escaped),
	    cmocka_unit_test(lasting_in_words),
	    cmocka_unit_test(without_memory_there_is_no_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
