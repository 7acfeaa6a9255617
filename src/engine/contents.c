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
	struct buffer frame;
	struct frame_parser *parser;
	struct store_sealer *sealer; /* NULL unless rows are sealed */
	struct content *contents;
	size_t count;
	size_t capacity;
};

static void item_free(void *context, void *pointer)
{
	struct item *item = pointer;

	(void)context;
	for (size_t i = 0; i < item->capacity; i++) {
		store_row_free(&item->contents[i].row);
		free(item->contents[i].why);
	}
	free(item->contents);
	buffer_free_secret(&item->frame);
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
	content->unchecked = false;
	content->computer[0] = '\0';
	content->row.bytes = 0;
	memset(&content->row.facts, 0, sizeof content->row.facts);
	free(content->why);
	content->why = NULL;
	license_state_init(&content->state);
	return content;
}

static int produce(void *context, void *pointer, bool *ret_end, rh_error *error)
{
	struct contents *run = context;
	struct item *item = pointer;
	struct buffer swap = item->frame;
	int code;

	if (run->first.size > 0) {
		item->frame = run->first;
		run->first = swap;
		buffer_clear(&run->first);
		return RH_OK;
	}
	buffer_clear(&item->frame);
	code = backup_reader_next(run->reader, &item->frame, error);
	*ret_end = item->frame.size == 0;
	return code;
}

/* ---- One licence ---- */

/* Takes the record that the member's name stands for. */
static int take_record(void *context, const struct license *license,
    const struct license_rights *rights, rh_error *error)
{
	struct content *content = context;
	char component[LICENSE_COMPONENT_SIZE];
	int code = license_path_component(component, license->id, error);

	if (code != RH_OK || strcmp(component, content->component) != 0)
		return code;
	content->row.facts = *license;
	if (rights != NULL)
		memcpy(content->computer, rights->computer, sizeof content->computer);
	return RH_OK;
}

/* The document among the members, as it was read when it was added. */
static struct license_document document_of(
    const struct content *content, const struct frame_license *members)
{
	struct license_document document = {.data = members->document,
	    .size = members->document_size,
	    .name = members->component};

	if (content->state.name[0] != '\0')
		document.name = content->state.name;
	if (content->state.format[0] != '\0')
		document.format = content->state.format;
	return document;
}

/*
 * The facts as the backup tells them; false if it does not.  A document that proves itself is
 * worth more than words that anybody may have put beside it, whatever they call it.
 */
static bool believe_facts(struct content *content, const struct frame_license *members)
{
	struct license *facts = &content->row.facts;
	struct license_document document = document_of(content, members);
	char component[LICENSE_COMPONENT_SIZE];

	if (members->facts_size > 0 &&
	    license_facts_parse(facts, members->facts, members->facts_size) &&
	    (members->proven || (!license_format_signed(facts->format) &&
				    !license_document_signed(&document))) &&
	    license_path_component(component, facts->id, NULL) == RH_OK &&
	    strcmp(component, members->component) == 0)
		return true;
	facts->id[0] = '\0';
	return false;
}

/* RH_E_LICENSE_DAMAGED unless the document says what the backup tells of it. */
static int compare_facts(
    const struct content *content, const struct frame_license *members, rh_error *error)
{
	struct buffer line = {0};
	struct license told;
	int code;

	if (members->facts_size == 0 ||
	    !license_facts_parse(&told, members->facts, members->facts_size))
		return RH_OK;
	code = license_facts_format(&content->row.facts, &line, error);
	if (code == RH_OK && (line.size != members->facts_size ||
				 memcmp(line.data, members->facts, line.size) != 0))
		code = error_set(error, RH_E_LICENSE_DAMAGED,
		    "the document of %s says something else than the backup tells of it",
		    members->component);
	buffer_free(&line);
	return code;
}

/* The facts as the document says them. */
static int read_document(const struct contents *run, struct content *content,
    const struct frame_license *members, rh_error *error)
{
	struct license_document document = document_of(content, members);
	int code;

	document.trust = run->belief->trusts ? &run->belief->trust.trust : NULL;
	code = license_read(&document, take_record, content, error);
	if (code == RH_OK && content->row.facts.id[0] == '\0')
		return error_set(error, RH_E_LICENSE_DAMAGED,
		    "the document of %s holds another licence", members->component);
	content->unchecked = code == RH_OK && document.trust == NULL &&
			     license_format_signed(content->row.facts.format);
	return code;
}

/* Whose counts they are the document says, unless the owner's computer does. */
static void bind_counts(struct content *content, const struct frame_license *members)
{
	if (!members->proven && content->row.facts.count_count > 0 &&
	    license_format_signed(content->row.facts.format))
		memcpy(
		    content->state.computer, content->computer, sizeof content->state.computer);
}

/*
 * No computer writes a signed licence into a backup that denies it: somebody else did, to get
 * it past the computer that it was issued to.
 */
static int check_right(
    const struct content *content, const struct frame_license *members, rh_error *error)
{
	const struct license *facts = &content->row.facts;

	if (!license_format_signed(facts->format) || license_class(facts) != LICENSE_RESTRICTED)
		return RH_OK;
	return error_set(error, RH_E_RESTRICTED,
	    "the licence %s does not grant the right to back up, and is in one",
	    members->component);
}

