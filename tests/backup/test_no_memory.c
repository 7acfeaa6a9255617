/*
 * Every allocation of ours and of jansson fails in turn, while headers and frames with
 * everything in them are written and read: the answer is RH_E_MEMORY, and nothing leaks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/managed.h"
#include "failing.h"
#include "sample.h"

/* ---- What is done while memory runs out ---- */

static const uint8_t key[KEY_SIZE] = "a signature that is not for real";
static struct buffer header_tar;
static struct backup_frame frame;

static int write_header(struct buffer *tar, rh_error *error)
{
	struct backup_service services[] = {
	    {(char *)"https://one.example/", (char *)"a.b.c.d.e", NULL},
	    {(char *)"https://two.example/", (char *)"f.g.h.i.j", (char *)"k.l.m"}};
	struct backup_header header = {.format_version = 1,
	    .id = "0123456789abcdef",
	    .created = 1795360200,
	    .generator = "a test",
	    .computer_id = "00",
	    .services = services,
	    .service_count = 2,
	    .issuers = (char *)"[]"};

	return backup_header_write(&header, key, key, tar, error);
}

static void expect_proven(const struct backup_header *header)
{
	bool proven = false;

	assert_int_equal(backup_header_proven(header, key, &proven, NULL), RH_OK);
	assert_true(proven);
}

static int act_write_header(rh_error *error)
{
	struct buffer tar = {0};
	struct backup_header found = {0};
	int code = write_header(&tar, error);

	if (code == RH_OK) {
		/* jansson may lose text without a word; the writer of backups reads it again.
		 */
		failing_stop();
		code = backup_header_read(tar.data, tar.size, &found, error);
		if (code == RH_OK)
			expect_proven(&found);
		backup_header_free(&found);
	}
	buffer_free(&tar);
	return code;
}

static int act_read_header(rh_error *error)
{
	struct backup_header found = {0};
	int code = backup_header_read(header_tar.data, header_tar.size, &found, error);

	if (code == RH_OK) {
		assert_int_equal(found.service_count, 2);
		assert_string_equal(found.services[1].key, "f.g.h.i.j");
		assert_string_equal(found.services[1].owner, "k.l.m");
		assert_string_equal(found.issuers, "[]");
		expect_proven(&found);
	} else {
		assert_null(found.services);
		assert_null(found.issuers);
	}
	backup_header_free(&found);
	return code;
}

static int act_managed(rh_error *error)
{
	struct buffer sealed = {0}, secret = {0};
	int code = managed_seal(key, "service", "id", "secret", 6, &sealed, error);

	if (code == RH_OK)
		code = managed_open(
		    key, "service", "id", sealed.data, sealed.size, &secret, error);
	if (code == RH_OK)
		assert_memory_equal(secret.data, "secret", 6);
	buffer_free(&sealed);
	buffer_free_secret(&secret);
	return code;
}

static int build(struct backup_frame *ret, rh_error *error)
{
	struct frame_license license = {.component = "a",
	    .document = "document",
	    .document_size = 8,
	    .secret = "sealed",
	    .secret_size = 6,
	    .sealed = true,
	    .facts = "facts",
	    .facts_size = 5};
	struct frame_builder *builder = NULL;
	const struct backup_frame *built = NULL;
	int code = frame_builder_new(&builder, error);

	if (code == RH_OK) {
		frame_builder_prove(builder, key, "0123456789abcdef");
		code = frame_begin(builder, 1, 0, error);
	}
	if (code == RH_OK)
		code = frame_add(builder, &license, error);
	if (code == RH_OK)
		code = frame_finish(builder, &built, error);
	if (code == RH_OK)
		code = buffer_append(
		    &ret->licenses, built->licenses.data, built->licenses.size, error);
	if (code == RH_OK)
		code = buffer_append(
		    &ret->manifest, built->manifest.data, built->manifest.size, error);
	frame_builder_free(builder);
	return code;
}

