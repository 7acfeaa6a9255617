#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../sample.h"
#include "kit.h"

/*
 * Rot: random damage to a backup and its parity, and what is to come of it by FORMAT.md alone:
 * within the reserve both are as they were, to the byte; above it no good byte has changed, and
 * exactly the blocks that are bad, and that are lost, are told.  Half of the repairs are
 * stopped on the way, or the medium is pulled in the middle of a write, and done again.
 *
 * ROTS=N: how many; ROT_SEED=N.
 */

#define BLOCK 4096

/* AddressSanitizer takes its time. */
#ifdef __SANITIZE_ADDRESS__
#define ROTS 200
#else
#define ROTS 1000
#endif

struct rot {
	struct kit_random random;
	char path[256];
	unsigned percent;
	struct kit_layout layout;
	struct buffer backup, parity; /* as they were */
	struct buffer bad_backup, bad_parity; /* as they are */
	bool *lost; /* of each stripe */
	size_t bad_blocks, bad_pages;
	size_t lost_blocks; /* that are bad and cannot be mended */
	bool missing; /* there is no parity file */
	bool useless; /* or its table is beyond repair */
	bool damaged;
	unsigned interrupted; /* repairs */
};

/* ---- A medium that is pulled: built with --wrap=write ---- */

static struct {
	bool on;
	size_t left; /* bytes that are still written */
} pulled;

ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
	if (!pulled.on)
		return __real_write(fd, bytes, size);
	if (pulled.left == 0) {
		errno = EIO;
		return -1;
	}
	size = size < pulled.left ? size : pulled.left;
	pulled.left -= size;
	return __real_write(fd, bytes, size);
}

/* ---- Damage ---- */

static void flip(struct rot *rot, struct buffer *bytes)
{
	for (uint64_t i = kit_below(&rot->random, 8) + 1; i > 0; i--)
		bytes->data[kit_below(&rot->random, bytes->size)] ^=
		    (uint8_t)(1u << kit_below(&rot->random, 8));
}

/* A run of other bytes, of zeros, or of 0xff. */
static void overwrite(struct rot *rot, struct buffer *bytes, size_t first, size_t size)
{
	unsigned kind = (unsigned)kit_below(&rot->random, 3);

	for (size_t i = first; i < first + size && i < bytes->size; i++)
		bytes->data[i] = kind == 0 ? (uint8_t)kit_next(&rot->random)
					   : (uint8_t)(kind == 1 ? 0 : 0xff);
}

static void sectors(struct rot *rot, struct buffer *bytes)
{
	size_t size = kit_below(&rot->random, 2) == 0 ? 512 : BLOCK;
	uint64_t share = kit_below(&rot->random, 3 * rot->percent / 2 + 2);

	for (uint64_t i = bytes->size / size * share / 100 + 1; i > 0; i--)
		overwrite(
		    rot, bytes, kit_below(&rot->random, bytes->size / size + 1) * size, size);
}

static void runs(struct rot *rot, struct buffer *bytes)
{
	for (uint64_t i = kit_below(&rot->random, 3) + 1; i > 0; i--)
		overwrite(rot, bytes, kit_below(&rot->random, bytes->size),
		    kit_below(&rot->random, bytes->size * (rot->percent + 5) / 100 + 2));
}

static void cut(struct rot *rot, struct buffer *bytes)
{
	size_t most = bytes->size * (rot->percent + 3) / 100 + 1;

	bytes->size -= kit_below(&rot->random, most < bytes->size ? most : bytes->size);
}

static void garbage(struct rot *rot, struct buffer *bytes)
{
	size_t size = kit_below(&rot->random, 10000) + 1;

	expect_ok(buffer_reserve(bytes, size, &error));
	memset(bytes->data + bytes->size, 0x42, size);
	bytes->size += size;
}

static void swap(struct rot *rot, struct buffer *bytes)
{
	size_t count = bytes->size / BLOCK;
	uint8_t block[BLOCK];

	for (int i = 0; i < 5 && count > 1; i++) {
		uint8_t *a = bytes->data + kit_below(&rot->random, count) * BLOCK;
		uint8_t *b = bytes->data + kit_below(&rot->random, count) * BLOCK;

		memcpy(block, a, BLOCK);
		memmove(a, b, BLOCK);
		memcpy(b, block, BLOCK);
	}
}

