#include <string.h>

#include "backup/reader.h"

/* Decrypted bytes that are read at a time. */
#define STEP ((size_t)256 << 10)

static const uint8_t magic[] = {0x28, 0xb5, 0x2f, 0xfd}; /* of zstd, RFC 8878, 3.1.1 */

/* The longest header of a frame, and its first block: enough for the first bytes within. */
#define FRAME_HEADER_MAX 18 /* RFC 8878, 3.1.1.1, with the magic number */
#define PEEK_MAX (FRAME_HEADER_MAX + 3 + ZSTD_BLOCKSIZE_MAX)

/*
 * What looking at bytes that are no frame may cost, in bytes: so that a file that is full of
 * starts of frames takes no longer than one of its size should.
 */
#define EFFORT_FREE (UINT64_C(16) << 20)
#define EFFORT_SHARE 32

void stream_free(struct stream *stream)
{
	age_reader_free(stream->age);
	ZSTD_freeDCtx(stream->decompressor);
	buffer_free_secret(&stream->bytes);
	buffer_free_secret(&stream->content);
}

/* Reads on; ${*ret_got} false at the end of the file, and at a hole. */
static int fill(struct stream *stream, bool *ret_got, rh_error *error)
{
	struct buffer *bytes = &stream->bytes;
	size_t got = 0;
	rh_error why = {0};
	int code;

	*ret_got = false;
	if (stream->used > 0) {
		buffer_consume(bytes, stream->used);
		stream->used = 0;
	}
	if (stream->hole || stream->end)
		return RH_OK;
	code = buffer_reserve(bytes, STEP, &why);
	if (code == RH_OK)
		code =
		    age_reader_read(stream->age, bytes->data + bytes->size, STEP, &got, &why);
	if (code == RH_E_BACKUP_CORRUPT && stream->salvage) {
		stream->hole = true;
		return RH_OK;
	}
	if (code != RH_OK) {
		if (error != NULL)
			*error = why;
		return code;
	}
	bytes->size += got;
	stream->seen += got;
	stream->end = got == 0;
	*ret_got = got > 0;
	return RH_OK;
}

static size_t left_of(const struct stream *stream)
{
	return stream->bytes.size - stream->used;
}

static int stops(const struct stream *stream, rh_error *error)
{
	return error_set(
	    error, RH_E_BACKUP_CORRUPT, "%s stops before its end", stream->display);
}

int stream_first(struct stream *stream, size_t limit, size_t *ret_size, rh_error *error)
{
	for (;;) {
		size_t left = left_of(stream), length = 0;
		bool got;
		int code = RH_OK;

		if (left > 0)
			code = zframe_measure(
			    stream->bytes.data + stream->used, left, limit, &length, error);
		if (code != RH_OK)
			return code;
		if (length == 0)
			code = fill(stream, &got, error);
		if (code != RH_OK)
			return code;
		if (length > 0 || (!got && (stream->hole || stream->lost > 0))) {
			*ret_size = length;
			return RH_OK;
		}
		if (!got)
			return stops(stream, error);
	}
}

/* ---- What a frame is ---- */

/* Whether the frame holds the end of the archive and nothing else. */
static bool is_archive_end(struct stream *stream, const uint8_t *frame, size_t size)
{
	static const uint8_t zeros[TAR_END_SIZE];
	uint8_t content[TAR_END_SIZE];

	if (ZSTD_getFrameContentSize(frame, size) != sizeof content)
		return false;
	return ZSTD_decompressDCtx(stream->decompressor, content, sizeof content, frame,
		   size) == sizeof content &&
	       memcmp(content, zeros, sizeof zeros) == 0;
}

/* By what stands first in it; ${*ret_known} false if that is nothing of a tar. */
static int classify(
    struct stream *stream, struct piece *piece, bool *ret_known, rh_error *error)
{
	static const uint8_t zeros[TAR_BLOCK];
	uint8_t block[TAR_BLOCK];
	bool there = false;
	int code = zframe_peek(
	    stream->decompressor, piece->bytes, piece->size, FRAME_MAX, block, &there, error);

