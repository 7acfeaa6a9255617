#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pipeline.h"

#include "engine/engine.h"

/* Documents of the first frame that a new store's dictionary is made from. */
#define SAMPLES_MAX 64

/* One frame on its way: compressed, then its licences. */
struct item {
	struct contents *run;
	struct backup_frame frame;
	struct frame_parser *parser;
	struct store_sealer *sealer; /* NULL unless rows are sealed */
	struct content *contents;
	size_t count;
	size_t capacity;
};

void content_free(struct content *content)
{
	store_row_free(&content->row);
	buffer_free(&content->document);
	buffer_free(&content->secret);
	free(content->why);
	*content = (struct content){.code = RH_OK};
}

static void item_free(void *context, void *pointer)
{
	struct item *item = pointer;

	(void)context;
	for (size_t i = 0; i < item->capacity; i++)
		content_free(&item->contents[i]);
	free(item->contents);
	backup_frame_free(&item->frame);
	frame_parser_free(item->parser);
	store_sealer_free(item->sealer);
	free(item);
}

static void *item_new(void *context)
{
	struct contents *run = context;
	struct item *item = calloc(1, sizeof *item);

	if (item == NULL)
		return NULL;
	item->run = run;
	if (frame_parser_new(&item->parser, NULL) != RH_OK ||
	    (run->seal_for != NULL &&
		store_sealer_new(run->seal_for, &item->sealer, NULL) != RH_OK)) {
		item_free(context, item);
		return NULL;
	}
	if (run->belief->proven)
		frame_parser_prove(
		    item->parser, run->belief->key, backup_reader_header(run->reader)->id);
	return item;
}

/* The next unused content of the item, its buffers kept from earlier frames. */
static struct content *next_content(struct item *item)
{
	struct content *content;

	if (item->count == item->capacity) {
		size_t capacity = item->capacity > 0 ? item->capacity * 2 : 64;
		struct content *more = realloc(item->contents, capacity * sizeof *more);

		if (more == NULL)
			return NULL;
		memset(more + item->capacity, 0, (capacity - item->capacity) * sizeof *more);
		item->contents = more;
		item->capacity = capacity;
	}
	content = &item->contents[item->count++];
	content->code = RH_OK;
	content->chosen = false;
	content->passed_over = false;
	content->unchecked = false;
	buffer_clear(&content->document);
	buffer_clear(&content->secret);
	content->computer[0] = '\0';
	content->row.bytes = 0;
	memset(&content->row.facts, 0, sizeof content->row.facts);
	free(content->why);
	content->why = NULL;
	license_state_init(&content->state);
	return content;
}

static bool frame_empty(const struct backup_frame *frame)
{
	return frame->licenses.size == 0 && frame->manifest.size == 0;
}

/* The listener is the calling thread's. */
static int reading_stops(void *context)
{
	struct contents *run = context;

	return run->away ? atomic_load(&run->stopped) : report_stop(run->report);
}

/* Nobody waits for a reading whose result nobody wants. */
static int stop_at(struct contents *run, int code)
{
	if (code != RH_OK)
		atomic_store(&run->stopped, true);
	return code;
}

static int produce(void *context, void *pointer, bool *ret_end, rh_error *error)
{
	struct contents *run = context;
	struct item *item = pointer;
	struct backup_frame swap = item->frame;
	int code;

	if (!frame_empty(&run->first)) {
		item->frame = run->first;
		run->first = swap;
		backup_frame_clear(&run->first);
		return RH_OK;
	}
	code = backup_reader_next(run->reader, &item->frame, error);
	*ret_end = frame_empty(&item->frame);
	return code;
}

/* ---- One licence ---- */

/* Keeps the reason and goes on, if it concerns this licence alone. */
static int set_aside(const struct contents *run, struct content *content, int code,
    const rh_error *why, rh_error *error)
{
	if (!license_code(code))
		return code;
	content->passed_over = (run->leave_out & CONTENTS_DAMAGED) != 0;
	content->why = malloc(sizeof *content->why);
	if (content->why == NULL)
		return error_memory(error);
	*content->why = *why;
	content->code = code;
	return RH_OK;
}

static bool managed(const struct content *content)
{
	return license_class(&content->row.facts) == LICENSE_MANAGED;
}

