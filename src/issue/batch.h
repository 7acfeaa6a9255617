#ifndef ISSUE_BATCH_H
#define ISSUE_BATCH_H

#include "issue/computers.h"
#include "issue/license.h"
#include "issue/rows.h"

/* What is to be issued: a licence for each row and each of its computers. */
struct batch {
	const char *issuer;
	int64_t now; /* "iat" of rows without one */
	json_t *defaults; /* a row of what the options say */
	struct computers computers;
	struct rows *rows; /* NULL: one licence, of the options alone */

	/* The row whose licences are being given. */
	json_t *row;
	struct computer own; /* the computer that the row brought */
	const struct computer *targets;
	size_t target_count; /* 0: one licence, for no computer */
	size_t next;
	bool given; /* the one row of the options */
	bool dry; /* only looking: nothing random is made */
};

/* One licence to sign. */
struct ticket {
	json_t *row; /* with "jti" and "iat" */
	struct computer computer; /* all zero: none */
	uint64_t line;
};
void ticket_clear(struct ticket *ticket);

/* Looks through all rows first, if they can be read twice. */
int batch_check(struct batch *batch, rh_error *error);

/* Fills an empty ticket, or sets ${*ret_end}. */
int batch_next(struct batch *batch, struct ticket *ticket, bool *ret_end, rh_error *error);

/* Puts where the licence comes from before the sentence. */
void batch_blame(const struct batch *batch, uint64_t line, rh_error *error);

/* Frees what the batch holds, but for ${issuer}. */
void batch_clear(struct batch *batch);

#endif
