#ifndef SERVICE_PROBLEM_H
#define SERVICE_PROBLEM_H

/*
 * Every refusal, of a request or of a licence in it: one table of status, code and words.
 * Codes never change their meaning (PROTOCOL.md, "Problems").
 */
enum problem {
	PROBLEM_NONE,
	/* The request. */
	PROBLEM_NOT_FOUND,
	PROBLEM_METHOD, /* method-not-allowed */
	PROBLEM_TOO_LARGE, /* message-too-large */
	PROBLEM_MALFORMED, /* message-malformed */
	PROBLEM_TOO_MANY, /* too-many-requests */
	PROBLEM_BUSY, /* busy: come again */
	PROBLEM_UNAVAILABLE, /* the database does not answer, or the service is stopping */
	PROBLEM_PROOF_MISSING,
	PROBLEM_PROOF_MALFORMED,
	PROBLEM_PROOF_SIGNATURE,
	PROBLEM_PROOF_AUDIENCE, /* another method, address or service */
	PROBLEM_PROOF_BODY,
	PROBLEM_PROOF_STALE,
	PROBLEM_NONCE_UNKNOWN, /* not ours, or too old */
	PROBLEM_NONCE_USED,
	PROBLEM_CERTIFICATE_MISSING,
	PROBLEM_CERTIFICATE_INVALID, /* not ours, or of another computer */
	PROBLEM_CLAIM, /* claim-invalid: claim, owner's statement: malformed, or of somebody
			  else */
	PROBLEM_IDEMPOTENCY, /* idempotency-conflict */
	PROBLEM_ROLLED_BACK, /* ledger-rolled-back */
	PROBLEM_RELEASE_UNKNOWN, /* no such computer, or its owner is not known here */
	PROBLEM_RELEASE_PROOF, /* not by its owner */
	PROBLEM_KEY, /* key-invalid: the backup's key does not open */
	PROBLEM_UNAUTHORIZED, /* administration: no such token */
	PROBLEM_FORBIDDEN, /* administration: not in the token's scope */
	/* One licence. */
	PROBLEM_LICENSE_MALFORMED,
	PROBLEM_LICENSE_ISSUER, /* this service does not serve the issuer */
	PROBLEM_LICENSE_SIGNATURE,
	PROBLEM_LICENSE_SERVICE, /* names another service, or none */
	PROBLEM_LICENSE_BACKUP, /* may not be backed up */
	PROBLEM_LICENSE_SECRET, /* does not open */
	PROBLEM_LICENSE_BLOCKED, /* by the administrator */
	PROBLEM_LICENSE_RELEASED, /* restored here, and given up since */
	PROBLEM_LICENSE_TWICE, /* in one request */
	PROBLEM_LIMIT, /* limit-reached */
	PROBLEM_PERIOD, /* period-limit-reached */
	PROBLEM_COOLDOWN, /* cooldown */
	PROBLEM_COUNT
};

enum language { LANGUAGE_ENGLISH, LANGUAGE_GERMAN };
/* After RFC 9110, section 12.5.4: the better of the two for "Accept-Language"; NULL is English.
 */
enum language language_pick(const char *accept);

int problem_status(enum problem problem); /* HTTP */
const char *problem_code(enum problem problem); /* "limit-reached" */
const char *problem_title(enum problem problem, enum language language); /* a sentence */
const char *problem_detail(enum problem problem, enum language language); /* what to do next */

#endif
