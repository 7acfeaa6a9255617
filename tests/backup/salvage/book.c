#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "book.h"

const uint8_t book_key[KEY_SIZE] = "a key that is for proofs in test";

/* ---- Writing ---- */

static struct book_frame *new_frame(struct book *book, enum book_kind kind)
{
	struct book_frame *frame;

	book->frames = realloc(book->frames, (book->count + 1) * sizeof *book->frames);
	assert_non_null(book->frames);
	frame = &book->frames[book->count++];
	*frame = (struct book_frame){.kind = kind};
	return frame;
}

static void put_member(struct book_frame *frame, struct buffer *tar, unsigned license,
    const char *path, const void *bytes, size_t size)
{
	struct book_member member = {.start = tar->size, .license = license};

	expect_ok(tar_append(tar, path, bytes, size, BOOK_CREATED, &error));
	member.end = tar->size;
	frame->members =
	    realloc(frame->members, (frame->member_count + 1) * sizeof *frame->members);
	assert_non_null(frame->members);
	frame->members[frame->member_count++] = member;
}

static void put_frame(struct book *book, struct book_frame *frame, const struct buffer *tar)
{
	ZSTD_CCtx *compressor = NULL;
	struct buffer packed = {0};

	expect_ok(zframe_compressor(&compressor, &error));
	expect_ok(zframe_pack(compressor, tar->data, tar->size, &packed, &error));
	frame->content = tar->size;
	frame->start = book->plain.size;
	expect_ok(buffer_append(&book->plain, packed.data, packed.size, &error));
	frame->end = book->plain.size;
	buffer_free(&packed);
	ZSTD_freeCCtx(compressor);
}

static void put_header(struct book *book)
{
	static const uint8_t key[KEY_SIZE] = "a signature that is not for real";
	struct backup_header header = {.format_version = book->version,
	    .id = BOOK_ID,
	    .created = BOOK_CREATED,
	    .generator = "a test",
	    .computer_id = "00",
	    .owned = book->licenses,
	    .bytes = book->licenses * book->document_size};
	struct buffer tar = {0};

	expect_ok(backup_header_write(&header, key, NULL, &tar, &error));
	put_frame(book, new_frame(book, BOOK_HEADER), &tar);
	buffer_free(&tar);
}

/* The lines of what is put, and its member. */
static void put_part(struct book_frame *frame, struct buffer *tar, struct buffer *lines,
    unsigned license, const char *component, const char *part, const struct buffer *bytes)
{
	char path[TAR_PATH_MAX + 1], hex[2 * DIGEST_SIZE + 1];
	uint8_t digest[DIGEST_SIZE];

	if (bytes->size == 0)
		return;
	snprintf(path, sizeof path, "licenses/%s/%s", component, part);
	put_member(frame, tar, license, path, bytes->data, bytes->size);
	expect_ok(sha256(digest, bytes->data, bytes->size, &error));
	text_hex(hex, digest, sizeof digest);
	expect_ok(buffer_append_text(lines, hex, &error));
	expect_ok(buffer_append_text(lines, "  ", &error));
	expect_ok(buffer_append_text(lines, path, &error));
	expect_ok(buffer_append_text(lines, "\n", &error));
}

/* Every licence but each seventh has facts: its number. */
static void put_license(struct book *book, struct book_frame *frame, struct buffer *tar,
    struct buffer *lines, struct buffer *facts, unsigned number)
{
	struct sample sample;
	char line[FRAME_COMPONENT_MAX + 32];

	sample_make(&sample, number, book->document_size);
	put_part(frame, tar, lines, number, sample.component, "document", &sample.document);
	put_part(frame, tar, lines, number, sample.component, "secret", &sample.secret);
	put_part(frame, tar, lines, number, sample.component, "state.json", &sample.state);
	snprintf(line, sizeof line, "%s\tfacts %u\n", sample.component, number);
	if (number % 7 != 0)
		expect_ok(buffer_append_text(facts, line, &error));
	sample_free(&sample);
}

