#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../sample.h"
#include "damage.h"

/* Media that do not read or write everywhere. */

/* ---- A medium that is bad in places: built with --wrap=pread64 ---- */

static struct {
	ino_t file; /* 0: all is well */
	uint64_t first, end; /* bytes that are bad */
	int errnum; /* 0: the first of them is another one */
	atomic_int right; /* times that it is as it should be before */
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
	if (first <= medium.first && first + (uint64_t)got > medium.first &&
	    atomic_fetch_sub(&medium.right, 1) <= 0)
		((uint8_t *)bytes)[medium.first - first] ^= 1;
	return got;
}

/* The name of a file that cannot be opened, and why. */
static const char *unopened;
static int unopened_errnum;

int __real_openat64(int directory, const char *path, int flags, ...);
int __wrap_openat64(int directory, const char *path, int flags, ...);
int __wrap_openat64(int directory, const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	if (unopened != NULL && strcmp(path, unopened) == 0) {
		errno = unopened_errnum;
		return -1;
	}
	va_start(arguments, flags);
	mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
	va_end(arguments);
	return __real_openat64(directory, path, flags, mode);
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
	medium.right = 0;
}

/* ---- Sectors that cannot be read ---- */

static void sectors(void **state)
{
	static const int errnums[] = {EIO, EBADMSG, EUCLEAN, ENODATA};
	struct damage *test = *state;
	struct backup_state result;
	struct told told;

	damage_protect(test, SIZE, 10);
	for (size_t i = 0; i < sizeof errnums / sizeof *errnums; i++) {
		spoil_medium(test->path, KIT_FILE, 40 * BLOCK + 512, 1024, errnums[i]);
		result = damage_check(test, &told);
		assert_int_equal(result.condition, BACKUP_MENDABLE);
		assert_int_equal(told.count, 1);
		damage_expect(&told, 0, false, 40 * BLOCK, BLOCK, false);

		spoil_medium(test->path, KIT_PARITY, 0, BLOCK + 1, errnums[i]);
		result = damage_check(test, &told);
		assert_int_equal(result.condition, BACKUP_MENDABLE);
		damage_expect(&told, 0, true, 0, 2 * BLOCK, false);
	}
	medium.file = 0;
}

/* What the file system knows of a file may be damaged as well: others are there all the same.
 */
static void files_that_do_not_open(void **state)
{
	static const int errnums[] = {EIO, EBADMSG, EUCLEAN};
	struct damage *test = *state;
	struct backup_directory *directory = NULL;
	struct backup_generation *found;
	struct backup_state result;
	struct told told;
	char name[BACKUP_NAME_SIZE];
	size_t count;

	damage_protect(test, SIZE, 10);
	sample_backup(test->path, 3, 60, name);
	expect_ok(backup_directory_open(test->path, false, &directory, &error));
	for (size_t i = 0; i < sizeof errnums / sizeof *errnums; i++) {
		unopened_errnum = errnums[i];
		unopened = name;
		expect_ok(backup_list(directory, &found, &count, &error));
		assert_int_equal(count, 2);
		for (size_t j = 0; j < count; j++)
			if (strcmp(found[j].file, name) == 0)
				assert_false(found[j].whole || found[j].mendable);
		free(found);
		unopened = KIT_FILE;
		expect_ok(backup_list(directory, &found, &count, &error));
		assert_int_equal(count, 2);
		for (size_t j = 0; j < count; j++)
			if (strcmp(found[j].file, name) == 0)
				assert_true(found[j].whole);
		free(found);
		unopened = KIT_PARITY;
		result = damage_check(test, &told);
		assert_int_equal(result.condition, BACKUP_UNKNOWN);
		assert_int_equal(result.why.code, RH_E_PARITY);
	}
	/* This process has no room for one more. */
	unopened = name;
	unopened_errnum = EMFILE;
	expect_code(backup_list(directory, &found, &count, &error), RH_E_OPEN);
	unopened = NULL;
	backup_directory_close(directory);
}

/* Larger than any medium, and nothing in it. */
static void hole(void **state)
{
	struct damage *test = *state;
	struct backup_state result;
	struct told told;
	char path[512];

	damage_protect(test, SIZE, 10);
	sample_write(test->path, KIT_PARITY, "", 0);
	snprintf(path, sizeof path, "%s/%s", test->path, KIT_PARITY);
	if (truncate(path, (off_t)1 << 40) != 0) {
		assert_true(errno == EFBIG || errno == ENOSPC);
		skip();
	}
	result = damage_check(test, &told);
	assert_int_equal(result.condition, BACKUP_UNKNOWN);
	assert_int_equal(result.why.code, RH_E_PARITY);
}

/* The medium is gone, or something is wrong with more than a sector: that is no damage. */
static void gone(void **state)
{
	static const char *const files[] = {KIT_FILE, KIT_PARITY};
	const struct backup_watch watch = {.context = NULL};
	struct damage *test = *state;
	struct backup_directory *directory = NULL;
	struct backup_state result;

	damage_protect(test, SIZE, 10);
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

static void stripe_is_right(const struct damage *test, struct parity_stripe *stripe, uint32_t s,
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
	struct damage *test = *state;
	struct backup_directory *directory = NULL;
	const struct backup_watch watch = {.context = NULL};
	struct buffer whole = {0};
	struct parity *parity = NULL;
	struct parity_stripe *stripe = NULL;
	struct parity_map map;
	uint64_t size;
	int fd;

	damage_protect(test, SIZE, 10);
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

static int rewrite(const struct damage *test, const char *out, uint64_t size,
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
	struct damage *test = *state;
	char out[512];

	damage_protect(test, SIZE, 10);
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

/* Nothing is read back before the first time that it is asked. */
static int spoil_second_reading(void *context)
{
	const struct damage *test = context;
	char pattern[512];
	glob_t found;

	if (medium.file != 0)
		return 0;
	snprintf(pattern, sizeof pattern, "%s/*.age.part", test->path);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 1);
	spoil_medium(test->path, strrchr(found.gl_pathv[0], '/') + 1, 50 * BLOCK + 7, 1, 0);
	medium.right = 1;
	globfree(&found);
	return 0;
}

/* A medium that reads right when the backup is read back, and wrong for its parity. */
static void read_wrong_for_parity(void **state)
{
	struct damage *test = *state;
	struct backup_directory *directory;
	struct backup_writer *writer;
	struct backup_frame frame = {0};

	expect_ok(backup_directory_open(test->path, true, &directory, &error));
	sample_parity = 10;
	expect_ok(sample_writer(directory, 20, &writer, &error));
	sample_frame(&frame, 1, 0, 20, 40000);
	expect_ok(backup_writer_append(writer, &frame, &error));
	expect_code(
	    backup_writer_finish(writer, spoil_second_reading, test, &error), RH_E_READ_BACK);
	assert_true(medium.right < 0);
	medium.file = 0;
	sample_parity = 0;
	backup_writer_free(writer);
	backup_frame_free(&frame);
	backup_directory_close(directory);
	assert_int_equal(sample_count(test->path), 0);
}

#define WITH_DIRECTORY(test)                                                                   \
	cmocka_unit_test_setup_teardown(test, damage_setup, damage_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_DIRECTORY(sectors),
	    WITH_DIRECTORY(files_that_do_not_open),
	    WITH_DIRECTORY(hole),
	    WITH_DIRECTORY(gone),
	    WITH_DIRECTORY(stripes),
	    WITH_DIRECTORY(not_written),
	    WITH_DIRECTORY(read_wrong_for_parity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
