#ifndef CLI_RECORD_H
#define CLI_RECORD_H

#include <jansson.h>
#include <stdbool.h>

#include "rehost/rehost.h"

/*
 * What --json writes: compact objects, one a line, on stdout.  Strings are
 * UTF-8; controls and characters that change the direction of writing are
 * escaped, so that a terminal obeys none.
 */

/* Once, before any record; ${wanted}: --json was given. */
void record_start(bool wanted);
bool record_wanted(void);

/* Writes ${object} as one line, flushed, and gives it up; NULL is fine. */
void record_write(json_t *object);

/* The same without the flush, for many in a row. */
void record_write_many(json_t *object);

/* A string of any bytes: what is not UTF-8 becomes U+FFFD. */
json_t *record_text(const char *text);

/* The same, null for "". */
json_t *record_text_or_null(const char *text);

/* RFC 3339, null for RH_TIME_NONE. */
json_t *record_time(int64_t time);

/* Puts "code", "hresult", "message" and "next_step" into ${object}. */
void record_code(json_t *object, int code, const char *next_step);

/* {"error": {...}} if --json was given. */
void record_error(const rh_error *error);

/*
 * A licence as `rehost list --json` writes it: nothing that differs between two
 * stores that hold the same licences.
 */
json_t *record_license(const rh_license *license);

/* Words for enum rh_class and enum rh_right. */
const char *record_class(int license_class);
const char *record_right(int right);

#endif