	if (code != RH_OK)
		return code;
	piece->path[0] = '\0';
	piece->kind = FRAME_OTHER;
	*ret_known = there && tar_path(block, sizeof block, piece->path);
	if (strncmp(piece->path, "licenses/", strlen("licenses/")) == 0)
		piece->kind = FRAME_LICENSES;
	else if (strncmp(piece->path, "manifest/", strlen("manifest/")) == 0)
		piece->kind = FRAME_MANIFEST;
	else if (there && memcmp(block, zeros, sizeof zeros) == 0 &&
		 ZSTD_getFrameContentSize(piece->bytes, piece->size) == TAR_END_SIZE)
		piece->kind = FRAME_ARCHIVE_END;
	*ret_known = *ret_known || piece->kind == FRAME_ARCHIVE_END;
	bytes_wipe(block, sizeof block);
	return RH_OK;
}

/* Reads on until ${size} bytes are left, as far as there are. */
static int want(struct stream *stream, size_t size, rh_error *error)
{
	bool got = true;
	int code = RH_OK;

	while (code == RH_OK && got && left_of(stream) < size)
		code = fill(stream, &got, error);
	return code;
}

/*
 * Nothing may follow the archive's end, ${size} bytes; the last chunk of the age file proves
 * that nothing was cut off.
 */
static int check_end(struct stream *stream, size_t size, rh_error *error)
{
	int code = RH_OK;

	if (!is_archive_end(stream, stream->bytes.data + stream->used, size))
		return error_set(
		    error, RH_E_BACKUP_CORRUPT, "no tar header at offset 0 of a frame");
	code = want(stream, size + 1, error);
	if (code == RH_OK && left_of(stream) > size)
		code = error_set(
		    error, RH_E_BACKUP_CORRUPT, "%s goes on behind its end", stream->display);
	return code;
}

/* ---- Holes ---- */

/* Goes on behind the hole, where a frame may start anywhere. */
static void pass_hole(struct stream *stream)
{
	uint64_t bytes = 0;

	stream->end = !age_reader_skip(stream->age, &bytes);
	stream->lost += bytes;
	stream->hole = false;
	stream->torn = true;
}

/* Whether what stands behind the first frame, ${size} bytes, may stand there. */
static bool follows(const struct stream *stream, enum frame_kind kind, size_t size)
{
	size_t behind = left_of(stream) - size;

	if (behind == 0 || kind == FRAME_ARCHIVE_END)
		return behind == 0;
	return behind >= sizeof magic &&
	       memcmp(stream->bytes.data + stream->used + size, magic, sizeof magic) == 0;
}

/*
 * Whether the whole of what starts here is a frame, as far as it goes: one whose content comes
 * out, and behind which another one starts.  A document may hold what looks like a frame.
 */
static int is_frame(struct stream *stream, enum frame_kind kind, bool *ret, rh_error *error)
{
	size_t size = 0;
	int code = stream_first(stream, FRAME_MAX, &size, error);

	if (code == RH_OK && size > 0)
		code = zframe_unpack(stream->decompressor, stream->bytes.data + stream->used,
		    size, FRAME_MAX, &stream->content, error);
	if (code == RH_OK && size > 0)
		code = want(stream, size + sizeof magic, error);
	if (code == RH_OK)
		*ret = size == 0 || follows(stream, kind, size);
	return code;
}

/* Whether a frame of ours starts here. */
static int is_start(struct stream *stream, bool *ret, rh_error *error)
{
	struct piece piece = {0};
	unsigned long long content;
	bool known = false;
	rh_error why = {0};
	int code;

	*ret = false;
	if (stream->effort > EFFORT_FREE + EFFORT_SHARE * stream->seen)
		return RH_OK;
	code = want(stream, PEEK_MAX, error);
	if (code != RH_OK)
		return code;
	piece.bytes = stream->bytes.data + stream->used;
	piece.size = left_of(stream);
	content = ZSTD_getFrameContentSize(piece.bytes, piece.size);
	if (content == 0 || content > FRAME_MAX)
		return RH_OK;
	code = classify(stream, &piece, &known, &why);
	if (code == RH_OK && known && piece.kind != FRAME_OTHER)
		code = is_frame(stream, piece.kind, ret, &why);
	if (!*ret)
		stream->effort += left_of(stream) + content;
	if (code == RH_E_BACKUP_CORRUPT)
		return RH_OK;
	if (code != RH_OK && error != NULL)
		*error = why;
	return code;
}

