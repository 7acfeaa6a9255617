#include <stdio.h>
#include <string.h>

#include "backup/parity.h"

/* Most columns of a group of the table, which has twice as many check pages. */
#define GROUP_MAX 85

#define AGE_SUFFIX ".age"
#define PARITY_SUFFIX ".parity"

static uint64_t up(uint64_t a, uint64_t b)
{
	return (a + b - 1) / b;
}

static unsigned rows_for(unsigned columns, unsigned percent)
{
	return (columns * percent + 99) / 100 + 1;
}

int parity_shape(struct parity_shape *ret, uint64_t size, unsigned percent, rh_error *error)
{
	struct parity_shape shape = {.size = size, .percent = percent};
	unsigned widest = PARITY_STRIPE_MAX;
	uint64_t hashes;

	if (size == 0 || size > PARITY_SIZE_MAX || percent == 0 || percent > PARITY_PERCENT_MAX)
		return error_set(error, RH_E_ARGUMENT,
		    "no parity of %u %% for a file of %llu bytes", percent,
		    (unsigned long long)size);
	while (widest + rows_for(widest, percent) > PARITY_STRIPE_MAX)
		widest--;
	shape.blocks = (uint32_t)up(size, PARITY_BLOCK);
	shape.stripes = (uint32_t)up(shape.blocks, widest);
	shape.columns = (unsigned)up(shape.blocks, shape.stripes);
	shape.rows = rows_for(shape.columns, percent);
	shape.parity_pages = shape.rows * shape.stripes;
	hashes = (uint64_t)shape.blocks + shape.parity_pages;
	shape.table_pages = (uint32_t)up(hashes, PARITY_PAGE_HASHES);
	shape.table_groups = (uint32_t)up(shape.table_pages, GROUP_MAX);
	shape.table_columns = (unsigned)up(shape.table_pages, shape.table_groups);
	shape.table_rows = 2 * shape.table_columns;
	shape.table_all = shape.table_pages + shape.table_rows * shape.table_groups;
	shape.pages = shape.table_all + shape.parity_pages;
	*ret = shape;
	return RH_OK;
}

/* FORMAT.md, "Parity", "The file": table, parity, table, parity, table. */

static uint32_t table_first(const struct parity_shape *shape)
{
	return (uint32_t)up(shape->table_all, 3);
}

static uint32_t table_second(const struct parity_shape *shape)
{
	return (uint32_t)up(shape->table_all - table_first(shape), 2);
}

uint32_t parity_place(const struct parity_shape *shape, uint32_t i)
{
	uint32_t half = (uint32_t)up(shape->parity_pages, 2);

	return table_first(shape) + i + (i < half ? 0 : table_second(shape));
}

uint32_t parity_table_place(const struct parity_shape *shape, uint32_t i)
{
	uint32_t first = table_first(shape), second = table_second(shape);

	if (i < first)
		return i;
	if (i < first + second)
		return i + (uint32_t)up(shape->parity_pages, 2);
	return i + shape->parity_pages;
}

uint32_t parity_at(const struct parity_shape *shape, uint32_t place, bool *ret_table)
{
	uint32_t first = table_first(shape), second = table_second(shape);
	uint32_t half = (uint32_t)up(shape->parity_pages, 2);

	*ret_table = place < first ||
		     (place >= first + half && place < first + half + second) ||
		     place >= first + second + shape->parity_pages;
	if (place < first + half)
		return *ret_table ? place : place - first;
	if (place < first + second + shape->parity_pages)
		return *ret_table ? place - half : place - first - second;
	return place - shape->parity_pages;
}

/* ---- Names ---- */

bool parity_name(char name[BACKUP_NAME_SIZE], const char *file)
{
	size_t stem = strlen(file) - (sizeof AGE_SUFFIX - 1);

	if (!generation_parse(file, NULL, NULL) ||
	    stem + sizeof PARITY_SUFFIX > BACKUP_NAME_SIZE)
		return false;
	memcpy(name, file, stem);
	memcpy(name + stem, PARITY_SUFFIX, sizeof PARITY_SUFFIX);
	return true;
}

bool parity_parse(const char *name, char file[BACKUP_NAME_SIZE])
{
	size_t length = strlen(name), suffix = sizeof PARITY_SUFFIX - 1;
	char found[BACKUP_NAME_SIZE];

	if (length <= suffix || length - suffix + sizeof AGE_SUFFIX > sizeof found ||
	    strcmp(name + length - suffix, PARITY_SUFFIX) != 0)
		return false;
	memcpy(found, name, length - suffix);
	memcpy(found + length - suffix, AGE_SUFFIX, sizeof AGE_SUFFIX);
	if (!generation_parse(found, NULL, NULL))
		return false;
	if (file != NULL)
		memcpy(file, found, sizeof found);
	return true;
}
