#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#include "service/ledger_internal.h"

/* The licences of a request and what the tables say of them, in a few exchanges for all. */

#define VALUES_EACH 10
#define TIME_LAST 253402300799 /* year 9999 */

/* ---- The list ---- */

static int by_key(const void *a, const void *b)
{
	const struct item *left = a, *right = b;
	int order = strcmp(left->license->key, right->license->key);

	if (order != 0)
		return order;
	return (left->position > right->position) - (left->position < right->position);
}

static void refuse_outcome(struct ledger_outcome *outcome, enum problem problem)
{
	*outcome = (struct ledger_outcome){.result = MESSAGE_REFUSED,
	    .problem = problem,
	    .since = LICENSE_TIME_NONE,
	    .next = LICENSE_TIME_NONE};
}

/* What comes a second time is refused; it stays out of the list. */
static void drop_twins(struct items *items)
{
	size_t kept = 0;

	for (size_t i = 0; i < items->count; i++) {
		if (kept > 0 && strcmp(items->items[kept - 1].license->key,
				    items->items[i].license->key) == 0)
			refuse_outcome(items->items[i].outcome, PROBLEM_LICENSE_TWICE);
		else
			items->items[kept++] = items->items[i];
	}
	items->count = kept;
}

int items_new(struct items *items, const struct ledger_license *licenses, size_t count,
    struct ledger_outcome *outcomes, rh_error *error)
{
	struct items made = {0};

	made.items = calloc(count + 1, sizeof *made.items);
	made.values = calloc(count + 1, VALUES_EACH * sizeof *made.values);
	made.chosen = calloc(count + 1, sizeof *made.chosen);
	if (made.items == NULL || made.values == NULL || made.chosen == NULL) {
		items_free(&made);
		return error_memory(error);
	}
	for (size_t i = 0; i < count; i++) {
		if (licenses[i].problem != PROBLEM_NONE)
			refuse_outcome(&outcomes[i], licenses[i].problem);
		else
			made.items[made.count++] = (struct item){
			    .license = &licenses[i], .outcome = &outcomes[i], .position = i};
	}
	qsort(made.items, made.count, sizeof *made.items, by_key);
	drop_twins(&made);
	*items = made;
	return RH_OK;
}

void items_free(struct items *items)
{
	for (size_t i = 0; items->items != NULL && i < items->count; i++)
		free(items->items[i].count.holders);
	free(items->items);
	free(items->values);
	free(items->chosen);
	*items = (struct items){0};
}

/* ---- Rows of licences ---- */

/* A grant can tell this. */
static int64_t since_of(int64_t issued, int64_t first_seen)
{
	return issued >= 0 && issued <= TIME_LAST ? issued : first_seen;
}

static int on_license(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct items *items = context;
	struct item *item = &items->items[items->chosen[index]];
	const bool seen = *row_text(row, 5) != '\0'; /* else blocked before it was */
	char digest[LEDGER_HASH_SIZE];
	int64_t issued = row_time(row, 2);

	(void)error;
	item->known = true;
	text_hex(digest, item->license->digest, DIGEST_SIZE);
	item->renewed =
	    !seen || (strcmp(row_text(row, 5), digest) != 0 && item->license->issued > issued);
	if (seen) {
		row_copy(item->count.original, sizeof item->count.original, row, 0);
		item->first_seen = row_integer(row, 3);
	}
	/* What a later document claims holds at once, also before its row says so. */
	if (item->renewed)
		issued = item->license->issued;
	else
		item->claimed = (uint32_t)row_integer(row, 1);
	item->count.original_since = since_of(issued, item->first_seen);
	item->count.blocked = row_integer(row, 4) != 0;
	item->number = row_integer(row, 6);
	return RH_OK;
}

/* Before its first row: what the document says. */
static void start(struct item *item, int64_t now)
{
	const struct ledger_license *license = item->license;
	struct holder *holders = item->count.holders;

	item->known = item->renewed = false;
	item->number = 0;
	item->first_seen = now;
	item->own = policy_unset;
	item->claimed = license->computers;
	item->count = (struct count){.holders = holders,
	    .original_since = since_of(license->issued, now),
	    .original_released = LICENSE_TIME_NONE,
	    .original_releasing = LICENSE_TIME_NONE};
	memcpy(item->count.original, license->original, sizeof item->count.original);
}

static void start_all(struct items *items, int64_t now)
{
	for (size_t i = 0; i < items->count; i++)
		start(&items->items[i], now);
}

/* Those that no row was found of yet. */
static size_t choose(struct items *items)
{
	size_t count = 0;

	for (size_t i = 0; i < items->count; i++)
		if (!items->items[i].known)
			items->chosen[count++] = i;
	return count;
}

static int select_licenses(struct change *change, struct items *items,
    const struct statement *statement, rh_error *error)
{
	size_t count = choose(items);

	if (count == 0)
		return RH_OK;
	for (size_t i = 0; i < count; i++)
		items->values[i] = value_text(items->items[items->chosen[i]].license->key);
	return database_query_many(
	    change->connection, statement, items->values, count, on_license, items, error);
}

