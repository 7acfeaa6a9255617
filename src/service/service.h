#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include "service/ledger.h"

/*
 * One running rehostd.  Everything that matters is in the ledger; what is here may be lost at
 * any moment, and several may share one ledger.
 */

struct service_keys; /* keys.h */
struct issuers; /* issuers.h */
struct log; /* log.h */
struct metrics; /* metrics.h */
struct nonces; /* nonces.h */
struct rates; /* rates.h */
struct rehearsal; /* rehearse.h */

struct service {
	const char *address; /* without "/" at the end: PROTOCOL.md */
	const char *path; /* of the address: "/lms", or "" */
	const char *operator_name; /* who runs it, for pages; "" */
	const char *privacy_contact; /* "" */
	struct database *database;
	struct ledger *ledger;
	struct service_keys *keys;
	struct issuers *issuers;
	struct log *log;
	struct metrics *metrics;
	struct nonces *nonces;
	struct rates *rates;
	struct rehearsal *rehearsal; /* NULL: this is for real */
	const char
	    *proxy_header; /* in which a proxy tells the client's address; NULL: no proxy */
	_Atomic bool stopping; /* /readyz says no; what was accepted is finished */
};

/* The time that the service goes by: the clock, or the rehearsal's. */
int64_t service_now(const struct service *service);

/* ---- Requests and replies: what handlers see; http.c brings them over libmicrohttpd ---- */

struct request {
	const char *method;
	const char *path; /* below the service's address, query cut off: "/v1/plan" */
	const char *client; /* address of who asks, for limits and the log */
	const void *body;
	size_t body_size;
	enum language language;
	void *connection; /* http.c's */
	const char *rest; /* what the "*" of the route stands for; "" */
};
/* NULL if there is none. */
const char *request_header(const struct request *request, const char *name);
const char *request_query(const struct request *request, const char *name);

/* All zero but for the status: empty.  Made by the handler, freed by http.c. */
struct reply {
	int status;
	const char *content_type; /* static */
	struct buffer body;
	const char *etag; /* not used: NULL */
	char location[256]; /* "" */
	char retry_after[16]; /* "" */
	bool secret; /* wiped after sending */
	bool cut; /* rehearsal: the connection ends in the middle */
	enum problem problem; /* what it refuses, for log and metrics */
	char computer[JOSE_THUMBPRINT_SIZE]; /* who asked, for the log; "" */
	uint32_t licenses; /* in the request, for the log */
};

/* Fills ${reply} with a problem document. */
void reply_problem(
    struct reply *reply, const struct request *request, enum problem problem, const char *more);
/* The same with another status than the problem's. */
void reply_problem_as(struct reply *reply, const struct request *request, int status,
    enum problem problem, const char *more);
/* JSON text; takes the buffer. */
void reply_json(struct reply *reply, int status, struct buffer *json);
/* For RH_E_DATABASE and the like: logs ${error}, answers PROBLEM_UNAVAILABLE. */
void reply_failure(struct service *service, struct reply *reply, const struct request *request,
    const rh_error *error);

typedef void (*handler)(
    struct service *service, const struct request *request, struct reply *reply);

/* One row a resource; the first that fits is taken. */
struct route {
	const char *method;
	const char
	    *pattern; /* below the address; "*" at its end stands for the rest of the path */
	handler handler;
	size_t body_max; /* 0: none is read */
	bool root; /* below the host instead of the address: /healthz */
	bool quick; /* never waits, so that it is answered at once even if all else waits */
};
extern const struct route routes[]; /* routes.c; ends with a NULL pattern */

/* ---- The handlers, by file ---- */

/* protocol.c: PROTOCOL.md */
void handle_keys(struct service *, const struct request *, struct reply *);
void handle_nonce(struct service *, const struct request *, struct reply *);
void handle_computers(struct service *, const struct request *, struct reply *);
void handle_restore(
    struct service *, const struct request *, struct reply *); /* plan, commit */
void handle_licenses(struct service *, const struct request *, struct reply *);
void handle_release(struct service *, const struct request *, struct reply *);

/* pages.c */
void handle_case(struct service *, const struct request *, struct reply *);
void handle_privacy(struct service *, const struct request *, struct reply *);

/* admin.c: "/admin/v1/..." with bearer tokens */
void handle_admin(struct service *, const struct request *, struct reply *);

/* health.c */
void handle_healthz(struct service *, const struct request *, struct reply *);
void handle_readyz(struct service *, const struct request *, struct reply *);
void handle_metrics(struct service *, const struct request *, struct reply *);

#endif
