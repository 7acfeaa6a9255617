#ifndef SERVICE_ADMIN_H
#define SERVICE_ADMIN_H

#include <jansson.h>

#include "service/ledger.h"

/*
 * What administrators do: one table of operations, which the command line ("rehostd issuer
 * add") and HTTP ("POST /admin/v1/issuer/add") both offer.  Arguments and results are JSON
 * objects.
 */
struct admin {
	struct ledger *ledger;
	int64_t now;
	const char *actor; /* for the log: "local:USER", "token:NAME" */
	/* Receives each object of the result, which it does not own. */
	int (*on_result)(void *context, const json_t *result, rh_error *error);
	void *context;
};

enum admin_kind {
	ADMIN_TEXT,
	ADMIN_NUMBER, /* 0 or more */
	ADMIN_DURATION, /* seconds, or text as in "7d" (s, m, h, d) */
	ADMIN_TIME, /* seconds, or RFC 3339 text */
	ADMIN_OBJECT
};

struct admin_argument {
	const char *name; /* NULL ends the list */
	enum admin_kind kind;
	bool required;
};

struct admin_operation {
	const char *name; /* "issuer add": a group and a word */
	bool writes;
	bool local; /* on the command line alone */
	const struct admin_argument *arguments;
	int (*run)(struct admin *admin, const json_t *arguments, rh_error *error);
};

/* NULL if there is none. */
const struct admin_operation *admin_find(const char *name);

/*
 * Checks the arguments against the operation's and runs it.  RH_E_ARGUMENT names what is wrong;
 * RH_E_LICENSE_UNKNOWN, RH_E_PIN_UNKNOWN, RH_E_PIN_KEYS, RH_E_SERVICE_ROLLED_BACK,
 * RH_E_DATABASE, RH_E_STORE_DAMAGED.
 */
int admin_run(struct admin *admin, const struct admin_operation *operation,
    const json_t *arguments, rh_error *error);

/* ---- For the operations: admin_arguments.c ---- */

/* Rows of a list, if it is not said how many, and at most. */
#define LIST_DEFAULT 100
#define LIST_MAX 10000

/* "" if it was not given. */
const char *admin_text(const json_t *arguments, const char *name);
/* ${otherwise} if it was not given; it was checked before. */
int64_t admin_number(const json_t *arguments, const char *name, int64_t otherwise);
int admin_check(
    const struct admin_operation *operation, const json_t *arguments, rh_error *error);
/* Gives one object of the result, and gives it up; NULL: no memory. */
int admin_result(struct admin *admin, json_t *result, rh_error *error);
/* RFC 3339, or null for LICENSE_TIME_NONE. */
json_t *admin_time(int64_t time);

/* admin_license.c */
int admin_license_list(struct admin *, const json_t *, rh_error *);
int admin_license_show(struct admin *, const json_t *, rh_error *);
int admin_license_block(struct admin *, const json_t *, rh_error *);
int admin_license_unblock(struct admin *, const json_t *, rh_error *);
int admin_license_allow(struct admin *, const json_t *, rh_error *);
int admin_case_show(struct admin *, const json_t *, rh_error *);

#endif
