#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sample.h"

#define TIME 1795360200

/* ---- What a parse brought ---- */

struct result {
	size_t document_size;
	unsigned given;
	unsigned next; /* the number that must come next; they come in order */
	unsigned damaged;
	char component[FRAME_COMPONENT_MAX + 1]; /* the last damaged one */
	rh_error why;
};

static int on_license(void *context, const struct frame_license *license, rh_error *error)
{
	struct result *result = context;
	unsigned number = sample_number(license->component);

	(void)error;
	assert_true(number >= result->next);
	result->next = number + 1;
	assert_true(sample_equal(license, number, result->document_size));
	result->given++;
	return RH_OK;
}

static int on_damaged(void *context, const struct frame_license *damaged, const rh_error *why)
{
	struct result *result = context;

	snprintf(result->component, sizeof result->component, "%s", damaged->component);
	result->why = *why;
	result->damaged++;
	return RH_OK;
}

static int parse(
    const struct backup_frame *frame, struct result *result, bool damage, rh_error *error)
{
	struct frame_parser *parser = NULL;
	int code = frame_parser_new(&parser, error);

	if (code == RH_OK)
		code = frame_parse(
		    parser, frame, on_license, damage ? on_damaged : NULL, result, error);
	frame_parser_free(parser);
	return code;
}

/* ---- Frames as they should be ---- */

static void round_trip(void **state)
{
	static const size_t sizes[] = {0, 1, 511, 512, 513, 4096, 100000, FRAME_DOCUMENT_MAX};
	struct backup_frame frame = {0};

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		unsigned count = sizes[i] > 4096 ? 6 : 31;
		struct result result = {.document_size = sizes[i]};

		sample_frame(&frame, 1, 0, count, sizes[i]);
		expect_ok(parse(&frame, &result, false, &error));
		assert_int_equal(result.given, count);
		assert_int_equal(result.damaged, 0);
	}
	backup_frame_free(&frame);
}

static void builder_and_parser_are_used_again(void **state)
{
	struct frame_builder *builder = NULL;
	struct frame_parser *parser = NULL;

	(void)state;
	expect_ok(frame_builder_new(&builder, &error));
	expect_ok(frame_parser_new(&parser, &error));
	for (unsigned round = 0; round < 20; round++) {
		const struct backup_frame *frame = NULL;
		struct result result = {.document_size = 3000 - 100 * round};

		expect_ok(frame_begin(builder, round, TIME, &error));
		for (unsigned i = 0; i <= round; i++) {
			struct sample sample;
			struct frame_license license;

			sample_make(&sample, i, result.document_size);
			license = sample_license(&sample);
			expect_ok(frame_add(builder, &license, &error));
			sample_free(&sample);
		}
		expect_ok(frame_finish(builder, &frame, &error));
		expect_ok(frame_parse(parser, frame, on_license, NULL, &result, &error));
		assert_int_equal(result.given, round + 1);
	}
	frame_builder_free(builder);
	frame_parser_free(parser);
}

static void size_is_an_upper_bound(void **state)
{
	struct frame_builder *builder = NULL;
	struct buffer tar = {0};
	const struct backup_frame *frame = NULL;
	ZSTD_DCtx *decompressor = ZSTD_createDCtx();
	size_t size = 0;

	(void)state;
	expect_ok(frame_builder_new(&builder, &error));
	expect_ok(frame_begin(builder, 1, TIME, &error));
	for (unsigned i = 0; i < 100; i++) {
		struct sample sample;
		struct frame_license license;

		sample_make(&sample, i, i * 37);
		license = sample_license(&sample);
		expect_ok(frame_add(builder, &license, &error));
		size += frame_license_size(
		    license.document_size, license.secret_size, license.state_size);
		sample_free(&sample);
	}
	expect_ok(frame_finish(builder, &frame, &error));
	expect_ok(zframe_unpack(
	    decompressor, frame->licenses.data, frame->licenses.size, FRAME_MAX, &tar, &error));
	expect_ok(zframe_append(
	    decompressor, frame->manifest.data, frame->manifest.size, FRAME_MAX, &tar, &error));
	assert_true(tar.size <= size + 2 * TAR_BLOCK);
	buffer_free(&tar);
	ZSTD_freeDCtx(decompressor);
	frame_builder_free(builder);
}