static int act_build(rh_error *error)
{
	struct backup_frame made = {0};
	int code = build(&made, error);

	backup_frame_free(&made);
	return code;
}

static int take(void *context, const struct frame_license *license, rh_error *error)
{
	(void)error;
	assert_true(license->sealed && license->proven);
	++*(int *)context;
	return RH_OK;
}

static int act_parse(rh_error *error)
{
	struct frame_parser *parser = NULL;
	int count = 0, code = frame_parser_new(&parser, error);

	if (code == RH_OK) {
		frame_parser_prove(parser, key, "0123456789abcdef");
		code = frame_parse(parser, &frame, take, NULL, &count, error);
	}
	assert_int_equal(count, code == RH_OK ? 1 : 0);
	frame_parser_free(parser);
	return code;
}

static char place[256];

/* A backup of more frames than manifests wait, with parity; nothing else is left. */
static int act_backup(rh_error *error)
{
	struct backup_directory *directory = NULL;
	struct backup_writer *writer = NULL;
	int code = backup_directory_open(place, true, &directory, error);

	if (code == RH_OK)
		code = sample_writer(directory, 10, &writer, error);
	for (unsigned i = 0; i < 10 && code == RH_OK; i++)
		code = backup_writer_append(writer, &frame, error);
	if (code == RH_OK)
		code = backup_writer_finish(writer, NULL, NULL, error);
	if (code == RH_OK)
		code = backup_writer_commit(writer, error);
	backup_writer_free(writer);
	/* Or each one that fails here would leave more to look at to the next. */
	failing_stop();
	if (code == RH_OK)
		code = backup_prune(directory, 1, error);
	backup_directory_close(directory);
	return code;
}

static void spoil(void)
{
	struct backup_directory *directory = NULL;
	struct backup_generation *generations = NULL;
	size_t count = 0;

	assert_int_equal(backup_directory_open(place, true, &directory, NULL), RH_OK);
	assert_int_equal(backup_list(directory, &generations, &count, NULL), RH_OK);
	assert_int_equal(count, 1);
	sample_write(place, generations[0].file, "cut", 3);
	free(generations);
	backup_directory_close(directory);
}

/* Of one that is mendable. */
static int act_list(rh_error *error)
{
	struct backup_directory *directory = NULL;
	struct backup_generation *generations = NULL;
	size_t count = 0;
	int code = backup_directory_open(place, false, &directory, error);

	if (code == RH_OK)
		code = backup_list(directory, &generations, &count, error);
	if (code == RH_OK) {
		assert_int_equal(count, 1);
		assert_true(generations[0].mendable && !generations[0].whole);
	}
	free(generations);
	backup_directory_close(directory);
	return code;
}

static void no_memory(void **state)
{
	static int (*const acts[])(rh_error * error) = {act_write_header, act_read_header,
	    act_managed, act_build, act_parse, act_backup, act_list};

	(void)state;
	assert_int_equal(write_header(&header_tar, NULL), RH_OK);
	assert_int_equal(build(&frame, NULL), RH_OK);
	sample_directory(place);
	sample_parity = 100;
	for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
		size_t n = 0;

		if (acts[i] == act_list)
			spoil();
		do {
			rh_error error = {0};
			int code;

			failing_nth(++n);
			code = acts[i](&error);
			failing_stop();
			assert_int_equal(error.code, code);
			/* Without some jansson goes on. */
			if (code != RH_OK && (code != RH_E_MEMORY || !failing_happened()))
				fail_msg("act %zu, allocation %zu: %s", i, n, error.text);
		} while (failing_happened());
		assert_true(n > 2);
	}
	/* What failed left nothing. */
	assert_int_equal(sample_count(place), 3);
	sample_directory_remove(place);
	buffer_free(&header_tar);
	backup_frame_free(&frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_memory),
	};

	json_set_alloc_funcs(__wrap_malloc, free);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
