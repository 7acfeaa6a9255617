#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"

#include "base/text.h"

#include "engine/report.h"

#define PROGRESS_NANOSECONDS 50000000 /* 20 times a second */

/*
 * The one table of events: the SDK object, the command line's JSON and
 * docs/events.md all come from it.  WMT_STATUS: wmsdkidl.h, -1 for events that
 * only IRehostProgress and the plain C face carry.
 */
static const struct {
	const char *name;
	int32_t status;
	unsigned fields;
	const char *meaning;
} events[] = {
    [RH_EVENT_BEGIN] = {"begin", 21, 0, "The work itself starts."},
    [RH_EVENT_END] = {"end", 27, RH_FIELD_CODE | RH_FIELD_DONE | RH_FIELD_TEXT,
	"The operation is over; the code is its result. Always the last event, always exactly "
	"one."},
    [RH_EVENT_CONNECTING] = {"connecting", 28, 0,
	"Restore: the credentials are being checked; the backup is opened."},
    [RH_EVENT_DISCONNECTING] = {"disconnecting", 29, 0,
	"Restore: the credentials were accepted."},
    [RH_EVENT_TOTALS] = {"totals", -1, RH_FIELD_TOTALS,
	"How much there is to do; before the first licence."},
    [RH_EVENT_PROGRESS] = {"progress", -1, RH_FIELD_TOTALS | RH_FIELD_DONE,
	"How much is done; at most 20 times a second."},
    [RH_EVENT_RESTRICTED] = {"restricted", 31, RH_FIELD_CODE | RH_FIELD_LICENSE | RH_FIELD_TEXT,
	"Backup: this licence was left out; code and text say why."},
    [RH_EVENT_LICENSE] = {"license", -1, RH_FIELD_CODE | RH_FIELD_LICENSE | RH_FIELD_TEXT,
	"The result of one licence that was not plainly copied; of every licence in a plan."},
    [RH_EVENT_RECOVERY_KEY] = {"recovery-key", -1, 0,
	"Backup: the owner's recovery key was made; show it to the owner."},
    [RH_EVENT_NOTICE] = {"notice", -1, RH_FIELD_TEXT, "Something that the owner should know."},
    [RH_EVENT_LIMIT] = {"limit", 30, RH_FIELD_CODE | RH_FIELD_LICENSE | RH_FIELD_TEXT,
	"Restore: the licence is on as many computers as it may be; the text is an address to "
	"open for the user."},
    [RH_EVENT_NEEDS_INDIVIDUALIZATION] = {"needs-individualization", 25,
	RH_FIELD_CODE | RH_FIELD_TEXT,
	"Restore: a service would have to be told of this computer, which was not allowed; the "
	"text is the address of its privacy notice."},
    [RH_EVENT_INDIVIDUALIZE] = {"individualize", 24, RH_FIELD_INDIVIDUALIZE,
	"This computer is being made known to a service."},
    [RH_EVENT_MEDIUM] = {"medium", -1, RH_FIELD_MEDIUM | RH_FIELD_TEXT,
	"What the directory lies on; before the work starts."},
    [RH_EVENT_DAMAGE] = {"damage", -1, RH_FIELD_DAMAGE,
	"Verify, repair: a run of bad bytes on the medium."},
    [RH_EVENT_CONDITION] = {"condition", -1, RH_FIELD_CONDITION | RH_FIELD_CODE | RH_FIELD_TEXT,
	"How a backup has lasted: verify and repair after they looked at all of it, restore "
	"after "
	"it mended something."},
};
#define EVENT_COUNT ((int)(sizeof events / sizeof *events))

static const char *const operations[] = {
    [RH_OPERATION_ADD] = "add",
    [RH_OPERATION_BACKUP] = "backup",
    [RH_OPERATION_RESTORE] = "restore",
    [RH_OPERATION_PLAN] = "plan",
    [RH_OPERATION_VERIFY] = "verify",
    [RH_OPERATION_EXPORT] = "export",
    [RH_OPERATION_CHECK] = "check",
    [RH_OPERATION_INSPECT] = "inspect",
    [RH_OPERATION_INDIVIDUALIZE] = "individualize",
    [RH_OPERATION_REPAIR] = "repair",
};

