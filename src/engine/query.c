#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/grants.h"

/* The public header's names are the licence room's numbers. */
_Static_assert((int)RH_DENIED_NO_LICENSE == (int)LICENSE_DENIED_NO_LICENSE &&
		   (int)RH_DENIED_NO_RIGHT == (int)LICENSE_DENIED_NO_RIGHT &&
		   (int)RH_DENIED_SPENT == (int)LICENSE_DENIED_SPENT &&
		   (int)RH_DENIED_EXPIRED == (int)LICENSE_DENIED_EXPIRED &&
		   (int)RH_DENIED_NOT_STARTED == (int)LICENSE_DENIED_NOT_STARTED &&
		   (int)RH_DENIED_CLOCK == (int)LICENSE_DENIED_CLOCK &&
		   (int)RH_DENIED_CHAIN == (int)LICENSE_DENIED_CHAIN,
    "reasons");

static int check_arguments(
    rh_store *store, const char *key_id, const char *action, const void *ret, rh_error *error)
{
	int code = argument_text(key_id, "key id", error);

	if (code == RH_OK)
		code = argument_text(action, "action", error);
	if (code == RH_OK && (store == NULL || ret == NULL))
		code = error_set(
		    error, RH_E_ARGUMENT, "no store or no place for the answer was given");
	return code;
}

int rh_query_action_allowed(rh_store *store, const char *key_id, const char *action,
    unsigned *ret_denied, rh_error *error)
{
	struct grants grants = {0};
	struct asking asking;
	unsigned denied = 0;
	int code = check_arguments(store, key_id, action, ret_denied, error);

	if (code != RH_OK)
		return code;
	code = asking_begin(&asking, store, action, error);
	if (code == RH_OK)
		code = grants_load(&asking, key_id, false, &grants, error);
	if (code == RH_OK) {
		for (size_t i = 0; i < grants.count; i++)
			denied |= grants.list[i].denied;
		if (grants.count == 0)
			denied = RH_DENIED_NO_LICENSE;
		*ret_denied = grants_allowing(&grants) != NULL ? 0 : denied;
	}
	grants_free(&grants);
	asking_end(&asking);
	return code;
}

/* ---- The state ---- */

/* What limits an action, of a licence or of one and its root together. */
struct limits {
	uint64_t count;
	int64_t from;
	int64_t until;
	int64_t period; /* that has not begun */
};

static int64_t action_period(const struct opened *opened, const char *action)
{
	for (size_t i = 0; opened->known && i < opened->rights.action_count; i++)
		if (strcasecmp(opened->rights.actions[i].name, action) == 0)
			return opened->rights.actions[i].period;
	return 0;
}

/* Narrows ${limits} by those of the licence ${id}. */
static int narrow(struct asking *asking, const char *id, struct limits *limits, rh_error *error)
{
	struct store_row row = {0};
	struct license_holding holding;
	struct opened opened;
	uint64_t count;
	int64_t until, period;
	int code = asking_get(asking, id, &row, &opened, error);

	store_row_free(&row);
	if (code != RH_OK)
		return code;
	holding = opened_holding(&opened);
	count = license_remaining(&holding, &asking->moment, asking->action);
	until = license_ends(&holding, asking->action);
	period = action_period(&opened, asking->action);
	if (count < limits->count)
		limits->count = count;
	/* No time at all is the smallest number. */
	if (opened.facts.not_before > limits->from)
		limits->from = opened.facts.not_before;
	if (until != LICENSE_TIME_NONE &&
	    (limits->until == LICENSE_TIME_NONE || until < limits->until))
		limits->until = until;
	if (opened.state.first_use == LICENSE_TIME_NONE && period > 0 &&
	    (limits->period == 0 || period < limits->period))
		limits->period = period;
	return RH_OK;
}

static void state_of(const struct limits *limits, int64_t now, rh_license_state *ret)
{
	static const int32_t categories[2][2][2] = {
	    {{RH_CATEGORY_UNLIMITED, RH_CATEGORY_UNTIL},
		{RH_CATEGORY_FROM, RH_CATEGORY_FROM_UNTIL}},
	    {{RH_CATEGORY_COUNT, RH_CATEGORY_COUNT_UNTIL},
		{RH_CATEGORY_COUNT_FROM, RH_CATEGORY_COUNT_FROM_UNTIL}},
	};
	bool count = limits->count != LICENSE_UNLIMITED;
	bool from = limits->from != LICENSE_TIME_NONE;
	bool until = limits->until != LICENSE_TIME_NONE;

	/* A period that can begin now; the beginning that is past says nothing more. */
	if (limits->period > 0 && (!from || limits->from <= now)) {
		ret->category = RH_CATEGORY_AFTER_FIRST_USE;
		from = false;
	} else {
		ret->category = categories[count][from][until];
	}
	ret->period = limits->period;
	if (count)
		ret->counts[ret->count_count++] = limits->count;
	if (from)
		ret->dates[ret->date_count++] = limits->from;
	if (until)
		ret->dates[ret->date_count++] = limits->until;
}

/* The one that would be used next: now, or when its time has begun. */
static const struct grant *next_grant(const struct grants *grants)
{
	const struct grant *grant = grants_allowing(grants);

	for (size_t i = 0; i < grants->count && grant == NULL; i++)
		if (grants->list[i].denied == LICENSE_DENIED_NOT_STARTED)
			grant = &grants->list[i];
	return grant;
}

