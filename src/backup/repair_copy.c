#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#include "backup/sink.h"

#include "backup/repair.h"

#define STEP ((size_t)1 << 20)
/* As a writer does: a stop must not wait for more than a slow medium takes in soon. */
#define FLUSH_STEP (8 * STEP)
/* Far above what recovery.age can have: FORMAT.md, "The envelope". */
#define RECOVERY_MAX 65536

/* One file on its way into the other directory. */
struct copy {
	const char *name;
	char part[PART_NAME_SIZE];
	char display[DISPLAY_SIZE];
	int fd;
	bool made; /* the part is there */
};

/* What is copied. */
struct source {
	int fd;
	uint64_t size;
	const char *display;
	bool parity; /* the parity file */
};

static bool exists(const struct backup_directory *directory, const char *name)
{
	struct stat status;

	return fstatat(directory->fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

static int copy_create(
    struct copy *copy, struct backup_directory *to, const char *name, rh_error *error)
{
	copy->name = name;
	snprintf(copy->part, sizeof copy->part, "%s%s", name, PART_SUFFIX);
	backup_directory_display(copy->display, to, copy->part);
	copy->fd = openat(
	    to->fd, copy->part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (copy->fd < 0)
		return error_errno(error, RH_E_WRITE, errno, "cannot create %s", copy->display);
	copy->made = true;
	return RH_OK;
}

/* Whether block ${i} of the source is bad. */
static bool is_bad(const struct repair *repair, const struct source *source, uint64_t i)
{
	const struct parity *parity = repair->parity;
	uint32_t page;
	bool table;

	if (!source->parity)
		return repair->map.bad[i];
	page = parity_at(&parity->shape, (uint32_t)i, &table);
	return table ? parity->table_bad[page]
		     : repair->map.bad[(size_t)parity->shape.blocks + page];
}

/*
 * What is bad is zeros, to be mended, and not asked for again: a medium may take seconds to
 * say once more that it cannot read a sector.
 */
static int read_good(const struct repair *repair, const struct source *source, uint64_t at,
    uint8_t *bytes, size_t size, rh_error *error)
{
	int code = RH_OK;

	for (size_t start = 0, end; start < size && code == RH_OK; start = end) {
		bool bad = is_bad(repair, source, (at + start) / PARITY_BLOCK);

		end = start;
		do
			end += size - end < PARITY_BLOCK ? size - end : PARITY_BLOCK;
		while (end < size && is_bad(repair, source, (at + end) / PARITY_BLOCK) == bad);
		if (bad)
			memset(bytes + start, 0, end - start);
		else
			code = parity_read_at(source->fd, at + start, bytes + start,
			    end - start, source->display, error);
	}
	return code;
}

static int copy_bytes(const struct repair *repair, const struct copy *copy,
    const struct source *source, rh_error *error)
{
	const struct backup_watch *watch = repair->watch;
	uint8_t *bytes = malloc(STEP);
	int code = bytes != NULL ? RH_OK : error_memory(error);

	for (uint64_t at = 0; at < source->size && code == RH_OK; at += STEP) {
		size_t part = source->size - at < STEP ? (size_t)(source->size - at) : STEP;

		code = repair_stop(repair, error);
		if (code == RH_OK)
			code = read_good(repair, source, at, bytes, part, error);
		if (code == RH_OK)
			code = file_write(copy->fd, bytes, part, copy->display, error);
		if (code == RH_OK && (at + part) % FLUSH_STEP == 0)
			code = flush_in_steps(copy->fd, at + part - FLUSH_STEP, at + part,
			    copy->display, watch->stop, watch->context, error);
		if (code == RH_OK && watch->on_bytes != NULL)
			watch->on_bytes(watch->context, part);
	}
	free(bytes);
	return code;
}

static int copy_both(const struct repair *repair, const struct copy *backup,
    const struct copy *parity, rh_error *error)
{
	const struct parity_shape *shape = &repair->parity->shape;
	const struct backup_watch *watch = repair->watch;
	const struct source from = {repair->fd, shape->size, repair->display, false};
	const struct source parity_from = {repair->parity->fd,
	    (uint64_t)shape->pages * PARITY_BLOCK, repair->parity->display, true};
	int code;

	if (watch->on_total != NULL)
		watch->on_total(watch->context, from.size + parity_from.size);
	code = copy_bytes(repair, backup, &from, error);
	return code == RH_OK ? copy_bytes(repair, parity, &parity_from, error) : code;
}

static int copy_rename(struct copy *copy, struct backup_directory *to, rh_error *error)
{
	if (renameat(to->fd, copy->part, to->fd, copy->name) != 0)
		return error_errno(
		    error, RH_E_WRITE, errno, "cannot put %s into place", copy->display);
	copy->made = false;
	return RH_OK;
}

static void copy_free(struct copy *copy, struct backup_directory *to)
{
	if (copy->fd >= 0)
		close(copy->fd);
	if (copy->made)
		unlinkat(to->fd, copy->part, 0);
}

/* A pipe of that name must not hold us up. */
static bool is_file(const struct backup_directory *directory, const char *name)
{
	struct stat status;

	return fstatat(directory->fd, name, &status, 0) == 0 && S_ISREG(status.st_mode);
}

/* That of another owner, or of another day, is neither replaced nor taken for this one's. */
static int check_recovery(
    const struct repair *repair, struct backup_directory *to, rh_error *error)
{
	char display[DISPLAY_SIZE];
	struct buffer ours = {0}, there = {0};
	int code = RH_OK;

	if (is_file(to, RECOVERY_FILE) && is_file(repair->directory, RECOVERY_FILE) &&
	    file_read_whole(repair->directory->fd, RECOVERY_FILE, RECOVERY_MAX, &ours,
		RECOVERY_FILE, NULL) == RH_OK) {
		code = file_read_whole(to->fd, RECOVERY_FILE, RECOVERY_MAX, &there,
		    backup_directory_display(display, to, RECOVERY_FILE), error);
		if (code == RH_OK &&
		    (ours.size != there.size || memcmp(ours.data, there.data, ours.size) != 0))
			code = error_set(error, RH_E_BACKUP_EXISTS,
			    "%s is there, and opens with another passphrase; name another "
			    "directory",
			    backup_directory_display(display, to, RECOVERY_FILE));
	}
	buffer_free(&ours);
	buffer_free(&there);
	return code;
}

/*
 * The key under a passphrase, if there is one and none is there.  Where it cannot be read it is
 * told as lost, and the copy of the backup is made without it.
 */
static int copy_recovery(
    const struct repair *repair, struct backup_directory *to, rh_error *error)
{
	const struct backup_watch *watch = repair->watch;
	struct backup_directory *from = repair->directory;
	char display[DISPLAY_SIZE];
	struct buffer bytes = {0};
	struct stat status;
	int code;

	if (fstatat(from->fd, RECOVERY_FILE, &status, 0) != 0 || !S_ISREG(status.st_mode) ||
	    exists(to, RECOVERY_FILE))
		return RH_OK;
	code = file_read_whole(from->fd, RECOVERY_FILE, RECOVERY_MAX, &bytes,
	    backup_directory_display(display, from, RECOVERY_FILE), error);
	if (code == RH_OK) {
		code = file_replace(to->fd, RECOVERY_FILE, 0600, bytes.data, bytes.size,
		    backup_directory_display(display, to, RECOVERY_FILE), error);
	} else if (code != RH_E_MEMORY) {
		if (watch->on_damage != NULL && status.st_size > 0)
			watch->on_damage(
			    watch->context, RECOVERY_FILE, 0, (uint64_t)status.st_size, true);
		error_clear(error);
		code = RH_OK;
	}
	buffer_free(&bytes);
	return code;
}

/*
 * The parity first: once the backup is there, so is its parity.  One that is there without its
 * backup is left from a run that died in between.
 */
static int put_into_place(struct repair *repair, struct backup_directory *to,
    struct copy *backup, struct copy *parity, rh_error *error)
{
	int code = copy_recovery(repair, to, error);

	if (code == RH_OK)
		code = howto_write(to, error);
	if (code != RH_OK)
		return code;
	unlinkat(to->fd, parity->name, 0);
	code = copy_rename(parity, to, error);
	if (code != RH_OK)
		return code;
	code = copy_rename(backup, to, error);
	if (code != RH_OK)
		unlinkat(to->fd, parity->name, 0);
	else
		code = file_sync_directory(to->fd, to->path, error);
	return code;
}

int repair_copy(struct repair *repair, struct backup_directory *to, rh_error *error)
{
	struct copy backup = {.fd = -1}, parity = {.fd = -1};
	int code;

	if (repair->map.lost_blocks > 0)
		return repair_lost(repair, error);
	if (exists(to, repair->file))
		return error_set(
		    error, RH_E_BACKUP_EXISTS, "%s/%s is there", to->path, repair->file);
	code = check_recovery(repair, to, error);
	if (code == RH_OK)
		code = copy_create(&backup, to, repair->file, error);
	if (code == RH_OK)
		code = copy_create(&parity, to, repair->parity->name, error);
	if (code == RH_OK)
		code = copy_both(repair, &backup, &parity, error);
	repair->out = backup.fd;
	memcpy(repair->out_display, backup.display, DISPLAY_SIZE);
	repair->parity_out = parity.fd;
	memcpy(repair->parity_out_display, parity.display, DISPLAY_SIZE);
	if (code == RH_OK)
		code = repair_mend(repair, error);
	if (code == RH_OK)
		code = put_into_place(repair, to, &backup, &parity, error);
	copy_free(&backup, to);
	copy_free(&parity, to);
	return code;
}
