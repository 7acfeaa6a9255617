#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#include "service/database_internal.h"

/* What is said to PostgreSQL, and how its answers are read. */

#define OID_INT8 20
#define OID_TEXT 25

/* Runs and bytes of values that are on their way at once. */
#define CHUNK_RUNS 256
#define CHUNK_BYTES 65536

static struct postgres_connection *of(struct connection *connection)
{
	return (struct postgres_connection *)connection;
}

/* ---- Waiting ---- */

/* Until something can be read; false: it took too long. */
static bool hear(struct postgres_connection *connection, uint64_t end)
{
	struct pollfd heard = {.fd = PQsocket(connection->pg), .events = POLLIN};
	uint64_t now = clock_monotonic();
	int wait = -1;

	if (!connection->patient)
		wait = now < end ? (int)((end - now) / 1000000) + 1 : 0;
	if (wait == 0)
		return false;
	return poll(&heard, 1, wait) >= 0 || errno == EINTR;
}

/* The next result as PQgetResult gives it, which itself would wait for ever. */
static PGresult *next_result(struct postgres_connection *connection)
{
	uint64_t end =
	    clock_monotonic() + connection->connection.database->answer_ms * UINT64_C(1000000);

	while (PQisBusy(connection->pg)) {
		if (!hear(connection, end)) {
			connection->connection.broken = true;
			return NULL;
		}
		if (!PQconsumeInput(connection->pg))
			break;
	}
	return PQgetResult(connection->pg);
}

PGresult *postgres_result(struct postgres_connection *connection, int sent)
{
	PGresult *last = NULL, *result = sent ? next_result(connection) : NULL;

	while (result != NULL) {
		PQclear(last);
		last = result;
		result = next_result(connection);
	}
	if (!connection->connection.broken)
		return last;
	PQclear(last);
	return NULL;
}

/* ---- Statements ---- */

static int prepare(
    struct postgres_connection *connection, const struct statement *statement, rh_error *error)
{
	Oid types[DATABASE_PARAMETERS_MAX];
	struct prepared *prepared;
	PGresult *result;
	int code, sent;

	code = connection_prepared(&connection->connection, statement, &prepared, error);
	if (code != RH_OK || prepared->statement != NULL)
		return code;
	for (unsigned i = 0; i < statement->parameters; i++)
		types[i] = statement->types[i] == 'i' ? OID_INT8 : OID_TEXT;
	sent = PQsendPrepare(
	    connection->pg, statement->name, statement->sql, (int)statement->parameters, types);
	result = postgres_result(connection, sent);
	if (PQresultStatus(result) == PGRES_COMMAND_OK) {
		prepared->statement = statement;
		connection->connection.prepared_count++;
	} else {
		code = postgres_failed(connection, result, statement->name, error);
	}
	PQclear(result);
	return code;
}

/* Values as libpq wants them: binary, so that nothing is copied. */
struct parameters {
	const char *values[DATABASE_PARAMETERS_MAX];
	int sizes[DATABASE_PARAMETERS_MAX];
	int formats[DATABASE_PARAMETERS_MAX];
	uint8_t integers[DATABASE_PARAMETERS_MAX][8];
	size_t bytes;
};

static int fill(struct parameters *parameters, const struct statement *statement,
    const struct value *values, rh_error *error)
{
	parameters->bytes = 0;
	for (unsigned i = 0; i < statement->parameters; i++) {
		const struct value *value = &values[i];

		if (value->size > INT32_MAX / DATABASE_PARAMETERS_MAX)
			return error_set(error, RH_E_INTERNAL,
			    "the statement %s was given too much", statement->name);
		parameters->values[i] = NULL;
		parameters->sizes[i] = 0;
		parameters->formats[i] = 1;
		if (value->type == VALUE_INTEGER) {
			put_u64be(parameters->integers[i], (uint64_t)value->integer);
			parameters->values[i] = (const char *)parameters->integers[i];
			parameters->sizes[i] = 8;
		} else if (value->type == VALUE_TEXT) {
			parameters->values[i] = value->text;
			parameters->sizes[i] = (int)value->size;
		}
		parameters->bytes += (size_t)parameters->sizes[i] + 8;
	}
	return RH_OK;
}

static int send(struct postgres_connection *connection, const struct statement *statement,
    const struct parameters *parameters, rh_error *error)
{
	int code;

	if (PQsendQueryPrepared(connection->pg, statement->name, (int)statement->parameters,
		parameters->values, parameters->sizes, parameters->formats, 0))
		return RH_OK;
	code = postgres_failed(connection, NULL, statement->name, error);
	connection->connection.broken = true; /* what was sent of it is not known */
	return code;
}

/* ---- Answers ---- */

