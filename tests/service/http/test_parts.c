#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/text.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/nonces.h"
#include "service/rates.h"
#include "failing.h"

#define SECOND UINT64_C(1000000000)

/* ---- Problems ---- */

static void every_problem_has_words(void **state)
{
	(void)state;
	for (int i = PROBLEM_NONE + 1; i < PROBLEM_COUNT; i++) {
		const enum problem problem = (enum problem)i;
		const char *code = problem_code(problem);

		assert_in_range(problem_status(problem), 400, 503);
		assert_int_equal(strspn(code, "abcdefghijklmnopqrstuvwxyz-"), strlen(code));
		for (int other = PROBLEM_NONE + 1; other < i; other++)
			assert_string_not_equal(code, problem_code((enum problem)other));
		for (int language = LANGUAGE_ENGLISH; language <= LANGUAGE_GERMAN; language++) {
			const char *title = problem_title(problem, (enum language)language);
			const char *detail = problem_detail(problem, (enum language)language);

			assert_true(strlen(title) > 10 && strlen(detail) > 10);
			assert_int_equal(title[strlen(title) - 1], '.');
			assert_int_equal(detail[strlen(detail) - 1], '.');
			assert_true(utf8_valid(title, strlen(title)));
			assert_true(utf8_valid(detail, strlen(detail)));
		}
		assert_string_not_equal(problem_title(problem, LANGUAGE_ENGLISH),
		    problem_title(problem, LANGUAGE_GERMAN));
		assert_string_not_equal(problem_detail(problem, LANGUAGE_ENGLISH),
		    problem_detail(problem, LANGUAGE_GERMAN));
	}
}

static void codes_never_change(void **state)
{
	(void)state;
	assert_string_equal(problem_code(PROBLEM_LIMIT), "limit-reached");
	assert_string_equal(problem_code(PROBLEM_PERIOD), "period-limit-reached");
	assert_string_equal(problem_code(PROBLEM_COOLDOWN), "cooldown");
	assert_string_equal(problem_code(PROBLEM_ROLLED_BACK), "ledger-rolled-back");
	assert_string_equal(problem_code(PROBLEM_IDEMPOTENCY), "idempotency-conflict");
	assert_string_equal(problem_code(PROBLEM_NONCE_UNKNOWN), "nonce-unknown");
	assert_string_equal(problem_code(PROBLEM_NONCE_USED), "nonce-used");
	assert_string_equal(problem_code(PROBLEM_PROOF_STALE), "proof-stale");
	assert_string_equal(problem_code(PROBLEM_TOO_LARGE), "message-too-large");
	assert_string_equal(problem_code(PROBLEM_MALFORMED), "message-malformed");
	assert_string_equal(problem_code(PROBLEM_TOO_MANY), "too-many-requests");
	assert_string_equal(problem_code((enum problem)9999), "unavailable");
}

