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

#include "base/file.h"

#include "../sample.h"
#include "patient.h"

/* In place and to another directory; rot of every kind is ../parity/test_rot.c's. */

/* ---- A medium: built with --wrap=pread64 and --wrap=openat64 ---- */

static struct {
	ino_t file; /* 0: all is well */
	uint64_t first, end; /* bytes that cannot be read */
	unsigned asked; /* how often they were tried */
	int errnum; /* of opening for writing; 0: that is fine */
} medium;

ssize_t __real_pread64(int fd, void *bytes, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *bytes, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *bytes, size_t size, off_t offset)
{
	uint64_t first = (uint64_t)offset;
	struct stat status;

	if (medium.file == 0 || first >= medium.end || first + size <= medium.first ||
	    fstat(fd, &status) != 0 || status.st_ino != medium.file)
		return __real_pread64(fd, bytes, size, offset);
	medium.asked++;
	errno = EIO;
	return -1;
}

int __real_openat64(int directory, const char *name, int flags, unsigned mode);
int __wrap_openat64(int directory, const char *name, int flags, unsigned mode);
int __wrap_openat64(int directory, const char *name, int flags, unsigned mode)
{
	if (medium.errnum != 0 && (flags & O_ACCMODE) != O_RDONLY) {
		errno = medium.errnum;
		return -1;
	}
	return __real_openat64(directory, name, flags, mode);
}

static void spoil_medium(const char *directory, const char *file, uint64_t first, uint64_t size)
{
	char path[512];
	struct stat status;

	snprintf(path, sizeof path, "%s/%s", directory, file);
	assert_int_equal(stat(path, &status), 0);
	medium.file = status.st_ino;
	medium.first = first;
	medium.end = first + size;
	medium.asked = 0;
}

static int teardown(void **state)
{
	memset(&medium, 0, sizeof medium);
	return patient_teardown(state);
}

/* ---- Who listens ---- */

struct heard {
	unsigned phases, runs, lost;
	uint64_t total, bytes; /* of this phase */
	bool recovery; /* recovery.age is lost */
	uint64_t stop_after; /* bytes in all phases together; 0: never */
	uint64_t all;
};

static void on_damage(
    void *context, const char *file, uint64_t offset, uint64_t bytes, bool lost)
{
	struct heard *heard = context;

	assert_true(bytes > 0);
	if (strcmp(file, RECOVERY_FILE) == 0) {
		assert_true(lost && offset == 0);
		heard->recovery = true;
		return;
	}
	heard->runs++;
	heard->lost += lost ? 1 : 0;
}

static void on_total(void *context, uint64_t bytes)
{
	struct heard *heard = context;

	assert_true(heard->bytes == heard->total);
	heard->phases++;
	heard->total = bytes;
	heard->bytes = 0;
}

static void on_bytes(void *context, uint64_t bytes)
{
	struct heard *heard = context;

	heard->bytes += bytes;
	heard->all += bytes;
	assert_true(heard->bytes <= heard->total);
}

static int on_stop(void *context)
{
	struct heard *heard = context;

	return heard->stop_after > 0 && heard->all >= heard->stop_after;
}

static struct backup_watch listen_with(struct heard *heard)
{
	return (struct backup_watch){on_damage, on_total, on_bytes, on_stop, heard};
}

/* ---- In place ---- */

static void in_place(void **state)
{
	struct patient *patient = *state;

	for (int longer = 0; longer <= 1; longer++) {
		struct heard heard = {0};
		const struct backup_watch watch = listen_with(&heard);
		struct backup_state told;

		patient_fall_ill(patient, longer == 1);
		expect_ok(patient_repair(patient, NULL, &watch, &told, &error));
		patient_expect_whole(patient, patient->damage.path);
		assert_int_equal(told.condition, BACKUP_WHOLE);
		assert_int_equal(told.bytes_lost, 0);
		/* Cutting off mends nothing that is counted. */
		assert_int_equal(
		    told.bytes_mended, told.bytes_bad - (longer == 1 ? 4 * BLOCK : 0));
		assert_int_equal(heard.phases, 2);
		assert_int_equal(heard.bytes, heard.total);
		assert_int_equal(heard.lost, 0);
		/* Looked at once, and nothing to mend. */
		heard = (struct heard){0};
		expect_ok(patient_repair(patient, NULL, &watch, &told, &error));
		assert_int_equal(told.condition, BACKUP_WHOLE);
		assert_int_equal(told.bytes_mended, 0);
		assert_int_equal(heard.phases, 1);
		assert_int_equal(heard.runs, 0);
	}
}