static void damage(struct rot *rot, struct buffer *bytes)
{
	static void (*const kinds[])(struct rot *, struct buffer *) = {
	    flip, sectors, runs, cut, garbage, swap};
	uint64_t count = kit_below(&rot->random, 2) + 1;

	while (count-- > 0 && bytes->size > 0)
		kinds[kit_below(&rot->random, sizeof kinds / sizeof *kinds)](rot, bytes);
}

/* ---- What is to come of it ---- */

/* Whether block ${i} of ${was} is another in ${is}, which may be shorter. */
static bool differs(const struct buffer *was, const struct buffer *is, size_t i)
{
	size_t first = i * BLOCK, size = was->size - first < BLOCK ? was->size - first : BLOCK;

	return is->size < first + size ||
	       memcmp(was->data + first, is->data + first, size) != 0;
}

static void expect(struct rot *rot)
{
	const struct kit_layout *layout = &rot->layout;
	size_t *bad = calloc(layout->stripes, sizeof *bad);
	size_t *table_bad = calloc(layout->groups, sizeof *table_bad);

	rot->lost = calloc(layout->stripes, sizeof *rot->lost);
	rot->lost_blocks = rot->bad_blocks = rot->bad_pages = 0;
	rot->useless = rot->missing;
	rot->damaged = rot->missing || rot->bad_backup.size != rot->backup.size ||
		       rot->bad_parity.size != rot->parity.size;
	for (size_t i = 0; i < layout->blocks; i++)
		if (differs(&rot->backup, &rot->bad_backup, i)) {
			bad[i % layout->stripes]++;
			rot->bad_blocks++;
		}
	for (size_t place = 0; place < layout->pages; place++) {
		size_t number = 0;
		bool table = kit_is_table(layout, place, &number);

		if (!differs(&rot->parity, &rot->bad_parity, place))
			continue;
		rot->bad_pages++;
		if (table)
			table_bad[(number < layout->table ? number : number - layout->table) %
				  layout->groups]++;
		else
			bad[number % layout->stripes]++;
	}
	rot->damaged = rot->damaged || rot->bad_blocks + rot->bad_pages > 0;
	for (size_t g = 0; g < layout->groups; g++)
		rot->useless |= table_bad[g] > layout->group_rows;
	for (size_t s = 0; s < layout->stripes; s++)
		rot->lost[s] = bad[s] > layout->rows;
	for (size_t i = 0; i < layout->blocks; i++)
		rot->lost_blocks += rot->lost[i % layout->stripes] &&
				    differs(&rot->backup, &rot->bad_backup, i);
	free(bad);
	free(table_bad);
}

/* ---- What came of it ---- */

struct told {
	const struct rot *rot;
	size_t lost, bad; /* blocks of the backup */
	size_t bad_pages;
	int stops; /* before it stops; negative: never */
};

/* What is too much at an end is told, too, and never lost; ${*end} becomes that of the file. */
static void expect_extra(
    const struct buffer *was, const struct buffer *is, uint64_t *end, bool lost)
{
	if (*end <= was->size)
		return;
	assert_int_equal(*end, is->size);
	assert_false(lost);
	*end = was->size;
}

static void on_damage(
    void *context, const char *file, uint64_t offset, uint64_t bytes, bool lost)
{
	struct told *told = context;
	const struct rot *rot = told->rot;
	bool parity = strcmp(file, KIT_PARITY) == 0;
	const struct buffer *was = parity ? &rot->parity : &rot->backup;
	const struct buffer *is = parity ? &rot->bad_parity : &rot->bad_backup;
	uint64_t end = offset + bytes;

	assert_true(parity || strcmp(file, KIT_FILE) == 0);
	expect_extra(was, is, &end, lost);
	assert_true(offset % BLOCK == 0 || offset == was->size);
	for (uint64_t at = offset; at < end; at += BLOCK) {
		size_t i = (size_t)(at / BLOCK), number = i;

		assert_true(differs(was, is, i));
		if (parity && kit_is_table(&rot->layout, i, &number))
			assert_false(lost);
		else
			assert_int_equal(lost, rot->lost[number % rot->layout.stripes]);
		told->bad_pages += parity ? 1 : 0;
		told->bad += parity ? 0 : 1;
		told->lost += !parity && lost ? 1 : 0;
	}
}

