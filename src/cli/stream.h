#ifndef CLI_STREAM_H
#define CLI_STREAM_H

#include "rehost/rehost.h"

/*
 * Licences that come one after another through a pipe, in bounded memory.
 * Each is one of:
 *
 * - a line of JSON with a string member "body": the licence is the body;
 * - any other JSON object, itself a licence; it may go on over several lines;
 * - XML, up to the line that ends with </LICENSERESPONSE>, or with </LICENSE> if
 *   there is no LICENSERESPONSE around it.
 *
 * Blank lines are skipped; any other line is given as it is, for the library to
 * refuse.  What is over RH_LICENSE_MAX is given cut off at RH_LICENSE_MAX + 1
 * bytes, for the same end, and passed over.
 */
struct stream;

/* ${name} stands in messages; ${fd} and ${name} stay the caller's. */
int stream_new(int fd, const char *name, struct stream **ret, rh_error *error);
void stream_free(struct stream *stream);

/*
 * The next licence, valid until the next call: 1, 0 at the end, or -1 if the stream
 * does not read or somebody asked to stop.
 */
int stream_next(struct stream *stream, rh_document *ret_document, rh_error *error);

#endif
