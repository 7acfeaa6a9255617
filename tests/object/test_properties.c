/* The property bag: every rule of IWMBackupRestoreProps, in tables where it can be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COBJMACROS
#include "rehost/nserror.h"
#include "callback.h"
#include "fake_engine.h"

/* Value and size of a UTF-16 literal, terminator included. */
#define WIDE(text) (const BYTE *)(text), sizeof(text)

struct fixture {
	struct callback callback;
	IWMLicenseBackup *backup;
	IWMLicenseRestore *restore;
	IWMBackupRestoreProps *props;
};

static void setup(struct fixture *f)
{
	void *out;

	fake_script(&(struct script){0});
	callback_init(&f->callback, false);
	assert_int_equal(
	    WMCreateBackupRestorer(callback_unknown(&f->callback), &f->backup), S_OK);
	IWMLicenseBackup_QueryInterface(f->backup, &IID_IWMBackupRestoreProps, &out);
	f->props = out;
	IWMLicenseBackup_QueryInterface(f->backup, &IID_IWMLicenseRestore, &out);
	f->restore = out;
}

static void teardown(struct fixture *f)
{
	IWMBackupRestoreProps_Release(f->props);
	IWMLicenseRestore_Release(f->restore);
	assert_int_equal(IWMLicenseBackup_Release(f->backup), 0);
	callback_check_gone(&f->callback);
}

static WORD count(struct fixture *f)
{
	WORD properties = 4711;

	assert_int_equal(IWMBackupRestoreProps_GetPropCount(f->props, &properties), S_OK);
	return properties;
}

static HRESULT set(struct fixture *f, LPCWSTR name, const BYTE *value, size_t size)
{
	return IWMBackupRestoreProps_SetProp(
	    f->props, name, WMT_TYPE_STRING, value, (WORD)size);
}

static void check_value(struct fixture *f, LPCWSTR name, const BYTE *value, size_t size)
{
	WMT_ATTR_DATATYPE type = WMT_TYPE_GUID;
	WORD length = 9999;
	BYTE *buffer;

	assert_int_equal(
	    IWMBackupRestoreProps_GetPropByName(f->props, name, &type, NULL, &length), S_OK);
	assert_int_equal(type, WMT_TYPE_STRING);
	assert_int_equal(length, size);
	buffer = malloc(length);
	assert_non_null(buffer);
	assert_int_equal(
	    IWMBackupRestoreProps_GetPropByName(f->props, name, &type, buffer, &length), S_OK);
	assert_int_equal(length, size);
	assert_memory_equal(buffer, value, size);
	free(buffer);
}

