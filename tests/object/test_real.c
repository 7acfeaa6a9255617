/*
 * The object over the real engine: every situation that an application can get
 * into, with what the start gives, and how it ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define COBJMACROS
#include "rehost/nserror.h"
#include "rehost/rehost.h"
#include "callback.h"

#define LICENSES 5

static char top[] = "/tmp/rehost-object-XXXXXX";
static bool have_small_medium;

static void write_file(const char *name, const void *bytes, size_t size)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

/* From now on this is another computer. */
static void be_computer(char digit)
{
	char id[33];

	memset(id, digit, 32);
	id[32] = '\n';
	write_file("machine-id", id, sizeof id);
}

struct source {
	unsigned next, end;
	uint8_t bytes[60000];
};

static int next_document(void *context, rh_document *document, rh_error *error)
{
	struct source *source = context;

	(void)error;
	if (source->next == source->end)
		return 0;
	source->next++;
	/* Nothing that can be compressed, so that a medium can become full. */
	assert_int_equal(
	    getrandom(source->bytes, sizeof source->bytes, 0), sizeof source->bytes);
	*document = (rh_document){source->bytes, sizeof source->bytes, "own.lic", "opaque"};
	return 1;
}

static void make_store(const char *directory)
{
	struct source *source = calloc(1, sizeof *source);
	rh_store *store;

	assert_non_null(source);
	source->end = LICENSES;
	assert_int_equal(rh_store_open(directory, RH_STORE_CREATE, &store, NULL), RH_OK);
	assert_int_equal(rh_add(store, next_document, source, NULL, NULL, NULL), RH_OK);
	rh_store_close(store);
	free(source);
}

static int count_one(void *context, const rh_license *license)
{
	(void)license;
	++*(unsigned *)context;
	return 0;
}

static unsigned licenses_in(const char *directory)
{
	unsigned count = 0;
	rh_store *store;

	assert_int_equal(rh_store_open(directory, 0, &store, NULL), RH_OK);
	assert_int_equal(rh_enumerate(store, NULL, count_one, &count, NULL), RH_OK);
	rh_store_close(store);
	return count;
}

/* The recovery key of a store; rh_free_secret it. */
static char *key_of(const char *directory)
{
	rh_recovery_key key = {0};
	rh_store *store;
	char *identity;

	assert_int_equal(rh_store_open(directory, RH_STORE_CREATE, &store, NULL), RH_OK);
	rh_recovery_make(store, NULL);
	assert_int_equal(rh_recovery_show(store, &key, NULL), RH_OK);
	rh_store_close(store);
	identity = key.identity;
	key.identity = NULL;
	rh_recovery_free(&key);
	return identity;
}

/* ---- One object, one operation ------------------------------------------ */

struct fixture {
	struct callback callback;
	IWMLicenseBackup *backup;
	IWMLicenseRestore *restore;
	IWMBackupRestoreProps *props;
};

/* Bytes that are not ASCII go as lone surrogates, which is right for Latin-1 names. */
static void set(struct fixture *f, LPCWSTR name, const char *value)
{
	WCHAR wide[256];
	size_t length = 0;

	for (; value[length] != '\0'; length++) {
		unsigned char byte = (unsigned char)value[length];

		wide[length] = (WCHAR)(byte < 0x80 ? byte : 0xdc00 + byte);
	}
	assert_int_equal(IWMBackupRestoreProps_SetProp(f->props, name, WMT_TYPE_STRING,
			     (const BYTE *)wide, (WORD)(length * sizeof *wide)),
	    S_OK);
}

static void setup(struct fixture *f, const char *store)
{
	void *out;

	callback_init(&f->callback, true);
	assert_int_equal(
	    WMCreateBackupRestorer(callback_unknown(&f->callback), &f->backup), S_OK);
	IWMLicenseBackup_QueryInterface(f->backup, &IID_IWMBackupRestoreProps, &out);
	f->props = out;
	IWMLicenseBackup_QueryInterface(f->backup, &IID_IWMLicenseRestore, &out);
	f->restore = out;
	set(f, u"StorePath", store);
}

static void teardown(struct fixture *f)
{
	IWMBackupRestoreProps_Release(f->props);
	IWMLicenseRestore_Release(f->restore);
	assert_int_equal(IWMLicenseBackup_Release(f->backup), 0);
	callback_check_gone(&f->callback);
}

