/*
 * rehost/wmsdkidl.h: the backup restorer object of the Windows Media Format SDK.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * In the shape that a MIDL compiler gives: in C, structures of function pointers
 * and, with COBJMACROS, call macros; in C++ (without CINTERFACE), abstract
 * classes.  IIDs, the order of methods and every number are those of the SDK,
 * so that source written for it compiles, but for wide text: WCHAR is
 * char16_t, so write u"BackupPath".
 *
 * What a method promises beyond the SDK's documentation stands above it.
 * Threads and lifetimes: docs/THREADING.md.  What Rehost adds: rehostidl.h.
 */
#ifndef REHOST_WMSDKIDL_H
#define REHOST_WMSDKIDL_H

#include "rehostcom.h"
#include "drmexternals.h"

/*
 * winuser.h has these as macros that turn our method names into SetPropW and the like.
 * Include it before this header.
 */
#ifdef SetProp
#undef SetProp
#endif
#ifdef GetProp
#undef GetProp
#endif
#ifdef RemoveProp
#undef RemoveProp
#endif

#ifndef _QWORD_DEFINED
#define _QWORD_DEFINED
typedef uint64_t QWORD;
#endif

typedef interface IWMStatusCallback IWMStatusCallback;
typedef interface IWMLicenseBackup IWMLicenseBackup;
typedef interface IWMLicenseRestore IWMLicenseRestore;
typedef interface IWMBackupRestoreProps IWMBackupRestoreProps;

/* ---- Constants --------------------------------------------------------- */

/* BackupLicenses: replace the backup that is there. */
#define WM_BACKUP_OVERWRITE ((DWORD)0x00000001)
/* RestoreLicenses: the user agreed to individualize, should it be necessary. */
#define WM_RESTORE_INDIVIDUALIZE ((DWORD)0x00000002)

/* The backup restorer sends those marked *. */
typedef enum WMT_STATUS {
	WMT_ERROR = 0,
	WMT_OPENED = 1,
	WMT_BUFFERING_START = 2,
	WMT_BUFFERING_STOP = 3,
	WMT_EOF = 4,
	WMT_END_OF_FILE = 4,
	WMT_END_OF_SEGMENT = 5,
	WMT_END_OF_STREAMING = 6,
	WMT_LOCATING = 7,
	WMT_CONNECTING = 8,
	WMT_NO_RIGHTS = 9,
	WMT_MISSING_CODEC = 10,
	WMT_STARTED = 11,
	WMT_STOPPED = 12,
	WMT_CLOSED = 13,
	WMT_STRIDING = 14,
	WMT_TIMER = 15,
	WMT_INDEX_PROGRESS = 16,
	WMT_SAVEAS_START = 17,
	WMT_SAVEAS_STOP = 18,
	WMT_NEW_SOURCEFLAGS = 19,
	WMT_NEW_METADATA = 20,
	WMT_BACKUPRESTORE_BEGIN = 21, /* * */
	WMT_SOURCE_SWITCH = 22,
	WMT_ACQUIRE_LICENSE = 23,
	WMT_INDIVIDUALIZE = 24, /* * */
	WMT_NEEDS_INDIVIDUALIZATION = 25, /* * */
	WMT_NO_RIGHTS_EX = 26,
	WMT_BACKUPRESTORE_END = 27, /* * always the last one */
	WMT_BACKUPRESTORE_CONNECTING = 28, /* * */
	WMT_BACKUPRESTORE_DISCONNECTING = 29, /* * */
	WMT_ERROR_WITHURL = 30, /* * pValue: the address, WMT_TYPE_STRING */
	WMT_RESTRICTED_LICENSE = 31, /* * pValue: the key id, WMT_TYPE_STRING */
	WMT_CLIENT_CONNECT = 32,
	WMT_CLIENT_DISCONNECT = 33,
	WMT_NATIVE_OUTPUT_PROPS_CHANGED = 34,
	WMT_RECONNECT_START = 35,
	WMT_RECONNECT_END = 36,
	WMT_CLIENT_CONNECT_EX = 37,
	WMT_CLIENT_DISCONNECT_EX = 38,
	WMT_SET_FEC_SPAN = 39,
	WMT_PREROLL_READY = 40,
	WMT_PREROLL_COMPLETE = 41,
	WMT_CLIENT_PROPERTIES = 42,
	WMT_LICENSEURL_SIGNATURE_STATE = 43,
	WMT_INIT_PLAYLIST_BURN = 44,
	WMT_TRANSCRYPTOR_INIT = 45,
	WMT_TRANSCRYPTOR_SEEKED = 46,
	WMT_TRANSCRYPTOR_READ = 47,
	WMT_TRANSCRYPTOR_CLOSED = 48,
	WMT_PROXIMITY_RESULT = 49,
	WMT_PROXIMITY_COMPLETED = 50,
	WMT_CONTENT_ENABLER = 51
} WMT_STATUS;

