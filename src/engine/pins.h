#ifndef ENGINE_PINS_H
#define ENGINE_PINS_H

#include <jansson.h>

#include "engine/engine.h"

/* What pins.c (lists of pins) and pinning.c (how they come about) share. */

#define PIN_SOURCE_SIZE 1024

/* By enum rh_pin_kind. */
struct pin_kind {
	const char *value; /* of the store, see store/SCHEMA.md */
	const char *member; /* of a set: what it calls itself; also for people */
	size_t name_max; /* bytes that a licence has room for */
};
extern const struct pin_kind pin_kinds[];

/* Compact JSON, freed with free().  RH_E_MEMORY also for NULL. */
int pins_dump(const json_t *value, char **ret, rh_error *error);

/* Whether licences can have such a name in them. */
bool pin_name_valid(const struct pin_kind *kind, const char *name);

/* ${text} becomes the pin's, whatever happens.  RH_E_PIN_KEYS. */
int pin_make(struct pin *ret, const struct pin_kind *kind, const char *name, const char *source,
    int64_t added, char *text, rh_error *error);
void pin_free(struct pin *pin);

/*
 * A pin of the set that ${source} gave; ${name} NULL: what the set calls itself.
 * RH_E_PIN_KEYS.
 */
int pin_of_set(enum rh_pin_kind kind, const char *source, const struct buffer *set,
    const char *name, struct pin *ret, rh_error *error);
/*
 * Takes ${pin} over into the store, in one transaction: RH_OK, or as pins_put.  ${ret} gets
 * the pins that are kept now, also with RH_S_ALREADY_HERE.
 */
int pin_keep(struct rh_store *store, enum rh_pin_kind kind, struct pin *pin, struct pins *ret,
    rh_error *error);

/* Where ${name} stands in the list, or would stand. */
size_t pins_position(const struct pins *pins, const char *name, bool *ret_there);

/*
 * Takes ${pin} over, and leaves it empty: RH_OK, RH_S_UPDATED; or leaves all as it is:
 * RH_S_ALREADY_HERE, RH_E_ARGUMENT if there is no room for it.
 */
int pins_put(struct pins *pins, struct pin *pin, rh_error *error);

/* Within a write transaction. */
int pins_save(
    struct rh_store *store, enum rh_pin_kind kind, const struct pins *pins, rh_error *error);

#endif
