/*
 * Starting, canceling, ending: the contract table of the object, over an engine
 * that blocks, commits and fails where the test says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define COBJMACROS
#include "rehost/nserror.h"
#include "callback.h"
#include "fake_engine.h"

#define BEGIN WMT_BACKUPRESTORE_BEGIN
#define END WMT_BACKUPRESTORE_END
#define CONNECTING WMT_BACKUPRESTORE_CONNECTING
#define DISCONNECTING WMT_BACKUPRESTORE_DISCONNECTING
#define RESTRICTED WMT_RESTRICTED_LICENSE

#define CHECK_STATUSES(callback, ...)                                                          \
	callback_check_statuses(callback, (const int[]){__VA_ARGS__, -1})

struct fixture {
	struct callback callback; /* of the starts */
	struct callback creation;
	IWMLicenseBackup *backup;
	IWMLicenseRestore *restore;
	IWMBackupRestoreProps *props;
};

static void set(struct fixture *f, LPCWSTR name, LPCWSTR value)
{
	size_t length = 0;

	while (value[length] != 0)
		length++;
	assert_int_equal(IWMBackupRestoreProps_SetProp(f->props, name, WMT_TYPE_STRING,
			     (const BYTE *)value, (WORD)((length + 1) * sizeof *value)),
	    S_OK);
}

static void setup(struct fixture *f, const struct script *script, bool progress)
{
	void *out;

	fake_script(script);
	callback_init(&f->callback, progress);
	callback_init(&f->creation, true);
	assert_int_equal(
	    WMCreateBackupRestorer(callback_unknown(&f->creation), &f->backup), S_OK);
	IWMLicenseBackup_QueryInterface(f->backup, &IID_IWMBackupRestoreProps, &out);
	f->props = out;
	IWMLicenseBackup_QueryInterface(f->backup, &IID_IWMLicenseRestore, &out);
	f->restore = out;
	set(f, u"BackupPath", u"/b");
	set(f, u"RestorePath", u"/r");
}

static void release_all(struct fixture *f)
{
	IWMBackupRestoreProps_Release(f->props);
	IWMLicenseRestore_Release(f->restore);
	assert_int_equal(IWMLicenseBackup_Release(f->backup), 0);
}

static void check_gone(struct fixture *f)
{
	struct asked asked;

	/* The callback of the creation gets nothing, ever. */
	assert_int_equal(f->creation.count, 0);
	callback_check_gone(&f->callback);
	callback_check_gone(&f->creation);
	asked = fake_asked();
	assert_int_equal(asked.opened, asked.closed);
}

static void teardown(struct fixture *f)
{
	release_all(f);
	check_gone(f);
}

static HRESULT backup(struct fixture *f, DWORD flags)
{
	return IWMLicenseBackup_BackupLicenses(f->backup, flags, callback_status(&f->callback));
}

static HRESULT restore(struct fixture *f, DWORD flags)
{
	return IWMLicenseRestore_RestoreLicenses(
	    f->restore, flags, callback_status(&f->callback));
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void test_refused_starts(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &(struct script){0}, true);
	assert_int_equal(IWMLicenseBackup_BackupLicenses(f.backup, 0, NULL), E_INVALIDARG);
	assert_int_equal(IWMLicenseRestore_RestoreLicenses(f.restore, 0, NULL), E_INVALIDARG);
	assert_int_equal(backup(&f, WM_RESTORE_INDIVIDUALIZE), E_INVALIDARG);
	assert_int_equal(backup(&f, 4), E_INVALIDARG);
	assert_int_equal(backup(&f, 0x80000001), E_INVALIDARG);
	assert_int_equal(restore(&f, WM_BACKUP_OVERWRITE), E_INVALIDARG);
	assert_int_equal(restore(&f, 0x10000), E_INVALIDARG);

	set(&f, u"BackupPath", u"");
	assert_int_equal(backup(&f, 0), NS_E_DRM_INVALID_PROPERTY);
	IWMBackupRestoreProps_RemoveProp(f.props, u"BackupPath");
	assert_int_equal(backup(&f, 0), NS_E_DRM_INVALID_PROPERTY);
	IWMBackupRestoreProps_RemoveAllProps(f.props);
	assert_int_equal(restore(&f, 0), NS_E_DRM_INVALID_PROPERTY);

	sleep_ms(100);
	assert_int_equal(f.callback.count, 0);
	assert_int_equal(callback_references(&f.callback), 1);
	assert_int_equal(fake_asked().opened, 0);
	teardown(&f);
}

