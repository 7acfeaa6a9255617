#include <stdlib.h>
#include <string.h>

#include "crypto/recovery_code.h"

#include "engine/link_private.h"

struct release_run {
	struct rh_store *store;
	struct report *report;
	const char *address;
	const char *computer;
	const char *recovery_key; /* as typed; NULL: the store's */
	const char *directory; /* NULL: none */
	bool cancel;
	int64_t effective;
};

/* The owner's recovery key; wipe it. */
static int find_key(struct release_run *run, struct age_identity *ret, rh_error *error)
{
	bool known, secret = false;
	int code;

	if (run->recovery_key != NULL)
		return recovery_key_parse(ret, run->recovery_key, error);
	code = recovery_load(run->store, ret, &known, &secret, error);
	if (code == RH_OK && !secret)
		code = error_set(error, RH_E_SECRET_NEEDED,
		    known ? "this computer keeps only the public half of the recovery key"
			  : "no recovery key was given, and this computer has none");
	return code;
}

/* Says who may release the computer that made the backup; freed with free(). */
static int owner_of(
    const struct backup_header *header, struct release_run *run, char **ret, rh_error *error)
{
	for (size_t i = 0; i < header->service_count; i++) {
		const struct backup_service *service = &header->services[i];

		if (strcmp(service->service, run->address) != 0 || service->owner == NULL)
			continue;
		*ret = strdup(service->owner);
		return *ret != NULL ? RH_OK : error_memory(error);
	}
	return error_set(error, RH_E_SERVICE_UNKNOWN,
	    "the backup in %.400s does not say who may release its computer at %.400s",
	    run->directory, run->address);
}

static int read_owner(struct release_run *run, char **ret, rh_error *error)
{
	rh_open_options options = RH_OPEN_OPTIONS_INIT;
	struct backup_reader *reader = NULL;
	struct opening opening = {0};
	int code;

	options.recovery_key = run->recovery_key;
	code = opening_begin(&opening, run->store, run->directory, &options, error);
	if (code == RH_OK)
		code = opening_reader(&opening, run->report, &reader, error);
	if (code == RH_OK)
		code = owner_of(backup_reader_header(reader), run, ret, error);
	backup_reader_free(reader);
	opening_end(&opening);
	return code;
}

/* What the request is about was checked; asks. */
static int ask(
    struct release_run *run, const struct jose_key *key, const char *owner, rh_error *error)
{
	const struct link_options options = {0};
	struct release_request request = {
	    .computer = run->computer, .owner = owner, .cancel = run->cancel};
	struct release_reply reply = {0};
	struct link *link = NULL;
	int kept,
	    code = link_open(run->store, run->address, &options, run->report, &link, error);

	if (code != RH_OK)
		return code;
	code = link_release(link, key, &request, &reply, error);
	if (code == RH_OK)
		run->effective =
		    reply.state == RELEASE_CANCELLED ? RH_TIME_NONE : reply.effective;
	release_reply_free(&reply);
	kept = link_save(link, code == RH_OK ? error : NULL);
	link_close(link);
	return code == RH_OK ? kept : code;
}

static int release(struct release_run *run, rh_error *error)
{
	struct age_identity recovery = {0};
	struct jose_key *key = NULL;
	char *owner = NULL;
	int code = find_key(run, &recovery, error);

	if (code == RH_OK)
		code = release_key(recovery.secret, run->address, &key, error);
	bytes_wipe(&recovery, sizeof recovery);
	if (code == RH_OK && run->directory != NULL)
		code = read_owner(run, &owner, error);
	if (code == RH_OK)
		code = ask(run, key, owner, error);
	free(owner);
	jose_key_free(key);
	return code;
}

int rh_service_release(rh_store *store, const char *address, const char *computer,
    const char *recovery_key, const char *directory, int cancel, int64_t *ret_effective,
    const rh_listener *listener, rh_error *error)
{
	struct report report;
	struct release_run run = {.store = store,
	    .report = &report,
	    .address = address,
	    .computer = computer,
	    .recovery_key = recovery_key,
	    .directory = directory,
	    .cancel = cancel != 0,
	    .effective = RH_TIME_NONE};
	rh_error own;
	int code;

	error = error != NULL ? error : &own;
	error_clear(error);
	report_init(&report, listener, RH_OPERATION_INDIVIDUALIZE);
	if (store == NULL)
		code = error_set(error, RH_E_ARGUMENT, "no store was given");
	else
		code = argument_text(address, "address of a service", error);
	if (code == RH_OK)
		code = argument_text(computer, "name of a computer", error);
	if (code == RH_OK) {
		report_event(&report, RH_EVENT_BEGIN);
		code = release(&run, error);
	}
	if (code == RH_OK && ret_effective != NULL)
		*ret_effective = run.effective;
	return report_end(&report, code, error);
}