static int on_stop(void *context)
{
	struct told *told = context;

	return told->stops > 0 && --told->stops == 0;
}

/* Every block is as it was, or as bad as it was. */
static void expect_no_worse(
    const struct buffer *was, const struct buffer *bad, const struct buffer *is)
{
	for (size_t i = 0; i * BLOCK < was->size; i++)
		if (differs(was, is, i))
			assert_true(differs(was, bad, i));
}

/* Nothing is told but what is, and all of that. */
static void check(struct rot *rot)
{
	struct told told = {.rot = rot, .stops = -1};
	const struct backup_watch watch = {.on_damage = on_damage, .context = &told};
	struct backup_directory *directory = NULL;
	struct backup_state state;

	expect_ok(backup_directory_open(rot->path, false, &directory, &error));
	expect_ok(backup_check(directory, KIT_FILE, &watch, &state, &error));
	backup_directory_close(directory);
	if (rot->useless) {
		assert_int_equal(state.condition, BACKUP_UNKNOWN);
		return;
	}
	assert_int_equal(state.condition, rot->lost_blocks > 0 ? BACKUP_LOST
					  : rot->damaged       ? BACKUP_MENDABLE
							       : BACKUP_WHOLE);
	assert_int_equal(told.bad, rot->bad_blocks);
	assert_int_equal(told.bad_pages, rot->bad_pages);
	assert_int_equal(told.lost, rot->lost_blocks);
	assert_int_equal(state.bytes_lost, rot->lost_blocks * BLOCK);
}

static int repair(struct rot *rot, struct told *told, struct backup_state *state)
{
	const struct backup_watch watch = {
	    .on_damage = on_damage, .stop = on_stop, .context = told};
	struct backup_directory *directory = NULL;
	int code;

	expect_ok(backup_directory_open(rot->path, true, &directory, &error));
	code = backup_repair(directory, KIT_FILE, NULL, &watch, state, NULL);
	backup_directory_close(directory);
	return code;
}

static void expect_mended(
    struct rot *rot, const struct buffer *backup, const struct buffer *parity)
{
	const struct kit_layout *layout = &rot->layout;

	for (size_t i = 0; i < layout->blocks; i++)
		if (!rot->lost[i % layout->stripes])
			assert_false(differs(&rot->backup, backup, i));
	for (size_t place = 0; place < layout->pages; place++) {
		size_t number = 0;

		if (kit_is_table(layout, place, &number) ||
		    !rot->lost[number % layout->stripes])
			assert_false(differs(&rot->parity, parity, place));
	}
	if (rot->lost_blocks > 0)
		return;
	assert_int_equal(backup->size, rot->backup.size);
	assert_int_equal(parity->size, rot->parity.size);
}

static void expect_untouched(const struct rot *rot, const struct buffer *backup)
{
	assert_int_equal(backup->size, rot->bad_backup.size);
	assert_memory_equal(backup->data, rot->bad_backup.data, backup->size);
}

static void judge(
    struct rot *rot, int code, const struct told *told, const struct backup_state *state)
{
	struct buffer backup = {0}, parity = {0};

	sample_read(rot->path, KIT_FILE, &backup);
	if (rot->missing)
		assert_false(sample_exists(rot->path, KIT_PARITY));
	else
		sample_read(rot->path, KIT_PARITY, &parity);
	if (rot->useless) {
		assert_int_equal(code, RH_E_PARITY);
		expect_untouched(rot, &backup);
	} else {
		expect_no_worse(&rot->backup, &rot->bad_backup, &backup);
		expect_no_worse(&rot->parity, &rot->bad_parity, &parity);
		assert_int_equal(code, rot->lost_blocks > 0 ? RH_E_BACKUP_CORRUPT : RH_OK);
		assert_int_equal(
		    state->condition, rot->lost_blocks > 0 ? BACKUP_LOST : BACKUP_WHOLE);
		assert_int_equal(told->lost, rot->lost_blocks);
		assert_int_equal(state->bytes_lost, rot->lost_blocks * BLOCK);
		expect_mended(rot, &backup, &parity);
	}
	buffer_free(&backup);
	buffer_free(&parity);
}

/* ---- One after the other ---- */

