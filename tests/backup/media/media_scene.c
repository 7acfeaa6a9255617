#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "media_scene.h"

int scene_open(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);
	char path[PATH_MAX];

	assert_non_null(scene);
	strcpy(scene->top, "/tmp/rehost-media-XXXXXX");
	assert_non_null(mkdtemp(scene->top));
	assert_non_null(realpath(scene->top, path));
	assert_true(strlen(path) < sizeof scene->top);
	strcpy(scene->top, path);
	snprintf(scene->media, sizeof scene->media, "%s/media", scene->top);
	assert_int_equal(mkdir(scene->media, 0700), 0);
	*state = scene;
	return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
	(void)status, (void)type, (void)ftw;
	return remove(path);
}

int scene_close(void **state)
{
	struct scene *scene = *state;

	nftw(scene->top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(scene);
	return 0;
}

/* Makes the directories above ${path}. */
static void make_above(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
}

void put_bytes(const struct scene *scene, const char *name, const void *bytes, size_t size)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", scene->top, name);
	make_above(path);
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

void put(const struct scene *scene, const char *name, const char *text)
{
	char line[1024];

	snprintf(line, sizeof line, "%s\n", text);
	put_bytes(scene, name, line, strlen(line));
}

void put_link(const struct scene *scene, const char *name, const char *target)
{
	char path[PATH_MAX], there[PATH_MAX];

	snprintf(path, sizeof path, "%s/%s", scene->top, name);
	snprintf(there, sizeof there, "%s/%s", scene->top, target);
	make_above(path);
	unlink(path);
	assert_int_equal(symlink(there, path), 0);
}

void put_device(
    const struct scene *scene, const char *number, const char *name, const char *directory)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/dev", directory);
	put(scene, path, number);
	snprintf(path, sizeof path, "sys/dev/block/%s", number);
	put_link(scene, path, directory);
	snprintf(path, sizeof path, "sys/class/block/%s", name);
	put_link(scene, path, directory);
}

void put_attribute(
    const struct scene *scene, const char *directory, const char *name, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	put(scene, path, text);
}

void put_mounts(const struct scene *scene, const char *rest)
{
	char text[8192];
	size_t used = (size_t)snprintf(text, sizeof text,
	    "22 1 254:7 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,discard\n"
	    "23 22 0:21 / /proc rw,nosuid - proc proc rw\n");

	for (const char *p = rest; *p != '\0' && used + PATH_MAX < sizeof text;) {
		if (p[0] == '%' && p[1] == 's') {
			used += (size_t)snprintf(
			    text + used, sizeof text - used, "%s", scene->media);
			p += 2;
		} else {
			text[used++] = *p++;
		}
	}
	put_bytes(scene, "proc/self/mountinfo", text, used);
}

void put_stick(const struct scene *scene)
{
	put_device(scene, "8:16", "sdb", USB);
	put_device(scene, "8:17", "sdb1", USB "/sdb1");
	put_attribute(scene, USB, "removable", "1");
	put_attribute(scene, USB, "ro", "0");
	put_attribute(scene, USB, "diskseq", "19");
	put_attribute(scene, USB, "queue/rotational", "1");
	put_attribute(scene, USB, "device/vendor", "SANDISK ");
	put_attribute(scene, USB, "device/model", "Cruzer Blade    ");
	put_attribute(scene, USB "/sdb1", "partition", "1");
	put_attribute(scene, USB "/sdb1", "ro", "0");
}

void remove_path(const struct scene *scene, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/%s", scene->top, name);
	assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}