static void builder_refuses(void **state)
{
	static const char *const names[] = {"", ".", "..", ".hidden", "a/b", "a b", "a\nb",
	    "a\\b", "\xc3\xa4",
	    "c:", "0123456789012345678901234567890123456789012345678901234567890123"};
	static uint8_t big[FRAME_DOCUMENT_MAX + 1];
	uint8_t digest[DIGEST_SIZE] = {0};
	struct frame_license license = {.component = "a", .document = big, .digest = digest};
	struct frame_builder *builder = NULL;
	const struct backup_frame *frame = NULL;
	int code = RH_OK;
	unsigned added = 0;

	(void)state;
	expect_ok(frame_builder_new(&builder, &error));
	expect_code(frame_begin(builder, 1, -1, &error), RH_E_ARGUMENT);
	expect_ok(frame_begin(builder, 1, TIME, &error));
	expect_ok(frame_finish(builder, &frame, &error));
	assert_int_equal(frame->licenses.size, 0);
	expect_ok(frame_begin(builder, 1, TIME, &error));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		license.component = names[i];
		expect_code(frame_add(builder, &license, &error), RH_E_ARGUMENT);
	}
	license.component = "a";
	license.document_size = FRAME_DOCUMENT_MAX + 1;
	expect_code(frame_add(builder, &license, &error), RH_E_LICENSE_TOO_BIG);
	license.document_size = 0;
	license.secret = big;
	license.secret_size = FRAME_PART_MAX + 1;
	expect_code(frame_add(builder, &license, &error), RH_E_LICENSE_TOO_BIG);
	license.secret_size = 0;
	license.state = big;
	license.state_size = FRAME_PART_MAX + 1;
	expect_code(frame_add(builder, &license, &error), RH_E_LICENSE_TOO_BIG);

	/* What a builder makes, a parser takes: it stops before FRAME_MAX. */
	license.state_size = 0;
	license.document_size = FRAME_DOCUMENT_MAX;
	while (code == RH_OK && added < 100) {
		code = frame_add(builder, &license, NULL);
		added++;
	}
	assert_int_equal(code, RH_E_ARGUMENT);
	assert_int_equal(added, FRAME_MAX / FRAME_DOCUMENT_MAX);
	frame_builder_free(builder);
}

/* Adds ${count} licences that are nothing but facts; false if one was refused. */
static bool add_facts(struct frame_builder *builder, unsigned count)
{
	static char facts[FRAME_FACTS_MAX];
	char component[16];
	struct frame_license license = {
	    .component = component, .document = "", .facts = facts, .facts_size = sizeof facts};
	int code = RH_OK;

	memset(facts, 'f', sizeof facts);
	expect_ok(frame_begin(builder, 1, TIME, &error));
	for (unsigned i = 0; i < count && code == RH_OK; i++) {
		snprintf(component, sizeof component, "a%u", i);
		code = frame_add(builder, &license, NULL);
	}
	assert_true(code == RH_OK || code == RH_E_ARGUMENT);
	return code == RH_OK;
}

static int count_facts(void *context, const struct frame_license *license, rh_error *error)
{
	(void)error;
	assert_int_equal(license->facts_size, FRAME_FACTS_MAX);
	++*(unsigned *)context;
	return RH_OK;
}

/* A manifest has the limit of a frame, too, and a parser takes the largest. */
static void largest_manifest(void **state)
{
	struct frame_builder *builder = NULL;
	struct frame_parser *parser = NULL;
	const struct backup_frame *frame = NULL;
	unsigned count = FRAME_MAX / FRAME_FACTS_MAX, given = 0;

	(void)state;
	expect_ok(frame_builder_new(&builder, &error));
	expect_ok(frame_parser_new(&parser, &error));
	while (!add_facts(builder, count))
		count--;
	assert_true(count > FRAME_MAX / FRAME_FACTS_MAX * 9 / 10);
	/* More than a frame that ends at FRAME_TARGET can hold. */
	assert_true(count * frame_license_size(0, 0, 0) > FRAME_TARGET);
	expect_ok(frame_finish(builder, &frame, &error));
	expect_ok(frame_parse(parser, frame, count_facts, NULL, &given, &error));
	assert_int_equal(given, count);
	frame_parser_free(parser);
	frame_builder_free(builder);
}