static void test_backup_events(void **state)
{
	const struct record *record;
	struct fixture f;

	(void)state;
	setup(&f, &(struct script){.restricted = 2, .chatter = true}, false);
	assert_int_equal(backup(&f, 0), S_OK);
	callback_wait_ends(&f.callback, 1);
	CHECK_STATUSES(&f.callback, BEGIN, RESTRICTED, RESTRICTED, END);
	for (size_t i = 0; i < f.callback.count; i++) {
		record = &f.callback.records[i];
		assert_int_equal(record->hr, S_OK);
		assert_true(record->value_given);
		assert_null(record->context);
		/* From the thread that works, which is not the one that started it. */
		assert_true(pthread_equal(record->thread, fake_asked().thread));
		assert_false(pthread_equal(record->thread, pthread_self()));
		if (record->status == RESTRICTED) {
			assert_int_equal(record->type, WMT_TYPE_STRING);
			assert_string_equal(record->text, i == 1 ? "key-0" : "key-1");
		} else {
			assert_int_equal(record->type, WMT_TYPE_DWORD);
			assert_int_equal(record->number, 0);
		}
	}
	teardown(&f);
}

static void test_restore_events(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &(struct script){0}, false);
	assert_int_equal(restore(&f, 0), S_OK);
	callback_wait_ends(&f.callback, 1);
	CHECK_STATUSES(&f.callback, CONNECTING, DISCONNECTING, BEGIN, END);
	assert_int_equal(callback_end(&f.callback)->hr, S_OK);
	teardown(&f);
}

static void test_progress_events(void **state)
{
	const struct record *record;
	struct fixture f;

	(void)state;
	setup(&f, &(struct script){.restricted = 1, .licenses = 1, .chatter = true}, true);
	assert_int_equal(backup(&f, 0), S_OK);
	callback_wait_ends(&f.callback, 1);
	CHECK_STATUSES(&f.callback, BEGIN, ON_TOTALS, ON_RECOVERY_KEY, ON_NOTICE, ON_LICENSE,
	    ON_PROGRESS, RESTRICTED, ON_LICENSE, ON_LICENSE, ON_RESULT, END);

	record = callback_find(&f.callback, ON_TOTALS);
	assert_int_equal(record->number, RH_OPERATION_BACKUP);
	assert_int_equal(record->licenses, 7);
	assert_int_equal(record->bytes, 7000);
	record = callback_find(&f.callback, ON_PROGRESS);
	assert_int_equal(record->licenses, 7);
	assert_int_equal(record->bytes, 7000);
	record = callback_find(&f.callback, ON_NOTICE);
	assert_int_equal(record->code, RH_E_READ_BACK);
	assert_int_equal(record->hr, rh_code_hresult(RH_E_READ_BACK));
	assert_string_equal(record->more, "a notice");
	assert_string_equal(record->text, "a step");
	assert_string_equal(callback_find(&f.callback, ON_RECOVERY_KEY)->text, "made");
	record = callback_find(&f.callback, ON_LICENSE);
	assert_int_equal(record->code, RH_E_LICENSE_DAMAGED);
	assert_string_equal(record->text, "");
	assert_string_equal(record->more, "unreadable");
	record += 3;
	assert_int_equal(record->code, RH_E_RESTRICTED);
	assert_int_equal(record->hr, rh_code_hresult(RH_E_RESTRICTED));
	assert_string_equal(record->text, "id-0");
	assert_string_equal(record->more, "why");
	assert_int_equal(record[1].code, RH_S_OLDER);
	assert_string_equal(record[1].text, "id-1");
	record = callback_find(&f.callback, ON_RESULT);
	assert_int_equal(record->code, RH_OK);
	assert_int_equal(record->summary.qwLicenses, 7);
	assert_int_equal(record->summary.qwDone, 5);
	assert_int_equal(record->summary.qwRestricted, 1);
	assert_string_equal(record->more, "");
	assert_string_equal(record->text, "");
	teardown(&f);
}

