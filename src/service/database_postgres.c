#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#include "service/database_internal.h"

/* Taken while tables are made: any number that nobody else takes. */
#define MIGRATION_LOCK "5928233442881294412"

static struct postgres_connection *of(struct connection *connection)
{
	return (struct postgres_connection *)connection;
}

/* ---- Failures ---- */

/* SQLSTATEs by their beginning; the first that fits. */
static const struct {
	const char *state;
	int code;
	bool lost; /* the connection is of no use any more */
} states[] = {
    {"40003", RH_E_DATABASE, true}, /* it is not known how a statement ended */
    {"40", RH_E_DATABASE_CONFLICT, false}, /* serialization failure, deadlock */
    {"23505", RH_E_DATABASE_CONFLICT, false}, /* unique key */
    {"55P03", RH_E_DATABASE_CONFLICT, false}, /* lock not available */
    {"22", RH_E_INTERNAL, false}, {"23", RH_E_INTERNAL, false},
    {"42501", RH_E_DATABASE, false}, /* not permitted */
    {"42", RH_E_INTERNAL, false}, {"25006", RH_E_DATABASE, true}, /* it became a standby */
    {"08", RH_E_DATABASE, true},
    {"0A000", RH_E_DATABASE, true}, /* a prepared statement no longer fits the tables */
    {"26000", RH_E_DATABASE, true}, /* it has lost a prepared statement */
    {"57P", RH_E_DATABASE, true}, /* shutdown, crash */
};

int postgres_lost(struct postgres_connection *connection, rh_error *error)
{
	connection->connection.broken = true;
	return error_set(error, RH_E_DATABASE, "the connection to the database was lost");
}

int postgres_failed(struct postgres_connection *connection, const PGresult *result,
    const char *what, rh_error *error)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	int code = RH_E_DATABASE;

	if (connection->connection.broken || PQstatus(connection->pg) != CONNECTION_OK)
		return postgres_lost(connection, error);
	if (result == NULL)
		return error_memory(error);
	if (state == NULL)
		return postgres_lost(connection, error);
	for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
		if (strncmp(state, states[i].state, strlen(states[i].state)) != 0)
			continue;
		code = states[i].code;
		if (states[i].lost)
			connection->connection.broken = true;
		break;
	}
	if (strcmp(state, "25006") == 0 && !connection->connection.writing)
		code = RH_E_INTERNAL;
	return error_set(
	    error, code, "the database refused a statement (%s): SQLSTATE %.5s", what, state);
}

static int run_words(
    struct postgres_connection *connection, const char *sql, const char *what, rh_error *error)
{
	PGresult *result = postgres_result(connection, PQsendQuery(connection->pg, sql));
	ExecStatusType status = PQresultStatus(result);
	int code = RH_OK;

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		code = postgres_failed(connection, result, what, error);
	PQclear(result);
	return code;
}

/* ---- Connections ---- */

static void on_notice(void *context, const PGresult *result)
{
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

	if (severity != NULL && strcmp(severity, "WARNING") == 0)
		((struct postgres_connection *)context)->warned = true;
}

static PGconn *dial(const char *address)
{
	/* What stands before the address, the address may say otherwise. */
	const char *const names[] = {"connect_timeout", "tcp_user_timeout", "keepalives_idle",
	    "keepalives_interval", "keepalives_count", "target_session_attrs",
	    "application_name", "dbname", "client_encoding", NULL};
	const char *const values[] = {
	    "5", "10000", "10", "5", "3", "read-write", "rehostd", address, "UTF8", NULL};

	return PQconnectdbParams(names, values, 1);
}

static int set_up(struct postgres_connection *connection, rh_error *error)
{
	static const char settings[] =
	    "SET statement_timeout = 10000;"
	    "SET idle_in_transaction_session_timeout = 60000;"
	    "SET client_min_messages = warning;"
	    "SET default_transaction_isolation = 'read committed';"
	    "SELECT set_config('synchronous_commit', 'on', false)"
	    " WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')";

	return run_words(connection, settings, "setting up", error);
}

static void postgres_disconnect(struct connection *connection)
{
	PQfinish(of(connection)->pg);
	free(connection->prepared);
	free(connection);
}

