#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "backup/internal.h"

#define PREFIX "licenses-"
#define SUFFIX ".age"
#define STAMP_LENGTH 16 /* 20261122T151000Z */
#define ID_LENGTH (BACKUP_ID_SIZE - 1)
#define NAME_LENGTH                                                                            \
	(sizeof PREFIX - 1 + STAMP_LENGTH + 1 /* - */ + ID_LENGTH + sizeof SUFFIX - 1)

bool generation_name(char name[BACKUP_NAME_SIZE], int64_t created, const char *id)
{
	time_t time = (time_t)created;
	struct tm utc;
	int written;

	if (created < 0 || gmtime_r(&time, &utc) == NULL || utc.tm_year + 1900 > 9999)
		return false;
	written = snprintf(name, BACKUP_NAME_SIZE,
	    PREFIX "%04d%02d%02dT%02d%02d%02dZ-%s" SUFFIX, utc.tm_year + 1900, utc.tm_mon + 1,
	    utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, id);
	return written == (int)NAME_LENGTH;
}

/* ${count} decimal digits as a number, -1 if they are none. */
static int digits(const char *text, int count)
{
	int value = 0;

	for (int i = 0; i < count; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + (text[i] - '0');
	}
	return value;
}

static bool is_id(const char *text)
{
	for (size_t i = 0; i < ID_LENGTH; i++)
		if (strchr("0123456789abcdef", text[i]) == NULL || text[i] == '\0')
			return false;
	return true;
}

bool generation_parse(const char *name, int64_t *created, char id[BACKUP_ID_SIZE])
{
	const char *stamp = name + sizeof PREFIX - 1;
	const char *id_text = stamp + STAMP_LENGTH + 1;
	char found[BACKUP_ID_SIZE], same[BACKUP_NAME_SIZE];
	int64_t time;

	if (strlen(name) != NAME_LENGTH || strncmp(name, PREFIX, sizeof PREFIX - 1) != 0 ||
	    strcmp(id_text + ID_LENGTH, SUFFIX) != 0 || stamp[8] != 'T' || stamp[15] != 'Z' ||
	    stamp[STAMP_LENGTH] != '-' || !is_id(id_text))
		return false;
	if (!time_from_utc(digits(stamp, 4), digits(stamp + 4, 2), digits(stamp + 6, 2),
		digits(stamp + 9, 2), digits(stamp + 11, 2), digits(stamp + 13, 2), &time))
		return false;
	memcpy(found, id_text, ID_LENGTH);
	found[ID_LENGTH] = '\0';
	/* One time has one name: no 23:59:60. */
	if (!generation_name(same, time, found) || strcmp(name, same) != 0)
		return false;
	if (created != NULL)
		*created = time;
	if (id != NULL)
		memcpy(id, found, sizeof found);
	return true;
}
