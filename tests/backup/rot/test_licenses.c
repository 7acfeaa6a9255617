#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../parity/kit.h"
#include "../salvage/found.h"

/*
 * Rot, and what a restore makes of it: damage to a backup and its parity at random, mended as
 * far as that goes while it is read.  Above the reserve exactly the licences that the damage
 * touched are told, and all others come as they were, to the byte.  What is touched follows
 * from places alone: FORMAT.md for the stripes, age's chunks, and where each frame stands.
 *
 * ROTS=N: how many; ROT_SEED=N.
 */

#define BLOCK 4096
#define BOOKS 3

struct rot {
	struct kit_random random;
	char path[256];
	const struct book *book;
	struct kit_layout layout;
	struct buffer parity; /* as it was */
	struct buffer bad_file, bad_parity;
	bool *bad; /* each chunk that is lost */
	bool lost; /* any of them, or of the header */
	bool header; /* of age, and the nonce: nothing can be opened */
};

/* ---- Damage ---- */

static void overwrite(struct rot *rot, struct buffer *bytes, size_t first, size_t size)
{
	bool zeros = kit_below(&rot->random, 2) == 0;

	for (size_t i = first; i < first + size && i < bytes->size; i++)
		bytes->data[i] = zeros ? 0 : (uint8_t)kit_next(&rot->random);
}

static void bits(struct rot *rot, struct buffer *bytes)
{
	for (uint64_t n = kit_below(&rot->random, 60) + 1; n > 0; n--)
		bytes->data[kit_below(&rot->random, bytes->size)] ^=
		    (uint8_t)(1u << kit_below(&rot->random, 8));
}

static void sectors(struct rot *rot, struct buffer *bytes)
{
	size_t count = bytes->size / BLOCK;

	for (uint64_t n = kit_below(&rot->random, count / 8 + 1) + 1; n > 0; n--)
		overwrite(rot, bytes, kit_below(&rot->random, count) * BLOCK, 512);
}

static void run(struct rot *rot, struct buffer *bytes)
{
	overwrite(rot, bytes, kit_below(&rot->random, bytes->size),
	    kit_below(&rot->random, bytes->size / 4) + 1);
}

static void cut(struct rot *rot, struct buffer *bytes)
{
	bytes->size -= kit_below(&rot->random, bytes->size / 4);
}

static void swap(struct rot *rot, struct buffer *bytes)
{
	for (uint64_t n = kit_below(&rot->random, 20) + 1; n > 0; n--) {
		size_t count = bytes->size / BLOCK;
		uint8_t *a = bytes->data + kit_below(&rot->random, count) * BLOCK;
		uint8_t *b = bytes->data + kit_below(&rot->random, count) * BLOCK;
		uint8_t block[BLOCK];

		memcpy(block, a, BLOCK);
		memmove(a, b, BLOCK);
		memcpy(b, block, BLOCK);
	}
}

static void damage(struct rot *rot, struct buffer *bytes)
{
	static void (*const kinds[])(struct rot *, struct buffer *) = {
	    bits, sectors, run, cut, swap};

	for (uint64_t n = kit_below(&rot->random, 2) + 1; n > 0; n--)
		kinds[kit_below(&rot->random, sizeof kinds / sizeof *kinds)](rot, bytes);
}

/* ---- What is touched ---- */

static bool differs(const struct buffer *was, const struct buffer *is, size_t i)
{
	size_t first = i * BLOCK, size = was->size - first < BLOCK ? was->size - first : BLOCK;

	return is->size < first + size ||
	       memcmp(was->data + first, is->data + first, size) != 0;
}

/* Whether byte ${at} of the backup is another one, or missing. */
static bool is_other(const struct rot *rot, size_t at)
{
	return at >= rot->bad_file.size || rot->bad_file.data[at] != rot->book->file.data[at];
}

static bool table_lost(const struct rot *rot)
{
	const struct kit_layout *layout = &rot->layout;
	size_t *bad = calloc(layout->groups, sizeof *bad);
	bool lost = false;

	assert_non_null(bad);
	for (size_t place = 0; place < layout->pages; place++) {
		size_t number = 0;

		if (kit_is_table(layout, place, &number) &&
		    differs(&rot->parity, &rot->bad_parity, place))
			bad[(number < layout->table ? number : number - layout->table) %
			    layout->groups]++;
	}
	for (size_t g = 0; g < layout->groups; g++)
		lost = lost || bad[g] > layout->group_rows;
	free(bad);
	return lost;
}

/* Of each stripe, how many of its blocks and pages are bad. */
static size_t *count_stripes(const struct rot *rot)
{
	const struct kit_layout *layout = &rot->layout;
	size_t *bad = calloc(layout->stripes, sizeof *bad);

	assert_non_null(bad);
	for (size_t i = 0; i < layout->blocks; i++)
		bad[i % layout->stripes] += differs(&rot->book->file, &rot->bad_file, i);
	for (size_t place = 0; place < layout->pages; place++) {
		size_t number = 0;

		if (!kit_is_table(layout, place, &number))
			bad[number % layout->stripes] +=
			    differs(&rot->parity, &rot->bad_parity, place);
	}
	return bad;
}

