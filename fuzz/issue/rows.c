#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "issue/fields.h"
#include "issue/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file_of(const uint8_t *data, size_t size)
{
	int fd = memfd_create("rows", MFD_CLOEXEC);

	if (fd < 0 || file_write(fd, data, size, "rows", NULL) != RH_OK)
		abort();
	return fd;
}

/* Any bytes as CSV or lines of JSON: an error with a place, or rows that are whole. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = file_of(data, size), code;
	struct rows *rows = NULL;
	json_t *row = NULL;
	rh_error error = {0};
	char path[64];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (rows_open(path, &rows, &error) != RH_OK)
		abort();
	while ((code = rows_next(rows, &row, &error)) == RH_OK && row != NULL) {
		/* What was checked once passes again. */
		if (fields_check_row(row, &error) != RH_OK)
			abort();
		fields_check_whole(row, true, true, &error);
		json_decref(row);
		row = NULL;
	}
	if (code != RH_OK && error.text[0] == '\0')
		abort();
	rows_close(rows);
	close(fd);
	return 0;
}
