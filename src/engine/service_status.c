#include <stdlib.h>
#include <string.h>

#include "engine/link_private.h"

/* One licence that is asked about. */
struct asked {
	struct store_row row; /* facts */
	struct license_state state;
	struct buffer document;
};

/*
 * Licences are read from the store and asked about in batches, so that neither much memory is
 * needed nor the store is held while the network is waited for.
 */
struct status_run {
	struct rh_store *store;
	struct link *link;
	struct report *report;
	const struct filter *filter;
	const struct jose_key *license_key;
	rh_license_status_function function;
	void *context;
	bool ended; /* the function wants no more */

	struct store_sealer *sealer;
	struct store_row row; /* scratch */
	struct store_content content; /* scratch */
	int64_t last; /* row that was read */
	bool here; /* one of the batch was issued to this computer */
	struct asked *asked;
	size_t count;
	size_t bytes;
	struct request_license *licenses; /* as the message has them */
	rh_holder *holders; /* of one licence */
};

/* ---- Reading ---- */

static int note_computer(void *context, const struct license *license,
    const struct license_rights *rights, rh_error *error)
{
	struct status_run *run = context;

	(void)license;
	(void)error;
	if (rights != NULL &&
	    strcmp(rights->computer, jose_key_thumbprint(run->license_key)) == 0)
		run->here = true;
	return RH_OK;
}

/* Whether it was issued to this computer: then the service must be told, to count right. */
static int look_at(struct status_run *run, const struct store_content *content, rh_error *error)
{
	const struct license_document document = {.data = content->document.data,
	    .size = content->document.size,
	    .format = run->row.facts.format};
	rh_error ignored;
	int code = run->here ? RH_OK : license_read(&document, note_computer, run, &ignored);

	return code == RH_E_MEMORY ? error_memory(error) : RH_OK;
}

static bool wanted(struct status_run *run, const struct store_row *row)
{
	struct license_view view;

	return license_class(&row->facts) == LICENSE_MANAGED &&
	       strcmp(row->facts.service, run->link->address) == 0 &&
	       filter_passes(run->filter, license_view(&view, run->store->language, &row->facts,
					      row->bytes, row->added));
}

static int take_row(struct status_run *run, rh_error *error)
{
	struct asked *asked = &run->asked[run->count];
	int code = store_open_row(run->sealer, &run->row, &run->content, error);

	if (code == RH_OK)
		code = store_check_facts(run->sealer, &run->row, error);
	if (code == RH_OK)
		code = look_at(run, &run->content, error);
	if (code != RH_OK)
		return code;
	asked->row.facts = run->row.facts;
	asked->row.bytes = run->row.bytes;
	asked->row.added = run->row.added;
	asked->state = run->content.state;
	buffer_clear(&asked->document);
	code = buffer_append(
	    &asked->document, run->content.document.data, run->content.document.size, error);
	if (code == RH_OK) {
		run->bytes += asked->document.size;
		run->count++;
	}
	return code;
}

/* Reads on from the last row until a batch is full, or to the end. */
static int read_batch(struct status_run *run, bool *ret_more, rh_error *error)
{
	struct store_cursor *cursor = NULL;
	bool more = true;
	int code = store_cursor_new(run->store->store, false, &cursor, error);

	run->count = 0;
	run->bytes = 0;
	run->here = false;
	if (code == RH_OK)
		store_cursor_after(cursor, run->last);
	while (
	    code == RH_OK && run->count < MESSAGE_LICENSES_MAX && run->bytes < MESSAGE_TARGET) {
		code = report_check(run->report, error);
		if (code == RH_OK)
			code = store_cursor_next(cursor, &run->row, &more, error);
		if (code != RH_OK || !more)
			break;
		/* One too large for the rest of the message begins the next. */
		if (wanted(run, &run->row) && run->count > 0 &&
		    run->bytes + run->row.bytes > MESSAGE_TARGET)
			break;
		run->last = run->row.number;
		if (wanted(run, &run->row))
			code = take_row(run, error);
	}
	store_cursor_free(cursor);
	*ret_more = more;
	return code;
}

/* ---- Asking ---- */

static int show_one(struct status_run *run, struct asked *asked,
    const struct status_license *answer, rh_error *error)
{
	rh_license_status status = {.code = RH_OK,
	    .text = "",
	    .limit = answer->limit,
	    .free = answer->free,
	    .next = answer->next,
	    .holder_count = answer->computer_count};
	struct license_view view;
	rh_holder *holders;

	if (answer->code != NULL) {
		status.code = RH_E_SERVICE_REFUSED;
		status.text = answer->detail != NULL ? answer->detail : answer->code;
		status.next = RH_TIME_NONE;
		status.holder_count = 0;
	}
	holders = realloc(run->holders, (status.holder_count + 1) * sizeof *run->holders);
	if (holders == NULL)
		return error_memory(error);
	run->holders = holders;
	status.holders = holders;
	for (size_t i = 0; i < status.holder_count; i++) {
		const struct status_computer *computer = &answer->computers[i];

		holders[i] = (rh_holder){.computer = computer->computer,
		    .name = computer->name != NULL ? computer->name : "",
		    .since = computer->since,
		    .releasing = computer->releasing,
		    .original = computer->original,
		    .here = computer->you};
	}
	run->ended = run->function(run->context,
			 license_show(&view, run->store, &asked->row, &asked->state,
			     jose_key_thumbprint(run->license_key)),
			 &status) != 0;
	return RH_OK;
}