const char *rh_event_name(int type)
{
	return type >= 0 && type < EVENT_COUNT ? events[type].name : NULL;
}

int32_t rh_event_status(int type)
{
	return type >= 0 && type < EVENT_COUNT ? events[type].status : -1;
}

unsigned rh_event_fields(int type)
{
	return type >= 0 && type < EVENT_COUNT ? events[type].fields : 0;
}

const char *rh_event_meaning(int type)
{
	return type >= 0 && type < EVENT_COUNT ? events[type].meaning : NULL;
}

const char *rh_operation_name(int operation)
{
	int count = (int)(sizeof operations / sizeof *operations);

	return operation >= 0 && operation < count ? operations[operation] : NULL;
}

const char *rh_state_name(int state)
{
	static const char *const names[] = {[RH_STATE_WHOLE] = "whole",
	    [RH_STATE_MENDABLE] = "mendable",
	    [RH_STATE_LOST] = "lost",
	    [RH_STATE_UNKNOWN] = "unknown"};

	return state >= 0 && state <= RH_STATE_UNKNOWN ? names[state] : NULL;
}

void report_init(
    struct report *report, const rh_listener *listener, enum rh_operation operation)
{
	*report = (struct report){.listener = listener, .operation = operation};
	language_of_user(report->language);
}

/* ${event} says what is particular to it; its text is not NULL. */
static void send_event(struct report *report, rh_event event)
{
	const rh_listener *listener = report->listener;

	event.operation = report->operation;
	event.licenses_total = report->licenses_total;
	event.licenses_done = report->licenses_done;
	event.bytes_total = report->bytes_total;
	event.bytes_done = report->bytes_done;
	event.next_step = event.code != RH_OK ? rh_code_next_step(event.code) : "";
	if (listener == NULL || listener->on_event == NULL)
		return;
	if (listener->on_event(listener->context, &event) != 0)
		report->stopped = true;
}

static void send(struct report *report, enum rh_event_type type, int code,
    const rh_license *license, const char *text)
{
	send_event(
	    report, (rh_event){.type = type, .code = code, .license = license, .text = text});
}

void report_event(struct report *report, enum rh_event_type type)
{
	send(report, type, RH_OK, NULL, "");
}

void report_notice(struct report *report, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	send(report, RH_EVENT_NOTICE, RH_OK, NULL, text);
}

void report_totals(struct report *report, uint64_t licenses, uint64_t bytes)
{
	report->licenses_total = licenses;
	report->bytes_total = bytes;
	report->licenses_done = 0;
	report->bytes_done = 0;
	send(report, RH_EVENT_TOTALS, RH_OK, NULL, "");
}

void report_done(struct report *report, uint64_t licenses, uint64_t bytes)
{
	uint64_t now = clock_monotonic();

	report->licenses_done += licenses;
	report->bytes_done += bytes;
	if (now < report->next_progress)
		return;
	report->next_progress = now + PROGRESS_NANOSECONDS;
	send(report, RH_EVENT_PROGRESS, RH_OK, NULL, "");
}

void report_license(
    struct report *report, int code, const rh_license *license, const char *text)
{
	send(report, RH_EVENT_LICENSE, code, license, text);
}

void report_restricted(
    struct report *report, int code, const rh_license *license, const char *text)
{
	send(report, RH_EVENT_RESTRICTED, code, license, text);
}

void report_limit(struct report *report, const rh_license *license, const char *address)
{
	send(report, RH_EVENT_LIMIT, RH_E_LIMIT_REACHED, license, address);
}

void report_needs_individualization(struct report *report, const char *privacy)
{
	send(report, RH_EVENT_NEEDS_INDIVIDUALIZATION, RH_E_INDIVIDUALIZE, NULL, privacy);
}

