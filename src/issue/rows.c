#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/text.h"
#include "cli/interrupt.h"
#include "issue/fields.h"
#include "issue/rows.h"

#define COLUMNS_MAX 64
#define TAG_SIZE 64

struct column {
	const struct field *field;
	char tag[TAG_SIZE]; /* language of a title, or "" */
};

struct rows {
	int fd;
	const char *name;
	uint8_t *cache; /* bytes [at, end) were read and not taken yet */
	size_t at;
	size_t end;
	int errnum; /* of a read that failed, or 0 */
	char *text; /* one row: ROW_MAX + 1 bytes */
	size_t used;
	uint64_t line; /* of the next byte */
	uint64_t row_line;
	bool is_json;
	bool begun; /* the first character was seen */
	struct column columns[COLUMNS_MAX];
	size_t column_count;
};

#define CACHE_SIZE (64u * 1024)

int rows_open(const char *path, struct rows **ret, rh_error *error)
{
	struct rows *rows = calloc(1, sizeof *rows);
	int code;

	if (rows == NULL)
		return error_memory(error);
	rows->fd = -1;
	rows->line = 1;
	rows->name = strcmp(path, "-") == 0 ? "standard input" : path;
	rows->text = malloc(ROW_MAX + 1);
	rows->cache = malloc(CACHE_SIZE);
	if (rows->text == NULL || rows->cache == NULL) {
		code = error_memory(error);
		goto failed;
	}
	rows->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (rows->fd < 0) {
		code = error_errno(error, RH_E_OPEN, errno, "%s", path);
		goto failed;
	}
	*ret = rows;
	return RH_OK;
failed:
	rows_close(rows);
	return code;
}

void rows_close(struct rows *rows)
{
	if (rows == NULL)
		return;
	if (rows->fd > STDIN_FILENO)
		close(rows->fd);
	if (rows->cache != NULL)
		bytes_wipe(rows->cache, CACHE_SIZE);
	if (rows->text != NULL)
		bytes_wipe(rows->text, ROW_MAX + 1);
	free(rows->cache);
	free(rows->text);
	free(rows);
}

bool rows_can_rewind(const struct rows *rows)
{
	return rows->fd != STDIN_FILENO && lseek(rows->fd, 0, SEEK_CUR) >= 0;
}

int rows_rewind(struct rows *rows, rh_error *error)
{
	if (lseek(rows->fd, 0, SEEK_SET) != 0)
		return error_errno(error, RH_E_READ, errno, "%s", rows->name);
	rows->at = rows->end = 0;
	rows->line = 1;
	rows->begun = false;
	rows->column_count = 0;
	return RH_OK;
}

const char *rows_name(const struct rows *rows)
{
	return rows->name;
}

uint64_t rows_line(const struct rows *rows)
{
	return rows->row_line;
}

void rows_blame(const char *name, uint64_t line, rh_error *error)
{
	char text[sizeof error->text];

	memcpy(text, error->text, sizeof text);
	snprintf(error->text, sizeof error->text, "%.200s:%llu: %.780s", name,
	    (unsigned long long)line, text);
}

static int blame(const struct rows *rows, int code, rh_error *error)
{
	rows_blame(rows->name, rows->row_line, error);
	return code;
}

static int invalid(const struct rows *rows, rh_error *error, const char *what)
{
	return blame(rows, error_set(error, RH_E_LICENSE_INVALID, "%s", what), error);
}

/* Reads more; false at the end, on a failure, and when somebody wants to stop. */
static bool fill(struct rows *rows)
{
	ssize_t got;

	do {
		if (!interrupt_wait_readable(rows->fd))
			return false;
		got = read(rows->fd, rows->cache, CACHE_SIZE);
	} while (got < 0 && (errno == EINTR || errno == EAGAIN));
	rows->errnum = got < 0 ? errno : 0;
	rows->at = 0;
	rows->end = got < 0 ? 0 : (size_t)got;
	return got > 0;
}

static int peek_byte(struct rows *rows)
{
	return rows->at < rows->end || fill(rows) ? rows->cache[rows->at] : EOF;
}

static int next_byte(struct rows *rows)
{
	int c = peek_byte(rows);

	rows->at += c != EOF;
	rows->line += c == '\n';
	return c;
}

