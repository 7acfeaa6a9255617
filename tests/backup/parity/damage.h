#ifndef TESTS_BACKUP_PARITY_DAMAGE_H
#define TESTS_BACKUP_PARITY_DAMAGE_H

#include "kit.h"

/* A backup with its parity file, damage to them, and what backup_check tells about it. */

#define BLOCK 4096
#define SIZE 3000000

struct damage {
	char path[256];
	struct buffer backup, parity; /* to be written with damage_put */
	struct parity_shape shape;
};
/* For cmocka; the state is a struct damage. */
int damage_setup(void **state);
int damage_teardown(void **state);

void damage_protect(struct damage *test, size_t size, unsigned percent);
void damage_block(struct buffer *bytes, uint64_t block);
void damage_put(const struct damage *test);

#define RUNS_MAX 512

struct told {
	struct told_run {
		bool parity;
		uint64_t offset, bytes;
		bool lost;
	} runs[RUNS_MAX];
	size_t count;
	uint64_t total, bytes;
};
struct backup_state damage_check(const struct damage *test, struct told *told);
/* Fails the test unless run ${i} is this one. */
void damage_expect(
    const struct told *told, size_t i, bool parity, uint64_t offset, uint64_t bytes, bool lost);

#endif