static void test_set_rules(void **state)
{
	static const WCHAR pair[] = {0xd83d, 0xdcbe, 0}, high[] = {u'a', 0xd83d, 0},
			   low[] = {0xdc00, u'a', 0}, byte[] = {u'a', 0xdce9, u'b', 0},
			   swapped[] = {0xdc80, 0xd83d, 0};
	static const struct {
		LPCWSTR name;
		WMT_ATTR_DATATYPE type;
		const BYTE *value;
		WORD size;
		HRESULT hr;
	} rules[] = {
	    {u"BackupPath", WMT_TYPE_STRING, WIDE(u"/a"), S_OK},
	    {u"BackupPath", WMT_TYPE_STRING, (const BYTE *)u"/a", 4, S_OK},
	    {u"BackupPath", WMT_TYPE_STRING, NULL, 0, S_OK},
	    {u"BackupPath", WMT_TYPE_STRING, (const BYTE *)u"", 0, S_OK},
	    {u"BackupPath", WMT_TYPE_STRING, WIDE(u""), S_OK},
	    {u"somebody's own", WMT_TYPE_STRING, WIDE(u"x"), S_OK},
	    {u"backuppath", WMT_TYPE_STRING, WIDE(byte), E_INVALIDARG}, /* not the path */
	    {NULL, WMT_TYPE_STRING, WIDE(u"/a"), E_INVALIDARG},
	    {u"", WMT_TYPE_STRING, WIDE(u"/a"), E_INVALIDARG},
	    {u"BackupPath", WMT_TYPE_STRING, NULL, 2, E_INVALIDARG},
	    {u"BackupPath", WMT_TYPE_STRING, (const BYTE *)u"/a", 3, E_INVALIDARG},
	    {u"BackupPath", WMT_TYPE_STRING, WIDE(u"/a\0b"), E_INVALIDARG},
	    {u"BackupPath", WMT_TYPE_STRING, WIDE(u"/a\0"), E_INVALIDARG},
	    {u"BackupPath", WMT_TYPE_DWORD, WIDE(u"/a"), E_INVALIDARG},
	    {u"BackupPath", WMT_TYPE_BINARY, WIDE(u"/a"), E_INVALIDARG},
	    {u"BackupPath", WMT_TYPE_BOOL, WIDE(u"a"), E_INVALIDARG},
	    {u"BackupPath", WMT_TYPE_QWORD, WIDE(u"abc"), E_INVALIDARG},
	    {u"BackupPath", WMT_TYPE_WORD, WIDE(u""), E_INVALIDARG},
	    {u"BackupPath", WMT_TYPE_GUID, WIDE(u"1234567"), E_INVALIDARG},
	    {u"BackupPath", (WMT_ATTR_DATATYPE)77, WIDE(u"/a"), E_INVALIDARG},
	    {u"BackupPath", WMT_TYPE_STRING, WIDE(pair), S_OK},
	    {u"BackupPath", WMT_TYPE_STRING, WIDE(high), E_INVALIDARG},
	    {u"BackupPath", WMT_TYPE_STRING, WIDE(low), E_INVALIDARG},
	    {u"BackupPath", WMT_TYPE_STRING, WIDE(swapped), E_INVALIDARG},
	    {u"BackupPath", WMT_TYPE_STRING, WIDE(byte), S_OK},
	    {u"RestorePath", WMT_TYPE_STRING, WIDE(byte), S_OK},
	    {u"StorePath", WMT_TYPE_STRING, WIDE(byte), S_OK},
	    {u"RestoreFilter", WMT_TYPE_STRING, WIDE(byte), E_INVALIDARG},
	    {u"Passphrase", WMT_TYPE_STRING, WIDE(byte), E_INVALIDARG},
	    {u"RestoreMode", WMT_TYPE_STRING, WIDE(u"plan"), S_OK},
	    {u"RestoreMode", WMT_TYPE_STRING, WIDE(u"restore"), S_OK},
	    {u"RestoreMode", WMT_TYPE_STRING, WIDE(u""), S_OK},
	    {u"RestoreMode", WMT_TYPE_STRING, WIDE(u"Plan"), E_INVALIDARG},
	    {high, WMT_TYPE_STRING, WIDE(u"x"), E_INVALIDARG},
	    {byte, WMT_TYPE_STRING, WIDE(u"x"), E_INVALIDARG},
	};
	struct fixture f;

	(void)state;
	setup(&f);
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
		HRESULT hr = IWMBackupRestoreProps_SetProp(
		    f.props, rules[i].name, rules[i].type, rules[i].value, rules[i].size);

		if (hr != rules[i].hr)
			fail_msg("rule %zu gave %08x", i, (unsigned)hr);
	}
	assert_int_equal(count(&f), 5);
	/* What was refused left what was there. */
	check_value(&f, u"BackupPath", WIDE(byte));
	check_value(&f, u"RestoreMode", WIDE(u""));
	teardown(&f);
}

/* The longest value still has a length that fits into a WORD, terminator included. */
static void test_longest(void **state)
{
	static WCHAR text[32768];
	struct fixture f;

	(void)state;
	setup(&f);
	for (size_t i = 0; i < 32767; i++)
		text[i] = u'x';
	assert_int_equal(set(&f, u"BackupPath", (const BYTE *)text, 65534), E_INVALIDARG);
	assert_int_equal(set(&f, u"BackupPath", (const BYTE *)text, 65532), S_OK);
	text[32766] = 0;
	check_value(&f, u"BackupPath", (const BYTE *)text, 65534);
	assert_int_equal(set(&f, u"BackupPath", (const BYTE *)text, 65534), S_OK);
	check_value(&f, u"BackupPath", (const BYTE *)text, 65534);
	/* A name that is used in full. */
	text[32766] = u'x';
	text[32767] = 0;
	assert_int_equal(set(&f, text, WIDE(u"v")), S_OK);
	check_value(&f, text, WIDE(u"v"));
	teardown(&f);
}

