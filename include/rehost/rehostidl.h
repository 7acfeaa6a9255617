/*
 * rehost/rehostidl.h: what Rehost adds to the backup restorer object of the
 * Windows Media Format SDK: properties, and a second interface that an application's
 * callback object may have.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef REHOST_REHOSTIDL_H
#define REHOST_REHOSTIDL_H

#include "wmsdkidl.h"

/*
 * ---- Properties ----
 *
 * Names for IWMBackupRestoreProps.  Set to empty text is as good as not set.
 *
 * The paths are taken as the platform takes them: a relative one starts at the
 * current directory of the start.  They are UTF-16 for UTF-8; since a name on
 * the medium may be any bytes, a byte 0x80 to 0xFF that is not part
 * of UTF-8 is written as the lone surrogate U+DC80 to U+DCFF (as Python's
 * "surrogateescape" does).  Every other unpaired surrogate is E_INVALIDARG.
 */
#define RH_PROPERTY_BACKUP_PATH u"BackupPath" /* the SDK's: directory to back up into */
#define RH_PROPERTY_RESTORE_PATH u"RestorePath" /* the SDK's: directory to restore from */
/* Directory of the licence store; not set: as rh_store_open chooses it. */
#define RH_PROPERTY_STORE_PATH u"StorePath"
/* Restore: an age identity or a recovery code, as typed.  Secret. */
#define RH_PROPERTY_RECOVERY_KEY u"RecoveryKey"
/* Backup: also write recovery.age under it.  Restore: open with it.  Secret. */
#define RH_PROPERTY_PASSPHRASE u"Passphrase"
/* The License Management Service to use in place of the one that licences name. */
#define RH_PROPERTY_SERVICE_URL u"ServiceURL"
/* "restore", or "plan": say per licence what a restore would do, change nothing. */
#define RH_PROPERTY_RESTORE_MODE u"RestoreMode"
/* Restore only what this lets through; see rh_enumerate in rehost.h. */
#define RH_PROPERTY_RESTORE_FILTER u"RestoreFilter"

/*
 * ---- IRehostProgress ----
 *
 * An application that wants to know more than OnStatus tells has this
 * interface on the object that it gives to BackupLicenses or RestoreLicenses, which
 * ask for it at the start.  Calls come from the same thread as OnStatus, in the
 * same order, never two at once, with the same freedoms; return values are ignored.
 * They carry the facts of struct rh_event (rehost.h).
 *
 * Text is never NULL, and valid during the call only; so are structures.  ${code} is an
 * enum rh_code (codes.h), ${hr} the HRESULT for it.
 */
typedef interface IRehostProgress IRehostProgress;

typedef struct REHOST_LICENSE {
	LPCWSTR pwszLicenseId;
	LPCWSTR pwszKeyId;
	LPCWSTR pwszTitle;
	LPCWSTR pwszIssuer;
	LPCWSTR pwszFormat;
} REHOST_LICENSE;

/* What the operation did; every licence that it met is counted once. */
typedef struct REHOST_SUMMARY {
	QWORD qwLicenses; /* met in all */
	QWORD qwBytes; /* of their documents */
	QWORD qwDone; /* backed up or restored */
	QWORD qwAlreadyHere; /* were in the store, left as they were */
	QWORD qwUpdated; /* replaced by a later issue, or state merged */
	QWORD qwRestricted; /* may not be backed up */
	QWORD qwFailed; /* refused, unreadable or damaged */
} REHOST_SUMMARY;

#ifndef __IRehostProgress_INTERFACE_DEFINED__
#define __IRehostProgress_INTERFACE_DEFINED__

/*
 * IID E5B83F3F-6F9D-4DC4-88FB-CFA8DCC15CA4
 *
 * OnTotals: licences and bytes of documents to come; before the first of them.
 * ${lOperation} is an enum rh_operation (rehost.h).
 * OnProgress: how much of the totals is done; at most 20 times a second.
 * OnLicense: a licence that was not plainly copied, and why; with RestoreMode "plan"
 * every licence.  A restricted licence comes here after its OnStatus.
 * OnRecoveryKey: the owner's recovery key was made just now; show it to him
 * (rh_recovery_show).  ${pwszText} is no secret.
 * OnNotice: something that the owner should know.  After WMT_ERROR_WITHURL ${code} is
 * RH_E_LIMIT_REACHED, and ${pwszText} the address to open; why the licence was stopped came with
 * OnLicense.  After WMT_NEEDS_INDIVIDUALIZATION ${code} is RH_E_INDIVIDUALIZE, and ${pwszText}
 * the address of the service's privacy notice.  It also says in words what BackupPath lies on
 * ("USB stick SANDISK Cruzer, exFAT, 12.0 GiB free"), and with ${code} RH_E_BACKUP_MENDABLE or
 * RH_E_BACKUP_CORRUPT that damage had to be mended in memory, or could not be.
 * OnResult: just before WMT_BACKUPRESTORE_END; ${pwszText} says what was wrong with
 * what, ${pwszNextStep} what the owner can do; both are empty after a success.
 */
