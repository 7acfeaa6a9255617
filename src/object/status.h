#ifndef OBJECT_STATUS_H
#define OBJECT_STATUS_H

#include "rehost/rehost.h"
#include "rehost/rehostidl.h"

/*
 * Whom the events of one operation go to.  The only place where facts of
 * the engine (rh_event, result codes) become calls of the application.
 */
struct status {
	IWMStatusCallback *callback;
	IRehostProgress *progress; /* NULL if the application's object has none */
	int failure; /* RH_OK, or why an event could not be passed on */
};

/* Takes a reference on ${callback}, and on its IRehostProgress if it has one. */
void status_open(struct status *status, IWMStatusCallback *callback);

/* Gives both references back. */
void status_close(struct status *status);

/*
 * The on_event of an rh_listener; ${context} is the struct status.  Passes
 * everything on but RH_EVENT_END, see status_end.  Not 0 if there is no memory for
 * it: then ${failure} is set, and the operation should end.
 */
int status_event(void *context, const rh_event *event);

/*
 * The end of the operation: OnResult, then WMT_BACKUPRESTORE_END.  ${error} says
 * what was wrong.  Cannot fail.
 */
void status_end(
    struct status *status, int code, const rh_error *error, const rh_summary *summary);

#endif
