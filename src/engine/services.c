#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#include "engine/link_private.h"

/* ---- The list ---- */

struct entry {
	char address[SERVICE_ADDRESS_SIZE];
	char computer[JOSE_THUMBPRINT_SIZE];
	char name[MESSAGE_NAME_MAX * 4 + 1];
	int64_t since;
	int64_t head;
	uint64_t licenses;
};

struct list {
	struct entry *entries; /* in the order of addresses */
	size_t count;
	size_t capacity;
};

/* The entry of ${address}, made if there is none. */
static int entry_of(struct list *list, const char *address, struct entry **ret, rh_error *error)
{
	struct entry *more;
	size_t i = 0;
	int order = -1;

	while (i < list->count && (order = strcmp(list->entries[i].address, address)) < 0)
		i++;
	if (i == list->count || order != 0) {
		if (list->count == list->capacity) {
			more = realloc(
			    list->entries, (list->capacity * 2 + 8) * sizeof *list->entries);
			if (more == NULL)
				return error_memory(error);
			list->entries = more;
			list->capacity = list->capacity * 2 + 8;
		}
		memmove(&list->entries[i + 1], &list->entries[i],
		    (list->count++ - i) * sizeof *list->entries);
		list->entries[i] = (struct entry){.since = RH_TIME_NONE};
		text_copy(list->entries[i].address, sizeof list->entries[i].address, address,
		    strlen(address));
	}
	*ret = &list->entries[i];
	return RH_OK;
}

static int take_group(void *context, const struct store_census *group, rh_error *error)
{
	struct entry *entry;
	int code;

	if (group->service[0] == '\0')
		return RH_OK;
	code = entry_of(context, group->service, &entry, error);
	if (code == RH_OK)
		entry->licenses += group->licenses;
	return code;
}

static int take_identity(void *context, const struct link_identity *identity, rh_error *error)
{
	struct entry *entry;
	int code;

	/* A key that waits for its certificate is nothing to tell of. */
	if (identity->computer[0] == '\0')
		return RH_OK;
	code = entry_of(context, identity->address, &entry, error);
	if (code != RH_OK)
		return code;
	text_copy(entry->computer, sizeof entry->computer, identity->computer,
	    strlen(identity->computer));
	text_copy(entry->name, sizeof entry->name, identity->name, strlen(identity->name));
	entry->since = identity->since;
	entry->head = identity->head;
	return RH_OK;
}

static void show_list(const struct list *list, rh_service_function function, void *context)
{
	char privacy[PRIVACY_SIZE];
	rh_service view;

	for (size_t i = 0; i < list->count; i++) {
		const struct entry *entry = &list->entries[i];

		link_privacy(entry->address, privacy);
		view = (rh_service){.address = entry->address,
		    .computer = entry->computer,
		    .name = entry->name,
		    .privacy = privacy,
		    .since = entry->since,
		    .head = entry->head,
		    .licenses = entry->licenses};
		if (function(context, &view) != 0)
			return;
	}
}

int rh_service_list(
    rh_store *store, rh_service_function function, void *context, rh_error *error)
{
	struct list list = {0};
	int code;

	if (store == NULL || function == NULL)
		return error_set(error, RH_E_ARGUMENT, "no store or no function was given");
	code = store_read_begin(store->store, error);
	if (code != RH_OK)
		return code;
	code = store_census(store->store, clock_now(), take_group, &list, error);
	if (code == RH_OK)
		code = link_identities(store, take_identity, &list, error);
	store_read_end(store->store);
	if (code == RH_OK)
		show_list(&list, function, context);
	free(list.entries);
	return code;
}

/* ---- Individualization ---- */

/* What an owner may call a computer. */
static int check_name(const char *name, rh_error *error)
{
	size_t size = strlen(name), characters = 0;
	bool plain = size > 0 && utf8_valid(name, size);

	for (size_t i = 0; i < size; i++) {
		unsigned char byte = (unsigned char)name[i];

		characters += (byte & 0xc0) != 0x80;
		plain &= byte >= 0x20 && byte != 0x7f &&
			 !(byte == 0xc2 && (unsigned char)name[i + 1] < 0xa0);
	}
	if (plain && characters <= MESSAGE_NAME_MAX)
		return RH_OK;
	return error_set(error, RH_E_ARGUMENT,
	    "the name of the computer is not 1 to %d characters of plain text",
	    MESSAGE_NAME_MAX);
}

/* Whether the service knows all that it could be told. */
static bool nothing_new(const struct identity *identity, const char *name, bool recovery)
{
	return identity->certificate != NULL && (identity->release || !recovery) &&
	       (name == NULL || (identity->name != NULL && strcmp(identity->name, name) == 0));
}

/* RH_S_ALREADY_HERE if it was individualized, and is called so. */
static int individualize(struct rh_store *store, const char *address,
    const struct link_options *options, struct report *report, rh_error *error)
{
	struct identity before = {0};
	struct link *link = NULL;
	bool there = false, known, named;
	int code = identity_load(store, address, &before, &there, error);

	if (code != RH_OK)
		return code;
	known = before.certificate != NULL;
	named = nothing_new(&before, options->name, false);
	if (nothing_new(&before, options->name, options->recovery != NULL)) {
		identity_free(&before);
		return RH_S_ALREADY_HERE;
	}
	identity_free(&before);
	code = link_open(store, address, options, report, &link, error);
	if (code == RH_OK && known && !named)
		code = link_introduce(link, options->name, options->recovery, error);
	if (code == RH_OK)
		code = link_save(link, error);
	link_close(link);
	return code == RH_OK && known && named ? RH_S_ALREADY_HERE : code;
}

/* With the store's recovery key, as far as it is kept. */
static int individualize_with_key(struct rh_store *store, const char *address, const char *name,
    struct report *report, rh_error *error)
{
	struct link_options options = {.consent = true, .name = name};
	struct age_identity recovery = {0};
	bool known, secret = false;
	int code = recovery_load(store, &recovery, &known, &secret, error);

	if (code == RH_OK) {
		options.recovery = secret ? recovery.secret : NULL;
		code = individualize(store, address, &options, report, error);
	}
	bytes_wipe(&recovery, sizeof recovery);
	return code;
}

int rh_service_individualize(rh_store *store, const char *address, const char *name,
    const rh_listener *listener, rh_error *error)
{
	struct report report;
	rh_error own;
	int code;

	error = error != NULL ? error : &own;
	error_clear(error);
	report_init(&report, listener, RH_OPERATION_INDIVIDUALIZE);
	if (store == NULL)
		code = error_set(error, RH_E_ARGUMENT, "no store was given");
	else
		code = argument_text(address, "address of a service", error);
	if (code == RH_OK && name != NULL)
		code = check_name(name, error);
	if (code == RH_OK) {
		report_event(&report, RH_EVENT_BEGIN);
		code = individualize_with_key(store, address, name, &report, error);
	}
	return report_end(&report, code, error);
}
