#include <stdio.h>
#include <stdlib.h>

#define COBJMACROS
#include "rehost/drmexternals.h"
#include "rehost/nserror.h"
#include "base/text.h"
#include "object/status.h"

void status_open(struct status *status, IWMStatusCallback *callback)
{
	void *progress = NULL;

	*status = (struct status){callback, NULL, RH_OK};
	IWMStatusCallback_AddRef(callback);
	if (SUCCEEDED(
		IWMStatusCallback_QueryInterface(callback, &IID_IRehostProgress, &progress)))
		status->progress = progress;
}

void status_close(struct status *status)
{
	if (status->progress != NULL)
		IRehostProgress_Release(status->progress);
	IWMStatusCallback_Release(status->callback);
	*status = (struct status){NULL, NULL, RH_OK};
}

/* Several texts in UTF-16 at once; all NULL after a failure. */
static int widen(WCHAR **wide, const char *const *texts, size_t count)
{
	size_t i, length;

	for (i = 0; i < count; i++) {
		int code = utf16_from_utf8(texts[i], &wide[i], &length, NULL);

		if (code == RH_OK)
			continue;
		while (i > 0)
			free(wide[--i]);
		for (i = 0; i < count; i++)
			wide[i] = NULL;
		return code;
	}
	return RH_OK;
}

static void widen_free(WCHAR **wide, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(wide[i]);
}

/* Most events carry nothing but themselves: a DWORD 0, never NULL. */
static void send_plain(struct status *status, WMT_STATUS value, HRESULT hr)
{
	DWORD nothing = 0;

	IWMStatusCallback_OnStatus(
	    status->callback, value, hr, WMT_TYPE_DWORD, (BYTE *)&nothing, NULL);
}

static int send_text(struct status *status, WMT_STATUS value, HRESULT hr, const char *text)
{
	WCHAR *wide;
	int code = widen(&wide, &text, 1);

	if (code != RH_OK)
		return code;
	IWMStatusCallback_OnStatus(
	    status->callback, value, hr, WMT_TYPE_STRING, (BYTE *)wide, NULL);
	free(wide);
	return RH_OK;
}

static DWORD dword_of(uint64_t value)
{
	return value < UINT32_MAX ? (DWORD)value : UINT32_MAX;
}

/* The structure lives on this stack: it is told so in drmexternals.h. */
static void send_individualize(struct status *status, const rh_event *event)
{
	const rh_individualize *facts = event->individualize;
	char address[1024]; /* the structure's text may be written to */
	WM_INDIVIDUALIZE_STATUS value = {
	    .hr = rh_code_hresult(event->code),
	    .enIndiStatus = (DRM_INDIVIDUALIZATION_STATUS)facts->state,
	    .pszIndiRespUrl = address,
	    .dwHTTPRequest = facts->requests,
	    .enHTTPStatus = (DRM_HTTP_STATUS)facts->http,
	    .dwHTTPReadProgress = dword_of(facts->bytes),
	    .dwHTTPReadTotal = dword_of(facts->bytes_total),
	};

	snprintf(address, sizeof address, "%s", facts->service);
	IWMStatusCallback_OnStatus(status->callback, WMT_INDIVIDUALIZE, value.hr,
	    WMT_TYPE_BINARY, (BYTE *)&value, NULL);
}

static int send_status(struct status *status, const rh_event *event)
{
	int32_t value = rh_event_status(event->type);

	switch (value) {
	case -1:
		return RH_OK;
	case WMT_RESTRICTED_LICENSE:
		/* S_OK: it must not look like a failure of the backup. */
		return send_text(status, WMT_RESTRICTED_LICENSE, S_OK,
		    event->license != NULL ? event->license->key_id : "");
	case WMT_ERROR_WITHURL:
		return send_text(
		    status, WMT_ERROR_WITHURL, NS_E_DRM_RESTORE_FRAUD, event->text);
	case WMT_NEEDS_INDIVIDUALIZATION:
		send_plain(
		    status, WMT_NEEDS_INDIVIDUALIZATION, NS_E_DRM_NEEDS_INDIVIDUALIZATION);
		return RH_OK;
	case WMT_INDIVIDUALIZE:
		send_individualize(status, event);
		return RH_OK;
	default:
		send_plain(status, (WMT_STATUS)value, S_OK);
		return RH_OK;
	}
}

