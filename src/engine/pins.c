#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/text.h"
#include "crypto/jsontext.h"

#include "engine/pins.h"

#define PINS_MAX 256 /* of a kind */
#define PINS_BYTES_MAX BACKUP_ISSUERS_MAX /* as text */
#define PIN_OVERHEAD 64 /* bytes of JSON around name, source and set, at most */

const struct pin_kind pin_kinds[] = {
    [RH_PIN_ISSUER] = {"issuers", "issuer", sizeof((struct license *)0)->issuer - 1},
    [RH_PIN_SERVICE] = {"services", "service", sizeof((struct license *)0)->service - 1},
};

/* ---- Text ---- */

struct dump {
	struct buffer text;
	bool failed;
};

/* jansson 2.14 looks away where a name is not taken (do_dump() in its dump.c); the next one
 * fails then. */
static int take_text(const char *bytes, size_t size, void *context)
{
	struct dump *dump = context;

	if (!dump->failed && buffer_append(&dump->text, bytes, size, NULL) != RH_OK)
		dump->failed = true;
	return dump->failed ? -1 : 0;
}

int pins_dump(const json_t *value, char **ret, rh_error *error)
{
	struct dump dump = {0};

	if (value == NULL || json_dump_callback(value, take_text, &dump, JSON_COMPACT) != 0 ||
	    dump.failed || buffer_append(&dump.text, "", 1, NULL) != RH_OK) {
		buffer_free(&dump.text);
		return error_memory(error);
	}
	*ret = (char *)dump.text.data;
	return RH_OK;
}

/* ---- One pin ---- */

void pin_free(struct pin *pin)
{
	free(pin->name);
	free(pin->source);
	free(pin->text);
	jose_set_free(&pin->keys);
	*pin = (struct pin){0};
}

bool pin_name_valid(const struct pin_kind *kind, const char *name)
{
	size_t size = strlen(name);

	if (size == 0 || size > kind->name_max || !utf8_valid(name, size))
		return false;
	/* C0, DEL, and C1, which in UTF-8 is C2 80 to C2 9F. */
	for (const unsigned char *p = (const unsigned char *)name; *p != '\0'; p++)
		if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0))
			return false;
	return true;
}

int pin_make(struct pin *ret, const struct pin_kind *kind, const char *name, const char *source,
    int64_t added, char *text, rh_error *error)
{
	struct pin pin = {.added = added, .text = text};
	int code;

	pin.name = strdup(name);
	pin.source = strdup(source);
	if (pin.name == NULL || pin.source == NULL)
		code = error_memory(error);
	else
		code = jose_set_read(&pin.keys, text, strlen(text), kind->member, error);
	if (code == RH_OK) {
		*ret = pin;
		return RH_OK;
	}
	pin.keys.count = 0;
	pin_free(&pin);
	return code;
}

/* ---- Lists, in the order of names ---- */

void pins_free(struct pins *pins)
{
	for (size_t i = 0; i < pins->count; i++)
		pin_free(&pins->list[i]);
	free(pins->list);
	*pins = (struct pins){0};
}

size_t pins_position(const struct pins *pins, const char *name, bool *ret_there)
{
	size_t i = 0;

	while (i < pins->count && strcmp(pins->list[i].name, name) < 0)
		i++;
	*ret_there = i < pins->count && strcmp(pins->list[i].name, name) == 0;
	return i;
}

const struct pin *pins_find(const struct pins *pins, const char *name)
{
	bool there;
	size_t i = pins_position(pins, name, &there);

	return there ? &pins->list[i] : NULL;
}

static size_t escaped_bytes(const char *text)
{
	size_t bytes = strlen(text);

	for (; *text != '\0'; text++)
		bytes += *text == '"' || *text == '\\';
	return bytes;
}

/* What it takes in the text, at most. */
static size_t pin_bytes(const struct pin *pin)
{
	return escaped_bytes(pin->name) + escaped_bytes(pin->source) + strlen(pin->text) +
	       PIN_OVERHEAD;
}

