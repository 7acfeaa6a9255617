#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cmd.h"
#include "cli/error.h"
#include "cli/exit.h"
#include "cli/record.h"
#include "cli/text.h"

/*
 * One licence, explained to its owner: first in plain words, then the facts behind them.
 */

#define LINE_SIZE 1024

static void print_field(const char *name, const char *text)
{
	char *safe = text_safe(text[0] == '\0' ? "unknown" : text);

	printf("%-12s  %s\n", name, safe == NULL ? "" : safe);
	free(safe);
}

/* "2 days", "36 hours", "90 seconds": in the largest unit that says it whole. */
static const char *duration(char text[TEXT_SIZE], int64_t seconds)
{
	static const struct {
		int64_t seconds;
		const char *one;
	} units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
	size_t i = 0;

	while (seconds % units[i].seconds != 0)
		i++;
	snprintf(text, TEXT_SIZE, "%lld %s%s", (long long)(seconds / units[i].seconds),
	    units[i].one, seconds / units[i].seconds == 1 ? "" : "s");
	return text;
}

/* ---- What it is for ---- */

/* Adds to ${line}, which has LINE_SIZE bytes. */
static void append(char *line, const char *text)
{
	size_t used = strlen(line);

	snprintf(line + used, LINE_SIZE - used, "%s", text);
}

static void describe_count(char *line, const rh_rights *rights, const rh_action *action)
{
	char left[TEXT_SIZE], granted[TEXT_SIZE], text[160];

	if (action->granted == UINT64_MAX) {
		append(line, "as often as you like");
		return;
	}
	text_number(granted, action->granted);
	/* Its issuer is not trusted: what is left is not known. */
	if (action->denied & RH_DENIED_NO_RIGHT)
		snprintf(text, sizeof text, "%s times", granted);
	else if (!rights->here)
		snprintf(text, sizeof text,
		    "%s times, but only on the computer that it was issued to", granted);
	else if (action->remaining == 0)
		snprintf(text, sizeof text, "nothing left of %s times", granted);
	else
		snprintf(text, sizeof text, "%s of %s times left",
		    text_number(left, action->remaining), granted);
	append(line, text);
}

static void describe_period(char *line, const rh_rights *rights, const rh_action *action)
{
	char period[TEXT_SIZE], minute[TEXT_SIZE], text[160];

	if (action->period == 0)
		return;
	if (rights->first_use == RH_TIME_NONE)
		snprintf(text, sizeof text, ", for %s from the first use on",
		    duration(period, action->period));
	else
		snprintf(text, sizeof text, ", for %s from the first use on %s",
		    duration(period, action->period), text_minute(minute, rights->first_use));
	append(line, text);
}

/* Why it is not possible now, if the line does not say so yet. */
static const char *obstacle(const rh_action *action)
{
	if (action->denied == 0)
		return "";
	if (action->denied & RH_DENIED_NOT_STARTED)
		return " (not yet)";
	if (action->denied & RH_DENIED_EXPIRED)
		return " (over)";
	if (action->denied & RH_DENIED_CLOCK)
		return " (not while the clock of this computer is set back)";
	if (action->denied & RH_DENIED_CHAIN)
		return " (not without the root licence)";
	if (action->denied & RH_DENIED_SPENT)
		return "";
	return " (not while its issuer is not trusted here)";
}

static void print_actions(const rh_rights *rights)
{
	char line[LINE_SIZE];

	if (!rights->known) {
		print_field(
		    "For", "what its own program allows: its format does not tell more");
		return;
	}
	if (rights->action_count == 0)
		print_field("For", "nothing that Rehost could tell");
	for (size_t i = 0; i < rights->action_count; i++) {
		const rh_action *action = &rights->actions[i];

		line[0] = '\0';
		append(line, action->name);
		append(line, ": ");
		describe_count(line, rights, action);
		describe_period(line, rights, action);
		append(line, obstacle(action));
		print_field(i == 0 ? "For" : "", line);
	}
	if (rights->vague)
		print_field("", "and there are conditions that Rehost does not know");
	if (rights->root[0] != '\0') {
		snprintf(line, sizeof line, "the root licence of key id %s", rights->root);
		print_field("Needs", line);
	}
}

static void print_times(const rh_license *license)
{
	char minute[TEXT_SIZE], text[64];
	time_t now = time(NULL);

	if (license->not_before != RH_TIME_NONE) {
		snprintf(text, sizeof text, "%s%s", text_minute(minute, license->not_before),
		    license->not_before > now ? " (not yet)" : "");
		print_field("Valid from", text);
	}
	if (license->not_after == RH_TIME_NONE) {
		print_field("Valid until", "no end");
		return;
	}
	snprintf(text, sizeof text, "%s%s", text_minute(minute, license->not_after),
	    license->not_after < now ? " (expired)" : "");
	print_field("Valid until", text);
}

