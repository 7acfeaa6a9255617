#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#include "store/internal.h"

#define SEALED_KEY_SIZE (KEY_SIZE + SEAL_OVERHEAD)

/* ---- Keys ---- */

static void associated_store_key(struct associated *a, const uint8_t id[STORE_ID_SIZE],
    const struct computer *computer, int64_t created)
{
	associated_start(a, SEALED_STORE_KEY, id);
	associated_text(a, computer_id(computer));
	associated_number(a, created);
}

/* Derives what the handle works with from the store key. */
static int set_keys(struct store *store, const uint8_t id[STORE_ID_SIZE],
    const uint8_t key[KEY_SIZE], rh_error *error)
{
	uint8_t values_key[KEY_SIZE];
	int code;

	sealer_free(store->values);
	store->values = NULL;
	memcpy(store->id, id, STORE_ID_SIZE);
	code = hkdf_sha256(store->parts_key, KEY_SIZE, key, KEY_SIZE, id, STORE_ID_SIZE,
	    "rehost store 1: parts", error);
	if (code == RH_OK)
		code = hkdf_sha256(store->rows_key, KEY_SIZE, key, KEY_SIZE, id, STORE_ID_SIZE,
		    "rehost store 1: rows", error);
	if (code == RH_OK)
		code = hkdf_sha256(values_key, KEY_SIZE, key, KEY_SIZE, id, STORE_ID_SIZE,
		    "rehost store 1: values", error);
	if (code == RH_OK)
		code = sealer_new(values_key, &store->values, error);
	bytes_wipe(values_key, sizeof values_key);
	return code;
}

static int insert_row(struct store *store, const struct computer *computer, int64_t created,
    const uint8_t sealed_key[SEALED_KEY_SIZE], rh_error *error)
{
	struct totals zero = {0};
	uint8_t totals[TOTALS_SIZE + SEAL_OVERHEAD];
	sqlite3_stmt *statement;
	int code, result;

	code = totals_seal(store, &zero, totals, error);
	if (code == RH_OK)
		code = statement_get(store, SQL_STORE_INSERT, &statement, error);
	if (code != RH_OK)
		return code;
	sqlite3_bind_blob(statement, 1, store->id, STORE_ID_SIZE, SQLITE_STATIC);
	sqlite3_bind_text(statement, 2, computer_id(computer), -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 3, created);
	sqlite3_bind_blob(statement, 4, sealed_key, SEALED_KEY_SIZE, SQLITE_STATIC);
	sqlite3_bind_blob(statement, 5, totals, sizeof totals, SQLITE_STATIC);
	result = sqlite3_step(statement);
	if (result != SQLITE_DONE)
		code = database_failed(store, result, DOING_CREATE, error);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	return code;
}

/* The row that makes tables a store: its id, and its key sealed to the computer. */
static int give_birth(struct store *store, const struct computer *computer, rh_error *error)
{
	uint8_t id[STORE_ID_SIZE], key[KEY_SIZE], sealed[SEALED_KEY_SIZE];
	struct sealer *sealer = NULL;
	struct associated a;
	int64_t created = clock_now();
	int code;

	code = random_bytes(id, sizeof id, error);
	if (code == RH_OK)
		code = random_bytes(key, sizeof key, error);
	if (code == RH_OK)
		code = sealer_new(computer_sealing_key(computer), &sealer, error);
	if (code != RH_OK)
		goto done;
	associated_store_key(&a, id, computer, created);
	code = sealer_seal(sealer, a.data, a.size, key, sizeof key, sealed, error);
	if (code == RH_OK)
		code = set_keys(store, id, key, error);
	if (code == RH_OK)
		code = insert_row(store, computer, created, sealed, error);
done:
	sealer_free(sealer);
	bytes_wipe(key, sizeof key);
	return code;
}

/*
 * Opens the store key in the row of ${statement}.  The key is bound to the id of
 * the computer at hand, not to what the column says: so an edited column is
 * told from another computer.
 */
