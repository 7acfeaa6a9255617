#ifndef OBJECT_WORKER_H
#define OBJECT_WORKER_H

#include <stdbool.h>

#include "object/properties.h"
#include "object/status.h"

/*
 * One backup or restore on a thread of its own.
 *
 * It needs nothing of the object that started it, so the object may go first.
 * Both the object and the thread hold it; see operation_release.
 */
struct operation;

/*
 * ${kind} is RH_OPERATION_BACKUP or RH_OPERATION_RESTORE, ${flags} those of the
 * start call.  Takes ${settings} over, also on failure: NULL if there is no memory.
 */
struct operation *operation_new(int kind, DWORD flags, struct settings *settings);

/* The directory that it works on; lives as long as the operation has not started. */
const char *operation_path(const struct operation *operation);

/*
 * Starts the thread; events go to ${callback}.  None comes before ${previous},
 * which is not busy and may be NULL, has wound up: events of one object never
 * overlap.  E_OUTOFMEMORY.
 */
HRESULT operation_start(
    struct operation *operation, struct operation *previous, IWMStatusCallback *callback);

/* True from operation_new until just before the final event. */
bool operation_busy(struct operation *operation);

int operation_kind(const struct operation *operation);

/* Asks it to stop, and returns at once. */
void operation_cancel(struct operation *operation);

/* Gives one hold back; NULL is fine. */
void operation_release(struct operation *operation);

#endif
