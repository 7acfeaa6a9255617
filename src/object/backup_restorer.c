#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define COBJMACROS
#define CONST_VTABLE
#include "rehost/nserror.h"
#include "rehost/rehost.h"
#include "rehost/wmsdkidl.h"
#include "object/worker.h"

/* One COM object: three interfaces, one count; IUnknown is the first of them. */
struct backup_restorer {
	IWMLicenseBackup IWMLicenseBackup_iface;
	IWMLicenseRestore IWMLicenseRestore_iface;
	IWMBackupRestoreProps IWMBackupRestoreProps_iface;
	_Atomic(ULONG) references;

	IUnknown *callback; /* of the creation; only held */
	struct properties *properties;

	pthread_mutex_t lock; /* guards ${current}; never held during a call out */
	struct operation *current; /* the last one that was started, or NULL */
};

#define OBJECT_OF(pointer, member)                                                             \
	((struct backup_restorer *)(void *)((char *)(pointer)-offsetof(                        \
	    struct backup_restorer, member)))

static struct backup_restorer *impl_from_IWMLicenseBackup(IWMLicenseBackup *iface)
{
	return OBJECT_OF(iface, IWMLicenseBackup_iface);
}

static struct backup_restorer *impl_from_IWMLicenseRestore(IWMLicenseRestore *iface)
{
	return OBJECT_OF(iface, IWMLicenseRestore_iface);
}

static struct backup_restorer *impl_from_IWMBackupRestoreProps(IWMBackupRestoreProps *iface)
{
	return OBJECT_OF(iface, IWMBackupRestoreProps_iface);
}

/* Also the way out of a creation that failed half-way. */
static void destroy(struct backup_restorer *object)
{
	if (object->current != NULL) {
		operation_cancel(object->current);
		operation_release(object->current);
	}
	properties_free(object->properties);
	pthread_mutex_destroy(&object->lock);
	if (object->callback != NULL)
		IUnknown_Release(object->callback);
	free(object);
}

/* ---- Starting and canceling -------------------------------------------- */

/*
 * Makes ${operation} the object's current one unless that is busy.  ${*ret_previous}
 * is what it displaced: the caller's to release, or to put back.
 */
static HRESULT claim(struct backup_restorer *object, struct operation *operation,
    struct operation **ret_previous)
{
	HRESULT hr = S_OK;

	pthread_mutex_lock(&object->lock);
	if (object->current != NULL && operation_busy(object->current)) {
		hr = NS_E_DRM_BACKUPRESTORE_BUSY;
	} else {
		*ret_previous = object->current;
		object->current = operation;
	}
	pthread_mutex_unlock(&object->lock);
	return hr;
}

static void put_back(struct backup_restorer *object, struct operation *previous)
{
	pthread_mutex_lock(&object->lock);
	object->current = previous;
	pthread_mutex_unlock(&object->lock);
}

static HRESULT start(
    struct backup_restorer *object, int kind, DWORD flags, IWMStatusCallback *callback)
{
	struct operation *operation, *previous = NULL;
	struct settings settings;
	HRESULT hr = properties_settings(object->properties, &settings);

	if (FAILED(hr))
		return hr;
	operation = operation_new(kind, flags, &settings);
	if (operation == NULL)
		return E_OUTOFMEMORY;
	if (operation_path(operation) == NULL) {
		operation_release(operation);
		return NS_E_DRM_INVALID_PROPERTY;
	}
	hr = claim(object, operation, &previous);
	if (FAILED(hr)) {
		operation_release(operation);
		return hr;
	}
	/* Whatever else is wrong with the directory comes with the final event. */
	if (kind == RH_OPERATION_BACKUP && (flags & WM_BACKUP_OVERWRITE) == 0 &&
	    rh_backup_exists(operation_path(operation), NULL) == RH_E_BACKUP_EXISTS)
		hr = NS_E_DRM_BACKUP_EXISTS;
	else
		hr = operation_start(operation, previous, callback);
	if (FAILED(hr)) {
		put_back(object, previous);
		operation_release(operation);
		return hr;
	}
	operation_release(previous);
	return S_OK;
}

static HRESULT cancel(struct backup_restorer *object, int kind)
{
	pthread_mutex_lock(&object->lock);
	if (object->current != NULL && operation_kind(object->current) == kind)
		operation_cancel(object->current);
	pthread_mutex_unlock(&object->lock);
	return S_OK;
}

/* ---- IWMLicenseBackup -------------------------------------------------- */

