#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sample.h"

/* What the writer puts where: manifests in the file, parity beside it; and what goes again. */

static int make_directory(void **state)
{
	char *path = malloc(256);

	sample_directory(path);
	*state = path;
	return 0;
}

static int remove_directory(void **state)
{
	sample_parity = 0;
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

/* "licenses-....parity" for "licenses-....age", by hand. */
static const char *parity_of(const char *file)
{
	static char name[BACKUP_NAME_SIZE];

	snprintf(name, sizeof name, "%.*s.parity", (int)(strlen(file) - 4), file);
	return name;
}

/* ---- Where manifests are ---- */

static int read_source(
    void *context, uint64_t offset, void *bytes, size_t size, size_t *ret, rh_error *error)
{
	const struct buffer *file = context;
	size_t rest = offset < file->size ? file->size - (size_t)offset : 0;

	(void)error;
	*ret = size < rest ? size : rest;
	if (*ret > 0)
		memcpy(bytes, file->data + offset, *ret);
	return RH_OK;
}

/* All of the plaintext. */
static void decrypt(const char *path, const char *name, struct buffer *plain)
{
	struct age_keys keys = {sample_identity(), 1, NULL};
	struct buffer file = {0};
	struct age_source source = {.read_at = read_source, .context = &file};
	struct age_reader *reader = NULL;
	size_t got = 1;

	sample_read(path, name, &file);
	source.size = file.size;
	expect_ok(age_reader_new(&source, &keys, &reader, &error));
	while (got > 0) {
		expect_ok(buffer_reserve(plain, 65536, &error));
		expect_ok(
		    age_reader_read(reader, plain->data + plain->size, 65536, &got, &error));
		plain->size += got;
	}
	age_reader_free(reader);
	buffer_free(&file);
}

/* The frames behind the first, by the name of their first member: "L3 M1 ... end". */
static void describe(const char *path, const char *name, char *text, size_t capacity)
{
	static char content[4 << 20];
	struct buffer plain = {0};
	size_t at = 0, used = 0, size, frames = 0;

	decrypt(path, name, &plain);
	for (; at < plain.size; at += size, frames++) {
		size_t length;
		unsigned number;

		size = ZSTD_findFrameCompressedSize(plain.data + at, plain.size - at);
		assert_false(ZSTD_isError(size));
		length = ZSTD_decompress(content, sizeof content, plain.data + at, size);
		assert_false(ZSTD_isError(length));
		if (sscanf(content, "licenses/Sample-%u", &number) == 1)
			used += (size_t)snprintf(
			    text + used, capacity - used, "L%u ", number / 10 + 1);
		else if (sscanf(content, "manifest/%u.sha256", &number) == 1)
			used += (size_t)snprintf(text + used, capacity - used, "M%u ", number);
		else if (frames == 0)
			assert_string_equal(content, "rehost.json");
		else
			used +=
			    (size_t)snprintf(text + used, capacity - used, "end%zu", length);
		assert_true(used < capacity);
	}
	buffer_free(&plain);
}

static void manifests_wait(void **state)
{
	static const struct {
		unsigned licenses;
		const char *frames;
	} cases[] = {
	    {0, "end1024"},
	    {1, "L1 M1 end1024"},
	    {25, "L1 L2 L3 M1 M2 M3 end1024"},
	    {80, "L1 L2 L3 L4 L5 L6 L7 L8 M1 M2 M3 M4 M5 M6 M7 M8 end1024"},
	    {81, "L1 L2 L3 L4 L5 L6 L7 L8 L9 M1 M2 M3 M4 M5 M6 M7 M8 M9 end1024"},
	    {190, "L1 L2 L3 L4 L5 L6 L7 L8 L9 M1 L10 M2 L11 M3 L12 M4 L13 M5 L14 M6 L15 M7 "
		  "L16 M8 L17 M9 L18 M10 L19 M11 M12 M13 M14 M15 M16 M17 M18 M19 end1024"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char name[BACKUP_NAME_SIZE], text[1024];
		unsigned count;

		sample_backup(*state, cases[i].licenses, 300, name);
		describe(*state, name, text, sizeof text);
		assert_string_equal(text, cases[i].frames);
		expect_ok(sample_read_backup(*state, name, 300, &count, &error));
		assert_int_equal(count, cases[i].licenses);
	}
}

/* ---- Parity ---- */

static void check_condition(const char *path, const char *name, enum backup_condition expected)
{
	const struct backup_watch watch = {.context = NULL};
	struct backup_directory *directory = open_directory(path, false);
	struct backup_state found = {.condition = BACKUP_LOST};

	expect_ok(backup_check(directory, name, &watch, &found, &error));
	assert_int_equal(found.condition, expected);
	backup_directory_close(directory);
}

static void parity_beside(void **state)
{
	static const unsigned percents[] = {0, 1, 10, 100};

	for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
		struct backup_generation found[4];
		struct buffer backup = {0}, parity = {0};
		char name[BACKUP_NAME_SIZE];
		unsigned count;

		sample_parity = percents[i];
		sample_backup(*state, 95, 20000, name);
		prune(*state, 1);
		assert_int_equal(list(*state, found, 4), 1);
		assert_true(found[0].whole);
		assert_false(found[0].mendable);
		assert_int_equal(found[0].parity, percents[i] > 0);
		assert_int_equal(sample_count(*state), percents[i] > 0 ? 3 : 2);
		assert_int_equal(sample_exists(*state, parity_of(name)), percents[i] > 0);
		check_condition(*state, name, percents[i] > 0 ? BACKUP_WHOLE : BACKUP_UNKNOWN);
		expect_ok(sample_read_backup(*state, name, 20000, &count, &error));
		assert_int_equal(count, 95);
		if (percents[i] == 0)
			continue;
		sample_read(*state, name, &backup);
		sample_read(*state, parity_of(name), &parity);
		assert_true(parity.size > backup.size * percents[i] / 100);
		buffer_free(&backup);
		buffer_free(&parity);
	}
}

static void parity_over_100(void **state)
{
	struct backup_directory *directory = open_directory(*state, true);
	struct backup_writer *writer = NULL;

	sample_parity = 101;
	expect_ok(sample_writer(directory, 0, &writer, &error));
	expect_code(backup_writer_finish(writer, NULL, NULL, &error), RH_E_ARGUMENT);
	backup_writer_free(writer);
	assert_int_equal(sample_count(*state), 0);
	backup_directory_close(directory);
}

static int stop_after(void *context)
{
	unsigned *calls = context;

	return (*calls)-- == 0;
}

/* Wherever it is stopped, nothing is left; and it is asked at least once for each MiB. */
static void stops_anywhere(void **state)
{
	struct backup_directory *directory = open_directory(*state, true);
	struct backup_frame frame = {0};
	int code = RH_E_CANCELED;
	unsigned after = 0;

	sample_parity = 100;
	sample_frame(&frame, 1, 0, 10, 100000);
	for (; code == RH_E_CANCELED; after++) {
		struct backup_writer *writer = NULL;
		unsigned calls = after;

		expect_ok(sample_writer(directory, 60, &writer, &error));
		for (int i = 0; i < 6; i++)
			expect_ok(backup_writer_append(writer, &frame, &error));
		code = backup_writer_finish(writer, stop_after, &calls, NULL);
		if (code != RH_OK)
			expect_code(backup_writer_commit(writer, &error), RH_E_ARGUMENT);
		backup_writer_free(writer);
		assert_int_equal(sample_count(*state), 0);
	}
	assert_int_equal(code, RH_OK);
	/* 3 MiB are flushed and read back; the rest is parity. */
	assert_true(after > 6);
	backup_frame_free(&frame);
	backup_directory_close(directory);
}

/* What stands under the final names stays, and nothing of the new backup does. */
static void names_taken(void **state)
{
	struct backup_directory *directory = open_directory(*state, true);

	sample_parity = 10;
	for (int parity = 0; parity < 2; parity++) {
		struct backup_writer *writer = NULL;
		struct backup_header header = {.computer_id = "00"};
		static const uint8_t key[KEY_SIZE] = "a signature that is not for real";
		char name[BACKUP_NAME_SIZE];
		const char *taken;
		struct buffer bytes = {0};

		expect_ok(backup_writer_new(directory, &header, key, NULL,
		    &sample_identity()->recipient, 1, 10, &writer, &error));
		expect_ok(backup_writer_finish(writer, NULL, NULL, &error));
		assert_true(generation_name(name, header.created, header.id));
		taken = parity ? parity_of(name) : name;
		sample_write(*state, taken, "mine", 4);
		expect_code(backup_writer_commit(writer, &error), RH_E_WRITE);
		backup_writer_free(writer);
		sample_read(*state, taken, &bytes);
		assert_int_equal(bytes.size, 4);
		buffer_free(&bytes);
		assert_int_equal(sample_count(*state), 2); /* with HOW-TO-OPEN.txt */
		unlinkat(directory->fd, taken, 0);
	}
	backup_directory_close(directory);
}

/* ---- Generations with parity ---- */

/* The second half of the file is gone, or with ${header} its first bytes are wrong. */
static void spoil(const char *path, const char *name, bool header)
{
	struct buffer file = {0};

	sample_read(path, name, &file);
	if (header)
		memset(file.data, 0, 100);
	sample_write(path, name, file.data, header ? file.size : file.size / 2);
	buffer_free(&file);
}

static void mendable(void **state)
{
	struct backup_generation found[4];
	char name[BACKUP_NAME_SIZE], copy[BACKUP_NAME_SIZE];
	struct buffer parity = {0};

	/* Half of it is what 100 % can mend and 10 % cannot. */
	for (unsigned percent = 10; percent <= 100; percent += 90) {
		sample_parity = percent;
		sample_backup(*state, 95, 20000, name);
		prune(*state, 1);
		spoil(*state, name, false);
		assert_int_equal(list(*state, found, 4), 1);
		assert_false(found[0].whole);
		assert_true(found[0].parity);
		assert_int_equal(found[0].mendable, percent == 100);
	}
	spoil(*state, name, true);
	assert_int_equal(list(*state, found, 4), 1);
	assert_true(!found[0].whole && found[0].mendable);

	/* Another's parity file mends nothing, nor does one that is none, nor does none. */
	snprintf(copy, sizeof copy, "%s", parity_of(name));
	sample_read(*state, copy, &parity);
	sample_write(*state, copy, "no parity", 9);
	assert_int_equal(list(*state, found, 4), 1);
	assert_true(!found[0].whole && found[0].parity && !found[0].mendable);
	sample_backup(*state, 3, 60, name);
	sample_write(*state, parity_of(name), parity.data, parity.size);
	spoil(*state, name, true);
	assert_int_equal(list(*state, found, 4), 2);
	assert_true(!found[0].whole && found[0].parity && !found[0].mendable);
	buffer_free(&parity);
}

/* A mendable one is none of the kept, and goes once enough newer ones are whole. */
static void mendable_is_not_kept(void **state)
{
	struct backup_generation found[8];
	char names[4][BACKUP_NAME_SIZE];

	sample_parity = 20;
	for (int i = 0; i < 4; i++)
		sample_backup(*state, 3, 60, names[i]);
	spoil(*state, names[2], true);
	prune(*state, 2);
	assert_int_equal(list(*state, found, 8), 3);
	assert_string_equal(found[0].file, names[3]);
	assert_string_equal(found[1].file, names[2]);
	assert_true(found[1].mendable);
	assert_string_equal(found[2].file, names[1]);
	assert_int_equal(sample_count(*state), 7);
	expect_ok(sample_read_backup(*state, names[2], 60, NULL, &error));
	prune(*state, 1);
	assert_int_equal(list(*state, found, 8), 1);
	assert_int_equal(sample_count(*state), 3);
}

/* Parity files without backup go if they are older than what is kept, and no others. */
static void orphans(void **state)
{
	static const char *const old[] = {"licenses-20200101T000000Z-0123456789abcdef.parity",
	    "licenses-20200101T000000Z-0123456789abcdff.parity"};
	static const char *const others[] = {
	    "licenses-20991231T235959Z-ffffffffffffffff.parity", "music.parity", ".parity",
	    "licenses-20200101T000000Z-0123456789ABCDEF.parity",
	    "licenses-20200101T000000Z-0123456789abcdef.parity.old"};
	struct backup_generation found[8];
	char names[3][BACKUP_NAME_SIZE], between[BACKUP_NAME_SIZE];

	for (size_t i = 0; i < sizeof old / sizeof *old; i++)
		sample_write(*state, old[i], "x", 1);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		sample_write(*state, others[i], "x", 1);
	sample_parity = 10;
	for (int i = 0; i < 3; i++)
		sample_backup(*state, 3, 60, names[i]);
	/* Of names[1] the backup alone is gone. */
	snprintf(between, sizeof between, "%s", parity_of(names[1]));
	spoil(*state, names[1], false);
	{
		struct backup_directory *directory = open_directory(*state, true);

		assert_int_equal(unlinkat(directory->fd, names[1], 0), 0);
		backup_directory_close(directory);
	}
	/* Fewer whole ones than are to be kept: nothing goes. */
	prune(*state, 3);
	assert_true(sample_exists(*state, old[0]) && sample_exists(*state, between));
	prune(*state, 2);
	assert_false(sample_exists(*state, old[0]) || sample_exists(*state, old[1]));
	assert_true(sample_exists(*state, between));
	prune(*state, 1);
	assert_false(sample_exists(*state, between));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		assert_true(sample_exists(*state, others[i]));
	assert_int_equal(list(*state, found, 8), 1);
	assert_true(found[0].whole && found[0].parity);
}

int main(void)
{
#define WITH_DIRECTORY(test)                                                                   \
	cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)
	const struct CMUnitTest tests[] = {
	    WITH_DIRECTORY(manifests_wait),
	    WITH_DIRECTORY(parity_beside),
	    WITH_DIRECTORY(parity_over_100),
	    WITH_DIRECTORY(stops_anywhere),
	    WITH_DIRECTORY(names_taken),
	    WITH_DIRECTORY(mendable),
	    WITH_DIRECTORY(mendable_is_not_kept),
	    WITH_DIRECTORY(orphans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
