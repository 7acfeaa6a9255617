#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/pipeline.h"
#include "crypto/managed.h"

#include "engine/medium.h"
#include "engine/recipients.h"
#include "engine/sorting.h"

/* Everything that one backup needs. */
struct run {
	struct backup_directory *directory;
	const struct age_recipient *recipients;
	size_t recipient_count;
	struct rh_store *store;
	struct report *report;
	rh_summary *summary;
	struct sorting sorting;
	struct store_cursor *cursor;
	struct backup_writer *writer;
	struct backup_header header;
	bool proves; /* ${proof} is there */
	uint8_t proof[KEY_SIZE]; /* secret */
	uint32_t frames;
	bool ended; /* the cursor has nothing left */
	struct workplace place;
	struct space space;
	bool again; /* written for the second time: every licence was told about */
};

/* Rows of the store on their way to be one frame. */
struct item {
	struct store_row *rows;
	int *verdicts; /* of each: RH_OK, or why it is left out */
	size_t count;
	size_t capacity;
	uint32_t number;
	struct store_sealer *sealer;
	struct store_content content;
	struct buffer state;
	struct buffer facts;
	struct buffer sealed; /* secret */
	struct frame_builder *builder;
	const struct backup_frame *frame; /* the builder's */
};

static void item_free(void *context, void *pointer)
{
	struct item *item = pointer;

	(void)context;
	for (size_t i = 0; i < item->capacity; i++)
		store_row_free(&item->rows[i]);
	free(item->rows);
	free(item->verdicts);
	buffer_free(&item->sealed);
	store_content_free(&item->content);
	buffer_free(&item->state);
	buffer_free(&item->facts);
	store_sealer_free(item->sealer);
	frame_builder_free(item->builder);
	free(item);
}

static void *item_new(void *context)
{
	struct run *run = context;
	struct item *item = calloc(1, sizeof *item);

	if (item == NULL)
		return NULL;
	if (store_sealer_new(run->store->store, &item->sealer, NULL) != RH_OK ||
	    frame_builder_new(&item->builder, NULL) != RH_OK) {
		item_free(context, item);
		return NULL;
	}
	if (run->proves)
		frame_builder_prove(item->builder, run->proof, run->header.id);
	return item;
}

static struct store_row *next_row(struct item *item)
{
	if (item->count == item->capacity) {
		size_t capacity = item->capacity > 0 ? item->capacity * 2 : 64;
		struct store_row *rows = realloc(item->rows, capacity * sizeof *rows);
		int *verdicts;

		if (rows == NULL)
			return NULL;
		item->rows = rows;
		verdicts = realloc(item->verdicts, capacity * sizeof *verdicts);
		if (verdicts == NULL)
			return NULL;
		item->verdicts = verdicts;
		memset(rows + item->capacity, 0, (capacity - item->capacity) * sizeof *rows);
		item->capacity = capacity;
	}
	return &item->rows[item->count];
}

static int produce(void *context, void *pointer, bool *ret_end, rh_error *error)
{
	struct run *run = context;
	struct item *item = pointer;
	uint64_t bytes = 0;
	bool more = true;

	item->count = 0;
	item->number = run->frames++;
	while (!run->ended && bytes < FRAME_TARGET) {
		struct store_row *row = next_row(item);
		int code = row != NULL ? RH_OK : error_memory(error);

		if (code == RH_OK)
			code = store_cursor_next(run->cursor, row, &more, error);
		if (code != RH_OK)
			return code;
		run->ended = !more;
		if (!more)
			break;
		/* Sealed parts are a little larger than what is in them. */
		bytes += frame_license_size(row->bytes, row->secret.size, row->state.size);
		item->count++;
	}
	*ret_end = item->count == 0;
	return RH_OK;
}

/* The secret, as it goes into the backup: that of a managed licence sealed for its service. */
static int put_secret(struct item *item, const struct store_row *row,
    const struct sorting_batch *batch, struct frame_license *license, rh_error *error)
{
	const struct buffer *secret = &item->content.secret;
	int code = RH_OK;

	if (secret->size == 0)
		return RH_OK;
	if (batch != NULL) {
		buffer_clear(&item->sealed);
		code = managed_seal(batch->key, batch->service, row->facts.id, secret->data,
		    secret->size, &item->sealed, error);
		secret = &item->sealed;
	}
	license->secret = secret->data;
	license->secret_size = secret->size;
	license->sealed = batch != NULL;
	return code;
}

