#ifndef SERVICE_RATES_H
#define SERVICE_RATES_H

#include <stdbool.h>

#include "base/error.h"

/*
 * How often a client may ask: a token bucket for each address, and one for each computer.  The
 * tables are bounded: who was not seen for the longest time is forgotten, which is to his
 * favour.
 */
struct rates;

/*
 * ${per_second} requests, and at once as many as fit into ${burst} of them; 0: no limit.
 * RH_E_MEMORY.
 */
int rates_new(unsigned per_second, unsigned burst, struct rates **ret, rh_error *error);
void rates_free(struct rates *rates);

enum rate_kind { RATE_ADDRESS, RATE_COMPUTER };

/*
 * Takes one; false if there is none, with ${ret_seconds} after which there is one again (1 or
 * more).  ${now}: nanoseconds of clock_monotonic().  Safe on several threads.
 */
bool rates_take(struct rates *rates, enum rate_kind kind, const char *who, uint64_t now,
    unsigned *ret_seconds);

#endif