static bool put(struct rows *rows, int c)
{
	if (rows->used == ROW_MAX)
		return false;
	rows->text[rows->used++] = (char)c;
	return true;
}

/* After the last byte: the file ended, did not read, or somebody wants to stop. */
static int check_end(const struct rows *rows, rh_error *error)
{
	if (interrupt_asked(NULL))
		return error_set(error, RH_E_CANCELED, "stopped reading %s", rows->name);
	if (rows->errnum != 0)
		return error_errno(error, RH_E_READ, rows->errnum, "%s", rows->name);
	return RH_OK;
}

/* ---- JSON ---- */

/* One line that is not blank; ${rows->used} is 0 at the end. */
static int read_line(struct rows *rows, rh_error *error)
{
	bool blank = true;
	int c;

	rows->used = 0;
	rows->row_line = rows->line;
	while ((c = next_byte(rows)) != EOF) {
		if (c == '\n' && !blank)
			break;
		if (c == '\n') {
			rows->used = 0;
			rows->row_line = rows->line;
			continue;
		}
		blank = blank && (c == ' ' || c == '\t' || c == '\r');
		if (!put(rows, c))
			return invalid(rows, error, "a line of more than 1 MiB");
	}
	if (blank)
		rows->used = 0;
	return check_end(rows, error);
}

static int next_json(struct rows *rows, json_t **ret, rh_error *error)
{
	json_error_t broken;
	char what[64];
	json_t *row;
	int code = read_line(rows, error);

	if (code != RH_OK || rows->used == 0) {
		*ret = NULL;
		return code;
	}
	row = json_loadb(rows->text, rows->used, JSON_REJECT_DUPLICATES, &broken);
	if (row == NULL) {
		snprintf(what, sizeof what, "not JSON: column %d", broken.column);
		return invalid(rows, error,
		    json_error_code(&broken) == json_error_duplicate_key
			? "a member stands twice"
			: what);
	}
	if (!json_is_object(row))
		code = invalid(rows, error, "not a JSON object");
	if (code == RH_OK) {
		code = fields_check_row(row, error);
		if (code != RH_OK)
			blame(rows, code, error);
	}
	if (code == RH_OK)
		*ret = row;
	else
		json_decref(row);
	return code;
}

/* ---- CSV ---- */

/* What ends a field. */
enum field_end { END_FIELD, END_ROW, END_FILE, END_BROKEN };

/*
 * Appends one field and NUL to the text (RFC 4180, section 2): in quotes, two quotes stand
 * for one, and line ends for themselves.
 */
static enum field_end read_field(struct rows *rows, const char **ret_what)
{
	bool fits = true, quoted = false;
	int c = next_byte(rows);

	if (c == '"') {
		quoted = true;
		for (;;) {
			c = next_byte(rows);
			if (c == '"' && (c = next_byte(rows)) != '"')
				break;
			if (c == EOF) {
				*ret_what = "a quote that does not end";
				return END_BROKEN;
			}
			if (c == '\0') {
				*ret_what = "a NUL byte";
				return END_BROKEN;
			}
			fits = fits && put(rows, c);
		}
	}
	while (c != ',' && c != '\n' && c != EOF) {
		if (c == '\r') {
			c = next_byte(rows);
			fits = fits && (c == '\n' || c == EOF || put(rows, '\r'));
			continue;
		}
		if (c == '"' || c == '\0' || quoted) {
			*ret_what = c == '\0'  ? "a NUL byte"
				    : c == '"' ? "a quote inside a field without quotes"
					       : "text behind a closing quote";
			return END_BROKEN;
		}
		fits = fits && put(rows, c);
		c = next_byte(rows);
	}
	if (!fits || !put(rows, '\0')) {
		*ret_what = "a row of more than 1 MiB";
		return END_BROKEN;
	}
	return c == ',' ? END_FIELD : c == '\n' ? END_ROW : END_FILE;
}

/*
 * Reads a row into the text, its fields one behind the other; ${*ret} is how many, 0 at the
 * end.  Blank lines are passed over.
 */