/* ---- Frames as they should not be ---- */

struct raw {
	struct buffer tar;
	struct buffer manifest;
};

static void add(struct raw *raw, const char *path, const void *bytes, size_t size)
{
	expect_ok(tar_append(&raw->tar, path, bytes, size, TIME, &error));
}

static void list(struct raw *raw, const char *path, const void *bytes, size_t size)
{
	uint8_t digest[DIGEST_SIZE];
	char hex[2 * DIGEST_SIZE + 1];

	expect_ok(sha256(digest, bytes, size, &error));
	text_hex(hex, digest, sizeof digest);
	expect_ok(buffer_append_text(&raw->manifest, hex, &error));
	expect_ok(buffer_append_text(&raw->manifest, "  ", &error));
	expect_ok(buffer_append_text(&raw->manifest, path, &error));
	expect_ok(buffer_append_text(&raw->manifest, "\n", &error));
}

enum sample_flag { ADD_NO_MEMBER = 1, ADD_NO_LINE = 2, ADD_WRONG = 4 };

/* A sample document of 5 bytes; 1 is one without secret and state. */
static void add_sample(struct raw *raw, unsigned i, unsigned flags)
{
	struct sample sample;
	char path[TAR_PATH_MAX + 1];

	sample_make(&sample, i, 5);
	snprintf(path, sizeof path, "licenses/%s/document", sample.component);
	if (!(flags & ADD_NO_LINE))
		list(raw, path, sample.document.data, sample.document.size);
	if (flags & ADD_WRONG)
		sample.document.data[2] ^= 1;
	if (!(flags & ADD_NO_MEMBER))
		add(raw, path, sample.document.data, sample.document.size);
	sample_free(&sample);
}

static void pack(struct raw *raw, struct backup_frame *frame)
{
	ZSTD_CCtx *compressor = NULL;

	expect_ok(zframe_compressor(&compressor, &error));
	expect_ok(
	    zframe_pack(compressor, raw->tar.data, raw->tar.size, &frame->licenses, &error));
	ZSTD_freeCCtx(compressor);
}

/* Ends the frame, parses it, expects ${expected} and frees it. */
static struct result finish(struct raw *raw, bool manifest, int expected)
{
	struct result result = {.document_size = 5};
	struct backup_frame frame = {0};

	if (manifest)
		add(raw, "manifest/000001.sha256", raw->manifest.data, raw->manifest.size);
	pack(raw, &frame);
	expect_code(parse(&frame, &result, true, &error), expected);
	if (expected != RH_OK)
		assert_int_equal(result.given, 0);
	backup_frame_free(&frame);
	buffer_free(&raw->tar);
	buffer_free(&raw->manifest);
	return result;
}

