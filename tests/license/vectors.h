#ifndef TESTS_LICENSE_VECTORS_H
#define TESTS_LICENSE_VECTORS_H

#include <stddef.h>

#include "license/license.h"

/* The vectors of signed licences, and a trust to read them with: src/license/vectors. */

#define VECTORS_NOW 1795360200

struct vectors {
	struct jose_set keys;
	struct license_issuer issuer;
	struct jose_key *computer;
	struct license_trust trust; /* at VECTORS_NOW */
};
void vectors_open(struct vectors *vectors);
void vectors_close(struct vectors *vectors);

/* A file of the vectors with NUL behind it; freed with free(). */
char *vectors_load(const char *name, size_t *ret_size);

/* What the reader said of one document. */
struct reading {
	int code;
	rh_error error;
	size_t count; /* calls of the sink */
	struct license license;
	bool has_rights;
	struct license_rights rights;
	struct buffer secret; /* buffer_free_secret */
};

/*
 * Reads a copy in memory of exactly ${size} bytes as "dir/file"; ${trust} and ${format} may be
 * NULL.  Checks what holds for every reading.
 */
void reading_make(struct reading *reading, const void *data, size_t size, const char *format,
    const struct license_trust *trust);

#endif
