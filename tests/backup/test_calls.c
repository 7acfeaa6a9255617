/*
 * Each call that changes the medium fails in turn, is interrupted, or is the last one that
 * the process makes: what is there then is whole.  The linker (--wrap) sends the calls here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sample.h"

ssize_t __wrap_write(int fd, const void *bytes, size_t size);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags);
int __wrap_fstatfs64(int fd, struct statfs64 *system);
int __wrap_renameat(int from, const char *old, int to, const char *name);
int __wrap_unlinkat(int fd, const char *name, int flags);
ssize_t __real_write(int fd, const void *bytes, size_t size);
int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags);
int __real_fstatfs64(int fd, struct statfs64 *system);
int __real_renameat(int from, const char *old, int to, const char *name);
int __real_unlinkat(int fd, const char *name, int flags);

/* ---- What happens to calls ---- */

static struct {
	size_t calls; /* until now */
	size_t nth; /* this one fails, and all behind it if ${gone}; 0: none */
	bool gone;
	int errnum; /* 0: it ends the process */
	bool interrupted; /* every other call */
	bool no_ranges; /* the file system cannot flush a range */
	bool fuse; /* it seems to, and does not */
	size_t range_flushes;
	size_t unflushed; /* bytes since the last flush */
	size_t most_unflushed;
	size_t data_flushes;
} plan;

/* Whether this call fails. */
static bool fails(void)
{
	size_t call = ++plan.calls;

	if (plan.interrupted && call % 2 == 1) {
		errno = EINTR;
		return true;
	}
	if (plan.nth == 0 || (plan.gone ? call < plan.nth : call != plan.nth))
		return false;
	if (plan.errnum == 0)
		_exit(77);
	errno = plan.errnum;
	return true;
}

ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
	if (fails())
		return -1;
	plan.unflushed += size;
	if (plan.unflushed > plan.most_unflushed)
		plan.most_unflushed = plan.unflushed;
	/* Short, too. */
	if (plan.interrupted && size > 1)
		size /= 2;
	return __real_write(fd, bytes, size);
}

int __wrap_fsync(int fd)
{
	return fails() ? -1 : __real_fsync(fd);
}

int __wrap_fdatasync(int fd)
{
	if (fails())
		return -1;
	plan.unflushed = 0;
	plan.data_flushes++;
	return __real_fdatasync(fd);
}

int __wrap_sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags)
{
	/* What only begins may fail: nobody looks. */
	if ((flags & SYNC_FILE_RANGE_WAIT_AFTER) == 0)
		return 0;
	if (plan.no_ranges) {
		errno = ENOSYS;
		return -1;
	}
	plan.range_flushes++;
	return fails() ? -1 : __real_sync_file_range(fd, offset, size, flags);
}

int __wrap_fstatfs64(int fd, struct statfs64 *system)
{
	int result = __real_fstatfs64(fd, system);

	if (plan.fuse)
		system->f_type = FUSE_SUPER_MAGIC;
	return result;
}

int __wrap_renameat(int from, const char *old, int to, const char *name)
{
	if (!plan.interrupted && fails())
		return -1;
	return __real_renameat(from, old, to, name);
}

int __wrap_unlinkat(int fd, const char *name, int flags)
{
	if (!plan.interrupted && fails())
		return -1;
	return __real_unlinkat(fd, name, flags);
}

static void forget_plan(void)
{
	memset(&plan, 0, sizeof plan);
}

/* ---- What is done meanwhile ---- */

#define DOCUMENT 5000
#define LICENSES 20
/* Bytes of a backup that is larger than what is flushed behind. */
#define LARGE ((size_t)24 << 20)

static int make_directory(void **state)
{
	char *path = malloc(256);

	sample_directory(path);
	*state = path;
	return 0;
}

static int remove_directory(void **state)
{
	forget_plan();
	sample_parity = 0;
	sample_directory_remove(*state);
	free(*state);
	return 0;
}

static struct backup_frame frames[LICENSES / 10];

static void make_frames(void)
{
	for (unsigned i = 0; i < LICENSES / 10; i++)
		sample_frame(&frames[i], i + 1, i * 10, 10, DOCUMENT);
}

