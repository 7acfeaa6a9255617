#include "failing.h"
#include "fixture.h"

/*
 * Every call to the database fails in turn, and every allocation: what was asked is done or
 * not done, and can be asked again.
 */

/* ---- The database: the linker (--wrap) sends the ledger's calls here ---- */

static struct {
	unsigned calls;
	unsigned nth; /* that fails; 0: none */
	bool all; /* behind it as well */
	bool after; /* a commit fails after it took place */
	int code;
	bool happened;
} shim;

static bool fails(rh_error *error)
{
	shim.calls++;
	if (shim.nth == 0 || shim.calls < shim.nth || (shim.calls > shim.nth && !shim.all))
		return false;
	shim.happened = true;
	error_set(error, shim.code, "the test lets it fail");
	return true;
}

int __real_database_take(struct database *, bool, struct connection **, rh_error *);
int __wrap_database_take(struct database *, bool, struct connection **, rh_error *);
int __real_connection_begin(struct connection *, rh_error *);
int __wrap_connection_begin(struct connection *, rh_error *);
int __real_connection_commit(struct connection *, rh_error *);
int __wrap_connection_commit(struct connection *, rh_error *);
int __real_database_query(struct connection *, const struct statement *, const struct value *,
    row_function, void *, rh_error *);
int __wrap_database_query(struct connection *, const struct statement *, const struct value *,
    row_function, void *, rh_error *);
int __real_database_query_many(struct connection *, const struct statement *,
    const struct value *, size_t, row_function, void *, rh_error *);
int __wrap_database_query_many(struct connection *, const struct statement *,
    const struct value *, size_t, row_function, void *, rh_error *);

int __wrap_database_take(
    struct database *database, bool writing, struct connection **ret, rh_error *error)
{
	return fails(error) ? shim.code : __real_database_take(database, writing, ret, error);
}

int __wrap_connection_begin(struct connection *connection, rh_error *error)
{
	return fails(error) ? shim.code : __real_connection_begin(connection, error);
}

int __wrap_connection_commit(struct connection *connection, rh_error *error)
{
	bool failing = fails(error);

	if (failing && !shim.after)
		return shim.code;
	if (__real_connection_commit(connection, NULL) != RH_OK)
		fail();
	return failing ? shim.code : RH_OK;
}

int __wrap_database_query(struct connection *connection, const struct statement *statement,
    const struct value *values, row_function function, void *context, rh_error *error)
{
	return fails(error) ? shim.code
			    : __real_database_query(
				  connection, statement, values, function, context, error);
}

int __wrap_database_query_many(struct connection *connection, const struct statement *statement,
    const struct value *values, size_t count, row_function function, void *context,
    rh_error *error)
{
	return fails(error) ? shim.code
			    : __real_database_query_many(connection, statement, values, count,
				  function, context, error);
}

static void shim_arm(unsigned nth, int code, bool all)
{
	shim.calls = 0;
	shim.nth = nth;
	shim.code = code;
	shim.all = all;
	shim.happened = false;
}

static unsigned shim_stop(void)
{
	unsigned calls = shim.calls;

	shim.nth = 0;
	return calls;
}

/* ---- What is asked; ${n} is another number each time ---- */

static struct fixture *f;
static char name_a[40], name_b[40], name_c[40];

static const char *numbered(char name[40], const char *what, unsigned n)
{
	snprintf(name, 40, "%s-%u", what, n);
	return name;
}

static int64_t time_of(unsigned n)
{
	return NOW + (int64_t)n * 10 * DAY;
}

/* A release that is due, one that waits, a licence that is full, and one that is not. */
static void before_restore(unsigned n)
{
	struct ledger_license full = license_of(numbered(name_a, "full", n), "K9");
	struct ledger_release release = {.actor = "x"};
	enum release_state state;
	enum problem problem;
	struct head head;
	int64_t effective;
	char lost[40];

	full.computers = 2;
	numbered(lost, "lost", n);
	restore_one(f, time_of(n), lost, NULL, &full);
	release.computer = lost;
	assert_ok(ledger_release(f->ledger, time_of(n) - 8 * DAY, &release, &state, &effective,
	    &problem, &head, error));
	full = license_of(numbered(name_a, "fuller", n), "K9");
	full.computers = 1;
	restore_one(f, time_of(n), numbered(lost, "back", n), NULL, &full);
	release.computer = lost;
	assert_ok(ledger_release(
	    f->ledger, time_of(n) - DAY, &release, &state, &effective, &problem, &head, error));
}

