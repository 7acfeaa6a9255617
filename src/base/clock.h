#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Seconds since 1970-01-01T00:00:00Z. */
int64_t clock_now(void);

/* Nanoseconds of a clock that never jumps. */
uint64_t clock_monotonic(void);

/* Seconds since this computer was started, those asleep included. */
int64_t clock_boot(void);

#define CLOCK_BOOT_ID_SIZE 37 /* a UUID and NUL */

/* Names this run of the kernel, so that two values of clock_boot can be compared; "" if
 * unknown. */
void clock_boot_id(char id[CLOCK_BOOT_ID_SIZE]);

#define TIME_TEXT_SIZE 32

/* RFC 3339 in UTC: "2026-11-22T15:10:00Z"; "" for RH_TIME_NONE. */
void time_format(char text[TIME_TEXT_SIZE], int64_t time);

/*
 * Reads an RFC 3339 / ISO 8601 date or date-time (a fraction is dropped, an
 * offset applied, no offset means UTC).  false if it is none.
 */
bool time_parse(const char *text, size_t length, int64_t *ret);

/*
 * Seconds from a UTC date and time; false if a field is out of range.
 */
bool time_from_utc(
    int year, int month, int day, int hour, int minute, int second, int64_t *ret);

#endif
