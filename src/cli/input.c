#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/error.h"
#include "cli/stream.h"
#include "cli/input.h"

struct input {
	char **paths;
	int count;
	int next; /* of paths */
	const char *format;
	input_skipped skipped;
	void *context;
	FTS *tree; /* the directory being walked, or NULL */
	struct stream *stream; /* licences one after another, or NULL */
	int stream_file; /* what it reads, if that is to be closed; else -1 */
	char *stream_name;
	char *data; /* RH_LICENSE_MAX + 1 bytes */
};

int input_new(char **paths, int count, const char *format, input_skipped skipped, void *context,
    struct input **ret, rh_error *error)
{
	struct input *input;
	int streams = 0;

	for (int i = 0; i < count; i++) {
		struct stat about;

		if (strcmp(paths[i], "-") == 0)
			streams++;
		else if (stat(paths[i], &about) != 0)
			return error_errno(error, RH_E_OPEN, errno, "%s", paths[i]);
	}
	if (streams > 1)
		return error_set(error, RH_E_ARGUMENT, "'-' can be read once only");
	input = calloc(1, sizeof *input);
	if (input == NULL)
		return error_memory(error);
	input->data = malloc(RH_LICENSE_MAX + 1);
	if (input->data == NULL) {
		free(input);
		return error_memory(error);
	}
	input->paths = paths;
	input->count = count;
	input->format = format;
	input->skipped = skipped;
	input->context = context;
	input->stream_file = -1;
	*ret = input;
	return RH_OK;
}

static void end_stream(struct input *input)
{
	stream_free(input->stream);
	input->stream = NULL;
	if (input->stream_file >= 0)
		close(input->stream_file);
	input->stream_file = -1;
	free(input->stream_name);
	input->stream_name = NULL;
}

void input_free(struct input *input)
{
	if (input == NULL)
		return;
	if (input->tree != NULL)
		fts_close(input->tree);
	end_stream(input);
	free(input->data);
	free(input);
}

static int by_name(const FTSENT **left, const FTSENT **right)
{
	return strcmp((*left)->fts_name, (*right)->fts_name);
}

/* One byte over the limit is read as well, for the library to refuse the file. */
static int read_file(struct input *input, const char *path, const char *name,
    rh_document *document, rh_error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t size = 0;
	ssize_t got;

	if (fd < 0)
		return error_errno(error, RH_E_OPEN, errno, "%s", name);
	do {
		got = read(fd, input->data + size, RH_LICENSE_MAX + 1 - size);
		if (got > 0)
			size += (size_t)got;
	} while (got > 0 || (got < 0 && errno == EINTR));
	if (got < 0)
		error_errno(error, RH_E_READ, errno, "%s", name);
	close(fd);
	if (got < 0)
		return error->code;
	*document = (rh_document){input->data, size, name, input->format};
	return RH_OK;
}

/* Whether a file of this name holds many licences, a line of JSON each. */
static bool is_stream(const char *path)
{
	const char *suffix = strrchr(path, '.');

	return suffix != NULL &&
	       (strcmp(suffix, ".ndjson") == 0 || strcmp(suffix, ".jsonl") == 0);
}

static int start_stream(
    struct input *input, const char *path, const char *name, rh_error *error)
{
	int code = RH_OK;

	input->stream_name = strdup(name);
	input->stream_file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (input->stream_name == NULL)
		code = error_memory(error);
	else if (input->stream_file < 0)
		code = error_errno(error, RH_E_OPEN, errno, "%s", name);
	else
		code =
		    stream_new(input->stream_file, input->stream_name, &input->stream, error);
	if (code != RH_OK)
		end_stream(input);
	return code;
}

/* 1 with a document, or 0 with a stream to go on with, or having said why there is neither. */
static int start_file(
    struct input *input, const char *path, const char *name, rh_document *document)
{
	rh_error error;

	if (is_stream(name)) {
		if (start_stream(input, path, name, &error) == RH_OK)
			return 0;
	} else if (read_file(input, path, name, document, &error) == RH_OK) {
		return 1;
	}
	input->skipped(input->context, &error);
	return 0;
}

/* The next file of the tree: 1, or 0 at its end, or where a stream goes on. */
static int next_of_tree(struct input *input, rh_document *document)
{
	rh_error error;
	FTSENT *entry;

	while ((entry = fts_read(input->tree)) != NULL) {
		if (entry->fts_level > 0 && entry->fts_name[0] == '.') {
			fts_set(input->tree, entry, FTS_SKIP);
			continue;
		}
		switch (entry->fts_info) {
		case FTS_DNR:
		case FTS_ERR:
		case FTS_NS:
			errno = entry->fts_errno;
			error_errno(&error, RH_E_OPEN, errno, "%s", entry->fts_path);
			break;
		case FTS_F:
			if (start_file(input, entry->fts_accpath, entry->fts_path, document) ==
			    1)
				return 1;
			if (input->stream != NULL)
				return 0;
			continue;
		case FTS_SL:
		case FTS_SLNONE:
		case FTS_DEFAULT:
			error_set(&error, RH_E_OPEN, "%s: not a plain file", entry->fts_path);
			break;
		default:
			continue;
		}
		input->skipped(input->context, &error);
	}
	fts_close(input->tree);
	input->tree = NULL;
	return 0;
}

/* Starts with the next path: 1 with a document, 0 with a tree or a stream to go on with. */
static int start_path(struct input *input, char *path, rh_document *document, rh_error *error)
{
	char *const roots[] = {path, NULL};
	struct stat about;

	if (strcmp(path, "-") == 0)
		return stream_new(STDIN_FILENO, "standard input", &input->stream, error) ==
			       RH_OK
			   ? 0
			   : -1;
	if (stat(path, &about) == 0 && S_ISDIR(about.st_mode)) {
		input->tree =
		    fts_open(roots, FTS_COMFOLLOW | FTS_PHYSICAL | FTS_NOCHDIR, by_name);
		if (input->tree != NULL)
			return 0;
		error_errno(error, RH_E_OPEN, errno, "%s", path);
		return -1;
	}
	return start_file(input, path, path, document);
}

int input_next(void *context, rh_document *ret_document, rh_error *error)
{
	struct input *input = context;
	rh_error unused;
	int result;

	if (error == NULL)
		error = &unused;
	for (;;) {
		if (input->stream != NULL) {
			result = stream_next(input->stream, ret_document, error);
			ret_document->format = input->format;
			if (result != 0)
				return result;
			end_stream(input);
		}
		if (input->tree != NULL && next_of_tree(input, ret_document))
			return 1;
		if (input->stream != NULL || input->tree != NULL)
			continue;
		if (input->next == input->count)
			return 0;
		result = start_path(input, input->paths[input->next++], ret_document, error);
		if (result != 0)
			return result;
	}
}
