#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/ledger_internal.h"

/* How a licence stands. */

/* ---- One licence ---- */

static void add_original(const struct count *count, int64_t now, struct ledger_status *status)
{
	struct ledger_computer *computer = &status->computers[status->count];
	bool came = *count->original_computer != '\0';

	if (!count_original_there(count, now))
		return;
	snprintf(computer->computer, sizeof computer->computer, "%s",
	    came ? count->original_computer : count->original);
	computer->since = count->original_since;
	computer->releasing = count->original_releasing;
	computer->original = true;
	computer->known = came;
	status->count++;
}

static void add_holders(const struct count *count, int64_t now, struct ledger_status *status)
{
	bool original = count_original_there(count, now);

	for (size_t i = 0; i < count->holder_count; i++) {
		const struct holder *holder = &count->holders[i];
		struct ledger_computer *computer = &status->computers[status->count];

		if (holder_gone(holder->released, holder->releasing, now) ||
		    (original && strcmp(holder->computer, count->original_computer) == 0))
			continue;
		snprintf(computer->computer, sizeof computer->computer, "%s", holder->computer);
		computer->since = holder->since;
		computer->releasing = holder->releasing;
		computer->known = true;
		status->count++;
	}
}

static int on_name(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct ledger_status *status = context;
	struct ledger_computer *computer = &status->computers[index];

	(void)error;
	row_copy(computer->name, sizeof computer->name, row, 0);
	return RH_OK;
}

static int add_names(struct change *change, struct ledger_status *status, rh_error *error)
{
	static const struct statement select = {
	    "ledger_name", "SELECT name FROM computers WHERE computer = $1", 1, "t"};
	struct value *values = calloc(status->count + 1, sizeof *values);
	int code;

	if (values == NULL)
		return error_memory(error);
	for (size_t i = 0; i < status->count; i++)
		values[i] = value_text(status->computers[i].computer);
	code = database_query_many(
	    change->connection, &select, values, status->count, on_name, status, error);
	free(values);
	return code;
}

static int fill(struct change *change, const struct count *count, struct ledger_status *ret,
    rh_error *error)
{
	struct ledger_status status = {.limit = count_limit(count),
	    .used = count_used(count, change->now),
	    .blocked = count->blocked};
	struct ledger_outcome outcome;
	int code;

	status.computers = calloc(count->holder_count + 1, sizeof *status.computers);
	if (status.computers == NULL)
		return error_memory(error);
	add_original(count, change->now, &status);
	add_holders(count, change->now, &status);
	/* A computer that nobody knows. */
	decide(count, "", NULL, change->now, &outcome);
	status.next = outcome.next;
	status.problem = outcome.problem;
	code = add_names(change, &status, error);
	if (code != RH_OK) {
		free(status.computers);
		return code;
	}
	*ret = status;
	return RH_OK;
}

int status_read(struct change *change, const struct ledger_license *license,
    struct ledger_status *ret, int64_t *ret_release_wait, rh_error *error)
{
	struct ledger_license copy = *license;
	struct ledger_outcome outcome;
	struct items items;
	int code;

	copy.problem = PROBLEM_NONE;
	code = items_new(&items, &copy, 1, &outcome, error);
	if (code != RH_OK)
		return code;
	code = items_find(change, &items, error);
	if (code == RH_OK)
		code = items_load(change, &items, error);
	if (code == RH_OK)
		code = fill(change, &items.items[0].count, ret, error);
	if (code == RH_OK && ret_release_wait != NULL)
		*ret_release_wait = items.items[0].count.policy.release_wait;
	items_free(&items);
	return code;
}

struct asking {
	const struct ledger_license *license;
	struct ledger_status status;
};

static int read_status(struct change *change, void *context, rh_error *error)
{
	struct asking *asking = context;

	free(asking->status.computers); /* of a try before */
	asking->status.computers = NULL;
	return status_read(change, asking->license, &asking->status, NULL, error);
}

int ledger_status(struct ledger *ledger, int64_t now, const struct ledger_license *license,
    struct ledger_status *ret, rh_error *error)
{
	struct asking asking = {.license = license};
	int code = reading_run(ledger, now, read_status, &asking, NULL, NULL, error);

	if (code == RH_OK)
		*ret = asking.status;
	else
		free(asking.status.computers);
	return code;
}

/* ---- Lists for administrators ---- */

