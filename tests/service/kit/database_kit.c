#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <libpq-fe.h>

#include "database_kit.h"

#define DATABASES_MAX 16 /* at once */

static struct {
	struct database *database;
	struct kit_place place;
} made[DATABASES_MAX];

static const char *cluster(void)
{
	return getenv("REHOST_TEST_DATABASE");
}

bool kit_is_postgres(void)
{
	return cluster() != NULL;
}

/* ---- PostgreSQL ---- */

/* ${sql} is of digits and words of this file alone. */
static void command(const char *sql)
{
	PGconn *pg = PQconnectdb(cluster());
	PGresult *result = PQexec(pg, sql);

	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		fail_msg("%s: %s", sql, PQerrorMessage(pg));
	PQclear(result);
	PQfinish(pg);
}

/* The cluster's address with another database in its path. */
static void address_of(char *ret, size_t size, const char *name)
{
	const char *url = cluster(), *authority = strstr(url, "://"), *path, *query;
	int written;

	assert_non_null(authority);
	path = strchr(authority + 3, '/');
	assert_non_null(path);
	query = strchr(path, '?');
	written = snprintf(
	    ret, size, "%.*s/%s%s", (int)(path - url), url, name, query != NULL ? query : "");
	assert_in_range(written, 1, size - 1);
}

static void make_postgres(struct kit_place *place)
{
	static unsigned number;
	char sql[160];

	snprintf(place->name, sizeof place->name, "kit_%d_%u", (int)getpid(), ++number);
	snprintf(sql, sizeof sql, "CREATE DATABASE %s TEMPLATE template0", place->name);
	command(sql);
	address_of(place->address, sizeof place->address, place->name);
}

/* ---- SQLite ---- */

static void make_sqlite(struct kit_place *place)
{
	const char *root = getenv("TMPDIR");

	snprintf(place->name, sizeof place->name, "%.32s/rehost-kit-XXXXXX",
	    root != NULL ? root : "/tmp");
	assert_non_null(mkdtemp(place->name));
	snprintf(place->address, sizeof place->address, "sqlite:%s/ledger.db", place->name);
}

static void drop_sqlite(const struct kit_place *place)
{
	static const char *const names[] = {
	    "ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db-journal"};
	char path[128];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", place->name, names[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(place->name), 0);
}

/* ---- Either ---- */

void kit_place_make(struct kit_place *ret)
{
	memset(ret, 0, sizeof *ret);
	if (kit_is_postgres())
		make_postgres(ret);
	else
		make_sqlite(ret);
}

void kit_place_drop(const struct kit_place *place)
{
	char sql[160];

	if (!kit_is_postgres()) {
		drop_sqlite(place);
		return;
	}
	snprintf(sql, sizeof sql, "DROP DATABASE %s WITH (FORCE)", place->name);
	command(sql);
}

static size_t find(const struct database *database)
{
	size_t i = 0;

	while (i < DATABASES_MAX && made[i].database != database)
		i++;
	assert_in_range(i, 0, DATABASES_MAX - 1);
	return i;
}

struct database *kit_database(unsigned connections)
{
	size_t i = find(NULL);
	rh_error error = {0};
	int code;

	kit_place_make(&made[i].place);
	code = database_open(made[i].place.address, connections, &made[i].database, &error);
	if (code != RH_OK)
		fail_msg("%s: %s", rh_code_name(code), error.text);
	return made[i].database;
}

void kit_database_drop(struct database *database)
{
	size_t i;

	if (database == NULL)
		return;
	i = find(database);
	database_close(database);
	made[i].database = NULL;
	kit_place_drop(&made[i].place);
}

const char *kit_database_address(const struct database *database)
{
	return made[find(database)].place.address;
}
