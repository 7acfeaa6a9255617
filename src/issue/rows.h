#ifndef ISSUE_ROWS_H
#define ISSUE_ROWS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Licences to issue, one a row: CSV with a line of names first (RFC 4180), or a JSON object a
 * line; which of them the first character tells.  At most ROW_MAX bytes a row.
 */
#define ROW_MAX (1024u * 1024)

struct rows;

/* ${path}: "-" is standard input.  It stays the caller's. */
int rows_open(const char *path, struct rows **ret, rh_error *error);
void rows_close(struct rows *rows);

/* Whether the rows can be read twice; the second time begins with rows_rewind. */
bool rows_can_rewind(const struct rows *rows);
int rows_rewind(struct rows *rows, rh_error *error);

/*
 * The next row, checked alone (fields_check_row); NULL at the end.  Errors begin with the
 * file's name and the line, as do those made with rows_blame.
 */
int rows_next(struct rows *rows, json_t **ret, rh_error *error);

/* Puts "FILE:LINE: " before the sentence. */
void rows_blame(const char *name, uint64_t line, rh_error *error);

const char *rows_name(const struct rows *rows);
/* Where the row that was given last began. */
uint64_t rows_line(const struct rows *rows);

#endif
