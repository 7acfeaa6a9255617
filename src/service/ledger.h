#ifndef SERVICE_LEDGER_H
#define SERVICE_LEDGER_H

#include "authority/message.h"
#include "service/database.h"
#include "service/problem.h"

/*
 * The ledger: which licence is on which computers, the policy that limits it, and the log of
 * every change.  Pure: (what was asked, the database, a time) to an answer; knows no HTTP,
 * reads no document and no clock.  SCHEMA.md has the tables.
 *
 * Functions return RH_OK, or RH_E_DATABASE, RH_E_MEMORY, RH_E_INTERNAL; what the caller is
 * refused comes as an enum problem besides.  Safe on several threads.
 */

struct ledger;

/* ${service}: its address.  The key signs heads and grants; both outlive the ledger. */
int ledger_open(struct database *database, const char *service, const struct jose_key *signs,
    const struct jose_set *keys, struct ledger **ret, rh_error *error);
void ledger_close(struct ledger *ledger);

/* ---- What is asked ---- */

#define LEDGER_KEY_SIZE 44 /* base64url of SHA-256 of issuer, NUL, id; and NUL */

/* A licence as its document proves it. */
struct ledger_license {
	char key[LEDGER_KEY_SIZE]; /* ledger_key() */
	char issuer[256];
	char id[256];
	char title[512]; /* as in the record: plain, or JSON by language */
	char service[512]; /* as it names this one */
	char original[JOSE_THUMBPRINT_SIZE]; /* licence key that it was issued to; "" */
	uint32_t computers; /* limit that the licence itself says; 0: none */
	int64_t issued; /* LICENSE_TIME_NONE if it does not say */
	uint8_t digest[DIGEST_SIZE]; /* SHA-256 of the document */
	enum problem problem; /* what is wrong with it already: it is refused so */
};
int ledger_key(char ret[LEDGER_KEY_SIZE], const char *issuer, const char *id, rh_error *error);

/* Who asks. */
struct ledger_visitor {
	const char *computer; /* thumbprint of its service key, certified */
	const char *claim; /* licence key that it proved to hold; NULL */
	const char *owner_license_key; /* an owner's statement; NULL */
	const char *owner_release;
	const struct head *head; /* the last one it saw, its signature checked; NULL */
};

/*
 * Fills licences that are known by their digest, so that their documents need no proof again;
 * ${ret[i].key} is "" for the others.  ${ret[i].digest} is set by the caller.
 * ${ret_version}: as of ledger_issuers_version, at the same moment; may be NULL.
 */
int ledger_recognise(struct ledger *ledger, struct ledger_license *ret, size_t count,
    int64_t *ret_version, rh_error *error);

/* ---- What is answered ---- */

#define LEDGER_TOKEN_SIZE 33 /* of a case; and NUL */

struct ledger_outcome {
	enum message_result result;
	enum problem problem; /* refused */
	uint32_t number; /* k; refused: how many computers there are */
	uint32_t limit; /* n */
	int64_t since; /* LICENSE_TIME_NONE */
	int64_t next; /* when a slot comes free; LICENSE_TIME_NONE */
	char token[LEDGER_TOKEN_SIZE]; /* names the case; "" */
};

/* Individualization; ${name} and ${release} may be NULL.  PROBLEM_ROLLED_BACK. */
int ledger_enroll(struct ledger *ledger, int64_t now, const char *computer, const char *name,
    const char *release, const char *nonce, enum problem *ret_problem, struct head *ret_head,
    rh_error *error);

/* Opens cases for what is refused; else only reads.  A computer that is to be released is seen.
 */
int ledger_plan(struct ledger *ledger, int64_t now, const struct ledger_visitor *visitor,
    const struct ledger_license *licenses, size_t count, struct ledger_outcome *outcomes,
    enum problem *ret_problem, struct head *ret_head, rh_error *error);

/*
 * The restore, in one transaction.  ${body} is the digest of the request; a request that was
 * answered before is answered so again (PROTOCOL.md).  ${nonce} is used up in the same
 * transaction (PROBLEM_NONCE_USED).  ${ret_grants} gets the signed root (free()), NULL if
 * nothing is granted; the leaves are those of the outcomes that are free or granted, in their
 * order.
 */
