#include <string.h>

#include "base/clock.h"

#include "engine/link_private.h"

/* ---- Events ---- */

static void tell(struct link_private *private, enum rh_individualize_state state)
{
	private->progress.state = state;
	report_individualize(private->report, &private->progress);
}

void link_progress(void *context, const struct session_progress *progress)
{
	struct link_private *private = context;

	if (!private->individualizing)
		return;
	private->progress.http = (int32_t)progress->http;
	private->progress.requests = progress->requests;
	private->progress.bytes = progress->read;
	private->progress.bytes_total = progress->total;
	tell(private, RH_INDIVIDUALIZE_DOWNLOAD);
}

/* ---- The exchange ---- */

/* The thumbprint of the key that can release this computer; freed with jose_key_free. */
static int fill_request(struct link *link, const char *name, const uint8_t *recovery,
    struct computers_request *request, struct jose_key **ret_release, rh_error *error)
{
	int code = RH_OK;

	request->name = name;
	if (recovery != NULL)
		code = release_key(recovery, link->address, ret_release, error);
	if (code == RH_OK && recovery != NULL)
		request->release = jose_key_thumbprint(*ret_release);
	return code;
}

/* Keeps what the service said of this computer. */
static int install(struct link *link, const struct computers_reply *reply, const char *name,
    bool release, rh_error *error)
{
	struct identity *identity = &link->private->identity;
	int code = identity_set(&identity->certificate, reply->certificate, error);

	if (code == RH_OK && name != NULL)
		code = identity_set(&identity->name, name, error);
	if (code == RH_OK)
		code = identity_set(&identity->head, session_head(link->session), error);
	if (code != RH_OK)
		return code;
	if (identity->since == LICENSE_TIME_NONE)
		identity->since = clock_now();
	identity->release |= release;
	code = identity_save(link->store, identity, error);
	if (code == RH_OK)
		code = session_set_certificate(link->session, identity->certificate, error);
	return code;
}

static int ask(struct link *link, const struct computers_request *request,
    struct computers_reply *ret, rh_error *error)
{
	int code = session_individualize(link->session, request, ret, error);

	if (code != RH_E_SERVICE_KEYS)
		return code;
	code = link_keys_renew(link, error);
	return code == RH_OK ? session_individualize(link->session, request, ret, error) : code;
}

int link_introduce(
    struct link *link, const char *name, const uint8_t *recovery, rh_error *error)
{
	struct link_private *private = link->private;
	struct computers_request request = {0};
	struct computers_reply reply = {0};
	struct jose_key *release = NULL;
	int code = fill_request(link, name, recovery, &request, &release, error);

	if (code == RH_OK)
		code = ask(link, &request, &reply, error);
	if (code == RH_OK && private->individualizing) {
		tell(private, RH_INDIVIDUALIZE_INSTALL);
		code = report_check(private->report, error);
	}
	if (code == RH_OK)
		code = install(link, &reply, name, recovery != NULL, error);
	computers_reply_free(&reply);
	jose_key_free(release);
	return code;
}

int link_individualize(struct link *link, const struct link_options *options, rh_error *error)
{
	struct link_private *private = link->private;
	int code;

	private->progress =
	    (rh_individualize){.service = link->address, .privacy = private->privacy};
	private->individualizing = true;
	tell(private, RH_INDIVIDUALIZE_BEGIN);
	code = report_check(private->report, error);
	if (code == RH_OK)
		code = link_start(link, true, error);
	if (code == RH_OK)
		code = link_introduce(link, options->name, options->recovery, error);
	if (code == RH_OK)
		tell(private, RH_INDIVIDUALIZE_SUCCEED);
	else if (code == RH_E_CANCELED)
		tell(private, RH_INDIVIDUALIZE_CANCEL);
	else
		tell(private, RH_INDIVIDUALIZE_FAIL);
	private->individualizing = false;
	return code;
}
