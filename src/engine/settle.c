#include <string.h>

#include "engine/engine.h"

/* Seals a row anew, as one that has spent what ${spent} says besides. */
static int spend(struct store_sealer *sealer, struct store_row *row,
    const struct license_state *spent, int64_t version, rh_error *error)
{
	struct store_content content = {0};
	int code = store_open_row(sealer, row, &content, error);

	if (code == RH_OK) {
		license_state_merge(&content.state, spent);
		row->state_version = version;
		code = store_seal(sealer, row, content.document.data, content.document.size,
		    content.secret.data, content.secret.size, &content.state, error);
	}
	store_content_free(&content);
	return code;
}

bool settle_same_issuer(const struct license *a, const struct license *b)
{
	if (!license_format_signed(a->format) && !license_format_signed(b->format))
		return true;
	return strcmp(a->format, b->format) == 0 && strcmp(a->issuer, b->issuer) == 0;
}

/* A later issue takes the place of an earlier one, inherits its state, and keeps its own
 * secret.
 */
static int replace(struct rh_store *store, struct store_sealer *sealer, struct store_row *row,
    const struct store_here *here, rh_error *error)
{
	struct store_row old = {0};
	struct store_content content = {0};
	int code = store_get(store->store, row->facts.id, &old, error);

	if (code == RH_OK && !settle_same_issuer(&old.facts, &row->facts))
		code = RH_E_LICENSE_CONFLICT;
	if (code == RH_OK && here->has_state) {
		code = store_open_row(sealer, &old, &content, error);
		if (code == RH_OK)
			code = spend(sealer, row, &content.state, old.state_version + 1, error);
	}
	if (code == RH_OK)
		code = store_replace(store->store, here->number, row, error);
	store_row_free(&old);
	store_content_free(&content);
	return code == RH_OK ? RH_S_UPDATED : code;
}

int settle_conflict(struct rh_store *store, struct store_sealer *sealer, struct store_row *row,
    const struct store_here *here, rh_error *error)
{
	int64_t issued = row->facts.issued;

	if (issued == LICENSE_TIME_NONE || here->issued == LICENSE_TIME_NONE ||
	    issued == here->issued)
		return RH_E_LICENSE_CONFLICT;
	if (issued < here->issued)
		return RH_S_OLDER;
	return replace(store, sealer, row, here, error);
}

int settle_spent(
    struct rh_store *store, struct store_sealer *sealer, struct store_row *row, rh_error *error)
{
	char name[STORE_SPENT_SIZE];
	struct license_state spent;
	int code;

	store_spent_name(name, &row->facts);
	code = store_spent(store->store, name, true, &spent, error);
	if (code == RH_OK)
		code = spend(sealer, row, &spent, row->state_version + 1, error);
	if (code == RH_OK)
		code = store_replace(store->store, row->number, row, error);
	return code == RH_OK ? RH_S_STATE_MERGED : code;
}
