#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#include "backup/repair.h"

#define STEP ((size_t)1 << 20)
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
	if (exists(to, name))
		return error_set(error, RH_E_BACKUP_EXISTS, "%s/%s is there", to->path, name);
	copy->fd = openat(
	    to->fd, copy->part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (copy->fd < 0)
		return error_errno(error, RH_E_WRITE, errno, "cannot create %s", copy->display);
	copy->made = true;
	return RH_OK;
}

/* The bytes as they are; places that cannot be read are zeros, to be mended. */
static int copy_bytes(const struct repair *repair, const struct copy *copy, int from,
    uint64_t size, const char *from_display, rh_error *error)
{
	uint8_t *bytes = malloc(STEP);
	int code = bytes != NULL ? RH_OK : error_memory(error);

	for (uint64_t at = 0; at < size && code == RH_OK; at += STEP) {
		size_t part = size - at < STEP ? (size_t)(size - at) : STEP;

		code = repair_stop(repair, error);
		if (code == RH_OK)
			code = parity_read_at(from, at, bytes, part, from_display, error);
		if (code == RH_OK)
			code = file_write(copy->fd, bytes, part, copy->display, error);
	}
	free(bytes);
	return code;
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

/* The key under a passphrase, if there is one and none is there. */
static int copy_recovery(
    struct backup_directory *from, struct backup_directory *to, rh_error *error)
{
	char display[DISPLAY_SIZE];
	struct buffer bytes = {0};
	int code;

	if (!exists(from, RECOVERY_FILE) || exists(to, RECOVERY_FILE))
		return RH_OK;
	code = file_read_whole(from->fd, RECOVERY_FILE, RECOVERY_MAX, &bytes,
	    backup_directory_display(display, from, RECOVERY_FILE), error);
	if (code == RH_OK)
		code = file_replace(to->fd, RECOVERY_FILE, 0600, bytes.data, bytes.size,
		    backup_directory_display(display, to, RECOVERY_FILE), error);
	buffer_free(&bytes);
	return code;
}

/* The parity first: once the backup is there, so is its parity. */
static int put_into_place(struct repair *repair, struct backup_directory *to,
    struct copy *backup, struct copy *parity, rh_error *error)
{
	int code = copy_recovery(repair->directory, to, error);

	if (code == RH_OK)
		code = howto_write(to, error);
	if (code == RH_OK)
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
	const struct parity_shape *shape = &repair->parity->shape;
	struct copy backup = {.fd = -1}, parity = {.fd = -1};
	int code;

	if (repair->map.lost_blocks > 0)
		return repair_lost(repair, error);
	code = copy_create(&backup, to, repair->file, error);
	if (code == RH_OK)
		code = copy_create(&parity, to, repair->parity->name, error);
	if (code == RH_OK)
		code = copy_bytes(
		    repair, &backup, repair->fd, shape->size, repair->display, error);
	if (code == RH_OK)
		code = copy_bytes(repair, &parity, repair->parity->fd,
		    (uint64_t)shape->pages * PARITY_BLOCK, repair->parity->display, error);
	repair->out = backup.fd;
	repair->parity_out = parity.fd;
	if (code == RH_OK)
		code = repair_mend(repair, error);
	if (code == RH_OK)
		code = put_into_place(repair, to, &backup, &parity, error);
	copy_free(&backup, to);
	copy_free(&parity, to);
	return code;
}
