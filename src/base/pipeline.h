#ifndef BASE_PIPELINE_H
#define BASE_PIPELINE_H

#include <stdbool.h>

#include "base/error.h"

/*
 * Work in order on many processors: items are produced one after another,
 * transformed side by side, and consumed in the order in which they were
 * produced.
 *
 * ${produce} runs on one of the pipeline's threads at a time; ${transform} on
 * several at once, with different items; ${consume} on the calling thread only,
 * with no lock held.  The first failure, in the order of items, stops everything
 * and is the result; failures of later items are dropped.
 */
struct pipeline {
	/* A fresh item, NULL if there is no memory; items are used again. */
	void *(*item_new)(void *context);
	void (*item_free)(void *context, void *item);

	/* Fills the item, or sets ${*ret_end} if there is nothing left. */
	int (*produce)(void *context, void *item, bool *ret_end, rh_error *error);
	int (*transform)(void *context, void *item, rh_error *error);
	int (*consume)(void *context, void *item, rh_error *error);

	/*
	 * Called on the calling thread while it waits, at least every 20 ms;
	 * a code other than RH_OK stops everything.  May be NULL.
	 */
	int (*idle)(void *context, rh_error *error);

	void *context;
};

/*
 * Runs to the end; every thread it started is gone when it returns.  If no
 * thread can be started it does everything on the calling one.
 */
int pipeline_run(const struct pipeline *pipeline, rh_error *error);

#endif
