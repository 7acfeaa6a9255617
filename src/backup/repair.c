#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

#include "backup/repair.h"

#define FLUSH_STEP ((size_t)1 << 20)

/* ---- What both ways share ---- */

/* Opens both files and looks at every byte; to be closed whatever it returns. */
static int look(struct repair *repair, bool writing, rh_error *error)
{
	uint64_t size;
	int code;

	backup_directory_display(repair->display, repair->directory, repair->file);
	code = backup_directory_file(
	    repair->directory, repair->file, writing, &repair->fd, &size, error);
	if (code == RH_OK)
		code = parity_open(
		    repair->directory, repair->file, writing, &repair->parity, error);
	if (code == RH_OK)
		code = parity_map_make(repair->parity, repair->fd, repair->display,
		    repair->watch, &repair->map, error);
	if (code != RH_OK)
		return code;
	parity_map_tell(&repair->map, repair->parity, repair->watch, repair->state);
	code = parity_stripe_new(
	    repair->parity, &repair->map, repair->fd, repair->display, &repair->stripe, error);
	if (code == RH_OK)
		code = digest_new(&repair->digest, error);
	return code;
}

static void repair_close(struct repair *repair)
{
	parity_stripe_free(repair->stripe);
	digest_free(repair->digest);
	parity_map_free(&repair->map);
	parity_free(repair->parity);
	if (repair->fd >= 0)
		close(repair->fd);
}

int repair_stop(const struct repair *repair, rh_error *error)
{
	const struct backup_watch *watch = repair->watch;

	if (watch->stop != NULL && watch->stop(watch->context) != 0)
		return error_set(error, RH_E_CANCELED, "stopped on request");
	return RH_OK;
}

int repair_lost(const struct repair *repair, rh_error *error)
{
	char lost[TEXT_AMOUNT_SIZE];

	return error_set(error, RH_E_BACKUP_CORRUPT, "%s of %s are beyond repair",
	    text_amount(lost, repair->map.lost_blocks * PARITY_BLOCK), repair->display);
}

/* A stop must not wait until a slow medium has taken in more than this. */
static int write_at(struct repair *repair, int fd, uint64_t offset, const void *bytes,
    size_t size, const char *display, rh_error *error)
{
	int code;

	if (lseek(fd, (off_t)offset, SEEK_SET) < 0)
		return error_errno(error, RH_E_WRITE, errno, "cannot write %s", display);
	code = file_write(fd, bytes, size, display, error);
	if (code != RH_OK)
		return code;
	repair->state->bytes_mended += PARITY_BLOCK;
	repair->unflushed += size;
	if (repair->unflushed < FLUSH_STEP)
		return RH_OK;
	repair->unflushed = 0;
	return file_sync(fd, display, error);
}

/* Cuts off what is behind ${size}, and flushes. */
static int cut(int fd, uint64_t size, const char *display, rh_error *error)
{
	while (ftruncate(fd, (off_t)size) != 0)
		if (errno != EINTR)
			return error_errno(
			    error, RH_E_WRITE, errno, "cannot cut the end of %s", display);
	return file_sync(fd, display, error);
}

/* ---- The backup ---- */

/* Bytes of block ${i} that the file has. */
static size_t block_size(const struct parity_shape *shape, uint64_t i)
{
	uint64_t rest = shape->size - i * PARITY_BLOCK;

	return rest < PARITY_BLOCK ? (size_t)rest : PARITY_BLOCK;
}

static int write_blocks(struct repair *repair, uint32_t s, rh_error *error)
{
	const struct parity_shape *shape = &repair->parity->shape;
	int code = RH_OK;

	for (unsigned column = 0; column < shape->columns && code == RH_OK; column++) {
		uint64_t i = (uint64_t)column * shape->stripes + s;

		if (i >= shape->blocks || !repair->map.bad[i])
			continue;
		code = write_at(repair, repair->out, i * PARITY_BLOCK,
		    parity_stripe_block(repair->stripe, column), block_size(shape, i),
		    repair->out_display, error);
	}
	return code;
}

static bool any_block(const struct repair *repair, uint32_t s)
{
	const struct parity_shape *shape = &repair->parity->shape;

	for (uint64_t i = s; i < shape->blocks; i += shape->stripes)
		if (repair->map.bad[i])
			return true;
	return false;
}

static int mend_stripe(struct repair *repair, uint32_t s, rh_error *error)
{
	int code = repair_stop(repair, error);

	return code == RH_OK ? parity_stripe_mend(repair->stripe, s, error) : code;
}

/* A stripe whose parity turned out not to be right; the others may be. */
static int give_up(struct repair *repair, uint32_t s, rh_error *error)
{
	parity_map_give_up(&repair->map, repair->parity, s);
	error_clear(error);
	return RH_OK;
}

