#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/file.h"
#include "backup/parity.h"

#define WINDOW 32 /* blocks that are read and compared at a time */
#define BAND 4 /* stripes that are mended at a time: neighbours in the file, too */
#define CACHE 2048 /* mended blocks that are kept */

/* What is known of a block. */
#define BLOCK_GIVEN 1 /* it was mended, and counted */
#define BLOCK_LOST 2

struct mended {
	struct backup_directory *directory; /* not ours */
	char file[BACKUP_NAME_SIZE];
	char display[DISPLAY_SIZE];
	int fd;
	uint64_t size; /* of the file as it is */
	bool doubted;
	bool told; /* that the bytes are compared from now on */
	rh_error unreadable; /* zeros were given instead, and nothing compares them */
	rh_error failure; /* of making ready for it; told by the next read */
	uint64_t bytes;
	uint64_t lost;

	/* NULL as long as bytes are believed, and if there is no parity file to compare with.
	 */
	struct parity *parity;
	struct digest *digest;
	uint8_t *window;
	uint8_t *states; /* of each block */

	/* Mended blocks; block b can only be in place b % CACHE. */
	uint8_t *cache;
	uint64_t *cached; /* 1 + number of the block; 0: none */

	/* Neighbouring stripes; run i of stripe j is at i * BAND + j. */
	uint8_t *band;
	bool there[PARITY_STRIPE_MAX * BAND];
};

static uint8_t *band_at(const struct mended *mended, unsigned i, unsigned j)
{
	return mended->band + ((size_t)i * BAND + j) * PARITY_BLOCK;
}

/* ---- Doubt ---- */

static int make_room(struct mended *mended, rh_error *error)
{
	const struct parity_shape *shape = &mended->parity->shape;
	size_t runs = (size_t)shape->columns + shape->rows;

	mended->window = malloc((size_t)WINDOW * PARITY_BLOCK);
	mended->states = calloc(shape->blocks, 1);
	mended->cache = malloc((size_t)CACHE * PARITY_BLOCK);
	mended->cached = calloc(CACHE, sizeof *mended->cached);
	mended->band = aligned_alloc(PARITY_BLOCK, runs * BAND * PARITY_BLOCK);
	if (mended->window == NULL || mended->states == NULL || mended->cache == NULL ||
	    mended->cached == NULL || mended->band == NULL)
		return error_memory(error);
	return digest_new(&mended->digest, error);
}

/* From now on bytes are compared, if there is what to compare them with. */
static void compare(struct mended *mended)
{
	rh_error why = {0};
	int code;

	if (mended->doubted)
		return;
	mended->doubted = true;
	code = parity_open(mended->directory, mended->file, false, &mended->parity, &why);
	if (code == RH_OK)
		code = make_room(mended, &why);
	if (code != RH_OK && code != RH_E_PARITY)
		mended->failure = why;
}

static bool doubt(void *context, uint64_t *ret_size)
{
	struct mended *mended = context;

	compare(mended);
	if (mended->told || (mended->parity == NULL && mended->failure.code == RH_OK))
		return false;
	mended->told = true;
	if (mended->failure.code == RH_OK)
		*ret_size = mended->parity->shape.size;
	return true;
}

/* ---- Stripes ---- */

/* Bytes of block ${i} that are of the backup. */
static size_t block_size(const struct mended *mended, uint64_t i)
{
	uint64_t rest = mended->parity->shape.size - i * PARITY_BLOCK;

	return rest < PARITY_BLOCK ? (size_t)rest : PARITY_BLOCK;
}

/* Reads ${count} blocks from ${first} on; what is not of the backup is zeros. */
static int read_blocks(
    struct mended *mended, uint64_t first, size_t count, uint8_t *bytes, rh_error *error)
{
	uint64_t rest = mended->parity->shape.size - first * PARITY_BLOCK;
	size_t size = count * PARITY_BLOCK;

	if (rest < size) {
		memset(bytes + rest, 0, size - (size_t)rest);
		size = (size_t)rest;
	}
	return parity_read_at(
	    mended->fd, first * PARITY_BLOCK, bytes, size, mended->display, error);
}

/* Column ${c} of ${count} stripes from ${s} on. */
static int read_column(
    struct mended *mended, unsigned c, uint32_t s, unsigned count, rh_error *error)
{
	const struct parity_shape *shape = &mended->parity->shape;
	uint64_t first = (uint64_t)c * shape->stripes + s;
	unsigned here = first >= shape->blocks          ? 0
			: shape->blocks - first < count ? (unsigned)(shape->blocks - first)
							: count;
	int code = RH_OK;

	if (here > 0)
		code = read_blocks(mended, first, here, band_at(mended, c, 0), error);
	for (unsigned j = 0; j < count && code == RH_OK; j++) {
		bool *there = &mended->there[c * BAND + j];

		*there = true;
		/* Columns that a stripe does not have are zeros. */
		if (j >= here)
			memset(band_at(mended, c, j), 0, PARITY_BLOCK);
		else
			code = parity_good(mended->parity, mended->digest, first + j,
			    band_at(mended, c, j), there, error);
	}
	return code;
}

