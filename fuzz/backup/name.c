/* A name in a directory: of a generation, of its parity, or neither; only ever in one form. */
#include <stdlib.h>
#include <string.h>

#include "backup/parity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *name = malloc(size + 1), same[BACKUP_NAME_SIZE], id[BACKUP_ID_SIZE];
	char file[BACKUP_NAME_SIZE];
	int64_t created;

	if (name == NULL)
		abort();
	memcpy(name, data, size);
	name[size] = '\0';
	if (generation_parse(name, &created, id) &&
	    (!generation_name(same, created, id) || strcmp(name, same) != 0))
		abort();
	if (parity_parse(name, file) &&
	    (generation_parse(name, NULL, NULL) || !generation_parse(file, NULL, NULL) ||
		!parity_name(same, file) || strcmp(name, same) != 0))
		abort();
	free(name);
	return 0;
}
