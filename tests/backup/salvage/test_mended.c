#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../parity/kit.h"
#include "found.h"

#define FRAMES 12
#define PER_FRAME 20
#define DOCUMENT 8200
#define PERCENT 10

/* ---- A medium that cannot read everything ---- */

static struct {
	bool on;
	int errnum;
	off_t start;
	off_t end;
	off_t size; /* of the file that it is about */
} bad_sectors;

ssize_t __real_pread64(int fd, void *bytes, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *bytes, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *bytes, size_t size, off_t offset)
{
	struct stat status;

	if (bad_sectors.on && offset < bad_sectors.end &&
	    offset + (off_t)size > bad_sectors.start && fstat(fd, &status) == 0 &&
	    status.st_size == bad_sectors.size) {
		errno = bad_sectors.errnum;
		return -1;
	}
	return __real_pread64(fd, bytes, size, offset);
}

/* ---- What is tested with ---- */

static struct book book;

static int setup(void **state)
{
	static char path[256];

	assert_string_equal(BOOK_FILE, KIT_FILE);
	sample_directory(path);
	*state = path;
	book_make(&book, 3, FRAMES, PER_FRAME, DOCUMENT);
	return 0;
}

static int teardown(void **state)
{
	book_free(&book);
	sample_directory_remove(*state);
	return 0;
}

/* Every byte of the run becomes another. */
static void spoil(struct buffer *file, size_t start, size_t size)
{
	for (size_t i = start; i < start + size && i < file->size; i++)
		file->data[i] ^= 0xff;
}

static void copy(struct buffer *file)
{
	buffer_clear(file);
	expect_ok(buffer_append(file, book.file.data, book.file.size, &error));
}

/* Bytes of the backup in the blocks that the run touches. */
static uint64_t touched(size_t start, size_t size)
{
	size_t first = start / PARITY_BLOCK * PARITY_BLOCK;
	size_t end = (start + size + PARITY_BLOCK - 1) / PARITY_BLOCK * PARITY_BLOCK;

	return (end < book.file.size ? end : book.file.size) - first;
}

/* Reads it twice, all of it, as the engine does. */
static void expect_mended(const char *path, const struct buffer *file, uint64_t bytes)
{
	sample_write(path, BOOK_FILE, file->data, file->size);
	for (int salvage = 0; salvage <= 1; salvage++) {
		struct found found;

		found_new(&found, &book);
		expect_ok(found_read(path, BOOK_FILE, salvage == 1, &found, &error));
		for (unsigned i = 0; i < book.licenses; i++)
			assert_int_equal(found.given[i], 1);
		assert_int_equal(found.all, book.licenses);
		assert_int_equal(found.wear.bytes_mended, bytes);
		assert_int_equal(found.wear.bytes_lost, 0);
		assert_false(found.wear.header_lost);
		found_free(&found);
	}
}

static struct kit_layout protect(const char *path, unsigned percent)
{
	kit_protect(path, &book.file, percent);
	return kit_layout(book.file.size, percent);
}

/* ---- What is mended ---- */

static void runs(void **state)
{
	struct kit_layout layout = protect(*state, PERCENT);
	size_t reserve = (layout.rows * layout.stripes - 1) * PARITY_BLOCK + 1;
	struct buffer file = {0};

	assert_true(reserve > book.file.size * PERCENT / 100);
	copy(&file);
	expect_mended(*state, &file, 0);
	for (size_t start = 0; start + reserve < file.size; start += 190001) {
		copy(&file);
		spoil(&file, start, reserve);
		expect_mended(*state, &file, touched(start, reserve));
	}
	for (size_t start = 0; start < file.size; start += 50021) {
		copy(&file);
		spoil(&file, start, 1);
		expect_mended(*state, &file, touched(start, 1));
	}
	/* The nonce, which the header's MAC does not cover. */
	copy(&file);
	spoil(&file, book.payload - 10, 1);
	expect_mended(*state, &file, PARITY_BLOCK);
	copy(&file);
	spoil(&file, file.size - reserve, reserve);
	expect_mended(*state, &file, touched(file.size - reserve, reserve));
	buffer_free(&file);
}

