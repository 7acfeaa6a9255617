#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/internal.h"

/* ---- Errors ---- */

static int code_of_doing(enum doing doing)
{
	static const int codes[] = {
	    [DOING_CREATE] = RH_E_STORE_CREATE,
	    [DOING_READ] = RH_E_STORE_READ,
	    [DOING_WRITE] = RH_E_STORE_WRITE,
	};

	return codes[doing];
}

static int code_of_errno(int errnum, enum doing doing)
{
	switch (errnum) {
	case ENOSPC:
	case EDQUOT:
		return RH_E_FULL;
	case EACCES:
	case EPERM:
	case EROFS:
		return RH_E_ACCESS;
	case ENOMEM:
		return RH_E_MEMORY;
	default:
		return code_of_doing(doing);
	}
}

static int code_of_result(int result, int errnum, enum doing doing)
{
	switch (result & 0xff) {
	case SQLITE_NOMEM:
		return RH_E_MEMORY;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return RH_E_STORE_BUSY;
	case SQLITE_FULL:
		return RH_E_FULL;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return RH_E_ACCESS;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_SCHEMA:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_FORMAT:
	case SQLITE_TOOBIG:
	case SQLITE_ERROR: /* a table or column is not there */
		return RH_E_STORE_DAMAGED;
	case SQLITE_IOERR:
		if (result == SQLITE_IOERR_NOMEM)
			return RH_E_MEMORY;
		return code_of_errno(errnum, doing);
	case SQLITE_CANTOPEN:
		return code_of_errno(errnum, doing);
	default:
		return RH_E_INTERNAL;
	}
}

/* What the system last said of the file or its log; SQLite's own record has gaps. */
static int errno_of_file(sqlite3 *db)
{
	sqlite3_file *log = NULL;
	int errnum = 0;

	sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &errnum);
	if (errnum != 0)
		return errnum;
	sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
	if (log != NULL && log->pMethods != NULL)
		log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &errnum);
	return errnum;
}

int database_failed(struct store *store, int result, enum doing doing, rh_error *error)
{
	static const char *const verbs[] = {
	    [DOING_CREATE] = "make", [DOING_READ] = "read", [DOING_WRITE] = "write"};
	int errnum = 0;

	if (store->db != NULL) {
		/* A statement that was not extended knows less than the handle. */
		int extended = sqlite3_extended_errcode(store->db);

		if ((extended & 0xff) == (result & 0xff))
			result = extended;
		errnum = sqlite3_system_errno(store->db);
		if (errnum == 0 &&
		    ((result & 0xff) == SQLITE_IOERR || (result & 0xff) == SQLITE_CORRUPT))
			errnum = errno_of_file(store->db);
		/* A medium that does not read is no damage of the store. */
		if ((result & 0xff) == SQLITE_CORRUPT && errnum != 0)
			result = SQLITE_IOERR;
	}
	if ((result & 0xff) == SQLITE_NOMEM)
		return error_memory(error);
	return error_set(error, code_of_result(result, errnum, doing),
	    "cannot %s the store %s: %s%s%s", verbs[doing], store->path, sqlite3_errstr(result),
	    errnum != 0 ? ": " : "", errnum != 0 ? strerrordesc_np(errnum) : "");
}

/* ---- The connection ---- */

void database_disconnect(struct store *store)
{
	for (size_t i = 0; i < SQL_COUNT; i++) {
		sqlite3_finalize(store->statements[i]);
		store->statements[i] = NULL;
	}
	sqlite3_close_v2(store->db);
	store->db = NULL;
}

/* "file:" URI of ${path} (RFC 3986) that tells SQLite that nobody writes. */
static char *immutable_uri(const char *path)
{
	static const char suffix[] = "?immutable=1";
	size_t size = strlen(path);
	char *uri = malloc(5 + 3 * size + sizeof suffix), *p;

	if (uri == NULL)
		return NULL;
	p = uri + sprintf(uri, "file:");
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)path[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || c == '/' || c == '.' || c == '-';

		p += sprintf(p, plain ? "%c" : "%%%02X", c);
	}
	memcpy(p, suffix, sizeof suffix);
	return uri;
}

