#ifndef BACKUP_SINK_H
#define BACKUP_SINK_H

#include "backup/internal.h"

/*
 * A file on its way to the medium, which is read back behind the writing: of this room only.
 */
struct sink {
	int fd; /* not ours */
	const char *display; /* not ours */
	struct checksum *written;
	struct checksum *found; /* in what was read back so far */
	uint8_t *block;
	size_t used;
	uint8_t *read_block;
	bool keep_sums; /* parity follows */
	struct buffer sums; /* parity_sum() of each block that was read back */
	uint64_t size; /* bytes written */
	uint64_t flushed; /* of these, bytes that the medium has */
	uint64_t checked; /* of these, bytes that were read back */
	uint64_t reserved; /* up to where room is held for it; 0: nowhere */
	bool ranges; /* the file system flushes a range of a file by itself */
};

/* Zeros are a sink too, to be freed. */
int sink_init(struct sink *sink, rh_error *error);
void sink_free(struct sink *sink);

/* To an empty file, open for reading and writing. */
void sink_open(struct sink *sink, int fd, const char *display);

/* An age_sink; ${context} is the sink. */
int sink_write(void *context, const void *bytes, size_t size, rh_error *error);
uint64_t sink_bytes(const struct sink *sink);

/*
 * Flushes the file, reads back what is left of it and compares; asks ${stop} before each MiB.
 * RH_E_READ_BACK, RH_E_CANCELED.
 */
int sink_finish(struct sink *sink, int (*stop)(void *context), void *context, rh_error *error);

/*
 * Flushes a file, its bytes from ${from} to ${to} a MiB at a time, if the file system can, and
 * asks ${stop} before each.
 */
int flush_in_steps(int fd, uint64_t from, uint64_t to, const char *display,
    int (*stop)(void *context), void *context, rh_error *error);

/* ---- reserve.c: room on the medium ---- */

/*
 * Holds room for ${bytes} behind what was written, where the file system can.  RH_E_FULL;
 * RH_E_WRITE if the medium fails.
 */
int sink_reserve(struct sink *sink, uint64_t bytes, rh_error *error);
/* Gives back what was not needed; after the last byte was written. */
void sink_release(struct sink *sink);
/* What two open files of one file system may take; ${other} may be -1.  UINT64_MAX: unknown. */
uint64_t room_of_files(int fd, int other);

#endif
