#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/pipeline.h"
#include "sample.h"

/* Frames built and parsed on many threads, in one backup; and directories fought over. */

#define FRAMES 40
#define EACH 7
#define SIZE 900

struct item {
	unsigned number;
	struct backup_frame frame;
	struct frame_builder *builder;
	struct frame_parser *parser;
	unsigned licenses;
};

struct run {
	struct backup_writer *writer;
	struct backup_reader *reader;
	unsigned frames;
	unsigned licenses;
	unsigned next;
};

static void *new_item(void *context)
{
	struct item *item = calloc(1, sizeof *item);

	(void)context;
	if (item == NULL)
		return NULL;
	if (frame_builder_new(&item->builder, NULL) != RH_OK ||
	    frame_parser_new(&item->parser, NULL) != RH_OK) {
		frame_builder_free(item->builder);
		free(item);
		return NULL;
	}
	return item;
}

static void free_item(void *context, void *memory)
{
	struct item *item = memory;

	(void)context;
	frame_builder_free(item->builder);
	frame_parser_free(item->parser);
	backup_frame_free(&item->frame);
	free(item);
}

static int number_frames(void *context, void *memory, bool *ret_end, rh_error *error)
{
	struct run *run = context;
	struct item *item = memory;

	(void)error;
	if (run->frames == FRAMES)
		*ret_end = true;
	else
		item->number = run->frames++;
	return RH_OK;
}

static int build(void *context, void *memory, rh_error *error)
{
	struct item *item = memory;
	const struct backup_frame *frame;
	int code = frame_begin(item->builder, item->number + 1, 1795360200, error);

	(void)context;
	for (unsigned i = 0; i < EACH && code == RH_OK; i++) {
		struct sample sample;
		struct frame_license license;

		sample_make(&sample, item->number * EACH + i, SIZE);
		license = sample_license(&sample);
		code = frame_add(item->builder, &license, error);
		sample_free(&sample);
	}
	if (code == RH_OK)
		code = frame_finish(item->builder, &frame, error);
	if (code == RH_OK)
		sample_keep(&item->frame, frame);
	return code;
}

static int append(void *context, void *memory, rh_error *error)
{
	struct run *run = context;
	struct item *item = memory;

	return backup_writer_append(run->writer, &item->frame, error);
}

static int read_frame(void *context, void *memory, bool *ret_end, rh_error *error)
{
	struct run *run = context;
	struct item *item = memory;
	int code = backup_reader_next(run->reader, &item->frame, error);

	if (code == RH_OK && item->frame.licenses.size == 0)
		*ret_end = true;
	return code;
}

static int check_license(void *context, const struct frame_license *license, rh_error *error)
{
	struct item *item = context;
	unsigned number = sample_number(license->component);

	if (item->licenses == 0)
		item->number = number;
	if (number != item->number + item->licenses || !sample_equal(license, number, SIZE))
		return error_set(error, RH_E_INTERNAL, "another licence");
	item->licenses++;
	return RH_OK;
}

static int parse(void *context, void *memory, rh_error *error)
{
	struct item *item = memory;

	(void)context;
	item->licenses = 0;
	return frame_parse(item->parser, &item->frame, check_license, NULL, item, error);
}

static int count(void *context, void *memory, rh_error *error)
{
	struct run *run = context;
	struct item *item = memory;

	if (item->licenses != EACH || item->number != run->next)
		return error_set(error, RH_E_INTERNAL, "another order");
	run->next += EACH;
	run->licenses += item->licenses;
	return RH_OK;
}