static void other_sizes(void **state)
{
	struct kit_layout layout = protect(*state, PERCENT);
	size_t reserve = (layout.rows * layout.stripes - 1) * PARITY_BLOCK + 1;
	size_t chunk = BOOK_CHUNK + BOOK_TAG;
	struct buffer file = {0};

	for (size_t cut = 1; cut <= reserve; cut += cut < 20 ? 1 : 9973) {
		copy(&file);
		file.size -= cut;
		expect_mended(*state, &file, touched(file.size, cut));
	}
	/* Behind a whole chunk; and the header is damaged, too. */
	for (int both = 0; both <= 1; both++) {
		size_t size = book.payload + (book.chunks - 1) * chunk;

		copy(&file);
		file.size = size;
		if (both == 1)
			spoil(&file, 30, 60);
		expect_mended(*state, &file,
		    touched(size, book.file.size - size) + (both == 1 ? PARITY_BLOCK : 0));
	}
	for (size_t more = 1; more < 3 * chunk; more += 30011) {
		copy(&file);
		expect_ok(buffer_append(&file, book.file.data, more, &error));
		expect_mended(*state, &file, 0);
	}
	buffer_free(&file);
}

/* Which chunks are lost if of the spoilt ${blocks} those of stripes with too many are. */
static void lost_chunks(const struct kit_layout *layout, const bool *blocks, bool *bad)
{
	for (size_t i = 0; i < layout->blocks; i++) {
		size_t in_stripe = 0, start = i * PARITY_BLOCK, end = start + PARITY_BLOCK;

		for (size_t b = i % layout->stripes; b < layout->blocks; b += layout->stripes)
			in_stripe += blocks[b] ? 1 : 0;
		if (!blocks[i] || in_stripe <= layout->rows)
			continue;
		end = end < book.file.size ? end : book.file.size;
		for (size_t at = start; at < end; at++)
			if (at >= book.payload)
				bad[(at - book.payload) / (BOOK_CHUNK + BOOK_TAG)] = true;
	}
}

/* Above the reserve all that is whole comes, and no other byte. */
static void beyond(void **state)
{
	struct kit_layout layout = protect(*state, 3);
	struct kit_random random = {5};
	bool *blocks = calloc(layout.blocks, sizeof *blocks);
	bool *bad = calloc(book.chunks, sizeof *bad);
	struct buffer file = {0};
	unsigned lossy = 0;

	assert_true(blocks != NULL && bad != NULL);
	for (unsigned round = 0; round < 20; round++) {
		struct found found;
		bool lost = false;

		copy(&file);
		memset(blocks, 0, layout.blocks * sizeof *blocks);
		memset(bad, 0, book.chunks * sizeof *bad);
		for (size_t n = layout.blocks * (round + 1) / 100; n > 0; n--)
			blocks[1 + kit_below(&random, layout.blocks - 1)] = true;
		for (size_t i = 0; i < layout.blocks; i++)
			if (blocks[i])
				spoil(&file, i * PARITY_BLOCK, PARITY_BLOCK);
		lost_chunks(&layout, blocks, bad);
		for (size_t i = 0; i < book.chunks; i++)
			lost = lost || bad[i];
		lossy += lost ? 1 : 0;
		sample_write(*state, BOOK_FILE, file.data, file.size);
		found_new(&found, &book);
		expect_code(found_read(*state, BOOK_FILE, false, &found, &error),
		    lost ? RH_E_BACKUP_CORRUPT : RH_OK);
		found_free(&found);
		found_new(&found, &book);
		expect_ok(found_read(*state, BOOK_FILE, true, &found, &error));
		found_compare(&book, bad, &found, "beyond, round", round);
		assert_int_equal(found.wear.bytes_lost > 0, lost);
		found_free(&found);
	}
	assert_in_range(lossy, 5, 19);
	free(blocks);
	free(bad);
	buffer_free(&file);
}

/* ---- Wrong keys and damaged headers ---- */

static int open_with(
    const char *path, const struct age_identity *identity, bool salvage, rh_error *why)
{
	struct age_keys keys = {identity, 1, NULL};
	struct backup_directory *directory = NULL;
	struct backup_reader *reader = NULL;
	int code;

	expect_ok(backup_directory_open(path, false, &directory, &error));
	code = backup_reader_new(directory, BOOK_FILE, &keys, salvage, &reader, why);
	backup_reader_free(reader);
	backup_directory_close(directory);
	return code;
}

