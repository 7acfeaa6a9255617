#ifndef SERVICE_GUARD_H
#define SERVICE_GUARD_H

#include "service/service.h"

/*
 * Who signed a request, and whether he did: PROTOCOL.md, "The signature of a request".  All of
 * it comes before any other work, cheapest and least private first.
 */
struct guard {
	struct jws jws;
	struct proof proof; /* texts are those of ${jws} */
	const char *computer; /* thumbprint of its service key */
	const struct jose_key *key; /* the public half */
};

/* The clocks of a computer and of the service may differ by so much. */
#define GUARD_CLOCKS 300 /* seconds */

/* false: ${reply} holds the refusal.  ${certified}: the computer must show its certificate. */
bool guard_request(struct service *service, const struct request *request, bool certified,
    struct guard *ret, struct reply *reply);
void guard_free(struct guard *guard);

/*
 * As in message.h, for the service's address.  The problem is PROBLEM_NONE, or PROBLEM_CLAIM,
 * PROBLEM_MALFORMED for a head; ${text} NULL leaves ${ret} empty.
 */
int guard_claim(const struct service *service, const char *text, const char *computer,
    char ret_license_key[JOSE_THUMBPRINT_SIZE], enum problem *ret_problem, rh_error *error);
int guard_owner(const struct service *service, const char *text,
    char ret_license_key[JOSE_THUMBPRINT_SIZE], char ret_release[JOSE_THUMBPRINT_SIZE],
    enum problem *ret_problem, rh_error *error);
/* ${ret_there}: there is one. */
int guard_head(const struct service *service, const char *text, struct head *ret,
    bool *ret_there, enum problem *ret_problem, rh_error *error);
/* PROBLEM_RELEASE_PROOF. */
int guard_release(const struct service *service, const char *text, const char *computer,
    const char *nonce, char ret_release[JOSE_THUMBPRINT_SIZE], enum problem *ret_problem,
    rh_error *error);

#endif
