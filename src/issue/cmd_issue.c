#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/pipeline.h"
#include "cli/exit.h"
#include "cli/interrupt.h"
#include "cli/record.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "issue/batch.h"
#include "issue/cmd.h"
#include "issue/defaults.h"
#include "issue/issuer.h"
#include "issue/output.h"

struct issuing {
	struct batch batch;
	const json_t *key;
	struct output *output;
	bool name_each; /* --json, and the licences go elsewhere */
	uint64_t issued;
};

/* One licence on its way through the pipeline. */
struct job {
	json_t *key; /* this item's own, so that no two threads use one */
	struct ticket ticket;
	char *jws;
};

static void job_clear(struct job *job)
{
	ticket_clear(&job->ticket);
	free(job->jws);
	job->jws = NULL;
}

static void *item_new(void *context)
{
	const struct issuing *issuing = context;
	struct job *job = calloc(1, sizeof *job);

	if (job != NULL)
		job->key = json_deep_copy(issuing->key);
	return job;
}

static void item_free(void *context, void *item)
{
	struct job *job = item;

	(void)context;
	if (job == NULL)
		return;
	job_clear(job);
	json_decref(job->key);
	free(job);
}

static int produce(void *context, void *item, bool *ret_end, rh_error *error)
{
	struct issuing *issuing = context;
	struct job *job = item;

	job_clear(job);
	return batch_next(&issuing->batch, &job->ticket, ret_end, error);
}

static int transform(void *context, void *item, rh_error *error)
{
	const struct issuing *issuing = context;
	struct job *job = item;
	int code = license_sign(job->ticket.row, issuing->batch.issuer, job->key,
	    job->ticket.computer.jwk == NULL ? NULL : &job->ticket.computer, &job->jws, error);

	if (code != RH_OK)
		batch_blame(&issuing->batch, job->ticket.line, error);
	return code;
}

/* What the packager of the content needs. */
static int write_key(struct output *output, const json_t *row, rh_error *error)
{
	json_t *line = json_pack("{s:O*,s:O,s:O}", "key_id", json_object_get(row, "key_id"),
	    "jti", json_object_get(row, "jti"), "content_key",
	    json_object_get(row, "content_key"));
	char *text = line == NULL ? NULL : json_dumps(line, JSON_COMPACT);
	int code = text == NULL ? error_memory(error) : output_write_key(output, text, error);

	if (text != NULL)
		bytes_wipe(text, strlen(text));
	free(text);
	json_decref(line);
	return code;
}

static void name_one(const struct job *job, const char *file)
{
	const json_t *row = job->ticket.row;
	json_t *object = json_pack("{s:O,s:O?}", "id", json_object_get(row, "jti"), "key_id",
	    json_object_get(row, "key_id"));

	json_object_set_new(
	    object, "computer", record_text_or_null(job->ticket.computer.thumbprint));
	json_object_set_new(object, "file", record_text_or_null(file));
	record_write_many(object);
}

static int consume(void *context, void *item, rh_error *error)
{
	struct issuing *issuing = context;
	struct job *job = item;
	const json_t *row = job->ticket.row;
	const char *file = "";
	int code = RH_OK;

	if (output_wants_keys(issuing->output) && json_object_get(row, "content_key") != NULL)
		code = write_key(issuing->output, row, error);
	if (code == RH_OK)
		code = output_write(issuing->output,
		    json_string_value(json_object_get(row, "jti")), job->jws, &file, error);
	if (code != RH_OK)
		return code;
	issuing->issued++;
	if (issuing->name_each)
		name_one(job, file);
	return RH_OK;
}

static int idle(void *context, rh_error *error)
{
	(void)context;
	return interrupt_asked(NULL) ? error_set(error, RH_E_CANCELED, "stopped") : RH_OK;
}

/* All of it, once the command line is understood. */
static int run(struct issuing *issuing, const struct arguments *arguments, rh_error *error)
{
	const struct pipeline pipeline = {
	    item_new, item_free, produce, transform, consume, idle, issuing};
	const char *directory = arguments->values[OPTION_TO];
	const char *file = arguments->values[OPTION_OUTPUT];
	int code;

	code = batch_check(&issuing->batch, error);
	if (code == RH_OK)
		code = output_open(directory, file, arguments->values[OPTION_CONTENT_KEYS],
		    &issuing->output, error);
	if (code != RH_OK)
		return code;
	issuing->name_each =
	    record_wanted() && (directory != NULL || (file != NULL && strcmp(file, "-") != 0));
	code = pipeline_run(&pipeline, error);
	if (code == RH_OK)
		code = output_finish(issuing->output, error);
	output_close(issuing->output, code == RH_OK);
	if (code != RH_OK && issuing->issued > 0 && directory != NULL)
		talk("%llu licences are in %s", (unsigned long long)issuing->issued, directory);
	return code;
}

static int check_options(const struct arguments *arguments)
{
	if (!option_given(arguments, OPTION_KEY))
		return cmd_needs("issue", "--key FILE");
	if (option_given(arguments, OPTION_TO) && option_given(arguments, OPTION_OUTPUT)) {
		talk_error("issue takes --to or --output, not both");
		return EXIT_USAGE;
	}
	if (option_given(arguments, OPTION_ID) && arguments->operand_count > 0) {
		talk_error(
		    "issue takes --id without INPUT only: each row has an id of its own");
		return EXIT_USAGE;
	}
	return EXIT_DONE;
}

int cmd_issue(const struct arguments *arguments)
{
	struct issuing issuing = {.issued = 0};
	struct batch *batch = &issuing.batch;
	char number[TEXT_SIZE];
	json_t *set = NULL;
	rh_error error = {0};
	int code, status;

	status = check_options(arguments);
	if (status == EXIT_DONE)
		status = cmd_time(arguments, &batch->now);
	if (status == EXIT_DONE)
		status = defaults_read(arguments, &batch->defaults);
	if (status != EXIT_DONE)
		return status;
	code = issuer_read(arguments->values[OPTION_KEY], &set, &error);
	for (size_t i = 0; code == RH_OK && i < arguments->given_count; i++)
		if (arguments->given[i].id == OPTION_COMPUTER)
			code = computers_read(
			    &batch->computers, arguments->given[i].value, &error);
	if (code == RH_OK && arguments->operand_count > 0)
		code = rows_open(arguments->operands[0], &batch->rows, &error);
	if (code == RH_OK) {
		batch->issuer = issuer_name(set);
		issuing.key = issuer_key(set);
		code = run(&issuing, arguments, &error);
	}
	batch_clear(batch);
	json_decref(set);
	if (code != RH_OK)
		return issue_fail(&error);
	talk("issued %s licence%s", text_number(number, issuing.issued),
	    issuing.issued == 1 ? "" : "s");
	return EXIT_DONE;
}
