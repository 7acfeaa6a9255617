#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#include "engine/managed.h"

/* Licences of open batches, of all services: what is collected before somebody is asked. */
#define COLLECTED_MAX (4 * (size_t)MESSAGE_LICENSES_MAX)
#define COLLECTED_BYTES_MAX (4 * (size_t)MESSAGE_TARGET)
/* Granted, and not stored yet. */
#define PENDING_MAX 2000
/* What a message has besides one large licence. */
#define MESSAGE_REST (32 * 1024)

/* ---- Services ---- */

static void service_free(struct managed_service *service)
{
	link_close(service->link);
	managed_batch_free(service->batch);
	managed_batch_free(service->asked);
	free(service->claim);
	free(service->address);
}

void managed_free(struct managed *managed)
{
	if (managed == NULL)
		return;
	for (size_t i = 0; i < managed->count; i++)
		service_free(&managed->services[i]);
	free(managed->services);
	while (managed->pending != NULL) {
		struct managed_batch *batch = managed->pending;

		managed->pending = batch->next;
		managed_batch_free(batch);
	}
	free(managed);
}

static struct managed_service *find_service(struct managed *managed, const char *address)
{
	for (size_t i = 0; i < managed->count; i++)
		if (strcmp(managed->services[i].address, address) == 0)
			return &managed->services[i];
	return NULL;
}

/* Whether a service's failure stops its licences alone. */
static bool only_service(int code)
{
	return code == RH_E_ARGUMENT || code == RH_E_PIN_KEYS || code == RH_E_NETWORK ||
	       code == RH_E_SERVICE_KEYS || code == RH_E_SERVICE_UNAVAILABLE ||
	       (code >= RH_E_INDIVIDUALIZE && code <= RH_E_SERVICE_UNKNOWN);
}

/*
 * The owner's recovery key: this store's own, else the one that proves the backup.  It tells
 * the service who may release this computer.  Wipe it.
 */
static int recovery_secret(const struct restore *run, const struct backup_header *header,
    uint8_t ret[KEY_SIZE], bool *ret_known, rh_error *error)
{
	const struct age_keys *keys = &run->opening->keys;
	struct age_identity own = {0};
	uint8_t proof[KEY_SIZE];
	bool known;
	int code = recovery_load(run->store, &own, &known, ret_known, error);

	if (code == RH_OK && *ret_known)
		memcpy(ret, own.secret, KEY_SIZE);
	for (size_t i = 0; i < keys->identity_count && code == RH_OK && !*ret_known; i++) {
		code = backup_proof_key(&keys->identities[i], proof, error);
		if (code == RH_OK)
			code = backup_header_proven(header, proof, ret_known, error);
		if (code == RH_OK && *ret_known)
			memcpy(ret, keys->identities[i].secret, KEY_SIZE);
	}
	bytes_wipe(proof, sizeof proof);
	bytes_wipe(&own, sizeof own);
	return code;
}

static int open_link(struct restore *run, const struct backup_header *header,
    struct managed_service *service, rh_error *error)
{
	struct link_options options = {
	    .asked_at = run->options->service_url, .consent = run->options->individualize != 0};
	uint8_t recovery[KEY_SIZE];
	bool known = false;
	int code;

	if (run->store == NULL) {
		service->code = error_set(&service->why, RH_E_INDIVIDUALIZE,
		    "there is no licence store here, so %s does not know this computer",
		    service->address);
		return RH_OK;
	}
	code = recovery_secret(run, header, recovery, &known, error);
	if (code == RH_OK) {
		options.recovery = known ? recovery : NULL;
		service->code = link_open(run->store, service->address, &options, run->report,
		    &service->link, &service->why);
		if (service->code != RH_OK && !only_service(service->code)) {
			*error = service->why;
			code = service->code;
		}
	}
	bytes_wipe(recovery, sizeof recovery);
	return code;
}

