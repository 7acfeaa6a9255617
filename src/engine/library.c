#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"

const char *rh_version(void)
{
	return REHOST_VERSION;
}

void rh_free(void *memory)
{
	free(memory);
}

void rh_free_secret(char *text)
{
	if (text != NULL)
		bytes_wipe(text, strlen(text));
	free(text);
}

void rh_free_secret_bytes(void *memory, size_t size)
{
	if (memory != NULL)
		bytes_wipe(memory, size);
	free(memory);
}

static const struct license_reader *reader_at(size_t index)
{
	for (size_t i = 0; license_readers[i] != NULL; i++)
		if (i == index)
			return license_readers[i];
	return NULL;
}

const char *rh_format_name(size_t index)
{
	const struct license_reader *reader = reader_at(index);

	return reader != NULL ? reader->name : NULL;
}

const char *rh_format_title(size_t index)
{
	const struct license_reader *reader = reader_at(index);

	return reader != NULL ? reader->title : NULL;
}

int argument_text(const char *value, const char *what, rh_error *error)
{
	if (value != NULL && *value != '\0')
		return RH_OK;
	return error_set(error, RH_E_ARGUMENT, "no %s was given", what);
}