/* Whether ${pin} fits in, in the place of ${old} unless that is NULL. */
static bool room_for(const struct pins *pins, const struct pin *pin, const struct pin *old)
{
	size_t bytes = pin_bytes(pin);

	for (size_t i = 0; i < pins->count; i++)
		bytes += &pins->list[i] != old ? pin_bytes(&pins->list[i]) : 0;
	return bytes <= PINS_BYTES_MAX && (old != NULL || pins->count < PINS_MAX);
}

int pins_put(struct pins *pins, struct pin *pin, rh_error *error)
{
	bool there;
	size_t i = pins_position(pins, pin->name, &there);
	struct pin *list = pins->list;

	if (there && strcmp(list[i].text, pin->text) == 0)
		return RH_S_ALREADY_HERE;
	if (!room_for(pins, pin, there ? &list[i] : NULL))
		return error_set(error, RH_E_ARGUMENT,
		    "%s cannot be trusted besides: %zu names with their keys are as much as is "
		    "kept",
		    pin->name, pins->count);
	if (!there) {
		list = realloc(list, (pins->count + 1) * sizeof *list);
		if (list == NULL)
			return error_memory(error);
		memmove(&list[i + 1], &list[i], (pins->count - i) * sizeof *list);
		pins->list = list;
		pins->count++;
	} else {
		pin_free(&list[i]);
	}
	list[i] = *pin;
	*pin = (struct pin){0};
	return there ? RH_S_UPDATED : RH_OK;
}

/* ---- As text: an array of objects, see store/SCHEMA.md ---- */

static int pin_object(const struct pin *pin, json_t **ret, rh_error *error)
{
	json_t *object = json_object(), *set = NULL;
	int code = jsontext_read(pin->text, strlen(pin->text), &set, error);

	if (code == RH_OK &&
	    (object == NULL ||
		json_object_set_new(object, "name", json_string(pin->name)) != 0 ||
		json_object_set_new(object, "source", json_string(pin->source)) != 0 ||
		json_object_set_new(object, "added", json_integer(pin->added)) != 0 ||
		json_object_set(object, "keys", json_object_get(set, "keys")) != 0))
		code = error_memory(error);
	json_decref(set);
	if (code == RH_OK)
		*ret = object;
	else
		json_decref(object);
	return code;
}

int pins_export(const struct pins *pins, char **ret, rh_error *error)
{
	json_t *array = NULL, *object = NULL;
	char *text = NULL;
	int code = RH_OK;

	if (pins->count > 0 && (array = json_array()) == NULL)
		return error_memory(error);
	for (size_t i = 0; i < pins->count && code == RH_OK; i++) {
		code = pin_object(&pins->list[i], &object, error);
		if (code == RH_OK && json_array_append_new(array, object) != 0)
			code = error_memory(error);
	}
	if (code == RH_OK && array != NULL)
		code = pins_dump(array, &text, error);
	json_decref(array);
	if (code == RH_OK)
		*ret = text;
	return code;
}

static int broken(int code, const struct pin_kind *kind, const char *why, rh_error *error)
{
	return error_set(
	    error, code, "the list of trusted %ss is not whole: %s", kind->member, why);
}

/* ${bad} is the code for an object that is no pin. */
static int object_pin(
    json_t *object, const struct pin_kind *kind, int bad, struct pin *ret, rh_error *error)
{
	const char *name = json_string_value(json_object_get(object, "name"));
	const char *source = json_string_value(json_object_get(object, "source"));
	json_t *added = json_object_get(object, "added");
	json_t *keys = json_object_get(object, "keys");
	char *text = NULL;
	json_t *set;
	rh_error why;
	int code;

	if (name == NULL || !pin_name_valid(kind, name) || source == NULL ||
	    strlen(source) >= PIN_SOURCE_SIZE || !json_is_integer(added) ||
	    !json_is_array(keys))
		return broken(bad, kind, "an entry is none", error);
	set = json_object();
	if (set == NULL || json_object_set(set, "keys", keys) != 0) {
		json_decref(set);
		return error_memory(error);
	}
	code = pins_dump(set, &text, &why);
	if (code == RH_OK)
		code = pin_make(ret, kind, name, source, json_integer_value(added), text, &why);
	json_decref(set);
	if (code == RH_E_PIN_KEYS)
		return broken(bad, kind, why.text, error);
	return code == RH_OK ? RH_OK : error_set(error, code, "%s", why.text);
}

