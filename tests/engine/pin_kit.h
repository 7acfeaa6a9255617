#ifndef TESTS_ENGINE_PIN_KIT_H
#define TESTS_ENGINE_PIN_KIT_H

#include "engine/engine.h"

#include "issue.h"
#include "kit.h"

/* What tests of pins share: a store, keys, and a file with a set of them. */

#define ISSUER "https://issuer.example"

struct pin_kit {
	struct kit kit;
	rh_store *store;
	struct issue_keys *keys[3]; /* two that sign, one that is sealed for */
	char path[128]; /* of the set at hand */
};

int pin_kit_setup(void **state);
int pin_kit_teardown(void **state);

/* These bytes become the file. */
void pin_kit_put(const struct pin_kit *kit, const char *text, size_t size);

/* The set of ${count} keys from key ${first} on does. */
void pin_kit_put_set(const struct pin_kit *kit, size_t first, size_t count, const char *name);

/* What a function for pins was shown: every name, and more of the last one. */
struct pins_seen {
	size_t count;
	char names[300][64];
	char source[1100];
	size_t keys;
	char ids[4][32];
	char thumbprints[4][64];
	int stop;
};

int pin_kit_see(void *context, const rh_pin *pin);
void pin_kit_list(rh_store *store, int kind, struct pins_seen *seen);
size_t pin_kit_count(rh_store *store, int kind);

#endif
