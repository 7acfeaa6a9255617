/*
 * What an application hears of a License Management Service: over an engine that sends the
 * events that the test asks for.
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

#define BEGIN WMT_BACKUPRESTORE_BEGIN
#define END WMT_BACKUPRESTORE_END
#define CONNECTING WMT_BACKUPRESTORE_CONNECTING
#define DISCONNECTING WMT_BACKUPRESTORE_DISCONNECTING
#define INDIVIDUALIZE WMT_INDIVIDUALIZE

#define CHECK_STATUSES(callback, ...)                                                          \
	callback_check_statuses(callback, (const int[]){__VA_ARGS__, -1})

#define PAGE "https://lms.example/cases/t\xc3\xb6ken"

struct fixture {
	struct callback callback;
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

static void open_object(struct fixture *f, const struct script *script, bool progress)
{
	void *out;

	fake_script(script);
	callback_init(&f->callback, progress);
	assert_int_equal(
	    WMCreateBackupRestorer(callback_unknown(&f->callback), &f->backup), S_OK);
	IWMLicenseBackup_QueryInterface(f->backup, &IID_IWMBackupRestoreProps, &out);
	f->props = out;
	IWMLicenseBackup_QueryInterface(f->backup, &IID_IWMLicenseRestore, &out);
	f->restore = out;
	set(f, RH_PROPERTY_RESTORE_PATH, u"/r");
}

static void run(struct fixture *f, DWORD flags)
{
	assert_int_equal(
	    IWMLicenseRestore_RestoreLicenses(f->restore, flags, callback_status(&f->callback)),
	    S_OK);
	callback_wait_ends(&f->callback, 1);
}

static void close_object(struct fixture *f)
{
	IWMBackupRestoreProps_Release(f->props);
	IWMLicenseRestore_Release(f->restore);
	IWMLicenseBackup_Release(f->backup);
	callback_wait_references(&f->callback, 1);
	assert_false(f->callback.overlapped);
	callback_check_gone(&f->callback);
}

static void what_is_asked(void **state)
{
	struct fixture f;

	(void)state;
	open_object(&f, &(struct script){0}, false);
	run(&f, 0);
	assert_string_equal(fake_asked().service_url, "(none)");
	assert_int_equal(fake_asked().individualize, 0);
	assert_int_equal(fake_asked().plan, 0);
	callback_clear(&f.callback);
	set(&f, RH_PROPERTY_SERVICE_URL, u"https://lms.example");
	set(&f, RH_PROPERTY_RESTORE_MODE, u"plan");
	run(&f, WM_RESTORE_INDIVIDUALIZE);
	assert_string_equal(fake_asked().service_url, "https://lms.example");
	assert_int_equal(fake_asked().individualize, 1);
	assert_int_equal(fake_asked().plan, 1);
	callback_clear(&f.callback);
	set(&f, RH_PROPERTY_SERVICE_URL, u"");
	set(&f, RH_PROPERTY_RESTORE_MODE, u"restore");
	run(&f, 0);
	assert_string_equal(fake_asked().service_url, "(none)");
	assert_int_equal(fake_asked().individualize, 0);
	close_object(&f);
}

static void consent_is_missing(void **state)
{
	const struct record *record;
	struct fixture f;

	(void)state;
	open_object(&f, &(struct script){.needs = true, .result = RH_E_INDIVIDUALIZE}, true);
	run(&f, 0);
	CHECK_STATUSES(&f.callback, CONNECTING, DISCONNECTING, WMT_NEEDS_INDIVIDUALIZATION,
	    ON_NOTICE, BEGIN, ON_RESULT, END);
	record = callback_find(&f.callback, WMT_NEEDS_INDIVIDUALIZATION);
	assert_int_equal(record->hr, NS_E_DRM_NEEDS_INDIVIDUALIZATION);
	assert_int_equal(record->type, WMT_TYPE_DWORD);
	assert_true(record->value_given);
	assert_int_equal(record->number, 0);
	record = callback_find(&f.callback, ON_NOTICE);
	assert_int_equal(record->code, RH_E_INDIVIDUALIZE);
	assert_int_equal(record->hr, NS_E_DRM_NEEDS_INDIVIDUALIZATION);
	assert_string_equal(record->more, "https://lms.example/v1/privacy");
	assert_string_equal(record->text, "allow it");
	assert_int_equal(callback_end(&f.callback)->hr, NS_E_DRM_NEEDS_INDIVIDUALIZATION);
	close_object(&f);
}

static void check_step(const struct record *record, int state, int http, DWORD requests,
    DWORD read, DWORD total, HRESULT hr)
{
	assert_int_equal(record->status, INDIVIDUALIZE);
	assert_int_equal(record->type, WMT_TYPE_BINARY);
	assert_true(record->value_given);
	assert_int_equal(record->hr, hr);
	assert_int_equal(record->individualize.hr, hr);
	assert_int_equal(record->individualize.enIndiStatus, state);
	assert_int_equal(record->individualize.enHTTPStatus, http);
	assert_int_equal(record->individualize.dwHTTPRequest, requests);
	assert_int_equal(record->individualize.dwHTTPReadProgress, read);
	assert_int_equal(record->individualize.dwHTTPReadTotal, total);
	/* Eight bits a character, unlike everything else. */
	assert_string_equal(record->text, "https://lms.example/\xc3\xa9");
}

