#ifndef BASE_ERRAND_H
#define BASE_ERRAND_H

#include <stdbool.h>

#include "base/error.h"

/*
 * A thread that does one thing while its owner does another.  All functions are the owner's,
 * which is one thread; what the work writes may be read once errand_wait() was true.
 */
struct errand;

int errand_new(struct errand **ret, rh_error *error);
/* Waits for the work under way. */
void errand_free(struct errand *errand);

/*
 * Starts ${work}; nothing may be under way.  If there is no thread to be had, it is done when
 * this returns.
 */
void errand_start(struct errand *errand, void (*work)(void *context), void *context);

/* Whether the work is done; waits at most 20 ms for that.  true if there was none. */
bool errand_wait(struct errand *errand);

#endif
