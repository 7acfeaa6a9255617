#ifndef CLI_SHEET_H
#define CLI_SHEET_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "rehost/rehost.h"

/*
 * The recovery key on paper and on the screen.  Everything here writes secrets:
 * ${out} is what the owner chose.
 */

struct sheet {
	const rh_recovery_key *key; /* with its secret half */
	const char *computer_id;
	int64_t made;
};

/* One page of HTML that needs nothing else: prints on A4 and on Letter paper. */
int sheet_html(FILE *out, const struct sheet *sheet, rh_error *error);

/* The same as plain text; ${terminal}: with colours that make the QR code readable. */
int sheet_text(FILE *out, const struct sheet *sheet, bool terminal, rh_error *error);

/* Code and identity between two rules, for the owner to copy. */
void sheet_box(FILE *out, const rh_recovery_key *key);

/* The groups of the code, five in a row, each row indented. */
void sheet_code(FILE *out, const char *code, const char *indent);

#endif
