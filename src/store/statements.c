#include "store/internal.h"

#define FACT_COLUMNS                                                                           \
	"SELECT number, id, key_id, format, issuer, title, service, reason, issued,"           \
	" not_before, not_after, counts, backup, added, bytes, digest, state_version,"         \
	" dictionary, seal, secret IS NOT NULL, state IS NOT NULL"
#define ALL_COLUMNS FACT_COLUMNS ", document, secret, state"

static const char *const texts[SQL_COUNT] = {
    [SQL_BEGIN_READ] = "BEGIN DEFERRED",
    [SQL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    /*
     * 8 and 16 MiB.  SQLite turns the size into pages once, with the page size
     * that it knows then: before the first read that is not the file's.
     */
    [SQL_CACHE_READING] = "PRAGMA cache_size = -8192",
    [SQL_CACHE_WRITING] = "PRAGMA cache_size = -16384",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_STORE_INSERT] = "INSERT INTO store (one, id, computer, created, key, totals)"
			 " VALUES (1, ?1, ?2, ?3, ?4, ?5)",
    [SQL_STORE_GET] = "SELECT id, computer, created, key FROM store WHERE one = 1",
    [SQL_TOTALS_GET] = "SELECT totals FROM store WHERE one = 1",
    [SQL_TOTALS_SET] = "UPDATE store SET totals = ?1 WHERE one = 1",
    [SQL_LAST_NUMBER] = "SELECT coalesce(max(number), 0) FROM licenses",
    [SQL_INSERT] =
	"INSERT INTO licenses (number, id, key_id, format, issuer, title, service, reason,"
	" issued, not_before, not_after, counts, backup, added, bytes, digest,"
	" state_version, dictionary, seal, document, secret, state)"
	" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,"
	" ?17, ?18, ?19, ?20, ?21, ?22) ON CONFLICT (id) DO NOTHING",
    [SQL_REPLACE] =
	"UPDATE licenses SET id = ?2, key_id = ?3, format = ?4, issuer = ?5, title = ?6,"
	" service = ?7, reason = ?8, issued = ?9, not_before = ?10, not_after = ?11,"
	" counts = ?12, backup = ?13, added = ?14, bytes = ?15, digest = ?16,"
	" state_version = ?17, dictionary = ?18, seal = ?19, document = ?20,"
	" secret = ?21, state = ?22 WHERE number = ?1",
    [SQL_REMOVE] = "DELETE FROM licenses WHERE number = ?1",
    [SQL_SCAN] = ALL_COLUMNS " FROM licenses WHERE number > ?1 ORDER BY number",
    [SQL_SCAN_FACTS] = FACT_COLUMNS " FROM licenses WHERE number > ?1 ORDER BY number",
    [SQL_GET] = ALL_COLUMNS " FROM licenses WHERE id = ?1",
    [SQL_GET_FACTS] = FACT_COLUMNS " FROM licenses WHERE id = ?1",
    [SQL_GET_FACTS_BY_NUMBER] = FACT_COLUMNS " FROM licenses WHERE number = ?1",
    [SQL_GET_STATE] = "SELECT state FROM licenses WHERE number = ?1",
    [SQL_FIND] = "SELECT id FROM licenses WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 2",
    /*
     * The conditions of the indexes word for word, or SQLite does not use them; "+" keeps it
     * from putting ?1 in the place of key_id there, too.
     */
    [SQL_BY_KEY] = ALL_COLUMNS
    " FROM licenses WHERE substr(key_id, -12) = substr(?1, -12) AND +key_id = ?1"
    " AND key_id <> '' ORDER BY number",
    [SQL_CENSUS_EXPIRED] =
	"SELECT count(*), sum(bytes) FROM licenses WHERE backup = 1 AND service = ''"
	" AND format = 'signed' AND not_after <= ?1",
    [SQL_CENSUS_SERVICES] =
	"SELECT service, count(*), sum(bytes), sum(format = 'signed' AND not_after <= ?1),"
	" sum(iif(format = 'signed' AND not_after <= ?1, bytes, 0)) FROM licenses"
	" WHERE backup = 1 AND service <> '' AND service > '' GROUP BY service",
    [SQL_KEY_INDEX_THERE] = "SELECT count(*) FROM sqlite_schema WHERE name = 'licenses_by_key'",
    [SQL_KEY_INDEX_DROP] = "DROP INDEX IF EXISTS licenses_by_key",
    [SQL_KEY_INDEX_MAKE] = SCHEMA_KEY_INDEX,
    [SQL_DICTIONARY_INSERT] = "INSERT INTO dictionaries (number, content) VALUES (?1, ?2)",
    [SQL_DICTIONARY_GET] = "SELECT number, content FROM dictionaries WHERE number = ?1",
    [SQL_DICTIONARY_ALL] = "SELECT number, content FROM dictionaries ORDER BY number",
    [SQL_VALUE_GET] = "SELECT name, value FROM sealed_values WHERE name = ?1",
    [SQL_VALUE_SET] = "INSERT INTO sealed_values (name, value) VALUES (?1, ?2)"
		      " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    [SQL_VALUE_REMOVE] = "DELETE FROM sealed_values WHERE name = ?1",
    [SQL_VALUE_ALL] = "SELECT name, value FROM sealed_values ORDER BY name",
    [SQL_SPENT_GET] = "SELECT id, state FROM spent WHERE id = ?1",
    [SQL_SPENT_SET] = "INSERT INTO spent (id, state) VALUES (?1, ?2)"
		      " ON CONFLICT (id) DO UPDATE SET state = excluded.state",
    [SQL_SPENT_REMOVE] = "DELETE FROM spent WHERE id = ?1",
    [SQL_SPENT_ALL] = "SELECT id, state FROM spent ORDER BY id",
    [SQL_GRANTS_ADD] = "INSERT INTO grant_batches (service, computer, root, leaves)"
		       " VALUES (?1, ?2, ?3, ?4)",
    [SQL_GRANTS_REMOVE_UNUSED] = "DELETE FROM grant_batches WHERE number = ?1"
				 " AND NOT EXISTS (SELECT 1 FROM grants WHERE batch = ?1)",
    [SQL_GRANT_PUT] =
	"INSERT INTO grants (license, batch, position, place, allowed, since)"
	" VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (license) DO UPDATE SET"
	" batch = excluded.batch, position = excluded.position, place = excluded.place,"
	" allowed = excluded.allowed, since = excluded.since",
    [SQL_GRANT_BATCH] = "SELECT batch FROM grants WHERE license = ?1",
    [SQL_GRANT_REMOVE] = "DELETE FROM grants WHERE license = ?1",
    [SQL_GRANT_GET] =
	"SELECT b.service, b.computer, b.root, b.leaves, g.position, g.place, g.allowed,"
	" g.since FROM grants AS g JOIN grant_batches AS b ON b.number = g.batch"
	" WHERE g.license = ?1",
    [SQL_APPLICATION_ID] = "PRAGMA application_id",
    [SQL_USER_VERSION] = "PRAGMA user_version",
    [SQL_TABLE_COUNT] = "SELECT count(*) FROM sqlite_schema",
    [SQL_CHECK_PAGES] = "PRAGMA integrity_check(10)",
    [SQL_CHECK_KEYS] = "PRAGMA foreign_key_check",
};