typedef enum WMT_ATTR_DATATYPE {
	WMT_TYPE_DWORD = 0,
	WMT_TYPE_STRING = 1, /* UTF-16 with its terminator */
	WMT_TYPE_BINARY = 2,
	WMT_TYPE_BOOL = 3, /* 4 bytes */
	WMT_TYPE_QWORD = 4,
	WMT_TYPE_WORD = 5,
	WMT_TYPE_GUID = 6
} WMT_ATTR_DATATYPE;

/* ---- IWMStatusCallback: implemented by the application ----------------- */

#ifndef __IWMStatusCallback_INTERFACE_DEFINED__
#define __IWMStatusCallback_INTERFACE_DEFINED__

/*
 * OnStatus: called from a thread of the object, one call at a time.  ${pValue} is never
 * NULL and valid during the call only: a DWORD 0 unless WMT_STATUS says
 * otherwise.  ${pvContext} is NULL.  The return value is ignored.
 * It may call anything, the object's last Release included; but it must not wait
 * for another event of the same object, which comes after it has returned.
 */
DEFINE_GUID(IID_IWMStatusCallback, 0x6d7cdc70, 0x9888, 0x11d3, 0x8e, 0xdc, 0x00, 0xc0, 0x4f,
    0x61, 0x09, 0xcf);

#if defined(__cplusplus) && !defined(CINTERFACE)

struct IWMStatusCallback : public IUnknown {
      public:
	virtual HRESULT STDMETHODCALLTYPE OnStatus(WMT_STATUS Status, HRESULT hr,
	    WMT_ATTR_DATATYPE dwType, BYTE *pValue, void *pvContext) = 0;
};

#else

typedef struct IWMStatusCallbackVtbl {
	BEGIN_INTERFACE
	HRESULT(STDMETHODCALLTYPE *QueryInterface)
	(IWMStatusCallback *This, REFIID riid, void **ppvObject);
	ULONG(STDMETHODCALLTYPE *AddRef)(IWMStatusCallback *This);
	ULONG(STDMETHODCALLTYPE *Release)(IWMStatusCallback *This);
	HRESULT(STDMETHODCALLTYPE *OnStatus)
	(IWMStatusCallback *This, WMT_STATUS Status, HRESULT hr, WMT_ATTR_DATATYPE dwType,
	    BYTE *pValue, void *pvContext);
	END_INTERFACE
} IWMStatusCallbackVtbl;

interface IWMStatusCallback
{
	CONST_VTBL IWMStatusCallbackVtbl *lpVtbl;
};

#ifdef COBJMACROS
#define IWMStatusCallback_QueryInterface(This, riid, ppvObject)                                \
	(This)->lpVtbl->QueryInterface(This, riid, ppvObject)
#define IWMStatusCallback_AddRef(This) (This)->lpVtbl->AddRef(This)
#define IWMStatusCallback_Release(This) (This)->lpVtbl->Release(This)
#define IWMStatusCallback_OnStatus(This, Status, hr, dwType, pValue, pvContext)                \
	(This)->lpVtbl->OnStatus(This, Status, hr, dwType, pValue, pvContext)
#endif

#endif
#endif /* __IWMStatusCallback_INTERFACE_DEFINED__ */

/* ---- IWMLicenseBackup -------------------------------------------------- */

#ifndef __IWMLicenseBackup_INTERFACE_DEFINED__
#define __IWMLicenseBackup_INTERFACE_DEFINED__

