#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

#include "../sample.h"
#include "kit.h"

/* Shapes, the code, the file; damage is test_rot.c's. */

/* ---- Shapes ---- */

static void shapes(void **state)
{
	static const uint64_t sizes[] = {1, 4095, 4096, 4097, 20000, UINT64_C(230) * 4096,
	    UINT64_C(230) * 4096 + 1, 3000000, 41910580, UINT64_C(5) << 32, UINT64_C(1) << 40};
	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		for (unsigned percent = 1; percent <= 100; percent++) {
			struct kit_layout layout = kit_layout(sizes[i], percent);
			struct parity_shape shape;

			expect_ok(parity_shape(&shape, sizes[i], percent, &error));
			assert_int_equal(shape.blocks, layout.blocks);
			assert_int_equal(shape.stripes, layout.stripes);
			assert_int_equal(shape.columns, layout.columns);
			assert_int_equal(shape.rows, layout.rows);
			assert_int_equal(shape.table_pages, layout.table);
			assert_int_equal(shape.table_groups, layout.groups);
			assert_int_equal(shape.table_columns, layout.group_columns);
			assert_int_equal(shape.pages, layout.pages);
			assert_true(shape.columns + shape.rows <= 255);
			/* A run of that share, wherever it starts, takes no more than there is.
			 */
			assert_true(((uint64_t)shape.rows * shape.stripes - 1) * 4096 + 1 >=
				    sizes[i] / 100 * percent);
		}
}

static void no_shapes(void **state)
{
	struct parity_shape shape;
	(void)state;

	expect_code(parity_shape(&shape, 0, 10, &error), RH_E_ARGUMENT);
	expect_code(parity_shape(&shape, 1, 0, &error), RH_E_ARGUMENT);
	expect_code(parity_shape(&shape, 1, 101, &error), RH_E_ARGUMENT);
	expect_code(parity_shape(&shape, (UINT64_C(1) << 40) + 1, 10, &error), RH_E_ARGUMENT);
}

/* Every place has one page, and every page one place. */
static void places(void **state)
{
	static const uint64_t sizes[] = {1, 5000, 1000000, 30000000};
	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct kit_layout layout = kit_layout(sizes[i], 10);
		struct parity_shape shape;

		expect_ok(parity_shape(&shape, sizes[i], 10, &error));
		for (uint32_t place = 0; place < shape.pages; place++) {
			bool table, expected;
			uint32_t page = parity_at(&shape, place, &table);
			size_t number = 0;

			expected = kit_is_table(&layout, place, &number);
			assert_int_equal(table, expected);
			assert_int_equal(page, number);
			assert_int_equal(table ? parity_table_place(&shape, page)
					       : parity_place(&shape, page),
			    place);
		}
	}
}

static void names(void **state)
{
	char name[BACKUP_NAME_SIZE];
	(void)state;

	assert_true(parity_name(name, KIT_FILE));
	assert_string_equal(name, KIT_PARITY);
	assert_true(parity_parse(KIT_PARITY, name));
	assert_string_equal(name, KIT_FILE);
	assert_true(parity_parse(KIT_PARITY, NULL));
	assert_false(parity_name(name, KIT_PARITY));
	assert_false(parity_parse(KIT_FILE, NULL));
	assert_false(parity_parse(".parity", NULL));
	assert_false(parity_parse(KIT_PARITY ".part", NULL));
	assert_false(parity_parse("licenses-20261302T030405Z-0123456789abcdef.parity", NULL));
}

/* ---- The code, against arithmetic by hand ---- */

static uint8_t times(uint8_t a, uint8_t b)
{
	unsigned product = 0;

	for (unsigned bit = 0; bit < 8; bit++)
		if (b >> bit & 1)
			product ^= (unsigned)a << bit;
	for (unsigned bit = 14; bit >= 8; bit--)
		if (product >> bit & 1)
			product ^= 0x11du << (bit - 8);
	return (uint8_t)product;
}

static uint8_t inverse(uint8_t a)
{
	for (unsigned b = 1; b < 256; b++)
		if (times(a, (uint8_t)b) == 1)
			return (uint8_t)b;
	fail();
	return 0;
}