/* Not of what is tested. */
static struct ledger_license document(const char *id, const char *original)
{
	struct ledger_license license;

	failing_pause();
	license = license_of(id, original);
	failing_resume();
	return license;
}

/* ${last}: what becomes of the last one. */
static int restore(unsigned n, bool plan, enum message_result last, rh_error *error)
{
	struct ledger_license l[3];
	char computer[40], key[40], claim[40];
	/* A claim changes something for the first computer alone, so each has its own. */
	struct ledger_visitor visitor = {.computer = numbered(computer, "back", n),
	    .claim = numbered(claim, "K", n),
	    .owner_license_key = claim,
	    .owner_release = "R"};
	struct ledger_outcome o[3];
	enum problem problem = PROBLEM_NONE;
	struct head head = {0};
	char *grants = NULL;
	int code;

	l[0] = document(numbered(name_a, "full", n), "K9");
	l[1] = document(numbered(name_b, "fuller", n), "K9");
	l[2] = document(numbered(name_c, "new", n), "K9");
	l[0].computers = 2;
	l[1].computers = 1;
	if (plan)
		code = ledger_plan(
		    f->ledger, time_of(n), &visitor, l, 3, o, &problem, &head, error);
	else
		code = commit_request(f->ledger, time_of(n), &visitor, numbered(key, "key", n),
		    l, 3, o, &grants, &problem, &head, error);
	if (code == RH_OK) {
		assert_int_equal(problem, PROBLEM_NONE);
		assert_int_equal(o[0].result, plan ? MESSAGE_COSTS : MESSAGE_GRANTED);
		assert_refused(o[1], PROBLEM_LIMIT, 1, 1);
		assert_int_equal(o[2].result, last);
		assert_true(head.seq > 0);
	}
	free(grants);
	return code;
}

static int do_commit(unsigned n, rh_error *error)
{
	return restore(n, false, MESSAGE_GRANTED, error);
}

/* It was done, and one of its licences is blocked since: the answer is signed anew. */
static void before_again(unsigned n)
{
	before_restore(n);
	assert_ok(restore(n, false, MESSAGE_GRANTED, error));
	assert_ok(ledger_block(
	    f->ledger, NOW, "x", ISSUER, numbered(name_c, "new", n), true, "", error));
}

static int do_again(unsigned n, rh_error *error)
{
	return restore(n, false, MESSAGE_REFUSED, error);
}

static int do_plan(unsigned n, rh_error *error)
{
	return restore(n, true, MESSAGE_COSTS, error);
}

static int do_head(unsigned n, rh_error *error)
{
	struct ledger_visitor visitor = visitor_of(numbered(name_a, "back", n), NULL);
	enum problem problem;
	struct head head;

	return ledger_head(f->ledger, time_of(n), &visitor, &problem, &head, error);
}

static int do_enroll(unsigned n, rh_error *error)
{
	enum problem problem;
	struct head head;

	return ledger_enroll(f->ledger, NOW, numbered(name_a, "fresh", n), "Name", "R",
	    next_nonce(), &problem, &head, error);
}

static int do_release(unsigned n, rh_error *error)
{
	struct ledger_release release = {.computer = numbered(name_a, "K", n),
	    .release = "R",
	    .owner_license_key = name_a,
	    .owner_release = "R",
	    .nonce = next_nonce(),
	    .actor = "R"};
	enum release_state state;
	enum problem problem = PROBLEM_NONE;
	struct head head;
	int64_t effective;
	int code = ledger_release(
	    f->ledger, NOW, &release, &state, &effective, &problem, &head, error);

	assert_int_equal(problem, PROBLEM_NONE);
	return code;
}

static int do_cancel(unsigned n, rh_error *error)
{
	struct ledger_release release = {
	    .computer = numbered(name_a, "back", n), .cancel = true, .actor = "x"};
	enum release_state state = RELEASE_CANCELLED;
	enum problem problem = PROBLEM_NONE;
	struct head head;
	int64_t effective;
	int code = ledger_release(
	    f->ledger, time_of(n), &release, &state, &effective, &problem, &head, error);

	assert_int_equal(state, RELEASE_CANCELLED);
	assert_int_equal(problem, PROBLEM_NONE);
	return code;
}

