#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#include "service/database_internal.h"

struct sqlite_connection {
	struct connection connection; /* first */
	sqlite3 *db;
};

static struct sqlite_connection *of(struct connection *connection)
{
	return (struct sqlite_connection *)connection;
}

sqlite3 *sqlite_handle(struct connection *connection)
{
	return of(connection)->db;
}

/* ---- Failures ---- */

static int code_of(int result)
{
	switch (result) {
	case SQLITE_CONSTRAINT_UNIQUE:
	case SQLITE_CONSTRAINT_PRIMARYKEY:
	case SQLITE_CONSTRAINT_ROWID:
		return RH_E_DATABASE_CONFLICT;
	case SQLITE_IOERR_NOMEM:
		return RH_E_MEMORY;
	default:
		break;
	}
	switch (result & 0xff) {
	case SQLITE_NOMEM:
		return RH_E_MEMORY;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return RH_E_DATABASE_CONFLICT;
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_RANGE:
	case SQLITE_MISUSE:
	case SQLITE_ERROR:
		return RH_E_INTERNAL;
	default:
		return RH_E_DATABASE;
	}
}

int sqlite_failed(sqlite3 *db, int result, const char *what, rh_error *error)
{
	int errnum = 0, code;

	if (db != NULL && (sqlite3_extended_errcode(db) & 0xff) == (result & 0xff)) {
		result = sqlite3_extended_errcode(db);
		errnum = sqlite3_system_errno(db);
	}
	code = code_of(result);
	if (code == RH_E_MEMORY)
		return error_memory(error);
	return error_set(error, code, "the database failed (%s): %s%s%s", what,
	    sqlite3_errstr(result), errnum != 0 ? ": " : "",
	    errnum != 0 ? strerrordesc_np(errnum) : "");
}

/* The same of a connection, which is not used again if its file fails. */
static int connection_failed(
    struct sqlite_connection *connection, int result, const char *what, rh_error *error)
{
	int code = sqlite_failed(connection->db, result, what, error);

	if (code == RH_E_DATABASE)
		connection->connection.broken = true;
	return code;
}

/* ---- The file ---- */

static int make_file(const char *path, rh_error *error)
{
	char *directory;
	int code, fd;

	/*
	 * Not open(): closing a descriptor of the file would drop the locks that other
	 * connections of this process hold on it (fcntl(2)).
	 */
	if (access(path, F_OK) == 0)
		return RH_OK;
	directory = strdup(path);
	if (directory == NULL)
		return error_memory(error);
	strrchr(directory, '/')[1] = '\0';
	code = file_make_directories(directory, 0700, error);
	if (code == RH_OK && mknod(path, S_IFREG | 0600, 0) != 0 && errno != EEXIST)
		code = error_errno(
		    error, RH_E_DATABASE, errno, "cannot make the database %s", path);
	if (code != RH_OK)
		goto done;
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		code = error_errno(error, RH_E_DATABASE, errno, "cannot open %s", directory);
		goto done;
	}
	code = file_sync_directory(fd, directory, error);
	close(fd);
done:
	free(directory);
	return code;
}

static int configure(sqlite3 *db, unsigned wait_ms, bool writing)
{
	static const char settings[] = "PRAGMA trusted_schema = OFF;"
				       "PRAGMA cell_size_check = ON;"
				       "PRAGMA foreign_keys = ON;"
				       "PRAGMA mmap_size = 0;"
				       "PRAGMA journal_size_limit = 67108864;" /* bytes */
				       "PRAGMA synchronous = FULL;";
	int result;

	sqlite3_busy_timeout(db, (int)wait_ms);
	sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	result = sqlite3_exec(db, settings, NULL, NULL, NULL);
	if (result == SQLITE_OK)
		result = sqlite3_exec(db,
		    writing ? "PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 8192;"
			    : "PRAGMA cache_size = -2048; PRAGMA query_only = ON;",
		    NULL, NULL, NULL);
	return result;
}

