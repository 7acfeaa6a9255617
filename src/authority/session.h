#ifndef AUTHORITY_SESSION_H
#define AUTHORITY_SESSION_H

#include "authority/message.h"

/*
 * One computer's conversation with one License Management Service: PROTOCOL.md.  Keeps
 * the connection open, signs, tries again.  One thread at a time.
 *
 * Failures:
 * RH_E_SERVICE_UNAVAILABLE  cannot be reached, does not answer in time, 5xx, too busy (429):
 *                           after all tries
 * RH_E_SERVICE_CERTIFICATE  TLS: it does not prove who it is
 * RH_E_SERVICE_REPLY        rubbish, or not what was asked, or not signed as it must be
 * RH_E_SERVICE_KEYS         signed with a key that is not in ${keys}: fetch them anew
 * RH_E_SERVICE_REFUSED      a problem document; its words
 * RH_E_INDIVIDUALIZE        there is no certificate, or the service does not take it (any more)
 * RH_E_INDIVIDUALIZE_FAILED a problem document in answer to session_individualize
 * RH_E_SERVICE_ROLLED_BACK  says so itself, or its head went back
 * RH_E_NETWORK              the address is none that may be asked
 * RH_E_ARGUMENT, RH_E_CANCELED, RH_E_MEMORY, RH_E_INTERNAL
 *
 * HTTPS, proxies and certificates as in fetch.h; no redirects.
 */

#define SESSION_CONNECT_MS 5000
#define SESSION_UNREACHED_MS 6000 /* all tries, while no connection comes about */
#define SESSION_REQUEST_MS 30000 /* one try */
#define SESSION_TRIES 4 /* of one request, with pauses that double */
#define SESSION_PAUSE_MS 200 /* the first */
#define SESSION_RETRY_AFTER_MS 5000 /* as long as that a service may ask us to wait */
#define SESSION_REPLY_MAX MESSAGE_REPLY_MAX
#define SESSION_STOP_MS 100 /* between two questions whether to stop */

/* DRM_HTTP_STATUS (reference: drmexternals.h). */
enum session_http {
	SESSION_IDLE,
	SESSION_CONNECTING,
	SESSION_REQUESTING,
	SESSION_RECEIVING,
	SESSION_COMPLETED
};
struct session_progress {
	enum session_http http;
	uint32_t requests; /* that were completed */
	uint64_t read; /* bytes of this reply */
	uint64_t total; /* 0: unknown */
};

/* What the session stands on; the caller's, and lives as long. */
struct session_setup {
	const char *address; /* as licences name it: the one that signatures name */
	const char *asked_at; /* where it is asked; NULL: there */
	const struct jose_set *keys; /* the service's */
	const struct jose_key *key; /* this computer's private key for this service */
	const char *certificate; /* NULL: not individualized yet */
	const char *head; /* the last one seen; NULL */
	/* Asked several times a second while something is waited for; other than 0 stops.
	 * May be NULL. */
	int (*stop)(void *context);
	/* Told about each exchange, for WM_INDIVIDUALIZE_STATUS; may be NULL. */
	void (*progress)(void *context, const struct session_progress *progress);
	void *context;
	long request_ms; /* of one try; 0: SESSION_REQUEST_MS */
	const char *language; /* Accept-Language: a tag of BCP 47; NULL */
};

struct session;
/* Sends nothing.  RH_E_SERVICE_KEYS also if ${head} is signed with a key not in ${keys}. */
int session_open(const struct session_setup *setup, struct session **ret, rh_error *error);
void session_close(struct session *session);

/* Gets a nonce: whether the service is there at all. */
int session_connect(struct session *session, rh_error *error);

/*
 * Each sends the message, tries again where that may help, and checks what the service signed
 * in the reply: head, and certificate or grants (against the leaves of the reply, so that every
 * licence in it that is free or granted is proven).  ${ret} is freed with ..._free.
 */
int session_individualize(struct session *session, const struct computers_request *request,
    struct computers_reply *ret, rh_error *error);
/* ${request->path} says which; ${request->head} is the session's. */
int session_restore(struct session *session, struct restore_request *request,
    struct restore_reply *ret, rh_error *error);
int session_status(struct session *session, struct restore_request *request,
    struct status_reply *ret, rh_error *error);
/* Makes the proof itself, with ${release_key}; ${request->proof} is not read. */
int session_release(struct session *session, const struct jose_key *release_key,
    struct release_request *request, struct release_reply *ret, rh_error *error);

/* After individualization. */
int session_set_certificate(struct session *session, const char *certificate, rh_error *error);

/* The last head that was seen, to be kept; NULL if none ever was.  The session's. */
const char *session_head(const struct session *session);

/* The address of the privacy notice; the session's. */
const char *session_privacy(const struct session *session);

/* The code of the problem document that ended the last call, such as "limit-reached", or "". */
const char *session_problem(const struct session *session);

/*
 * Gets the service's keys ("/v1/keys") from where it is asked: replaces ${ret} by JSON text of
 * at most JOSE_SET_MAX bytes.  ${stop} may be NULL.
 */
int session_fetch_keys(const char *asked_at, int (*stop)(void *context), void *context,
    struct buffer *ret, rh_error *error);

/*
 * The leaves of the grants in a reply, for the licences that are free or granted, in its order;
 * ${ret} is freed with free(), and NULL if there are none.  RH_E_SERVICE_REPLY if one of them
 * lacks what a grant needs.
 */
int session_leaves(const struct restore_reply *reply, const char *computer,
    uint8_t (**ret)[DIGEST_SIZE], size_t *ret_count, rh_error *error);

#endif
