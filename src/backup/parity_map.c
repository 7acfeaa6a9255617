#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/pipeline.h"

#include "backup/parity.h"

/* Blocks that are read, hashed and told of at a time. */
#define BATCH 256

struct run {
	const struct parity *parity;
	int fd;
	const char *display;
	const struct backup_watch *watch;
	struct parity_map *map;
	uint64_t bytes; /* of the backup, as it is */
	uint64_t next; /* block, and behind the last one place in the parity file */
};

struct item {
	uint64_t first; /* as ${run->next} */
	unsigned count;
	struct digest *digest;
	uint8_t *bytes;
	bool good[BATCH];
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
	struct item *item = calloc(1, sizeof *item);

	if (item == NULL)
		return NULL;
	item->bytes = malloc((size_t)BATCH * PARITY_BLOCK);
	if (item->bytes == NULL || digest_new(&item->digest, NULL) != RH_OK) {
		item_free(context, item);
		return NULL;
	}
	return item;
}

/* ---- The two files, one behind the other ---- */

static int produce(void *context, void *pointer, bool *ret_end, rh_error *error)
{
	struct run *run = context;
	const struct parity_shape *shape = &run->parity->shape;
	struct item *item = pointer;
	bool backup = run->next < shape->blocks;
	uint64_t at = backup ? run->next : run->next - shape->blocks;
	uint64_t rest = backup ? shape->blocks - at : shape->pages - at;
	uint64_t size;

	item->first = run->next;
	item->count = rest < BATCH ? (unsigned)rest : BATCH;
	run->next += item->count;
	*ret_end = item->count == 0;
	if (item->count == 0)
		return RH_OK;
	size = (uint64_t)item->count * PARITY_BLOCK;
	if (!backup)
		return parity_read_at(run->parity->fd, at * PARITY_BLOCK, item->bytes,
		    (size_t)size, run->parity->display, error);
	/* The last block is short, and filled with zeros. */
	if (at * PARITY_BLOCK + size > shape->size) {
		size = shape->size - at * PARITY_BLOCK;
		memset(item->bytes + size, 0, (size_t)item->count * PARITY_BLOCK - size);
	}
	return parity_read_at(
	    run->fd, at * PARITY_BLOCK, item->bytes, (size_t)size, run->display, error);
}

/* The table's entry for what stands ${i} places behind the item's first; false: none. */
static bool entry_of(const struct run *run, const struct item *item, unsigned i, uint64_t *ret)
{
	const struct parity_shape *shape = &run->parity->shape;
	uint64_t at = item->first + i;
	uint32_t page;
	bool table;

	if (at < shape->blocks) {
		*ret = at;
		return true;
	}
	page = parity_at(shape, (uint32_t)(at - shape->blocks), &table);
	*ret = (uint64_t)shape->blocks + page;
	return !table;
}

/* Whether some of it lies behind the end of its file. */
static bool cut_off(const struct run *run, uint64_t at)
{
	const struct parity_shape *shape = &run->parity->shape;
	uint64_t end = (at + 1) * PARITY_BLOCK;

	if (at >= shape->blocks)
		return end - (uint64_t)shape->blocks * PARITY_BLOCK > run->parity->bytes;
	return (end < shape->size ? end : shape->size) > run->bytes;
}

static int transform(void *context, void *pointer, rh_error *error)
{
	struct run *run = context;
	struct item *item = pointer;
	int code = RH_OK;

	for (unsigned i = 0; i < item->count && code == RH_OK; i++) {
		uint64_t entry;

		item->good[i] = true;
		if (!entry_of(run, item, i, &entry))
			continue;
		/* Zeros that are not there are not there, even if they should be zeros. */
		if (cut_off(run, item->first + i))
			item->good[i] = false;
		else
			code = parity_good(run->parity, item->digest, entry,
			    item->bytes + (size_t)i * PARITY_BLOCK, &item->good[i], error);
	}
	return code;
}

