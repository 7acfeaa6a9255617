#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include <stdatomic.h>

#include <sqlite3.h>
#include <zstd.h>

#include "store/store.h"

/* What the files of the store share; no other room includes this. */

#define STORE_ID_SIZE 16
#define STORE_COMPRESSION_LEVEL (-5)
#define STORE_LENGTH_MAX (4 * LICENSE_MAX) /* of one column value, in bytes */

/* ---- statements.c: every statement, prepared once a handle ---- */

enum statement {
	SQL_BEGIN_READ,
	SQL_BEGIN_WRITE,
	SQL_CACHE_READING, /* a scan needs little */
	SQL_CACHE_WRITING, /* the index on ids is written all over */
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_STORE_INSERT,
	SQL_STORE_GET,
	SQL_TOTALS_GET,
	SQL_TOTALS_SET,
	SQL_LAST_NUMBER,
	SQL_INSERT,
	SQL_REPLACE,
	SQL_REMOVE,
	SQL_SCAN,
	SQL_SCAN_FACTS,
	SQL_GET,
	SQL_GET_FACTS,
	SQL_GET_FACTS_BY_NUMBER,
	SQL_GET_STATE,
	SQL_FIND,
	SQL_BY_KEY,
	SQL_CENSUS_EXPIRED,
	SQL_CENSUS_SERVICES,
	SQL_KEY_INDEX_THERE,
	SQL_KEY_INDEX_DROP,
	SQL_KEY_INDEX_MAKE,
	SQL_DICTIONARY_INSERT,
	SQL_DICTIONARY_GET,
	SQL_DICTIONARY_ALL,
	SQL_VALUE_GET,
	SQL_VALUE_SET,
	SQL_VALUE_REMOVE,
	SQL_VALUE_ALL,
	SQL_SPENT_GET,
	SQL_SPENT_SET,
	SQL_SPENT_REMOVE,
	SQL_SPENT_ALL,
	SQL_GRANTS_ADD,
	SQL_GRANTS_REMOVE_UNUSED,
	SQL_GRANT_PUT,
	SQL_GRANT_BATCH,
	SQL_GRANT_REMOVE,
	SQL_GRANT_GET,
	SQL_APPLICATION_ID,
	SQL_USER_VERSION,
	SQL_TABLE_COUNT,
	SQL_CHECK_PAGES,
	SQL_CHECK_KEYS,
	SQL_COUNT
};

/* The statement, reset and without bindings; it belongs to the handle. */
int statement_get(
    struct store *store, enum statement which, sqlite3_stmt **ret, rh_error *error);
/* The same as one of its own; the caller finalizes it. */
int statement_new(
    struct store *store, enum statement which, sqlite3_stmt **ret, rh_error *error);
/* Runs a statement that takes nothing and gives at most one integer. */
int statement_run(struct store *store, enum statement which, int64_t *ret, rh_error *error);

/*
 * Transactions of SQLite.  A rollback that finds no memory is made up for by the
 * next begin.
 */
int transaction_begin(struct store *store, enum statement which, rh_error *error);
void transaction_rollback(struct store *store);

/* ---- database.c ---- */

/* What the store was being used for when SQLite failed. */
enum doing { DOING_CREATE, DOING_READ, DOING_WRITE };

/* The one place where SQLite's results become codes of ours. */
int database_failed(struct store *store, int result, enum doing doing, rh_error *error);

/*
 * Switches between the write-ahead log, in which readers and a writer live side by side, and
 * a rollback journal, with which new pages are written once.  false, and nothing has changed,
 * if anybody else has the store open.
 */
bool database_journal(struct store *store, bool ahead);

/* Opens ${store->path}, which exists, and reads it once; changes nothing. */
int database_connect(struct store *store, rh_error *error);
void database_disconnect(struct store *store);

/* ---- schema.c ---- */

/* Numbered steps: step N makes version N of version N - 1.  Only appended to. */
extern const char *const schema_steps[];
extern const size_t schema_step_count;
extern const int64_t schema_application_id;

/* Of step 2, and once more where it is made after the rows: see store_index. */
#define SCHEMA_KEY_INDEX                                                                       \
	"CREATE INDEX licenses_by_key ON licenses (substr(key_id, -12)) WHERE key_id <> '';"