static int add_license(struct item *item, const struct store_row *row,
    const struct sorting_batch *batch, rh_error *error)
{
	struct store_content *content = &item->content;
	char component[LICENSE_COMPONENT_SIZE];
	struct frame_license license;
	int code;

	code = license_path_component(component, row->facts.id, error);
	buffer_clear(&item->state);
	buffer_clear(&item->facts);
	if (code == RH_OK && !license_state_empty(&content->state))
		code = license_state_format(&content->state, &item->state, error);
	if (code == RH_OK)
		code = license_facts_format(&row->facts, &item->facts, error);
	if (code != RH_OK)
		return code;
	license = (struct frame_license){
	    .component = component,
	    .document = content->into,
	    .document_size = (size_t)row->bytes,
	    .digest = row->digest,
	    .state = item->state.data,
	    .state_size = item->state.size,
	    .facts = item->facts.data,
	    .facts_size = item->facts.size,
	};
	code = put_secret(item, row, batch, &license, error);
	return code == RH_OK ? frame_add(item->builder, &license, error) : code;
}

/*
 * Opens a row, restricted ones too: what is left out is left out only if its facts are
 * found true.  Only a secret that is needed is opened; if it alone does not open, the
 * verdict says so.
 */
static int open_row(
    struct item *item, const struct store_row *row, int *verdict, rh_error *error)
{
	size_t room = row->bytes <= LICENSE_MAX ? (size_t)row->bytes : 0;
	int code = frame_reserve(item->builder, room, &item->content.into, error);

	if (code != RH_OK)
		return code;
	item->content.skip_secret = *verdict != RH_OK;
	code = store_open_row(item->sealer, row, &item->content, error);
	if (code != RH_E_STORE_DAMAGED || *verdict != RH_OK || !row->has_secret)
		return code;
	item->content.skip_secret = true;
	code = store_open_row(item->sealer, row, &item->content, error);
	if (code == RH_OK) {
		error_clear(error);
		*verdict = RH_E_NO_SECRET;
	}
	return code;
}

static int transform(void *context, void *pointer, rh_error *error)
{
	struct run *run = context;
	struct item *item = pointer;
	int code = frame_begin(item->builder, item->number, run->header.created, error);

	for (size_t i = 0; i < item->count && code == RH_OK; i++) {
		const struct store_row *row = &item->rows[i];
		const struct sorting_batch *batch;

		item->verdicts[i] = sorting_judge(&run->sorting, row, &batch);
		code = open_row(item, row, &item->verdicts[i], error);
		if (code == RH_OK && item->verdicts[i] == RH_OK)
			code = add_license(item, row, batch, error);
	}
	if (code == RH_OK)
		code = frame_finish(item->builder, &item->frame, error);
	return code;
}

static int report_row(
    struct run *run, const struct store_row *row, int verdict, rh_error *error)
{
	const struct sorting_batch *batch;
	struct license_view view;
	char text[1024];
	int code = RH_OK;

	if (verdict == RH_OK) {
		run->summary->done++;
		run->space.licenses_done++;
		run->space.bytes_done += row->bytes;
		return RH_OK;
	}
	run->summary->restricted++;
	if (verdict == RH_E_NO_SECRET && sorting_judge(&run->sorting, row, &batch) == RH_OK)
		code = sorting_lose(&run->sorting, row, error);
	if (!run->again)
		report_restricted(run->report, verdict,
		    license_view(
			&view, run->report->language, &row->facts, row->bytes, row->added),
		    sorting_words(row, verdict, text));
	return code;
}

static int consume(void *context, void *pointer, rh_error *error)
{
	struct run *run = context;
	struct item *item = pointer;
	uint64_t bytes = 0;
	int code = RH_OK;

	for (size_t i = 0; i < item->count && code == RH_OK; i++) {
		run->summary->licenses++;
		bytes += item->rows[i].bytes;
		code = report_row(run, &item->rows[i], item->verdicts[i], error);
		if (code == RH_OK)
			code = report_check(run->report, error);
	}
	run->summary->bytes += bytes;
	if (code == RH_OK)
		code = backup_writer_append(run->writer, item->frame, error);
	if (code == RH_OK)
		code = space_check(&run->space, run->writer, error);
	report_done(run->report, item->count, bytes);
	return code;
}