static void test_getters(void **state)
{
	WMT_ATTR_DATATYPE type;
	WORD name_length, size;
	WCHAR name[16];
	BYTE value[32];
	struct fixture f;

	(void)state;
	setup(&f);
	assert_int_equal(count(&f), 0);
	assert_int_equal(IWMBackupRestoreProps_GetPropCount(f.props, NULL), E_INVALIDARG);
	assert_int_equal(set(&f, u"BackupPath", WIDE(u"/one")), S_OK);
	assert_int_equal(set(&f, u"RestorePath", WIDE(u"/second")), S_OK);
	assert_int_equal(count(&f), 2);

	/* Two calls: lengths, then the texts. */
	name_length = size = 9999;
	type = WMT_TYPE_GUID;
	assert_int_equal(IWMBackupRestoreProps_GetPropByIndex(
			     f.props, 1, NULL, &name_length, &type, NULL, &size),
	    S_OK);
	assert_int_equal(name_length, 12);
	assert_int_equal(size, 16);
	assert_int_equal(type, WMT_TYPE_STRING);
	memset(name, 0xee, sizeof name);
	memset(value, 0xee, sizeof value);
	assert_int_equal(IWMBackupRestoreProps_GetPropByIndex(
			     f.props, 1, name, &name_length, &type, value, &size),
	    S_OK);
	assert_memory_equal(name, u"RestorePath", 24);
	assert_int_equal(name[12], 0xeeee);
	assert_memory_equal(value, u"/second", 16);
	assert_int_equal(value[16], 0xee);

	/* One character too few for either one: nothing is written but the lengths. */
	memset(name, 0xee, sizeof name);
	memset(value, 0xee, sizeof value);
	name_length = 11;
	size = 16;
	assert_int_equal(IWMBackupRestoreProps_GetPropByIndex(
			     f.props, 1, name, &name_length, &type, value, &size),
	    NS_E_DRM_BUFFER_TOO_SMALL);
	assert_int_equal(name_length, 12);
	assert_int_equal(size, 16);
	size = 15;
	assert_int_equal(IWMBackupRestoreProps_GetPropByIndex(
			     f.props, 1, name, &name_length, &type, value, &size),
	    NS_E_DRM_BUFFER_TOO_SMALL);
	assert_int_equal(name_length, 12);
	assert_int_equal(size, 16);
	assert_int_equal(name[0], 0xeeee);
	assert_int_equal(value[0], 0xee);
	size = 15;
	assert_int_equal(
	    IWMBackupRestoreProps_GetPropByName(f.props, u"RestorePath", &type, value, &size),
	    NS_E_DRM_BUFFER_TOO_SMALL);
	assert_int_equal(size, 16);
	assert_int_equal(value[0], 0xee);

	/* What is not there, and pointers that must be. */
	assert_int_equal(IWMBackupRestoreProps_GetPropByIndex(
			     f.props, 2, name, &name_length, &type, value, &size),
	    E_INVALIDARG);
	assert_int_equal(
	    IWMBackupRestoreProps_GetPropByName(f.props, u"restorepath", &type, value, &size),
	    NS_E_DRM_UNSUPPORTED_PROPERTY);
	assert_int_equal(
	    IWMBackupRestoreProps_GetPropByName(f.props, NULL, &type, value, &size),
	    E_INVALIDARG);
	assert_int_equal(IWMBackupRestoreProps_GetPropByName(f.props, u"", &type, value, &size),
	    E_INVALIDARG);
	assert_int_equal(
	    IWMBackupRestoreProps_GetPropByName(f.props, u"BackupPath", NULL, value, &size),
	    E_INVALIDARG);
	assert_int_equal(
	    IWMBackupRestoreProps_GetPropByName(f.props, u"BackupPath", &type, value, NULL),
	    E_INVALIDARG);
	assert_int_equal(
	    IWMBackupRestoreProps_GetPropByIndex(f.props, 0, name, NULL, &type, value, &size),
	    E_INVALIDARG);
	assert_int_equal(IWMBackupRestoreProps_GetPropByIndex(
			     f.props, 0, name, &name_length, NULL, value, &size),
	    E_INVALIDARG);
	assert_int_equal(IWMBackupRestoreProps_GetPropByIndex(
			     f.props, 0, name, &name_length, &type, value, NULL),
	    E_INVALIDARG);
	teardown(&f);
}

