#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#include "engine/managed.h"

/* ---- One licence ---- */

void restore_tell(
    struct restore *run, const struct content *content, int code, const char *text)
{
	const struct license *facts = &content->row.facts;
	struct license_view view;

	report_license(run->report, code,
	    facts->id[0] == '\0' ? NULL
				 : license_view(&view, run->report->language, facts,
				       content->row.bytes, content->row.added),
	    text);
}

/*
 * The licence is in the store: takes over what its state in the backup has spent more.
 * RH_S_STATE_MERGED or RH_S_ALREADY_HERE; changes nothing in a plan.
 */
static int merge_state(struct restore *run, const struct content *content, rh_error *error)
{
	struct store *store = run->store->store;
	int code;

	code = store_get(store, content->row.facts.id, &run->row, error);
	/* A stranger's licence of the same id spends nothing here. */
	if (code == RH_OK && !settle_same_issuer(&run->row.facts, &content->row.facts))
		return RH_S_ALREADY_HERE;
	if (code == RH_OK)
		code = store_open_row(run->sealer, &run->row, &run->content, error);
	if (code != RH_OK)
		return code;
	if (!license_state_merge(&run->content.state, &content->state))
		return RH_S_ALREADY_HERE;
	if (run->plan)
		return RH_S_STATE_MERGED;
	run->row.state_version++;
	code = store_seal(run->sealer, &run->row, run->content.document.data,
	    run->content.document.size, run->content.secret.data, run->content.secret.size,
	    &run->content.state, error);
	if (code == RH_OK)
		code = store_replace(store, run->row.number, &run->row, error);
	return code == RH_OK ? RH_S_STATE_MERGED : code;
}

bool restore_spent(const struct content *content)
{
	const struct license_state *state = &content->state;

	return state->count_count > 0 || state->first_use != LICENSE_TIME_NONE;
}

int restore_present(struct restore *run, const struct content *content, rh_error *error)
{
	int code = RH_S_ALREADY_HERE;

	if (restore_spent(content))
		code = merge_state(run, content, error);
	if (code == RH_S_STATE_MERGED)
		run->summary->updated++;
	else if (code == RH_S_ALREADY_HERE)
		run->summary->already_here++;
	return code;
}

static int keep_present(struct restore *run, const struct content *content, rh_error *error)
{
	int code = restore_present(run, content, error);

	if (code != RH_S_ALREADY_HERE && code != RH_S_STATE_MERGED)
		return code;
	restore_tell(run, content, code, "");
	return RH_OK;
}

/* Whether it comes without its counts, which stay with the computer that they are kept on. */
bool restore_counts_stay(const struct restore *run, const struct content *content)
{
	const char *computer = content->state.computer;

	return content->row.facts.count_count > 0 && computer[0] != '\0' &&
	       license_format_signed(content->row.facts.format) &&
	       strcmp(computer, run->computer) != 0;
}

/* A licence that is new here; one that is plainly copied is told of in a plan alone. */
static void added(struct restore *run, const struct content *content)
{
	bool stay = restore_counts_stay(run, content);

	run->summary->done++;
	if (stay)
		restore_tell(run, content, RH_S_COUNTS_STAY, "");
	else if (run->plan)
		restore_tell(run, content, RH_S_ADDED, "");
}

int restore_spent_before(struct restore *run, struct store_row *row, rh_error *error)
{
	int code = settle_spent(run->store, run->sealer, row, error);

	return code == RH_S_STATE_MERGED ? RH_OK : code;
}

static int look_up(struct restore *run, const struct content *content, rh_error *error)
{
	int code = RH_E_LICENSE_UNKNOWN;

	if (run->store != NULL)
		code = store_get(run->store->store, content->row.facts.id, &run->row, error);
	if (code == RH_OK)
		return keep_present(run, content, error);
	if (code != RH_E_LICENSE_UNKNOWN)
		return code;
	error_clear(error);
	added(run, content);
	return RH_OK;
}

static int insert(struct restore *run, struct content *content, rh_error *error)
{
	struct store_here here;
	int code = store_insert(run->store->store, &content->row, &here, error);

	if (code == RH_S_ALREADY_HERE || code == RH_E_LICENSE_CONFLICT) {
		error_clear(error);
		return keep_present(run, content, error);
	}
	/* It was here before, and what was spent then stays spent. */
	if (code == RH_S_ADDED)
		code = here.spent ? restore_spent_before(run, &content->row, error) : RH_OK;
	if (code == RH_OK)
		added(run, content);
	return code;
}

