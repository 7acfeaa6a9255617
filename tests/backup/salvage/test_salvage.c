#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "book.h"

#define FRAMES 40
#define PER_FRAME 20
#define DOCUMENT 8200

/* What came. */
struct found {
	const struct book *book;
	unsigned *given;
	unsigned *told; /* as damaged */
	unsigned *facts; /* ... with the right facts, of a frame that is proven */
	struct backup_wear wear;
	unsigned all;
};

static int on_license(void *context, const struct frame_license *license, rh_error *error)
{
	struct found *found = context;
	unsigned number = sample_number(license->component);

	(void)error;
	assert_true(number < found->book->licenses);
	assert_true(sample_equal(license, number, found->book->document_size));
	found->given[number]++;
	found->all++;
	return RH_OK;
}

static int on_damaged(void *context, const struct frame_license *damaged, const rh_error *why)
{
	struct found *found = context;
	unsigned number = sample_number(damaged->component);
	char facts[32];

	assert_int_equal(why->code, RH_E_LICENSE_DAMAGED);
	assert_true(number < found->book->licenses);
	snprintf(facts, sizeof facts, "facts %u", number);
	found->told[number]++;
	if (number % 7 == 0 ? damaged->facts_size == 0
			    : damaged->facts_size == strlen(facts) &&
				  memcmp(damaged->facts, facts, strlen(facts)) == 0)
		found->facts[number] += damaged->proven ? 1 : 0;
	found->all++;
	return RH_OK;
}

static int read_frames(struct backup_reader *reader, struct found *found, rh_error *error)
{
	struct backup_frame frame = {0};
	struct frame_parser *parser = NULL;
	int code = frame_parser_new(&parser, error);

	frame_parser_prove(parser, book_key, backup_reader_header(reader)->id);
	while (code == RH_OK) {
		code = backup_reader_next(reader, &frame, error);
		if (code != RH_OK || (frame.licenses.size == 0 && frame.manifest.size == 0))
			break;
		code = frame_parse(parser, &frame, on_license, on_damaged, found, error);
	}
	backup_reader_wear(reader, &found->wear);
	backup_frame_free(&frame);
	frame_parser_free(parser);
	return code;
}

/* Reads ${file}, which holds the book's backup or what is left of it. */
static int read_file(
    const char *path, const char *file, bool salvage, struct found *found, rh_error *error)
{
	struct age_keys keys = {sample_identity(), 1, NULL};
	struct backup_directory *directory = NULL;
	struct backup_reader *reader = NULL;
	int code = backup_directory_open(path, false, &directory, error);

	if (code == RH_OK)
		code = backup_reader_new(directory, file, &keys, salvage, &reader, error);
	if (code == RH_OK) {
		assert_string_equal(backup_reader_header(reader)->id, BOOK_ID);
		assert_int_equal(backup_reader_header(reader)->created, BOOK_CREATED);
		code = read_frames(reader, found, error);
	}
	backup_reader_free(reader);
	backup_directory_close(directory);
	return code;
}

static void found_new(struct found *found, const struct book *book)
{
	*found = (struct found){.book = book,
	    .given = calloc(book->licenses, sizeof *found->given),
	    .told = calloc(book->licenses, sizeof *found->told),
	    .facts = calloc(book->licenses, sizeof *found->facts)};
	assert_true(found->given != NULL && found->told != NULL && found->facts != NULL);
}

static void found_free(struct found *found)
{
	free(found->given);
	free(found->told);
	free(found->facts);
}

/* ---- What must come ---- */

/* ${what} is for messages. */
static void compare(const struct book *book, const bool *bad, const struct found *found,
    const char *what, size_t where)
{
	enum book_fate *fates = calloc(book->licenses, sizeof *fates);

	assert_non_null(fates);
	book_foretell(book, bad, fates);
	for (unsigned i = 0; i < book->licenses; i++) {
		bool right = found->given[i] + found->told[i] <= 1;

		if (fates[i] == BOOK_GIVEN)
			right = right && found->given[i] == 1;
		else
			right = right && found->given[i] == 0;
		if (fates[i] == BOOK_TOLD)
			right = right && found->told[i] == 1 && found->facts[i] == 1;
		if (!right)
			fail_msg("version %d, %s %zu: licence %u: given %u, told %u, facts %u "
				 "instead of %d",
			    book->version, what, where, i, found->given[i], found->told[i],
			    found->facts[i], (int)fates[i]);
	}
	free(fates);
}

