#ifndef ENGINE_SORTING_H
#define ENGINE_SORTING_H

#include "engine/engine.h"

/* What becomes of each licence in one backup.  While it is written, only read, by any thread.
 */

/* A service that secrets are sealed for. */
struct sorting_batch {
	char *service;
	uint8_t key[KEY_SIZE]; /* secret */
	char *sealed; /* the key, for the service */
	char *owner; /* says who may release this computer; NULL: nobody knows */
};

struct sorting {
	int64_t now;
	struct pins services;
	struct sorting_batch *batches;
	size_t batch_count;
	/* What goes in, and how many licences there are at all. */
	uint64_t owned;
	uint64_t managed;
	uint64_t licenses;
	uint64_t bytes; /* of owned and managed ones */
	/* Numbers of rows whose secret does not open, rising: known before, and found now. */
	struct sorting_lost {
		int64_t *rows;
		size_t count;
	} lost, found;
};

/*
 * Counts the store, within the caller's read transaction, and makes a key a service; and an
 * owner's statement, if the secret half of the recovery key is there.
 */
int sorting_load(struct rh_store *store, struct sorting *ret, rh_error *error);
void sorting_free(struct sorting *sorting);

/*
 * RH_OK if the licence goes into the backup, with its service in ${*ret_batch} if it is a
 * managed one; else why it does not.
 */
int sorting_judge(const struct sorting *sorting, const struct store_row *row,
    const struct sorting_batch **ret_batch);

/* The words for that; ${text} may be used, or ${row}'s own. */
const char *sorting_words(const struct store_row *row, int code, char text[1024]);

/*
 * A row that was judged RH_OK and whose secret does not open; in their order, and on one
 * thread.  It is judged otherwise only after sorting_again.
 */
int sorting_lose(struct sorting *sorting, const struct store_row *row, rh_error *error);

/* Whether any was lost, so that a new start would judge otherwise. */
bool sorting_again(struct sorting *sorting);

/* Makes the header anew: who the backup is from, who is trusted there, what is in it. */
int sorting_header(const struct sorting *sorting, struct rh_store *store,
    struct backup_header *header, rh_error *error);

#endif