static void check_name(struct fixture *f, WORD index, LPCWSTR expected, size_t length)
{
	WMT_ATTR_DATATYPE type;
	WORD name_length = 64, size = 0;
	WCHAR name[64];

	assert_int_equal(IWMBackupRestoreProps_GetPropByIndex(
			     f->props, index, name, &name_length, &type, NULL, &size),
	    S_OK);
	assert_int_equal(name_length, length);
	assert_memory_equal(name, expected, length * sizeof *name);
}

static void test_order_and_removal(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	set(&f, u"a", WIDE(u"1"));
	set(&f, u"b", WIDE(u"2"));
	set(&f, u"c", WIDE(u"3"));
	set(&f, u"a", WIDE(u"four"));
	assert_int_equal(count(&f), 3);
	check_name(&f, 0, u"a", 2);
	check_value(&f, u"a", WIDE(u"four"));

	assert_int_equal(IWMBackupRestoreProps_RemoveProp(f.props, u"b"), S_OK);
	assert_int_equal(IWMBackupRestoreProps_RemoveProp(f.props, u"b"), S_OK);
	assert_int_equal(IWMBackupRestoreProps_RemoveProp(f.props, u"never"), S_OK);
	assert_int_equal(IWMBackupRestoreProps_RemoveProp(f.props, NULL), E_INVALIDARG);
	assert_int_equal(IWMBackupRestoreProps_RemoveProp(f.props, u""), E_INVALIDARG);
	assert_int_equal(count(&f), 2);
	check_name(&f, 1, u"c", 2);

	assert_int_equal(IWMBackupRestoreProps_RemoveAllProps(f.props), S_OK);
	assert_int_equal(IWMBackupRestoreProps_RemoveAllProps(f.props), S_OK);
	assert_int_equal(count(&f), 0);
	set(&f, u"a", WIDE(u"again"));
	check_value(&f, u"a", WIDE(u"again"));
	teardown(&f);
}

/* More than the bag first has room for. */
static void test_many(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	for (unsigned i = 0; i < 100; i++) {
		WCHAR name[] = {(WCHAR)(u'A' + i), 0};

		assert_int_equal(set(&f, name, (const BYTE *)name, sizeof name), S_OK);
	}
	assert_int_equal(count(&f), 100);
	check_value(&f, u"Z", WIDE(u"Z"));
	teardown(&f);
}

/* Secrets go in, are listed by name, and do not come out. */
static void test_secrets(void **state)
{
	static const LPCWSTR secrets[] = {u"RecoveryKey", u"Passphrase"};
	WMT_ATTR_DATATYPE type;
	WORD name_length, size;
	WCHAR name[16];
	BYTE value[64];
	struct fixture f;

	(void)state;
	setup(&f);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(set(&f, secrets[i], WIDE(u"open sesame")), S_OK);
		memset(value, 0xee, sizeof value);
		size = sizeof value;
		assert_int_equal(IWMBackupRestoreProps_GetPropByName(
				     f.props, secrets[i], &type, value, &size),
		    NS_E_DRM_NO_RIGHTS);
		assert_int_equal(size, 0);
		assert_int_equal(IWMBackupRestoreProps_GetPropByName(
				     f.props, secrets[i], &type, NULL, &size),
		    NS_E_DRM_NO_RIGHTS);
		assert_int_equal(size, 0);

		/* By index: first the lengths, then the name and no value. */
		name_length = 0;
		size = 0;
		assert_int_equal(IWMBackupRestoreProps_GetPropByIndex(
				     f.props, (WORD)i, NULL, &name_length, &type, NULL, &size),
		    S_OK);
		assert_int_equal(name_length, i == 0 ? 12 : 11);
		assert_int_equal(size, 0);
		size = sizeof value;
		assert_int_equal(IWMBackupRestoreProps_GetPropByIndex(
				     f.props, (WORD)i, name, &name_length, &type, value, &size),
		    NS_E_DRM_NO_RIGHTS);
		assert_int_equal(size, 0);
		assert_memory_equal(name, secrets[i], name_length * sizeof *name);
		for (size_t n = 0; n < sizeof value; n++)
			assert_int_equal(value[n], 0xee);
	}
	teardown(&f);
}

