#include <string.h>

#include "service/ledger_internal.h"

/* Policies as administrators set them. */

#define COMPUTERS_MAX 1000000
#define SECONDS_MAX ((int64_t)100 * 366 * 24 * 60 * 60)

struct setting {
	const char *actor;
	enum policy_scope scope;
	const char *issuer;
	const char *license;
	char subject[256]; /* an issuer's name, or a licence's key; "" */
	const struct policy *policy;
	struct policy found;
};

static int set_subject(struct setting *setting, rh_error *error)
{
	size_t size = setting->issuer == NULL ? 0 : strlen(setting->issuer) + 1;

	*setting->subject = '\0';
	if (setting->scope == POLICY_SERVICE)
		return RH_OK;
	if (size <= 1 || size > sizeof setting->subject ||
	    (setting->scope == POLICY_LICENSE &&
		(setting->license == NULL || *setting->license == '\0')))
		return error_set(error, RH_E_ARGUMENT, "the policy names no issuer or licence");
	if (setting->scope == POLICY_LICENSE)
		return ledger_key(setting->subject, setting->issuer, setting->license, error);
	memcpy(setting->subject, setting->issuer, size);
	return RH_OK;
}

/* ---- Reading ---- */

static int on_policy(void *context, size_t index, const struct row *row, rh_error *error)
{
	struct setting *setting = context;

	(void)index;
	(void)error;
	policy_row(&setting->found, row, 0);
	return RH_OK;
}

static int read_policy(struct change *change, void *context, rh_error *error)
{
	static const struct statement select = {"ledger_policy",
	    "SELECT computers, period, period_computers, cooldown, release_wait FROM policies"
	    " WHERE scope = $1 AND subject = $2",
	    2, "it"};
	struct setting *setting = context;

	setting->found = policy_unset;
	return database_query(change->connection, &select,
	    (const struct value[]){value_integer(setting->scope), value_text(setting->subject)},
	    on_policy, setting, error);
}

int ledger_policy_get(struct ledger *ledger, enum policy_scope scope, const char *issuer,
    const char *license, struct policy *ret, rh_error *error)
{
	struct setting setting = {.scope = scope, .issuer = issuer, .license = license};
	int code = set_subject(&setting, error);

	if (code == RH_OK)
		code = reading_run(ledger, 0, read_policy, &setting, NULL, NULL, error);
	if (code == RH_OK)
		*ret = setting.found;
	return code;
}

/* ---- Writing ---- */

static struct value member(int64_t number)
{
	return number == POLICY_UNSET ? value_null() : value_integer(number);
}

static json_t *member_json(int64_t number)
{
	return number == POLICY_UNSET ? json_null() : json_integer(number);
}

static int note_policy(struct change *change, const struct setting *setting, rh_error *error)
{
	static const char *const scopes[] = {"service", "issuer", "licence"};
	const struct policy *policy = setting->policy;

	return change_note(change, "policy", setting->actor,
	    json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "scope",
		scopes[setting->scope], "issuer",
		setting->issuer != NULL ? setting->issuer : "", "licence",
		setting->scope == POLICY_LICENSE && setting->license != NULL ? setting->license
									     : "",
		"computers", member_json(policy->computers), "period",
		member_json(policy->period), "period_computers",
		member_json(policy->period_computers), "cooldown",
		member_json(policy->cooldown), "release_wait",
		member_json(policy->release_wait)),
	    error);
}

static int write_policy(struct change *change, void *context, rh_error *error)
{
	static const struct statement put = {"ledger_policy_put",
	    "INSERT INTO policies (scope, subject, computers, period, period_computers,"
	    " cooldown, release_wait) VALUES ($1, $2, $3, $4, $5, $6, $7)"
	    " ON CONFLICT (scope, subject) DO UPDATE SET computers = excluded.computers,"
	    " period = excluded.period, period_computers = excluded.period_computers,"
	    " cooldown = excluded.cooldown, release_wait = excluded.release_wait",
	    7, "itiiiii"};
	struct setting *setting = context;
	const struct policy *policy = setting->policy;
	int code = RH_OK;

	if (setting->scope != POLICY_SERVICE)
		code = issuer_served(change, setting->issuer, error);
	if (code == RH_OK)
		code = database_query(change->connection, &put,
		    (const struct value[]){value_integer(setting->scope),
			value_text(setting->subject), member(policy->computers),
			member(policy->period), member(policy->period_computers),
			member(policy->cooldown), member(policy->release_wait)},
		    NULL, NULL, error);
	if (code == RH_OK)
		code = note_policy(change, setting, error);
	return code;
}

static bool within(int64_t number, int64_t least, int64_t most)
{
	return number == POLICY_UNSET || (number >= least && number <= most);
}

int ledger_policy_set(struct ledger *ledger, int64_t now, const char *actor,
    enum policy_scope scope, const char *issuer, const char *license,
    const struct policy *policy, rh_error *error)
{
	struct setting setting = {.actor = actor,
	    .scope = scope,
	    .issuer = issuer,
	    .license = license,
	    .policy = policy};
	int code = set_subject(&setting, error);

	if (code != RH_OK)
		return code;
	if (!within(policy->computers, 1, COMPUTERS_MAX) ||
	    !within(policy->period, 0, SECONDS_MAX) ||
	    !within(policy->period_computers, 0, COMPUTERS_MAX) ||
	    !within(policy->cooldown, 0, SECONDS_MAX) ||
	    !within(policy->release_wait, 0, SECONDS_MAX))
		return error_set(
		    error, RH_E_ARGUMENT, "a number of the policy is out of range");
	return change_admin(ledger, now, write_policy, &setting, error);
}