#define RUN 97 /* bytes: no length that suits anybody */

struct runs {
	unsigned columns, rows;
	uint8_t *runs[255];
	uint8_t bytes[255][RUN];
};

static void make_runs(struct runs *runs, unsigned columns, unsigned rows, uint64_t seed)
{
	struct kit_random random = {seed};
	struct parity_encoder *encoder = NULL;

	runs->columns = columns;
	runs->rows = rows;
	for (unsigned i = 0; i < columns + rows; i++) {
		runs->runs[i] = runs->bytes[i];
		for (size_t at = 0; at < RUN; at++)
			runs->bytes[i][at] = (uint8_t)kit_next(&random);
	}
	expect_ok(parity_encoder_new(columns, rows, &encoder, &error));
	parity_encode(encoder, RUN, runs->runs, runs->runs + columns);
	parity_encoder_free(encoder);
}

static void encodes(void **state)
{
	static const unsigned sizes[][2] = {{1, 1}, {1, 2}, {3, 3}, {228, 24}, {127, 128}};
	static struct runs runs;
	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		unsigned columns = sizes[i][0];

		make_runs(&runs, columns, sizes[i][1], i);
		for (unsigned row = 0; row < sizes[i][1]; row += 5)
			for (size_t at = 0; at < RUN; at += 8) {
				uint8_t sum = 0;

				for (unsigned c = 0; c < columns; c++)
					sum ^= times(inverse((uint8_t)((columns + row) ^ c)),
					    runs.bytes[c][at]);
				assert_int_equal(runs.bytes[columns + row][at], sum);
			}
	}
}

/* FORMAT.md, "Parity", "Vectors". */
static void bytes_of_three(void **state)
{
	uint8_t bytes[5] = {1, 2, 3};
	uint8_t *runs[5];
	struct parity_encoder *encoder = NULL;
	(void)state;

	for (size_t i = 0; i < 5; i++)
		runs[i] = &bytes[i];
	expect_ok(parity_encoder_new(3, 2, &encoder, &error));
	parity_encode(encoder, 1, runs, runs + 3);
	assert_memory_equal(bytes, "\1\2\3\xf6\x9a", 5);
	parity_encoder_free(encoder);
}

/* Loses what ${there} says, and gets it back, or hears that it cannot. */
static void lose(const struct runs *whole, const bool *there)
{
	static struct runs damaged;
	unsigned missing = 0, kept = 0;
	int expected;

	memcpy(damaged.bytes, whole->bytes, sizeof damaged.bytes);
	for (unsigned i = 0; i < whole->columns + whole->rows; i++) {
		damaged.runs[i] = damaged.bytes[i];
		if (!there[i])
			memset(damaged.bytes[i], 0xa5, RUN);
		missing += i < whole->columns && !there[i];
		kept += i >= whole->columns && there[i];
	}
	expected = missing <= kept ? RH_OK : RH_E_BACKUP_CORRUPT;
	expect_code(
	    parity_decode(whole->columns, whole->rows, RUN, damaged.runs, there, &error),
	    expected);
	for (unsigned i = 0; i < whole->columns && expected == RH_OK; i++)
		assert_memory_equal(damaged.bytes[i], whole->bytes[i], RUN);
}

static void decodes(void **state)
{
	static const unsigned sizes[][2] = {{228, 24}, {127, 128}, {85, 170}, {1, 254}};
	struct kit_random random = {7};
	static struct runs runs;
	(void)state;

	make_runs(&runs, 4, 4, 1);
	for (unsigned pattern = 0; pattern < 256; pattern++) {
		bool there[8];

		for (unsigned i = 0; i < 8; i++)
			there[i] = pattern >> i & 1;
		lose(&runs, there);
	}
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		make_runs(&runs, sizes[i][0], sizes[i][1], i);
		for (unsigned round = 0; round < 20; round++) {
			uint64_t lost = kit_below(&random, sizes[i][1] + 4);
			bool there[255];

			memset(there, true, sizeof there);
			while (lost-- > 0)
				there[kit_below(&random, sizes[i][0] + sizes[i][1])] = false;
			lose(&runs, there);
		}
	}
}

