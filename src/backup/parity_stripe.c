#include <stdlib.h>
#include <string.h>

#include "backup/parity.h"

struct parity_stripe {
	const struct parity *parity;
	const struct parity_map *map;
	int fd; /* of the backup */
	const char *display;
	struct digest *digest;
	struct parity_encoder *encoder; /* made when it is first needed */
	uint32_t number;
	uint8_t *bytes; /* columns, then rows */
	uint8_t *runs[PARITY_STRIPE_MAX];
};

int parity_stripe_new(const struct parity *parity, const struct parity_map *map, int fd,
    const char *display, struct parity_stripe **ret, rh_error *error)
{
	unsigned all = parity->shape.columns + parity->shape.rows;
	struct parity_stripe *stripe = calloc(1, sizeof *stripe);
	int code;

	if (stripe == NULL)
		return error_memory(error);
	stripe->parity = parity;
	stripe->map = map;
	stripe->fd = fd;
	stripe->display = display;
	stripe->bytes = aligned_alloc(PARITY_BLOCK, (size_t)all * PARITY_BLOCK);
	code = stripe->bytes != NULL ? digest_new(&stripe->digest, error) : error_memory(error);
	if (code != RH_OK) {
		parity_stripe_free(stripe);
		return code;
	}
	for (unsigned i = 0; i < all; i++)
		stripe->runs[i] = stripe->bytes + (size_t)i * PARITY_BLOCK;
	*ret = stripe;
	return RH_OK;
}

void parity_stripe_free(struct parity_stripe *stripe)
{
	if (stripe == NULL)
		return;
	digest_free(stripe->digest);
	parity_encoder_free(stripe->encoder);
	free(stripe->bytes);
	free(stripe);
}

/* The table's entry for run ${i}; false for a block that the file does not have. */
static bool entry_of(const struct parity_stripe *stripe, unsigned i, uint64_t *ret)
{
	const struct parity_shape *shape = &stripe->parity->shape;

	if (i >= shape->columns) {
		*ret = (uint64_t)shape->blocks +
		       (uint64_t)(i - shape->columns) * shape->stripes + stripe->number;
		return true;
	}
	*ret = (uint64_t)i * shape->stripes + stripe->number;
	return *ret < shape->blocks;
}

static int read_run(struct parity_stripe *stripe, unsigned i, uint64_t entry, rh_error *error)
{
	const struct parity *parity = stripe->parity;
	const struct parity_shape *shape = &parity->shape;
	uint64_t offset = entry * PARITY_BLOCK;
	size_t size = PARITY_BLOCK;

	if (entry >= shape->blocks)
		return parity_read_at(parity->fd,
		    (uint64_t)parity_place(shape, (uint32_t)(entry - shape->blocks)) *
			PARITY_BLOCK,
		    stripe->runs[i], size, parity->display, error);
	if (shape->size - offset < size)
		size = (size_t)(shape->size - offset);
	memset(stripe->runs[i] + size, 0, PARITY_BLOCK - size);
	return parity_read_at(
	    stripe->fd, offset, stripe->runs[i], size, stripe->display, error);
}

/* Only as many parity pages are read as blocks are bad. */
static int read_good(struct parity_stripe *stripe, bool *there, rh_error *error)
{
	const struct parity_shape *shape = &stripe->parity->shape;
	unsigned missing = 0;
	int code = RH_OK;

	for (unsigned i = 0; i < shape->columns + shape->rows && code == RH_OK; i++) {
		uint64_t entry;

		if (!entry_of(stripe, i, &entry)) {
			memset(stripe->runs[i], 0, PARITY_BLOCK);
			there[i] = true;
			continue;
		}
		there[i] = !stripe->map->bad[entry] && (i < shape->columns || missing > 0);
		if (i >= shape->columns && there[i])
			missing--;
		else if (i < shape->columns && !there[i])
			missing++;
		if (there[i])
			code = read_run(stripe, i, entry, error);
	}
	return code;
}

/* Whatever was wrong with what it was made of: no other bytes than the right ones pass. */
static int check(struct parity_stripe *stripe, unsigned i, rh_error *error)
{
	uint64_t entry;
	bool good = true;
	int code = RH_OK;

	if (entry_of(stripe, i, &entry))
		code = parity_good(
		    stripe->parity, stripe->digest, entry, stripe->runs[i], &good, error);
	if (code == RH_OK && !good)
		code = error_set(error, RH_E_BACKUP_CORRUPT,
		    "what %s makes is not what was there", stripe->parity->display);
	return code;
}

int parity_stripe_mend(struct parity_stripe *stripe, uint32_t s, rh_error *error)
{
	const struct parity_shape *shape = &stripe->parity->shape;
	bool there[PARITY_STRIPE_MAX] = {false};
	int code;

	stripe->number = s;
	code = read_good(stripe, there, error);
	if (code == RH_OK)
		code = parity_decode(
		    shape->columns, shape->rows, PARITY_BLOCK, stripe->runs, there, error);
	for (unsigned i = 0; i < shape->columns && code == RH_OK; i++)
		if (!there[i])
			code = check(stripe, i, error);
	return code;
}

const uint8_t *parity_stripe_block(const struct parity_stripe *stripe, unsigned column)
{
	return stripe->runs[column];
}

int parity_stripe_encode(struct parity_stripe *stripe, rh_error *error)
{
	const struct parity_shape *shape = &stripe->parity->shape;
	int code = RH_OK;

	if (stripe->encoder == NULL)
		code = parity_encoder_new(shape->columns, shape->rows, &stripe->encoder, error);
	if (code != RH_OK)
		return code;
	parity_encode(
	    stripe->encoder, PARITY_BLOCK, stripe->runs, stripe->runs + shape->columns);
	for (unsigned row = 0; row < shape->rows && code == RH_OK; row++)
		code = check(stripe, shape->columns + row, error);
	return code;
}

const uint8_t *parity_stripe_page(const struct parity_stripe *stripe, unsigned row)
{
	return stripe->runs[stripe->parity->shape.columns + row];
}
