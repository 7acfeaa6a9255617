/*
 * Seconds that spending takes, and seconds that SQLite alone takes for as many durable changes
 * of a row of that size:
 *
 *   use STORE KEY-ID-FORMAT COUNT NEW-DATABASE
 *
 * STORE holds signed licences that count "play"; KEY-ID-FORMAT takes one number, as in
 * "song-%07d".
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rehost/rehost.h"

#define ROWS 1000

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static _Noreturn void fail(const char *why)
{
	fprintf(stderr, "use: %s\n", why);
	exit(1);
}

/* Key ids spread over the store, none twice in a row. */
static double spend(const char *directory, const char *start, int count)
{
	const char *digits = strchr(start, '%');
	rh_store *store = NULL;
	rh_error error = {0};
	char key_id[128];
	double began;

	if (digits == NULL || rh_store_open(directory, 0, &store, &error) != RH_OK)
		fail(error.text);
	began = seconds();
	for (int i = 0; i < count; i++) {
		snprintf(key_id, sizeof key_id, "%.*s%07d", (int)(digits - start), start,
		    i * 37 % ROWS);
		if (rh_license_use(store, key_id, "play", NULL, &error) != RH_OK)
			fail(error.text);
	}
	began = seconds() - began;
	rh_store_close(store);
	return began;
}

static void run(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail(sqlite3_errmsg(db));
}

static double change(const char *path, int count)
{
	char sql[160];
	sqlite3 *db;
	double began;

	remove(path);
	if (sqlite3_open(path, &db) != SQLITE_OK)
		fail(path);
	run(db,
	    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
	    "CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB);"
	    "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999) "
	    "INSERT INTO rows SELECT i, randomblob(900) FROM n");
	began = seconds();
	for (int i = 0; i < count; i++) {
		snprintf(sql, sizeof sql,
		    "UPDATE rows SET body = randomblob(900) WHERE id = %d", i * 37 % ROWS);
		run(db, sql);
	}
	began = seconds() - began;
	sqlite3_close(db);
	return began;
}

int main(int argc, char **argv)
{
	double use, bare;

	if (argc != 5)
		fail("needs STORE KEY-ID-FORMAT COUNT NEW-DATABASE");
	use = spend(argv[1], argv[2], atoi(argv[3]));
	bare = change(argv[4], atoi(argv[3]));
	printf("%.3f %.3f\n", use, bare);
	return 0;
}