/*
 * BackupLicenses: backs the licences up into the directory of the property
 * BackupPath, on a thread of its own.  ${dwFlags} is 0 or WM_BACKUP_OVERWRITE.
 * A call that gives S_OK leads to exactly one WMT_BACKUPRESTORE_END to
 * ${pCallback}, with the result and nothing behind it; any other call leads to
 * no event.  The object is ready for the next start when END arrives, also inside it.
 *   E_INVALIDARG                 ${pCallback} NULL, a flag that is not the method's
 *   NS_E_DRM_INVALID_PROPERTY    BackupPath is not set
 *   NS_E_DRM_BACKUPRESTORE_BUSY  this object is at work already
 *   NS_E_DRM_BACKUP_EXISTS       a backup is there, no WM_BACKUP_OVERWRITE
 *   E_OUTOFMEMORY                no memory, or no thread
 *
 * CancelLicenseBackup: asks the running backup to stop, and returns at once.  Unless
 * the new backup is in place already its END brings
 * NS_E_DRM_OPERATION_CANCELED.  S_OK without effect if no backup runs.
 */
DEFINE_GUID(IID_IWMLicenseBackup, 0x05e5ac9f, 0x3fb6, 0x4508, 0xbb, 0x43, 0xa4, 0x06, 0x7b,
    0xa1, 0xeb, 0xe8);

#if defined(__cplusplus) && !defined(CINTERFACE)

struct IWMLicenseBackup : public IUnknown {
      public:
	virtual HRESULT STDMETHODCALLTYPE BackupLicenses(
	    DWORD dwFlags, IWMStatusCallback *pCallback) = 0;
	virtual HRESULT STDMETHODCALLTYPE CancelLicenseBackup(void) = 0;
};

#else

typedef struct IWMLicenseBackupVtbl {
	BEGIN_INTERFACE
	HRESULT(STDMETHODCALLTYPE *QueryInterface)
	(IWMLicenseBackup *This, REFIID riid, void **ppvObject);
	ULONG(STDMETHODCALLTYPE *AddRef)(IWMLicenseBackup *This);
	ULONG(STDMETHODCALLTYPE *Release)(IWMLicenseBackup *This);
	HRESULT(STDMETHODCALLTYPE *BackupLicenses)
	(IWMLicenseBackup *This, DWORD dwFlags, IWMStatusCallback *pCallback);
	HRESULT(STDMETHODCALLTYPE *CancelLicenseBackup)(IWMLicenseBackup *This);
	END_INTERFACE
} IWMLicenseBackupVtbl;

interface IWMLicenseBackup
{
	CONST_VTBL IWMLicenseBackupVtbl *lpVtbl;
};

#ifdef COBJMACROS
#define IWMLicenseBackup_QueryInterface(This, riid, ppvObject)                                 \
	(This)->lpVtbl->QueryInterface(This, riid, ppvObject)
#define IWMLicenseBackup_AddRef(This) (This)->lpVtbl->AddRef(This)
#define IWMLicenseBackup_Release(This) (This)->lpVtbl->Release(This)
#define IWMLicenseBackup_BackupLicenses(This, dwFlags, pCallback)                              \
	(This)->lpVtbl->BackupLicenses(This, dwFlags, pCallback)
#define IWMLicenseBackup_CancelLicenseBackup(This) (This)->lpVtbl->CancelLicenseBackup(This)
#endif

#endif
#endif /* __IWMLicenseBackup_INTERFACE_DEFINED__ */

/* ---- IWMLicenseRestore ------------------------------------------------- */

#ifndef __IWMLicenseRestore_INTERFACE_DEFINED__
#define __IWMLicenseRestore_INTERFACE_DEFINED__

/*
 * As IWMLicenseBackup, from the directory of the property RestorePath; ${dwFlags}
 * is 0 or WM_RESTORE_INDIVIDUALIZE.
 */
DEFINE_GUID(IID_IWMLicenseRestore, 0xc70b6334, 0xa22e, 0x4efb, 0xa2, 0x45, 0x15, 0xe6, 0x5a,
    0x00, 0x4a, 0x13);

#if defined(__cplusplus) && !defined(CINTERFACE)

struct IWMLicenseRestore : public IUnknown {
      public:
	virtual HRESULT STDMETHODCALLTYPE RestoreLicenses(
	    DWORD dwFlags, IWMStatusCallback *pCallback) = 0;
	virtual HRESULT STDMETHODCALLTYPE CancelLicenseRestore(void) = 0;
};

#else

typedef struct IWMLicenseRestoreVtbl {
	BEGIN_INTERFACE
	HRESULT(STDMETHODCALLTYPE *QueryInterface)
	(IWMLicenseRestore *This, REFIID riid, void **ppvObject);
	ULONG(STDMETHODCALLTYPE *AddRef)(IWMLicenseRestore *This);
	ULONG(STDMETHODCALLTYPE *Release)(IWMLicenseRestore *This);
	HRESULT(STDMETHODCALLTYPE *RestoreLicenses)
	(IWMLicenseRestore *This, DWORD dwFlags, IWMStatusCallback *pCallback);
	HRESULT(STDMETHODCALLTYPE *CancelLicenseRestore)(IWMLicenseRestore *This);
	END_INTERFACE
} IWMLicenseRestoreVtbl;

