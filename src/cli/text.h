#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>

/*
 * Text for people.  What comes from licences, files and the command line may hold
 * anything; whatever is shown goes through text_safe, so that no terminal
 * obeys it.  Output is UTF-8 whatever the locale.
 */

/*
 * A copy that is valid UTF-8 in one line: what is not, control characters, line
 * separators and characters that change the direction of writing become
 * U+FFFD.  free() it; NULL if there is no memory.
 */
char *text_safe(const char *text);

/* Columns that safe UTF-8 takes on a terminal. */
size_t text_width(const char *text);

/*
 * A safe copy of any text that takes at most ${width} columns, shortened with
 * "…" if need be, and exactly ${width} if ${pad}.  free() it; NULL if there is no memory.
 */
char *text_fit(const char *text, size_t width, int pad);

/* Columns of the terminal behind ${fd}; $COLUMNS or 80 if it does not tell. */
size_t text_columns(int fd);

#define TEXT_SIZE 32

/* "812 bytes", "2.1 KiB", "3.4 GiB" */
const char *text_bytes(char text[TEXT_SIZE], uint64_t bytes);

/* Thousands apart: "1,234,567" */
const char *text_number(char text[TEXT_SIZE], uint64_t number);

/* RFC 3339, as in "2026-11-22T15:10:00Z". */
const char *text_time(char text[TEXT_SIZE], int64_t time);

/* For people: "2026-11-22 15:10 UTC" and "2026-11-22". */
const char *text_minute(char text[TEXT_SIZE], int64_t time);
const char *text_day(char text[TEXT_SIZE], int64_t time);

#endif
