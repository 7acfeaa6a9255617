#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

#include "service/cmd_ledger.h"

/* Where the database is: as --database says, else in the directory. */
static int database_address(
    const struct arguments *arguments, const char *directory, char **ret, rh_error *error)
{
	const char *database = arguments->values[OPTION_DATABASE];
	char *path = NULL;

	if (database != NULL) {
		if (asprintf(ret, "%s", database) < 0)
			return error_memory(error);
		return RH_OK;
	}
	if (asprintf(&path, "%s/ledger.db", directory) < 0)
		return error_memory(error);
	if (access(path, F_OK) != 0) {
		int code = error_errno(error, RH_E_STORE_MISSING, errno, "%s", path);

		free(path);
		return code;
	}
	if (asprintf(ret, "sqlite:%s", path) < 0) {
		free(path);
		return error_memory(error);
	}
	free(path);
	return RH_OK;
}

int cmd_ledger_open(const struct arguments *arguments, struct cmd_ledger *ret, rh_error *error)
{
	const char *directory = arguments->values[OPTION_DATA];
	char *address = NULL;
	int code;

	if (directory == NULL)
		return error_set(
		    error, RH_E_ARGUMENT, "%s needs --data", arguments->command->name);
	code = database_address(arguments, directory, &address, error);
	if (code == RH_OK)
		code = service_keys_open(directory, "", false, clock_now(), &ret->keys, error);
	if (code == RH_OK)
		code = database_open(address, 2, &ret->database, error);
	if (code == RH_OK)
		code = ledger_open(ret->database, "", service_keys_signing(ret->keys),
		    service_keys_set(ret->keys), &ret->ledger, error);
	free(address);
	return code;
}

void cmd_ledger_close(struct cmd_ledger *open)
{
	ledger_close(open->ledger);
	database_close(open->database);
	service_keys_close(open->keys);
}