/* Bytes behind the end of the parity file are told, and are all that is wrong. */
static void parity_too_long(void **state)
{
	struct patient *patient = *state;
	struct damage *damage = &patient->damage;
	struct backup_state told;
	struct told runs;

	expect_ok(buffer_append(&damage->parity, "more", 4, &error));
	damage_put(damage);
	told = damage_check(damage, &runs);
	assert_int_equal(told.condition, BACKUP_MENDABLE);
	assert_int_equal(told.bytes_bad, BLOCK);
	assert_int_equal(runs.count, 1);
	damage_expect(&runs, 0, true, patient->parity.size, 4, false);
	expect_ok(patient_repair(patient, NULL, NULL, &told, &error));
	assert_int_equal(told.condition, BACKUP_WHOLE);
	patient_expect_whole(patient, damage->path);
}

/* One stripe is lost and stays as it is; what is bad of the others is mended. */
static void in_part(void **state)
{
	struct patient *patient = *state;
	struct damage *damage = &patient->damage;
	const struct parity_shape *shape = &damage->shape;
	struct buffer expected = {0}, is = {0};
	struct heard heard = {0};
	const struct backup_watch watch = listen_with(&heard);
	struct backup_state told;

	for (unsigned i = 0; i <= shape->rows; i++)
		damage_block(&damage->backup, (uint64_t)i * shape->stripes + 1);
	expect_ok(buffer_append(&expected, damage->backup.data, damage->backup.size, &error));
	damage_block(&damage->backup, 2);
	damage_block(&damage->parity, parity_place(shape, 0));
	damage_put(damage);
	expect_code(patient_repair(patient, NULL, &watch, &told, &error), RH_E_BACKUP_CORRUPT);
	assert_int_equal(told.condition, BACKUP_LOST);
	assert_int_equal(told.bytes_lost, (uint64_t)(shape->rows + 1) * BLOCK);
	assert_int_equal(told.bytes_mended, 2 * BLOCK);
	assert_int_equal(heard.lost, shape->rows + 1);
	sample_read(damage->path, KIT_FILE, &is);
	assert_int_equal(is.size, expected.size);
	assert_memory_equal(is.data, expected.data, is.size);
	sample_read(damage->path, KIT_PARITY, &is);
	assert_memory_equal(is.data, patient->parity.data, is.size);

	/* No copy is made of such a one. */
	damage_put(damage);
	expect_code(
	    patient_repair(patient, patient->to, &watch, &told, &error), RH_E_BACKUP_CORRUPT);
	assert_int_equal(sample_count(patient->to), 0);
	patient_expect_untouched(patient);
	buffer_free(&expected);
	buffer_free(&is);
}

/* All of the backup out of parity pages alone. */
static void out_of_nothing(void **state)
{
	struct patient *patient = *state;
	struct backup_state told;

	damage_protect(&patient->damage, SIZE, 100);
	sample_read(patient->damage.path, KIT_PARITY, &patient->parity);
	sample_write(patient->damage.path, KIT_FILE, "", 0);
	expect_ok(patient_repair(patient, NULL, NULL, &told, &error));
	patient_expect_whole(patient, patient->damage.path);
	assert_int_equal(told.bytes_mended, (SIZE + BLOCK - 1) / BLOCK * BLOCK);
	assert_int_equal(told.reserve, 100);
}