static int consume(void *context, void *pointer, rh_error *error)
{
	struct run *run = context;
	const struct parity_shape *shape = &run->parity->shape;
	const struct backup_watch *watch = run->watch;
	const struct item *item = pointer;

	(void)error;
	for (unsigned i = 0; i < item->count; i++) {
		uint64_t entry;
		uint32_t stripe;

		if (item->good[i] || !entry_of(run, item, i, &entry))
			continue;
		run->map->bad[entry] = true;
		if (entry < shape->blocks)
			run->map->bad_blocks++;
		else
			run->map->bad_pages++;
		stripe = (uint32_t)((entry < shape->blocks ? entry : entry - shape->blocks) %
				    shape->stripes);
		run->map->counts[stripe]++;
	}
	if (watch->on_bytes != NULL)
		watch->on_bytes(watch->context, (uint64_t)item->count * PARITY_BLOCK);
	return RH_OK;
}

static int idle(void *context, rh_error *error)
{
	const struct backup_watch *watch = ((struct run *)context)->watch;

	if (watch->stop != NULL && watch->stop(watch->context) != 0)
		return error_set(error, RH_E_CANCELED, "stopped on request");
	return RH_OK;
}

/* ---- What it comes to ---- */

bool parity_map_lost(const struct parity_map *map, const struct parity *parity, uint32_t stripe)
{
	return map->counts[stripe] > parity->shape.rows;
}

bool parity_map_whole(const struct parity_map *map, const struct parity *parity)
{
	return map->bad_blocks == 0 && map->bad_pages == 0 && map->extra == 0 &&
	       map->parity_extra == 0 && parity->table_bad_count == 0;
}

static void sum_up(struct parity_map *map, const struct parity *parity)
{
	const struct parity_shape *shape = &parity->shape;
	unsigned most = 0;

	for (uint32_t i = 0; i < shape->blocks; i++)
		if (map->bad[i] && parity_map_lost(map, parity, i % shape->stripes))
			map->lost_blocks++;
	for (uint32_t s = 0; s < shape->stripes; s++)
		most = map->counts[s] > most ? map->counts[s] : most;
	map->reserve = (100 * most + shape->rows - 1) / shape->rows;
	map->reserve = map->reserve > 100 ? 100 : map->reserve;
}

static uint64_t behind(uint64_t bytes, uint64_t end)
{
	return bytes > end ? bytes - end : 0;
}

static int file_size(int fd, const char *display, uint64_t *ret, rh_error *error)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return error_errno(error, RH_E_READ, errno, "cannot read %s", display);
	*ret = (uint64_t)status.st_size;
	return RH_OK;
}

int parity_map_make(const struct parity *parity, int fd, const char *display,
    const struct backup_watch *watch, struct parity_map *ret, rh_error *error)
{
	const struct parity_shape *shape = &parity->shape;
	struct run run = {parity, fd, display, watch, ret, 0, 0};
	struct pipeline pipeline = {
	    item_new, item_free, produce, transform, consume, idle, &run};
	int code;

	*ret = (struct parity_map){0};
	code = file_size(fd, display, &run.bytes, error);
	if (code != RH_OK)
		return code;
	ret->extra = behind(run.bytes, shape->size);
	ret->parity_extra = behind(parity->bytes, (uint64_t)shape->pages * PARITY_BLOCK);
	ret->bad = calloc((size_t)shape->blocks + shape->parity_pages, sizeof *ret->bad);
	ret->counts = calloc(shape->stripes, sizeof *ret->counts);
	if (ret->bad == NULL || ret->counts == NULL)
		code = error_memory(error);
	if (watch->on_total != NULL && code == RH_OK)
		watch->on_total(
		    watch->context, ((uint64_t)shape->blocks + shape->pages) * PARITY_BLOCK);
	if (code == RH_OK)
		code = pipeline_run(&pipeline, error);
	/* A stop that was asked for after the last batch counts, too. */
	if (code == RH_OK)
		code = idle(&run, error);
	if (code != RH_OK)
		parity_map_free(ret);
	else
		sum_up(ret, parity);
	return code;
}

