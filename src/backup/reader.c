#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backup/internal.h"

/* Decrypted bytes that are read at a time. */
#define STEP ((size_t)256 << 10)

struct backup_reader {
	struct backup_header header;
	char display[DISPLAY_SIZE];
	struct file_source file;
	struct age_source source;
	struct age_reader *age;
	ZSTD_DCtx *decompressor;
	struct buffer bytes; /* decrypted, from the start of a frame */
	size_t used; /* bytes that were handed over */
	bool salvage; /* damage is passed over */
	bool end; /* the archive's end was seen, and that of the file */
};

/* Reads on; ${*ret_got} false at the end of the file. */
static int fill(struct backup_reader *reader, bool *ret_got, rh_error *error)
{
	struct buffer *bytes = &reader->bytes;
	size_t got;
	int code;

	if (reader->used > 0) {
		buffer_consume(bytes, reader->used);
		reader->used = 0;
	}
	code = buffer_reserve(bytes, STEP, error);
	if (code == RH_OK)
		code =
		    age_reader_read(reader->age, bytes->data + bytes->size, STEP, &got, error);
	if (code != RH_OK)
		return code;
	bytes->size += got;
	*ret_got = got > 0;
	return RH_OK;
}

/* Makes a whole frame stand at ${reader->used}, ${*ret_size} long. */
static int whole_frame(
    struct backup_reader *reader, size_t limit, size_t *ret_size, rh_error *error)
{
	for (;;) {
		size_t left = reader->bytes.size - reader->used, length = 0;
		bool got;
		int code = RH_OK;

		if (left > 0)
			code = zframe_measure(
			    reader->bytes.data + reader->used, left, limit, &length, error);
		if (code != RH_OK)
			return code;
		if (length > 0) {
			*ret_size = length;
			return RH_OK;
		}
		code = fill(reader, &got, error);
		if (code != RH_OK)
			return code;
		if (!got)
			return error_set(error, RH_E_BACKUP_CORRUPT, "%s stops before its end",
			    reader->display);
	}
}

/* ---- Opening ---- */

/* A file under another's name would pass for a newer or an older backup. */
static int check_name(struct backup_reader *reader, const char *file, rh_error *error)
{
	int64_t created;
	char id[BACKUP_ID_SIZE];

	if (generation_parse(file, &created, id) &&
	    (created != reader->header.created || strcmp(id, reader->header.id) != 0))
		return error_set(error, RH_E_BACKUP_CORRUPT,
		    "%s was renamed: inside it is another backup", reader->display);
	return RH_OK;
}

static int read_header(struct backup_reader *reader, const char *file, rh_error *error)
{
	struct buffer tar = {0};
	size_t size;
	int code = whole_frame(reader, HEADER_FRAME_MAX, &size, error);

	if (code == RH_OK)
		code = zframe_unpack(reader->decompressor, reader->bytes.data, size,
		    HEADER_FRAME_MAX, &tar, error);
	if (code == RH_OK)
		code = backup_header_read(tar.data, tar.size, &reader->header, error);
	if (code == RH_OK)
		code = check_name(reader, file, error);
	if (code == RH_OK)
		reader->used = size;
	buffer_free(&tar);
	return code;
}

int backup_reader_new(struct backup_directory *directory, const char *file,
    const struct age_keys *keys, bool salvage, struct backup_reader **ret, rh_error *error)
{
	struct backup_reader *reader = calloc(1, sizeof *reader);
	int code;

	if (reader == NULL)
		return error_memory(error);
	reader->file.fd = -1;
	reader->salvage = salvage;
	reader->file.path = backup_directory_display(reader->display, directory, file);
	reader->source =
	    (struct age_source){.read_at = file_source_read, .context = &reader->file};
	code = backup_directory_file(
	    directory, file, false, &reader->file.fd, &reader->source.size, error);
	if (code == RH_OK)
		code = age_reader_new(&reader->source, keys, &reader->age, error);
	if (code == RH_OK) {
		reader->decompressor = ZSTD_createDCtx();
		if (reader->decompressor == NULL)
			code = error_memory(error);
	}
	if (code == RH_OK)
		code = read_header(reader, file, error);
	if (code != RH_OK) {
		backup_reader_free(reader);
		return code;
	}
	*ret = reader;
	return RH_OK;
}

const struct backup_header *backup_reader_header(const struct backup_reader *reader)
{
	return &reader->header;
}

void backup_reader_wear(const struct backup_reader *reader, struct backup_wear *ret)
{
	(void)reader;
	*ret = (struct backup_wear){0};
}

void backup_reader_free(struct backup_reader *reader)
{
	if (reader == NULL)
		return;
	age_reader_free(reader->age);
	if (reader->file.fd >= 0)
		close(reader->file.fd);
	ZSTD_freeDCtx(reader->decompressor);
	buffer_free_secret(&reader->bytes);
	backup_header_free(&reader->header);
	free(reader);
}

/* ---- Frames ---- */

/* Whether the frame holds the end of the archive and nothing else. */
static bool is_archive_end(struct backup_reader *reader, const uint8_t *frame, size_t size)
{
	static const uint8_t zeros[TAR_END_SIZE];
	uint8_t content[TAR_END_SIZE];

	if (ZSTD_getFrameContentSize(frame, size) != sizeof content)
		return false;
	return ZSTD_decompressDCtx(reader->decompressor, content, sizeof content, frame,
		   size) == sizeof content &&
	       memcmp(content, zeros, sizeof zeros) == 0;
}

/* Nothing may follow; the last chunk of the age file proves that nothing was cut off. */
static int check_file_end(struct backup_reader *reader, rh_error *error)
{
	bool got = false;
	int code = RH_OK;

	if (reader->used == reader->bytes.size)
		code = fill(reader, &got, error);
	if (code != RH_OK)
		return code;
	if (got || reader->used < reader->bytes.size)
		return error_set(
		    error, RH_E_BACKUP_CORRUPT, "%s goes on behind its end", reader->display);
	reader->end = true;
	return RH_OK;
}

int backup_reader_next(
    struct backup_reader *reader, struct backup_frame *frame, rh_error *error)
{
	const uint8_t *start;
	size_t size;
	int code;

	backup_frame_clear(frame);
	if (reader->end)
		return RH_OK;
	code = whole_frame(reader, FRAME_MAX, &size, error);
	if (code != RH_OK)
		return code;
	start = reader->bytes.data + reader->used;
	if (is_archive_end(reader, start, size)) {
		reader->used += size;
		return check_file_end(reader, error);
	}
	code = buffer_append(&frame->licenses, start, size, error);
	if (code == RH_OK)
		reader->used += size;
	return code;
}
