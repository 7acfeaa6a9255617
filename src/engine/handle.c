#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

#include "engine/engine.h"

/* The directory that is meant when none is named; freed with free(). */
static int default_directory(char **ret, rh_error *error)
{
	const char *store = getenv("REHOST_STORE");
	const char *data = getenv("XDG_DATA_HOME");
	const char *home = getenv("HOME");
	int length;

	if (store != NULL && *store != '\0')
		length = asprintf(ret, "%s", store);
	else if (data != NULL && *data == '/')
		length = asprintf(ret, "%s/rehost", data);
	else if (home != NULL && *home == '/')
		length = asprintf(ret, "%s/.local/share/rehost", home);
	else
		return error_set(error, RH_E_ARGUMENT,
		    "no store was named, and neither REHOST_STORE nor HOME is set");
	return length >= 0 ? RH_OK : error_memory(error);
}

/*
 * From the locale's name (language[_TERRITORY][.CODESET][@MODIFIER]); "C" and "POSIX" are
 * none.
 */
void language_of_user(char tag[LANGUAGE_SIZE])
{
	static const char *const variables[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
	const char *name = NULL;
	size_t length;

	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
		if (name == NULL || *name == '\0')
			name = getenv(variables[i]);
	*tag = '\0';
	if (name == NULL)
		return;
	length = strcspn(name, ".@");
	if (length >= LANGUAGE_SIZE || (length == 1 && *name == 'C') ||
	    (length == 5 && memcmp(name, "POSIX", 5) == 0))
		return;
	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '-')
			return;
	}
	memcpy(tag, name, length);
	tag[length] = '\0';
	for (char *p = tag; *p != '\0'; p++)
		if (*p == '_')
			*p = '-';
}

static int open_directory(struct rh_store *store, bool create, rh_error *error)
{
	int code;

	if (create) {
		code = file_make_directories(store->directory, 0700, error);
		if (code == RH_E_WRITE)
			code = error != NULL ? (error->code = RH_E_STORE_CREATE)
					     : RH_E_STORE_CREATE;
		if (code != RH_OK)
			return code;
	}
	store->fd = open(store->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->fd >= 0)
		return RH_OK;
	if (errno == ENOENT)
		return error_set(error, RH_E_STORE_MISSING, "there is no licence store in %s",
		    store->directory);
	return error_errno(error, RH_E_STORE_READ, errno, "cannot open the store directory %s",
	    store->directory);
}

/*
 * A key is made only where there is no database: beside one, a missing key means
 * that the database came from elsewhere.
 */
static int open_computer(struct rh_store *store, bool create, rh_error *error)
{
	bool database = faccessat(store->fd, STORE_FILE, F_OK, 0) == 0;
	bool key = faccessat(store->fd, COMPUTER_KEY_FILE, F_OK, 0) == 0;

	if (!database && !create)
		return error_set(error, RH_E_STORE_MISSING, "there is no licence store in %s",
		    store->directory);
	if (database && !key)
		return error_set(error, RH_E_STORE_OTHER_COMPUTER,
		    "the store in %s has no computer.key: it was copied from another computer",
		    store->directory);
	return computer_open(
	    store->fd, store->directory, create && !database, &store->computer, error);
}

int rh_store_open(const char *directory, unsigned flags, rh_store **ret_store, rh_error *error)
{
	const unsigned known = RH_STORE_CREATE | RH_STORE_READ_ONLY;
	unsigned store_flags = 0;
	struct rh_store *store;
	bool create = (flags & RH_STORE_CREATE) != 0;
	int code;

	if (ret_store == NULL || (flags & ~known) != 0 || flags == known)
		return error_set(error, RH_E_ARGUMENT, "wrong arguments for rh_store_open");
	store = calloc(1, sizeof *store);
	if (store == NULL)
		return error_memory(error);
	store->fd = -1;
	if (directory == NULL) {
		code = default_directory(&store->directory, error);
	} else {
		store->directory = strdup(directory);
		code = store->directory != NULL ? RH_OK : error_memory(error);
	}
	if (code == RH_OK)
		code = open_directory(store, create, error);
	if (code == RH_OK)
		code = open_computer(store, create, error);
	if (code == RH_OK) {
		store_flags |= create ? STORE_CREATE : 0;
		store_flags |= flags & RH_STORE_READ_ONLY ? STORE_READ_ONLY : 0;
		code = store_open(
		    store->directory, store_flags, store->computer, &store->store, error);
	}
	if (code != RH_OK) {
		rh_store_close(store);
		return code;
	}
	language_of_user(store->language);
	age_recipient_format(
	    store->recipient, &computer_age_identity(store->computer)->recipient);
	*ret_store = store;
	return RH_OK;
}

void rh_store_close(rh_store *store)
{
	if (store == NULL)
		return;
	store_close(store->store);
	computer_close(store->computer);
	if (store->fd >= 0)
		close(store->fd);
	free(store->directory);
	free(store);
}

const char *rh_store_directory(const rh_store *store)
{
	return store->directory;
}

const char *rh_store_computer_id(const rh_store *store)
{
	return computer_id(store->computer);
}

const char *rh_store_computer_recipient(const rh_store *store)
{
	return store->recipient;
}

int rh_store_computer_jwk(rh_store *store, const char **ret_jwk, rh_error *error)
{
	const struct jose_key *key = NULL;
	int code;

	if (store == NULL || ret_jwk == NULL)
		return error_set(
		    error, RH_E_ARGUMENT, "wrong arguments for rh_store_computer_jwk");
	code = computer_license_key(store->computer, &key, error);
	if (code == RH_OK)
		*ret_jwk = jose_key_jwk(key);
	return code;
}
