#ifndef SERVICE_LEDGER_INTERNAL_H
#define SERVICE_LEDGER_INTERNAL_H

#include <stdatomic.h>

#include <jansson.h>

#include "license/license.h"

#include "service/ledger.h"

/* What the files of the ledger share; nobody else includes this. */

#define LEDGER_TRIES 20 /* of a transaction that met another */
#define LEDGER_HASH_SIZE (2 * DIGEST_SIZE + 1) /* as the tables keep it: hex and NUL */
#define LEDGER_LIMIT_DEFAULT 4
#define LEDGER_RELEASE_WAIT_DEFAULT ((int64_t)7 * 24 * 60 * 60)

struct ledger {
	struct database *database;
	char *service;
	const struct jose_key *signs;
	const struct jose_set *keys;
	uint8_t case_key[KEY_SIZE]; /* makes the tokens of cases */
	_Atomic unsigned changes; /* through this handle; now and then old rows are pruned */
};

/* ---- ledger_change.c: transactions ---- */

/* An entry of the log that waits for the end of its transaction. */
struct entry {
	const char *kind; /* static */
	char *actor;
	char *body;
};

/* One transaction. */
struct change {
	struct ledger *ledger;
	struct connection *connection;
	int64_t now;
	enum problem problem; /* set by the work: it is rolled back, and no failure */
	bool quiet; /* set by the work: it changed nothing, and is not committed */
	bool resolves; /* goes on although the ledger is rolled back */
	int64_t settled; /* places that came free by releases */
	struct head head; /* at the end */
	bool rolled_back; /* found just now, by this head */
	struct head seen;
	struct entry *entries;
	size_t entry_count;
	size_t entry_capacity;
};
typedef int (*change_work)(struct change *change, void *context, rh_error *error);

/*
 * Runs ${work} in a transaction until it meets no other one.  ${work} may run many times;
 * what it keeps in ${context} starts anew each time.  ${ret_problem} and ${ret_head} may be
 * NULL.
 */
int change_run(struct ledger *ledger, int64_t now, bool resolves, change_work work,
    void *context, enum problem *ret_problem, struct head *ret_head, rh_error *error);
/* The same in a transaction that only reads, and sees one moment. */
int reading_run(struct ledger *ledger, int64_t now, change_work work, void *context,
    enum problem *ret_problem, struct head *ret_head, rh_error *error);
/* For administration: a refusal becomes RH_E_SERVICE_ROLLED_BACK. */
int change_admin(
    struct ledger *ledger, int64_t now, change_work work, void *context, rh_error *error);

/* Appends to the log at the end of the transaction; takes ${body}, which may be NULL: no
 * memory. */
int change_note(
    struct change *change, const char *kind, const char *actor, json_t *body, rh_error *error);

/* Uses up a nonce; PROBLEM_NONCE_USED. */
int change_nonce(struct change *change, const char *nonce, rh_error *error);

/* ---- ledger_log.c ---- */

/* SHA-256 over the hash before it and the entry: SCHEMA.md, "The log". */
int log_hash(uint8_t ret[DIGEST_SIZE], const uint8_t before[DIGEST_SIZE], int64_t seq,
    int64_t time, const struct entry *entry, rh_error *error);
/* The last step before a commit: the head is locked, the entries get their numbers. */
int log_append(struct change *change, rh_error *error);

/* ---- ledger_head.c ---- */

/*
 * Fills ${change->head} and compares the one that was seen (NULL: none) with the log.
 * PROBLEM_ROLLED_BACK.
 */
int head_compare(struct change *change, const struct head *seen, rh_error *error);
/* Keeps that the ledger was put back, in a transaction of its own. */
int head_note_rolled_back(struct ledger *ledger, const struct head *seen, rh_error *error);
/* ---- ledger_decide.c: pure ---- */

