#ifndef SERVICE_DATABASE_H
#define SERVICE_DATABASE_H

#include <stdbool.h>

#include "base/bytes.h"

/*
 * SQLite or PostgreSQL behind one face.  A statement is written once, in the SQL that both
 * understand, with parameters $1, $2, ...; "FOR UPDATE" at its end is for PostgreSQL
 * alone (SQLite has one writer).  No SQL is ever made of texts from outside.
 *
 * Failures: RH_E_DATABASE (unreachable, full, broken: the connection is made anew the next
 * time), RH_E_DATABASE_CONFLICT (a unique key is there already, a deadlock, a serialization
 * failure, a busy file: roll back and do the transaction again), RH_E_MEMORY.
 */

struct database;
struct connection;

/*
 * "sqlite:PATH" or "postgresql://...".  Makes the schema, or brings it up to date (SCHEMA.md).
 * ${connections}: at most so many at once; SQLite has one that writes, and one more at
 * least.  RH_E_STORE_NEWER for a schema of a later version.
 */
int database_open(
    const char *address, unsigned connections, struct database **ret, rh_error *error);
void database_close(struct database *database);
/* "sqlite" or "postgresql". */
const char *database_kind(const struct database *database);

/*
 * Waits for a connection, at most 10 seconds.  ${writing}: a transaction may write; without,
 * it sees the database of one moment.
 */
int database_take(
    struct database *database, bool writing, struct connection **ret, rh_error *error);
/* Gives it back, rolling back what was not committed; NULL is fine. */
void database_give(struct connection *connection);

int connection_begin(struct connection *connection, rh_error *error);
/*
 * Durable at the return.  RH_E_DATABASE may mean that it is not known whether it took place:
 * the connection was lost meanwhile.
 */
int connection_commit(struct connection *connection, rh_error *error);
void connection_rollback(struct connection *connection);

enum value_type { VALUE_NULL, VALUE_INTEGER, VALUE_TEXT };
struct value {
	enum value_type type;
	int64_t integer;
	const char *text; /* UTF-8 without NUL; lives during the call */
	size_t size; /* bytes of text */
};
struct value value_integer(int64_t integer);
struct value value_text(const char *text); /* NULL: VALUE_NULL */
struct value value_null(void);

/*
 * A row of a result, during the call that brings it, which must not use the connection.
 * PostgreSQL's results are held in memory whole: ask for many rows with LIMIT.
 */
struct row;
int64_t row_integer(const struct row *row, unsigned column); /* 0 if NULL */
bool row_is_null(const struct row *row, unsigned column);
/* Ends with NUL; "" if NULL. */
const char *row_text(const struct row *row, unsigned column);

/* Static: prepared once a connection, found by its address. */
struct statement {
	const char *name; /* unique */
	const char *sql;
	unsigned parameters; /* at most 32 */
	const char *types; /* a character a parameter: 'i' integer, 't' text */
};

typedef int (*row_function)(
    void *context, size_t index, const struct row *row, rh_error *error);

/* Runs it once; ${function} (may be NULL) is called with index 0 for each row. */
int database_query(struct connection *connection, const struct statement *statement,
    const struct value *values, row_function function, void *context, rh_error *error);

/*
 * Runs it ${count} times with ${statement->parameters} values each, in order, within a
 * transaction, in one exchange with the server; ${function} gets the index of the run.
 */
int database_query_many(struct connection *connection, const struct statement *statement,
    const struct value *values, size_t count, row_function function, void *context,
    rh_error *error);

/* Rows changed by the last database_query or database_query_many. */
int64_t connection_changes(const struct connection *connection);

/* A consistent copy of a SQLite database while it is used; RH_E_ARGUMENT for PostgreSQL. */
int database_backup(struct database *database, const char *path, rh_error *error);

#endif
