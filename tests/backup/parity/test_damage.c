#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../sample.h"
#include "kit.h"

/* What is told about damage of every kind, and media that do not read or write. */

#define BLOCK 4096
#define SIZE 3000000

/* ---- A medium that is bad in places: built with --wrap=pread64 ---- */

static struct {
	ino_t file; /* 0: all is well */
	uint64_t first, end; /* bytes that are bad */
	int errnum; /* 0: the first of them is another one */
} medium;

ssize_t __real_pread64(int fd, void *bytes, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *bytes, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *bytes, size_t size, off_t offset)
{
	uint64_t first = (uint64_t)offset;
	struct stat status;
	ssize_t got;

	if (medium.file == 0 || fstat(fd, &status) != 0 || status.st_ino != medium.file ||
	    first >= medium.end || first + size <= medium.first)
		return __real_pread64(fd, bytes, size, offset);
	/* As kernels do: what is good before it is given. */
	if (medium.errnum != 0 && first < medium.first)
		return __real_pread64(fd, bytes, (size_t)(medium.first - first), offset);
	if (medium.errnum != 0) {
		errno = medium.errnum;
		return -1;
	}
	got = __real_pread64(fd, bytes, size, offset);
	if (first <= medium.first && first + (uint64_t)got > medium.first)
		((uint8_t *)bytes)[medium.first - first] ^= 1;
	return got;
}

static void spoil_medium(
    const char *directory, const char *file, uint64_t first, uint64_t size, int errnum)
{
	char path[512];
	struct stat status;

	snprintf(path, sizeof path, "%s/%s", directory, file);
	assert_int_equal(stat(path, &status), 0);
	medium.file = status.st_ino;
	medium.first = first;
	medium.end = first + size;
	medium.errnum = errnum;
}

/* ---- A backup, and what is told about it ---- */

struct test {
	char path[256];
	struct buffer backup, parity;
	struct parity_shape shape;
};

#define RUNS_MAX 512

struct told {
	struct told_run {
		bool parity;
		uint64_t offset, bytes;
		bool lost;
	} runs[RUNS_MAX];
	size_t count;
	uint64_t total, bytes;
};

static void on_damage(
    void *context, const char *file, uint64_t offset, uint64_t bytes, bool lost)
{
	struct told *told = context;
	bool parity = strcmp(file, KIT_PARITY) == 0;

	assert_true(parity || strcmp(file, KIT_FILE) == 0);
	assert_true(told->count < RUNS_MAX && bytes > 0);
	told->runs[told->count++] = (struct told_run){parity, offset, bytes, lost};
}

static void on_total(void *context, uint64_t bytes)
{
	((struct told *)context)->total = bytes;
}

static void on_bytes(void *context, uint64_t bytes)
{
	((struct told *)context)->bytes += bytes;
}

static void protect(struct test *test, size_t size, unsigned percent)
{
	struct kit_random random = {size};

	kit_fill(&random, &test->backup, size);
	kit_protect(test->path, &test->backup, percent);
	buffer_clear(&test->parity);
	sample_read(test->path, KIT_PARITY, &test->parity);
	expect_ok(parity_shape(&test->shape, size, percent, &error));
}

static void put(const struct test *test)
{
	sample_write(test->path, KIT_FILE, test->backup.data, test->backup.size);
	sample_write(test->path, KIT_PARITY, test->parity.data, test->parity.size);
}

static struct backup_state check(const struct test *test, struct told *told)
{
	const struct backup_watch watch = {.on_damage = on_damage,
	    .on_total = on_total,
	    .on_bytes = on_bytes,
	    .context = told};
	struct backup_directory *directory = NULL;
	struct backup_state result = {.condition = BACKUP_UNKNOWN};

	*told = (struct told){.count = 0};
	expect_ok(backup_directory_open(test->path, false, &directory, &error));
	expect_ok(backup_check(directory, KIT_FILE, &watch, &result, &error));
	backup_directory_close(directory);
	if (result.condition != BACKUP_UNKNOWN)
		assert_int_equal(told->bytes, told->total);
	return result;
}