static int idle(void *context, rh_error *error)
{
	struct run *run = context;

	return report_check(run->report, error);
}

/* ---- The steps ---- */

static int check_existing(struct backup_directory *directory, bool overwrite, rh_error *error)
{
	struct backup_generation *generations = NULL;
	size_t count;
	int code = backup_list(directory, &generations, &count, error);

	if (code != RH_OK)
		return code;
	for (size_t i = 0; i < count && !overwrite && code == RH_OK; i++)
		if (generations[i].whole || generations[i].mendable)
			code = error_set(error, RH_E_BACKUP_EXISTS, "%s holds the backup %s",
			    backup_directory_path(directory), generations[i].file);
	free(generations);
	return code;
}

/* Writes every licence that goes in. */
static int write_once(struct run *run, rh_error *error)
{
	struct pipeline pipeline = {
	    item_new, item_free, produce, transform, consume, idle, run};
	int code = sorting_header(&run->sorting, run->store, &run->header, error);

	if (code == RH_OK) {
		*run->summary = (rh_summary){0};
		run->frames = 0;
		run->ended = false;
		report_totals(run->report, run->sorting.licenses, run->sorting.bytes);
		code = backup_writer_new(run->directory, &run->header,
		    computer_signing_key(run->store->computer), run->proves ? run->proof : NULL,
		    run->recipients, run->recipient_count, run->space.parity, &run->writer,
		    error);
	}
	if (code == RH_OK)
		space_start(&run->space, run->sorting.owned + run->sorting.managed,
		    run->sorting.bytes, run->writer);
	if (code == RH_OK)
		code = store_cursor_new(run->store->store, false, &run->cursor, error);
	if (code == RH_OK)
		code = pipeline_run(&pipeline, error);
	store_cursor_free(run->cursor);
	run->cursor = NULL;
	return code;
}

/*
 * Writes the archive under its temporary name, of one moment of the store.  What is in it
 * stands before it: if secrets turn out not to open, it is written anew without those.
 */
static int write_archive(struct run *run, rh_error *error)
{
	int code = store_read_begin(run->store->store, error);

	if (code != RH_OK)
		return code;
	code = sorting_load(run->store, &run->sorting, error);
	if (code == RH_OK)
		code = write_once(run, error);
	if (code == RH_OK && sorting_again(&run->sorting)) {
		backup_writer_free(run->writer);
		run->writer = NULL;
		run->again = true;
		code = write_once(run, error);
	}
	store_read_end(run->store->store);
	if (code == RH_OK && (run->summary->done != run->header.owned + run->header.managed ||
				 run->summary->restricted != run->header.restricted))
		return error_set(error, RH_E_STORE_DAMAGED,
		    "the store in %s counts %llu licences and holds %llu",
		    run->store->directory, (unsigned long long)run->sorting.licenses,
		    (unsigned long long)run->summary->licenses);
	return code;
}

static int look_at_medium(struct run *run, rh_error *error)
{
	const char *path = backup_directory_path(run->directory);
	int code;

	medium_begin(&run->place, run->report, path, run->store, run->place.root);
	run->space.path = path;
	run->space.medium = run->place.known ? &run->place.medium : NULL;
	code = report_check(run->report, error);
	return code == RH_OK ? space_floor(&run->space, error) : code;
}

static int commit(struct run *run, const rh_backup_options *options, rh_error *error)
{
	/* The last moment at which a cancel is heard. */
	int code = report_check(run->report, error);

	if (code == RH_OK)
		code = backup_writer_commit(run->writer, error);
	if (code == RH_OK)
		code =
		    backup_prune(run->directory, options->keep > 0 ? options->keep : 1, error);
	if (code == RH_OK)
		medium_end(&run->place, run->report);
	return code;
}

