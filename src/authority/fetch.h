#ifndef AUTHORITY_FETCH_H
#define AUTHORITY_FETCH_H

#include <stdbool.h>

#include "base/bytes.h"

/*
 * Gets what stands at an address: over HTTPS with a certificate that is checked; over plain
 * HTTP from this machine alone (localhost, 127.0.0.0/8, ::1), where somebody develops a
 * service.  At most three redirects, under the same rule, and never from HTTPS to HTTP.
 *
 * The environment: https_proxy, http_proxy, all_proxy and no_proxy as for curl (this machine is
 * asked without a proxy), SSL_CERT_FILE and SSL_CERT_DIR as for openssl.
 * Several threads may fetch at once.  The name is looked up on a thread of the curl library,
 * which stays behind for as long as that takes if we stop before.
 */

#define AUTHORITY_CONNECT_MS 5000
#define AUTHORITY_FETCH_MS 20000 /* in all, redirects included */
#define AUTHORITY_REDIRECTS_MAX 3

/* Whether ${text} is written like an address to fetch: "https://..." or "http://...". */
bool authority_is_address(const char *text);

/*
 * Replaces ${ret} by the body of a plain answer (status 200) of at most ${limit} bytes.
 * RH_E_NETWORK names the host and the cause; never the rest of the address.
 */
int authority_fetch(const char *address, size_t limit, struct buffer *ret, rh_error *error);

/* The same within ${milliseconds} in all. */
int authority_fetch_within(
    const char *address, size_t limit, long milliseconds, struct buffer *ret, rh_error *error);

#endif
