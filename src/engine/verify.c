#include "engine/checking.h"
#include "engine/medium.h"

static int verify_licenses(struct tally *tally, struct backup_reader *reader,
    const struct filter *filter, const struct belief *belief, rh_error *error)
{
	const struct backup_header *header = backup_reader_header(reader);
	struct contents contents = {.report = tally->report,
	    .reader = reader,
	    .filter = filter,
	    .belief = belief,
	    .on_content = tally_content,
	    .context = tally};
	int code;

	report_totals(tally->report, header->owned + header->managed, header->bytes);
	code = contents_run(&contents, error);
	contents_free(&contents);
	if (code == RH_OK && tally->first.code == RH_E_LICENSE_ISSUER)
		return error_set(error, RH_E_LICENSE_ISSUER,
		    "%llu of %llu licences are whole but not of issuers that are trusted here; "
		    "%s",
		    (unsigned long long)tally->summary->failed,
		    (unsigned long long)tally->summary->licenses, tally->first.text);
	if (code == RH_OK && tally->first.code != RH_OK)
		return error_set(error, RH_E_BACKUP_CORRUPT,
		    "%llu of %llu licences are damaged; %s",
		    (unsigned long long)tally->summary->failed,
		    (unsigned long long)tally->summary->licenses, tally->first.text);
	return code;
}

/* Every byte, without any key. */
static int look(struct tally *tally, const struct opening *opening, struct backup_state *ret,
    rh_error *error)
{
	const struct backup_generation *newest = &opening->generations[0];
	struct checking checking = {.report = tally->report};
	rh_condition condition;
	int code;

	checking_begin(&checking, newest->file);
	code = backup_check(opening->directory, newest->file, &checking.watch, ret, error);
	if (code != RH_OK)
		return code;
	checking_condition(&checking, ret, &condition);
	report_condition(tally->report, &condition);
	if (ret->condition == BACKUP_UNKNOWN)
		report_notice(tally->report, "%s", ret->why.text);
	return RH_OK;
}

/*
 * Every licence; damage is passed over to see what it has left.  RH_E_SECRET_NEEDED if no key
 * was given, and none that is here fits.
 */
static int read_licenses(struct tally *tally, struct opening *opening, struct rh_store *store,
    const struct filter *filter, rh_error *error)
{
	const struct backup_generation *newest = &opening->generations[0];
	struct belief belief = {.proven = false};
	struct backup_reader *reader = NULL;
	int code = backup_reader_new(
	    opening->directory, newest->file, &opening->keys, true, &reader, error);

	if (opening->own_keys && (code == RH_E_SECRET_WRONG || code == RH_E_SECRET_NEEDED))
		return error_set(error, RH_E_SECRET_NEEDED,
		    "without its recovery key the licences in %s could not be read",
		    newest->file);
	if (code == RH_OK)
		code = belief_form(
		    opening, store, backup_reader_header(reader), false, &belief, error);
	if (code == RH_OK)
		code = verify_licenses(tally, reader, filter, &belief, error);
	belief_free(&belief);
	backup_reader_free(reader);
	return code;
}

static int judge(
    const struct backup_generation *newest, const struct backup_state *state, rh_error *error)
{
	switch (state->condition) {
	case BACKUP_LOST:
		return checking_fail(newest->file, state, RH_E_BACKUP_CORRUPT, error);
	case BACKUP_MENDABLE:
		return checking_fail(newest->file, state, RH_E_BACKUP_MENDABLE, error);
	default:
		return newest->whole ? RH_OK
				     : error_set(error, RH_E_BACKUP_CORRUPT,
					   "%s is damaged or incomplete", newest->file);
	}
}

/* After RH_E_SECRET_NEEDED in ${error}, which is no failure unless ${deep}. */
static int judge_unread(struct tally *tally, const struct backup_generation *newest,
    const struct backup_state *state, bool deep, rh_error *error)
{
	rh_error unread = *error;
	int code;

	error_clear(error);
	code = judge(newest, state, error);
	if (deep && code != RH_E_BACKUP_CORRUPT) {
		*error = unread;
		return unread.code;
	}
	report_notice(tally->report, "%s", unread.text);
	return code;
}

/*
 * Only the newest generation counts: an older one that is whole must not hide
 * that the newest is not.
 */
static int verify_newest(struct tally *tally, struct opening *opening,
    const struct workplace *place, struct rh_store *store, const struct filter *filter,
    bool deep, rh_error *error)
{
	const struct backup_generation *newest = &opening->generations[0];
	struct backup_state state = {.condition = BACKUP_UNKNOWN};
	int code;

	report_event(tally->report, RH_EVENT_BEGIN);
	code = look(tally, opening, &state, error);
	if (code == RH_OK && state.condition == BACKUP_LOST)
		code = medium_check(place, error);
	if (code == RH_OK)
		code = read_licenses(tally, opening, store, filter, error);
	if (code == RH_E_SECRET_NEEDED)
		return judge_unread(tally, newest, &state, deep, error);
	return code == RH_OK ? judge(newest, &state, error) : code;
}

int rh_verify(rh_store *store, const char *path, const rh_open_options *options,
    const rh_listener *listener, rh_summary *summary, rh_error *error)
{
	const rh_open_options defaults = RH_OPEN_OPTIONS_INIT;
	struct opening opening = {0};
	struct filter filter = {0};
	struct workplace place = {.known = false};
	struct report report;
	rh_summary counts = {0};
	struct tally tally = {.report = &report, .summary = &counts};
	rh_error own;
	int code;

	error = error != NULL ? error : &own;
	error_clear(error);
	options = options != NULL ? options : &defaults;
	report_init(&report, listener, RH_OPERATION_VERIFY);
	code = opening_options(options, &filter, error);
	if (code == RH_OK && path != NULL)
		medium_begin(&place, &report, path, store, "");
	if (code == RH_OK)
		code = opening_begin(&opening, store, path, options, error);
	if (code == RH_OK)
		code = verify_newest(
		    &tally, &opening, &place, store, &filter, options->deep != 0, error);
	code = medium_explain(&place, code, error);
	opening_end(&opening);
	filter_free(&filter);
	if (summary != NULL)
		*summary = counts;
	return report_end(&report, code, error);
}