static int show_reply(struct status_run *run, const struct status_reply *reply, rh_error *error)
{
	int code = RH_OK;

	if (reply->license_count != run->count)
		return error_set(error, RH_E_SERVICE_REPLY,
		    "%.400s answered for %zu licences, it was asked about %zu",
		    run->link->address, reply->license_count, run->count);
	for (size_t i = 0; i < run->count && code == RH_OK && !run->ended; i++) {
		const struct status_license *answer = &reply->licenses[i];

		if (answer->code == NULL &&
		    (answer->id == NULL || strcmp(answer->id, run->asked[i].row.facts.id) != 0))
			return error_set(error, RH_E_SERVICE_REPLY,
			    "%.400s answered for another licence than it was asked about",
			    run->link->address);
		code = show_one(run, &run->asked[i], answer, error);
		if (code == RH_OK && !run->ended)
			code = report_check(run->report, error);
	}
	return code;
}

static int ask_batch(struct status_run *run, rh_error *error)
{
	struct restore_request request = {
	    .path = MESSAGE_LICENSES, .licenses = run->licenses, .license_count = run->count};
	struct status_reply reply = {0};
	char *claim = NULL;
	int code = RH_OK;

	for (size_t i = 0; i < run->count; i++)
		run->licenses[i] = (struct request_license){
		    .document = (const char *)run->asked[i].document.data,
		    .document_size = run->asked[i].document.size};
	if (run->here)
		code = claim_sign(
		    run->license_key, run->link->address, run->link->computer, &claim, error);
	request.claim = claim;
	if (code == RH_OK)
		code = link_status(run->link, &request, &reply, error);
	if (code == RH_OK)
		code = show_reply(run, &reply, error);
	status_reply_free(&reply);
	free(claim);
	return code;
}

static int ask_all(struct status_run *run, rh_error *error)
{
	bool more = true;
	int code = computer_license_key(run->store->computer, &run->license_key, error);

	if (code == RH_OK)
		code = store_sealer_new(run->store->store, &run->sealer, error);
	run->asked = calloc(MESSAGE_LICENSES_MAX, sizeof *run->asked);
	run->licenses = calloc(MESSAGE_LICENSES_MAX, sizeof *run->licenses);
	if (code == RH_OK && (run->asked == NULL || run->licenses == NULL))
		code = error_memory(error);
	run->last = INT64_MIN;
	run->content.skip_secret = true;
	while (code == RH_OK && more && !run->ended) {
		code = read_batch(run, &more, error);
		if (code == RH_OK && run->count > 0)
			code = ask_batch(run, error);
	}
	return code;
}

static void status_free(struct status_run *run)
{
	for (size_t i = 0; run->asked != NULL && i < MESSAGE_LICENSES_MAX; i++)
		buffer_free(&run->asked[i].document);
	free(run->asked);
	free(run->licenses);
	free(run->holders);
	store_sealer_free(run->sealer);
	store_content_free(&run->content);
	store_row_free(&run->row);
}

/* Who it asks, and then everything. */
static int status(struct status_run *run, const char *address, rh_error *error)
{
	const struct link_options options = {0};
	int kept,
	    code = link_open(run->store, address, &options, run->report, &run->link, error);

	if (code != RH_OK)
		return code;
	code = ask_all(run, error);
	/* What was seen of the ledger is kept also if the rest failed. */
	kept = link_save(run->link, code == RH_OK ? error : NULL);
	link_close(run->link);
	return code == RH_OK ? kept : code;
}

int rh_service_status(rh_store *store, const char *address, const char *filter_text,
    rh_license_status_function function, void *context, const rh_listener *listener,
    rh_error *error)
{
	struct report report;
	struct filter filter = {0};
	struct status_run run = {.store = store,
	    .report = &report,
	    .filter = &filter,
	    .function = function,
	    .context = context};
	rh_error own;
	int code;

	error = error != NULL ? error : &own;
	error_clear(error);
	report_init(&report, listener, RH_OPERATION_INSPECT);
	if (store == NULL || function == NULL)
		code = error_set(error, RH_E_ARGUMENT, "no store or no function was given");
	else
		code = argument_text(address, "address of a service", error);
	if (code == RH_OK)
		code = filter_parse(&filter, filter_text, error);
	if (code == RH_OK) {
		report_event(&report, RH_EVENT_BEGIN);
		code = status(&run, address, error);
		status_free(&run);
		filter_free(&filter);
	}
	return report_end(&report, code, error);
}