static void languages_are_picked(void **state)
{
	static const struct {
		const char *accept;
		enum language language;
	} cases[] = {
	    {NULL, LANGUAGE_ENGLISH},
	    {"", LANGUAGE_ENGLISH},
	    {"de", LANGUAGE_GERMAN},
	    {"DE-at", LANGUAGE_GERMAN},
	    {"en", LANGUAGE_ENGLISH},
	    {"fr", LANGUAGE_ENGLISH},
	    {"*", LANGUAGE_ENGLISH},
	    {"den", LANGUAGE_ENGLISH},
	    {"d", LANGUAGE_ENGLISH},
	    {"fr, de;q=0.2", LANGUAGE_GERMAN},
	    {"de,en-US;q=0.7,en;q=0.3", LANGUAGE_GERMAN},
	    {"en-US,en;q=0.9,de;q=0.8", LANGUAGE_ENGLISH},
	    {"en;q=0.8, de;q=0.9", LANGUAGE_GERMAN},
	    {"de, en", LANGUAGE_GERMAN},
	    {"en, de", LANGUAGE_ENGLISH},
	    {"*, en;q=0", LANGUAGE_GERMAN},
	    {"en;q=0", LANGUAGE_ENGLISH},
	    {"de;q=0, *", LANGUAGE_ENGLISH},
	    {"*;q=0.5, de", LANGUAGE_GERMAN},
	    {"de;q=0.3, *;q=0.5", LANGUAGE_ENGLISH},
	    {"de-CH;q=0.1, de;q=0.9, en;q=0.5", LANGUAGE_GERMAN},
	    {" de ; q=1.000 , en ; q=0.999", LANGUAGE_GERMAN},
	    {"de;q=1.5, en;q=0.1", LANGUAGE_ENGLISH},
	    {"de;q=x, en;q=0.1", LANGUAGE_ENGLISH},
	    {"de;level=1, en;q=0.1", LANGUAGE_ENGLISH},
	    {",,,;q=,=;;q", LANGUAGE_ENGLISH},
	    {"de;q=", LANGUAGE_ENGLISH},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (language_pick(cases[i].accept) != cases[i].language)
			fail_msg("Accept-Language: %s", cases[i].accept);
}

/* ---- Nonces ---- */

static const uint8_t key[KEY_SIZE] = "a key of thirty-two bytes, yes.";

static void nonces_are_good_once(void **state)
{
	char nonce[NONCE_SIZE], other[NONCE_SIZE];
	struct nonces *nonces, *twin;
	rh_error error;

	(void)state;
	assert_int_equal(nonces_new(key, &nonces, &error), RH_OK);
	assert_int_equal(nonces_new(key, &twin, &error), RH_OK);
	assert_int_equal(nonces_make(nonces, 1000, nonce, &error), RH_OK);
	assert_int_equal(nonces_make(nonces, 1000, other, &error), RH_OK);
	assert_int_equal(strlen(nonce), NONCE_SIZE - 1);
	assert_string_not_equal(nonce, other);
	assert_int_equal(nonces_use(nonces, 1001, nonce), NONCE_GOOD);
	assert_int_equal(nonces_use(nonces, 1001, nonce), NONCE_USED);
	/* Another rehostd with the same keys takes it too; the ledger knows better. */
	assert_int_equal(nonces_use(twin, 1001, nonce), NONCE_GOOD);
	assert_int_equal(nonces_use(nonces, 1000 + NONCE_LIFE, other), NONCE_GOOD);
	nonces_free(twin);
	nonces_free(nonces);
	nonces_free(NULL);
}

static void nonces_grow_old(void **state)
{
	char nonce[NONCE_SIZE];
	struct nonces *nonces;

	(void)state;
	assert_int_equal(nonces_new(key, &nonces, NULL), RH_OK);
	assert_int_equal(nonces_make(nonces, 100000, nonce, NULL), RH_OK);
	assert_int_equal(nonces_use(nonces, 100000 + NONCE_LIFE + 1, nonce), NONCE_UNKNOWN);
	/* Made where the clock is ahead. */
	assert_int_equal(nonces_use(nonces, 100000 - 61, nonce), NONCE_UNKNOWN);
	assert_int_equal(nonces_use(nonces, 100000 - 60, nonce), NONCE_GOOD);
	assert_int_equal(nonces_use(nonces, 100000 + NONCE_LIFE, nonce), NONCE_USED);
	nonces_free(nonces);
}

static void other_texts_are_no_nonces(void **state)
{
	uint8_t other_key[KEY_SIZE] = {1};
	char nonce[NONCE_SIZE], text[NONCE_SIZE + 8];
	struct nonces *nonces, *others;

	(void)state;
	assert_int_equal(nonces_new(key, &nonces, NULL), RH_OK);
	assert_int_equal(nonces_new(other_key, &others, NULL), RH_OK);
	assert_int_equal(nonces_make(nonces, 5000, nonce, NULL), RH_OK);
	assert_int_equal(nonces_use(others, 5000, nonce), NONCE_UNKNOWN);
	assert_int_equal(nonces_use(nonces, 5000, ""), NONCE_UNKNOWN);
	assert_int_equal(nonces_use(nonces, 5000, "A"), NONCE_UNKNOWN);
	snprintf(text, sizeof text, "%sA", nonce);
	assert_int_equal(nonces_use(nonces, 5000, text), NONCE_UNKNOWN);
	for (size_t i = 0; i < NONCE_SIZE - 1; i++) {
		strcpy(text, nonce);
		text[i] = text[i] == 'A' ? 'B' : 'A';
		assert_int_equal(nonces_use(nonces, 5000, text), NONCE_UNKNOWN);
	}
	assert_int_equal(nonces_use(nonces, 5000, nonce), NONCE_GOOD);
	nonces_free(others);
	nonces_free(nonces);
}

/* Each is remembered for as long as it lasts, however many there are; then there is room again.
 */
static void nonces_are_bounded(void **state)
{
	char first[NONCE_SIZE], nonce[NONCE_SIZE];
	enum nonce_verdict verdict = NONCE_GOOD;
	struct nonces *nonces;
	size_t count = 0;

	(void)state;
	assert_int_equal(nonces_new(key, &nonces, NULL), RH_OK);
	assert_int_equal(nonces_make(nonces, 3000, first, NULL), RH_OK);
	assert_int_equal(nonces_use(nonces, 3000, first), NONCE_GOOD);
	while (verdict == NONCE_GOOD && count < 1000000) {
		assert_int_equal(nonces_make(nonces, 3000, nonce, NULL), RH_OK);
		verdict = nonces_use(nonces, 3000, nonce);
		count++;
	}
	assert_int_equal(verdict, NONCE_FULL);
	assert_true(count > 300000);
	assert_int_equal(nonces_use(nonces, 3000, first), NONCE_FULL);
	for (int64_t now = 3000 + NONCE_LIFE; now <= 3000 + 4 * NONCE_LIFE; now += NONCE_LIFE) {
		assert_int_equal(nonces_make(nonces, now, nonce, NULL), RH_OK);
		assert_int_equal(nonces_use(nonces, now, nonce), NONCE_GOOD);
		assert_int_equal(nonces_use(nonces, now, nonce), NONCE_USED);
	}
	nonces_free(nonces);
}

/* ---- Rates ---- */

static void rates_refill(void **state)
{
	struct rates *rates;
	uint64_t now = 1000 * SECOND;
	unsigned seconds = 0;

	(void)state;
	assert_int_equal(rates_new(2, 4, &rates, NULL), RH_OK);
	for (int i = 0; i < 4; i++)
		assert_true(rates_take(rates, RATE_ADDRESS, "192.0.2.1", now, &seconds));
	assert_false(rates_take(rates, RATE_ADDRESS, "192.0.2.1", now, &seconds));
	assert_int_equal(seconds, 1);
	/* Others, and computers of the same name, have their own. */
	assert_true(rates_take(rates, RATE_ADDRESS, "192.0.2.2", now, &seconds));
	assert_true(rates_take(rates, RATE_COMPUTER, "192.0.2.1", now, &seconds));
	assert_false(
	    rates_take(rates, RATE_ADDRESS, "192.0.2.1", now + SECOND / 2 - 1, &seconds));
	assert_true(rates_take(rates, RATE_ADDRESS, "192.0.2.1", now + SECOND / 2, &seconds));
	assert_false(rates_take(rates, RATE_ADDRESS, "192.0.2.1", now + SECOND / 2, &seconds));
	/* Never more than fits. */
	now += 1000 * SECOND;
	for (int i = 0; i < 4; i++)
		assert_true(rates_take(rates, RATE_ADDRESS, "192.0.2.1", now, &seconds));
	assert_false(rates_take(rates, RATE_ADDRESS, "192.0.2.1", now, &seconds));
	rates_free(rates);
	rates_free(NULL);
}

static void no_rate_is_no_limit(void **state)
{
	struct rates *rates;
	unsigned seconds;

	(void)state;
	assert_int_equal(rates_new(0, 0, &rates, NULL), RH_OK);
	for (int i = 0; i < 10000; i++)
		assert_true(rates_take(rates, RATE_ADDRESS, "192.0.2.1", SECOND, &seconds));
	rates_free(rates);
}

/* A flood of strangers neither grows the table nor frees one who asked too much just now. */
static void rates_are_bounded(void **state)
{
	struct rates *rates;
	unsigned seconds;
	char name[32];
	size_t before;

	(void)state;
	assert_int_equal(rates_new(1, 100, &rates, NULL), RH_OK);
	while (rates_take(rates, RATE_ADDRESS, "203.0.113.7", 500 * SECOND, &seconds))
		;
	failing_nth(0);
	for (int i = 0; i < 200000; i++) {
		snprintf(name, sizeof name, "2001:db8::%x", (unsigned)i);
		assert_true(rates_take(rates, RATE_ADDRESS, name, 500 * SECOND, &seconds));
	}
	before = failing_stop();
	assert_int_equal(before, 0);
	assert_false(rates_take(rates, RATE_ADDRESS, "203.0.113.7", 500 * SECOND, &seconds));
	rates_free(rates);
}

/* ---- The log ---- */

static size_t written(int fd, char *text, size_t size)
{
	const ssize_t count = read(fd, text, size - 1);

	assert_true(count > 0);
	text[count] = '\0';
	return (size_t)count;
}

static json_t *line_of(int fd)
{
	char text[8192];
	const size_t size = written(fd, text, sizeof text);
	json_error_t why;
	json_t *line;

	assert_int_equal(text[size - 1], '\n');
	assert_ptr_equal(strchr(text, '\n'), text + size - 1);
	line = json_loads(text, 0, &why);
	if (line == NULL)
		fail_msg("%s: %s", why.text, text);
	return line;
}

static const char *member(const json_t *line, const char *name)
{
	return json_string_value(json_object_get(line, name));
}

static void log_lines_are_json(void **state)
{
	char bytes[256], lengthy[2000];
	struct log *log;
	json_t *line;
	int ends[2];

	(void)state;
	for (int i = 0; i < 255; i++)
		bytes[i] = (char)(i + 1);
	bytes[255] = '\0';
	for (size_t i = 0; i + 2 < sizeof lengthy; i += 2)
		memcpy(lengthy + i, "\303\266", 2);
	lengthy[sizeof lengthy - 2] = '\0';
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(log_new(ends[1], &log, NULL), RH_OK);
	log_line(log, LOG_LEVEL_WARNING, "any", "plain", "text", "none", NULL, "bytes", bytes,
	    "lengthy", lengthy, "quotes", "a\"b\\c\nd\x7f\xe2\x82\xac", NULL);
	line = line_of(ends[0]);
	assert_string_equal(member(line, "level"), "warning");
	assert_string_equal(member(line, "event"), "any");
	assert_string_equal(member(line, "plain"), "text");
	assert_null(json_object_get(line, "none"));
	assert_string_equal(member(line, "quotes"), "a\"b\\c\nd\x7f\xe2\x82\xac");
	assert_memory_equal(member(line, "bytes"), bytes, 127);
	assert_int_equal(strspn(member(line, "bytes") + 127, "?"), 128);
	assert_int_equal(strlen(member(line, "lengthy")), 515);
	assert_int_equal(strlen(member(line, "time")), 20);
	json_decref(line);
	/* As much as fits, in one write. */
	memset(lengthy, 1, sizeof lengthy - 1);
	lengthy[sizeof lengthy - 1] = '\0';
	log_line(log, LOG_LEVEL_ERROR, "full", "a", lengthy, "b", lengthy, "c", "short", NULL);
	line = line_of(ends[0]);
	assert_string_equal(member(line, "c"), "short");
	assert_null(json_object_get(line, "b"));
	json_decref(line);
	log_free(log);
	close(ends[0]);
	close(ends[1]);
}

static void requests_are_told(void **state)
{
	struct log_request request = {.method = "POST",
	    .route = "/v1/plan",
	    .status = 200,
	    .computer = "0123456789abcdef",
	    .client = "192.0.2.1",
	    .licenses = 3,
	    .nanoseconds = 1234567};
	struct log *log;
	json_t *line;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(log_new(ends[1], &log, NULL), RH_OK);
	log_request(log, &request);
	line = line_of(ends[0]);
	assert_string_equal(member(line, "event"), "request");
	assert_string_equal(member(line, "route"), "/v1/plan");
	assert_string_equal(member(line, "computer"), "01234567");
	assert_int_equal(json_integer_value(json_object_get(line, "status")), 200);
	assert_int_equal(json_integer_value(json_object_get(line, "licences")), 3);
	assert_true(json_real_value(json_object_get(line, "ms")) == 1.235);
	/* Whoever was not refused stays unknown. */
	assert_null(json_object_get(line, "client"));
	assert_null(json_object_get(line, "problem"));
	json_decref(line);
	request = (struct log_request){.method = "X",
	    .status = 503,
	    .problem = "busy",
	    .computer = "",
	    .client = "192.0.2.1"};
	log_request(log, &request);
	line = line_of(ends[0]);
	assert_string_equal(member(line, "client"), "192.0.2.1");
	assert_string_equal(member(line, "problem"), "busy");
	assert_string_equal(member(line, "level"), "warning");
	assert_null(json_object_get(line, "route"));
	assert_null(json_object_get(line, "computer"));
	assert_null(json_object_get(line, "licences"));
	json_decref(line);
	log_free(log);
	close(ends[0]);
	close(ends[1]);
}

/* ---- Metrics ---- */

static const struct route table[] = {
    {"GET", "/one", NULL, 0, false, false},
    {"POST", "/two/*", NULL, 0, false, false},
    {NULL, NULL, NULL, 0, false, false},
};

static bool says(const struct buffer *text, const char *line)
{
	char wanted[256];

	snprintf(wanted, sizeof wanted, "\n%s\n", line);
	return memmem(text->data, text->size, wanted, strlen(wanted)) != NULL;
}

static void metrics_count(void **state)
{
	const struct ledger_counts counts = {
	    .computers = 1, .licenses = 2, .slots = 3, .cases = 4, .entries = 5};
	struct buffer text = {0};
	struct metrics *metrics;
	size_t allocations;
	int code;

	(void)state;
	assert_int_equal(metrics_new(table, &metrics, NULL), RH_OK);
	metrics_answered(metrics, &table[0], 200, PROBLEM_NONE, 900000);
	metrics_answered(metrics, &table[0], 200, PROBLEM_NONE, 3 * SECOND / 1000);
	metrics_answered(metrics, &table[1], 403, PROBLEM_LIMIT, 60 * SECOND);
	metrics_answered(metrics, NULL, 404, PROBLEM_NOT_FOUND, 0);
	metrics_aborted(metrics);
	metrics_bodies(metrics, 100);
	metrics_bodies(metrics, -40);
	metrics_connections(metrics, 1);
	assert_int_equal(metrics_write(metrics, &counts, true, &text, NULL), RH_OK);
	assert_true(says(
	    &text, "rehostd_requests_total{method=\"GET\",route=\"/one\",status=\"200\"} 2"));
	assert_true(says(&text,
	    "rehostd_requests_total{method=\"POST\",route=\"/two/*\",status=\"403\"} 1"));
	assert_true(
	    says(&text, "rehostd_requests_total{method=\"\",route=\"\",status=\"404\"} 1"));
	assert_true(says(&text,
	    "rehostd_request_seconds_bucket{method=\"GET\",route=\"/one\",le=\"0.001\"} 1"));
	assert_true(says(&text,
	    "rehostd_request_seconds_bucket{method=\"GET\",route=\"/one\",le=\"0.005\"} 2"));
	assert_true(says(&text,
	    "rehostd_request_seconds_bucket{method=\"POST\",route=\"/two/*\",le=\"10\"} 0"));
	assert_true(says(&text,
	    "rehostd_request_seconds_bucket{method=\"POST\",route=\"/two/*\",le=\"+Inf\"} 1"));
	assert_true(
	    says(&text, "rehostd_request_seconds_sum{method=\"GET\",route=\"/one\"} 0.003900"));
	assert_true(
	    says(&text, "rehostd_request_seconds_count{method=\"GET\",route=\"/one\"} 2"));
	assert_true(says(&text, "rehostd_problems_total{code=\"limit-reached\"} 1"));
	assert_true(says(&text, "rehostd_requests_aborted_total 1"));
	assert_true(says(&text, "rehostd_body_bytes 60"));
	assert_true(says(&text, "rehostd_connections 1"));
	assert_true(says(&text, "rehostd_database_up 1"));
	assert_true(says(&text, "rehostd_ledger_rolled_back 1"));
	assert_true(says(&text, "rehostd_ledger_rows{table=\"slots\"} 3"));
	buffer_clear(&text);
	assert_int_equal(metrics_write(metrics, NULL, false, &text, NULL), RH_OK);
	assert_true(says(&text, "rehostd_database_up 0"));
	assert_null(memmem(text.data, text.size, "ledger_rows", 11));
	buffer_free(&text);
	failing_nth(0);
	assert_int_equal(metrics_write(metrics, NULL, false, &text, NULL), RH_OK);
	allocations = failing_stop();
	for (size_t i = 1; i <= allocations; i++) {
		buffer_free(&text);
		failing_nth(i);
		code = metrics_write(metrics, NULL, false, &text, NULL);
		failing_stop();
		assert_int_equal(code, RH_E_MEMORY);
	}
	buffer_free(&text);
	metrics_free(metrics);
}

static void nothing_is_made_without_memory(void **state)
{
	struct metrics *metrics = NULL;
	struct nonces *nonces = NULL;
	struct rates *rates = NULL;
	struct log *log = NULL;
	int codes[4];

	(void)state;
	failing_from(1);
	codes[0] = metrics_new(table, &metrics, NULL);
	codes[1] = nonces_new(key, &nonces, NULL);
	codes[2] = rates_new(1, 1, &rates, NULL);
	codes[3] = log_new(1, &log, NULL);
	failing_stop();
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(codes[i], RH_E_MEMORY);
	assert_true(metrics == NULL && nonces == NULL && rates == NULL && log == NULL);
}

/* Without memory to remember it, a nonce is not taken; later it is. */
static void nonces_without_memory(void **state)
{
	char nonce[NONCE_SIZE];
	struct nonces *nonces;
	enum nonce_verdict verdict;

	(void)state;
	assert_int_equal(nonces_new(key, &nonces, NULL), RH_OK);
	assert_int_equal(nonces_make(nonces, 3000, nonce, NULL), RH_OK);
	failing_from(1);
	verdict = nonces_use(nonces, 3000, nonce);
	failing_stop();
	assert_int_equal(verdict, NONCE_FULL);
	assert_int_equal(nonces_use(nonces, 3000, nonce), NONCE_GOOD);
	nonces_free(nonces);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_problem_has_words),
	    cmocka_unit_test(codes_never_change),
	    cmocka_unit_test(languages_are_picked),
	    cmocka_unit_test(nonces_are_good_once),
	    cmocka_unit_test(nonces_grow_old),
	    cmocka_unit_test(other_texts_are_no_nonces),
	    cmocka_unit_test(nonces_are_bounded),
	    cmocka_unit_test(nonces_without_memory),
	    cmocka_unit_test(rates_refill),
	    cmocka_unit_test(no_rate_is_no_limit),
	    cmocka_unit_test(rates_are_bounded),
	    cmocka_unit_test(log_lines_are_json),
	    cmocka_unit_test(requests_are_told),
	    cmocka_unit_test(metrics_count),
	    cmocka_unit_test(nothing_is_made_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
