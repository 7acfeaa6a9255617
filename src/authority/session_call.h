#ifndef AUTHORITY_SESSION_CALL_H
#define AUTHORITY_SESSION_CALL_H

#include "authority/exchange.h"
#include "authority/session.h"

/* What the files of a session share. */

struct session {
	struct session_setup setup;
	struct exchange exchange;
	char *privacy;
	char *certificate; /* NULL: none */
	char *head; /* the last one seen; NULL */
	struct head seen; /* the same, read */
	char nonce[MESSAGE_NONCE_MAX + 1]; /* for the next request; "" */
	int64_t ahead; /* seconds that the service's clock is before ours */
	char problem[64];
	struct session_progress progress;
};

/* One resource that is asked for, in as many tries as it takes. */
struct call {
	enum message_path path;
	/* Appends the body; NULL: GET. */
	int (*write)(
	    const struct session *session, void *context, struct buffer *ret, rh_error *error);
	void *context;
	bool afresh; /* for each try, as the nonce stands in it; else it is written once */
};

/* RH_OK: the body of a good reply stands in ${session->exchange.body}. */
int session_call(struct session *session, const struct call *call, rh_error *error);

/* ---- Of one try (session_reply.c) ---- */

enum verdict {
	VERDICT_OVER,
	VERDICT_AGAIN /* later */,
	VERDICT_ANEW /* sign again, at once */
};

/*
 * Reads what came back besides its body, takes the nonce from it, and decides.  ${ret_pause}
 * (milliseconds) is set if the service names one.
 */
int session_judge(struct session *session, const struct exchange_request *request,
    enum message_path path, enum exchange_end end, enum verdict *ret, long *ret_pause,
    rh_error *error);

/* ---- Of one reply ---- */

/* Makes the failure to read or to check what a service sent one of a session's. */
int session_unusable(const struct session *session, const char *what, int code,
    const rh_error *why, rh_error *error);

/* Checks the head of a reply, that it did not go back, and keeps it. */
int session_keep_head(struct session *session, const char *text, rh_error *error);

#endif
