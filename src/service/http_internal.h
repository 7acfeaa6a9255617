#ifndef SERVICE_HTTP_INTERNAL_H
#define SERVICE_HTTP_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>

#include "service/http.h"

/* What the files of http.h share. */

/* A connection. */
struct caller {
	struct caller *next, *previous;
	struct MHD_Connection *connection;
	int fd;
	bool fresh; /* no request came yet */
	bool busy; /* one is under way */
	uint64_t deadline; /* clock_monotonic(); 0: none */
};

/* A request, from its first line to the end of its reply. */
struct visit {
	struct visit *next; /* in the queue */
	struct http *http;
	struct MHD_Connection *connection;
	struct caller *caller;
	const struct route *route;
	struct request request;
	struct reply reply;
	struct buffer body;
	size_t target_size; /* characters of path and query */
	size_t promised; /* of http->bodies */
	enum problem refused; /* before any handler was asked */
	int refused_status; /* in place of the problem's; 0 */
	char allow[32];
	char client[64];
	uint64_t began; /* clock_monotonic() */
	uint64_t queued;
	bool headers_seen;
	bool answered; /* the reply is there */
	bool sent; /* ... and was given to libmicrohttpd */
};

struct http {
	struct service *service;
	struct tls *tls;
	struct MHD_Daemon *daemon;
	unsigned timeout; /* seconds */
	bool secure; /* clients come over TLS, perhaps only as far as the proxy */

	pthread_mutex_t lock;
	/* Under the lock: */
	struct caller *callers;
	unsigned caller_count;
	size_t bodies;
	struct visit *first, **last; /* queue */
	bool ending;
	pthread_cond_t work; /* something is in the queue, or it is ending */
	pthread_cond_t tick; /* wakes the sweeper when it is ending */

	pthread_t handlers[HTTP_HANDLERS];
	pthread_t sweeper;
	unsigned threads; /* handlers that were started */
	bool sweeping;
};

/* http_request.c: the header is there.  Sets ${visit->refused}. */
void visit_begin(struct visit *visit, const char *path, const char *method);
/* More of the body. */
void visit_body(struct visit *visit, const void *bytes, size_t size);
/* Gives back what was promised, and forgets the body. */
void visit_drop_body(struct visit *visit);

/* http_queue.c */
int queue_start(struct http *http, rh_error *error);
/* Waits for the threads. */
void queue_end(struct http *http);
/* The connection is suspended until the reply is there.  false: the threads are ending. */
bool queue_put(struct visit *visit);
/* Asks the handler, on this thread. */
void visit_handle(struct visit *visit);

/* http_reply.c: gives the reply to libmicrohttpd, with its headers; logs and counts it. */
enum MHD_Result visit_send(struct visit *visit);

#endif
