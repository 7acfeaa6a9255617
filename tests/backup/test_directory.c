#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "sample.h"

/* The directory, its generations, and media that do not do as they are told. */

static int make_directory(void **state)
{
	char *path = malloc(256);

	sample_directory(path);
	*state = path;
	return 0;
}

static int remove_directory(void **state)
{
	sample_directory_remove(*state);
	free(*state);
	return 0;
}

static struct backup_directory *open_directory(const char *path, bool writing)
{
	struct backup_directory *directory = NULL;

	expect_ok(backup_directory_open(path, writing, &directory, &error));
	return directory;
}

/* ---- Names ---- */

static void names(void **state)
{
	static const char *const wrong[] = {"", "licenses", "licenses-.age",
	    "licenses-20261122T151000Z-0123456789abcdef.age.part",
	    "licenses-20261122T151000Z-0123456789ABCDEF.age",
	    "Licenses-20261122T151000Z-0123456789abcdef.age",
	    "licenses-20261122T151000Z-0123456789abcdef.AGE",
	    "licenses-20261122T151000Z-0123456789abcdeg.age",
	    "licenses-20261122T151000Z-0123456789abcde.age",
	    "licenses-20261122T151000Z-0123456789abcdef0.age",
	    "licenses-20261122T151000-00123456789abcdef.age",
	    "licenses-20261122 151000Z-0123456789abcdef.age",
	    "licenses-20261322T151000Z-0123456789abcdef.age",
	    "licenses-20260229T151000Z-0123456789abcdef.age",
	    "licenses-20261122T241000Z-0123456789abcdef.age",
	    "licenses-20261122T235960Z-0123456789abcdef.age",
	    "licenses--0261122T151000Z-0123456789abcdef.age",
	    "licenses-19691231T235959Z-0123456789abcdef.age"};
	char name[BACKUP_NAME_SIZE], id[BACKUP_ID_SIZE];
	int64_t created = 0;

	(void)state;
	assert_true(generation_name(name, 1795360200, "0123456789abcdef"));
	assert_string_equal(name, "licenses-20261122T151000Z-0123456789abcdef.age");
	assert_true(generation_parse(name, &created, id));
	assert_int_equal(created, 1795360200);
	assert_string_equal(id, "0123456789abcdef");
	assert_true(generation_name(name, 253402300799, "0123456789abcdef"));
	assert_true(generation_parse(name, &created, id));
	assert_false(generation_name(name, 253402300800, "0123456789abcdef"));
	assert_false(generation_name(name, -1, "0123456789abcdef"));
	assert_false(generation_name(name, INT64_MIN, "0123456789abcdef"));
	assert_false(generation_name(name, INT64_MAX, "0123456789abcdef"));
	assert_false(generation_name(name, 1795360200, "0"));
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		if (generation_parse(wrong[i], NULL, NULL))
			fail_msg("%s is a name", wrong[i]);
}

/* ---- Opening ---- */

static void open_what_is_none(void **state)
{
	struct backup_directory *directory = NULL;
	char path[300];

	for (int writing = 0; writing < 2; writing++) {
		snprintf(path, sizeof path, "%s/none", (char *)*state);
		expect_code(backup_directory_open(path, writing, &directory, &error),
		    RH_E_NO_DIRECTORY);
		expect_code(
		    backup_directory_open("", writing, &directory, &error), RH_E_NO_DIRECTORY);
		sample_write(*state, "file", "x", 1);
		snprintf(path, sizeof path, "%s/file", (char *)*state);
		expect_code(backup_directory_open(path, writing, &directory, &error),
		    RH_E_NOT_DIRECTORY);
		snprintf(path, sizeof path, "%s/file/below", (char *)*state);
		expect_code(backup_directory_open(path, writing, &directory, &error),
		    RH_E_NOT_DIRECTORY);
	}
	assert_null(directory);
	backup_directory_close(NULL);
}

