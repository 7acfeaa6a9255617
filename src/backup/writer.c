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
#include "backup/parity.h"
#include "backup/sink.h"

/* FORMAT.md, "Frames": how many frames lie between licences and their manifest. */
#define WAITING_MAX 8

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
	struct sink sink;
	uint64_t frames; /* of licences */
	uint64_t manifests; /* that were written; those of later frames wait */
	struct buffer waiting[WAITING_MAX];
	unsigned parity; /* percent; 0: none */
	char parity_file[BACKUP_NAME_SIZE];
	char parity_part[PART_NAME_SIZE];
	char parity_display[DISPLAY_SIZE];
	int parity_fd;
	bool parity_created;
	bool parity_placed; /* under its final name */
};

uint64_t backup_writer_bytes(const struct backup_writer *writer)
{
	uint64_t bytes = sink_bytes(&writer->sink);

	for (size_t i = 0; i < WAITING_MAX; i++)
		bytes += writer->waiting[i].size;
	return bytes;
}

int backup_writer_reserve(struct backup_writer *writer, uint64_t bytes, rh_error *error)
{
	return sink_reserve(&writer->sink, bytes, error);
}

uint64_t backup_writer_room(const struct backup_writer *writer)
{
	return room_of_files(writer->fd, writer->parity_fd);
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
	parity_name(writer->parity_file, writer->file);
	snprintf(writer->parity_part, sizeof writer->parity_part, "%s%s", writer->parity_file,
	    PART_SUFFIX);
	backup_directory_display(
	    writer->parity_display, writer->directory, writer->parity_part);
	return RH_OK;
}

