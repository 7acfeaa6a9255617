#include <stdlib.h>
#include <string.h>

#include "backup/parity.h"

/* FORMAT.md, "Parity", "The table": offsets in the head of a page. */
#define MAGIC "rehost parity 1\n"
#define MAGIC_SIZE (sizeof MAGIC - 1)
#define AT_SIZE 16
#define AT_PERCENT 24
#define AT_NUMBER 28
#define AT_NAME 32
#define AT_ROOT 96
#define AT_ZEROS 128
#define AT_HASH 240

#define PAYLOAD (PARITY_BLOCK - PARITY_PAGE_HEAD)

_Static_assert(AT_NAME + BACKUP_NAME_SIZE == AT_ROOT, "the name's field");
_Static_assert(AT_HASH + PARITY_HASH_SIZE == PARITY_PAGE_HEAD, "the end of the head");

int parity_hash(struct digest *digest, const void *bytes, size_t size,
    uint8_t hash[PARITY_HASH_SIZE], rh_error *error)
{
	uint8_t whole[DIGEST_SIZE];
	int code = digest_update(digest, bytes, size, error);

	if (code == RH_OK)
		code = digest_finish(digest, whole, error);
	if (code == RH_OK)
		memcpy(hash, whole, PARITY_HASH_SIZE);
	return code;
}

size_t parity_table_size(const struct parity_shape *shape)
{
	return ((size_t)shape->blocks + shape->parity_pages) * PARITY_HASH_SIZE;
}

/* What all pages have in common, but for the root. */
static void write_head(uint8_t *page, const struct parity_shape *shape, const char *file)
{
	memset(page, 0, PARITY_PAGE_HEAD);
	memcpy(page, MAGIC, MAGIC_SIZE);
	put_u64be(page + AT_SIZE, shape->size);
	put_u32be(page + AT_PERCENT, shape->percent);
	memcpy(page + AT_NAME, file, strlen(file));
}

int parity_table_root(const struct parity_shape *shape, const char *file, const uint8_t *hashes,
    uint8_t ret[DIGEST_SIZE], rh_error *error)
{
	uint8_t head[PARITY_PAGE_HEAD];
	struct digest *digest = NULL;
	int code = digest_new(&digest, error);

	write_head(head, shape, file);
	if (code == RH_OK)
		code = digest_update(digest, head, AT_NUMBER, error);
	if (code == RH_OK)
		code = digest_update(digest, head + AT_NAME, BACKUP_NAME_SIZE, error);
	if (code == RH_OK)
		code = digest_update(digest, hashes, parity_table_size(shape), error);
	if (code == RH_OK)
		code = digest_finish(digest, ret, error);
	digest_free(digest);
	return code;
}

/* ---- Groups ---- */

uint32_t parity_table_number(const struct parity_shape *shape, uint32_t g, unsigned i)
{
	uint32_t number;

	if (i >= shape->table_columns)
		return shape->table_pages + (i - shape->table_columns) * shape->table_groups +
		       g;
	number = i * shape->table_groups + g;
	return number < shape->table_pages ? number : UINT32_MAX;
}

int parity_pages_new(struct parity_pages *pages, const struct parity_shape *shape,
    const char *file, const uint8_t *hashes, rh_error *error)
{
	unsigned all = shape->table_columns + shape->table_rows;
	int code;

	*pages = (struct parity_pages){.shape = shape, .file = file, .hashes = hashes};
	pages->bytes = malloc((size_t)all * PARITY_BLOCK);
	code = pages->bytes != NULL ? RH_OK : error_memory(error);
	if (code == RH_OK)
		code = digest_new(&pages->digest, error);
	if (code == RH_OK)
		code = parity_encoder_new(
		    shape->table_columns, shape->table_rows, &pages->encoder, error);
	if (code == RH_OK)
		code = parity_table_root(shape, file, hashes, pages->root, error);
	if (code != RH_OK)
		parity_pages_free(pages);
	return code;
}

void parity_pages_free(struct parity_pages *pages)
{
	digest_free(pages->digest);
	parity_encoder_free(pages->encoder);
	free(pages->bytes);
	*pages = (struct parity_pages){0};
}

/* The hashes of one page; zeros behind the last one. */
static void fill(const struct parity_pages *pages, uint32_t number, uint8_t *payload)
{
	size_t size = parity_table_size(pages->shape), at = (size_t)number * PAYLOAD, part = 0;

	if (number != UINT32_MAX)
		part = size - at < PAYLOAD ? size - at : PAYLOAD;
	if (part > 0)
		memcpy(payload, pages->hashes + at, part);
	memset(payload + part, 0, PAYLOAD - part);
}

/* The hash is over all of the page but itself. */
static int hash_page(
    struct digest *digest, const uint8_t *page, uint8_t hash[PARITY_HASH_SIZE], rh_error *error)
{
	int code = digest_update(digest, page, AT_HASH, error);

	return code == RH_OK
		   ? parity_hash(digest, page + PARITY_PAGE_HEAD, PAYLOAD, hash, error)
		   : code;
}

int parity_pages_make(struct parity_pages *pages, uint32_t g, rh_error *error)
{
	const struct parity_shape *shape = pages->shape;
	unsigned all = shape->table_columns + shape->table_rows;
	uint8_t *payloads[PARITY_STRIPE_MAX] = {NULL};
	int code = RH_OK;

	for (unsigned i = 0; i < all; i++)
		payloads[i] = pages->bytes + (size_t)i * PARITY_BLOCK + PARITY_PAGE_HEAD;
	for (unsigned i = 0; i < shape->table_columns; i++)
		fill(pages, parity_table_number(shape, g, i), payloads[i]);
	parity_encode(pages->encoder, PAYLOAD, payloads, payloads + shape->table_columns);
	for (unsigned i = 0; i < all && code == RH_OK; i++) {
		uint8_t *page = pages->bytes + (size_t)i * PARITY_BLOCK;

		write_head(page, shape, pages->file);
		put_u32be(page + AT_NUMBER, parity_table_number(shape, g, i));
		memcpy(page + AT_ROOT, pages->root, DIGEST_SIZE);
		code = hash_page(pages->digest, page, page + AT_HASH, error);
	}
	return code;
}

/* ---- Reading ---- */

int parity_head_read(struct digest *digest, const uint8_t page[PARITY_BLOCK],
    struct parity_head *ret, bool *ret_good, rh_error *error)
{
	uint8_t hash[PARITY_HASH_SIZE];
	int code;

	*ret_good = false;
	if (memcmp(page, MAGIC, MAGIC_SIZE) != 0 ||
	    page[AT_NAME + BACKUP_NAME_SIZE - 1] != '\0')
		return RH_OK;
	code = hash_page(digest, page, hash, error);
	if (code != RH_OK)
		return code;
	*ret_good = memcmp(hash, page + AT_HASH, sizeof hash) == 0;
	ret->size = get_u64be(page + AT_SIZE);
	ret->percent = get_u32be(page + AT_PERCENT);
	ret->number = get_u32be(page + AT_NUMBER);
	memcpy(ret->file, page + AT_NAME, sizeof ret->file);
	memcpy(ret->root, page + AT_ROOT, sizeof ret->root);
	return RH_OK;
}
