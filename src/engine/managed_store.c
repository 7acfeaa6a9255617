#include "engine/managed.h"

/* What was granted goes into the store: one transaction of several batches. */

/* It is here, perhaps only since a moment ago. */
static int store_present(struct restore *run, struct managed_slot *slot, rh_error *error)
{
	int code = restore_present(run, &slot->content, error);

	slot->code = code;
	if (code == RH_S_ALREADY_HERE || code == RH_S_STATE_MERGED ||
	    code == RH_E_LICENSE_UNKNOWN)
		return RH_OK;
	return code;
}

/* The row, and what it was granted. */
static int store_slot(
    struct restore *run, struct managed_slot *slot, int64_t batch, rh_error *error)
{
	struct store *store = run->store->store;
	struct store_here here;
	int code = RH_OK, inserted;

	if (slot->present)
		return store_present(run, slot, error);
	inserted = store_insert(store, &slot->content.row, &here, error);
	if (inserted != RH_S_ADDED && inserted != RH_S_ALREADY_HERE &&
	    inserted != RH_E_LICENSE_CONFLICT)
		return inserted;
	error_clear(error);
	if (inserted != RH_E_LICENSE_CONFLICT)
		code = store_grant_put(store, here.number, batch, &slot->grant, error);
	if (code == RH_OK && inserted != RH_S_ADDED)
		return store_present(run, slot, error);
	if (code == RH_OK && here.spent)
		code = restore_spent_before(run, &slot->content.row, error);
	return code;
}

static int store_batch(struct restore *run, struct managed_batch *batch, rh_error *error)
{
	int64_t number = 0;
	int code = RH_OK;

	if (batch->grants.leaf_count > 0)
		code = store_grants_add(run->store->store, &batch->grants, &number, error);
	for (size_t i = 0; i < batch->count && code == RH_OK; i++)
		code = store_slot(run, batch->slots[i], number, error);
	return code;
}

static void tell_stored(struct restore *run, struct managed_slot *slot)
{
	bool granted = slot->code == RH_S_GRANTED || slot->code == RH_S_FREE;

	if (slot->code == RH_E_LICENSE_UNKNOWN) {
		managed_fail(run, &slot->content, slot->code, "it was removed meanwhile");
		return;
	}
	run->summary->done += granted;
	restore_tell(run, &slot->content, slot->code, granted ? slot->text : "");
	report_done(run->report, 1, slot->content.row.bytes);
}

/* In the order in which they were asked for. */
static struct managed_batch *take_pending(struct managed *managed)
{
	struct managed_batch *list = NULL;

	while (managed->pending != NULL) {
		struct managed_batch *batch = managed->pending;

		managed->pending = batch->next;
		batch->next = list;
		list = batch;
	}
	managed->pending_count = 0;
	managed->present = NULL;
	return list;
}

static int save_heads(struct managed *managed, rh_error *error)
{
	int code = RH_OK;

	for (size_t i = 0; i < managed->count && code == RH_OK; i++)
		if (managed->services[i].heard)
			code = link_save(managed->services[i].link, error);
	return code;
}

int managed_store(struct restore *run, rh_error *error)
{
	struct managed_batch *list = take_pending(run->managed);
	int code = store_begin(run->store->store, error);

	for (struct managed_batch *batch = list; batch != NULL && code == RH_OK;
	     batch = batch->next)
		code = store_batch(run, batch, error);
	if (code == RH_OK)
		code = save_heads(run->managed, error);
	if (code == RH_OK)
		code = store_commit(run->store->store, error);
	if (code != RH_OK)
		store_rollback(run->store->store);
	while (list != NULL) {
		struct managed_batch *batch = list;

		for (size_t i = 0; i < batch->count && code == RH_OK; i++)
			tell_stored(run, batch->slots[i]);
		list = batch->next;
		managed_batch_free(batch);
	}
	return code;
}
