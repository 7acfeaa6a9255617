#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/error.h"
#include "cli/interrupt.h"
#include "cli/stream.h"

#define READ_SIZE (256u * 1024)
/* A body of RH_LICENSE_MAX bytes, each written as \u00XX, and what stands around it. */
#define RECORD_MAX (6u * RH_LICENSE_MAX + 64 * 1024)
#define NAME_SIZE 128

enum passing { PASS_NOTHING, PASS_LINE, PASS_XML };

struct stream {
	int fd;
	const char *name;
	char *buffer; /* bytes [start, end) are read and not passed yet */
	size_t capacity;
	size_t start;
	size_t end;
	size_t record; /* length of the record that was given */
	bool at_end; /* nothing more to read */
	enum passing passing; /* what is left of a record that was too big */
	bool xml_response; /* the XML record has a LICENSERESPONSE around it */
	uint64_t line; /* of the next byte, from 1 */
	json_t *json; /* holds the body that was given */
	char label[NAME_SIZE]; /* "standard input:17" */
};

int stream_new(int fd, const char *name, struct stream **ret, rh_error *error)
{
	struct stream *stream = calloc(1, sizeof *stream);

	if (stream == NULL)
		return error_memory(error);
	stream->capacity = 2 * READ_SIZE;
	stream->buffer = malloc(stream->capacity);
	if (stream->buffer == NULL) {
		free(stream);
		return error_memory(error);
	}
	stream->fd = fd;
	stream->name = name;
	stream->line = 1;
	*ret = stream;
	return RH_OK;
}

void stream_free(struct stream *stream)
{
	if (stream == NULL)
		return;
	json_decref(stream->json);
	free(stream->buffer);
	free(stream);
}

/* Makes room for one more read at the end of the buffer. */
static int make_room(struct stream *stream, rh_error *error)
{
	size_t used = stream->end - stream->start, capacity;
	char *buffer;

	if (stream->capacity - stream->end >= READ_SIZE)
		return RH_OK;
	if (used > 0)
		memmove(stream->buffer, stream->buffer + stream->start, used);
	stream->start = 0;
	stream->end = used;
	if (stream->capacity - used >= READ_SIZE)
		return RH_OK;
	capacity = 2 * stream->capacity;
	buffer = realloc(stream->buffer, capacity);
	if (buffer == NULL)
		return error_memory(error);
	stream->buffer = buffer;
	stream->capacity = capacity;
	return RH_OK;
}

/* Reads more; sets at_end if there is no more. */
static int read_more(struct stream *stream, rh_error *error)
{
	ssize_t got;
	int code;

	code = make_room(stream, error);
	if (code != RH_OK)
		return code;
	do {
		if (!interrupt_wait_readable(stream->fd))
			return error_set(
			    error, RH_E_CANCELED, "stopped reading %s", stream->name);
		got = read(
		    stream->fd, stream->buffer + stream->end, stream->capacity - stream->end);
	} while (got < 0 && (errno == EINTR || errno == EAGAIN));
	if (got < 0)
		return error_errno(error, RH_E_READ, errno, "%s cannot be read", stream->name);
	stream->at_end = got == 0;
	stream->end += (size_t)got;
	return RH_OK;
}

/*
 * Finds the line that starts ${offset} bytes into the record; ${*ret} is its length
 * with the line end, 0 at the end of the stream.  Without a line end within
 * ${limit} bytes, it gives what there is, which is more than ${limit}.
 */
static int find_line(
    struct stream *stream, size_t offset, size_t limit, size_t *ret, rh_error *error)
{
	size_t searched = 0;

	for (;;) {
		const char *line = stream->buffer + stream->start + offset;
		size_t have = stream->end - stream->start - offset;
		const char *found =
		    have == 0 ? NULL : memchr(line + searched, '\n', have - searched);
		int code;

		if (found != NULL) {
			*ret = (size_t)(found - line) + 1;
			return RH_OK;
		}
		if (stream->at_end || have > limit) {
			*ret = have;
			return RH_OK;
		}
		searched = have;
		code = read_more(stream, error);
		if (code != RH_OK)
			return code;
	}
}

/* Passes ${length} bytes. */
static void pass(struct stream *stream, size_t length)
{
	const char *at = stream->buffer + stream->start, *end = at + length;

	while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		stream->line++;
		at++;
	}
	stream->start += length;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t trimmed(const char *text, size_t length)
{
	while (length > 0 && is_blank(text[length - 1]))
		length--;
	return length;
}

static bool ends_with(const char *text, size_t length, const char *end)
{
	size_t size = strlen(end);

	return length >= size && memcmp(text + length - size, end, size) == 0;
}

/* Looks for the outermost element, as long as it was not seen. */
static void find_root(struct stream *stream, const char *line, size_t length, bool *seen)
{
	static const char tag[] = "<LICENSE", response[] = "<LICENSERESPONSE";
	const char *found = *seen ? NULL : memmem(line, length, tag, sizeof tag - 1);

	if (found == NULL)
		return;
	*seen = true;
	stream->xml_response = (size_t)(line + length - found) >= sizeof response - 1 &&
			       memcmp(found, response, sizeof response - 1) == 0;
}

static bool ends_xml(const struct stream *stream, const char *line, size_t length)
{
	length = trimmed(line, length);
	return ends_with(line, length, "</LICENSERESPONSE>") ||
	       (!stream->xml_response && ends_with(line, length, "</LICENSE>"));
}

