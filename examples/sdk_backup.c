/*
 * Backs up the licences of this computer, or restores them, as a program written
 * for the Windows Media Format SDK does it: nothing but names of the SDK.
 *
 *   sdk_backup backup DIRECTORY [STORE] [--overwrite] [NAME=VALUE]...
 *   sdk_backup restore DIRECTORY [STORE [RECOVERY-KEY]] [--individualize] [NAME=VALUE]...
 *
 * NAME=VALUE sets a property.  Without STORE it is the one that the environment's
 * REHOST_STORE names, or this user's own.
 *
 *   cc sdk_backup.c $(pkg-config --cflags --libs rehost) -o sdk_backup
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COBJMACROS
#include <wmsdk.h>

/* ---- The callback object ------------------------------------------------ */

typedef struct Callback {
	IWMStatusCallback iface;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	LONG references;
	BOOL ended;
	HRESULT result;
} Callback;

static HRESULT STDMETHODCALLTYPE Callback_QueryInterface(
    IWMStatusCallback *This, REFIID riid, void **ppvObject)
{
	*ppvObject = NULL;
	if (!IsEqualIID(riid, &IID_IUnknown) && !IsEqualIID(riid, &IID_IWMStatusCallback))
		return E_NOINTERFACE;
	*ppvObject = This;
	IWMStatusCallback_AddRef(This);
	return S_OK;
}

static ULONG STDMETHODCALLTYPE Callback_AddRef(IWMStatusCallback *This)
{
	Callback *callback = (Callback *)This;
	LONG references;

	pthread_mutex_lock(&callback->lock);
	references = ++callback->references;
	pthread_mutex_unlock(&callback->lock);
	return (ULONG)references;
}

static ULONG STDMETHODCALLTYPE Callback_Release(IWMStatusCallback *This)
{
	Callback *callback = (Callback *)This;
	LONG references;

	pthread_mutex_lock(&callback->lock);
	references = --callback->references;
	pthread_mutex_unlock(&callback->lock);
	if (references == 0) {
		pthread_cond_destroy(&callback->changed);
		pthread_mutex_destroy(&callback->lock);
		free(callback);
	}
	return (ULONG)references;
}

static const char *status_name(WMT_STATUS status)
{
	switch (status) {
	case WMT_BACKUPRESTORE_BEGIN:
		return "WMT_BACKUPRESTORE_BEGIN";
	case WMT_BACKUPRESTORE_END:
		return "WMT_BACKUPRESTORE_END";
	case WMT_BACKUPRESTORE_CONNECTING:
		return "WMT_BACKUPRESTORE_CONNECTING";
	case WMT_BACKUPRESTORE_DISCONNECTING:
		return "WMT_BACKUPRESTORE_DISCONNECTING";
	case WMT_RESTRICTED_LICENSE:
		return "WMT_RESTRICTED_LICENSE";
	case WMT_ERROR_WITHURL:
		return "WMT_ERROR_WITHURL";
	case WMT_NEEDS_INDIVIDUALIZATION:
		return "WMT_NEEDS_INDIVIDUALIZATION";
	case WMT_INDIVIDUALIZE:
		return "WMT_INDIVIDUALIZE";
	default:
		return "another status";
	}
}

/* What the events carry here is plain: key ids and addresses. */
static void print_wide(const WCHAR *text)
{
	for (; *text != 0; text++)
		putchar(*text < 0x80 ? (char)*text : '?');
}

static HRESULT STDMETHODCALLTYPE Callback_OnStatus(IWMStatusCallback *This, WMT_STATUS Status,
    HRESULT hr, WMT_ATTR_DATATYPE dwType, BYTE *pValue, void *pvContext)
{
	Callback *callback = (Callback *)This;

	(void)pvContext;
	printf("%-32s 0x%08X", status_name(Status), (unsigned)hr);
	if (dwType == WMT_TYPE_STRING) {
		printf("  ");
		print_wide((const WCHAR *)(void *)pValue);
	}
	if (Status == WMT_INDIVIDUALIZE) {
		const WM_INDIVIDUALIZE_STATUS *progress = (const void *)pValue;

		printf("  state 0x%02X, %s", (unsigned)progress->enIndiStatus,
		    progress->pszIndiRespUrl);
	}
	printf("\n");
	fflush(stdout);
	if (Status == WMT_BACKUPRESTORE_END) {
		pthread_mutex_lock(&callback->lock);
		callback->ended = TRUE;
		callback->result = hr;
		pthread_cond_signal(&callback->changed);
		pthread_mutex_unlock(&callback->lock);
	}
	return S_OK;
}

static IWMStatusCallbackVtbl Callback_vtbl = {
    Callback_QueryInterface, Callback_AddRef, Callback_Release, Callback_OnStatus};

static Callback *Callback_create(void)
{
	Callback *callback = calloc(1, sizeof *callback);

	if (callback == NULL)
		return NULL;
	callback->iface.lpVtbl = &Callback_vtbl;
	callback->references = 1;
	pthread_mutex_init(&callback->lock, NULL);
	pthread_cond_init(&callback->changed, NULL);
	return callback;
}

static HRESULT Callback_wait(Callback *callback)
{
	HRESULT result;

	pthread_mutex_lock(&callback->lock);
	while (!callback->ended)
		pthread_cond_wait(&callback->changed, &callback->lock);
	result = callback->result;
	pthread_mutex_unlock(&callback->lock);
	return result;
}

/* ---- Properties --------------------------------------------------------- */

