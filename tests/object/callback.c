#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#define COBJMACROS
#include "rehost/nserror.h"
#include "base/text.h"
#include "callback.h"

#define PATIENCE_SECONDS 30

static struct callback *impl_from_IWMStatusCallback(IWMStatusCallback *iface)
{
	return (struct callback *)(void *)((char *)iface -
					   offsetof(struct callback, IWMStatusCallback_iface));
}

static struct callback *impl_from_IRehostProgress(IRehostProgress *iface)
{
	return (struct callback *)(void *)((char *)iface -
					   offsetof(struct callback, IRehostProgress_iface));
}

static void narrow(char *text, LPCWSTR wide)
{
	size_t length = 0;
	char *utf8;

	text[0] = '\0';
	while (wide[length] != 0)
		length++;
	if (utf8_from_utf16(wide, length, &utf8, NULL) != RH_OK)
		abort();
	snprintf(text, TEXT_MAX_, "%s", utf8);
	free(utf8);
}

static HRESULT STDMETHODCALLTYPE status_QueryInterface(
    IWMStatusCallback *iface, REFIID riid, void **out)
{
	struct callback *callback = impl_from_IWMStatusCallback(iface);

	*out = NULL;
	if (IsEqualIID(riid, &IID_IUnknown) || IsEqualIID(riid, &IID_IWMStatusCallback))
		*out = &callback->IWMStatusCallback_iface;
	else if (callback->has_progress && IsEqualIID(riid, &IID_IRehostProgress))
		*out = &callback->IRehostProgress_iface;
	else
		return E_NOINTERFACE;
	IWMStatusCallback_AddRef(iface);
	return S_OK;
}

static ULONG STDMETHODCALLTYPE status_AddRef(IWMStatusCallback *iface)
{
	struct callback *callback = impl_from_IWMStatusCallback(iface);
	LONG references;

	pthread_mutex_lock(&callback->lock);
	references = ++callback->references;
	pthread_mutex_unlock(&callback->lock);
	return (ULONG)references;
}

static ULONG STDMETHODCALLTYPE status_Release(IWMStatusCallback *iface)
{
	struct callback *callback = impl_from_IWMStatusCallback(iface);
	LONG references;

	pthread_mutex_lock(&callback->lock);
	references = --callback->references;
	pthread_cond_broadcast(&callback->changed);
	pthread_mutex_unlock(&callback->lock);
	return (ULONG)references;
}

static void enter(struct callback *callback)
{
	pthread_mutex_lock(&callback->lock);
	if (callback->inside++ > 0)
		callback->overlapped = true;
	pthread_mutex_unlock(&callback->lock);
}

static void leave(struct callback *callback)
{
	pthread_mutex_lock(&callback->lock);
	callback->inside--;
	pthread_mutex_unlock(&callback->lock);
}

static void add(struct callback *callback, const struct record *record)
{
	pthread_mutex_lock(&callback->lock);
	if (callback->count < RECORDS_MAX) {
		callback->records[callback->count] = *record;
		callback->records[callback->count++].thread = pthread_self();
	}
	if (record->status == WMT_BACKUPRESTORE_END)
		callback->ends++;
	pthread_cond_broadcast(&callback->changed);
	pthread_mutex_unlock(&callback->lock);
}

static HRESULT STDMETHODCALLTYPE status_OnStatus(IWMStatusCallback *iface, WMT_STATUS status,
    HRESULT hr, WMT_ATTR_DATATYPE type, BYTE *value, void *context)
{
	struct callback *callback = impl_from_IWMStatusCallback(iface);
	struct record record = {
	    .status = (int)status, .hr = hr, .type = type, .context = context};

	enter(callback);
	record.value_given = value != NULL;
	if (value != NULL && type == WMT_TYPE_DWORD)
		memcpy(&record.number, value, sizeof record.number);
	else if (value != NULL && type == WMT_TYPE_STRING)
		narrow(record.text, (LPCWSTR)(void *)value);
	if (value != NULL && status == WMT_INDIVIDUALIZE && type == WMT_TYPE_BINARY) {
		memcpy(&record.individualize, value, sizeof record.individualize);
		snprintf(record.text, TEXT_MAX_, "%s", record.individualize.pszIndiRespUrl);
	}
	if (callback->hook != NULL)
		callback->hook(callback, status, hr);
	leave(callback);
	add(callback, &record);
	return E_FAIL; /* which must not matter */
}