interface IWMLicenseRestore
{
	CONST_VTBL IWMLicenseRestoreVtbl *lpVtbl;
};

#ifdef COBJMACROS
#define IWMLicenseRestore_QueryInterface(This, riid, ppvObject)                                \
	(This)->lpVtbl->QueryInterface(This, riid, ppvObject)
#define IWMLicenseRestore_AddRef(This) (This)->lpVtbl->AddRef(This)
#define IWMLicenseRestore_Release(This) (This)->lpVtbl->Release(This)
#define IWMLicenseRestore_RestoreLicenses(This, dwFlags, pCallback)                            \
	(This)->lpVtbl->RestoreLicenses(This, dwFlags, pCallback)
#define IWMLicenseRestore_CancelLicenseRestore(This) (This)->lpVtbl->CancelLicenseRestore(This)
#endif

#endif
#endif /* __IWMLicenseRestore_INTERFACE_DEFINED__ */

/* ---- IWMBackupRestoreProps --------------------------------------------- */

#ifndef __IWMBackupRestoreProps_INTERFACE_DEFINED__
#define __IWMBackupRestoreProps_INTERFACE_DEFINED__

/*
 * Properties are text with a name, kept in the order in which they were first set.
 * Names are compared exactly.  The known ones are "BackupPath", "RestorePath"
 * and those of rehostidl.h; others are kept and have no effect.  A start takes a copy
 * of them: what is set while an operation runs holds from the next start.
 *
 * SetProp: ${Type} is WMT_TYPE_STRING; ${cbLength} counts bytes of UTF-16, with or without
 * the terminator, and at most 32,766 characters.  E_INVALIDARG for another type, a NULL or
 * empty name, a NULL value that is not empty, an odd length, a NUL inside the text, an unpaired
 * surrogate (but see rehostidl.h on paths), and a value that a known property does not take.
 *
 * GetPropCount: the number of properties that are set.
 *
 * GetPropByIndex, GetPropByName: every pointer but the buffers ${pwszName} and ${pValue} must
 * be given (E_INVALIDARG).  With a NULL buffer the length that it needs is written, the
 * terminator included: characters for the name, bytes for the value. NS_E_DRM_BUFFER_TOO_SMALL
 * a buffer is too small: the lengths are written, the buffers are not
 *   NS_E_DRM_UNSUPPORTED_PROPERTY  no property of this name is set
 *   E_INVALIDARG                   no property has this index
 *   NS_E_DRM_NO_RIGHTS             the value is secret; ${*pcbLength} is 0.
 *                                  By index the name is given nevertheless, and
 *                                  S_OK if ${pValue} is NULL
 *
 * RemoveProp: S_OK also if no property has this name.
 */
DEFINE_GUID(IID_IWMBackupRestoreProps, 0x3c8e0da6, 0x996f, 0x4ff3, 0xa1, 0xaf, 0x48, 0x38, 0xf9,
    0x37, 0x7e, 0x2e);

#if defined(__cplusplus) && !defined(CINTERFACE)

struct IWMBackupRestoreProps : public IUnknown {
      public:
	virtual HRESULT STDMETHODCALLTYPE GetPropCount(WORD *pcProps) = 0;
	virtual HRESULT STDMETHODCALLTYPE GetPropByIndex(WORD wIndex, WCHAR *pwszName,
	    WORD *pcchNameLen, WMT_ATTR_DATATYPE *pType, BYTE *pValue, WORD *pcbLength) = 0;
	virtual HRESULT STDMETHODCALLTYPE GetPropByName(
	    LPCWSTR pszName, WMT_ATTR_DATATYPE *pType, BYTE *pValue, WORD *pcbLength) = 0;
	virtual HRESULT STDMETHODCALLTYPE SetProp(
	    LPCWSTR pszName, WMT_ATTR_DATATYPE Type, const BYTE *pValue, WORD cbLength) = 0;
	virtual HRESULT STDMETHODCALLTYPE RemoveProp(LPCWSTR pcwszName) = 0;
	virtual HRESULT STDMETHODCALLTYPE RemoveAllProps(void) = 0;
};