/* Runs within a write transaction the steps that the file has not seen. */
int schema_migrate(
    struct store *store, const char *const *steps, size_t count, rh_error *error);

/* ---- columns.c ---- */

/* The order of columns in every statement that reads rows. */
enum column {
	COLUMN_NUMBER,
	COLUMN_ID,
	COLUMN_KEY_ID,
	COLUMN_FORMAT,
	COLUMN_ISSUER,
	COLUMN_TITLE,
	COLUMN_SERVICE,
	COLUMN_REASON,
	COLUMN_ISSUED,
	COLUMN_NOT_BEFORE,
	COLUMN_NOT_AFTER,
	COLUMN_COUNTS,
	COLUMN_BACKUP,
	COLUMN_ADDED,
	COLUMN_BYTES,
	COLUMN_DIGEST,
	COLUMN_STATE_VERSION,
	COLUMN_DICTIONARY,
	COLUMN_SEAL,
	COLUMN_HAS_SECRET,
	COLUMN_HAS_STATE,
	COLUMN_DOCUMENT,
	COLUMN_SECRET,
	COLUMN_STATE
};

/* Statements that write take the same order, from 1, without the two of has. */
#define PARAMETER(column) ((int)(column) + 1 - ((column) > COLUMN_HAS_STATE ? 2 : 0))

/* Text of the counts column: "REMAINING ACTION" lines. */
#define COUNTS_SIZE (LICENSE_COUNTS_MAX * (32 + 21 + 1) + 1)
void row_counts_format(char text[COUNTS_SIZE], const struct license *facts);

/* Fills ${row} from the current row of ${statement}. */
int row_read(struct store *store, sqlite3_stmt *statement, bool facts_only,
    struct store_row *row, rh_error *error);

/* ---- rows.c ---- */

/* Associated data: never longer than this for what license.h and store.h allow. */
#define ASSOCIATED_MAX 4096

struct associated {
	uint8_t data[ASSOCIATED_MAX];
	size_t size;
	bool overflow;
};

/* First byte of associated data: what is sealed.  See SCHEMA.md. */
enum sealed_kind {
	SEALED_DOCUMENT = 'd',
	SEALED_SECRET = 's',
	SEALED_STATE = 't',
	SEALED_ROW = 'r',
	SEALED_VALUE = 'v',
	SEALED_TOTALS = 'n',
	SEALED_DICTIONARY = 'c',
	SEALED_STORE_KEY = 'k',
	SEALED_SPENT = 'p'
};

void associated_start(
    struct associated *a, enum sealed_kind kind, const uint8_t store_id[STORE_ID_SIZE]);
void associated_text(struct associated *a, const char *text);
void associated_number(struct associated *a, int64_t number);
void associated_bytes(struct associated *a, const void *bytes, size_t size);

/* The state alone, which any edit of a fact keeps closed, too. */
int row_open_state(struct store_sealer *sealer, const struct store_row *row,
    struct license_state *ret, rh_error *error);

/* Makes ${row->seal}. */
int row_seal(struct store_sealer *sealer, struct store_row *row, rh_error *error);

/* ---- dictionary.c ---- */

/* One compression dictionary.  Lives as long as the handle; shared by sealers. */
struct dictionary {
	int64_t number;
	const ZSTD_CDict *compress; /* lies in ${memory} */
	void *memory;
	size_t memory_size;
	ZSTD_DDict *decompress;
	struct dictionary *next;
	atomic_bool dead; /* made in a transaction that was rolled back */
};

int dictionary_load_all(struct store *store, rh_error *error);
/* Loads dictionary ${number} if it is not; one that does not exist is no error. */
int dictionary_need(struct store *store, int64_t number, rh_error *error);
/* NULL if there is none.  Any thread. */
const struct dictionary *dictionary_find(struct store *store, int64_t number);
const struct dictionary *dictionary_current(struct store *store);
/* The transaction that made ${store->dictionary_new} is over. */
void dictionary_settle(struct store *store, bool committed);
void dictionary_free_all(struct store *store);