static void put_manifest(struct book_frame *frame, struct buffer *tar, unsigned number,
    const struct buffer *lines, const struct buffer *facts)
{
	struct frame_prover prover = {0};
	struct digest *digest = NULL;
	char path[TAR_PATH_MAX + 1], manifest[TAR_PATH_MAX + 1], hex[2 * DIGEST_SIZE + 1];
	uint8_t proof[DIGEST_SIZE];

	snprintf(manifest, sizeof manifest, "manifest/%06u.sha256", number);
	frame_prover_set(&prover, book_key, BOOK_ID);
	expect_ok(digest_new(&digest, &error));
	expect_ok(frame_prover_make(&prover, digest, manifest, lines->data, lines->size,
	    facts->data, facts->size, proof, &error));
	digest_free(digest);
	text_hex(hex, proof, sizeof proof);
	snprintf(path, sizeof path, "manifest/%06u.facts", number);
	put_member(frame, tar, UINT_MAX, path, facts->data, facts->size);
	snprintf(path, sizeof path, "manifest/%06u.mac", number);
	put_member(frame, tar, UINT_MAX, path, hex, strlen(hex));
	put_member(frame, tar, UINT_MAX, manifest, lines->data, lines->size);
}

struct text {
	struct buffer lines;
	struct buffer facts;
};

static void put_late(struct book *book, unsigned number, struct text *text)
{
	struct book_frame *frame = new_frame(book, BOOK_MANIFEST);
	struct buffer tar = {0};

	frame->number = number;
	put_manifest(frame, &tar, number + 1, &text->lines, &text->facts);
	put_frame(book, frame, &tar);
	buffer_free(&tar);
}

static void put_licenses(
    struct book *book, unsigned number, unsigned per_frame, struct text *text)
{
	struct book_frame *frame = new_frame(book, BOOK_LICENSES);
	struct buffer tar = {0};

	frame->number = number;
	frame->first = number * per_frame;
	frame->count = per_frame;
	for (unsigned i = 0; i < per_frame; i++)
		put_license(book, frame, &tar, &text->lines, &text->facts, frame->first + i);
	if (book->version < 3)
		put_manifest(frame, &tar, number + 1, &text->lines, &text->facts);
	put_frame(book, frame, &tar);
	buffer_free(&tar);
}

static int sink(void *context, const void *bytes, size_t size, rh_error *error)
{
	return buffer_append(context, bytes, size, error);
}

static void seal(struct book *book)
{
	struct age_writer *writer = NULL;

	expect_ok(age_writer_new(
	    &sample_identity()->recipient, 1, NULL, 0, sink, &book->file, &writer, &error));
	expect_ok(age_writer_write(writer, book->plain.data, book->plain.size, &error));
	expect_ok(age_writer_finish(writer, &error));
	age_writer_free(writer);
	book->chunks = (book->plain.size + BOOK_CHUNK - 1) / BOOK_CHUNK;
	book->payload = book->file.size - book->plain.size - book->chunks * BOOK_TAG;
}

void book_make(
    struct book *book, int version, unsigned frames, unsigned per_frame, size_t document_size)
{
	book_make_behind(book, version, frames, per_frame, document_size, 8);
}

void book_make_behind(struct book *book, int version, unsigned frames, unsigned per_frame,
    size_t document_size, unsigned behind)
{
	static const uint8_t zeros[TAR_END_SIZE];
	struct text *texts = calloc(frames, sizeof *texts);
	struct buffer end = {0};

	assert_non_null(texts);
	*book = (struct book){
	    .version = version, .licenses = frames * per_frame, .document_size = document_size};
	put_header(book);
	for (unsigned i = 0; i < frames + behind; i++) {
		if (i < frames)
			put_licenses(book, i, per_frame, &texts[i]);
		if (version >= 3 && i >= behind)
			put_late(book, i - behind, &texts[i - behind]);
	}
	expect_ok(buffer_append(&end, zeros, sizeof zeros, &error));
	put_frame(book, new_frame(book, BOOK_END), &end);
	buffer_free(&end);
	for (unsigned i = 0; i < frames; i++) {
		buffer_free(&texts[i].lines);
		buffer_free(&texts[i].facts);
	}
	free(texts);
	seal(book);
}

