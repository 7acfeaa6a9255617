#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "backup/parity.h"
#include "backup/sink.h"

/* Bytes that are collected before they are written, and that are flushed and read at a time. */
#define BLOCK_SIZE ((size_t)1 << 20)

/*
 * How far the reading back stays behind the writing: the medium has time to take the
 * bytes in, and only this much is left to flush and to read at the end.
 */
#define BEHIND_SIZE (8 * BLOCK_SIZE)

int sink_init(struct sink *sink, rh_error *error)
{
	int code;

	sink->block = malloc(BLOCK_SIZE);
	sink->read_block = malloc(BLOCK_SIZE);
	if (sink->block == NULL || sink->read_block == NULL)
		return error_memory(error);
	/* Both under one key, or they could not be compared. */
	code = checksum_new(&sink->written, error);
	if (code == RH_OK)
		code = checksum_twin(sink->written, &sink->found, error);
	return code;
}

void sink_free(struct sink *sink)
{
	checksum_free(sink->written);
	checksum_free(sink->found);
	free(sink->block);
	free(sink->read_block);
	buffer_free(&sink->sums);
}

uint64_t sink_bytes(const struct sink *sink)
{
	return sink->size + sink->used;
}

/* ---- Flushing ---- */

/* What lies behind FUSE hears of fsync and of no ranges. */
static bool flushes_ranges(int fd)
{
	struct statfs system;

	return fstatfs(fd, &system) == 0 && system.f_type != FUSE_SUPER_MAGIC;
}

/* A range alone; ${*ranges} false, and nothing is flushed, if the file system cannot. */
static int flush_range(
    int fd, uint64_t at, size_t size, const char *display, bool *ranges, rh_error *error)
{
	const unsigned whole =
	    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

	while (sync_file_range(fd, (off_t)at, (off_t)size, whole) != 0) {
		if (errno == EINTR)
			continue;
		*ranges =
		    errno != EINVAL && errno != ESPIPE && errno != ENOSYS && errno != ENOTSUP;
		/* Told only once: no fsync would tell it again. */
		return *ranges
			   ? error_errno(error, RH_E_WRITE, errno, "cannot flush %s", display)
			   : RH_OK;
	}
	return RH_OK;
}

static int ask(int (*stop)(void *context), void *context, rh_error *error)
{
	if (stop != NULL && stop(context) != 0)
		return error_set(error, RH_E_CANCELED, "stopped on request");
	return RH_OK;
}

int flush_in_steps(int fd, uint64_t from, uint64_t to, const char *display,
    int (*stop)(void *context), void *context, rh_error *error)
{
	bool ranges = flushes_ranges(fd);
	int code = RH_OK;

	while (code == RH_OK && ranges && from < to) {
		size_t size = to - from < BLOCK_SIZE ? (size_t)(to - from) : BLOCK_SIZE;

		code = ask(stop, context, error);
		if (code == RH_OK)
			code = flush_range(fd, from, size, display, &ranges, error);
		from += size;
	}
	return code == RH_OK ? file_sync(fd, display, error) : code;
}

/* All that was written. */
static int flush_data(struct sink *sink, rh_error *error)
{
	while (fdatasync(sink->fd) != 0)
		if (errno != EINTR)
			return error_errno(
			    error, RH_E_WRITE, errno, "cannot flush %s", sink->display);
	sink->flushed = sink->size;
	return RH_OK;
}

/* The next block; all that was written where that cannot be. */
static int flush_block(struct sink *sink, rh_error *error)
{
	int code = RH_OK;

	if (sink->ranges)
		code = flush_range(
		    sink->fd, sink->flushed, BLOCK_SIZE, sink->display, &sink->ranges, error);
	if (!sink->ranges)
		return flush_data(sink, error);
	sink->flushed += BLOCK_SIZE;
	return code;
}

/* ---- Reading back ---- */

/* What is read a second time, for the parity, is compared with these. */
static int keep_sums(struct sink *sink, size_t size, rh_error *error)
{
	int code = RH_OK;

	for (size_t at = 0; at < size && sink->keep_sums && code == RH_OK; at += PARITY_BLOCK) {
		size_t part = size - at < PARITY_BLOCK ? size - at : PARITY_BLOCK;
		uint64_t sum = parity_sum(sink->read_block + at, part);

		code = buffer_append(&sink->sums, &sum, sizeof sum, error);
	}
	return code;
}