static int create_part(const struct backup_writer *writer, const char *part,
    const char *display, int *ret_fd, bool *ret_created, rh_error *error)
{
	*ret_fd = openat(writer->directory->fd, part,
	    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*ret_fd < 0)
		return error_errno(error, RH_E_WRITE, errno, "cannot create %s", display);
	*ret_created = true;
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

	header->format_version = BACKUP_FORMAT_VERSION;
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
	writer->parity_fd = -1;
	writer->parity = parity;
	writer->sink.keep_sums = parity > 0;
	code = sink_init(&writer->sink, error);
	if (code == RH_OK)
		code = zframe_compressor(&writer->compressor, error);
	if (code == RH_OK)
		code = choose_name(writer, header, error);
	if (code == RH_OK)
		code = create_part(writer, writer->part, writer->display, &writer->fd,
		    &writer->created, error);
	if (code == RH_OK) {
		sink_open(&writer->sink, writer->fd, writer->display);
		code = age_writer_new(
		    recipients, count, NULL, 0, sink_write, &writer->sink, &writer->age, error);
	}
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

/* The manifest that has waited longest. */
static int put_manifest(struct backup_writer *writer, rh_error *error)
{
	struct buffer *manifest = &writer->waiting[writer->manifests++ % WAITING_MAX];
	int code = put(writer, manifest, error);

	buffer_clear(manifest);
	return code;
}

int backup_writer_append(
    struct backup_writer *writer, const struct backup_frame *frame, rh_error *error)
{
	struct buffer *manifest = &writer->waiting[writer->frames % WAITING_MAX];
	int code;

	if (frame->licenses.size == 0)
		return RH_OK;
	code = put(writer, &frame->licenses, error);
	if (code == RH_OK && writer->frames - writer->manifests == WAITING_MAX)
		code = put_manifest(writer, error);
	if (code == RH_OK)
		code =
		    buffer_append(manifest, frame->manifest.data, frame->manifest.size, error);
	writer->frames++;
	return code;
}

/* ---- Ending ---- */

/* What still waits, and the frame that ends the archive. */
static int write_end(struct backup_writer *writer, rh_error *error)
{
	static const uint8_t zeros[TAR_END_SIZE];
	struct buffer frame = {0};
	int code = zframe_pack(writer->compressor, zeros, sizeof zeros, &frame, error);

	while (code == RH_OK && writer->manifests < writer->frames)
		code = put_manifest(writer, error);
	if (code == RH_OK)
		code = put(writer, &frame, error);
	buffer_free(&frame);
	return code == RH_OK ? age_writer_finish(writer->age, error) : code;
}

/* Out of the file as it was just read back. */
static int write_parity(
    struct backup_writer *writer, int (*stop)(void *context), void *context, rh_error *error)
{
	struct parity_target target = {.fd = writer->fd,
	    .size = sink_bytes(&writer->sink),
	    .sums = (const uint64_t *)(const void *)writer->sink.sums.data,
	    .file = writer->file,
	    .display = writer->display,
	    .out_display = writer->parity_display};
	int code = create_part(writer, writer->parity_part, writer->parity_display,
	    &writer->parity_fd, &writer->parity_created, error);

	target.out = writer->parity_fd;
	return code == RH_OK ? parity_write(&target, writer->parity, stop, context, NULL, error)
			     : code;
}

int backup_writer_finish(
    struct backup_writer *writer, int (*stop)(void *context), void *context, rh_error *error)
{
	int code = write_end(writer, error);

	if (code == RH_OK)
		code = sink_finish(&writer->sink, stop, context, error);
	if (code == RH_OK && writer->parity > 0)
		code = write_parity(writer, stop, context, error);
	if (code == RH_OK)
		writer->finished = true;
	return code;
}

static int check_free(const struct backup_writer *writer, const char *name, rh_error *error)
{
	struct stat status;

	if (fstatat(writer->directory->fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
		return RH_OK;
	return error_set(error, RH_E_WRITE, "%s: its final name is taken", writer->display);
}

static int put_into_place(
    const struct backup_writer *writer, const char *part, const char *file, rh_error *error)
{
	int fd = writer->directory->fd;

	if (renameat(fd, part, fd, file) != 0)
		return error_errno(error, RH_E_WRITE, errno, "cannot put %s/%s into place",
		    writer->directory->path, part);
	return RH_OK;
}

int backup_writer_commit(struct backup_writer *writer, rh_error *error)
{
	struct backup_directory *directory = writer->directory;
	int code;

	if (!writer->finished || writer->committed)
		return error_set(error, RH_E_ARGUMENT, "no finished backup to commit");
	code = howto_write(directory, error);
	if (code == RH_OK)
		code = check_free(writer, writer->file, error);
	if (code == RH_OK && writer->parity_created)
		code = check_free(writer, writer->parity_file, error);
	if (code == RH_OK && writer->parity_created) {
		code = put_into_place(writer, writer->parity_part, writer->parity_file, error);
		writer->parity_placed = code == RH_OK;
	}
	if (code == RH_OK)
		code = put_into_place(writer, writer->part, writer->file, error);
	if (code != RH_OK)
		return code;
	writer->committed = true;
	memcpy(directory->committed, writer->file, sizeof directory->committed);
	return file_sync_directory(directory->fd, directory->path, error);
}

/* What stands there of a backup that did not come into being. */
static void remove_files(struct backup_writer *writer)
{
	int directory = writer->directory->fd;

	if (writer->committed)
		return;
	if (writer->created)
		unlinkat(directory, writer->part, 0);
	if (writer->parity_created)
		unlinkat(directory,
		    writer->parity_placed ? writer->parity_file : writer->parity_part, 0);
}

void backup_writer_free(struct backup_writer *writer)
{
	if (writer == NULL)
		return;
	if (writer->fd >= 0)
		close(writer->fd);
	if (writer->parity_fd >= 0)
		close(writer->parity_fd);
	remove_files(writer);
	for (size_t i = 0; i < WAITING_MAX; i++)
		buffer_free_secret(&writer->waiting[i]);
	age_writer_free(writer->age);
	ZSTD_freeCCtx(writer->compressor);
	sink_free(&writer->sink);
	free(writer);
}