/* Waits for END, checks that there is one, that it is last, and what OnResult said. */
static HRESULT finish(struct fixture *f, HRESULT started)
{
	const struct record *end, *result;
	HRESULT hr;

	assert_int_equal(started, S_OK);
	callback_wait_ends(&f->callback, 1);
	callback_wait_references(&f->callback, 2);
	assert_int_equal(f->callback.ends, 1);
	end = callback_end(&f->callback);
	result = callback_find(&f->callback, ON_RESULT);
	assert_non_null(result);
	assert_int_equal(result->hr, end->hr);
	assert_int_equal(result->more[0] == '\0', result->code == RH_OK);
	hr = end->hr;
	return hr;
}

static HRESULT backup(const char *store, const char *directory, DWORD flags)
{
	struct fixture f;
	HRESULT hr;

	setup(&f, store);
	set(&f, u"BackupPath", directory);
	hr = finish(
	    &f, IWMLicenseBackup_BackupLicenses(f.backup, flags, callback_status(&f.callback)));
	teardown(&f);
	return hr;
}

static HRESULT restore_as(
    const char *store, const char *directory, const char *key, const char *mode)
{
	struct fixture f;
	HRESULT hr;

	setup(&f, store);
	set(&f, u"RestorePath", directory);
	set(&f, u"RestoreMode", mode);
	if (key != NULL)
		set(&f, u"RecoveryKey", key);
	hr = finish(
	    &f, IWMLicenseRestore_RestoreLicenses(f.restore, 0, callback_status(&f.callback)));
	teardown(&f);
	return hr;
}

static HRESULT restore(const char *store, const char *directory, const char *key)
{
	return restore_as(store, directory, key, "restore");
}

/* The only file of this directory whose name ends so. */
static void find_file(char *path, size_t size, const char *directory, const char *ending)
{
	DIR *entries = opendir(directory);
	struct dirent *entry;

	assert_non_null(entries);
	path[0] = '\0';
	while ((entry = readdir(entries)) != NULL) {
		size_t length = strlen(entry->d_name);

		if (length > strlen(ending) &&
		    strcmp(entry->d_name + length - strlen(ending), ending) == 0)
			snprintf(path, size, "%s/%s", directory, entry->d_name);
	}
	closedir(entries);
	assert_true(path[0] != '\0');
}

/* Turns ${count} bytes at ${offset} over. */
static void damage(const char *path, off_t offset, size_t count)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t bytes[512];

	assert_true(fd >= 0 && count <= sizeof bytes);
	assert_int_equal(pread(fd, bytes, count, offset), count);
	for (size_t i = 0; i < count; i++)
		bytes[i] ^= 0xff;
	assert_int_equal(pwrite(fd, bytes, count, offset), count);
	close(fd);
}

/* ---- Situations ---------------------------------------------------------- */

static void test_old_computer_to_new(void **state)
{
	char *key;

	(void)state;
	be_computer('a');
	make_store("old");
	assert_int_equal(mkdir("stick", 0700), 0);
	assert_int_equal(backup("old", "stick", 0), S_OK);
	key = key_of("old");

	be_computer('b');
	assert_int_equal(restore_as("new", "stick", key, "plan"), S_OK);
	assert_int_equal(access("new", F_OK), -1);
	assert_int_equal(restore("new", "stick", key), S_OK);
	assert_int_equal(licenses_in("new"), LICENSES);
	assert_int_equal(restore("new", "stick", key), S_OK);
	assert_int_equal(licenses_in("new"), LICENSES);
	rh_free_secret(key);
	be_computer('a');
}

static void test_backup_exists(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, "old");
	set(&f, u"BackupPath", "stick");
	assert_int_equal(
	    IWMLicenseBackup_BackupLicenses(f.backup, 0, callback_status(&f.callback)),
	    NS_E_DRM_BACKUP_EXISTS);
	assert_int_equal(f.callback.count, 0);
	teardown(&f);
	assert_int_equal(backup("old", "stick", WM_BACKUP_OVERWRITE), S_OK);
}

static void test_paths(void **state)
{
	(void)state;
	write_file("file", "x", 1);
	assert_int_equal(mkdir("empty", 0700), 0);
	assert_int_equal(backup("old", "missing", 0), rh_code_hresult(RH_E_NO_DIRECTORY));
	assert_int_equal(backup("old", "file", 0), rh_code_hresult(RH_E_NOT_DIRECTORY));
	assert_int_equal(restore("old", "missing", NULL), rh_code_hresult(RH_E_NO_DIRECTORY));
	assert_int_equal(restore("old", "file", NULL), rh_code_hresult(RH_E_NOT_DIRECTORY));
	assert_int_equal(restore("old", "empty", NULL), NS_E_DRM_BACKUP_CORRUPT);
}

static void test_unwritable(void **state)
{
	(void)state;
	if (geteuid() == 0)
		skip();
	assert_int_equal(mkdir("locked", 0500), 0);
	assert_int_equal(backup("old", "locked", 0), E_ACCESSDENIED);
	chmod("locked", 0700);
}