/* Only a service can open the secret of a managed one. */
static int take_chosen(struct item *item, struct content *content,
    const struct frame_license *members, rh_error *error)
{
	struct contents *run = item->run;
	bool keep = managed(content) && run->keep;
	int code = keep ? content_keep(run, content, members, error) : RH_OK;

	if (code == RH_OK && item->sealer != NULL && (keep || !managed(content)))
		code = store_seal(item->sealer, &content->row, members->document,
		    members->document_size, keep ? NULL : members->secret, members->secret_size,
		    license_state_empty(&content->state) ? NULL : &content->state, error);
	if (code == RH_OK && run->on_members != NULL)
		code = run->on_members(run->context, members, error);
	return code;
}

static int on_license(void *context, const struct frame_license *members, rh_error *error)
{
	struct item *item = context;
	struct contents *run = item->run;
	struct content *content = next_content(item);
	struct license_view view;
	rh_error why;
	int code;

	if (content == NULL)
		return error_memory(error);
	snprintf(content->component, sizeof content->component, "%s", members->component);
	content->row.bytes = members->document_size;
	content->row.added = run->added;
	content->row.digest_known = true;
	memcpy(content->row.digest, members->digest, DIGEST_SIZE);
	content->row.state_version = 0;
	code = content_read(run, content, members, &why);
	if (code != RH_OK) {
		if (error != NULL)
			*error = why;
		return set_aside(run, content, code, &why, error);
	}
	content->passed_over =
	    (run->leave_out & (managed(content) ? CONTENTS_MANAGED : CONTENTS_OWNED)) != 0;
	content->chosen = !content->passed_over &&
			  filter_passes(run->filter,
			      license_view(&view, run->report->language, &content->row.facts,
				  members->document_size, run->added));
	return content->chosen ? take_chosen(item, content, members, error) : RH_OK;
}

static int on_damaged(void *context, const struct frame_license *damaged, const rh_error *why)
{
	struct item *item = context;
	struct content *content = next_content(item);
	struct license *facts;

	if (content == NULL)
		return RH_E_MEMORY;
	snprintf(content->component, sizeof content->component, "%s", damaged->component);
	/* What was told of it, for people. */
	facts = &content->row.facts;
	if (damaged->facts_size == 0 ||
	    !license_facts_parse(facts, damaged->facts, damaged->facts_size))
		memset(facts, 0, sizeof *facts);
	if (facts->id[0] == '\0')
		snprintf(facts->id, sizeof facts->id, "%s", damaged->component);
	return set_aside(item->run, content, RH_E_LICENSE_DAMAGED, why, NULL);
}

static int transform(void *context, void *pointer, rh_error *error)
{
	struct item *item = pointer;

	item->count = 0;
	return stop_at(context,
	    frame_parse(item->parser, &item->frame, on_license, on_damaged, item, error));
}

/* Once is enough. */
static void say_unchecked(struct contents *run, const struct content *content)
{
	if (!content->unchecked || run->unchecked)
		return;
	run->unchecked = true;
	report_notice(run->report,
	    "the signatures of licences could not be checked: it is not known here whose to "
	    "trust, and the backup does not prove that its owner's computer wrote it");
}

static int consume(void *context, void *pointer, rh_error *error)
{
	struct contents *run = context;
	struct item *item = pointer;
	uint64_t licenses = 0, bytes = 0, done = 0;
	int code = RH_OK;

	for (size_t i = 0; i < item->count && code == RH_OK; i++) {
		bytes += item->contents[i].row.bytes;
		if (!item->contents[i].passed_over) {
			licenses++;
			done += item->contents[i].row.bytes;
		}
		if (item->contents[i].code == RH_E_LICENSE_DAMAGED)
			run->damaged++;
		say_unchecked(run, &item->contents[i]);
		code = run->on_content(run->context, &item->contents[i], error);
		if (code == RH_OK)
			code = report_check(run->report, error);
	}
	run->licenses += item->count;
	run->bytes += bytes;
	if (!run->quiet)
		report_done(run->report, licenses, done);
	return stop_at(run, code);
}

static int idle(void *context, rh_error *error)
{
	struct contents *run = context;

	return stop_at(run, report_check(run->report, error));
}

/* ---- The whole ---- */

/* Those whose names are lost with them, one by one. */
static int tell_nameless(
    struct contents *run, uint64_t count, const char *words, rh_error *error)
{
	rh_error why = {0};
	int code = RH_OK;

	if ((run->leave_out & CONTENTS_DAMAGED) != 0)
		return RH_OK;
	error_set(&why, RH_E_LICENSE_DAMAGED, "%s", words);
	for (uint64_t i = 0; i < count && code == RH_OK; i++) {
		struct content content = {.code = why.code, .why = &why};

		code = run->on_content(run->context, &content, error);
		if (code == RH_OK)
			code = report_check(run->report, error);
	}
	return code;
}

