#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "service/log.h"

#define LINE_MAX_SIZE 4096 /* PIPE_BUF: lines of several processes do not mix */
#define TEXT_MAX 512 /* bytes of a text; what is longer ends with "..." */

struct log {
	int fd;
};

/* A line that grows; what does not fit is left out whole. */
struct line {
	char text[LINE_MAX_SIZE];
	size_t size;
};

int log_new(int fd, struct log **ret, rh_error *error)
{
	struct log *log = malloc(sizeof *log);

	if (log == NULL)
		return error_memory(error);
	log->fd = fd;
	*ret = log;
	return RH_OK;
}

void log_free(struct log *log)
{
	free(log);
}

/* ${text} in JSON, without the quotes; bytes that are no UTF-8 become "?". */
static size_t escape(char *out, const char *text)
{
	size_t size = strnlen(text, TEXT_MAX + 1), used = 0;
	bool cut = size > TEXT_MAX;

	while (cut && (text[size - 1] & 0xC0) == 0x80)
		size--;
	size -= cut;
	for (size_t i = 0; i < size; i++) {
		const unsigned char c = (unsigned char)text[i];
		size_t width = c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;

		if (width > size - i || !utf8_valid(text + i, width)) {
			out[used++] = '?';
		} else if (c == '"' || c == '\\') {
			out[used++] = '\\';
			out[used++] = (char)c;
		} else if (c < 0x20 || c == 0x7F) {
			used += (size_t)sprintf(out + used, "\\u%04x", c);
		} else {
			memcpy(out + used, text + i, width);
			used += width;
			i += width - 1;
		}
	}
	return used + (size_t)sprintf(out + used, "%s", cut ? "..." : "");
}

static void put_text(struct line *line, const char *name, const char *text)
{
	char escaped[6 * TEXT_MAX + 8];
	size_t used, room = sizeof line->text - line->size;
	int written;

	if (text == NULL)
		return;
	used = escape(escaped, text);
	/* Leaves place for the end of the line. */
	if (strlen(name) + used + 8 > room)
		return;
	written = snprintf(line->text + line->size, room, "%s\"%s\":\"%s\"",
	    line->size == 0 ? "{" : ",", name, escaped);
	line->size += (size_t)written;
}

static void put_number(struct line *line, const char *name, double value, int decimals)
{
	const size_t room = sizeof line->text - line->size;

	if (strlen(name) + 40 < room)
		line->size += (size_t)snprintf(
		    line->text + line->size, room, ",\"%s\":%.*f", name, decimals, value);
}

static void begin(struct line *line, enum log_level level, const char *event)
{
	static const char *const levels[] = {"error", "warning", "info"};
	char time[TIME_TEXT_SIZE];

	line->size = 0;
	time_format(time, clock_now());
	put_text(line, "time", time);
	put_text(line, "level", levels[level]);
	put_text(line, "event", event);
}

/* A line that cannot be written is lost: the service goes on. */
static void finish(const struct log *log, struct line *line)
{
	line->text[line->size++] = '}';
	line->text[line->size++] = '\n';
	while (write(log->fd, line->text, line->size) < 0 && errno == EINTR)
		;
}

void log_line(struct log *log, enum log_level level, const char *event, ...)
{
	struct line line;
	const char *name;
	va_list pairs;

	begin(&line, level, event);
	va_start(pairs, event);
	while ((name = va_arg(pairs, const char *)) != NULL)
		put_text(&line, name, va_arg(pairs, const char *));
	va_end(pairs);
	finish(log, &line);
}

void log_request(struct log *log, const struct log_request *request)
{
	struct line line;
	char computer[9];

	snprintf(computer, sizeof computer, "%s", request->computer);
	begin(&line, request->status >= 500 ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "request");
	put_text(&line, "method", request->method);
	put_text(&line, "route", request->route);
	put_number(&line, "status", request->status, 0);
	put_text(&line, "problem", request->problem);
	put_number(&line, "ms", (double)request->nanoseconds / 1e6, 3);
	put_text(&line, "computer", computer[0] == '\0' ? NULL : computer);
	if (request->licenses > 0)
		put_number(&line, "licences", request->licenses, 0);
	if (request->status >= 400)
		put_text(&line, "client", request->client);
	finish(log, &line);
}
