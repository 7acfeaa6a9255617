#include <stdio.h>
#include <string.h>

#include "engine/link_private.h"

static void take(struct link *link, struct pin *pin)
{
	pin_free(&link->private->pin);
	link->private->pin = *pin;
	*pin = (struct pin){0};
}

/* The keys that the service shows, as a pin. */
static int fetch(struct link *link, struct pin *ret, rh_error *error)
{
	struct link_private *private = link->private;
	char source[PRIVACY_SIZE];
	struct buffer set = {0};
	struct pin pin = {0};
	rh_error why;
	int code =
	    session_fetch_keys(private->asked_at, report_stop, private->report, &set, error);

	if (code != RH_OK)
		goto done;
	snprintf(source, sizeof source, "%s%s", private->asked_at, message_paths[MESSAGE_KEYS]);
	code = pin_of_set(RH_PIN_SERVICE, source, &set, NULL, &pin, &why);
	if (code == RH_E_PIN_KEYS)
		code = error_set(error, RH_E_SERVICE_REPLY, "%s", why.text);
	else if (code != RH_OK)
		code = error_set(error, code, "%s", why.text);
	else if (strcmp(pin.name, link->address) != 0)
		code = error_set(error, RH_E_SERVICE_REPLY,
		    "%.400s shows the keys of another service than %.400s", source,
		    link->address);
	if (code == RH_OK)
		*ret = pin;
	else
		pin_free(&pin);

done:
	buffer_free(&set);
	return code;
}

/* Pins ${pin}, and takes what is pinned then. */
static int keep(struct link *link, struct pin *pin, rh_error *error)
{
	struct pins pins = {0};
	int code = pin_keep(link->store, RH_PIN_SERVICE, pin, &pins, error);
	size_t i;
	bool there;

	if (code != RH_OK && code != RH_S_UPDATED && code != RH_S_ALREADY_HERE)
		return code;
	i = pins_position(&pins, link->address, &there);
	take(link, &pins.list[i]);
	pins_free(&pins);
	return RH_OK;
}

int link_keys_load(struct link *link, bool consent, rh_error *error)
{
	struct pins pins = {0};
	struct pin pin = {0};
	bool there = false;
	size_t i;
	int code = pins_load(link->store, RH_PIN_SERVICE, &pins, error);

	if (code != RH_OK)
		return code;
	i = pins_position(&pins, link->address, &there);
	if (there)
		take(link, &pins.list[i]);
	pins_free(&pins);
	if (there)
		return RH_OK;
	if (!consent)
		return error_set(error, RH_E_SERVICE_KEYS,
		    "the keys of the service %s are not trusted here yet", link->address);
	code = fetch(link, &pin, error);
	if (code == RH_OK)
		code = keep(link, &pin, error);
	pin_free(&pin);
	return code;
}

static bool have_common(const struct jose_set *a, const struct jose_set *b)
{
	for (size_t i = 0; i < a->count; i++)
		for (size_t j = 0; j < b->count; j++)
			if (strcmp(jose_key_thumbprint(a->keys[i].key),
				jose_key_thumbprint(b->keys[j].key)) == 0)
				return true;
	return false;
}

int link_keys_renew(struct link *link, rh_error *error)
{
	struct link_private *private = link->private;
	struct pin pin = {0};
	int code;

	error_clear(error); /* what brought us here is to be mended */
	code = fetch(link, &pin, error);
	if (code != RH_OK)
		return code;
	if (!have_common(&private->pin.keys, &pin.keys))
		code = error_set(error, RH_E_SERVICE_KEYS,
		    "the service %s shows none of the keys that are trusted here",
		    link->address);
	else if (strcmp(private->pin.text, pin.text) == 0)
		code = error_set(error, RH_E_SERVICE_KEYS,
		    "the service %s signs with a key that it does not show", link->address);
	/* The session stands on the old ones. */
	if (code == RH_OK && link->session != NULL) {
		code =
		    identity_set(&private->identity.head, session_head(link->session), error);
		session_close(link->session);
		link->session = NULL;
	}
	if (code == RH_OK)
		code = keep(link, &pin, error);
	if (code == RH_OK)
		code = link_session(link, error);
	pin_free(&pin);
	return code;
}
