/* A name in a directory: of a generation or not, and only ever in its one form. */
#include <stdlib.h>
#include <string.h>

#include "backup/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *name = malloc(size + 1), same[BACKUP_NAME_SIZE], id[BACKUP_ID_SIZE];
	int64_t created;

	if (name == NULL)
		abort();
	memcpy(name, data, size);
	name[size] = '\0';
	if (generation_parse(name, &created, id) &&
	    (!generation_name(same, created, id) || strcmp(name, same) != 0))
		abort();
	free(name);
	return 0;
}
