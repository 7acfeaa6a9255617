#ifndef CLI_HELP_H
#define CLI_HELP_H

#include <stdio.h>

#include "cli/options.h"

/* Help in at most 80 columns, from the tables. */
void help_all(FILE *out);
void help_command(FILE *out, const struct command *command);

/* A few lines for who types the program's name alone. */
void help_short(FILE *out);

/*
 * Every command, option and exit status as lines of fields with tabs between them, for
 * the test that compares the man page with the tables.
 */
void help_dump(FILE *out);

#endif
