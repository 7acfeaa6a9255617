#ifndef ENGINE_LINK_H
#define ENGINE_LINK_H

#include "authority/session.h"
#include "engine/engine.h"

/*
 * This computer at one License Management Service: its identity there, which the store keeps
 * sealed (SCHEMA.md, "Values"), the service's pinned keys, and a session.
 */
struct link {
	struct rh_store *store;
	char *address; /* of the service, as licences name it */
	struct session *session;
	const char *computer; /* this computer's name there; "" before individualization */
	const struct jose_set *keys; /* the service's, pinned */
	const struct jose_key *key; /* this computer's for this service */
	struct link_private *private;
};

struct link_options {
	const char
	    *asked_at; /* NULL: the service's own address (rh_open_options.service_url) */
	bool consent; /* to individualize, and so to fetch and pin the keys if they are missing
		       */
	const char *name; /* what the owner calls this computer; NULL */
	const uint8_t
	    *recovery; /* 32 secret bytes of the recovery key, if they are known; NULL */
};

/*
 * Opens what is kept, connects, and individualizes if that is needed and allowed
 * (INDIVIDUALIZE events: BEGIN, DOWNLOAD, INSTALL, SUCCEED; else FAIL or CANCEL).
 * RH_E_INDIVIDUALIZE without consent, with the privacy address in the text; nothing was sent
 * then. The identity is durable before it is used.  Not within a transaction of the store.
 * RH_E_SERVICE_KEYS if the keys that are pinned and those that the service shows have none in
 * common; if they have, the pin is renewed.  ${report} lives as long as the link.
 */
int link_open(struct rh_store *store, const char *address, const struct link_options *options,
    struct report *report, struct link **ret, rh_error *error);

/*
 * session_restore, session_status and session_release; when the service signs with a key that
 * is not pinned, its keys are fetched anew, as by link_open, and the same is sent again.  Not
 * within a transaction.
 */
int link_restore(struct link *link, struct restore_request *request, struct restore_reply *ret,
    rh_error *error);
/*
 * The same in two halves; the first starts it and returns.  Until the second, the request and
 * all that it points to stay, and of the link's functions only link_save and link_close may be
 * called.  All events come from the calling thread, which hears a cancel in the second half.
 */
int link_restore_begin(struct link *link, struct restore_request *request, rh_error *error);
int link_restore_end(struct link *link, struct restore_reply *ret, rh_error *error);
int link_status(struct link *link, struct restore_request *request, struct status_reply *ret,
    rh_error *error);
int link_release(struct link *link, const struct jose_key *release_key,
    struct release_request *request, struct release_reply *ret, rh_error *error);

/* Keeps the last head; within the caller's transaction, or in one of its own. */
int link_save(struct link *link, rh_error *error);
/*
 * Whether link_save found that the ledger was put back and resolved: it may have lost who may
 * release this computer, and link_tell_owner tells it anew, with 32 secret bytes of the
 * recovery key; else the next link_open does.  Not within a transaction.
 */
bool link_forgotten(const struct link *link);
int link_tell_owner(struct link *link, const uint8_t *recovery, rh_error *error);
void link_close(struct link *link);

/* "ADDRESS/v1/privacy" */
int link_privacy(const char *address, char ret[600]);

/* Each identity that is kept. */
struct link_identity {
	const char *address;
	const char *computer; /* "" before individualization */
	const char *name;
	int64_t since;
	int64_t head; /* seq; 0 */
};
int link_identities(struct rh_store *store,
    int (*function)(void *context, const struct link_identity *identity, rh_error *error),
    void *context, rh_error *error);

#endif
