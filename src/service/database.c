#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "service/database_internal.h"

#include "service/database.h"

/* ---- Values and rows ---- */

struct value value_integer(int64_t integer)
{
	return (struct value){VALUE_INTEGER, integer, NULL, 0};
}

struct value value_text(const char *text)
{
	if (text == NULL)
		return value_null();
	return (struct value){VALUE_TEXT, 0, text, strlen(text)};
}

struct value value_null(void)
{
	return (struct value){VALUE_NULL, 0, NULL, 0};
}

bool row_is_null(const struct row *row, unsigned column)
{
	if (row->compiled != NULL)
		return sqlite3_column_type(row->compiled, (int)column) == SQLITE_NULL;
	return PQgetisnull(row->result, row->number, (int)column) != 0;
}

int64_t row_integer(const struct row *row, unsigned column)
{
	const char *text;

	if (row->compiled != NULL)
		return sqlite3_column_int64(row->compiled, (int)column);
	text = PQgetvalue(row->result, row->number, (int)column);
	if (*text == 't')
		return 1; /* a condition, which SQLite gives as a number */
	return strtoll(text, NULL, 10);
}

const char *row_text(const struct row *row, unsigned column)
{
	const char *text;

	if (row->compiled == NULL)
		return PQgetvalue(row->result, row->number, (int)column);
	text = (const char *)sqlite3_column_text(row->compiled, (int)column);
	return text != NULL ? text : "";
}

/* ---- Statements ---- */

static size_t place_of(const struct connection *connection, const struct statement *statement)
{
	size_t mask = connection->prepared_capacity - 1;
	size_t place = ((uintptr_t)statement / sizeof *statement) & mask;

	while (connection->prepared[place].statement != NULL &&
	       connection->prepared[place].statement != statement)
		place = (place + 1) & mask;
	return place;
}

static int prepared_grow(struct connection *connection, rh_error *error)
{
	struct prepared *old = connection->prepared, *grown;
	size_t capacity = connection->prepared_capacity;

	grown = calloc(capacity == 0 ? 64 : 2 * capacity, sizeof *grown);
	if (grown == NULL)
		return error_memory(error);
	connection->prepared = grown;
	connection->prepared_capacity = capacity == 0 ? 64 : 2 * capacity;
	for (size_t i = 0; i < capacity; i++)
		if (old[i].statement != NULL)
			grown[place_of(connection, old[i].statement)] = old[i];
	free(old);
	return RH_OK;
}

int connection_prepared(struct connection *connection, const struct statement *statement,
    struct prepared **ret, rh_error *error)
{
	if (2 * (connection->prepared_count + 1) > connection->prepared_capacity) {
		int code = prepared_grow(connection, error);

		if (code != RH_OK)
			return code;
	}
	*ret = &connection->prepared[place_of(connection, statement)];
	return RH_OK;
}

int statement_check(
    const struct statement *statement, const struct value *values, rh_error *error)
{
	bool good = statement->parameters <= DATABASE_PARAMETERS_MAX;

	for (unsigned i = 0; good && i < statement->parameters; i++) {
		char type = statement->types[i];

		good = values[i].type == VALUE_NULL ||
		       (values[i].type == VALUE_INTEGER && type == 'i') ||
		       (values[i].type == VALUE_TEXT && type == 't');
	}
	if (good)
		return RH_OK;
	return error_set(error, RH_E_INTERNAL,
	    "the statement %s was given other values than it takes", statement->name);
}

static int refuse(const struct connection *connection, rh_error *error)
{
	if (connection->broken)
		return error_set(
		    error, RH_E_DATABASE, "the connection to the database was lost");
	return RH_OK;
}

int database_query(struct connection *connection, const struct statement *statement,
    const struct value *values, row_function function, void *context, rh_error *error)
{
	int code = refuse(connection, error);

	if (code == RH_OK)
		code = statement_check(statement, values, error);
	if (code == RH_OK)
		code = connection->database->backend->query(
		    connection, statement, values, function, context, error);
	return code;
}

int database_query_many(struct connection *connection, const struct statement *statement,
    const struct value *values, size_t count, row_function function, void *context,
    rh_error *error)
{
	int code = refuse(connection, error);

	if (code == RH_OK && !connection->transaction)
		code = error_set(error, RH_E_INTERNAL,
		    "the statement %s runs many times outside of a transaction",
		    statement->name);
	for (size_t i = 0; code == RH_OK && i < count; i++)
		code = statement_check(statement, values + i * statement->parameters, error);
	if (code == RH_OK)
		code = connection->database->backend->query_many(
		    connection, statement, values, count, function, context, error);
	return code;
}

int64_t connection_changes(const struct connection *connection)
{
	return connection->changes;
}

/* ---- Transactions ---- */

int connection_begin(struct connection *connection, rh_error *error)
{
	int code;

	if (connection->transaction)
		return error_set(error, RH_E_INTERNAL, "a transaction was begun within one");
	code = connection->database->backend->begin(connection, error);
	if (code == RH_OK)
		connection->transaction = true;
	return code;
}

int connection_commit(struct connection *connection, rh_error *error)
{
	int code = refuse(connection, error);

	if (code == RH_OK && !connection->transaction)
		code = error_set(
		    error, RH_E_INTERNAL, "a transaction was committed that was not begun");
	if (code == RH_OK)
		code = connection->database->backend->commit(connection, error);
	if (code == RH_OK)
		connection->transaction = false;
	return code;
}

void connection_rollback(struct connection *connection)
{
	if (connection->transaction && !connection->broken)
		connection->database->backend->rollback(connection);
	connection->transaction = false;
}

/* ---- The pool ---- */