/* Settings of a handle; none of them writes to the file. */
static int configure(struct store *store)
{
	static const char settings[] = "PRAGMA trusted_schema = OFF;"
				       "PRAGMA cell_size_check = ON;"
				       "PRAGMA foreign_keys = ON;"
				       "PRAGMA mmap_size = 0;"
				       "PRAGMA journal_size_limit = 16777216;" /* bytes */
				       "PRAGMA synchronous = FULL;";
	sqlite3 *db = store->db;

	sqlite3_busy_timeout(db, STORE_BUSY_MS);
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, STORE_LENGTH_MAX);
	sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	/* Until the file is known to be ours, closing must not touch it. */
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	return sqlite3_exec(db, settings, NULL, NULL, NULL);
}

static int connect_as(struct store *store, const char *name, int flags, rh_error *error)
{
	int64_t ignored;
	int code, result;

	result = sqlite3_open_v2(name, &store->db,
	    flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE,
	    NULL);
	if (result == SQLITE_OK)
		result = configure(store);
	if (result != SQLITE_OK)
		code = database_failed(store, result, DOING_READ, error);
	else
		code = statement_run(store, SQL_TABLE_COUNT, &ignored, error);
	if (code != RH_OK)
		database_disconnect(store);
	return code;
}

/* Whether nothing can be written beside the file, and no log waits to be read. */
static bool read_only_medium(const struct store *store)
{
	char *other = malloc(strlen(store->path) + sizeof "-wal");
	struct stat st;
	bool is;

	if (other == NULL)
		return false;
	sprintf(other, "%s-wal", store->path);
	is = stat(other, &st) != 0 && errno == ENOENT;
	*strrchr(other, '/') = '\0';
	is = is && access(*other != '\0' ? other : "/", W_OK) != 0;
	free(other);
	return is;
}

int database_connect(struct store *store, rh_error *error)
{
	struct stat st;
	char *uri;
	int code;

	if (stat(store->path, &st) != 0)
		return error_errno(error,
		    errno == ENOENT || errno == ENOTDIR ? RH_E_STORE_MISSING : RH_E_STORE_READ,
		    errno, "cannot open the store %s", store->path);
	if (!S_ISREG(st.st_mode))
		return error_set(
		    error, RH_E_STORE_DAMAGED, "the store %s is no regular file", store->path);
	if (st.st_size > 0 && store->read_only && read_only_medium(store)) {
		uri = immutable_uri(store->path);
		if (uri == NULL)
			return error_memory(error);
		code = connect_as(store, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, error);
		free(uri);
		return code;
	}
	code = connect_as(store, store->path,
	    store->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE, error);
	if (code == RH_E_ACCESS && store->read_only) {
		/*
		 * A run that was killed while it made the store left a journal, which only
		 * a writer rolls back.
		 */
		code = connect_as(store, store->path, SQLITE_OPEN_READWRITE, error);
		database_disconnect(store);
		if (code == RH_OK)
			code = connect_as(store, store->path, SQLITE_OPEN_READONLY, error);
	}
	if (code != RH_OK || store->read_only)
		return code;
	if (sqlite3_db_readonly(store->db, "main") == 1) {
		database_disconnect(store);
		return error_set(error, RH_E_ACCESS,
		    "the store %s cannot be written: permission denied or read-only medium",
		    store->path);
	}
	return RH_OK;
}

bool database_journal(struct store *store, bool ahead)
{
	const char *sql = ahead ? "PRAGMA journal_mode = WAL" : "PRAGMA journal_mode = DELETE";
	int result;

	sqlite3_busy_timeout(store->db, 0);
	result = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
	sqlite3_busy_timeout(store->db, STORE_BUSY_MS);
	return result == SQLITE_OK;
}