struct ledger_commit {
	const char *idempotency_key;
	const uint8_t *body;
	const char *nonce;
};
int ledger_commit(struct ledger *ledger, int64_t now, const struct ledger_visitor *visitor,
    const struct ledger_commit *commit, const struct ledger_license *licenses, size_t count,
    struct ledger_outcome *outcomes, char **ret_grants, enum problem *ret_problem,
    struct head *ret_head, rh_error *error);

/* ---- Status ---- */

struct ledger_computer {
	char computer[JOSE_THUMBPRINT_SIZE]; /* its name here; of an original that never came,
						its licence key */
	char name[MESSAGE_NAME_MAX * 4 + 1];
	int64_t since; /* of an original: when the licence was issued, or first seen */
	int64_t releasing; /* when its slots come free; LICENSE_TIME_NONE */
	bool original;
	bool known; /* false: an original that never came here */
};
struct ledger_status {
	uint32_t limit;
	uint32_t used;
	int64_t next;
	enum problem problem; /* of a computer that is new to it, now; PROBLEM_NONE */
	bool blocked;
	struct ledger_computer *computers; /* free() */
	size_t count;
};
/* A licence that the ledger does not know has its original alone. */
int ledger_status(struct ledger *ledger, int64_t now, const struct ledger_license *license,
    struct ledger_status *ret, rh_error *error);
/* The head as it is; also tells PROBLEM_ROLLED_BACK for the one that ${visitor} saw. */
int ledger_head(struct ledger *ledger, int64_t now, const struct ledger_visitor *visitor,
    enum problem *ret_problem, struct head *ret_head, rh_error *error);

/* ---- Release ---- */

struct ledger_release {
	const char *computer; /* as in PROTOCOL.md */
	const char
	    *release; /* thumbprint of the release key that proved it; NULL: an administrator */
	const char *owner_license_key; /* of an owner's statement; NULL */
	const char *owner_release;
	bool cancel;
	const char *nonce; /* NULL: an administrator */
	const char *actor; /* for the log */
};
int ledger_release(struct ledger *ledger, int64_t now, const struct ledger_release *release,
    enum release_state *ret_state, int64_t *ret_effective, enum problem *ret_problem,
    struct head *ret_head, rh_error *error);

/* ---- Cases ---- */

struct ledger_case {
	int64_t number;
	int64_t created;
	enum problem problem;
	char computer[JOSE_THUMBPRINT_SIZE]; /* that was refused */
	struct ledger_license license;
	struct ledger_status status; /* as it is now; free(status.computers) */
	char contact[512]; /* of the issuer: a web or mail address; "" */
	char issuer_title[256];
	int64_t release_wait; /* seconds */
};
/* By its token, or, with ${token} NULL, by its number.  RH_E_LICENSE_UNKNOWN. */
int ledger_case(struct ledger *ledger, int64_t now, const char *token, int64_t number,
    struct ledger_case *ret, rh_error *error);

/* ---- Administration: every change is in the log, with who made it ---- */

#define POLICY_UNSET (-1)
/* Members that are POLICY_UNSET are those of the next wider policy. */
struct policy {
	int64_t computers; /* that may hold a licence, the original counted; default 4 */
	int64_t period; /* seconds; 0: no such limit (default) */
	int64_t period_computers; /* new computers within a period */
	int64_t cooldown; /* seconds between two new computers; default 0 */
	int64_t release_wait; /* seconds; default 7 days */
};
enum policy_scope { POLICY_SERVICE, POLICY_ISSUER, POLICY_LICENSE };
/* What holds: licence's policy, then the licence's own claim, issuer's, service's, default. */
int ledger_policy_get(struct ledger *ledger, enum policy_scope scope, const char *issuer,
    const char *license, struct policy *ret, rh_error *error);
int ledger_policy_set(struct ledger *ledger, int64_t now, const char *actor,
    enum policy_scope scope, const char *issuer, const char *license,
    const struct policy *policy, rh_error *error);
