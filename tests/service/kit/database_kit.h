#ifndef TESTS_SERVICE_DATABASE_KIT_H
#define TESTS_SERVICE_DATABASE_KIT_H

#include "service/database.h"

/*
 * Fresh, empty databases for tests.  With REHOST_TEST_DATABASE, which with_postgres.py
 * sets, each is a new database of that cluster; else a SQLite file in a temporary directory.
 * What cannot be made fails the test.  One thread at a time.
 */

/* ${connections}: as for database_open. */
struct database *kit_database(unsigned connections);
/* Closes it, and removes it from the world. */
void kit_database_drop(struct database *database);

/* To open it once more; lives until it is dropped. */
const char *kit_database_address(const struct database *database);

/* The same for those that open it themselves, perhaps in another program. */
struct kit_place {
	char address[512];
	char name[64]; /* directory of SQLite, or name of the database */
};
void kit_place_make(struct kit_place *ret);
void kit_place_drop(const struct kit_place *place);

/* Whether it is PostgreSQL that is tested. */
bool kit_is_postgres(void);

#endif
