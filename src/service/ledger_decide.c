#include <string.h>

#include "service/ledger_internal.h"

/* What the policy says of one computer and one licence: no database, no clock. */

const struct policy policy_default = {
    LEDGER_LIMIT_DEFAULT, 0, POLICY_UNSET, 0, LEDGER_RELEASE_WAIT_DEFAULT};
const struct policy policy_unset = {
    POLICY_UNSET, POLICY_UNSET, POLICY_UNSET, POLICY_UNSET, POLICY_UNSET};

static void fill(int64_t *member, int64_t wider)
{
	if (*member == POLICY_UNSET)
		*member = wider;
}

struct policy policy_resolve(const struct policy *license, uint32_t claimed,
    const struct policy *issuer, const struct policy *service)
{
	const struct policy *wider[] = {issuer, service, &policy_default};
	struct policy policy = *license;

	if (claimed > 0)
		fill(&policy.computers, claimed);
	for (size_t i = 0; i < sizeof wider / sizeof *wider; i++) {
		fill(&policy.computers, wider[i]->computers);
		fill(&policy.period, wider[i]->period);
		fill(&policy.period_computers, wider[i]->period_computers);
		fill(&policy.cooldown, wider[i]->cooldown);
		fill(&policy.release_wait, wider[i]->release_wait);
	}
	return policy;
}

/* ---- Counting ---- */

bool holder_gone(int64_t released, int64_t releasing, int64_t now)
{
	return released != LICENSE_TIME_NONE ||
	       (releasing != LICENSE_TIME_NONE && releasing <= now);
}

bool count_original_there(const struct count *count, int64_t now)
{
	return *count->original != '\0' &&
	       !holder_gone(count->original_released, count->original_releasing, now);
}

/* The original has number 1 without a slot; a slot from before it proved itself is no other. */
static bool is_original(const struct count *count, const struct holder *holder, int64_t now)
{
	return *count->original_computer != '\0' && count_original_there(count, now) &&
	       strcmp(count->original_computer, holder->computer) == 0;
}

static bool counts(const struct count *count, const struct holder *holder, int64_t now)
{
	return !holder_gone(holder->released, holder->releasing, now) &&
	       !is_original(count, holder, now);
}

uint32_t count_used(const struct count *count, int64_t now)
{
	uint32_t used = count_original_there(count, now) ? 1 : 0;

	for (size_t i = 0; i < count->holder_count; i++)
		used += counts(count, &count->holders[i], now) ? 1 : 0;
	return used;
}

uint32_t count_limit(const struct count *count)
{
	int64_t limit = count->policy.computers + count->extra;

	return limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit;
}

static int64_t lowest_number(const struct count *count, int64_t now)
{
	int64_t number = count_original_there(count, now) ? 2 : 1;

	for (size_t i = 0; i < count->holder_count; i++) {
		const struct holder *holder = &count->holders[i];

		if (!holder_gone(holder->released, holder->releasing, now) &&
		    holder->number == number)
			number++;
	}
	return number;
}

/* ---- When a slot comes free ---- */

static int64_t pending(const struct count *count, size_t i, int64_t now)
{
	if (i == count->holder_count)
		return count_original_there(count, now) ? count->original_releasing
							: LICENSE_TIME_NONE;
	return counts(count, &count->holders[i], now) ? count->holders[i].releasing
						      : LICENSE_TIME_NONE;
}

/* When ${needed} of the releases that wait have taken effect. */
static int64_t next_by_release(const struct count *count, uint32_t needed, int64_t now)
{
	int64_t next = LICENSE_TIME_NONE;

	for (size_t i = 0; i <= count->holder_count; i++) {
		int64_t time = pending(count, i, now);
		uint32_t until = 0;

		if (time == LICENSE_TIME_NONE || (next != LICENSE_TIME_NONE && time >= next))
			continue;
		for (size_t k = 0; k <= count->holder_count; k++) {
			int64_t other = pending(count, k, now);

			until += other != LICENSE_TIME_NONE && other <= time ? 1 : 0;
		}
		if (until >= needed)
			next = time;
	}
	return next;
}

/* A new computer of the period that ends now; released ones were new all the same. */
static bool is_new(const struct count *count, const struct holder *holder, int64_t now)
{
	return holder->since > now - count->policy.period && !is_original(count, holder, now);
}