void parity_map_give_up(struct parity_map *map, const struct parity *parity, uint32_t stripe)
{
	const struct parity_shape *shape = &parity->shape;

	if (parity_map_lost(map, parity, stripe))
		return;
	map->counts[stripe] = (uint16_t)(shape->rows + 1);
	for (uint64_t i = stripe; i < shape->blocks; i += shape->stripes)
		map->lost_blocks += map->bad[i] ? 1 : 0;
}

void parity_map_free(struct parity_map *map)
{
	free(map->bad);
	free(map->counts);
	*map = (struct parity_map){0};
}

/* ---- Telling ---- */

struct run_of_bad {
	const struct backup_watch *watch;
	const char *file;
	uint64_t first; /* byte */
	uint64_t end;
	bool lost;
};

static void flush(struct run_of_bad *run)
{
	if (run->end > run->first && run->watch->on_damage != NULL)
		run->watch->on_damage(run->watch->context, run->file, run->first,
		    run->end - run->first, run->lost);
	run->first = run->end = 0;
}

static void extend(struct run_of_bad *run, uint64_t first, uint64_t end, bool lost)
{
	if (run->end != first || run->lost != lost || run->first == run->end) {
		flush(run);
		run->first = first;
		run->lost = lost;
	}
	run->end = end;
}

static void tell_backup(
    const struct parity_map *map, const struct parity *parity, const struct backup_watch *watch)
{
	const struct parity_shape *shape = &parity->shape;
	struct run_of_bad run = {.watch = watch, .file = parity->file};

	for (uint32_t i = 0; i < shape->blocks; i++) {
		uint64_t first = (uint64_t)i * PARITY_BLOCK, end = first + PARITY_BLOCK;

		if (map->bad[i])
			extend(&run, first, end < shape->size ? end : shape->size,
			    parity_map_lost(map, parity, i % shape->stripes));
	}
	if (map->extra > 0)
		extend(&run, shape->size, shape->size + map->extra, false);
	flush(&run);
}

static void tell_parity(
    const struct parity_map *map, const struct parity *parity, const struct backup_watch *watch)
{
	const struct parity_shape *shape = &parity->shape;
	struct run_of_bad run = {.watch = watch, .file = parity->name};
	uint64_t end = (uint64_t)shape->pages * PARITY_BLOCK;

	for (uint32_t place = 0; place < shape->pages; place++) {
		bool table;
		uint32_t page = parity_at(shape, place, &table);

		if (table ? parity->table_bad[page] : map->bad[(size_t)shape->blocks + page])
			extend(&run, (uint64_t)place * PARITY_BLOCK,
			    ((uint64_t)place + 1) * PARITY_BLOCK,
			    !table && parity_map_lost(map, parity, page % shape->stripes));
	}
	if (map->parity_extra > 0)
		extend(&run, end, end + map->parity_extra, false);
	flush(&run);
}

static uint64_t in_blocks(uint64_t bytes)
{
	return (bytes + PARITY_BLOCK - 1) / PARITY_BLOCK;
}

void parity_map_tell(const struct parity_map *map, const struct parity *parity,
    const struct backup_watch *watch, struct backup_state *ret)
{
	const struct parity_shape *shape = &parity->shape;

	tell_backup(map, parity, watch);
	tell_parity(map, parity, watch);
	ret->condition = BACKUP_WHOLE;
	if (!parity_map_whole(map, parity))
		ret->condition = map->lost_blocks > 0 ? BACKUP_LOST : BACKUP_MENDABLE;
	ret->bytes = shape->size + (uint64_t)shape->pages * PARITY_BLOCK;
	ret->bytes_bad = (map->bad_blocks + map->bad_pages + parity->table_bad_count +
			     in_blocks(map->extra) + in_blocks(map->parity_extra)) *
			 PARITY_BLOCK;
	ret->bytes_lost = map->lost_blocks * PARITY_BLOCK;
	ret->reserve = map->reserve;
}
