#ifndef AUTHORITY_ADDRESS_H
#define AUTHORITY_ADDRESS_H

#include <stdbool.h>

#include <curl/curl.h>

#include "base/error.h"

/* An address that may be asked (fetch.h), taken apart.  All zero is empty. */
struct address {
	CURLU *url;
	char *host; /* for messages */
	bool secure; /* https */
	bool here; /* on this machine */
};

/*
 * ${text} may belong to somebody else: it is quoted as far as the host.  RH_E_NETWORK for one
 * that is not https (http: not on this machine), or that holds a user's name or password.
 */
int address_read(struct address *ret, const char *text, rh_error *error);
void address_free(struct address *address);

#endif
