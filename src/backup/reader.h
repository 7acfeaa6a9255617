#ifndef BACKUP_READER_H
#define BACKUP_READER_H

#include "backup/internal.h"

/* What the files that read a backup share; nobody else includes it. */

/* ---- reader_stream.c: decrypted bytes, cut into frames ---- */

/*
 * The plaintext from ${used} on.  With ${salvage}, chunks that are not authentic are holes:
 * what is in ${bytes} then ends at one, and what comes behind it is only looked at once that is
 * handed over.
 */
struct stream {
	struct age_reader *age;
	ZSTD_DCtx *decompressor;
	const char *display;
	struct buffer bytes; /* secret */
	size_t used; /* bytes that were handed over */
	bool salvage;
	bool hole; /* ${bytes} end at a hole, or at the end of the file */
	bool torn; /* what comes next need not be the start of a frame */
	bool end; /* nothing follows */
	uint64_t lost; /* bytes in holes */
	struct buffer content; /* of a frame that was looked at; secret */
	uint64_t effort; /* bytes that were looked at for frames that were none */
	uint64_t seen; /* bytes that were decrypted */
	int (*stop)(void *context); /* or NULL */
	void *stop_context;
};

enum frame_kind {
	FRAME_LICENSES,
	FRAME_MANIFEST,
	FRAME_OTHER, /* of members that we do not know */
	FRAME_ARCHIVE_END,
	FRAME_NONE /* nothing follows */
};

/* Valid until the next call with this stream. */
struct piece {
	enum frame_kind kind;
	const uint8_t *bytes;
	size_t size;
	bool cut; /* it stops at a hole; then it is of licences */
	char path[TAR_PATH_MAX + 1]; /* of its first member */
};

void stream_free(struct stream *stream);

/*
 * Makes the whole first frame stand at ${stream->used}, ${*ret_size} long; with ${salvage} 0 if
 * it has a hole.
 */
int stream_first(struct stream *stream, size_t limit, size_t *ret_size, rh_error *error);

/*
 * The next frame, handed over.  Without ${salvage} it is RH_E_BACKUP_CORRUPT if anything is
 * wrong, and FRAME_NONE is not given: the archive's end is the authenticated end of the file.
 * RH_E_CANCELED at a hole if ${stream->stop} says so.
 */
int stream_next(struct stream *stream, struct piece *piece, rh_error *error);

/* ---- reader_pairs.c: licences and manifests find each other ---- */

#define PAIRS_WAITING_MAX 64 /* frames of licences that wait for their manifests */
#define PAIRS_BYTES_MAX ((size_t)32 << 20) /* of all that wait */
#define PAIRS_ROOM (PAIRS_WAITING_MAX + 1)

/* The oldest first.  Buffers of those behind ${count} are used again. */
struct pairs {
	struct pair {
		struct backup_frame frame;
		char path[TAR_PATH_MAX + 1]; /* of its first member */
		bool ready; /* waits for nobody */
	} all[PAIRS_ROOM];
	size_t count;
	size_t bytes;
	struct buffer tar; /* of a manifest */
};

void pairs_free(struct pairs *pairs);

/* Takes the oldest if it is ready. */
bool pairs_take(struct pairs *pairs, struct backup_frame *frame);

/* Whether more wait than may; none may come then before the oldest has gone. */
bool pairs_crowded(const struct pairs *pairs);

/* The ${count} oldest go alone, but for those that are ready. */
void pairs_give_up(struct pairs *pairs, size_t count);

/* A frame of licences waits for its manifest, unless it is ${ready}: alone, or with its own. */
int pairs_licenses(
    struct pairs *pairs, const struct piece *piece, bool ready, bool alone, rh_error *error);

/*
 * A manifest goes to the oldest that waits; RH_E_BACKUP_CORRUPT if none does.  With
 * ${decompressor}, which is NULL unless something was lost, it goes to the one whose first
 * member it lists first, older ones go alone, and if there is none it stands for what is lost.
 */
int pairs_manifest(
    struct pairs *pairs, const struct piece *piece, ZSTD_DCtx *decompressor, rh_error *error);

#endif
