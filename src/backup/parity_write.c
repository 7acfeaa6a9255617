#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/pipeline.h"

#include "backup/parity.h"
#include "backup/sink.h"

/* Bytes of the backup that are in one item: neighbouring stripes, so that reads are long. */
#define BAND_SIZE ((size_t)2 << 20)

struct run {
	const struct parity_target *target;
	struct parity_shape shape;
	struct parity_encoder *encoder;
	uint8_t *hashes; /* each at its place: items write different ones */
	uint32_t width; /* stripes of an item */
	uint32_t next; /* stripe to read next */
	int (*stop)(void *context);
	void *context;
};

struct item {
	uint32_t first; /* stripe */
	uint32_t width;
	struct digest *digest;
	uint8_t *bytes; /* columns, then rows, of width blocks each */
};

static void item_free(void *context, void *pointer)
{
	struct item *item = pointer;

	(void)context;
	digest_free(item->digest);
	free(item->bytes);
	free(item);
}

static void *item_new(void *context)
{
	const struct run *run = context;
	size_t runs = run->shape.columns + run->shape.rows;
	struct item *item = calloc(1, sizeof *item);

	if (item == NULL)
		return NULL;
	item->bytes = aligned_alloc(PARITY_BLOCK, runs * run->width * PARITY_BLOCK);
	if (item->bytes == NULL || digest_new(&item->digest, NULL) != RH_OK) {
		item_free(context, item);
		return NULL;
	}
	return item;
}

static int write_at(int fd, uint64_t offset, const void *bytes, size_t size,
    const char *display, rh_error *error)
{
	if (lseek(fd, (off_t)offset, SEEK_SET) < 0)
		return error_errno(error, RH_E_WRITE, errno, "cannot write %s", display);
	return file_write(fd, bytes, size, display, error);
}

/* ---- Stripes ---- */

/* Blocks of one column that are neighbours in the file; what is behind its end is zeros. */
static int read_column(
    const struct run *run, struct item *item, unsigned column, rh_error *error)
{
	size_t want = (size_t)item->width * PARITY_BLOCK, got = 0;
	uint8_t *bytes = item->bytes + column * want;
	uint64_t offset = ((uint64_t)column * run->shape.stripes + item->first) * PARITY_BLOCK;
	int code = RH_OK;

	if (offset < run->shape.size) {
		uint64_t rest = run->shape.size - offset;
		size_t there = rest < want ? (size_t)rest : want;

		code = file_read_at(
		    run->target->fd, offset, bytes, there, &got, run->target->display, error);
		if (code == RH_OK && got < there)
			code = error_set(
			    error, RH_E_READ_BACK, "%s became shorter", run->target->display);
	}
	if (code == RH_OK)
		memset(bytes + got, 0, want - got);
	return code;
}

static int produce(void *context, void *pointer, bool *ret_end, rh_error *error)
{
	struct run *run = context;
	struct item *item = pointer;
	uint32_t rest = run->shape.stripes - run->next;
	int code = RH_OK;

	*ret_end = rest == 0;
	item->first = run->next;
	item->width = rest < run->width ? rest : run->width;
	run->next += item->width;
	for (unsigned column = 0; column < run->shape.columns && rest > 0 && code == RH_OK;
	     column++)
		code = read_column(run, item, column, error);
	return code;
}

/* Run ${i} of the item's stripe ${s}: a column, or behind these a row. */
static uint8_t *run_of(const struct item *item, unsigned i, uint32_t s)
{
	return item->bytes + ((size_t)i * item->width + s) * PARITY_BLOCK;
}

/* The table would take what the medium reads otherwise this time for right. */
static int same_as_before(
    const struct run *run, uint64_t block, const uint8_t *bytes, rh_error *error)
{
	uint64_t left = run->shape.size - block * PARITY_BLOCK;
	size_t size = left < PARITY_BLOCK ? (size_t)left : PARITY_BLOCK;

	if (run->target->sums == NULL || parity_sum(bytes, size) == run->target->sums[block])
		return RH_OK;
	return error_set(error, RH_E_READ_BACK, "%s reads back otherwise than it was written",
	    run->target->display);
}

