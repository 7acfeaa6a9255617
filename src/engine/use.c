#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/grants.h"

/* What using would do, or did. */
struct use {
	rh_use result;
	bool spends; /* a count, or the first use */
	bool due; /* the time is to be noted */
};

static bool limited_in_time(const struct opened *opened)
{
	if (opened->facts.not_before != LICENSE_TIME_NONE ||
	    opened->facts.not_after != LICENSE_TIME_NONE)
		return true;
	for (size_t i = 0; i < opened->rights.action_count; i++)
		if (opened->rights.actions[i].period > 0)
			return true;
	return false;
}

/* Puts the state in the place of the one in ${row}, which was opened last. */
static int replace_state(struct asking *asking, struct store_row *row,
    const struct license_state *state, rh_error *error)
{
	const struct store_content *content = &asking->content;
	int64_t number = row->number;
	int code;

	row->state_version++;
	row->digest_known = true;
	code = store_seal(asking->sealer, row, content->document.data, content->document.size,
	    content->secret.data, content->secret.size, state, error);
	if (code == RH_OK)
		code = store_replace(asking->store->store, number, row, error);
	return code;
}

/* Spends one use of the licence ${id}; only says what that would do unless ${write}. */
static int spend(
    struct asking *asking, const char *id, bool write, struct use *use, rh_error *error)
{
	struct store_row row = {0};
	struct license_holding holding;
	struct license_state state;
	struct opened opened;
	uint64_t remaining;
	int64_t ends;
	bool due, changed;
	int code = asking_get(asking, id, &row, &opened, error);

	if (code != RH_OK)
		goto done;
	holding = opened_holding(&opened);
	state = opened.state;
	changed = license_spend(&state, &holding, &asking->moment, asking->action);
	if (changed && write)
		code = replace_state(asking, &row, &state, error);
	if (code == RH_OK)
		code = moment_due(asking->store, &asking->moment, &due, error);
	if (code != RH_OK)
		goto done;
	opened.state = state;
	remaining = license_remaining(&holding, &asking->moment, asking->action);
	ends = license_ends(&holding, asking->action);
	use->spends |= changed;
	use->due |= limited_in_time(&opened) ? changed || due : changed && due;
	if (remaining < use->result.remaining)
		use->result.remaining = remaining;
	if (ends != LICENSE_TIME_NONE &&
	    (use->result.ends == RH_TIME_NONE || ends < use->result.ends))
		use->result.ends = ends;
done:
	store_row_free(&row);
	return code;
}

/* Uses the first licence that allows it, and its root. */
static int use_first(
    struct asking *asking, const char *license, bool write, struct use *use, rh_error *error)
{
	struct grants grants = {0};
	const struct grant *grant = NULL;
	int code = grants_load(asking, license, true, &grants, error);

	*use = (struct use){.result = {.remaining = LICENSE_UNLIMITED, .ends = RH_TIME_NONE}};
	if (code == RH_OK) {
		grant = grants_allowing(&grants);
		if (grant == NULL)
			code = grants_refusal(asking, &grants, license, error);
	}
	if (code == RH_OK) {
		snprintf(use->result.id, sizeof use->result.id, "%s", grant->id);
		code = spend(asking, grant->id, write, use, error);
	}
	if (code == RH_OK && grant->root[0] != '\0')
		code = spend(asking, grant->root, write, use, error);
	if (code == RH_OK && write && use->due)
		code = moment_note(asking->store, &asking->moment, error);
	grants_free(&grants);
	return code;
}

static int use_at_a_moment(rh_store *store, const char *license, const char *action, bool write,
    struct use *use, rh_error *error)
{
	struct asking asking;
	int code = asking_begin(&asking, store, action, error);

	if (code == RH_OK)
		code = use_first(&asking, license, write, use, error);
	asking_end(&asking);
	return code;
}

