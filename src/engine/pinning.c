#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "authority/fetch.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "crypto/jsontext.h"

#include "engine/pins.h"

/* ---- From files and addresses ---- */

static int read_source(const char *source, struct buffer *ret, rh_error *error)
{
	int code;

	if (authority_is_address(source))
		return authority_fetch(source, JOSE_SET_MAX, ret, error);
	code = file_read_whole(AT_FDCWD, source, JOSE_SET_MAX, ret, source, error);
	if (code == RH_E_ARGUMENT)
		code = error_set(error, RH_E_PIN_KEYS, "%.600s is larger than %d bytes", source,
		    JOSE_SET_MAX);
	return code;
}

/* A key as a JWK with what is used of it. */
static int key_object(const struct jose_set_key *key, json_t **ret, rh_error *error)
{
	const char *jwk = jose_key_jwk(key->key);
	json_t *object = NULL;
	int code = jsontext_read(jwk, strlen(jwk), &object, error);

	if (code != RH_OK)
		return code;
	if (json_object_set_new(object, "kid", json_string(key->id)) != 0 ||
	    (!key->encrypts && json_object_set_new(object, "use", json_string("sig")) != 0) ||
	    (!key->signs && json_object_set_new(object, "use", json_string("enc")) != 0)) {
		json_decref(object);
		return error_memory(error);
	}
	*ret = object;
	return RH_OK;
}

/*
 * Those keys of a set that the kind is pinned for: a compact JWK set, freed with free().  What
 * a service says is signed, and what is said to it is encrypted.
 */
static int reduce(
    const struct jose_set *set, enum rh_pin_kind kind, char **ret, rh_error *error)
{
	json_t *keys = json_array(), *object = json_object(), *key = NULL;
	char *text = NULL;
	int code = RH_OK;

	for (size_t i = 0; i < set->count && code == RH_OK; i++) {
		if (kind == RH_PIN_ISSUER && !set->keys[i].signs)
			continue;
		code = key_object(&set->keys[i], &key, error);
		if (code == RH_OK && json_array_append_new(keys, key) != 0)
			code = error_memory(error);
	}
	if (code == RH_OK && (object == NULL || json_object_set(object, "keys", keys) != 0))
		code = error_memory(error);
	if (code == RH_OK)
		code = pins_dump(object, &text, error);
	json_decref(keys);
	json_decref(object);
	if (code == RH_OK)
		*ret = text;
	return code;
}

/* The source as it is kept: text for people. */
static void source_text(char text[PIN_SOURCE_SIZE], const char *source)
{
	size_t size = strlen(source);

	if (utf8_valid(source, size)) {
		text_copy(text, PIN_SOURCE_SIZE, source, size);
		return;
	}
	for (size = 0; source[size] != '\0' && size < PIN_SOURCE_SIZE - 1; size++)
		text[size] = source[size] >= 0x20 && source[size] < 0x7f ? source[size] : '?';
	text[size] = '\0';
}

/* The set that came from ${source}, as a pin. */
static int set_pin(const struct jose_set *set, enum rh_pin_kind number, const char *source,
    const char *name, struct pin *ret, rh_error *error)
{
	const struct pin_kind *kind = &pin_kinds[number];
	char kept[PIN_SOURCE_SIZE], *text = NULL;
	bool fits = false;
	int code;

	for (size_t i = 0; i < set->count; i++)
		fits |= number == RH_PIN_ISSUER ? set->keys[i].signs : set->keys[i].encrypts;
	if (!fits)
		return error_set(error, RH_E_PIN_KEYS, "%.600s: no key in it is for %s", source,
		    number == RH_PIN_ISSUER ? "signatures" : "encryption");
	if (name == NULL && set->name[0] == '\0')
		return error_set(error, RH_E_PIN_KEYS,
		    "%.600s: the set does not name its %s (member \"%s\"); give the name with "
		    "--name",
		    source, kind->member, kind->member);
	name = name != NULL ? name : set->name;
	if (!pin_name_valid(kind, name))
		return error_set(error, RH_E_PIN_KEYS,
		    "%.600s: the name of the %s is not 1 to %zu bytes of plain text", source,
		    kind->member, kind->name_max);
	source_text(kept, source);
	code = reduce(set, number, &text, error);
	if (code == RH_OK)
		code = pin_make(ret, kind, name, kept, clock_now(), text, error);
	return code;
}

int pin_of_set(enum rh_pin_kind kind, const char *source, const struct buffer *bytes,
    const char *name, struct pin *ret, rh_error *error)
{
	struct jose_set set;
	rh_error why;
	int code = jose_set_read(&set, bytes->data, bytes->size, pin_kinds[kind].member, &why);

	if (code == RH_E_PIN_KEYS)
		return error_set(error, code, "%.500s: %s", source, why.text);
	if (code != RH_OK)
		return error_set(error, code, "%s", why.text);
	code = set_pin(&set, kind, source, name, ret, error);
	jose_set_free(&set);
	return code;
}