/* The hashes of runs ${from} to ${end} - 1, the first of which is entry ${entry}. */
static int hash_runs(struct run *run, struct item *item, uint32_t s, unsigned from,
    unsigned end, uint64_t entry, rh_error *error)
{
	const struct parity_shape *shape = &run->shape;
	int code = RH_OK;

	for (unsigned i = from; i < end && code == RH_OK; i++, entry += shape->stripes) {
		const uint8_t *bytes = run_of(item, i, s);

		if (i < shape->columns && entry >= shape->blocks)
			continue;
		if (i < shape->columns)
			code = same_as_before(run, entry, bytes, error);
		if (code == RH_OK)
			code = parity_hash(item->digest, bytes, PARITY_BLOCK,
			    run->hashes + entry * PARITY_HASH_SIZE, error);
	}
	return code;
}

/*
 * One stripe after another, and its hashes first: they bring it into the processor's second
 * cache, into which it fits.
 */
static int transform(void *context, void *pointer, rh_error *error)
{
	struct run *run = context;
	const struct parity_shape *shape = &run->shape;
	unsigned columns = shape->columns, all = columns + shape->rows;
	struct item *item = pointer;
	uint8_t *runs[PARITY_STRIPE_MAX];
	int code = RH_OK;

	for (uint32_t s = 0; s < item->width && code == RH_OK; s++) {
		uint64_t stripe = (uint64_t)item->first + s;

		code = hash_runs(run, item, s, 0, columns, stripe, error);
		for (unsigned i = 0; i < all; i++)
			runs[i] = run_of(item, i, s);
		parity_encode(run->encoder, PARITY_BLOCK, runs, runs + columns);
		if (code == RH_OK)
			code = hash_runs(
			    run, item, s, columns, all, shape->blocks + stripe, error);
	}
	return code;
}

static int consume(void *context, void *pointer, rh_error *error)
{
	struct run *run = context;
	const struct parity_shape *shape = &run->shape;
	const struct item *item = pointer;
	int code = RH_OK;

	for (unsigned row = 0; row < shape->rows; row++)
		for (uint32_t s = 0; s < item->width && code == RH_OK; s++) {
			uint32_t page = row * shape->stripes + item->first + s;

			code = write_at(run->target->out,
			    (uint64_t)parity_place(shape, page) * PARITY_BLOCK,
			    run_of(item, shape->columns + row, s), PARITY_BLOCK,
			    run->target->out_display, error);
		}
	return code;
}

static int idle(void *context, rh_error *error)
{
	const struct run *run = context;

	if (run->stop != NULL && run->stop(run->context) != 0)
		return error_set(error, RH_E_CANCELED, "stopped on request");
	return RH_OK;
}

/* ---- The table ---- */

static int write_table(struct run *run, uint8_t root[DIGEST_SIZE], rh_error *error)
{
	const struct parity_shape *shape = &run->shape;
	struct parity_pages pages;
	int code = parity_pages_new(&pages, shape, run->target->file, run->hashes, error);

	if (code != RH_OK)
		return code;
	memcpy(root, pages.root, DIGEST_SIZE);
	for (uint32_t g = 0; g < shape->table_groups && code == RH_OK; g++) {
		code = parity_pages_make(&pages, g, error);
		for (unsigned i = 0; i < shape->table_columns + shape->table_rows; i++) {
			uint32_t number = parity_table_number(shape, g, i);

			if (code == RH_OK && number != UINT32_MAX)
				code = write_at(run->target->out,
				    (uint64_t)parity_table_place(shape, number) * PARITY_BLOCK,
				    pages.bytes + (size_t)i * PARITY_BLOCK, PARITY_BLOCK,
				    run->target->out_display, error);
		}
	}
	parity_pages_free(&pages);
	return code;
}

/* ---- Reading back ---- */

