#include <stdlib.h>
#include <string.h>

#include <isa-l/crc64.h>
#include <isa-l/erasure_code.h>

#include "backup/parity.h"

/* Bytes of a multiplier as ISA-L wants it: its products with all nibbles. */
#define TABLE_SIZE 32

struct parity_encoder {
	unsigned columns;
	unsigned rows;
	uint8_t *tables; /* TABLE_SIZE for each of columns * rows */
};

static bool bounds(unsigned columns, unsigned rows)
{
	return columns > 0 && rows > 0 && columns + rows <= PARITY_STRIPE_MAX;
}

/* The unit matrix, then the Cauchy matrix of FORMAT.md. */
static uint8_t *matrix_new(unsigned columns, unsigned rows)
{
	uint8_t *matrix = malloc((size_t)(columns + rows) * columns);

	if (matrix != NULL)
		gf_gen_cauchy1_matrix(matrix, (int)(columns + rows), (int)columns);
	return matrix;
}

int parity_encoder_new(
    unsigned columns, unsigned rows, struct parity_encoder **ret, rh_error *error)
{
	struct parity_encoder *encoder = calloc(1, sizeof *encoder);
	uint8_t *matrix = NULL;

	if (!bounds(columns, rows)) {
		free(encoder);
		return error_set(error, RH_E_ARGUMENT, "no code of %u and %u", columns, rows);
	}
	if (encoder != NULL) {
		encoder->columns = columns;
		encoder->rows = rows;
		encoder->tables = malloc((size_t)TABLE_SIZE * columns * rows);
		matrix = matrix_new(columns, rows);
	}
	if (encoder == NULL || encoder->tables == NULL || matrix == NULL) {
		free(matrix);
		parity_encoder_free(encoder);
		return error_memory(error);
	}
	ec_init_tables(
	    (int)columns, (int)rows, matrix + (size_t)columns * columns, encoder->tables);
	free(matrix);
	*ret = encoder;
	return RH_OK;
}

/* The library takes pointers that are not const, and writes to the last ones alone. */
void parity_encode(const struct parity_encoder *encoder, size_t size, uint8_t *const *data,
    uint8_t *const *parity)
{
	ec_encode_data((int)size, (int)encoder->columns, (int)encoder->rows, encoder->tables,
	    (uint8_t **)data, (uint8_t **)parity);
}

void parity_encoder_free(struct parity_encoder *encoder)
{
	if (encoder == NULL)
		return;
	free(encoder->tables);
	free(encoder);
}

/* ---- The way back ---- */

/*
 * What is missing is made from as many parity rows as there are missing ones, and from all
 * blocks that are there: a small matrix to invert, where the whole one has 230 rows.
 */
struct decoding {
	unsigned columns;
	unsigned count; /* of what is missing */
	unsigned missing[PARITY_STRIPE_MAX];
	unsigned used[PARITY_STRIPE_MAX]; /* parity rows */
	uint8_t *inverse; /* count * count */
	uint8_t *wanted; /* count rows that make what is missing out of the sources */
	uint8_t *tables;
	uint8_t *sources[PARITY_STRIPE_MAX]; /* blocks that are there, then the parity rows */
	uint8_t *targets[PARITY_STRIPE_MAX];
};

/* FORMAT.md, "Parity": a(r, c). */
static uint8_t coefficient(const struct decoding *decoding, unsigned row, unsigned column)
{
	return gf_inv((uint8_t)((decoding->columns + row) ^ column));
}

static bool choose(
    struct decoding *decoding, unsigned rows, uint8_t *const *runs, const bool *there)
{
	unsigned columns = decoding->columns, sources = 0, used = 0;

	for (unsigned c = 0; c < columns; c++) {
		if (there[c]) {
			decoding->sources[sources++] = runs[c];
		} else {
			decoding->missing[decoding->count] = c;
			decoding->targets[decoding->count++] = runs[c];
		}
	}
	for (unsigned r = 0; r < rows && used < decoding->count; r++) {
		if (!there[columns + r])
			continue;
		decoding->sources[sources++] = runs[columns + r];
		decoding->used[used++] = r;
	}
	return used == decoding->count;
}

static int invert(struct decoding *decoding, rh_error *error)
{
	unsigned count = decoding->count;
	uint8_t *square = malloc((size_t)count * count);
	int result;

	decoding->inverse = malloc((size_t)count * count);
	decoding->wanted = malloc((size_t)count * decoding->columns);
	decoding->tables = malloc((size_t)TABLE_SIZE * count * decoding->columns);
	if (square == NULL || decoding->inverse == NULL || decoding->wanted == NULL ||
	    decoding->tables == NULL) {
		free(square);
		return error_memory(error);
	}
	for (unsigned i = 0; i < count; i++)
		for (unsigned j = 0; j < count; j++)
			square[i * count + j] =
			    coefficient(decoding, decoding->used[i], decoding->missing[j]);
	result = gf_invert_matrix(square, decoding->inverse, (int)count);
	free(square);
	return result == 0
		   ? RH_OK
		   : error_set(error, RH_E_INTERNAL, "a Cauchy matrix without an inverse");
}

/* Block ${i} of what is missing, out of the sources in their order. */
static void want(struct decoding *decoding, unsigned i, const bool *there)
{
	const uint8_t *inverse = decoding->inverse + (size_t)i * decoding->count;
	uint8_t *wanted = decoding->wanted + (size_t)i * decoding->columns;

	for (unsigned c = 0; c < decoding->columns; c++) {
		uint8_t sum = 0;

		if (!there[c])
			continue;
		for (unsigned j = 0; j < decoding->count; j++)
			sum ^= gf_mul(inverse[j], coefficient(decoding, decoding->used[j], c));
		*wanted++ = sum;
	}
	memcpy(wanted, inverse, decoding->count);
}

int parity_decode(unsigned columns, unsigned rows, size_t size, uint8_t *const *runs,
    const bool *there, rh_error *error)
{
	struct decoding decoding = {.columns = columns};
	int code = RH_OK;

	if (!bounds(columns, rows))
		return error_set(error, RH_E_ARGUMENT, "no code of %u and %u", columns, rows);
	if (!choose(&decoding, rows, runs, there))
		return error_set(error, RH_E_BACKUP_CORRUPT, "more is bad than can be mended");
	if (decoding.count == 0)
		return RH_OK;
	code = invert(&decoding, error);
	if (code == RH_OK) {
		for (unsigned i = 0; i < decoding.count; i++)
			want(&decoding, i, there);
		ec_init_tables(
		    (int)columns, (int)decoding.count, decoding.wanted, decoding.tables);
		ec_encode_data((int)size, (int)columns, (int)decoding.count, decoding.tables,
		    decoding.sources, decoding.targets);
	}
	free(decoding.inverse);
	free(decoding.wanted);
	free(decoding.tables);
	return code;
}

/* ---- Sums ---- */

uint64_t parity_sum(const void *bytes, size_t size)
{
	return crc64_ecma_refl(0, bytes, size);
}
