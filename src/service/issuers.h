#ifndef SERVICE_ISSUERS_H
#define SERVICE_ISSUERS_H

#include "license/license.h"
#include "service/ledger.h"

/* The issuers of the ledger with their keys read, kept until the ledger says that they changed.
 */
struct issuers;
int issuers_new(struct ledger *ledger, struct issuers **ret, rh_error *error);
void issuers_free(struct issuers *issuers);

/*
 * As they are now; given back with issuers_release, until when they live.  Safe on several
 * threads.
 */
struct issuers_view {
	const struct license_issuer *issuers;
	size_t count;
};
int issuers_hold(struct issuers *issuers, const struct issuers_view **ret, rh_error *error);
void issuers_release(struct issuers *issuers, const struct issuers_view *view);

#endif