static void no_codes(void **state)
{
	struct parity_encoder *encoder = NULL;
	(void)state;

	expect_code(parity_encoder_new(200, 56, &encoder, &error), RH_E_ARGUMENT);
	expect_code(parity_encoder_new(0, 1, &encoder, &error), RH_E_ARGUMENT);
	expect_code(parity_encoder_new(1, 0, &encoder, &error), RH_E_ARGUMENT);
	expect_code(parity_decode(200, 56, 1, NULL, NULL, &error), RH_E_ARGUMENT);
}

/* ---- The file ---- */

static int make_directory(void **state)
{
	char *path = malloc(256);

	assert_non_null(path);
	sample_directory(path);
	*state = path;
	return 0;
}

static int remove_directory(void **state)
{
	sample_directory_remove(*state);
	free(*state);
	return 0;
}

static struct backup_state check(const char *path)
{
	const struct backup_watch watch = {.context = NULL};
	struct backup_directory *directory = NULL;
	struct backup_state result;

	expect_ok(backup_directory_open(path, false, &directory, &error));
	expect_ok(backup_check(directory, KIT_FILE, &watch, &result, &error));
	backup_directory_close(directory);
	return result;
}

static void whole(void **state)
{
	static const size_t sizes[] = {1, 4096, 4097, 100000, 3000000};
	static const unsigned percents[] = {1, 10, 33, 100};
	struct kit_random random = {3};
	struct buffer bytes = {0};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		for (size_t j = 0; j < sizeof percents / sizeof *percents; j++) {
			struct backup_state result;

			kit_fill(&random, &bytes, sizes[i]);
			kit_protect(*state, &bytes, percents[j]);
			result = check(*state);
			assert_int_equal(result.condition, BACKUP_WHOLE);
			assert_int_equal(result.bytes_bad, 0);
			assert_int_equal(result.reserve, 0);
			assert_int_equal(result.bytes,
			    sizes[i] + kit_layout(sizes[i], percents[j]).pages * 4096);
		}
	buffer_free(&bytes);
}

/* Frozen: what was written once must be made again by every version, to the last byte. */
static void vector(void **state)
{
	static const struct {
		size_t size;
		unsigned percent;
		const char *digest;
	} vectors[] = {
	    {3000, 10, "9ed4c5f6bc0d9290af434e714cb25538abc7adfafd503740cca3fabf8b6a7b7b"},
	    {1234567, 10, "d5a23a25b58249f09ccc6b9b02880da131969c299236941d49271c30ba6bb98c"},
	    {2000000, 100, "baac8a1e25e067daa7aff48baa0e1ab2689f979abbde9b33ce48c462d409bd55"},
	};
	struct buffer bytes = {0}, parity = {0};

	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		struct kit_random random = {vectors[i].size};
		uint8_t digest[DIGEST_SIZE];
		char hex[2 * DIGEST_SIZE + 1];

		kit_fill(&random, &bytes, vectors[i].size);
		kit_protect(*state, &bytes, vectors[i].percent);
		sample_read(*state, KIT_PARITY, &parity);
		expect_ok(sha256(digest, parity.data, parity.size, &error));
		text_hex(hex, digest, sizeof digest);
		assert_string_equal(hex, vectors[i].digest);
	}
	buffer_free(&bytes);
	buffer_free(&parity);
}

/* ---- Of no use ---- */

static void expect_useless(const char *path, const char *why)
{
	struct backup_state result = check(path);

	assert_int_equal(result.condition, BACKUP_UNKNOWN);
	assert_int_equal(result.why.code, RH_E_PARITY);
	if (strstr(result.why.text, why) == NULL)
		fail_msg("%s", result.why.text);
}

