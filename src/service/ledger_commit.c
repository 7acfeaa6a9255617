#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/merkle.h"

#include "service/ledger_internal.h"

/* The restore: everything that a reply grants is charged in one transaction. */

struct committing {
	const struct ledger_visitor *visitor;
	const struct ledger_commit *commit;
	const struct ledger_license *licenses;
	size_t count;
	struct ledger_outcome *outcomes;
	uint8_t (*leaves)[DIGEST_SIZE];
	char *grants;
};

/* ---- Charging ---- */

static int insert_slots(struct change *change, struct items *items,
    const struct ledger_visitor *visitor, rh_error *error)
{
	static const struct statement insert = {"ledger_slot",
	    "INSERT INTO slots (license_number, computer, number, since)"
	    " VALUES ($1, $2, $3, $4) ON CONFLICT (license_number, computer, since)"
	    " DO UPDATE SET released = NULL, number = excluded.number",
	    4, "itii"};
	size_t count = 0;

	for (size_t i = 0; i < items->count; i++) {
		const struct item *item = &items->items[i];
		struct value *values = items->values + 4 * count;

		if (item->outcome->result != MESSAGE_GRANTED)
			continue;
		values[0] = value_integer(item->number);
		values[1] = value_text(visitor->computer);
		values[2] = value_integer(item->outcome->number);
		values[3] = value_integer(change->now);
		count++;
	}
	if (count == 0)
		return RH_OK;
	return database_query_many(
	    change->connection, &insert, items->values, count, NULL, NULL, error);
}

static int decide_all(struct change *change, struct items *items,
    const struct ledger_visitor *visitor, rh_error *error)
{
	int code = items_lock(change, items, error);

	if (code == RH_OK)
		code = items_load(change, items, error);
	if (code == RH_OK)
		code = settle_holders(change, items, error);
	if (code == RH_OK)
		items_decide(change, items, visitor);
	return code;
}

static int write_cases(struct change *change, struct items *items,
    const struct ledger_visitor *visitor, rh_error *error)
{
	int code = cases_name(change, items, visitor->computer, error);

	if (code == RH_OK)
		code = cases_write(change, items, visitor->computer, error);
	return code;
}

static int charge(struct change *change, struct items *items,
    const struct ledger_visitor *visitor, rh_error *error)
{
	int code = decide_all(change, items, visitor, error);

	if (code != RH_OK)
		return code;
	for (size_t i = 0; i < items->count; i++) {
		struct ledger_outcome *outcome = items->items[i].outcome;

		if (outcome->result == MESSAGE_COSTS) {
			outcome->result = MESSAGE_GRANTED;
			outcome->since = change->now;
		}
	}
	code = insert_slots(change, items, visitor, error);
	if (code == RH_OK)
		code = write_cases(change, items, visitor, error);
	return code;
}

/* ---- Grants ---- */

static bool is_granted(const struct ledger_outcome *outcome)
{
	return outcome->result == MESSAGE_FREE || outcome->result == MESSAGE_GRANTED;
}

static int make_leaves(struct committing *work, size_t *ret_count, rh_error *error)
{
	size_t count = 0;

	for (size_t i = 0; i < work->count; i++) {
		const struct ledger_outcome *outcome = &work->outcomes[i];
		const struct grant grant = {.issuer = work->licenses[i].issuer,
		    .license = work->licenses[i].id,
		    .computer = work->visitor->computer,
		    .number = outcome->number,
		    .limit = outcome->limit,
		    .since = outcome->since};
		int code;

		if (!is_granted(outcome))
			continue;
		code = grant_leaf(&grant, work->leaves[count++], error);
		if (code != RH_OK)
			return code;
	}
	*ret_count = count;
	return RH_OK;
}

/* ${root}: base64url, "" if nothing is granted. */
static int sign(
    struct change *change, struct committing *work, char root[LEDGER_KEY_SIZE], rh_error *error)
{
	uint8_t hash[DIGEST_SIZE];
	size_t count = 0;
	int code = make_leaves(work, &count, error);

	*root = '\0';
	if (code != RH_OK || count == 0)
		return code;
	code = merkle_root(hash, (const uint8_t(*)[DIGEST_SIZE])work->leaves, count, error);
	if (code == RH_OK)
		base64url(root, hash, sizeof hash);
	if (code == RH_OK)
		code = grants_sign(change->ledger->signs, change->ledger->service,
		    work->visitor->computer, change->now,
		    (const uint8_t(*)[DIGEST_SIZE])work->leaves, count, &work->grants, error);
	return code;
}

/* ---- The entry of the log ---- */

static json_t *charged_keys(const struct committing *work)
{
	json_t *keys = json_array();

	for (size_t i = 0; keys != NULL && i < work->count; i++) {
		if (work->outcomes[i].result != MESSAGE_GRANTED)
			continue;
		if (json_array_append_new(keys, json_string(work->licenses[i].key)) != 0) {
			json_decref(keys);
			keys = NULL;
		}
	}
	return keys;
}

static int note(
    struct change *change, const struct committing *work, const char *root, rh_error *error)
{
	const char *key = work->commit->idempotency_key;
	char request[LEDGER_KEY_SIZE];
	uint8_t hash[DIGEST_SIZE];
	json_int_t results[MESSAGE_REFUSED + 1] = {0};
	json_t *charged = charged_keys(work);
	int code;

