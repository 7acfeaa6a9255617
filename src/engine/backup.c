#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/pipeline.h"

#include "engine/engine.h"

/* Everything that one backup needs. */
struct run {
	struct rh_store *store;
	struct report *report;
	rh_summary *summary;
	struct store_cursor *cursor;
	struct backup_writer *writer;
	struct backup_header header;
	uint32_t frames;
	bool ended; /* the cursor has nothing left */
};

/* Rows of the store on their way to be one frame. */
struct item {
	struct store_row *rows;
	size_t count;
	size_t capacity;
	uint32_t number;
	struct store_sealer *sealer;
	struct store_content content;
	struct buffer state;
	struct buffer facts;
	struct frame_builder *builder;
	const struct buffer *frame; /* the builder's */
};

static void item_free(void *context, void *pointer)
{
	struct item *item = pointer;

	(void)context;
	for (size_t i = 0; i < item->capacity; i++)
		store_row_free(&item->rows[i]);
	free(item->rows);
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
	return item;
}

static struct store_row *next_row(struct item *item)
{
	if (item->count == item->capacity) {
		size_t capacity = item->capacity > 0 ? item->capacity * 2 : 64;
		struct store_row *rows = realloc(item->rows, capacity * sizeof *rows);

		if (rows == NULL)
			return NULL;
		memset(rows + item->capacity, 0, (capacity - item->capacity) * sizeof *rows);
		item->rows = rows;
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

static int add_license(struct item *item, const struct store_row *row, rh_error *error)
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
	    .secret = content->secret.data,
	    .secret_size = content->secret.size,
	    .state = item->state.data,
	    .state_size = item->state.size,
	    .facts = item->facts.data,
	    .facts_size = item->facts.size,
	};
	return frame_add(item->builder, &license, error);
}

static int transform(void *context, void *pointer, rh_error *error)
{
	struct run *run = context;
	struct item *item = pointer;
	int code = frame_begin(item->builder, item->number, run->header.created, error);

	for (size_t i = 0; i < item->count && code == RH_OK; i++) {
		const struct store_row *row = &item->rows[i];
		size_t room = row->bytes <= LICENSE_MAX ? (size_t)row->bytes : 0;

		code = frame_reserve(item->builder, room, &item->content.into, error);
		/* Restricted ones too: left out only if their facts are found true. */
		if (code == RH_OK)
			code = store_open_row(item->sealer, row, &item->content, error);
		if (code == RH_OK && license_class(&row->facts) == LICENSE_OWNED)
			code = add_license(item, row, error);
	}
	if (code == RH_OK)
		code = frame_finish(item->builder, &item->frame, error);
	return code;
}

static void report_row(struct run *run, const struct store_row *row)
{
	struct license_view view;
	const rh_license *license = license_view(&view, &row->facts, row->bytes, row->added);

	if (license->license_class == RH_CLASS_OWNED) {
		run->summary->done++;
		return;
	}
	run->summary->restricted++;
	report_license(run->report, RH_E_RESTRICTED, license,
	    license->license_class == RH_CLASS_MANAGED
		? "the licence is managed by a service, which this version cannot reach"
		: license->reason);
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
		report_row(run, &item->rows[i]);
		code = report_check(run->report, error);
	}
	run->summary->bytes += bytes;
	if (code == RH_OK)
		code = backup_writer_append(run->writer, item->frame, error);
	report_done(run->report, item->count, bytes);
	return code;
}

static int idle(void *context, rh_error *error)
{
	struct run *run = context;

	return report_check(run->report, error);
}

/* ---- Who can open it ---- */

/* The computer, the owner, and whom the owner names; freed with free(). */
static int collect_recipients(struct rh_store *store, const struct age_identity *recovery,
    const rh_backup_options *options, struct age_recipient **ret, size_t *ret_count,
    rh_error *error)
{
	struct age_recipient *recipients =
	    calloc(2 + options->recipient_count, sizeof *recipients);
	size_t count = 0;
	int code = RH_OK;

	if (recipients == NULL)
		return error_memory(error);
	recipients[count++] = computer_age_identity(store->computer)->recipient;
	recipients[count++] = recovery->recipient;
	for (size_t i = 0; i < options->recipient_count && code == RH_OK; i++)
		code = age_recipient_parse(&recipients[count++], options->recipients[i], error);
	if (code != RH_OK) {
		free(recipients);
		return code;
	}
	*ret = recipients;
	*ret_count = count;
	return RH_OK;
}

/* The owner's recovery key, made now if there is none. */
static int ensure_recovery(
    struct run *run, struct age_identity *ret, bool *ret_secret, rh_error *error)
{
	bool known;
	int code = rh_recovery_make(run->store, error);