static const IWMStatusCallbackVtbl status_vtbl = {
    status_QueryInterface, status_AddRef, status_Release, status_OnStatus};

static HRESULT STDMETHODCALLTYPE progress_QueryInterface(
    IRehostProgress *iface, REFIID riid, void **out)
{
	return status_QueryInterface(
	    &impl_from_IRehostProgress(iface)->IWMStatusCallback_iface, riid, out);
}

static ULONG STDMETHODCALLTYPE progress_AddRef(IRehostProgress *iface)
{
	return status_AddRef(&impl_from_IRehostProgress(iface)->IWMStatusCallback_iface);
}

static ULONG STDMETHODCALLTYPE progress_Release(IRehostProgress *iface)
{
	return status_Release(&impl_from_IRehostProgress(iface)->IWMStatusCallback_iface);
}

static HRESULT record_progress(IRehostProgress *iface, const struct record *record)
{
	struct callback *callback = impl_from_IRehostProgress(iface);

	enter(callback);
	leave(callback);
	add(callback, record);
	return E_FAIL;
}

static HRESULT STDMETHODCALLTYPE progress_OnTotals(
    IRehostProgress *iface, LONG operation, QWORD licenses, QWORD bytes)
{
	return record_progress(iface, &(struct record){.status = ON_TOTALS,
					  .number = (DWORD)operation,
					  .licenses = licenses,
					  .bytes = bytes});
}

static HRESULT STDMETHODCALLTYPE progress_OnProgress(
    IRehostProgress *iface, QWORD licenses, QWORD bytes)
{
	return record_progress(iface,
	    &(struct record){.status = ON_PROGRESS, .licenses = licenses, .bytes = bytes});
}

static HRESULT STDMETHODCALLTYPE progress_OnLicense(IRehostProgress *iface,
    const REHOST_LICENSE *license, LONG code, HRESULT hr, LPCWSTR text, LPCWSTR next_step)
{
	struct record record = {.status = ON_LICENSE, .code = code, .hr = hr};
	char ignored[TEXT_MAX_];

	narrow(record.text, license->pwszLicenseId);
	narrow(record.more, text);
	narrow(ignored, license->pwszKeyId);
	narrow(ignored, license->pwszTitle);
	narrow(ignored, license->pwszIssuer);
	narrow(ignored, license->pwszFormat);
	narrow(ignored, next_step);
	return record_progress(iface, &record);
}

static HRESULT STDMETHODCALLTYPE progress_OnRecoveryKey(
    IRehostProgress *iface, LPCWSTR text, LPCWSTR next_step)
{
	struct record record = {.status = ON_RECOVERY_KEY};

	narrow(record.text, text);
	narrow(record.more, next_step);
	return record_progress(iface, &record);
}

static HRESULT STDMETHODCALLTYPE progress_OnNotice(
    IRehostProgress *iface, LONG code, HRESULT hr, LPCWSTR text, LPCWSTR next_step)
{
	struct record record = {.status = ON_NOTICE, .code = code, .hr = hr};

	narrow(record.text, next_step);
	narrow(record.more, text);
	return record_progress(iface, &record);
}

static HRESULT STDMETHODCALLTYPE progress_OnResult(IRehostProgress *iface,
    const REHOST_SUMMARY *summary, LONG code, HRESULT hr, LPCWSTR text, LPCWSTR next_step)
{
	struct record record = {
	    .status = ON_RESULT, .code = code, .hr = hr, .summary = *summary};

	narrow(record.text, next_step);
	narrow(record.more, text);
	return record_progress(iface, &record);
}

static const IRehostProgressVtbl progress_vtbl = {progress_QueryInterface, progress_AddRef,
    progress_Release, progress_OnTotals, progress_OnProgress, progress_OnLicense,
    progress_OnRecoveryKey, progress_OnNotice, progress_OnResult};

