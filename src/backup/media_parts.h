#ifndef BACKUP_MEDIA_PARTS_H
#define BACKUP_MEDIA_PARTS_H

#include "backup/media.h"

/* What the files of media share; nobody else includes it. */

/* ---- media_mount.c: /proc/self/mountinfo ---- */

struct mount {
	uint64_t id;
	dev_t number; /* of the file system; of some, such as btrfs, no device's */
	bool read_only;
	char point[PATH_MAX];
	char source[256]; /* "/dev/sdb1" */
	char type[64];
};

/*
 * Where the absolute ${path} without links, of the device ${number}, is mounted; false if it is
 * not known.
 */
bool mount_find(const char *root, const char *path, dev_t number, struct mount *ret);
/* What is mounted at ${point}; of several the last one, which hides the others. */
bool mount_at(const char *root, const char *point, struct mount *ret);

/* ---- media_disk.c: /sys ---- */

/* Fills in what sysfs says of the device that is mounted. */
void disk_look(const char *root, const struct mount *mount, struct medium *medium);
/* false if ${disk} is not there, or is another one by now. */
bool disk_there(const char *root, const char *disk, uint64_t sequence);

/* Copies text from outside, whatever it holds: one line, trimmed, UTF-8. */
void media_text(char *target, size_t capacity, const char *source);

#endif
