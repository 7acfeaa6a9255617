#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "rehost/rehost.h"

/*
 * The licence files that the command line names: files, every file under a
 * directory in the order of names, and "-" for the stream on standard input.
 * In a directory, names that start with a dot are passed over.
 */
struct input;

/* What could not be read, as it is met: input goes on after it. */
typedef void (*input_skipped)(void *context, const rh_error *error);

/*
 * Everything named must exist.  ${paths} and ${format} (NULL: detect) stay the
 * caller's and must outlive the input.
 */
int input_new(char **paths, int count, const char *format, input_skipped skipped, void *context,
    struct input **ret, rh_error *error);
void input_free(struct input *input);

/* An rh_document_source; ${context} is the input. */
int input_next(void *context, rh_document *ret_document, rh_error *error);

#endif