static int do_policy(unsigned n, rh_error *error)
{
	const struct policy policy = {5, 6, 7, 8, n};

	return ledger_policy_set(f->ledger, NOW, "x", POLICY_LICENSE, ISSUER,
	    numbered(name_a, "p", n), &policy, error);
}

static int do_exception(unsigned n, rh_error *error)
{
	return ledger_exception_add(
	    f->ledger, NOW, "x", ISSUER, numbered(name_a, "e", n), 1, NOW, "because", error);
}

static int do_block(unsigned n, rh_error *error)
{
	return ledger_block(
	    f->ledger, NOW, "x", ISSUER, numbered(name_a, "b", n), true, "because", error);
}

static int do_issuer(unsigned n, rh_error *error)
{
	const struct ledger_issuer issuer = {numbered(name_a, "i", n), "t", "c", "{}", 0};

	return ledger_issuer_put(f->ledger, NOW, "x", &issuer, error);
}

static void before_remove(unsigned n)
{
	assert_ok(do_issuer(n, error));
}

static int do_remove(unsigned n, rh_error *error)
{
	return ledger_issuer_remove(f->ledger, NOW, "x", numbered(name_a, "i", n), error);
}

static int do_token(unsigned n, rh_error *error)
{
	struct ledger_token token = {.scope = TOKEN_READ, .expires = NOW};
	char *text;
	int code;

	snprintf(token.name, sizeof token.name, "t-%u", n);
	code = ledger_token_make(f->ledger, NOW, "x", &token, &text, error);
	if (code == RH_OK)
		free(text);
	return code;
}

static void before_token_remove(unsigned n)
{
	assert_ok(do_token(n, error));
}

static int do_token_remove(unsigned n, rh_error *error)
{
	return ledger_token_remove(f->ledger, NOW, "x", numbered(name_a, "t", n), error);
}

static void before_resolve(unsigned n)
{
	const struct head seen = {.seq = 1000000 + n, .time = NOW + n};

	assert_ok(head_note_rolled_back(f->ledger, &seen, error));
}

static int do_resolve(unsigned n, rh_error *error)
{
	return ledger_resolve(f->ledger, NOW + n, "x", "because", error);
}

static int do_open(unsigned n, rh_error *error)
{
	struct ledger *ledger;
	int code = ledger_open(f->database, SERVICE, f->key, &f->keys, &ledger, error);

	(void)n;
	if (code == RH_OK)
		ledger_close(ledger);
	return code;
}

/* ---- What only reads ---- */

static int do_status(unsigned n, rh_error *error)
{
	struct ledger_license l = document("read", "K");
	struct ledger_status status;
	int code = ledger_status(f->ledger, NOW, &l, &status, error);

	(void)n;
	if (code == RH_OK)
		free(status.computers);
	return code;
}

static int do_case(unsigned n, rh_error *error)
{
	struct ledger_case found;
	int code = ledger_case(f->ledger, NOW, NULL, 1, &found, error);

	(void)n;
	if (code == RH_OK)
		free(found.status.computers);
	return code;
}

static int do_recognise(unsigned n, rh_error *error)
{
	struct ledger_license l = document("read", "K");

	(void)n;
	return ledger_recognise(f->ledger, &l, 1, NULL, error);
}

static int on_issuer(void *context, const struct ledger_issuer *issuer, rh_error *error)
{
	(void)context;
	(void)issuer;
	(void)error;
	return RH_OK;
}

static int on_token(void *context, const struct ledger_token *token, rh_error *error)
{
	(void)context;
	(void)token;
	(void)error;
	return RH_OK;
}

static int on_computer(
    void *context, const struct ledger_computer *computer, uint64_t licenses, rh_error *error)
{
	(void)context;
	(void)computer;
	(void)licenses;
	(void)error;
	return RH_OK;
}

static int on_license(void *context, const struct ledger_license *license, rh_error *error)
{
	(void)context;
	(void)license;
	(void)error;
	return RH_OK;
}

