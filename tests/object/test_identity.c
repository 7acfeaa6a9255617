/*
 * One object behind three interfaces: what QueryInterface gives, where the
 * methods stand, what the identifiers are, and who holds how many references.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define COBJMACROS
#include "rehost/nserror.h"
#include "callback.h"
#include "fake_engine.h"

static const IID *const object_iids[] = {
    &IID_IUnknown, &IID_IWMLicenseBackup, &IID_IWMLicenseRestore, &IID_IWMBackupRestoreProps};
#define OBJECT_IIDS (sizeof object_iids / sizeof object_iids[0])

static IWMLicenseBackup *create(struct callback *callback)
{
	IWMLicenseBackup *backup = NULL;

	assert_int_equal(WMCreateBackupRestorer(callback_unknown(callback), &backup), S_OK);
	assert_non_null(backup);
	return backup;
}

static ULONG references(void *iface)
{
	IUnknown_AddRef((IUnknown *)iface);
	return IUnknown_Release((IUnknown *)iface);
}

static void *query(void *iface, const IID *iid)
{
	void *out = NULL;

	assert_int_equal(IUnknown_QueryInterface((IUnknown *)iface, iid, &out), S_OK);
	assert_non_null(out);
	return out;
}

/* The SDK's bytes, as they lie in memory on a little-endian machine. */
static void test_iids(void **state)
{
	static const struct {
		const IID *iid;
		uint8_t bytes[16];
	} table[] = {
	    {&IID_IUnknown, {0, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46}},
	    {&IID_IWMStatusCallback, {0x70, 0xdc, 0x7c, 0x6d, 0x88, 0x98, 0xd3, 0x11, 0x8e,
					 0xdc, 0x00, 0xc0, 0x4f, 0x61, 0x09, 0xcf}},
	    {&IID_IWMLicenseBackup, {0x9f, 0xac, 0xe5, 0x05, 0xb6, 0x3f, 0x08, 0x45, 0xbb, 0x43,
					0xa4, 0x06, 0x7b, 0xa1, 0xeb, 0xe8}},
	    {&IID_IWMLicenseRestore, {0x34, 0x63, 0x0b, 0xc7, 0x2e, 0xa2, 0xfb, 0x4e, 0xa2,
					 0x45, 0x15, 0xe6, 0x5a, 0x00, 0x4a, 0x13}},
	    {&IID_IWMBackupRestoreProps, {0xa6, 0x0d, 0x8e, 0x3c, 0x6f, 0x99, 0xf3, 0x4f, 0xa1,
					     0xaf, 0x48, 0x38, 0xf9, 0x37, 0x7e, 0x2e}},
	    {&IID_IRehostProgress, {0x3f, 0x3f, 0xb8, 0xe5, 0x9d, 0x6f, 0xc4, 0x4d, 0x88, 0xfb,
				       0xcf, 0xa8, 0xdc, 0xc1, 0x5c, 0xa4}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		assert_memory_equal(table[i].iid, table[i].bytes, 16);
}

#define SLOT(vtbl, method, slot)                                                               \
	assert_int_equal(offsetof(vtbl, method), (slot) * sizeof(void *))

static void test_slots(void **state)
{
	(void)state;
	SLOT(IUnknownVtbl, QueryInterface, 0);
	SLOT(IUnknownVtbl, AddRef, 1);
	SLOT(IUnknownVtbl, Release, 2);

	SLOT(IWMStatusCallbackVtbl, QueryInterface, 0);
	SLOT(IWMStatusCallbackVtbl, AddRef, 1);
	SLOT(IWMStatusCallbackVtbl, Release, 2);
	SLOT(IWMStatusCallbackVtbl, OnStatus, 3);
	assert_int_equal(sizeof(IWMStatusCallbackVtbl), 4 * sizeof(void *));

	SLOT(IWMLicenseBackupVtbl, QueryInterface, 0);
	SLOT(IWMLicenseBackupVtbl, AddRef, 1);
	SLOT(IWMLicenseBackupVtbl, Release, 2);
	SLOT(IWMLicenseBackupVtbl, BackupLicenses, 3);
	SLOT(IWMLicenseBackupVtbl, CancelLicenseBackup, 4);
	assert_int_equal(sizeof(IWMLicenseBackupVtbl), 5 * sizeof(void *));

	SLOT(IWMLicenseRestoreVtbl, QueryInterface, 0);
	SLOT(IWMLicenseRestoreVtbl, AddRef, 1);
	SLOT(IWMLicenseRestoreVtbl, Release, 2);
	SLOT(IWMLicenseRestoreVtbl, RestoreLicenses, 3);
	SLOT(IWMLicenseRestoreVtbl, CancelLicenseRestore, 4);
	assert_int_equal(sizeof(IWMLicenseRestoreVtbl), 5 * sizeof(void *));

	SLOT(IWMBackupRestorePropsVtbl, QueryInterface, 0);
	SLOT(IWMBackupRestorePropsVtbl, AddRef, 1);
	SLOT(IWMBackupRestorePropsVtbl, Release, 2);
	SLOT(IWMBackupRestorePropsVtbl, GetPropCount, 3);
	SLOT(IWMBackupRestorePropsVtbl, GetPropByIndex, 4);
	SLOT(IWMBackupRestorePropsVtbl, GetPropByName, 5);
	SLOT(IWMBackupRestorePropsVtbl, SetProp, 6);
	SLOT(IWMBackupRestorePropsVtbl, RemoveProp, 7);
	SLOT(IWMBackupRestorePropsVtbl, RemoveAllProps, 8);
	assert_int_equal(sizeof(IWMBackupRestorePropsVtbl), 9 * sizeof(void *));
}

/* Numbers and layout of the SDK. */
static void test_numbers(void **state)
{
	(void)state;
	assert_int_equal(WMT_BACKUPRESTORE_BEGIN, 21);
	assert_int_equal(WMT_INDIVIDUALIZE, 24);
	assert_int_equal(WMT_NEEDS_INDIVIDUALIZATION, 25);
	assert_int_equal(WMT_BACKUPRESTORE_END, 27);
	assert_int_equal(WMT_BACKUPRESTORE_CONNECTING, 28);
	assert_int_equal(WMT_BACKUPRESTORE_DISCONNECTING, 29);
	assert_int_equal(WMT_ERROR_WITHURL, 30);
	assert_int_equal(WMT_RESTRICTED_LICENSE, 31);
	assert_int_equal(WMT_CONTENT_ENABLER, 51);
	assert_int_equal(WMT_TYPE_GUID, 6);
	assert_int_equal(WM_BACKUP_OVERWRITE, 1);
	assert_int_equal(WM_RESTORE_INDIVIDUALIZE, 2);
	assert_int_equal(sizeof(WMT_STATUS), 4);
	assert_int_equal(sizeof(WMT_ATTR_DATATYPE), 4);
	assert_int_equal((uint32_t)NS_E_DRM_BACKUP_EXISTS, 0xC00D2742u);
	assert_int_equal((uint32_t)E_NOINTERFACE, 0x80004002u);
	assert_int_equal(MAKE_HRESULT(1, 7, 5), E_ACCESSDENIED);
	assert_int_equal(HRESULT_FROM_WIN32(5), E_ACCESSDENIED);
	assert_true(FAILED(NS_E_DRM_BACKUP_EXISTS) && SUCCEEDED(NS_S_DRM_INDIVIDUALIZED));
	assert_int_equal(offsetof(WM_INDIVIDUALIZE_STATUS, enIndiStatus), 4);
	assert_int_equal(offsetof(WM_INDIVIDUALIZE_STATUS, pszIndiRespUrl), 8);
	if (sizeof(void *) == 8) {
		assert_int_equal(offsetof(WM_INDIVIDUALIZE_STATUS, dwHTTPRequest), 16);
		assert_int_equal(offsetof(WM_INDIVIDUALIZE_STATUS, dwHTTPReadTotal), 28);
		assert_int_equal(sizeof(WM_INDIVIDUALIZE_STATUS), 32);
	}
}

/* From every interface to every one and on to every one: the same pointer each time. */
static void test_query_interface(void **state)
{
	struct callback callback;
	IWMLicenseBackup *backup;
	void *direct[OBJECT_IIDS];

	(void)state;
	callback_init(&callback, false);
	backup = create(&callback);
	for (size_t i = 0; i < OBJECT_IIDS; i++)
		direct[i] = query(backup, object_iids[i]);
	assert_int_equal(references(backup), 1 + OBJECT_IIDS);
	for (size_t from = 0; from < OBJECT_IIDS; from++) {
		for (size_t to = 0; to < OBJECT_IIDS; to++) {
			void *out = query(direct[from], object_iids[to]);

			assert_ptr_equal(out, direct[to]);
			for (size_t on = 0; on < OBJECT_IIDS; on++) {
				void *third = query(out, object_iids[on]);

				assert_ptr_equal(third, direct[on]);
				IUnknown_Release((IUnknown *)third);
			}
			IUnknown_Release((IUnknown *)out);
		}
	}
	/* Three interfaces are three pointers; IUnknown is one of them. */
	assert_ptr_not_equal(direct[1], direct[2]);
	assert_ptr_not_equal(direct[2], direct[3]);
	assert_ptr_not_equal(direct[1], direct[3]);
	for (size_t i = 0; i < OBJECT_IIDS; i++)
		IUnknown_Release((IUnknown *)direct[i]);
	assert_int_equal(IWMLicenseBackup_Release(backup), 0);
	callback_check_gone(&callback);
}

static void test_query_interface_refuses(void **state)
{
	static const IID unknown = {
	    0xc70b6334, 0x0544, 0x4efb, {0xa2, 0x45, 0x15, 0xe6, 0x5a, 0x00, 0x4a, 0x13}};
	const IID *const refused[] = {&unknown, &IID_IWMStatusCallback, &IID_IRehostProgress};
	struct callback callback;
	IWMLicenseBackup *backup;

	(void)state;
	callback_init(&callback, true);
	backup = create(&callback);
	for (size_t from = 0; from < OBJECT_IIDS; from++) {
		IUnknown *iface = query(backup, object_iids[from]);

		for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
			void *out = &callback;

			assert_int_equal(
			    IUnknown_QueryInterface(iface, refused[i], &out), E_NOINTERFACE);
			assert_null(out);
		}
		assert_int_equal(
		    IUnknown_QueryInterface(iface, &IID_IUnknown, NULL), E_POINTER);
		assert_int_equal(references(iface), 2);
		IUnknown_Release(iface);
	}
	assert_int_equal(IWMLicenseBackup_Release(backup), 0);
	callback_check_gone(&callback);
}

/* Who holds what after each step. */
static void test_references(void **state)
{
	static const WCHAR path[] = u"/backup";
	IWMBackupRestoreProps *props;
	struct callback at_creation, at_start;
	IWMLicenseRestore *restore;
	IWMLicenseBackup *backup;

	(void)state;
	fake_script(&(struct script){.block = true});
	callback_init(&at_creation, false);
	callback_init(&at_start, false);

	backup = create(&at_creation);
	assert_int_equal(references(backup), 1);
	assert_int_equal(callback_references(&at_creation), 2);

	assert_int_equal(IWMLicenseBackup_AddRef(backup), 2);
	assert_int_equal(IWMLicenseBackup_Release(backup), 1);

	props = query(backup, &IID_IWMBackupRestoreProps);
	assert_int_equal(references(backup), 2);
	assert_int_equal(references(props), 2);
	restore = query(props, &IID_IWMLicenseRestore);
	assert_int_equal(references(restore), 3);
	assert_int_equal(IWMLicenseRestore_AddRef(restore), 4);
	assert_int_equal(IWMBackupRestoreProps_AddRef(props), 5);
	assert_int_equal(IWMLicenseRestore_Release(restore), 4);
	assert_int_equal(IWMBackupRestoreProps_Release(props), 3);

	/* Starts that fail hold nothing. */
	assert_int_equal(IWMLicenseBackup_BackupLicenses(backup, 0, callback_status(&at_start)),
	    NS_E_DRM_INVALID_PROPERTY);
	assert_int_equal(callback_references(&at_start), 1);

	IWMBackupRestoreProps_SetProp(
	    props, u"BackupPath", WMT_TYPE_STRING, (const BYTE *)path, sizeof path);
	assert_int_equal(
	    IWMLicenseBackup_BackupLicenses(backup, 0, callback_status(&at_start)), S_OK);
	assert_int_equal(callback_references(&at_start), 2);
	assert_int_equal(callback_references(&at_creation), 2);
	assert_int_equal(references(backup), 3);

	assert_int_equal(IWMLicenseBackup_BackupLicenses(backup, 0, callback_status(&at_start)),
	    NS_E_DRM_BACKUPRESTORE_BUSY);
	assert_int_equal(callback_references(&at_start), 2);

	fake_unblock();
	callback_wait_ends(&at_start, 1);
	callback_wait_references(&at_start, 1);
	assert_int_equal(references(backup), 3);

	/* A callback with the second interface is held twice. */
	at_start.has_progress = true;
	assert_int_equal(
	    IWMLicenseBackup_BackupLicenses(backup, 0, callback_status(&at_start)), S_OK);
	assert_int_equal(callback_references(&at_start), 3);
	callback_wait_ends(&at_start, 2);
	callback_wait_references(&at_start, 1);

	assert_int_equal(IWMBackupRestoreProps_Release(props), 2);
	assert_int_equal(IWMLicenseRestore_Release(restore), 1);
	assert_int_equal(callback_references(&at_creation), 2);
	assert_int_equal(IWMLicenseBackup_Release(backup), 0);
	assert_int_equal(callback_references(&at_creation), 1);
	callback_check_gone(&at_creation);
	callback_check_gone(&at_start);
}

static HRESULT STDMETHODCALLTYPE plain_QueryInterface(IUnknown *iface, REFIID riid, void **out)
{
	if (!IsEqualIID(riid, &IID_IUnknown)) {
		*out = NULL;
		return NS_E_DRM_INVALID_APPLICATION;
	}
	*out = iface;
	return S_OK;
}

static HRESULT STDMETHODCALLTYPE lying_QueryInterface(IUnknown *iface, REFIID riid, void **out)
{
	(void)iface;
	(void)riid;
	*out = NULL;
	return S_OK;
}

static ULONG STDMETHODCALLTYPE plain_count(IUnknown *iface)
{
	(void)iface;
	return 1;
}

static void test_create_refuses(void **state)
{
	IUnknownVtbl plain_vtbl = {plain_QueryInterface, plain_count, plain_count};
	IUnknownVtbl lying_vtbl = {lying_QueryInterface, plain_count, plain_count};
	IUnknown plain = {&plain_vtbl}, lying = {&lying_vtbl};
	struct callback callback;
	IWMLicenseBackup *backup;

	(void)state;
	callback_init(&callback, false);
	backup = (IWMLicenseBackup *)(void *)&callback;
	assert_int_equal(WMCreateBackupRestorer(NULL, &backup), E_INVALIDARG);
	assert_null(backup);
	assert_int_equal(
	    WMCreateBackupRestorer(callback_unknown(&callback), NULL), E_INVALIDARG);
	assert_int_equal(WMCreateBackupRestorer(NULL, NULL), E_INVALIDARG);

	/* The callback's own answer. */
	backup = (IWMLicenseBackup *)(void *)&callback;
	assert_int_equal(WMCreateBackupRestorer(&plain, &backup), NS_E_DRM_INVALID_APPLICATION);
	assert_null(backup);
	backup = (IWMLicenseBackup *)(void *)&callback;
	assert_int_equal(WMCreateBackupRestorer(&lying, &backup), E_NOINTERFACE);
	assert_null(backup);
	callback_check_gone(&callback);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_iids),
	    cmocka_unit_test(test_slots),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_query_interface),
	    cmocka_unit_test(test_query_interface_refuses),
	    cmocka_unit_test(test_references),
	    cmocka_unit_test(test_create_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