static HRESULT STDMETHODCALLTYPE backup_QueryInterface(
    IWMLicenseBackup *iface, REFIID riid, void **out)
{
	struct backup_restorer *object = impl_from_IWMLicenseBackup(iface);

	if (out == NULL)
		return E_POINTER;
	*out = NULL;
	if (riid == NULL)
		return E_INVALIDARG;
	if (IsEqualIID(riid, &IID_IUnknown) || IsEqualIID(riid, &IID_IWMLicenseBackup))
		*out = &object->IWMLicenseBackup_iface;
	else if (IsEqualIID(riid, &IID_IWMLicenseRestore))
		*out = &object->IWMLicenseRestore_iface;
	else if (IsEqualIID(riid, &IID_IWMBackupRestoreProps))
		*out = &object->IWMBackupRestoreProps_iface;
	else
		return E_NOINTERFACE;
	atomic_fetch_add(&object->references, 1);
	return S_OK;
}

static ULONG STDMETHODCALLTYPE backup_AddRef(IWMLicenseBackup *iface)
{
	return atomic_fetch_add(&impl_from_IWMLicenseBackup(iface)->references, 1) + 1;
}

static ULONG STDMETHODCALLTYPE backup_Release(IWMLicenseBackup *iface)
{
	struct backup_restorer *object = impl_from_IWMLicenseBackup(iface);
	ULONG references = atomic_fetch_sub(&object->references, 1) - 1;

	if (references == 0)
		destroy(object);
	return references;
}

static HRESULT STDMETHODCALLTYPE backup_BackupLicenses(
    IWMLicenseBackup *iface, DWORD flags, IWMStatusCallback *callback)
{
	if (callback == NULL || (flags & ~WM_BACKUP_OVERWRITE) != 0)
		return E_INVALIDARG;
	return start(impl_from_IWMLicenseBackup(iface), RH_OPERATION_BACKUP, flags, callback);
}

static HRESULT STDMETHODCALLTYPE backup_CancelLicenseBackup(IWMLicenseBackup *iface)
{
	return cancel(impl_from_IWMLicenseBackup(iface), RH_OPERATION_BACKUP);
}

static const IWMLicenseBackupVtbl backup_vtbl = {
    /* IUnknown */
    backup_QueryInterface,
    backup_AddRef,
    backup_Release,
    /* IWMLicenseBackup */
    backup_BackupLicenses,
    backup_CancelLicenseBackup,
};

/* ---- IWMLicenseRestore ------------------------------------------------- */

static HRESULT STDMETHODCALLTYPE restore_QueryInterface(
    IWMLicenseRestore *iface, REFIID riid, void **out)
{
	struct backup_restorer *object = impl_from_IWMLicenseRestore(iface);

	return backup_QueryInterface(&object->IWMLicenseBackup_iface, riid, out);
}

static ULONG STDMETHODCALLTYPE restore_AddRef(IWMLicenseRestore *iface)
{
	return backup_AddRef(&impl_from_IWMLicenseRestore(iface)->IWMLicenseBackup_iface);
}

static ULONG STDMETHODCALLTYPE restore_Release(IWMLicenseRestore *iface)
{
	return backup_Release(&impl_from_IWMLicenseRestore(iface)->IWMLicenseBackup_iface);
}

static HRESULT STDMETHODCALLTYPE restore_RestoreLicenses(
    IWMLicenseRestore *iface, DWORD flags, IWMStatusCallback *callback)
{
	if (callback == NULL || (flags & ~WM_RESTORE_INDIVIDUALIZE) != 0)
		return E_INVALIDARG;
	return start(impl_from_IWMLicenseRestore(iface), RH_OPERATION_RESTORE, flags, callback);
}

static HRESULT STDMETHODCALLTYPE restore_CancelLicenseRestore(IWMLicenseRestore *iface)
{
	return cancel(impl_from_IWMLicenseRestore(iface), RH_OPERATION_RESTORE);
}

static const IWMLicenseRestoreVtbl restore_vtbl = {
    /* IUnknown */
    restore_QueryInterface,
    restore_AddRef,
    restore_Release,
    /* IWMLicenseRestore */
    restore_RestoreLicenses,
    restore_CancelLicenseRestore,
};

/* ---- IWMBackupRestoreProps --------------------------------------------- */

