#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/link_private.h"

#include "engine/link.h"

/* What a service is at when a cancel comes may still end well: waits of errand_wait(). */
#define STOP_WAITS 20

int link_privacy(const char *address, char ret[PRIVACY_SIZE])
{
	int length =
	    snprintf(ret, PRIVACY_SIZE, "%s%s", address, message_paths[MESSAGE_PRIVACY]);

	return length >= 0 && length < PRIVACY_SIZE ? RH_OK : RH_E_ARGUMENT;
}

/* ---- The session ---- */

static int stop(void *context)
{
	const struct link_private *private = context;

	return private->away ? atomic_load(&private->stopped) : report_stop(private->report);
}

int link_session(struct link *link, rh_error *error)
{
	struct link_private *private = link->private;

	session_close(link->session);
	link->session = NULL;
	private->setup = (struct session_setup){
	    .address = link->address,
	    .asked_at = private->asked_at,
	    .keys = &private->pin.keys,
	    .key = private->key,
	    .certificate = private->identity.certificate,
	    .head = private->identity.head,
	    .stop = stop,
	    .progress = link_progress,
	    .context = private,
	    .language = link->store->language,
	};
	return session_open(&private->setup, &link->session, error);
}

int link_start(struct link *link, bool consent, rh_error *error)
{
	struct link_private *private = link->private;
	int code = link_keys_load(link, consent, error);

	if (code == RH_OK && private->identity.address[0] == '\0')
		code = identity_make(link->store, link->address, &private->identity, error);
	if (code == RH_OK)
		code = jose_key_private(private->identity.secret, &private->key, error);
	if (code != RH_OK)
		return code;
	link->key = private->key;
	code = link_session(link, error);
	return code == RH_E_SERVICE_KEYS ? link_keys_renew(link, error) : code;
}

/* ${code}: of session_restore. */
static int restore_again(struct link *link, int code, struct restore_request *request,
    struct restore_reply *ret, rh_error *error)
{
	if (code != RH_E_SERVICE_KEYS)
		return code;
	code = link_keys_renew(link, error);
	return code == RH_OK ? session_restore(link->session, request, ret, error) : code;
}

int link_restore(struct link *link, struct restore_request *request, struct restore_reply *ret,
    rh_error *error)
{
	int code = session_restore(link->session, request, ret, error);

	return restore_again(link, code, request, ret, error);
}

/* On the errand's thread. */
static void restore_away(void *context)
{
	struct link *link = context;
	struct link_private *private = link->private;

	private->code =
	    session_restore(link->session, private->request, &private->reply, &private->error);
}

int link_restore_begin(struct link *link, struct restore_request *request, rh_error *error)
{
	struct link_private *private = link->private;
	const char *seen = session_head(link->session);
	char *head = seen != NULL ? strdup(seen) : NULL;
	int code = seen != NULL && head == NULL ? error_memory(error) : RH_OK;

	if (code == RH_OK && private->errand == NULL)
		code = errand_new(&private->errand, error);
	if (code != RH_OK) {
		free(head);
		return code;
	}
	free(private->head);
	private->head = head;
	private->request = request;
	error_clear(&private->error);
	atomic_store(&private->stopped, false);
	private->away = true;
	errand_start(private->errand, restore_away, link);
	return RH_OK;
}

int link_restore_end(struct link *link, struct restore_reply *ret, rh_error *error)
{
	struct link_private *private = link->private;

	for (int left = STOP_WAITS; !errand_wait(private->errand);)
		if (report_stop(private->report) && left-- == 0)
			atomic_store(&private->stopped, true);
	private->away = false;
	if (private->code == RH_OK) {
		*ret = private->reply;
		private->reply = (struct restore_reply){0};
	} else if (error != NULL) {
		*error = private->error;
	}
	return restore_again(link, private->code, private->request, ret, error);
}

int link_status(struct link *link, struct restore_request *request, struct status_reply *ret,
    rh_error *error)
{
	int code = session_status(link->session, request, ret, error);

	if (code != RH_E_SERVICE_KEYS)
		return code;
	code = link_keys_renew(link, error);
	return code == RH_OK ? session_status(link->session, request, ret, error) : code;
}

int link_release(struct link *link, const struct jose_key *release_key,
    struct release_request *request, struct release_reply *ret, rh_error *error)
{
	int code = session_release(link->session, release_key, request, ret, error);

	if (code != RH_E_SERVICE_KEYS)
		return code;
	code = link_keys_renew(link, error);
	return code == RH_OK ? session_release(link->session, release_key, request, ret, error)
			     : code;
}

/* ---- Opening ---- */

static int link_new(struct rh_store *store, const char *address, const char *asked_at,
    struct report *report, struct link **ret, rh_error *error)
{
	struct link_private *private;
	struct link *link;

