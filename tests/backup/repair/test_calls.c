/*
 * Each call of a repair that changes the medium fails in turn, tears, or is the last one that
 * the process makes.  The linker (--wrap) sends the calls here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../sample.h"
#include "patient.h"

ssize_t __wrap_write(int fd, const void *bytes, size_t size);
int __wrap_fsync(int fd);
int __wrap_ftruncate64(int fd, off64_t size);
int __wrap_renameat(int from, const char *old, int to, const char *name);
ssize_t __real_write(int fd, const void *bytes, size_t size);
int __real_fsync(int fd);
int __real_ftruncate64(int fd, off64_t size);
int __real_renameat(int from, const char *old, int to, const char *name);

static struct {
	bool on;
	size_t calls; /* until now */
	size_t nth; /* this one fails; 0: none */
	int errnum; /* 0: it ends the process */
	bool interrupted; /* every other call */
} plan;

static bool fails(void)
{
	if (!plan.on)
		return false;
	plan.calls++;
	if (plan.interrupted && plan.calls % 2 == 1) {
		errno = EINTR;
		return true;
	}
	if (plan.calls != plan.nth)
		return false;
	if (plan.errnum == 0)
		_exit(77);
	errno = plan.errnum;
	return true;
}

/* A sector and some bytes arrive of what fails. */
ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
	if (plan.on && plan.calls + 1 == plan.nth && size > 1000)
		assert_int_equal(__real_write(fd, bytes, 700), 700);
	if (fails())
		return -1;
	return __real_write(fd, bytes, plan.on && plan.interrupted ? (size + 1) / 2 : size);
}

int __wrap_fsync(int fd)
{
	return fails() ? -1 : __real_fsync(fd);
}

int __wrap_ftruncate64(int fd, off64_t size)
{
	return fails() ? -1 : __real_ftruncate64(fd, size);
}

int __wrap_renameat(int from, const char *old, int to, const char *name)
{
	/* FORMAT.md: no step needs a rename over an existing name. */
	if (plan.on && (strcmp(name, KIT_FILE) == 0 || strcmp(name, KIT_PARITY) == 0))
		assert_int_not_equal(faccessat(to, name, F_OK, 0), 0);
	return !plan.interrupted && fails() ? -1 : __real_renameat(from, old, to, name);
}

/* ---- One repair ---- */

static int repair(struct patient *patient, bool to, rh_error *error)
{
	struct backup_state told;
	int code;

	plan.calls = 0;
	plan.on = true;
	code = patient_repair(patient, to ? patient->to : NULL, NULL, &told, error);
	plan.on = false;
	if (code == RH_OK)
		assert_int_equal(told.condition, BACKUP_WHOLE);
	else if (!to)
		assert_int_not_equal(told.condition, BACKUP_WHOLE);
	return code;
}

/* In a process that dies at the call. */
static void die(struct patient *patient, bool to)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		repair(patient, to, NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 77);
}

static void prepare(struct patient *patient, bool longer)
{
	sample_directory_remove(patient->to);
	sample_directory(patient->to);
	patient_fall_ill(patient, longer);
	sample_write(patient->damage.path, RECOVERY_FILE, "not looked at", 13);
}

/* How many calls there are. */
static size_t count(struct patient *patient, bool to, bool longer)
{
	memset(&plan, 0, sizeof plan);
	prepare(patient, longer);
	expect_ok(repair(patient, to, &error));
	return plan.calls;
}

static bool no_parts(const char *path)
{
	return !sample_exists(path, KIT_FILE PART_SUFFIX) &&
	       !sample_exists(path, KIT_PARITY PART_SUFFIX) &&
	       !sample_exists(path, RECOVERY_FILE PART_SUFFIX) &&
	       !sample_exists(path, HOW_TO_FILE PART_SUFFIX);
}

/* ---- In place ---- */

