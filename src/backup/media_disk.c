#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/text.h"
#include "backup/media_parts.h"

#define ATTRIBUTE_SIZE 512
#define DEPTH_MAX 8 /* devices that lie on each other: LUKS on LVM on RAID */

void media_text(char *target, size_t capacity, const char *source)
{
	char text[ATTRIBUTE_SIZE];
	size_t length, start = 0;

	snprintf(text, sizeof text, "%s", source);
	length = strlen(text);
	/* A cut character at the end is the usual reason. */
	for (size_t i = 0; i < 3 && length > 0 && !utf8_valid(text, length); i++)
		if (strlen(source) > length)
			text[--length] = '\0';
	if (!utf8_valid(text, length))
		for (size_t i = 0; i < length; i++)
			if ((unsigned char)text[i] >= 0x80)
				text[i] = '?';
	while (length > 0 && isspace((unsigned char)text[length - 1]))
		length--;
	while (start < length && isspace((unsigned char)text[start]))
		start++;
	text_copy(target, capacity, text + start, length - start);
}

/* The first bytes of the file ${name} in ${directory}, as text; false if it is not there. */
static bool read_attribute(const char *directory, const char *name, char text[ATTRIBUTE_SIZE])
{
	char path[PATH_MAX], raw[ATTRIBUTE_SIZE];
	ssize_t size;
	int fd;

	text[0] = '\0';
	if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path)
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	size = read(fd, raw, sizeof raw - 1);
	close(fd);
	if (size < 0)
		return false;
	raw[size] = '\0';
	media_text(text, ATTRIBUTE_SIZE, raw);
	return true;
}

static bool attribute_is(const char *directory, const char *name, const char *value)
{
	char text[ATTRIBUTE_SIZE];

	return read_attribute(directory, name, text) && strcmp(text, value) == 0;
}

static bool has_attribute(const char *directory, const char *name)
{
	char text[ATTRIBUTE_SIZE];

	return read_attribute(directory, name, text);
}

static uint64_t read_number(const char *directory, const char *name)
{
	char text[ATTRIBUTE_SIZE];

	return read_attribute(directory, name, text) ? strtoull(text, NULL, 10) : 0;
}

/* What ${name} in ${directory} is, without links. */
static bool resolve(const char *directory, const char *name, char ret[PATH_MAX])
{
	char path[PATH_MAX];

	return snprintf(path, sizeof path, "%s/%s", directory, name) < (int)sizeof path &&
	       realpath(path, ret) != NULL;
}

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* The directory in sysfs of what is mounted. */
static bool find_device(const char *root, const struct mount *mount, char ret[PATH_MAX])
{
	char name[64], source[PATH_MAX];
	dev_t number = mount->number;
	struct stat status;

	if (major(number) == 0) {
		/* btrfs has a number of its own; a source that is a device names it. */
		if (strncmp(mount->source, "/dev/", 5) != 0)
			return false;
		snprintf(source, sizeof source, "%s%s", root, mount->source);
		if (stat(source, &status) != 0 || !S_ISBLK(status.st_mode)) {
			snprintf(source, sizeof source, "%s/sys/class/block", root);
			return resolve(source, last_name(mount->source), ret);
		}
		number = status.st_rdev;
	}
	snprintf(source, sizeof source, "%s/sys/dev/block", root);
	snprintf(name, sizeof name, "%u:%u", major(number), minor(number));
	return resolve(source, name, ret);
}

/* The first device below a mapped one; false if it lies on none. */
static bool go_below(char device[PATH_MAX])
{
	char path[PATH_MAX], below[PATH_MAX];
	struct dirent *entry;
	bool found = false;
	DIR *slaves;

	if (snprintf(path, sizeof path, "%s/slaves", device) >= (int)sizeof path)
		return false;
	slaves = opendir(path);
	if (slaves == NULL)
		return false;
	while (!found && (entry = readdir(slaves)) != NULL)
		found = entry->d_name[0] != '.' && resolve(path, entry->d_name, below);
	closedir(slaves);
	if (found)
		memcpy(device, below, PATH_MAX);
	return found;
}