static void damage_stays_local(void **state)
{
	struct raw raw = {{0}, {0}};
	struct result result;
	struct backup_frame frame = {0};

	(void)state;
	add_sample(&raw, 1, 0);
	add_sample(&raw, 2, ADD_WRONG);
	add_sample(&raw, 4, 0);
	result = finish(&raw, true, RH_OK);
	assert_int_equal(result.given, 2);
	assert_int_equal(result.damaged, 1);
	assert_int_equal(result.why.code, RH_E_LICENSE_DAMAGED);
	assert_int_equal(sample_number(result.component), 2);
	assert_non_null(strstr(result.why.text, "Sample-2"));

	/* In the manifest, not in the archive. */
	add_sample(&raw, 1, 0);
	add_sample(&raw, 2, ADD_NO_MEMBER);
	add_sample(&raw, 4, 0);
	add_sample(&raw, 7, ADD_NO_MEMBER);
	result = finish(&raw, true, RH_OK);
	assert_int_equal(result.given, 2);
	assert_int_equal(result.damaged, 2);
	assert_int_equal(sample_number(result.component), 7);

	/* In the archive, not in the manifest. */
	add_sample(&raw, 1, ADD_NO_LINE);
	add_sample(&raw, 2, 0);
	add_sample(&raw, 4, ADD_NO_LINE);
	result = finish(&raw, true, RH_OK);
	assert_int_equal(result.given, 1);
	assert_int_equal(result.damaged, 2);
	assert_int_equal(sample_number(result.component), 4);
	assert_non_null(strstr(result.why.text, "not in the manifest"));

	/* A state that nobody vouches for, a secret that is gone. */
	add_sample(&raw, 1, 0);
	add(&raw, "licenses/Sample-1_%2F.x/state.json", "{}", 2);
	add_sample(&raw, 2, 0);
	list(&raw, "licenses/Sample-2_%2F.x/secret", "x", 1);
	result = finish(&raw, true, RH_OK);
	assert_int_equal(result.given, 0);
	assert_int_equal(result.damaged, 2);

	/* A licence without a document. */
	add(&raw, "licenses/Sample-1_%2F.x/secret", "x", 1);
	list(&raw, "licenses/Sample-1_%2F.x/secret", "x", 1);
	result = finish(&raw, true, RH_OK);
	assert_int_equal(result.damaged, 1);

	/* Without a listener the first damaged one ends it. */
	add_sample(&raw, 1, 0);
	add_sample(&raw, 2, ADD_WRONG);
	add(&raw, "manifest/000001.sha256", raw.manifest.data, raw.manifest.size);
	pack(&raw, &frame);
	result = (struct result){.document_size = 5};
	expect_code(parse(&frame, &result, false, &error), RH_E_LICENSE_DAMAGED);
	assert_int_equal(result.given, 1);
	backup_frame_free(&frame);
	buffer_free(&raw.tar);
	buffer_free(&raw.manifest);
}

/* The order of a manifest's lines is free. */
static void manifest_in_another_order(void **state)
{
	struct raw raw = {{0}, {0}};
	struct result result;

	(void)state;
	add_sample(&raw, 1, ADD_NO_LINE);
	add_sample(&raw, 2, ADD_NO_LINE);
	add_sample(&raw, 4, ADD_NO_LINE);
	add_sample(&raw, 4, ADD_NO_MEMBER);
	add_sample(&raw, 1, ADD_NO_MEMBER);
	add_sample(&raw, 2, ADD_NO_MEMBER);
	result = finish(&raw, true, RH_OK);
	assert_int_equal(result.given, 3);
	assert_int_equal(result.damaged, 0);
}

static void later_versions_may_add_members(void **state)
{
	struct raw raw = {{0}, {0}};
	struct result result;

	(void)state;
	add(&raw, "keys/batch.jwe", "x", 1);
	add_sample(&raw, 1, 0);
	add(&raw, "notes.txt", "", 0);
	add_sample(&raw, 2, 0);
	result = finish(&raw, true, RH_OK);
	assert_int_equal(result.given, 2);
	add(&raw, "keys/batch.jwe", "x", 1);
	result = finish(&raw, false, RH_OK);
	assert_int_equal(result.given, 0);
}

static void parser_refuses_names(void **state)
{
	static const char *const paths[] = {"licenses/", "licenses/a", "licenses//document",
	    "licenses/../document", "licenses/.a/document", "licenses/a/b/document",
	    "licenses/a/documents", "licenses/a/Document", "licenses/a b/document",
	    "licenses/a/document/", "licenses/a\\b/document", "licenses/\xc3\xa4/document",
	    /* 64 characters */
	    "licenses/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef/secret"};

	(void)state;
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		struct raw raw = {{0}, {0}};

		add_sample(&raw, 1, 0);
		add(&raw, paths[i], "x", 1);
		finish(&raw, true, RH_E_BACKUP_CORRUPT);
	}
}

static void parser_refuses_twice(void **state)
{
	struct raw raw = {{0}, {0}};

	(void)state;
	add_sample(&raw, 1, 0);
	add_sample(&raw, 1, ADD_NO_LINE);
	finish(&raw, true, RH_E_BACKUP_CORRUPT);

	add_sample(&raw, 1, 0);
	add_sample(&raw, 2, 0);
	add_sample(&raw, 1, ADD_NO_LINE);
	finish(&raw, true, RH_E_BACKUP_CORRUPT);

	add_sample(&raw, 1, 0);
	add_sample(&raw, 1, ADD_NO_MEMBER);
	finish(&raw, true, RH_E_BACKUP_CORRUPT);

	add_sample(&raw, 1, 0);
	add(&raw, "manifest/000002.sha256", raw.manifest.data, raw.manifest.size);
	finish(&raw, true, RH_E_BACKUP_CORRUPT);
}

