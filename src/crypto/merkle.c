#include <string.h>

#include "crypto/merkle.h"

enum { LEAF_PREFIX, NODE_PREFIX };

#define SHORT_LEAF 1024 /* bytes that are hashed at once */

int merkle_leaf(uint8_t out[DIGEST_SIZE], const void *bytes, size_t size, rh_error *error)
{
	static const uint8_t prefix = LEAF_PREFIX;
	struct digest *digest = NULL;
	uint8_t little[SHORT_LEAF + 1] = {LEAF_PREFIX};
	int code;

	if (size <= SHORT_LEAF) {
		if (size > 0)
			memcpy(little + 1, bytes, size);
		return sha256(out, little, size + 1, error);
	}
	code = digest_new(&digest, error);
	if (code == RH_OK)
		code = digest_update(digest, &prefix, 1, error);
	if (code == RH_OK)
		code = digest_update(digest, bytes, size, error);
	if (code == RH_OK)
		code = digest_finish(digest, out, error);
	digest_free(digest);
	return code;
}

/* ${out} may be one of the two. */
static int node(struct digest *digest, uint8_t out[DIGEST_SIZE],
    const uint8_t left[DIGEST_SIZE], const uint8_t right[DIGEST_SIZE], rh_error *error)
{
	uint8_t bytes[1 + 2 * DIGEST_SIZE] = {NODE_PREFIX};
	int code;

	memcpy(bytes + 1, left, DIGEST_SIZE);
	memcpy(bytes + 1 + DIGEST_SIZE, right, DIGEST_SIZE);
	code = digest_update(digest, bytes, sizeof bytes, error);
	return code == RH_OK ? digest_finish(digest, out, error) : code;
}

/*
 * Leaf after leaf, with the roots of the full subtrees so far on a stack: one for each bit of
 * their number, the largest at the bottom.
 */
static int root_with(struct digest *digest, uint8_t out[DIGEST_SIZE],
    const uint8_t (*leaves)[DIGEST_SIZE], size_t count, rh_error *error)
{
	uint8_t stack[8 * sizeof count][DIGEST_SIZE];
	size_t depth = 0;
	int code = RH_OK;

	for (size_t i = 0; i < count && code == RH_OK; i++) {
		memcpy(stack[depth++], leaves[i], DIGEST_SIZE);
		for (size_t full = i; full & 1 && code == RH_OK; full >>= 1) {
			depth--;
			code = node(
			    digest, stack[depth - 1], stack[depth - 1], stack[depth], error);
		}
	}
	for (; depth > 1 && code == RH_OK; depth--)
		code =
		    node(digest, stack[depth - 2], stack[depth - 2], stack[depth - 1], error);
	if (code == RH_OK)
		memcpy(out, stack[0], DIGEST_SIZE);
	return code;
}

int merkle_root(uint8_t out[DIGEST_SIZE], const uint8_t (*leaves)[DIGEST_SIZE], size_t count,
    rh_error *error)
{
	struct digest *digest = NULL;
	int code;

	if (count == 0)
		return error_set(error, RH_E_ARGUMENT, "a Merkle tree needs a leaf");
	code = digest_new(&digest, error);
	if (code == RH_OK)
		code = root_with(digest, out, leaves, count, error);
	digest_free(digest);
	return code;
}

/* The leaves of the left subtree: the largest power of two below ${count}, which is 2 or more.
 */
static size_t left_leaves(size_t count)
{
	size_t left = 1;

	while (left < count - left)
		left *= 2;
	return left;
}

int merkle_path(uint8_t path[MERKLE_PATH_MAX][DIGEST_SIZE], size_t *ret_count,
    const uint8_t (*leaves)[DIGEST_SIZE], size_t count, size_t index, rh_error *error)
{
	uint8_t from_top[MERKLE_PATH_MAX][DIGEST_SIZE];
	struct digest *digest = NULL;
	size_t depth = 0;
	int code;

	if (index >= count || (uint64_t)count > UINT64_C(1) << MERKLE_PATH_MAX)
		return error_set(error, RH_E_ARGUMENT, "there is no such leaf");
	code = digest_new(&digest, error);
	while (count > 1 && code == RH_OK) {
		size_t left = left_leaves(count);

		if (index < left) {
			code = root_with(
			    digest, from_top[depth++], leaves + left, count - left, error);
			count = left;
		} else {
			code = root_with(digest, from_top[depth++], leaves, left, error);
			leaves += left;
			index -= left;
			count -= left;
		}
	}
	digest_free(digest);
	if (code != RH_OK)
		return code;
	for (size_t i = 0; i < depth; i++)
		memcpy(path[i], from_top[depth - 1 - i], DIGEST_SIZE);
	*ret_count = depth;
	return RH_OK;
}

/* RFC 9162, section 2.1.3.2; ${*ret} is whether the path has the right length. */
static int climb(struct digest *digest, uint8_t hash[DIGEST_SIZE], size_t index, size_t last,
    const uint8_t (*path)[DIGEST_SIZE], size_t path_count, bool *ret, rh_error *error)
{
	int code = RH_OK;
	size_t i;

	for (i = 0; i < path_count && last > 0 && code == RH_OK; i++) {
		if (index & 1 || index == last) {
			code = node(digest, hash, path[i], hash, error);
			while (!(index & 1) && index != 0) {
				index >>= 1;
				last >>= 1;
			}
		} else {
			code = node(digest, hash, hash, path[i], error);
		}
		index >>= 1;
		last >>= 1;
	}
	*ret = i == path_count && last == 0;
	return code;
}

int merkle_verify(const uint8_t leaf[DIGEST_SIZE], size_t index, size_t count,
    const uint8_t (*path)[DIGEST_SIZE], size_t path_count, const uint8_t root[DIGEST_SIZE],
    bool *ret, rh_error *error)
{
	uint8_t hash[DIGEST_SIZE];
	struct digest *digest = NULL;
	bool whole = false;
	int code;

	if (index >= count || path_count > MERKLE_PATH_MAX) {
		*ret = false;
		return RH_OK;
	}
	memcpy(hash, leaf, DIGEST_SIZE);
	code = digest_new(&digest, error);
	if (code == RH_OK)
		code = climb(digest, hash, index, count - 1, path, path_count, &whole, error);
	digest_free(digest);
	if (code == RH_OK)
		*ret = whole && bytes_equal(hash, root, DIGEST_SIZE);
	return code;
}
