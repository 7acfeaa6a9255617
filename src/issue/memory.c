#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "cli/exit.h"
#include "issue/memory.h"

static void *allocate(size_t size)
{
	static const char words[] = "rehost-issue: no memory left\n";
	void *memory = malloc(size);

	if (memory == NULL) {
		if (write(STDERR_FILENO, words, sizeof words - 1) < 0)
			_exit(EXIT_ENVIRONMENT);
		_exit(EXIT_ENVIRONMENT);
	}
	return memory;
}

static void wipe_and_free(void *memory)
{
	if (memory != NULL)
		bytes_wipe(memory, malloc_usable_size(memory));
	free(memory);
}

void memory_start(void)
{
	json_set_alloc_funcs(allocate, wipe_and_free);
}