static int pins_parse(const void *text, size_t size, const struct pin_kind *kind, int bad,
    struct pins *ret, rh_error *error)
{
	struct pins pins = {0};
	json_t *array = NULL;
	rh_error why;
	size_t count;
	int code = jsontext_read(text, size, &array, &why);

	if (code == RH_E_MEMORY)
		return error_memory(error);
	count = json_array_size(array);
	if (code != RH_OK || !json_is_array(array) || count > PINS_MAX)
		code = broken(bad, kind, code != RH_OK ? why.text : "it is no list", error);
	if (code == RH_OK) {
		pins.list = calloc(count > 0 ? count : 1, sizeof *pins.list);
		code = pins.list != NULL ? RH_OK : error_memory(error);
	}
	for (size_t i = 0; i < count && code == RH_OK; i++) {
		code = object_pin(json_array_get(array, i), kind, bad, &pins.list[i], error);
		pins.count += code == RH_OK;
		if (code == RH_OK && i > 0 &&
		    strcmp(pins.list[i - 1].name, pins.list[i].name) >= 0)
			code = broken(bad, kind, "its names are out of order", error);
	}
	json_decref(array);
	if (code == RH_OK)
		*ret = pins;
	else
		pins_free(&pins);
	return code;
}

/* ---- In the store ---- */

int pins_load(struct rh_store *store, enum rh_pin_kind kind, struct pins *ret, rh_error *error)
{
	struct pins pins = {0};
	struct buffer value = {0};
	int code = store_value_get(store->store, pin_kinds[kind].value, &value, error);

	if (code == RH_OK && value.size > 0)
		code = pins_parse(
		    value.data, value.size, &pin_kinds[kind], RH_E_STORE_DAMAGED, &pins, error);
	buffer_free(&value);
	if (code == RH_OK)
		*ret = pins;
	return code;
}

int pins_save(
    struct rh_store *store, enum rh_pin_kind kind, const struct pins *pins, rh_error *error)
{
	char *text = NULL;
	int code = pins_export(pins, &text, error);

	if (code == RH_OK)
		code = store_value_set(store->store, pin_kinds[kind].value, text,
		    text != NULL ? strlen(text) : 0, error);
	free(text);
	return code;
}

int pins_merge(struct pins *pins, const char *text, struct report *report, bool *ret_changed,
    rh_error *error)
{
	struct pins more = {0};
	int code = pins_parse(
	    text, strlen(text), &pin_kinds[RH_PIN_ISSUER], RH_E_BACKUP_CORRUPT, &more, error);

	*ret_changed = false;
	for (size_t i = 0; i < more.count && code == RH_OK; i++) {
		struct pin *pin = &more.list[i];
		char name[sizeof((struct license *)0)->issuer];

		if (pins_find(pins, pin->name) != NULL)
			continue;
		text_copy(name, sizeof name, pin->name, strlen(pin->name));
		code = pins_put(pins, pin, error);
		if (code == RH_OK)
			*ret_changed = true;
		if (code == RH_OK && report != NULL)
			report_notice(report,
			    "the issuer %s, trusted on the computer that made the backup, is "
			    "trusted here now",
			    name);
		if (code == RH_E_ARGUMENT && report != NULL)
			report_notice(report,
			    "the issuer %s, trusted on the computer that made the backup, is "
			    "one more than can be trusted here",
			    name);
		if (code == RH_E_ARGUMENT) {
			error_clear(error);
			code = RH_OK;
		}
	}
	pins_free(&more);
	return code;
}

int pins_import(
    struct rh_store *store, const char *text, struct report *report, rh_error *error)
{
	struct pins pins = {0};
	bool changed = false;
	int code = pins_load(store, RH_PIN_ISSUER, &pins, error);

	if (code == RH_OK)
		code = pins_merge(&pins, text, report, &changed, error);
	if (code == RH_OK && changed)
		code = pins_save(store, RH_PIN_ISSUER, &pins, error);
	pins_free(&pins);
	return code;
}
