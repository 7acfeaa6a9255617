#ifndef SERVICE_REHEARSE_H
#define SERVICE_REHEARSE_H

#include "service/service.h"

/*
 * `rehostd serve --rehearse FILE`: a service that fails by script, and whose time is the
 * script's, so that who embeds the library can try what his users will meet.  A line of the
 * file is
 *
 *   clock TIME                    the time at the start (RFC 3339); without it, the present
 *   RESOURCE NUMBERS ACTION [ARGUMENT]
 *
 * RESOURCE: keys, nonce, computers, plan, commit, licenses, release, or any.  NUMBERS: N or
 * N-M, requests to it counted from 1.  ACTION:
 *
 *   limit          the licences in it are on as many computers as they may be (1, by a policy)
 *   outage         503
 *   busy           429
 *   slow SECONDS   before the answer
 *   cut            the connection ends in the middle of the answer
 *   rubbish        an answer that means nothing
 *   rollback       the ledger was put back to an old copy
 *   resolve        that is resolved
 *   rotate         the service has new keys
 *   clock +7d      time passes (s, m, h, d)
 *
 * Blank lines, and what follows "#", do not count.  All that fits a request happens, in order.
 * One request is answered at a time.
 */
struct rehearsal;

/* RH_E_ARGUMENT names the line and what is wrong with it.  ${directory} has the keys. */
int rehearsal_read(
    const char *path, const char *directory, struct rehearsal **ret, rh_error *error);
void rehearsal_free(struct rehearsal *rehearsal);

int64_t rehearsal_now(const struct rehearsal *rehearsal);

/* Before the handler: what is to happen.  true: ${reply} is the answer already. */
bool rehearsal_before(
    struct service *service, const struct request *request, struct reply *reply);
/* After it: spoils the answer. */
void rehearsal_after(struct service *service, struct reply *reply);
/* The licences of the request that is being answered, before the ledger sees them. */
int rehearsal_licenses(struct service *service, const struct ledger_license *licenses,
    size_t count, rh_error *error);

#endif