static void test_full_medium(void **state)
{
	(void)state;
	if (!have_small_medium)
		skip();
	assert_int_equal(backup("old", "small", 0), NS_E_FILE_WRITE);
	assert_int_equal(restore("old", "small", NULL), NS_E_DRM_BACKUP_CORRUPT);
}

/* A directory whose name is Latin-1, as an old medium may have it. */
static void test_path_of_bytes(void **state)
{
	char file[256];

	(void)state;
	assert_int_equal(mkdir("caf\xe9", 0700), 0);
	assert_int_equal(backup("old", "caf\xe9", 0), S_OK);
	find_file(file, sizeof file, "caf\xe9", ".age");
	assert_int_equal(restore("old", "caf\xe9", NULL), S_OK);
}

static void test_store_missing(void **state)
{
	(void)state;
	assert_int_equal(backup("no-store", "empty", 0), NS_E_DRM_UNABLE_TO_OPEN_DATA_STORE);
	assert_int_not_equal(access("no-store", F_OK), 0);
}

static void test_store_of_another_computer(void **state)
{
	(void)state;
	be_computer('c');
	assert_int_equal(backup("old", "empty", 0), NS_E_DRM_HARDWAREID_MISMATCH);
	assert_int_equal(restore("old", "stick", NULL), NS_E_DRM_HARDWAREID_MISMATCH);
	be_computer('a');
}

static void test_store_damaged(void **state)
{
	(void)state;
	make_store("broken");
	damage("broken/licenses.db", 0, 200);
	assert_int_equal(backup("broken", "empty", 0), NS_E_DRM_DATASTORE_CORRUPT);
}

static void test_keys(void **state)
{
	char *wrong;

	(void)state;
	be_computer('d');
	wrong = key_of("elsewhere");
	assert_int_equal(restore("fresh", "stick", NULL), NS_E_DRM_NOT_CONFIGURED);
	assert_int_equal(restore("fresh", "stick", wrong), NS_E_DRM_SECURE_STORE_UNLOCK_ERROR);
	wrong[20] = wrong[20] == 'Q' ? 'P' : 'Q';
	assert_int_equal(restore("fresh", "stick", wrong), NS_E_DRM_SECURE_STORE_UNLOCK_ERROR);
	assert_int_equal(licenses_in("fresh"), 0);
	rh_free_secret(wrong);
	be_computer('a');
}

static void test_filter(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, "old");
	set(&f, u"RestorePath", "stick");
	set(&f, u"RestoreFilter", "nonsense");
	assert_int_equal(finish(&f, IWMLicenseRestore_RestoreLicenses(
					f.restore, 0, callback_status(&f.callback))),
	    E_INVALIDARG);
	teardown(&f);
}

static void test_cancel(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(mkdir("canceled", 0700), 0);
	setup(&f, "old");
	set(&f, u"BackupPath", "canceled");
	assert_int_equal(
	    IWMLicenseBackup_BackupLicenses(f.backup, 0, callback_status(&f.callback)), S_OK);
	IWMLicenseBackup_CancelLicenseBackup(f.backup);
	assert_int_equal(finish(&f, S_OK), NS_E_DRM_OPERATION_CANCELED);
	teardown(&f);
	assert_int_equal(rh_backup_exists("canceled", NULL), RH_OK);
}

static void cancel_at_begin(struct callback *callback, WMT_STATUS status, HRESULT hr)
{
	struct fixture *f = callback->hook_context;

	(void)hr;
	if (status == WMT_BACKUPRESTORE_BEGIN) {
		IWMLicenseBackup_CancelLicenseBackup(f->backup);
		IWMLicenseRestore_CancelLicenseRestore(f->restore);
	}
}

/* In the middle: no backup is left behind, no licence is added. */
static void test_cancel_inside(void **state)
{
	struct fixture f;
	char *key = key_of("old");

	(void)state;
	setup(&f, "old");
	f.callback.hook = cancel_at_begin;
	f.callback.hook_context = &f;
	set(&f, u"BackupPath", "canceled");
	assert_int_equal(finish(&f, IWMLicenseBackup_BackupLicenses(
					f.backup, 0, callback_status(&f.callback))),
	    NS_E_DRM_OPERATION_CANCELED);
	assert_int_equal(rh_backup_exists("canceled", NULL), RH_OK);

	callback_clear(&f.callback);
	set(&f, u"RestorePath", "stick");
	set(&f, u"StorePath", "half");
	set(&f, u"RecoveryKey", key);
	assert_int_equal(finish(&f, IWMLicenseRestore_RestoreLicenses(
					f.restore, 0, callback_status(&f.callback))),
	    NS_E_DRM_OPERATION_CANCELED);
	assert_int_equal(licenses_in("half"), 0);
	teardown(&f);
	rh_free_secret(key);
}