static void free_frames(void)
{
	for (unsigned i = 0; i < LICENSES / 10; i++)
		backup_frame_free(&frames[i]);
}

/* Writes a backup and removes older ones. */
static int back_up(const char *path, rh_error *error)
{
	struct backup_directory *directory = NULL;
	struct backup_writer *writer = NULL;
	int code = backup_directory_open(path, true, &directory, error);

	if (code == RH_OK)
		code = sample_writer(directory, LICENSES, &writer, error);
	for (unsigned i = 0; i < LICENSES / 10 && code == RH_OK; i++)
		code = backup_writer_append(writer, &frames[i], error);
	if (code == RH_OK)
		code = backup_writer_finish(writer, NULL, NULL, error);
	if (code == RH_OK)
		code = backup_writer_commit(writer, error);
	backup_writer_free(writer);
	if (code == RH_OK)
		code = backup_prune(directory, 1, error);
	backup_directory_close(directory);
	return code;
}

/* Every generation there is whole, to the last licence; how many are there is the answer. */
static size_t expect_whole(const char *path)
{
	const struct backup_watch watch = {.context = NULL};
	struct backup_directory *directory = NULL;
	struct backup_generation *generations = NULL;
	struct backup_state found = {.condition = BACKUP_LOST};
	size_t count = 0;

	expect_ok(backup_directory_open(path, false, &directory, &error));
	expect_ok(backup_list(directory, &generations, &count, &error));
	assert_true(count > 0);
	for (size_t i = 0; i < count; i++) {
		unsigned licenses = 0;

		assert_true(generations[i].whole);
		assert_int_equal(generations[i].parity, sample_parity > 0);
		expect_ok(
		    sample_read_backup(path, generations[i].file, DOCUMENT, &licenses, &error));
		assert_int_equal(licenses, LICENSES);
		if (sample_parity == 0)
			continue;
		expect_ok(backup_check(directory, generations[i].file, &watch, &found, &error));
		assert_int_equal(found.condition, BACKUP_WHOLE);
	}
	free(generations);
	backup_directory_close(directory);
	return count;
}

/* Files of one backup, and HOW-TO-OPEN.txt. */
static size_t one_backup(void)
{
	return sample_parity > 0 ? 3 : 2;
}

/* Backups that follow leave one, and nothing of earlier runs. */
static void expect_next(const char *path)
{
	expect_ok(back_up(path, &error));
	/* Within one second a parity file without backup may be the newer one, once. */
	expect_ok(back_up(path, &error));
	assert_int_equal(expect_whole(path), 1);
	assert_int_equal(sample_count(path), one_backup());
}

/* ---- Failures ---- */

/*
 * Call ${n} fails; false if there are not so many.  With ${gone} nothing works from there
 * on: then a part may be left, too.
 */
static bool fail_at(const char *path, size_t n, int errnum, bool gone, int expected)
{
	rh_error why = {0};
	bool happened;
	int code;

	expect_ok(back_up(path, &error));
	assert_int_equal(sample_count(path), one_backup());
	forget_plan();
	plan.nth = n;
	plan.errnum = errnum;
	plan.gone = gone;
	code = back_up(path, &why);
	happened = plan.calls >= n;
	forget_plan();
	if (code != (happened ? expected : RH_OK))
		fail_msg("call %zu: %s: %s", n, rh_code_name(code), why.text);
	assert_int_equal(why.code, code);
	/* Both, if it was the flush of the directory, or the removing of the old one. */
	if (expect_whole(path) == 1 && !gone && happened)
		assert_in_range(sample_count(path), one_backup(), one_backup() + 1);
	/* The next run begins at once. */
	expect_next(path);
	return happened;
}

static void every_call_fails(void **state)
{
	static const struct {
		int errnum;
		int expected;
	} failures[] = {{EIO, RH_E_WRITE}, {ENOSPC, RH_E_FULL}, {EROFS, RH_E_ACCESS},
	    {ENODEV, RH_E_MEDIUM_GONE}, {EFBIG, RH_E_FILE_TOO_BIG}};

	make_frames();
	for (unsigned percent = 0; percent <= 100; percent += 100) {
		size_t n = 1;

		sample_parity = percent;
		for (; fail_at(*state, n, failures[n % 5].errnum, n % 2 == 0,
			 failures[n % 5].expected);
		     n++)
			continue;
		assert_true(n > (percent > 0 ? 20 : 8));
	}
	free_frames();
}

