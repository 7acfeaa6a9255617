#include <string.h>

#include "license/reader.h"
#include "license/rules.h"
#include "license/actions.h"

/* ---- collecting ---- */

int actions_reset(struct actions *actions, rh_error *error)
{
	memset(&actions->on_store, 0, sizeof actions->on_store);
	actions->open = NULL;
	actions->count = 0;
	actions->too_many = false;
	buffer_clear(&actions->texts);
	return buffer_append(&actions->texts, "", 1, error);
}

void actions_free(struct actions *actions)
{
	buffer_free(&actions->texts);
}

void actions_start_action(struct actions *actions, const struct xml_attributes *attributes)
{
	const char *name, *value;
	struct rule *rule;
	size_t size;

	actions->open = NULL;
	if (actions->count == ACTIONS_MAX) {
		actions->too_many = true;
		return;
	}
	rule = &actions->rules[actions->count++];
	memset(rule, 0, sizeof *rule);
	for (size_t i = 0; xml_attribute(attributes, i, &name, &value, &size); i++) {
		if (!reader_same_name(name, "type"))
			continue;
		reader_trim(&value, &size);
		if (!reader_exact_text(rule->type, sizeof rule->type, value, size))
			strcpy(rule->type, "?"); /* not a name that means anything here */
	}
	rule->odd = rule->type[0] == '\0';
	for (char *p = rule->type; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p + 32);
	actions->open = rule;
}

void actions_start_store(struct actions *actions)
{
	actions->open = &actions->on_store;
}

int actions_text(struct actions *actions, enum actions_part part, const void *text, size_t size,
    bool cut, rh_error *error)
{
	struct rule *rule = actions->open;
	size_t start = actions->texts.size;
	size_t *offset;
	int code;

	if (rule == NULL)
		return RH_OK;
	offset = part == ACTIONS_CONDITION ? &rule->condition : &rule->action;
	if (*offset != 0 || cut) {
		rule->odd = true;
		return RH_OK;
	}
	code = buffer_append(&actions->texts, text, size, error);
	if (code == RH_OK)
		code = buffer_append(&actions->texts, "", 1, error);
	if (code == RH_OK)
		*offset = start;
	return code;
}

/* ---- judging ---- */

static const char *text_at(const struct actions *actions, size_t offset)
{
	return (const char *)actions->texts.data + offset;
}

static enum license_right rule_right(const struct actions *actions, const struct rule *rule)
{
	return rule->odd ? LICENSE_UNKNOWN : rules_right(text_at(actions, rule->condition));
}

/* All rules for the action must allow it; ${absent} is the answer if there is none. */
static enum license_right right_to(
    const struct actions *actions, const char *action, enum license_right absent)
{
	enum license_right right = absent;
	bool found = false;

	if (actions->too_many)
		return LICENSE_UNKNOWN;
	for (size_t i = 0; i < actions->count; i++) {
		const struct rule *rule = &actions->rules[i];
		enum license_right one;

		/* A rule that does not name its action may be for this one. */
		if (strcmp(rule->type, action) != 0 && rule->type[0] != '\0')
			continue;
		one = rule_right(actions, rule);
		if (one == LICENSE_NO)
			return LICENSE_NO;
		if (!found || one == LICENSE_UNKNOWN)
			right = one;
		found = true;
	}
	return right;
}

static void judge_backup(const struct actions *actions, struct license *license)
{
	enum license_right restore = right_to(actions, "restore", LICENSE_YES);

	license->backup = right_to(actions, "backup", LICENSE_NO);
	if (license->backup == LICENSE_NO) {
		license->reason = "the licence does not grant the right to back up";
	} else if (license->backup == LICENSE_UNKNOWN) {
		license->reason = "the licence's rule for backup is not understood";
	} else if (restore == LICENSE_NO) {
		/* One setting of the issuer covers both (WMRMRights.AllowBackupRestore). */
		license->backup = LICENSE_NO;
		license->reason = "the licence does not grant the right to restore";
	} else if (restore == LICENSE_UNKNOWN) {
		license->backup = LICENSE_UNKNOWN;
		license->reason = "the licence's rule for restore is not understood";
	}
}

/* Whether another rule is for the same action: which one holds is not known. */
static bool rule_is_one_of_many(const struct actions *actions, size_t index)
{
	for (size_t i = 0; i < actions->count; i++)
		if (i != index &&
		    strcmp(actions->rules[i].type, actions->rules[index].type) == 0)
			return true;
	return false;
}

/* ONSTORE's action; "" if it may not have been done. */
static const char *stored(const struct actions *actions)
{
	const struct rule *store = &actions->on_store;

	if (store->odd || rule_right(actions, store) != LICENSE_YES)
		return "";
	return text_at(actions, store->action);
}

static void read_counts_and_times(
    const struct actions *actions, const char *on_store, struct license *license)
{
	for (size_t i = 0; i < actions->count && !actions->too_many; i++) {
		const struct rule *rule = &actions->rules[i];
		const char *condition = text_at(actions, rule->condition);
		struct license_count *count;
		uint64_t remaining;

		if (rule->odd || rule_is_one_of_many(actions, i))
			continue;
		if (strcmp(rule->type, "play") == 0)
			rules_times(condition, &license->not_before, &license->not_after);
		if (license->count_count == LICENSE_COUNTS_MAX ||
		    !rules_count(
			condition, text_at(actions, rule->action), on_store, &remaining))
			continue;
		count = &license->counts[license->count_count++];
		memcpy(count->action, rule->type, sizeof count->action);
		count->remaining = remaining;
	}
}

/* Whether the record, which has the times of Play alone, keeps to those of ${condition} too. */
static bool times_are_kept(const char *condition, const struct license *license)
{
	int64_t not_before = license->not_before, not_after = license->not_after;

	rules_times(condition, &not_before, &not_after);
	return not_before == license->not_before && not_after == license->not_after;
}

static void read_rights(const struct actions *actions, const char *on_store,
    const struct license *license, struct license_rights *rights)
{
	rights->vague = actions->too_many;
	for (size_t i = 0; i < actions->count && !actions->too_many; i++) {
		const struct rule *rule = &actions->rules[i];
		const char *condition = text_at(actions, rule->condition);
		enum license_right right;
		uint64_t count;

		/* These two are said by the record. */
		if (strcmp(rule->type, "backup") == 0 || strcmp(rule->type, "restore") == 0)
			continue;
		right =
		    rules_grant(condition, text_at(actions, rule->action), on_store, &count);
		if (rule->odd || strcmp(rule->type, "?") == 0 ||
		    rule_is_one_of_many(actions, i) || right == LICENSE_UNKNOWN ||
		    !times_are_kept(condition, license))
			rights->vague = true;
		else if (right == LICENSE_YES)
			reader_grant(rights, rule->type, count, 0);
	}
}

void actions_finish(
    const struct actions *actions, struct license *license, struct license_rights *rights)
{
	const char *on_store = stored(actions);

	judge_backup(actions, license);
	read_counts_and_times(actions, on_store, license);
	read_rights(actions, on_store, license, rights);
}
