#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/pipeline.h"
#include "base/text.h"

#include "engine/engine.h"

/* A batch is one transaction: at most this many documents, and bytes. */
#define BATCH_DOCUMENTS 1024
#define BATCH_BYTES (2u << 20)

/* A document of a batch, and what came of it. */
struct entry {
	size_t offset; /* in the batch's bytes */
	size_t size; /* RH_LICENSE_MAX + 1 stands for anything larger */
	char *name; /* owned */
	char format[32];
	size_t rows; /* licences in it */
	int code; /* RH_OK, or why it is refused */
	rh_error *why; /* owned; NULL if code is RH_OK */
};

/* Documents as the source gave them. */
struct input {
	struct buffer bytes;
	struct entry entries[BATCH_DOCUMENTS];
	size_t count;
};

struct batch {
	struct input *input;
	struct store_row *rows; /* of all entries, in order */
	size_t row_count;
	size_t row_capacity;
	struct buffer secret; /* of the licence at hand */
	struct store_sealer *sealer;
};

struct run {
	struct rh_store *store;
	rh_document_source source;
	void *context;
	struct report *report;
	rh_summary *summary;
	struct trust trust; /* read by all threads */
	int64_t added;
	struct input *first; /* read ahead, for the dictionary */
	bool ended; /* the source has nothing left */
};

/* ---- Batches ---- */

static void input_clear(struct input *input)
{
	for (size_t i = 0; i < input->count; i++) {
		free(input->entries[i].name);
		free(input->entries[i].why);
	}
	input->count = 0;
	buffer_clear(&input->bytes);
}

static void input_free(struct input *input)
{
	if (input == NULL)
		return;
	input_clear(input);
	/* Documents of some formats hold content keys in clear. */
	buffer_free_secret(&input->bytes);
	free(input);
}

static void batch_free(void *context, void *pointer)
{
	struct batch *batch = pointer;

	(void)context;
	for (size_t i = 0; i < batch->row_capacity; i++)
		store_row_free(&batch->rows[i]);
	free(batch->rows);
	input_free(batch->input);
	buffer_free_secret(&batch->secret);
	store_sealer_free(batch->sealer);
	free(batch);
}

static void *batch_new(void *context)
{
	struct run *run = context;
	struct batch *batch = calloc(1, sizeof *batch);

	if (batch == NULL)
		return NULL;
	batch->input = calloc(1, sizeof *batch->input);
	if (batch->input == NULL ||
	    store_sealer_new(run->store->store, &batch->sealer, NULL) != RH_OK) {
		batch_free(context, batch);
		return NULL;
	}
	return batch;
}

/* Copies the document: the source may use its memory again. */
static int input_take(struct input *input, const rh_document *document, rh_error *error)
{
	const char *name = document->name != NULL ? document->name : "a licence";
	struct entry *entry = &input->entries[input->count];
	int code = RH_OK;

	*entry = (struct entry){.offset = input->bytes.size, .size = document->size};
	if (document->size > RH_LICENSE_MAX)
		entry->size = RH_LICENSE_MAX + 1;
	else
		code = buffer_append(&input->bytes, document->data, document->size, error);
	if (code != RH_OK)
		return code;
	if (document->format != NULL)
		text_copy(entry->format, sizeof entry->format, document->format,
		    strlen(document->format));
	entry->name = strdup(name);
	if (entry->name == NULL)
		return error_memory(error);
	input->count++;
	return RH_OK;
}

static int input_fill(struct run *run, struct input *input, rh_error *error)
{
	input_clear(input);
	while (
	    !run->ended && input->count < BATCH_DOCUMENTS && input->bytes.size < BATCH_BYTES) {
		rh_document document = {0};
		int got = run->source(run->context, &document, error);
		int code = RH_OK;

		if (got < 0)
			return error != NULL && error->code != RH_OK ? error->code : RH_E_READ;
		if (got == 0)
			run->ended = true;
		else
			code = input_take(input, &document, error);
		if (code != RH_OK)
			return code;
	}
	return RH_OK;
}

/* ---- The stages ---- */

static int produce(void *context, void *pointer, bool *ret_end, rh_error *error)
{
	struct run *run = context;
	struct batch *batch = pointer;
	int code = RH_OK;

	batch->row_count = 0;
	if (run->first != NULL) {
		input_free(batch->input);
		batch->input = run->first;
		run->first = NULL;
	} else {
		code = input_fill(run, batch->input, error);
	}
	*ret_end = batch->input->count == 0;
	return code;
}