/* Whatever the reason, the key id is told, and nothing looks like a failure of the backup. */
static void test_restricted_reasons(void **state)
{
	static const struct {
		int code;
		HRESULT hr;
	} reasons[] = {
	    {RH_E_RESTRICTED, NS_E_DRM_NO_RIGHTS},
	    {RH_E_RIGHTS_UNKNOWN, NS_E_DRM_NO_RIGHTS},
	    {RH_E_LICENSE_EXPIRED, NS_E_DRM_LICENSE_EXPIRED},
	    {RH_E_SERVICE_KEYS, NS_E_DRM_LICENSE_SERVER_INFO_MISSING},
	    {RH_E_NO_SECRET, NS_E_DRM_UNABLE_TO_OPEN_LICENSE},
	};
	const struct record *record;
	struct fixture f;

	(void)state;
	setup(&f, &(struct script){.restricted = 5}, true);
	assert_int_equal(backup(&f, 0), S_OK);
	callback_wait_ends(&f.callback, 1);
	record = callback_find(&f.callback, RESTRICTED);
	for (unsigned i = 0; i < 5; i++, record += 2) {
		char text[16];

		assert_int_equal(record->status, RESTRICTED);
		assert_int_equal(record->hr, S_OK);
		snprintf(text, sizeof text, "key-%u", i);
		assert_string_equal(record->text, text);
		assert_int_equal(record[1].status, ON_LICENSE);
		assert_int_equal(record[1].code, reasons[i].code);
		assert_int_equal(record[1].hr, reasons[i].hr);
		snprintf(text, sizeof text, "id-%u", i);
		assert_string_equal(record[1].text, text);
		assert_string_equal(record[1].more, "why");
	}
	assert_int_equal(callback_find(&f.callback, ON_RESULT)->code, RH_OK);
	assert_int_equal(callback_end(&f.callback)->hr, S_OK);
	teardown(&f);
}

/* The engine's result, whatever it is, comes once, last, and as its HRESULT. */
static void test_results(void **state)
{
	static const struct {
		int code;
		HRESULT hr;
	} table[] = {
	    {RH_OK, S_OK},
	    {RH_E_WRITE, NS_E_FILE_WRITE},
	    {RH_E_FULL, NS_E_FILE_WRITE},
	    {RH_E_BACKUP_EXISTS, NS_E_DRM_BACKUP_EXISTS},
	    {RH_E_BACKUP_CORRUPT, NS_E_DRM_BACKUP_CORRUPT},
	    {RH_E_BACKUP_MISSING, NS_E_DRM_BACKUP_CORRUPT},
	    {RH_E_STORE_BUSY, NS_E_DRM_BUSY},
	    {RH_E_NOT_ALL_STORED, NS_E_DRM_STORE_NOTALLSTORED},
	    {RH_E_MEMORY, E_OUTOFMEMORY},
	};
	struct fixture f;

	(void)state;
	setup(&f, &(struct script){0}, true);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		const struct record *result;

		fake_script(&(struct script){.result = table[i].code});
		callback_clear(&f.callback);
		assert_int_equal(i % 2 == 0 ? backup(&f, 0) : restore(&f, 0), S_OK);
		callback_wait_ends(&f.callback, 1);
		assert_int_equal(callback_end(&f.callback)->hr, table[i].hr);
		assert_int_equal(f.callback.ends, 1);
		result = callback_find(&f.callback, ON_RESULT);
		assert_int_equal(result->code, table[i].code);
		assert_string_equal(
		    result->more, table[i].code == RH_OK ? "" : "the script said so");
		assert_string_equal(result->text, rh_code_next_step(table[i].code));
	}
	teardown(&f);
}

/* A store that does not open: the engine is never reached, one END all the same. */
static void test_store_does_not_open(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &(struct script){.open = RH_E_STORE_MISSING}, false);
	assert_int_equal(backup(&f, 0), S_OK);
	callback_wait_ends(&f.callback, 1);
	CHECK_STATUSES(&f.callback, END);
	assert_int_equal(callback_end(&f.callback)->hr, NS_E_DRM_UNABLE_TO_OPEN_DATA_STORE);
	assert_int_equal(fake_asked().backups, 0);
	teardown(&f);
}