static void nothing_to_mend_with(void **state)
{
	static const struct backup_watch nobody;
	struct patient *patient = *state;
	struct backup_directory *directory = NULL;
	struct backup_state told;
	char path[512];

	patient_fall_ill(patient, false);
	expect_ok(backup_directory_open(patient->damage.path, false, &directory, &error));
	expect_code(
	    backup_repair(directory, KIT_FILE, NULL, &nobody, &told, &error), RH_E_ARGUMENT);
	backup_directory_close(directory);
	medium.errnum = EROFS;
	expect_code(patient_repair(patient, NULL, NULL, &told, &error), RH_E_ACCESS);
	medium.errnum = EACCES;
	expect_code(patient_repair(patient, NULL, NULL, &told, &error), RH_E_ACCESS);
	medium.errnum = 0;
	patient_expect_untouched(patient);

	snprintf(path, sizeof path, "%s/%s", patient->damage.path, KIT_PARITY);
	assert_int_equal(unlink(path), 0);
	expect_code(patient_repair(patient, NULL, NULL, &told, &error), RH_E_PARITY);
	assert_int_equal(told.condition, BACKUP_UNKNOWN);
	expect_code(patient_repair(patient, patient->to, NULL, &told, &error), RH_E_PARITY);
	snprintf(path, sizeof path, "%s/%s", patient->damage.path, KIT_FILE);
	assert_int_equal(unlink(path), 0);
	expect_code(patient_repair(patient, NULL, NULL, &told, &error), RH_E_BACKUP_MISSING);
	assert_int_equal(sample_count(patient->to), 0);
}

/* ---- Stops ---- */

static void stops(void **state)
{
	struct patient *patient = *state;

	for (int to = 0; to <= 1; to++) {
		unsigned stopped = 0;

		for (uint64_t after = 1;; after += 300000) {
			struct heard heard = {.stop_after = after};
			const struct backup_watch watch = listen_with(&heard);
			struct backup_state told;
			int code;

			patient_fall_ill(patient, after % 2 == 0);
			code = patient_repair(
			    patient, to == 1 ? patient->to : NULL, &watch, &told, NULL);
			if (code == RH_OK)
				break;
			assert_int_equal(code, RH_E_CANCELED);
			stopped++;
			if (to == 1) {
				patient_expect_untouched(patient);
				assert_int_equal(sample_count(patient->to), 0);
				continue;
			}
			patient_expect_no_worse(patient);
			expect_ok(patient_repair(patient, NULL, NULL, &told, &error));
			patient_expect_whole(patient, patient->damage.path);
		}
		assert_true(stopped >= 5);
	}
}

/* ---- Copies ---- */

static void copies(void **state)
{
	static const char recovery[] = "not looked at";
	struct patient *patient = *state;
	struct heard heard = {0};
	const struct backup_watch watch = listen_with(&heard);
	struct backup_state told;
	struct buffer is = {0};
	char path[512];

	patient_fall_ill(patient, true);
	sample_write(patient->damage.path, RECOVERY_FILE, recovery, sizeof recovery);
	expect_ok(patient_repair(patient, patient->to, &watch, &told, &error));
	assert_int_equal(told.condition, BACKUP_WHOLE);
	assert_int_equal(heard.phases, 3);
	assert_int_equal(heard.bytes, heard.total);
	assert_false(heard.recovery);
	patient_expect_whole(patient, patient->to);
	patient_expect_untouched(patient);
	sample_read(patient->to, RECOVERY_FILE, &is);
	assert_int_equal(is.size, sizeof recovery);
	assert_memory_equal(is.data, recovery, is.size);
	assert_true(sample_exists(patient->to, HOW_TO_FILE));
	assert_int_equal(sample_count(patient->to), 4);

	/* There already, in that directory or in its own. */
	expect_code(
	    patient_repair(patient, patient->to, NULL, &told, &error), RH_E_BACKUP_EXISTS);
	expect_code(patient_repair(patient, patient->damage.path, NULL, &told, &error),
	    RH_E_BACKUP_EXISTS);
	patient_expect_untouched(patient);
	/* A copy that was interrupted between its two files; a key that is another one. */
	snprintf(path, sizeof path, "%s/%s", patient->to, KIT_FILE);
	assert_int_equal(unlink(path), 0);
	sample_write(patient->to, KIT_PARITY, "half", 4);
	sample_write(patient->to, RECOVERY_FILE, "another", 7);
	expect_code(
	    patient_repair(patient, patient->to, NULL, &told, &error), RH_E_BACKUP_EXISTS);
	sample_read(patient->to, RECOVERY_FILE, &is);
	assert_int_equal(is.size, 7);
	sample_write(patient->to, RECOVERY_FILE, recovery, sizeof recovery);
	expect_ok(patient_repair(patient, patient->to, NULL, &told, &error));
	patient_expect_whole(patient, patient->to);
	assert_int_equal(sample_count(patient->to), 4);
	buffer_free(&is);
}