/* Those that can be made; a stripe that is lost stays as it is. */
static int mend_blocks(struct repair *repair, rh_error *error)
{
	const struct parity_shape *shape = &repair->parity->shape;
	int code = RH_OK;

	for (uint32_t s = 0; s < shape->stripes && code == RH_OK; s++) {
		if (!any_block(repair, s) || parity_map_lost(&repair->map, repair->parity, s))
			continue;
		code = mend_stripe(repair, s, error);
		if (code == RH_OK)
			code = write_blocks(repair, s, error);
		else if (code == RH_E_BACKUP_CORRUPT)
			code = give_up(repair, s, error);
	}
	return code;
}

/* The end that is too much goes last, and only if what stays is whole. */
static int mend_backup(struct repair *repair, rh_error *error)
{
	int code = mend_blocks(repair, error);

	if (code == RH_OK)
		code = file_sync(repair->out, repair->out_display, error);
	if (code != RH_OK || repair->map.extra == 0 || repair->map.lost_blocks > 0)
		return code;
	return cut(repair->out, repair->parity->shape.size, repair->out_display, error);
}

/* ---- The parity file, once the backup is safe ---- */

static int read_back_failed(const char *display, rh_error *error)
{
	return error_set(
	    error, RH_E_READ_BACK, "%s reads back otherwise than it was mended", display);
}

static int check_page(
    struct repair *repair, uint32_t place, const uint8_t *page, rh_error *error)
{
	uint8_t found[PARITY_BLOCK];
	int code = parity_read_at(repair->parity_out, (uint64_t)place * PARITY_BLOCK, found,
	    sizeof found, repair->parity_out_display, error);

	if (code == RH_OK && memcmp(found, page, sizeof found) != 0)
		code = read_back_failed(repair->parity_out_display, error);
	return code;
}

static int write_page(struct repair *repair, uint32_t place, const void *page, rh_error *error)
{
	return write_at(repair, repair->parity_out, (uint64_t)place * PARITY_BLOCK, page,
	    PARITY_BLOCK, repair->parity_out_display, error);
}

static bool page_bad(const struct repair *repair, uint32_t page)
{
	return repair->map.bad[(size_t)repair->parity->shape.blocks + page];
}

static int mend_pages(struct repair *repair, uint32_t s, rh_error *error)
{
	const struct parity_shape *shape = &repair->parity->shape;
	bool bad = false;
	int code = RH_OK;

	for (unsigned row = 0; row < shape->rows; row++)
		bad |= page_bad(repair, row * shape->stripes + s);
	if (!bad || parity_map_lost(&repair->map, repair->parity, s))
		return RH_OK;
	code = mend_stripe(repair, s, error);
	if (code == RH_OK)
		code = parity_stripe_encode(repair->stripe, error);
	if (code == RH_E_BACKUP_CORRUPT)
		return give_up(repair, s, error);
	for (unsigned row = 0; row < shape->rows && code == RH_OK; row++) {
		uint32_t page = row * shape->stripes + s;

		if (!page_bad(repair, page))
			continue;
		code = write_page(repair, parity_place(shape, page),
		    parity_stripe_page(repair->stripe, row), error);
	}
	return code;
}

/* Writes the pages of the table that are bad, or, with ${check}, compares all of them. */
static int walk_table(struct repair *repair, bool check, rh_error *error)
{
	struct parity *parity = repair->parity;
	const struct parity_shape *shape = &parity->shape;
	struct parity_pages pages;
	int code = parity_pages_new(&pages, shape, parity->file, parity->hashes, error);

	if (code != RH_OK)
		return code;
	for (uint32_t g = 0; g < shape->table_groups && code == RH_OK; g++) {
		code = parity_pages_make(&pages, g, error);
		for (unsigned i = 0; i < shape->table_columns + shape->table_rows; i++) {
			uint32_t number = parity_table_number(shape, g, i), place;
			const uint8_t *page = pages.bytes + (size_t)i * PARITY_BLOCK;

			if (code != RH_OK || number == UINT32_MAX)
				continue;
			place = parity_table_place(shape, number);
			if (check)
				code = check_page(repair, place, page, error);
			else if (parity->table_bad[number])
				code = write_page(repair, place, page, error);
		}
	}
	parity_pages_free(&pages);
	return code;
}

static int mend_parity(struct repair *repair, rh_error *error)
{
	struct parity *parity = repair->parity;
	int code = RH_OK;

	for (uint32_t s = 0; s < parity->shape.stripes && code == RH_OK; s++)
		code = mend_pages(repair, s, error);
	if (code == RH_OK && parity->table_bad_count > 0)
		code = walk_table(repair, false, error);
	if (code == RH_OK)
		code = file_sync(repair->parity_out, repair->parity_out_display, error);
	if (code == RH_OK && repair->map.parity_extra > 0)
		code = cut(repair->parity_out, (uint64_t)parity->shape.pages * PARITY_BLOCK,
		    repair->parity_out_display, error);
	return code;
}

