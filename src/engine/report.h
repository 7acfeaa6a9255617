#ifndef ENGINE_REPORT_H
#define ENGINE_REPORT_H

#include <stdbool.h>

#include "license/license.h"
#include "rehost/rehost.h"

#define LANGUAGE_SIZE 36 /* a tag of BCP 47, and NUL */

/*
 * What an operation tells its listener.  Everything happens on the thread that
 * called the operation, with no lock held.
 */
struct report {
	const rh_listener *listener; /* may be NULL */
	enum rh_operation operation;
	uint64_t licenses_total;
	uint64_t bytes_total;
	uint64_t licenses_done;
	uint64_t bytes_done;
	uint64_t next_progress; /* clock_monotonic of the next PROGRESS event */
	bool stopped; /* somebody asked to stop */
	char language[LANGUAGE_SIZE]; /* of titles */
};

/* The user's language, as a tag of BCP 47; "" is none. */
void language_of_user(char tag[LANGUAGE_SIZE]);

void report_init(
    struct report *report, const rh_listener *listener, enum rh_operation operation);

/* An event of this type alone: BEGIN, CONNECTING, DISCONNECTING, RECOVERY_KEY. */
void report_event(struct report *report, enum rh_event_type type);

/* NOTICE with a formatted text. */
void report_notice(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void report_totals(struct report *report, uint64_t licenses, uint64_t bytes);

/* Counts what was done; sends PROGRESS at most 20 times a second. */
void report_done(struct report *report, uint64_t licenses, uint64_t bytes);

/* LICENSE.  ${license} NULL: nothing is known of it. */
void report_license(
    struct report *report, int code, const rh_license *license, const char *text);

/* RESTRICTED: this licence is left out of the backup; ${code} and ${text} say why. */
void report_restricted(
    struct report *report, int code, const rh_license *license, const char *text);

/* LIMIT: ${address} is to be opened. */
void report_limit(struct report *report, const rh_license *license, const char *address);

/* NEEDS_INDIVIDUALIZATION: ${privacy} is the address of the notice. */
void report_needs_individualization(struct report *report, const char *privacy);

/* INDIVIDUALIZE; after a failure or a cancel with that code. */
void report_individualize(struct report *report, const rh_individualize *individualize);

/* MEDIUM, DAMAGE, CONDITION; their facts live as long as the call. */
void report_medium(struct report *report, const rh_medium *medium, const char *text);
void report_damage(struct report *report, const rh_damage *damage);
void report_condition(struct report *report, const rh_condition *condition);

/* The last event.  Returns ${code}. */
int report_end(struct report *report, int code, const rh_error *error);

/* Asks the listener; RH_E_CANCELED if it wants to stop or has ever wanted to. */
int report_check(struct report *report, rh_error *error);

/* The same as a question: other than 0 to stop. */
int report_stop(void *report);

/*
 * A licence as the public header shows it, its title in ${language}; ${view} and ${facts} must
 * outlive the result.
 */
struct license_view {
	rh_license license;
	rh_count counts[LICENSE_COUNTS_MAX];
	char title[sizeof((struct license *)0)->title];
};
const rh_license *license_view(struct license_view *view, const char *language,
    const struct license *facts, uint64_t bytes, int64_t added);

#endif
