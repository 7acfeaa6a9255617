#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#include "service/ledger_internal.h"

/* Requests that were answered, to be answered so again. */

#define REQUESTS_KEPT ((int64_t)30 * 24 * 60 * 60)
#define PRUNE_EVERY 64 /* changes through one handle */

/* ---- Outcomes as text: a line each, see SCHEMA.md ---- */

#define LINE_MAX 256

static int write_outcomes(
    struct buffer *text, const struct ledger_outcome *outcomes, size_t count, rh_error *error)
{
	int code = RH_OK;

	for (size_t i = 0; code == RH_OK && i < count; i++) {
		const struct ledger_outcome *o = &outcomes[i];
		char line[LINE_MAX];

		snprintf(line, sizeof line, "%d %lu %lu %lld %lld %s %s\n", (int)o->result,
		    (unsigned long)o->number, (unsigned long)o->limit, (long long)o->since,
		    (long long)o->next,
		    o->problem == PROBLEM_NONE ? "-" : problem_code(o->problem),
		    *o->token == '\0' ? "-" : o->token);
		code = buffer_append_text(text, line, error);
	}
	if (code == RH_OK)
		code = buffer_append(text, "", 1, error);
	return code;
}

static bool read_outcome(const char *line, struct ledger_outcome *ret)
{
	struct ledger_outcome outcome = {0};
	unsigned long number, limit;
	long long since, next;
	char code[64], token[LEDGER_TOKEN_SIZE];
	int result;

	if (sscanf(line, "%d %lu %lu %lld %lld %63s %32s", &result, &number, &limit, &since,
		&next, code, token) != 7 ||
	    result < 0 || result > MESSAGE_REFUSED)
		return false;
	outcome.result = (enum message_result)result;
	outcome.problem = problem_named(code);
	outcome.number = (uint32_t)number;
	outcome.limit = (uint32_t)limit;
	outcome.since = since;
	outcome.next = next;
	if (strcmp(token, "-") != 0)
		snprintf(outcome.token, sizeof outcome.token, "%s", token);
	*ret = outcome;
	return true;
}

static bool read_outcomes(const char *text, struct ledger_outcome *outcomes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!read_outcome(text, &outcomes[i]))
			return false;
		text = strchr(text, '\n');
		if (text == NULL)
			return false;
		text++;
	}
	return *text == '\0';
}

/* ---- Looking up ---- */

struct finding {
	const char *computer;
	const char *body;
	struct ledger_outcome *outcomes;
	size_t count;
	bool there;
	bool same;
	char *grants;
};

static int on_request(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct finding *finding = context;

	(void)index;
	finding->there = true;
	finding->same = strcmp(row_text(row, 0), finding->computer) == 0 &&
			strcmp(row_text(row, 1), finding->body) == 0;
	if (!finding->same)
		return RH_OK;
	if (!read_outcomes(row_text(row, 2), finding->outcomes, finding->count))
		return error_set(
		    error, RH_E_DATABASE, "an answer that the ledger keeps is damaged");
	finding->grants = strdup(row_text(row, 3));
	return finding->grants != NULL ? RH_OK : error_memory(error);
}

int requests_find(struct change *change, const char *computer,
    const struct ledger_commit *commit, struct ledger_outcome *outcomes, size_t count,
    bool *ret_found, char **ret_grants, rh_error *error)
{
	static const struct statement select = {"ledger_request",
	    "SELECT computer, body, results, grants FROM requests WHERE idempotency_key = $1",
	    1, "t"};
	char body[LEDGER_HASH_SIZE];
	struct finding finding = {computer, body, outcomes, count, false, false, NULL};
	int code;

	text_hex(body, commit->body, DIGEST_SIZE);
	code = database_query(change->connection, &select,
	    (const struct value[]){value_text(commit->idempotency_key)}, on_request, &finding,
	    error);
	if (code != RH_OK) {
		free(finding.grants);
		return code;
	}
	if (finding.there && !finding.same)
		change->problem = PROBLEM_IDEMPOTENCY;
	*ret_found = finding.there;
	*ret_grants = finding.grants;
	return RH_OK;
}

int requests_keep(struct change *change, const char *computer,
    const struct ledger_commit *commit, const struct ledger_outcome *outcomes, size_t count,
    const char *grants, rh_error *error)
{
	static const struct statement insert = {"ledger_request_new",
	    "INSERT INTO requests (idempotency_key, computer, body, time, results, grants)"
	    " VALUES ($1, $2, $3, $4, $5, $6)",
	    6, "tttitt"};
	char body[LEDGER_HASH_SIZE];
	struct buffer text = {0};
	int code = write_outcomes(&text, outcomes, count, error);

	text_hex(body, commit->body, DIGEST_SIZE);
	if (code == RH_OK)
		code = database_query(change->connection, &insert,
		    (const struct value[]){value_text(commit->idempotency_key),
			value_text(computer), value_text(body), value_integer(change->now),
			value_text((const char *)text.data), value_text(grants)},
		    NULL, NULL, error);
	buffer_free(&text);
	return code;
}

/* ---- Pruning ---- */

static int prune(struct change *change, void *context, rh_error *error)
{
	static const struct statement nonces = {"ledger_prune_nonces",
	    "DELETE FROM nonces WHERE nonce IN"
	    " (SELECT nonce FROM nonces WHERE expires < $1 ORDER BY expires LIMIT 512)",
	    1, "i"};
	static const struct statement requests = {"ledger_prune_requests",
	    "DELETE FROM requests WHERE idempotency_key IN"
	    " (SELECT idempotency_key FROM requests WHERE time < $1 ORDER BY time LIMIT 512)",
	    1, "i"};
	/* A refusal after that opens it again, at the same address. */
	static const struct statement cases = {"ledger_prune_cases",
	    "DELETE FROM cases WHERE number IN"
	    " (SELECT number FROM cases WHERE created < $1 ORDER BY created LIMIT 512)",
	    1, "i"};
	int code;

	(void)context;
	code = database_query(change->connection, &nonces,
	    (const struct value[]){value_integer(change->now)}, NULL, NULL, error);
	if (code == RH_OK)
		code = database_query(change->connection, &requests,
		    (const struct value[]){value_integer(change->now - REQUESTS_KEPT)}, NULL,
		    NULL, error);
	if (code == RH_OK)
		code = database_query(change->connection, &cases,
		    (const struct value[]){value_integer(change->now - CASES_KEPT)}, NULL, NULL,
		    error);
	return code;
}

void requests_prune(struct ledger *ledger, int64_t now)
{
	if (atomic_fetch_add(&ledger->changes, 1) % PRUNE_EVERY == 0)
		change_run(ledger, now, false, prune, NULL, NULL, NULL, NULL);
}