/* With the header lost: one more licence only if else nothing would be known to be missing. */
static int tell_unknown(struct contents *run, rh_error *error)
{
	static const char words[] =
	    "how many licences there were is lost with the header; more may be missing";

	if (run->damaged == 0)
		return tell_nameless(run, 1, words, error);
	if ((run->leave_out & CONTENTS_DAMAGED) == 0)
		report_notice(run->report, "%s", words);
	return RH_OK;
}

/* Whether what came is what the header says. */
static int check_counts(struct contents *run, rh_error *error)
{
	const struct backup_header *header = backup_reader_header(run->reader);
	uint64_t licenses = header->owned + header->managed;
	struct backup_wear wear;

	backup_reader_wear(run->reader, &wear);
	if (wear.header_lost && run->licenses == 0)
		return error_set(error, RH_E_BACKUP_CORRUPT, "nothing in the backup is whole");
	if (wear.header_lost)
		return tell_unknown(run, error);
	/* Behind a hole a licence may look like a frame: more than there were are no more than
	 * lost. */
	if (wear.bytes_lost > 0)
		return tell_nameless(run,
		    run->licenses <= licenses ? licenses - run->licenses : 1,
		    "a licence is lost, and its name with it", error);
	if (run->licenses != licenses || run->bytes != header->bytes)
		return error_set(error, RH_E_BACKUP_CORRUPT,
		    "the backup says %llu licences and holds %llu",
		    (unsigned long long)licenses, (unsigned long long)run->licenses);
	return RH_OK;
}

int contents_run(struct contents *run, rh_error *error)
{
	struct pipeline pipeline = {
	    item_new, item_free, produce, transform, consume, idle, run};
	int code;

	run->licenses = run->bytes = run->damaged = 0;
	run->away = true;
	backup_reader_heed(run->reader, reading_stops, run);
	code = pipeline_run(&pipeline, error);
	return code == RH_OK ? check_counts(run, error) : code;
}

struct samples {
	struct license_document documents[SAMPLES_MAX];
	size_t count;
	struct buffer bytes;
};

static int take_sample(void *context, const struct frame_license *members, rh_error *error)
{
	struct samples *samples = context;
	int code;

	if (samples->count == SAMPLES_MAX)
		return RH_OK;
	code = buffer_append(&samples->bytes, members->document, members->document_size, error);
	if (code == RH_OK)
		samples->documents[samples->count++].size = members->document_size;
	return code;
}

static int skip_damaged(void *context, const struct frame_license *damaged, const rh_error *why)
{
	(void)context;
	(void)damaged;
	(void)why;
	return RH_OK;
}

int contents_learn(struct contents *run, rh_error *error)
{
	struct frame_parser *parser = NULL;
	struct samples samples = {0};
	size_t offset = 0;
	int code;

	backup_reader_heed(run->reader, reading_stops, run);
	code = backup_reader_next(run->reader, &run->first, error);
	if (code != RH_OK || run->first.licenses.size == 0)
		return code;
	code = frame_parser_new(&parser, error);
	if (code == RH_OK)
		code = frame_parse(
		    parser, &run->first, take_sample, skip_damaged, &samples, error);
	/* Only now the bytes stay where they are. */
	for (size_t i = 0; i < samples.count; i++) {
		samples.documents[i].data = samples.bytes.data + offset;
		offset += samples.documents[i].size;
	}
	if (code == RH_OK)
		code = store_learn(run->seal_for, samples.documents, samples.count, error);
	frame_parser_free(parser);
	buffer_free_secret(&samples.bytes);
	return code;
}

void contents_free(struct contents *run)
{
	backup_reader_heed(run->reader, NULL, NULL);
	backup_frame_free(&run->first);
}

int tally_content(void *context, struct content *content, rh_error *error)
{
	struct tally *tally = context;
	struct license_view view;

	(void)error;
	if (content->code == RH_OK && !content->chosen)
		return RH_OK;
	tally->summary->licenses++;
	tally->summary->bytes += content->row.bytes;
	if (content->code == RH_OK) {
		tally->summary->done++;
		return RH_OK;
	}
	tally->summary->failed++;
	/* Damage is worse news than somebody unknown. */
	if (tally->first.code == RH_OK || tally->first.code == RH_E_LICENSE_ISSUER)
		tally->first = *content->why;
	report_license(tally->report, content->code,
	    content->row.facts.id[0] == '\0'
		? NULL
		: license_view(&view, tally->report->language, &content->row.facts,
		      content->row.bytes, RH_TIME_NONE),
	    content->why->text);
	return RH_OK;
}