/* One record a step, the last one as it came out. */
static void check_steps(const struct callback *callback, int last, HRESULT hr)
{
	const struct record *record = &callback->records[2];

	check_step(record, INDI_BEGIN, HTTP_NOTINITIATED, 0, 0, 0, S_OK);
	check_step(record + 1, INDI_DOWNLOAD, HTTP_CONNECTING, 1, 0, 0, S_OK);
	/* More than a DWORD holds. */
	check_step(record + 2, INDI_DOWNLOAD, HTTP_RECEIVING, 2, UINT32_MAX, UINT32_MAX, S_OK);
	check_step(record + 3, INDI_INSTALL, HTTP_COMPLETED, 3, 700, 700, S_OK);
	check_step(record + 4, last, HTTP_COMPLETED, 3, 700, 700, hr);
}

static void individualized(void **state)
{
	struct fixture f;

	(void)state;
	open_object(&f, &(struct script){.individualize = true}, true);
	run(&f, WM_RESTORE_INDIVIDUALIZE);
	CHECK_STATUSES(&f.callback, CONNECTING, DISCONNECTING, INDIVIDUALIZE, INDIVIDUALIZE,
	    INDIVIDUALIZE, INDIVIDUALIZE, INDIVIDUALIZE, BEGIN, ON_RESULT, END);
	check_steps(&f.callback, INDI_SUCCEED, S_OK);
	assert_int_equal(callback_end(&f.callback)->hr, S_OK);
	close_object(&f);
}

static void not_individualized(void **state)
{
	struct fixture f;

	(void)state;
	open_object(&f,
	    &(struct script){.individualize = true, .result = RH_E_INDIVIDUALIZE_FAILED},
	    false);
	run(&f, WM_RESTORE_INDIVIDUALIZE);
	check_steps(&f.callback, INDI_FAIL, rh_code_hresult(RH_E_INDIVIDUALIZE_FAILED));
	assert_int_equal(
	    callback_end(&f.callback)->hr, rh_code_hresult(RH_E_INDIVIDUALIZE_FAILED));
	close_object(&f);
}

static void cancel_inside(struct callback *callback, WMT_STATUS status, HRESULT hr)
{
	(void)hr;
	if (status == INDIVIDUALIZE)
		IWMLicenseRestore_CancelLicenseRestore(
		    (IWMLicenseRestore *)callback->hook_context);
}

static void canceled(void **state)
{
	const struct record *record;
	struct fixture f;

	(void)state;
	open_object(&f, &(struct script){.individualize = true}, false);
	f.callback.hook = cancel_inside;
	f.callback.hook_context = f.restore;
	run(&f, WM_RESTORE_INDIVIDUALIZE);
	CHECK_STATUSES(
	    &f.callback, CONNECTING, DISCONNECTING, INDIVIDUALIZE, INDIVIDUALIZE, END);
	record = &f.callback.records[3];
	assert_int_equal(record->individualize.enIndiStatus, INDI_CANCEL);
	assert_int_equal(record->hr, NS_E_DRM_OPERATION_CANCELED);
	assert_int_equal(callback_end(&f.callback)->hr, NS_E_DRM_OPERATION_CANCELED);
	close_object(&f);
}

static void limit(void **state)
{
	const struct record *record;
	struct fixture f;

	(void)state;
	open_object(&f, &(struct script){.limit = true, .result = RH_E_LIMIT_REACHED}, true);
	run(&f, 0);
	CHECK_STATUSES(&f.callback, CONNECTING, DISCONNECTING, WMT_ERROR_WITHURL, ON_NOTICE,
	    WMT_ERROR_WITHURL, ON_NOTICE, BEGIN, ON_RESULT, END);
	for (size_t i = 0; i < 2; i++) {
		record = &f.callback.records[2 + 2 * i];
		assert_int_equal(record->hr, NS_E_DRM_RESTORE_FRAUD);
		assert_int_equal(record->type, WMT_TYPE_STRING);
		assert_string_equal(record->text, PAGE);
		assert_int_equal(record[1].code, RH_E_LIMIT_REACHED);
		assert_int_equal(record[1].hr, NS_E_DRM_RESTORE_FRAUD);
		assert_string_equal(record[1].text, "open it");
		assert_string_equal(record[1].more, PAGE);
	}
	assert_int_equal(callback_end(&f.callback)->hr, NS_E_DRM_RESTORE_FRAUD);
	close_object(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_asked),
	    cmocka_unit_test(consent_is_missing),
	    cmocka_unit_test(individualized),
	    cmocka_unit_test(not_individualized),
	    cmocka_unit_test(canceled),
	    cmocka_unit_test(limit),
	};

	return cmocka_run_group_tests_name("object-service", tests, NULL, NULL);
}
