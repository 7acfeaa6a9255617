#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"

/* Shows a licence with the counts that are left by ${state}. */
static const rh_license *view_with_state(
    struct license_view *view, const struct store_row *row, const struct license_state *state)
{
	license_view(view, &row->facts, row->bytes, row->added);
	for (size_t i = 0; i < view->license.count_count; i++) {
		for (size_t k = 0; k < state->count_count; k++) {
			rh_count *count = &view->counts[i];

			if (strcmp(count->action, state->counts[k].action) == 0 &&
			    state->counts[k].remaining < count->remaining)
				count->remaining = state->counts[k].remaining;
		}
	}
	return &view->license;
}

int rh_enumerate(rh_store *store, const char *filter_text, rh_license_function function,
    void *context, rh_error *error)
{
	struct store_cursor *cursor = NULL;
	struct store_sealer *sealer = NULL;
	struct store_row row = {0};
	struct license_view view;
	struct filter filter;
	bool more = true;
	int code;

	if (store == NULL || function == NULL)
		return error_set(error, RH_E_ARGUMENT, "no store or no function was given");
	code = filter_parse(&filter, filter_text, error);
	if (code != RH_OK)
		return code;
	code = store_sealer_new(store->store, &sealer, error);
	if (code == RH_OK)
		code = store_cursor_new(store->store, true, &cursor, error);
	while (code == RH_OK && more) {
		code = store_cursor_next(cursor, &row, &more, error);
		if (code != RH_OK || !more)
			break;
		code = store_check_facts(sealer, &row, error);
		license_view(&view, &row.facts, row.bytes, row.added);
		if (code == RH_OK && filter_passes(&filter, &view.license))
			more = function(context, &view.license) == 0;
	}
	store_cursor_free(cursor);
	store_sealer_free(sealer);
	store_row_free(&row);
	filter_free(&filter);
	return code;
}

/* Finds the licence and opens it. */
static int open_license(rh_store *store, const char *prefix, struct store_row *row,
    struct store_content *content, rh_error *error)
{
	struct store_sealer *sealer = NULL;
	char id[sizeof row->facts.id];
	int code;

	code = store_find(store->store, prefix, id, sizeof id, error);
	if (code == RH_OK)
		code = store_get(store->store, id, row, error);
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
	int code = argument_text(id, "licence id", error);

	if (code != RH_OK || store == NULL || function == NULL)
		return error_set(
		    error, RH_E_ARGUMENT, "no store, licence id or function was given");
	code = open_license(store, id, &row, &content, error);
	if (code == RH_OK)
		function(context, view_with_state(&view, &row, &content.state));
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
static int check_row(struct report *report, struct store_sealer *sealer,
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
	report_license(
	    report, code, license_view(&view, &row->facts, row->bytes, row->added), why.text);
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
		code = check_row(report, sealer, &row, &content, summary, first);
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
