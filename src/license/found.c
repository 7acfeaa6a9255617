#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "license/found.h"

static int synthesize_id(struct found_list *list, struct license *license, rh_error *error)
{
	int code;

	if (list->digest_id[0] == '\0') {
		code = reader_digest_id(list->document, list->digest_id, error);
		if (code != RH_OK)
			return code;
	}
	if (list->count == 0)
		strcpy(license->id, list->digest_id);
	else
		snprintf(license->id, sizeof license->id, "%s-%zu", list->digest_id,
		    list->count + 1);
	return RH_OK;
}

int found_add(
    struct found_list *list, const struct found *found, const char *place, rh_error *error)
{
	struct found *item;
	int code;

	if (list->count == list->capacity) {
		size_t capacity = list->capacity > 0 ? 2 * list->capacity : 1;
		struct found *items = realloc(list->items, capacity * sizeof *items);

		if (items == NULL)
			return error_memory(error);
		list->items = items;
		list->capacity = capacity;
	}
	item = &list->items[list->count];
	*item = *found;
	if (item->license.id[0] == '\0') {
		code = synthesize_id(list, &item->license, error);
		if (code != RH_OK)
			return code;
	}
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i].license.id, item->license.id) == 0)
			return reader_fail(list->document, error, RH_E_LICENSE_INVALID,
			    "%stwo licences have the same id", place);
	list->count++;
	return RH_OK;
}

int found_give(const struct found_list *list, license_sink sink, void *context, rh_error *error)
{
	int code = RH_OK;

	for (size_t i = 0; code == RH_OK && i < list->count; i++) {
		const struct found *item = &list->items[i];

		code = sink(
		    context, &item->license, item->has_rights ? &item->rights : NULL, error);
	}
	return code;
}

void found_free(struct found_list *list)
{
	free(list->items);
	list->items = NULL;
	list->count = list->capacity = 0;
}
