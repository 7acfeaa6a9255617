#include <string.h>

#include "license/reader.h"

/* What a licence allows at a moment.  No clock is read and nothing is kept here. */

#define TIME_LAST INT64_C(253402300799) /* the end of 9999 */

static const struct license_action *find_action(
    const struct license_rights *rights, const char *name)
{
	if (rights == NULL)
		return NULL;
	for (size_t i = 0; i < rights->action_count; i++)
		if (reader_same_name(rights->actions[i].name, name))
			return &rights->actions[i];
	return NULL;
}

static bool has_period(const struct license_rights *rights)
{
	for (size_t i = 0; i < rights->action_count; i++)
		if (rights->actions[i].period > 0)
			return true;
	return false;
}

/* ---- Counts ---- */

/* The place of the count in ${state}; NULL if it has none. */
static const struct license_count *find_count(
    const struct license_state *state, const struct license_action *action)
{
	for (size_t i = 0; i < state->count_count; i++)
		if (reader_same_name(state->counts[i].action, action->name))
			return &state->counts[i];
	return NULL;
}

/* Whether the counts are kept on another computer than this one. */
static bool counts_elsewhere(
    const struct license_holding *holding, const struct license_moment *moment)
{
	const char *computer = holding->state->computer;

	if (computer[0] == '\0')
		computer = holding->rights->computer;
	if (computer[0] == '\0')
		return false;
	return moment->computer == NULL || strcmp(computer, moment->computer) != 0;
}

static uint64_t remaining(const struct license_holding *holding,
    const struct license_moment *moment, const struct license_action *action)
{
	const struct license_count *count;

	if (action->count == LICENSE_UNLIMITED)
		return LICENSE_UNLIMITED;
	if (counts_elsewhere(holding, moment))
		return 0;
	count = find_count(holding->state, action);
	if (count != NULL)
		return count->remaining < action->count ? count->remaining : action->count;
	/* What cannot be counted down may not be used. */
	return holding->state->count_count < LICENSE_COUNTS_MAX ? action->count : 0;
}

uint64_t license_remaining(const struct license_holding *holding,
    const struct license_moment *moment, const char *action)
{
	const struct license_action *found = find_action(holding->rights, action);

	return found != NULL ? remaining(holding, moment, found) : 0;
}

/* ---- Times ---- */

static int64_t earlier(int64_t a, int64_t b)
{
	if (a == LICENSE_TIME_NONE || b == LICENSE_TIME_NONE)
		return a == LICENSE_TIME_NONE ? b : a;
	return a < b ? a : b;
}

static int64_t period_end(
    const struct license_holding *holding, const struct license_action *action)
{
	int64_t first = holding->state->first_use;

	if (action == NULL || action->period <= 0 || first == LICENSE_TIME_NONE)
		return LICENSE_TIME_NONE;
	return action->period < TIME_LAST - first ? first + action->period : TIME_LAST;
}

int64_t license_ends(const struct license_holding *holding, const char *action)
{
	return earlier(holding->facts->not_after,
	    period_end(holding, find_action(holding->rights, action)));
}

static unsigned denied_by_time(const struct license_holding *holding,
    const struct license_moment *moment, const struct license_action *action)
{
	const struct license *facts = holding->facts;
	int64_t ends = earlier(facts->not_after, period_end(holding, action));
	int64_t first = holding->state->first_use;
	unsigned denied = 0;

	if (ends != LICENSE_TIME_NONE && moment->now >= ends)
		denied |= LICENSE_DENIED_EXPIRED;
	if (facts->not_before != LICENSE_TIME_NONE && moment->now < facts->not_before)
		denied |= LICENSE_DENIED_NOT_STARTED;
	if (moment->set_back &&
	    (facts->not_before != LICENSE_TIME_NONE || facts->not_after != LICENSE_TIME_NONE ||
		action->period > 0))
		denied |= LICENSE_DENIED_CLOCK;
	/* Before its first use, so one of the two clocks is wrong. */
	if (action->period > 0 && first != LICENSE_TIME_NONE && moment->now < first)
		denied |= LICENSE_DENIED_CLOCK;
	return denied;
}

/* ---- Both ---- */

unsigned license_denied(const struct license_holding *holding,
    const struct license_moment *moment, const char *action)
{
	const struct license_action *found = find_action(holding->rights, action);
	unsigned denied;

	if (found == NULL)
		return LICENSE_DENIED_NO_RIGHT;
	denied = denied_by_time(holding, moment, found);
	if (remaining(holding, moment, found) == 0)
		denied |= LICENSE_DENIED_SPENT;
	return denied;
}

static void spend_count(
    struct license_state *state, const struct license_action *action, uint64_t left)
{
	size_t i = 0;

	while (
	    i < state->count_count && !reader_same_name(state->counts[i].action, action->name))
		i++;
	if (i == state->count_count) {
		memcpy(state->counts[i].action, action->name, sizeof action->name);
		state->count_count++;
	}
	state->counts[i].remaining = left - 1;
}

bool license_spend(struct license_state *state, const struct license_holding *holding,
    const struct license_moment *moment, const char *action)
{
	const struct license_holding mine = {holding->facts, holding->rights, state};
	const struct license_action *found = find_action(mine.rights, action);
	uint64_t left = found != NULL ? remaining(&mine, moment, found) : 0;
	int64_t now = moment->now;
	bool changed = false;

	if (left == 0)
		return false;
	if (left != LICENSE_UNLIMITED) {
		spend_count(state, found, left);
		changed = true;
	}
	if (state->first_use == LICENSE_TIME_NONE && has_period(mine.rights)) {
		state->first_use = now < 0 ? 0 : now < TIME_LAST ? now : TIME_LAST;
		changed = true;
	}
	return changed;
}
