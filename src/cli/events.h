#ifndef CLI_EVENTS_H
#define CLI_EVENTS_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>

#include "cli/eject.h"
#include "cli/options.h"
#include "cli/progress.h"

/*
 * Who listens to the library: events become JSON lines, or sentences and a
 * bar.  One report for one operation.
 */
struct report {
	rh_listener listener; /* for the library */
	struct progress progress;
	int operation; /* enum rh_operation */
	bool verbose; /* every licence, not only the first ones */
	bool key_made; /* RECOVERY_KEY came */
	struct eject eject; /* of what MEDIUM told */
	int state; /* enum rh_state of the last CONDITION */
	int hinted; /* code about which was said last what can be done */
	uint64_t hidden; /* licences not named, to keep it short */
	uint64_t named;
	unsigned limits; /* whose addresses were told */
	uint64_t skipped; /* files that could not be read */
	int end_code; /* enum rh_code of the last event */
	json_t *end; /* the last event, kept back for the summary */
	pthread_mutex_t lock; /* files are read on a thread of the library */
};

void report_start(struct report *report, int operation, const struct arguments *arguments);

/* A file that the library never saw; may be called on another thread. */
void report_skipped(struct report *report, const rh_error *error);

/*
 * After the library returned ${error->code}: writes the last event, with the
 * summary (NULL: none), or says what failed.  Returns the exit status, as far as the code
 * tells.
 */
int report_finish(struct report *report, const rh_summary *summary, const rh_error *error);

/* The members of an event's JSON object, as rh_event_fields says. */
json_t *report_event(const rh_event *event);

/* "1 licence", "97 licences" */
const char *report_count(char text[48], uint64_t number);

#endif
