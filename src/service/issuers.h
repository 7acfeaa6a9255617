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
/* The same, when the ledger's version of them is known already. */
int issuers_hold_version(
    struct issuers *issuers, int64_t version, const struct issuers_view **ret, rh_error *error);
void issuers_release(struct issuers *issuers, const struct issuers_view *view);

/*
 * Documents whose signatures were verified with these keys, by their SHA-256: a bounded memory
 * of some of them, so that who plans and then commits is verified once.  Lasts as long as the
 * issuers are what they are; any process may forget it.  Safe on several threads.
 */
bool issuers_verified(const struct issuers_view *view, const uint8_t digest[DIGEST_SIZE]);
void issuers_remember(const struct issuers_view *view, const uint8_t digest[DIGEST_SIZE]);

#endif