/* Two objects on one store and one directory: done, or a clear answer. */
static void test_two_at_once(void **state)
{
	static struct fixture f[2];

	(void)state;
	for (unsigned round = 0; round < 5; round++) {
		unsigned done = 0;

		for (size_t i = 0; i < 2; i++) {
			setup(&f[i], "old");
			set(&f[i], u"BackupPath", "stick");
			assert_int_equal(
			    IWMLicenseBackup_BackupLicenses(f[i].backup, WM_BACKUP_OVERWRITE,
				callback_status(&f[i].callback)),
			    S_OK);
		}
		for (size_t i = 0; i < 2; i++) {
			HRESULT hr = finish(&f[i], S_OK);

			assert_true(hr == S_OK || hr == NS_E_DRM_BUSY);
			done += hr == S_OK;
			teardown(&f[i]);
		}
		assert_true(done > 0);
		assert_int_equal(restore("old", "stick", NULL), S_OK);
	}
}

static void test_damaged_backup(void **state)
{
	char file[256], parity[256];
	struct stat status;

	(void)state;
	find_file(file, sizeof file, "stick", ".age");
	assert_int_equal(stat(file, &status), 0);
	find_file(parity, sizeof parity, "stick", ".parity");
	/* Mended while it is read. */
	damage(file, status.st_size / 2, 1);
	assert_int_equal(restore("old", "stick", NULL), S_OK);
	assert_int_equal(unlink(parity), 0);
	assert_int_equal(restore("old", "stick", NULL), NS_E_DRM_STORE_NOTALLSTORED);
	damage(file, status.st_size / 2, 1);
	assert_int_equal(restore("old", "stick", NULL), S_OK);
	/* Half of it, as a stick that was pulled too early may have. */
	assert_int_equal(truncate(file, status.st_size / 2), 0);
	assert_int_equal(restore("old", "stick", NULL), NS_E_DRM_STORE_NOTALLSTORED);
}

static int threads_before;

static int count_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	int threads = 0;

	assert_non_null(tasks);
	while (readdir(tasks) != NULL)
		threads++;
	closedir(tasks);
	return threads;
}

static int group_setup(void **state)
{
	char path[256];

	(void)state;
	threads_before = count_threads();
	if (chdir(top) != 0 || mkdir("small", 0777) != 0)
		return -1;
	/* A medium that fills up, in a mount table of our own; then root no more. */
	if (geteuid() == 0) {
		if (unshare(CLONE_NEWNS) == 0 &&
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		    mount("tmpfs", "small", "tmpfs", 0, "size=128k,mode=0777") == 0)
			have_small_medium = true;
		if (chown(top, 65534, 65534) != 0 || setuid(65534) != 0)
			return -1;
	}
	snprintf(path, sizeof path, "%s/machine-id", top);
	setenv("REHOST_MACHINE_ID_FILE", path, 1);
	return 0;
}

static int remove_one(
    const char *path, const struct stat *status, int type, struct FTW *position)
{
	(void)status;
	(void)type;
	(void)position;
	return remove(path);
}

/* The tests have their own mounts and user; who cleans up must not. */
static int run_and_clean_up(int (*run)(void))
{
	int status = -1;
	pid_t child;

	if (mkdtemp(top) == NULL)
		return 1;
	child = fork();
	if (child == 0)
		exit(run());
	if (child > 0)
		waitpid(child, &status, 0);
	nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/*
 * The threads of the library are detached: the last one may still be going when its END has
 * been heard, and at the end of the process what it held would count as leaked.
 */
static int threads_gone(void **state)
{
	(void)state;
	for (int i = 0; i < 500; i++) {
		if (count_threads() == threads_before)
			return 0;
		usleep(10000);
	}
	return -1;
}

static int run_all(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_old_computer_to_new),
	    cmocka_unit_test(test_backup_exists),
	    cmocka_unit_test(test_paths),
	    cmocka_unit_test(test_unwritable),
	    cmocka_unit_test(test_full_medium),
	    cmocka_unit_test(test_path_of_bytes),
	    cmocka_unit_test(test_store_missing),
	    cmocka_unit_test(test_store_of_another_computer),
	    cmocka_unit_test(test_store_damaged),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_filter),
	    cmocka_unit_test(test_cancel),
	    cmocka_unit_test(test_cancel_inside),
	    cmocka_unit_test(test_two_at_once),
	    cmocka_unit_test(test_damaged_backup),
	};

	return cmocka_run_group_tests(tests, group_setup, threads_gone);
}

int main(void)
{
	return run_and_clean_up(run_all);
}
