#ifndef BACKUP_MEDIA_H
#define BACKUP_MEDIA_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * What lies under a path: from /proc/self/mountinfo (proc(5)), statvfs(3) and sysfs, without
 * any daemon and without opening the device.
 */

enum medium_kind {
	MEDIUM_OTHER,
	MEDIUM_USB, /* a stick or a disk on USB */
	MEDIUM_CARD, /* a memory card (mmc) */
	MEDIUM_DISK, /* built in */
	MEDIUM_LOOP, /* a file */
	MEDIUM_MEMORY, /* tmpfs, ramfs */
	MEDIUM_NETWORK, /* NFS, SMB, ... */
	MEDIUM_KIND_COUNT
};

/*
 * Texts are UTF-8 without control characters, cut to fit; "" is unknown.  The mount point is a
 * path, byte for byte.
 */
struct medium {
	enum medium_kind kind;
	bool removable; /* made to be taken away */
	bool stick; /* of USB: no disk in a case */
	bool read_only; /* the mount, the file system, or the device's write protection */
	bool rotational;
	char mount[PATH_MAX]; /* where it is mounted */
	char device[256]; /* as mounted: "/dev/sdb1" */
	char disk[64]; /* the whole device in sysfs: "sdb" */
	char name[128]; /* vendor and model: "SANDISK Cruzer Blade" */
	char file_system[64]; /* of the mount: "exfat", "vfat", "ext4", "fuse.sshfs" */
	dev_t number; /* st_dev of the path */
	uint64_t mount_id; /* as long as it is mounted */
	uint64_t sequence; /* of the disk, another one each time it comes; 0: unknown */
	uint64_t bytes_total;
	uint64_t bytes_free; /* as df(1) tells */
	uint64_t bytes_usable; /* more, if this user may take what is reserved for root */
	uint64_t file_max; /* bytes of one file; 0: no limit that matters */
};

/*
 * Looks at what ${path}, which exists, lies on.  ${root} is put in front of
 * "/proc/self/mountinfo" and "/sys" ("" is usual; tests name a directory).  What cannot be
 * found out is unknown, and no failure: RH_E_NO_DIRECTORY, RH_E_OPEN, RH_E_MEMORY.
 */
int medium_look(const char *path, const char *root, struct medium *ret, rh_error *error);

/* In words for people: "USB stick SANDISK Cruzer, exFAT, 12.0 GiB free"; ${size} bytes. */
void medium_describe(const struct medium *medium, char *text, size_t size);

/* Its name as people write it: "exFAT". */
const char *medium_file_system(const struct medium *medium);

/* A word for JSON: "usb", "card", "disk", "loop", "memory", "network", "other". */
const char *medium_kind_name(enum medium_kind kind);

/* Whether both lie on one whole device (partitions of one disk do), as far as is known. */
bool medium_same_disk(const struct medium *a, const struct medium *b);

/*
 * Asked after something failed: whether the medium was taken away since medium_look: its device
 * is no longer in sysfs, or nothing, or something else, is mounted where it was.
 */
bool medium_gone(const struct medium *medium, const char *root);
/* The same: whether it was writable then, and is no longer, as after an error of the device. */
bool medium_turned_read_only(const struct medium *medium, const char *root);

#endif