/* A connection that is made or made anew. */
static int dial_in(struct postgres_connection *connection, rh_error *error)
{
	char text[512];
	int code = RH_OK;

	connection->pg = dial(connection->connection.database->address);
	if (connection->pg == NULL)
		return error_memory(error);
	if (PQstatus(connection->pg) != CONNECTION_OK) {
		const char *said = PQerrorMessage(connection->pg);
		size_t size = strlen(said);

		while (size > 0 && said[size - 1] == '\n')
			size--;
		text_copy(text, sizeof text, said, utf8_valid(said, size) ? size : 0);
		code =
		    error_set(error, RH_E_DATABASE, "the database cannot be reached: %s", text);
	}
	if (code == RH_OK) {
		connection->connection.broken = false;
		PQsetNoticeReceiver(connection->pg, on_notice, connection);
		code = set_up(connection, error);
	}
	if (code != RH_OK) {
		PQfinish(connection->pg);
		connection->pg = NULL;
	}
	connection->connection.broken = code != RH_OK;
	return code;
}

static int postgres_connect(
    struct database *database, bool writing, struct connection **ret, rh_error *error)
{
	struct postgres_connection *made = calloc(1, sizeof *made);
	int code;

	if (made == NULL)
		return error_memory(error);
	made->connection.database = database;
	made->connection.writing = writing;
	code = dial_in(made, error);
	if (code != RH_OK) {
		postgres_disconnect(&made->connection);
		return code;
	}
	*ret = &made->connection;
	return RH_OK;
}

/* Reads what the server said meanwhile: that it goes, or has become a standby. */
static bool postgres_usable(struct connection *connection)
{
	PGconn *pg = of(connection)->pg;
	struct pollfd heard = {.fd = PQsocket(pg), .events = POLLIN};
	const char *standby;

	/* First its last words, then the end. */
	while (poll(&heard, 1, 0) > 0) {
		if (!PQconsumeInput(pg))
			return false;
		PQisBusy(pg); /* takes in what was read */
	}
	standby = PQparameterStatus(pg, "in_hot_standby");
	return PQstatus(pg) == CONNECTION_OK && PQtransactionStatus(pg) == PQTRANS_IDLE &&
	       (standby == NULL || strcmp(standby, "off") == 0);
}

/* In the place of a connection that was lost while nothing was under way. */
static int redial(struct postgres_connection *connection, rh_error *error)
{
	PQfinish(connection->pg);
	connection->pg = NULL;
	free(connection->connection.prepared);
	connection->connection.prepared = NULL;
	connection->connection.prepared_count = 0;
	connection->connection.prepared_capacity = 0;
	return dial_in(connection, error);
}

/* ---- The schema ---- */

static int number_of(
    struct postgres_connection *connection, const char *sql, int64_t *ret, rh_error *error)
{
	PGresult *result = postgres_result(connection, PQsendQuery(connection->pg, sql));
	int code = RH_OK;

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		code = postgres_failed(connection, result, "version", error);
	else
		*ret = PQntuples(result) == 1 ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : 0;
	PQclear(result);
	return code;
}

/* 0: there are no tables yet. */
static int version_of(struct postgres_connection *connection, int64_t *ret, rh_error *error)
{
	int64_t there = 0, version = 0;
	int code;

	code = number_of(connection,
	    "SELECT count(*) FROM pg_catalog.pg_class WHERE oid = to_regclass('meta')", &there,
	    error);
	if (code == RH_OK && there != 0) {
		code = number_of(connection,
		    "SELECT value FROM meta WHERE name = 'rehostd schema'", &version, error);
		if (code == RH_E_INTERNAL || (code == RH_OK && version <= 0))
			code = error_set(error, RH_E_DATABASE,
			    "the database has a table \"meta\" that is not the ledger's");
	}
	if (code == RH_OK)
		code = database_version_check(version, error);
	if (code == RH_OK)
		*ret = version;
	return code;
}

static int note_version(struct postgres_connection *connection, rh_error *error)
{
	char number[24];
	const char *const values[] = {number};
	PGresult *result;
	int code = RH_OK, sent;

	*text_decimal(number, database_step_count) = '\0';
	sent = PQsendQueryParams(connection->pg,
	    "INSERT INTO meta (name, value) VALUES ('rehostd schema', $1)"
	    " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
	    1, NULL, values, NULL, NULL, 0);
	result = postgres_result(connection, sent);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		code = postgres_failed(connection, result, "version", error);
	PQclear(result);
	return code;
}