/* Offset of a letter of the body of the first stanza. */
static size_t stanza(const struct buffer *file)
{
	const char *arrow = memmem(file->data, file->size, "-> X25519 ", 10);

	assert_non_null(arrow);
	return (size_t)(strchr(arrow, '\n') + 5 - (const char *)file->data);
}

static void keys(void **state)
{
	struct kit_layout layout = protect(*state, 1);
	struct age_identity stranger;
	struct buffer file = {0};

	expect_ok(age_identity_generate(&stranger, &error));
	for (int salvage = 0; salvage <= 1; salvage++) {
		/* Whole; damaged elsewhere, even beyond repair; a stanza that is mended. */
		copy(&file);
		sample_write(*state, BOOK_FILE, file.data, file.size);
		expect_code(
		    open_with(*state, &stranger, salvage == 1, &error), RH_E_SECRET_WRONG);
		spoil(&file, 30000, file.size - 30000);
		sample_write(*state, BOOK_FILE, file.data, file.size);
		expect_code(
		    open_with(*state, &stranger, salvage == 1, &error), RH_E_SECRET_WRONG);
		copy(&file);
		file.data[stanza(&file)] ^= 1;
		sample_write(*state, BOOK_FILE, file.data, file.size);
		expect_code(
		    open_with(*state, &stranger, salvage == 1, &error), RH_E_SECRET_WRONG);
		expect_ok(open_with(*state, sample_identity(), salvage == 1, &error));

		/* One that cannot be mended is known to be damaged. */
		for (size_t c = 1; c < layout.columns; c++)
			spoil(&file, c * layout.stripes * PARITY_BLOCK, 1);
		sample_write(*state, BOOK_FILE, file.data, file.size);
		expect_code(open_with(*state, sample_identity(), salvage == 1, &error),
		    RH_E_BACKUP_CORRUPT);
		expect_code(
		    open_with(*state, &stranger, salvage == 1, &error), RH_E_BACKUP_CORRUPT);
		/* The same of the version. */
		file.data[stanza(&file)] ^= 1;
		*(char *)memmem(file.data, file.size, "/v1\n", 4) ^= 4;
		sample_write(*state, BOOK_FILE, file.data, file.size);
		expect_code(open_with(*state, sample_identity(), salvage == 1, &error),
		    RH_E_BACKUP_CORRUPT);
	}
	buffer_free(&file);
}

/* Without a parity file that helps, all is as if there was none. */
static void useless(void **state)
{
	struct buffer file = {0}, parity = {0};

	protect(*state, PERCENT);
	sample_read(*state, KIT_PARITY, &parity);
	copy(&file);
	spoil(&file, 200000, 1);
	sample_write(*state, BOOK_FILE, file.data, file.size);
	spoil(&parity, 0, parity.size);
	for (int there = 1; there >= 0; there--) {
		struct found found;
		char path[512];

		sample_write(*state, KIT_PARITY, parity.data, parity.size);
		snprintf(path, sizeof path, "%s/%s", (const char *)*state, KIT_PARITY);
		if (there == 0)
			assert_int_equal(unlink(path), 0);
		found_new(&found, &book);
		expect_code(
		    found_read(*state, BOOK_FILE, false, &found, &error), RH_E_BACKUP_CORRUPT);
		found_free(&found);
	}
	buffer_free(&file);
	buffer_free(&parity);
}

/* ---- Bad sectors ---- */

static int read_sectors(const char *path, bool salvage, int errnum, size_t start, size_t size,
    struct found *found, rh_error *why)
{
	int code;

	bad_sectors.errnum = errnum;
	bad_sectors.start = (off_t)start;
	bad_sectors.end = (off_t)(start + size);
	bad_sectors.size = (off_t)book.file.size;
	bad_sectors.on = true;
	code = found_read(path, BOOK_FILE, salvage, found, why);
	bad_sectors.on = false;
	return code;
}

