#include <stdio.h>
#include <string.h>

#include "holds.h"
#include "signed.h"
#include "signed_seen.h"

rh_store *signed_open(
    const char *place, const char *name, unsigned flags, struct outcome *outcome)
{
	char path[PATH_SIZE];
	rh_store *store = NULL;

	if (outcome->code != RH_OK)
		return NULL;
	join(path, place, name);
	outcome->code = rh_store_open(path, flags, &store, &outcome->error);
	return store;
}

static int count_license(void *context, const rh_license *license)
{
	(void)license;
	++*(unsigned *)context;
	return 0;
}

static int see_pin(void *context, const rh_pin *pin)
{
	struct seen *seen = context;

	seen->issuers++;
	seen->another |= strcmp(pin->name, SIGNED_ANOTHER) == 0 && pin->key_count == 1;
	return 0;
}

/* Whether the store holds this document; of the two issues of COUNTED it holds one. */
static int see_document(
    rh_store *store, unsigned number, struct seen *seen, unsigned *found, rh_error *error)
{
	void *data = NULL;
	size_t size;
	int code = rh_get_document(store, signed_names[number], &data, &size, error);

	if (code == RH_E_LICENSE_UNKNOWN)
		return RH_OK;
	if (code == RH_OK && size == strlen(signed_texts[number]) &&
	    memcmp(data, signed_texts[number], size) == 0) {
		seen->mask |= BIT(number);
		++*found;
	}
	rh_free(data);
	return code;
}

int signed_see_secret(rh_store *store, unsigned number, rh_error *error)
{
	char secret[SIGNED_SECRET_SIZE + 1];
	void *data = NULL;
	size_t size = 0;
	int code = rh_license_secret(store, signed_names[number], "play", &data, &size, error);

	signed_secret(secret, number);
	if (code == RH_E_LICENSE_EXPIRED && number == EXPIRED)
		return RH_OK;
	if (code == RH_OK && (size != SIGNED_SECRET_SIZE || memcmp(data, secret, size) != 0)) {
		snprintf(error->text, sizeof error->text, "another content key of %s",
		    signed_names[number]);
		code = RH_E_LICENSE_DAMAGED;
	}
	rh_free_secret_bytes(data, size);
	return code;
}

static int see_rights(rh_store *store, struct seen *seen, rh_error *error)
{
	rh_license_state state;
	int code = rh_query_license_state(store, signed_names[COUNTED], "play", &state, error);

	if (code == RH_OK) {
		seen->left = state.count_count > 0 ? state.counts[0] : 0;
		code = rh_query_license_state(
		    store, signed_names[PERIODIC], "play", &state, error);
	}
	if (code == RH_OK) {
		seen->ends = state.category == RH_CATEGORY_UNTIL ? state.dates[0] : 0;
		code = rh_query_action_allowed(
		    store, signed_names[COUNTED], "play", &seen->denied, error);
	}
	return code;
}

int signed_look(const char *place, const char *name, struct seen *ret, rh_error *error)
{
	struct outcome outcome = {0};
	unsigned count = 0, found = 0;
	rh_store *store = signed_open(place, name, 0, &outcome);
	int code = outcome.code;

	*error = outcome.error;
	*ret = (struct seen){0};
	if (code == RH_E_STORE_MISSING)
		return RH_OK;
	if (code == RH_OK)
		code = rh_store_check(store, NULL, NULL, error);
	if (code == RH_OK)
		code = rh_enumerate(store, NULL, count_license, &count, error);
	for (unsigned i = 0; code == RH_OK && i < SIGNED_LICENSES; i++)
		code = see_document(store, i, ret, &found, error);
	if (code == RH_OK)
		code = see_rights(store, ret, error);
	for (unsigned i = 0; code == RH_OK && i < SIGNED_LICENSES; i++)
		if ((ret->mask & BIT(i)) && !(ret->denied && (i == COUNTED || i == LATER)))
			code = signed_see_secret(store, i, error);
	if (code == RH_OK)
		code = rh_pin_list(store, RH_PIN_ISSUER, see_pin, ret, error);
	rh_store_close(store);
	if (code == RH_OK && found != count) {
		snprintf(error->text, sizeof error->text, "%u licences, %u of them known",
		    count, found);
		code = RH_E_STORE_DAMAGED;
	}
	return code;
}
