#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

int64_t clock_now(void)
{
	return (int64_t)time(NULL);
}

uint64_t clock_monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int64_t clock_boot(void)
{
	struct timespec now;

	return clock_gettime(CLOCK_BOOTTIME, &now) == 0 ? (int64_t)now.tv_sec : 0;
}

void clock_boot_id(char id[CLOCK_BOOT_ID_SIZE])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t size = fd >= 0 ? read(fd, id, CLOCK_BOOT_ID_SIZE - 1) : -1;

	if (fd >= 0)
		close(fd);
	id[size == CLOCK_BOOT_ID_SIZE - 1 ? size : 0] = '\0';
}

void time_format(char text[TIME_TEXT_SIZE], int64_t time)
{
	time_t seconds = (time_t)time;
	struct tm fields;

	text[0] = '\0';
	if (time == INT64_MIN || gmtime_r(&seconds, &fields) == NULL)
		return;
	if (fields.tm_year < 1 - 1900 || fields.tm_year > 9999 - 1900)
		return;
	snprintf(text, TIME_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02dZ",
	    (fields.tm_year + 1900) % 10000, (fields.tm_mon + 1) % 100, fields.tm_mday % 100,
	    fields.tm_hour % 100, fields.tm_min % 100, fields.tm_sec % 100);
}

static bool leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

bool time_from_utc(int year, int month, int day, int hour, int minute, int second, int64_t *ret)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	struct tm fields = {0};

	if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1)
		return false;
	if (day > days[month - 1] + (month == 2 && leap(year)))
		return false;
	/* A leap second (60) counts as the second after it. */
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
		return false;
	fields.tm_year = year - 1900;
	fields.tm_mon = month - 1;
	fields.tm_mday = day;
	fields.tm_hour = hour;
	fields.tm_min = minute;
	fields.tm_sec = second;
	*ret = (int64_t)timegm(&fields);
	return true;
}

/* Reads ${count} digits at ${*at}, -1 if they are not there. */
static int digits(const char *text, size_t length, size_t *at, size_t count)
{
	int value = 0;

	if (length - *at < count)
		return -1;
	for (size_t i = 0; i < count; i++) {
		char c = text[*at + i];
		if (c < '0' || c > '9')
			return -1;
		value = value * 10 + (c - '0');
	}
	*at += count;
	return value;
}

static bool literal(const char *text, size_t length, size_t *at, const char *any_of)
{
	if (*at >= length || strchr(any_of, text[*at]) == NULL || text[*at] == '\0')
		return false;
	(*at)++;
	return true;
}

/* Reads "Z", "+hh:mm", "-hhmm" or nothing; false if something else is there. */
static bool offset(const char *text, size_t length, size_t *at, int *ret_seconds)
{
	int sign, hours, minutes;

	*ret_seconds = 0;
	if (*at == length)
		return true;
	if (literal(text, length, at, "Zz"))
		return *at == length;
	sign = text[*at] == '-' ? -1 : 1;
	if (!literal(text, length, at, "+-"))
		return false;
	hours = digits(text, length, at, 2);
	literal(text, length, at, ":");
	minutes = *at == length ? 0 : digits(text, length, at, 2);
	if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || *at != length)
		return false;
	*ret_seconds = sign * (hours * 3600 + minutes * 60);
	return true;
}

bool time_parse(const char *text, size_t length, int64_t *ret)
{
	int hour = 0, minute = 0, second = 0, shift = 0;
	int year, month, day;
	size_t at = 0;
	int64_t time;

	year = digits(text, length, &at, 4);
	if (!literal(text, length, &at, "-"))
		return false;
	month = digits(text, length, &at, 2);
	if (!literal(text, length, &at, "-"))
		return false;
	day = digits(text, length, &at, 2);
	if (literal(text, length, &at, "Tt ")) {
		hour = digits(text, length, &at, 2);
		if (!literal(text, length, &at, ":"))
			return false;
		minute = digits(text, length, &at, 2);
		if (literal(text, length, &at, ":")) {
			second = digits(text, length, &at, 2);
			if (literal(text, length, &at, ".,"))
				while (at < length && isdigit((unsigned char)text[at]))
					at++;
		}
		if (!offset(text, length, &at, &shift))
			return false;
	}
	if (at != length || !time_from_utc(year, month, day, hour, minute, second, &time))
		return false;
	*ret = time - shift;
	return true;
}