static int open_key(struct store *store, sqlite3_stmt *statement,
    const struct computer *computer, rh_error *error)
{
	const uint8_t *id = sqlite3_column_blob(statement, 0);
	const char *owner = (const char *)sqlite3_column_text(statement, 1);
	const void *sealed = sqlite3_column_blob(statement, 3);
	struct sealer *sealer;
	struct associated a;
	uint8_t key[KEY_SIZE];
	bool ours;
	int code;

	if (id == NULL || owner == NULL || sealed == NULL ||
	    sqlite3_column_bytes(statement, 0) != STORE_ID_SIZE ||
	    sqlite3_column_bytes(statement, 3) != SEALED_KEY_SIZE)
		return error_set(error, RH_E_STORE_DAMAGED,
		    "the key of the store %s is damaged", store->path);
	ours = strcmp(owner, computer_id(computer)) == 0;
	code = sealer_new(computer_sealing_key(computer), &sealer, error);
	if (code != RH_OK)
		return code;
	associated_store_key(&a, id, computer, sqlite3_column_int64(statement, 2));
	code = sealer_open(sealer, a.data, a.size, sealed, SEALED_KEY_SIZE, key, error);
	sealer_free(sealer);
	if (code == RH_OK && ours)
		code = set_keys(store, id, key, error);
	else if (code == RH_E_STORE_DAMAGED && !ours)
		code = error_set(error, RH_E_STORE_OTHER_COMPUTER,
		    "the store %s belongs to computer %.32s, this is %s", store->path, owner,
		    computer_id(computer));
	else if (code == RH_OK || code == RH_E_STORE_DAMAGED)
		code = error_set(error, RH_E_STORE_DAMAGED,
		    "the key of the store %s was changed or damaged", store->path);
	bytes_wipe(key, sizeof key);
	return code;
}

static int unlock(struct store *store, const struct computer *computer, rh_error *error)
{
	sqlite3_stmt *statement;
	int code, result;

	code = statement_get(store, SQL_STORE_GET, &statement, error);
	if (code != RH_OK)
		return code;
	result = sqlite3_step(statement);
	if (result == SQLITE_ROW)
		code = open_key(store, statement, computer, error);
	else if (result == SQLITE_DONE)
		code = error_set(
		    error, RH_E_STORE_DAMAGED, "the store %s has lost its key", store->path);
	else
		code = database_failed(store, result, DOING_READ, error);
	sqlite3_reset(statement);
	return code;
}

/* ---- Versions ---- */

enum contents { CONTENTS_NOTHING, CONTENTS_OLDER, CONTENTS_CURRENT };

/* What the file is, of one moment; refuses what is not ours or newer. */
static int look(struct store *store, enum contents *ret, rh_error *error)
{
	int64_t application = 0, version = 0, tables = 0;
	int code;

	code = transaction_begin(store, SQL_BEGIN_READ, error);
	if (code != RH_OK)
		return code;
	code = statement_run(store, SQL_TABLE_COUNT, &tables, error);
	if (code == RH_OK)
		code = statement_run(store, SQL_APPLICATION_ID, &application, error);
	if (code == RH_OK)
		code = statement_run(store, SQL_USER_VERSION, &version, error);
	transaction_rollback(store);
	if (code != RH_OK)
		return code;

	if (application == 0 && version == 0 && tables == 0)
		*ret = CONTENTS_NOTHING;
	else if (application != schema_application_id || version <= 0)
		code =
		    error_set(error, RH_E_STORE_DAMAGED, "%s is no licence store", store->path);
	else if ((uint64_t)version > schema_step_count)
		code = error_set(error, RH_E_STORE_NEWER,
		    "the store %s has version %lld, this program knows %zu", store->path,
		    (long long)version, schema_step_count);
	else
		*ret =
		    (uint64_t)version < schema_step_count ? CONTENTS_OLDER : CONTENTS_CURRENT;
	return code;
}

/* All missing steps, and the birth of a store if there is none, or nothing. */
static int upgrade(struct store *store, const struct computer *computer, rh_error *error)
{
	int64_t before = 0;
	int code;

	code = transaction_begin(store, SQL_BEGIN_WRITE, error);
	if (code != RH_OK)
		return code;
	/* Again, now that nobody else can be at it. */
	code = statement_run(store, SQL_USER_VERSION, &before, error);
	if (code == RH_OK)
		code = schema_migrate(store, schema_steps, schema_step_count, error);
	if (code == RH_OK && before == 0)
		code = give_birth(store, computer, error);
	if (code == RH_OK)
		code = statement_run(store, SQL_COMMIT, NULL, error);
	if (code != RH_OK)
		transaction_rollback(store);
	return code;
}

static int create(struct store *store, const struct computer *computer, rh_error *error)
{
	int result;

	/* Both outlive the handle, and neither can be set within a transaction. */
	result = sqlite3_exec(
	    store->db, "PRAGMA page_size = 16384; PRAGMA journal_mode = WAL", NULL, NULL, NULL);
	if (result != SQLITE_OK)
		return database_failed(store, result, DOING_CREATE, error);
	return upgrade(store, computer, error);
}