	if (code == RH_OK)
		report_event(run->report, RH_EVENT_RECOVERY_KEY);
	else if (code != RH_S_ALREADY_HERE)
		return code;
	return recovery_load(run->store, ret, &known, ret_secret, error);
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
		if (generations[i].whole)
			code = error_set(error, RH_E_BACKUP_EXISTS, "%s holds the backup %s",
			    backup_directory_path(directory), generations[i].file);
	free(generations);
	return code;
}

/* Writes the archive under its temporary name, of one moment of the store. */
static int write_archive(struct run *run, struct backup_directory *directory,
    const struct age_recipient *recipients, size_t count, rh_error *error)
{
	struct pipeline pipeline = {
	    item_new, item_free, produce, transform, consume, idle, run};
	struct store *store = run->store->store;
	struct store_totals totals;
	int code;

	code = store_read_begin(store, error);
	if (code != RH_OK)
		return code;
	code = store_totals(store, &totals, error);
	if (code == RH_OK) {
		report_totals(run->report, totals.licenses, totals.bytes);
		snprintf(run->header.generator, sizeof run->header.generator, "rehost %s",
		    rh_version());
		snprintf(run->header.computer_id, sizeof run->header.computer_id, "%s",
		    computer_id(run->store->computer));
		run->header.owned = totals.licenses - totals.restricted - totals.managed;
		run->header.restricted = totals.restricted + totals.managed;
		run->header.bytes = totals.bytes;
		code = backup_writer_new(directory, &run->header,
		    computer_signing_key(run->store->computer), NULL, recipients, count,
		    &run->writer, error);
	}
	if (code == RH_OK)
		code = store_cursor_new(store, false, &run->cursor, error);
	if (code == RH_OK)
		code = pipeline_run(&pipeline, error);
	store_cursor_free(run->cursor);
	store_read_end(store);
	if (code == RH_OK && (run->summary->done != run->header.owned ||
				 run->summary->restricted != run->header.restricted))
		return error_set(error, RH_E_STORE_DAMAGED,
		    "the store in %s counts %llu licences and holds %llu",
		    run->store->directory, (unsigned long long)totals.licenses,
		    (unsigned long long)run->summary->licenses);
	return code;
}

static int run_backup(struct run *run, struct backup_directory *directory,
    const rh_backup_options *options, rh_error *error)
{
	struct age_identity recovery = {0};
	struct age_recipient *recipients = NULL;
	bool secret = false;
	size_t count = 0;
	int code;

	code = check_existing(directory, options->overwrite != 0, error);
	if (code != RH_OK)
		return code;
	report_event(run->report, RH_EVENT_BEGIN);
	code = ensure_recovery(run, &recovery, &secret, error);
	if (code == RH_OK)
		code = collect_recipients(
		    run->store, &recovery, options, &recipients, &count, error);
	if (code == RH_OK && options->passphrase != NULL && !secret)
		code = error_set(error, RH_E_SECRET_FORGOTTEN,
		    "the recovery key was forgotten, so no passphrase can protect it");
	if (code == RH_OK)
		code = report_check(run->report, error);
	if (code == RH_OK)
		code = write_archive(run, directory, recipients, count, error);
	if (code == RH_OK)
		code = backup_writer_finish(run->writer, report_stop, run->report, error);
	if (code == RH_OK && options->passphrase != NULL)
		code = backup_recovery_write(directory, options->passphrase, &recovery, error);
	/* The last moment at which a cancel is heard. */
	if (code == RH_OK)
		code = report_check(run->report, error);
	if (code == RH_OK)
		code = backup_writer_commit(run->writer, error);
	if (code == RH_OK)
		code = backup_prune(directory, options->keep > 0 ? options->keep : 1, error);
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
	if (options->passphrase != NULL && *options->passphrase == '\0')
		return error_set(error, RH_E_ARGUMENT, "the passphrase is empty");
	return argument_text(directory, "backup directory", error);
}

int rh_backup(rh_store *store, const char *path, const rh_backup_options *options,
    const rh_listener *listener, rh_summary *summary, rh_error *error)
{
	const rh_backup_options defaults = RH_BACKUP_OPTIONS_INIT;
	struct backup_directory *directory = NULL;
	struct report report;
	rh_summary counts = {0};
	struct run run = {.store = store, .report = &report, .summary = &counts};
	rh_error own;
	int code;

	error = error != NULL ? error : &own;
	error_clear(error);
	options = options != NULL ? options : &defaults;
	report_init(&report, listener, RH_OPERATION_BACKUP);
	code = check_arguments(store, path, options, error);
	if (code == RH_OK)
		code = backup_directory_open(path, true, &directory, error);
	if (code == RH_OK)
		code = run_backup(&run, directory, options, error);
	backup_directory_close(directory);
	backup_header_free(&run.header);
	if (summary != NULL)
		*summary = counts;
	return report_end(&report, code, error);
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