/* Bytes of the plaintext that chunk ${i} holds. */
static size_t chunk_size(const struct book *book, size_t i)
{
	size_t rest = book->plain.size - i * BOOK_CHUNK;

	return rest < BOOK_CHUNK ? rest : BOOK_CHUNK;
}

static void flip(struct buffer *file, const struct book *book, size_t chunk)
{
	size_t at = book->payload + chunk * (BOOK_CHUNK + BOOK_TAG);

	file->data[at + chunk * 37 % (chunk_size(book, chunk) + BOOK_TAG)] ^= 1;
}

static void salvage_once(const char *path, const struct book *book, const bool *bad,
    uint64_t lost, const char *what, size_t where)
{
	struct found found;

	found_new(&found, book);
	expect_ok(read_file(path, BOOK_FILE, true, &found, &error));
	compare(book, bad, &found, what, where);
	assert_int_equal(found.wear.bytes_mended, 0);
	assert_int_equal(found.wear.header_lost, bad[0]);
	if (lost > 0)
		assert_int_equal(found.wear.bytes_lost, lost);
	assert_true(found.wear.bytes_lost > 0);
	found_free(&found);
}

/* Damages each chunk that ${bad} says; reads strictly, and salvages. */
static void salvage(
    const char *path, const struct book *book, const bool *bad, const char *what, size_t where)
{
	struct buffer file = {0};
	struct found found;
	uint64_t lost = 0;

	expect_ok(buffer_append(&file, book->file.data, book->file.size, &error));
	for (size_t i = 0; i < book->chunks; i++) {
		if (!bad[i])
			continue;
		flip(&file, book, i);
		lost += chunk_size(book, i);
	}
	sample_write(path, BOOK_FILE, file.data, file.size);
	found_new(&found, book);
	expect_code(read_file(path, BOOK_FILE, false, &found, &error), RH_E_BACKUP_CORRUPT);
	found_free(&found);
	salvage_once(path, book, bad, lost, what, where);
	buffer_free(&file);
}

/* ---- Tests ---- */

static struct book books[4]; /* by version; 0 and 1 are not used */

static int setup(void **state)
{
	static char path[256];

	sample_directory(path);
	*state = path;
	book_make(&books[2], 2, FRAMES, PER_FRAME, DOCUMENT);
	book_make(&books[3], 3, FRAMES, PER_FRAME, DOCUMENT);
	return 0;
}

static int teardown(void **state)
{
	book_free(&books[2]);
	book_free(&books[3]);
	sample_directory_remove(*state);
	return 0;
}

static void nothing_lost(void **state)
{
	for (int version = 2; version <= 3; version++)
		for (int salvaging = 0; salvaging <= 1; salvaging++) {
			const struct book *book = &books[version];
			struct found found;

			found_new(&found, book);
			sample_write(*state, BOOK_FILE, book->file.data, book->file.size);
			expect_ok(read_file(*state, BOOK_FILE, salvaging == 1, &found, &error));
			for (unsigned i = 0; i < book->licenses; i++)
				assert_int_equal(found.given[i], 1);
			assert_int_equal(found.all, book->licenses);
			assert_int_equal(found.wear.bytes_lost, 0);
			assert_false(found.wear.header_lost);
			found_free(&found);
		}
}

static void each_chunk(void **state)
{
	for (int version = 2; version <= 3; version++) {
		const struct book *book = &books[version];
		bool *bad = calloc(book->chunks, sizeof *bad);

		assert_non_null(bad);
		assert_true(book->chunks > FRAMES);
		for (size_t i = 0; i < book->chunks; i++) {
			bad[i] = true;
			salvage(*state, book, bad, "chunk", i);
			bad[i] = false;
		}
		free(bad);
	}
}

/* Two neighbours; and two that are as far from each other as a manifest from its licences. */
static void two_chunks(void **state)
{
	for (int version = 2; version <= 3; version++) {
		const struct book *book = &books[version];
		bool *bad = calloc(book->chunks, sizeof *bad);
		size_t far = book->chunks * 8 / FRAMES;

		assert_non_null(bad);
		for (size_t i = 0; i + far < book->chunks; i += 3) {
			bad[i] = bad[i + 1] = true;
			salvage(*state, book, bad, "two chunks from", i);
			bad[i + 1] = false;
			bad[i + far] = true;
			salvage(*state, book, bad, "far chunks from", i);
			bad[i] = bad[i + far] = false;
		}
		free(bad);
	}
}

