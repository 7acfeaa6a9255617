#include <stdlib.h>
#include <string.h>

#include "service/ledger_internal.h"

/* What a restore would cost. */

struct planning {
	const struct ledger_visitor *visitor;
	const struct ledger_license *licenses;
	size_t count;
	struct ledger_outcome *outcomes;
	bool writes; /* something has to be written, and may be */
};

static int plan(
    struct change *change, struct planning *work, struct items *items, rh_error *error)
{
	int code;

	code =
	    work->writes ? items_lock(change, items, error) : items_find(change, items, error);
	if (code == RH_OK)
		code = items_load(change, items, error);
	if (code != RH_OK)
		return code;
	items_decide(change, items, work->visitor);
	code = cases_name(change, items, work->visitor->computer, error);
	if (code != RH_OK)
		return code;
	if (work->writes)
		return cases_write(change, items, work->visitor->computer, error);
	return cases_missing(change, items, &work->writes, error);
}

static int plan_all(struct change *change, struct planning *work, rh_error *error)
{
	struct items items;
	int code = items_new(&items, work->licenses, work->count, work->outcomes, error);

	if (code != RH_OK)
		return code;
	code = plan(change, work, &items, error);
	items_free(&items);
	return code;
}

static int read_plan(struct change *change, void *context, rh_error *error)
{
	struct planning *work = context;
	bool pending = false;
	int code = head_compare(change, work->visitor->head, error);

	work->writes = false;
	if (code == RH_OK && change->problem == PROBLEM_NONE)
		code = visit_pending(change, work->visitor, &pending, error);
	if (code != RH_OK || change->problem != PROBLEM_NONE)
		return code;
	code = plan_all(change, work, error);
	work->writes = work->writes || pending;
	return code;
}

/* The same again, with what it found to be written. */
static int write_plan(struct change *change, void *context, rh_error *error)
{
	struct planning *work = context;
	int code = head_compare(change, work->visitor->head, error);

	if (code == RH_OK && change->problem == PROBLEM_NONE)
		code = visit_cancel(change, work->visitor, error);
	if (code == RH_OK && change->problem == PROBLEM_NONE)
		code = plan_all(change, work, error);
	return code;
}

int ledger_plan(struct ledger *ledger, int64_t now, const struct ledger_visitor *visitor,
    const struct ledger_license *licenses, size_t count, struct ledger_outcome *outcomes,
    enum problem *ret_problem, struct head *ret_head, rh_error *error)
{
	struct planning work = {visitor, licenses, count, NULL, false};
	enum problem problem;
	struct head head;
	int code;

	work.outcomes = calloc(count + 1, sizeof *work.outcomes);
	if (work.outcomes == NULL)
		return error_memory(error);
	code = reading_run(ledger, now, read_plan, &work, &problem, &head, error);
	if (code == RH_OK && work.writes)
		code =
		    change_run(ledger, now, false, write_plan, &work, &problem, &head, error);
	if (code == RH_OK) {
		if (problem == PROBLEM_NONE && count > 0)
			memcpy(outcomes, work.outcomes, count * sizeof *outcomes);
		*ret_problem = problem;
		*ret_head = head;
	}
	free(work.outcomes);
	return code;
}