static int do_lists(unsigned n, rh_error *error)
{
	struct ledger_counts counts;
	struct policy policy;
	int64_t version;
	int code = ledger_issuers(f->ledger, on_issuer, NULL, error);

	(void)n;
	if (code == RH_OK)
		code = ledger_issuers_version(f->ledger, &version, error);
	if (code == RH_OK)
		code = ledger_tokens(f->ledger, on_token, NULL, error);
	if (code == RH_OK)
		code = ledger_computers(f->ledger, "", on_computer, NULL, error);
	if (code == RH_OK)
		code = ledger_licenses(f->ledger, "", 5, on_license, NULL, error);
	if (code == RH_OK)
		code = ledger_policy_get(f->ledger, POLICY_SERVICE, NULL, NULL, &policy, error);
	if (code == RH_OK)
		code = ledger_counts(f->ledger, &counts, error);
	return code;
}

static int do_verify(unsigned n, rh_error *error)
{
	uint64_t entries;

	(void)n;
	return ledger_audit_verify(f->ledger, &entries, error);
}

static int do_check(unsigned n, rh_error *error)
{
	struct ledger_token token;
	int code = ledger_token_check(f->ledger, NOW, "none", &token, error);

	(void)n;
	if (code != RH_E_NO_RIGHT)
		return code;
	error_clear(error);
	return RH_OK;
}

static int do_rolled_back(unsigned n, rh_error *error)
{
	bool rolled_back;
	struct head seen;

	(void)n;
	return ledger_rolled_back(f->ledger, &rolled_back, &seen, error);
}

/* ---- Each of them, with each failure ---- */

struct scenario {
	const char *name;
	void (*before)(unsigned n);
	int (*run)(unsigned n, rh_error *error);
	bool writes;
};
static const struct scenario scenarios[] = {{"commit", before_restore, do_commit, true},
    {"again", before_again, do_again, true}, {"plan", before_restore, do_plan, true},
    {"head", before_restore, do_head, true}, {"enroll", NULL, do_enroll, true},
    {"release", NULL, do_release, true}, {"cancel", before_restore, do_cancel, true},
    {"policy", NULL, do_policy, true}, {"exception", NULL, do_exception, true},
    {"block", NULL, do_block, true}, {"issuer", NULL, do_issuer, true},
    {"remove", before_remove, do_remove, true}, {"token", NULL, do_token, true},
    {"token-remove", before_token_remove, do_token_remove, true},
    {"resolve", before_resolve, do_resolve, true},
    {"rolled-back", before_resolve, do_rolled_back, false},
    {"resolve-once", before_resolve, do_resolve, true}, {"open", NULL, do_open, false},
    {"status", NULL, do_status, false}, {"case", NULL, do_case, false},
    {"recognise", NULL, do_recognise, false}, {"lists", NULL, do_lists, false},
    {"verify", NULL, do_verify, false}, {"check", NULL, do_check, false}};
#define SCENARIOS (sizeof scenarios / sizeof *scenarios)

static unsigned next_number;

static unsigned prepare(const struct scenario *scenario, struct ledger_counts *ret)
{
	unsigned n = ++next_number;

	if (scenario->before != NULL)
		scenario->before(n);
	/* Old rows are removed every so often, at other times than where a failure is. */
	f->ledger->changes = 1;
	assert_ok(ledger_counts(f->ledger, ret, error));
	return n;
}

static void check_unchanged(const struct ledger_counts *before)
{
	struct ledger_counts after;

	assert_ok(ledger_counts(f->ledger, &after, error));
	assert_memory_equal(before, &after, sizeof after);
}

static void check_again(const struct scenario *scenario, unsigned n)
{
	rh_error error = {0};
	int code = scenario->run(n, &error);

	if (code != RH_OK)
		fail_msg("%s again: %s", scenario->name, error.text);
}

static void fail_database(const struct scenario *scenario, unsigned nth, int code, bool all)
{
	struct ledger_counts before;
	unsigned n = prepare(scenario, &before);
	rh_error error = {0};
	int result;

	shim_arm(nth, code, all);
	result = scenario->run(n, &error);
	shim_stop();
	assert_true(shim.happened);
	if (code == RH_E_DATABASE_CONFLICT && !all) {
		assert_int_equal(result, RH_OK); /* it was done again */
		assert_int_equal(error.code, RH_OK);
		return;
	}
	assert_int_equal(result, code == RH_E_DATABASE_CONFLICT ? RH_E_DATABASE : code);
	assert_int_equal(error.code, result);
	if (!shim.after)
		check_unchanged(&before);
	check_again(scenario, n);
}

