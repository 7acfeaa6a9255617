/*
 * Replays a corpus: runs the fuzz target on every file of the folders given,
 * so that what fuzzing found stays found without a fuzzer.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t size = 0, got;

	if (file == NULL)
		return -1;
	do {
		uint8_t *more = realloc(data, size + 65536);
		if (more == NULL)
			abort();
		data = more;
		got = fread(data + size, 1, 65536, file);
		size += got;
	} while (got > 0);
	fclose(file);

	/* An exact allocation lets the sanitizer see the first byte too far. */
	uint8_t *exact = malloc(size > 0 ? size : 1);
	if (exact == NULL)
		abort();
	memcpy(exact, data, size);
	free(data);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long files = 0;

	for (int i = 1; i < argc; i++) {
		DIR *directory = opendir(argv[i]);
		struct dirent *entry;

		if (directory == NULL) {
			perror(argv[i]);
			return 1;
		}
		while ((entry = readdir(directory)) != NULL) {
			char path[4096];

			if (entry->d_name[0] == '.')
				continue;
			snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
			if (run_file(path) != 0) {
				perror(path);
				closedir(directory);
				return 1;
			}
			files++;
		}
		closedir(directory);
	}
	printf("%lu inputs\n", files);
	return files == 0;
}
