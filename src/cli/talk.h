#ifndef CLI_TALK_H
#define CLI_TALK_H

#include <stdbool.h>

#include "rehost/rehost.h"

/*
 * Talk goes to stderr, a whole safe line at a time, over a progress bar if
 * there is one.  Any thread may talk.
 */

/* Once, before any talk; ${quiet}: errors only. */
void talk_start(bool quiet);
bool talk_quiet(void);

/* Something worth saying; nothing if quiet. */
void talk(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "PROGRAM: what went wrong: where" */
void talk_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "hint: what to do next"; belongs to the error before it. */
void talk_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Both lines for an error of the library. */
void talk_failure(const rh_error *error);

/*
 * The bar: draws ${line} (ASCII) in place of the one before it; "" takes it away.
 * Other talk takes it away as well.
 */
void talk_bar(const char *line);

/* A sentence as a phrase: first letter small, no full stop.  ${size} bytes of ${text}. */
const char *talk_phrase(char *text, size_t size, const char *sentence);

#endif