static void put_facts(
    struct value values[VALUES_EACH], const struct item *item, const char *digest, int64_t now)
{
	const struct ledger_license *license = item->license;

	values[0] = value_text(license->key);
	values[1] = value_text(license->issuer);
	values[2] = value_text(license->id);
	values[3] = value_text(license->title);
	values[4] = value_text(license->service);
	values[5] = value_text(license->original);
	values[6] = value_integer(license->computers);
	values[7] = value_time(license->issued);
	values[8] = value_text(digest);
	values[9] = value_integer(now);
}

/* A later document of the same licence: its original stays, or computers would be counted
 * anew. */
static int renew(struct change *change, struct items *items, rh_error *error)
{
	static const struct statement update = {"ledger_license_renew",
	    "UPDATE licenses SET title = $4, service = $5,"
	    " original = CASE WHEN digest = '' THEN $6 ELSE original END,"
	    " first_seen = CASE WHEN digest = '' THEN $10 ELSE first_seen END,"
	    " computers = $7, issued = $8, digest = $9"
	    " WHERE license = $1 AND issuer = $2 AND id = $3",
	    10, "ttttttiiti"};
	struct value values[VALUES_EACH];
	char digest[LEDGER_HASH_SIZE];
	int code = RH_OK;

	for (size_t i = 0; code == RH_OK && i < items->count; i++) {
		if (!items->items[i].renewed)
			continue;
		text_hex(digest, items->items[i].license->digest, DIGEST_SIZE);
		put_facts(values, &items->items[i], digest, change->now);
		code = database_query(change->connection, &update, values, NULL, NULL, error);
	}
	return code;
}

static int on_inserted(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct items *items = context;
	struct item *item = &items->items[items->chosen[index]];

	(void)error;
	item->known = true; /* and ours */
	item->number = row_integer(row, 0);
	return RH_OK;
}

static int insert_licenses(struct change *change, struct items *items, rh_error *error)
{
	static const struct statement insert = {"ledger_license_new",
	    "INSERT INTO licenses (license, issuer, id, title, service, original, computers,"
	    " issued, digest, first_seen) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
	    " ON CONFLICT (license) DO NOTHING RETURNING number",
	    10, "ttttttiiti"};
	size_t count = choose(items);
	char(*digests)[LEDGER_HASH_SIZE];
	int code;

	if (count == 0)
		return RH_OK;
	digests = calloc(count, sizeof *digests);
	if (digests == NULL)
		return error_memory(error);
	for (size_t i = 0; i < count; i++) {
		const struct item *item = &items->items[items->chosen[i]];

		text_hex(digests[i], item->license->digest, DIGEST_SIZE);
		put_facts(items->values + i * VALUES_EACH, item, digests[i], change->now);
	}
	code = database_query_many(
	    change->connection, &insert, items->values, count, on_inserted, items, error);
	free(digests);
	return code;
}

#define SELECT_LICENSE                                                                         \
	"SELECT original, computers, issued, first_seen, blocked, digest, number"              \
	" FROM licenses WHERE license = $1"

/* In the order of keys, so that two that lock seldom wait for each other. */
int items_lock(struct change *change, struct items *items, rh_error *error)
{
	static const struct statement lock = {
	    "ledger_license_lock", SELECT_LICENSE " FOR UPDATE", 1, "t"};
	int code;

	start_all(items, change->now);
	code = select_licenses(change, items, &lock, error);
	if (code == RH_OK)
		code = insert_licenses(change, items, error);
	if (code == RH_OK) /* what another inserted meanwhile */
		code = select_licenses(change, items, &lock, error);
	if (code == RH_OK)
		code = renew(change, items, error);
	return code;
}

int items_find(struct change *change, struct items *items, rh_error *error)
{
	static const struct statement select = {"ledger_license", SELECT_LICENSE, 1, "t"};

	start_all(items, change->now);
	return select_licenses(change, items, &select, error);
}

/* ---- Everything that decides ---- */

enum kind { KIND_POLICY = 1, KIND_EXCEPTION, KIND_ORIGINAL, KIND_HOLDER };

static int by_number(const void *a, const void *b)
{
	const struct holder *left = a, *right = b;

	return (left->number > right->number) - (left->number < right->number);
}

static int add_holder(struct item *item, const struct row *row, rh_error *error)
{
	struct holder *holder;

	if (item->count.holder_count == item->holder_capacity) {
		size_t capacity = item->holder_capacity == 0 ? 4 : 2 * item->holder_capacity;
		struct holder *holders =
		    realloc(item->count.holders, capacity * sizeof *holders);

		if (holders == NULL)
			return error_memory(error);
		item->count.holders = holders;
		item->holder_capacity = capacity;
	}
	holder = &item->count.holders[item->count.holder_count++];
	row_copy(holder->computer, sizeof holder->computer, row, 1);
	holder->number = row_integer(row, 2);
	holder->since = row_integer(row, 3);
	holder->released = row_time(row, 4);
	holder->releasing = row_time(row, 5);
	return RH_OK;
}

