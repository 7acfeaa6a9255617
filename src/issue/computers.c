#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "issue/computers.h"

#define COMPUTERS_MAX 100000

void computer_clear(struct computer *computer)
{
	free(computer->name);
	json_decref(computer->jwk);
	*computer = (struct computer){.name = NULL};
}

void computers_free(struct computers *computers)
{
	for (size_t i = 0; i < computers->count; i++)
		computer_clear(&computers->list[i]);
	free(computers->list);
	*computers = (struct computers){NULL, 0};
}

int computer_read(
    struct computer *computer, const json_t *jwk, const char *what, rh_error *error)
{
	struct computer read = {.name = NULL};
	int code;

	if (json_object_get(jwk, "d") != NULL)
		return error_set(error, RH_E_PIN_KEYS,
		    "%s holds a private key: an issuer needs the public one only", what);
	code = jwk_public(jwk, what, &read.jwk, error);
	if (code == RH_OK)
		code = jwk_thumbprint(read.jwk, read.thumbprint, error);
	if (code == RH_OK)
		*computer = read;
	else
		computer_clear(&read);
	return code;
}

static int append(
    struct computers *computers, const json_t *jwk, const char *path, rh_error *error)
{
	const char *slash = strrchr(path, '/');
	struct computer *list, *computer;
	int code;

	if (computers->count == COMPUTERS_MAX)
		return error_set(error, RH_E_ARGUMENT, "more than %d computers", COMPUTERS_MAX);
	if ((computers->count & (computers->count - 1)) == 0) {
		size_t capacity = computers->count == 0 ? 1 : 2 * computers->count;

		list = realloc(computers->list, capacity * sizeof *list);
		if (list == NULL)
			return error_memory(error);
		computers->list = list;
	}
	computer = &computers->list[computers->count];
	code = computer_read(computer, jwk, path, error);
	if (code != RH_OK)
		return code;
	computers->count++;
	computer->name = strdup(slash == NULL ? path : slash + 1);
	if (computer->name == NULL)
		return error_memory(error);
	for (size_t i = 0; i + 1 < computers->count; i++)
		if (strcmp(computers->list[i].thumbprint, computer->thumbprint) == 0)
			return error_set(error, RH_E_ARGUMENT, "%s is the same computer as %s",
			    path, computers->list[i].name);
	return RH_OK;
}

int computers_read(struct computers *computers, const char *path, rh_error *error)
{
	json_t *json = NULL, *keys, *key;
	size_t i;
	int code;

	code = jwk_read_file(path, &json, error);
	if (code != RH_OK)
		return code;
	keys = json_object_get(json, "keys");
	if (keys == NULL)
		code = append(computers, json, path, error);
	else if (json_array_size(keys) == 0)
		code = error_set(error, RH_E_PIN_KEYS, "%s holds no keys", path);
	json_array_foreach(keys, i, key)
	{
		if (code == RH_OK)
			code = append(computers, key, path, error);
	}
	json_decref(json);
	return code;
}

static bool is_called(const struct computer *computer, const char *name)
{
	const char *dot = strrchr(computer->name, '.');
	size_t length = dot == NULL ? 0 : (size_t)(dot - computer->name);

	return strcmp(computer->thumbprint, name) == 0 || strcmp(computer->name, name) == 0 ||
	       (length > 0 && strlen(name) == length &&
		   strncmp(computer->name, name, length) == 0);
}

int computers_find(const struct computers *computers, const char *name,
    const struct computer **ret, rh_error *error)
{
	const struct computer *found = NULL;

	for (size_t i = 0; i < computers->count; i++) {
		if (!is_called(&computers->list[i], name))
			continue;
		if (found != NULL)
			return error_set(error, RH_E_LICENSE_INVALID,
			    "computer: more than one is called %.64s", name);
		found = &computers->list[i];
	}
	if (found == NULL)
		return error_set(error, RH_E_LICENSE_INVALID,
		    "computer: none that --computer names is called %.64s", name);
	*ret = found;
	return RH_OK;
}