/* When ${needed} of those are older than the period. */
static int64_t next_by_period(const struct count *count, int64_t needed, int64_t now)
{
	int64_t next = LICENSE_TIME_NONE;

	for (size_t i = 0; i < count->holder_count; i++) {
		const struct holder *holder = &count->holders[i];
		int64_t over = holder->since + count->policy.period, until = 0;

		if (!is_new(count, holder, now) || (next != LICENSE_TIME_NONE && over >= next))
			continue;
		for (size_t k = 0; k < count->holder_count; k++)
			until += is_new(count, &count->holders[k], now) &&
					 count->holders[k].since <= holder->since
				     ? 1
				     : 0;
		if (until >= needed)
			next = over;
	}
	return next;
}

/* ---- The decision ---- */

struct refusal {
	enum problem problem;
	int64_t next;
};

/* The first problem is told; the next slot waits for all. */
static void refuse(struct refusal *refusal, enum problem problem, int64_t next)
{
	if (refusal->problem == PROBLEM_NONE)
		*refusal = (struct refusal){problem, next};
	else if (next == LICENSE_TIME_NONE || refusal->next == LICENSE_TIME_NONE)
		refusal->next = LICENSE_TIME_NONE;
	else if (next > refusal->next)
		refusal->next = next;
}

static struct refusal check(const struct count *count, int64_t now)
{
	const struct policy *policy = &count->policy;
	uint32_t used = count_used(count, now), limit = count_limit(count);
	int64_t new_ones = 0, last = LICENSE_TIME_NONE;
	struct refusal refusal = {PROBLEM_NONE, LICENSE_TIME_NONE};

	for (size_t i = 0; i < count->holder_count; i++) {
		const struct holder *holder = &count->holders[i];

		if (is_original(count, holder, now))
			continue;
		new_ones += is_new(count, holder, now) ? 1 : 0;
		if (holder->since > last)
			last = holder->since;
	}
	if (used >= limit)
		refuse(&refusal, PROBLEM_LIMIT, next_by_release(count, used - limit + 1, now));
	if (policy->period > 0 && policy->period_computers != POLICY_UNSET &&
	    new_ones >= policy->period_computers)
		refuse(&refusal, PROBLEM_PERIOD,
		    next_by_period(count, new_ones - policy->period_computers + 1, now));
	if (policy->cooldown > 0 && last != LICENSE_TIME_NONE && now < last + policy->cooldown)
		refuse(&refusal, PROBLEM_COOLDOWN, last + policy->cooldown);
	return refusal;
}

/* Whether it has the licence already: fills number and since. */
static bool has(const struct count *count, const char *computer, const char *claim, int64_t now,
    struct ledger_outcome *ret)
{
	/* A claim counts for the first computer that makes it, and for no other. */
	bool claims = claim != NULL && *claim != '\0' && strcmp(claim, count->original) == 0 &&
		      count->original_computer[0] == '\0';

	if (count_original_there(count, now) &&
	    (claims ||
		(*computer != '\0' && strcmp(computer, count->original_computer) == 0))) {
		ret->number = 1;
		ret->since = count->original_since;
		return true;
	}
	for (size_t i = 0; i < count->holder_count; i++) {
		const struct holder *holder = &count->holders[i];

		if (holder_gone(holder->released, holder->releasing, now) ||
		    strcmp(holder->computer, computer) != 0)
			continue;
		ret->number = (uint32_t)holder->number;
		ret->since = holder->since;
		return true;
	}
	return false;
}

void decide(const struct count *count, const char *computer, const char *claim, int64_t now,
    struct ledger_outcome *ret)
{
	struct ledger_outcome outcome = {.result = MESSAGE_FREE,
	    .limit = count_limit(count),
	    .since = LICENSE_TIME_NONE,
	    .next = LICENSE_TIME_NONE};
	struct refusal refusal = {PROBLEM_LICENSE_BLOCKED, LICENSE_TIME_NONE};

	if (!count->blocked && has(count, computer, claim, now, &outcome)) {
		/* It was counted under another limit. */
		if (outcome.number > outcome.limit)
			outcome.limit = outcome.number;
		*ret = outcome;
		return;
	}
	if (!count->blocked)
		refusal = check(count, now);
	if (refusal.problem == PROBLEM_NONE) {
		outcome.result = MESSAGE_COSTS;
		outcome.number = (uint32_t)lowest_number(count, now);
	} else {
		outcome.result = MESSAGE_REFUSED;
		outcome.problem = refusal.problem;
		outcome.number = count_used(count, now);
		outcome.next = refusal.next;
	}
	*ret = outcome;
}
