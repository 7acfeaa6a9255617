#ifndef ISSUE_OUTPUT_H
#define ISSUE_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Where issued licences go: lines {"body":"JWS"} to a file or standard output, as `rehost add
 * -` reads them, or a file each in a directory; and the content keys beside them.
 *
 * A file appears under its name when it is whole; only the lines on standard output come
 * as they are made.  The content keys of a licence are written before it is seen.
 */
struct output;

/*
 * ${directory} or ${file} (NULL: standard output), and ${keys} (NULL: content keys are not
 * written); all stay the caller's.  Files must not exist; the directory must.
 */
int output_open(const char *directory, const char *file, const char *keys, struct output **ret,
    rh_error *error);

/* ${ret_name}: the file in the directory, valid until the next call; "" if there is none. */
int output_write(struct output *output, const char *id, const char *jws, const char **ret_name,
    rh_error *error);

/* A line for the content keys, if they are written. */
bool output_wants_keys(const struct output *output);
int output_write_key(struct output *output, const char *line, rh_error *error);

/* Puts all into place, flushed to the medium. */
int output_finish(struct output *output, rh_error *error);

/*
 * After a failure ${finished} is false: no file of lines appears; licences that
 * are in the directory stay there, and so do the content keys of those.
 */
void output_close(struct output *output, bool finished);

#endif
