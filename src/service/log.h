#ifndef SERVICE_LOG_H
#define SERVICE_LOG_H

#include <stdint.h>

#include "base/error.h"

/*
 * Structured log: one line of JSON an event on stderr (journald takes it from there), written
 * in one call.  Never a document, secret, token, nonce or query; clients' addresses only with a
 * refusal.
 */
enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO };

struct log;
int log_new(int fd, struct log **ret, rh_error *error);
void log_free(struct log *log);

/*
 * log_line(log, LOG_LEVEL_INFO, "listening", "address", text, NULL): pairs of name and text,
 * ended by a name NULL; a text NULL leaves the pair out.
 */
void log_line(struct log *log, enum log_level level, const char *event, ...)
    __attribute__((sentinel));

/* The line of a request that was answered. */
struct log_request {
	const char *method;
	const char *route; /* the pattern, never the path; NULL: none fitted */
	int status;
	const char *problem; /* code; NULL */
	const char *computer; /* its first 8 characters are told; "" */
	const char *client; /* told with a refusal */
	uint32_t licenses;
	uint64_t nanoseconds;
};
void log_request(struct log *log, const struct log_request *request);

#endif
