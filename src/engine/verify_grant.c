#include <stdio.h>
#include <string.h>

#include "engine/link.h"

/* Whether the service's signature, by a key that is pinned here, is over these leaves. */
static int check_signature(rh_store *store, const struct license *facts,
    const struct store_grant *grant, rh_error *error)
{
	struct pins pins = {0};
	const struct pin *pin;
	rh_error why;
	int code = pins_load(store, RH_PIN_SERVICE, &pins, error);

	if (code != RH_OK)
		return code;
	pin = pins_find(&pins, facts->service);
	if (pin == NULL) {
		code = error_set(
		    error, RH_E_GRANT, "no keys of %s are pinned here", facts->service);
	} else {
		code = grants_check(grant->root, &pin->keys, grant->service, grant->computer,
		    (const uint8_t(*)[DIGEST_SIZE])grant->leaves, grant->leaf_count, &why);
		if (license_code(code))
			code = error_set(error, RH_E_GRANT,
			    "the grant of licence %s is not signed by %s: %.400s", facts->id,
			    facts->service, why.text);
		else if (code != RH_OK && error != NULL)
			*error = why;
	}
	pins_free(&pins);
	return code;
}

/* Whether the leaf at its place is that of this licence. */
static int check_leaf(
    const struct license *facts, const struct store_grant *kept, rh_error *error)
{
	const struct grant grant = {.issuer = facts->issuer,
	    .license = facts->id,
	    .computer = kept->computer,
	    .number = kept->number,
	    .limit = kept->limit,
	    .since = kept->since};
	uint8_t leaf[DIGEST_SIZE];
	int code = grant_leaf(&grant, leaf, error);

	if (code == RH_E_LICENSE_INVALID ||
	    (code == RH_OK && memcmp(leaf, kept->leaves[kept->position], sizeof leaf) != 0))
		code = error_set(error, RH_E_GRANT,
		    "the grant of licence %s says something else", facts->id);
	return code;
}

struct search {
	const char *address;
	const char *computer;
	bool found;
};

static int on_identity(void *context, const struct link_identity *identity, rh_error *error)
{
	struct search *search = context;

	(void)error;
	if (strcmp(identity->address, search->address) == 0 &&
	    strcmp(identity->computer, search->computer) == 0)
		search->found = true;
	return RH_OK;
}

/* Whether the computer of the grant is this one. */
static int check_computer(rh_store *store, const struct license *facts,
    const struct store_grant *grant, rh_error *error)
{
	struct search search = {facts->service, grant->computer, false};
	int code = link_identities(store, on_identity, &search, error);

	if (code == RH_OK && !search.found)
		code = error_set(error, RH_E_GRANT,
		    "the grant of licence %s is for another computer", facts->id);
	return code;
}

static int verify(rh_store *store, const char *id, rh_grant *ret, rh_error *error)
{
	struct store_grant grant = {.number = 0};
	struct store_row row = {0};
	int code = store_get(store->store, id, &row, error);

	if (code == RH_OK)
		code = store_grant_get(store->store, id, &grant, error);
	if (code == RH_OK)
		code = check_leaf(&row.facts, &grant, error);
	if (code == RH_OK)
		code = check_signature(store, &row.facts, &grant, error);
	if (code == RH_OK)
		code = check_computer(store, &row.facts, &grant, error);
	if (code == RH_OK && ret != NULL) {
		*ret = (rh_grant){
		    .number = grant.number, .limit = grant.limit, .since = grant.since};
		snprintf(ret->service, sizeof ret->service, "%s", row.facts.service);
		snprintf(ret->computer, sizeof ret->computer, "%s", grant.computer);
	}
	store_grant_free(&grant);
	store_row_free(&row);
	return code;
}

int rh_license_verify_grant(rh_store *store, const char *id, rh_grant *ret, rh_error *error)
{
	int code = argument_text(id, "licence id", error);

	if (code == RH_OK && store == NULL)
		code = error_set(error, RH_E_ARGUMENT, "no store was given");
	/* All of one moment. */
	if (code == RH_OK)
		code = store_read_begin(store->store, error);
	if (code != RH_OK)
		return code;
	code = verify(store, id, ret, error);
	store_read_end(store->store);
	return code;
}