static void one_writer_at_a_time(void **state)
{
	struct backup_directory *first = open_directory(*state, true), *second = NULL;
	uint64_t start = clock_monotonic(), waited;
	int status = 0;
	pid_t child;

	expect_code(backup_directory_open(*state, true, &second, &error), RH_E_BACKUP_BUSY);
	waited = clock_monotonic() - start;
	assert_true(waited > 500000000u && waited < 10000000000u);
	/* Readers do not wait. */
	second = open_directory(*state, false);
	backup_directory_close(second);
	assert_int_equal(sample_count(*state), 0);
	child = fork();
	if (child == 0)
		_exit(backup_directory_open(*state, true, &second, NULL) == RH_E_BACKUP_BUSY
			  ? 0
			  : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	backup_directory_close(first);
	second = open_directory(*state, true);
	backup_directory_close(second);
}

static void stale_parts_go(void **state)
{
	static const char *const stale[] = {
	    "licenses-20261122T151000Z-0123456789abcdef.age.part",
	    "licenses-20261122T151000Z-0123456789abcdef.parity.part", "recovery.age.part",
	    "HOW-TO-OPEN.txt.part"};
	static const char *const others[] = {"licenses.age.part", "music.part", ".part",
	    ".parity.part", "licenses-20261122T151000Z-0123456789abcdef.parity",
	    "licenses-20261122T151000Z-0123456789abcdef.part", "recovery.age", "notes.txt"};
	struct backup_generation *generations = NULL;
	struct backup_directory *directory;
	size_t count = 1;

	for (size_t i = 0; i < sizeof stale / sizeof *stale; i++)
		sample_write(*state, stale[i], "x", 1);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		sample_write(*state, others[i], "x", 1);
	directory = open_directory(*state, false);
	expect_ok(backup_list(directory, &generations, &count, &error));
	assert_int_equal(count, 0);
	free(generations);
	backup_directory_close(directory);
	assert_true(sample_exists(*state, stale[0]));
	backup_directory_close(open_directory(*state, true));
	for (size_t i = 0; i < sizeof stale / sizeof *stale; i++)
		assert_false(sample_exists(*state, stale[i]));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_true(sample_exists(*state, others[i]));
}

/* ---- Generations ---- */

static size_t list(const char *path, struct backup_generation *found, size_t capacity)
{
	struct backup_directory *directory = open_directory(path, false);
	struct backup_generation *generations = NULL;
	size_t count = 0;

	expect_ok(backup_list(directory, &generations, &count, &error));
	assert_true(count <= capacity);
	if (count > 0)
		memcpy(found, generations, count * sizeof *found);
	free(generations);
	backup_directory_close(directory);
	return count;
}

static void prune(const char *path, unsigned keep)
{
	struct backup_directory *directory = open_directory(path, true);

	expect_ok(backup_prune(directory, keep, &error));
	backup_directory_close(directory);
}

static void newest_first(void **state)
{
	struct backup_generation found[8];
	char names[4][BACKUP_NAME_SIZE];

	assert_int_equal(list(*state, found, 8), 0);
	for (int i = 0; i < 4; i++)
		sample_backup(*state, 3, 60, names[i]);
	assert_int_equal(list(*state, found, 8), 4);
	for (int i = 0; i < 4; i++) {
		struct buffer file = {0};

		/* Within one second, too, the latest is the newest. */
		assert_string_equal(found[i].file, names[3 - i]);
		assert_true(found[i].whole);
		sample_read(*state, names[3 - i], &file);
		assert_int_equal(found[i].bytes, file.size);
		assert_non_null(strstr(found[i].file, found[i].id));
		buffer_free(&file);
	}
	prune(*state, 5);
	assert_int_equal(list(*state, found, 8), 4);
	prune(*state, 2);
	assert_int_equal(list(*state, found, 8), 2);
	assert_string_equal(found[0].file, names[3]);
	assert_string_equal(found[1].file, names[2]);
	prune(*state, 1);
	assert_int_equal(list(*state, found, 8), 1);
	expect_ok(sample_read_backup(*state, names[3], 60, NULL, &error));
}

/* A backup that a computer with a wrong clock left behind does not hide later ones. */
static void newer_than_the_future(void **state)
{
	static const char future[] = "licenses-20991231T235959Z-ffffffffffffffff.age";
	static const char end[] = "licenses-99991231T235959Z-0000000000000000.age";
	struct backup_generation found[8];
	struct backup_directory *directory;
	struct backup_writer *writer = NULL;
	char name[BACKUP_NAME_SIZE];

	sample_write(*state, future, "x", 1);
	sample_backup(*state, 3, 60, name);
	assert_true(strcmp(name, future) > 0);
	expect_ok(sample_read_backup(*state, name, 60, NULL, &error));
	assert_int_equal(list(*state, found, 8), 2);
	assert_string_equal(found[0].file, name);

	sample_write(*state, end, "x", 1);
	directory = open_directory(*state, true);
	expect_code(sample_writer(directory, 0, &writer, &error), RH_E_ARGUMENT);
	backup_directory_close(directory);
}

/* What is not whole does not count, and what is kept is whole. */
static void damaged_generations(void **state)
{
	static const char latest[] = "licenses-20991231T235959Z-ffffffffffffffff.age";
	static const char folder[] = "licenses-20981231T235959Z-ffffffffffffffff.age";
	struct backup_generation found[8];
	struct buffer file = {0};
	char names[3][BACKUP_NAME_SIZE], path[512];

	for (int i = 0; i < 3; i++)
		sample_backup(*state, 3, 60, names[i]);
	sample_read(*state, names[2], &file);
	sample_write(*state, names[1], file.data, 100);
	sample_write(*state, latest, "age-encryption.org/v1\n", 22);
	snprintf(path, sizeof path, "%s/%s", (char *)*state, folder);
	assert_int_equal(mkdir(path, 0700), 0);

	assert_int_equal(list(*state, found, 8), 4);
	assert_string_equal(found[0].file, latest);
	assert_false(found[0].whole);
	assert_true(found[1].whole);
	assert_string_equal(found[2].file, names[1]);
	assert_false(found[2].whole);
	assert_true(found[3].whole);

	prune(*state, 2);
	assert_int_equal(list(*state, found, 8), 4);
	prune(*state, 1);
	assert_int_equal(list(*state, found, 8), 2);
	assert_string_equal(found[0].file, latest);
	assert_string_equal(found[1].file, names[2]);
	buffer_free(&file);
}

static void prune_needs_the_lock(void **state)
{
	struct backup_directory *directory = open_directory(*state, false);
	struct backup_writer *writer = NULL;

	expect_code(backup_prune(directory, 1, &error), RH_E_ARGUMENT);
	expect_code(sample_writer(directory, 0, &writer, &error), RH_E_ARGUMENT);
	backup_directory_close(directory);
	directory = open_directory(*state, true);
	expect_code(backup_prune(directory, 0, &error), RH_E_ARGUMENT);
	backup_directory_close(directory);
}

/* ---- Writing ---- */

static struct backup_writer *start_writer(struct backup_directory *directory, unsigned frames)
{
	struct backup_writer *writer = NULL;
	struct backup_frame frame = {0};

	expect_ok(sample_writer(directory, frames * 10, &writer, &error));
	for (unsigned i = 0; i < frames; i++) {
		sample_frame(&frame, i + 1, i * 10, 10, 20000);
		expect_ok(backup_writer_append(writer, &frame, &error));
	}
	backup_frame_free(&frame);
	return writer;
}

static void nothing_visible_before_commit(void **state)
{
	struct backup_directory *directory = open_directory(*state, true);
	struct backup_generation found[2];
	struct backup_writer *writer = start_writer(directory, 3);

	expect_code(backup_writer_commit(writer, &error), RH_E_ARGUMENT);
	assert_int_equal(list(*state, found, 2), 0);
	expect_ok(backup_writer_finish(writer, NULL, NULL, &error));
	assert_int_equal(list(*state, found, 2), 0);
	assert_int_equal(sample_count(*state), 1);
	expect_ok(backup_writer_commit(writer, &error));
	assert_int_equal(list(*state, found, 2), 1);
	assert_int_equal(found[0].bytes, backup_writer_bytes(writer));
	expect_code(backup_writer_commit(writer, &error), RH_E_ARGUMENT);
	backup_writer_free(writer);
	assert_int_equal(list(*state, found, 2), 1);

	/* What is given up leaves nothing. */
	writer = start_writer(directory, 3);
	expect_ok(backup_writer_finish(writer, NULL, NULL, &error));
	backup_writer_free(writer);
	writer = start_writer(directory, 3);
	backup_writer_free(writer);
	backup_writer_free(NULL);
	assert_int_equal(list(*state, found, 2), 1);
	assert_int_equal(sample_count(*state), 2);
	backup_directory_close(directory);
}

static int stop_after(void *context)
{
	unsigned *calls = context;

	return (*calls)-- == 0;
}

static void stops_while_reading_back(void **state)
{
	struct backup_directory *directory = open_directory(*state, true);
	struct backup_writer *writer;
	unsigned calls;

	for (unsigned after = 0; after < 2; after++) {
		writer = start_writer(directory, 20);
		calls = after;
		expect_code(
		    backup_writer_finish(writer, stop_after, &calls, &error), RH_E_CANCELED);
		expect_code(backup_writer_commit(writer, &error), RH_E_ARGUMENT);
		backup_writer_free(writer);
		assert_int_equal(sample_count(*state), 0);
	}
	backup_directory_close(directory);
}

/* The file that is being written, opened behind the writer's back. */
static int open_part(const char *path)
{
	char command[400], part[600];
	FILE *names;
	int fd;

	snprintf(command, sizeof command, "ls '%s'/*.part", path);
	names = popen(command, "r");
	assert_non_null(names);
	assert_non_null(fgets(part, sizeof part, names));
	pclose(names);
	part[strcspn(part, "\n")] = '\0';
	fd = open(part, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

enum medium { MEDIUM_FLIPS, MEDIUM_CUTS, MEDIUM_GROWS, MEDIUM_ZEROS, MEDIUM_COUNT };

/* A medium that gives back other bytes than it was given, in four ways. */
static void medium_lies(void **state)
{
	struct backup_directory *directory = open_directory(*state, true);
	struct backup_generation found[2];
	char name[BACKUP_NAME_SIZE];

	backup_directory_close(directory);
	sample_backup(*state, 3, 60, name);
	directory = open_directory(*state, true);
	for (int medium = 0; medium < MEDIUM_COUNT; medium++) {
		struct backup_writer *writer = start_writer(directory, 20);
		int fd = open_part(*state);
		uint8_t byte;
		static const uint8_t zeros[4096];

		assert_true(backup_writer_bytes(writer) > (uint64_t)1 << 20);
		switch (medium) {
		case MEDIUM_FLIPS:
			assert_int_equal(pread(fd, &byte, 1, 700000), 1);
			byte ^= 1;
			assert_int_equal(pwrite(fd, &byte, 1, 700000), 1);
			break;
		case MEDIUM_CUTS:
			assert_int_equal(ftruncate(fd, 500000), 0);
			break;
		case MEDIUM_GROWS:
			assert_int_equal(pwrite(fd, "x", 1, 50000000), 1);
			break;
		case MEDIUM_ZEROS:
			assert_int_equal(pwrite(fd, zeros, sizeof zeros, 8192), sizeof zeros);
			break;
		}
		close(fd);
		expect_code(backup_writer_finish(writer, NULL, NULL, &error), RH_E_READ_BACK);
		expect_code(backup_writer_commit(writer, &error), RH_E_ARGUMENT);
		backup_writer_free(writer);
		assert_int_equal(list(*state, found, 2), 1);
		assert_string_equal(found[0].file, name);
		assert_int_equal(sample_count(*state), 2);
	}
	backup_directory_close(directory);
}

static void how_to_open(void **state)
{
	struct buffer text = {0};
	char name[BACKUP_NAME_SIZE];

	sample_write(*state, "HOW-TO-OPEN.txt", "something else", 14);
	sample_backup(*state, 3, 60, name);
	sample_read(*state, "HOW-TO-OPEN.txt", &text);
	expect_ok(buffer_append(&text, "", 1, &error));
	assert_non_null(strstr((char *)text.data, "rehost restore ."));
	assert_non_null(
	    strstr((char *)text.data, "age -d -i KEY licenses-TIME-ID.age | zstd -d | tar x"));
	assert_non_null(strstr((char *)text.data, "recovery.age"));
	assert_non_null(strstr((char *)text.data, "\n    rehost verify .\n"));
	assert_non_null(strstr((char *)text.data, "\n    rehost repair .\n"));
	for (const char *line = (char *)text.data; *line != '\0';) {
		size_t length = strcspn(line, "\n");

		assert_true(length <= 84);
		line += length + 1;
	}
	buffer_free(&text);
}

/* ---- recovery.age ---- */

static void recovery(void **state)
{
	const struct age_identity *identity = sample_identity();
	struct backup_directory *directory = open_directory(*state, true);
	struct age_identity found;

	expect_code(
	    backup_recovery_read(directory, "open", &found, &error), RH_E_SECRET_NEEDED);
	expect_ok(backup_recovery_write(directory, "first", identity, &error));
	expect_ok(backup_recovery_write(directory, "open sesame", identity, &error));
	assert_int_equal(sample_count(*state), 1);
	expect_ok(backup_recovery_read(directory, "open sesame", &found, &error));
	assert_memory_equal(&found, identity, sizeof found);
	expect_code(
	    backup_recovery_read(directory, "first", &found, &error), RH_E_SECRET_WRONG);
	sample_write(*state, "recovery.age", "not age", 7);
	expect_code(backup_recovery_read(directory, "open sesame", &found, &error),
	    RH_E_BACKUP_CORRUPT);
	backup_directory_close(directory);
}

static int append_sink(void *context, const void *bytes, size_t size, rh_error *error)
{
	return buffer_append(context, bytes, size, error);
}

/* Identity files as other programs write them. */
static void recovery_of_others(void **state)
{
	struct backup_directory *directory = open_directory(*state, true);
	char key[AGE_TEXT_SIZE], text[6000];

	age_identity_format(key, sample_identity());
	for (int i = 0; i < 6; i++) {
		static const char *const forms[] = {"%s", "# created: today\r\n\r\n%s\r\n",
		    "# public key: age1...\n%s\n# more\n", "", "# %s\n", "AGE-SECRET-KEY-%s"};
		struct age_writer *writer = NULL;
		struct buffer file = {0};
		struct age_identity found;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
		snprintf(text, sizeof text, forms[i], key);
#pragma GCC diagnostic pop
		expect_ok(
		    age_writer_new(NULL, 0, "open", 10, append_sink, &file, &writer, &error));
		expect_ok(age_writer_write(writer, text, strlen(text), &error));
		expect_ok(age_writer_finish(writer, &error));
		age_writer_free(writer);
		sample_write(*state, "recovery.age", file.data, file.size);
		buffer_free(&file);
		expect_code(backup_recovery_read(directory, "open", &found, &error),
		    i < 3 ? RH_OK : RH_E_BACKUP_CORRUPT);
	}
	backup_directory_close(directory);
}

/* ---- Media ---- */

/*
 * Mounts over ${path}, in this process alone; false, and nothing is tested, where
 * that is not allowed.
 */
static bool mount_medium(const char *path, unsigned long flags, const char *options)
{
	static bool private_mounts;

	if (!private_mounts) {
		if (unshare(CLONE_NEWNS) != 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
			return false;
		private_mounts = true;
	}
	return mount("tmpfs", path, "tmpfs", flags, options) == 0;
}

static void read_only_medium(void **state)
{
	struct backup_directory *directory = NULL;

	if (!mount_medium(*state, MS_RDONLY, "size=64k"))
		skip();
	expect_code(backup_directory_open(*state, true, &directory, &error), RH_E_ACCESS);
	directory = open_directory(*state, false);
	backup_directory_close(directory);
	umount(*state);
}

/* It becomes read-only while it is written to. */
static void medium_turns_read_only(void **state)
{
	struct backup_directory *directory;
	struct backup_writer *writer = NULL;

	if (!mount_medium(*state, 0, "size=8m"))
		skip();
	directory = open_directory(*state, true);
	assert_int_equal(mount("tmpfs", *state, "tmpfs", MS_REMOUNT | MS_RDONLY, ""), 0);
	expect_code(sample_writer(directory, 0, &writer, &error), RH_E_ACCESS);
	backup_directory_close(directory);
	umount(*state);
}

static void permission_denied(void **state)
{
	struct backup_directory *directory = NULL;
	int status = 0;
	pid_t child;

	/* Root may write everywhere: somebody else tries it. */
	assert_int_equal(chmod(*state, 0555), 0);
	child = fork();
	if (child == 0) {
		if (getuid() == 0 && setresuid(65534, 65534, 65534) != 0)
			_exit(2);
		_exit(backup_directory_open(*state, true, &directory, NULL) == RH_E_ACCESS ? 0
											   : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(chmod(*state, 0700), 0);
}

/* At whatever byte the medium is full: the code, the old backup, no rest. */
static void full_medium(void **state)
{
	unsigned failures = 0;
	bool done = false;

	for (unsigned kib = 0; kib < 400 && !done; kib += 40) {
		struct backup_directory *directory;
		struct backup_writer *writer = NULL;
		struct backup_generation found[2];
		struct backup_frame frame = {0};
		char options[64], name[BACKUP_NAME_SIZE];
		rh_error why = {0};
		int code;

		snprintf(options, sizeof options, "size=%uk", 12 + kib);
		if (!mount_medium(*state, 0, options))
			skip();
		sample_backup(*state, 3, 60, name);
		directory = open_directory(*state, true);
		code = sample_writer(directory, 10, &writer, &why);
		sample_frame(&frame, 1, 0, 10, 20000);
		if (code == RH_OK)
			code = backup_writer_append(writer, &frame, &why);
		if (code == RH_OK)
			code = backup_writer_finish(writer, NULL, NULL, &why);
		if (code == RH_OK)
			code = backup_writer_commit(writer, &why);
		backup_writer_free(writer);
		backup_directory_close(directory);
		backup_frame_free(&frame);
		done = code == RH_OK;
		if (!done) {
			assert_int_equal(code, RH_E_FULL);
			assert_int_equal(why.code, RH_E_FULL);
			assert_int_equal(list(*state, found, 2), 1);
			assert_int_equal(sample_count(*state), 2);
			failures++;
		}
		expect_ok(sample_read_backup(*state, name, 60, NULL, &error));
		umount(*state);
	}
	assert_true(done);
	assert_true(failures > 0);
}

int main(void)
{
#define WITH_DIRECTORY(test)                                                                   \
	cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names),
	    WITH_DIRECTORY(open_what_is_none),
	    WITH_DIRECTORY(one_writer_at_a_time),
	    WITH_DIRECTORY(stale_parts_go),
	    WITH_DIRECTORY(newest_first),
	    WITH_DIRECTORY(newer_than_the_future),
	    WITH_DIRECTORY(damaged_generations),
	    WITH_DIRECTORY(prune_needs_the_lock),
	    WITH_DIRECTORY(nothing_visible_before_commit),
	    WITH_DIRECTORY(stops_while_reading_back),
	    WITH_DIRECTORY(medium_lies),
	    WITH_DIRECTORY(how_to_open),
	    WITH_DIRECTORY(recovery),
	    WITH_DIRECTORY(recovery_of_others),
	    WITH_DIRECTORY(permission_denied),
	    WITH_DIRECTORY(read_only_medium),
	    WITH_DIRECTORY(medium_turns_read_only),
	    WITH_DIRECTORY(full_medium),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