/* Looks for the next start of a frame up to the next hole; ${stream->torn} unless there is. */
static int find_start(struct stream *stream, rh_error *error)
{
	bool got = true, found = false;
	int code = RH_OK;

	while (code == RH_OK && !found && got) {
		const uint8_t *start = stream->bytes.data + stream->used;
		const uint8_t *p = left_of(stream) >= sizeof magic
				       ? memmem(start, left_of(stream), magic, sizeof magic)
				       : NULL;

		if (p != NULL) {
			stream->used += (size_t)(p - start);
			code = is_start(stream, &found, error);
			stream->used += found ? 0 : 1;
			continue;
		}
		if (left_of(stream) >= sizeof magic)
			stream->used = stream->bytes.size - (sizeof magic - 1);
		code = fill(stream, &got, error);
	}
	stream->torn = !found;
	if (!found)
		stream->used = stream->bytes.size;
	return code;
}

/* What is there of a frame before a hole; ${*ret} false if it is of no use. */
static int take_cut(struct stream *stream, struct piece *piece, bool *ret, rh_error *error)
{
	bool known = false;
	int code = RH_OK;

	*piece = (struct piece){.size = left_of(stream), .cut = true};
	if (piece->size > 0) {
		piece->bytes = stream->bytes.data + stream->used;
		code = classify(stream, piece, &known, error);
	}
	*ret = known && piece->kind == FRAME_LICENSES;
	stream->used = stream->bytes.size;
	return code;
}

/* ---- Frames ---- */

static int take_whole(struct stream *stream, size_t size, struct piece *piece, rh_error *error)
{
	bool known;
	int code;

	*piece = (struct piece){.bytes = stream->bytes.data + stream->used, .size = size};
	code = classify(stream, piece, &known, error);
	if (code == RH_OK && !known)
		code = error_set(
		    error, RH_E_BACKUP_CORRUPT, "no tar header at offset 0 of a frame");
	if (code == RH_OK && piece->kind == FRAME_ARCHIVE_END)
		code = check_end(stream, size, error);
	if (code != RH_OK)
		return code;
	stream->used += size;
	if (piece->kind == FRAME_ARCHIVE_END && stream->hole)
		pass_hole(stream);
	return RH_OK;
}

/* The next frame if one is there before the next hole. */
static int take(struct stream *stream, struct piece *piece, bool *ret_taken, rh_error *error)
{
	size_t size = 0;
	int code = stream->torn ? find_start(stream, error) : RH_OK;

	*ret_taken = false;
	if (code != RH_OK || stream->torn)
		return code;
	code = stream_first(stream, FRAME_MAX, &size, error);
	if (code == RH_OK && size == 0)
		return take_cut(stream, piece, ret_taken, error);
	if (code == RH_OK)
		code = take_whole(stream, size, piece, error);
	*ret_taken = code == RH_OK;
	return code;
}

int stream_next(struct stream *stream, struct piece *piece, rh_error *error)
{
	for (;;) {
		rh_error why = {0};
		bool taken;
		int code = take(stream, piece, &taken, &why);

		/* Behind a hole, where a frame seemed to start: it was none. */
		if (code == RH_E_BACKUP_CORRUPT && stream->lost > 0) {
			stream->effort += left_of(stream);
			stream->used += left_of(stream) > 0 ? 1 : 0;
			stream->torn = true;
			continue;
		}
		if (code != RH_OK && error != NULL)
			*error = why;
		if (code != RH_OK || taken)
			return code;
		if (stream->hole) {
			if (stream->stop != NULL && stream->stop(stream->stop_context) != 0)
				return error_set(error, RH_E_CANCELED, "stopped on request");
			pass_hole(stream);
		} else if (stream->end && left_of(stream) == 0) {
			*piece = (struct piece){.kind = FRAME_NONE};
			return RH_OK;
		}
	}
}
