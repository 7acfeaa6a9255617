/*
 * Every write, flush and allocation of a few small pieces of work fails in turn, or is the last
 * of the process: the store is then as before or as after, and whole.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "store/internal.h"

#include "fixture.h"

enum fault { FAULT_NONE, FAULT_ALLOCATE, FAULT_WRITE, FAULT_KILL };

static enum fault fault;
static long left; /* calls before it */
static bool fired;

static bool strikes(bool io)
{
	if (fault == FAULT_NONE || io == (fault == FAULT_ALLOCATE) || fired || left-- > 0)
		return false;
	fired = true;
	if (fault == FAULT_KILL)
		_exit(99);
	return true;
}

static void arm(enum fault which, long number)
{
	fault = which;
	left = number;
	fired = false;
}

/* ---- Ours by the linker, SQLite's by its own hooks ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size)
{
	return strikes(false) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return strikes(false) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return strikes(false) ? NULL : __real_realloc(old, size);
}

static sqlite3_mem_methods memory;

static void *sql_malloc(int size)
{
	return strikes(false) ? NULL : memory.xMalloc(size);
}

static void *sql_realloc(void *old, int size)
{
	return strikes(false) ? NULL : memory.xRealloc(old, size);
}

/* SQLite has different methods for the store and for its journals. */
struct methods {
	sqlite3_io_methods failing; /* first: a file's pMethods point to it */
	const sqlite3_io_methods *real;
};
static struct methods methods[4];

static const sqlite3_io_methods *real_methods(sqlite3_file *file)
{
	return ((const struct methods *)file->pMethods)->real;
}

static int sql_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
	return strikes(true) ? SQLITE_IOERR_WRITE
			     : real_methods(file)->xWrite(file, data, size, offset);
}

static int sql_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	return strikes(true) ? SQLITE_IOERR_TRUNCATE
			     : real_methods(file)->xTruncate(file, size);
}

/* No power fails here: nothing is flushed, which takes most of the time. */
static int sql_sync(sqlite3_file *file, int flags)
{
	(void)file;
	(void)flags;
	return strikes(true) ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static const sqlite3_io_methods *failing_methods(const sqlite3_io_methods *real)
{
	size_t i = 0;

	while (methods[i].real != real && methods[i].real != NULL)
		i++;
	assert_true(i < sizeof methods / sizeof *methods - 1);
	methods[i].real = real;
	methods[i].failing = *real;
	methods[i].failing.xWrite = sql_write;
	methods[i].failing.xTruncate = sql_truncate;
	methods[i].failing.xSync = sql_sync;
	return &methods[i].failing;
}

static sqlite3_vfs *real_vfs, failing_vfs;

static int sql_open(
    sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *ret_flags)
{
	int result = real_vfs->xOpen(vfs, name, file, flags, ret_flags);

	if (result == SQLITE_OK && file->pMethods != NULL)
		file->pMethods = failing_methods(file->pMethods);
	return result;
}

static int sql_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	return strikes(true) ? SQLITE_IOERR_DELETE : real_vfs->xDelete(vfs, name, sync);
}

static void hook(void)
{
	sqlite3_mem_methods failing;

	assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory), SQLITE_OK);
	failing = memory;
	failing.xMalloc = sql_malloc;
	failing.xRealloc = sql_realloc;
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &failing), SQLITE_OK);
	real_vfs = sqlite3_vfs_find(NULL);
	failing_vfs = *real_vfs;
	failing_vfs.zName = "failing";
	failing_vfs.xOpen = sql_open;
	failing_vfs.xDelete = sql_delete;
	assert_int_equal(sqlite3_vfs_register(&failing_vfs, 1), SQLITE_OK);
}

/* ---- The work: it asserts nothing, as it may fail anywhere ---- */

struct work {
	const char *name;
	void (*prepare)(struct fixture *f);
	int (*run)(struct store *store, struct store_sealer *sealer, rh_error *error);
};

static const char *sample_id(unsigned n)
{
	static struct license facts;

	sample_facts(&facts, n);
	return facts.id;
}

static void prepare_three(struct fixture *f)
{
	for (unsigned i = 1; i <= 3; i++)
		assert_fails(sample_insert(f->store, f->sealer, i, &fixture_error), RH_S_ADDED);
}

static void prepare_removed(struct fixture *f)
{
	prepare_three(f);
	assert_ok(store_remove(f->store, sample_id(1), &fixture_error));
}

