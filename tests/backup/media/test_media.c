#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/text.h"
#include "media_scene.h"

static const struct medium *look(struct scene *scene)
{
	rh_error error;

	assert_int_equal(medium_look(scene->media, scene->top, &scene->medium, &error), RH_OK);
	return &scene->medium;
}

/* In words, without the space that this computer's disk happens to have. */
static void assert_words(struct scene *scene, const char *expected)
{
	char text[512];

	medium_describe(&scene->medium, text, sizeof text);
	assert_true(strlen(text) > strlen(expected));
	assert_memory_equal(text, expected, strlen(expected));
	assert_int_equal(text[strlen(expected)], ',');
	assert_string_equal(text + strlen(text) - 5, " free");
}

static void usb_stick(void **state)
{
	struct scene *scene = *state;
	const struct medium *medium;

	put_stick(scene);
	put_mounts(
	    scene, "90 22 8:17 / %s rw,nosuid,nodev shared:50 master:3 - exfat /dev/sdb1 rw\n");
	medium = look(scene);
	assert_int_equal(medium->kind, MEDIUM_USB);
	assert_true(medium->removable);
	assert_true(medium->stick);
	assert_true(medium->rotational);
	assert_false(medium->read_only);
	assert_string_equal(medium->mount, scene->media);
	assert_string_equal(medium->device, "/dev/sdb1");
	assert_string_equal(medium->disk, "sdb");
	assert_string_equal(medium->name, "SANDISK Cruzer Blade");
	assert_string_equal(medium->file_system, "exfat");
	assert_int_equal(medium->sequence, 19);
	assert_int_equal(medium->file_max, 0);
	assert_true(medium->bytes_total >= medium->bytes_free);
	assert_true(medium->bytes_usable >= medium->bytes_free);
	assert_words(scene, "USB stick SANDISK Cruzer Blade, exFAT");
}

/* Without a partition table; and FAT, whose files are of 4 GiB at most. */
static void whole_stick(void **state)
{
	struct scene *scene = *state;
	const struct medium *medium;

	put_stick(scene);
	put_mounts(scene, "90 22 8:16 / %s rw - vfat /dev/sdb rw\n");
	medium = look(scene);
	assert_string_equal(medium->disk, "sdb");
	assert_int_equal(medium->kind, MEDIUM_USB);
	assert_int_equal(medium->file_max, UINT64_C(0xFFFFFFFF));
	assert_words(scene, "USB stick SANDISK Cruzer Blade, FAT");
}

static void usb_disk(void **state)
{
	struct scene *scene = *state;

	put_stick(scene);
	put_attribute(scene, USB, "removable", "0");
	put_mounts(scene, "90 22 8:17 / %s rw - ntfs3 /dev/sdb1 rw\n");
	assert_true(look(scene)->removable);
	assert_false(scene->medium.stick);
	assert_words(scene, "USB disk SANDISK Cruzer Blade, NTFS");
}

static void fuse_types(void **state)
{
	static const struct {
		const char *type, *found, *words;
		uint64_t file_max;
	} cases[] = {
	    {"fuseblk", "fuseblk", "USB stick SANDISK Cruzer Blade, FUSE", 0},
	    {"fuseblk.exfat", "exfat", "USB stick SANDISK Cruzer Blade, exFAT", 0},
	    {"fuseblk.vfat", "vfat", "USB stick SANDISK Cruzer Blade, FAT", 0xFFFFFFFF},
	};
	struct scene *scene = *state;
	char line[128];

	put_stick(scene);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(line, sizeof line, "90 22 8:17 / %%s rw - %s /dev/sdb1 rw\n",
		    cases[i].type);
		put_mounts(scene, line);
		assert_string_equal(look(scene)->file_system, cases[i].found);
		assert_int_equal(scene->medium.file_max, cases[i].file_max);
		assert_words(scene, cases[i].words);
	}
}

#define CARD "sys/devices/pci0000:00/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0"

static void memory_card(void **state)
{
	struct scene *scene = *state;

	put_device(scene, "179:0", "mmcblk0", CARD);
	put_device(scene, "179:1", "mmcblk0p1", CARD "/mmcblk0p1");
	put_attribute(scene, CARD "/mmcblk0p1", "partition", "1");
	put_attribute(scene, CARD, "removable", "0");
	put_attribute(scene, CARD, "device/name", "SL32G");
	put_attribute(scene, CARD, "device/type", "SD");
	put_mounts(scene, "90 22 179:1 / %s rw - vfat /dev/mmcblk0p1 rw\n");
	assert_int_equal(look(scene)->kind, MEDIUM_CARD);
	assert_true(scene->medium.removable);
	assert_string_equal(scene->medium.disk, "mmcblk0");
	assert_words(scene, "memory card SL32G, FAT");
	/* Soldered in. */
	put_attribute(scene, CARD, "device/type", "MMC");
	assert_int_equal(look(scene)->kind, MEDIUM_DISK);
	assert_false(scene->medium.removable);
}