static int on_state(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct items *items = context;
	struct item *item = &items->items[index];

	switch ((enum kind)row_integer(row, 0)) {
	case KIND_POLICY:
		policy_row(&item->own, row, 2);
		return RH_OK;
	case KIND_EXCEPTION:
		item->count.extra += row_integer(row, 2);
		return RH_OK;
	case KIND_ORIGINAL:
		row_copy(item->count.original_computer, sizeof item->count.original_computer,
		    row, 1);
		item->count.original_released = row_time(row, 4);
		item->count.original_releasing = row_time(row, 5);
		return RH_OK;
	case KIND_HOLDER:
		return add_holder(item, row, error);
	}
	return error_set(error, RH_E_INTERNAL, "a row of another kind came from the ledger");
}

/* All that counts, of whatever kind, in one question a licence. */
static int load_states(struct change *change, struct items *items, rh_error *error)
{
	static const struct statement select = {"ledger_state",
	    "SELECT 4, s.computer, s.number, s.since, s.released, r.effective, 0"
	    " FROM slots s LEFT JOIN releases r ON r.computer = s.computer AND r.state = 0"
	    " WHERE s.license_number = $4"
	    " UNION ALL SELECT 1, '', p.computers, p.period, p.period_computers, p.cooldown,"
	    " p.release_wait FROM policies p WHERE p.scope = 2 AND p.subject = $1"
	    " UNION ALL SELECT 2, '', e.extra, 0, 0, 0, 0 FROM exceptions e"
	    " WHERE e.license = $1 AND (e.until IS NULL OR e.until > $3)"
	    " UNION ALL SELECT 3, o.computer, 0, 0, o.released,"
	    " (SELECT MIN(r.effective) FROM releases r"
	    " WHERE r.computer IN (o.computer, o.license_key) AND r.state = 0), 0"
	    " FROM originals o WHERE o.license_key = $2 AND $2 <> ''",
	    4, "ttii"};
	int code;

	for (size_t i = 0; i < items->count; i++) {
		struct item *item = &items->items[i];

		item->own = policy_unset;
		item->count.extra = 0;
		item->count.holder_count = 0;
		items->values[4 * i] = value_text(item->license->key);
		items->values[4 * i + 1] = value_text(item->count.original);
		items->values[4 * i + 2] = value_integer(change->now);
		items->values[4 * i + 3] = value_integer(item->number);
	}
	code = database_query_many(
	    change->connection, &select, items->values, items->count, on_state, items, error);
	for (size_t i = 0; code == RH_OK && i < items->count; i++) {
		struct count *count = &items->items[i].count;

		if (count->holder_count > 1)
			qsort(count->holders, count->holder_count, sizeof *count->holders,
			    by_number);
	}
	return code;
}

/* ---- Policies of the service and of issuers ---- */

struct policies {
	struct policy service;
	struct policy *issuers; /* by item */
};

static int on_policy(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct policies *policies = context;

	(void)error;
	if (row_integer(row, 0) == POLICY_SERVICE)
		policy_row(&policies->service, row, 1);
	else
		policy_row(&policies->issuers[index], row, 1);
	return RH_OK;
}

/* One question for each run of the same issuer; the last answers for the service, too. */
static int load_policies(struct change *change, struct items *items, rh_error *error)
{
	static const struct statement select = {"ledger_policies",
	    "SELECT scope, computers, period, period_computers, cooldown, release_wait"
	    " FROM policies WHERE (scope = 0 AND subject = '')"
	    " OR (scope = 1 AND subject = $1)",
	    1, "t"};
	struct policies policies = {policy_unset, NULL};
	const char *issuer = NULL;
	size_t count = 0;
	int code;

	policies.issuers = calloc(items->count + 1, sizeof *policies.issuers);
	if (policies.issuers == NULL)
		return error_memory(error);
	for (size_t i = 0; i < items->count; i++) {
		if (issuer == NULL || strcmp(issuer, items->items[i].license->issuer) != 0) {
			issuer = items->items[i].license->issuer;
			policies.issuers[count] = policy_unset;
			items->values[count++] = value_text(issuer);
		}
	}
	code = database_query_many(
	    change->connection, &select, items->values, count, on_policy, &policies, error);
	issuer = NULL;
	count = 0;
	for (size_t i = 0; code == RH_OK && i < items->count; i++) {
		struct item *item = &items->items[i];

		if (issuer == NULL || strcmp(issuer, item->license->issuer) != 0) {
			issuer = item->license->issuer;
			count++;
		}
		item->count.policy = policy_resolve(
		    &item->own, item->claimed, &policies.issuers[count - 1], &policies.service);
	}
	free(policies.issuers);
	return code;
}

int items_load(struct change *change, struct items *items, rh_error *error)
{
	int code = load_states(change, items, error);

	if (code == RH_OK)
		code = load_policies(change, items, error);
	return code;
}

void items_decide(
    struct change *change, struct items *items, const struct ledger_visitor *visitor)
{
	for (size_t i = 0; i < items->count; i++)
		decide(&items->items[i].count, visitor->computer, visitor->claim, change->now,
		    items->items[i].outcome);
}
