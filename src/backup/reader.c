#include <stdlib.h>
#include <string.h>

#include "backup/reader.h"

#define HEADER_MOST 65536 /* bytes of an age header */
#define HEADER_LAST_LINE 48 /* newline, "--- ", MAC, newline */

struct backup_reader {
	struct backup_header header;
	char display[DISPLAY_SIZE];
	struct mended *mended;
	struct age_source source;
	struct stream stream;
	struct pairs pairs;
	int layout; /* the format version, or one with the same frames; 0: not known yet */
	bool header_lost;
	bool end; /* nothing more comes but what is in ${pairs} */
};

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

/* All that is known then is what the file is called. */
static void lose_header(struct backup_reader *reader, const char *file)
{
	reader->header_lost = true;
	generation_parse(file, &reader->header.created, reader->header.id);
}

static int read_header(struct backup_reader *reader, const char *file, rh_error *error)
{
	struct buffer tar = {0};
	size_t size;
	int code = stream_first(&reader->stream, HEADER_FRAME_MAX, &size, error);

	if (code == RH_OK && size == 0) {
		lose_header(reader, file);
		return RH_OK;
	}
	if (code == RH_OK)
		code = zframe_unpack(reader->stream.decompressor, reader->stream.bytes.data,
		    size, HEADER_FRAME_MAX, &tar, error);
	if (code == RH_OK)
		code = backup_header_read(tar.data, tar.size, &reader->header, error);
	if (code == RH_OK)
		code = check_name(reader, file, error);
	if (code == RH_OK) {
		reader->stream.used = size;
		reader->layout = reader->header.format_version;
	}
	buffer_free(&tar);
	return code;
}

/* Bytes of the age header at the start; the most there may be if it has no end. */
static size_t header_size(const struct age_source *source)
{
	static const char last[] = "\n---";
	char text[HEADER_MOST];
	const char *end;
	size_t got = 0;

	if (source->read_at(source->context, 0, text, sizeof text, &got, NULL) != RH_OK)
		got = 0;
	end = memmem(text, got, last, sizeof last - 1);
	return end != NULL ? (size_t)(end - text) + HEADER_LAST_LINE : HEADER_MOST;
}

/*
 * What damage did is told as damage: a stanza that is known to be bad is none for another key,
 * and what the medium could not read is not what somebody wrote.
 */
static int explain(struct backup_reader *reader, int code, const rh_error *why, rh_error *error)
{
	uint64_t lost;

	if (code == RH_OK)
		return code;
	if (error != NULL)
		*error = *why;
	lost = reader->mended != NULL ? mended_lost(reader->mended) : UINT64_MAX;
	if ((code == RH_E_SECRET_WRONG || code == RH_E_BACKUP_NEWER) && lost != UINT64_MAX &&
	    lost < header_size(&reader->source))
		return error_set(error, RH_E_BACKUP_CORRUPT,
		    "the header of %s is damaged, and its parity file cannot mend it",
		    reader->display);
	if (code == RH_E_BACKUP_CORRUPT && reader->mended != NULL)
		code = mended_explain(reader->mended, code, error);
	return code;
}

static int open_stream(struct backup_reader *reader, struct backup_directory *directory,
    const char *file, const struct age_keys *keys, rh_error *error)
{
	struct stream *stream = &reader->stream;
	int code = mended_open(directory, file, &reader->mended, &reader->source, error);

	if (code == RH_OK)
		code = age_reader_new(&reader->source, keys, &stream->age, error);
	if (code != RH_OK)
		return code;
	stream->decompressor = ZSTD_createDCtx();
	return stream->decompressor != NULL ? RH_OK : error_memory(error);
}

