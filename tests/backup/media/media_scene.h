#ifndef TESTS_MEDIA_SCENE_H
#define TESTS_MEDIA_SCENE_H

#include "backup/media.h"

/*
 * Media that look, in /proc and /sys below ${top}, like those of real computers.  The directory
 * that is looked at is real: ${media}.
 */
struct scene {
	char top[64];
	char media[96];
	struct medium medium;
};

/* Setup and teardown of a test. */
int scene_open(void **state);
int scene_close(void **state);

/* A file below ${top} with its directories; with a newline behind the text, as sysfs has it. */
void put(const struct scene *scene, const char *name, const char *text);
void put_bytes(const struct scene *scene, const char *name, const void *bytes, size_t size);

/* A link to what is below ${top}; those of sysfs are relative, which makes no difference. */
void put_link(const struct scene *scene, const char *name, const char *target);

/* A device of sysfs, with the links that lead to it. */
void put_device(
    const struct scene *scene, const char *number, const char *name, const char *directory);
void put_attribute(
    const struct scene *scene, const char *directory, const char *name, const char *text);

/* mountinfo: a root, then ${rest} in which each %s is the directory that is looked at. */
void put_mounts(const struct scene *scene, const char *rest);

/* Removes a file, or a directory with all in it. */
void remove_path(const struct scene *scene, const char *name);

/* "sdb", a stick with one partition, "sdb1". */
#define USB                                                                                    \
	"sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0/"      \
	"block/sdb"
void put_stick(const struct scene *scene);

#endif