static void prepare_old(struct fixture *f)
{
	prepare_three(f);
	fixture_sql(f, "DROP INDEX IF EXISTS licenses_by_key; DROP INDEX licenses_census;"
		       "DROP TABLE spent; DROP TABLE grants; DROP TABLE grant_batches;"
		       "PRAGMA user_version = 1");
}

static void prepare_nothing(struct fixture *f)
{
	(void)f;
}

static int run_remove(struct store *store, struct store_sealer *sealer, rh_error *error)
{
	(void)sealer;
	return store_remove(store, sample_id(1), error);
}

/* Adds what was removed, and takes over what it had spent. */
static int run_add(struct store *store, struct store_sealer *sealer, rh_error *error)
{
	struct license_state state;
	int code;

	code = store_begin(store, error);
	if (code == RH_OK)
		code = sample_insert(store, sealer, 1, error);
	if (code == RH_S_ADDED)
		code = store_spent(store, sample_id(1), true, &state, error);
	if (code == RH_OK)
		code = store_commit(store, error);
	if (code != RH_OK)
		store_rollback(store);
	return code;
}

static int run_fill(struct store *store, struct store_sealer *sealer, rh_error *error)
{
	int code;

	code = store_begin_fill(store, error);
	for (unsigned i = 1; i <= 3 && code == RH_OK; i++) {
		code = sample_insert(store, sealer, i, error);
		code = code == RH_S_ADDED ? RH_OK : code;
	}
	if (code == RH_OK)
		code = store_commit(store, error);
	if (code != RH_OK)
		store_rollback(store);
	return code;
}

static int count_row(void *context, const struct store_row *row, rh_error *error)
{
	(void)row;
	(void)error;
	++*(int *)context;
	return RH_OK;
}

static int count_group(void *context, const struct store_census *group, rh_error *error)
{
	(void)group;
	(void)error;
	++*(int *)context;
	return RH_OK;
}

static int run_index(struct store *store, struct store_sealer *sealer, rh_error *error)
{
	(void)sealer;
	return store_index(store, error);
}

static int run_read(struct store *store, struct store_sealer *sealer, rh_error *error)
{
	struct license_state state;
	int rows = 0, groups = 0, code;

	(void)sealer;
	code = store_by_key(store, "key-2", count_row, &rows, error);
	if (code == RH_OK)
		code = store_census(store, 0, count_group, &groups, error);
	if (code == RH_OK)
		code = store_spent(store, sample_id(1), false, &state, error);
	if (code == RH_OK && (rows != 1 || groups != 0 || state.first_use != 7001))
		code = error_set(error, RH_E_INTERNAL, "something else was read");
	return code;
}

/* Gives licence ${n} a grant of a batch of its own. */
static int put_grant(struct store *store, unsigned n, rh_error *error)
{
	uint8_t leaves[2][DIGEST_SIZE] = {{1}, {2}};
	char root[] = "root";
	struct store_grant grant = {.service = "service",
	    .computer = "computer",
	    .root = root,
	    .leaves = leaves,
	    .leaf_count = 2,
	    .position = 1};
	struct store_row row = {0};
	int64_t batch = 0;
	int code = store_begin(store, error);

	if (code == RH_OK)
		code = store_get(store, sample_id(n), &row, error);
	if (code == RH_OK)
		code = store_grants_add(store, &grant, &batch, error);
	if (code == RH_OK)
		code = store_grant_put(store, row.number, batch, &grant, error);
	if (code == RH_OK)
		code = store_commit(store, error);
	if (code != RH_OK)
		store_rollback(store);
	store_row_free(&row);
	return code;
}

static void prepare_granted(struct fixture *f)
{
	prepare_three(f);
	assert_ok(put_grant(f->store, 1, &fixture_error));
}

static int run_grant(struct store *store, struct store_sealer *sealer, rh_error *error)
{
	(void)sealer;
	return put_grant(store, 1, error);
}

static int run_read_grant(struct store *store, struct store_sealer *sealer, rh_error *error)
{
	struct store_grant grant = {.number = 0};
	int code = store_grant_get(store, sample_id(1), &grant, error);

	(void)sealer;
	if (code == RH_OK && grant.leaves[1][0] != 2)
		code = error_set(error, RH_E_INTERNAL, "something else was read");
	store_grant_free(&grant);
	return code;
}

static const struct work works[] = {
    {"remove", prepare_three, run_remove},
    {"add", prepare_removed, run_add},
    {"fill", prepare_nothing, run_fill},
    {"migrate", prepare_old, NULL},
    {"read", prepare_removed, run_read},
    {"index", prepare_removed, run_index},
    {"grant", prepare_three, run_grant},
    {"grant again", prepare_granted, run_grant},
    {"remove granted", prepare_granted, run_remove},
    {"read grant", prepare_granted, run_read_grant},
};