int backup_reader_new(struct backup_directory *directory, const char *file,
    const struct age_keys *keys, bool salvage, struct backup_reader **ret, rh_error *error)
{
	struct backup_reader *reader = calloc(1, sizeof *reader);
	rh_error why = {0};
	int code;

	if (reader == NULL)
		return error_memory(error);
	reader->stream.salvage = salvage;
	reader->stream.display = backup_directory_display(reader->display, directory, file);
	code = open_stream(reader, directory, file, keys, &why);
	if (code == RH_OK)
		code = read_header(reader, file, &why);
	code = explain(reader, code, &why, error);
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

void backup_reader_heed(struct backup_reader *reader, int (*stop)(void *context), void *context)
{
	reader->stream.stop = stop;
	reader->stream.stop_context = context;
}

void backup_reader_wear(const struct backup_reader *reader, struct backup_wear *ret)
{
	*ret = (struct backup_wear){
	    .bytes_mended = mended_bytes(reader->mended),
	    .bytes_lost = reader->stream.lost,
	    .header_lost = reader->header_lost,
	};
}

void backup_reader_free(struct backup_reader *reader)
{
	if (reader == NULL)
		return;
	stream_free(&reader->stream);
	pairs_free(&reader->pairs);
	mended_free(reader->mended);
	backup_header_free(&reader->header);
	free(reader);
}

/* ---- Frames ---- */

/* Whether a whole frame of licences has its manifest in itself. */
static int has_manifest(
    struct backup_reader *reader, const struct piece *piece, bool *ret, rh_error *error)
{
	struct stream *stream = &reader->stream;
	struct tar_member member = {0};
	struct tar_cursor cursor;
	bool end = false;
	int code = zframe_unpack(stream->decompressor, piece->bytes, piece->size, FRAME_MAX,
	    &stream->content, error);

	cursor = (struct tar_cursor){stream->content.data, stream->content.size, 0};
	while (code == RH_OK && !end)
		code = tar_next(&cursor, &member, &end, error);
	if (code == RH_OK)
		*ret = strncmp(member.path, "manifest/", strlen("manifest/")) == 0;
	return code;
}

static int take_licenses(
    struct backup_reader *reader, const struct piece *piece, rh_error *error)
{
	bool within;
	int code = RH_OK;

	/* Without a header, the first frames tell what the others are like. */
	if (reader->layout == 0 && !piece->cut) {
		code = has_manifest(reader, piece, &within, error);
		if (code == RH_OK)
			reader->layout = within ? 1 : BACKUP_FORMAT_VERSION;
	}
	within = reader->layout == 1 || reader->layout == 2;
	if (code == RH_OK)
		code =
		    pairs_licenses(&reader->pairs, piece, within, within && piece->cut, error);
	return code;
}

/* Whoever waits too long goes alone behind damage, and else is some. */
static int check_crowd(struct backup_reader *reader, rh_error *error)
{
	if (!pairs_crowded(&reader->pairs))
		return RH_OK;
	if (reader->stream.lost == 0)
		return error_set(error, RH_E_BACKUP_CORRUPT,
		    "%s has too many licences without their manifests", reader->display);
	pairs_give_up(&reader->pairs, 1);
	return RH_OK;
}

static int take_end(struct backup_reader *reader, rh_error *error)
{
	struct pairs *pairs = &reader->pairs;

	reader->end = true;
	if (pairs->count > 0 && reader->stream.lost == 0)
		return error_set(error, RH_E_BACKUP_CORRUPT,
		    "%s has licences without their manifest", reader->display);
	pairs_give_up(pairs, pairs->count);
	return RH_OK;
}

static int take_piece(struct backup_reader *reader, rh_error *error)
{
	ZSTD_DCtx *by_content;
	struct piece piece;
	int code = stream_next(&reader->stream, &piece, error);

	if (code != RH_OK)
		return code;
	switch (piece.kind) {
	case FRAME_LICENSES:
		code = take_licenses(reader, &piece, error);
		break;
	case FRAME_MANIFEST:
		by_content = reader->stream.lost > 0 ? reader->stream.decompressor : NULL;
		code = pairs_manifest(&reader->pairs, &piece, by_content, error);
		break;
	case FRAME_OTHER:
		break;
	case FRAME_ARCHIVE_END:
	case FRAME_NONE:
		return take_end(reader, error);
	}
	return code == RH_OK ? check_crowd(reader, error) : code;
}

int backup_reader_next(
    struct backup_reader *reader, struct backup_frame *frame, rh_error *error)
{
	rh_error why = {0};
	int code = RH_OK;

	backup_frame_clear(frame);
	while (code == RH_OK && !pairs_take(&reader->pairs, frame) && !reader->end)
		code = take_piece(reader, &why);
	return explain(reader, code, &why, error);
}