	if (charged == NULL)
		return error_memory(error);
	code = sha256(hash, key, strlen(key), error);
	if (code != RH_OK) {
		json_decref(charged);
		return code;
	}
	base64url(request, hash, sizeof hash);
	for (size_t i = 0; i < work->count; i++)
		results[work->outcomes[i].result]++;
	/* "o" takes the array, also when packing fails. */
	return change_note(change, "commit", work->visitor->computer,
	    json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "computer",
		work->visitor->computer, "request", request, "root", root, "granted",
		results[MESSAGE_GRANTED], "free", results[MESSAGE_FREE], "refused",
		results[MESSAGE_REFUSED], "charged", charged),
	    error);
}

/* ---- The same request again ---- */

/* Nothing is charged: what would cost is refused. */
static void refuse_costs(struct change *change, struct items *items)
{
	for (size_t i = 0; i < items->count; i++) {
		const struct count *count = &items->items[i].count;
		struct ledger_outcome *outcome = items->items[i].outcome;

		if (outcome->result != MESSAGE_COSTS)
			continue;
		outcome->result = MESSAGE_REFUSED;
		outcome->problem = PROBLEM_LICENSE_RELEASED;
		outcome->number = count_used(count, change->now);
	}
}

/* What was granted, and is not held so any more, is answered as it stands. */
static bool amend(struct ledger_outcome *answered, const struct ledger_outcome *stands)
{
	if (!is_granted(answered) ||
	    (stands->result == MESSAGE_FREE && stands->number == answered->number &&
		stands->since == answered->since))
		return false;
	*answered = *stands;
	return true;
}

static int repeat(struct change *change, struct committing *work, rh_error *error)
{
	struct ledger_outcome *stands = calloc(work->count + 1, sizeof *stands);
	char root[LEDGER_KEY_SIZE];
	struct items items = {0};
	bool amended = false;
	int code;

	if (stands == NULL)
		return error_memory(error);
	code = items_new(&items, work->licenses, work->count, stands, error);
	if (code == RH_OK)
		code = decide_all(change, &items, work->visitor, error);
	if (code == RH_OK)
		refuse_costs(change, &items);
	if (code == RH_OK)
		code = write_cases(change, &items, work->visitor, error);
	for (size_t i = 0; code == RH_OK && i < work->count; i++)
		amended = amend(&work->outcomes[i], &stands[i]) || amended;
	items_free(&items);
	free(stands);
	if (code != RH_OK || !amended)
		return code;
	free(work->grants);
	work->grants = NULL;
	return sign(change, work, root, error);
}

/* ---- The transaction ---- */

static int restore(struct change *change, struct committing *work, rh_error *error)
{
	char root[LEDGER_KEY_SIZE];
	struct items items;
	int code = items_new(&items, work->licenses, work->count, work->outcomes, error);

	if (code != RH_OK)
		return code;
	code = charge(change, &items, work->visitor, error);
	items_free(&items);
	if (code == RH_OK)
		code = sign(change, work, root, error);
	/* What granted nothing is decided again when it comes again, and is not kept. */
	if (code != RH_OK || work->grants == NULL)
		return code;
	code = requests_keep(change, work->visitor->computer, work->commit, work->outcomes,
	    work->count, work->grants, error);
	if (code == RH_OK)
		code = note(change, work, root, error);
	return code;
}

static int commit_work(struct change *change, void *context, rh_error *error)
{
	struct committing *work = context;
	const struct ledger_visitor *visitor = work->visitor;
	bool found = false;
	struct visit visit;
	int code;

	free(work->grants); /* of a try before */
	work->grants = NULL;
	code = head_compare(change, visitor->head, error);
	if (code != RH_OK || change->problem != PROBLEM_NONE)
		return code;
	code = visit_enter(change, visitor->computer, NULL, NULL, &visit, error);
	if (code == RH_OK)
		code = change_nonce(change, work->commit->nonce, error);
	if (code == RH_OK && change->problem == PROBLEM_NONE)
		code = requests_find(change, visitor->computer, work->commit, work->outcomes,
		    work->count, &found, &work->grants, error);
	if (code != RH_OK || change->problem != PROBLEM_NONE)
		return code;
	code = settle(
	    change, visitor->computer, visitor->claim != NULL ? visitor->claim : "", error);
	if (code == RH_OK)
		code = visit_cancel(change, visitor, error);
	if (code == RH_OK)
		code = visit_claim(change, visitor, error);
	if (code == RH_OK)
		code = found ? repeat(change, work, error) : restore(change, work, error);
	return code;
}

int ledger_commit(struct ledger *ledger, int64_t now, const struct ledger_visitor *visitor,
    const struct ledger_commit *commit, const struct ledger_license *licenses, size_t count,
    struct ledger_outcome *outcomes, char **ret_grants, enum problem *ret_problem,
    struct head *ret_head, rh_error *error)
{
	struct committing work = {
	    .visitor = visitor, .commit = commit, .licenses = licenses, .count = count};
	enum problem problem;
	int code = RH_OK;

	work.outcomes = calloc(count + 1, sizeof *work.outcomes);
	work.leaves = calloc(count + 1, sizeof *work.leaves);
	if (work.outcomes == NULL || work.leaves == NULL)
		code = error_memory(error);
	if (code == RH_OK)
		code = change_run(
		    ledger, now, false, commit_work, &work, &problem, ret_head, error);
	if (code == RH_OK) {
		*ret_problem = problem;
		if (problem == PROBLEM_NONE) {
			if (count > 0)
				memcpy(outcomes, work.outcomes, count * sizeof *outcomes);
			*ret_grants = work.grants;
			work.grants = NULL;
		}
		requests_prune(ledger, now);
	}
	free(work.outcomes);
	free(work.leaves);
	free(work.grants);
	return code;
}
