#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "computer/computer.h"
#include "license/license.h"

/*
 * The licence store: DIRECTORY/licenses.db.  See SCHEMA.md.  One process writes,
 * many read; contention waits STORE_BUSY_MS, then RH_E_STORE_BUSY.  A handle
 * is used by one thread at a time (sealing and opening rows excepted).
 *
 * Besides the codes named at each function: RH_E_STORE_DAMAGED, RH_E_STORE_READ,
 * RH_E_STORE_BUSY, RH_E_MEMORY; and of those that write RH_E_STORE_WRITE, RH_E_FULL,
 * RH_E_ACCESS.
 */
#define STORE_FILE "licenses.db"
#define STORE_BUSY_MS 5000

enum store_flag { STORE_CREATE = 1, STORE_READ_ONLY = 2 };

struct store;

/*
 * RH_E_STORE_MISSING, RH_E_STORE_OTHER_COMPUTER, RH_E_STORE_DAMAGED,
 * RH_E_STORE_NEWER, RH_E_STORE_BUSY, RH_E_STORE_CREATE, RH_E_ACCESS.
 * ${computer} must outlive the store.  Creating makes the directory (0700).
 */
int store_open(const char *directory, unsigned flags, const struct computer *computer,
    struct store **ret, rh_error *error);
void store_close(struct store *store);

/* ---- Rows: sealed and opened on any thread ---- */

/*
 * A licence as it lies in the store.  The facts stand in clear beside sealed
 * parts and are their associated data: an edited fact does not open.  All zero is
 * an empty row.  In a row that was read, facts.format and facts.reason belong to
 * the store handle.
 */
struct store_row {
	int64_t number; /* rowid: order of adding; 0 until inserted */
	struct license facts;
	int64_t added;
	uint64_t bytes; /* of the document */
	uint8_t digest[DIGEST_SIZE]; /* SHA-256 of the document */
	bool digest_known; /* before store_seal: ${digest} is right, there is no need to make it
			    */
	int64_t state_version; /* counts changes of the state, from 0 */
	int64_t dictionary; /* compression dictionary, 0: none */
	bool has_secret; /* also known where the parts were left alone */
	bool has_state;
	uint8_t seal[SEAL_OVERHEAD]; /* over everything above; made by inserting */
	struct buffer document; /* sealed */
	struct buffer secret; /* sealed; empty: none */
	struct buffer state; /* sealed; empty: none */
};
void store_row_free(struct store_row *row);

/*
 * Seals and opens rows with the keys of one store.  One per thread; made from an
 * open store that outlives it.
 */
struct store_sealer;
int store_sealer_new(struct store *store, struct store_sealer **ret, rh_error *error);
void store_sealer_free(struct store_sealer *sealer);

/* What is inside a row; buffers are reused from call to call. */
struct store_content {
	struct buffer document;
	uint8_t
	    *into; /* room for row->bytes: the document goes there; NULL: into ${document} */
	bool skip_secret; /* the secret is left alone, so it may be one that does not open */
	struct buffer secret; /* wipe with buffer_free_secret */
	struct license_state state;
};
void store_content_free(struct store_content *content);

/*
 * Fills the sealed parts, digest, bytes and dictionary of ${row} from its facts and the
 * content.  ${row->added} and ${row->state_version} are the caller's.  ${secret} NULL with a
 * ${secret_size}: there is one, which store_seal_secret adds later.
 */
int store_seal(struct store_sealer *sealer, struct store_row *row, const void *document,
    size_t size, const void *secret, size_t secret_size, const struct license_state *state,
    rh_error *error);

/* The secret of a row that store_seal was told of without it. */
int store_seal_secret(struct store_sealer *sealer, struct store_row *row, const void *secret,
    size_t size, rh_error *error);

/*
 * Whether the facts, the number among them, are those that were inserted; the
 * sealed parts are not looked at.  RH_E_STORE_DAMAGED names the licence.
 */
