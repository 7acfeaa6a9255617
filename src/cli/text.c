#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "cli/text.h"

#define REPLACEMENT 0xFFFDu
#define ELLIPSIS "\xE2\x80\xA6"

/*
 * Reads one character of UTF-8 (RFC 3629, section 4) and moves ${*text} past
 * it; REPLACEMENT for a byte that starts none.
 */
static uint32_t next_character(const unsigned char **text)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *at = *text;
	uint32_t value = at[0];
	size_t length = value < 0x80                    ? 1
			: value >= 0xC2 && value < 0xE0 ? 2
			: value >= 0xE0 && value < 0xF0 ? 3
			: value >= 0xF0 && value < 0xF5 ? 4
							: 0;

	*text = at + 1;
	if (length == 0)
		return REPLACEMENT;
	if (length == 1)
		return value;
	value &= 0x7Fu >> length;
	for (size_t i = 1; i < length; i++) {
		if ((at[i] & 0xC0) != 0x80)
			return REPLACEMENT;
		value = value << 6 | (at[i] & 0x3F);
	}
	if (value < least[length] || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
		return REPLACEMENT;
	*text = at + length;
	return value;
}

/* Controls (C0, DEL, C1), line separators, and marks and overrides of direction. */
static bool is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x061C ||
	       (c >= 0x200E && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) ||
	       (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;
}

static size_t put_character(char *text, uint32_t c)
{
	if (c < 0x80) {
		text[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		text[0] = (char)(0xC0 | c >> 6);
		text[1] = (char)(0x80 | (c & 0x3F));
		return 2;
	}
	if (c < 0x10000) {
		text[0] = (char)(0xE0 | c >> 12);
		text[1] = (char)(0x80 | (c >> 6 & 0x3F));
		text[2] = (char)(0x80 | (c & 0x3F));
		return 3;
	}
	text[0] = (char)(0xF0 | c >> 18);
	text[1] = (char)(0x80 | (c >> 12 & 0x3F));
	text[2] = (char)(0x80 | (c >> 6 & 0x3F));
	text[3] = (char)(0x80 | (c & 0x3F));
	return 4;
}

char *text_safe(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	/* A byte becomes at most the three bytes of U+FFFD. */
	char *safe = malloc(strlen(text) * 3 + 1);
	size_t used = 0;

	if (safe == NULL)
		return NULL;
	while (*at != '\0') {
		uint32_t c = next_character(&at);

		used += put_character(safe + used, is_unsafe(c) ? REPLACEMENT : c);
	}
	safe[used] = '\0';
	return safe;
}

/* Unassigned and private characters are shown in one column by most terminals. */
static size_t character_width(uint32_t c)
{
	int width = wcwidth((wchar_t)c);

	return width < 0 ? 1 : (size_t)width;
}

size_t text_width(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t width = 0;

	while (*at != '\0')
		width += character_width(next_character(&at));
	return width;
}

char *text_fit(const char *text, size_t width, int pad)
{
	char *safe = text_safe(text);
	size_t taken = 0, length = 0;
	const unsigned char *at;
	char *fit;

	if (safe == NULL)
		return NULL;
	taken = text_width(safe);
	length = strlen(safe);
	if (taken > width && width > 0) {
		taken = 0;
		at = (const unsigned char *)safe;
		for (;;) {
			const unsigned char *before = at;
			size_t next = character_width(next_character(&at));

			if (taken + next > width - 1) {
				length = (size_t)(before - (const unsigned char *)safe);
				break;
			}
			taken += next;
		}
		fit = malloc(length + sizeof ELLIPSIS + width);
		if (fit == NULL)
			goto done;
		memcpy(fit, safe, length);
		memcpy(fit + length, ELLIPSIS, sizeof ELLIPSIS - 1);
		length += sizeof ELLIPSIS - 1;
		taken++;
	} else {
		fit = malloc(length + width + 1);
		if (fit == NULL)
			goto done;
		memcpy(fit, safe, length);
	}
	while (pad && taken < width) {
		fit[length++] = ' ';
		taken++;
	}
	fit[length] = '\0';
done:
	free(safe);
	return fit;
}

size_t text_columns(int fd)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	unsigned long value;

	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	value = columns == NULL ? 0 : strtoul(columns, NULL, 10);
	return value >= 20 && value <= 1000 ? value : 80;
}

const char *text_bytes(char text[TEXT_SIZE], uint64_t bytes)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(text, TEXT_SIZE, "%u byte%s", (unsigned)bytes, bytes == 1 ? "" : "s");
		return text;
	}
	while (value >= 1023.95 && unit + 1 < sizeof units / sizeof units[0]) {
		value /= 1024;
		unit++;
	}
	snprintf(text, TEXT_SIZE, "%.1f %s", value, units[unit]);
	return text;
}

const char *text_number(char text[TEXT_SIZE], uint64_t number)
{
	char digits[TEXT_SIZE];
	size_t length, used = 0;

	length = (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
	for (size_t i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			text[used++] = ',';
		text[used++] = digits[i];
	}
	text[used] = '\0';
	return text;
}

static const char *time_text(char text[TEXT_SIZE], int64_t when, const char *format)
{
	time_t seconds = (time_t)when;
	struct tm utc;

	if (gmtime_r(&seconds, &utc) == NULL || strftime(text, TEXT_SIZE, format, &utc) == 0)
		snprintf(text, TEXT_SIZE, "%lld", (long long)when);
	return text;
}

const char *text_time(char text[TEXT_SIZE], int64_t time)
{
	return time_text(text, time, "%Y-%m-%dT%H:%M:%SZ");
}

const char *text_minute(char text[TEXT_SIZE], int64_t time)
{
	return time_text(text, time, "%Y-%m-%d %H:%M UTC");
}

const char *text_day(char text[TEXT_SIZE], int64_t time)
{
	return time_text(text, time, "%Y-%m-%d");
}
