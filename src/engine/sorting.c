#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authority/message.h"
#include "base/clock.h"

#include "engine/sorting.h"

#define OWNERS_MAX                                                                             \
	(256 * 1024) /* characters of all owners' statements: the header is bounded */

void sorting_free(struct sorting *sorting)
{
	for (size_t i = 0; i < sorting->batch_count; i++) {
		bytes_wipe(sorting->batches[i].key, KEY_SIZE);
		free(sorting->batches[i].service);
		free(sorting->batches[i].sealed);
		free(sorting->batches[i].owner);
	}
	free(sorting->batches);
	free(sorting->lost.rows);
	free(sorting->found.rows);
	pins_free(&sorting->services);
	*sorting = (struct sorting){0};
}

/* ---- Services ---- */

/* The first key of the service's set that may be sealed for; NULL if there is none. */
static const struct jose_set_key *key_of(const struct pins *services, const char *service)
{
	const struct pin *pin = pins_find(services, service);

	for (size_t i = 0; pin != NULL && i < pin->keys.count; i++)
		if (pin->keys.keys[i].encrypts)
			return &pin->keys.keys[i];
	return NULL;
}

static int add_batch(struct sorting *sorting, const char *service,
    const struct jose_set_key *key, rh_error *error)
{
	struct sorting_batch *batch = &sorting->batches[sorting->batch_count++];
	int code;

	batch->service = strdup(service);
	if (batch->service == NULL)
		return error_memory(error);
	code = random_bytes(batch->key, sizeof batch->key, error);
	if (code == RH_OK)
		code = jose_seal(
		    key->key, key->id, batch->key, sizeof batch->key, &batch->sealed, error);
	return code;
}

static const struct sorting_batch *find_batch(
    const struct sorting *sorting, const char *service)
{
	for (size_t i = 0; i < sorting->batch_count; i++)
		if (strcmp(sorting->batches[i].service, service) == 0)
			return &sorting->batches[i];
	return NULL;
}

/* ---- Owners' statements ---- */

static int sign_owner(const struct jose_key *license_key, const uint8_t recovery[KEY_SIZE],
    struct sorting_batch *batch, rh_error *error)
{
	struct jose_key *release = NULL;
	int code = release_key(recovery, batch->service, &release, error);

	if (code == RH_OK)
		code = owner_sign(license_key, batch->service, jose_key_thumbprint(release),
		    &batch->owner, error);
	jose_key_free(release);
	return code;
}

/* Says to each service who may release this computer, should it be lost. */
static int sign_owners(struct rh_store *store, struct sorting *sorting, rh_error *error)
{
	struct age_identity recovery = {0};
	const struct jose_key *license_key = NULL;
	bool known, secret = false;
	int code;

	if (sorting->batch_count == 0)
		return RH_OK;
	code = recovery_load(store, &recovery, &known, &secret, error);
	if (code == RH_OK && secret)
		code = computer_license_key(store->computer, &license_key, error);
	for (size_t i = 0; i < sorting->batch_count && secret && code == RH_OK; i++)
		code = sign_owner(license_key, recovery.secret, &sorting->batches[i], error);
	bytes_wipe(&recovery, sizeof recovery);
	return code;
}

/* ---- Counting ---- */

/* One group of the store's licences: those of one service, or what has expired. */
static int take_group(void *context, const struct store_census *group, rh_error *error)
{
	struct sorting *sorting = context;
	const struct jose_set_key *key = NULL;

	if (!group->expired && group->service[0] != '\0')
		key = key_of(&sorting->services, group->service);
	if (key != NULL) {
		sorting->managed += group->licenses;
		return add_batch(sorting, group->service, key, error);
	}
	sorting->bytes -= group->bytes;
	/* So far they count as owned. */
	if (group->service[0] == '\0')
		sorting->owned -= group->licenses;
	return RH_OK;
}

static int count(struct rh_store *store, struct sorting *sorting, rh_error *error)
{
	struct store_totals totals;
	int code = store_totals(store->store, &totals, error);

	if (code != RH_OK)
		return code;
	sorting->licenses = totals.licenses;
	sorting->owned = totals.licenses - totals.restricted - totals.managed;
	sorting->bytes = totals.bytes;
	return store_census(store->store, sorting->now, take_group, sorting, error);
}

int sorting_load(struct rh_store *store, struct sorting *ret, rh_error *error)
{
	struct sorting sorting = {0};
	struct license_moment moment;
	int code = moment_now(store, &moment, error);

	if (code == RH_OK) {
		sorting.now = moment.now;
		code = pins_load(store, RH_PIN_SERVICE, &sorting.services, error);
	}
	if (code == RH_OK && sorting.services.count > 0) {
		sorting.batches = calloc(sorting.services.count, sizeof *sorting.batches);
		code = sorting.batches != NULL ? RH_OK : error_memory(error);
	}
	if (code == RH_OK)
		code = count(store, &sorting, error);
	if (code == RH_OK)
		code = sign_owners(store, &sorting, error);
	if (code == RH_OK)
		*ret = sorting;
	else
		sorting_free(&sorting);
	return code;
}

