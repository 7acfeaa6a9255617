#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pin_kit.h"

int pin_kit_setup(void **state)
{
	struct pin_kit *f = calloc(1, sizeof *f);

	assert_non_null(f);
	kit_open(&f->kit);
	f->store = kit_store(f->kit.store, RH_STORE_CREATE);
	f->keys[0] = issue_keys_new("2025", "ES256");
	f->keys[1] = issue_keys_new("2026", "ES256");
	f->keys[2] = issue_keys_new("lms", "ECDH-ES+A256KW");
	snprintf(f->path, sizeof f->path, "%s/set.json", f->kit.root);
	*state = f;
	return 0;
}

int pin_kit_teardown(void **state)
{
	struct pin_kit *f = *state;

	for (size_t i = 0; i < 3; i++)
		issue_keys_free(f->keys[i]);
	rh_store_close(f->store);
	kit_close(&f->kit);
	free(f);
	return 0;
}

void pin_kit_put(const struct pin_kit *f, const char *text, size_t size)
{
	FILE *file = fopen(f->path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

/* The set of ${count} keys from key ${first} on becomes the file. */
void pin_kit_put_set(const struct pin_kit *f, size_t first, size_t count, const char *name)
{
	char *text = issue_set(f->keys + first, count, name);

	pin_kit_put(f, text, strlen(text));
	free(text);
}

int pin_kit_see(void *context, const rh_pin *pin)
{
	struct pins_seen *seen = context;

	assert_true(seen->count < 300);
	snprintf(seen->names[seen->count++], sizeof *seen->names, "%s", pin->name);
	snprintf(seen->source, sizeof seen->source, "%s", pin->source);
	assert_true(pin->added > 1600000000);
	seen->keys = pin->key_count;
	for (size_t i = 0; i < pin->key_count && i < 4; i++) {
		snprintf(seen->ids[i], sizeof seen->ids[i], "%s", pin->keys[i].id);
		snprintf(seen->thumbprints[i], sizeof seen->thumbprints[i], "%s",
		    pin->keys[i].thumbprint);
	}
	return seen->stop;
}

void pin_kit_list(rh_store *store, int kind, struct pins_seen *seen)
{
	memset(seen, 0, sizeof *seen);
	assert_int_equal(rh_pin_list(store, kind, pin_kit_see, seen, NULL), RH_OK);
}

size_t pin_kit_count(rh_store *store, int kind)
{
	struct pins_seen *seen = calloc(1, sizeof *seen);
	size_t found;

	assert_non_null(seen);
	pin_kit_list(store, kind, seen);
	found = seen->count;
	free(seen);
	return found;
}
