#ifndef SERVICE_METRICS_H
#define SERVICE_METRICS_H

#include "service/service.h"

/* Counters of this process, and their text for Prometheus (exposition format 0.0.4). */
struct metrics;

/* ${table}: as routes[], which outlives the metrics. */
int metrics_new(const struct route *table, struct metrics **ret, rh_error *error);
void metrics_free(struct metrics *metrics);

/* A request was answered; ${route} is one of the table, NULL if none fitted.  Any thread. */
void metrics_answered(struct metrics *metrics, const struct route *route, int status,
    enum problem problem, uint64_t nanoseconds);
/* A request whose client went away, or was too slow, before it was answered. */
void metrics_aborted(struct metrics *metrics);
/* Bodies and connections that are there now. */
void metrics_bodies(struct metrics *metrics, int64_t bytes);
void metrics_connections(struct metrics *metrics, int more);

/* ${counts} NULL: the database does not answer. */
int metrics_write(struct metrics *metrics, const struct ledger_counts *counts, bool rolled_back,
    struct buffer *ret, rh_error *error);

#endif