/* Whether the page at this place is the one that was written there. */
static int page_right(struct run *run, struct digest *digest, uint32_t place,
    const uint8_t *page, const uint8_t root[DIGEST_SIZE], bool *ret, rh_error *error)
{
	uint8_t hash[PARITY_HASH_SIZE];
	struct parity_head head;
	bool table;
	uint32_t number = parity_at(&run->shape, place, &table);
	int code;

	if (table) {
		code = parity_head_read(digest, page, &head, ret, error);
		*ret =
		    *ret && head.number == number && memcmp(head.root, root, DIGEST_SIZE) == 0;
		return code;
	}
	code = parity_hash(digest, page, PARITY_BLOCK, hash, error);
	*ret =
	    code == RH_OK &&
	    memcmp(hash, run->hashes + ((size_t)run->shape.blocks + number) * PARITY_HASH_SIZE,
		sizeof hash) == 0;
	return code;
}

static int read_back(struct run *run, const uint8_t root[DIGEST_SIZE], rh_error *error)
{
	const struct parity_target *target = run->target;
	size_t pages = BAND_SIZE / PARITY_BLOCK;
	uint8_t *bytes = malloc(BAND_SIZE);
	struct digest *digest = NULL;
	int code = bytes != NULL ? digest_new(&digest, error) : error_memory(error);

	/* What the page cache holds proves nothing. */
	posix_fadvise(target->out, 0, 0, POSIX_FADV_DONTNEED);
	for (uint32_t place = 0; place < run->shape.pages && code == RH_OK; place += pages) {
		uint32_t rest = run->shape.pages - place;
		size_t count = rest < pages ? rest : pages, got = 0;
		bool right = true;

		code = idle(run, error);
		if (code == RH_OK)
			code = file_read_at(target->out, (uint64_t)place * PARITY_BLOCK, bytes,
			    count * PARITY_BLOCK, &got, target->out_display, error);
		right = got == count * PARITY_BLOCK;
		for (uint32_t i = 0; i < count && right && code == RH_OK; i++)
			code = page_right(run, digest, place + i,
			    bytes + (size_t)i * PARITY_BLOCK, root, &right, error);
		if (code == RH_OK && !right)
			code = error_set(error, RH_E_READ_BACK,
			    "%s reads back otherwise than it was written", target->out_display);
	}
	digest_free(digest);
	free(bytes);
	return code;
}

int parity_write(const struct parity_target *target, unsigned percent,
    int (*stop)(void *context), void *context, uint64_t *ret_bytes, rh_error *error)
{
	struct run run = {.target = target, .stop = stop, .context = context};
	struct pipeline pipeline = {
	    item_new, item_free, produce, transform, consume, idle, &run};
	uint8_t root[DIGEST_SIZE];
	int code = parity_shape(&run.shape, target->size, percent, error);

	if (code != RH_OK)
		return code;
	run.width = (uint32_t)(BAND_SIZE / ((size_t)run.shape.columns * PARITY_BLOCK));
	run.width = run.width == 0 ? 1 : run.width;
	run.width = run.width > run.shape.stripes ? run.shape.stripes : run.width;
	run.hashes = malloc(parity_table_size(&run.shape));
	code = run.hashes != NULL ? RH_OK : error_memory(error);
	if (code == RH_OK)
		code =
		    parity_encoder_new(run.shape.columns, run.shape.rows, &run.encoder, error);
	if (code == RH_OK)
		code = pipeline_run(&pipeline, error);
	if (code == RH_OK)
		code = write_table(&run, root, error);
	if (code == RH_OK)
		code = flush_in_steps(target->out, 0, (uint64_t)run.shape.pages * PARITY_BLOCK,
		    target->out_display, stop, context, error);
	if (code == RH_OK)
		code = read_back(&run, root, error);
	if (code == RH_OK && ret_bytes != NULL)
		*ret_bytes = (uint64_t)run.shape.pages * PARITY_BLOCK;
	parity_encoder_free(run.encoder);
	free(run.hashes);
	return code;
}