/* From a partition to the disk that it is of. */
static void go_to_disk(char device[PATH_MAX], struct medium *medium)
{
	char *slash;

	if (attribute_is(device, "ro", "1"))
		medium->read_only = true;
	slash = strrchr(device, '/');
	if (!has_attribute(device, "partition") || slash == NULL || slash == device)
		return;
	*slash = '\0';
	if (attribute_is(device, "ro", "1"))
		medium->read_only = true;
}

static void add_word(char *name, size_t size, const char *word)
{
	size_t used = strlen(name);

	media_text(name + used, size - used, word);
}

static void put_name(const char *disk, struct medium *medium)
{
	char vendor[ATTRIBUTE_SIZE], model[ATTRIBUTE_SIZE];
	char *name = medium->name;

	if (medium->kind == MEDIUM_LOOP) {
		if (read_attribute(disk, "loop/backing_file", model))
			media_text(name, sizeof medium->name, model);
		return;
	}
	/* Of SATA disks the vendor is "ATA", of virtual ones a number. */
	if (read_attribute(disk, "device/vendor", vendor) && strcmp(vendor, "ATA") != 0 &&
	    strncmp(vendor, "0x", 2) != 0)
		media_text(name, sizeof medium->name - 2, vendor);
	if (!read_attribute(disk, "device/model", model) || model[0] == '\0')
		read_attribute(disk, "device/name", model);
	if (name[0] != '\0' && model[0] != '\0')
		strcat(name, " ");
	add_word(name, sizeof medium->name, model);
}

static enum medium_kind kind_of(const char *disk)
{
	const char *devices = strstr(disk, "/devices/");
	const char *name = last_name(disk);
	char type[ATTRIBUTE_SIZE];

	if (strncmp(name, "loop", 4) == 0)
		return MEDIUM_LOOP;
	if (strncmp(name, "zram", 4) == 0 || strncmp(name, "ram", 3) == 0)
		return MEDIUM_MEMORY;
	if (devices != NULL && strstr(devices, "/usb") != NULL)
		return MEDIUM_USB;
	/* "MMC" is soldered in: eMMC. */
	if (strncmp(name, "mmcblk", 6) == 0)
		return read_attribute(disk, "device/type", type) && strcmp(type, "MMC") == 0
			   ? MEDIUM_DISK
			   : MEDIUM_CARD;
	if (strncmp(name, "nbd", 3) == 0 || strncmp(name, "rbd", 3) == 0)
		return MEDIUM_NETWORK;
	return MEDIUM_DISK;
}

void disk_look(const char *root, const struct mount *mount, struct medium *medium)
{
	char disk[PATH_MAX];

	if (!find_device(root, mount, disk))
		return;
	for (size_t i = 0; i < DEPTH_MAX; i++) {
		go_to_disk(disk, medium);
		if (!go_below(disk))
			break;
	}
	media_text(medium->disk, sizeof medium->disk, last_name(disk));
	medium->kind = kind_of(disk);
	medium->stick = medium->kind == MEDIUM_USB && attribute_is(disk, "removable", "1");
	medium->removable = medium->kind == MEDIUM_USB || medium->kind == MEDIUM_CARD ||
			    attribute_is(disk, "removable", "1");
	medium->rotational = attribute_is(disk, "queue/rotational", "1");
	medium->sequence = read_number(disk, "diskseq");
	put_name(disk, medium);
}

bool disk_there(const char *root, const char *disk, uint64_t sequence)
{
	char path[PATH_MAX], found[PATH_MAX];

	snprintf(path, sizeof path, "%s/sys/class/block", root);
	/* Without sysfs nothing is known. */
	if (access(path, F_OK) != 0)
		return true;
	return resolve(path, disk, found) &&
	       (sequence == 0 || read_number(found, "diskseq") == sequence);
}
