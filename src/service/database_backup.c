#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#include "service/database_internal.h"

/* All pages of one moment; writers go on beside it. */
static int copy_pages(sqlite3 *from, const char *path, rh_error *error)
{
	sqlite3_backup *backup = NULL;
	sqlite3 *to = NULL;
	int code = RH_OK, result;

	result = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_FLAGS, NULL);
	if (result == SQLITE_OK) {
		sqlite3_busy_timeout(to, DATABASE_WAIT_MS);
		backup = sqlite3_backup_init(to, "main", from, "main");
		result = backup != NULL ? sqlite3_backup_step(backup, -1)
					: sqlite3_extended_errcode(to);
	}
	if (backup != NULL && sqlite3_backup_finish(backup) != SQLITE_OK &&
	    result == SQLITE_DONE)
		result = sqlite3_extended_errcode(to);
	/* One file, which also reads where nothing can be written beside it. */
	if (result == SQLITE_DONE)
		result = sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
	if (result != SQLITE_OK)
		code = sqlite_failed(to, result, "copying it", error);
	sqlite3_close_v2(to);
	return code;
}

/* An empty file that nobody else reads. */
static int make_part(const char *part, rh_error *error)
{
	int fd;

	if (unlink(part) != 0 && errno != ENOENT)
		return error_errno(error, RH_E_WRITE, errno, "cannot remove %s", part);
	fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_errno(error, RH_E_OPEN, errno, "cannot make %s", part);
	close(fd);
	return RH_OK;
}

static int settle(const char *part, const char *path, const char *directory, rh_error *error)
{
	int code, fd = open(part, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_errno(error, RH_E_OPEN, errno, "cannot open %s", part);
	code = file_sync(fd, part, error);
	close(fd);
	if (code != RH_OK)
		return code;
	if (rename(part, path) != 0)
		return error_errno(error, RH_E_WRITE, errno, "cannot make %s", path);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(error, RH_E_OPEN, errno, "cannot open %s", directory);
	code = file_sync_directory(fd, directory, error);
	close(fd);
	return code;
}

/* Renaming over the file in use would take it from under those who use it. */
static bool is_database(const struct database *database, const char *path)
{
	struct stat a, b;

	return stat(path, &a) == 0 && stat(database->address, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int database_backup(struct database *database, const char *path, rh_error *error)
{
	size_t size = strlen(path) + sizeof "./.part";
	struct connection *connection = NULL;
	char *part = NULL, *directory = NULL;
	int code;

	if (!database->backend->one_writer)
		return error_set(error, RH_E_ARGUMENT,
		    "PostgreSQL is backed up with its own tools, such as pg_dump");
	if (is_database(database, path))
		return error_set(
		    error, RH_E_ARGUMENT, "the backup would replace the database %s", path);
	part = malloc(size);
	directory = malloc(size);
	if (part == NULL || directory == NULL) {
		code = error_memory(error);
		goto done;
	}
	/* A relative path must not look like a "file:" URI to SQLite. */
	snprintf(part, size, "%s%s.part", *path == '/' ? "" : "./", path);
	memcpy(directory, part, size);
	strrchr(directory, '/')[1] = '\0';

	code = make_part(part, error);
	if (code == RH_OK)
		code = database_take(database, false, &connection, error);
	if (code == RH_OK)
		code = copy_pages(sqlite_handle(connection), part, error);
	database_give(connection);
	if (code == RH_OK)
		code = settle(part, path, directory, error);
	if (code != RH_OK)
		unlink(part);
done:
	free(part);
	free(directory);
	return code;
}