static void useless(void **state)
{
	static const uint8_t zeros[3 * 4096];
	struct kit_random random = {9};
	struct buffer bytes = {0}, parity = {0};
	char path[512];

	kit_fill(&random, &bytes, 1000000);
	kit_protect(*state, &bytes, 10);
	sample_read(*state, KIT_PARITY, &parity);

	snprintf(path, sizeof path, "%s/%s", (char *)*state, KIT_PARITY);
	assert_int_equal(unlink(path), 0);
	expect_useless(*state, "there is no parity file beside");
	sample_write(*state, KIT_PARITY, zeros, 0);
	expect_useless(*state, "no page of its table is whole");
	sample_write(*state, KIT_PARITY, zeros, sizeof zeros);
	expect_useless(*state, "no page of its table is whole");
	/* One page of two, and one that is whole but for the rest of its file. */
	sample_write(*state, KIT_PARITY, parity.data, 4096);
	expect_useless(*state, "most of it is missing");
	/* Of the same backup under another name. */
	sample_write(
	    *state, "licenses-20260102T030405Z-0123456789abcdee.age", bytes.data, bytes.size);
	sample_write(*state, "licenses-20260102T030405Z-0123456789abcdee.parity", parity.data,
	    parity.size);
	{
		const struct backup_watch watch = {.context = NULL};
		struct backup_directory *directory = NULL;
		struct backup_state result;

		expect_ok(backup_directory_open(*state, false, &directory, &error));
		expect_ok(backup_check(directory,
		    "licenses-20260102T030405Z-0123456789abcdee.age", &watch, &result, &error));
		assert_int_equal(result.condition, BACKUP_UNKNOWN);
		assert_non_null(strstr(result.why.text, "it belongs to another backup"));
		expect_code(
		    backup_check(directory, "licenses-20260102T030405Z-0123456789abcdff.age",
			&watch, &result, &error),
		    RH_E_BACKUP_MISSING);
		backup_directory_close(directory);
	}
	buffer_free(&bytes);
	buffer_free(&parity);
}

/* Heads that are whole and lie: about the size, the percentage, the table. */
static void liars(void **state)
{
	struct kit_random random = {10};
	struct buffer bytes = {0}, parity = {0};

	kit_fill(&random, &bytes, 1000000);
	kit_protect(*state, &bytes, 10);
	sample_read(*state, KIT_PARITY, &parity);
	for (unsigned round = 0; round < 6; round++) {
		static const uint64_t sizes[] = {
		    0, UINT64_C(1) << 40, UINT64_MAX, 1, 1000001, 1000000};
		uint8_t digest[DIGEST_SIZE];
		uint8_t *page = parity.data;
		struct digest *hash = NULL;

		put_u64be(page + 16, sizes[round]);
		put_u32be(page + 24, round == 5 ? 101 : 10);
		expect_ok(digest_new(&hash, &error));
		expect_ok(digest_update(hash, page, 240, &error));
		expect_ok(digest_update(hash, page + 256, 3840, &error));
		expect_ok(digest_finish(hash, digest, &error));
		digest_free(hash);
		memcpy(page + 240, digest, 16);
		sample_write(*state, KIT_PARITY, parity.data, parity.size);
		expect_useless(*state, "is of no use");
	}
	buffer_free(&bytes);
	buffer_free(&parity);
}

/* ---- A stop ---- */

static int stop_at(void *context)
{
	return --*(int *)context < 0;
}

static void stops(void **state)
{
	struct kit_random random = {11};
	struct buffer bytes = {0};
	struct backup_directory *directory = NULL;
	struct backup_state result;
	int left = 0;
	const struct backup_watch watch = {.stop = stop_at, .context = &left};

	kit_fill(&random, &bytes, 3000000);
	kit_protect(*state, &bytes, 10);
	expect_ok(backup_directory_open(*state, false, &directory, &error));
	expect_code(backup_check(directory, KIT_FILE, &watch, &result, &error), RH_E_CANCELED);
	backup_directory_close(directory);
	buffer_free(&bytes);
}

#define WITH_DIRECTORY(test)                                                                   \
	cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(shapes),
	    cmocka_unit_test(no_shapes),
	    cmocka_unit_test(places),
	    cmocka_unit_test(names),
	    cmocka_unit_test(encodes),
	    cmocka_unit_test(bytes_of_three),
	    cmocka_unit_test(decodes),
	    cmocka_unit_test(no_codes),
	    WITH_DIRECTORY(whole),
	    WITH_DIRECTORY(vector),
	    WITH_DIRECTORY(useless),
	    WITH_DIRECTORY(liars),
	    WITH_DIRECTORY(stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