static void make(struct rot *rot)
{
	size_t size = kit_below(&rot->random, 4) == 0 ? kit_below(&rot->random, 3000000) + 1
						      : kit_below(&rot->random, 300000) + 1;

	/* Half of them as usual. */
	rot->percent = 10;
	if (kit_below(&rot->random, 2) == 0)
		rot->percent = (unsigned)kit_below(&rot->random, 100) + 1;
	rot->layout = kit_layout(size, rot->percent);
	kit_fill(&rot->random, &rot->backup, size);
	kit_protect(rot->path, &rot->backup, rot->percent);
	sample_read(rot->path, KIT_PARITY, &rot->parity);
}

static void take_parity_away(struct rot *rot)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", rot->path, KIT_PARITY);
	assert_int_equal(unlink(path), 0);
}

static void spoil(struct rot *rot)
{
	uint64_t which = kit_below(&rot->random, 4);

	buffer_clear(&rot->bad_backup);
	buffer_clear(&rot->bad_parity);
	expect_ok(buffer_append(&rot->bad_backup, rot->backup.data, rot->backup.size, &error));
	expect_ok(buffer_append(&rot->bad_parity, rot->parity.data, rot->parity.size, &error));
	if (which != 0)
		damage(rot, &rot->bad_backup);
	if (which <= 1)
		damage(rot, &rot->bad_parity);
	rot->missing = kit_below(&rot->random, 30) == 0;
	sample_write(rot->path, KIT_FILE, rot->bad_backup.data, rot->bad_backup.size);
	sample_write(rot->path, KIT_PARITY, rot->bad_parity.data, rot->bad_parity.size);
	if (rot->missing)
		take_parity_away(rot);
}

/* What is bad now is what is looked at next. */
static void look_again(struct rot *rot)
{
	struct buffer backup = {0}, parity = {0};

	sample_read(rot->path, KIT_FILE, &backup);
	sample_read(rot->path, KIT_PARITY, &parity);
	expect_no_worse(&rot->backup, &rot->bad_backup, &backup);
	expect_no_worse(&rot->parity, &rot->bad_parity, &parity);
	buffer_free(&rot->bad_backup);
	buffer_free(&rot->bad_parity);
	rot->bad_backup = backup;
	rot->bad_parity = parity;
	free(rot->lost);
	expect(rot);
}

static void round_of(struct rot *rot)
{
	struct told told = {.rot = rot, .stops = -1};
	struct backup_state state;
	int code;

	make(rot);
	spoil(rot);
	expect(rot);
	check(rot);
	switch (kit_below(&rot->random, 4)) {
	case 0:
		told.stops = (int)kit_below(&rot->random, 30) + 1;
		break;
	case 1:
		pulled.left = kit_below(&rot->random, rot->backup.size / 10 + 5000);
		pulled.on = true;
		break;
	default:
		break;
	}
	code = repair(rot, &told, &state);
	pulled.on = false;
	if (code == RH_E_CANCELED || code == RH_E_WRITE) {
		rot->interrupted++;
		look_again(rot);
		told = (struct told){.rot = rot, .stops = -1};
		code = repair(rot, &told, &state);
	}
	judge(rot, code, &told, &state);
	free(rot->lost);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value != NULL ? strtoull(value, NULL, 10) : otherwise;
}

static void rots(void **state)
{
	uint64_t seed = setting("ROT_SEED", (uint64_t)time(NULL)),
		 count = setting("ROTS", ROTS);
	struct rot rot = {.random = {seed}};
	unsigned mended = 0, lost = 0, useless = 0;
	(void)state;

	print_message("ROT_SEED=%llu\n", (unsigned long long)seed);
	sample_directory(rot.path);
	for (uint64_t i = 0; i < count; i++) {
		rot.random.state = seed * 1000003 + i;
		round_of(&rot);
		mended += !rot.useless && rot.damaged && rot.lost_blocks == 0;
		lost += !rot.useless && rot.lost_blocks > 0;
		useless += rot.useless;
	}
	print_message("%u mended, %u with losses, %u without a table; %u interrupted\n", mended,
	    lost, useless, rot.interrupted);
	/* All of it was tried. */
	assert_true(count < 200 || (mended > count / 5 && lost > count / 20 && useless > 0 &&
				       rot.interrupted > count / 20));
	sample_directory_remove(rot.path);
	buffer_free(&rot.backup);
	buffer_free(&rot.parity);
	buffer_free(&rot.bad_backup);
	buffer_free(&rot.bad_parity);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(rots)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