static int prepare(struct store *store, enum statement which, unsigned flags,
    sqlite3_stmt **ret, rh_error *error)
{
	int result = sqlite3_prepare_v3(store->db, texts[which], -1, flags, ret, NULL);

	return result == SQLITE_OK ? RH_OK : database_failed(store, result, DOING_READ, error);
}

int statement_get(
    struct store *store, enum statement which, sqlite3_stmt **ret, rh_error *error)
{
	sqlite3_stmt **kept = &store->statements[which];

	if (*kept == NULL) {
		int code = prepare(store, which, SQLITE_PREPARE_PERSISTENT, kept, error);

		if (code != RH_OK)
			return code;
	}
	sqlite3_reset(*kept);
	*ret = *kept;
	return RH_OK;
}

int statement_new(
    struct store *store, enum statement which, sqlite3_stmt **ret, rh_error *error)
{
	return prepare(store, which, 0, ret, error);
}

int statement_run(struct store *store, enum statement which, int64_t *ret, rh_error *error)
{
	bool write = which == SQL_BEGIN_WRITE || which == SQL_COMMIT ||
		     which == SQL_KEY_INDEX_DROP || which == SQL_KEY_INDEX_MAKE;
	sqlite3_stmt *statement;
	int code, result;

	code = statement_get(store, which, &statement, error);
	if (code != RH_OK)
		return code;
	result = sqlite3_step(statement);
	if (result == SQLITE_ROW && ret != NULL)
		*ret = sqlite3_column_int64(statement, 0);
	if (result != SQLITE_ROW && result != SQLITE_DONE)
		code = database_failed(store, result, write ? DOING_WRITE : DOING_READ, error);
	else if (ret != NULL && result == SQLITE_DONE)
		code = error_set(
		    error, RH_E_STORE_DAMAGED, "the store %s is incomplete", store->path);
	sqlite3_reset(statement);
	return code;
}

void transaction_rollback(struct store *store)
{
	for (int i = 0; i < 2 && !sqlite3_get_autocommit(store->db); i++)
		statement_run(store, SQL_ROLLBACK, NULL, NULL);
}

int transaction_begin(struct store *store, enum statement which, rh_error *error)
{
	transaction_rollback(store);
	return statement_run(store, which, NULL, error);
}