static void expect_run(
    const struct told *told, size_t i, bool parity, uint64_t offset, uint64_t bytes, bool lost)
{
	assert_true(i < told->count);
	assert_int_equal(told->runs[i].parity, parity);
	assert_int_equal(told->runs[i].offset, offset);
	assert_int_equal(told->runs[i].bytes, bytes);
	assert_int_equal(told->runs[i].lost, lost);
}

static void spoil(struct buffer *bytes, uint64_t block)
{
	bytes->data[block * BLOCK + 77] ^= 4;
}

/* ---- What is told ---- */

static void runs(void **state)
{
	struct test *test = *state;
	const struct parity_shape *shape = &test->shape;
	uint32_t page, last;
	struct backup_state result;
	struct told told;

	protect(test, SIZE, 10);
	page = parity_place(shape, shape->parity_pages / 2);
	last = shape->pages - 1;
	for (unsigned i = 5; i < 8; i++)
		spoil(&test->backup, i);
	spoil(&test->backup, 101);
	spoil(&test->backup, SIZE / BLOCK);
	spoil(&test->parity, page);
	spoil(&test->parity, last);
	expect_ok(buffer_append(&test->backup, "more", 4, &error));
	put(test);
	result = check(test, &told);
	assert_int_equal(told.count, 5);
	expect_run(&told, 0, false, 5 * BLOCK, 3 * BLOCK, false);
	expect_run(&told, 1, false, 101 * BLOCK, BLOCK, false);
	/* The short last block, and what is too much behind it. */
	expect_run(
	    &told, 2, false, SIZE / BLOCK * BLOCK, SIZE - SIZE / BLOCK * BLOCK + 4, false);
	expect_run(&told, 3, true, (uint64_t)page * BLOCK, BLOCK, false);
	expect_run(&told, 4, true, (uint64_t)last * BLOCK, BLOCK, false);
	assert_int_equal(result.condition, BACKUP_MENDABLE);
	assert_int_equal(result.bytes_bad, 8 * BLOCK);
	assert_int_equal(result.bytes_lost, 0);
	assert_int_equal(result.bytes, SIZE + (uint64_t)shape->pages * BLOCK);
	/* Blocks are of all stripes in turn. */
	assert_true(shape->stripes == 4);
	assert_int_equal(result.reserve, (200 + shape->rows - 1) / shape->rows);
}

/* One stripe beyond its reserve; the others are not touched by it. */
static void lost(void **state)
{
	struct test *test = *state;
	struct backup_state result;
	struct told told;
	unsigned bad;

	protect(test, SIZE, 10);
	bad = test->shape.rows + 1;
	for (unsigned i = 0; i < bad; i++)
		spoil(&test->backup, (uint64_t)i * test->shape.stripes + 1);
	spoil(&test->backup, 2);
	put(test);
	result = check(test, &told);
	assert_int_equal(result.condition, BACKUP_LOST);
	assert_int_equal(result.bytes_lost, (uint64_t)bad * BLOCK);
	assert_int_equal(result.bytes_bad, ((uint64_t)bad + 1) * BLOCK);
	assert_int_equal(result.reserve, 100);
	assert_int_equal(told.count, bad + 1);
	expect_run(&told, 0, false, BLOCK, BLOCK, true);
	expect_run(&told, 1, false, 2 * BLOCK, BLOCK, false);
	/* With one less all of it can be mended. */
	spoil(&test->backup, 1);
	put(test);
	result = check(test, &told);
	assert_int_equal(result.condition, BACKUP_MENDABLE);
	assert_int_equal(result.reserve, 100);
}

/* Zeros that are missing at the end are missing. */
static void cut(void **state)
{
	struct test *test = *state;
	struct kit_random random = {1};
	struct backup_state result;
	struct told told;

	kit_fill(&random, &test->backup, SIZE);
	test->backup.data[SIZE - 1] = 0;
	kit_protect(test->path, &test->backup, 10);
	buffer_clear(&test->parity);
	sample_read(test->path, KIT_PARITY, &test->parity);
	test->backup.size--;
	put(test);
	result = check(test, &told);
	assert_int_equal(result.condition, BACKUP_MENDABLE);
	assert_int_equal(result.bytes_bad, BLOCK);
	assert_int_equal(told.count, 1);
	expect_run(&told, 0, false, SIZE / BLOCK * BLOCK, SIZE - SIZE / BLOCK * BLOCK, false);
}