static int query_state(
    struct asking *asking, const struct grants *grants, rh_license_state *ret, rh_error *error)
{
	struct limits limits = {LICENSE_UNLIMITED, LICENSE_TIME_NONE, LICENSE_TIME_NONE, 0};
	const struct grant *next = next_grant(grants);
	int code;

	for (size_t i = 0; i < grants->count; i++) {
		const struct grant *grant = &grants->list[i];

		if (grant->vague ||
		    (grant != next &&
			(grant->denied == 0 || grant->denied == LICENSE_DENIED_NOT_STARTED)))
			ret->vague |= RH_VAGUE_MORE_LICENSES;
	}
	if (next == NULL)
		return RH_OK;
	code = narrow(asking, next->id, &limits, error);
	if (code == RH_OK && next->root[0] != '\0')
		code = narrow(asking, next->root, &limits, error);
	if (code == RH_OK)
		state_of(&limits, asking->moment.now, ret);
	return code;
}

int rh_query_license_state(rh_store *store, const char *key_id, const char *action,
    rh_license_state *ret, rh_error *error)
{
	rh_license_state state = {.category = RH_CATEGORY_NO_RIGHT};
	struct grants grants = {0};
	struct asking asking;
	int code = check_arguments(store, key_id, action, ret, error);

	if (code != RH_OK)
		return code;
	code = asking_begin(&asking, store, action, error);
	if (code == RH_OK)
		code = grants_load(&asking, key_id, false, &grants, error);
	if (code == RH_OK)
		code = query_state(&asking, &grants, &state, error);
	if (code == RH_OK)
		*ret = state;
	grants_free(&grants);
	asking_end(&asking);
	return code;
}

/* ---- All that one licence allows ---- */

/* A licence as its owner is told of it. */
struct telling {
	struct asking asking;
	struct store_row row;
	struct opened opened;
	bool proven;
	struct license_view view;
	rh_action actions[LICENSE_ACTIONS_MAX];
	rh_rights rights;
};

/*
 * A document that is not believed any more (its issuer is not trusted now) still tells what
 * it says; it just grants nothing.
 */
static int open_told(struct telling *telling, rh_error *error)
{
	struct asking *asking = &telling->asking;
	rh_error why;
	int code = asking_open(asking, &telling->row, &telling->opened, &why, error);

	telling->proven = telling->opened.code == RH_OK;
	if (code == RH_OK && !telling->proven) {
		asking->unproven = true;
		code = asking_open(asking, &telling->row, &telling->opened, &why, error);
		asking->unproven = false;
	}
	return code;
}

static int fill_action(struct telling *telling, size_t index, rh_error *error)
{
	const struct license_action *action = &telling->opened.rights.actions[index];
	struct license_holding holding = opened_holding(&telling->opened);
	struct asking *asking = &telling->asking;
	rh_action *ret = &telling->actions[index];
	struct grant grant;
	int code = RH_OK;

	*ret = (rh_action){.name = action->name,
	    .granted = action->count,
	    .period = action->period,
	    .ends = license_ends(&holding, action->name),
	    .denied = RH_DENIED_NO_RIGHT};
	if (!telling->proven)
		return RH_OK;
	ret->remaining = license_remaining(&holding, &asking->moment, action->name);
	asking->action = action->name;
	code = grants_one(asking, &telling->row, &telling->opened, &grant, error);
	if (code == RH_OK)
		ret->denied = grant.denied;
	return code;
}

static int fill_rights(struct telling *telling, rh_error *error)
{
	const struct opened *opened = &telling->opened;
	const struct license_rights *rights = &opened->rights;
	rh_rights *ret = &telling->rights;
	int code = RH_OK;

	*ret = (rh_rights){.actions = telling->actions,
	    .known = opened->known,
	    .root = "",
	    .computer = "",
	    .first_use = RH_TIME_NONE};
	if (!opened->known)
		return RH_OK;
	for (size_t i = 0; i < rights->action_count && code == RH_OK; i++)
		code = fill_action(telling, i, error);
	ret->action_count = rights->action_count;
	ret->vague = rights->vague;
	ret->priority = rights->priority;
	ret->computers = rights->computers;
	ret->root = rights->root;
	ret->computer = rights->computer;
	ret->here = rights->computer[0] == '\0' ||
		    strcmp(rights->computer, telling->asking.moment.computer) == 0;
	ret->first_use = opened->state.first_use;
	return code;
}

static int tell(struct telling *telling, rh_store *store, const char *id,
    rh_rights_function function, void *context, rh_error *error)
{
	const rh_license *license;
	int code = asking_begin(&telling->asking, store, "", error);

	if (code == RH_OK)
		code = license_find(store, id, &telling->row, error);
	if (code == RH_OK)
		code = open_told(telling, error);
	if (code == RH_OK)
		code = fill_rights(telling, error);
	asking_end(&telling->asking);
	if (code == RH_OK) {
		license = license_show(&telling->view, store, &telling->row,
		    &telling->opened.state, telling->asking.moment.computer);
		function(context, license, &telling->rights);
	}
	store_row_free(&telling->row);
	return code;
}

int rh_license_rights(rh_store *store, const char *id, rh_rights_function function,
    void *context, rh_error *error)
{
	struct telling *telling;
	int code = argument_text(id, "licence id", error);

	if (code != RH_OK || store == NULL || function == NULL)
		return error_set(
		    error, RH_E_ARGUMENT, "no store, licence id or function was given");
	telling = calloc(1, sizeof *telling);
	if (telling == NULL)
		return error_memory(error);
	code = tell(telling, store, id, function, context, error);
	free(telling);
	return code;
}
