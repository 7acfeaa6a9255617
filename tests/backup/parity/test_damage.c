#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../sample.h"
#include "damage.h"

/* What is told about damage of every kind. */

static void runs(void **state)
{
	struct damage *test = *state;
	const struct parity_shape *shape = &test->shape;
	uint32_t page, last;
	struct backup_state result;
	struct told told;

	damage_protect(test, SIZE, 10);
	page = parity_place(shape, shape->parity_pages / 2);
	last = shape->pages - 1;
	for (unsigned i = 5; i < 8; i++)
		damage_block(&test->backup, i);
	damage_block(&test->backup, 101);
	damage_block(&test->backup, SIZE / BLOCK);
	damage_block(&test->parity, page);
	damage_block(&test->parity, last);
	expect_ok(buffer_append(&test->backup, "more", 4, &error));
	damage_put(test);
	result = damage_check(test, &told);
	assert_int_equal(told.count, 5);
	damage_expect(&told, 0, false, 5 * BLOCK, 3 * BLOCK, false);
	damage_expect(&told, 1, false, 101 * BLOCK, BLOCK, false);
	/* The short last block, and what is too much behind it. */
	damage_expect(
	    &told, 2, false, SIZE / BLOCK * BLOCK, SIZE - SIZE / BLOCK * BLOCK + 4, false);
	damage_expect(&told, 3, true, (uint64_t)page * BLOCK, BLOCK, false);
	damage_expect(&told, 4, true, (uint64_t)last * BLOCK, BLOCK, false);
	assert_int_equal(result.condition, BACKUP_MENDABLE);
	assert_int_equal(result.bytes_bad, 8 * BLOCK);
	assert_int_equal(result.bytes_lost, 0);
	assert_int_equal(result.bytes, SIZE + (uint64_t)shape->pages * BLOCK);
	/* Blocks are of all stripes in turn. */
	assert_true(shape->stripes == 4);
	assert_int_equal(result.reserve, (200 + shape->rows - 1) / shape->rows);
}

/* One stripe beyond its reserve; the others are not touched by it. */
static void lost(void **state)
{
	struct damage *test = *state;
	struct backup_state result;
	struct told told;
	unsigned bad;

	damage_protect(test, SIZE, 10);
	bad = test->shape.rows + 1;
	for (unsigned i = 0; i < bad; i++)
		damage_block(&test->backup, (uint64_t)i * test->shape.stripes + 1);
	damage_block(&test->backup, 2);
	damage_put(test);
	result = damage_check(test, &told);
	assert_int_equal(result.condition, BACKUP_LOST);
	assert_int_equal(result.bytes_lost, (uint64_t)bad * BLOCK);
	assert_int_equal(result.bytes_bad, ((uint64_t)bad + 1) * BLOCK);
	assert_int_equal(result.reserve, 100);
	assert_int_equal(told.count, bad + 1);
	damage_expect(&told, 0, false, BLOCK, BLOCK, true);
	damage_expect(&told, 1, false, 2 * BLOCK, BLOCK, false);
	/* With one less all of it can be mended. */
	damage_block(&test->backup, 1);
	damage_put(test);
	result = damage_check(test, &told);
	assert_int_equal(result.condition, BACKUP_MENDABLE);
	assert_int_equal(result.reserve, 100);
}

/* Zeros that are missing at the end are missing. */
static void cut(void **state)
{
	struct damage *test = *state;
	struct kit_random random = {1};
	struct backup_state result;
	struct told told;

	kit_fill(&random, &test->backup, SIZE);
	test->backup.data[SIZE - 1] = 0;
	kit_protect(test->path, &test->backup, 10);
	buffer_clear(&test->parity);
	sample_read(test->path, KIT_PARITY, &test->parity);
	test->backup.size--;
	damage_put(test);
	result = damage_check(test, &told);
	assert_int_equal(result.condition, BACKUP_MENDABLE);
	assert_int_equal(result.bytes_bad, BLOCK);
	assert_int_equal(told.count, 1);
	damage_expect(
	    &told, 0, false, SIZE / BLOCK * BLOCK, SIZE - SIZE / BLOCK * BLOCK, false);
}