extern const struct policy policy_default;
/* What holds of four policies, the narrowest first, and the licence's own claim (0: none). */
struct policy policy_resolve(const struct policy *license, uint32_t claimed,
    const struct policy *issuer, const struct policy *service);
extern const struct policy policy_unset;

/* A computer that holds, or held, a licence. */
struct holder {
	char computer[JOSE_THUMBPRINT_SIZE];
	int64_t number;
	int64_t since;
	int64_t released; /* LICENSE_TIME_NONE: not */
	int64_t releasing; /* a release that waits takes effect; LICENSE_TIME_NONE */
};

/* Everything that is known of one licence. */
struct count {
	char original[JOSE_THUMBPRINT_SIZE]; /* licence key; "": issued to no computer */
	char original_computer[JOSE_THUMBPRINT_SIZE]; /* its name here; "": it never came */
	int64_t original_since;
	int64_t original_released;
	int64_t original_releasing;
	struct policy policy; /* what holds */
	int64_t extra; /* by exceptions */
	bool blocked;
	struct holder *holders; /* in the order of their numbers */
	size_t holder_count;
};

/* Whether a slot that is released then is free at ${now}. */
bool holder_gone(int64_t released, int64_t releasing, int64_t now);
bool count_original_there(const struct count *count, int64_t now);
/* Computers that hold the licence at ${now}, and how many may. */
uint32_t count_used(const struct count *count, int64_t now);
uint32_t count_limit(const struct count *count);
/*
 * What a restore on ${computer} would be: MESSAGE_FREE, MESSAGE_COSTS, MESSAGE_REFUSED.
 * ${claim}: licence key that it proved to hold; NULL.
 */
void decide(const struct count *count, const char *computer, const char *claim, int64_t now,
    struct ledger_outcome *ret);

/* ---- ledger_load.c ---- */

/* A licence of a request, with what the ledger knows of it. */
struct item {
	const struct ledger_license *license;
	struct ledger_outcome *outcome;
	size_t position; /* in the request */
	bool known; /* has a row */
	bool renewed; /* its row is of an earlier document */
	int64_t number; /* of its row; 0: it has none */
	int64_t first_seen;
	struct policy own; /* the licence's policy */
	uint32_t claimed;
	struct count count;
	size_t holder_capacity;
};
struct items {
	struct item *items; /* sorted by key, none twice, none with a problem */
	size_t count;
	struct value *values; /* for database_query_many: at least 10 each */
	size_t *chosen; /* that a statement is run for */
};
/* Answers those that are refused already, and takes the others.  items_free after success. */
int items_new(struct items *items, const struct ledger_license *licenses, size_t count,
    struct ledger_outcome *outcomes, rh_error *error);
void items_free(struct items *items);
/* Makes rows for those that have none, and locks all until the transaction ends. */
int items_lock(struct change *change, struct items *items, rh_error *error);
/* Reads what is there; rows of licences first, unless they were locked. */
int items_find(struct change *change, struct items *items, rh_error *error);
int items_load(struct change *change, struct items *items, rh_error *error);
void items_decide(
    struct change *change, struct items *items, const struct ledger_visitor *visitor);

/* ---- ledger_cases.c ---- */

int cases_open(struct ledger *ledger, rh_error *error);
/* Names the cases of what is refused for a limit; in a transaction that writes, opens them. */
int cases_name(
    struct change *change, struct items *items, const char *computer, rh_error *error);
/*
 * How long a case is kept, and how old it is when a refusal makes it new: a page that is named
 * now stays for a month at least, and who is refused often writes seldom.
 */
#define CASES_KEPT ((int64_t)365 * 24 * 60 * 60)
#define CASES_RENEWED ((int64_t)335 * 24 * 60 * 60)
/* While reading: whether one of them has to be opened, or made new. */
int cases_missing(struct change *change, struct items *items, bool *ret, rh_error *error);
int cases_write(
    struct change *change, struct items *items, const char *computer, rh_error *error);

/* ---- ledger_visit.c ---- */

