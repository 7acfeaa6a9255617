#ifndef TESTS_SERVICE_LEDGER_FIXTURE_H
#define TESTS_SERVICE_LEDGER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "license/license.h"
#include "service/ledger_internal.h"

#include "database_kit.h"

#define SERVICE "https://licences.example/lms"
#define ISSUER "issuer.example"
#define NOW 1700000000
#define DAY 86400
#define WEEK ((int64_t)7 * DAY)
#define NEVER LICENSE_TIME_NONE

#define assert_ok(call)                                                                        \
	do {                                                                                   \
		rh_error fault_ = {0};                                                         \
		rh_error *error = &fault_;                                                     \
		int code_ = (call);                                                            \
		if (code_ != RH_OK)                                                            \
			fail_msg("%s: %s: %s", #call, rh_code_name(code_), fault_.text);       \
	} while (0)

struct fixture {
	struct database *database;
	struct ledger *ledger;
	struct jose_key *key;
	struct jose_set keys;
};

/* The service's key, the same each time. */
void fixture_keys(struct fixture *f);
/* A fresh ledger with the issuer ISSUER. */
void fixture_open(struct fixture *f, unsigned connections);
void fixture_close(struct fixture *f);

/* As its document says; issued at NOW - 100 days, no limit of its own. */
struct ledger_license license_of(const char *id, const char *original);
struct ledger_visitor visitor_of(const char *computer, const char *claim);

/* A nonce that never was, in one of a few places that are used in turn. */
const char *next_nonce(void);

/* ${request} is an idempotency key, and its body; NULL: a new one. */
int commit_request(struct ledger *ledger, int64_t now, const struct ledger_visitor *visitor,
    const char *request, const struct ledger_license *licenses, size_t count,
    struct ledger_outcome *outcomes, char **ret_grants, enum problem *ret_problem,
    struct head *ret_head, rh_error *error);

/* One licence; failures fail the test. */
struct ledger_outcome restore_one(struct fixture *f, int64_t now, const char *computer,
    const char *claim, const struct ledger_license *license);
struct ledger_outcome plan_one(struct fixture *f, int64_t now, const char *computer,
    const char *claim, const struct ledger_license *license);
/* ... and its number, or 0 with the problem in its place. */
#define assert_granted(outcome, k, n)                                                          \
	assert_result((outcome), MESSAGE_GRANTED, PROBLEM_NONE, (k), (n), __FILE__, __LINE__)
#define assert_free(outcome, k, n)                                                             \
	assert_result((outcome), MESSAGE_FREE, PROBLEM_NONE, (k), (n), __FILE__, __LINE__)
#define assert_costs(outcome, k, n)                                                            \
	assert_result((outcome), MESSAGE_COSTS, PROBLEM_NONE, (k), (n), __FILE__, __LINE__)
#define assert_refused(outcome, problem, k, n)                                                 \
	assert_result((outcome), MESSAGE_REFUSED, (problem), (k), (n), __FILE__, __LINE__)
void assert_result(struct ledger_outcome outcome, enum message_result result,
    enum problem problem, uint32_t number, uint32_t limit, const char *file, int line);

void enroll(struct fixture *f, int64_t now, const char *computer, const char *release);

/* Asks for a release; by "R", if nobody is said. */
struct answer {
	enum problem problem;
	enum release_state state;
	int64_t effective;
};
struct answer ask(struct fixture *f, int64_t now, struct ledger_release release);
#define assert_waiting(given, time)                                                            \
	do {                                                                                   \
		struct answer answer_ = (given);                                               \
		assert_int_equal(answer_.problem, PROBLEM_NONE);                               \
		assert_int_equal(answer_.state, RELEASE_WAITING);                              \
		assert_int_equal(answer_.effective, (time));                                   \
	} while (0)
#define assert_state(given, expected)                                                          \
	do {                                                                                   \
		struct answer answer_ = (given);                                               \
		assert_int_equal(answer_.problem, PROBLEM_NONE);                               \
		assert_int_equal(answer_.state, (expected));                                   \
	} while (0)
#define assert_problem(given, expected) assert_int_equal((given).problem, (expected))

/* Runs any SQL without results, behind the ledger's back: one connection of its own. */
void tamper(struct fixture *f, const struct statement *statement);
int64_t look_up(struct fixture *f, const struct statement *statement);

/* Sets the service's policy; POLICY_UNSET members are as ever. */
void set_policy(struct fixture *f, struct policy policy);

#endif
