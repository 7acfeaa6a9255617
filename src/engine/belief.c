#include <string.h>

#include "engine/engine.h"

static void try_key(
    struct belief *belief, const struct backup_header *header, const uint8_t key[KEY_SIZE])
{
	if (belief->proven || !backup_header_proven(header, key))
		return;
	belief->proven = true;
	memcpy(belief->key, key, KEY_SIZE);
}

/* The keys that were given, or that the store has, of which one may be the recovery key. */
static int find_proof(const struct opening *opening, struct rh_store *store,
    const struct backup_header *header, struct belief *belief, rh_error *error)
{
	uint8_t key[KEY_SIZE];
	bool known = false;
	int code = RH_OK;

	for (size_t i = 0; i < opening->keys.identity_count && code == RH_OK; i++) {
		code = backup_proof_key(&opening->keys.identities[i], key, error);
		if (code == RH_OK)
			try_key(belief, header, key);
	}
	if (code == RH_OK && store != NULL)
		code = recovery_proof(store, key, &known, error);
	if (code == RH_OK && known)
		try_key(belief, header, key);
	bytes_wipe(key, sizeof key);
	return code;
}

int belief_form(const struct opening *opening, struct rh_store *store,
    const struct backup_header *header, bool show_only, struct belief *ret, rh_error *error)
{
	struct belief belief = {.proven = false};
	int code = find_proof(opening, store, header, &belief, error);

	belief.trusts = belief.proven || (store != NULL && !show_only);
	if (code == RH_OK && belief.trusts)
		code = trust_load(
		    store, true, belief.proven ? header->issuers : NULL, &belief.trust, error);
	if (code == RH_OK)
		*ret = belief;
	bytes_wipe(belief.key, sizeof belief.key);
	return code;
}

void belief_free(struct belief *belief)
{
	trust_free(&belief->trust);
	bytes_wipe(belief->key, sizeof belief->key);
	*belief = (struct belief){.proven = false};
}
