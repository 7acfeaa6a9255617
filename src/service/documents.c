#include <stdlib.h>
#include <string.h>

#include "base/pipeline.h"
#include "service/guard.h"
#include "service/issuers.h"
#include "service/documents.h"

struct reading {
	struct service *service;
	const struct issuers_view *view;
	int64_t now;
};

/* One document while it is read. */
struct target {
	const struct service *service;
	struct ledger_license *license;
};

static bool issuer_is_served(const struct issuers_view *view, const char *issuer)
{
	for (size_t i = 0; i < view->count; i++)
		if (strcmp(view->issuers[i].name, issuer) == 0)
			return true;
	return false;
}

static enum problem what_is_wrong(const struct service *service, const struct license *license)
{
	switch (license_class(license)) {
	case LICENSE_RESTRICTED:
		return PROBLEM_LICENSE_BACKUP;
	case LICENSE_OWNED:
		return PROBLEM_LICENSE_SERVICE;
	case LICENSE_MANAGED:
		break;
	}
	return strcmp(license->service, service->address) != 0 ? PROBLEM_LICENSE_SERVICE
							       : PROBLEM_NONE;
}

static int take(void *context, const struct license *license,
    const struct license_rights *rights, rh_error *error)
{
	struct target *target = context;
	struct ledger_license *to = target->license;

	strcpy(to->issuer, license->issuer);
	strcpy(to->id, license->id);
	strcpy(to->title, license->title);
	strcpy(to->service, license->service);
	strcpy(to->original, rights->computer);
	to->computers = rights->computers;
	to->issued = license->issued;
	to->problem = what_is_wrong(target->service, license);
	return ledger_key(to->key, to->issuer, to->id, error);
}

/* Of what the reader says; PROBLEM_NONE for a failure that is not the licence's. */
static enum problem problem_of(int code)
{
	switch (code) {
	case RH_E_LICENSE_ISSUER:
		return PROBLEM_LICENSE_ISSUER;
	case RH_E_LICENSE_SIGNATURE:
		return PROBLEM_LICENSE_SIGNATURE;
	default:
		return license_code(code) ? PROBLEM_LICENSE_MALFORMED : PROBLEM_NONE;
	}
}

/* What was verified already is only read again. */
static int verify(const struct reading *reading, const struct request_license *license,
    struct ledger_license *ret, rh_error *error)
{
	const struct license_trust trust = {
	    .issuers = reading->view->issuers,
	    .issuer_count = reading->view->count,
	    .now = reading->now,
	    .moved = true,
	};
	const bool verified = issuers_verified(reading->view, ret->digest);
	const struct license_document document = {
	    .data = (const uint8_t *)license->document,
	    .size = license->document_size,
	    .format = "signed",
	    .trust = verified ? NULL : &trust,
	};
	struct target target = {reading->service, ret};
	rh_error why;
	int code = license_read(&document, take, &target, &why);

	if (code == RH_OK) {
		if (!verified)
			issuers_remember(reading->view, ret->digest);
		return RH_OK;
	}
	ret->problem = problem_of(code);
	if (ret->problem != PROBLEM_NONE)
		return RH_OK;
	if (error != NULL)
		*error = why;
	return code;
}

/* ---- Many at once ---- */

#define SIDE_BY_SIDE 64 /* documents from which on several threads pay */
#define SLICE 16 /* documents that one thread takes at once */

/* Those that the ledger does not know, in slices. */
struct slices {
	const struct reading *reading;
	const struct request_license *licenses;
	struct ledger_license *read;
	const size_t *unknown; /* which they are */
	size_t count;
	size_t next;
};
struct slice {
	size_t first, end;
};

static void *slice_new(void *context)
{
	(void)context;
	return calloc(1, sizeof(struct slice));
}

static void slice_free(void *context, void *item)
{
	(void)context;
	free(item);
}

static int slice_produce(void *context, void *item, bool *ret_end, rh_error *error)
{
	struct slices *slices = context;
	struct slice *slice = item;

	(void)error;
	slice->first = slices->next;
	slice->end =
	    slices->count - slice->first < SLICE ? slices->count : slice->first + SLICE;
	slices->next = slice->end;
	*ret_end = slice->first == slice->end;
	return RH_OK;
}

static int slice_verify(void *context, void *item, rh_error *error)
{
	const struct slices *slices = context;
	const struct slice *slice = item;
	int code = RH_OK;

	for (size_t i = slice->first; code == RH_OK && i < slice->end; i++) {
		size_t which = slices->unknown[i];

		code = verify(
		    slices->reading, &slices->licenses[which], &slices->read[which], error);
	}
	return code;
}

