/* Messages of every wrong form, and at their bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "authority/message.h"

#define THUMBPRINT "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define KEY "0123456789abcdef"

/* Every message by its name, so that tables can say which is read. */
static int read_message(const char *name, const char *json, size_t size, rh_error *error)
{
	union {
		struct computers_request computers_request;
		struct computers_reply computers_reply;
		struct restore_request restore_request;
		struct restore_reply restore_reply;
		struct status_reply status_reply;
		struct release_request release_request;
		struct release_reply release_reply;
		struct problem_reply problem_reply;
	} m;
	char *exact = malloc(size > 0 ? size : 1);
	int code;

	assert_non_null(exact);
	memcpy(exact, json, size);
	memset(&m, 0, sizeof m);
#define READ(message)                                                                          \
	if (strcmp(name, #message) == 0) {                                                     \
		code = message##_read(&m.message, exact, size, error);                         \
		free(exact);                                                                   \
		message##_free(&m.message);                                                    \
		return code;                                                                   \
	}
	READ(computers_request)
	READ(computers_reply)
	READ(restore_reply)
	READ(status_reply)
	READ(release_request)
	READ(release_reply)
	READ(problem_reply)
	m.restore_request.path = strcmp(name, "plan") == 0     ? MESSAGE_PLAN
				 : strcmp(name, "commit") == 0 ? MESSAGE_COMMIT
							       : MESSAGE_LICENSES;
	code = restore_request_read(&m.restore_request, exact, size, error);
	free(exact);
	restore_request_free(&m.restore_request);
	return code;
}

static void assert_read(const char *name, const char *json)
{
	rh_error error = {0};

	if (read_message(name, json, strlen(json), &error) != RH_OK)
		fail_msg("%s: %s: %s", name, json, error.text);
}

static void assert_refused(const char *name, const char *json, const char *words)
{
	rh_error error = {0};

	if (read_message(name, json, strlen(json), &error) != RH_E_LICENSE_INVALID ||
	    error.code != RH_E_LICENSE_INVALID || strstr(error.text, words) == NULL)
		fail_msg("%s: %s: %d %s, not: %s", name, json, error.code, error.text, words);
}

/* ---- Malformed messages ---- */

#define DOCUMENTS "\"licenses\":[{\"document\":\"d\"}]"
#define COMMIT(more) "{\"idempotency_key\":\"" KEY "\"," more "}"
#define REPLY(license) "{\"head\":\"a.b.c\",\"licenses\":[" license "]}"
#define HELD(more)                                                                             \
	REPLY("{\"id\":\"1\",\"issuer\":\"i\",\"result\":\"free\",\"computers\":1,"            \
	      "\"limit\":4" more "}")
#define REFUSED(more) REPLY("{\"result\":\"refused\"" more "}")
#define STATUS(more) REPLY("{\"id\":\"1\",\"issuer\":\"i\",\"limit\":4,\"free\":1," more "}")
#define RELEASE(more) "{\"computer\":\"" THUMBPRINT "\"" more "}"

static void test_accepted(void **state)
{
	static const char *const table[][2] = {
	    {"computers_request", "{\"later\":[1],\"name\":\"n\"}"},
	    {"plan", "{" DOCUMENTS ",\"key\":1,\"idempotency_key\":2}"},
	    {"licenses", "{" DOCUMENTS ",\"owner\":5}"},
	    {"commit", COMMIT(DOCUMENTS)},
	    {"commit", COMMIT("\"key\":\"a.b.c.d.e\",\"licenses\":[{\"document\":\"d\","
			      "\"secret\":\"AA\"}]")},
	    {"restore_reply", HELD(",\"since\":0")},
	    {"restore_reply", HELD(",\"since\":253402300799")},
	    {"restore_reply", REFUSED(",\"code\":\"x\"")},
	    {"status_reply", STATUS("\"computers\":[]")},
	    {"status_reply", REPLY("{\"code\":\"x\"}")},
	    {"release_request", RELEASE(",\"proof\":\"a.b.c\",\"cancel\":false")},
	    {"release_reply", RELEASE(",\"state\":\"cancelled\",\"head\":\"a.b.c\"")},
	    {"problem_reply", "{\"status\":599,\"code\":\"x-1\"}"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		assert_read(table[i][0], table[i][1]);
}

static void test_refused(void **state)
{
	static const char *const table[][3] = {
	    {"computers_request", "", "line 1"},
	    {"computers_request", "[]", "no JSON object"},
	    {"computers_request", "{\"name\":\"\"}", "name is empty"},
	    {"computers_request", "{\"name\":null}", "name is no text"},
	    {"computers_request", "{\"name\":5}", "name is no text"},
	    {"computers_request", "{\"name\":\"a\\nb\"}", "name holds control"},
	    {"computers_request", "{\"name\":\"a\\u009fb\"}", "name holds control"},
	    {"computers_request", "{\"name\":\"a\",\"name\":\"b\"}", "stands twice"},
	    {"computers_request", "{\"release\":\"short\"}", "release is no thumbprint"},
	    {"computers_request", "{\"release\":\"" THUMBPRINT "A\"}", "release is no thumb"},
	    {"computers_request",
		"{\"release\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEV\"}",
		"release is no"},
	    {"computers_request",
		"{\"release\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvR/EU\"}",
		"release is no"},
	    {"computers_reply", "{\"head\":\"a.b.c\"}", "certificate is missing"},
	    {"computers_reply", "{\"certificate\":\"a.b.c\"}", "head is missing"},
	    {"computers_reply", "{\"certificate\":\"a.b\",\"head\":\"a.b.c\"}", "no compact"},
	    {"computers_reply", "{\"certificate\":\"a.b.c.d\",\"head\":\"a.b.c\"}",
		"no compact"},
	    {"computers_reply", "{\"certificate\":\"a.b.c=\",\"head\":\"a.b.c\"}",
		"no compact"},
	    {"plan", "{}", "licenses is missing"},
	    {"plan", "{\"licenses\":{}}", "licenses is no array"},
	    {"plan", "{\"licenses\":[]}", "licenses is empty"},
	    {"plan", "{\"licenses\":[{}]}", "licenses[0]: member document is missing"},
	    {"plan", "{\"licenses\":[1]}", "document is missing"},
	    {"plan", "{\"licenses\":[{\"document\":\"a\"},{\"document\":1}]}", "licenses[1]"},
	    {"plan", "{\"licenses\":[{\"document\":\"\"}]}", "document is empty"},
	    {"plan", "{" DOCUMENTS ",\"owner\":1}", "owner is no text"},
	    {"plan", "{" DOCUMENTS ",\"claim\":\"a.b\"}", "claim is no compact JWS"},
	    {"plan", "{" DOCUMENTS ",\"head\":\"a\"}", "head is no compact JWS"},
	    {"commit", "{" DOCUMENTS "}", "idempotency_key is missing"},
	    {"commit", "{\"idempotency_key\":\"0123456789abcde\"," DOCUMENTS "}", "not 16"},
	    {"commit", "{\"idempotency_key\":\"0123456789abcde+\"," DOCUMENTS "}", "not 16"},
	    {"commit", "{\"idempotency_key\":\"" KEY KEY KEY KEY "0\"," DOCUMENTS "}",
		"not 16"},
	    {"commit", COMMIT(DOCUMENTS ",\"key\":\"a.b.c\""), "key is no compact JWE"},
	    {"commit", COMMIT("\"licenses\":[{\"document\":\"d\",\"secret\":\"AA\"}]"),
		"without key"},
	    {"commit",
		COMMIT("\"key\":\"a.b.c.d.e\",\"licenses\":[{\"document\":\"d\","
		       "\"secret\":\"AB\"}]"),
		"secret is no canonical"},
	    {"commit",
		COMMIT("\"key\":\"a.b.c.d.e\",\"licenses\":[{\"document\":\"d\","
		       "\"secret\":\"AAB\"}]"),
		"secret is no canonical"},
	    {"commit",
		COMMIT("\"key\":\"a.b.c.d.e\",\"licenses\":[{\"document\":\"d\","
		       "\"secret\":\"A\"}]"),
		"secret is no canonical"},
	    {"restore_reply", HELD(""), "since is missing"},
	    {"restore_reply", HELD(",\"since\":-1"), "since is out of range"},
	    {"restore_reply", HELD(",\"since\":253402300800"), "since is out of range"},
	    {"restore_reply", HELD(",\"since\":1.5"), "since is no whole number"},
	    {"restore_reply", HELD(",\"since\":1,\"next\":true"), "next is no whole number"},
	    {"restore_reply", HELD(",\"since\":1,\"secret\":\"AA\""), "without key"},
	    {"restore_reply", REPLY("{\"id\":\"1\"}"), "result is missing"},
	    {"restore_reply", REPLY("{\"result\":\"maybe\"}"), "result is none"},
	    {"restore_reply", REPLY("{\"result\":1}"), "result is none"},
	    {"restore_reply", REPLY("{\"result\":\"granted\",\"issuer\":\"i\"}"), "id is miss"},
	    {"restore_reply", REPLY("{\"result\":\"costs\",\"id\":\"i\"}"),
		"issuer is missing"},
	    {"restore_reply",
		REPLY("{\"id\":\"1\",\"issuer\":\"i\",\"result\":\"costs\",\"limit\":4}"),
		"computers is missing"},
	    {"restore_reply", REFUSED(""), "code is missing"},
	    {"restore_reply", REFUSED(",\"code\":\"Not This\""), "code is no code"},
	    {"restore_reply", REFUSED(",\"code\":\"x\",\"limit\":4294967296"), "out of range"},
	    {"restore_reply", REFUSED(",\"code\":\"x\",\"page\":\"a\\tb\""), "page holds"},
	    {"restore_reply", "{\"licenses\":[{}]}", "head is missing"},
	    {"status_reply", STATUS("\"next\":1"), "computers is missing"},
	    {"status_reply", STATUS("\"computers\":[1]"),
		"licenses[0].computers[0]: member computer is missing"},
	    {"status_reply",
		STATUS("\"computers\":[{\"computer\":\"" THUMBPRINT "\",\"you\":1}]"),
		"you is neither"},
	    {"status_reply", REPLY("{\"code\":1}"), "code is no text"},
	    {"status_reply", REPLY("1"), "computers is missing"},
	    {"release_request", RELEASE(""), "proof is missing"},
	    {"release_request", "{\"proof\":\"a.b.c\"}", "computer is missing"},
	    {"release_request", RELEASE(",\"proof\":\"a.b.c\",\"cancel\":\"yes\""),
		"cancel is"},
	    {"release_reply", RELEASE(",\"state\":\"gone\",\"head\":\"a.b.c\""),
		"state is none"},
	    {"release_reply", RELEASE(",\"state\":\"waiting\",\"head\":\"a.b.c\""),
		"effective"},
	    {"problem_reply", "{\"code\":\"x\"}", "status is missing"},
	    {"problem_reply", "{\"code\":\"x\",\"status\":99}", "status is out of range"},
	    {"problem_reply", "{\"code\":\"x\",\"status\":600}", "status is out of range"},
	    {"problem_reply", "{\"status\":400}", "code is missing"},
	    {"problem_reply", "{\"status\":400,\"code\":\"x\",\"detail\":[]}", "detail is no"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		assert_refused(table[i][0], table[i][1], table[i][2]);
}

/* ---- Bounds ---- */

static void check_text(const char *message, const char *format, const char *unit, size_t most)
{
	for (size_t more = 0; more < 2; more++) {
		size_t length = (most + more) * strlen(unit);
		char *text = calloc(1, length + 1), *json = NULL;

		assert_non_null(text);
		for (size_t i = 0; i < most + more; i++)
			memcpy(text + i * strlen(unit), unit, strlen(unit));
		assert_true(asprintf(&json, format, text) > 0);
		if (more == 0)
			assert_read(message, json);
		else
			assert_refused(message, json, "is too long");
		free(text);
		free(json);
	}
}

static void test_text_bounds(void **state)
{
	(void)state;
	check_text("computers_request", "{\"name\":\"%s\"}", "x", MESSAGE_NAME_MAX);
	check_text("computers_request", "{\"name\":\"%s\"}", "\xe2\x82\xac", MESSAGE_NAME_MAX);
	check_text("computers_request", "{\"name\":\"%s\"}", "\xf0\x9f\x98\x80", 64);
	check_text("computers_reply", "{\"head\":\"a.b.c\",\"certificate\":\"a.b.%s\"}", "A",
	    JWS_MAX - 4);
	check_text("restore_reply",
	    REPLY("{\"result\":\"refused\",\"code\":\"x\",\"id\":\"%s\"}"), "x", 255);
	check_text("restore_reply",
	    REPLY("{\"result\":\"refused\",\"code\":\"x\",\"issuer\":\"%s\"}"), "x", 255);
	check_text("restore_reply", REPLY("{\"result\":\"refused\",\"code\":\"%s\"}"), "x", 63);
	check_text(
	    "commit", COMMIT("\"key\":\"a.b.c.d.%s\"," DOCUMENTS), "A", JOSE_JWE_MAX - 8);
	check_text("commit",
	    COMMIT("\"key\":\"a.b.c.d.e\",\"licenses\":[{\"document\":\"d\",\"secret\":"
		   "\"AA%s\"}]"),
	    "AAAA", (size_t)64 * 1024 / 3);
}

static void test_list_bounds(void **state)
{
	static struct request_license many[MESSAGE_LICENSES_MAX + 1];
	struct restore_request request = {.path = MESSAGE_PLAN, .licenses = many};
	static struct status_computer computers[MESSAGE_COMPUTERS_MAX + 1];
	struct status_license license = {.id = "1",
	    .issuer = "i",
	    .computers = computers,
	    .computer_count = MESSAGE_COMPUTERS_MAX};
	struct status_reply status = {
	    .licenses = &license, .license_count = 1, .head = "a.b.c"};
	struct buffer out = {0};
	rh_error error;

	(void)state;
	for (size_t i = 0; i <= MESSAGE_LICENSES_MAX; i++)
		many[i] = (struct request_license){.document = "d", .document_size = 1};
	assert_int_equal(restore_request_write(&request, &out, NULL), RH_E_ARGUMENT);
	request.license_count = MESSAGE_LICENSES_MAX + 1;
	assert_int_equal(restore_request_write(&request, &out, NULL), RH_E_ARGUMENT);
	assert_int_equal(out.size, 0);
	request.license_count = MESSAGE_LICENSES_MAX;
	assert_int_equal(restore_request_write(&request, &out, NULL), RH_OK);
	assert_int_equal(read_message("plan", (char *)out.data, out.size, NULL), RH_OK);
	/* One more, by hand. */
	out.size -= 2;
	assert_int_equal(buffer_append_text(&out, ",{\"document\":\"d\"}]}", NULL), RH_OK);
	assert_int_equal(
	    read_message("plan", (char *)out.data, out.size, &error), RH_E_LICENSE_INVALID);
	assert_non_null(strstr(error.text, "too many"));

	buffer_clear(&out);
	for (size_t i = 0; i <= MESSAGE_COMPUTERS_MAX; i++)
		computers[i].computer = THUMBPRINT;
	assert_int_equal(status_reply_write(&status, &out, NULL), RH_OK);
	assert_int_equal(read_message("status_reply", (char *)out.data, out.size, NULL), RH_OK);
	buffer_free(&out);
}

/* What is too long is cut, but for the one that asks. */
static void test_lists_cut(void **state)
{
	static struct status_computer computers[3 * MESSAGE_COMPUTERS_MAX];
	static struct status_license licenses[MESSAGE_LICENSES_MAX];
	struct status_reply status = {.licenses = licenses,
				.license_count = 1,
				.head = "a.b.c"},
			    got;
	struct buffer out = {0};
	char title[MESSAGE_ID_MAX + 1] = "";
	size_t last;

	(void)state;
	for (size_t i = 0; i < 3 * MESSAGE_COMPUTERS_MAX; i++)
		computers[i] = (struct status_computer){.computer = THUMBPRINT,
		    .name = "A computer with a name",
		    .since = (int64_t)i,
		    .releasing = MESSAGE_TIME_NONE,
		    .you = i == 2 * MESSAGE_COMPUTERS_MAX};
	memset(title, 't', MESSAGE_ID_MAX);
	for (size_t i = 0; i < MESSAGE_LICENSES_MAX; i++)
		licenses[i] = (struct status_license){.id = title,
		    .issuer = title,
		    .title = title,
		    .limit = 5000,
		    .free = 2000,
		    .computers = computers,
		    .computer_count = 3 * MESSAGE_COMPUTERS_MAX};
	assert_int_equal(status_reply_write(&status, &out, NULL), RH_OK);
	assert_int_equal(status_reply_read(&got, out.data, out.size, NULL), RH_OK);
	assert_int_equal(got.licenses[0].computer_count, MESSAGE_COMPUTERS_MAX);
	assert_int_equal(got.licenses[0].free, 2000);
	last = got.licenses[0].computer_count - 1;
	assert_int_equal(got.licenses[0].computers[last - 1].since, last - 1);
	assert_true(got.licenses[0].computers[last].you);
	status_reply_free(&got);
	buffer_clear(&out);

	status.license_count = MESSAGE_LICENSES_MAX;
	assert_int_equal(buffer_append_text(&out, "before", NULL), RH_OK);
	assert_int_equal(status_reply_write(&status, &out, NULL), RH_OK);
	assert_in_range(out.size - 6, MESSAGE_REPLY_MAX / 3, MESSAGE_REPLY_MAX);
	assert_int_equal(status_reply_read(&got, out.data + 6, out.size - 6, NULL), RH_OK);
	assert_int_equal(got.license_count, MESSAGE_LICENSES_MAX);
	for (size_t i = 0; i < MESSAGE_LICENSES_MAX; i++) {
		last = got.licenses[i].computer_count - 1;
		assert_in_range(last, 10, 100);
		assert_true(got.licenses[i].computers[last].you);
	}
	status_reply_free(&got);
	buffer_free(&out);
}

static void test_size_bounds(void **state)
{
	char *text = calloc(1, MESSAGE_REPLY_MAX + 2);
	struct request_license license = {.document = text, .document_size = MESSAGE_MAX - 30};
	struct restore_request request = {
	    .path = MESSAGE_PLAN, .licenses = &license, .license_count = 1};
	struct computers_reply reply = {.certificate = text, .head = "a.b.c"};
	struct computers_request name = {.name = "\xff"};
	struct buffer out = {0};
	rh_error error;

	(void)state;
	assert_non_null(text);
	memset(text, 'd', MESSAGE_REPLY_MAX + 1);
	assert_int_equal(buffer_append_text(&out, "before", NULL), RH_OK);
	assert_int_equal(restore_request_write(&request, &out, NULL), RH_OK);
	assert_int_equal(out.size, 6 + MESSAGE_MAX);
	assert_int_equal(read_message("plan", (char *)out.data + 6, MESSAGE_MAX, NULL), RH_OK);
	out.size = 6;
	license.document_size++;
	assert_int_equal(restore_request_write(&request, &out, NULL), RH_E_ARGUMENT);
	assert_int_equal(computers_reply_write(&reply, &out, NULL), RH_E_ARGUMENT);
	assert_int_equal(computers_request_write(&name, &out, NULL), RH_E_ARGUMENT);
	assert_int_equal(out.size, 6);
	assert_int_equal(
	    read_message("plan", text, MESSAGE_MAX + 1, &error), RH_E_LICENSE_INVALID);
	assert_non_null(strstr(error.text, "more than"));
	assert_int_equal(read_message("problem_reply", text, MESSAGE_REPLY_MAX + 1, &error),
	    RH_E_LICENSE_INVALID);
	assert_non_null(strstr(error.text, "more than"));
	buffer_free(&out);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_accepted),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_text_bounds),
	    cmocka_unit_test(test_list_bounds),
	    cmocka_unit_test(test_lists_cut),
	    cmocka_unit_test(test_size_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
