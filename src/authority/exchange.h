#ifndef AUTHORITY_EXCHANGE_H
#define AUTHORITY_EXCHANGE_H

#include "authority/address.h"
#include "base/bytes.h"

/*
 * One HTTP request and its reply, over a connection that is kept for the next: what fetch.c and
 * the sessions have in common.  What TLS, proxies and addresses must be: fetch.h.
 */

enum exchange_end {
	EXCHANGE_DONE, /* there is a reply, whatever it says */
	EXCHANGE_STOPPED,
	EXCHANGE_MEMORY,
	EXCHANGE_UNREACHED, /* no connection came about */
	EXCHANGE_LATE, /* not in time, though connected */
	EXCHANGE_BROKEN, /* the connection ended before the reply did */
	EXCHANGE_UNPROVEN, /* TLS: the certificate is not one to believe */
	EXCHANGE_LARGE, /* the body, or the headers */
	EXCHANGE_RUBBISH /* what came is not HTTP */
};

/* How far a request is. */
enum exchange_stage { EXCHANGE_CONNECTS, EXCHANGE_ASKS, EXCHANGE_RECEIVES };

struct exchange_request {
	const struct address *address;
	const struct curl_slist *headers;
	const void *body; /* NULL: GET; else POST */
	size_t body_size;
	size_t limit; /* bytes of the reply's body */
	bool all_bodies; /* keep the body whatever the status; else that of 200 alone */
	long connect_ms;
	long total_ms;
	/* Both may be NULL.  ${stop} is asked every ${stop_ms}; other than 0 stops. */
	int (*stop)(void *context);
	void (*watch)(void *context, enum exchange_stage stage, uint64_t read, uint64_t total);
	void *context;
	int stop_ms;
};

struct exchange {
	CURLM *multi;
	CURL *curl; /* tells about the last reply */
	const struct exchange_request *request; /* under way */
	struct buffer body; /* of the last reply */
	CURLcode result; /* how that ended */
	int sent; /* times that the request was sent over a connection */
	size_t header_bytes;
	bool body_large;
	bool headers_large;
	int code; /* why the body was not taken, or RH_OK */
	char words[CURL_ERROR_SIZE];
};

/* ${exchange} stays where it is until exchange_close(), which takes all zero too. */
int exchange_open(struct exchange *exchange, rh_error *error);
void exchange_close(struct exchange *exchange);

enum exchange_end exchange_run(
    struct exchange *exchange, const struct exchange_request *request);

/* Of the last reply. */
long exchange_status(const struct exchange *exchange);
/* NULL if it has none of the name. */
const char *exchange_header(const struct exchange *exchange, const char *name);

/* What went wrong, for all ends but DONE; ${code} unless that is STOPPED or MEMORY. */
int exchange_explain(const struct exchange *exchange, const struct exchange_request *request,
    enum exchange_end end, int code, rh_error *error);

#endif
