/*
 * Backups that earlier revisions wrote open for ever, and give all that was put into them.
 *
 *   test_frozen FROZEN
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "frozen.h"

static const char *frozen;

struct found {
	bool seen[FROZEN_COUNT];
	bool all; /* what "freeze DIR all" puts in */
};

static int on_license(void *context, const struct frame_license *license, rh_error *error)
{
	struct found *found = context;
	unsigned i = sample_number(license->component);
	char facts[FROZEN_FACTS_SIZE];
	size_t facts_size = frozen_facts(facts, i);

	(void)error;
	assert_true(i < FROZEN_COUNT && !found->seen[i]);
	found->seen[i] = true;
	assert_true(sample_equal(license, i, FROZEN_DOCUMENT));
	assert_int_equal(license->proven, found->all);
	assert_int_equal(license->sealed, found->all && frozen_sealed(i));
	assert_int_equal(license->facts_size, found->all ? facts_size : 0);
	if (found->all)
		assert_memory_equal(license->facts, facts, facts_size);
	return RH_OK;
}

static void check_header(
    const struct backup_header *header, int version, bool all, const uint8_t key[KEY_SIZE])
{
	bool proven = false;

	assert_int_equal(header->format_version, version);
	assert_int_equal(header->owned, FROZEN_COUNT);
	assert_string_equal(header->computer_id, FROZEN_COMPUTER);
	assert_string_equal(header->generator, "rehost 0.1.0");
	expect_ok(backup_header_proven(header, key, &proven, &error));
	assert_int_equal(proven, all);
	assert_int_equal(header->service_count, all ? 1 : 0);
	if (!all) {
		assert_null(header->issuers);
		return;
	}
	assert_string_equal(header->services[0].service, FROZEN_SERVICE);
	assert_string_equal(header->services[0].key, FROZEN_KEY);
	assert_string_equal(header->services[0].owner, FROZEN_OWNER);
	assert_string_equal(header->issuers, FROZEN_ISSUERS);
}

/* The one backup in ${path}. */
static void open_frozen(const char *path, int version, bool all, bool whole)
{
	struct age_keys keys = {sample_identity(), 1, NULL};
	struct found found = {.all = all};
	struct backup_directory *directory = NULL;
	struct backup_generation *generations = NULL;
	struct backup_reader *reader = NULL;
	struct frame_parser *parser = NULL;
	struct backup_frame frame = {0};
	uint8_t key[KEY_SIZE];
	size_t count = 0;

	expect_ok(backup_proof_key(sample_identity(), key, &error));
	expect_ok(backup_directory_open(path, false, &directory, &error));
	expect_ok(backup_list(directory, &generations, &count, &error));
	assert_int_equal(count, 1);
	assert_int_equal(generations[0].whole, whole);
	assert_int_equal(generations[0].mendable, !whole);
	assert_int_equal(generations[0].parity, version >= 3);
	expect_ok(
	    backup_reader_new(directory, generations[0].file, &keys, false, &reader, &error));
	check_header(backup_reader_header(reader), version, all, key);
	expect_ok(frame_parser_new(&parser, &error));
	frame_parser_prove(parser, key, generations[0].id);
	for (;;) {
		expect_ok(backup_reader_next(reader, &frame, &error));
		if (frame.licenses.size == 0)
			break;
		expect_ok(frame_parse(parser, &frame, on_license, NULL, &found, &error));
	}
	for (unsigned i = 0; i < FROZEN_COUNT; i++)
		assert_true(found.seen[i]);
	backup_frame_free(&frame);
	frame_parser_free(parser);
	backup_reader_free(reader);
	free(generations);
	backup_directory_close(directory);
}

static void version(int number, bool all)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%d", frozen, number);
	open_frozen(path, number, all, true);
}

static void version_1(void **state)
{
	(void)state;
	version(1, false);
}

static void version_2(void **state)
{
	(void)state;
	version(2, true);
}

static void version_3(void **state)
{
	(void)state;
	version(3, true);
}

/* The parity file says the same of the backup as on the day when both were made. */
static void parity_of_version_3(void **state)
{
	struct backup_directory *directory = NULL;
	struct backup_generation *generations = NULL;
	const struct backup_watch watch = {.context = NULL};
	struct backup_state found = {0};
	char path[4096];
	size_t count = 0;

	(void)state;
	snprintf(path, sizeof path, "%s/3", frozen);
	expect_ok(backup_directory_open(path, false, &directory, &error));
	expect_ok(backup_list(directory, &generations, &count, &error));
	expect_ok(backup_check(directory, generations[0].file, &watch, &found, &error));
	assert_int_equal(found.condition, BACKUP_WHOLE);
	assert_int_equal(found.bytes_bad, 0);
	free(generations);
	backup_directory_close(directory);
}

/* Its first block is gone: no age header without the parity. */
static void mended_version_3(void **state)
{
	struct backup_directory *directory = NULL;
	struct backup_generation *generations = NULL;
	struct buffer backup = {0}, parity = {0};
	char path[4096], copy[256], name[BACKUP_NAME_SIZE];
	size_t count = 0;

	(void)state;
	snprintf(path, sizeof path, "%s/3", frozen);
	expect_ok(backup_directory_open(path, false, &directory, &error));
	expect_ok(backup_list(directory, &generations, &count, &error));
	snprintf(name, sizeof name, "%s", generations[0].file);
	sample_read(path, name, &backup);
	memset(backup.data, 0, 4096);
	sample_directory(copy);
	sample_write(copy, name, backup.data, backup.size);
	strcpy(strrchr(name, '.'), ".parity");
	sample_read(path, name, &parity);
	sample_write(copy, name, parity.data, parity.size);
	buffer_free(&backup);
	buffer_free(&parity);
	free(generations);
	backup_directory_close(directory);

	open_frozen(copy, 3, true, false);
	sample_directory_remove(copy);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(version_1),
	    cmocka_unit_test(version_2),
	    cmocka_unit_test(version_3),
	    cmocka_unit_test(parity_of_version_3),
	    cmocka_unit_test(mended_version_3),
	};

	if (argc != 2)
		return 2;
	frozen = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
