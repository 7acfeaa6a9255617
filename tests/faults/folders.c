#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folders.h"

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *ftw)
{
	(void)status;
	(void)kind;
	(void)ftw;
	return remove(path);
}

void remove_tree(const char *path)
{
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void copy_file(const char *from, const char *to)
{
	char bytes[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t size;

	while ((size = read(in, bytes, sizeof bytes)) > 0)
		if (write(out, bytes, (size_t)size) != size)
			size = -1;
	if (in < 0 || out < 0 || size < 0) {
		perror(to);
		_exit(1);
	}
	close(in);
	close(out);
}

void copy_tree(const char *from, const char *to)
{
	DIR *directory = opendir(from);
	struct dirent *entry;

	mkdir(to, 0700);
	while ((entry = readdir(directory)) != NULL) {
		char source[PATH_MAX + 300], target[PATH_MAX + 300];
		struct stat status;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(source, sizeof source, "%s/%s", from, entry->d_name);
		snprintf(target, sizeof target, "%s/%s", to, entry->d_name);
		if (stat(source, &status) == 0 && S_ISDIR(status.st_mode))
			copy_tree(source, target);
		else
			copy_file(source, target);
	}
	closedir(directory);
}