/* ---- Ends ---- */

static void every_call_is_the_last(void **state)
{
	int status = 0;

	make_frames();
	sample_parity = 10;
	for (size_t n = 1; n == 1 || WEXITSTATUS(status) == 77; n++) {
		pid_t child;

		expect_ok(back_up(*state, &error));
		child = fork();
		if (child == 0) {
			forget_plan();
			plan.nth = n;
			_exit(back_up(*state, NULL) == RH_OK ? 0 : 1);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_in_range(expect_whole(*state), 1, 2);
		expect_next(*state);
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	free_frames();
}

/* ---- Interruptions ---- */

static void interrupted(void **state)
{
	make_frames();
	sample_parity = 10;
	for (int no_ranges = 0; no_ranges < 2; no_ranges++) {
		forget_plan();
		plan.interrupted = true;
		plan.no_ranges = no_ranges != 0;
		expect_ok(back_up(*state, &error));
		forget_plan();
		assert_int_equal(expect_whole(*state), 1);
	}
	free_frames();
}

/* ---- Slow media ---- */

static int count_calls(void *context)
{
	++*(unsigned *)context;
	return 0;
}

/*
 * Writes LARGE bytes; at the end little is left to do, and between two questions there is
 * one MiB of it at most.  How often was asked is the answer.
 */
static unsigned write_large(const char *path)
{
	struct backup_directory *directory = NULL;
	struct backup_writer *writer = NULL;
	unsigned calls = 0;

	expect_ok(backup_directory_open(path, true, &directory, &error));
	expect_ok(sample_writer(directory, LICENSES, &writer, &error));
	while (backup_writer_bytes(writer) < LARGE)
		expect_ok(backup_writer_append(writer, &frames[0], &error));
	expect_ok(backup_writer_finish(writer, count_calls, &calls, &error));
	backup_writer_free(writer);
	backup_directory_close(directory);
	return calls;
}

static void flushed_behind(void **state)
{
	make_frames();
	/* Eight are flushed and read back, each in its turn; the last one is not whole. */
	assert_in_range(write_large(*state), 16, 18);
	assert_int_equal(plan.data_flushes, 0);

	/* Each MiB of parity is flushed in its turn, too, and read back by two. */
	sample_parity = 100;
	assert_true(write_large(*state) >= 16 + 24 + 12);
	sample_parity = 0;

	forget_plan();
	plan.no_ranges = true;
	assert_in_range(write_large(*state), 1, 18);
	assert_int_equal(plan.data_flushes, 3);
	assert_true(plan.most_unflushed <= (size_t)9 << 20);

	forget_plan();
	plan.fuse = true;
	assert_in_range(write_large(*state), 1, 18);
	assert_int_equal(plan.range_flushes, 0);
	assert_int_equal(plan.data_flushes, 3);
	assert_true(plan.most_unflushed <= (size_t)9 << 20);
	free_frames();
}

/* ---- Limits ---- */

static void file_too_big(void **state)
{
	struct rlimit limit, small;
	rh_error why = {0};
	int code;

	make_frames();
	sample_parity = 10;
	expect_ok(back_up(*state, &error));
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = limit;
	small.rlim_cur = 30000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	code = back_up(*state, &why);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(code, RH_E_FILE_TOO_BIG);
	assert_non_null(strstr(why.text, ".age.part"));
	assert_int_equal(expect_whole(*state), 1);
	assert_int_equal(sample_count(*state), 3);
	free_frames();
}

int main(void)
{
#define WITH_DIRECTORY(test)                                                                   \
	cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)
	const struct CMUnitTest tests[] = {
	    WITH_DIRECTORY(every_call_fails),
	    WITH_DIRECTORY(every_call_is_the_last),
	    WITH_DIRECTORY(interrupted),
	    WITH_DIRECTORY(flushed_behind),
	    WITH_DIRECTORY(file_too_big),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