static void sectors(void **state)
{
	static const size_t starts[] = {0, 5 * PARITY_BLOCK, 100 * PARITY_BLOCK};
	bool *bad = calloc(book.chunks, sizeof *bad);
	char parity[512];
	struct found found;

	assert_non_null(bad);
	protect(*state, PERCENT);
	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
		found_new(&found, &book);
		expect_ok(read_sectors(*state, false, EIO, starts[i], 9000, &found, &error));
		assert_int_equal(found.all, book.licenses);
		assert_int_equal(found.wear.bytes_mended, touched(starts[i], 9000));
		found_free(&found);
		found_new(&found, &book);
		expect_code(read_sectors(*state, true, ENODEV, starts[i], 9000, &found, &error),
		    RH_E_MEDIUM_GONE);
		found_free(&found);
	}

	/* Nothing to mend with. */
	snprintf(parity, sizeof parity, "%s/%s", (const char *)*state, KIT_PARITY);
	assert_int_equal(unlink(parity), 0);
	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
		found_new(&found, &book);
		expect_code(read_sectors(*state, false, EIO, starts[i], 9000, &found, &error),
		    RH_E_READ);
		expect_code(read_sectors(*state, true, ENODEV, starts[i], 9000, &found, &error),
		    RH_E_MEDIUM_GONE);
		found_free(&found);
	}
	bad[(starts[2] - book.payload) / (BOOK_CHUNK + BOOK_TAG)] = true;
	found_new(&found, &book);
	expect_ok(read_sectors(*state, true, EIO, starts[2], 9000, &found, &error));
	found_compare(&book, bad, &found, "sectors at", starts[2]);
	assert_int_equal(found.wear.bytes_lost, BOOK_CHUNK);
	found_free(&found);
	free(bad);
}

/* ---- The source alone ---- */

/* More than is kept in memory, forwards and backwards. */
static void large(void **state)
{
	const size_t step = 100003;
	struct kit_random random = {7};
	struct buffer right = {0}, file = {0};
	struct backup_directory *directory = NULL;
	struct mended *mended = NULL;
	struct age_source source;
	uint8_t *bytes = malloc(step);
	uint64_t size = 0;
	size_t got = 0, start = 3 * PARITY_BLOCK, run = (size_t)12 << 20;

	assert_non_null(bytes);
	kit_fill(&random, &right, ((size_t)25 << 20) + 17);
	kit_protect(*state, &right, 100);
	expect_ok(buffer_append(&file, right.data, right.size - 1000, &error));
	spoil(&file, start, run);
	sample_write(*state, KIT_FILE, file.data, file.size);

	expect_ok(backup_directory_open(*state, false, &directory, &error));
	expect_ok(mended_open(directory, KIT_FILE, &mended, &source, &error));
	assert_int_equal(source.size, file.size);
	expect_ok(source.read_at(source.context, start, bytes, step, &got, &error));
	assert_memory_equal(bytes, file.data + start, step);
	assert_true(source.doubt(source.context, &size));
	assert_int_equal(size, right.size);
	assert_false(source.doubt(source.context, &size));
	for (size_t at = 0; at < right.size; at += step) {
		expect_ok(source.read_at(source.context, at, bytes, step, &got, &error));
		assert_int_equal(got, right.size - at < step ? right.size - at : step);
		assert_memory_equal(bytes, right.data + at, got);
	}
	assert_int_equal(
	    mended_bytes(mended), run + (right.size - file.size / PARITY_BLOCK * PARITY_BLOCK));
	for (size_t at = right.size - step; at > step; at -= step) {
		expect_ok(source.read_at(source.context, at, bytes, step, &got, &error));
		assert_memory_equal(bytes, right.data + at, step);
	}
	assert_int_equal(
	    mended_bytes(mended), run + (right.size - file.size / PARITY_BLOCK * PARITY_BLOCK));
	assert_true(mended_lost(mended) == UINT64_MAX);
	expect_ok(source.read_at(source.context, right.size, bytes, step, &got, &error));
	assert_int_equal(got, 0);
	mended_free(mended);
	backup_directory_close(directory);
	buffer_free(&right);
	buffer_free(&file);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(runs),
	    cmocka_unit_test(other_sizes),
	    cmocka_unit_test(beyond),
	    cmocka_unit_test(keys),
	    cmocka_unit_test(useless),
	    cmocka_unit_test(sectors),
	    cmocka_unit_test(large),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