/* All of the backup, and all of its parity pages. */
static void all(void **state)
{
	struct test *test = *state;
	struct backup_state result;
	struct told told;

	protect(test, SIZE, 100);
	sample_write(test->path, KIT_FILE, "", 0);
	result = check(test, &told);
	assert_int_equal(result.condition, BACKUP_MENDABLE);
	assert_int_equal(told.count, 1);
	expect_run(&told, 0, false, 0, SIZE, false);

	for (uint32_t i = 0; i < test->shape.parity_pages; i++)
		spoil(&test->parity, parity_place(&test->shape, i));
	put(test);
	result = check(test, &told);
	assert_int_equal(result.condition, BACKUP_MENDABLE);
	assert_int_equal(result.bytes_bad, (uint64_t)test->shape.parity_pages * BLOCK);
}

/* ---- The table ---- */

static void shuffle(struct kit_random *random, uint32_t *numbers, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		numbers[i] = i;
	for (uint32_t i = count; i > 1; i--) {
		uint32_t j = (uint32_t)kit_below(random, i), number = numbers[i - 1];

		numbers[i - 1] = numbers[j];
		numbers[j] = number;
	}
}

/* Any two thirds of it, and not one page more. */
static void tables(void **state)
{
	struct test *test = *state;
	struct kit_random random = {5};
	struct buffer whole = {0};

	protect(test, SIZE, 10);
	assert_int_equal(test->shape.table_groups, 1);
	expect_ok(buffer_append(&whole, test->parity.data, test->parity.size, &error));
	for (unsigned round = 0; round < 30; round++) {
		uint32_t numbers[PARITY_STRIPE_MAX], most = test->shape.table_rows;
		struct backup_state result;
		struct told told;

		shuffle(&random, numbers, test->shape.table_all);
		memcpy(test->parity.data, whole.data, whole.size);
		for (uint32_t i = 0; i < most; i++)
			spoil(&test->parity, parity_table_place(&test->shape, numbers[i]));
		put(test);
		result = check(test, &told);
		assert_int_equal(result.condition, BACKUP_MENDABLE);
		assert_int_equal(result.bytes_bad, (uint64_t)most * BLOCK);
		spoil(&test->parity, parity_table_place(&test->shape, numbers[most]));
		put(test);
		result = check(test, &told);
		assert_int_equal(result.condition, BACKUP_UNKNOWN);
		assert_non_null(strstr(result.why.text, "too much of its table is damaged"));
		assert_int_equal(told.count, 0);
	}
	buffer_free(&whole);
}

/* Pages of another backup's parity among ours, at the front. */
static void mixed_up(void **state)
{
	struct test *test = *state;
	char name[BACKUP_NAME_SIZE] = "licenses-20260102T030405Z-00000000000000ff.age";
	struct parity_pages pages;
	struct backup_state result;
	struct told told;
	uint8_t *hashes;

	protect(test, SIZE, 10);
	hashes = calloc(1, parity_table_size(&test->shape));
	assert_non_null(hashes);
	expect_ok(parity_pages_new(&pages, &test->shape, name, hashes, &error));
	expect_ok(parity_pages_make(&pages, 0, &error));
	memcpy(test->parity.data, pages.bytes, 2 * BLOCK);
	parity_pages_free(&pages);
	free(hashes);
	put(test);
	result = check(test, &told);
	assert_int_equal(result.condition, BACKUP_MENDABLE);
	assert_int_equal(told.count, 1);
	expect_run(&told, 0, true, 0, 2 * BLOCK, false);
}

/* ---- Sectors that cannot be read ---- */