static void test_backup_exists(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &(struct script){.exists = RH_E_BACKUP_EXISTS}, false);
	assert_int_equal(backup(&f, 0), NS_E_DRM_BACKUP_EXISTS);
	sleep_ms(100);
	assert_int_equal(f.callback.count, 0);
	assert_int_equal(callback_references(&f.callback), 1);

	/* The object is free again, and asks nothing when it may overwrite. */
	assert_int_equal(backup(&f, WM_BACKUP_OVERWRITE), S_OK);
	callback_wait_ends(&f.callback, 1);
	assert_int_equal(callback_end(&f.callback)->hr, S_OK);

	/* Any other trouble with the directory comes as the result. */
	callback_clear(&f.callback);
	fake_script(
	    &(struct script){.exists = RH_E_NOT_DIRECTORY, .result = RH_E_NOT_DIRECTORY});
	assert_int_equal(backup(&f, 0), S_OK);
	callback_wait_ends(&f.callback, 1);
	assert_int_equal(callback_end(&f.callback)->hr, rh_code_hresult(RH_E_NOT_DIRECTORY));
	teardown(&f);
}

static void test_busy(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &(struct script){.block = true}, false);
	assert_int_equal(backup(&f, 0), S_OK);
	assert_int_equal(backup(&f, 0), NS_E_DRM_BACKUPRESTORE_BUSY);
	callback_wait_status(&f.callback, BEGIN);
	assert_int_equal(backup(&f, 0), NS_E_DRM_BACKUPRESTORE_BUSY);
	assert_int_equal(restore(&f, 0), NS_E_DRM_BACKUPRESTORE_BUSY);
	/* Properties may be changed; the operation has its own copy. */
	set(&f, u"BackupPath", u"/elsewhere");
	fake_unblock();
	callback_wait_ends(&f.callback, 1);
	assert_string_equal(fake_asked().directory, "/b");
	CHECK_STATUSES(&f.callback, BEGIN, END);

	/* Idle as soon as END has come. */
	assert_int_equal(backup(&f, 0), S_OK);
	callback_wait_ends(&f.callback, 2);
	assert_string_equal(fake_asked().directory, "/elsewhere");
	teardown(&f);
}

static void test_cancel_idle(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &(struct script){0}, false);
	assert_int_equal(IWMLicenseBackup_CancelLicenseBackup(f.backup), S_OK);
	assert_int_equal(IWMLicenseRestore_CancelLicenseRestore(f.restore), S_OK);
	assert_int_equal(backup(&f, 0), S_OK);
	callback_wait_ends(&f.callback, 1);
	assert_int_equal(callback_end(&f.callback)->hr, S_OK);
	assert_int_equal(IWMLicenseBackup_CancelLicenseBackup(f.backup), S_OK);
	assert_int_equal(restore(&f, 0), S_OK);
	callback_wait_ends(&f.callback, 2);
	assert_int_equal(callback_end(&f.callback)->hr, S_OK);
	assert_int_equal(f.callback.ends, 2);
	teardown(&f);
}

/* Straight after the start, as an SDK test program does it, again and again. */
static void test_cancel_at_once(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &(struct script){0}, false);
	for (unsigned i = 0; i < 50; i++) {
		callback_clear(&f.callback);
		assert_int_equal(i % 2 ? restore(&f, 0) : backup(&f, 0), S_OK);
		if (i % 2)
			IWMLicenseRestore_CancelLicenseRestore(f.restore);
		else
			IWMLicenseBackup_CancelLicenseBackup(f.backup);
		callback_wait_ends(&f.callback, 1);
		CHECK_STATUSES(&f.callback, END);
		assert_int_equal(callback_end(&f.callback)->hr, NS_E_DRM_OPERATION_CANCELED);
	}
	assert_int_equal(fake_asked().opened, 0);
	teardown(&f);
}