static int on_content(void *context, struct content *content, rh_error *error)
{
	struct restore *run = context;

	if (content->passed_over) {
		run->managed_seen = true;
		return RH_OK;
	}
	if (content->code != RH_OK) {
		run->summary->licenses++;
		run->summary->failed++;
		restore_tell(run, content, content->code, content->why->text);
		return RH_OK;
	}
	if (!content->chosen)
		return RH_OK;
	run->summary->licenses++;
	run->summary->bytes += content->row.bytes;
	return run->plan ? look_up(run, content, error) : insert(run, content, error);
}

/* ---- One generation ---- */

static bool only_managed(const struct backup_header *header)
{
	return header->owned == 0 && header->managed > 0;
}

/*
 * Those that need no service; where there are none, the dictionary is learned all the same.
 * Damage is told of here, unless there are none.
 */
static int read_owned(struct restore *run, struct backup_reader *reader,
    const struct filter *filter, rh_error *error)
{
	const struct backup_header *header = backup_reader_header(reader);
	struct contents contents = {
	    .report = run->report,
	    .reader = reader,
	    .filter = filter,
	    .seal_for = run->plan ? NULL : run->store->store,
	    .added = clock_now(),
	    .belief = &run->belief,
	    .believe = true,
	    .leave_out = CONTENTS_MANAGED,
	    .on_content = on_content,
	    .context = run,
	};
	int code = RH_OK;

	if (!run->plan)
		code = contents_learn(&contents, error);
	if (code == RH_OK && !only_managed(header))
		code = contents_run(&contents, error);
	contents_free(&contents);
	return code;
}

/* How far the generation is believed, and who this computer is. */
static int believe(struct restore *run, struct backup_reader *reader, rh_error *error)
{
	const struct jose_key *key;
	int code;

	run->computer = "";
	code = belief_form(
	    run->opening, run->store, backup_reader_header(reader), false, &run->belief, error);
	if (code == RH_OK && run->store != NULL) {
		code = computer_license_key(run->store->computer, &key, error);
		if (code == RH_OK)
			run->computer = jose_key_thumbprint(key);
	}
	return code;
}

/* Bytes that are lost because the medium is gone are not lost: nothing is taken then. */
static int check_medium(
    const struct restore *run, const struct backup_reader *reader, rh_error *error)
{
	struct backup_wear wear;

	backup_reader_wear(reader, &wear);
	return wear.bytes_lost > 0 ? medium_check(&run->place, error) : RH_OK;
}

/*
 * What the medium lost between the two times of reading was passed over without a word: damage
 * is told of by the first.
 */
static int check_again(const struct restore *run, const struct backup_reader *reader,
    const struct backup_reader *again, rh_error *error)
{
	struct backup_wear first, second;
	int code = check_medium(run, again, error);

	backup_reader_wear(reader, &first);
	backup_reader_wear(again, &second);
	if (code == RH_OK && second.bytes_lost > first.bytes_lost)
		code = error_set(error, RH_E_READ,
		    "the backup could not be read a second time for what a service counts; "
		    "restore again");
	return code;
}

/* All that needs no service in one transaction, or the store as it was. */
static int restore_owned(struct restore *run, struct backup_reader *reader,
    const struct filter *filter, rh_error *error)
{
	const struct backup_header *header = backup_reader_header(reader);
	struct store *store = run->store != NULL ? run->store->store : NULL;
	int code = RH_OK;

	if (run->plan && store != NULL)
		code = store_read_begin(store, error);
	else if (!run->plan)
		code = only_managed(header) ? store_begin(store, error)
					    : store_begin_fill(store, error);
	if (code != RH_OK)
		return code;
	code = believe(run, reader, error);
	if (code == RH_OK)
		code = read_owned(run, reader, filter, error);
	if (code == RH_OK)
		code = check_medium(run, reader, error);
	if (code == RH_OK && !run->plan && run->belief.proven && header->issuers != NULL)
		code = pins_import(run->store, header->issuers, run->report, error);
	if (run->plan) {
		if (store != NULL)
			store_read_end(store);
		return code;
	}
	/* The last moment at which a cancel is heard. */
	if (code == RH_OK)
		code = report_check(run->report, error);
	if (code == RH_OK)
		code = store_commit(store, error);
	if (code != RH_OK)
		store_rollback(store);
	return code;
}