/* ${extra} computers more until ${until} (LICENSE_TIME_NONE: for ever). */
int ledger_exception_add(struct ledger *ledger, int64_t now, const char *actor,
    const char *issuer, const char *license, uint32_t extra, int64_t until, const char *reason,
    rh_error *error);
int ledger_block(struct ledger *ledger, int64_t now, const char *actor, const char *issuer,
    const char *license, bool blocked, const char *reason, rh_error *error);

struct ledger_issuer {
	const char *name; /* as in "iss" */
	const char *title; /* for people; "" */
	const char *contact; /* "" */
	const char *keys; /* JWK set, JSON text */
	int64_t added;
};
int ledger_issuer_put(struct ledger *ledger, int64_t now, const char *actor,
    const struct ledger_issuer *issuer, rh_error *error);
/* RH_E_PIN_UNKNOWN. */
int ledger_issuer_remove(
    struct ledger *ledger, int64_t now, const char *actor, const char *name, rh_error *error);
int ledger_issuers(struct ledger *ledger,
    int (*function)(void *context, const struct ledger_issuer *issuer, rh_error *error),
    void *context, rh_error *error);
/* Changes with every change of an issuer, so that a copy can be kept; any number. */
int ledger_issuers_version(struct ledger *ledger, int64_t *ret, rh_error *error);

/* Bearer tokens of administration; only a hash is kept. */
enum token_scope { TOKEN_READ = 1, TOKEN_WRITE = 2 };
struct ledger_token {
	char name[65];
	unsigned scope; /* sum of enum token_scope */
	int64_t created;
	int64_t expires; /* LICENSE_TIME_NONE */
};
/* ${ret}: the token, shown this once; free() after bytes_wipe. */
int ledger_token_make(struct ledger *ledger, int64_t now, const char *actor,
    const struct ledger_token *token, char **ret, rh_error *error);
int ledger_token_remove(
    struct ledger *ledger, int64_t now, const char *actor, const char *name, rh_error *error);
int ledger_tokens(struct ledger *ledger,
    int (*function)(void *context, const struct ledger_token *token, rh_error *error),
    void *context, rh_error *error);
/* RH_E_NO_RIGHT if it is none, or has expired.  ${ret}: whose it is. */
int ledger_token_check(struct ledger *ledger, int64_t now, const char *token,
    struct ledger_token *ret, rh_error *error);

/* Computers that came here, and licences that were seen, for administrators. */
int ledger_computers(struct ledger *ledger, const char *prefix,
    int (*function)(void *context, const struct ledger_computer *computer, uint64_t licenses,
	rh_error *error),
    void *context, rh_error *error);
/* Those whose id starts with ${prefix}; at most ${limit}. */
int ledger_licenses(struct ledger *ledger, const char *prefix, unsigned limit,
    int (*function)(void *context, const struct ledger_license *license, rh_error *error),
    void *context, rh_error *error);

/* ---- The log ---- */

struct ledger_entry {
	int64_t seq; /* from 1 */
	int64_t time;
	const char *kind; /* "commit", "enroll", "release", ... */
	const char *actor; /* a computer's thumbprint, "token:NAME", "local:USER" */
	const char *body; /* JSON */
	uint8_t hash[DIGEST_SIZE];
};
int ledger_audit(struct ledger *ledger, int64_t from, unsigned limit,
    int (*function)(void *context, const struct ledger_entry *entry, rh_error *error),
    void *context, rh_error *error);
/* Reads the whole log and makes every hash anew.  RH_E_STORE_DAMAGED names the entry. */
int ledger_audit_verify(struct ledger *ledger, uint64_t *ret_entries, rh_error *error);

/*
 * Whether the ledger was found to be rolled back, and by what head; resolving takes it as it
 * is, and no longer compares heads that were signed before ${now}.
 */
int ledger_rolled_back(
    struct ledger *ledger, bool *ret, struct head *ret_seen, rh_error *error);
int ledger_resolve(
    struct ledger *ledger, int64_t now, const char *actor, const char *reason, rh_error *error);

/* Rows a table, for /metrics. */
struct ledger_counts {
	int64_t computers, licenses, slots, cases, entries;
};
int ledger_counts(struct ledger *ledger, struct ledger_counts *ret, rh_error *error);

#endif