static int64_t changed(const PGresult *result)
{
	/* libpq counts the rows of SELECT there, too. */
	if (strncmp(PQcmdStatus((PGresult *)result), "SELECT", 6) == 0)
		return 0;
	return strtoll(PQcmdTuples((PGresult *)result), NULL, 10);
}

static int hand_over(struct connection *connection, const PGresult *result, size_t index,
    row_function function, void *context, rh_error *error)
{
	struct row row = {.result = result};
	int code = RH_OK, count = PQntuples(result);

	connection->changes += changed(result);
	for (row.number = 0; code == RH_OK && function != NULL && row.number < count;
	     row.number++)
		code = function(context, index, &row, error);
	return code;
}

static bool succeeded(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

int postgres_query(struct connection *connection, const struct statement *statement,
    const struct value *values, row_function function, void *context, rh_error *error)
{
	struct postgres_connection *postgres = of(connection);
	struct parameters parameters;
	PGresult *result;
	int code, sent;

	connection->changes = 0;
	code = fill(&parameters, statement, values, error);
	if (code == RH_OK)
		code = prepare(postgres, statement, error);
	if (code != RH_OK)
		return code;
	sent = PQsendQueryPrepared(postgres->pg, statement->name, (int)statement->parameters,
	    parameters.values, parameters.sizes, parameters.formats, 0);
	result = postgres_result(postgres, sent);
	if (succeeded(result))
		code = hand_over(connection, result, 0, function, context, error);
	else
		code = postgres_failed(postgres, result, statement->name, error);
	PQclear(result);
	return code;
}

/* ---- Many runs: libpq's pipeline mode ---- */

struct many {
	struct postgres_connection *connection;
	const struct statement *statement;
	const struct value *values;
	size_t count;
	row_function function;
	void *context;
};

/* Sends runs from ${from} on, as many as may be on their way, and a sync behind them. */
static int send_chunk(const struct many *many, size_t from, size_t *ret_end, rh_error *error)
{
	size_t end = from, bytes = 0;
	int code = RH_OK;

	while (code == RH_OK && end < many->count && end - from < CHUNK_RUNS &&
	       bytes < CHUNK_BYTES) {
		struct parameters parameters;

		code = fill(&parameters, many->statement,
		    many->values + end * many->statement->parameters, error);
		if (code == RH_OK)
			code = send(many->connection, many->statement, &parameters, error);
		if (code == RH_OK)
			end++;
		bytes += parameters.bytes;
	}
	if (!PQpipelineSync(many->connection->pg)) {
		if (code == RH_OK)
			code = postgres_failed(
			    many->connection, NULL, many->statement->name, error);
		many->connection->connection.broken = true;
	}
	*ret_end = end;
	return code;
}

static bool alive(const struct postgres_connection *connection)
{
	return !connection->connection.broken && PQstatus(connection->pg) == CONNECTION_OK;
}

/* The answer of one run, of which only the first failure counts. */
static int read_run(const struct many *many, size_t index, int code, rh_error *error)
{
	PGresult *result = next_result(many->connection);

	if (code != RH_OK)
		; /* is only read over */
	else if (succeeded(result))
		code = hand_over(&many->connection->connection, result, index, many->function,
		    many->context, error);
	else
		code = postgres_failed(many->connection, result, many->statement->name, error);
	while (result != NULL) {
		PQclear(result);
		result = alive(many->connection) ? next_result(many->connection) : NULL;
	}
	return code;
}

static int read_chunk(const struct many *many, size_t from, size_t end, rh_error *error)
{
	PGresult *result;
	int code = RH_OK;

	for (size_t i = from; i < end && alive(many->connection); i++)
		code = read_run(many, i, code, error);
	if (!alive(many->connection))
		return code != RH_OK ? code : postgres_lost(many->connection, error);
	result = next_result(many->connection);
	if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
		many->connection->connection.broken = true;
		if (code == RH_OK)
			code = postgres_lost(many->connection, error);
	}
	PQclear(result);
	return code;
}

int postgres_query_many(struct connection *connection, const struct statement *statement,
    const struct value *values, size_t count, row_function function, void *context,
    rh_error *error)
{
	const struct many many = {of(connection), statement, values, count, function, context};
	size_t end = 0;
	int code;

	connection->changes = 0;
	code = prepare(many.connection, statement, error);
	if (code != RH_OK || count == 0)
		return code;
	if (!PQenterPipelineMode(many.connection->pg))
		return postgres_lost(many.connection, error);
	for (size_t from = 0; code == RH_OK && from < count; from = end) {
		int sent = send_chunk(&many, from, &end, error);

		code = sent;
		if (!connection->broken) {
			int read = read_chunk(&many, from, end, sent == RH_OK ? error : NULL);

			code = sent != RH_OK ? sent : read;
		}
	}
	if (!connection->broken && !PQexitPipelineMode(many.connection->pg))
		connection->broken = true;
	return code;
}
