#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "issue/output.h"

#define FLUSH_SIZE (256u * 1024)
#define NAME_BYTES 200 /* of an id in a file's name: NAME_MAX less the ends */

/* A file that is written beside its name and renamed to it. */
struct sink {
	const char *path; /* NULL: standard output, if ${fd} is open */
	char part[PATH_MAX];
	int fd; /* -1: there is none */
	struct buffer buffer;
};

struct output {
	const char *path; /* of the directory */
	int directory; /* -1: there is none */
	struct sink lines;
	struct sink keys;
	bool seen; /* a licence left this program */
	uint64_t count;
	char name[NAME_MAX + 1];
};

static int sink_open(struct sink *sink, const char *path, bool secret, rh_error *error)
{

	sink->path = path;
	if ((size_t)snprintf(sink->part, sizeof sink->part, "%s.part", path) >=
	    sizeof sink->part)
		return error_set(error, RH_E_ARGUMENT, "the path is too long: %s", path);
	if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return error_errno(error, RH_E_OPEN, EEXIST, "%s", path);
	/* What a killed run left; but its content keys may be the only ones. */
	if (!secret)
		unlink(sink->part);
	sink->fd = open(sink->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
	    secret ? 0600 : 0644);
	if (sink->fd < 0)
		return error_errno(error, RH_E_WRITE, errno, "cannot create %s", sink->part);
	return RH_OK;
}

static int sink_flush(struct sink *sink, rh_error *error)
{
	int code = file_write(sink->fd, sink->buffer.data, sink->buffer.size,
	    sink->path == NULL ? "standard output" : sink->path, error);

	buffer_clear(&sink->buffer);
	return code;
}

static int sink_finish(struct sink *sink, rh_error *error)
{
	char *slash, folder[PATH_MAX];
	int code, fd;

	if (sink->fd < 0)
		return RH_OK;
	code = sink_flush(sink, error);
	if (code != RH_OK || sink->path == NULL)
		return code;
	code = file_sync(sink->fd, sink->path, error);
	if (code == RH_OK &&
	    renameat2(AT_FDCWD, sink->part, AT_FDCWD, sink->path, RENAME_NOREPLACE) != 0 &&
	    (errno != EINVAL || rename(sink->part, sink->path) != 0))
		code = error_errno(
		    error, RH_E_WRITE, errno, "cannot put %s into place", sink->path);
	if (code != RH_OK)
		return code;
	close(sink->fd);
	sink->fd = -1;
	snprintf(folder, sizeof folder, "%s", sink->path);
	slash = strrchr(folder, '/');
	snprintf(slash == NULL ? folder : slash + 1, 2, ".");
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		code = file_sync_directory(fd, sink->path, error);
		close(fd);
	}
	return code;
}

static void sink_close(struct sink *sink)
{
	if (sink->fd >= 0 && sink->path != NULL) {
		close(sink->fd);
		unlink(sink->part);
	}
	sink->fd = -1;
	buffer_free_secret(&sink->buffer);
}

int output_open(const char *directory, const char *file, const char *keys, struct output **ret,
    rh_error *error)
{
	struct output *output = calloc(1, sizeof *output);
	int code = RH_OK;

	if (output == NULL)
		return error_memory(error);
	output->path = directory;
	output->directory = output->lines.fd = output->keys.fd = -1;
	if (directory != NULL) {
		output->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (output->directory < 0)
			code =
			    error_errno(error, errno == ENOENT ? RH_E_NO_DIRECTORY : RH_E_OPEN,
				errno, "%s", directory);
	} else if (file != NULL && strcmp(file, "-") != 0) {
		code = sink_open(&output->lines, file, false, error);
	} else {
		output->lines.fd = STDOUT_FILENO;
	}
	if (code == RH_OK && keys != NULL)
		code = sink_open(&output->keys, keys, true, error);
	/* Grown in steps, old keys would stay behind in memory. */
	if (code == RH_OK && keys != NULL)
		code = buffer_reserve(&output->keys.buffer, 2 * FLUSH_SIZE, error);
	if (code == RH_OK)
		*ret = output;
	else
		output_close(output, false);
	return code;
}

/*
 * A name that holds the id and harms nobody: other characters than letters, digits, '.', '_'
 * and
 * '-' become %XX, and a long one ends with the licence's number in this run.
 */
