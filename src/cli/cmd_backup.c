#include <stdio.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/error.h"
#include "cli/events.h"
#include "cli/exit.h"
#include "cli/record.h"
#include "cli/secret.h"
#include "cli/sheet.h"
#include "cli/talk.h"
#include "cli/text.h"

/* A key on a screen is for the owner; in the log of a job it would be a leak. */
static void say_key(rh_store *store)
{
	rh_recovery_key key = {NULL, NULL, NULL};
	rh_error error = {0};

	if (record_wanted() || !isatty(STDERR_FILENO)) {
		talk("a recovery key was made: 'rehost recovery show' shows it, "
		     "'rehost recovery sheet' makes a page to print");
		return;
	}
	if (rh_recovery_show(store, &key, &error) != RH_OK || key.code == NULL)
		return;
	fputs("\nYour recovery key was made.  Without it, this backup opens on this computer\n"
	      "only.  Write it down and keep it away from the backup:\n\n",
	    stderr);
	sheet_box(stderr, &key);
	fputs("\nIt is not shown by itself again; 'rehost recovery show' shows it as long as\n"
	      "this computer lives, 'rehost recovery sheet' makes a page to print.\n\n",
	    stderr);
	rh_recovery_free(&key);
}

static void say_summary(
    const struct report *report, const rh_summary *summary, const char *directory)
{
	char count[48], left_out[48], size[TEXT_SIZE], rest[96] = "";

	if (summary->restricted > 0)
		snprintf(rest, sizeof rest, "; %s left out",
		    report_count(left_out, summary->restricted));
	talk("backed up %s (%s) to %s%s", report_count(count, summary->done),
	    text_bytes(size, report->progress.bytes_total), directory, rest);
}

/* The operation was stopped because its medium is none to eject: says so in place of that. */
static void refuse_eject(const struct report *report, const char *directory, rh_error *error)
{
	const struct eject *eject = &report->eject;

	if (!eject->wanted || eject->possible || !eject->known || error->code != RH_E_CANCELED)
		return;
	error_set(error, RH_E_ARGUMENT,
	    "--eject: %s lies on a medium that is not taken away (%s)", directory, eject->what);
}

static int eject(const struct report *report, int status)
{
	rh_error error = {0};

	if (eject_run(&report->eject, &error) == RH_OK)
		return status;
	record_error(&error);
	talk_error("%s", error.text);
	return EXIT_ENVIRONMENT;
}

static int run(const struct arguments *arguments, rh_store *store, const char *passphrase)
{
	const char *directory = arguments->operands[0];
	rh_backup_options options = RH_BACKUP_OPTIONS_INIT;
	rh_summary summary = {0};
	rh_error error = {0};
	struct report report;
	int status;

	options.overwrite = option_given(arguments, OPTION_OVERWRITE);
	options.keep = option_number(arguments, OPTION_KEEP, 1);
	options.parity = option_number(arguments, OPTION_PARITY, options.parity);
	options.recipients = arguments->recipients;
	options.recipient_count = arguments->recipient_count;
	options.passphrase = passphrase;
	report_start(&report, RH_OPERATION_BACKUP, arguments);
	report.eject.wanted = option_given(arguments, OPTION_EJECT);
	rh_backup(store, directory, &options, &report.listener, &summary, &error);
	refuse_eject(&report, directory, &error);
	status = report_finish(&report, &summary, &error);
	if (status == EXIT_DONE)
		say_summary(&report, &summary, directory);
	if (report.key_made)
		say_key(store);
	if (status == EXIT_DONE && summary.restricted > 0)
		status = EXIT_PARTIAL;
	return error.code == RH_OK && report.eject.wanted ? eject(&report, status) : status;
}

int cmd_backup(const struct arguments *arguments)
{
	const char *path = arguments->values[OPTION_PASSPHRASE_FILE];
	struct secret passphrase = {.given = false};
	rh_store *store = NULL;
	rh_error error = {0};
	int status;

	if (cmd_open_store(arguments, 0, &store, &error) != RH_OK)
		return cmd_fail(&error);
	if (path != NULL && secret_read_passphrase(path, true, &passphrase, &error) != RH_OK)
		status = cmd_fail(&error);
	else
		status = run(arguments, store, passphrase.given ? passphrase.text : NULL);
	secret_wipe(&passphrase);
	rh_store_close(store);
	return status;
}
