#include <stdio.h>
#include <string.h>

#include "backup/internal.h"

int backup_proof_key(
    const struct age_identity *recovery, uint8_t ret[KEY_SIZE], rh_error *error)
{
	return hkdf_sha256(ret, KEY_SIZE, recovery->secret, sizeof recovery->secret, NULL, 0,
	    "rehost backup 1: proof", error);
}

/* Pieces of bytes with a NUL between them. */
struct piece {
	const void *bytes;
	size_t size;
};

static int digest_pieces(struct digest *digest, const struct piece *pieces, size_t count,
    uint8_t ret[DIGEST_SIZE], rh_error *error)
{
	int code = RH_OK;

	for (size_t i = 0; i < count && code == RH_OK; i++) {
		if (i > 0)
			code = digest_update(digest, "", 1, error);
		if (code == RH_OK && pieces[i].size > 0)
			code = digest_update(digest, pieces[i].bytes, pieces[i].size, error);
	}
	return code == RH_OK ? digest_finish(digest, ret, error) : code;
}

int proof_of_header(uint8_t ret[DIGEST_SIZE], const void *json, size_t size,
    const void *issuers, size_t issuers_size, rh_error *error)
{
	const struct piece pieces[] = {{json, size}, {issuers, issuers_size}};
	struct digest *digest = NULL;
	int code = digest_new(&digest, error);

	if (code == RH_OK)
		code = digest_pieces(digest, pieces, 2, ret, error);
	digest_free(digest);
	return code;
}

int backup_header_proven(
    const struct backup_header *header, const uint8_t key[KEY_SIZE], bool *ret, rh_error *error)
{
	uint8_t proof[DIGEST_SIZE];
	int code =
	    hmac_sha256(proof, key, KEY_SIZE, header->proven, sizeof header->proven, error);

	if (code == RH_OK)
		*ret = header->has_proof && bytes_equal(proof, header->proof, DIGEST_SIZE);
	return code;
}

/* ---- Frames ---- */

void frame_prover_set(struct frame_prover *prover, const uint8_t key[KEY_SIZE], const char *id)
{
	prover->set = true;
	memcpy(prover->key, key, KEY_SIZE);
	snprintf(prover->id, sizeof prover->id, "%s", id);
}

int frame_prover_make(const struct frame_prover *prover, struct digest *digest,
    const char *manifest_path, const void *manifest, size_t manifest_size, const void *facts,
    size_t facts_size, uint8_t ret[DIGEST_SIZE], rh_error *error)
{
	const struct piece pieces[] = {{prover->id, strlen(prover->id)},
	    {manifest_path, strlen(manifest_path)}, {manifest, manifest_size},
	    {facts, facts_size}};
	uint8_t over[DIGEST_SIZE];
	int code = digest_pieces(digest, pieces, 4, over, error);

	if (code == RH_OK)
		code = hmac_sha256(ret, prover->key, KEY_SIZE, over, sizeof over, error);
	return code;
}
