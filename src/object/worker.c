#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "object/worker.h"

/*
 * A program that cancels right after it started expects "canceled" as the last
 * status, however little there is to do.  So the thread waits this long for a
 * cancel before its first work.
 */
#define START_GRACE_NS 50000000

/* The application's thread moves none; the operation's own moves each once. */
enum phase {
	PHASE_BUSY, /* the object is at work */
	PHASE_ENDING, /* the final event is on its way; the object may start again */
	PHASE_DONE /* no event will come any more */
};

struct operation {
	atomic_uint holds;
	int kind;
	DWORD flags;
	struct settings settings;
	struct status status;
	struct operation *previous; /* the thread's, until it has waited for it */

	pthread_mutex_t lock; /* guards ${phase}; never held during a call out */
	pthread_cond_t changed; /* ${phase} or ${canceled} */
	enum phase phase;
	atomic_bool canceled; /* set under ${lock}, read also without it */
};

/* A condition variable whose time-outs do not jump with the clock on the wall. */
static int condition_init(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;
	int result = pthread_condattr_init(&attributes);

	if (result != 0)
		return result;
	result = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	if (result == 0)
		result = pthread_cond_init(condition, &attributes);
	pthread_condattr_destroy(&attributes);
	return result;
}

struct operation *operation_new(int kind, DWORD flags, struct settings *settings)
{
	struct operation *operation = calloc(1, sizeof *operation);

	if (operation == NULL)
		goto error;
	if (pthread_mutex_init(&operation->lock, NULL) != 0)
		goto error_operation;
	if (condition_init(&operation->changed) != 0)
		goto error_lock;
	atomic_init(&operation->holds, 1);
	atomic_init(&operation->canceled, false);
	operation->kind = kind;
	operation->flags = flags;
	operation->settings = *settings;
	memset(settings, 0, sizeof *settings);
	return operation;

error_lock:
	pthread_mutex_destroy(&operation->lock);
error_operation:
	free(operation);
error:
	settings_free(settings);
	return NULL;
}

void operation_release(struct operation *operation)
{
	if (operation == NULL || atomic_fetch_sub(&operation->holds, 1) > 1)
		return;
	settings_free(&operation->settings);
	pthread_cond_destroy(&operation->changed);
	pthread_mutex_destroy(&operation->lock);
	free(operation);
}

static struct operation *hold(struct operation *operation)
{
	if (operation != NULL)
		atomic_fetch_add(&operation->holds, 1);
	return operation;
}

const char *operation_path(const struct operation *operation)
{
	return operation->kind == RH_OPERATION_BACKUP ? operation->settings.backup_path
						      : operation->settings.restore_path;
}

int operation_kind(const struct operation *operation)
{
	return operation->kind;
}

bool operation_busy(struct operation *operation)
{
	bool busy;

	pthread_mutex_lock(&operation->lock);
	busy = operation->phase == PHASE_BUSY;
	pthread_mutex_unlock(&operation->lock);
	return busy;
}

void operation_cancel(struct operation *operation)
{
	pthread_mutex_lock(&operation->lock);
	atomic_store(&operation->canceled, true);
	pthread_cond_broadcast(&operation->changed);
	pthread_mutex_unlock(&operation->lock);
}

static void set_phase(struct operation *operation, enum phase phase)
{
	pthread_mutex_lock(&operation->lock);
	operation->phase = phase;
	pthread_cond_broadcast(&operation->changed);
	pthread_mutex_unlock(&operation->lock);
}

static void wait_until_done(struct operation *operation)
{
	pthread_mutex_lock(&operation->lock);
	while (operation->phase != PHASE_DONE)
		pthread_cond_wait(&operation->changed, &operation->lock);
	pthread_mutex_unlock(&operation->lock);
}

/* Waits for a cancel until the grace is over. */
static void wait_for_cancel(struct operation *operation)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += START_GRACE_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&operation->lock);
	while (!atomic_load(&operation->canceled))
		if (pthread_cond_timedwait(&operation->changed, &operation->lock, &until) != 0)
			break;
	pthread_mutex_unlock(&operation->lock);
}

static int should_stop(void *context)
{
	struct operation *operation = context;

	return atomic_load(&operation->canceled);
}

static int on_event(void *context, const rh_event *event)
{
	struct operation *operation = context;

	return status_event(&operation->status, event);
}

