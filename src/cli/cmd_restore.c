#include <stdio.h>

#include "cli/cmd.h"
#include "cli/events.h"
#include "cli/exit.h"
#include "cli/keys.h"
#include "cli/record.h"
#include "cli/secret.h"
#include "cli/talk.h"
#include "cli/text.h"

static void say_part(char *text, size_t size, uint64_t number, const char *words)
{
	char digits[TEXT_SIZE];

	text[0] = '\0';
	if (number > 0)
		snprintf(text, size, "; %s %s", text_number(digits, number), words);
}

static void say_summary(const rh_summary *summary, bool plan, const char *directory)
{
	char count[48], here[64], updated[64], failed[64];

	say_part(here, sizeof here, summary->already_here, plan ? "are here" : "were here");
	say_part(
	    updated, sizeof updated, summary->updated, plan ? "would be updated" : "updated");
	say_part(
	    failed, sizeof failed, summary->failed, plan ? "would be refused" : "not restored");
	talk("%s %s from %s%s%s%s", plan ? "would restore" : "restored",
	    report_count(count, summary->done), directory, here, updated, failed);
}

/*
 * Asks, once, whether a service may learn of this computer, after a restore that needed it; its
 * address of what it keeps has been shown.
 */
static bool agree_to_individualize(
    const struct arguments *arguments, bool *agreed, rh_error *error)
{
	if (*agreed || error->code != RH_E_INDIVIDUALIZE || record_wanted() ||
	    option_given(arguments, OPTION_PLAN) || !secret_can_ask())
		return false;
	*agreed = secret_confirm("Make this computer known there, and go on? (yes/no) ");
	return *agreed;
}

static int run(const struct arguments *arguments, rh_store *store, struct keys *keys)
{
	const char *directory = arguments->operands[0];
	bool plan = option_given(arguments, OPTION_PLAN);
	rh_summary summary;
	rh_error error;
	bool agreed = option_given(arguments, OPTION_INDIVIDUALIZE);
	struct report report;
	int status;

	do {
		rh_open_options options = keys_options(arguments, keys);

		options.individualize = agreed;
		summary = (rh_summary){0};
		error = (rh_error){0};
		report_start(
		    &report, plan ? RH_OPERATION_PLAN : RH_OPERATION_RESTORE, arguments);
		rh_restore(store, directory, &options, &report.listener, &summary, &error);
	} while (
	    error.code != RH_OK && (keys_ask(keys, directory, &error) ||
				       agree_to_individualize(arguments, &agreed, &error)));
	status = report_finish(&report, &summary, &error);
	if (status == EXIT_DONE || error.code == RH_E_NOT_ALL_STORED ||
	    error.code == RH_E_LIMIT_REACHED || error.code == RH_E_INDIVIDUALIZE)
		say_summary(&summary, plan, directory);
	return status == EXIT_DONE && summary.failed > 0 ? EXIT_PARTIAL : status;
}

int cmd_restore(const struct arguments *arguments)
{
	bool plan = option_given(arguments, OPTION_PLAN);
	rh_store *store = NULL;
	rh_error error = {0};
	struct keys keys;
	int code, status;

	code = keys_read(arguments, &keys, &error);
	/* A plan for a computer without a store makes none, unless for an identity. */
	if (code == RH_OK)
		code = cmd_open_store(arguments,
		    plan && !option_given(arguments, OPTION_INDIVIDUALIZE) ? 0
									   : RH_STORE_CREATE,
		    &store, &error);
	if (code == RH_E_STORE_MISSING && plan)
		code = RH_OK;
	if (code != RH_OK)
		status = cmd_fail(&error);
	else
		status = run(arguments, store, &keys);
	keys_wipe(&keys);
	rh_store_close(store);
	return status;
}