void book_free(struct book *book)
{
	for (size_t i = 0; i < book->count; i++)
		free(book->frames[i].members);
	free(book->frames);
	buffer_free(&book->plain);
	buffer_free(&book->file);
}

/* ---- Foretelling ---- */

/* How much of the frame's bytes stands before the first that is lost. */
static size_t good_bytes(
    const struct book *book, const struct book_frame *frame, const bool *bad)
{
	for (size_t chunk = frame->start / BOOK_CHUNK; chunk * BOOK_CHUNK < frame->end; chunk++)
		if (bad[chunk])
			return chunk * BOOK_CHUNK > frame->start
				   ? chunk * BOOK_CHUNK - frame->start
				   : 0;
	assert_true(frame->end / BOOK_CHUNK <= book->chunks);
	return frame->end - frame->start;
}

/* What comes out of ${size} bytes of a frame: whole blocks, of 128 KiB each. RFC 8878, 3.1.1.
 */
static size_t good_content(const struct book *book, const struct book_frame *frame, size_t size)
{
	static const size_t fields[] = {0, 2, 4, 8}, dictionaries[] = {0, 1, 2, 4};
	const uint8_t *p = book->plain.data + frame->start;
	bool single = (p[4] & 0x20) != 0;
	size_t at = 5 + (single ? 0 : 1) + dictionaries[p[4] & 3] + fields[p[4] >> 6] +
		    (single && p[4] >> 6 == 0 ? 1 : 0);
	size_t content = 0;

	if (size == frame->end - frame->start)
		return frame->content;
	while (at + 3 <= size) {
		uint32_t head = p[at] | (uint32_t)p[at + 1] << 8 | (uint32_t)p[at + 2] << 16;
		size_t length = (head >> 1 & 3) == 1 ? 1 : head >> 3;

		if (at + 3 + length > size || (head & 1) != 0)
			break;
		at += 3 + length;
		content += (size_t)128 << 10;
	}
	return content;
}

/* A manifest that is in a frame of its own, or the end of this one. */
static bool has_manifest(
    const struct book *book, const struct book_frame *licenses, const bool *bad)
{
	for (size_t i = 0; i < book->count; i++) {
		const struct book_frame *frame = &book->frames[i];

		if (frame->kind == BOOK_MANIFEST && frame->number == licenses->number)
			return good_bytes(book, frame, bad) == frame->end - frame->start;
	}
	return good_bytes(book, licenses, bad) == licenses->end - licenses->start;
}

/* Whether the members of the licence are among the first ${content} bytes of the tar. */
static bool is_whole(
    const struct book_frame *frame, unsigned license, size_t content, bool listed)
{
	size_t i = 0;

	while (frame->members[i].license != license)
		i++;
	while (i < frame->member_count && frame->members[i].license == license)
		if (frame->members[i++].end > content)
			return false;
	/* Only what comes behind it tells that it was all, where nothing lists it. */
	return listed || content == frame->content ||
	       (i < frame->member_count && frame->members[i].start + TAR_BLOCK <= content);
}

void book_foretell(const struct book *book, const bool *bad, enum book_fate *fates)
{
	for (size_t i = 0; i < book->count; i++) {
		const struct book_frame *frame = &book->frames[i];
		size_t content;
		bool listed;

		if (frame->kind != BOOK_LICENSES)
			continue;
		content = good_content(book, frame, good_bytes(book, frame, bad));
		listed = has_manifest(book, frame, bad);
		for (unsigned l = frame->first; l < frame->first + frame->count; l++)
			fates[l] = is_whole(frame, l, content, listed) ? BOOK_GIVEN
				   : listed                            ? BOOK_TOLD
								       : BOOK_GONE;
	}
}
