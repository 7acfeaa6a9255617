#ifndef ENGINE_LINK_PRIVATE_H
#define ENGINE_LINK_PRIVATE_H

#include <stdatomic.h>

#include "base/errand.h"

#include "engine/identity.h"
#include "engine/link.h"
#include "engine/pins.h"

/* What link.c, link_keys.c and individualize.c share. */

#define PRIVACY_SIZE 600

struct link_private {
	struct identity identity;
	struct jose_key *key;
	struct pin pin; /* the service's keys; empty until they are known */
	char *asked_at; /* where the service is asked */
	char privacy[PRIVACY_SIZE];
	struct report *report;
	struct session_setup setup; /* what the session stands on */
	rh_individualize progress;
	bool individualizing;
	bool forgotten; /* the ledger may have lost whose this computer is */

	/* Of link_restore_begin. */
	struct errand *errand; /* NULL until it is needed */
	bool away; /* something is under way: what follows is the other thread's */
	struct restore_request *request;
	struct restore_reply reply;
	rh_error error;
	int code;
	atomic_bool stopped; /* by the listener */
	char *head; /* the last one before; this thread's */
};

/*
 * Everything that a session needs, and the session: keys of the service, which are fetched and
 * pinned with ${consent} if they are missing, and a key of this computer, durable.
 */
int link_start(struct link *link, bool consent, rh_error *error);

/* link_keys.c: the pinned keys, or with ${consent} those that the service shows, pinned then.
 */
int link_keys_load(struct link *link, bool consent, rh_error *error);
/*
 * After RH_E_SERVICE_KEYS of the session: takes what the service shows now, and pins it, if it
 * still has a key that was pinned; and opens the session anew.
 */
int link_keys_renew(struct link *link, rh_error *error);

/* individualize.c: all of it, with its events. */
int link_individualize(struct link *link, const struct link_options *options, rh_error *error);
/* Tells the service again who this computer is, without a word; there is a session. */
int link_introduce(
    struct link *link, const char *name, const uint8_t *recovery, rh_error *error);
/* On the session's thread, which is ours but for restores. */
void link_progress(void *private, const struct session_progress *progress);

/* Opens a session in the place of the present one. */
int link_session(struct link *link, rh_error *error);

#endif
