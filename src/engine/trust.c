#include <stdlib.h>

#include "base/clock.h"

#include "engine/engine.h"

/* Who the pins say is trusted; they must stay where they are. */
static int list_issuers(struct trust *trust, rh_error *error)
{
	const struct pins *pins = &trust->pins;

	if (pins->count == 0)
		return RH_OK;
	trust->issuers = calloc(pins->count, sizeof *trust->issuers);
	if (trust->issuers == NULL)
		return error_memory(error);
	for (size_t i = 0; i < pins->count; i++)
		trust->issuers[i] =
		    (struct license_issuer){pins->list[i].name, &pins->list[i].keys};
	trust->trust.issuers = trust->issuers;
	trust->trust.issuer_count = pins->count;
	return RH_OK;
}

int trust_load(
    struct rh_store *store, bool moved, const char *text, struct trust *ret, rh_error *error)
{
	struct trust trust = {.trust = {.moved = moved, .now = clock_now()}};
	struct license_moment moment;
	bool changed;
	int code = RH_OK;

	if (store != NULL) {
		code = pins_load(store, RH_PIN_ISSUER, &trust.pins, error);
		if (code == RH_OK)
			code =
			    computer_license_key(store->computer, &trust.trust.computer, error);
		if (code == RH_OK)
			code = moment_now(store, &moment, error);
		if (code == RH_OK)
			trust.trust.now = moment.now;
	}
	if (code == RH_OK && text != NULL)
		code = pins_merge(&trust.pins, text, NULL, &changed, error);
	if (code == RH_OK)
		code = list_issuers(&trust, error);
	if (code == RH_OK)
		*ret = trust;
	else
		trust_free(&trust);
	return code;
}

void trust_free(struct trust *trust)
{
	pins_free(&trust->pins);
	free(trust->issuers);
	*trust = (struct trust){0};
}
