#ifndef LICENSE_FOUND_H
#define LICENSE_FOUND_H

#include "license/reader.h"

/*
 * The licences of one document, kept until it has been read to its end: all of them are
 * given away, or none.  Private to this room.
 */

struct found {
	struct license license; /* without an id: it gets one */
	struct license_rights rights;
	bool has_rights; /* false: the reader cannot tell them */
};

/* All zero but for the document is an empty list. */
struct found_list {
	const struct license_document *document;
	struct found *items;
	size_t count;
	size_t capacity;
	char digest_id[READER_DIGEST_ID_SIZE]; /* once it was needed */
};

/*
 * Adds a copy.  A licence without an id is named after the document's digest; those behind
 * the first add their number.  ${place} is for messages: where in the document, or "".
 */
int found_add(
    struct found_list *list, const struct found *found, const char *place, rh_error *error);

int found_give(
    const struct found_list *list, license_sink sink, void *context, rh_error *error);

void found_free(struct found_list *list);

#endif
