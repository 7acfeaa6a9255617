/*
 * Many starts, cancels and releases at once: two objects, several threads, an engine
 * that is done at once.  What must hold: each start that gave S_OK has exactly
 * one END, nothing comes after the last one, every reference is given back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define COBJMACROS
#include "rehost/nserror.h"
#include "callback.h"
#include "fake_engine.h"

#define OBJECTS 2
#define THREADS 4
#define ROUNDS 60

struct object {
	struct callback callback;
	IWMLicenseBackup *backup;
	IWMLicenseRestore *restore;
	IWMBackupRestoreProps *props;
};

static struct object objects[OBJECTS];
static atomic_uint started[OBJECTS];

static void *query(IWMLicenseBackup *backup, const IID *iid)
{
	void *out;

	assert_int_equal(IWMLicenseBackup_QueryInterface(backup, iid, &out), S_OK);
	return out;
}

static void set(IWMBackupRestoreProps *props, LPCWSTR name, LPCWSTR value)
{
	IWMBackupRestoreProps_SetProp(
	    props, name, WMT_TYPE_STRING, (const BYTE *)value, 2 * sizeof *value);
}

static IWMLicenseBackup *create(struct callback *callback, IWMBackupRestoreProps **ret_props,
    IWMLicenseRestore **ret_restore)
{
	IWMLicenseBackup *backup;

	assert_int_equal(WMCreateBackupRestorer(callback_unknown(callback), &backup), S_OK);
	*ret_props = query(backup, &IID_IWMBackupRestoreProps);
	*ret_restore = query(backup, &IID_IWMLicenseRestore);
	set(*ret_props, u"BackupPath", u"b");
	set(*ret_props, u"RestorePath", u"r");
	return backup;
}

/* One more caller of both objects. */
static void *hammer(void *context)
{
	unsigned seed = (unsigned)(uintptr_t)context;

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned which = (unsigned)rand_r(&seed) % OBJECTS;
		struct object *object = &objects[which];
		HRESULT hr = E_FAIL;

		switch (rand_r(&seed) % 6) {
		case 0:
			hr = IWMLicenseBackup_BackupLicenses(
			    object->backup, 0, callback_status(&object->callback));
			break;
		case 1:
			hr = IWMLicenseRestore_RestoreLicenses(
			    object->restore, 0, callback_status(&object->callback));
			break;
		case 2:
			IWMLicenseBackup_CancelLicenseBackup(object->backup);
			break;
		case 3:
			IWMLicenseRestore_CancelLicenseRestore(object->restore);
			break;
		case 4:
			set(object->props, u"Passphrase", u"p");
			IWMBackupRestoreProps_RemoveProp(object->props, u"Passphrase");
			break;
		default:
			nanosleep(&(struct timespec){0, rand_r(&seed) % 20000000}, NULL);
		}
		if (hr == S_OK)
			atomic_fetch_add(&started[which], 1);
	}
	return NULL;
}

static void test_hammer(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	fake_script(&(struct script){.restricted = 1, .chatter = true});
	for (size_t i = 0; i < OBJECTS; i++) {
		callback_init(&objects[i].callback, i == 0);
		objects[i].backup =
		    create(&objects[i].callback, &objects[i].props, &objects[i].restore);
	}
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, (void *)(i + 1)), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < OBJECTS; i++) {
		IWMBackupRestoreProps_Release(objects[i].props);
		IWMLicenseRestore_Release(objects[i].restore);
		assert_int_equal(IWMLicenseBackup_Release(objects[i].backup), 0);
		callback_wait_ends(&objects[i].callback, atomic_load(&started[i]));
		callback_wait_references(&objects[i].callback, 1);
		assert_int_equal(objects[i].callback.ends, atomic_load(&started[i]));
		assert_true(atomic_load(&started[i]) > 0);
		callback_check_gone(&objects[i].callback);
	}
	assert_int_equal(fake_asked().opened, fake_asked().closed);
}

/* Create, start, and let go at a random moment. */
static void *come_and_go(void *context)
{
	unsigned seed = (unsigned)(uintptr_t)context;
	struct callback *callback = malloc(sizeof *callback);

	assert_non_null(callback);
	callback_init(callback, true);
	for (unsigned i = 0; i < ROUNDS; i++) {
		IWMBackupRestoreProps *props;
		IWMLicenseRestore *restore;
		IWMLicenseBackup *backup = create(callback, &props, &restore);

		callback_clear(callback);
		assert_int_equal(
		    IWMLicenseBackup_BackupLicenses(backup, 0, callback_status(callback)),
		    S_OK);
		IWMBackupRestoreProps_Release(props);
		IWMLicenseRestore_Release(restore);
		/* Around the end of the grace that a start gives. */
		nanosleep(&(struct timespec){0, 45000000 + rand_r(&seed) % 10000000}, NULL);
		if (rand_r(&seed) % 2)
			IWMLicenseBackup_CancelLicenseBackup(backup);
		IWMLicenseBackup_Release(backup);
		callback_wait_ends(callback, 1);
		callback_wait_references(callback, 1);
		assert_int_equal(callback->ends, 1);
		assert_int_equal(
		    callback->records[callback->count - 1].status, WMT_BACKUPRESTORE_END);
	}
	callback_check_gone(callback);
	free(callback);
	return NULL;
}

static void test_come_and_go(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	fake_script(&(struct script){.restricted = 1, .chatter = true});
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, come_and_go, (void *)(i + 1)), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(fake_asked().opened, fake_asked().closed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hammer),
	    cmocka_unit_test(test_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