/* ---- The whole ---- */

/* Linux keeps up to so many bytes of a file as one, and forgets all of them or none. */
#define FOLIO_MAX (UINT64_C(2) << 20)

static void forget_page(int fd, uint64_t place)
{
	uint64_t start = place * PARITY_BLOCK / FOLIO_MAX * FOLIO_MAX;

	posix_fadvise(fd, (off_t)start, (off_t)FOLIO_MAX, POSIX_FADV_DONTNEED);
}

/*
 * What the page cache holds of what was written proves nothing: it comes from the medium once
 * more.  The rest of a file that was mended in place came from there a moment ago.
 */
static void forget(const struct repair *repair)
{
	const struct parity *parity = repair->parity;
	const struct parity_shape *shape = &parity->shape;

	if (repair->out != repair->fd) {
		posix_fadvise(repair->out, 0, 0, POSIX_FADV_DONTNEED);
		posix_fadvise(repair->parity_out, 0, 0, POSIX_FADV_DONTNEED);
		return;
	}
	for (uint32_t i = 0; i < shape->blocks; i++)
		if (repair->map.bad[i])
			forget_page(repair->out, i);
	for (uint32_t i = 0; i < shape->parity_pages; i++)
		if (page_bad(repair, i))
			forget_page(repair->parity_out, parity_place(shape, i));
	for (uint32_t i = 0; i < shape->table_all; i++)
		if (parity->table_bad[i])
			forget_page(repair->parity_out, parity_table_place(shape, i));
}

/* Every byte again. */
static int look_again(struct repair *repair, rh_error *error)
{
	struct parity out = *repair->parity;
	struct stat status;
	struct parity_map map;
	int code;

	forget(repair);
	if (fstat(repair->parity_out, &status) != 0)
		return error_errno(
		    error, RH_E_READ, errno, "cannot read %s", repair->parity_out_display);
	out.fd = repair->parity_out;
	out.bytes = (uint64_t)status.st_size;
	code =
	    parity_map_make(&out, repair->out, repair->out_display, repair->watch, &map, error);
	if (code != RH_OK)
		return code;
	if (repair->map.lost_blocks > 0) {
		repair->state->condition = BACKUP_LOST;
		repair->state->bytes_lost = repair->map.lost_blocks * PARITY_BLOCK;
		code = repair_lost(repair, error);
	} else if (map.bad_blocks > 0 || map.bad_pages > 0 || map.extra > 0 ||
		   map.parity_extra > 0) {
		code = read_back_failed(repair->out_display, error);
	} else {
		code = walk_table(repair, true, error);
		if (code == RH_OK)
			repair->state->condition = BACKUP_WHOLE;
	}
	parity_map_free(&map);
	return code;
}

int repair_mend(struct repair *repair, rh_error *error)
{
	int code = mend_backup(repair, error);

	if (code == RH_OK)
		code = mend_parity(repair, error);
	return code == RH_OK ? look_again(repair, error) : code;
}

/* A medium that takes or keeps no bytes may still give them. */
static int repair_in_place(struct repair *repair, rh_error *error)
{
	rh_error why = {0};
	int code;

	repair->out = repair->fd;
	repair->parity_out = repair->parity->fd;
	memcpy(repair->out_display, repair->display, DISPLAY_SIZE);
	memcpy(repair->parity_out_display, repair->parity->display, DISPLAY_SIZE);
	code = repair_mend(repair, &why);
	if (code == RH_E_WRITE || code == RH_E_READ_BACK)
		return error_set(error, code,
		    "%s; 'rehost repair' with '--to' makes a copy on another medium", why.text);
	if (code != RH_OK && error != NULL)
		*error = why;
	return code;
}

int backup_repair(struct backup_directory *directory, const char *file,
    struct backup_directory *to, const struct backup_watch *watch, struct backup_state *ret,
    rh_error *error)
{
	struct repair repair = {
	    .directory = directory, .file = file, .watch = watch, .state = ret, .fd = -1};
	int code;

	*ret = (struct backup_state){.condition = BACKUP_UNKNOWN};
	if (!(to != NULL ? to : directory)->writing)
		return error_set(error, RH_E_ARGUMENT, "nothing to mend a backup with");
	code = look(&repair, to == NULL, error);
	if (code == RH_OK && to != NULL)
		code = repair_copy(&repair, to, error);
	else if (code == RH_OK && ret->condition != BACKUP_WHOLE)
		code = repair_in_place(&repair, error);
	repair_close(&repair);
	return code;
}