static void parser_refuses_structure(void **state)
{
	static const uint8_t zeros[FRAME_PART_MAX + 1];
	struct raw raw = {{0}, {0}};

	(void)state;
	/* No manifest; a member behind it; the end of an archive in a frame. */
	add_sample(&raw, 1, 0);
	finish(&raw, false, RH_E_BACKUP_CORRUPT);

	add_sample(&raw, 1, 0);
	add(&raw, "manifest/000001.sha256", raw.manifest.data, raw.manifest.size);
	add(&raw, "notes.txt", "x", 1);
	finish(&raw, false, RH_E_BACKUP_CORRUPT);

	add_sample(&raw, 1, 0);
	add(&raw, "manifest/000001.sha256", raw.manifest.data, raw.manifest.size);
	expect_ok(buffer_append(&raw.tar, zeros, TAR_END_SIZE, &error));
	finish(&raw, false, RH_E_BACKUP_CORRUPT);

	/* Half a header; half a member. */
	add_sample(&raw, 1, 0);
	expect_ok(buffer_append(&raw.tar, zeros, 100, &error));
	finish(&raw, false, RH_E_BACKUP_CORRUPT);

	add_sample(&raw, 1, 0);
	raw.tar.size -= TAR_BLOCK;
	finish(&raw, false, RH_E_BACKUP_CORRUPT);

	/* A secret over its limit. */
	add_sample(&raw, 1, 0);
	add(&raw, "licenses/Sample-1_%2F.x/secret", zeros, sizeof zeros);
	list(&raw, "licenses/Sample-1_%2F.x/secret", zeros, sizeof zeros);
	finish(&raw, true, RH_E_BACKUP_CORRUPT);
}

static void parser_refuses_manifests(void **state)
{
#define HEX "0000000000000000000000000000000000000000000000000000000000000000"
	static const char *const manifests[] = {"x\n", "\n", HEX "\n", HEX "  \n",
	    HEX "  notes.txt\n", HEX "  licenses/a/document", HEX " *licenses/a/document\n",
	    HEX "  licenses/../document\n", HEX "0  licenses/a/document\n",
	    "g" HEX "  licenses/a/document\n"};

	(void)state;
	for (size_t i = 0; i < sizeof manifests / sizeof *manifests; i++) {
		struct raw raw = {{0}, {0}};

		add_sample(&raw, 1, 0);
		expect_ok(buffer_append_text(&raw.manifest, manifests[i], &error));
		finish(&raw, true, RH_E_BACKUP_CORRUPT);
	}
#undef HEX
}

/* Sets a byte of the first header and makes its checksum right again. */
static void patch_header(struct buffer *tar, size_t at, uint8_t value)
{
	unsigned sum = 0;
	char text[8];

	tar->data[at] = value;
	memset(tar->data + 148, ' ', 8);
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += tar->data[i];
	snprintf(text, sizeof text, "%06o", sum);
	memcpy(tar->data + 148, text, 7);
}

static void parser_refuses_headers(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		int expected;
	} cases[] = {{100, '1', RH_OK}, /* the mode does not matter */
	    {156, '5', RH_E_BACKUP_CORRUPT}, {156, '2', RH_E_BACKUP_CORRUPT},
	    {156, 'x', RH_E_BACKUP_CORRUPT}, {156, 'L', RH_E_BACKUP_CORRUPT},
	    {345, 'a', RH_E_BACKUP_CORRUPT}, {257, 'U', RH_E_BACKUP_CORRUPT},
	    {0, '\0', RH_E_BACKUP_CORRUPT}, {124, '7', RH_E_BACKUP_CORRUPT},
	    {124, 0x80, RH_E_BACKUP_CORRUPT}, {124, '-', RH_E_BACKUP_CORRUPT},
	    {135, '0', RH_E_BACKUP_CORRUPT}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct raw raw = {{0}, {0}};

		add_sample(&raw, 1, 0);
		patch_header(&raw.tar, cases[i].at, cases[i].value);
		finish(&raw, true, cases[i].expected);

		/* The same with the checksum as it was. */
		add_sample(&raw, 1, 0);
		raw.tar.data[cases[i].at] = cases[i].value;
		finish(&raw, true, RH_E_BACKUP_CORRUPT);
	}
}

