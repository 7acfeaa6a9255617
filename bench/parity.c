/*
 * Makes the parity file of FILE, as a backup does: what bench/run compares with par2.
 *
 *     parity FILE OUT PERCENT
 *
 * FILE is a backup, with its name.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/parity.h"

int main(int argc, char **argv)
{
	struct parity_target target = {.fd = -1};
	struct stat status;
	rh_error error = {0};

	if (argc != 4)
		return 1;
	target.display = argv[1];
	target.out_display = argv[2];
	target.file = strrchr(argv[1], '/') != NULL ? strrchr(argv[1], '/') + 1 : argv[1];
	target.fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	target.out = open(argv[2], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (target.fd < 0 || target.out < 0 || fstat(target.fd, &status) != 0) {
		perror(argv[1]);
		return 1;
	}
	target.size = (uint64_t)status.st_size;
	if (parity_write(&target, (unsigned)atoi(argv[3]), NULL, NULL, NULL, &error) != RH_OK) {
		fprintf(stderr, "%s\n", error.text);
		return 1;
	}
	return 0;
}
