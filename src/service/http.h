#ifndef SERVICE_HTTP_H
#define SERVICE_HTTP_H

#include <stddef.h>

#include "service/service.h"
#include "service/tls.h"

/*
 * HTTP over libmicrohttpd: brings requests to the handlers of routes[] and their replies back.
 * A few threads read and write; others, as many as may wait for the database, run handlers.
 * Memory is bounded whatever clients send: connections, headers (HTTP_HEADER_MAX), and what is
 * promised to bodies.
 */
struct http;

#define HTTP_HEADER_MAX (32 * 1024) /* bytes a connection: header of request and reply */
#define HTTP_TARGET_MAX 2048 /* characters of path and query */
#define HTTP_BODIES_MAX (24u * 1024 * 1024) /* of all bodies over HTTP_BODY_SMALL */
#define HTTP_BODY_SMALL (32 * 1024) /* those are bounded by the number of connections */
#define HTTP_READERS 4 /* threads */
#define HTTP_HANDLERS 16 /* threads */
#define HTTP_QUEUE_SECONDS 10 /* how long a request waits for one of them */

struct http_setup {
	struct service *service;
	int fd; /* listens; http_start takes it, also when it fails */
	struct tls *tls; /* NULL: plain */
	unsigned connections;
	unsigned per_address; /* connections; 0: as many as there may be */
	/* Seconds that a connection may idle, and in which a request must be complete; its
	 * reply must be taken in twice as many. */
	unsigned timeout;
};

int http_start(const struct http_setup *setup, struct http **ret, rh_error *error);

/*
 * Accepts nothing more, answers what was accepted for at most ${seconds}, and frees everything.
 * false if something was still under way then: threads may be at work, nothing was freed, and
 * the process must end.
 */
bool http_stop(struct http *http, unsigned seconds);

#endif
