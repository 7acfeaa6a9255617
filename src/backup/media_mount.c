#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "backup/media_parts.h"

/* \040 and the like, in place. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *p = text; *p != '\0'; p++) {
		if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
		    p[3] >= '0' && p[3] <= '7') {
			*to++ = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
			p += 3;
		} else {
			*to++ = *p;
		}
	}
	*to = '\0';
}

static bool has_option(const char *options, const char *name)
{
	size_t length = strlen(name);

	while (options != NULL && *options != '\0') {
		size_t size = strcspn(options, ",");

		if (size == length && memcmp(options, name, length) == 0)
			return true;
		options += options[size] == ',' ? size + 1 : size;
	}
	return false;
}

/* One line, proc_pid_mountinfo(5); it is taken apart. */
static bool parse_line(char *line, struct mount *ret)
{
	enum { ID, PARENT, NUMBER, ROOT, POINT, OPTIONS, FIXED };
	char *field[FIXED], *rest = line, *word, *type, *source;
	unsigned major, minor;

	line[strcspn(line, "\n")] = '\0';
	for (size_t i = 0; i < FIXED; i++)
		if ((field[i] = strsep(&rest, " ")) == NULL)
			return false;
	while ((word = strsep(&rest, " ")) != NULL && strcmp(word, "-") != 0)
		;
	type = strsep(&rest, " ");
	source = strsep(&rest, " ");
	if (type == NULL || source == NULL || sscanf(field[ID], "%" SCNu64, &ret->id) != 1 ||
	    sscanf(field[NUMBER], "%u:%u", &major, &minor) != 2)
		return false;
	unescape(field[POINT]);
	unescape(source);
	unescape(type);
	if (strlen(field[POINT]) >= sizeof ret->point)
		return false;
	ret->number = makedev(major, minor);
	/* "emergency_ro": ext4 after an error (Linux 6.15). */
	ret->read_only = has_option(field[OPTIONS], "ro") || has_option(rest, "ro") ||
			 has_option(rest, "emergency_ro");
	snprintf(ret->point, sizeof ret->point, "%s", field[POINT]);
	media_text(ret->source, sizeof ret->source, source);
	media_text(ret->type, sizeof ret->type, type);
	return true;
}

static bool is_under(const char *path, const char *point)
{
	size_t length = strlen(point);

	if (strcmp(point, "/") == 0)
		return true;
	return strncmp(path, point, length) == 0 &&
	       (path[length] == '\0' || path[length] == '/');
}

static FILE *open_table(const char *root)
{
	char path[PATH_MAX];
	int length = snprintf(path, sizeof path, "%s/proc/self/mountinfo", root);

	return length > 0 && (size_t)length < sizeof path ? fopen(path, "re") : NULL;
}

/*
 * A mount further up may hide one further down that came before it, so the device's number
 * is asked first.  Who has no number of its own in the table (btrfs, some layers) is found
 * by the path alone.
 */
bool mount_find(const char *root, const char *path, dev_t number, struct mount *ret)
{
	FILE *table = open_table(root);
	struct mount mount;
	char *line = NULL;
	size_t capacity = 0;
	bool found = false, sure = false;

	if (table == NULL)
		return false;
	while (getline(&line, &capacity, table) > 0) {
		bool same;

		if (!parse_line(line, &mount) || !is_under(path, mount.point))
			continue;
		same = mount.number == number;
		if (found && (sure != same ? sure : strlen(mount.point) < strlen(ret->point)))
			continue;
		*ret = mount;
		found = true;
		sure = same;
	}
	free(line);
	fclose(table);
	return found;
}

bool mount_at(const char *root, const char *point, struct mount *ret)
{
	FILE *table = open_table(root);
	struct mount mount;
	char *line = NULL;
	size_t capacity = 0;
	bool found = false;

	if (table == NULL)
		return false;
	while (getline(&line, &capacity, table) > 0) {
		if (!parse_line(line, &mount) || strcmp(mount.point, point) != 0)
			continue;
		*ret = mount;
		found = true;
	}
	free(line);
	fclose(table);
	return found;
}