static void make_name(struct output *output, const char *id)
{
	static const char uuid[] = "urn:uuid:";
	size_t used = 0;

	if (strncmp(id, uuid, sizeof uuid - 1) == 0 && strlen(id) == sizeof uuid - 1 + 36)
		id += sizeof uuid - 1;
	for (; *id != '\0' && used < NAME_BYTES; id++) {
		unsigned char c = (unsigned char)*id;
		bool plain =
		    c < 0x80 && (isalnum(c) || c == '_' || c == '-' || (c == '.' && used > 0));

		used += (size_t)snprintf(output->name + used, sizeof output->name - used,
		    plain ? "%c" : "%%%02X", c);
	}
	if (*id != '\0')
		used += (size_t)snprintf(output->name + used, sizeof output->name - used,
		    "-%llu", (unsigned long long)output->count);
	snprintf(output->name + used, sizeof output->name - used, ".jws");
}

/* Under ${output->name}.part, then under its name, unless something is there. */
static int write_file(struct output *output, const char *jws, rh_error *error)
{
	char part[NAME_MAX + 16], path[PATH_MAX];
	int code, fd;

	snprintf(part, sizeof part, ".%.*s.part", NAME_MAX - 8, output->name);
	snprintf(path, sizeof path, "%.3000s/%s", output->path, output->name);
	fd = openat(output->directory, part,
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return error_errno(error, RH_E_WRITE, errno, "cannot create %s", path);
	code = file_write(fd, jws, strlen(jws), path, error);
	if (code == RH_OK)
		code = file_write(fd, "\n", 1, path, error);
	if (close(fd) != 0 && code == RH_OK)
		code = error_errno(error, RH_E_WRITE, errno, "cannot write %s", path);
	if (code == RH_OK && renameat2(output->directory, part, output->directory, output->name,
				 RENAME_NOREPLACE) != 0) {
		if (errno == EINVAL &&
		    faccessat(output->directory, output->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			errno = EEXIST;
		else if (errno == EINVAL && renameat(output->directory, part, output->directory,
						output->name) == 0)
			errno = 0;
		if (errno != 0)
			code = error_errno(
			    error, RH_E_WRITE, errno, "cannot put %s into place", path);
	}
	if (code != RH_OK)
		unlinkat(output->directory, part, 0);
	return code;
}

int output_write(struct output *output, const char *id, const char *jws, const char **ret_name,
    rh_error *error)
{
	struct buffer *buffer = &output->lines.buffer;
	int code = RH_OK;

	output->count++;
	output->name[0] = '\0';
	*ret_name = output->name;
	if (output->directory >= 0) {
		make_name(output, id);
		if (output->keys.fd >= 0)
			code = sink_flush(&output->keys, error);
		if (code == RH_OK)
			code = write_file(output, jws, error);
		output->seen = output->seen || code == RH_OK;
		return code;
	}
	code = buffer_append_text(buffer, "{\"body\":\"", error);
	if (code == RH_OK)
		code = buffer_append_text(buffer, jws, error);
	if (code == RH_OK)
		code = buffer_append_text(buffer, "\"}\n", error);
	if (code != RH_OK || buffer->size < FLUSH_SIZE)
		return code;
	if (output->keys.fd >= 0)
		code = sink_flush(&output->keys, error);
	if (code == RH_OK)
		code = sink_flush(&output->lines, error);
	output->seen = output->seen || output->lines.path == NULL;
	return code;
}

bool output_wants_keys(const struct output *output)
{
	return output->keys.fd >= 0;
}

int output_write_key(struct output *output, const char *line, rh_error *error)
{
	struct buffer *buffer = &output->keys.buffer;
	int code = RH_OK;

	if (buffer->size + strlen(line) + 1 > buffer->capacity)
		code = sink_flush(&output->keys, error);
	if (code == RH_OK)
		code = buffer_append_text(buffer, line, error);
	if (code == RH_OK)
		code = buffer_append_text(buffer, "\n", error);
	return code;
}

int output_finish(struct output *output, rh_error *error)
{
	int code = sink_finish(&output->keys, error);

	if (code == RH_OK)
		code = sink_finish(&output->lines, error);
	if (code == RH_OK && output->directory >= 0 && syncfs(output->directory) != 0)
		code = error_errno(error, RH_E_WRITE, errno, "cannot flush %s", output->path);
	return code;
}

void output_close(struct output *output, bool finished)
{
	if (output == NULL)
		return;
	if (!finished && output->seen)
		sink_finish(&output->keys, NULL);
	sink_close(&output->keys);
	sink_close(&output->lines);
	if (output->directory >= 0)
		close(output->directory);
	free(output);
}