/* ---- Where it may go ---- */

static bool counts_stay(const rh_rights *rights)
{
	for (size_t i = 0; rights->computer[0] != '\0' && i < rights->action_count; i++)
		if (rights->actions[i].granted != UINT64_MAX)
			return true;
	return false;
}

static void print_backup(const rh_license *license, const rh_rights *rights)
{
	char line[LINE_SIZE];

	switch (license->license_class) {
	case RH_CLASS_OWNED:
		snprintf(line, sizeof line,
		    "yes; with your recovery key it can be restored on any computer%s",
		    counts_stay(rights)
			? "; what is counted stays on the one that it was issued to"
			: "");
		print_field("Backup", line);
		break;
	case RH_CLASS_MANAGED:
		snprintf(line, sizeof line,
		    "yes; a restore on another computer needs the service %s, which counts "
		    "them",
		    license->service);
		print_field("Backup", line);
		break;
	default:
		snprintf(line, sizeof line, "no; it may not leave this computer%s%s",
		    license->reason[0] != '\0' ? ": " : "", license->reason);
		print_field("Backup", line);
	}
}

static void print_computers(const rh_rights *rights)
{
	char number[TEXT_SIZE], line[LINE_SIZE] = "";

	if (rights->computer[0] != '\0')
		append(line, rights->here ? "issued to this computer"
					  : "issued to another computer and restored here");
	if (rights->computers > 0) {
		append(line, line[0] != '\0' ? "; at most " : "at most ");
		append(line, text_number(number, rights->computers));
		append(line, rights->computers == 1
				 ? " computer may hold it"
				 : " computers may hold it, the first included");
	}
	if (line[0] != '\0')
		print_field("Computers", line);
}

/* ---- The whole ---- */

static const char *format_title(const char *name)
{
	for (size_t i = 0; rh_format_name(i) != NULL; i++)
		if (strcmp(rh_format_name(i), name) == 0)
			return rh_format_title(i);
	return name;
}

static void print_facts(const rh_license *license)
{
	char text[TEXT_SIZE];

	print_field("Class", record_class(license->license_class));
	print_field("Id", license->id);
	print_field("Key id", license->key_id);
	print_field("Format", format_title(license->format));
	if (license->issued != RH_TIME_NONE)
		print_field("Issued", text_minute(text, license->issued));
	print_field("Size", text_bytes(text, license->bytes));
	if (license->added != RH_TIME_NONE)
		print_field("Added", text_minute(text, license->added));
}

static json_t *json_count(uint64_t count)
{
	return count == UINT64_MAX ? json_null() : json_integer((json_int_t)count);
}

static json_t *json_rights(const rh_rights *rights)
{
	json_t *actions = json_array();

	if (!rights->known) {
		json_decref(actions);
		return json_null();
	}
	for (size_t i = 0; i < rights->action_count; i++) {
		const rh_action *action = &rights->actions[i];

		json_array_append_new(actions,
		    json_pack("{s:o,s:o,s:o,s:o,s:o,s:b,s:i}", "action",
			record_text(action->name), "granted", json_count(action->granted),
			"remaining", json_count(action->remaining), "period",
			action->period == 0 ? json_null() : json_integer(action->period),
			"ends", record_time(action->ends), "allowed", action->denied == 0,
			"denied", (int)action->denied));
	}
	return json_pack("{s:o,s:b,s:i,s:o,s:o,s:o,s:b,s:o}", "actions", actions, "vague",
	    rights->vague, "priority", (int)rights->priority, "computers",
	    rights->computers == 0 ? json_null() : json_integer(rights->computers),
	    "root_key_id", record_text_or_null(rights->root), "computer",
	    record_text_or_null(rights->computer), "here", rights->here, "first_use",
	    record_time(rights->first_use));
}

static int show(void *context, const rh_license *license, const rh_rights *rights)
{
	(void)context;
	if (record_wanted()) {
		json_t *object = record_license(license);

		json_object_set_new(object, "added", record_time(license->added));
		json_object_set_new(object, "reason", record_text_or_null(license->reason));
		json_object_set_new(object, "rights", json_rights(rights));
		record_write(object);
		return 0;
	}
	print_field("Title", license->title);
	print_field("Issuer", license->issuer);
	print_actions(rights);
	print_times(license);
	print_backup(license, rights);
	print_computers(rights);
	putchar('\n');
	print_facts(license);
	return 0;
}

int cmd_show(const struct arguments *arguments)
{
	rh_store *store = NULL;
	rh_error error = {0};
	int code;

	if (cmd_open_store(arguments, RH_STORE_READ_ONLY, &store, &error) != RH_OK)
		return cmd_fail(&error);
	code = rh_license_rights(store, arguments->operands[0], show, NULL, &error);
	rh_store_close(store);
	return code == RH_OK ? EXIT_DONE : cmd_fail(&error);
}
