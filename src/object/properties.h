#ifndef OBJECT_PROPERTIES_H
#define OBJECT_PROPERTIES_H

#include "rehost/rehostidl.h"

/*
 * The properties of one object, and the logic of IWMBackupRestoreProps: what
 * each function gives is told there (wmsdkidl.h), names in rehostidl.h.
 * Every function may be called from any thread.  Values are wiped before
 * their memory is given back, as some are secret.
 */
struct properties;

/* NULL if there is no memory. */
struct properties *properties_new(void);
/* NULL is fine. */
void properties_free(struct properties *properties);

HRESULT properties_count(struct properties *properties, WORD *count);
HRESULT properties_get_by_index(struct properties *properties, WORD index, WCHAR *name,
    WORD *name_length, WMT_ATTR_DATATYPE *type, BYTE *value, WORD *value_size);
HRESULT properties_get_by_name(struct properties *properties, LPCWSTR name,
    WMT_ATTR_DATATYPE *type, BYTE *value, WORD *value_size);
HRESULT properties_set(struct properties *properties, LPCWSTR name, WMT_ATTR_DATATYPE type,
    const BYTE *value, WORD value_size);
HRESULT properties_remove(struct properties *properties, LPCWSTR name);
HRESULT properties_clear(struct properties *properties);

/*
 * The known properties at one moment, as UTF-8; paths as the bytes that they
 * stand for.  NULL: not set, or empty.
 */
struct settings {
	char *backup_path;
	char *restore_path;
	char *store_path;
	char *recovery_key; /* secret */
	char *passphrase; /* secret */
	char *service_url;
	char *restore_mode;
	char *restore_filter;
};

/* E_OUTOFMEMORY, with ${ret} all NULL. */
HRESULT properties_settings(struct properties *properties, struct settings *ret);

/* Wipes and frees every member and sets it NULL. */
void settings_free(struct settings *settings);

#endif