/* Reads as many parity pages of stripe ${s} as blocks are missing. */
static int read_pages(struct mended *mended, uint32_t s, unsigned j, rh_error *error)
{
	const struct parity *parity = mended->parity;
	const struct parity_shape *shape = &parity->shape;
	unsigned missing = 0;
	int code = RH_OK;

	for (unsigned c = 0; c < shape->columns; c++)
		missing += mended->there[c * BAND + j] ? 0 : 1;
	for (unsigned r = 0; r < shape->rows && code == RH_OK; r++) {
		bool *there = &mended->there[(shape->columns + r) * BAND + j];
		uint8_t *page = band_at(mended, shape->columns + r, j);
		uint32_t number = r * shape->stripes + s;

		*there = false;
		if (missing == 0)
			continue;
		code = parity_read_at(parity->fd,
		    (uint64_t)parity_place(shape, number) * PARITY_BLOCK, page, PARITY_BLOCK,
		    parity->display, error);
		if (code == RH_OK)
			code = parity_good(parity, mended->digest,
			    (uint64_t)shape->blocks + number, page, there, error);
		missing -= *there ? 1 : 0;
	}
	return code;
}

/* ---- Mended blocks ---- */

static uint8_t *cache_place(const struct mended *mended, uint64_t block)
{
	return mended->cache + block % CACHE * PARITY_BLOCK;
}

static bool is_cached(const struct mended *mended, uint64_t block)
{
	return mended->cached[block % CACHE] == block + 1;
}

/*
 * Keeps a block.  Where two want one place, the one stays that is read first by who goes on
 * from ${wanted}.
 */
static void keep(struct mended *mended, uint64_t block, uint64_t wanted, const uint8_t *bytes)
{
	uint64_t *there = &mended->cached[block % CACHE];

	if (*there != 0 && *there - 1 - wanted < block - wanted)
		return;
	*there = block + 1;
	memcpy(cache_place(mended, block), bytes, PARITY_BLOCK);
}

/* Makes what is missing of stripe ${s}, which is number ${j} of the band. */
static int mend_stripe(
    struct mended *mended, uint32_t s, unsigned j, uint64_t wanted, rh_error *error)
{
	const struct parity_shape *shape = &mended->parity->shape;
	uint8_t *runs[PARITY_STRIPE_MAX];
	bool there[PARITY_STRIPE_MAX];
	int code = RH_OK, decoded;

	for (unsigned i = 0; i < shape->columns + shape->rows; i++) {
		runs[i] = band_at(mended, i, j);
		there[i] = mended->there[i * BAND + j];
	}
	decoded = parity_decode(shape->columns, shape->rows, PARITY_BLOCK, runs, there, error);
	if (decoded != RH_OK && decoded != RH_E_BACKUP_CORRUPT)
		return decoded;
	for (unsigned c = 0; c < shape->columns && code == RH_OK; c++) {
		uint64_t block = (uint64_t)c * shape->stripes + s;
		bool good = false;

		if (there[c])
			continue;
		if (decoded == RH_OK)
			code = parity_good(
			    mended->parity, mended->digest, block, runs[c], &good, error);
		if (code == RH_OK && good)
			keep(mended, block, wanted, runs[c]);
		else if (code == RH_OK)
			mended->states[block] |= BLOCK_LOST;
	}
	return code;
}

/* Mends the stripe of ${block}, and its neighbours, which are wanted next if a run is bad. */
static int mend_band(struct mended *mended, uint64_t block, rh_error *error)
{
	const struct parity_shape *shape = &mended->parity->shape;
	uint32_t s = (uint32_t)(block % shape->stripes);
	unsigned count = shape->stripes - s < BAND ? (unsigned)(shape->stripes - s) : BAND;
	int code = RH_OK;

	for (unsigned c = 0; c < shape->columns && code == RH_OK; c++)
		code = read_column(mended, c, s, count, error);
	for (unsigned j = 0; j < count && code == RH_OK; j++)
		code = read_pages(mended, s + j, j, error);
	for (unsigned j = 0; j < count && code == RH_OK; j++)
		code = mend_stripe(mended, s + j, j, block, error);
	return code;
}

/* ---- Reading ---- */

/* Puts the right bytes of a block in place of wrong ones, if they can be made. */
static int mend_block(struct mended *mended, uint64_t block, uint8_t *bytes, rh_error *error)
{
	uint8_t *state = &mended->states[block];
	int code = RH_OK;

	if (!is_cached(mended, block) && (*state & BLOCK_LOST) == 0)
		code = mend_band(mended, block, error);
	if (code != RH_OK)
		return code;
	if (!is_cached(mended, block)) {
		if (block * PARITY_BLOCK < mended->lost)
			mended->lost = block * PARITY_BLOCK;
		return RH_OK;
	}
	memcpy(bytes, cache_place(mended, block), PARITY_BLOCK);
	if ((*state & BLOCK_GIVEN) == 0)
		mended->bytes += block_size(mended, block);
	*state |= BLOCK_GIVEN;
	return RH_OK;
}