/* Opens, works, closes. */
static int do_work(struct fixture *f, const struct work *work, rh_error *error)
{
	struct store *store = NULL;
	struct store_sealer *sealer = NULL;
	int code;

	code = fixture_try(f, 0, &store, error);
	if (code == RH_OK)
		code = store_sealer_new(store, &sealer, error);
	if (code == RH_OK && work->run != NULL)
		code = work->run(store, sealer, error);
	store_sealer_free(sealer);
	store_close(store);
	return code;
}

/* ---- What came of it ---- */

/* Licences, and what is left of those that were removed, in one number; whole. */
static int outcome(struct fixture *f)
{
	struct license_state state;
	struct store_totals totals;
	int rows = 0;

	fixture_open(f, 0);
	assert_ok(store_check_pages(f->store, &fixture_error));
	assert_ok(store_totals(f->store, &totals, &fixture_error));
	assert_ok(store_spent(f->store, sample_id(1), false, &state, &fixture_error));
	assert_ok(store_by_key(f->store, "key-1", count_row, &rows, &fixture_error));
	assert_ok(store_index(f->store, &fixture_error));
	fixture_close(f);
	assert_int_equal(
	    fixture_sql_number(f, "SELECT count(*) FROM sqlite_schema WHERE name IN"
				  " ('licenses_by_key', 'licenses_census', 'spent')"),
	    3);
	assert_int_equal(fixture_sql_number(f, "SELECT count(*) FROM grants"),
	    fixture_sql_number(f, "SELECT count(*) FROM grant_batches"));
	return (int)fixture_sql_number(f, "SELECT count(*) FROM grants") * 1000 +
	       (int)totals.licenses * 100 + rows * 10 + (int)state.count_count;
}

static void remove_file(struct fixture *f, const char *suffix)
{
	char path[160];

	snprintf(path, sizeof path, "%s%s", f->file, suffix);
	unlink(path);
}

static void put_back(struct fixture *f, const struct buffer *bytes)
{
	int fd;

	remove_file(f, "-wal");
	remove_file(f, "-shm");
	remove_file(f, "-journal");
	fd = open(f->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes->data, bytes->size), bytes->size);
	close(fd);
}

static int run_killed(struct fixture *f, const struct work *work, long number)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		arm(FAULT_KILL, number);
		_exit(do_work(f, work, NULL) == RH_OK ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	fired = WEXITSTATUS(status) == 99;
	assert_true(fired || WEXITSTATUS(status) == 0);
	return fired ? RH_E_INTERNAL : RH_OK;
}

static bool expected(enum fault which, int code)
{
	if (which == FAULT_ALLOCATE)
		return code == RH_E_MEMORY;
	return which == FAULT_KILL || code == RH_E_STORE_WRITE || code == RH_E_STORE_READ ||
	       code == RH_E_STORE_CREATE;
}

static void strike(struct fixture *f, const struct work *work, enum fault which)
{
	struct buffer before_bytes = {0};
	int before, after, code, came;
	long number;

	fixture_open(f, STORE_CREATE);
	work->prepare(f);
	fixture_close(f);
	assert_ok(file_read_whole(
	    AT_FDCWD, f->file, 1 << 24, &before_bytes, f->file, &fixture_error));
	before = outcome(f);
	put_back(f, &before_bytes);
	assert_ok(do_work(f, work, &fixture_error));
	after = outcome(f);
	for (number = 0;; number++) {
		put_back(f, &before_bytes);
		if (which == FAULT_KILL) {
			code = run_killed(f, work, number);
		} else {
			arm(which, number);
			code = do_work(f, work, &fixture_error);
		}
		fault = FAULT_NONE;
		came = outcome(f);
		if (code == RH_OK ? came != after
				  : !expected(which, code) || (came != before && came != after))
			fail_msg("%s, fault %d, number %ld: %d %s: %d", work->name, (int)which,
			    number, code, fixture_error.text, came);
		if (!fired)
			break;
	}
	assert_true(number > 0);
	buffer_free(&before_bytes);
	remove_file(f, "");
}

static void test_faults(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
		strike(f, &works[i], FAULT_ALLOCATE);
		/* To read is no writing. */
		if (works[i].run == run_read || works[i].run == run_read_grant)
			continue;
		strike(f, &works[i], FAULT_WRITE);
		strike(f, &works[i], FAULT_KILL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_faults, fixture_setup, fixture_teardown),
	};

	hook();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