static struct store_row *next_row(struct batch *batch)
{
	if (batch->row_count == batch->row_capacity) {
		size_t capacity = batch->row_capacity > 0 ? batch->row_capacity * 2 : 64;
		struct store_row *rows = realloc(batch->rows, capacity * sizeof *rows);

		if (rows == NULL)
			return NULL;
		memset(rows + batch->row_capacity, 0,
		    (capacity - batch->row_capacity) * sizeof *rows);
		batch->rows = rows;
		batch->row_capacity = capacity;
	}
	return &batch->rows[batch->row_count];
}

struct reading {
	struct run *run;
	struct batch *batch;
	struct entry *entry;
	const struct license_document *document;
};

/* Whether anything can be used up. */
static bool is_counted(const struct license_rights *rights)
{
	for (size_t i = 0; rights != NULL && i < rights->action_count; i++)
		if (rights->actions[i].count != LICENSE_UNLIMITED)
			return true;
	return false;
}

/* What the document alone does not tell goes into the state, and whose its counts are. */
static void origin(struct license_state *state, const struct reading *reading,
    const struct license_rights *rights)
{
	const char *name = strrchr(reading->entry->name, '/');

	license_state_init(state);
	if (is_counted(rights))
		memcpy(state->computer, rights->computer, sizeof state->computer);
	if (reading->document->format == NULL)
		return;
	snprintf(state->format, sizeof state->format, "%s", reading->document->format);
	name = name != NULL ? name + 1 : reading->entry->name;
	text_copy(state->name, sizeof state->name, name, strlen(name));
}

static int take_license(void *context, const struct license *license,
    const struct license_rights *rights, rh_error *error)
{
	struct reading *reading = context;
	struct batch *batch = reading->batch;
	struct store_row *row = next_row(batch);
	struct license_state state;
	int code;

	if (row == NULL)
		return error_memory(error);
	row->facts = *license;
	row->added = reading->run->added;
	row->state_version = 0;
	origin(&state, reading, rights);
	code = store_seal(batch->sealer, row, reading->document->data, reading->document->size,
	    batch->secret.data, batch->secret.size, license_state_empty(&state) ? NULL : &state,
	    error);
	if (code == RH_OK) {
		batch->row_count++;
		reading->entry->rows++;
	}
	return code;
}

/* Reads one document; a refused one keeps its reason, anything else stops. */
static int read_entry(
    struct run *run, struct batch *batch, struct entry *entry, rh_error *error)
{
	const uint8_t *bytes = batch->input->bytes.data; /* NULL if all are empty */
	struct license_document document = {
	    .data = bytes != NULL ? bytes + entry->offset : NULL,
	    .size = entry->size,
	    .name = entry->name,
	    .format = entry->format[0] != '\0' ? entry->format : NULL,
	    .trust = &run->trust.trust,
	    .secret = &batch->secret};
	struct reading reading = {run, batch, entry, &document};
	size_t rows = batch->row_count;
	rh_error why;
	int code;

	if (entry->size > RH_LICENSE_MAX)
		code = error_set(&why, RH_E_LICENSE_TOO_BIG, "%s is larger than %d bytes",
		    entry->name, RH_LICENSE_MAX);
	else
		code = license_read(&document, take_license, &reading, &why);
	buffer_free_secret(&batch->secret);
	if (code == RH_OK)
		return RH_OK;
	batch->row_count = rows;
	entry->rows = 0;
	if (!license_code(code)) {
		if (error != NULL)
			*error = why;
		return code;
	}
	entry->why = malloc(sizeof *entry->why);
	if (entry->why == NULL)
		return error_memory(error);
	*entry->why = why;
	entry->code = code;
	return RH_OK;
}

static int transform(void *context, void *pointer, rh_error *error)
{
	struct batch *batch = pointer;
	int code = RH_OK;

	for (size_t i = 0; i < batch->input->count && code == RH_OK; i++)
		code = read_entry(context, batch, &batch->input->entries[i], error);
	return code;
}

/* ---- Into the store ---- */

