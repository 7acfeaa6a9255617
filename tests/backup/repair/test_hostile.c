#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../sample.h"
#include "patient.h"

/*
 * Parity files that were edited, with tables that are right in themselves.  What they make can
 * be wrong, but no block is written over that is what the table says of it, and nothing is
 * written that is not.
 */

/* ---- What a table says ---- */

struct table {
	struct parity_shape shape;
	uint8_t *hashes;
};

static void hash_of(const uint8_t *bytes, size_t size, uint8_t ret[PARITY_HASH_SIZE])
{
	uint8_t block[BLOCK] = {0}, digest[DIGEST_SIZE];

	memcpy(block, bytes, size);
	expect_ok(sha256(digest, block, sizeof block, &error));
	memcpy(ret, digest, PARITY_HASH_SIZE);
}

/* Bytes of block ${i} that ${bytes} has. */
static size_t rest_of(const struct buffer *bytes, uint64_t i)
{
	uint64_t at = i * BLOCK;

	if (at >= bytes->size)
		return 0;
	return bytes->size - at < BLOCK ? (size_t)(bytes->size - at) : BLOCK;
}

static void table_make(
    struct table *table, const struct patient *patient, const struct buffer *parity)
{
	const struct buffer *backup = &patient->backup;

	table->shape = patient->damage.shape;
	table->hashes = calloc(1, parity_table_size(&table->shape));
	assert_non_null(table->hashes);
	for (uint32_t i = 0; i < table->shape.blocks; i++)
		hash_of(backup->data + (size_t)i * BLOCK, rest_of(backup, i),
		    table->hashes + (size_t)i * PARITY_HASH_SIZE);
	for (uint32_t i = 0; i < table->shape.parity_pages; i++)
		hash_of(parity->data + (size_t)parity_place(&table->shape, i) * BLOCK, BLOCK,
		    table->hashes + ((size_t)table->shape.blocks + i) * PARITY_HASH_SIZE);
}

/* Puts a table of these hashes into the parity file, its check pages and heads right. */
static void table_put(const struct table *table, struct buffer *parity)
{
	const struct parity_shape *shape = &table->shape;
	struct parity_pages pages;

	expect_ok(parity_pages_new(&pages, shape, KIT_FILE, table->hashes, &error));
	for (uint32_t g = 0; g < shape->table_groups; g++) {
		expect_ok(parity_pages_make(&pages, g, &error));
		for (unsigned i = 0; i < shape->table_columns + shape->table_rows; i++) {
			uint32_t number = parity_table_number(shape, g, i);

			if (number != UINT32_MAX)
				memcpy(parity->data +
					   (size_t)parity_table_place(shape, number) * BLOCK,
				    pages.bytes + (size_t)i * BLOCK, BLOCK);
		}
	}
	parity_pages_free(&pages);
}

static bool agrees(const struct table *table, const struct buffer *bytes, uint64_t i)
{
	uint8_t hash[PARITY_HASH_SIZE];

	hash_of(bytes->data + i * BLOCK, rest_of(bytes, i), hash);
	return memcmp(hash, table->hashes + i * PARITY_HASH_SIZE, sizeof hash) == 0;
}

/* ---- What is written: built with --wrap=write ---- */

static struct {
	ino_t file; /* the backup; 0: nobody looks */
	const struct patient *patient;
	const struct table *table;
	size_t writes;
} guard;

ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
	struct stat status;

	if (guard.file != 0 && fstat(fd, &status) == 0 && status.st_ino == guard.file) {
		uint64_t at = (uint64_t)lseek(fd, 0, SEEK_CUR), i = at / BLOCK;
		const struct buffer *given = &guard.patient->damage.backup;
		uint8_t hash[PARITY_HASH_SIZE];

		/* One block, one that was bad, and now is what the table says. */
		assert_true(at % BLOCK == 0 && size <= BLOCK && i < guard.table->shape.blocks);
		assert_false(agrees(guard.table, given, i));
		hash_of(bytes, size, hash);
		assert_memory_equal(
		    hash, guard.table->hashes + i * PARITY_HASH_SIZE, sizeof hash);
		guard.writes++;
	}
	return __real_write(fd, bytes, size);
}