#define NVME "sys/devices/pci0000:00/0000:00:1d.0/0000:03:00.0/nvme/nvme0/nvme0n1"

static void built_in(void **state)
{
	struct scene *scene = *state;

	put_device(scene, "259:0", "nvme0n1", NVME);
	put_device(scene, "259:3", "nvme0n1p3", NVME "/nvme0n1p3");
	put_attribute(scene, NVME "/nvme0n1p3", "partition", "3");
	put_attribute(scene, NVME, "removable", "0");
	put_attribute(scene, NVME, "queue/rotational", "0");
	put_attribute(scene, NVME, "device/model", "Samsung SSD 980 1TB                     ");
	put_mounts(scene, "90 22 259:3 / %s rw - ext4 /dev/nvme0n1p3 rw\n");
	assert_int_equal(look(scene)->kind, MEDIUM_DISK);
	assert_false(scene->medium.removable);
	assert_false(scene->medium.rotational);
	assert_words(scene, "built-in disk Samsung SSD 980 1TB, ext4");
}

/* Of SATA and virtual disks the vendor says nothing. */
static void no_vendor(void **state)
{
	struct scene *scene = *state;

	put_stick(scene);
	put_mounts(scene, "90 22 8:17 / %s rw - ext4 /dev/sdb1 rw\n");
	put_attribute(scene, USB, "device/vendor", "ATA     ");
	assert_string_equal(look(scene)->name, "Cruzer Blade");
	put_attribute(scene, USB, "device/vendor", "0x1af4");
	assert_string_equal(look(scene)->name, "Cruzer Blade");
}

/* LUKS on a stick, and LUKS on LVM on it. */
static void mapped(void **state)
{
	struct scene *scene = *state;

	put_stick(scene);
	put_device(scene, "253:4", "dm-4", "sys/devices/virtual/block/dm-4");
	put_link(scene, "sys/devices/virtual/block/dm-4/slaves/sdb1", USB "/sdb1");
	put_mounts(scene, "90 22 253:4 / %s rw - ext4 /dev/mapper/luks-0a1b rw\n");
	assert_int_equal(look(scene)->kind, MEDIUM_USB);
	assert_string_equal(scene->medium.disk, "sdb");
	assert_string_equal(scene->medium.device, "/dev/mapper/luks-0a1b");
	assert_words(scene, "USB stick SANDISK Cruzer Blade, ext4");

	put_device(scene, "253:5", "dm-5", "sys/devices/virtual/block/dm-5");
	put_link(scene, "sys/devices/virtual/block/dm-5/slaves/dm-4",
	    "sys/devices/virtual/block/dm-4");
	put_mounts(scene, "90 22 253:5 / %s rw - ext4 /dev/mapper/top rw\n");
	assert_string_equal(look(scene)->disk, "sdb");
}

/* Devices that lie on each other in a circle end somewhere. */
static void circle(void **state)
{
	struct scene *scene = *state;

	put_device(scene, "253:4", "dm-4", "sys/devices/virtual/block/dm-4");
	put_device(scene, "253:5", "dm-5", "sys/devices/virtual/block/dm-5");
	put_link(scene, "sys/devices/virtual/block/dm-4/slaves/dm-5",
	    "sys/devices/virtual/block/dm-5");
	put_link(scene, "sys/devices/virtual/block/dm-5/slaves/dm-4",
	    "sys/devices/virtual/block/dm-4");
	put_mounts(scene, "90 22 253:4 / %s rw - ext4 /dev/mapper/x rw\n");
	assert_int_equal(look(scene)->kind, MEDIUM_DISK);
}

static void disk_image(void **state)
{
	struct scene *scene = *state;

	put_device(scene, "7:3", "loop3", "sys/devices/virtual/block/loop3");
	put_attribute(
	    scene, "sys/devices/virtual/block/loop3", "loop/backing_file", "/srv/disk.img");
	put_mounts(scene, "90 22 7:3 / %s rw - ext4 /dev/loop3 rw\n");
	assert_int_equal(look(scene)->kind, MEDIUM_LOOP);
	assert_false(scene->medium.removable);
	assert_words(scene, "disk image /srv/disk.img, ext4");
}

