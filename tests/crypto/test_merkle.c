#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "crypto/merkle.h"

/* The tree of eight leaves in the tests of Certificate Transparency. */
#define LEAVES 8
static const char *const inputs[LEAVES] = {"", "00", "10", "2021", "3031", "40414243",
    "5051525354555657", "606162636465666768696a6b6c6d6e6f"};
static const char *const roots[LEAVES] = {
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};
static const struct {
	size_t index, count, path_count;
	const char *path[3];
} paths[] = {
    {0, 1, 0, {NULL}},
    {0, 8, 3,
	{"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
	    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
	    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}},
    {5, 8, 3,
	{"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
	    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
	    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
    {2, 3, 1, {"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"}},
    {1, 5, 3,
	{"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
	    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
	    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}},
};

static uint8_t leaves[LEAVES][DIGEST_SIZE];

static int make_leaves(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEAVES; i++) {
		uint8_t bytes[16];
		size_t size = strlen(inputs[i]) / 2;

		assert_true(text_unhex(inputs[i], bytes, size));
		assert_int_equal(merkle_leaf(leaves[i], bytes, size, NULL), RH_OK);
	}
	return 0;
}

static void assert_hex(const uint8_t hash[DIGEST_SIZE], const char *expected)
{
	char text[2 * DIGEST_SIZE + 1];

	text_hex(text, hash, DIGEST_SIZE);
	assert_string_equal(text, expected);
}

static void test_roots(void **state)
{
	uint8_t root[DIGEST_SIZE] = {7};
	rh_error error = {0};

	(void)state;
	for (size_t i = 0; i < LEAVES; i++) {
		assert_int_equal(
		    merkle_root(root, (const uint8_t(*)[DIGEST_SIZE])leaves, i + 1, NULL),
		    RH_OK);
		assert_hex(root, roots[i]);
	}
	assert_int_equal(
	    merkle_root(root, (const uint8_t(*)[DIGEST_SIZE])leaves, 0, &error), RH_E_ARGUMENT);
	assert_int_equal(error.code, RH_E_ARGUMENT);
	assert_hex(root, roots[LEAVES - 1]);
}

static void test_paths(void **state)
{
	uint8_t path[MERKLE_PATH_MAX][DIGEST_SIZE];
	size_t count = 99;

	(void)state;
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		assert_int_equal(
		    merkle_path(path, &count, (const uint8_t(*)[DIGEST_SIZE])leaves,
			paths[i].count, paths[i].index, NULL),
		    RH_OK);
		assert_int_equal(count, paths[i].path_count);
		for (size_t j = 0; j < count; j++)
			assert_hex(path[j], paths[i].path[j]);
	}
	assert_int_equal(
	    merkle_path(path, &count, (const uint8_t(*)[DIGEST_SIZE])leaves, 3, 3, NULL),
	    RH_E_ARGUMENT);
	assert_int_equal(
	    merkle_path(path, &count, (const uint8_t(*)[DIGEST_SIZE])leaves, 0, 0, NULL),
	    RH_E_ARGUMENT);
}

static bool leads(const uint8_t *leaf, size_t index, size_t count, uint8_t (*path)[DIGEST_SIZE],
    size_t path_count, const uint8_t *root)
{
	bool good = false;

	assert_int_equal(merkle_verify(leaf, index, count, (const uint8_t(*)[DIGEST_SIZE])path,
			     path_count, root, &good, NULL),
	    RH_OK);
	return good;
}

/* Every leaf of trees of every size, and that nothing else leads to the root. */
static void test_verify(void **state)
{
	enum { MOST = 40 };
	uint8_t many[MOST][DIGEST_SIZE], path[MERKLE_PATH_MAX][DIGEST_SIZE];
	uint8_t root[DIGEST_SIZE];
	size_t length;

	(void)state;
	for (uint8_t i = 0; i < MOST; i++)
		assert_int_equal(merkle_leaf(many[i], &i, 1, NULL), RH_OK);
	for (size_t count = 1; count <= MOST; count++) {
		assert_int_equal(
		    merkle_root(root, (const uint8_t(*)[DIGEST_SIZE])many, count, NULL), RH_OK);
		for (size_t i = 0; i < count; i++) {
			assert_int_equal(
			    merkle_path(path, &length, (const uint8_t(*)[DIGEST_SIZE])many,
				count, i, NULL),
			    RH_OK);
			assert_true(leads(many[i], i, count, path, length, root));
			assert_false(leads(many[(i + 1) % MOST], i, count, path, length, root));
			assert_false(leads(many[i], i, count, path, length + 1, root));
			assert_false(leads(many[i], count, count, path, length, root));
			for (size_t other = 0; other < count; other++)
				assert_true((other == i) ==
					    leads(many[i], other, count, path, length, root));
			if (length == 0)
				continue;
			assert_false(leads(many[i], i, count, path, length - 1, root));
			path[length - 1][31] ^= 1;
			assert_false(leads(many[i], i, count, path, length, root));
		}
		root[0] ^= 1;
		assert_false(leads(many[0], 0, count, path, 0, root));
	}
	assert_false(leads(many[0], 0, MOST, path, MERKLE_PATH_MAX + 1, root));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_roots),
	    cmocka_unit_test(test_paths),
	    cmocka_unit_test(test_verify),
	};

	return cmocka_run_group_tests(tests, make_leaves, NULL);
}
