#ifndef TESTS_BACKUP_SALVAGE_FOUND_H
#define TESTS_BACKUP_SALVAGE_FOUND_H

#include "book.h"

/* What a reader makes of a book's backup, or of what is left of it. */

struct found {
	const struct book *book;
	unsigned *given;
	unsigned *told; /* as damaged */
	unsigned *facts; /* ... with the right facts, of a frame that is proven */
	struct backup_wear wear;
	unsigned all;
	unsigned stop_at; /* the hole before which reading is stopped; 0: none */
	unsigned holes; /* that were asked at */
	bool unseen; /* licences are counted only, which takes no memory */
};

void found_new(struct found *found, const struct book *book);
void found_free(struct found *found);

/* Reads ${file}. */
int found_read(
    const char *path, const char *file, bool salvage, struct found *found, rh_error *error);

/* Fails unless what came is what must be left without the ${bad} chunks; ${what} is for
 * messages. */
void found_compare(const struct book *book, const bool *bad, const struct found *found,
    const char *what, size_t where);

#endif
