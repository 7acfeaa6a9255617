#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "backup/parity.h"

/* How long an opener waits for another writer to go. */
#define LOCK_WAIT_NS 1000000000u
#define LOCK_STEP_NS 20000000

const char *backup_directory_display(
    char text[DISPLAY_SIZE], const struct backup_directory *directory, const char *name)
{
	snprintf(text, DISPLAY_SIZE, "%s/%s", directory->path, name);
	return text;
}

const char *backup_directory_path(const struct backup_directory *directory)
{
	return directory->path;
}

/* ---- Walking over the names ---- */

int backup_directory_each(struct backup_directory *directory,
    int (*visit)(
	struct backup_directory *directory, const char *name, void *context, rh_error *error),
    void *context, rh_error *error)
{
	int fd = openat(directory->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	DIR *names;
	int code = RH_OK;

	if (fd < 0)
		return error_errno(
		    error, RH_E_READ, errno, "cannot read the directory %s", directory->path);
	names = fdopendir(fd);
	if (names == NULL) {
		code = error_errno(
		    error, RH_E_READ, errno, "cannot read the directory %s", directory->path);
		close(fd);
		return code;
	}
	while (code == RH_OK) {
		errno = 0;
		entry = readdir(names);
		if (entry == NULL) {
			if (errno != 0)
				code = error_errno(error, RH_E_READ, errno,
				    "cannot read the directory %s", directory->path);
			break;
		}
		code = visit(directory, entry->d_name, context, error);
	}
	closedir(names);
	return code;
}

static bool is_part(const char *name)
{
	char stem[BACKUP_NAME_SIZE];
	size_t length = strlen(name), suffix = sizeof PART_SUFFIX - 1;

	if (length <= suffix || length - suffix >= sizeof stem ||
	    strcmp(name + length - suffix, PART_SUFFIX) != 0)
		return false;
	memcpy(stem, name, length - suffix);
	stem[length - suffix] = '\0';
	return generation_parse(stem, NULL, NULL) || parity_parse(stem, NULL) ||
	       strcmp(stem, RECOVERY_FILE) == 0 || strcmp(stem, HOW_TO_FILE) == 0;
}

/* What cannot be removed is in nobody's way: it is never taken for a backup. */
static int remove_part(
    struct backup_directory *directory, const char *name, void *context, rh_error *error)
{
	(void)context;
	(void)error;
	if (is_part(name))
		unlinkat(directory->fd, name, 0);
	return RH_OK;
}

static int visit_latest(
    struct backup_directory *directory, const char *name, void *context, rh_error *error)
{
	int64_t *latest = context, created;

	(void)directory;
	(void)error;
	if (generation_parse(name, &created, NULL) && created > *latest)
		*latest = created;
	return RH_OK;
}

int backup_directory_latest(struct backup_directory *directory, int64_t *ret, rh_error *error)
{
	int64_t latest = INT64_MIN;
	int code = backup_directory_each(directory, visit_latest, &latest, error);

	if (code == RH_OK)
		*ret = latest;
	return code;
}

/* ---- Opening ---- */

/*
 * The lock is one of the open directory itself, so that nothing is left behind on the
 * medium.  Media that know no locks (some network ones) go without.
 */
static int take_lock(struct backup_directory *directory, rh_error *error)
{
	const struct timespec step = {.tv_nsec = LOCK_STEP_NS};
	uint64_t start = clock_monotonic();

	while (flock(directory->fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return RH_OK;
		if (clock_monotonic() - start >= LOCK_WAIT_NS)
			return error_set(error, RH_E_BACKUP_BUSY,
			    "another run is writing to %s", directory->path);
		nanosleep(&step, NULL);
	}
	directory->locked = true;
	return RH_OK;
}

static int open_for_writing(struct backup_directory *directory, rh_error *error)
{
	int code;

	if (faccessat(directory->fd, ".", W_OK | X_OK, AT_EACCESS) != 0)
		return error_errno(
		    error, RH_E_ACCESS, errno, "cannot write to %s", directory->path);
	code = take_lock(directory, error);
	/* Without the lock they might be another run's. */
	if (code == RH_OK && directory->locked)
		code = backup_directory_each(directory, remove_part, NULL, error);
	return code;
}

static int open_error(const char *path, int errnum, rh_error *error)
{
	if (errnum == ENOENT)
		return error_set(error, RH_E_NO_DIRECTORY, "there is no directory %s", path);
	if (errnum == ENOTDIR)
		return error_set(error, RH_E_NOT_DIRECTORY, "%s is not a directory", path);
	return error_errno(error, RH_E_OPEN, errnum, "cannot open the directory %s", path);
}

int backup_directory_open(
    const char *path, bool writing, struct backup_directory **ret, rh_error *error)
{
	struct backup_directory *directory = calloc(1, sizeof *directory);
	int code = RH_OK;

	if (directory == NULL)
		return error_memory(error);
	directory->fd = -1;
	directory->writing = writing;
	directory->path = strdup(path);
	if (directory->path == NULL) {
		code = error_memory(error);
		goto failed;
	}
	directory->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory->fd < 0) {
		code = open_error(path, errno, error);
		goto failed;
	}
	if (writing)
		code = open_for_writing(directory, error);
	if (code != RH_OK)
		goto failed;
	*ret = directory;
	return RH_OK;
failed:
	backup_directory_close(directory);
	return code;
}

void backup_directory_close(struct backup_directory *directory)
{
	if (directory == NULL)
		return;
	if (directory->fd >= 0)
		close(directory->fd);
	free(directory->path);
	free(directory);
}

/* ---- Files ---- */

int backup_directory_file(struct backup_directory *directory, const char *name, bool writing,
    int *ret_fd, uint64_t *ret_size, rh_error *error)
{
	char display[DISPLAY_SIZE];
	struct stat status;
	/* A pipe of that name must not hold us up, nor a link lead to what is no backup. */
	int fd = openat(directory->fd, name,
	    (writing ? O_RDWR | O_NOFOLLOW : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int code;

	backup_directory_display(display, directory, name);
	if (fd < 0 && writing && errno == ELOOP)
		return error_set(error, RH_E_ACCESS,
		    "%s is a symbolic link, through which nothing is written", display);
	if (fd < 0 && errno == EISDIR)
		return error_set(error, RH_E_BACKUP_MISSING, "%s is not a file", display);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return error_set(error, RH_E_BACKUP_MISSING, "there is no file %s", display);
	if (fd < 0)
		return error_errno(error, RH_E_OPEN, errno, "cannot open %s", display);
	if (fstat(fd, &status) != 0) {
		code = error_errno(error, RH_E_READ, errno, "cannot read %s", display);
		close(fd);
		return code;
	}
	if (!S_ISREG(status.st_mode)) {
		close(fd);
		return error_set(error, RH_E_BACKUP_MISSING, "%s is not a file", display);
	}
	*ret_fd = fd;
	*ret_size = (uint64_t)status.st_size;
	return RH_OK;
}

int file_source_read(
    void *context, uint64_t offset, void *bytes, size_t size, size_t *ret, rh_error *error)
{
	const struct file_source *source = context;

	return file_read_at(source->fd, offset, bytes, size, ret, source->path, error);
}