static int open_file(
    struct store *store, unsigned flags, const struct computer *computer, rh_error *error)
{
	enum contents contents = CONTENTS_NOTHING;
	int code;

	code = database_connect(store, error);
	if (code != RH_OK)
		return code;
	code = look(store, &contents, error);
	if (code == RH_OK && contents == CONTENTS_NOTHING && (flags & STORE_CREATE))
		code = create(store, computer, error);
	else if (code == RH_OK && contents == CONTENTS_NOTHING)
		code = error_set(error, RH_E_STORE_MISSING,
		    "there is no licence store in %s yet", store->path);
	else if (code == RH_OK && contents == CONTENTS_OLDER && !store->read_only)
		code = upgrade(store, computer, error);
	/* A run that was killed while it filled the store left it without its log. */
	if (code == RH_OK && !store->read_only)
		database_journal(store, true);
	if (code == RH_OK)
		code = statement_run(store, SQL_CACHE_READING, NULL, error);
	if (code == RH_OK)
		code = unlock(store, computer, error);
	if (code != RH_OK) {
		database_disconnect(store);
		return code;
	}
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	return RH_OK;
}

/* ---- The handle ---- */

/* What base says of any file, said of a store being made. */
static int of_store(int code, rh_error *error)
{
	if (code != RH_E_WRITE)
		return code;
	if (error != NULL)
		error->code = RH_E_STORE_CREATE;
	return RH_E_STORE_CREATE;
}

/* The file with its final mode; SQLite would take the umask for it. */
static int make_file(struct store *store, const char *directory, rh_error *error)
{
	int code, fd;

	code = file_make_directories(directory, 0700, error);
	if (code != RH_OK)
		return of_store(code, error);
	/*
	 * Not open(): closing a descriptor of the file would drop the locks that
	 * other handles of this process hold on it (fcntl(2)).
	 */
	if (mknod(store->path, S_IFREG | 0600, 0) != 0) {
		if (errno == EEXIST)
			return RH_OK;
		return error_errno(
		    error, RH_E_STORE_CREATE, errno, "cannot make the store %s", store->path);
	}
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(
		    error, RH_E_STORE_CREATE, errno, "cannot open %s", directory);
	code = file_sync_directory(fd, directory, error);
	close(fd);
	return of_store(code, error);
}

static char *make_path(const char *directory)
{
	/* A relative path must not look like a "file:" URI to SQLite. */
	const char *before = *directory == '/' ? "" : "./";
	size_t size = strlen(before) + strlen(directory) + sizeof "/" STORE_FILE;
	char *path = malloc(size);

	if (path != NULL)
		snprintf(path, size, "%s%s/%s", before, directory, STORE_FILE);
	return path;
}

int store_open(const char *directory, unsigned flags, const struct computer *computer,
    struct store **ret, rh_error *error)
{
	const struct timespec pause = {0, 10 * 1000 * 1000};
	uint64_t start = clock_monotonic();
	struct store *store = calloc(1, sizeof *store);
	int code;

	if (store == NULL)
		return error_memory(error);
	store->read_only = (flags & STORE_READ_ONLY) != 0;
	store->path = make_path(directory);
	if (store->path == NULL) {
		code = error_memory(error);
		goto fail;
	}
	if ((flags & STORE_CREATE) && !store->read_only) {
		code = make_file(store, directory, error);
		if (code != RH_OK)
			goto fail;
	}
	/* Not every wait of two creators is one that SQLite's busy handler sees. */
	while ((code = open_file(store, flags, computer, error)) == RH_E_STORE_BUSY &&
	       clock_monotonic() - start < STORE_BUSY_MS * UINT64_C(1000000))
		nanosleep(&pause, NULL);
	if (code == RH_OK)
		code = store_sealer_new(store, &store->sealer, error);
	if (code != RH_OK)
		goto fail;
	code = dictionary_load_all(store, error);
	/* A damaged dictionary is found by the rows that need it. */
	if (code != RH_OK && code != RH_E_STORE_DAMAGED)
		goto fail;
	error_clear(error);
	*ret = store;
	return RH_OK;

fail:
	store_close(store);
	return code;
}

void store_close(struct store *store)
{
	if (store == NULL)
		return;
	store_rollback(store);
	database_disconnect(store);
	store_sealer_free(store->sealer);
	sealer_free(store->values);
	dictionary_free_all(store);
	free(store->path);
	bytes_wipe(store, sizeof *store);
	free(store);
}