static void sqlite_disconnect(struct connection *connection)
{
	for (size_t i = 0; i < connection->prepared_capacity; i++)
		sqlite3_finalize(connection->prepared[i].compiled);
	free(connection->prepared);
	sqlite3_close_v2(of(connection)->db);
	free(connection);
}

static int sqlite_connect(
    struct database *database, bool writing, struct connection **ret, rh_error *error)
{
	struct sqlite_connection *made = calloc(1, sizeof *made);
	int code = RH_OK, result;

	if (made == NULL)
		return error_memory(error);
	made->connection.database = database;
	made->connection.writing = writing;
	result = sqlite3_open_v2(
	    database->address, &made->db, SQLITE_OPEN_READWRITE | SQLITE_FLAGS, NULL);
	if (result == SQLITE_OK)
		result = configure(made->db, database->wait_ms, writing);
	if (result != SQLITE_OK)
		code = sqlite_failed(made->db, result, "opening it", error);
	if (code != RH_OK) {
		sqlite_disconnect(&made->connection);
		return code;
	}
	*ret = &made->connection;
	return RH_OK;
}

static bool sqlite_usable(struct connection *connection)
{
	(void)connection;
	return true;
}

/* One that does not end even so is not used again. */
static void sqlite_rollback(struct connection *connection)
{
	sqlite3 *db = of(connection)->db;

	if (!sqlite3_get_autocommit(db))
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	if (!sqlite3_get_autocommit(db))
		connection->broken = true;
}

/* ---- The schema ---- */

static int pragma(sqlite3 *db, const char *sql, int64_t *ret, rh_error *error)
{
	sqlite3_stmt *statement = NULL;
	int result = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

	if (result == SQLITE_OK)
		result = sqlite3_step(statement);
	if (result == SQLITE_ROW)
		*ret = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return result == SQLITE_ROW ? RH_OK
				    : sqlite_failed(db, result, "reading its version", error);
}

/* The version of the schema; refuses what is not ours, or newer. */
static int version_of(sqlite3 *db, const char *path, int64_t *ret, rh_error *error)
{
	int64_t application = 0, tables = 0, version = 0;
	int code;

	code = pragma(db, "PRAGMA application_id", &application, error);
	if (code == RH_OK)
		code = pragma(db, "PRAGMA user_version", &version, error);
	if (code == RH_OK)
		code = pragma(db, "SELECT count(*) FROM sqlite_schema", &tables, error);
	if (code == RH_OK && application != DATABASE_APPLICATION_ID &&
	    (application != 0 || version != 0 || tables != 0))
		code = error_set(error, RH_E_DATABASE, "%s is no ledger", path);
	if (code == RH_OK)
		code = database_version_check(version, error);
	if (code == RH_OK)
		*ret = version;
	return code;
}

/* Within a transaction: the missing steps. */
static int migrate(sqlite3 *db, const char *path, rh_error *error)
{
	char settings[96];
	int64_t version = 0;
	int code, result = SQLITE_OK;

	code = version_of(db, path, &version, error);
	for (size_t i = (size_t)version;
	     code == RH_OK && result == SQLITE_OK && i < database_step_count; i++)
		result = sqlite3_exec(db, database_steps[i].sqlite, NULL, NULL, NULL);
	if (code != RH_OK)
		return code;
	snprintf(settings, sizeof settings,
	    "PRAGMA application_id = %d; PRAGMA user_version = %zu;", DATABASE_APPLICATION_ID,
	    database_step_count);
	if (result == SQLITE_OK)
		result = sqlite3_exec(db, settings, NULL, NULL, NULL);
	return result == SQLITE_OK ? RH_OK
				   : sqlite_failed(db, result, "making its tables", error);
}