/* What a start hands to the engine: each property under its own name, as UTF-8. */
static void test_handed_to_engine(void **state)
{
	static const WCHAR path[] = {u'/', u'm', 0xe9, 0xd83d, 0xdcbe, 0};
	static const WCHAR raw[] = {0xdce9, u'/', 0xdcff, 0xdc80, u'z', 0xdca9, 0};
	struct asked asked;
	struct fixture f;

	(void)state;
	setup(&f);
	set(&f, u"BackupPath", WIDE(path));
	set(&f, u"RestorePath", WIDE(raw));
	set(&f, u"StorePath", WIDE(u"store/here"));
	set(&f, u"RecoveryKey", WIDE(u"the key"));
	set(&f, u"Passphrase", WIDE(u"p\u00e4ss"));
	set(&f, u"RestoreFilter", WIDE(u"id=*"));
	set(&f, u"RestoreMode", WIDE(u"plan"));
	assert_int_equal(IWMLicenseBackup_BackupLicenses(
			     f.backup, WM_BACKUP_OVERWRITE, callback_status(&f.callback)),
	    S_OK);
	callback_wait_ends(&f.callback, 1);
	asked = fake_asked();
	assert_string_equal(asked.directory, "/m\xc3\xa9\xf0\x9f\x92\xbe");
	assert_string_equal(asked.store, "store/here");
	assert_int_equal(asked.store_flags, 0);
	assert_string_equal(asked.passphrase, "p\xc3\xa4ss");
	assert_int_equal(asked.overwrite, 1);

	assert_int_equal(IWMLicenseRestore_RestoreLicenses(
			     f.restore, WM_RESTORE_INDIVIDUALIZE, callback_status(&f.callback)),
	    S_OK);
	callback_wait_ends(&f.callback, 2);
	asked = fake_asked();
	assert_string_equal(asked.directory, "\xe9/\xff\x80z\xa9");
	assert_int_equal(asked.store_flags, RH_STORE_CREATE); /* for an identity */
	assert_string_equal(asked.recovery_key, "the key");
	assert_string_equal(asked.passphrase, "p\xc3\xa4ss");
	assert_string_equal(asked.filter, "id=*");
	assert_int_equal(asked.plan, 1);
	assert_int_equal(asked.individualize, 1);

	assert_int_equal(
	    IWMLicenseRestore_RestoreLicenses(f.restore, 0, callback_status(&f.callback)),
	    S_OK);
	callback_wait_ends(&f.callback, 3);
	assert_int_equal(fake_asked().store_flags, 0); /* else a plan makes no store */

	/* Empty is as good as not set. */
	set(&f, u"StorePath", WIDE(u""));
	set(&f, u"RecoveryKey", NULL, 0);
	set(&f, u"Passphrase", WIDE(u""));
	set(&f, u"RestoreMode", WIDE(u"restore"));
	IWMBackupRestoreProps_RemoveProp(f.props, u"RestoreFilter");
	assert_int_equal(
	    IWMLicenseRestore_RestoreLicenses(f.restore, 0, callback_status(&f.callback)),
	    S_OK);
	callback_wait_ends(&f.callback, 4);
	asked = fake_asked();
	assert_string_equal(asked.store, "(default)");
	assert_string_equal(asked.recovery_key, "(none)");
	assert_string_equal(asked.passphrase, "(none)");
	assert_string_equal(asked.filter, "(none)");
	assert_int_equal(asked.plan, 0);
	assert_int_equal(asked.individualize, 0);
	assert_int_equal(asked.opened, asked.closed);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_set_rules),
	    cmocka_unit_test(test_longest),
	    cmocka_unit_test(test_getters),
	    cmocka_unit_test(test_order_and_removal),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_secrets),
	    cmocka_unit_test(test_handed_to_engine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
