#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../sample.h"
#include "kit.h"

/* splitmix64 */
uint64_t kit_next(struct kit_random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t kit_below(struct kit_random *random, uint64_t limit)
{
	return kit_next(random) % limit;
}

void kit_fill(struct kit_random *random, struct buffer *bytes, size_t size)
{
	buffer_clear(bytes);
	expect_ok(buffer_reserve(bytes, size, &error));
	for (size_t i = 0; i < size; i++)
		bytes->data[i] = (uint8_t)(kit_next(random) >> 56);
	bytes->size = size;
}

void kit_protect(const char *path, const struct buffer *bytes, unsigned percent)
{
	char backup[512], parity[512];
	struct parity_target target = {.size = bytes->size,
	    .file = KIT_FILE,
	    .display = "the backup",
	    .out_display = "the parity file"};

	sample_write(path, KIT_FILE, bytes->data, bytes->size);
	snprintf(backup, sizeof backup, "%s/%s", path, KIT_FILE);
	snprintf(parity, sizeof parity, "%s/%s", path, KIT_PARITY);
	target.fd = open(backup, O_RDONLY | O_CLOEXEC);
	target.out = open(parity, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(target.fd >= 0 && target.out >= 0);
	expect_ok(parity_write(&target, percent, NULL, NULL, NULL, &error));
	close(target.fd);
	close(target.out);
}

static size_t quotient(size_t a, size_t b)
{
	return a / b + (a % b > 0);
}

struct kit_layout kit_layout(uint64_t size, unsigned percent)
{
	struct kit_layout layout = {.blocks = quotient((size_t)size, 4096)};
	size_t widest = 1;

	while (widest + 1 + quotient((widest + 1) * percent, 100) + 1 <= 255)
		widest++;
	layout.stripes = quotient(layout.blocks, widest);
	layout.columns = quotient(layout.blocks, layout.stripes);
	layout.rows = quotient(layout.columns * percent, 100) + 1;
	layout.table = quotient(layout.blocks + layout.rows * layout.stripes, 240);
	layout.groups = quotient(layout.table, 85);
	layout.group_columns = quotient(layout.table, layout.groups);
	layout.group_rows = 2 * layout.group_columns;
	layout.pages =
	    layout.table + layout.groups * layout.group_rows + layout.rows * layout.stripes;
	return layout;
}

bool kit_is_table(const struct kit_layout *layout, size_t place, size_t *ret_number)
{
	size_t parity = layout->rows * layout->stripes, table = layout->pages - parity;
	size_t first = quotient(table, 3), second = quotient(table - first, 2);
	size_t half = quotient(parity, 2);
	const size_t sizes[] = {first, half, second, parity - half, table - first - second};
	size_t numbers[2] = {0, 0};

	for (size_t i = 0; i < 5; i++) {
		if (place < sizes[i]) {
			*ret_number = numbers[i % 2] + place;
			return i % 2 == 0;
		}
		place -= sizes[i];
		numbers[i % 2] += sizes[i];
	}
	fail();
	return false;
}