static int add_service(struct restore *run, const struct backup_header *header,
    const struct backup_service *entry, rh_error *error)
{
	struct managed *managed = run->managed;
	struct managed_service *more =
	    realloc(managed->services, (managed->count + 1) * sizeof *more);
	struct managed_service *service;

	if (more == NULL)
		return error_memory(error);
	managed->services = more;
	service = &more[managed->count];
	*service = (struct managed_service){.address = strdup(entry->service)};
	if (service->address == NULL)
		return error_memory(error);
	managed->count++;
	return open_link(run, header, service, error);
}

int managed_connect(struct restore *run, const struct backup_header *header, rh_error *error)
{
	int code = RH_OK;

	if (run->managed == NULL)
		run->managed = calloc(1, sizeof *run->managed);
	if (run->managed == NULL)
		return error_memory(error);
	/* Of an earlier generation that was tried before they may be there already. */
	for (size_t i = 0; i < header->service_count && header->managed > 0 && code == RH_OK;
	     i++)
		if (find_service(run->managed, header->services[i].service) == NULL)
			code = add_service(run, header, &header->services[i], error);
	return code;
}

/* ---- What becomes of one licence ---- */

/* It counts as done with: whether restored or not. */
static void settled(struct restore *run, const struct content *content)
{
	report_done(run->report, 1, content->row.bytes);
}

void managed_fail(
    struct restore *run, const struct content *content, int code, const char *text)
{
	run->summary->failed++;
	run->limit_reached |= code == RH_E_LIMIT_REACHED;
	run->needs_individualization |= code == RH_E_INDIVIDUALIZE;
	restore_tell(run, content, code, text);
	settled(run, content);
}

void managed_fail_service(
    struct restore *run, struct managed_service *service, const struct content *content)
{
	char privacy[600];

	managed_fail(run, content, service->code, service->why.text);
	if (service->code != RH_E_INDIVIDUALIZE || service->told)
		return;
	service->told = true;
	if (link_privacy(service->address, privacy) == RH_OK)
		report_needs_individualization(run->report, privacy);
}

/* ---- Collecting ---- */

/* Takes the licence over from the reading. */
static int add_slot(
    struct managed_batch *batch, struct content *content, bool present, rh_error *error)
{
	struct managed_slot *slot = calloc(1, sizeof *slot);

	if (slot == NULL)
		return error_memory(error);
	slot->content = *content;
	slot->present = present;
	slot->code = RH_E_INTERNAL;
	*content = (struct content){.code = RH_OK, .chosen = true};
	batch->slots[batch->count++] = slot;
	return RH_OK;
}

static int open_batch(
    struct managed_batch **batch, struct managed_service *service, rh_error *error)
{
	if (*batch != NULL)
		return RH_OK;
	*batch = calloc(1, sizeof **batch);
	if (*batch == NULL)
		return error_memory(error);
	(*batch)->service = service;
	return RH_OK;
}

/* The service whose open batch is the largest. */
static struct managed_service *fullest(struct managed *managed)
{
	struct managed_service *found = NULL;

	for (size_t i = 0; i < managed->count; i++) {
		struct managed_service *service = &managed->services[i];

		if (service->batch != NULL &&
		    (found == NULL || service->batch->bytes > found->batch->bytes))
			found = service;
	}
	return found;
}

static int ask(struct restore *run, struct managed_service *service, bool last, rh_error *error)
{
	int code = managed_ask(run, service, last, error);

	if (code == RH_OK && run->managed->pending_count >= PENDING_MAX)
		code = managed_store(run, error);
	return code;
}

static int collect(struct restore *run, struct managed_service *service,
    struct content *content, rh_error *error)
{
	struct managed *managed = run->managed;
	/* Base64 of what is in it. */
	size_t size = content->document.size + content->secret.size / 3 * 4 + 64;
	int code = RH_OK;

