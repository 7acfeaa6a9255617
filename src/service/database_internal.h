#ifndef SERVICE_DATABASE_INTERNAL_H
#define SERVICE_DATABASE_INTERNAL_H

#include <pthread.h>
#include <stddef.h>

#include <libpq-fe.h>
#include <sqlite3.h>

#include "service/database.h"

/* What the files of the database share; nobody else includes this. */

#define DATABASE_WAIT_MS 10000 /* for a connection, and for a lock of SQLite */
/* For an answer of PostgreSQL, which gives up a statement by itself after 10 seconds. */
#define DATABASE_ANSWER_MS 15000
#define DATABASE_PARAMETERS_MAX 32 /* of one statement */

/* ---- schema.c ---- */

/* Append only: a step that was released is never edited.  Step N makes version N. */
struct database_step {
	const char *sqlite;
	const char *postgres;
};
extern const struct database_step database_steps[];
extern const size_t database_step_count;
#define DATABASE_APPLICATION_ID 0x5265484c /* "ReHL" */

/* RH_E_STORE_NEWER if this program knows no such version. */
int database_version_check(int64_t version, rh_error *error);

/* ---- Connections ---- */

struct row {
	sqlite3_stmt *compiled; /* SQLite */
	const PGresult *result; /* PostgreSQL */
	int number;
};

/* A statement that this connection has prepared. */
struct prepared {
	const struct statement *statement; /* NULL: free place */
	sqlite3_stmt *compiled; /* SQLite */
};

struct connection {
	struct database *database;
	struct connection *next; /* idle ones */
	bool writing;
	bool transaction; /* begun, and neither committed nor rolled back */
	bool broken; /* not to be used again */
	int64_t changes;
	struct prepared *prepared; /* a hash table by address, at most half full */
	size_t prepared_count;
	size_t prepared_capacity; /* a power of two, or 0 */
};

/* The place of the statement, or a free one: its member statement tells. */
int connection_prepared(struct connection *connection, const struct statement *statement,
    struct prepared **ret, rh_error *error);
/* RH_E_INTERNAL unless they are of the types that the statement names. */
int statement_check(
    const struct statement *statement, const struct value *values, rh_error *error);

/* ---- Backends ---- */

struct backend {
	const char *kind;
	bool one_writer; /* and readers beside it */

	/* Makes the schema, or brings it up to date. */
	int (*prepare)(struct database *database, rh_error *error);
	int (*connect)(
	    struct database *database, bool writing, struct connection **ret, rh_error *error);
	void (*disconnect)(struct connection *connection);
	/* Whether an idle connection is still good, without asking the server. */
	bool (*usable)(struct connection *connection);
	int (*begin)(struct connection *connection, rh_error *error);
	int (*commit)(struct connection *connection, rh_error *error);
	void (*rollback)(struct connection *connection);
	int (*query)(struct connection *connection, const struct statement *statement,
	    const struct value *values, row_function function, void *context, rh_error *error);
	int (*query_many)(struct connection *connection, const struct statement *statement,
	    const struct value *values, size_t count, row_function function, void *context,
	    rh_error *error);
};

extern const struct backend backend_sqlite;
extern const struct backend backend_postgres;

/* ---- SQLite ---- */

#define SQLITE_FLAGS (SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE)

sqlite3 *sqlite_handle(struct connection *connection);
/* ${what}: a statement's name, or what else was done.  What SQLite says may hold values. */
int sqlite_failed(sqlite3 *db, int result, const char *what, rh_error *error);

/* ---- PostgreSQL ---- */

struct postgres_connection {
	struct connection connection; /* first */
	PGconn *pg;
	bool patient; /* waits for an answer as long as it takes */
	bool warned; /* the server told a warning since this was set to false */
};

int postgres_lost(struct postgres_connection *connection, rh_error *error);
/* ${what}: a statement's name, or a word.  What the server says may hold values. */
int postgres_failed(struct postgres_connection *connection, const PGresult *result,
    const char *what, rh_error *error);

/* database_exchange.c */

/* The last result of what was ${sent} (libpq's PQsend...); NULL: lost, or no memory. */
PGresult *postgres_result(struct postgres_connection *connection, int sent);
int postgres_query(struct connection *connection, const struct statement *statement,
    const struct value *values, row_function function, void *context, rh_error *error);
int postgres_query_many(struct connection *connection, const struct statement *statement,
    const struct value *values, size_t count, row_function function, void *context,
    rh_error *error);

/* ---- The pool ---- */

struct waiter {
	struct waiter *next;
	pthread_cond_t woken;
	bool served;
	struct connection *connection; /* NULL: its place alone, to be filled */
};

/* Connections of one sort; those that wait are served in their order. */
struct lane {
	struct connection *idle;
	unsigned open; /* taken, idle, or being made */
	unsigned limit;
	struct waiter *first;
	struct waiter **last;
};

enum { LANE_READING, LANE_WRITING, LANE_COUNT }; /* PostgreSQL uses the first alone */

struct database {
	const struct backend *backend;
	char *address; /* path of the file, or URL */
	unsigned wait_ms; /* DATABASE_WAIT_MS, but in tests */
	unsigned answer_ms; /* DATABASE_ANSWER_MS, but in tests */
	pthread_mutex_t lock; /* of the lanes */
	struct lane lanes[LANE_COUNT];
};

#endif