/* Repairs, and looks at each block. */
static int repair(struct patient *patient, const struct table *table)
{
	struct backup_state told;
	struct buffer is = {0};
	struct stat status;
	char path[512];
	int code;

	damage_put(&patient->damage);
	snprintf(path, sizeof path, "%s/%s", patient->damage.path, KIT_FILE);
	assert_int_equal(stat(path, &status), 0);
	guard.patient = patient;
	guard.table = table;
	guard.writes = 0;
	guard.file = status.st_ino;
	code = patient_repair(patient, NULL, NULL, &told, NULL);
	guard.file = 0;
	sample_read(patient->damage.path, KIT_FILE, &is);
	assert_int_equal(is.size, patient->damage.backup.size);
	for (uint64_t i = 0; i < table->shape.blocks; i++)
		if (agrees(table, &patient->damage.backup, i) || !agrees(table, &is, i))
			assert_memory_equal(is.data + i * BLOCK,
			    patient->damage.backup.data + i * BLOCK, rest_of(&is, i));
	buffer_free(&is);
	assert_int_equal(code == RH_OK, told.condition == BACKUP_WHOLE);
	return code;
}

/* ---- Tests ---- */

/* Parity pages that make other bytes, and a table that says they are right. */
static void pages(void **state)
{
	struct patient *patient = *state;
	struct damage *damage = &patient->damage;
	struct table table;

	for (uint32_t row = 0; row < damage->shape.rows; row++)
		damage_block(&damage->parity,
		    parity_place(&damage->shape, row * damage->shape.stripes + 1));
	table_make(&table, patient, &damage->parity);
	table_put(&table, &damage->parity);
	damage_block(&damage->backup, 1);
	damage_block(&damage->backup, 2);
	assert_int_equal(repair(patient, &table), RH_E_BACKUP_CORRUPT);
	/* The stripe that nobody has lied about. */
	assert_int_equal(guard.writes, 1);
	free(table.hashes);
}

/* A table that says of good blocks that they are bad. */
static void hashes(void **state)
{
	struct patient *patient = *state;
	struct table table;

	table_make(&table, patient, &patient->parity);
	for (uint32_t i = 0; i < table.shape.blocks; i += 40)
		table.hashes[(size_t)i * PARITY_HASH_SIZE] ^= 1;
	table_put(&table, &patient->damage.parity);
	assert_int_equal(repair(patient, &table), RH_E_BACKUP_CORRUPT);
	assert_int_equal(guard.writes, 0);
	free(table.hashes);
}

/* The parity of another file: what both have in common stays, the rest is made. */
static void another(void **state)
{
	struct patient *patient = *state;
	struct damage *damage = &patient->damage;
	struct buffer mine = {0};
	struct table table;

	expect_ok(buffer_append(&mine, patient->backup.data, SIZE, &error));
	memset(patient->backup.data + 100 * BLOCK, 0x33, 20 * BLOCK);
	kit_protect(damage->path, &patient->backup, 10);
	sample_read(damage->path, KIT_PARITY, &damage->parity);
	table_make(&table, patient, &damage->parity);
	memcpy(damage->backup.data, mine.data, SIZE);
	assert_int_equal(repair(patient, &table), RH_OK);
	assert_int_equal(guard.writes, 20);
	free(table.hashes);
	buffer_free(&mine);
}

/* Any of it, many times. */
static void anything(void **state)
{
	struct patient *patient = *state;
	struct damage *damage = &patient->damage;
	struct kit_random random = {17};
	unsigned codes[3] = {0};

	for (unsigned round = 0; round < 120; round++) {
		uint32_t stripes = damage->shape.stripes, all;
		struct table table;
		int code;

		memcpy(damage->backup.data, patient->backup.data, SIZE);
		memcpy(damage->parity.data, patient->parity.data, patient->parity.size);
		for (uint64_t n = kit_below(&random, 4); n > 0; n--)
			damage_block(&damage->parity,
			    parity_place(&damage->shape,
				(uint32_t)kit_below(&random, damage->shape.parity_pages)));
		table_make(&table, patient, &damage->parity);
		all = table.shape.blocks + table.shape.parity_pages;
		for (uint64_t n = kit_below(&random, 4); n > 0; n--)
			table.hashes[kit_below(&random, all) * PARITY_HASH_SIZE + 3] ^= 1;
		table_put(&table, &damage->parity);
		for (uint64_t n = kit_below(&random, 3 * stripes); n > 0; n--)
			damage_block(&damage->backup, kit_below(&random, SIZE / BLOCK));
		code = repair(patient, &table);
		assert_true(
		    code == RH_OK || code == RH_E_BACKUP_CORRUPT || code == RH_E_READ_BACK);
		codes[code == RH_OK ? 0 : code == RH_E_BACKUP_CORRUPT ? 1 : 2]++;
		free(table.hashes);
	}
	assert_true(codes[0] > 3 && codes[1] > 20);
}

#define WITH_PATIENT(test)                                                                     \
	cmocka_unit_test_setup_teardown(test, patient_setup, patient_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_PATIENT(pages),
	    WITH_PATIENT(hashes),
	    WITH_PATIENT(another),
	    WITH_PATIENT(anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