static int make_schema(struct sqlite_connection *connection, const char *path, rh_error *error)
{
	sqlite3 *db = connection->db;
	int64_t version = 0;
	int code, result;

	/*
	 * Before anything is written to a file that may be somebody else's; in one transaction,
	 * because another program may be making it.
	 */
	result = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
	if (result != SQLITE_OK)
		return sqlite_failed(db, result, "reading its version", error);
	code = version_of(db, path, &version, error);
	sqlite_rollback(&connection->connection);
	if (code == RH_OK && connection->connection.broken)
		code = error_memory(error);
	if (code != RH_OK)
		return code;
	result = sqlite3_exec(db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
	if (result == SQLITE_OK && (uint64_t)version == database_step_count)
		return RH_OK;
	if (result == SQLITE_OK)
		result = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (result != SQLITE_OK)
		return sqlite_failed(db, result, "making its tables", error);
	code = migrate(db, path, error);
	if (code == RH_OK) {
		result = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
		if (result != SQLITE_OK)
			code = sqlite_failed(db, result, "making its tables", error);
	}
	if (code != RH_OK)
		sqlite_rollback(&connection->connection);
	return code;
}

static int sqlite_prepare(struct database *database, rh_error *error)
{
	const struct timespec pause = {0, 10 * 1000 * 1000};
	uint64_t start = clock_monotonic();
	struct connection *connection = NULL;
	int code;

	if (*database->address != '/') {
		/* A relative path must not look like a "file:" URI to SQLite. */
		size_t size = strlen(database->address) + sizeof "./";
		char *path = malloc(size);

		if (path == NULL)
			return error_memory(error);
		snprintf(path, size, "./%s", database->address);
		free(database->address);
		database->address = path;
	}
	code = make_file(database->address, error);
	if (code == RH_OK)
		code = database_take(database, true, &connection, error);
	if (code != RH_OK)
		return code;
	/* Not every wait of two creators is one that SQLite's busy handler sees. */
	while ((code = make_schema(of(connection), database->address, error)) ==
		   RH_E_DATABASE_CONFLICT &&
	       clock_monotonic() - start < database->wait_ms * UINT64_C(1000000))
		nanosleep(&pause, NULL);
	if (code == RH_OK)
		error_clear(error);
	database_give(connection);
	return code;
}

/* ---- Transactions ---- */

static int run_word(struct sqlite_connection *connection, const char *word, rh_error *error)
{
	int result = sqlite3_exec(connection->db, word, NULL, NULL, NULL);

	return result == SQLITE_OK ? RH_OK : connection_failed(connection, result, word, error);
}

static int sqlite_begin(struct connection *connection, rh_error *error)
{
	return run_word(
	    of(connection), connection->writing ? "BEGIN IMMEDIATE" : "BEGIN DEFERRED", error);
}

/* SQLite ends a transaction by itself when the medium fails. */
static int still_in(struct connection *connection, rh_error *error)
{
	if (!connection->transaction || !sqlite3_get_autocommit(of(connection)->db))
		return RH_OK;
	return error_set(error, RH_E_DATABASE, "the transaction was rolled back");
}

static int sqlite_commit(struct connection *connection, rh_error *error)
{
	int code = still_in(connection, error);

	return code == RH_OK ? run_word(of(connection), "COMMIT", error) : code;
}

/* ---- Statements ---- */

/* The length without a "FOR UPDATE", "FOR SHARE" and the like at the end. */
static int length_of(const char *sql)
{
	static const char *const locks[] = {"UPDATE", "NO KEY UPDATE", "SHARE", "KEY SHARE"};
	const char *end = sql + strlen(sql);

	for (const char *p = strstr(sql, " FOR "); p != NULL; p = strstr(p + 1, " FOR "))
		for (size_t i = 0; i < sizeof locks / sizeof *locks; i++)
			if (strncmp(p + 5, locks[i], strlen(locks[i])) == 0 &&
			    strpbrk(p, ")'") == NULL)
				return (int)(p - sql);
	return (int)(end - sql);
}

static int compile(struct sqlite_connection *connection, const struct statement *statement,
    sqlite3_stmt **ret, rh_error *error)
{
	struct prepared *prepared;
	int code, result;

	code = connection_prepared(&connection->connection, statement, &prepared, error);
	if (code != RH_OK)
		return code;
	if (prepared->statement == NULL) {
		result = sqlite3_prepare_v3(connection->db, statement->sql,
		    length_of(statement->sql), SQLITE_PREPARE_PERSISTENT, &prepared->compiled,
		    NULL);
		if (result != SQLITE_OK)
			return connection_failed(connection, result, statement->name, error);
		prepared->statement = statement;
		connection->connection.prepared_count++;
	}
	*ret = prepared->compiled;
	return RH_OK;
}

/* SQLite numbers parameters as they appear; "$3", or "$3::text", is the third. */
static int bind(
    sqlite3_stmt *compiled, const struct statement *statement, const struct value *values)
{
	int count = sqlite3_bind_parameter_count(compiled), result = SQLITE_OK;

	for (int i = 1; i <= count && result == SQLITE_OK; i++) {
		const char *name = sqlite3_bind_parameter_name(compiled, i);
		unsigned long number = name != NULL ? strtoul(name + 1, NULL, 10) : 0;
		const struct value *value;

		if (number < 1 || number > statement->parameters)
			return SQLITE_RANGE;
		value = &values[number - 1];
		if (value->type == VALUE_INTEGER)
			result = sqlite3_bind_int64(compiled, i, value->integer);
		else if (value->type == VALUE_TEXT)
			result = sqlite3_bind_text64(
			    compiled, i, value->text, value->size, SQLITE_STATIC, SQLITE_UTF8);
		else
			result = sqlite3_bind_null(compiled, i);
	}
	return result;
}

/* Texts that need memory to be read get it here, where its lack can be told. */
static bool readable(sqlite3_stmt *compiled)
{
	int columns = sqlite3_data_count(compiled);

	for (int i = 0; i < columns; i++)
		if (sqlite3_column_type(compiled, i) == SQLITE_TEXT &&
		    sqlite3_column_text(compiled, i) == NULL)
			return false;
	return true;
}

static int run(struct sqlite_connection *connection, const struct statement *statement,
    const struct value *values, size_t index, row_function function, void *context,
    rh_error *error)
{
	struct row row = {0};
	int code, result;

	code = still_in(&connection->connection, error);
	if (code == RH_OK)
		code = compile(connection, statement, &row.compiled, error);
	if (code != RH_OK)
		return code;
	result = bind(row.compiled, statement, values);
	if (result == SQLITE_OK)
		result = sqlite3_step(row.compiled);
	while (result == SQLITE_ROW && code == RH_OK) {
		if (!readable(row.compiled))
			code = error_memory(error);
		else if (function != NULL)
			code = function(context, index, &row, error);
		if (code == RH_OK)
			result = sqlite3_step(row.compiled);
	}
	if (code == RH_OK && result != SQLITE_DONE)
		code = connection_failed(connection, result, statement->name, error);
	if (code == RH_OK && !sqlite3_stmt_readonly(row.compiled))
		connection->connection.changes += sqlite3_changes64(connection->db);
	sqlite3_reset(row.compiled);
	sqlite3_clear_bindings(row.compiled);
	return code;
}

static int sqlite_query(struct connection *connection, const struct statement *statement,
    const struct value *values, row_function function, void *context, rh_error *error)
{
	connection->changes = 0;
	return run(of(connection), statement, values, 0, function, context, error);
}

static int sqlite_query_many(struct connection *connection, const struct statement *statement,
    const struct value *values, size_t count, row_function function, void *context,
    rh_error *error)
{
	int code = RH_OK;

	connection->changes = 0;
	for (size_t i = 0; code == RH_OK && i < count; i++)
		code = run(of(connection), statement, values + i * statement->parameters, i,
		    function, context, error);
	return code;
}

const struct backend backend_sqlite = {
    .kind = "sqlite",
    .one_writer = true,
    .prepare = sqlite_prepare,
    .connect = sqlite_connect,
    .disconnect = sqlite_disconnect,
    .usable = sqlite_usable,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .query = sqlite_query,
    .query_many = sqlite_query_many,
};
