#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"

/* What is left of a count: nothing of one that stays on another computer. */
static uint64_t left(const rh_count *count, const struct license_state *state, bool here)
{
	uint64_t remaining = count->remaining;

	if (!here)
		return 0;
	for (size_t i = 0; i < state->count_count; i++)
		if (strcmp(count->action, state->counts[i].action) == 0 &&
		    state->counts[i].remaining < remaining)
			remaining = state->counts[i].remaining;
	return remaining;
}

const rh_license *license_show(struct license_view *view, const struct rh_store *store,
    const struct store_row *row, const struct license_state *state, const char *computer)
{
	bool here;

	license_view(view, store->language, &row->facts, row->bytes, row->added);
	if (state == NULL)
		return &view->license;
	here = state->computer[0] == '\0' || strcmp(state->computer, computer) == 0;
	for (size_t i = 0; i < view->license.count_count; i++)
		view->counts[i].remaining = left(&view->counts[i], state, here);
	return &view->license;
}

/* This computer's name in licences. */
static int this_computer(struct rh_store *store, const char **ret, rh_error *error)
{
	const struct jose_key *key;
	int code = computer_license_key(store->computer, &key, error);

	if (code == RH_OK)
		*ret = jose_key_thumbprint(key);
	return code;
}

/* ---- One by one ---- */

/* All licences on their way to who asked for them. */
struct enumeration {
	struct rh_store *store;
	struct store_sealer *sealer;
	const char *computer;
	const struct filter *filter;
	rh_license_function function;
	void *context;
	struct store_row row; /* of a licence whose state is needed */
	struct store_content content;
};

/* What is left of a counted licence stands in its state. */
static int open_state(struct enumeration *all, const char *id, rh_error *error)
{
	int code = store_get(all->store->store, id, &all->row, error);

	return code == RH_OK ? store_open_row(all->sealer, &all->row, &all->content, error)
			     : code;
}

static int enumerate_row(
    struct enumeration *all, const struct store_row *row, bool *ret_more, rh_error *error)
{
	struct license_view view;
	const rh_license *license;
	int code = store_check_facts(all->sealer, row, error);

	if (code != RH_OK)
		return code;
	license = license_show(&view, all->store, row, NULL, all->computer);
	if (!filter_passes(all->filter, license))
		return RH_OK;
	if (row->has_state && row->facts.count_count > 0) {
		code = open_state(all, row->facts.id, error);
		if (code != RH_OK)
			return code;
		license =
		    license_show(&view, all->store, row, &all->content.state, all->computer);
	}
	*ret_more = all->function(all->context, license) == 0;
	return RH_OK;
}

int rh_enumerate(rh_store *store, const char *filter_text, rh_license_function function,
    void *context, rh_error *error)
{
	struct enumeration all = {.store = store, .function = function, .context = context};
	struct store_cursor *cursor = NULL;
	struct store_row row = {0};
	struct filter filter;
	bool more = true;
	int code;

	if (store == NULL || function == NULL)
		return error_set(error, RH_E_ARGUMENT, "no store or no function was given");
	code = filter_parse(&filter, filter_text, error);
	if (code != RH_OK)
		return code;
	all.filter = &filter;
	code = this_computer(store, &all.computer, error);
	if (code == RH_OK)
		code = store_sealer_new(store->store, &all.sealer, error);
	if (code == RH_OK)
		code = store_cursor_new(store->store, true, &cursor, error);
	while (code == RH_OK && more) {
		code = store_cursor_next(cursor, &row, &more, error);
		if (code == RH_OK && more)
			code = enumerate_row(&all, &row, &more, error);
	}
	store_cursor_free(cursor);
	store_sealer_free(all.sealer);
	store_content_free(&all.content);
	store_row_free(&all.row);
	store_row_free(&row);
	filter_free(&filter);
	return code;
}

int license_find(
    struct rh_store *store, const char *prefix, struct store_row *row, rh_error *error)
{
	char id[sizeof row->facts.id];
	int code = store_find(store->store, prefix, id, sizeof id, error);

	return code == RH_OK ? store_get(store->store, id, row, error) : code;
}

/* Finds the licence and opens it. */
static int open_license(rh_store *store, const char *prefix, struct store_row *row,
    struct store_content *content, rh_error *error)
{
	struct store_sealer *sealer = NULL;
	int code = license_find(store, prefix, row, error);

	if (code == RH_OK)
		code = store_sealer_new(store->store, &sealer, error);
	if (code == RH_OK)
		code = store_open_row(sealer, row, content, error);
	store_sealer_free(sealer);
	return code;
}

int rh_get(rh_store *store, const char *id, rh_license_function function, void *context,
    rh_error *error)
{
	struct store_content content = {0};
	struct store_row row = {0};
	struct license_view view;
	const char *computer;
	int code = argument_text(id, "licence id", error);

	if (code != RH_OK || store == NULL || function == NULL)
		return error_set(
		    error, RH_E_ARGUMENT, "no store, licence id or function was given");
	code = this_computer(store, &computer, error);
	if (code == RH_OK)
		code = open_license(store, id, &row, &content, error);
	if (code == RH_OK)
		function(context, license_show(&view, store, &row, &content.state, computer));
	store_content_free(&content);
	store_row_free(&row);
	return code;
}