/* Fills the window from block ${first} on. */
static int fill_window(struct mended *mended, uint64_t first, size_t count, rh_error *error)
{
	int code = read_blocks(mended, first, count, mended->window, error);

	for (size_t i = 0; i < count && code == RH_OK; i++) {
		uint8_t *bytes = mended->window + i * PARITY_BLOCK;
		bool good;

		code =
		    parity_good(mended->parity, mended->digest, first + i, bytes, &good, error);
		if (code == RH_OK && !good)
			code = mend_block(mended, first + i, bytes, error);
	}
	return code;
}

static int read_compared(struct mended *mended, uint64_t offset, void *bytes, size_t size,
    size_t *ret, rh_error *error)
{
	const struct parity_shape *shape = &mended->parity->shape;
	uint8_t *p = bytes;
	size_t got = 0;

	if (offset >= shape->size)
		size = 0;
	else if (size > shape->size - offset)
		size = (size_t)(shape->size - offset);
	while (got < size) {
		uint64_t first = (offset + got) / PARITY_BLOCK;
		size_t within = (size_t)((offset + got) % PARITY_BLOCK), part = size - got;
		size_t count = (within + part + PARITY_BLOCK - 1) / PARITY_BLOCK;
		int code;

		if (count > WINDOW) {
			count = WINDOW;
			part = (size_t)WINDOW * PARITY_BLOCK - within;
		}
		code = fill_window(mended, first, count, error);
		if (code != RH_OK)
			return code;
		memcpy(p + got, mended->window + within, part);
		got += part;
	}
	*ret = got;
	return RH_OK;
}

/* As the bytes lie there; what the medium has lost is zeros. */
static int read_zeros(struct mended *mended, uint64_t offset, void *bytes, size_t size,
    size_t *ret, rh_error *error)
{
	int code;

	if (offset >= mended->size)
		size = 0;
	else if (size > mended->size - offset)
		size = (size_t)(mended->size - offset);
	code = parity_read_at(mended->fd, offset, bytes, size, mended->display, error);
	if (code == RH_OK)
		*ret = size;
	return code;
}

static int read_at(
    void *context, uint64_t offset, void *bytes, size_t size, size_t *ret, rh_error *error)
{
	struct mended *mended = context;
	rh_error why = {0};

	if (mended->failure.code == RH_OK && mended->parity == NULL) {
		if (file_read_at(mended->fd, offset, bytes, size, ret, mended->display, &why) ==
		    RH_OK)
			return RH_OK;
		compare(mended);
	}
	if (mended->failure.code != RH_OK) {
		if (error != NULL)
			*error = mended->failure;
		return mended->failure.code;
	}
	if (mended->parity != NULL)
		return read_compared(mended, offset, bytes, size, ret, error);
	mended->unreadable = why;
	return read_zeros(mended, offset, bytes, size, ret, error);
}

/* ---- The whole ---- */

int mended_open(struct backup_directory *directory, const char *file, struct mended **ret,
    struct age_source *ret_source, rh_error *error)
{
	struct mended *mended = calloc(1, sizeof *mended);
	int code;

	if (mended == NULL)
		return error_memory(error);
	mended->directory = directory;
	mended->lost = UINT64_MAX;
	mended->fd = -1;
	backup_directory_display(mended->display, directory, file);
	/* Only a generation has a parity file. */
	if (strlen(file) < sizeof mended->file)
		memcpy(mended->file, file, strlen(file));
	else
		mended->doubted = true;
	code = backup_directory_file(directory, file, false, &mended->fd, &mended->size, error);
	if (code != RH_OK) {
		mended_free(mended);
		return code;
	}
	*ret_source = (struct age_source){read_at, mended, mended->size, doubt};
	*ret = mended;
	return RH_OK;
}

void mended_free(struct mended *mended)
{
	if (mended == NULL)
		return;
	if (mended->fd >= 0)
		close(mended->fd);
	parity_free(mended->parity);
	digest_free(mended->digest);
	free(mended->window);
	free(mended->states);
	free(mended->cache);
	free(mended->cached);
	free(mended->band);
	free(mended);
}

uint64_t mended_bytes(const struct mended *mended)
{
	return mended->bytes;
}

uint64_t mended_lost(const struct mended *mended)
{
	return mended->lost;
}

int mended_explain(const struct mended *mended, int code, rh_error *error)
{
	if (mended->unreadable.code == RH_OK)
		return code;
	if (error != NULL)
		*error = mended->unreadable;
	return mended->unreadable.code;
}