static HRESULT STDMETHODCALLTYPE props_QueryInterface(
    IWMBackupRestoreProps *iface, REFIID riid, void **out)
{
	struct backup_restorer *object = impl_from_IWMBackupRestoreProps(iface);

	return backup_QueryInterface(&object->IWMLicenseBackup_iface, riid, out);
}

static ULONG STDMETHODCALLTYPE props_AddRef(IWMBackupRestoreProps *iface)
{
	return backup_AddRef(&impl_from_IWMBackupRestoreProps(iface)->IWMLicenseBackup_iface);
}

static ULONG STDMETHODCALLTYPE props_Release(IWMBackupRestoreProps *iface)
{
	return backup_Release(&impl_from_IWMBackupRestoreProps(iface)->IWMLicenseBackup_iface);
}

static HRESULT STDMETHODCALLTYPE props_GetPropCount(IWMBackupRestoreProps *iface, WORD *count)
{
	return properties_count(impl_from_IWMBackupRestoreProps(iface)->properties, count);
}

static HRESULT STDMETHODCALLTYPE props_GetPropByIndex(IWMBackupRestoreProps *iface, WORD index,
    WCHAR *name, WORD *name_length, WMT_ATTR_DATATYPE *type, BYTE *value, WORD *value_size)
{
	return properties_get_by_index(impl_from_IWMBackupRestoreProps(iface)->properties,
	    index, name, name_length, type, value, value_size);
}

static HRESULT STDMETHODCALLTYPE props_GetPropByName(IWMBackupRestoreProps *iface, LPCWSTR name,
    WMT_ATTR_DATATYPE *type, BYTE *value, WORD *value_size)
{
	return properties_get_by_name(
	    impl_from_IWMBackupRestoreProps(iface)->properties, name, type, value, value_size);
}

static HRESULT STDMETHODCALLTYPE props_SetProp(IWMBackupRestoreProps *iface, LPCWSTR name,
    WMT_ATTR_DATATYPE type, const BYTE *value, WORD value_size)
{
	return properties_set(
	    impl_from_IWMBackupRestoreProps(iface)->properties, name, type, value, value_size);
}

static HRESULT STDMETHODCALLTYPE props_RemoveProp(IWMBackupRestoreProps *iface, LPCWSTR name)
{
	return properties_remove(impl_from_IWMBackupRestoreProps(iface)->properties, name);
}

static HRESULT STDMETHODCALLTYPE props_RemoveAllProps(IWMBackupRestoreProps *iface)
{
	return properties_clear(impl_from_IWMBackupRestoreProps(iface)->properties);
}

static const IWMBackupRestorePropsVtbl props_vtbl = {
    /* IUnknown */
    props_QueryInterface,
    props_AddRef,
    props_Release,
    /* IWMBackupRestoreProps */
    props_GetPropCount,
    props_GetPropByIndex,
    props_GetPropByName,
    props_SetProp,
    props_RemoveProp,
    props_RemoveAllProps,
};

/* ---- Creation ---------------------------------------------------------- */

static struct backup_restorer *create(void)
{
	struct backup_restorer *object = calloc(1, sizeof *object);

	if (object == NULL)
		return NULL;
	if (pthread_mutex_init(&object->lock, NULL) != 0) {
		free(object);
		return NULL;
	}
	object->properties = properties_new();
	if (object->properties == NULL) {
		destroy(object);
		return NULL;
	}
	object->IWMLicenseBackup_iface.lpVtbl = &backup_vtbl;
	object->IWMLicenseRestore_iface.lpVtbl = &restore_vtbl;
	object->IWMBackupRestoreProps_iface.lpVtbl = &props_vtbl;
	atomic_init(&object->references, 1);
	return object;
}

HRESULT STDMETHODCALLTYPE WMCreateBackupRestorer(
    IUnknown *pCallback, IWMLicenseBackup **ppBackup)
{
	struct backup_restorer *object;
	void *callback = NULL;
	HRESULT hr;

	if (ppBackup == NULL)
		return E_INVALIDARG;
	*ppBackup = NULL;
	if (pCallback == NULL)
		return E_INVALIDARG;
	hr = IUnknown_QueryInterface(pCallback, &IID_IWMStatusCallback, &callback);
	if (FAILED(hr))
		return hr;
	if (callback == NULL)
		return E_NOINTERFACE;
	object = create();
	if (object == NULL) {
		IUnknown_Release((IUnknown *)callback);
		return E_OUTOFMEMORY;
	}
	object->callback = callback;
	*ppBackup = &object->IWMLicenseBackup_iface;
	return S_OK;
}