static int run_backup(struct run *run, const rh_backup_options *options, rh_error *error)
{
	struct backup_directory *directory = run->directory;
	struct age_identity recovery = {0};
	struct age_recipient *recipients = NULL;
	bool secret = false;
	size_t count = 0;
	int code;

	code = check_existing(directory, options->overwrite != 0, error);
	if (code != RH_OK)
		return code;
	code = look_at_medium(run, error);
	if (code != RH_OK)
		return code;
	report_event(run->report, RH_EVENT_BEGIN);
	code = recipients_owner(run->store, run->report, &recovery, &secret, error);
	if (code == RH_OK)
		code =
		    recipients_make(run->store, &recovery, options, &recipients, &count, error);
	run->recipients = recipients;
	run->recipient_count = count;
	if (code == RH_OK)
		code = recovery_proof(run->store, run->proof, &run->proves, error);
	if (code == RH_OK && options->passphrase != NULL && !secret)
		code = error_set(error, RH_E_SECRET_FORGOTTEN,
		    "the recovery key was forgotten, so no passphrase can protect it");
	if (code == RH_OK)
		code = report_check(run->report, error);
	if (code == RH_OK)
		code = write_archive(run, error);
	if (code == RH_OK)
		code = backup_writer_finish(run->writer, report_stop, run->report, error);
	if (code == RH_OK && options->passphrase != NULL)
		code = backup_recovery_write(directory, options->passphrase, &recovery, error);
	if (code == RH_OK)
		code = commit(run, options, error);
	if (code == RH_E_FULL)
		space_explain(&run->space, run->writer, error);
	backup_writer_free(run->writer);
	bytes_wipe(&recovery, sizeof recovery);
	free(recipients);
	return code;
}

static int check_arguments(
    rh_store *store, const char *directory, const rh_backup_options *options, rh_error *error)
{
	if (store == NULL)
		return error_set(error, RH_E_ARGUMENT, "no store was given");
	if (options->size != sizeof *options)
		return error_set(error, RH_E_ARGUMENT,
		    "the options were not set up by RH_BACKUP_OPTIONS_INIT");
	if (options->parity > 100)
		return error_set(error, RH_E_ARGUMENT, "a parity of over 100 %%");
	if (options->passphrase != NULL && *options->passphrase == '\0')
		return error_set(error, RH_E_ARGUMENT, "the passphrase is empty");
	return argument_text(directory, "backup directory", error);
}

int backup_run(rh_store *store, const char *path, const rh_backup_options *options,
    const rh_listener *listener, const char *root, rh_summary *summary, rh_error *error)
{
	const rh_backup_options defaults = RH_BACKUP_OPTIONS_INIT;
	struct report report;
	rh_summary counts = {0};
	struct run run = {.store = store, .report = &report, .summary = &counts};
	rh_error own;
	int code;

	error = error != NULL ? error : &own;
	error_clear(error);
	options = options != NULL ? options : &defaults;
	run.place.root = root;
	run.space.parity = options->parity;
	report_init(&report, listener, RH_OPERATION_BACKUP);
	code = check_arguments(store, path, options, error);
	if (code == RH_OK)
		code = backup_directory_open(path, true, &run.directory, error);
	if (code == RH_OK)
		code = run_backup(&run, options, error);
	code = medium_explain(&run.place, code, error);
	backup_directory_close(run.directory);
	backup_header_free(&run.header);
	sorting_free(&run.sorting);
	bytes_wipe(run.proof, sizeof run.proof);
	if (summary != NULL)
		*summary = counts;
	return report_end(&report, code, error);
}

int rh_backup(rh_store *store, const char *path, const rh_backup_options *options,
    const rh_listener *listener, rh_summary *summary, rh_error *error)
{
	return backup_run(store, path, options, listener, "", summary, error);
}

int rh_backup_exists(const char *path, rh_error *error)
{
	struct backup_directory *directory = NULL;
	int code = argument_text(path, "backup directory", error);

	if (code == RH_OK)
		code = backup_directory_open(path, false, &directory, error);
	if (code == RH_OK)
		code = check_existing(directory, false, error);
	if (code == RH_OK && access(path, W_OK) != 0)
		code = error_set(error, RH_E_ACCESS, "%s cannot be written to", path);
	backup_directory_close(directory);
	return code;
}
