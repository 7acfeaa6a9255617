#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdint.h>

#include "rehost/rehost.h"

/* The bar on stderr: drawn at most ten times a second, and only on a terminal. */
struct progress {
	int shown; /* stderr is a terminal, and a bar is wanted */
	const char *operation;
	uint64_t licenses_total; /* 0: unknown */
	uint64_t bytes_total;
	uint64_t started; /* ns of a clock that never jumps */
	uint64_t drawn;
};

void progress_start(struct progress *progress, const char *operation);
void progress_totals(struct progress *progress, const rh_event *event);
void progress_done(struct progress *progress, const rh_event *event);

/* Takes the bar away. */
void progress_end(struct progress *progress);

#endif
