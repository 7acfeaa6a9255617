#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

#include "found.h"

#define FRAMES 40
#define PER_FRAME 20
#define DOCUMENT 8200

/* ---- Damage ---- */

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
	expect_ok(found_read(path, BOOK_FILE, true, &found, &error));
	found_compare(book, bad, &found, what, where);
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
	expect_code(found_read(path, BOOK_FILE, false, &found, &error), RH_E_BACKUP_CORRUPT);
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
			expect_ok(
			    found_read(*state, BOOK_FILE, salvaging == 1, &found, &error));
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
				expect_code(
				    found_read(*state, BOOK_FILE, false, &found, &error),
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

/* A file may be of holes without end: each is asked at, and none is skipped after a stop. */
static void stopped(void **state)
{
	const struct book *book = &books[3];
	struct buffer file = {0};
	struct found found;

	expect_ok(buffer_append(&file, book->file.data, book->file.size, &error));
	for (size_t i = 1; i < book->chunks; i++)
		flip(&file, book, i);
	sample_write(*state, BOOK_FILE, file.data, file.size);
	found_new(&found, book);
	expect_ok(found_read(*state, BOOK_FILE, true, &found, &error));
	assert_int_equal(found.holes, book->chunks - 1);
	found_free(&found);

	found_new(&found, book);
	found.stop_at = 3;
	expect_code(found_read(*state, BOOK_FILE, true, &found, &error), RH_E_CANCELED);
	assert_int_equal(found.holes, 3);
	assert_int_equal(found.wear.bytes_lost, 2 * BOOK_CHUNK);
	found_free(&found);
	buffer_free(&file);
}

/* What is authentic and wrong is no damage of the medium. */
static void not_salvaged(void **state)
{
	static const char other[] = "licenses-20260102T030406Z-0123456789abcdef.age";
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
	expect_code(found_read(*state, other, true, &found, &error), RH_E_BACKUP_CORRUPT);

	expect_ok(age_identity_generate(&stranger, &error));
	expect_code(backup_reader_new(directory, other, &keys, true, &reader, &error),
	    RH_E_SECRET_WRONG);
	expect_ok(buffer_append(&file, book->file.data, book->file.size, &error));
	file.data[book->payload - 30] ^= 1; /* the MAC, or the nonce */
	file.data[book->payload - 16] ^= 1;
	sample_write(*state, BOOK_FILE, file.data, file.size);
	expect_code(found_read(*state, BOOK_FILE, true, &found, &error), RH_E_BACKUP_CORRUPT);
	sample_write(*state, BOOK_FILE, book->file.data, 20);
	expect_code(found_read(*state, BOOK_FILE, true, &found, &error), RH_E_BACKUP_CORRUPT);
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
	    cmocka_unit_test(stopped),
	    cmocka_unit_test(not_salvaged),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