static void parser_refuses_frames(void **state)
{
	static uint8_t zeros[FRAME_MAX + TAR_BLOCK];
	struct raw raw = {{0}, {0}};
	struct backup_frame frame = {0};
	struct backup_frame changed = {0};
	struct result result = {.document_size = 5};
	ZSTD_CCtx *compressor = NULL;

	(void)state;
	expect_ok(zframe_compressor(&compressor, &error));
	/* Nothing; too much; a frame that does not say how much; two of them; half of one. */
	expect_code(parse(&frame, &result, true, &error), RH_E_BACKUP_CORRUPT);
	expect_ok(zframe_pack(compressor, zeros, sizeof zeros, &frame.licenses, &error));
	expect_code(parse(&frame, &result, true, &error), RH_E_BACKUP_CORRUPT);

	add_sample(&raw, 1, 0);
	add(&raw, "manifest/000001.sha256", raw.manifest.data, raw.manifest.size);
	ZSTD_CCtx_setParameter(compressor, ZSTD_c_contentSizeFlag, 0);
	expect_ok(zframe_pack(compressor, raw.tar.data, raw.tar.size, &frame.licenses, &error));
	expect_code(parse(&frame, &result, true, &error), RH_E_BACKUP_CORRUPT);
	ZSTD_CCtx_setParameter(compressor, ZSTD_c_contentSizeFlag, 1);
	expect_ok(zframe_pack(compressor, raw.tar.data, raw.tar.size, &frame.licenses, &error));
	expect_ok(parse(&frame, &result, true, &error));
	expect_ok(
	    buffer_append(&changed.licenses, frame.licenses.data, frame.licenses.size, &error));
	expect_ok(
	    buffer_append(&changed.licenses, frame.licenses.data, frame.licenses.size, &error));
	expect_code(parse(&changed, &result, true, &error), RH_E_BACKUP_CORRUPT);
	for (changed.licenses.size = 0; changed.licenses.size < frame.licenses.size;
	     changed.licenses.size++)
		expect_code(parse(&changed, &result, true, &error), RH_E_BACKUP_CORRUPT);
	assert_int_equal(result.given, 1);
	ZSTD_freeCCtx(compressor);
	buffer_free(&raw.tar);
	buffer_free(&raw.manifest);
	backup_frame_free(&frame);
	backup_frame_free(&changed);
}

/* Each bit of a frame in turn: refused, or the licences as they were (on_license looks). */
static void flipped_bits(void **state)
{
	struct frame_parser *parser = NULL;
	struct backup_frame frame = {0};
	unsigned refused = 0;

	(void)state;
	expect_ok(frame_parser_new(&parser, &error));
	sample_frame(&frame, 1, 0, 4, 100);
	for (size_t bit = 0; bit < frame.licenses.size * 8; bit++) {
		struct result result = {.document_size = 100};
		int code;

		frame.licenses.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		code = frame_parse(parser, &frame, on_license, NULL, &result, NULL);
		frame.licenses.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_true(code == RH_E_BACKUP_CORRUPT || code == RH_E_LICENSE_DAMAGED ||
			    (code == RH_OK && result.given == 4));
		refused += code != RH_OK;
	}
	assert_true(refused > frame.licenses.size * 8 * 9 / 10);
	backup_frame_free(&frame);
	frame_parser_free(parser);
}

static int stop_at_once(void *context, const struct frame_license *license, rh_error *error)
{
	(void)license;
	++*(unsigned *)context;
	return error_set(error, RH_E_CANCELED, "enough");
}

static void callback_stops(void **state)
{
	struct frame_parser *parser = NULL;
	struct backup_frame frame = {0};
	unsigned calls = 0;

	(void)state;
	sample_frame(&frame, 1, 0, 4, 100);
	expect_ok(frame_parser_new(&parser, &error));
	expect_code(
	    frame_parse(parser, &frame, stop_at_once, NULL, &calls, &error), RH_E_CANCELED);
	assert_int_equal(calls, 1);
	backup_frame_free(&frame);
	frame_parser_free(parser);
}

/* ---- Another library's opinion ---- */

