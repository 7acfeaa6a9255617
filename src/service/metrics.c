#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/metrics.h"

#define ROUTES_MAX 31 /* and one more for what fits none */
#define STATUS_MIN 100
#define STATUS_MAX 600

/* Upper bounds in microseconds. */
static const uint64_t bounds[] = {1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000,
    1000000, 2500000, 5000000, 10000000};
#define BOUNDS (sizeof bounds / sizeof bounds[0])

struct of_route {
	_Atomic uint64_t status[STATUS_MAX - STATUS_MIN];
	_Atomic uint64_t lasted[BOUNDS + 1];
	_Atomic uint64_t microseconds;
};

struct metrics {
	const struct route *table;
	size_t count;
	struct of_route route[ROUTES_MAX + 1];
	_Atomic uint64_t problem[PROBLEM_COUNT];
	_Atomic uint64_t aborted;
	_Atomic int64_t bodies;
	_Atomic int64_t connections;
};

int metrics_new(const struct route *table, struct metrics **ret, rh_error *error)
{
	struct metrics *metrics = calloc(1, sizeof *metrics);

	if (metrics == NULL)
		return error_memory(error);
	metrics->table = table;
	while (metrics->count < ROUTES_MAX && table[metrics->count].pattern != NULL)
		metrics->count++;
	*ret = metrics;
	return RH_OK;
}

void metrics_free(struct metrics *metrics)
{
	free(metrics);
}

void metrics_answered(struct metrics *metrics, const struct route *route, int status,
    enum problem problem, uint64_t nanoseconds)
{
	const uint64_t microseconds = nanoseconds / 1000;
	size_t index = metrics->count, bound = 0;
	struct of_route *of;

	if (route != NULL && (size_t)(route - metrics->table) < metrics->count)
		index = (size_t)(route - metrics->table);
	of = &metrics->route[index];
	if (status >= STATUS_MIN && status < STATUS_MAX)
		atomic_fetch_add(&of->status[status - STATUS_MIN], 1);
	while (bound < BOUNDS && microseconds > bounds[bound])
		bound++;
	atomic_fetch_add(&of->lasted[bound], 1);
	atomic_fetch_add(&of->microseconds, microseconds);
	if (problem > PROBLEM_NONE && problem < PROBLEM_COUNT)
		atomic_fetch_add(&metrics->problem[problem], 1);
}

void metrics_aborted(struct metrics *metrics)
{
	atomic_fetch_add(&metrics->aborted, 1);
}

void metrics_bodies(struct metrics *metrics, int64_t bytes)
{
	atomic_fetch_add(&metrics->bodies, bytes);
}

void metrics_connections(struct metrics *metrics, int more)
{
	atomic_fetch_add(&metrics->connections, more);
}

/* ---- The text ---- */

struct page {
	struct buffer *buffer;
	rh_error *error;
	int code; /* of the first failure */
};