/* ---- One licence ---- */

static int compare_numbers(const void *a, const void *b)
{
	const int64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static bool is_lost(const struct sorting *sorting, const struct store_row *row)
{
	const struct sorting_lost *lost = &sorting->lost;

	return lost->count > 0 && bsearch(&row->number, lost->rows, lost->count,
				      sizeof *lost->rows, compare_numbers) != NULL;
}

int sorting_judge(const struct sorting *sorting, const struct store_row *row,
    const struct sorting_batch **ret_batch)
{
	const struct license *facts = &row->facts;
	enum license_class class = license_class(facts);

	*ret_batch = NULL;
	if (class == LICENSE_RESTRICTED)
		return facts->backup == LICENSE_UNKNOWN ? RH_E_RIGHTS_UNKNOWN : RH_E_RESTRICTED;
	if (facts->not_after != LICENSE_TIME_NONE && facts->not_after <= sorting->now &&
	    license_format_signed(facts->format))
		return RH_E_LICENSE_EXPIRED;
	if (class == LICENSE_MANAGED) {
		*ret_batch = find_batch(sorting, facts->service);
		if (*ret_batch == NULL)
			return RH_E_SERVICE_KEYS;
	}
	return is_lost(sorting, row) ? RH_E_NO_SECRET : RH_OK;
}

const char *sorting_words(const struct store_row *row, int code, char text[1024])
{
	const struct license *facts = &row->facts;
	char time[TIME_TEXT_SIZE];

	switch (code) {
	case RH_E_LICENSE_EXPIRED:
		time_format(time, facts->not_after);
		snprintf(text, 1024, "its time was over at %s", time);
		return text;
	case RH_E_SERVICE_KEYS:
		snprintf(text, 1024,
		    "%s manages it, whose public keys are not here; get them from there and "
		    "add them with rehost service add",
		    facts->service);
		return text;
	case RH_E_NO_SECRET:
		return "its secret was changed or damaged in the store, and does not open";
	default:
		return facts->reason != NULL ? facts->reason : "";
	}
}

int sorting_lose(struct sorting *sorting, const struct store_row *row, rh_error *error)
{
	struct sorting_lost *found = &sorting->found;
	int64_t *rows = realloc(found->rows, (found->count + 1) * sizeof *rows);

	if (rows == NULL)
		return error_memory(error);
	rows[found->count++] = row->number;
	found->rows = rows;
	if (license_class(&row->facts) == LICENSE_MANAGED)
		sorting->managed--;
	else
		sorting->owned--;
	sorting->bytes -= row->bytes;
	return RH_OK;
}

bool sorting_again(struct sorting *sorting)
{
	if (sorting->found.count == 0 || sorting->lost.count > 0)
		return false;
	sorting->lost = sorting->found;
	sorting->found = (struct sorting_lost){0};
	return true;
}

/* ---- The header ---- */

static int put_services(
    const struct sorting *sorting, struct backup_header *header, rh_error *error)
{
	if (sorting->batch_count == 0)
		return RH_OK;
	header->services = calloc(sorting->batch_count, sizeof *header->services);
	if (header->services == NULL)
		return error_memory(error);
	for (size_t i = 0; i < sorting->batch_count; i++) {
		struct backup_service *service = &header->services[header->service_count++];

		service->service = strdup(sorting->batches[i].service);
		service->key = strdup(sorting->batches[i].sealed);
		if (sorting->batches[i].owner != NULL)
			service->owner = strdup(sorting->batches[i].owner);
		if (service->service == NULL || service->key == NULL ||
		    (sorting->batches[i].owner != NULL && service->owner == NULL))
			return error_memory(error);
	}
	return RH_OK;
}

int sorting_header(const struct sorting *sorting, struct rh_store *store,
    struct backup_header *header, rh_error *error)
{
	struct pins issuers = {0};
	int code;

	backup_header_free(header);
	*header = (struct backup_header){
	    .owned = sorting->owned,
	    .managed = sorting->managed,
	    .restricted = sorting->licenses - sorting->owned - sorting->managed,
	    .bytes = sorting->bytes,
	};
	snprintf(header->generator, sizeof header->generator, "rehost %s", rh_version());
	snprintf(header->computer_id, sizeof header->computer_id, "%s",
	    computer_id(store->computer));
	code = put_services(sorting, header, error);
	if (code == RH_OK)
		code = pins_load(store, RH_PIN_ISSUER, &issuers, error);
	if (code == RH_OK)
		code = pins_export(&issuers, &header->issuers, error);
	pins_free(&issuers);
	return code;
}