void report_individualize(struct report *report, const rh_individualize *individualize)
{
	int code = RH_OK;

	if (individualize->state == RH_INDIVIDUALIZE_FAIL)
		code = RH_E_INDIVIDUALIZE_FAILED;
	else if (individualize->state == RH_INDIVIDUALIZE_CANCEL)
		code = RH_E_CANCELED;
	send_event(report, (rh_event){.type = RH_EVENT_INDIVIDUALIZE,
			       .code = code,
			       .text = "",
			       .individualize = individualize});
}

void report_medium(struct report *report, const rh_medium *medium, const char *text)
{
	send_event(report, (rh_event){.type = RH_EVENT_MEDIUM, .text = text, .medium = medium});
}

void report_damage(struct report *report, const rh_damage *damage)
{
	send_event(report, (rh_event){.type = RH_EVENT_DAMAGE, .text = "", .damage = damage});
}

static int condition_words(const rh_condition *condition, char *text, size_t size)
{
	char bad[TEXT_AMOUNT_SIZE], part[TEXT_AMOUNT_SIZE];

	text[0] = '\0';
	text_amount(bad, condition->bytes_bad);
	if (condition->bytes_lost > 0) {
		snprintf(text, size, "%s of %s are damaged, %s of them beyond repair", bad,
		    condition->file, text_amount(part, condition->bytes_lost));
		return RH_E_BACKUP_CORRUPT;
	}
	if (condition->bytes_mended > 0)
		snprintf(text, size, "%s of %s were damaged and were mended",
		    text_amount(part, condition->bytes_mended), condition->file);
	else if (condition->state == RH_STATE_MENDABLE)
		snprintf(text, size,
		    "%s of %s and its parity file are damaged and can be mended; %u %% of "
		    "the reserve is used",
		    bad, condition->file, (unsigned)condition->reserve);
	return condition->state == RH_STATE_MENDABLE ? RH_E_BACKUP_MENDABLE : RH_OK;
}

void report_condition(struct report *report, const rh_condition *condition)
{
	char text[256];
	int code = condition_words(condition, text, sizeof text);

	send_event(report, (rh_event){.type = RH_EVENT_CONDITION,
			       .code = code,
			       .text = text,
			       .condition = condition});
}

int report_end(struct report *report, int code, const rh_error *error)
{
	const char *text =
	    code != RH_OK && error != NULL && error->code == code ? error->text : "";

	send(report, RH_EVENT_END, code, NULL, text);
	return code;
}

int report_stop(void *context)
{
	struct report *report = context;
	const rh_listener *listener = report->listener;

	if (!report->stopped && listener != NULL && listener->should_stop != NULL)
		report->stopped = listener->should_stop(listener->context) != 0;
	return report->stopped;
}

int report_check(struct report *report, rh_error *error)
{
	if (!report_stop(report))
		return RH_OK;
	return error_set(error, RH_E_CANCELED, "the operation was canceled");
}

const rh_license *license_view(struct license_view *view, const char *language,
    const struct license *facts, uint64_t bytes, int64_t added)
{
	license_title(facts, language, view->title, sizeof view->title);
	view->license = (rh_license){
	    .id = facts->id,
	    .key_id = facts->key_id,
	    .format = facts->format != NULL ? facts->format : "",
	    .issuer = facts->issuer,
	    .title = view->title,
	    .service = facts->service,
	    .reason = facts->reason != NULL ? facts->reason : "",
	    .issued = facts->issued,
	    .not_before = facts->not_before,
	    .not_after = facts->not_after,
	    .counts = view->counts,
	    .count_count = facts->count_count,
	    .backup = (int32_t)facts->backup,
	    .license_class = (int32_t)license_class(facts),
	    .bytes = bytes,
	    .added = added,
	};
	for (size_t i = 0; i < facts->count_count; i++)
		view->counts[i] =
		    (rh_count){facts->counts[i].action, facts->counts[i].remaining};
	return &view->license;
}
