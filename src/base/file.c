#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

int file_write(int fd, const void *bytes, size_t size, const char *path, rh_error *error)
{
	const uint8_t *p = bytes;

	while (size > 0) {
		ssize_t written = write(fd, p, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return error_errno(error, RH_E_WRITE, errno, "cannot write %s", path);
		p += written;
		size -= (size_t)written;
	}
	return RH_OK;
}

int file_read(int fd, void *bytes, size_t size, size_t *ret, const char *path, rh_error *error)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(fd, (uint8_t *)bytes + got, size - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(error, RH_E_READ, errno, "cannot read %s", path);
		if (n == 0)
			break;
		got += (size_t)n;
	}
	*ret = got;
	return RH_OK;
}

int file_read_at(int fd, uint64_t offset, void *bytes, size_t size, size_t *ret,
    const char *path, rh_error *error)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n =
		    pread(fd, (uint8_t *)bytes + got, size - got, (off_t)(offset + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(error, RH_E_READ, errno, "cannot read %s", path);
		if (n == 0)
			break;
		got += (size_t)n;
	}
	*ret = got;
	return RH_OK;
}

int file_read_whole(int directory, const char *name, size_t limit, struct buffer *buffer,
    const char *path, rh_error *error)
{
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int code = RH_OK;
	size_t start = buffer->size, got;

	if (fd < 0)
		return error_errno(error, RH_E_OPEN, errno, "cannot open %s", path);
	do {
		code = buffer_reserve(buffer, 65536, error);
		if (code == RH_OK)
			code = file_read(
			    fd, buffer->data + buffer->size, 65536, &got, path, error);
		if (code != RH_OK)
			break;
		buffer->size += got;
		if (buffer->size - start > limit)
			code = error_set(
			    error, RH_E_ARGUMENT, "%s is larger than %zu bytes", path, limit);
	} while (code == RH_OK && got == 65536);
	close(fd);
	return code;
}

int file_sync(int fd, const char *path, rh_error *error)
{
	while (fsync(fd) != 0)
		if (errno != EINTR)
			return error_errno(error, RH_E_WRITE, errno, "cannot flush %s", path);
	return RH_OK;
}

int file_sync_directory(int fd, const char *path, rh_error *error)
{
	while (fsync(fd) != 0) {
		if (errno == EINVAL || errno == ENOTSUP)
			return RH_OK;
		if (errno != EINTR)
			return error_errno(
			    error, RH_E_WRITE, errno, "cannot flush the directory %s", path);
	}
	return RH_OK;
}

/* Flushes the directory that ${name} lies in. */
static int sync_parent(int directory, const char *name, const char *path, rh_error *error)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(name, '/');
	int fd, code;

	if (slash == NULL)
		snprintf(parent, sizeof parent, ".");
	else
		snprintf(parent, sizeof parent, "%.*s", (int)(slash - name) + 1, name);
	fd = openat(directory, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(
		    error, RH_E_WRITE, errno, "cannot flush the directory of %s", path);
	code = file_sync_directory(fd, path, error);
	close(fd);
	return code;
}

int file_replace(int directory, const char *name, unsigned mode, const void *bytes, size_t size,
    const char *path, rh_error *error)
{
	char part[PATH_MAX];
	int code, fd;

	if ((size_t)snprintf(part, sizeof part, "%s.part", name) >= sizeof part)
		return error_set(error, RH_E_ARGUMENT, "the path is too long: %s", path);
	fd = openat(
	    directory, part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return error_errno(error, RH_E_WRITE, errno, "cannot create %s", path);
	code = file_write(fd, bytes, size, path, error);
	if (code == RH_OK)
		code = file_sync(fd, path, error);
	if (close(fd) != 0 && code == RH_OK)
		code = error_errno(error, RH_E_WRITE, errno, "cannot write %s", path);
	if (code == RH_OK && renameat(directory, part, directory, name) != 0)
		code = error_errno(error, RH_E_WRITE, errno, "cannot put %s into place", path);
	if (code != RH_OK) {
		unlinkat(directory, part, 0);
		return code;
	}
	return sync_parent(directory, name, path, error);
}

int file_make_directories(const char *path, unsigned mode, rh_error *error)
{
	char part[PATH_MAX];
	size_t length = strlen(path);

	if (length == 0 || length >= sizeof part)
		return error_set(error, RH_E_ARGUMENT, "the path is %s: %s",
		    length == 0 ? "empty" : "too long", path);
	memcpy(part, path, length + 1);
	for (size_t i = 1; i <= length; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, mode) != 0 && errno != EEXIST && errno != EISDIR)
			return error_errno(
			    error, RH_E_WRITE, errno, "cannot make the directory %s", part);
		part[i] = path[i];
	}
	return RH_OK;
}