/* Everything is read again: between the question and the transaction others may have spent. */
static int use_and_write(
    rh_store *store, const char *license, const char *action, struct use *use, rh_error *error)
{
	int code = store_begin(store->store, error);

	if (code != RH_OK)
		return code;
	code = use_at_a_moment(store, license, action, true, use, error);
	if (code == RH_OK)
		code = store_commit(store->store, error);
	if (code != RH_OK)
		store_rollback(store->store);
	return code;
}

/*
 * Where nothing is spent, noting the time is not worth a refusal: a store that cannot be
 * written, or not now, is noted in the next time.
 */
static void note_time(rh_store *store)
{
	struct license_moment moment;

	if (store_begin(store->store, NULL) != RH_OK)
		return;
	if (moment_now(store, &moment, NULL) != RH_OK ||
	    moment_note(store, &moment, NULL) != RH_OK ||
	    store_commit(store->store, NULL) != RH_OK)
		store_rollback(store->store);
}

static int check_arguments(
    rh_store *store, const char *license, const char *action, rh_error *error)
{
	int code = argument_text(license, "licence id or key id", error);

	if (code == RH_OK)
		code = argument_text(action, "action", error);
	if (code == RH_OK && store == NULL)
		code = error_set(error, RH_E_ARGUMENT, "no store was given");
	return code;
}

int rh_license_use(
    rh_store *store, const char *license, const char *action, rh_use *ret, rh_error *error)
{
	struct use use;
	int code = check_arguments(store, license, action, error);

	if (code != RH_OK)
		return code;
	code = use_at_a_moment(store, license, action, false, &use, error);
	if (code == RH_OK && use.spends)
		code = use_and_write(store, license, action, &use, error);
	else if (code == RH_OK && use.due)
		note_time(store);
	if (code == RH_OK && ret != NULL)
		*ret = use.result;
	return code;
}

/* ---- Content keys ---- */

/* The first licence that allows the action and brings a content key. */
static const struct grant *with_secret(const struct grants *grants)
{
	for (size_t i = 0; i < grants->count; i++)
		if (grants->list[i].denied == 0 && grants->list[i].has_secret)
			return &grants->list[i];
	return NULL;
}

/* Leaves the secret in the asking's content, which wipes it. */
static int open_secret(
    struct asking *asking, const char *license, bool *ret_due, rh_error *error)
{
	const struct grant *grant = NULL;
	struct grants grants = {0};
	struct store_row row = {0};
	struct opened opened;
	int code = grants_load(asking, license, true, &grants, error);

	if (code == RH_OK && grants_allowing(&grants) == NULL)
		code = grants_refusal(asking, &grants, license, error);
	if (code == RH_OK) {
		grant = with_secret(&grants);
		if (grant == NULL)
			code = error_set(error, RH_E_NO_SECRET,
			    "no licence of %s that allows %s has a content key here", license,
			    asking->action);
	}
	if (code == RH_OK)
		code = moment_due(asking->store, &asking->moment, ret_due, error);
	if (code == RH_OK)
		code = asking_get(asking, grant->id, &row, &opened, error);
	if (code == RH_OK)
		*ret_due = *ret_due && limited_in_time(&opened);
	store_row_free(&row);
	grants_free(&grants);
	return code;
}

int rh_license_secret(rh_store *store, const char *license, const char *action, void **ret,
    size_t *ret_size, rh_error *error)
{
	struct asking asking;
	void *secret = NULL;
	size_t size = 0;
	bool due = false;
	int code = check_arguments(store, license, action, error);

	if (code == RH_OK && (ret == NULL || ret_size == NULL))
		code =
		    error_set(error, RH_E_ARGUMENT, "no place for the content key was given");
	if (code != RH_OK)
		return code;
	code = asking_begin(&asking, store, action, error);
	if (code == RH_OK)
		code = open_secret(&asking, license, &due, error);
	if (code == RH_OK) {
		size = asking.content.secret.size;
		secret = malloc(size);
		if (secret == NULL)
			code = error_memory(error);
		else
			memcpy(secret, asking.content.secret.data, size);
	}
	asking_end(&asking);
	if (code != RH_OK)
		return code;
	if (due)
		note_time(store);
	*ret = secret;
	*ret_size = size;
	return RH_OK;
}