/* The next block that the medium has. */
static int check_block(struct sink *sink, rh_error *error)
{
	uint64_t left = sink->flushed - sink->checked;
	size_t size = left < BLOCK_SIZE ? (size_t)left : BLOCK_SIZE, got;
	int code;

	/* What the page cache holds proves nothing. */
	posix_fadvise(sink->fd, (off_t)sink->checked, (off_t)size, POSIX_FADV_DONTNEED);
	code = file_read_at(
	    sink->fd, sink->checked, sink->read_block, size, &got, sink->display, error);
	if (code == RH_OK)
		code = checksum_update(sink->found, sink->read_block, got, error);
	if (code == RH_OK)
		code = keep_sums(sink, got, error);
	if (code == RH_OK && got != size)
		code = error_set(error, RH_E_READ_BACK,
		    "%s reads back shorter than it was written", sink->display);
	sink->checked += size;
	return code;
}

/*
 * Lets the medium start on what was just written, and flushes and reads back what it has had
 * time for: so both go on while the next frames are made.
 */
static int check_behind(struct sink *sink, size_t size, rh_error *error)
{
	int code = RH_OK;

	if (sink->ranges)
		sync_file_range(
		    sink->fd, (off_t)(sink->size - size), (off_t)size, SYNC_FILE_RANGE_WRITE);
	if (sink->size - sink->flushed >= BEHIND_SIZE)
		code = flush_block(sink, error);
	if (code == RH_OK && sink->flushed - sink->checked >= BLOCK_SIZE)
		code = check_block(sink, error);
	return code;
}

/* ---- Writing ---- */

void sink_open(struct sink *sink, int fd, const char *display)
{
	sink->fd = fd;
	sink->display = display;
	sink->ranges = flushes_ranges(fd);
}

static int write_block(struct sink *sink, rh_error *error)
{
	size_t size = sink->used;
	int code;

	if (size == 0)
		return RH_OK;
	code = checksum_update(sink->written, sink->block, size, error);
	if (code == RH_OK)
		code = file_write(sink->fd, sink->block, size, sink->display, error);
	if (code != RH_OK)
		return code;
	sink->size += size;
	sink->used = 0;
	return check_behind(sink, size, error);
}

int sink_write(void *context, const void *bytes, size_t size, rh_error *error)
{
	struct sink *sink = context;
	const uint8_t *p = bytes;
	int code = RH_OK;

	while (size > 0 && code == RH_OK) {
		size_t room = BLOCK_SIZE - sink->used;
		size_t part = size < room ? size : room;

		memcpy(sink->block + sink->used, p, part);
		sink->used += part;
		p += part;
		size -= part;
		if (sink->used == BLOCK_SIZE)
			code = write_block(sink, error);
	}
	return code;
}

/* ---- Ending ---- */

static int compare(struct sink *sink, rh_error *error)
{
	uint8_t written[CHECKSUM_SIZE], found[CHECKSUM_SIZE];
	struct stat status;
	int code = checksum_finish(sink->written, written, error);

	if (code == RH_OK)
		code = checksum_finish(sink->found, found, error);
	if (code != RH_OK)
		return code;
	if (fstat(sink->fd, &status) != 0)
		return error_errno(error, RH_E_READ, errno, "cannot read %s", sink->display);
	if ((uint64_t)status.st_size != sink->size ||
	    !bytes_equal(found, written, CHECKSUM_SIZE))
		return error_set(error, RH_E_READ_BACK,
		    "%s reads back otherwise than it was written", sink->display);
	return RH_OK;
}

int sink_finish(struct sink *sink, int (*stop)(void *context), void *context, rh_error *error)
{
	int code = write_block(sink, error);

	if (code == RH_OK) {
		sink_release(sink);
		code = flush_in_steps(
		    sink->fd, sink->flushed, sink->size, sink->display, stop, context, error);
	}
	sink->flushed = sink->size;
	while (code == RH_OK && sink->checked < sink->size) {
		code = ask(stop, context, error);
		if (code == RH_OK)
			code = check_block(sink, error);
	}
	return code == RH_OK ? compare(sink, error) : code;
}