/* Passes what is left of a record that was too big. */
static int pass_rest(struct stream *stream, rh_error *error)
{
	size_t length;
	int code;

	while (stream->passing != PASS_NOTHING) {
		code = find_line(stream, 0, READ_SIZE, &length, error);
		if (code != RH_OK)
			return code;
		if (length == 0)
			break;
		if (stream->passing == PASS_LINE
			? stream->buffer[stream->start + length - 1] == '\n'
			: ends_xml(stream, stream->buffer + stream->start, length))
			stream->passing = PASS_NOTHING;
		pass(stream, length);
	}
	stream->passing = PASS_NOTHING;
	return RH_OK;
}

/* Passes the record that was given, blank lines, and a byte order mark. */
static int find_record(struct stream *stream, size_t *ret_line, rh_error *error)
{
	size_t length;
	int code;

	pass(stream, stream->record);
	stream->record = 0;
	json_decref(stream->json);
	stream->json = NULL;
	code = pass_rest(stream, error);
	while (code == RH_OK) {
		code = find_line(stream, 0, RECORD_MAX, &length, error);
		if (code == RH_OK && stream->line == 1 && length >= 3 &&
		    memcmp(stream->buffer + stream->start, "\xEF\xBB\xBF", 3) == 0) {
			stream->start += 3;
			continue;
		}
		if (code != RH_OK || length == 0 ||
		    trimmed(stream->buffer + stream->start, length) > 0)
			break;
		pass(stream, length);
	}
	*ret_line = length;
	return code;
}

/* How far a JSON object is, over the lines that it takes. */
struct scan {
	size_t depth;
	bool in_string;
	bool escaped;
};

static void scan_json(struct scan *scan, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if (scan->escaped)
			scan->escaped = false;
		else if (scan->in_string && c == '\\')
			scan->escaped = true;
		else if (c == '"')
			scan->in_string = !scan->in_string;
		else if (!scan->in_string && c == '{')
			scan->depth++;
		else if (!scan->in_string && c == '}' && scan->depth > 0)
			scan->depth--;
	}
}

/*
 * Gathers the lines of one record from its first one; ${*ret} is its length, over
 * ${limit} if it was not all gathered.
 */
static int gather_json(
    struct stream *stream, size_t line, size_t limit, size_t *ret, rh_error *error)
{
	const char *first = stream->buffer + stream->start;
	struct scan scan = {0};
	size_t length = 0;
	int code;

	/* Most objects are one line. */
	if (line <= limit && ends_with(first, trimmed(first, line), "}"))
		stream->json = json_loadb(first, line, 0, NULL);
	if (stream->json != NULL) {
		*ret = line;
		return RH_OK;
	}
	for (;;) {
		scan_json(&scan, stream->buffer + stream->start + length, line);
		length += line;
		/* No string goes over a line end: this object is broken. */
		if (scan.depth == 0 || scan.in_string || length > limit)
			break;
		code = find_line(stream, length, limit - length, &line, error);
		if (code != RH_OK)
			return code;
		/* The next object starts, and the one before never ended. */
		if (line == 0 || stream->buffer[stream->start + length] == '{')
			break;
	}
	*ret = length;
	return RH_OK;
}

static int gather_xml(
    struct stream *stream, size_t line, size_t limit, size_t *ret, rh_error *error)
{
	bool seen = false;
	size_t length = 0;
	int code;

	stream->xml_response = false;
	for (;;) {
		const char *text = stream->buffer + stream->start + length;

		find_root(stream, text, line, &seen);
		length += line;
		if (ends_xml(stream, text, line) || length > limit)
			break;
		code = find_line(stream, length, limit - length, &line, error);
		if (code != RH_OK)
			return code;
		if (line == 0)
			break;
	}
	*ret = length;
	return RH_OK;
}

/* The body of the record, if it is an object that has one. */
static void take_body(struct stream *stream, rh_document *document)
{
	json_t *body;

	if (stream->json == NULL)
		stream->json = json_loadb(document->data, document->size, 0, NULL);
	body = json_object_get(stream->json, "body");
	if (!json_is_string(body)) {
		json_decref(stream->json);
		stream->json = NULL;
		return;
	}
	document->data = json_string_value(body);
	document->size = json_string_length(body);
}

int stream_next(struct stream *stream, rh_document *ret_document, rh_error *error)
{
	size_t line, length, blank = 0, limit = RH_LICENSE_MAX;
	enum passing passing = PASS_LINE;
	const char *text;
	int code;

	code = find_record(stream, &line, error);
	if (code != RH_OK)
		return -1;
	if (line == 0)
		return 0;
	text = stream->buffer + stream->start;
	while (is_blank(text[blank]))
		blank++;
	length = line;
	if (text[blank] == '{') {
		limit = RECORD_MAX;
		code = gather_json(stream, line, limit, &length, error);
	} else if (text[blank] == '<') {
		passing = PASS_XML;
		code = gather_xml(stream, line, limit, &length, error);
	}
	if (code != RH_OK)
		return -1;
	snprintf(stream->label, sizeof stream->label, "%s:%llu", stream->name,
	    (unsigned long long)stream->line);
	text = stream->buffer + stream->start;
	*ret_document =
	    (rh_document){.data = text, .size = trimmed(text, length), .name = stream->label};
	stream->record = length;
	if (text[blank] == '{' && length <= limit)
		take_body(stream, ret_document);
	/* A line end closes what came with it; else the rest is still to pass. */
	if (length > limit && !(passing == PASS_LINE && text[length - 1] == '\n') &&
	    !(passing == PASS_XML && ends_xml(stream, text, length)))
		stream->passing = passing;
	if (ret_document->size > RH_LICENSE_MAX)
		ret_document->size = RH_LICENSE_MAX + 1;
	return 1;
}