	if (size > MESSAGE_MAX - MESSAGE_REST) {
		managed_fail(run, content, RH_E_SERVICE_REFUSED,
		    "it is too large to be sent to its service");
		return RH_OK;
	}
	if (service->batch != NULL && service->batch->bytes + size > MESSAGE_TARGET)
		code = ask(run, service, false, error);
	if (code == RH_OK)
		code = open_batch(&service->batch, service, error);
	if (code == RH_OK)
		code = add_slot(service->batch, content, false, error);
	if (code != RH_OK)
		return code;
	service->batch->bytes += size;
	managed->collected_bytes += size;
	managed->collected++;
	if (service->batch->count == MESSAGE_LICENSES_MAX)
		return ask(run, service, false, error);
	if (managed->collected >= COLLECTED_MAX ||
	    managed->collected_bytes >= COLLECTED_BYTES_MAX)
		return ask(run, fullest(managed), false, error);
	return RH_OK;
}

/* A licence that is not here. */
static int want(struct restore *run, struct content *content, rh_error *error)
{
	const struct license *facts = &content->row.facts;
	struct managed_service *service = find_service(run->managed, facts->service);
	char text[700];

	if (service == NULL || service->key == NULL) {
		snprintf(text, sizeof text, "%s manages it, and the backup has no key for it",
		    facts->service);
		managed_fail(run, content, RH_E_SERVICE_KEYS, text);
	} else if (!license_format_signed(facts->format)) {
		snprintf(text, sizeof text,
		    "%s manages it, which can be asked for signed licences alone",
		    facts->service);
		managed_fail(run, content, RH_E_SERVICE_REFUSED, text);
	} else if (service->code != RH_OK) {
		managed_fail_service(run, service, content);
	} else {
		return collect(run, service, content, error);
	}
	return RH_OK;
}

/* One that is here, and whose state in the backup may have spent more: with the next storing.
 */
static int merge_later(struct restore *run, struct content *content, rh_error *error)
{
	struct managed *managed = run->managed;
	bool fresh = managed->present == NULL;
	int code = open_batch(&managed->present, NULL, error);

	if (code == RH_OK && fresh) {
		managed->present->next = managed->pending;
		managed->pending = managed->present;
	}
	if (code == RH_OK)
		code = add_slot(managed->present, content, true, error);
	if (code != RH_OK)
		return code;
	if (managed->present->count == MESSAGE_LICENSES_MAX)
		managed->present = NULL;
	if (++managed->pending_count >= PENDING_MAX)
		code = managed_store(run, error);
	return code;
}

/* One that is here. */
static int keep(struct restore *run, struct content *content, rh_error *error)
{
	int code;

	if (restore_spent(content) && !run->plan)
		return merge_later(run, content, error);
	code = restore_present(run, content, error);
	if (code != RH_S_ALREADY_HERE && code != RH_S_STATE_MERGED)
		return code;
	restore_tell(run, content, code, "");
	settled(run, content);
	return RH_OK;
}

static int on_chosen(struct restore *run, struct content *content, rh_error *error)
{
	int code = RH_E_LICENSE_UNKNOWN;

	run->summary->licenses++;
	run->summary->bytes += content->row.bytes;
	if (run->store != NULL)
		code = store_get(run->store->store, content->row.facts.id, &run->row, error);
	if (code == RH_OK)
		return keep(run, content, error);
	if (code != RH_E_LICENSE_UNKNOWN)
		return code;
	error_clear(error);
	return want(run, content, error);
}

static int on_content(void *context, struct content *content, rh_error *error)
{
	struct restore *run = context;

	if (content->passed_over)
		return RH_OK;
	if (content->code != RH_OK) {
		run->summary->licenses++;
		managed_fail(run, content, content->code, content->why->text);
		return RH_OK;
	}
	if (content->chosen)
		return on_chosen(run, content, error);
	settled(run, content);
	return RH_OK;
}

/* Of a backup that says it has none. */
static int on_content_alone(void *context, struct content *content, rh_error *error)
{
	if (content->passed_over)
		return error_set(error, RH_E_BACKUP_CORRUPT,
		    "the backup says that services manage all of its licences, and %s is none "
		    "of those",
		    content->component);
	return on_content(context, content, error);
}