static void without_a_disk(void **state)
{
	static const struct {
		const char *line, *words;
		enum medium_kind kind;
	} cases[] = {
	    {"90 22 0:44 / %s rw - tmpfs tmpfs rw,size=1g\n", "memory, tmpfs", MEDIUM_MEMORY},
	    {"90 22 0:44 / %s rw - nfs4 nas:/srv/backup rw,vers=4.2\n",
		"network share nas:/srv/backup, NFS", MEDIUM_NETWORK},
	    {"90 22 0:44 / %s rw - cifs //nas/backup rw\n", "network share //nas/backup, SMB",
		MEDIUM_NETWORK},
	    {"90 22 0:44 / %s rw - fuse.sshfs me@there: rw\n",
		"network share me@there:, fuse.sshfs", MEDIUM_NETWORK},
	    {"90 22 0:44 / %s rw - overlay overlay rw,lowerdir=/a,upperdir=/b\n", "overlay",
		MEDIUM_OTHER},
	};
	struct scene *scene = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		put_mounts(scene, cases[i].line);
		assert_int_equal(look(scene)->kind, cases[i].kind);
		assert_string_equal(scene->medium.disk, "");
		assert_false(scene->medium.removable);
		assert_words(scene, cases[i].words);
	}
}

/* Its own number in the table is no device's; the source names one. */
static void btrfs(void **state)
{
	struct scene *scene = *state;

	put_stick(scene);
	put_mounts(scene, "90 22 0:44 /@home %s rw - btrfs /dev/sdb1 rw,subvol=/@home\n");
	assert_string_equal(look(scene)->disk, "sdb");
	assert_words(scene, "USB stick SANDISK Cruzer Blade, btrfs");
}

static void write_protected(void **state)
{
	struct scene *scene = *state;

	put_stick(scene);
	put_mounts(scene, "90 22 8:17 / %s rw - exfat /dev/sdb1 rw,errors=remount-ro\n");
	assert_false(look(scene)->read_only);
	put_mounts(scene, "90 22 8:17 / %s ro,nosuid - exfat /dev/sdb1 rw\n");
	assert_true(look(scene)->read_only);
	put_mounts(scene, "90 22 8:17 / %s rw - exfat /dev/sdb1 utf8,ro\n");
	assert_true(look(scene)->read_only);
	assert_words(scene, "USB stick SANDISK Cruzer Blade, exFAT, read-only");
	put_mounts(scene, "90 22 8:17 / %s rw - exfat /dev/sdb1 rw\n");
	put_attribute(scene, USB, "ro", "1");
	assert_true(look(scene)->read_only);
	put_attribute(scene, USB, "ro", "0");
	put_attribute(scene, USB "/sdb1", "ro", "1");
	assert_true(look(scene)->read_only);
}

/* Several mounts at one place, further up, and beside; the device's number decides. */
static void hidden_mounts(void **state)
{
	struct scene *scene = *state;
	struct stat status;
	char line[512];

	put_mounts(scene, "90 22 0:44 / %s rw - tmpfs first rw\n"
			  "91 22 0:45 / %s rw - tmpfs last rw\n"
			  "92 22 0:46 / %s-beside rw - tmpfs beside rw\n"
			  "93 22 0:47 / %s/below rw - tmpfs below rw\n");
	assert_string_equal(look(scene)->device, "last");
	/* Over the directory above, later: it hides them, and its number says so. */
	assert_int_equal(stat(scene->media, &status), 0);
	snprintf(line, sizeof line,
	    "90 22 0:44 / %%s rw - tmpfs deep rw\n"
	    "91 22 %u:%u / %s rw - tmpfs above rw\n",
	    (unsigned)(status.st_dev >> 8), (unsigned)(status.st_dev & 0xFF), scene->top);
	put_mounts(scene, line);
	assert_string_equal(look(scene)->device, "above");
	assert_string_equal(scene->medium.mount, scene->top);
}

static void escapes(void **state)
{
	struct scene *scene = *state;
	char text[512];

	snprintf(scene->media, sizeof scene->media, "%s/my stick\\\n", scene->top);
	assert_int_equal(mkdir(scene->media, 0700), 0);
	snprintf(text, sizeof text,
	    "90 22 0:44 / %s/my\\040stick\\134\\012 rw - nfs nas:/a\\040b rw\n", scene->top);
	put_mounts(scene, text);
	assert_string_equal(look(scene)->mount, scene->media);
	assert_string_equal(scene->medium.device, "nas:/a b");
}