int store_check_facts(
    struct store_sealer *sealer, const struct store_row *row, rh_error *error);

/*
 * Opens and checks everything, the facts included, but for the number and the seal of the
 * row: those are of store_check_facts.  Every byte is authenticated, so the digest is not
 * made anew.  RH_E_STORE_DAMAGED names the licence.
 */
int store_open_row(struct store_sealer *sealer, const struct store_row *row,
    struct store_content *ret, rh_error *error);

/* ---- Reading ---- */

struct store_totals {
	uint64_t licenses;
	uint64_t restricted;
	uint64_t managed;
	uint64_t bytes; /* of owned and managed documents */
};

/* A read transaction: everything up to store_read_end is of one moment. */
int store_read_begin(struct store *store, rh_error *error);
void store_read_end(struct store *store);

int store_totals(struct store *store, struct store_totals *ret, rh_error *error);

/*
 * Walks the rows in order, within one moment of the store.  ${facts_only} leaves
 * the sealed parts alone.  Rows come unchecked: store_open_row or
 * store_check_facts, on any thread, tells whether they are true.
 * While a cursor is open no write transaction can begin.
 */
struct store_cursor;
int store_cursor_new(
    struct store *store, bool facts_only, struct store_cursor **ret, rh_error *error);
/* Starts behind row ${number}: only before the first row is asked for. */
void store_cursor_after(struct store_cursor *cursor, int64_t number);
/* Fills ${row} (buffers reused); false in ${*ret_row} at the end. */
int store_cursor_next(
    struct store_cursor *cursor, struct store_row *row, bool *ret_row, rh_error *error);
void store_cursor_free(struct store_cursor *cursor);

/* One row by exact id, facts checked; RH_E_LICENSE_UNKNOWN. */
int store_get(struct store *store, const char *id, struct store_row *row, rh_error *error);

/*
 * The full id of the only licence whose id is or starts with ${prefix}.
 * RH_E_LICENSE_UNKNOWN; RH_E_ARGUMENT if there are several.
 */
int store_find(struct store *store, const char *prefix, char *id, size_t size, rh_error *error);

/*
 * Makes the index on key ids if it is missing, which it is from the first row of a store until
 * somebody asks; nothing within a transaction and on a handle that only reads.  Without it
 * store_by_key reads every row.
 */
int store_index(struct store *store, rh_error *error);

/*
 * Calls ${on_row} for every row with exactly this ${key_id}, whole and facts checked, in order
 * of adding, within one moment; none for "".  ${on_row} may not write; a code other than RH_OK
 * stops.
 */
int store_by_key(struct store *store, const char *key_id,
    int (*on_row)(void *context, const struct store_row *row, rh_error *error), void *context,
    rh_error *error);

/*
 * How many licences of each service there are ("": of none), as far as they may be backed
 * up: unexpired ones and, of the signed format, those whose time was over at ${now}.
 * Facts are not checked.  "" without expired ones is not told: it is what is left of the
 * totals.
 */
struct store_census {
	char service[512];
	bool expired;
	uint64_t licenses;
	uint64_t bytes;
};
int store_census(struct store *store, int64_t now,
    int (*on_group)(void *context, const struct store_census *group, rh_error *error),
    void *context, rh_error *error);

/* ---- Writing ---- */

/*
 * A write transaction; store_rollback after a failure or to give up, harmless if
 * there is none.  Each function below makes a transaction of its own outside one.
 */
int store_begin(struct store *store, rh_error *error);
/*
 * The same for much at once: if the store is empty and nobody else has it open, every
 * page is written once instead of twice, and others wait until the end as for a writer.
 */
int store_begin_fill(struct store *store, rh_error *error);
int store_commit(struct store *store, rh_error *error);
void store_rollback(struct store *store);

