#include "store/internal.h"

/* "ReHo", as file(1) sees it at offset 68 (SQLite file format, section 1.3.17). */
const int64_t schema_application_id = 0x5265486f;

/*
 * Append only: a step that was released is never edited.  Each ends by naming its
 * own number.  Columns are explained in SCHEMA.md.
 */
const char *const schema_steps[] = {
    /* 1 */
    "PRAGMA application_id = 0x5265486f;"

    "CREATE TABLE store ("
    "  one INTEGER PRIMARY KEY CHECK (one = 1),"
    "  id BLOB NOT NULL,"
    "  computer TEXT NOT NULL,"
    "  created INTEGER NOT NULL,"
    "  key BLOB NOT NULL,"
    "  totals BLOB NOT NULL"
    ") STRICT;"

    "CREATE TABLE dictionaries ("
    "  number INTEGER PRIMARY KEY,"
    "  content BLOB NOT NULL"
    ") STRICT;"

    "CREATE TABLE licenses ("
    "  number INTEGER PRIMARY KEY,"
    "  id TEXT NOT NULL UNIQUE,"
    "  key_id TEXT NOT NULL,"
    "  format TEXT NOT NULL,"
    "  issuer TEXT NOT NULL,"
    "  title TEXT NOT NULL,"
    "  service TEXT NOT NULL,"
    "  reason TEXT NOT NULL,"
    "  issued INTEGER,"
    "  not_before INTEGER,"
    "  not_after INTEGER,"
    "  counts TEXT NOT NULL,"
    "  backup INTEGER NOT NULL,"
    "  added INTEGER NOT NULL,"
    "  bytes INTEGER NOT NULL,"
    "  digest BLOB NOT NULL,"
    "  state_version INTEGER NOT NULL,"
    "  dictionary INTEGER REFERENCES dictionaries (number),"
    "  seal BLOB NOT NULL,"
    "  document BLOB NOT NULL,"
    "  secret BLOB,"
    "  state BLOB"
    ") STRICT;"

    "CREATE TABLE sealed_values ("
    "  name TEXT PRIMARY KEY,"
    "  value BLOB NOT NULL"
    ") STRICT, WITHOUT ROWID;"

    "PRAGMA user_version = 1;",

    /* 2 */
    SCHEMA_KEY_INDEX

    "CREATE INDEX licenses_census ON licenses (service, format, not_after, bytes, backup)"
    "  WHERE backup = 1 AND (service <> '' OR format = 'signed');"

    "CREATE TABLE spent ("
    "  id TEXT PRIMARY KEY,"
    "  state BLOB NOT NULL"
    ") STRICT, WITHOUT ROWID;"

    "PRAGMA user_version = 2;",

    /* 3 */
    "CREATE TABLE grant_batches ("
    "  number INTEGER PRIMARY KEY,"
    "  service TEXT NOT NULL,"
    "  computer TEXT NOT NULL,"
    "  root TEXT NOT NULL,"
    "  leaves BLOB NOT NULL"
    ") STRICT;"

    "CREATE TABLE grants ("
    "  license INTEGER PRIMARY KEY,"
    "  batch INTEGER NOT NULL,"
    "  position INTEGER NOT NULL,"
    "  place INTEGER NOT NULL,"
    "  allowed INTEGER NOT NULL,"
    "  since INTEGER NOT NULL"
    ") STRICT;"

    "CREATE INDEX grants_by_batch ON grants (batch);"

    "PRAGMA user_version = 3;",
};

const size_t schema_step_count = sizeof schema_steps / sizeof *schema_steps;

int schema_migrate(struct store *store, const char *const *steps, size_t count, rh_error *error)
{
	int64_t version;
	int code, result;

	code = statement_run(store, SQL_USER_VERSION, &version, error);
	if (code != RH_OK)
		return code;
	if (version < 0 || (uint64_t)version > count)
		return error_set(error, RH_E_STORE_NEWER,
		    "the store %s has version %lld, this program knows %zu", store->path,
		    (long long)version, count);
	for (size_t i = (size_t)version; i < count; i++) {
		result = sqlite3_exec(store->db, steps[i], NULL, NULL, NULL);
		if (result != SQLITE_OK)
			return database_failed(store, result, DOING_WRITE, error);
	}
	code = statement_run(store, SQL_USER_VERSION, &version, error);
	if (code == RH_OK && (uint64_t)version != count)
		code = error_set(error, RH_E_INTERNAL,
		    "a migration of %s ended in version %lld", store->path, (long long)version);
	return code;
}