/* The length of the UTF-8 sequence at ${p}, 0 if there is none. */
static int sequence_length(const unsigned char *p)
{
	int length = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

	if (p[0] >= 0xf5)
		return 0;
	for (int i = 1; i < length; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return length;
}

/*
 * UTF-8 to UTF-16; a byte that is not UTF-8, as the name of a directory may have one,
 * becomes the lone surrogate that stands for it.  The length excludes the terminator.
 */
static WCHAR *widen(const char *text, size_t *length)
{
	static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	WCHAR *wide = malloc((strlen(text) + 1) * sizeof *wide), *next = wide;
	const unsigned char *p = (const unsigned char *)text;

	if (wide == NULL)
		return NULL;
	while (*p != 0) {
		int bytes = sequence_length(p);
		DWORD c = bytes > 0 ? *p & first_bits[bytes] : 0xdc00u + *p;

		p++;
		for (int i = 1; i < bytes; i++)
			c = c << 6 | (*p++ & 0x3fu);
		if (c >= 0x10000) {
			*next++ = (WCHAR)(0xd800 + ((c - 0x10000) >> 10));
			c = 0xdc00 + (c & 0x3ff);
		}
		*next++ = (WCHAR)c;
	}
	*next = 0;
	*length = (size_t)(next - wide);
	return wide;
}

static HRESULT set_property(IWMBackupRestoreProps *props, LPCWSTR name, const char *value)
{
	size_t length;
	WCHAR *wide = widen(value, &length);
	HRESULT hr;

	if (wide == NULL)
		return E_OUTOFMEMORY;
	if (length > 32766) {
		free(wide);
		return E_INVALIDARG;
	}
	hr = IWMBackupRestoreProps_SetProp(props, name, WMT_TYPE_STRING, (const BYTE *)wide,
	    (WORD)((length + 1) * sizeof *wide));
	free(wide);
	return hr;
}

/* From the command line: NAME=VALUE. */
static HRESULT set_named(IWMBackupRestoreProps *props, const char *argument)
{
	size_t length;
	WCHAR *name = widen(argument, &length);
	HRESULT hr;

	if (name == NULL)
		return E_OUTOFMEMORY;
	name[strcspn(argument, "=")] = 0; /* the names of properties are ASCII */
	hr = set_property(props, name, strchr(argument, '=') + 1);
	free(name);
	return hr;
}

/* What stands behind the directory; gives the flags of the start. */
static HRESULT set_arguments(
    IWMBackupRestoreProps *props, BOOL restoring, char **argv, DWORD *flags)
{
	static const LPCWSTR in_order[] = {u"StorePath", u"RecoveryKey"};
	size_t position = 0;
	HRESULT hr = S_OK;

	for (; *argv != NULL && SUCCEEDED(hr); argv++) {
		if (!restoring && strcmp(*argv, "--overwrite") == 0)
			*flags |= WM_BACKUP_OVERWRITE;
		else if (restoring && strcmp(*argv, "--individualize") == 0)
			*flags |= WM_RESTORE_INDIVIDUALIZE;
		else if (strchr(*argv, '=') != NULL)
			hr = set_named(props, *argv);
		else if (position < (restoring ? 2u : 1u))
			hr = set_property(props, in_order[position++], *argv);
		else
			hr = E_INVALIDARG;
	}
	return hr;
}

/* ---- The work ----------------------------------------------------------- */

static HRESULT work(IWMLicenseBackup *backup, Callback *callback, char **argv)
{
	BOOL restoring = strcmp(argv[1], "restore") == 0;
	IWMBackupRestoreProps *props;
	IWMLicenseRestore *restore;
	DWORD flags = 0;
	void *out;
	HRESULT hr;

	hr = IWMLicenseBackup_QueryInterface(backup, &IID_IWMBackupRestoreProps, &out);
	if (FAILED(hr))
		return hr;
	props = out;
	hr = set_property(props, restoring ? u"RestorePath" : u"BackupPath", argv[2]);
	if (SUCCEEDED(hr))
		hr = set_arguments(props, restoring, argv + 3, &flags);
	IWMBackupRestoreProps_Release(props);
	if (FAILED(hr))
		return hr;

	if (restoring) {
		hr = IWMLicenseBackup_QueryInterface(backup, &IID_IWMLicenseRestore, &out);
		if (FAILED(hr))
			return hr;
		restore = out;
		hr = IWMLicenseRestore_RestoreLicenses(restore, flags, &callback->iface);
		IWMLicenseRestore_Release(restore);
	} else {
		hr = IWMLicenseBackup_BackupLicenses(backup, flags, &callback->iface);
	}
	/* A start that failed sends no event. */
	return FAILED(hr) ? hr : Callback_wait(callback);
}

int main(int argc, char **argv)
{
	IWMLicenseBackup *backup = NULL;
	Callback *callback;
	HRESULT hr;

	if (argc < 3 || (strcmp(argv[1], "backup") != 0 && strcmp(argv[1], "restore") != 0)) {
		fprintf(stderr,
		    "usage: sdk_backup backup DIRECTORY [STORE] [--overwrite] [NAME=VALUE]...\n"
		    "       sdk_backup restore DIRECTORY [STORE [RECOVERY-KEY]] "
		    "[--individualize] [NAME=VALUE]...\n");
		return 1;
	}
	callback = Callback_create();
	if (callback == NULL)
		return 2;
	hr = WMCreateBackupRestorer((IUnknown *)&callback->iface, &backup);
	if (SUCCEEDED(hr)) {
		hr = work(backup, callback, argv);
		IWMLicenseBackup_Release(backup);
	}
	IWMStatusCallback_Release(&callback->iface);
	if (FAILED(hr))
		fprintf(stderr, "sdk_backup: %s failed: 0x%08X\n", argv[1], (unsigned)hr);
	return FAILED(hr) ? 2 : 0;
}