/* ---- values.c ---- */

/* What is sealed under a name in clear: its associated data, for SEALED_VALUE and SEALED_SPENT.
 */
void associated_named(
    struct associated *a, enum sealed_kind kind, struct store *store, const char *name);

/*
 * Opens it: name and sealed bytes are columns 0 and 1 of the current row of ${statement}.
 * ${what} begins the sentence of RH_E_STORE_DAMAGED.
 */
int named_open(struct store *store, enum sealed_kind kind, sqlite3_stmt *statement,
    const char *what, struct buffer *ret, rh_error *error);

/* Opens every value and counts them. */
int values_check(struct store *store, rh_error *error);

/* ---- totals.c ---- */

/* What the store holds, kept up to date by every change and sealed in its row. */
struct totals {
	struct store_totals licenses;
	uint64_t values;
	uint64_t spent;
};

#define TOTALS_SIZE (6 * 8)
#define TOTALS_SIZE_1 (5 * 8) /* as version 1 wrote them, without the last */
int totals_load(struct store *store, struct totals *ret, rh_error *error);
int totals_seal(struct store *store, const struct totals *totals,
    uint8_t sealed[TOTALS_SIZE + SEAL_OVERHEAD], rh_error *error);
/* Adds a row to what is counted, or takes it from there. */
void totals_add(struct store_totals *totals, const struct store_row *row);
void totals_subtract(struct store_totals *totals, const struct store_row *row);
/* Writes ${store->totals}. */
int totals_save(struct store *store, rh_error *error);
/* From the rows themselves: the way out after a damaged row was removed. */
int totals_recount(struct store *store, rh_error *error);

/* ---- spent.c ---- */

/* Keeps what ${state} has spent, if anything, merged with what is kept of the licence. */
int spent_keep(struct store *store, const struct license *facts,
    const struct license_state *state, rh_error *error);
/* While writing: whether anything is kept of the licence. */
int spent_is_kept(struct store *store, const struct license *facts, bool *ret, rh_error *error);
/* Opens every kept state and counts them. */
int spent_check(struct store *store, rh_error *error);

/* ---- grants.c ---- */

/* The licence of row ${number} is going: so does its grant.  Within a write transaction. */
int grant_remove(struct store *store, int64_t number, rh_error *error);

/* ---- write.c ---- */

/*
 * Makes the index on key ids, if this transaction dropped it because the store was empty:
 * sorted after the rows it costs less than kept up with each.
 */
int write_index(struct store *store, rh_error *error);

/* Begins a write transaction unless within one; ${*ret_own} for write_leave. */
int write_enter(struct store *store, bool *ret_own, rh_error *error);
/* Ends an own transaction by ${code}, which it returns or makes worse. */
int write_leave(struct store *store, bool own, int code, rh_error *error);

/* ---- The handle ---- */

#define STORE_TEXTS_MAX 64
#define STORE_TEXT_MAX 255 /* bytes of a format or reason */

struct store {
	sqlite3 *db;
	char *path; /* of the file, for messages */
	bool read_only;
	sqlite3_stmt *statements[SQL_COUNT];

	uint8_t id[STORE_ID_SIZE];
	uint8_t parts_key[KEY_SIZE];
	uint8_t rows_key[KEY_SIZE];
	struct sealer *values; /* totals, values, dictionaries */
	struct store_sealer *sealer; /* for the rows that the handle itself writes */

	/* Transactions: any number of readers within one, or one writer. */
	unsigned readers;
	bool writing;
	bool filling; /* in this transaction the store is without its write-ahead log */
	bool unindexed; /* in this transaction key ids wait for write_index */
	bool spent_checked; /* in this transaction, reading or writing */
	struct totals totals; /* while writing */
	bool totals_changed;
	int64_t last_number; /* while writing; -1: not looked up yet */

	/* Written by the handle's thread, read by sealers on any. */
	struct dictionary *_Atomic dictionaries;
	struct dictionary *dictionary_new; /* made in the present transaction */

	/* Formats and reasons that rows point to; few. */
	char texts[STORE_TEXTS_MAX][STORE_TEXT_MAX + 1];
	size_t text_count;
};

#endif