static unsigned count_calls(const struct scenario *scenario)
{
	struct ledger_counts before;
	unsigned n = prepare(scenario, &before), calls;

	shim_arm(0, 0, false);
	check_again(scenario, n);
	calls = shim_stop();
	assert_true(calls >= 1);
	return calls;
}

static void test_database(void **state)
{
	uint64_t entries;

	(void)state;
	for (size_t i = 0; i < SCENARIOS; i++) {
		unsigned calls = count_calls(&scenarios[i]);

		for (unsigned nth = 1; nth <= calls; nth++) {
			fail_database(&scenarios[i], nth, RH_E_DATABASE, false);
			fail_database(&scenarios[i], nth, RH_E_DATABASE_CONFLICT, false);
		}
		fail_database(&scenarios[i], calls, RH_E_MEMORY, false);
		fail_database(&scenarios[i], 1, RH_E_DATABASE_CONFLICT, true);
	}
	assert_ok(ledger_audit_verify(f->ledger, &entries, error));
}

/* It took place, but the answer was lost: asked again it is the same, and charged once. */
static void test_answer_lost(void **state)
{
	const struct scenario *scenario = &scenarios[0];
	struct ledger_counts before, between, after;
	unsigned calls = count_calls(scenario), n = prepare(scenario, &before);

	(void)state;
	shim_arm(calls, RH_E_DATABASE, false);
	shim.after = true;
	assert_int_equal(scenario->run(n, NULL), RH_E_DATABASE);
	shim.after = false;
	shim_stop();
	assert_ok(ledger_counts(f->ledger, &between, error));
	assert_int_equal(between.slots, before.slots + 2);
	check_again(scenario, n);
	assert_ok(ledger_counts(f->ledger, &after, error));
	assert_memory_equal(&between, &after, sizeof after);
}

static void test_allocations(void **state)
{
	(void)state;
	for (size_t i = 0; i < SCENARIOS; i++) {
		struct ledger_counts before;
		unsigned n = prepare(&scenarios[i], &before);
		size_t count;

		failing_nth(0);
		check_again(&scenarios[i], n);
		count = failing_stop();
		/* The log is long by now, and each of its entries is like the other. */
		for (size_t nth = 1; nth <= count; nth += 1 + count / 500) {
			rh_error error = {0};
			int code;

			n = prepare(&scenarios[i], &before);
			failing_nth(nth);
			code = scenarios[i].run(n, &error);
			failing_stop();
			if (!failing_happened())
				continue;
			if (code != RH_E_MEMORY)
				fail_msg("%s, allocation %zu of %zu: %s %s", scenarios[i].name,
				    nth, count, rh_code_name(code), error.text);
			check_unchanged(&before);
			check_again(&scenarios[i], n);
		}
	}
}

/* One failure while old rows are removed does no harm. */
static void test_pruning(void **state)
{
	struct ledger_counts before;
	unsigned n = prepare(&scenarios[0], &before), calls;

	(void)state;
	f->ledger->changes = 0;
	shim_arm(0, 0, false);
	check_again(&scenarios[0], n);
	calls = shim_stop();
	for (unsigned back = 0; back < 5; back++) {
		rh_error error = {0};

		n = prepare(&scenarios[0], &before);
		f->ledger->changes = 0;
		shim_arm(calls - back, RH_E_DATABASE, true);
		assert_int_equal(scenarios[0].run(n, &error), RH_OK);
		assert_int_equal(error.code, RH_OK);
		shim_stop();
		assert_true(shim.happened);
	}
}

static int setup(void **state)
{
	static struct fixture fixture;
	struct ledger_license l = license_of("read", "K");

	/* jansson is a library of its own, with hooks for this. */
	json_set_alloc_funcs(__wrap_malloc, free);
	fixture_open(&fixture, 4);
	f = *state = &fixture;
	l.computers = 1;
	restore_one(f, NOW, "reader", NULL, &l);
	return 0;
}

static int teardown(void **state)
{
	fixture_close(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_database),
	    cmocka_unit_test(test_answer_lost), cmocka_unit_test(test_allocations),
	    cmocka_unit_test(test_pruning)};

	return cmocka_run_group_tests(tests, setup, teardown);
}
