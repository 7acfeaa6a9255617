#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/interrupt.h"
#include "cli/record.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "cli/condition.h"
#include "cli/events.h"

#define NAMED_MAX 20 /* licences named without --verbose */

static json_t *individualize_record(const rh_individualize *facts)
{
	static const char *const http[] = {
	    "idle", "connecting", "requesting", "receiving", "completed"};
	static const struct {
		int state;
		const char *name;
	} states[] = {{RH_INDIVIDUALIZE_BEGIN, "begin"},
	    {RH_INDIVIDUALIZE_DOWNLOAD, "download"}, {RH_INDIVIDUALIZE_INSTALL, "install"},
	    {RH_INDIVIDUALIZE_SUCCEED, "succeed"}, {RH_INDIVIDUALIZE_FAIL, "fail"},
	    {RH_INDIVIDUALIZE_CANCEL, "cancel"}};
	json_t *object = json_object();

	for (size_t i = 0; i < sizeof states / sizeof *states; i++)
		if (facts->state == states[i].state)
			json_object_set_new(object, "state", json_string(states[i].name));
	if (facts->http >= 0 && (size_t)facts->http < sizeof http / sizeof *http)
		json_object_set_new(object, "http", json_string(http[facts->http]));
	json_object_set_new(object, "requests", json_integer(facts->requests));
	json_object_set_new(object, "bytes", json_integer((json_int_t)facts->bytes));
	json_object_set_new(
	    object, "bytes_total", json_integer((json_int_t)facts->bytes_total));
	json_object_set_new(object, "service", record_text(facts->service));
	json_object_set_new(object, "privacy", record_text(facts->privacy));
	return object;
}

static json_t *medium_record(const rh_medium *medium)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:b,s:b,s:b,s:I,s:I,s:I}", "kind",
	    record_text(medium->kind), "name", record_text(medium->name), "device",
	    record_text(medium->device), "mount", record_text(medium->mount), "file_system",
	    record_text(medium->file_system), "removable", medium->removable, "read_only",
	    medium->read_only, "holds_store", medium->holds_store, "bytes_total",
	    (json_int_t)medium->bytes_total, "bytes_free", (json_int_t)medium->bytes_free,
	    "file_max", (json_int_t)medium->file_max);
}

json_t *report_event(const rh_event *event)
{
	unsigned fields = rh_event_fields(event->type);
	json_t *object = json_object();

	json_object_set_new(object, "event", json_string(rh_event_name(event->type)));
	json_object_set_new(
	    object, "operation", json_string(rh_operation_name(event->operation)));
	if (fields & RH_FIELD_TOTALS) {
		json_object_set_new(
		    object, "licenses_total", json_integer((json_int_t)event->licenses_total));
		json_object_set_new(
		    object, "bytes_total", json_integer((json_int_t)event->bytes_total));
	}
	if (fields & RH_FIELD_DONE) {
		json_object_set_new(
		    object, "licenses_done", json_integer((json_int_t)event->licenses_done));
		json_object_set_new(
		    object, "bytes_done", json_integer((json_int_t)event->bytes_done));
	}
	if (fields & RH_FIELD_LICENSE)
		json_object_set_new(object, "license",
		    event->license == NULL ? json_null() : record_license(event->license));
	if (fields & RH_FIELD_CODE)
		record_code(object, event->code, event->next_step);
	if (fields & RH_FIELD_TEXT)
		json_object_set_new(object, "text", record_text(event->text));
	if ((fields & RH_FIELD_INDIVIDUALIZE) && event->individualize != NULL)
		json_object_set_new(
		    object, "individualize", individualize_record(event->individualize));
	if ((fields & RH_FIELD_MEDIUM) && event->medium != NULL)
		json_object_set_new(object, "medium", medium_record(event->medium));
	if ((fields & RH_FIELD_DAMAGE) && event->damage != NULL)
		json_object_set_new(object, "damage", damage_record(event->damage));
	if ((fields & RH_FIELD_CONDITION) && event->condition != NULL)
		json_object_set_new(object, "condition", condition_record(event->condition));
	return object;
}

const char *report_count(char text[48], uint64_t number)
{
	char digits[TEXT_SIZE];

	snprintf(text, 48, "%s licence%s", text_number(digits, number), number == 1 ? "" : "s");
	return text;
}

/* Whether one more licence is to be named; counts those that are not. */
static bool may_name(struct report *report)
{
	if (report->verbose || report->named < NAMED_MAX) {
		report->named++;
		return true;
	}
	report->hidden++;
	return false;
}

static const char *license_title(const rh_license *license)
{
	return license->title[0] != '\0' ? license->title : license->id;
}

