#include <stdio.h>
#include <stdlib.h>

#include "cli/cmd.h"
#include "cli/error.h"
#include "cli/events.h"
#include "cli/exit.h"
#include "cli/keys.h"
#include "cli/record.h"
#include "cli/talk.h"
#include "cli/text.h"

/* ---- check: the store ---- */

int cmd_check(const struct arguments *arguments)
{
	rh_summary summary = {0};
	rh_store *store = NULL;
	rh_error error = {0};
	struct report report;
	char count[48], size[TEXT_SIZE];
	int status;

	if (cmd_open_store(arguments, RH_STORE_READ_ONLY, &store, &error) != RH_OK)
		return cmd_fail(&error);
	report_start(&report, RH_OPERATION_CHECK, arguments);
	rh_store_check(store, &report.listener, &summary, &error);
	status = report_finish(&report, &summary, &error);
	if (status == EXIT_DONE)
		talk("the store is whole: %s (%s) in %s", report_count(count, summary.licenses),
		    text_bytes(size, summary.bytes), rh_store_directory(store));
	rh_store_close(store);
	return status == EXIT_DONE && summary.failed > 0 ? EXIT_DAMAGED : status;
}

/* ---- verify ---- */

static void say_verified(const rh_summary *summary, int state, bool deep, const char *directory)
{
	char count[48], size[TEXT_SIZE];

	if (deep || summary->done > 0)
		talk("the backup in %s is whole: %s (%s) read and compared", directory,
		    report_count(count, summary->done), text_bytes(size, summary->bytes));
	else
		talk("%s of the backup in %s is %s; with a recovery key, every licence can be "
		     "read and compared",
		    state == RH_STATE_WHOLE ? "every byte" : "the structure", directory,
		    state == RH_STATE_WHOLE ? "as it was written" : "whole");
}

static int run_verify(const struct arguments *arguments, rh_store *store, struct keys *keys)
{
	const char *directory = arguments->operands[0];
	bool deep = option_given(arguments, OPTION_DEEP);
	rh_summary summary;
	rh_error error;
	struct report report;
	int status;

	do {
		rh_open_options options = keys_options(arguments, keys);

		options.deep = deep;
		summary = (rh_summary){0};
		error = (rh_error){0};
		report_start(&report, RH_OPERATION_VERIFY, arguments);
		rh_verify(store, directory, &options, &report.listener, &summary, &error);
	} while (error.code != RH_OK && keys_ask(keys, directory, &error));
	status = report_finish(&report, &summary, &error);
	if (status == EXIT_DONE && summary.failed == 0)
		say_verified(&summary, report.state, deep, directory);
	return status == EXIT_DONE && summary.failed > 0 ? EXIT_DAMAGED : status;
}

int cmd_verify(const struct arguments *arguments)
{
	rh_store *store = NULL;
	rh_error error = {0};
	struct keys keys;
	int status;

	if (keys_read(arguments, &keys, &error) != RH_OK) {
		status = cmd_fail(&error);
	} else {
		cmd_open_keys(arguments, &store);
		status = run_verify(arguments, store, &keys);
	}
	keys_wipe(&keys);
	rh_store_close(store);
	return status;
}

/* ---- export ---- */

static int run_export(const struct arguments *arguments, rh_store *store, struct keys *keys)
{
	const char *directory = arguments->operands[0], *target = arguments->values[OPTION_TO];
	rh_summary summary;
	rh_error error;
	struct report report;
	char count[48], size[TEXT_SIZE];
	int status;

	do {
		rh_open_options options = keys_options(arguments, keys);

		summary = (rh_summary){0};
		error = (rh_error){0};
		report_start(&report, RH_OPERATION_EXPORT, arguments);
		rh_export(
		    store, directory, target, &options, &report.listener, &summary, &error);
	} while (error.code != RH_OK && keys_ask(keys, directory, &error));
	status = report_finish(&report, &summary, &error);
	if (status == EXIT_DONE)
		talk("wrote %s (%s) to %s", report_count(count, summary.done),
		    text_bytes(size, summary.bytes), target);
	return status == EXIT_DONE && summary.failed > 0 ? EXIT_PARTIAL : status;
}