/* What is with services after what is not: it reads the backup a second time. */
static int restore_generation(struct restore *run, struct backup_reader *reader,
    const struct filter *filter, rh_error *error)
{
	const struct backup_header *header = backup_reader_header(reader);
	struct backup_reader *again = NULL;
	int code = RH_OK;

	report_totals(run->report, header->owned + header->managed, header->bytes);
	if (run->store != NULL)
		code = store_sealer_new(run->store->store, &run->sealer, error);
	if (code == RH_OK)
		code = restore_owned(run, reader, filter, error);
	run->owned_done = code == RH_OK;
	run->managed_seen |= only_managed(header);
	if (code == RH_OK && run->managed_seen)
		code = opening_again(run->opening, &again, error);
	if (code == RH_OK && run->managed_seen)
		code = managed_restore(run, again, filter, only_managed(header), error);
	if (code == RH_OK && run->managed_seen)
		code = check_again(run, only_managed(header) ? again : reader, again, error);
	if (code == RH_OK)
		opening_tell_wear(run->opening, run->report, again != NULL ? again : reader);
	backup_reader_free(again);
	belief_free(&run->belief);
	store_sealer_free(run->sealer);
	run->sealer = NULL;
	return code;
}

/* Opens the newest generation; on damage found while reading, the one before it. */
static int restore_newest(
    struct restore *run, struct opening *opening, const struct filter *filter, rh_error *error)
{
	struct backup_reader *reader = NULL;
	bool begun = false;
	int code;

	report_event(run->report, RH_EVENT_CONNECTING);
	do {
		error_clear(error);
		code = report_check(run->report, error);
		if (code == RH_OK)
			code = opening_reader(opening, run->report, &reader, error);
		if (code == RH_OK)
			code = managed_connect(run, backup_reader_header(reader), error);
		if (code != RH_OK) {
			backup_reader_free(reader);
			return code;
		}
		if (!begun) {
			report_event(run->report, RH_EVENT_DISCONNECTING);
			report_event(run->report, RH_EVENT_BEGIN);
			begun = true;
		}
		*run->summary = (rh_summary){0};
		run->managed_seen = run->limit_reached = run->needs_individualization = false;
		code = restore_generation(run, reader, filter, error);
		backup_reader_free(reader);
		reader = NULL;
		/* It was read to its end once. */
		if (code == RH_E_READ && run->owned_done)
			break;
	} while (opening_older(opening, run->report, code));
	return code;
}

/* What stands in the way of licences that were not restored, the gravest first. */
static int not_all(const struct restore *run, rh_error *error)
{
	int code = RH_E_NOT_ALL_STORED;

	if (run->summary->failed == 0)
		return RH_OK;
	if (run->limit_reached)
		code = RH_E_LIMIT_REACHED;
	else if (run->needs_individualization)
		code = RH_E_INDIVIDUALIZE;
	return error_set(error, code, "%llu of %llu licences were not restored",
	    (unsigned long long)run->summary->failed,
	    (unsigned long long)run->summary->licenses);
}

int rh_restore(rh_store *store, const char *path, const rh_open_options *options,
    const rh_listener *listener, rh_summary *summary, rh_error *error)
{
	const rh_open_options defaults = RH_OPEN_OPTIONS_INIT;
	struct opening opening = {0};
	struct filter filter = {0};
	struct report report;
	rh_summary counts = {0};
	struct restore run = {
	    .store = store, .report = &report, .summary = &counts, .opening = &opening};
	rh_error own;
	int code;

	error = error != NULL ? error : &own;
	error_clear(error);
	options = options != NULL ? options : &defaults;
	run.options = options;
	run.plan = options->plan != 0;
	report_init(&report, listener, run.plan ? RH_OPERATION_PLAN : RH_OPERATION_RESTORE);
	code = opening_options(options, &filter, error);
	if (code == RH_OK && store == NULL && !run.plan)
		code = error_set(error, RH_E_ARGUMENT, "no store was given");
	if (code == RH_OK && path != NULL)
		medium_begin(&run.place, &report, path, store, "");
	if (code == RH_OK)
		code = opening_begin(&opening, store, path, options, error);
	opening.place = &run.place;
	if (code == RH_OK)
		code = restore_newest(&run, &opening, &filter, error);
	if (code == RH_OK)
		code = not_all(&run, error);
	code = medium_explain(&run.place, code, error);
	managed_free(run.managed);
	store_row_free(&run.row);
	store_content_free(&run.content);
	opening_end(&opening);
	filter_free(&filter);
	if (summary != NULL)
		*summary = counts;
	return report_end(&report, code, error);
}
