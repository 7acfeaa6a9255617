#ifndef ISSUE_FIELDS_H
#define ISSUE_FIELDS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"

/*
 * What a licence may say: the claims of the signed licence (src/license/FORMATS.md), as
 * columns of CSV, members of a line of JSON, and options.  Beside them "computer" and
 * "content_key", which become claims of other forms.
 */
enum field_kind {
	FIELD_TEXT,
	FIELD_ID,
	FIELD_KEY_ID,
	FIELD_TIME,
	FIELD_TITLE,
	FIELD_ACTIONS,
	FIELD_BOOLEAN,
	FIELD_INTEGER,
	FIELD_SERVICE,
	FIELD_NAMES,
	FIELD_COMPUTER,
	FIELD_KEY
};

struct field {
	const char *name; /* the claim */
	const char *alias; /* another name in input; NULL: none */
	enum field_kind kind;
	int64_t min, max; /* of a number, or of bytes of text */
};

#define CONTENT_KEY_MAX 4096 /* bytes */
#define TITLE_MAX 16384 /* bytes of one text */
#define ACTIONS_MAX 16
#define COUNTED_MAX 8
#define TIME_MAX INT64_C(253402300799) /* the year 9999 */
#define DEPTH_MAX 16 /* levels of JSON in claims */

/* In the order in which claims are written. */
extern const struct field fields[];
extern const size_t field_count;

/* By name or alias, NULL if there is none. */
const struct field *field_find(const char *name);

/*
 * Adds the value that ${text} writes to the row.  ${tag}: language of a title, or NULL.
 * What is there already is an error, but for titles of other languages and other actions.
 */
int field_add_text(
    json_t *row, const struct field *field, const char *tag, const char *text, rh_error *error);

/*
 * Whether a value is of the field's form.  ${strict}: as an issuer should write it, and
 * not only such that it is understood.
 */
int field_check(const struct field *field, const json_t *value, bool strict, rh_error *error);
/* "FIELD: what is wrong" */
int field_invalid(rh_error *error, const struct field *field, const char *what);

/* Reads a time: RFC 3339, a date, or seconds since 1970. */
bool field_time(const char *text, int64_t *ret);

/*
 * Checks a row of JSON and brings it into the form of FORMATS.md: names in place of
 * aliases, times in seconds.
 */
int fields_check_row(json_t *row, rh_error *error);

/*
 * The same for the claims of a licence: no aliases, names of any form pass.
 * RH_E_LICENSE_CRITICAL if "crit" names something unknown.
 */
int fields_check_claims(json_t *claims, rh_error *error);

/* What members must be like together, once all of them are there. */
int fields_check_whole(const json_t *row, bool has_computer, bool strict, rh_error *error);

/* Whether the text holds no control characters. */
bool field_is_plain(const char *text);

/* Whether ${text} is a language tag as far as it can be told (BCP 47). */
bool field_is_tag(const char *text, size_t length);

#endif