static int run_backup(struct operation *operation, rh_store *store, const rh_listener *listener,
    rh_summary *summary, rh_error *error)
{
	rh_backup_options options = RH_BACKUP_OPTIONS_INIT;

	options.overwrite = (operation->flags & WM_BACKUP_OVERWRITE) != 0;
	options.passphrase = operation->settings.passphrase;
	return rh_backup(
	    store, operation->settings.backup_path, &options, listener, summary, error);
}

static bool is_plan(const struct operation *operation)
{
	const char *mode = operation->settings.restore_mode;

	return mode != NULL && strcmp(mode, "plan") == 0;
}

static bool individualizes(const struct operation *operation)
{
	return (operation->flags & WM_RESTORE_INDIVIDUALIZE) != 0;
}

static int run_restore(struct operation *operation, rh_store *store,
    const rh_listener *listener, rh_summary *summary, rh_error *error)
{
	rh_open_options options = RH_OPEN_OPTIONS_INIT;

	options.recovery_key = operation->settings.recovery_key;
	options.passphrase = operation->settings.passphrase;
	options.filter = operation->settings.restore_filter;
	options.plan = is_plan(operation);
	options.service_url = operation->settings.service_url;
	options.individualize = individualizes(operation);
	return rh_restore(
	    store, operation->settings.restore_path, &options, listener, summary, error);
}

/* The whole of the work; nothing of the engine is left when it returns. */
static int run(struct operation *operation, rh_summary *summary, rh_error *error)
{
	const rh_listener listener = {on_event, should_stop, operation};
	bool backup = operation->kind == RH_OPERATION_BACKUP, create;
	rh_store *store = NULL;
	int code;

	if (atomic_load(&operation->canceled))
		return error_set(error, RH_E_CANCELED, "canceled before it began");
	/* A plan for a computer without a store makes none, unless for an identity. */
	create = !backup && (!is_plan(operation) || individualizes(operation));
	code = rh_store_open(
	    operation->settings.store_path, create ? RH_STORE_CREATE : 0, &store, error);
	if (code == RH_E_STORE_MISSING && !backup && is_plan(operation))
		code = RH_OK;
	if (code != RH_OK)
		return code;
	if (backup)
		code = run_backup(operation, store, &listener, summary, error);
	else
		code = run_restore(operation, store, &listener, summary, error);
	rh_store_close(store);

	/* It was not the application who asked to stop. */
	if (code == RH_E_CANCELED && operation->status.failure != RH_OK)
		code = error_set(
		    error, operation->status.failure, "an event could not be delivered");
	return code;
}

static void *operation_main(void *argument)
{
	struct operation *operation = argument;
	rh_summary summary = {0};
	rh_error error;
	int code;

	pthread_setname_np(pthread_self(), "rehost");
	if (operation->previous != NULL) {
		wait_until_done(operation->previous);
		operation_release(operation->previous);
		operation->previous = NULL;
	}
	wait_for_cancel(operation);

	error_clear(&error);
	code = run(operation, &summary, &error);
	settings_free(&operation->settings);

	set_phase(operation, PHASE_ENDING);
	status_end(&operation->status, code, &error, &summary);
	set_phase(operation, PHASE_DONE);

	status_close(&operation->status);
	operation_release(operation);
	return NULL;
}

/* Starts a detached thread that leaves the program's signals to the program. */
static int start_thread(struct operation *operation)
{
	static const int own_faults[] = {
	    SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
	pthread_attr_t attributes;
	sigset_t blocked, before;
	pthread_t thread;
	int result = pthread_attr_init(&attributes);

	if (result != 0)
		return result;
	result = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (result == 0) {
		sigfillset(&blocked);
		for (size_t i = 0; i < sizeof own_faults / sizeof own_faults[0]; i++)
			sigdelset(&blocked, own_faults[i]);
		pthread_sigmask(SIG_BLOCK, &blocked, &before);
		result = pthread_create(&thread, &attributes, operation_main, operation);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	pthread_attr_destroy(&attributes);
	return result;
}

HRESULT operation_start(
    struct operation *operation, struct operation *previous, IWMStatusCallback *callback)
{
	status_open(&operation->status, callback);
	operation->previous = hold(previous);
	hold(operation); /* the thread's */
	if (start_thread(operation) == 0)
		return S_OK;

	operation->previous = NULL;
	operation_release(previous);
	status_close(&operation->status);
	operation_release(operation);
	return E_OUTOFMEMORY;
}