static void many_threads(void **state)
{
	struct age_keys keys = {sample_identity(), 1, NULL};
	struct backup_directory *directory = NULL;
	struct backup_generation *generations = NULL;
	struct run run = {0};
	struct pipeline backup = {
	    new_item, free_item, number_frames, build, append, NULL, &run};
	struct pipeline restore = {new_item, free_item, read_frame, parse, count, NULL, &run};
	char path[256];
	size_t found = 0;

	(void)state;
	sample_directory(path);
	expect_ok(backup_directory_open(path, true, &directory, &error));
	expect_ok(sample_writer(directory, FRAMES * EACH, &run.writer, &error));
	expect_ok(pipeline_run(&backup, &error));
	expect_ok(backup_writer_finish(run.writer, NULL, NULL, &error));
	expect_ok(backup_writer_commit(run.writer, &error));
	backup_writer_free(run.writer);
	expect_ok(backup_list(directory, &generations, &found, &error));
	assert_int_equal(found, 1);
	expect_ok(backup_reader_new(
	    directory, generations[0].file, &keys, false, &run.reader, &error));
	expect_ok(pipeline_run(&restore, &error));
	assert_int_equal(run.licenses, FRAMES * EACH);
	backup_reader_free(run.reader);
	free(generations);
	backup_directory_close(directory);
	sample_directory_remove(path);
}

/* ---- One directory, several writers and readers ---- */

struct rival {
	const char *path;
	unsigned done;
	unsigned busy;
	bool failed;
};

/* Writes five generations and keeps one; RH_E_BACKUP_BUSY is a good answer. */
static void *write_generations(void *context)
{
	struct rival *rival = context;

	for (unsigned i = 0; i < 5; i++) {
		struct backup_directory *directory = NULL;
		struct backup_writer *writer = NULL;
		int code = backup_directory_open(rival->path, true, &directory, NULL);

		if (code == RH_E_BACKUP_BUSY) {
			rival->busy++;
			continue;
		}
		if (code == RH_OK)
			code = sample_writer(directory, 0, &writer, NULL);
		if (code == RH_OK)
			code = backup_writer_finish(writer, NULL, NULL, NULL);
		if (code == RH_OK)
			code = backup_writer_commit(writer, NULL);
		if (code == RH_OK)
			code = backup_prune(directory, 1, NULL);
		backup_writer_free(writer);
		backup_directory_close(directory);
		if (code == RH_OK)
			rival->done++;
		else
			rival->failed = true;
	}
	return NULL;
}

/* After the first backup there is always one: what was listed may be gone, never wrong. */
static void *read_generations(void *context)
{
	struct rival *rival = context;
	struct age_keys keys = {sample_identity(), 1, NULL};

	for (unsigned i = 0; i < 50; i++) {
		struct backup_directory *directory = NULL;
		struct backup_generation *generations = NULL;
		struct backup_reader *reader = NULL;
		size_t found = 0;
		int code = backup_directory_open(rival->path, false, &directory, NULL);

		if (code == RH_OK)
			code = backup_list(directory, &generations, &found, NULL);
		if (code == RH_OK && found > 0) {
			code = backup_reader_new(
			    directory, generations[0].file, &keys, false, &reader, NULL);
			if (code == RH_OK)
				rival->done++;
			if (code == RH_E_BACKUP_MISSING)
				code = RH_OK;
		}
		rival->failed |= code != RH_OK;
		backup_reader_free(reader);
		free(generations);
		backup_directory_close(directory);
	}
	return NULL;
}

static void rivals(void **state)
{
	struct rival all[4];
	pthread_t threads[4];
	char path[256];

	(void)state;
	sample_directory(path);
	sample_identity();
	for (int i = 0; i < 4; i++) {
		all[i] = (struct rival){.path = path};
		assert_int_equal(pthread_create(&threads[i], NULL,
				     i < 2 ? write_generations : read_generations, &all[i]),
		    0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_false(all[i].failed);
	}
	assert_true(all[0].done + all[1].done > 0);
	assert_int_equal(all[0].done + all[0].busy, 5);
	assert_int_equal(all[1].done + all[1].busy, 5);
	assert_int_equal(sample_count(path), 2);
	sample_directory_remove(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(many_threads),
	    cmocka_unit_test(rivals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