static int slice_done(void *context, void *item, rh_error *error)
{
	(void)context;
	(void)item;
	(void)error;
	return RH_OK;
}

static int verify_all(struct slices *slices, rh_error *error)
{
	const struct pipeline pipeline = {
	    .item_new = slice_new,
	    .item_free = slice_free,
	    .produce = slice_produce,
	    .transform = slice_verify,
	    .consume = slice_done,
	    .context = slices,
	};
	struct slice all = {0, slices->count};

	return slices->count < SIDE_BY_SIDE ? slice_verify(slices, &all, error)
					    : pipeline_run(&pipeline, error);
}

/* The ledger knows what the document says; who is served here may have changed since. */
static void judge_known(const struct reading *reading, struct ledger_license *license)
{
	if (!issuer_is_served(reading->view, license->issuer))
		license->problem = PROBLEM_LICENSE_ISSUER;
	else if (strcmp(license->service, reading->service->address) != 0)
		license->problem = PROBLEM_LICENSE_SERVICE;
}

static int by_key(const void *a, const void *b)
{
	const struct ledger_license *const *x = a, *const *y = b;
	int order = strcmp((*x)->key, (*y)->key);

	return order != 0 ? order : (*x > *y) - (*x < *y);
}

/* Of licences that stand more than once in a request the first one counts. */
static int find_twins(struct ledger_license *licenses, size_t count, rh_error *error)
{
	struct ledger_license **sorted = calloc(count, sizeof *sorted);

	if (sorted == NULL)
		return error_memory(error);
	for (size_t i = 0; i < count; i++)
		sorted[i] = &licenses[i];
	qsort(sorted, count, sizeof *sorted, by_key);
	for (size_t i = 1; i < count; i++)
		if (sorted[i]->key[0] != '\0' &&
		    strcmp(sorted[i]->key, sorted[i - 1]->key) == 0)
			sorted[i]->problem = PROBLEM_LICENSE_TWICE;
	free(sorted);
	return RH_OK;
}

/* What the ledger knows, and the issuers as they were at that moment. */
static int recognise(struct reading *reading, const struct request_license *licenses,
    struct ledger_license *read, size_t count, rh_error *error)
{
	const struct service *service = reading->service;
	int64_t version = 0;
	int code = RH_OK;

	for (size_t i = 0; code == RH_OK && i < count; i++)
		code = sha256(
		    read[i].digest, licenses[i].document, licenses[i].document_size, error);
	if (code == RH_OK)
		code = ledger_recognise(service->ledger, read, count, &version, error);
	if (code == RH_OK)
		code = issuers_hold_version(service->issuers, version, &reading->view, error);
	return code;
}

static int read_all(struct reading *reading, const struct request_license *licenses,
    struct ledger_license *read, size_t count, rh_error *error)
{
	size_t *unknown = calloc(count, sizeof *unknown);
	struct slices slices = {
	    .reading = reading, .licenses = licenses, .read = read, .unknown = unknown};
	int code = unknown == NULL ? error_memory(error) : RH_OK;

	if (code == RH_OK)
		code = recognise(reading, licenses, read, count, error);
	for (size_t i = 0; code == RH_OK && i < count; i++) {
		if (read[i].key[0] != '\0')
			judge_known(reading, &read[i]);
		else
			unknown[slices.count++] = i;
	}
	if (code == RH_OK)
		code = verify_all(&slices, error);
	free(unknown);
	return code == RH_OK ? find_twins(read, count, error) : code;
}

int documents_read(struct service *service, const struct request_license *licenses,
    size_t count, struct ledger_license **ret, rh_error *error)
{
	struct reading reading = {.service = service, .now = service_now(service)};
	struct ledger_license *read = calloc(count, sizeof *read);
	int code;

	if (read == NULL)
		return error_memory(error);
	code = read_all(&reading, licenses, read, count, error);
	issuers_release(service->issuers, reading.view);
	if (code == RH_OK)
		*ret = read;
	else
		free(read);
	return code;
}

void documents_title(
    char title[512], const struct ledger_license *license, enum language language)
{
	struct license record = {.format = "signed"};

	memcpy(record.title, license->title, sizeof record.title);
	license_title(&record, language == LANGUAGE_GERMAN ? "de" : "en", title, 512);
}