/* All of the backup, and all of its parity pages. */
static void all(void **state)
{
	struct damage *test = *state;
	struct backup_state result;
	struct told told;

	damage_protect(test, SIZE, 100);
	sample_write(test->path, KIT_FILE, "", 0);
	result = damage_check(test, &told);
	assert_int_equal(result.condition, BACKUP_MENDABLE);
	assert_int_equal(told.count, 1);
	damage_expect(&told, 0, false, 0, SIZE, false);

	for (uint32_t i = 0; i < test->shape.parity_pages; i++)
		damage_block(&test->parity, parity_place(&test->shape, i));
	damage_put(test);
	result = damage_check(test, &told);
	assert_int_equal(result.condition, BACKUP_MENDABLE);
	assert_int_equal(result.bytes_bad, (uint64_t)test->shape.parity_pages * BLOCK);
}

/* ---- The table ---- */

static void shuffle(struct kit_random *random, uint32_t *numbers, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		numbers[i] = i;
	for (uint32_t i = count; i > 1; i--) {
		uint32_t j = (uint32_t)kit_below(random, i), number = numbers[i - 1];

		numbers[i - 1] = numbers[j];
		numbers[j] = number;
	}
}

/* Any two thirds of it, and not one page more. */
static void tables(void **state)
{
	struct damage *test = *state;
	struct kit_random random = {5};
	struct buffer whole = {0};

	damage_protect(test, SIZE, 10);
	assert_int_equal(test->shape.table_groups, 1);
	expect_ok(buffer_append(&whole, test->parity.data, test->parity.size, &error));
	for (unsigned round = 0; round < 30; round++) {
		uint32_t numbers[PARITY_STRIPE_MAX], most = test->shape.table_rows;
		struct backup_state result;
		struct told told;

		shuffle(&random, numbers, test->shape.table_all);
		memcpy(test->parity.data, whole.data, whole.size);
		for (uint32_t i = 0; i < most; i++)
			damage_block(
			    &test->parity, parity_table_place(&test->shape, numbers[i]));
		damage_put(test);
		result = damage_check(test, &told);
		assert_int_equal(result.condition, BACKUP_MENDABLE);
		assert_int_equal(result.bytes_bad, (uint64_t)most * BLOCK);
		damage_block(&test->parity, parity_table_place(&test->shape, numbers[most]));
		damage_put(test);
		result = damage_check(test, &told);
		assert_int_equal(result.condition, BACKUP_UNKNOWN);
		assert_non_null(strstr(result.why.text, "too much of its table is damaged"));
		assert_int_equal(told.count, 0);
	}
	buffer_free(&whole);
}

/* Pages of another backup's parity among ours, at the front. */
static void mixed_up(void **state)
{
	struct damage *test = *state;
	char name[BACKUP_NAME_SIZE] = "licenses-20260102T030405Z-00000000000000ff.age";
	struct parity_pages pages;
	struct backup_state result;
	struct told told;
	uint8_t *hashes;

	damage_protect(test, SIZE, 10);
	hashes = calloc(1, parity_table_size(&test->shape));
	assert_non_null(hashes);
	expect_ok(parity_pages_new(&pages, &test->shape, name, hashes, &error));
	expect_ok(parity_pages_make(&pages, 0, &error));
	memcpy(test->parity.data, pages.bytes, 2 * BLOCK);
	parity_pages_free(&pages);
	free(hashes);
	damage_put(test);
	result = damage_check(test, &told);
	assert_int_equal(result.condition, BACKUP_MENDABLE);
	assert_int_equal(told.count, 1);
	damage_expect(&told, 0, true, 0, 2 * BLOCK, false);
}

#define WITH_DIRECTORY(test)                                                                   \
	cmocka_unit_test_setup_teardown(test, damage_setup, damage_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_DIRECTORY(runs),
	    WITH_DIRECTORY(lost),
	    WITH_DIRECTORY(cut),
	    WITH_DIRECTORY(all),
	    WITH_DIRECTORY(tables),
	    WITH_DIRECTORY(mixed_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
