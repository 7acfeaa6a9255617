#include <stdatomic.h>

#include "base/text.h"

#include "fixture.h"

void fixture_keys(struct fixture *f)
{
	static const uint8_t secret[KEY_SIZE] = {1, 2, 3, 4, 5};

	assert_ok(jose_key_private(secret, &f->key, error));
	assert_ok(jose_set_read(
	    &f->keys, jose_key_jwk(f->key), strlen(jose_key_jwk(f->key)), NULL, error));
}

void fixture_open(struct fixture *f, unsigned connections)
{
	const struct ledger_issuer issuer = {
	    ISSUER, "Issuer", "https://issuer.example/help", "{\"keys\":[]}", 0};

	memset(f, 0, sizeof *f);
	fixture_keys(f);
	f->database = kit_database(connections);
	assert_ok(ledger_open(f->database, SERVICE, f->key, &f->keys, &f->ledger, error));
	assert_ok(ledger_issuer_put(f->ledger, NOW - 1000 * DAY, "local:test", &issuer, error));
}

void fixture_close(struct fixture *f)
{
	ledger_close(f->ledger);
	kit_database_drop(f->database);
	jose_set_free(&f->keys);
	jose_key_free(f->key);
}

struct ledger_license license_of(const char *id, const char *original)
{
	struct ledger_license license = {.issued = NOW - 100 * DAY};

	assert_ok(ledger_key(license.key, ISSUER, id, error));
	snprintf(license.issuer, sizeof license.issuer, "%s", ISSUER);
	snprintf(license.id, sizeof license.id, "%s", id);
	snprintf(license.title, sizeof license.title, "Title of %s", id);
	snprintf(license.service, sizeof license.service, "%s", SERVICE);
	snprintf(license.original, sizeof license.original, "%s", original);
	assert_ok(sha256(license.digest, id, strlen(id), error));
	return license;
}

struct ledger_visitor visitor_of(const char *computer, const char *claim)
{
	return (struct ledger_visitor){.computer = computer, .claim = claim};
}

const char *next_nonce(void)
{
	static _Atomic unsigned count;
	static char nonces[256][32];
	unsigned n = atomic_fetch_add(&count, 1);

	snprintf(nonces[n % 256], sizeof nonces[0], "nonce-%u", n);
	return nonces[n % 256];
}

int commit_request(struct ledger *ledger, int64_t now, const struct ledger_visitor *visitor,
    const char *request, const struct ledger_license *licenses, size_t count,
    struct ledger_outcome *outcomes, char **ret_grants, enum problem *ret_problem,
    struct head *ret_head, rh_error *error)
{
	const char *key = request != NULL ? request : next_nonce();
	uint8_t body[DIGEST_SIZE];
	struct ledger_commit commit = {key, body, next_nonce()};

	assert_int_equal(sha256(body, key, strlen(key), NULL), RH_OK);
	return ledger_commit(ledger, now, visitor, &commit, licenses, count, outcomes,
	    ret_grants, ret_problem, ret_head, error);
}

struct ledger_outcome restore_one(struct fixture *f, int64_t now, const char *computer,
    const char *claim, const struct ledger_license *license)
{
	struct ledger_visitor visitor = visitor_of(computer, claim);
	struct ledger_outcome outcome;
	enum problem problem;
	struct head head;
	char *grants;

	assert_ok(commit_request(f->ledger, now, &visitor, NULL, license, 1, &outcome, &grants,
	    &problem, &head, error));
	assert_int_equal(problem, PROBLEM_NONE);
	if (outcome.result == MESSAGE_REFUSED) {
		assert_null(grants);
	} else {
		const struct grant grant = {license->issuer, license->id, computer,
		    outcome.number, outcome.limit, outcome.since};
		uint8_t leaf[1][DIGEST_SIZE];

		assert_ok(grant_leaf(&grant, leaf[0], error));
		assert_ok(grants_check(grants, &f->keys, SERVICE, computer,
		    (const uint8_t(*)[DIGEST_SIZE])leaf, 1, error));
	}
	free(grants);
	return outcome;
}

struct ledger_outcome plan_one(struct fixture *f, int64_t now, const char *computer,
    const char *claim, const struct ledger_license *license)
{
	struct ledger_visitor visitor = visitor_of(computer, claim);
	struct ledger_outcome outcome;
	enum problem problem;
	struct head head;

	assert_ok(ledger_plan(
	    f->ledger, now, &visitor, license, 1, &outcome, &problem, &head, error));
	assert_int_equal(problem, PROBLEM_NONE);
	return outcome;
}

void assert_result(struct ledger_outcome outcome, enum message_result result,
    enum problem problem, uint32_t number, uint32_t limit, const char *file, int line)
{
	if (outcome.result == result && outcome.problem == problem &&
	    outcome.number == number && outcome.limit == limit)
		return;
	print_error("result %d, %s, %u of %u\n", outcome.result, problem_code(outcome.problem),
	    outcome.number, outcome.limit);
	_fail(file, line);
}

void enroll(struct fixture *f, int64_t now, const char *computer, const char *release)
{
	enum problem problem;
	struct head head;

	assert_ok(ledger_enroll(
	    f->ledger, now, computer, NULL, release, next_nonce(), &problem, &head, error));
	assert_int_equal(problem, PROBLEM_NONE);
}

struct answer ask(struct fixture *f, int64_t now, struct ledger_release release)
{
	struct answer answer = {PROBLEM_NONE, RELEASE_WAITING, 0};
	struct head head;

	if (release.actor == NULL)
		release.actor = "R";
	assert_ok(ledger_release(f->ledger, now, &release, &answer.state, &answer.effective,
	    &answer.problem, &head, error));
	return answer;
}

static int first(void *context, size_t index, const struct row *row, rh_error *error)
{
	(void)index;
	(void)error;
	*(int64_t *)context = row_integer(row, 0);
	return RH_OK;
}

int64_t look_up(struct fixture *f, const struct statement *statement)
{
	struct connection *connection;
	int64_t found = -1;

	assert_ok(database_take(f->database, true, &connection, error));
	assert_ok(connection_begin(connection, error));
	assert_ok(database_query(connection, statement, NULL, first, &found, error));
	assert_ok(connection_commit(connection, error));
	database_give(connection);
	return found;
}

void tamper(struct fixture *f, const struct statement *statement)
{
	look_up(f, statement);
}

void set_policy(struct fixture *f, struct policy policy)
{
	assert_ok(ledger_policy_set(
	    f->ledger, NOW, "local:test", POLICY_SERVICE, NULL, NULL, &policy, error));
}