static int source_pin(enum rh_pin_kind kind, const char *source, const char *name,
    struct pin *ret, rh_error *error)
{
	struct buffer bytes = {0};
	int code = read_source(source, &bytes, error);

	if (code == RH_OK)
		code = pin_of_set(kind, source, &bytes, name, ret, error);
	buffer_free(&bytes);
	return code;
}

int pin_keep(struct rh_store *store, enum rh_pin_kind kind, struct pin *pin, struct pins *ret,
    rh_error *error)
{
	struct pins pins = {0};
	int code = store_begin(store->store, error), done = code;

	if (code == RH_OK)
		code = pins_load(store, kind, &pins, error);
	if (code == RH_OK)
		done = code = pins_put(&pins, pin, error);
	if (code == RH_OK || code == RH_S_UPDATED)
		code = pins_save(store, kind, &pins, error);
	if (code == RH_OK)
		code = store_commit(store->store, error);
	if (code != RH_OK)
		store_rollback(store->store);
	if (code == RH_OK || code == RH_S_ALREADY_HERE) {
		*ret = pins;
		return done;
	}
	pins_free(&pins);
	return code;
}

/* ---- The public face ---- */

static int check_arguments(rh_store *store, int kind, rh_error *error)
{
	if (store == NULL)
		return error_set(error, RH_E_ARGUMENT, "no store was given");
	if (kind != RH_PIN_ISSUER && kind != RH_PIN_SERVICE)
		return error_set(
		    error, RH_E_ARGUMENT, "%d is neither issuers nor services", kind);
	return RH_OK;
}

static int show(
    enum rh_pin_kind kind, const struct pin *pin, rh_pin_function function, void *context)
{
	rh_pin_key keys[JOSE_KEYS_MAX];
	rh_pin view = {.kind = (int32_t)kind,
	    .name = pin->name,
	    .source = pin->source,
	    .added = pin->added,
	    .keys = keys,
	    .key_count = pin->keys.count};

	for (size_t i = 0; i < pin->keys.count; i++)
		keys[i] = (rh_pin_key){
		    pin->keys.keys[i].id, jose_key_thumbprint(pin->keys.keys[i].key)};
	return function(context, &view);
}

int rh_pin_add(rh_store *store, int kind, const char *source, const char *name,
    rh_pin_function function, void *context, rh_error *error)
{
	char kept[sizeof((struct license *)0)->service];
	struct pins pins = {0};
	struct pin pin = {0};
	int code = check_arguments(store, kind, error);

	if (code == RH_OK)
		code = argument_text(source, "file or address", error);
	if (code == RH_OK)
		code = source_pin(kind, source, name, &pin, error);
	if (code != RH_OK)
		return code;
	text_copy(kept, sizeof kept, pin.name, strlen(pin.name));
	code = pin_keep(store, kind, &pin, &pins, error);
	if (pins.count > 0 && function != NULL)
		show(kind, pins_find(&pins, kept), function, context);
	pin_free(&pin);
	pins_free(&pins);
	return code;
}

int rh_pin_list(
    rh_store *store, int kind, rh_pin_function function, void *context, rh_error *error)
{
	struct pins pins = {0};
	int code = check_arguments(store, kind, error);

	if (code == RH_OK && function == NULL)
		code = error_set(error, RH_E_ARGUMENT, "no function was given");
	if (code == RH_OK)
		code = pins_load(store, kind, &pins, error);
	for (size_t i = 0; i < pins.count; i++)
		if (show(kind, &pins.list[i], function, context) != 0)
			break;
	pins_free(&pins);
	return code;
}

/* Takes ${name} out of the list. */
static int take_out(struct pins *pins, enum rh_pin_kind kind, const char *name, rh_error *error)
{
	bool there;
	size_t i = pins_position(pins, name, &there);

	if (!there)
		return error_set(error, RH_E_PIN_UNKNOWN, "no %s named %.511s is trusted here",
		    pin_kinds[kind].member, name);
	pin_free(&pins->list[i]);
	pins->count--;
	memmove(&pins->list[i], &pins->list[i + 1], (pins->count - i) * sizeof *pins->list);
	return RH_OK;
}

int rh_pin_remove(rh_store *store, int kind, const char *name, rh_error *error)
{
	struct pins pins = {0};
	int code = check_arguments(store, kind, error);

	if (code == RH_OK)
		code = argument_text(name, "name", error);
	if (code == RH_OK)
		code = store_begin(store->store, error);
	if (code != RH_OK)
		return code;
	code = pins_load(store, kind, &pins, error);
	if (code == RH_OK)
		code = take_out(&pins, kind, name, error);
	if (code == RH_OK)
		code = pins_save(store, kind, &pins, error);
	if (code == RH_OK)
		code = store_commit(store->store, error);
	if (code != RH_OK)
		store_rollback(store->store);
	pins_free(&pins);
	return code;
}