static void sectors(void **state)
{
	static const int errnums[] = {EIO, EBADMSG, EUCLEAN, ENODATA};
	struct test *test = *state;
	struct backup_state result;
	struct told told;

	protect(test, SIZE, 10);
	for (size_t i = 0; i < sizeof errnums / sizeof *errnums; i++) {
		spoil_medium(test->path, KIT_FILE, 40 * BLOCK + 512, 1024, errnums[i]);
		result = check(test, &told);
		assert_int_equal(result.condition, BACKUP_MENDABLE);
		assert_int_equal(told.count, 1);
		expect_run(&told, 0, false, 40 * BLOCK, BLOCK, false);

		spoil_medium(test->path, KIT_PARITY, 0, BLOCK + 1, errnums[i]);
		result = check(test, &told);
		assert_int_equal(result.condition, BACKUP_MENDABLE);
		expect_run(&told, 0, true, 0, 2 * BLOCK, false);
	}
	medium.file = 0;
}

/* The medium is gone, or something is wrong with more than a sector: that is no damage. */
static void gone(void **state)
{
	static const char *const files[] = {KIT_FILE, KIT_PARITY};
	const struct backup_watch watch = {.context = NULL};
	struct test *test = *state;
	struct backup_directory *directory = NULL;
	struct backup_state result;

	protect(test, SIZE, 10);
	expect_ok(backup_directory_open(test->path, false, &directory, &error));
	for (size_t i = 0; i < 4; i++) {
		bool away = i % 2 == 0;

		spoil_medium(
		    test->path, files[i / 2], 40 * BLOCK, BLOCK, away ? ENODEV : EOVERFLOW);
		expect_code(backup_check(directory, KIT_FILE, &watch, &result, &error),
		    away ? RH_E_MEDIUM_GONE : RH_E_READ);
	}
	medium.file = 0;
	backup_directory_close(directory);
}

/* ---- Stripes ---- */

static void stripe_is_right(const struct test *test, struct parity_stripe *stripe, uint32_t s,
    const struct buffer *whole)
{
	const struct parity_shape *shape = &test->shape;

	expect_ok(parity_stripe_mend(stripe, s, &error));
	for (unsigned column = 0; column < shape->columns; column++) {
		uint64_t i = (uint64_t)column * shape->stripes + s;
		size_t rest = i < shape->blocks ? SIZE - (size_t)i * BLOCK : 0;

		if (rest > 0)
			assert_memory_equal(parity_stripe_block(stripe, column),
			    whole->data + i * BLOCK, rest < BLOCK ? rest : BLOCK);
	}
	expect_ok(parity_stripe_encode(stripe, &error));
	for (unsigned row = 0; row < shape->rows; row++)
		assert_memory_equal(parity_stripe_page(stripe, row),
		    test->parity.data +
			(size_t)parity_place(shape, row * shape->stripes + s) * BLOCK,
		    BLOCK);
}

static void stripes(void **state)
{
	struct test *test = *state;
	struct backup_directory *directory = NULL;
	const struct backup_watch watch = {.context = NULL};
	struct buffer whole = {0};
	struct parity *parity = NULL;
	struct parity_stripe *stripe = NULL;
	struct parity_map map;
	uint64_t size;
	int fd;

	protect(test, SIZE, 10);
	expect_ok(buffer_append(&whole, test->backup.data, test->backup.size, &error));
	memset(test->backup.data + 90 * BLOCK, 0, (size_t)12 * BLOCK);
	sample_write(test->path, KIT_FILE, test->backup.data, test->backup.size);
	expect_ok(backup_directory_open(test->path, false, &directory, &error));
	expect_ok(backup_directory_file(directory, KIT_FILE, false, &fd, &size, &error));
	expect_ok(parity_open(directory, KIT_FILE, false, &parity, &error));
	expect_ok(parity_map_make(parity, fd, "the backup", &watch, &map, &error));
	assert_int_equal(map.bad_blocks, 12);
	expect_ok(parity_stripe_new(parity, &map, fd, "the backup", &stripe, &error));
	for (uint32_t s = 0; s < test->shape.stripes; s++)
		stripe_is_right(test, stripe, s, &whole);

	/* What has changed since the map was made makes no wrong block pass. */
	spoil_medium(test->path, KIT_FILE, 3 * BLOCK, 1, 0);
	expect_code(parity_stripe_mend(stripe, 3, &error), RH_E_BACKUP_CORRUPT);
	medium.file = 0;
	parity_map_give_up(&map, parity, 3);
	assert_true(parity_map_lost(&map, parity, 3));
	assert_int_equal(map.lost_blocks, 3);
	parity_map_give_up(&map, parity, 3);
	assert_int_equal(map.lost_blocks, 3);

	parity_stripe_free(stripe);
	parity_map_free(&map);
	parity_free(parity);
	close(fd);
	backup_directory_close(directory);
	buffer_free(&whole);
}