struct listing {
	const char *prefix;
	unsigned limit;
	int (*on_computer)(void *context, const struct ledger_computer *computer,
	    uint64_t licenses, rh_error *error);
	int (*on_license)(void *context, const struct ledger_license *license, rh_error *error);
	void *context;
};

static int on_computer(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct listing *listing = context;
	struct ledger_computer computer = {.known = true};

	(void)index;
	row_copy(computer.computer, sizeof computer.computer, row, 0);
	row_copy(computer.name, sizeof computer.name, row, 1);
	computer.since = row_integer(row, 2);
	computer.releasing = row_time(row, 3);
	computer.original = row_integer(row, 5) > 0;
	return listing->on_computer(
	    listing->context, &computer, (uint64_t)row_integer(row, 4), error);
}

static int list_computers(struct change *change, void *context, rh_error *error)
{
	static const struct statement select = {"ledger_computers",
	    "SELECT c.computer, c.name, c.enrolled,"
	    " (SELECT MIN(r.effective) FROM releases r WHERE r.computer = c.computer"
	    " AND r.state = 0),"
	    " (SELECT COUNT(*) FROM slots s WHERE s.computer = c.computer"
	    " AND s.released IS NULL),"
	    " (SELECT COUNT(*) FROM originals o WHERE o.computer = c.computer"
	    " AND o.released IS NULL)"
	    " FROM computers c WHERE substr(c.computer, 1, length($1)) = $1"
	    " OR substr(c.name, 1, length($1)) = $1 ORDER BY c.computer",
	    1, "t"};
	struct listing *listing = context;

	return database_query(change->connection, &select,
	    (const struct value[]){value_text(listing->prefix)}, on_computer, listing, error);
}

int ledger_computers(struct ledger *ledger, const char *prefix,
    int (*function)(void *context, const struct ledger_computer *computer, uint64_t licenses,
	rh_error *error),
    void *context, rh_error *error)
{
	struct listing listing = {
	    .prefix = prefix, .on_computer = function, .context = context};

	return reading_run(ledger, 0, list_computers, &listing, NULL, NULL, error);
}

static int on_license(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct listing *listing = context;
	struct ledger_license license;

	(void)index;
	license_row(&license, row, 0);
	return listing->on_license(listing->context, &license, error);
}

static int list_licenses(struct change *change, void *context, rh_error *error)
{
	static const struct statement select = {"ledger_licenses",
	    "SELECT" LICENSE_COLUMNS " FROM licenses l WHERE substr(l.id, 1, length($1)) = $1"
	    " ORDER BY l.id, l.license LIMIT $2",
	    2, "ti"};
	struct listing *listing = context;

	return database_query(change->connection, &select,
	    (const struct value[]){value_text(listing->prefix), value_integer(listing->limit)},
	    on_license, listing, error);
}

int ledger_licenses(struct ledger *ledger, const char *prefix, unsigned limit,
    int (*function)(void *context, const struct ledger_license *license, rh_error *error),
    void *context, rh_error *error)
{
	struct listing listing = {
	    .prefix = prefix, .limit = limit, .on_license = function, .context = context};

	return reading_run(ledger, 0, list_licenses, &listing, NULL, NULL, error);
}

/* ---- Counts ---- */

static int on_counts(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct ledger_counts *counts = context;

	(void)index;
	(void)error;
	*counts = (struct ledger_counts){row_integer(row, 0), row_integer(row, 1),
	    row_integer(row, 2), row_integer(row, 3), row_integer(row, 4)};
	return RH_OK;
}

static int read_counts(struct change *change, void *context, rh_error *error)
{
	static const struct statement select = {"ledger_counts",
	    "SELECT (SELECT COUNT(*) FROM computers), (SELECT COUNT(*) FROM licenses),"
	    " (SELECT COUNT(*) FROM slots), (SELECT COUNT(*) FROM cases),"
	    " (SELECT seq FROM head WHERE id = 1)",
	    0, ""};

	return database_query(change->connection, &select, NULL, on_counts, context, error);
}

int ledger_counts(struct ledger *ledger, struct ledger_counts *ret, rh_error *error)
{
	struct ledger_counts counts = {0};
	int code = reading_run(ledger, 0, read_counts, &counts, NULL, NULL, error);

	if (code == RH_OK)
		*ret = counts;
	return code;
}
