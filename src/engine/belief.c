#include <string.h>

#include "engine/engine.h"

static int try_key(struct belief *belief, const struct backup_header *header,
    const uint8_t key[KEY_SIZE], rh_error *error)
{
	int code;

	if (belief->proven)
		return RH_OK;
	code = backup_header_proven(header, key, &belief->proven, error);
	if (code == RH_OK && belief->proven)
		memcpy(belief->key, key, KEY_SIZE);
	return code;
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
			code = try_key(belief, header, key, error);
	}
	if (code == RH_OK && store != NULL)
		code = recovery_proof(store, key, &known, error);
	if (code == RH_OK && known)
		code = try_key(belief, header, key, error);
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