/* What a device says of itself is what somebody wrote there. */
static void hostile_texts(void **state)
{
	static const char evil[] = "\x1b[2J\xff\xfe"
				   "evil\r\n\x01 name";
	struct scene *scene = *state;
	char name[600], text[512];

	put_stick(scene);
	put_mounts(scene, "90 22 8:17 / %s rw - exfat /dev/sdb1 rw\n");
	put_bytes(scene, USB "/device/vendor", evil, sizeof evil - 1);
	memset(name, 'x', sizeof name);
	put_bytes(scene, USB "/device/model", name, sizeof name);
	look(scene);
	assert_true(utf8_valid(scene->medium.name, strlen(scene->medium.name)));
	assert_true(utf8_clean(scene->medium.name, strlen(scene->medium.name)));
	assert_int_equal(strlen(scene->medium.name), sizeof scene->medium.name - 1);
	for (size_t size = 1; size < sizeof text; size += 7) {
		medium_describe(&scene->medium, text, size);
		assert_true(strlen(text) < size);
		assert_true(utf8_clean(text, strlen(text)));
	}
	/* Cut within a character: "ä" from the second byte on. */
	name[0] = 'x';
	for (size_t i = 1; i + 1 < sizeof name; i += 2)
		memcpy(name + i, "\xc3\xa4", 2);
	put_bytes(scene, USB "/device/vendor", "", 0);
	put_bytes(scene, USB "/device/model", name, sizeof name);
	look(scene);
	assert_true(utf8_valid(scene->medium.name, strlen(scene->medium.name)));
	assert_memory_equal(scene->medium.name, "x\xc3\xa4\xc3\xa4", 5);
	assert_null(strchr(scene->medium.name, '?'));
}

/* Lines that are none are passed over. */
static void broken_table(void **state)
{
	static const char *const lines[] = {"", "\n", "90\n", "90 22 8:17 /\n",
	    "90 22 8:17 / %s\n", "90 22 8:17 / %s rw\n", "90 22 8:17 / %s rw -\n",
	    "90 22 8:17 / %s rw - exfat\n", "90 22 8-17 / %s rw - exfat /dev/sdb1 rw\n",
	    "x 22 8:17 / %s rw - exfat /dev/sdb1 rw\n"};
	struct scene *scene = *state;

	put_stick(scene);
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		put_mounts(scene, lines[i]);
		assert_string_equal(look(scene)->mount, "/");
	}
}

static void nothing_known(void **state)
{
	struct scene *scene = *state;
	rh_error error;
	char text[512], path[128];

	look(scene);
	assert_int_equal(scene->medium.kind, MEDIUM_OTHER);
	assert_string_equal(scene->medium.mount, "");
	assert_true(scene->medium.bytes_total > 0);
	assert_words(scene, "unknown medium");
	assert_false(medium_gone(&scene->medium, scene->top));
	scene->medium.bytes_total = 0;
	medium_describe(&scene->medium, text, sizeof text);
	assert_string_equal(text, "unknown medium");
	snprintf(path, sizeof path, "%s/none", scene->media);
	assert_int_equal(
	    medium_look(path, scene->top, &scene->medium, &error), RH_E_NO_DIRECTORY);
	assert_non_null(strstr(error.text, path));
	/* A device without a place in sysfs. */
	put_mounts(scene, "90 22 8:17 / %s rw - exfat /dev/sdb1 rw\n");
	assert_int_equal(look(scene)->kind, MEDIUM_OTHER);
	assert_words(scene, "exFAT");
}

static void same_disk(void **state)
{
	struct scene *scene = *state;
	struct medium other;

	put_stick(scene);
	put_device(scene, "8:18", "sdb2", USB "/sdb2");
	put_attribute(scene, USB "/sdb2", "partition", "2");
	put_mounts(scene, "90 22 8:18 / %s rw - ext4 /dev/sdb2 rw\n");
	other = *look(scene);
	put_mounts(scene, "90 22 8:17 / %s rw - exfat /dev/sdb1 rw\n");
	look(scene);
	assert_true(medium_same_disk(&scene->medium, &other));
	other.number++;
	assert_true(medium_same_disk(&scene->medium, &other));
	strcpy(other.disk, "sdc");
	assert_false(medium_same_disk(&scene->medium, &other));
	/* Two of which nothing is known are not the same for that. */
	other.disk[0] = scene->medium.disk[0] = '\0';
	assert_false(medium_same_disk(&scene->medium, &other));
}