static struct lane *lane_of(struct database *database, bool writing)
{
	return &database->lanes[database->backend->one_writer && writing ? LANE_WRITING
									 : LANE_READING];
}

/* Within the lock: a connection, or with NULL its place, goes to who waits first, or idles. */
static void lane_put(struct lane *lane, struct connection *connection)
{
	struct waiter *waiter = lane->first;

	if (waiter != NULL) {
		lane->first = waiter->next;
		if (lane->first == NULL)
			lane->last = &lane->first;
		waiter->connection = connection;
		waiter->served = true;
		pthread_cond_signal(&waiter->woken);
	} else if (connection != NULL) {
		connection->next = lane->idle;
		lane->idle = connection;
	} else {
		lane->open--;
	}
}

/* Within the lock. */
static void lane_forget(struct lane *lane, const struct waiter *waiter)
{
	struct waiter **link = &lane->first;

	while (*link != waiter)
		link = &(*link)->next;
	*link = waiter->next;
	if (waiter->next == NULL)
		lane->last = link;
}

/* Within the lock; false if the time is over. */
static bool lane_wait(struct database *database, struct lane *lane, struct connection **ret)
{
	struct waiter waiter = {0};
	pthread_condattr_t attributes;
	struct timespec until;
	int result = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += database->wait_ms / 1000;
	until.tv_nsec += (long)(database->wait_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&waiter.woken, &attributes);
	pthread_condattr_destroy(&attributes);

	*lane->last = &waiter;
	lane->last = &waiter.next;
	while (!waiter.served && result != ETIMEDOUT)
		result = pthread_cond_timedwait(&waiter.woken, &database->lock, &until);
	if (!waiter.served)
		lane_forget(lane, &waiter);
	pthread_cond_destroy(&waiter.woken);
	*ret = waiter.connection;
	return waiter.served;
}

int database_take(
    struct database *database, bool writing, struct connection **ret, rh_error *error)
{
	const struct backend *backend = database->backend;
	struct lane *lane = lane_of(database, writing);
	struct connection *connection = NULL;
	bool good = true;
	int code = RH_OK;

	pthread_mutex_lock(&database->lock);
	if (lane->idle != NULL) {
		connection = lane->idle;
		lane->idle = connection->next;
	} else if (lane->open < lane->limit) {
		lane->open++;
	} else {
		good = lane_wait(database, lane, &connection);
	}
	pthread_mutex_unlock(&database->lock);
	if (!good)
		return error_set(error, RH_E_DATABASE,
		    "all connections to the database were in use for %u milliseconds",
		    database->wait_ms);

	if (connection != NULL && !backend->usable(connection)) {
		backend->disconnect(connection);
		connection = NULL;
	}
	if (connection == NULL)
		code = backend->connect(database, writing, &connection, error);
	if (code != RH_OK) {
		pthread_mutex_lock(&database->lock);
		lane_put(lane, NULL);
		pthread_mutex_unlock(&database->lock);
		return code;
	}
	connection->writing = writing;
	connection->changes = 0;
	*ret = connection;
	return RH_OK;
}

void database_give(struct connection *connection)
{
	struct database *database;
	struct lane *lane;

	if (connection == NULL)
		return;
	database = connection->database;
	lane = lane_of(database, connection->writing);
	connection_rollback(connection);
	if (connection->broken) {
		database->backend->disconnect(connection);
		connection = NULL;
	}
	pthread_mutex_lock(&database->lock);
	lane_put(lane, connection);
	pthread_mutex_unlock(&database->lock);
}

/* ---- The database ---- */

static const struct backend *backend_of(const char *address, const char **ret_rest)
{
	*ret_rest = address;
	if (strncmp(address, "sqlite:", 7) == 0 && address[7] != '\0') {
		*ret_rest = address + 7;
		return &backend_sqlite;
	}
	if (strncmp(address, "postgresql://", 13) == 0 ||
	    strncmp(address, "postgres://", 11) == 0)
		return &backend_postgres;
	return NULL;
}

int database_open(
    const char *address, unsigned connections, struct database **ret, rh_error *error)
{
	const char *rest;
	const struct backend *backend = backend_of(address, &rest);
	struct database *database;
	int code;

	/* The address may hold a password. */
	if (backend == NULL)
		return error_set(error, RH_E_ARGUMENT,
		    "the address of the database is neither sqlite:PATH nor postgresql://...");
	database = calloc(1, sizeof *database);
	if (database == NULL)
		return error_memory(error);
	database->backend = backend;
	database->wait_ms = DATABASE_WAIT_MS;
	database->answer_ms = DATABASE_ANSWER_MS;
	pthread_mutex_init(&database->lock, NULL);
	for (size_t i = 0; i < LANE_COUNT; i++) {
		database->lanes[i].last = &database->lanes[i].first;
		database->lanes[i].limit = 1;
	}
	if (connections > (backend->one_writer ? 2U : 1U))
		database->lanes[LANE_READING].limit = connections - backend->one_writer;
	database->address = strdup(rest);
	if (database->address == NULL)
		code = error_memory(error);
	else
		code = backend->prepare(database, error);
	if (code != RH_OK) {
		database_close(database);
		return code;
	}
	*ret = database;
	return RH_OK;
}

void database_close(struct database *database)
{
	if (database == NULL)
		return;
	for (size_t i = 0; i < LANE_COUNT; i++) {
		struct connection *connection = database->lanes[i].idle;

		while (connection != NULL) {
			struct connection *next = connection->next;

			database->backend->disconnect(connection);
			connection = next;
		}
	}
	pthread_mutex_destroy(&database->lock);
	if (database->address != NULL)
		bytes_wipe(database->address, strlen(database->address));
	free(database->address);
	free(database);
}

const char *database_kind(const struct database *database)
{
	return database->backend->kind;
}