DEFINE_GUID(IID_IRehostProgress, 0xe5b83f3f, 0x6f9d, 0x4dc4, 0x88, 0xfb, 0xcf, 0xa8, 0xdc, 0xc1,
    0x5c, 0xa4);

#if defined(__cplusplus) && !defined(CINTERFACE)

struct IRehostProgress : public IUnknown {
      public:
	virtual HRESULT STDMETHODCALLTYPE OnTotals(
	    LONG lOperation, QWORD qwLicenses, QWORD qwBytes) = 0;
	virtual HRESULT STDMETHODCALLTYPE OnProgress(QWORD qwLicenses, QWORD qwBytes) = 0;
	virtual HRESULT STDMETHODCALLTYPE OnLicense(const REHOST_LICENSE *pLicense, LONG code,
	    HRESULT hr, LPCWSTR pwszText, LPCWSTR pwszNextStep) = 0;
	virtual HRESULT STDMETHODCALLTYPE OnRecoveryKey(
	    LPCWSTR pwszText, LPCWSTR pwszNextStep) = 0;
	virtual HRESULT STDMETHODCALLTYPE OnNotice(
	    LONG code, HRESULT hr, LPCWSTR pwszText, LPCWSTR pwszNextStep) = 0;
	virtual HRESULT STDMETHODCALLTYPE OnResult(const REHOST_SUMMARY *pSummary, LONG code,
	    HRESULT hr, LPCWSTR pwszText, LPCWSTR pwszNextStep) = 0;
};

#else

typedef struct IRehostProgressVtbl {
	BEGIN_INTERFACE
	HRESULT(STDMETHODCALLTYPE *QueryInterface)
	(IRehostProgress *This, REFIID riid, void **ppvObject);
	ULONG(STDMETHODCALLTYPE *AddRef)(IRehostProgress *This);
	ULONG(STDMETHODCALLTYPE *Release)(IRehostProgress *This);
	HRESULT(STDMETHODCALLTYPE *OnTotals)
	(IRehostProgress *This, LONG lOperation, QWORD qwLicenses, QWORD qwBytes);
	HRESULT(STDMETHODCALLTYPE *OnProgress)
	(IRehostProgress *This, QWORD qwLicenses, QWORD qwBytes);
	HRESULT(STDMETHODCALLTYPE *OnLicense)
	(IRehostProgress *This, const REHOST_LICENSE *pLicense, LONG code, HRESULT hr,
	    LPCWSTR pwszText, LPCWSTR pwszNextStep);
	HRESULT(STDMETHODCALLTYPE *OnRecoveryKey)
	(IRehostProgress *This, LPCWSTR pwszText, LPCWSTR pwszNextStep);
	HRESULT(STDMETHODCALLTYPE *OnNotice)
	(IRehostProgress *This, LONG code, HRESULT hr, LPCWSTR pwszText, LPCWSTR pwszNextStep);
	HRESULT(STDMETHODCALLTYPE *OnResult)
	(IRehostProgress *This, const REHOST_SUMMARY *pSummary, LONG code, HRESULT hr,
	    LPCWSTR pwszText, LPCWSTR pwszNextStep);
	END_INTERFACE
} IRehostProgressVtbl;

interface IRehostProgress
{
	CONST_VTBL IRehostProgressVtbl *lpVtbl;
};

#ifdef COBJMACROS
#define IRehostProgress_QueryInterface(This, riid, ppvObject)                                  \
	(This)->lpVtbl->QueryInterface(This, riid, ppvObject)
#define IRehostProgress_AddRef(This) (This)->lpVtbl->AddRef(This)
#define IRehostProgress_Release(This) (This)->lpVtbl->Release(This)
#define IRehostProgress_OnTotals(This, lOperation, qwLicenses, qwBytes)                        \
	(This)->lpVtbl->OnTotals(This, lOperation, qwLicenses, qwBytes)
#define IRehostProgress_OnProgress(This, qwLicenses, qwBytes)                                  \
	(This)->lpVtbl->OnProgress(This, qwLicenses, qwBytes)
#define IRehostProgress_OnLicense(This, pLicense, code, hr, pwszText, pwszNextStep)            \
	(This)->lpVtbl->OnLicense(This, pLicense, code, hr, pwszText, pwszNextStep)
#define IRehostProgress_OnRecoveryKey(This, pwszText, pwszNextStep)                            \
	(This)->lpVtbl->OnRecoveryKey(This, pwszText, pwszNextStep)
#define IRehostProgress_OnNotice(This, code, hr, pwszText, pwszNextStep)                       \
	(This)->lpVtbl->OnNotice(This, code, hr, pwszText, pwszNextStep)
#define IRehostProgress_OnResult(This, pSummary, code, hr, pwszText, pwszNextStep)             \
	(This)->lpVtbl->OnResult(This, pSummary, code, hr, pwszText, pwszNextStep)
#endif

#endif
#endif /* __IRehostProgress_INTERFACE_DEFINED__ */

#endif /* REHOST_REHOSTIDL_H */
