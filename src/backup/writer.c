#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "backup/internal.h"

/* Bytes that are collected before they are written, and that are read back at a time. */
#define BLOCK_SIZE ((size_t)1 << 20)

/*
 * How far the reading back stays behind the writing: the medium has time to take the
 * bytes in, and only this much is left to read at the end.
 */
#define BEHIND_SIZE (8 * BLOCK_SIZE)

struct backup_writer {
	struct backup_directory *directory; /* not ours */
	char file[BACKUP_NAME_SIZE];
	char part[PART_NAME_SIZE];
	char display[DISPLAY_SIZE]; /* of the part, for messages */
	int fd;
	bool created;
	bool finished;
	bool committed;
	struct age_writer *age;
	ZSTD_CCtx *compressor;
	struct checksum *written; /* of the age file, as it was written */
	struct checksum *found; /* and as it was read back so far */
	uint8_t *block;
	size_t block_used;
	uint8_t *read_block;
	uint64_t flushed; /* bytes written */
	uint64_t checked; /* bytes of these that were read back */
	unsigned parity; /* percent; 0: none */
};

/* ---- Towards the medium ---- */

/* Reads the next ${size} bytes back from the medium, which has them. */
static int check_block(struct backup_writer *writer, size_t size, rh_error *error)
{
	size_t got;
	int code;

	/* What the page cache holds proves nothing. */
	posix_fadvise(writer->fd, (off_t)writer->checked, (off_t)size, POSIX_FADV_DONTNEED);
	code = file_read_at(writer->fd, writer->checked, writer->read_block, size, &got,
	    writer->display, error);
	if (code == RH_OK)
		code = checksum_update(writer->found, writer->read_block, got, error);
	if (code == RH_OK && got != size)
		code = error_set(error, RH_E_READ_BACK,
		    "%s reads back shorter than it was written", writer->display);
	writer->checked += size;
	return code;
}

/*
 * Lets the medium start on what was just written, and reads back what it has had time for:
 * so both go on while the next frames are made.  A file system that cannot flush a range
 * leaves everything to the end.
 */
static int check_behind(struct backup_writer *writer, size_t size, rh_error *error)
{
	const unsigned whole =
	    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

	sync_file_range(
	    writer->fd, (off_t)(writer->flushed - size), (off_t)size, SYNC_FILE_RANGE_WRITE);
	if (writer->flushed - writer->checked < BEHIND_SIZE)
		return RH_OK;
	if (sync_file_range(writer->fd, (off_t)writer->checked, (off_t)BLOCK_SIZE, whole) == 0)
		return check_block(writer, BLOCK_SIZE, error);
	if (errno == EINVAL || errno == ESPIPE || errno == ENOSYS || errno == ENOTSUP)
		return RH_OK;
	return error_errno(error, RH_E_WRITE, errno, "cannot flush %s", writer->display);
}

static int flush_block(struct backup_writer *writer, rh_error *error)
{
	size_t size = writer->block_used;
	int code;

	if (size == 0)
		return RH_OK;
	code = checksum_update(writer->written, writer->block, size, error);
	if (code == RH_OK)
		code = file_write(writer->fd, writer->block, size, writer->display, error);
	if (code != RH_OK)
		return code;
	writer->flushed += size;
	writer->block_used = 0;
	return check_behind(writer, size, error);
}

static int sink_block(void *context, const void *bytes, size_t size, rh_error *error)
{
	struct backup_writer *writer = context;
	const uint8_t *p = bytes;

	while (size > 0) {
		size_t room = BLOCK_SIZE - writer->block_used;
		size_t part = size < room ? size : room;

		memcpy(writer->block + writer->block_used, p, part);
		writer->block_used += part;
		p += part;
		size -= part;
		if (writer->block_used == BLOCK_SIZE) {
			int code = flush_block(writer, error);

			if (code != RH_OK)
				return code;
		}
	}
	return RH_OK;
}

uint64_t backup_writer_bytes(const struct backup_writer *writer)
{
	return writer->flushed + writer->block_used;
}

/* ---- Starting ---- */

/* A time after that of every generation here: the newest name is the newest backup. */
static int choose_name(
    struct backup_writer *writer, struct backup_header *header, rh_error *error)
{
	int64_t now = clock_now(), latest;
	uint8_t id[(BACKUP_ID_SIZE - 1) / 2];
	int code = backup_directory_latest(writer->directory, &latest, error);