static void gone(void **state)
{
	static const char mounts[] = "90 22 8:17 / %s rw - exfat /dev/sdb1 rw\n";
	struct scene *scene = *state;

	put_stick(scene);
	put_mounts(scene, mounts);
	look(scene);
	assert_false(medium_gone(&scene->medium, scene->top));
	/* Something else there, over it or in its place; nothing. */
	put_mounts(scene, "90 22 8:17 / %s rw - exfat /dev/sdb1 rw\n"
			  "91 90 0:44 / %s rw - tmpfs tmpfs rw\n");
	assert_true(medium_gone(&scene->medium, scene->top));
	put_mounts(scene, "90 22 8:33 / %s rw - exfat /dev/sdc1 rw\n");
	assert_true(medium_gone(&scene->medium, scene->top));
	put_mounts(scene, "");
	assert_true(medium_gone(&scene->medium, scene->top));
	/* Taken away and put in again: the same name, another disk. */
	put_mounts(scene, mounts);
	put_attribute(scene, USB, "diskseq", "20");
	assert_true(medium_gone(&scene->medium, scene->top));
	put_attribute(scene, USB, "diskseq", "19");
	assert_false(medium_gone(&scene->medium, scene->top));
	/* The kernel has let go of it, though it is still mounted. */
	remove_path(scene, "sys/class/block/sdb");
	remove_path(scene, USB);
	assert_true(medium_gone(&scene->medium, scene->top));
	/* Where nothing can be known nothing is said to be gone. */
	remove_path(scene, "sys");
	assert_false(medium_gone(&scene->medium, scene->top));
	remove_path(scene, "proc");
	assert_false(medium_gone(&scene->medium, scene->top));
}

static void turned_read_only(void **state)
{
	static const struct {
		const char *mounts;
		bool turned;
	} cases[] = {
	    {"90 22 8:17 / %s rw - ext4 /dev/sdb1 rw\n", false},
	    {"90 22 8:17 / %s rw - ext4 /dev/sdb1 ro\n", true},
	    {"90 22 8:17 / %s rw - ext4 /dev/sdb1 rw,emergency_ro,errors=remount-ro\n", true},
	    {"90 22 8:17 / %s ro - ext4 /dev/sdb1 rw\n", true},
	    {"", false},
	};
	struct scene *scene = *state;

	put_stick(scene);
	put_mounts(scene, cases[0].mounts);
	look(scene);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		put_mounts(scene, cases[i].mounts);
		assert_int_equal(
		    medium_turned_read_only(&scene->medium, scene->top), cases[i].turned);
	}
	/* It was so from the beginning. */
	put_mounts(scene, cases[1].mounts);
	look(scene);
	assert_true(scene->medium.read_only);
	assert_false(medium_turned_read_only(&scene->medium, scene->top));
}

static void kinds(void **state)
{
	static const char *const names[] = {
	    "other", "usb", "card", "disk", "loop", "memory", "network", "other"};

	(void)state;
	for (int i = 0; i <= MEDIUM_KIND_COUNT; i++)
		assert_string_equal(medium_kind_name(i), names[i]);
}

/* This computer, whatever it is. */
static void real(void **state)
{
	struct scene *scene = *state;
	struct medium medium;
	char text[512];

	assert_int_equal(medium_look(scene->media, "", &medium, NULL), RH_OK);
	assert_true(medium.bytes_total > 0);
	assert_int_equal(medium.mount[0], '/');
	assert_false(medium_gone(&medium, ""));
	medium_describe(&medium, text, sizeof text);
	print_message("%s lies on: %s\n", scene->media, text);
	assert_int_equal(medium_look("/proc", "", &medium, NULL), RH_OK);
	assert_string_equal(medium.file_system, "proc");
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_open, scene_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SCENE(usb_stick),
	    SCENE(whole_stick),
	    SCENE(usb_disk),
	    SCENE(fuse_types),
	    SCENE(memory_card),
	    SCENE(built_in),
	    SCENE(no_vendor),
	    SCENE(mapped),
	    SCENE(circle),
	    SCENE(disk_image),
	    SCENE(without_a_disk),
	    SCENE(btrfs),
	    SCENE(write_protected),
	    SCENE(hidden_mounts),
	    SCENE(escapes),
	    SCENE(hostile_texts),
	    SCENE(broken_table),
	    SCENE(nothing_known),
	    SCENE(same_disk),
	    SCENE(gone),
	    SCENE(turned_read_only),
	    cmocka_unit_test(kinds),
	    SCENE(real),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