/* However little there is to do, a cancel within 50 ms of the start finds it undone. */
static void test_grace(void **state)
{
	struct timespec before, after;
	struct fixture f;

	(void)state;
	setup(&f, &(struct script){0}, false);
	clock_gettime(CLOCK_MONOTONIC, &before);
	assert_int_equal(backup(&f, 0), S_OK);
	callback_wait_status(&f.callback, BEGIN);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true(
	    (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec >=
	    50000000);
	callback_wait_ends(&f.callback, 1);
	teardown(&f);
}

static void test_cancel_during(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &(struct script){.block = true}, false);
	assert_int_equal(backup(&f, 0), S_OK);
	callback_wait_status(&f.callback, BEGIN);
	assert_int_equal(IWMLicenseBackup_CancelLicenseBackup(f.backup), S_OK);
	callback_wait_ends(&f.callback, 1);
	CHECK_STATUSES(&f.callback, BEGIN, END);
	assert_int_equal(callback_end(&f.callback)->hr, NS_E_DRM_OPERATION_CANCELED);

	callback_clear(&f.callback);
	assert_int_equal(restore(&f, 0), S_OK);
	callback_wait_status(&f.callback, BEGIN);
	assert_int_equal(IWMLicenseRestore_CancelLicenseRestore(f.restore), S_OK);
	callback_wait_ends(&f.callback, 1);
	assert_int_equal(callback_end(&f.callback)->hr, NS_E_DRM_OPERATION_CANCELED);
	teardown(&f);
}

static void test_cancel_of_the_other_kind(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &(struct script){.block = true}, false);
	assert_int_equal(restore(&f, 0), S_OK);
	assert_int_equal(IWMLicenseBackup_CancelLicenseBackup(f.backup), S_OK);
	callback_wait_status(&f.callback, BEGIN);
	assert_int_equal(IWMLicenseBackup_CancelLicenseBackup(f.backup), S_OK);
	fake_unblock();
	callback_wait_ends(&f.callback, 1);
	assert_int_equal(callback_end(&f.callback)->hr, S_OK);
	teardown(&f);
}

/* Once the work is in place, a cancel changes nothing. */
static void test_cancel_after_commit(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &(struct script){.block = true, .committed = true}, false);
	assert_int_equal(backup(&f, 0), S_OK);
	callback_wait_status(&f.callback, BEGIN);
	assert_int_equal(IWMLicenseBackup_CancelLicenseBackup(f.backup), S_OK);
	callback_wait_ends(&f.callback, 1);
	assert_int_equal(callback_end(&f.callback)->hr, S_OK);
	teardown(&f);
}

/* While the start still looks at the directory. */
static void *start_blocked(void *context)
{
	struct fixture *f = context;

	assert_int_equal(backup(f, 0), S_OK);
	return NULL;
}

static void test_cancel_and_start_during_start(void **state)
{
	struct fixture f;
	pthread_t thread;
	HRESULT hr;

	(void)state;
	setup(&f, &(struct script){.block_exists = true}, false);
	assert_int_equal(pthread_create(&thread, NULL, start_blocked, &f), 0);
	while (strcmp(fake_asked().directory, "/b") != 0)
		sleep_ms(1);
	hr = restore(&f, 0);
	IWMLicenseBackup_CancelLicenseBackup(f.backup);
	fake_unblock();
	pthread_join(thread, NULL);
	assert_int_equal(hr, NS_E_DRM_BACKUPRESTORE_BUSY);
	callback_wait_ends(&f.callback, 1);
	CHECK_STATUSES(&f.callback, END);
	assert_int_equal(callback_end(&f.callback)->hr, NS_E_DRM_OPERATION_CANCELED);
	teardown(&f);
}

static void test_release_while_running(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &(struct script){.block = true}, true);
	assert_int_equal(backup(&f, 0), S_OK);
	callback_wait_status(&f.callback, BEGIN);
	release_all(&f); /* the last one gives 0 */
	callback_wait_references(&f.creation, 1);
	callback_wait_ends(&f.callback, 1);
	assert_int_equal(callback_end(&f.callback)->hr, NS_E_DRM_OPERATION_CANCELED);
	check_gone(&f);

	/* Before the first event. */
	setup(&f, &(struct script){0}, true);
	assert_int_equal(restore(&f, 0), S_OK);
	release_all(&f);
	callback_wait_ends(&f.callback, 1);
	CHECK_STATUSES(&f.callback, ON_RESULT, END);
	assert_int_equal(callback_end(&f.callback)->hr, NS_E_DRM_OPERATION_CANCELED);
	check_gone(&f);
}