#else

typedef struct IWMBackupRestorePropsVtbl {
	BEGIN_INTERFACE
	HRESULT(STDMETHODCALLTYPE *QueryInterface)
	(IWMBackupRestoreProps *This, REFIID riid, void **ppvObject);
	ULONG(STDMETHODCALLTYPE *AddRef)(IWMBackupRestoreProps *This);
	ULONG(STDMETHODCALLTYPE *Release)(IWMBackupRestoreProps *This);
	HRESULT(STDMETHODCALLTYPE *GetPropCount)(IWMBackupRestoreProps *This, WORD *pcProps);
	HRESULT(STDMETHODCALLTYPE *GetPropByIndex)
	(IWMBackupRestoreProps *This, WORD wIndex, WCHAR *pwszName, WORD *pcchNameLen,
	    WMT_ATTR_DATATYPE *pType, BYTE *pValue, WORD *pcbLength);
	HRESULT(STDMETHODCALLTYPE *GetPropByName)
	(IWMBackupRestoreProps *This, LPCWSTR pszName, WMT_ATTR_DATATYPE *pType, BYTE *pValue,
	    WORD *pcbLength);
	HRESULT(STDMETHODCALLTYPE *SetProp)
	(IWMBackupRestoreProps *This, LPCWSTR pszName, WMT_ATTR_DATATYPE Type,
	    const BYTE *pValue, WORD cbLength);
	HRESULT(STDMETHODCALLTYPE *RemoveProp)(IWMBackupRestoreProps *This, LPCWSTR pcwszName);
	HRESULT(STDMETHODCALLTYPE *RemoveAllProps)(IWMBackupRestoreProps *This);
	END_INTERFACE
} IWMBackupRestorePropsVtbl;

interface IWMBackupRestoreProps
{
	CONST_VTBL IWMBackupRestorePropsVtbl *lpVtbl;
};

#ifdef COBJMACROS
#define IWMBackupRestoreProps_QueryInterface(This, riid, ppvObject)                            \
	(This)->lpVtbl->QueryInterface(This, riid, ppvObject)
#define IWMBackupRestoreProps_AddRef(This) (This)->lpVtbl->AddRef(This)
#define IWMBackupRestoreProps_Release(This) (This)->lpVtbl->Release(This)
#define IWMBackupRestoreProps_GetPropCount(This, pcProps)                                      \
	(This)->lpVtbl->GetPropCount(This, pcProps)
#define IWMBackupRestoreProps_GetPropByIndex(                                                  \
    This, wIndex, pwszName, pcchNameLen, pType, pValue, pcbLength)                             \
	(This)->lpVtbl->GetPropByIndex(                                                        \
	    This, wIndex, pwszName, pcchNameLen, pType, pValue, pcbLength)
#define IWMBackupRestoreProps_GetPropByName(This, pszName, pType, pValue, pcbLength)           \
	(This)->lpVtbl->GetPropByName(This, pszName, pType, pValue, pcbLength)
#define IWMBackupRestoreProps_SetProp(This, pszName, Type, pValue, cbLength)                   \
	(This)->lpVtbl->SetProp(This, pszName, Type, pValue, cbLength)
#define IWMBackupRestoreProps_RemoveProp(This, pcwszName)                                      \
	(This)->lpVtbl->RemoveProp(This, pcwszName)
#define IWMBackupRestoreProps_RemoveAllProps(This) (This)->lpVtbl->RemoveAllProps(This)
#endif

#endif
#endif /* __IWMBackupRestoreProps_INTERFACE_DEFINED__ */

/* ---- Creation ---------------------------------------------------------- */

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Makes a backup restorer object; query the result for IWMLicenseRestore and
 * IWMBackupRestoreProps.  It holds a reference on ${pCallback}, which must have
 * IWMStatusCallback, until its own last Release; events go to the
 * callback of each start.
 *   E_INVALIDARG   a pointer is NULL
 *   E_OUTOFMEMORY  no memory
 *   others         what the callback's QueryInterface gave, as E_NOINTERFACE
 * On failure ${*ppBackup} is NULL.
 */
REHOST_SDK_API HRESULT STDMETHODCALLTYPE WMCreateBackupRestorer(
    IUnknown *pCallback, IWMLicenseBackup **ppBackup);

#ifdef __cplusplus
}
#endif

#endif /* REHOST_WMSDKIDL_H */