__attribute__((format(printf, 2, 3))) static void put(
    struct page *page, const char *format, ...)
{
	char line[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	if (page->code == RH_OK)
		page->code = buffer_append_text(page->buffer, line, page->error);
}

static void put_head(struct page *page, const char *name, const char *type, const char *help)
{
	put(page, "# HELP rehostd_%s %s\n# TYPE rehostd_%s %s\n", name, help, name, type);
}

static void put_one(
    struct page *page, const char *name, const char *type, const char *help, int64_t value)
{
	put_head(page, name, type, help);
	put(page, "rehostd_%s %lld\n", name, (long long)value);
}

/* Labels of a row; patterns are ours and need no escaping. */
static const char *label(const struct metrics *metrics, size_t index, char *text, size_t size)
{
	const bool none = index == metrics->count;

	snprintf(text, size, "method=\"%s\",route=\"%s\"",
	    none ? "" : metrics->table[index].method,
	    none ? "" : metrics->table[index].pattern);
	return text;
}

static void put_requests(struct page *page, struct metrics *metrics)
{
	char text[160];

	put_head(page, "requests_total", "counter", "Requests that were answered.");
	for (size_t i = 0; i <= metrics->count; i++)
		for (int status = STATUS_MIN; status < STATUS_MAX; status++) {
			uint64_t count =
			    atomic_load(&metrics->route[i].status[status - STATUS_MIN]);

			if (count > 0)
				put(page, "rehostd_requests_total{%s,status=\"%d\"} %llu\n",
				    label(metrics, i, text, sizeof text), status,
				    (unsigned long long)count);
		}
}

static void put_duration(struct page *page, const struct of_route *of, const char *labels)
{
	uint64_t sum = 0;

	for (size_t i = 0; i <= BOUNDS; i++) {
		char bound[32] = "+Inf";

		sum += atomic_load(&of->lasted[i]);
		if (i < BOUNDS)
			snprintf(bound, sizeof bound, "%g", (double)bounds[i] / 1e6);
		put(page, "rehostd_request_seconds_bucket{%s,le=\"%s\"} %llu\n", labels, bound,
		    (unsigned long long)sum);
	}
	put(page, "rehostd_request_seconds_sum{%s} %.6f\n", labels,
	    (double)atomic_load(&of->microseconds) / 1e6);
	put(page, "rehostd_request_seconds_count{%s} %llu\n", labels, (unsigned long long)sum);
}

static void put_durations(struct page *page, struct metrics *metrics)
{
	char text[160];

	put_head(page, "request_seconds", "histogram",
	    "Time from the end of a request's header to its answer.");
	for (size_t i = 0; i <= metrics->count; i++)
		put_duration(page, &metrics->route[i], label(metrics, i, text, sizeof text));
}

static void put_problems(struct page *page, struct metrics *metrics)
{
	put_head(page, "problems_total", "counter", "Requests that were refused, by code.");
	for (int i = PROBLEM_NONE + 1; i < PROBLEM_COUNT; i++)
		put(page, "rehostd_problems_total{code=\"%s\"} %llu\n",
		    problem_code((enum problem)i),
		    (unsigned long long)atomic_load(&metrics->problem[i]));
}

static void put_ledger(struct page *page, const struct ledger_counts *counts)
{
	const struct {
		const char *table;
		int64_t rows;
	} rows[] = {{"computers", counts->computers}, {"licenses", counts->licenses},
	    {"slots", counts->slots}, {"cases", counts->cases}, {"entries", counts->entries}};

	put_head(page, "ledger_rows", "gauge", "Rows of the ledger, by table.");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		put(page, "rehostd_ledger_rows{table=\"%s\"} %lld\n", rows[i].table,
		    (long long)rows[i].rows);
}

int metrics_write(struct metrics *metrics, const struct ledger_counts *counts, bool rolled_back,
    struct buffer *ret, rh_error *error)
{
	struct page page = {.buffer = ret, .error = error, .code = RH_OK};

	put_head(&page, "build_info", "gauge", "The version that runs.");
	put(&page, "rehostd_build_info{version=\"%s\"} 1\n", REHOST_VERSION);
	put_requests(&page, metrics);
	put_durations(&page, metrics);
	put_problems(&page, metrics);
	put_one(&page, "requests_aborted_total", "counter",
	    "Requests whose client went away or was too slow.",
	    (int64_t)atomic_load(&metrics->aborted));
	put_one(&page, "body_bytes", "gauge",
	    "Memory that is promised to the bodies of requests under way.",
	    atomic_load(&metrics->bodies));
	put_one(&page, "connections", "gauge", "Connections that are open.",
	    atomic_load(&metrics->connections));
	put_one(&page, "database_up", "gauge", "Whether the database answers.", counts != NULL);
	put_one(&page, "ledger_rolled_back", "gauge",
	    "Whether the ledger was put back to an old copy.", rolled_back);
	if (counts != NULL)
		put_ledger(&page, counts);
	return page.code;
}