/* Any number of chunks, up to all. */
static void many_chunks(void **state)
{
	uint32_t seed = 1;

	for (int version = 2; version <= 3; version++) {
		const struct book *book = &books[version];
		bool *bad = calloc(book->chunks, sizeof *bad);

		assert_non_null(bad);
		for (unsigned round = 1; round <= 25; round++) {
			bool any = round > 20;

			for (size_t i = 0; i < book->chunks; i++) {
				seed = seed * 1664525u + 1013904223u;
				bad[i] = round == 25 || (seed >> 16) % 40 < round;
				any = any || bad[i];
			}
			bad[round] = bad[round] || !any;
			salvage(*state, book, bad, "many chunks, round", round);
		}
		free(bad);
	}
}

static void cut_ends(void **state)
{
	for (int version = 2; version <= 3; version++) {
		const struct book *book = &books[version];
		bool *bad = calloc(book->chunks, sizeof *bad);

		assert_non_null(bad);
		for (size_t i = 1; i < book->chunks; i += 4)
			for (size_t more = 0; more <= 40000; more += 20000) {
				size_t size =
				    book->payload + i * (BOOK_CHUNK + BOOK_TAG) + more;
				struct found found;

				if (size >= book->file.size)
					continue;
				for (size_t c = 0; c < book->chunks; c++)
					bad[c] = c >= i;
				sample_write(*state, BOOK_FILE, book->file.data, size);
				found_new(&found, book);
				expect_code(read_file(*state, BOOK_FILE, false, &found, &error),
				    RH_E_BACKUP_CORRUPT);
				found_free(&found);
				salvage_once(*state, book, bad,
				    more > BOOK_TAG ? more - BOOK_TAG : 0, "cut at chunk", i);
			}
		free(bad);
	}
}

/* What follows the end takes the last chunk at most. */
static void longer(void **state)
{
	for (int version = 2; version <= 3; version++) {
		const struct book *book = &books[version];
		bool *bad = calloc(book->chunks, sizeof *bad);
		struct buffer file = {0};

		assert_non_null(bad);
		bad[book->chunks - 1] = true;
		expect_ok(buffer_append(&file, book->file.data, book->file.size, &error));
		expect_ok(buffer_append(&file, book->file.data, 100000, &error));
		sample_write(*state, BOOK_FILE, file.data, file.size);
		salvage_once(*state, book, bad, 0, "more bytes than", file.size);
		buffer_free(&file);
		free(bad);
	}
}

/* What is authentic and wrong is no damage of the medium. */
static void not_salvaged(void **state)
{
	static const char other[] = "licenses-20261122T151001Z-0123456789abcdef.age";
	struct age_identity stranger;
	struct age_keys keys = {&stranger, 1, NULL};
	struct backup_directory *directory = NULL;
	struct backup_reader *reader = NULL;
	const struct book *book = &books[3];
	struct buffer file = {0};
	struct found found;

	sample_write(*state, other, book->file.data, book->file.size);
	expect_ok(backup_directory_open(*state, false, &directory, &error));
	found_new(&found, book);
	expect_code(read_file(*state, other, true, &found, &error), RH_E_BACKUP_CORRUPT);

	expect_ok(age_identity_generate(&stranger, &error));
	expect_code(backup_reader_new(directory, other, &keys, true, &reader, &error),
	    RH_E_SECRET_WRONG);
	expect_ok(buffer_append(&file, book->file.data, book->file.size, &error));
	file.data[book->payload - 30] ^= 1; /* the MAC, or the nonce */
	file.data[book->payload - 16] ^= 1;
	sample_write(*state, BOOK_FILE, file.data, file.size);
	expect_code(read_file(*state, BOOK_FILE, true, &found, &error), RH_E_BACKUP_CORRUPT);
	sample_write(*state, BOOK_FILE, book->file.data, 20);
	expect_code(read_file(*state, BOOK_FILE, true, &found, &error), RH_E_BACKUP_CORRUPT);
	found_free(&found);
	buffer_free(&file);
	backup_directory_close(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_lost),
	    cmocka_unit_test(each_chunk),
	    cmocka_unit_test(two_chunks),
	    cmocka_unit_test(many_chunks),
	    cmocka_unit_test(cut_ends),
	    cmocka_unit_test(longer),
	    cmocka_unit_test(not_salvaged),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
