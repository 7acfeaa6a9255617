#ifndef TESTS_BACKUP_PARITY_KIT_H
#define TESTS_BACKUP_PARITY_KIT_H

#include "backup/parity.h"

/*
 * What the tests of parity share: files that are called backups and hold pseudo-random bytes,
 * and a second opinion on FORMAT.md, "Parity".
 */

#define KIT_FILE "licenses-20260102T030405Z-0123456789abcdef.age"
#define KIT_PARITY "licenses-20260102T030405Z-0123456789abcdef.parity"

/* The same for a seed on every machine. */
struct kit_random {
	uint64_t state;
};
uint64_t kit_next(struct kit_random *random);
/* 0 to ${limit} - 1. */
uint64_t kit_below(struct kit_random *random, uint64_t limit);
void kit_fill(struct kit_random *random, struct buffer *bytes, size_t size);

/* Writes ${bytes} as KIT_FILE into ${path}, and its parity beside it. */
void kit_protect(const char *path, const struct buffer *bytes, unsigned percent);

/* FORMAT.md in other words. */
struct kit_layout {
	size_t blocks, stripes, columns, rows; /* N S k m */
	size_t table, groups, group_columns, group_rows; /* P G k' m' */
	size_t pages;
};
struct kit_layout kit_layout(uint64_t size, unsigned percent);
/* What stands at ${place}: a page of the table, or a parity page; its number. */
bool kit_is_table(const struct kit_layout *layout, size_t place, size_t *ret_number);

#endif