/* A recovery key that cannot be read, or is none, is no reason to have no copy. */
static void without_recovery(void **state)
{
	struct patient *patient = *state;
	struct heard heard = {0};
	const struct backup_watch watch = listen_with(&heard);
	struct backup_state told;
	uint8_t *large = calloc(1, 100000);

	assert_non_null(large);
	patient_fall_ill(patient, false);
	sample_write(patient->damage.path, RECOVERY_FILE, large, 100000);
	free(large);
	expect_ok(patient_repair(patient, patient->to, &watch, &told, &error));
	assert_true(heard.recovery);
	assert_false(sample_exists(patient->to, RECOVERY_FILE));
	patient_expect_whole(patient, patient->to);
}

/* Nobody waits for a writer. */
static void recovery_is_a_pipe(void **state)
{
	struct patient *patient = *state;
	struct heard heard = {0};
	const struct backup_watch watch = listen_with(&heard);
	struct backup_state told;
	char path[512];

	patient_fall_ill(patient, false);
	snprintf(path, sizeof path, "%s/%s", patient->damage.path, RECOVERY_FILE);
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_ok(patient_repair(patient, patient->to, &watch, &told, &error));
	assert_false(heard.recovery);
	assert_false(sample_exists(patient->to, RECOVERY_FILE));
}

/* Who made the medium may have put a link there that leads to another file of the owner's. */
static void links_are_not_followed(void **state)
{
	static const char *const files[] = {KIT_FILE, KIT_PARITY};
	struct patient *patient = *state;
	struct backup_state told;
	struct buffer kept = {0};
	char from[512];

	for (size_t i = 0; i < 2; i++) {
		patient_fall_ill(patient, false);
		snprintf(from, sizeof from, "%s/%s", patient->damage.path, files[i]);
		sample_write(patient->damage.path, "precious", "the owner's", 11);
		assert_int_equal(unlink(from), 0);
		assert_int_equal(symlink("precious", from), 0);
		expect_code(patient_repair(patient, NULL, NULL, &told, &error), RH_E_ACCESS);
		sample_read(patient->damage.path, "precious", &kept);
		assert_int_equal(kept.size, 11);
		assert_memory_equal(kept.data, "the owner's", 11);
		assert_int_equal(unlink(from), 0);
	}
	buffer_free(&kept);
}

/* Sectors that cannot be read are asked for when they are looked for, and never again. */
static void unreadable(void **state)
{
	static const char *const files[] = {KIT_FILE, KIT_PARITY};
	struct patient *patient = *state;
	struct backup_state told;
	struct told runs;

	for (size_t i = 0; i < 2; i++) {
		unsigned asked;

		spoil_medium(patient->damage.path, files[i], 60 * BLOCK, 3 * BLOCK);
		damage_check(&patient->damage, &runs);
		asked = medium.asked;
		assert_true(asked >= 4);
		medium.asked = 0;
		expect_ok(patient_repair(patient, patient->to, NULL, &told, &error));
		assert_int_equal(medium.asked, asked);
		medium.file = 0;
		patient_expect_whole(patient, patient->to);
		sample_directory_remove(patient->to);
		sample_directory(patient->to);
	}
}

#define WITH_PATIENT(test) cmocka_unit_test_setup_teardown(test, patient_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_PATIENT(in_place),
	    WITH_PATIENT(parity_too_long),
	    WITH_PATIENT(in_part),
	    WITH_PATIENT(out_of_nothing),
	    WITH_PATIENT(nothing_to_mend_with),
	    WITH_PATIENT(stops),
	    WITH_PATIENT(copies),
	    WITH_PATIENT(without_recovery),
	    WITH_PATIENT(recovery_is_a_pipe),
	    WITH_PATIENT(links_are_not_followed),
	    WITH_PATIENT(unreadable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