int cmd_export(const struct arguments *arguments)
{
	rh_store *store = NULL;
	rh_error error = {0};
	struct keys keys;
	int status;

	if (!option_given(arguments, OPTION_TO)) {
		talk_error("export needs --to TARGET");
		talk_hint("TARGET is a new or empty directory for the licences");
		return EXIT_USAGE;
	}
	if (keys_read(arguments, &keys, &error) != RH_OK) {
		status = cmd_fail(&error);
	} else {
		cmd_open_keys(arguments, &store);
		status = run_export(arguments, store, &keys);
	}
	keys_wipe(&keys);
	rh_store_close(store);
	return status;
}

/* ---- inspect ---- */

struct inspection {
	bool licenses; /* list them */
	bool opened;
	uint64_t generations;
};

static void on_generation(void *context, const rh_generation *generation)
{
	struct inspection *inspection = context;
	char time[TEXT_SIZE], size[TEXT_SIZE];
	char *file;

	inspection->generations++;
	if (record_wanted()) {
		record_write(json_pack("{s:{s:o,s:o,s:o,s:I,s:b}}", "generation", "file",
		    record_text(generation->file), "id", record_text(generation->id), "created",
		    record_time(generation->created), "bytes", (json_int_t)generation->bytes,
		    "whole", generation->whole));
		return;
	}
	file = text_safe(generation->file);
	printf("%-8s  %s, %s, %s%s\n", inspection->generations == 1 ? "Backup" : "Older",
	    text_minute(time, generation->created), text_bytes(size, generation->bytes),
	    file == NULL ? "" : file, generation->whole ? "" : ", damaged");
	free(file);
}

static void on_header(void *context, const rh_backup_header *header)
{
	const struct inspection *inspection = context;
	char count[48], size[TEXT_SIZE], *computer, *generator;

	if (record_wanted()) {
		record_write(json_pack("{s:{s:o,s:o,s:o,s:o,s:i,s:I,s:I,s:I,s:I}}", "backup",
		    "id", record_text(header->id), "created", record_time(header->created),
		    "generator", record_text(header->generator), "computer_id",
		    record_text(header->computer_id), "format_version", header->format_version,
		    "owned", (json_int_t)header->owned, "managed", (json_int_t)header->managed,
		    "restricted", (json_int_t)header->restricted, "bytes",
		    (json_int_t)header->bytes));
		return;
	}
	computer = text_safe(header->computer_id);
	generator = text_safe(header->generator);
	printf("\nHolds     %s (%s)", report_count(count, header->owned + header->managed),
	    text_bytes(size, header->bytes));
	if (header->managed > 0)
		printf(", %s of them managed", text_number(size, header->managed));
	if (header->restricted > 0)
		printf("; %s left out, restricted", text_number(size, header->restricted));
	printf("\nComputer  %s\nWritten   by %s, format %d\n", computer == NULL ? "" : computer,
	    generator == NULL ? "" : generator, header->format_version);
	if (inspection->licenses)
		putchar('\n');
	free(computer);
	free(generator);
}

static int on_license(void *context, const rh_license *license)
{
	char *title, *id;

	(void)context;
	if (record_wanted()) {
		record_write_many(json_pack("{s:o}", "license", record_license(license)));
		return 0;
	}
	title = text_safe(license->title);
	id = text_safe(license->id);
	printf("%s  %s\n", id == NULL ? "" : id, title == NULL ? "" : title);
	free(title);
	free(id);
	return 0;
}

int cmd_inspect(const struct arguments *arguments)
{
	struct inspection inspection = {0};
	rh_inspector inspector = {on_generation, on_header, NULL, &inspection};
	rh_store *store = NULL;
	rh_open_options options;
	rh_error error = {0};
	struct keys keys;
	int code;

	inspection.licenses =
	    option_given(arguments, OPTION_LICENSES) || option_given(arguments, OPTION_FILTER);
	if (inspection.licenses)
		inspector.on_license = on_license;
	code = keys_read(arguments, &keys, &error);
	if (code == RH_OK) {
		cmd_open_keys(arguments, &store);
		options = keys_options(arguments, &keys);
		code = rh_inspect(store, arguments->operands[0], &options, &inspector, &error);
	}
	keys_wipe(&keys);
	rh_store_close(store);
	/* Who asked for nothing that needs a key was told what can be told without. */
	if (code == RH_E_SECRET_NEEDED && inspection.generations > 0 && !inspection.licenses) {
		talk("with the recovery key, rehost can tell what is in it");
		code = RH_OK;
	}
	return code == RH_OK ? EXIT_DONE : cmd_fail(&error);
}
