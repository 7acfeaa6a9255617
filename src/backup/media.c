#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/text.h"
#include "backup/media_parts.h"
#include "backup/media.h"

#define GIB_4 (UINT64_C(4) << 30)

static bool is_one_of(const char *word, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

/* "exfat" of "fuseblk.exfat"; that of a server stays whole, as "fuse.sshfs". */
static const char *plain_type(const char *type)
{
	return strncmp(type, "fuseblk.", 8) == 0 ? type + 8 : type;
}

static enum medium_kind kind_of_type(const char *type)
{
	static const char *const memory[] = {"tmpfs", "ramfs", NULL};
	static const char *const network[] = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p",
	    "afs", "ceph", "fuse.sshfs", "fuse.rclone", "fuse.glusterfs", "fuse.davfs",
	    "fuse.ceph", NULL};

	if (is_one_of(type, memory))
		return MEDIUM_MEMORY;
	return is_one_of(type, network) ? MEDIUM_NETWORK : MEDIUM_OTHER;
}

static uint64_t file_max_of_type(const char *type)
{
	static const char *const fat[] = {"vfat", "msdos", "fuse.fusefat", "fusefat", NULL};

	return is_one_of(type, fat) ? GIB_4 - 1 : 0;
}

/* Some file systems do not tell: then all is 0. */
static void look_at_space(const char *path, struct medium *medium)
{
	struct statvfs space;

	if (statvfs(path, &space) != 0)
		return;
	medium->bytes_total = (uint64_t)space.f_blocks * space.f_frsize;
	medium->bytes_free = (uint64_t)space.f_bavail * space.f_frsize;
	medium->bytes_usable = medium->bytes_free;
	if (geteuid() == 0)
		medium->bytes_usable = (uint64_t)space.f_bfree * space.f_frsize;
	medium->read_only = medium->read_only || (space.f_flag & ST_RDONLY) != 0;
}

int medium_look(const char *path, const char *root, struct medium *ret, rh_error *error)
{
	struct medium medium = {.kind = MEDIUM_OTHER};
	struct stat status;
	struct mount mount;
	char *real = realpath(path, NULL);
	int cause = errno;

	if (real == NULL && cause == ENOMEM)
		return error_memory(error);
	if (real == NULL || stat(real, &status) != 0) {
		cause = real == NULL ? cause : errno;
		free(real);
		return error_errno(error,
		    cause == ENOENT || cause == ENOTDIR ? RH_E_NO_DIRECTORY : RH_E_OPEN, cause,
		    "cannot find %s", path);
	}
	medium.number = status.st_dev;
	if (mount_find(root, real, status.st_dev, &mount)) {
		memcpy(medium.mount, mount.point, sizeof medium.mount);
		memcpy(medium.device, mount.source, sizeof medium.device);
		medium.mount_id = mount.id;
		medium.read_only = mount.read_only;
		snprintf(medium.file_system, sizeof medium.file_system, "%s",
		    plain_type(mount.type));
		medium.kind = kind_of_type(medium.file_system);
		medium.file_max = file_max_of_type(medium.file_system);
		if (medium.kind == MEDIUM_OTHER)
			disk_look(root, &mount, &medium);
	}
	look_at_space(real, &medium);
	free(real);
	*ret = medium;
	return RH_OK;
}

const char *medium_kind_name(enum medium_kind kind)
{
	static const char *const names[] = {[MEDIUM_OTHER] = "other",
	    [MEDIUM_USB] = "usb",
	    [MEDIUM_CARD] = "card",
	    [MEDIUM_DISK] = "disk",
	    [MEDIUM_LOOP] = "loop",
	    [MEDIUM_MEMORY] = "memory",
	    [MEDIUM_NETWORK] = "network"};

	return kind < MEDIUM_KIND_COUNT ? names[kind] : names[MEDIUM_OTHER];
}

/* What people call it; "" where the file system says it all. */
static const char *kind_word(const struct medium *medium)
{
	switch (medium->kind) {
	case MEDIUM_USB:
		return medium->stick ? "USB stick" : "USB disk";
	case MEDIUM_CARD:
		return "memory card";
	case MEDIUM_DISK:
		return medium->removable ? "removable disk" : "built-in disk";
	case MEDIUM_LOOP:
		return "disk image";
	case MEDIUM_MEMORY:
		return "memory";
	case MEDIUM_NETWORK:
		return "network share";
	default:
		return "";
	}
}

const char *medium_file_system(const struct medium *medium)
{
	static const struct {
		const char *type, *word;
	} words[] = {{"exfat", "exFAT"}, {"vfat", "FAT"}, {"msdos", "FAT"}, {"ntfs", "NTFS"},
	    {"ntfs3", "NTFS"}, {"ntfs-3g", "NTFS"}, {"nfs4", "NFS"}, {"nfs", "NFS"},
	    {"cifs", "SMB"}, {"smb3", "SMB"}, {"hfsplus", "HFS+"}, {"fuseblk", "FUSE"}};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(medium->file_system, words[i].type) == 0)
			return words[i].word;
	return medium->file_system;
}

void medium_describe(const struct medium *medium, char *text, size_t size)
{
	const char *word = kind_word(medium), *file_system = medium_file_system(medium);
	const char *name = medium->kind == MEDIUM_NETWORK ? medium->device : medium->name;
	char all[1024], space[TEXT_AMOUNT_SIZE];
	size_t used;

	if (word[0] == '\0') {
		word = file_system[0] != '\0' ? file_system : "unknown medium";
		file_system = "";
	}
	used = (size_t)snprintf(all, sizeof all, "%s%s%s%s%s", word, name[0] != '\0' ? " " : "",
	    name, file_system[0] != '\0' ? ", " : "", file_system);
	if (medium->read_only)
		used += (size_t)snprintf(all + used, sizeof all - used, ", read-only");
	if (medium->bytes_total > 0)
		snprintf(all + used, sizeof all - used, ", %s free",
		    text_amount(space, medium->bytes_free));
	media_text(text, size, all);
}

bool medium_same_disk(const struct medium *a, const struct medium *b)
{
	if (a->number == b->number)
		return true;
	return a->disk[0] != '\0' && strcmp(a->disk, b->disk) == 0;
}

bool medium_gone(const struct medium *medium, const char *root)
{
	struct mount mount;

	if (medium->disk[0] != '\0' && !disk_there(root, medium->disk, medium->sequence))
		return true;
	if (medium->mount[0] == '\0')
		return false;
	/* A table without a "/" could not be read. */
	if (!mount_at(root, medium->mount, &mount))
		return mount_find(root, "/", 0, &mount);
	return mount.id != medium->mount_id || strcmp(mount.source, medium->device) != 0;
}

bool medium_turned_read_only(const struct medium *medium, const char *root)
{
	struct mount mount;

	return !medium->read_only && medium->mount[0] != '\0' &&
	       mount_at(root, medium->mount, &mount) && mount.read_only;
}