/* A byte that is another one, of a block that nothing makes anew. */
static void expect(struct rot *rot)
{
	const struct book *book = rot->book;
	bool table = table_lost(rot);
	size_t *stripes = count_stripes(rot);

	memset(rot->bad, 0, book->chunks * sizeof *rot->bad);
	rot->lost = rot->header = false;
	for (size_t at = 0; at < book->file.size; at++) {
		bool mended =
		    !table && stripes[at / BLOCK % rot->layout.stripes] <= rot->layout.rows;

		if (mended || !is_other(rot, at))
			continue;
		rot->lost = true;
		if (at < book->payload)
			rot->header = true;
		else
			rot->bad[(at - book->payload) / (BOOK_CHUNK + BOOK_TAG)] = true;
	}
	free(stripes);
}

/* ---- One after the other ---- */

static void copy(struct buffer *bytes, const struct buffer *from)
{
	buffer_clear(bytes);
	expect_ok(buffer_append(bytes, from->data, from->size, &error));
}

static void spoil(struct rot *rot)
{
	static const unsigned percents[] = {1, 1, 2, 3, 5, 10, 20, 100};
	unsigned percent = percents[kit_below(&rot->random, 8)];

	kit_protect(rot->path, &rot->book->file, percent);
	rot->layout = kit_layout(rot->book->file.size, percent);
	sample_read(rot->path, KIT_PARITY, &rot->parity);
	copy(&rot->bad_file, &rot->book->file);
	copy(&rot->bad_parity, &rot->parity);
	damage(rot, &rot->bad_file);
	if (kit_below(&rot->random, 3) == 0)
		damage(rot, &rot->bad_parity);
	sample_write(rot->path, BOOK_FILE, rot->bad_file.data, rot->bad_file.size);
	sample_write(rot->path, KIT_PARITY, rot->bad_parity.data, rot->bad_parity.size);
}

/* Reading that stops at damage, and reading around it. */
static void judge(struct rot *rot, size_t round)
{
	struct found found;

	found_new(&found, rot->book);
	expect_code(found_read(rot->path, BOOK_FILE, false, &found, &error),
	    rot->lost ? RH_E_BACKUP_CORRUPT : RH_OK);
	if (!rot->lost)
		found_compare(rot->book, rot->bad, &found, "mended, rot", round);
	found_free(&found);
	found_new(&found, rot->book);
	expect_ok(found_read(rot->path, BOOK_FILE, true, &found, &error));
	found_compare(rot->book, rot->bad, &found, "rot", round);
	assert_int_equal(found.wear.bytes_lost > 0, rot->lost);
	found_free(&found);
}

/* Whatever it is taken for, nothing comes out of it. */
static void judge_header(struct rot *rot)
{
	for (int salvage = 0; salvage <= 1; salvage++) {
		struct found found;
		int code;

		found_new(&found, rot->book);
		code = found_read(rot->path, BOOK_FILE, salvage == 1, &found, NULL);
		assert_true(code == RH_E_BACKUP_CORRUPT || code == RH_E_SECRET_WRONG ||
			    code == RH_E_BACKUP_NEWER);
		assert_int_equal(found.all, 0);
		found_free(&found);
	}
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value != NULL ? strtoull(value, NULL, 10) : otherwise;
}

static void rots(void **state)
{
	static struct book books[BOOKS];
	uint64_t seed = setting("ROT_SEED", (uint64_t)time(NULL)), count = setting("ROTS", 200);
	struct rot rot = {.header = false};
	unsigned whole = 0, lossy = 0, unopened = 0;
	(void)state;

	print_message("ROT_SEED=%llu\n", (unsigned long long)seed);
	assert_string_equal(BOOK_FILE, KIT_FILE);
	sample_directory(rot.path);
	book_make(&books[0], 3, 12, 20, 8200);
	book_make(&books[1], 3, 30, 9, 3000);
	book_make(&books[2], 2, 12, 20, 8200);
	for (uint64_t i = 0; i < count; i++) {
		rot.random.state = seed * 1000003 + i;
		rot.book = &books[kit_below(&rot.random, BOOKS)];
		rot.bad = calloc(rot.book->chunks, sizeof *rot.bad);
		assert_non_null(rot.bad);
		spoil(&rot);
		expect(&rot);
		if (rot.header)
			judge_header(&rot);
		else
			judge(&rot, (size_t)i);
		whole += !rot.header && !rot.lost;
		lossy += !rot.header && rot.lost;
		unopened += rot.header;
		free(rot.bad);
	}
	print_message(
	    "%u mended, %u with losses, %u without a header\n", whole, lossy, unopened);
	/* All of it was tried. */
	assert_true(count < 100 || (whole > count / 10 && lossy > count / 4));
	for (size_t i = 0; i < BOOKS; i++)
		book_free(&books[i]);
	sample_directory_remove(rot.path);
	buffer_free(&rot.parity);
	buffer_free(&rot.bad_file);
	buffer_free(&rot.bad_parity);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(rots)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
