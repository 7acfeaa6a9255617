#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

#include "backup/reader.h"

#include "found.h"

/* Which manifest goes with which licences, and how long either waits. */

static int setup(void **state)
{
	static char path[256];

	sample_directory(path);
	*state = path;
	return 0;
}

static int teardown(void **state)
{
	sample_directory_remove(*state);
	return 0;
}

/* ${all}: that every licence comes. */
static void expect_read(
    const char *path, const struct book *book, bool salvage, int expected, bool all)
{
	struct found found;

	found_new(&found, book);
	expect_code(found_read(path, BOOK_FILE, salvage, &found, &error), expected);
	for (unsigned i = 0; all && i < book->licenses; i++)
		assert_int_equal(found.given[i], 1);
	found_free(&found);
}

static void write_book(const char *path, const struct book *book)
{
	sample_write(path, BOOK_FILE, book->file.data, book->file.size);
}

/* Any distance up to 63 frames; ones that wait longer are no backup. */
static void distances(void **state)
{
	static const unsigned behind[] = {0, 1, 30, 63, 64, 100};

	for (size_t i = 0; i < sizeof behind / sizeof *behind; i++) {
		bool right = behind[i] < 64;
		struct book book;

		book_make_behind(&book, 3, 90, 1, 50, behind[i]);
		write_book(*state, &book);
		for (int salvage = 0; salvage <= 1; salvage++)
			expect_read(*state, &book, salvage == 1,
			    right ? RH_OK : RH_E_BACKUP_CORRUPT, right);
		book_free(&book);
	}
}

static void too_much_waits(void **state)
{
	static const unsigned behind[] = {8, 60};

	for (size_t i = 0; i < sizeof behind / sizeof *behind; i++) {
		bool right = behind[i] == 8;
		struct book book;

		book_make_behind(&book, 3, 50, 2, (size_t)900 << 10, behind[i]);
		write_book(*state, &book);
		expect_read(*state, &book, false, right ? RH_OK : RH_E_BACKUP_CORRUPT, right);
		book_free(&book);
	}
}

/* Behind damage nobody waits without end: the licences come all the same, alone. */
static void crowded_behind_damage(void **state)
{
	bool *bad;
	struct book book;
	struct found found;

	book_make_behind(&book, 3, 160, 1, 4000, 140);
	bad = calloc(book.chunks, sizeof *bad);
	assert_non_null(bad);
	bad[0] = true;
	book.file.data[book.payload] ^= 1;
	write_book(*state, &book);
	expect_read(*state, &book, false, RH_E_BACKUP_CORRUPT, false);
	found_new(&found, &book);
	expect_ok(found_read(*state, BOOK_FILE, true, &found, &error));
	for (unsigned i = 60; i < book.licenses; i++)
		assert_int_equal(found.given[i], 1);
	assert_true(found.wear.header_lost);
	found_free(&found);
	free(bad);
	book_free(&book);
}

/* However many frames a backup has, no more are held than wait at once. */
static void buffers_used_again(void **state)
{
	static const uint8_t bytes[5000];
	const struct piece licenses = {.bytes = bytes, .size = sizeof bytes, .path = "a"};
	const struct piece manifest = {.bytes = bytes, .size = 100};
	struct pairs *pairs = calloc(1, sizeof *pairs);
	struct backup_frame frame = {0};
	size_t taken = 0, held = 0;

	(void)state;
	assert_non_null(pairs);
	for (size_t i = 0; i < 200; i++) {
		expect_ok(pairs_licenses(pairs, &licenses, false, false, &error));
		if (i >= 8)
			expect_ok(pairs_manifest(pairs, &manifest, NULL, &error));
		while (pairs_take(pairs, &frame)) {
			assert_int_equal(frame.licenses.size, sizeof bytes);
			assert_int_equal(frame.manifest.size, 100);
			taken++;
		}
	}
	for (size_t i = 0; i < PAIRS_ROOM; i++)
		held += pairs->all[i].frame.licenses.capacity > 0;
	assert_int_equal(taken, 192);
	assert_int_equal(pairs->count, 8);
	assert_in_range(held, 8, 9);
	backup_frame_free(&frame);
	pairs_free(pairs);
	free(pairs);
}

/* ---- Wrong from the start ---- */

static int sink(void *context, const void *bytes, size_t size, rh_error *error)
{
	return buffer_append(context, bytes, size, error);
}

/* Writes the book's frames that ${order} names, and its end. */
static void write_order(
    const char *path, const struct book *book, const size_t *order, size_t count)
{
	const struct book_frame *end = &book->frames[book->count - 1];
	struct age_writer *writer = NULL;
	struct buffer file = {0};

	expect_ok(age_writer_new(
	    &sample_identity()->recipient, 1, NULL, 0, sink, &file, &writer, &error));
	for (size_t i = 0; i <= count; i++) {
		const struct book_frame *frame = i < count ? &book->frames[order[i]] : end;

		expect_ok(age_writer_write(writer, book->plain.data + frame->start,
		    frame->end - frame->start, &error));
	}
	expect_ok(age_writer_finish(writer, &error));
	age_writer_free(writer);
	sample_write(path, BOOK_FILE, file.data, file.size);
	buffer_free(&file);
}

/* Frames of the book: 0 header; 1, 3, 5 licences; 2, 4, 6 their manifests. */
static void wrong_orders(void **state)
{
	static const struct {
		size_t order[7];
		size_t count;
		bool right;
	} cases[] = {
	    {{0, 1, 2, 3, 4, 5, 6}, 7, true},
	    {{0, 1, 3, 2, 5, 4, 6}, 7, true},
	    {{0}, 1, true},
	    {{0, 1}, 2, false}, /* licences without their manifest */
	    {{0, 1, 2, 3}, 4, false},
	    {{0, 2}, 2, false}, /* a manifest without licences */
	    {{0, 2, 1}, 3, false}, /* ... before them */
	    {{0, 1, 2, 2}, 4, false},
	};
	struct book book;

	book_make_behind(&book, 3, 3, 2, 60, 0);
	assert_int_equal(book.frames[1].kind, BOOK_LICENSES);
	assert_int_equal(book.frames[2].kind, BOOK_MANIFEST);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		write_order(*state, &book, cases[i].order, cases[i].count);
		for (int salvage = 0; salvage <= 1; salvage++)
			expect_read(*state, &book, salvage == 1,
			    cases[i].right ? RH_OK : RH_E_BACKUP_CORRUPT, false);
	}
	book_free(&book);
}

/* A manifest of other licences damages those that it should be of, and lists its own. */
static void exchanged_manifests(void **state)
{
	static const size_t order[] = {0, 1, 3, 4, 2, 5, 6};
	struct book book;
	struct found found;

	book_make_behind(&book, 3, 3, 2, 60, 0);
	write_order(*state, &book, order, sizeof order / sizeof *order);
	found_new(&found, &book);
	expect_ok(found_read(*state, BOOK_FILE, true, &found, &error));
	for (unsigned i = 0; i < book.licenses; i++) {
		assert_int_equal(found.given[i], i >= 4 ? 1 : 0);
		assert_int_equal(found.told[i], i >= 4 ? 0 : 2);
	}
	found_free(&found);
	book_free(&book);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(distances),
	    cmocka_unit_test(too_much_waits),
	    cmocka_unit_test(crowded_behind_damage),
	    cmocka_unit_test(buffers_used_again),
	    cmocka_unit_test(wrong_orders),
	    cmocka_unit_test(exchanged_manifests),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