	if (code == RH_OK)
		code = random_bytes(id, sizeof id, error);
	if (code != RH_OK)
		return code;
	if (now < 0)
		now = 0;
	header->created = latest >= now ? latest + 1 : now;
	text_hex(header->id, id, sizeof id);
	if (!generation_name(writer->file, header->created, header->id))
		return error_set(error, RH_E_ARGUMENT,
		    "a backup in %s is dated to the end of time; remove it",
		    writer->directory->path);
	snprintf(writer->part, sizeof writer->part, "%s%s", writer->file, PART_SUFFIX);
	backup_directory_display(writer->display, writer->directory, writer->part);
	return RH_OK;
}

/* Both under one key, or they could not be compared. */
static int make_checksums(struct backup_writer *writer, rh_error *error)
{
	int code;

	writer->block = malloc(BLOCK_SIZE);
	writer->read_block = malloc(BLOCK_SIZE);
	if (writer->block == NULL || writer->read_block == NULL)
		return error_memory(error);
	code = checksum_new(&writer->written, error);
	if (code == RH_OK)
		code = checksum_twin(writer->written, &writer->found, error);
	return code;
}

static int create_part(struct backup_writer *writer, rh_error *error)
{
	writer->fd = openat(writer->directory->fd, writer->part,
	    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (writer->fd < 0)
		return error_errno(
		    error, RH_E_WRITE, errno, "cannot create %s", writer->display);
	writer->created = true;
	return RH_OK;
}

/* What no reader takes must not become a backup for which older ones go. */
static int check_header(
    const struct buffer *tar, const struct backup_header *header, rh_error *error)
{
	struct backup_header again = {0};
	int code = backup_header_read(tar->data, tar->size, &again, error);

	if (code == RH_E_BACKUP_CORRUPT ||
	    (code == RH_OK &&
		(strcmp(again.id, header->id) != 0 || again.created != header->created ||
		    again.owned != header->owned || again.managed != header->managed ||
		    again.service_count != header->service_count ||
		    again.restricted != header->restricted || again.bytes != header->bytes)))
		code = error_set(error, RH_E_INTERNAL, "the header that was made is not valid");
	backup_header_free(&again);
	return code;
}

/* The first frame. */
static int write_header(struct backup_writer *writer, struct backup_header *header,
    const uint8_t *signing_key, const uint8_t *proof_key, rh_error *error)
{
	struct buffer tar = {0}, frame = {0};
	int code;

	header->format_version = header->service_count > 0 ? BACKUP_FORMAT_VERSION : 1;
	if (header->generator[0] == '\0')
		snprintf(
		    header->generator, sizeof header->generator, "rehost %s", REHOST_VERSION);
	code = backup_header_write(header, signing_key, proof_key, &tar, error);
	if (code == RH_OK)
		code = check_header(&tar, header, error);
	if (code == RH_OK)
		code = zframe_pack(writer->compressor, tar.data, tar.size, &frame, error);
	if (code == RH_OK)
		code = age_writer_write(writer->age, frame.data, frame.size, error);
	buffer_free(&tar);
	buffer_free(&frame);
	return code;
}

int backup_writer_new(struct backup_directory *directory, struct backup_header *header,
    const uint8_t *signing_key, const uint8_t *proof_key,
    const struct age_recipient *recipients, size_t count, unsigned parity,
    struct backup_writer **ret, rh_error *error)
{
	struct backup_writer *writer;
	int code;

	if (!directory->writing || count == 0)
		return error_set(error, RH_E_ARGUMENT, "nothing to write a backup with");
	writer = calloc(1, sizeof *writer);
	if (writer == NULL)
		return error_memory(error);
	writer->directory = directory;
	writer->fd = -1;
	writer->parity = parity;
	code = make_checksums(writer, error);
	if (code == RH_OK)
		code = zframe_compressor(&writer->compressor, error);
	if (code == RH_OK)
		code = choose_name(writer, header, error);
	if (code == RH_OK)
		code = create_part(writer, error);
	if (code == RH_OK)
		code = age_writer_new(
		    recipients, count, NULL, 0, sink_block, writer, &writer->age, error);
	if (code == RH_OK)
		code = write_header(writer, header, signing_key, proof_key, error);
	if (code != RH_OK) {
		backup_writer_free(writer);
		return code;
	}
	*ret = writer;
	return RH_OK;
}

static int put(struct backup_writer *writer, const struct buffer *frame, rh_error *error)
{
	return age_writer_write(writer->age, frame->data, frame->size, error);
}

int backup_writer_append(
    struct backup_writer *writer, const struct backup_frame *frame, rh_error *error)
{
	if (frame->licenses.size == 0)
		return RH_OK;
	return put(writer, &frame->licenses, error);
}

/* ---- Ending ---- */

/* The frame that ends the archive. */
static int write_end(struct backup_writer *writer, rh_error *error)
{
	static const uint8_t zeros[TAR_END_SIZE];
	struct buffer frame = {0};
	int code = zframe_pack(writer->compressor, zeros, sizeof zeros, &frame, error);

	if (code == RH_OK)
		code = put(writer, &frame, error);
	buffer_free(&frame);
	if (code == RH_OK)
		code = age_writer_finish(writer->age, error);
	if (code == RH_OK)
		code = flush_block(writer, error);
	return code;
}

/* Reads the rest of the file from the medium and compares all of it with what was written. */
static int read_back(
    struct backup_writer *writer, int (*stop)(void *context), void *context, rh_error *error)
{
	uint8_t written[CHECKSUM_SIZE], found[CHECKSUM_SIZE];
	struct stat status;
	int code = RH_OK;

	while (code == RH_OK && writer->checked < writer->flushed) {
		uint64_t left = writer->flushed - writer->checked;

		if (stop != NULL && stop(context) != 0)
			return error_set(error, RH_E_CANCELED, "stopped on request");
		code =
		    check_block(writer, left < BLOCK_SIZE ? (size_t)left : BLOCK_SIZE, error);
	}
	if (code == RH_OK)
		code = checksum_finish(writer->written, written, error);
	if (code == RH_OK)
		code = checksum_finish(writer->found, found, error);
	if (code != RH_OK)
		return code;
	if (fstat(writer->fd, &status) != 0)
		return error_errno(error, RH_E_READ, errno, "cannot read %s", writer->display);
	if ((uint64_t)status.st_size != writer->flushed ||
	    !bytes_equal(found, written, CHECKSUM_SIZE))
		return error_set(error, RH_E_READ_BACK,
		    "%s reads back otherwise than it was written", writer->display);
	return RH_OK;
}

int backup_writer_finish(
    struct backup_writer *writer, int (*stop)(void *context), void *context, rh_error *error)
{
	int code = write_end(writer, error);

	if (code == RH_OK)
		code = file_sync(writer->fd, writer->display, error);
	if (code == RH_OK)
		code = read_back(writer, stop, context, error);
	if (code == RH_OK)
		writer->finished = true;
	return code;
}

int backup_writer_commit(struct backup_writer *writer, rh_error *error)
{
	struct backup_directory *directory = writer->directory;
	struct stat status;
	int code;

	if (!writer->finished || writer->committed)
		return error_set(error, RH_E_ARGUMENT, "no finished backup to commit");
	code = howto_write(directory, error);
	if (code != RH_OK)
		return code;
	if (fstatat(directory->fd, writer->file, &status, AT_SYMLINK_NOFOLLOW) == 0)
		return error_set(
		    error, RH_E_WRITE, "%s: its final name is taken", writer->display);
	if (renameat(directory->fd, writer->part, directory->fd, writer->file) != 0)
		return error_errno(
		    error, RH_E_WRITE, errno, "cannot put %s into place", writer->display);
	writer->committed = true;
	memcpy(directory->committed, writer->file, sizeof directory->committed);
	return file_sync_directory(directory->fd, directory->path, error);
}

void backup_writer_free(struct backup_writer *writer)
{
	if (writer == NULL)
		return;
	if (writer->fd >= 0)
		close(writer->fd);
	if (writer->created && !writer->committed)
		unlinkat(writer->directory->fd, writer->part, 0);
	age_writer_free(writer->age);
	ZSTD_freeCCtx(writer->compressor);
	checksum_free(writer->written);
	checksum_free(writer->found);
	free(writer->block);
	free(writer->read_block);
	free(writer);
}
