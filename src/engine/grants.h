#ifndef ENGINE_GRANTS_H
#define ENGINE_GRANTS_H

#include "engine/engine.h"

/*
 * What the licences of a store say to one action, at one moment: the common part of
 * asking (query.c) and using (use.c).
 */

/* A question; everything that it reads is of one moment of the store. */
struct asking {
	struct rh_store *store;
	const char *action;
	struct license_moment moment;
	struct trust trust;
	bool unproven; /* read signed licences without a look at their signature */
	struct store_sealer *sealer;
	struct store_content content; /* of the row that was opened last */
};

/* Within the caller's write transaction, if there is one.  asking_end also after a failure. */
int asking_begin(
    struct asking *asking, struct rh_store *store, const char *action, rh_error *error);
void asking_end(struct asking *asking);

/* A licence that was opened, as its document says it is. */
struct opened {
	struct license facts;
	struct license_rights rights;
	struct license_state state;
	bool known; /* the rights are */
	int code; /* RH_OK, or why the document is not believed: then it grants nothing */
};

/* ${ret_why} gets the sentence to ${ret->code}. */
int asking_open(struct asking *asking, const struct store_row *row, struct opened *ret,
    rh_error *ret_why, rh_error *error);
/* The same of a licence id; also gives the row. */
int asking_get(struct asking *asking, const char *id, struct store_row *row, struct opened *ret,
    rh_error *error);

struct license_holding opened_holding(const struct opened *opened);

/* What one licence says to the action. */
struct grant {
	char id[256];
	int64_t number; /* order of adding */
	int32_t priority;
	unsigned denied; /* 0, or bits of enum license_denied; the root's among them */
	int64_t not_before;
	int64_t not_after;
	bool ended; /* LICENSE_DENIED_EXPIRED is by ${not_after}, not by a period */
	bool chained; /* LICENSE_DENIED_CHAIN, and the root would allow were it not chained */
	bool vague;
	bool has_secret;
	bool proves; /* by a signature, who issued it */
	char issuer[256];
	char root_key[128]; /* key id of its root, or "" */
	char root[256]; /* id of the root licence that allows it, or "" */
	int code; /* RH_OK, or why the document is not believed */
	rh_error *why; /* NULL if ${code} is RH_OK */
};

struct grants {
	/*
	 * The one that is used first stands first.  Whose content key is given away is also the
	 * one that is spent; and a licence that anybody can write never goes before one that is
	 * signed, of which it would spare the counts.
	 */
	struct grant *list;
	size_t count;
	size_t capacity;
};
void grants_free(struct grants *grants);

/*
 * All licences of a key id with their roots.  ${ids}: or, if ${license} is the id
 * of a licence, that one alone.  No licence is no failure.
 */
int grants_load(
    struct asking *asking, const char *license, bool ids, struct grants *ret, rh_error *error);

/* One licence that was opened; its root is looked up. */
int grants_one(struct asking *asking, const struct store_row *row, const struct opened *opened,
    struct grant *ret, rh_error *error);

/* The first one that allows the action, NULL if there is none. */
const struct grant *grants_allowing(const struct grants *grants);

/* Why none does: the code, with a sentence. */
int grants_refusal(const struct asking *asking, const struct grants *grants,
    const char *license, rh_error *error);

#endif