void callback_init(struct callback *callback, bool has_progress)
{
	pthread_condattr_t attributes;

	memset(callback, 0, sizeof *callback);
	callback->IWMStatusCallback_iface.lpVtbl = (void *)(uintptr_t)&status_vtbl;
	callback->IRehostProgress_iface.lpVtbl = (void *)(uintptr_t)&progress_vtbl;
	callback->has_progress = has_progress;
	callback->references = 1;
	pthread_mutex_init(&callback->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&callback->changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

IUnknown *callback_unknown(struct callback *callback)
{
	return (IUnknown *)(void *)&callback->IWMStatusCallback_iface;
}

IWMStatusCallback *callback_status(struct callback *callback)
{
	return &callback->IWMStatusCallback_iface;
}

LONG callback_references(struct callback *callback)
{
	LONG references;

	pthread_mutex_lock(&callback->lock);
	references = callback->references;
	pthread_mutex_unlock(&callback->lock);
	return references;
}

static bool has_references(struct callback *callback, long value)
{
	return callback->references == value;
}

static bool has_ends(struct callback *callback, long value)
{
	return callback->ends >= (size_t)value;
}

static bool has_status(struct callback *callback, long value)
{
	for (size_t i = 0; i < callback->count; i++)
		if (callback->records[i].status == value)
			return true;
	return false;
}

static void wait_for(
    struct callback *callback, bool (*test)(struct callback *callback, long value), long value)
{
	struct timespec until;
	int result = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PATIENCE_SECONDS;
	pthread_mutex_lock(&callback->lock);
	while (!test(callback, value) && result == 0)
		result = pthread_cond_timedwait(&callback->changed, &callback->lock, &until);
	pthread_mutex_unlock(&callback->lock);
	assert_int_equal(result, 0);
}

void callback_wait_references(struct callback *callback, LONG references)
{
	wait_for(callback, has_references, references);
}

void callback_wait_ends(struct callback *callback, size_t ends)
{
	wait_for(callback, has_ends, (long)ends);
}

void callback_wait_status(struct callback *callback, int status)
{
	wait_for(callback, has_status, status);
}

void callback_check_gone(struct callback *callback)
{
	callback_wait_references(callback, 1);
	assert_false(callback->overlapped);
	pthread_cond_destroy(&callback->changed);
	pthread_mutex_destroy(&callback->lock);
}

void callback_check_statuses(struct callback *callback, const int *statuses)
{
	size_t i;

	pthread_mutex_lock(&callback->lock);
	for (i = 0; statuses[i] != -1 && i < callback->count; i++)
		if (callback->records[i].status != statuses[i])
			break;
	if (statuses[i] != -1 || i != callback->count) {
		for (size_t n = 0; n < callback->count; n++)
			print_error("came: %d %08x %s\n", callback->records[n].status,
			    (unsigned)callback->records[n].hr, callback->records[n].text);
		pthread_mutex_unlock(&callback->lock);
		fail_msg("event %zu is not the expected one", i);
	}
	pthread_mutex_unlock(&callback->lock);
}

const struct record *callback_end(struct callback *callback)
{
	const struct record *record;

	pthread_mutex_lock(&callback->lock);
	assert_true(callback->count > 0);
	record = &callback->records[callback->count - 1];
	pthread_mutex_unlock(&callback->lock);
	assert_int_equal(record->status, WMT_BACKUPRESTORE_END);
	return record;
}

const struct record *callback_find(struct callback *callback, int status)
{
	const struct record *found = NULL;

	pthread_mutex_lock(&callback->lock);
	for (size_t i = 0; i < callback->count && found == NULL; i++)
		if (callback->records[i].status == status)
			found = &callback->records[i];
	pthread_mutex_unlock(&callback->lock);
	return found;
}

void callback_clear(struct callback *callback)
{
	pthread_mutex_lock(&callback->lock);
	callback->count = 0;
	callback->ends = 0;
	pthread_mutex_unlock(&callback->lock);
}
