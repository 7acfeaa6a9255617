#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

#include "backup/parity.h"

#define SCAN_SIZE ((size_t)1 << 20)

/* ---- Reading what may not be readable ---- */

/* What a medium answers for a place that it has lost, and not for being gone. */
static bool is_bad_sector(int errnum)
{
	return errnum == EIO || errnum == EBADMSG || errnum == EUCLEAN || errnum == ENODATA;
}

/* ${*ret_errnum} is 0, or why it ended before ${size} bytes and before the end of the file. */
static size_t read_some(int fd, uint64_t offset, uint8_t *bytes, size_t size, int *ret_errnum)
{
	size_t got = 0;

	*ret_errnum = 0;
	while (got < size) {
		ssize_t n = pread(fd, bytes + got, size - got, (off_t)(offset + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			*ret_errnum = errno;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	return got;
}

int parity_read_at(
    int fd, uint64_t offset, void *bytes, size_t size, const char *display, rh_error *error)
{
	uint8_t *p = bytes;
	int errnum = 0;
	size_t got = read_some(fd, offset, p, size, &errnum);

	if (errnum == 0) {
		memset(p + got, 0, size - got);
		return RH_OK;
	}
	for (size_t at = 0, part; at < size; at += part) {
		part = size - at < PARITY_BLOCK ? size - at : PARITY_BLOCK;
		got = read_some(fd, offset + at, p + at, part, &errnum);
		if (errnum != 0 && !is_bad_sector(errnum))
			return error_errno(error, RH_E_READ, errnum, "cannot read %s", display);
		if (errnum != 0)
			got = 0;
		memset(p + at + got, 0, part - got);
	}
	return RH_OK;
}

/* ---- The first page that is right, and ours ---- */

struct opening {
	struct parity *parity;
	struct digest *digest;
	struct parity_head head;
};

static int useless(const struct parity *parity, const char *why, rh_error *error)
{
	return error_set(error, RH_E_PARITY, "%s is of no use: %s", parity->display, why);
}

/* Whether the page is a right one of this backup; one of another's is not: media mix up files.
 */
static int is_ours(
    struct opening *opening, const uint8_t *page, bool *ret, bool *strange, rh_error *error)
{
	int code = parity_head_read(opening->digest, page, &opening->head, ret, error);

	if (code == RH_OK && *ret && strcmp(opening->head.file, opening->parity->file) != 0) {
		*ret = false;
		*strange = true;
	}
	return code;
}

/* Where the file has bytes from ${at} on: its holes may be much larger than any medium. */
static uint64_t past_hole(int fd, uint64_t at, uint64_t end)
{
	off_t data = lseek(fd, (off_t)at, SEEK_DATA);

	if (data < 0)
		return errno == ENXIO ? end : at;
	return (uint64_t)data - (uint64_t)data % PARITY_BLOCK;
}

static int find_head(struct opening *opening, rh_error *error)
{
	struct parity *parity = opening->parity;
	uint8_t *bytes = malloc(SCAN_SIZE);
	int code = bytes != NULL ? RH_OK : error_memory(error);
	bool found = false, strange = false;

	for (uint64_t at = 0; !found && code == RH_OK; at += SCAN_SIZE) {
		at = past_hole(parity->fd, at, parity->bytes);
		if (at >= parity->bytes)
			break;
		code = parity_read_at(parity->fd, at, bytes, SCAN_SIZE, parity->display, error);
		for (size_t i = 0; i < SCAN_SIZE && !found && code == RH_OK; i += PARITY_BLOCK)
			code = is_ours(opening, bytes + i, &found, &strange, error);
	}
	free(bytes);
	if (code == RH_OK && !found)
		code = useless(parity,
		    strange ? "it belongs to another backup" : "no page of its table is whole",
		    error);
	return code;
}

/* The shape that the head claims, as far as the size of the file allows to believe it. */
static int take_head(struct opening *opening, rh_error *error)
{
	struct parity *parity = opening->parity;
	const struct parity_head *head = &opening->head;

	if (parity_shape(&parity->shape, head->size, head->percent, NULL) != RH_OK)
		return useless(parity, "its table makes no sense", error);
	if (parity->shape.table_pages > parity->bytes / PARITY_BLOCK)
		return useless(parity, "most of it is missing", error);
	memcpy(parity->root, head->root, DIGEST_SIZE);
	parity->hashes = calloc(1, parity_table_size(&parity->shape));
	parity->table_bad = calloc(parity->shape.table_all, sizeof *parity->table_bad);
	if (parity->hashes == NULL || parity->table_bad == NULL)
		return error_memory(error);
	return RH_OK;
}

/* ---- The table ---- */

/* Reads page ${i} of group ${g}; a page that the table does not have is zeros, and there. */
static int read_page(struct opening *opening, uint32_t g, unsigned i, uint8_t *page,
    bool *ret_there, rh_error *error)
{
	struct parity *parity = opening->parity;
	uint32_t number = parity_table_number(&parity->shape, g, i);
	struct parity_head head;
	uint64_t at;
	int code;

	*ret_there = true;
	if (number == UINT32_MAX) {
		memset(page, 0, PARITY_BLOCK);
		return RH_OK;
	}
	at = (uint64_t)parity_table_place(&parity->shape, number) * PARITY_BLOCK;
	code = parity_read_at(parity->fd, at, page, PARITY_BLOCK, parity->display, error);
	if (code != RH_OK)
		return code;
	code = parity_head_read(opening->digest, page, &head, ret_there, error);
	*ret_there = *ret_there && head.number == number &&
		     memcmp(head.root, parity->root, DIGEST_SIZE) == 0 &&
		     at + PARITY_BLOCK <= parity->bytes;
	if (code == RH_OK && !*ret_there) {
		parity->table_bad[number] = true;
		parity->table_bad_count++;
	}
	return code;
}

/* The hashes that the group holds, out of what is there of it. */
static int read_group(struct opening *opening, uint32_t g, uint8_t *pages, rh_error *error)
{
	struct parity *parity = opening->parity;
	const struct parity_shape *shape = &parity->shape;
	const size_t payload = PARITY_BLOCK - PARITY_PAGE_HEAD;
	uint8_t *runs[PARITY_STRIPE_MAX] = {NULL};
	bool there[PARITY_STRIPE_MAX] = {false};
	size_t size = parity_table_size(shape);
	int code = RH_OK;

	for (unsigned i = 0; i < shape->table_columns + shape->table_rows && code == RH_OK;
	     i++) {
		uint8_t *page = pages + (size_t)i * PARITY_BLOCK;

		runs[i] = page + PARITY_PAGE_HEAD;
		code = read_page(opening, g, i, page, &there[i], error);
	}
	if (code == RH_OK)
		code = parity_decode(
		    shape->table_columns, shape->table_rows, payload, runs, there, error);
	for (unsigned i = 0; i < shape->table_columns && code == RH_OK; i++) {
		uint32_t number = parity_table_number(shape, g, i);
		size_t at = (size_t)number * payload;

		if (number != UINT32_MAX)
			memcpy(parity->hashes + at, runs[i],
			    size - at < payload ? size - at : payload);
	}
	return code;
}

static int read_table(struct opening *opening, rh_error *error)
{
	struct parity *parity = opening->parity;
	const struct parity_shape *shape = &parity->shape;
	uint8_t *pages =
	    malloc((size_t)(shape->table_columns + shape->table_rows) * PARITY_BLOCK);
	uint8_t root[DIGEST_SIZE];
	int code = pages != NULL ? RH_OK : error_memory(error);

	for (uint32_t g = 0; g < shape->table_groups && code == RH_OK; g++)
		code = read_group(opening, g, pages, error);
	free(pages);
	if (code == RH_OK)
		code = parity_table_root(shape, parity->file, parity->hashes, root, error);
	if (code == RH_E_BACKUP_CORRUPT ||
	    (code == RH_OK && memcmp(root, parity->root, DIGEST_SIZE) != 0))
		code = useless(parity, "too much of its table is damaged", error);
	return code;
}

/* ---- The whole ---- */

static int open_file(
    struct opening *opening, struct backup_directory *directory, bool writing, rh_error *error)
{
	struct parity *parity = opening->parity;
	rh_error why = {0};
	int code;

	backup_directory_display(parity->display, directory, parity->name);
	code = backup_directory_file(
	    directory, parity->name, writing, &parity->fd, &parity->bytes, &why);
	if (code == RH_E_BACKUP_MISSING)
		return error_set(
		    error, RH_E_PARITY, "there is no parity file beside %s", parity->file);
	/* Nobody is worse off than without it. */
	if (code == RH_E_READ || (code == RH_E_ACCESS && !writing))
		return error_set(error, RH_E_PARITY, "%s", why.text);
	if (code != RH_OK && error != NULL)
		*error = why;
	return code;
}

int parity_open(struct backup_directory *directory, const char *file, bool writing,
    struct parity **ret, rh_error *error)
{
	struct parity *parity = calloc(1, sizeof *parity);
	struct opening opening = {.parity = parity};
	int code;

	if (parity == NULL)
		return error_memory(error);
	parity->fd = -1;
	if (!parity_name(parity->name, file)) {
		parity_free(parity);
		return error_set(error, RH_E_PARITY, "%s is no name of a backup", file);
	}
	memcpy(parity->file, file, strlen(file));
	code = digest_new(&opening.digest, error);
	if (code == RH_OK)
		code = open_file(&opening, directory, writing, error);
	if (code == RH_OK)
		code = find_head(&opening, error);
	if (code == RH_OK)
		code = take_head(&opening, error);
	if (code == RH_OK)
		code = read_table(&opening, error);
	digest_free(opening.digest);
	if (code != RH_OK) {
		parity_free(parity);
		return code;
	}
	*ret = parity;
	return RH_OK;
}

void parity_free(struct parity *parity)
{
	if (parity == NULL)
		return;
	if (parity->fd >= 0)
		close(parity->fd);
	free(parity->hashes);
	free(parity->table_bad);
	free(parity);
}

int parity_good(const struct parity *parity, struct digest *digest, uint64_t index,
    const uint8_t *page, bool *ret, rh_error *error)
{
	uint8_t hash[PARITY_HASH_SIZE];
	int code = parity_hash(digest, page, PARITY_BLOCK, hash, error);

	if (code == RH_OK)
		*ret =
		    memcmp(hash, parity->hashes + index * PARITY_HASH_SIZE, sizeof hash) == 0;
	return code;
}