static int send_license(struct status *status, const rh_event *event)
{
	/* Of a damaged one nothing may be known. */
	static const rh_license unknown = {
	    .id = "", .key_id = "", .title = "", .issuer = "", .format = ""};
	const rh_license *license = event->license != NULL ? event->license : &unknown;
	const char *const texts[] = {license->id, license->key_id, license->title,
	    license->issuer, license->format, event->text, event->next_step};
	WCHAR *wide[sizeof texts / sizeof texts[0]];
	int code = widen(wide, texts, sizeof texts / sizeof texts[0]);
	REHOST_LICENSE facts;

	if (code != RH_OK)
		return code;
	facts = (REHOST_LICENSE){wide[0], wide[1], wide[2], wide[3], wide[4]};
	IRehostProgress_OnLicense(status->progress, &facts, event->code,
	    rh_code_hresult(event->code), wide[5], wide[6]);
	widen_free(wide, sizeof texts / sizeof texts[0]);
	return RH_OK;
}

static int send_words(struct status *status, const rh_event *event)
{
	const char *const texts[] = {event->text, event->next_step};
	WCHAR *wide[2];
	int code = widen(wide, texts, 2);

	if (code != RH_OK)
		return code;
	if (event->type == RH_EVENT_RECOVERY_KEY)
		IRehostProgress_OnRecoveryKey(status->progress, wide[0], wide[1]);
	else
		IRehostProgress_OnNotice(status->progress, event->code,
		    rh_code_hresult(event->code), wide[0], wide[1]);
	widen_free(wide, 2);
	return RH_OK;
}

static int send_progress(struct status *status, const rh_event *event)
{
	switch (event->type) {
	case RH_EVENT_TOTALS:
		IRehostProgress_OnTotals(status->progress, event->operation,
		    event->licenses_total, event->bytes_total);
		return RH_OK;
	case RH_EVENT_PROGRESS:
		IRehostProgress_OnProgress(
		    status->progress, event->licenses_done, event->bytes_done);
		return RH_OK;
	case RH_EVENT_RESTRICTED:
	case RH_EVENT_LICENSE:
		return send_license(status, event);
	case RH_EVENT_RECOVERY_KEY:
	case RH_EVENT_NOTICE:
	case RH_EVENT_LIMIT:
	case RH_EVENT_NEEDS_INDIVIDUALIZATION:
	case RH_EVENT_MEDIUM:
	case RH_EVENT_CONDITION:
		return send_words(status, event);
	default:
		return RH_OK;
	}
}

int status_event(void *context, const rh_event *event)
{
	struct status *status = context;
	int code;

	if (event->type == RH_EVENT_END)
		return 0;
	code = send_status(status, event);
	if (code == RH_OK && status->progress != NULL)
		code = send_progress(status, event);
	if (code == RH_OK)
		return 0;
	status->failure = code;
	return 1;
}

static void send_result(
    struct status *status, int code, const rh_error *error, const rh_summary *summary)
{
	static const WCHAR empty[] = u"";
	const REHOST_SUMMARY facts = {summary->licenses, summary->bytes, summary->done,
	    summary->already_here, summary->updated, summary->restricted, summary->failed};
	const char *texts[] = {"", ""};
	WCHAR *wide[2];

	if (code != RH_OK) {
		texts[0] = error->text[0] != '\0' ? error->text : rh_code_sentence(code);
		texts[1] = rh_code_next_step(code);
	}
	widen(wide, texts, 2); /* without memory the code must do */
	IRehostProgress_OnResult(status->progress, &facts, code, rh_code_hresult(code),
	    wide[0] != NULL ? wide[0] : empty, wide[1] != NULL ? wide[1] : empty);
	widen_free(wide, 2);
}

void status_end(
    struct status *status, int code, const rh_error *error, const rh_summary *summary)
{
	if (status->progress != NULL)
		send_result(status, code, error, summary);
	send_plain(status, WMT_BACKUPRESTORE_END, rh_code_hresult(code));
}