/* What the owner can do at once, once; that he can ask the issuer goes unsaid. */
static void say_next_step(struct report *report, const rh_event *event)
{
	if ((event->code != RH_E_SERVICE_KEYS && event->code != RH_E_LICENSE_ISSUER &&
		event->code != RH_E_LICENSE_COMPUTER) ||
	    event->code == report->hinted)
		return;
	report->hinted = event->code;
	talk_hint("%s", event->next_step);
}

static void say_restricted(struct report *report, const rh_event *event)
{
	const rh_license *license = event->license;

	if (license == NULL || !may_name(report))
		return;
	talk("left out: %s%s%s%s%s%s", license_title(license),
	    license->key_id[0] == '\0' ? "" : " (key id ", license->key_id,
	    license->key_id[0] == '\0' ? "" : ")", event->text[0] == '\0' ? "" : ": ",
	    event->text);
	say_next_step(report, event);
}

/* One line of a plan, which is data. */
static void print_plan(const rh_event *event)
{
	const rh_license *license = event->license;
	const char *what = "refuse";
	char *title, *id;

	switch (event->code) {
	case RH_S_ADDED:
		what = "restore";
		break;
	case RH_S_ALREADY_HERE:
		what = "keep";
		break;
	case RH_S_UPDATED:
		what = "update";
		break;
	case RH_S_STATE_MERGED:
		what = "keep, counts merged";
		break;
	case RH_S_OLDER:
		what = "keep, is newer here";
		break;
	case RH_S_COUNTS_STAY:
		what = "restore, no counts";
		break;
	case RH_S_FREE:
		what = "restore, free";
		break;
	case RH_S_COSTS:
		what = "restore, counts";
		break;
	case RH_E_LIMIT_REACHED:
		what = "limit reached";
		break;
	case RH_E_INDIVIDUALIZE:
	case RH_E_SERVICE_UNAVAILABLE:
		what = "needs its service";
		break;
	default:
		break;
	}
	title = text_safe(license == NULL ? event->text : license_title(license));
	id = text_safe(license == NULL ? "" : license->id);
	printf("%-19s  %s  %s\n", what, id == NULL ? "" : id, title == NULL ? "" : title);
	free(title);
	free(id);
}

static const char *result_word(int code)
{
	switch (code) {
	case RH_S_ADDED:
		return "added";
	case RH_S_ALREADY_HERE:
		return "already here";
	case RH_S_UPDATED:
		return "updated";
	case RH_S_STATE_MERGED:
		return "counts merged";
	case RH_S_OLDER:
		return "newer one kept";
	case RH_S_COUNTS_STAY:
		return "restored, its counts stay where it was issued to";
	case RH_S_GRANTED:
		return "restored, this computer was counted";
	case RH_S_FREE:
		return "restored, this computer is counted already";
	case RH_E_LIMIT_REACHED:
		return "limit reached";
	case RH_E_INDIVIDUALIZE:
	case RH_E_SERVICE_UNAVAILABLE:
		return "not restored";
	case RH_E_LICENSE_DAMAGED:
		return "lost";
	default:
		return "refused";
	}
}

/* Whether the words come from a service, or are about one, and do not name the licence. */
static bool is_of_service(int code)
{
	return code >= RH_E_SERVICE_UNAVAILABLE && code <= RH_E_SERVICE_UNKNOWN;
}

static void say_lost(const rh_license *license)
{
	bool key = license->key_id[0] != '\0';

	talk("lost: %s (%s %s)", license->title, key ? "key id" : "id",
	    key ? license->key_id : license->id);
}

static void say_license(struct report *report, const rh_event *event)
{
	bool failed = event->code < RH_S_ADDED && event->code != RH_OK;
	const char *place = event->text;
	char phrase[1024];

	if (report->operation == RH_OPERATION_PLAN) {
		print_plan(event);
		return;
	}
	if (!failed && !report->verbose)
		return;
	if (!may_name(report))
		return;
	if (place[0] == '\0')
		place = event->license != NULL
			    ? license_title(event->license)
			    : talk_phrase(phrase, sizeof phrase, rh_code_sentence(event->code));
	if (event->code == RH_E_LICENSE_DAMAGED && event->license != NULL &&
	    event->license->title[0] != '\0') {
		say_lost(event->license);
		return;
	}
	if (is_of_service(event->code) && event->license != NULL && event->text[0] != '\0') {
		talk("%s: %s: %s", result_word(event->code), license_title(event->license),
		    event->text);
		return;
	}
	talk("%s: %s",
	    failed && report->operation >= RH_OPERATION_VERIFY ? "damaged"
							       : result_word(event->code),
	    place);
	if (failed)
		say_next_step(report, event);
}

