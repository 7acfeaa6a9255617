#include "engine/engine.h"

struct run {
	const rh_inspector *inspector;
	struct report report; /* tells nobody; stops when on_license wants to */
};

static int on_content(void *context, struct content *content, rh_error *error)
{
	struct run *run = context;
	struct license_view view;

	(void)error;
	if (content->code != RH_OK || !content->chosen)
		return RH_OK;
	license_view(
	    &view, run->report.language, &content->row.facts, content->row.bytes, RH_TIME_NONE);
	if (run->inspector->on_license(run->inspector->context, &view.license) != 0)
		run->report.stopped = true;
	return RH_OK;
}

static void tell_generations(const rh_inspector *inspector, const struct opening *opening)
{
	for (size_t i = 0; i < opening->count && inspector->on_generation != NULL; i++) {
		const struct backup_generation *generation = &opening->generations[i];
		rh_generation told = {
		    .file = generation->file,
		    .id = generation->id,
		    .created = generation->created,
		    .bytes = generation->bytes,
		    .whole = generation->whole,
		    .parity = generation->parity,
		    .mendable = generation->mendable,
		};
		inspector->on_generation(inspector->context, &told);
	}
}

static void tell_header(const rh_inspector *inspector, const struct backup_header *header)
{
	rh_backup_header told = {
	    .id = header->id,
	    .created = header->created,
	    .generator = header->generator,
	    .computer_id = header->computer_id,
	    .format_version = header->format_version,
	    .owned = header->owned,
	    .managed = header->managed,
	    .restricted = header->restricted,
	    .bytes = header->bytes,
	};

	if (inspector->on_header != NULL)
		inspector->on_header(inspector->context, &told);
}

static int tell_licenses(struct run *run, struct backup_reader *reader,
    const struct filter *filter, const struct belief *belief, rh_error *error)
{
	struct contents contents = {.report = &run->report,
	    .reader = reader,
	    .filter = filter,
	    .belief = belief,
	    .believe = true,
	    .on_content = on_content,
	    .context = run};
	int code;

	if (run->inspector->on_license == NULL)
		return RH_OK;
	code = contents_run(&contents, error);
	contents_free(&contents);
	if (code != RH_E_CANCELED)
		return code;
	error_clear(error);
	return RH_OK;
}

int rh_inspect(rh_store *store, const char *path, const rh_open_options *options,
    const rh_inspector *inspector, rh_error *error)
{
	const rh_open_options defaults = RH_OPEN_OPTIONS_INIT;
	struct run run = {.inspector = inspector};
	struct belief belief = {.proven = false};
	struct backup_reader *reader = NULL;
	struct opening opening = {0};
	struct filter filter = {0};
	int code;

	options = options != NULL ? options : &defaults;
	report_init(&run.report, NULL, RH_OPERATION_INSPECT);
	if (inspector == NULL)
		return error_set(error, RH_E_ARGUMENT, "wrong arguments for rh_inspect");
	code = opening_options(options, &filter, error);
	if (code == RH_OK)
		code = opening_begin(&opening, store, path, options, error);
	if (code == RH_OK)
		tell_generations(inspector, &opening);
	if (code == RH_OK)
		code = opening_reader(&opening, &run.report, &reader, error);
	if (code == RH_OK)
		tell_header(inspector, backup_reader_header(reader));
	if (code == RH_OK)
		code = belief_form(
		    &opening, store, backup_reader_header(reader), true, &belief, error);
	if (code == RH_OK)
		code = tell_licenses(&run, reader, &filter, &belief, error);
	belief_free(&belief);
	backup_reader_free(reader);
	opening_end(&opening);
	filter_free(&filter);
	return code;
}