	if (strlen(address) >= SERVICE_ADDRESS_SIZE ||
	    (asked_at != NULL && strlen(asked_at) >= SERVICE_ADDRESS_SIZE))
		return error_set(error, RH_E_ARGUMENT, "the address of a service is too long");
	link = calloc(1, sizeof *link);
	if (link == NULL)
		return error_memory(error);
	link->store = store;
	link->computer = "";
	link->address = strdup(address);
	link->private = private = calloc(1, sizeof *private);
	if (private != NULL) {
		private->report = report;
		private->asked_at = strdup(asked_at != NULL ? asked_at : address);
	}
	if (link->address == NULL || private == NULL || private->asked_at == NULL) {
		link_close(link);
		return error_memory(error);
	}
	link->keys = &private->pin.keys;
	link_privacy(private->asked_at, private->privacy);
	*ret = link;
	return RH_OK;
}

static int connect_known(struct link *link, const struct link_options *options, rh_error *error)
{
	struct link_private *private = link->private;
	int code = link_start(link, options->consent, error);

	if (code == RH_OK)
		code = session_connect(link->session, error);
	/* So that a computer that came before its owner's key can be released, too. */
	if (code == RH_OK && options->recovery != NULL && !private->identity.release) {
		code = link_introduce(link, private->identity.name, options->recovery, error);
		if (code == RH_E_INDIVIDUALIZE_FAILED) {
			error_clear(error);
			code = RH_OK;
		}
	}
	return code;
}

int link_open(struct rh_store *store, const char *address, const struct link_options *options,
    struct report *report, struct link **ret, rh_error *error)
{
	struct link_private *private;
	struct link *link = NULL;
	bool there = false;
	int code = link_new(store, address, options->asked_at, report, &link, error);

	if (code != RH_OK)
		return code;
	private = link->private;
	code = report_check(report, error);
	if (code == RH_OK)
		code = identity_load(store, address, &private->identity, &there, error);
	if (code == RH_OK && private->identity.certificate != NULL)
		code = connect_known(link, options, error);
	else if (code == RH_OK && options->consent)
		code = link_individualize(link, options, error);
	else if (code == RH_OK)
		code = error_set(error, RH_E_INDIVIDUALIZE,
		    "%s does not know this computer; what it would learn stands at %s", address,
		    private->privacy);
	if (code != RH_OK) {
		link_close(link);
		return code;
	}
	link->computer = jose_key_thumbprint(private->key);
	*ret = link;
	return RH_OK;
}

void link_close(struct link *link)
{
	struct link_private *private;

	if (link == NULL)
		return;
	private = link->private;
	if (private != NULL) {
		atomic_store(&private->stopped, true);
		errand_free(private->errand);
		restore_reply_free(&private->reply);
	}
	session_close(link->session);
	if (private != NULL) {
		free(private->head);
		jose_key_free(private->key);
		pin_free(&private->pin);
		identity_free(&private->identity);
		free(private->asked_at);
		free(private);
	}
	free(link->address);
	free(link);
}

/* ---- What is kept ---- */

int link_save(struct link *link, rh_error *error)
{
	struct link_private *private = link->private;
	const char *head = private->away ? private->head : session_head(link->session);
	struct identity kept = {0};
	struct head before = {0}, now = {0};
	bool there = false;
	int code;

	if (head == NULL)
		return RH_OK;
	code = identity_head(head, &now, error);
	if (code == RH_OK)
		code = identity_load(link->store, link->address, &kept, &there, error);
	if (code == RH_OK && there)
		code = identity_head(kept.head, &before, error);
	/* Another process may have seen a later one. */
	if (code == RH_OK && there && head_follows(&now, &before)) {
		/* A ledger that was put back may have lost whose this computer is. */
		if (kept.head != NULL && now.resolved > 0 && before.time <= now.resolved) {
			kept.release = false;
			private->forgotten = true;
		}
		code = identity_set(&kept.head, head, error);
		if (code == RH_OK)
			code = identity_save(link->store, &kept, error);
	}
	identity_free(&kept);
	return code;
}

bool link_forgotten(const struct link *link)
{
	return link->private->forgotten;
}

int link_tell_owner(struct link *link, const uint8_t *recovery, rh_error *error)
{
	int code = link_introduce(link, link->private->identity.name, recovery, error);

	if (code == RH_OK)
		link->private->forgotten = false;
	return code;
}

struct listing {
	int (*function)(void *context, const struct link_identity *identity, rh_error *error);
	void *context;
};

static int show_identity(void *context, const struct identity *identity, rh_error *error)
{
	const struct listing *listing = context;
	struct link_identity view = {.address = identity->address,
	    .computer = "",
	    .name = identity->name != NULL ? identity->name : "",
	    .since = identity->since};
	struct jose_key *key = NULL;
	struct head head = {0};
	int code = identity_head(identity->head, &head, error);

	view.head = head.seq;
	if (code == RH_OK && identity->certificate != NULL) {
		code = jose_key_private(identity->secret, &key, error);
		if (code == RH_OK)
			view.computer = jose_key_thumbprint(key);
	}
	if (code == RH_OK)
		code = listing->function(listing->context, &view, error);
	jose_key_free(key);
	return code;
}

int link_identities(struct rh_store *store,
    int (*function)(void *context, const struct link_identity *identity, rh_error *error),
    void *context, rh_error *error)
{
	struct listing listing = {function, context};

	return identity_walk(store, show_identity, &listing, error);
}