/* Several that start on one database make its tables one after another. */
static int migrate(struct postgres_connection *connection, rh_error *error)
{
	static const char lock[] = "BEGIN; SET LOCAL statement_timeout = 0;"
				   "SELECT pg_advisory_xact_lock(" MIGRATION_LOCK ")";
	int64_t version = 0;
	int code;

	connection->patient = true;
	code = run_words(connection, lock, "BEGIN", error);
	if (code == RH_OK)
		code = version_of(connection, &version, error);
	for (size_t i = (size_t)version; code == RH_OK && i < database_step_count; i++)
		code = run_words(
		    connection, database_steps[i].postgres, "making its tables", error);
	if (code == RH_OK)
		code = note_version(connection, error);
	if (code == RH_OK)
		return run_words(connection, "COMMIT", "COMMIT", error);
	run_words(connection, "ROLLBACK", "ROLLBACK", NULL);
	return code;
}

/* Said here, as libpq would quote the address, and a password with it. */
static int check_address(const char *address, rh_error *error)
{
	char *said = NULL;
	PQconninfoOption *options = PQconninfoParse(address, &said);
	bool good = options != NULL;

	PQconninfoFree(options);
	if (said != NULL)
		bytes_wipe(said, strlen(said));
	PQfreemem(said);
	if (good)
		return RH_OK;
	return error_set(
	    error, RH_E_ARGUMENT, "the address of the database is no valid postgresql:// URL");
}

static int postgres_prepare(struct database *database, rh_error *error)
{
	struct connection *connection = NULL;
	int64_t version = 0;
	int code;

	code = check_address(database->address, error);
	if (code == RH_OK)
		code = database_take(database, true, &connection, error);
	if (code == RH_OK)
		code = version_of(of(connection), &version, error);
	if (code == RH_OK && (uint64_t)version < database_step_count)
		code = migrate(of(connection), error);
	if (connection != NULL)
		of(connection)->patient = false;
	database_give(connection);
	return code;
}

/* ---- Transactions ---- */

static int postgres_begin(struct connection *connection, rh_error *error)
{
	/* A reader sees one moment, as it does in SQLite. */
	const char *sql = connection->writing
			      ? "BEGIN ISOLATION LEVEL READ COMMITTED"
			      : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
	int code = RH_E_DATABASE;

	if (!connection->broken)
		code = run_words(of(connection), sql, "BEGIN", error);
	/* Nothing was done yet: a server that was started anew is not the caller's trouble. */
	if (code == RH_E_DATABASE && connection->broken)
		code = redial(of(connection), error);
	else
		return code;
	return code == RH_OK ? run_words(of(connection), sql, "BEGIN", error) : code;
}

static int postgres_commit(struct connection *connection, rh_error *error)
{
	struct postgres_connection *postgres = of(connection);
	PGresult *result;
	int code = RH_OK;

	postgres->warned = false;
	result = postgres_result(postgres, PQsendQuery(postgres->pg, "COMMIT"));
	if (PQresultStatus(result) != PGRES_COMMAND_OK) {
		code = postgres_failed(postgres, result, "COMMIT", error);
		if (connection->broken)
			code = error_set(error, RH_E_DATABASE,
			    "the connection to the database was lost during a commit, which "
			    "may have taken place");
	} else if (strcmp(PQcmdStatus(result), "COMMIT") != 0) {
		code = error_set(error, RH_E_DATABASE, "the transaction was rolled back");
	} else if (postgres->warned) {
		/* It stopped waiting for the standby, and is durable on this server alone. */
		code = error_set(error, RH_E_DATABASE,
		    "the commit has not reached the standby of the database");
	}
	PQclear(result);
	return code;
}

static void postgres_rollback(struct connection *connection)
{
	run_words(of(connection), "ROLLBACK", "ROLLBACK", NULL);
	if (PQtransactionStatus(of(connection)->pg) != PQTRANS_IDLE)
		connection->broken = true;
}

const struct backend backend_postgres = {
    .kind = "postgresql",
    .one_writer = false,
    .prepare = postgres_prepare,
    .connect = postgres_connect,
    .disconnect = postgres_disconnect,
    .usable = postgres_usable,
    .begin = postgres_begin,
    .commit = postgres_commit,
    .rollback = postgres_rollback,
    .query = postgres_query,
    .query_many = postgres_query_many,
};