int rh_get_document(
    rh_store *store, const char *id, void **ret_data, size_t *ret_size, rh_error *error)
{
	struct store_content content = {0};
	struct store_row row = {0};
	int code = argument_text(id, "licence id", error);

	if (code != RH_OK || store == NULL || ret_data == NULL || ret_size == NULL)
		return error_set(error, RH_E_ARGUMENT, "no store or licence id was given");
	code = open_license(store, id, &row, &content, error);
	if (code == RH_OK) {
		/* The buffer is plain malloc memory: it goes over to the caller. */
		*ret_data = content.document.data;
		*ret_size = content.document.size;
		content.document = (struct buffer){0};
	}
	store_content_free(&content);
	store_row_free(&row);
	return code;
}

int rh_remove(rh_store *store, const char *id, rh_error *error)
{
	int code = argument_text(id, "licence id", error);

	if (code != RH_OK || store == NULL)
		return error_set(error, RH_E_ARGUMENT, "no store or licence id was given");
	code = store_begin(store->store, error);
	if (code != RH_OK)
		return code;
	code = store_remove(store->store, id, error);
	if (code == RH_OK)
		code = store_commit(store->store, error);
	if (code != RH_OK)
		store_rollback(store->store);
	return code;
}

/* Opens one row; a damaged one is reported and counted. */
static int check_row(struct rh_store *store, struct report *report, struct store_sealer *sealer,
    const struct store_row *row, struct store_content *content, rh_summary *summary,
    rh_error *first)
{
	struct license_view view;
	uint8_t digest[DIGEST_SIZE];
	rh_error why;
	int code = store_open_row(sealer, row, content, &why);

	/* The seal holds; but was it made over the document that was added? */
	if (code == RH_OK)
		code = sha256(digest, content->document.data, content->document.size, &why);
	if (code == RH_OK && !bytes_equal(digest, row->digest, DIGEST_SIZE))
		code = error_set(&why, RH_E_STORE_DAMAGED,
		    "licence %s does not have the digest that it was added with",
		    row->facts.id);
	summary->licenses++;
	summary->bytes += row->bytes;
	if (code == RH_OK) {
		summary->done++;
		return RH_OK;
	}
	if (code != RH_E_STORE_DAMAGED) {
		*first = why;
		return code;
	}
	summary->failed++;
	if (first->code == RH_OK)
		*first = why;
	report_license(report, code, license_show(&view, store, row, NULL, ""), why.text);
	return RH_OK;
}

static int check_rows(struct rh_store *store, struct report *report, rh_summary *summary,
    rh_error *first, rh_error *error)
{
	struct store_cursor *cursor = NULL;
	struct store_sealer *sealer = NULL;
	struct store_content content = {0};
	struct store_row row = {0};
	bool more = true;
	int code;

	code = store_sealer_new(store->store, &sealer, error);
	if (code == RH_OK)
		code = store_cursor_new(store->store, false, &cursor, error);
	while (code == RH_OK && more) {
		code = store_cursor_next(cursor, &row, &more, error);
		if (code != RH_OK || !more)
			break;
		code = check_row(store, report, sealer, &row, &content, summary, first);
		if (code != RH_OK && error != NULL)
			*error = *first;
		report_done(report, 1, row.bytes);
		if (code == RH_OK)
			code = report_check(report, error);
	}
	store_cursor_free(cursor);
	store_sealer_free(sealer);
	store_content_free(&content);
	store_row_free(&row);
	return code;
}

/* Everything in the store as of one moment; the first damage goes to ${error}. */
static int check_store(
    struct rh_store *store, struct report *report, rh_summary *summary, rh_error *error)
{
	struct store_totals totals;
	rh_error first;
	int code;

	error_clear(&first);
	code = store_check_pages(store->store, error);
	if (code != RH_OK)
		return code;
	code = store_read_begin(store->store, error);
	if (code != RH_OK)
		return code;
	code = store_totals(store->store, &totals, error);
	if (code == RH_OK) {
		report_totals(report, totals.licenses, 0);
		code = check_rows(store, report, summary, &first, error);
	}
	store_read_end(store->store);
	if (code == RH_OK && first.code != RH_OK) {
		if (error != NULL)
			*error = first;
		return first.code;
	}
	if (code == RH_OK && summary->licenses != totals.licenses)
		return error_set(error, RH_E_STORE_DAMAGED,
		    "the store in %s counts %llu licences and holds %llu", store->directory,
		    (unsigned long long)totals.licenses, (unsigned long long)summary->licenses);
	return code;
}

int rh_store_check(
    rh_store *store, const rh_listener *listener, rh_summary *summary, rh_error *error)
{
	struct report report;
	rh_summary counts = {0};
	rh_error own;
	int code;

	error = error != NULL ? error : &own;
	error_clear(error);
	report_init(&report, listener, RH_OPERATION_CHECK);
	if (store == NULL) {
		code = error_set(error, RH_E_ARGUMENT, "no store was given");
	} else {
		report_event(&report, RH_EVENT_BEGIN);
		code = check_store(store, &report, &counts, error);
	}
	if (summary != NULL)
		*summary = counts;
	return report_end(&report, code, error);
}