/*
 * Inserts a sealed row.  RH_S_ADDED; or changes nothing and gives
 * RH_S_ALREADY_HERE (same id and document), RH_E_LICENSE_CONFLICT (same id, other
 * document).  ${*ret_here}, if not NULL, is set to what is there: its issue
 * date and whether it has a state.
 */
struct store_here {
	int64_t number;
	int64_t issued;
	bool has_state;
	bool spent; /* with RH_S_ADDED: there is a state from before it was removed */
};
int store_insert(
    struct store *store, struct store_row *row, struct store_here *ret_here, rh_error *error);

/* Puts a sealed row in the place of row ${number}; RH_E_LICENSE_UNKNOWN, RH_E_LICENSE_CONFLICT.
 */
int store_replace(struct store *store, int64_t number, struct store_row *row, rh_error *error);

/*
 * RH_E_LICENSE_UNKNOWN.  A damaged row can be removed, too.  A state that has spent anything is
 * kept, so that the licence does not come back unspent.
 */
int store_remove(struct store *store, const char *id, rh_error *error);

/*
 * Under what store_remove keeps it: the id; of a signed licence behind the issuer's name, so
 * that nobody spends what another issuer's licence of the same id grants.
 */
#define STORE_SPENT_SIZE 512
void store_spent_name(char text[STORE_SPENT_SIZE], const struct license *facts);

/* What store_remove kept under ${name}; taken out with ${take}.  Empty if there is nothing. */
int store_spent(struct store *store, const char *name, bool take, struct license_state *ret,
    rh_error *error);

/*
 * Gives the store a compression dictionary made of ${samples}, if it has none
 * and they are enough to be worth it.  Every sealer seals with it from then on.
 */
int store_learn(
    struct store *store, const struct license_document *samples, size_t count, rh_error *error);

/* ---- Grants of License Management Services ---- */

/*
 * A service signs one root over the grants of a reply (src/authority/PROTOCOL.md, "Signed
 * statements"); the store keeps it with the hashes of all leaves once, and with each licence
 * its place among them.  They prove themselves, and are not sealed.
 */
struct store_grant {
	char service[512];
	char computer[JOSE_THUMBPRINT_SIZE]; /* that it was given to */
	uint32_t number; /* k */
	uint32_t limit; /* n */
	int64_t since;
	size_t position; /* of the leaf */
	char *root; /* rehost-grants+jwt; free() */
	uint8_t (*leaves)[DIGEST_SIZE]; /* free() */
	size_t leaf_count;
};
void store_grant_free(struct store_grant *grant);
/* Keeps what is common to the grants of a reply; within a write transaction. */
int store_grants_add(
    struct store *store, const struct store_grant *common, int64_t *ret_batch, rh_error *error);
/* Gives the licence of row ${number} its grant in place of an earlier one. */
int store_grant_put(struct store *store, int64_t number, int64_t batch,
    const struct store_grant *grant, rh_error *error);
/* RH_E_LICENSE_UNKNOWN; RH_E_GRANT if the licence has none. */
int store_grant_get(
    struct store *store, const char *id, struct store_grant *ret, rh_error *error);

/* ---- Secrets of the store itself: sealed values by name ---- */

/* ${ret} gets the value; empty if there is none.  Names: see SCHEMA.md. */
int store_value_get(struct store *store, const char *name, struct buffer *ret, rh_error *error);
/* ${size} 0 removes it.  One durable transaction of its own, unless within one. */
int store_value_set(
    struct store *store, const char *name, const void *value, size_t size, rh_error *error);
/*
 * Every value whose name starts with ${prefix}, in the order of names, within one moment.
 * ${on_value} may not use the store; a code other than RH_OK stops.
 */
int store_value_walk(struct store *store, const char *prefix,
    int (*on_value)(void *context, const void *value, size_t size, rh_error *error),
    void *context, rh_error *error);

/*
 * SQLite's own integrity check of every page; every fact, value and dictionary;
 * and that none of them is missing.  Documents are for store_open_row.
 */
int store_check_pages(struct store *store, rh_error *error);

#endif