static void in_place(void **state)
{
	static const struct {
		int errnum, code;
		bool longer;
	} kinds[] = {{EIO, RH_E_WRITE, false}, {EIO, RH_E_WRITE, true},
	    {ENOSPC, RH_E_FULL, false}, {EROFS, RH_E_ACCESS, true}, {0, RH_E_WRITE, false},
	    {0, RH_E_WRITE, true}};
	struct patient *patient = *state;

	for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
		bool longer = kinds[kind].longer;
		size_t calls = count(patient, false, longer);

		assert_true(calls >= (longer ? 11 : 9));
		for (size_t nth = 1; nth <= calls; nth++) {
			rh_error why = {0};

			prepare(patient, longer);
			plan.nth = nth;
			plan.errnum = kinds[kind].errnum;
			if (plan.errnum == 0) {
				die(patient, false);
			} else {
				assert_int_equal(
				    repair(patient, false, &why), kinds[kind].code);
				assert_int_equal(strstr(why.text, "with '--to'") != NULL,
				    kinds[kind].code == RH_E_WRITE);
			}
			patient_expect_no_worse(patient);
			plan.nth = 0;
			expect_ok(repair(patient, false, &error));
			patient_expect_whole(patient, patient->damage.path);
		}
	}
}

/* ---- To another directory ---- */

static void copy_fails(struct patient *patient, size_t nth, size_t calls)
{
	rh_error why = {0};

	prepare(patient, true);
	plan.nth = nth;
	plan.errnum = EIO;
	assert_int_equal(repair(patient, true, &why), RH_E_WRITE);
	assert_null(strstr(why.text, "--to"));
	/* Not what is at fault. */
	assert_null(strstr(why.text, patient->damage.path));
	patient_expect_untouched(patient);
	assert_true(no_parts(patient->to));
	/* Only the flush of the directory comes behind the renames. */
	assert_int_equal(sample_exists(patient->to, KIT_FILE), nth == calls);
	assert_int_equal(sample_exists(patient->to, KIT_PARITY), nth == calls);
	plan.nth = 0;
	expect_code(repair(patient, true, &error), nth == calls ? RH_E_BACKUP_EXISTS : RH_OK);
	patient_expect_whole(patient, patient->to);
}

static void copy_dies(struct patient *patient, size_t nth)
{
	bool there;

	prepare(patient, true);
	plan.nth = nth;
	plan.errnum = 0;
	die(patient, true);
	patient_expect_untouched(patient);
	there = sample_exists(patient->to, KIT_FILE);
	if (there)
		patient_expect_whole(patient, patient->to);
	plan.nth = 0;
	expect_code(repair(patient, true, &error), there ? RH_E_BACKUP_EXISTS : RH_OK);
	patient_expect_whole(patient, patient->to);
	assert_true(no_parts(patient->to));
}

static void copies(void **state)
{
	struct patient *patient = *state;
	size_t calls = count(patient, true, true);

	assert_true(calls > 20);
	for (size_t nth = 1; nth <= calls; nth++) {
		copy_fails(patient, nth, calls);
		copy_dies(patient, nth);
	}
}

/* Every other call is interrupted, and what is written is written in halves. */
static void interrupted(void **state)
{
	struct patient *patient = *state;

	for (int to = 0; to <= 1; to++)
		for (int longer = 0; longer <= 1; longer++) {
			memset(&plan, 0, sizeof plan);
			prepare(patient, longer == 1);
			plan.interrupted = true;
			expect_ok(repair(patient, to == 1, &error));
			patient_expect_whole(
			    patient, to == 1 ? patient->to : patient->damage.path);
		}
}

static int teardown(void **state)
{
	memset(&plan, 0, sizeof plan);
	return patient_teardown(state);
}

#define WITH_PATIENT(test) cmocka_unit_test_setup_teardown(test, patient_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_PATIENT(in_place),
	    WITH_PATIENT(copies),
	    WITH_PATIENT(interrupted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