/* A computer is here: locks its row, or makes it, and calls off its release.  ${name} and
 * ${release} may be NULL. */
struct visit {
	bool changed; /* enrolled, or gave a name or release key that was not known */
};
int visit_enter(struct change *change, const char *computer, const char *name,
    const char *release, struct visit *ret, rh_error *error);
/* What its claim and its owner's statement say. */
int visit_claim(struct change *change, const struct ledger_visitor *visitor, rh_error *error);
/* Calls off the release that waits under either of its names. */
int visit_cancel(struct change *change, const struct ledger_visitor *visitor, rh_error *error);
/* Whether there is one, that may still be called off. */
int visit_pending(
    struct change *change, const struct ledger_visitor *visitor, bool *ret, rh_error *error);
/* Calls it off in a transaction of its own. */
int visit_seen(struct ledger *ledger, int64_t now, const struct ledger_visitor *visitor,
    enum problem *ret_problem, struct head *ret_head, rh_error *error);

/* ---- ledger_release.c ---- */

/*
 * Releases whose time has come take effect: those of a computer, and of the original that it
 * claims to be (""), and some of others'.  Nothing waits for the rest: who is due counts as
 * gone (holder_gone), and makes room by settle_holders.
 */
int settle(
    struct change *change, const char *computer, const char *license_key, rh_error *error);
/* Those of all computers that hold a licence of the request. */
int settle_holders(struct change *change, struct items *items, rh_error *error);
/* A release takes effect now, or took it at ${effective}. */
int settle_one(struct change *change, const char *computer, int64_t effective, rh_error *error);

/* ---- ledger_requests.c ---- */

/*
 * Whether the request was answered before: then ${outcomes} and ${ret_grants} are as they
 * were.  PROBLEM_IDEMPOTENCY.
 */
int requests_find(struct change *change, const char *computer,
    const struct ledger_commit *commit, struct ledger_outcome *outcomes, size_t count,
    bool *ret_found, char **ret_grants, rh_error *error);
int requests_keep(struct change *change, const char *computer,
    const struct ledger_commit *commit, const struct ledger_outcome *outcomes, size_t count,
    const char *grants, rh_error *error);
/* Now and then removes a few old requests and nonces; a failure does no harm. */
void requests_prune(struct ledger *ledger, int64_t now);

/* ---- ledger_admin.c ---- */

/* RH_E_PIN_UNKNOWN. */
int issuer_served(struct change *change, const char *name, rh_error *error);
/* It is another one whenever issuers or their keys have changed. */
int issuers_version(struct change *change, int64_t *ret, rh_error *error);

/* ---- ledger_status.c ---- */

/* How a licence stands; ${ret_release_wait}, the issuer's or the service's, may be NULL. */
int status_read(struct change *change, const struct ledger_license *license,
    struct ledger_status *ret, int64_t *ret_release_wait, rh_error *error);

/* ---- Small ---- */

/* A licence as a row has it, from ${column} on. */
#define LICENSE_COLUMNS                                                                        \
	" l.license, l.issuer, l.id, l.title, l.service, l.original, l.computers, l.issued,"   \
	" l.digest"
void license_row(struct ledger_license *ret, const struct row *row, unsigned column);
/* Five columns from ${column} on. */
void policy_row(struct policy *ret, const struct row *row, unsigned column);
/* By its code; PROBLEM_NONE if there is none. */
enum problem problem_named(const char *code);

struct value value_time(int64_t time); /* LICENSE_TIME_NONE: NULL */
int64_t row_time(const struct row *row, unsigned column); /* and back */
void row_copy(char *target, size_t size, const struct row *row, unsigned column);
/* A row_function: copies the integer of the first column. */
int row_first(void *context, size_t index, const struct row *row, rh_error *error);
/* A row_function: sets a bool. */
int row_there(void *context, size_t index, const struct row *row, rh_error *error);
void base64url(char *text, const void *bytes, size_t size);

#endif