/* libarchive reads our tar: same names, sizes, times, bytes. */
static void libarchive_reads(void **state)
{
	struct backup_frame frame = {0};
	struct buffer tar = {0};
	ZSTD_DCtx *decompressor = ZSTD_createDCtx();
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;
	unsigned documents = 0, manifests = 0;

	(void)state;
	sample_frame(&frame, 17, 0, 20, 700);
	expect_ok(zframe_unpack(
	    decompressor, frame.licenses.data, frame.licenses.size, FRAME_MAX, &tar, &error));
	expect_ok(zframe_append(
	    decompressor, frame.manifest.data, frame.manifest.size, FRAME_MAX, &tar, &error));
	archive_read_support_format_tar(archive);
	assert_int_equal(archive_read_open_memory(archive, tar.data, tar.size), ARCHIVE_OK);
	while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
		const char *path = archive_entry_pathname(entry);
		char bytes[1024];

		assert_int_equal(archive_format(archive), ARCHIVE_FORMAT_TAR_USTAR);
		assert_int_equal(archive_entry_filetype(entry), AE_IFREG);
		assert_int_equal(archive_entry_perm(entry), 0600);
		assert_int_equal(archive_entry_mtime(entry), 1795360200);
		assert_int_equal(archive_entry_uid(entry), 0);
		if (strcmp(path, "manifest/000017.sha256") == 0)
			manifests++;
		if (strstr(path, "/document") != NULL) {
			struct sample sample;

			sample_make(&sample, documents++, 700);
			assert_int_equal(archive_entry_size(entry), 700);
			assert_int_equal(archive_read_data(archive, bytes, sizeof bytes), 700);
			assert_memory_equal(bytes, sample.document.data, 700);
			sample_free(&sample);
		}
	}
	assert_int_equal(documents, 20);
	assert_int_equal(manifests, 1);
	archive_read_free(archive);
	ZSTD_freeDCtx(decompressor);
	backup_frame_free(&frame);
	buffer_free(&tar);
}

/* We read libarchive's tar. */
static void libarchive_writes(void **state)
{
	static char bytes[65536];
	size_t used = 0;
	struct archive *archive = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	struct tar_cursor cursor = {(const uint8_t *)bytes, 0, 0};
	struct tar_member member;
	bool end;

	(void)state;
	archive_write_set_format_ustar(archive);
	archive_write_set_bytes_per_block(archive, 0);
	assert_int_equal(
	    archive_write_open_memory(archive, bytes, sizeof bytes, &used), ARCHIVE_OK);
	archive_entry_set_pathname(entry, "licenses/a/document");
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0644);
	archive_entry_set_mtime(entry, TIME, 0);
	archive_entry_set_size(entry, 5);
	assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
	assert_int_equal(archive_write_data(archive, "hello", 5), 5);
	archive_entry_free(entry);
	archive_write_free(archive);

	cursor.size = used - TAR_END_SIZE;
	expect_ok(tar_next(&cursor, &member, &end, &error));
	assert_false(end);
	assert_string_equal(member.path, "licenses/a/document");
	assert_int_equal(member.size, 5);
	assert_memory_equal(member.bytes, "hello", 5);
	expect_ok(tar_next(&cursor, &member, &end, &error));
	assert_true(end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(round_trip),
	    cmocka_unit_test(builder_and_parser_are_used_again),
	    cmocka_unit_test(size_is_an_upper_bound),
	    cmocka_unit_test(builder_refuses),
	    cmocka_unit_test(largest_manifest),
	    cmocka_unit_test(damage_stays_local),
	    cmocka_unit_test(manifest_in_another_order),
	    cmocka_unit_test(later_versions_may_add_members),
	    cmocka_unit_test(parser_refuses_names),
	    cmocka_unit_test(parser_refuses_twice),
	    cmocka_unit_test(parser_refuses_structure),
	    cmocka_unit_test(parser_refuses_manifests),
	    cmocka_unit_test(parser_refuses_headers),
	    cmocka_unit_test(parser_refuses_frames),
	    cmocka_unit_test(flipped_bits),
	    cmocka_unit_test(callback_stops),
	    cmocka_unit_test(libarchive_reads),
	    cmocka_unit_test(libarchive_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
