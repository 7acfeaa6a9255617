#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../sample.h"
#include "patient.h"

/* What a repair has written comes from the medium when it is looked at again. */

/* ---- A medium: built with --wrap=pread64 ---- */

static struct {
	ino_t file; /* 0: nobody looks */
	uint64_t first, end; /* bytes */
	bool forgets; /* these read back as zeros, and no error */
	bool cached; /* the first of them was, when reading began anew */
} medium;

/* Whether the page cache has the byte. */
static bool is_cached(int fd, uint64_t at)
{
	off_t page = (off_t)(at / BLOCK * BLOCK);
	void *map = mmap(NULL, BLOCK, PROT_READ, MAP_SHARED, fd, page);
	unsigned char there = 0;

	assert_true(map != MAP_FAILED);
	assert_int_equal(mincore(map, BLOCK, &there), 0);
	munmap(map, BLOCK);
	return (there & 1) != 0;
}

ssize_t __real_pread64(int fd, void *bytes, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *bytes, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *bytes, size_t size, off_t offset)
{
	uint64_t first = (uint64_t)offset;
	struct stat status;
	ssize_t got;

	if (medium.file == 0 || fstat(fd, &status) != 0 || status.st_ino != medium.file)
		return __real_pread64(fd, bytes, size, offset);
	if (first == 0)
		medium.cached = is_cached(fd, medium.first);
	got = __real_pread64(fd, bytes, size, offset);
	for (uint64_t at = first; medium.forgets && at < first + size; at++)
		if (at >= medium.first && at < medium.end)
			((uint8_t *)bytes)[at - first] = 0;
	return got;
}

static void watch_medium(
    const char *directory, const char *file, uint64_t first, uint64_t size, bool forgets)
{
	char path[512];
	struct stat status;

	snprintf(path, sizeof path, "%s/%s", directory, file);
	assert_int_equal(stat(path, &status), 0);
	medium.file = status.st_ino;
	medium.first = first;
	medium.end = first + size;
	medium.forgets = forgets;
}

static int teardown(void **state)
{
	memset(&medium, 0, sizeof medium);
	return patient_teardown(state);
}

/* ---- Tests ---- */

/* What was written is not what the medium gives: backup, parity page, page of the table. */
static void forgotten(void **state)
{
	struct patient *patient = *state;
	const struct parity_shape *shape = &patient->damage.shape;
	const uint64_t places[] = {parity_place(shape, 0), parity_table_place(shape, 1)};
	struct backup_state told;

	for (size_t i = 0; i < 3; i++) {
		rh_error why;

		patient_fall_ill(patient, false);
		watch_medium(patient->damage.path, i == 0 ? KIT_FILE : KIT_PARITY,
		    i == 0 ? 6 * BLOCK : places[i - 1] * BLOCK, 100, true);
		assert_int_equal(
		    patient_repair(patient, NULL, NULL, &told, &why), RH_E_READ_BACK);
		assert_non_null(strstr(why.text, "'rehost repair' with '--to'"));
		assert_int_not_equal(told.condition, BACKUP_WHOLE);
		medium.file = 0;
		patient_expect_no_worse(patient);
	}
}

/* Whether what lies here leaves the page cache when it is told to; in memory it cannot. */
static bool forgets_here(const char *path)
{
	char file[512];
	bool cached;
	int fd;

	snprintf(file, sizeof file, "%s/%s", path, KIT_PARITY);
	fd = open(file, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	cached = is_cached(fd, 0);
	close(fd);
	return !cached;
}

/* What was written comes from the medium when it is looked at again. */
static void read_back(void **state)
{
	static const uint64_t blocks[] = {5, 300, SIZE / BLOCK};
	struct patient *patient = *state;
	bool here = forgets_here(patient->damage.path);
	struct backup_state told;

	for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
		patient_fall_ill(patient, false);
		watch_medium(patient->damage.path, KIT_FILE, blocks[i] * BLOCK, 1, false);
		expect_ok(patient_repair(patient, NULL, NULL, &told, &error));
		assert_int_equal(medium.cached, !here);
		memset(&medium, 0, sizeof medium);
	}
}

#define WITH_PATIENT(test) cmocka_unit_test_setup_teardown(test, patient_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_PATIENT(forgotten),
	    WITH_PATIENT(read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
