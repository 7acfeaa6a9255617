/*
 * What survive.py drives: writes to a PostgreSQL that fails meanwhile, and tells what was
 * acknowledged.
 *
 *	survive open ADDRESS	opens it, and prints the code
 *	survive write ADDRESS	prints each number that was committed, until stdin ends
 *	survive commit ADDRESS	commits once, and prints the code and text
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/database.h"

#define WRITERS 3

static const struct statement insert = {"insert",
    "INSERT INTO audit (seq, time, kind, actor, body, hash)"
    " VALUES ($1, 0, 'test', '', '', '')",
    1, "i"};
static const struct statement touch = {"touch", "SELECT seq FROM head WHERE id = 1", 0, ""};

static atomic_bool stop;
static struct database *database;

static int write_once(int64_t number, rh_error *error)
{
	struct connection *connection = NULL;
	const struct value values[] = {value_integer(number)};
	int code = database_take(database, true, &connection, error);

	if (code == RH_OK)
		code = connection_begin(connection, error);
	if (code == RH_OK)
		code = database_query(connection, &touch, NULL, NULL, NULL, error);
	if (code == RH_OK)
		code = database_query_many(connection, &insert, values, 1, NULL, NULL, error);
	if (code == RH_OK)
		code = connection_commit(connection, error);
	database_give(connection);
	return code;
}

static void *write_on(void *argument)
{
	int64_t number = 1000000 * (int64_t)(intptr_t)argument;

	while (!atomic_load(&stop)) {
		rh_error error = {0};
		int code = write_once(number, &error);

		/* It is there: an earlier try took place, of which we were not told. */
		if (code == RH_OK || code == RH_E_DATABASE_CONFLICT)
			printf("%s %lld\n", code == RH_OK ? "committed" : "there",
			    (long long)number++);
		else
			printf("failed %s: %s\n", rh_code_name(code), error.text);
		fflush(stdout);
		if (code != RH_OK)
			usleep(20000);
	}
	return NULL;
}

static int keep_writing(void)
{
	pthread_t threads[WRITERS];
	char byte;

	for (intptr_t i = 0; i < WRITERS; i++)
		if (pthread_create(&threads[i], NULL, write_on, (void *)(i + 1)) != 0)
			abort();
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	atomic_store(&stop, true);
	for (size_t i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

int main(int argc, char **argv)
{
	rh_error error = {0};
	int code;

	if (argc != 3)
		return 2;
	code = database_open(argv[2], WRITERS, &database, &error);
	if (code == RH_OK && strcmp(argv[1], "write") == 0)
		keep_writing();
	else if (code == RH_OK && strcmp(argv[1], "commit") == 0)
		code = write_once(1, &error);
	database_close(database);
	printf("%s %s\n", rh_code_name(code), error.text);
	return 0;
}