static int insert(struct run *run, struct batch *batch, struct store_row *row,
    const struct entry *entry, rh_error *error)
{
	struct license_view view;
	struct store_here here = {0};
	int code = store_insert(run->store->store, row, &here, error);

	if (code == RH_E_LICENSE_CONFLICT)
		code = settle_conflict(run->store, batch->sealer, row, &here, error);
	else if (code == RH_S_ADDED && here.spent)
		code = settle_spent(run->store, batch->sealer, row, error);
	run->summary->licenses++;
	run->summary->bytes += row->bytes;
	switch (code) {
	case RH_S_ADDED:
		run->summary->done++;
		return RH_OK;
	case RH_S_STATE_MERGED:
	case RH_S_UPDATED:
		run->summary->updated++;
		break;
	case RH_S_ALREADY_HERE:
	case RH_S_OLDER:
		run->summary->already_here++;
		break;
	case RH_E_LICENSE_CONFLICT:
		run->summary->failed++;
		break;
	default:
		return code;
	}
	error_clear(error);
	report_license(run->report, code,
	    license_view(&view, run->report->language, &row->facts, row->bytes, row->added),
	    entry->name);
	return RH_OK;
}

static int insert_batch(struct run *run, struct batch *batch, rh_error *error)
{
	struct store_row *row = batch->rows;
	int code = RH_OK;

	for (size_t i = 0; i < batch->input->count && code == RH_OK; i++) {
		struct entry *entry = &batch->input->entries[i];

		if (entry->code != RH_OK) {
			run->summary->licenses++;
			run->summary->failed++;
			report_license(run->report, entry->code, NULL, entry->why->text);
		}
		for (size_t k = 0; k < entry->rows && code == RH_OK; k++)
			code = insert(run, batch, row++, entry, error);
		report_done(run->report, 1, entry->size);
		if (code == RH_OK)
			code = report_check(run->report, error);
	}
	return code;
}

static int consume(void *context, void *pointer, rh_error *error)
{
	struct run *run = context;
	rh_summary before = *run->summary;
	int code = store_begin(run->store->store, error);

	if (code != RH_OK)
		return code;
	code = insert_batch(run, pointer, error);
	if (code == RH_OK)
		code = store_commit(run->store->store, error);
	if (code != RH_OK) {
		store_rollback(run->store->store);
		*run->summary = before;
	}
	return code;
}

static int idle(void *context, rh_error *error)
{
	struct run *run = context;

	return report_check(run->report, error);
}

/* Reads the first batch ahead and lets an empty store learn from it. */
static int learn(struct run *run, rh_error *error)
{
	struct license_document *samples;
	size_t count = 0;
	int code;

	run->first = calloc(1, sizeof *run->first);
	samples = calloc(BATCH_DOCUMENTS, sizeof *samples);
	if (run->first == NULL || samples == NULL) {
		free(samples);
		return error_memory(error);
	}
	code = input_fill(run, run->first, error);
	for (size_t i = 0; i < run->first->count; i++) {
		const struct entry *entry = &run->first->entries[i];

		if (entry->size > 0 && entry->size <= RH_LICENSE_MAX)
			samples[count++] = (struct license_document){
			    .data = run->first->bytes.data + entry->offset,
			    .size = entry->size};
	}
	if (code == RH_OK)
		code = store_learn(run->store->store, samples, count, error);
	free(samples);
	return code;
}

int rh_add(rh_store *store, rh_document_source source, void *context,
    const rh_listener *listener, rh_summary *summary, rh_error *error)
{
	struct report report;
	rh_summary counts = {0};
	struct run run = {.store = store,
	    .source = source,
	    .context = context,
	    .report = &report,
	    .summary = &counts,
	    .added = clock_now()};
	struct pipeline pipeline = {
	    batch_new, batch_free, produce, transform, consume, idle, &run};
	rh_error own;
	int code;

	error = error != NULL ? error : &own;
	error_clear(error);
	report_init(&report, listener, RH_OPERATION_ADD);
	if (store == NULL || source == NULL) {
		code = error_set(error, RH_E_ARGUMENT, "no store or no source was given");
	} else {
		report_event(&report, RH_EVENT_BEGIN);
		code = trust_load(store, false, NULL, &run.trust, error);
		if (code == RH_OK)
			code = learn(&run, error);
		if (code == RH_OK)
			code = pipeline_run(&pipeline, error);
		input_free(run.first);
		trust_free(&run.trust);
	}
	if (summary != NULL)
		*summary = counts;
	return report_end(&report, code, error);
}