/* ---- Writing that fails ---- */

static int stop(void *context)
{
	(void)context;
	return 1;
}

static int rewrite(const struct test *test, const char *out, uint64_t size,
    int (*stopping)(void *), rh_error *error)
{
	char backup[512];
	struct parity_target target = {.size = size,
	    .file = KIT_FILE,
	    .display = "the backup",
	    .out_display = "the parity file"};
	uint64_t bytes = 0;
	int code;

	snprintf(backup, sizeof backup, "%s/%s", test->path, KIT_FILE);
	target.fd = open(backup, O_RDONLY | O_CLOEXEC);
	target.out = open(out, O_RDWR | O_CLOEXEC);
	assert_true(target.fd >= 0 && target.out >= 0);
	code = parity_write(&target, 10, stopping, NULL, &bytes, error);
	close(target.fd);
	close(target.out);
	assert_int_equal(bytes, code == RH_OK ? test->parity.size : 0);
	return code;
}

static void not_written(void **state)
{
	struct test *test = *state;
	char out[512];

	protect(test, SIZE, 10);
	snprintf(out, sizeof out, "%s/%s", test->path, KIT_PARITY);
	expect_code(rewrite(test, "/dev/full", SIZE, NULL, &error), RH_E_FULL);
	expect_code(rewrite(test, out, SIZE, stop, &error), RH_E_CANCELED);
	expect_code(rewrite(test, out, SIZE + 1, NULL, &error), RH_E_READ_BACK);
	expect_code(rewrite(test, out, 0, NULL, &error), RH_E_ARGUMENT);
	spoil_medium(test->path, KIT_FILE, SIZE - 1, 1, EIO);
	expect_code(rewrite(test, out, SIZE, NULL, &error), RH_E_READ);
	/* Read back: a page of the table, a parity page, the end; not to be read at all. */
	spoil_medium(test->path, KIT_PARITY, 0, 1, 0);
	expect_code(rewrite(test, out, SIZE, NULL, &error), RH_E_READ_BACK);
	spoil_medium(
	    test->path, KIT_PARITY, (uint64_t)parity_place(&test->shape, 0) * BLOCK, 1, 0);
	expect_code(rewrite(test, out, SIZE, NULL, &error), RH_E_READ_BACK);
	spoil_medium(test->path, KIT_PARITY, test->parity.size - 1, 1, 0);
	expect_code(rewrite(test, out, SIZE, NULL, &error), RH_E_READ_BACK);
	spoil_medium(test->path, KIT_PARITY, BLOCK, 1, EIO);
	expect_code(rewrite(test, out, SIZE, NULL, &error), RH_E_READ);
	medium.file = 0;
	expect_ok(rewrite(test, out, SIZE, NULL, &error));
}

/* ---- */

static int setup(void **state)
{
	struct test *test = calloc(1, sizeof *test);

	assert_non_null(test);
	sample_directory(test->path);
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct test *test = *state;

	sample_directory_remove(test->path);
	buffer_free(&test->backup);
	buffer_free(&test->parity);
	free(test);
	return 0;
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_DIRECTORY(runs),
	    WITH_DIRECTORY(lost),
	    WITH_DIRECTORY(cut),
	    WITH_DIRECTORY(all),
	    WITH_DIRECTORY(tables),
	    WITH_DIRECTORY(mixed_up),
	    WITH_DIRECTORY(sectors),
	    WITH_DIRECTORY(gone),
	    WITH_DIRECTORY(stripes),
	    WITH_DIRECTORY(not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
