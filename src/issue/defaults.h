#ifndef ISSUE_DEFAULTS_H
#define ISSUE_DEFAULTS_H

#include <jansson.h>

#include "cli/options.h"

/*
 * What the options say of every licence, as a row.  Returns EXIT_DONE, or another exit status
 * having said why.  ${*ret} is given up with json_decref.
 */
int defaults_read(const struct arguments *arguments, json_t **ret);

#endif
