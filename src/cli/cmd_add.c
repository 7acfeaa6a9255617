#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/error.h"
#include "cli/events.h"
#include "cli/exit.h"
#include "cli/input.h"
#include "cli/talk.h"
#include "cli/text.h"

static int check_format(const char *name)
{
	char names[256] = "";

	for (size_t i = 0; name != NULL && rh_format_name(i) != NULL; i++) {
		size_t used = strlen(names);

		if (strcmp(rh_format_name(i), name) == 0)
			return EXIT_DONE;
		snprintf(names + used, sizeof names - used, "%s%s", i == 0 ? "" : ", ",
		    rh_format_name(i));
	}
	if (name == NULL)
		return EXIT_DONE;
	talk_error("unknown format: %s", name);
	talk_hint("known formats: %s", names);
	return EXIT_USAGE;
}

static void skipped(void *context, const rh_error *error)
{
	report_skipped(context, error);
}

static void say_summary(const struct report *report, const rh_summary *summary)
{
	uint64_t refused = summary->failed + report->skipped;
	char count[48], size[TEXT_SIZE], here[64] = "", updated[64] = "", failed[64] = "";
	char number[TEXT_SIZE];

	if (summary->already_here > 0)
		snprintf(here, sizeof here, "; %s already here",
		    text_number(number, summary->already_here));
	if (summary->updated > 0)
		snprintf(updated, sizeof updated, "; %s updated",
		    text_number(number, summary->updated));
	if (refused > 0)
		snprintf(failed, sizeof failed, "; %s refused", text_number(number, refused));
	talk("added %s (%s read)%s%s%s", report_count(count, summary->done),
	    text_bytes(size, summary->bytes), updated, here, failed);
}

int cmd_add(const struct arguments *arguments)
{
	int status = check_format(arguments->values[OPTION_FORMAT]);
	rh_summary summary = {0};
	struct input *input = NULL;
	rh_store *store = NULL;
	rh_error error = {0};
	struct report report;
	int code;

	if (status != EXIT_DONE)
		return status;
	code = input_new(arguments->operands, arguments->operand_count,
	    arguments->values[OPTION_FORMAT], skipped, &report, &input, &error);
	if (code == RH_OK)
		code = cmd_open_store(arguments, RH_STORE_CREATE, &store, &error);
	if (code != RH_OK) {
		input_free(input);
		return cmd_fail(&error);
	}
	report_start(&report, RH_OPERATION_ADD, arguments);
	rh_add(store, input_next, input, &report.listener, &summary, &error);
	status = report_finish(&report, &summary, &error);
	if (status == EXIT_DONE)
		say_summary(&report, &summary);
	if (status == EXIT_DONE && summary.failed + report.skipped > 0)
		status = EXIT_PARTIAL;
	rh_store_close(store);
	input_free(input);
	return status;
}