static void release_at(struct callback *callback, WMT_STATUS status, HRESULT hr)
{
	struct fixture *f = callback->hook_context;

	(void)hr;
	if (f->backup == NULL || (status != BEGIN && status != END))
		return;
	release_all(f);
	f->backup = NULL;
}

static void test_release_inside(void **state)
{
	struct fixture f;

	(void)state;
	/* At BEGIN: the work is canceled. */
	setup(&f, &(struct script){.restricted = 3}, true);
	f.callback.hook = release_at;
	f.callback.hook_context = &f;
	assert_int_equal(backup(&f, 0), S_OK);
	callback_wait_ends(&f.callback, 1);
	assert_int_equal(callback_end(&f.callback)->hr, NS_E_DRM_OPERATION_CANCELED);
	assert_null(f.backup);
	check_gone(&f);

	/* At END, which has the store's trouble and comes alone. */
	setup(&f, &(struct script){.open = RH_E_STORE_DAMAGED}, false);
	f.callback.hook = release_at;
	f.callback.hook_context = &f;
	assert_int_equal(backup(&f, 0), S_OK);
	callback_wait_ends(&f.callback, 1);
	assert_int_equal(callback_end(&f.callback)->hr, NS_E_DRM_DATASTORE_CORRUPT);
	assert_null(f.backup);
	check_gone(&f);
}

static void cancel_at_begin(struct callback *callback, WMT_STATUS status, HRESULT hr)
{
	struct fixture *f = callback->hook_context;

	(void)hr;
	if (status == BEGIN)
		IWMLicenseBackup_CancelLicenseBackup(f->backup);
}

static void test_cancel_inside(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &(struct script){0}, false);
	f.callback.hook = cancel_at_begin;
	f.callback.hook_context = &f;
	assert_int_equal(backup(&f, 0), S_OK);
	callback_wait_ends(&f.callback, 1);
	assert_int_equal(callback_end(&f.callback)->hr, NS_E_DRM_OPERATION_CANCELED);
	teardown(&f);
}

/* From inside END: first it must succeed, and then its events must wait. */
static void restore_at_end(struct callback *callback, WMT_STATUS status, HRESULT hr)
{
	struct fixture *f = callback->hook_context;

	(void)hr;
	if (status == BEGIN) {
		assert_int_equal(backup(f, 0), NS_E_DRM_BACKUPRESTORE_BUSY);
	} else if (status == END && callback->ends == 0) {
		assert_int_equal(restore(f, 0), S_OK);
		assert_int_equal(restore(f, 0), NS_E_DRM_BACKUPRESTORE_BUSY);
		sleep_ms(200); /* the next thread would like to send by now */
	}
}

static void test_start_inside_end(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, &(struct script){0}, true);
	f.callback.hook = restore_at_end;
	f.callback.hook_context = &f;
	assert_int_equal(backup(&f, 0), S_OK);
	callback_wait_ends(&f.callback, 2);
	CHECK_STATUSES(&f.callback, BEGIN, ON_RESULT, END, CONNECTING, DISCONNECTING, BEGIN,
	    ON_RESULT, END);
	assert_int_equal(callback_end(&f.callback)->hr, S_OK);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_refused_starts),
	    cmocka_unit_test(test_backup_events),
	    cmocka_unit_test(test_restore_events),
	    cmocka_unit_test(test_progress_events),
	    cmocka_unit_test(test_restricted_reasons),
	    cmocka_unit_test(test_results),
	    cmocka_unit_test(test_store_does_not_open),
	    cmocka_unit_test(test_backup_exists),
	    cmocka_unit_test(test_busy),
	    cmocka_unit_test(test_cancel_idle),
	    cmocka_unit_test(test_cancel_at_once),
	    cmocka_unit_test(test_grace),
	    cmocka_unit_test(test_cancel_during),
	    cmocka_unit_test(test_cancel_of_the_other_kind),
	    cmocka_unit_test(test_cancel_after_commit),
	    cmocka_unit_test(test_cancel_and_start_during_start),
	    cmocka_unit_test(test_release_while_running),
	    cmocka_unit_test(test_release_inside),
	    cmocka_unit_test(test_cancel_inside),
	    cmocka_unit_test(test_start_inside_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