/* ---- The whole ---- */

/* The keys of this generation. */
static void take_header(struct managed *managed, const struct backup_header *header)
{
	for (size_t i = 0; i < managed->count; i++)
		managed->services[i].key = managed->services[i].owner = NULL;
	for (size_t i = 0; i < header->service_count; i++) {
		struct managed_service *service =
		    find_service(managed, header->services[i].service);

		if (service == NULL)
			continue;
		service->key = header->services[i].key;
		service->owner = header->services[i].owner;
	}
}

/* What was collected and is not asked for any more. */
static void forget_open(struct managed *managed)
{
	for (size_t i = 0; i < managed->count; i++) {
		managed_batch_free(managed->services[i].batch);
		managed->services[i].batch = NULL;
	}
	managed->collected = managed->collected_bytes = 0;
}

/* What a plan has heard of the ledgers is kept as well, but nothing depends on it. */
static void keep_heads(struct managed *managed)
{
	for (size_t i = 0; i < managed->count; i++)
		if (managed->services[i].heard)
			(void)link_save(managed->services[i].link, NULL);
}

/*
 * A ledger that was put back to an old copy may not know who may release this computer; many a
 * computer restores but once.  What fails here is done with the next link_open.
 */
static void tell_owner(struct restore *run, const struct backup_header *header)
{
	uint8_t recovery[KEY_SIZE];
	bool known = false;

	for (size_t i = 0; i < run->managed->count; i++) {
		struct link *link = run->managed->services[i].link;

		if (link == NULL || !link_forgotten(link))
			continue;
		if (known || recovery_secret(run, header, recovery, &known, NULL) == RH_OK)
			(void)(known && link_tell_owner(link, recovery, NULL));
	}
	bytes_wipe(recovery, sizeof recovery);
}

/* Whether there is anything to store. */
static bool anything(const struct managed *managed)
{
	bool heard = managed->pending != NULL;

	for (size_t i = 0; i < managed->count; i++)
		heard |= managed->services[i].heard;
	return heard;
}

int managed_restore(struct restore *run, struct backup_reader *reader,
    const struct filter *filter, bool damaged_too, rh_error *error)
{
	struct managed *managed = run->managed;
	struct contents contents = {
	    .report = run->report,
	    .reader = reader,
	    .filter = filter,
	    .seal_for = run->plan ? NULL : run->store->store,
	    .added = clock_now(),
	    .belief = &run->belief,
	    .believe = true,
	    .leave_out = CONTENTS_OWNED | (damaged_too ? 0u : CONTENTS_DAMAGED),
	    .keep = true,
	    .computer = run->computer,
	    .quiet = true,
	    .on_content = damaged_too ? on_content_alone : on_content,
	    .context = run,
	};
	int code, stored;

	take_header(managed, backup_reader_header(reader));
	code = contents_run(&contents, error);
	for (size_t i = 0; i < managed->count && code == RH_OK; i++)
		if (managed->services[i].batch != NULL)
			code = ask(run, &managed->services[i], true, error);
	if (code == RH_OK && managed->away > 0)
		code = report_check(run->report, error);
	contents_free(&contents);
	forget_open(managed);
	/* What is under way ends whatever has happened, and what it brings is kept. */
	for (size_t i = 0; i < managed->count; i++) {
		stored = managed_hear(run, &managed->services[i], code == RH_OK ? error : NULL);
		code = code == RH_OK ? stored : code;
	}
	if (run->plan) {
		keep_heads(managed);
		return code;
	}
	/* What was granted is kept, whatever has stopped the rest. */
	stored = anything(managed) ? managed_store(run, code == RH_OK ? error : NULL) : RH_OK;
	tell_owner(run, backup_reader_header(reader));
	return code == RH_OK ? stored : code;
}