/* The address is what helps; the licence was named before. */
static void say_limit(struct report *report, const rh_event *event)
{
	if (report->operation != RH_OPERATION_PLAN && report->limits++ < NAMED_MAX)
		talk_hint("what you can do about %s: %s",
		    event->license != NULL ? license_title(event->license) : "it", event->text);
}

static void say(struct report *report, const rh_event *event)
{
	switch (event->type) {
	case RH_EVENT_RESTRICTED:
		say_restricted(report, event);
		break;
	case RH_EVENT_LICENSE:
		say_license(report, event);
		break;
	case RH_EVENT_NOTICE:
		talk("note: %s", event->text);
		break;
	case RH_EVENT_MEDIUM:
		if (event->operation == RH_OPERATION_BACKUP)
			talk("to %s", event->text);
		break;
	case RH_EVENT_DAMAGE:
		if (may_name(report))
			damage_say(event->damage);
		break;
	case RH_EVENT_CONDITION:
		condition_say(event->condition, event->operation);
		break;
	case RH_EVENT_LIMIT:
		say_limit(report, event);
		break;
	case RH_EVENT_NEEDS_INDIVIDUALIZATION:
		talk("A service has to learn of this computer first; what it keeps: %s",
		    event->text);
		break;
	case RH_EVENT_INDIVIDUALIZE:
		if (event->individualize->state == RH_INDIVIDUALIZE_BEGIN)
			talk("making this computer known to %s; what it keeps: %s",
			    event->individualize->service, event->individualize->privacy);
		break;
	default:
		break;
	}
}

static int on_event(void *context, const rh_event *event)
{
	struct report *report = context;
	bool stop = false;

	pthread_mutex_lock(&report->lock);
	if (event->type == RH_EVENT_MEDIUM)
		stop = !eject_medium(&report->eject, event);
	if (event->type == RH_EVENT_RECOVERY_KEY)
		report->key_made = true;
	if (event->type == RH_EVENT_CONDITION)
		report->state = event->condition->state;
	if (event->type == RH_EVENT_TOTALS)
		progress_totals(&report->progress, event);
	if (event->type == RH_EVENT_PROGRESS)
		progress_done(&report->progress, event);
	if (!record_wanted()) {
		say(report, event);
	} else if (event->type == RH_EVENT_END) {
		json_decref(report->end);
		report->end = report_event(event);
		report->end_code = event->code;
	} else {
		record_write(report_event(event));
	}
	pthread_mutex_unlock(&report->lock);
	return stop || interrupt_asked(NULL);
}

void report_start(struct report *report, int operation, const struct arguments *arguments)
{
	*report =
	    (struct report){.listener = {.on_event = on_event, .should_stop = interrupt_asked},
		.operation = operation,
		.state = RH_STATE_UNKNOWN,
		.verbose = option_given(arguments, OPTION_VERBOSE)};
	report->listener.context = report;
	pthread_mutex_init(&report->lock, NULL);
	progress_start(&report->progress, rh_operation_name(operation));
}

void report_skipped(struct report *report, const rh_error *error)
{
	rh_event event = {.type = RH_EVENT_LICENSE,
	    .operation = report->operation,
	    .code = error->code,
	    .text = error->text,
	    .next_step = rh_code_next_step(error->code)};

	pthread_mutex_lock(&report->lock);
	report->skipped++;
	if (record_wanted())
		record_write(report_event(&event));
	else
		say_license(report, &event);
	pthread_mutex_unlock(&report->lock);
}

static json_t *summary_json(const rh_summary *summary, uint64_t skipped)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "licenses",
	    (json_int_t)(summary->licenses + skipped), "bytes", (json_int_t)summary->bytes,
	    "done", (json_int_t)summary->done, "already_here",
	    (json_int_t)summary->already_here, "updated", (json_int_t)summary->updated,
	    "restricted", (json_int_t)summary->restricted, "failed",
	    (json_int_t)(summary->failed + skipped));
}

int report_finish(struct report *report, const rh_summary *summary, const rh_error *error)
{
	pthread_mutex_destroy(&report->lock);
	progress_end(&report->progress);
	if (report->hidden > 0) {
		char count[48];

		talk("... and %s more (--verbose names them all)",
		    text_number(count, report->hidden));
	}
	if (report->end != NULL) {
		if (summary != NULL)
			json_object_set_new(
			    report->end, "summary", summary_json(summary, report->skipped));
		record_write(report->end);
		report->end = NULL;
	}
	if (error->code != RH_OK && error->code != report->end_code)
		record_error(error);
	if (error->code != RH_OK)
		talk_failure(error);
	return rh_code_exit_status(error->code);
}