/* The secret must be as the class wants it: a managed one sealed, no other. */
static int check_secret(
    const struct content *content, const struct frame_license *members, rh_error *error)
{
	bool managed = license_class(&content->row.facts) == LICENSE_MANAGED;

	if (members->secret_size == 0 || members->sealed == managed)
		return RH_OK;
	return error_set(error, RH_E_LICENSE_DAMAGED,
	    managed ? "the managed licence %s has a secret that is not sealed"
		    : "the secret of %s is sealed for a service that the licence does not name",
	    members->component);
}

static int read_facts(const struct contents *run, struct content *content,
    const struct frame_license *members, rh_error *error)
{
	int code = RH_OK;

	if (members->state_size > 0)
		code = license_state_parse(
		    &content->state, members->state, members->state_size, error);
	if (code == RH_OK && run->believe && believe_facts(content, members))
		return check_secret(content, members, error);
	if (code == RH_OK)
		code = read_document(run, content, members, error);
	if (code == RH_OK)
		code = check_right(content, members, error);
	if (code == RH_OK)
		bind_counts(content, members);
	if (code == RH_OK && !run->believe)
		code = compare_facts(content, members, error);
	return code == RH_OK ? check_secret(content, members, error) : code;
}

/* Keeps the reason and goes on, if it concerns this licence alone. */
static int set_aside(struct content *content, int code, const rh_error *why, rh_error *error)
{
	if (!license_code(code))
		return code;
	content->why = malloc(sizeof *content->why);
	if (content->why == NULL)
		return error_memory(error);
	*content->why = *why;
	content->code = code;
	return RH_OK;
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
	code = read_facts(run, content, members, &why);
	if (code != RH_OK) {
		if (error != NULL)
			*error = why;
		return set_aside(content, code, &why, error);
	}
	content->chosen = filter_passes(
	    run->filter, license_view(&view, run->report->language, &content->row.facts,
			     members->document_size, run->added));
	if (!content->chosen)
		return RH_OK;
	/* Only a service can open the secret of a managed one. */
	if (item->sealer != NULL && license_class(&content->row.facts) != LICENSE_MANAGED)
		code = store_seal(item->sealer, &content->row, members->document,
		    members->document_size, members->secret, members->secret_size,
		    license_state_empty(&content->state) ? NULL : &content->state, error);
	if (code == RH_OK && run->on_members != NULL)
		code = run->on_members(run->context, members, error);
	return code;
}

static int on_damaged(void *context, const char *component, const rh_error *why)
{
	struct content *content = next_content(context);

	if (content == NULL)
		return RH_E_MEMORY;
	snprintf(content->component, sizeof content->component, "%s", component);
	return set_aside(content, RH_E_LICENSE_DAMAGED, why, NULL);
}

static int transform(void *context, void *pointer, rh_error *error)
{
	struct item *item = pointer;

	(void)context;
	item->count = 0;
	return frame_parse(item->parser, &item->frame, on_license, on_damaged, item, error);
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
	uint64_t bytes = 0;
	int code = RH_OK;

	for (size_t i = 0; i < item->count && code == RH_OK; i++) {
		bytes += item->contents[i].row.bytes;
		say_unchecked(run, &item->contents[i]);
		code = run->on_content(run->context, &item->contents[i], error);
		if (code == RH_OK)
			code = report_check(run->report, error);
	}
	run->licenses += item->count;
	run->bytes += bytes;
	report_done(run->report, item->count, bytes);
	return code;
}

static int idle(void *context, rh_error *error)
{
	struct contents *run = context;

	return report_check(run->report, error);
}

/* ---- The whole ---- */

int contents_run(struct contents *run, rh_error *error)
{
	const struct backup_header *header = backup_reader_header(run->reader);
	struct pipeline pipeline = {
	    item_new, item_free, produce, transform, consume, idle, run};
	int code;

	run->licenses = run->bytes = 0;
	code = pipeline_run(&pipeline, error);
	if (code != RH_OK)
		return code;
	if (run->licenses != header->owned + header->managed || run->bytes != header->bytes)
		return error_set(error, RH_E_BACKUP_CORRUPT,
		    "the backup says %llu licences and holds %llu",
		    (unsigned long long)(header->owned + header->managed),
		    (unsigned long long)run->licenses);
	return RH_OK;
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

static int skip_damaged(void *context, const char *component, const rh_error *why)
{
	(void)context;
	(void)component;
	(void)why;
	return RH_OK;
}

int contents_learn(struct contents *run, rh_error *error)
{
	struct frame_parser *parser = NULL;
	struct samples samples = {0};
	size_t offset = 0;
	int code;

	code = backup_reader_next(run->reader, &run->first, error);
	if (code != RH_OK || run->first.size == 0)
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
	buffer_free_secret(&run->first);
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
	    license_view(&view, tally->report->language, &content->row.facts,
		content->row.bytes, RH_TIME_NONE),
	    content->why->text);
	return RH_OK;
}
