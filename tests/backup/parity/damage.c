#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../sample.h"
#include "damage.h"

static void on_damage(
    void *context, const char *file, uint64_t offset, uint64_t bytes, bool lost)
{
	struct told *told = context;
	bool parity = strcmp(file, KIT_PARITY) == 0;

	assert_true(parity || strcmp(file, KIT_FILE) == 0);
	assert_true(told->count < RUNS_MAX && bytes > 0);
	told->runs[told->count++] = (struct told_run){parity, offset, bytes, lost};
}

static void on_total(void *context, uint64_t bytes)
{
	((struct told *)context)->total = bytes;
}

static void on_bytes(void *context, uint64_t bytes)
{
	((struct told *)context)->bytes += bytes;
}

void damage_protect(struct damage *test, size_t size, unsigned percent)
{
	struct kit_random random = {size};

	kit_fill(&random, &test->backup, size);
	kit_protect(test->path, &test->backup, percent);
	buffer_clear(&test->parity);
	sample_read(test->path, KIT_PARITY, &test->parity);
	expect_ok(parity_shape(&test->shape, size, percent, &error));
}

void damage_put(const struct damage *test)
{
	sample_write(test->path, KIT_FILE, test->backup.data, test->backup.size);
	sample_write(test->path, KIT_PARITY, test->parity.data, test->parity.size);
}

struct backup_state damage_check(const struct damage *test, struct told *told)
{
	const struct backup_watch watch = {.on_damage = on_damage,
	    .on_total = on_total,
	    .on_bytes = on_bytes,
	    .context = told};
	struct backup_directory *directory = NULL;
	struct backup_state result = {.condition = BACKUP_UNKNOWN};

	*told = (struct told){.count = 0};
	expect_ok(backup_directory_open(test->path, false, &directory, &error));
	expect_ok(backup_check(directory, KIT_FILE, &watch, &result, &error));
	backup_directory_close(directory);
	if (result.condition != BACKUP_UNKNOWN)
		assert_int_equal(told->bytes, told->total);
	return result;
}

void damage_expect(
    const struct told *told, size_t i, bool parity, uint64_t offset, uint64_t bytes, bool lost)
{
	assert_true(i < told->count);
	assert_int_equal(told->runs[i].parity, parity);
	assert_int_equal(told->runs[i].offset, offset);
	assert_int_equal(told->runs[i].bytes, bytes);
	assert_int_equal(told->runs[i].lost, lost);
}

void damage_block(struct buffer *bytes, uint64_t block)
{
	bytes->data[block * BLOCK + 77] ^= 4;
}

int damage_setup(void **state)
{
	struct damage *test = calloc(1, sizeof *test);

	assert_non_null(test);
	sample_directory(test->path);
	*state = test;
	return 0;
}

int damage_teardown(void **state)
{
	struct damage *test = *state;

	sample_directory_remove(test->path);
	buffer_free(&test->backup);
	buffer_free(&test->parity);
	free(test);
	return 0;
}