static int read_csv(struct rows *rows, size_t *ret, rh_error *error)
{
	const char *what = NULL;
	enum field_end end;
	size_t count;

	do {
		rows->used = 0;
		rows->row_line = rows->line;
		count = 0;
		do {
			end = read_field(rows, &what);
			count++;
		} while (end == END_FIELD);
		if (end == END_BROKEN && check_end(rows, error) != RH_OK)
			return error->code;
		if (end == END_BROKEN)
			return invalid(rows, error, what);
	} while (end == END_ROW && count == 1 && rows->text[0] == '\0');
	*ret = end == END_FILE && count == 1 && rows->text[0] == '\0' ? 0 : count;
	return check_end(rows, error);
}

static int read_column(struct rows *rows, char *name, rh_error *error)
{
	struct column *column = &rows->columns[rows->column_count];
	char *tag = strchr(name, ':'), what[96];

	if (tag != NULL)
		*tag++ = '\0';
	column->field = field_find(name);
	column->tag[0] = '\0';
	if (column->field == NULL ||
	    (tag != NULL && (column->field->kind != FIELD_TITLE || strlen(tag) >= TAG_SIZE ||
				!field_is_tag(tag, strlen(tag))))) {
		snprintf(what, sizeof what, "no such column: %.32s%s%.32s", name,
		    tag == NULL ? "" : ":", tag == NULL ? "" : tag);
		return invalid(rows, error, what);
	}
	if (tag != NULL)
		strcpy(column->tag, tag);
	for (size_t i = 0; i < rows->column_count; i++)
		if (rows->columns[i].field == column->field &&
		    strcmp(rows->columns[i].tag, column->tag) == 0) {
			snprintf(what, sizeof what, "two columns %.32s", name);
			return invalid(rows, error, what);
		}
	rows->column_count++;
	return RH_OK;
}

static int read_header(struct rows *rows, rh_error *error)
{
	size_t count = 0;
	int code = read_csv(rows, &count, error);
	char *name = rows->text;

	if (code == RH_OK && count > COLUMNS_MAX)
		return invalid(rows, error, "more than 64 columns");
	for (size_t i = 0; code == RH_OK && i < count; i++) {
		char *next = name + strlen(name) + 1;

		code = read_column(rows, name, error);
		name = next;
	}
	return code;
}

static int add_fields(const struct rows *rows, json_t *row, rh_error *error)
{
	const char *text = rows->text;

	for (size_t i = 0; i < rows->column_count; i++, text += strlen(text) + 1) {
		const struct column *column = &rows->columns[i];
		int code = RH_OK;

		if (text[0] != '\0')
			code = field_add_text(row, column->field,
			    column->tag[0] == '\0' ? NULL : column->tag, text, error);
		if (code != RH_OK)
			return blame(rows, code, error);
	}
	return RH_OK;
}

static int next_csv(struct rows *rows, json_t **ret, rh_error *error)
{
	size_t count = 0;
	char what[64];
	json_t *row;
	int code;

	code = read_csv(rows, &count, error);
	if (code != RH_OK || count == 0) {
		*ret = NULL;
		return code;
	}
	if (count != rows->column_count) {
		snprintf(what, sizeof what, "%zu fields, where the first line names %zu", count,
		    rows->column_count);
		return invalid(rows, error, what);
	}
	row = json_object();
	code = add_fields(rows, row, error);
	if (code == RH_OK)
		*ret = row;
	else
		json_decref(row);
	return code;
}

/* ---- both ---- */

/* Passes a byte order mark and blank lines, and looks which of the two it is. */
static int begin(struct rows *rows, rh_error *error)
{
	int c = peek_byte(rows);

	rows->row_line = 1;
	if (c == 0xEF) {
		next_byte(rows);
		if (next_byte(rows) != 0xBB || next_byte(rows) != 0xBF)
			return invalid(rows, error, "neither CSV nor JSON");
	}
	while ((c = peek_byte(rows)) == '\n' || c == '\r' || c == ' ')
		next_byte(rows);
	rows->row_line = rows->line;
	rows->begun = true;
	rows->is_json = c == '{';
	if (c == EOF)
		return check_end(rows, error);
	return rows->is_json ? RH_OK : read_header(rows, error);
}

int rows_next(struct rows *rows, json_t **ret, rh_error *error)
{
	int code = RH_OK;

	if (!rows->begun)
		code = begin(rows, error);
	if (code != RH_OK)
		return code;
	return rows->is_json ? next_json(rows, ret, error) : next_csv(rows, ret, error);
}
