#ifndef SERVICE_LISTEN_H
#define SERVICE_LISTEN_H

#include <stdbool.h>

#include "base/error.h"

#define LISTEN_TEXT 96

struct listening {
	int fd; /* the caller's */
	char name[LISTEN_TEXT]; /* "127.0.0.1:8443", "[::1]:8443" */
	bool loopback; /* only this computer reaches it */
};

/*
 * Listens at "HOST:PORT" or "[HOST]:PORT"; port 0 is a free one.  RH_E_ARGUMENT for text that
 * is no such place, RH_E_OPEN, RH_E_ACCESS if it cannot be had.
 */
int listen_at(const char *place, struct listening *ret, rh_error *error);

#endif
