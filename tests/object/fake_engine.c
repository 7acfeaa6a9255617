#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rehost/wmsdkidl.h"
#include "base/error.h"
#include "fake_engine.h"

struct rh_store {
	char unused;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct script script;
static struct asked asked;
static bool unblocked;

void fake_script(const struct script *new_script)
{
	pthread_mutex_lock(&lock);
	script = *new_script;
	memset(&asked, 0, sizeof asked);
	unblocked = false;
	pthread_mutex_unlock(&lock);
}

void fake_unblock(void)
{
	pthread_mutex_lock(&lock);
	unblocked = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

struct asked fake_asked(void)
{
	struct asked copy;

	pthread_mutex_lock(&lock);
	copy = asked;
	pthread_mutex_unlock(&lock);
	return copy;
}

static struct script script_now(void)
{
	struct script copy;

	pthread_mutex_lock(&lock);
	copy = script;
	pthread_mutex_unlock(&lock);
	return copy;
}

static void note(char *target, size_t size, const char *text, const char *otherwise)
{
	snprintf(target, size, "%s", text != NULL ? text : otherwise);
}

int32_t rh_event_status(int type)
{
	switch (type) {
	case RH_EVENT_BEGIN:
		return WMT_BACKUPRESTORE_BEGIN;
	case RH_EVENT_END:
		return WMT_BACKUPRESTORE_END;
	case RH_EVENT_CONNECTING:
		return WMT_BACKUPRESTORE_CONNECTING;
	case RH_EVENT_DISCONNECTING:
		return WMT_BACKUPRESTORE_DISCONNECTING;
	case RH_EVENT_RESTRICTED:
		return WMT_RESTRICTED_LICENSE;
	case RH_EVENT_LIMIT:
		return WMT_ERROR_WITHURL;
	case RH_EVENT_NEEDS_INDIVIDUALIZATION:
		return WMT_NEEDS_INDIVIDUALIZATION;
	case RH_EVENT_INDIVIDUALIZE:
		return WMT_INDIVIDUALIZE;
	default:
		return -1;
	}
}

int rh_backup_exists(const char *directory, rh_error *error)
{
	int code;

	(void)error;
	pthread_mutex_lock(&lock);
	note(asked.directory, sizeof asked.directory, directory, "(none)");
	while (script.block_exists && !unblocked)
		pthread_cond_wait(&changed, &lock);
	code = script.exists;
	pthread_mutex_unlock(&lock);
	return code;
}

int rh_store_open(const char *directory, unsigned flags, rh_store **ret, rh_error *error)
{
	int code;

	pthread_mutex_lock(&lock);
	note(asked.store, sizeof asked.store, directory, "(default)");
	asked.store_flags = flags;
	asked.thread = pthread_self();
	code = script.open;
	if (code == RH_OK)
		asked.opened++;
	pthread_mutex_unlock(&lock);
	if (code != RH_OK)
		return error_set(error, code, "the script said so");
	*ret = malloc(sizeof **ret);
	return *ret != NULL ? RH_OK : RH_E_MEMORY;
}

void rh_store_close(rh_store *store)
{
	pthread_mutex_lock(&lock);
	asked.closed++;
	pthread_mutex_unlock(&lock);
	free(store);
}

static int send(const rh_listener *listener, rh_event event)
{
	event.text = event.text != NULL ? event.text : "";
	event.next_step = event.next_step != NULL ? event.next_step : "";
	return listener->on_event(listener->context, &event);
}

/* Waits as the script says; whether the operation was asked to stop. */
static bool stopped(const rh_listener *listener, const struct script *now)
{
	bool free_to_go = !now->block;

	for (;;) {
		if (listener->should_stop(listener->context) != 0)
			return true;
		if (free_to_go)
			return false;
		pthread_mutex_lock(&lock);
		if (!unblocked) {
			struct timespec until;

			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_nsec += 2000000;
			if (until.tv_nsec >= 1000000000) {
				until.tv_sec++;
				until.tv_nsec -= 1000000000;
			}
			pthread_cond_timedwait(&changed, &lock, &until);
		}
		free_to_go = unblocked;
		pthread_mutex_unlock(&lock);
	}
}

static int chatter(const rh_listener *listener, int operation)
{
	return send(listener, (rh_event){.type = RH_EVENT_TOTALS,
				  .operation = operation,
				  .licenses_total = 7,
				  .bytes_total = 7000}) ||
	       send(listener, (rh_event){.type = RH_EVENT_RECOVERY_KEY, .text = "made"}) ||
	       send(listener, (rh_event){.type = RH_EVENT_NOTICE,
				  .code = RH_E_READ_BACK,
				  .text = "a notice",
				  .next_step = "a step"}) ||
	       /* A damaged licence, of which nothing is known. */
	       send(listener, (rh_event){.type = RH_EVENT_LICENSE,
				  .code = RH_E_LICENSE_DAMAGED,
				  .text = "unreadable"}) ||
	       send(listener,
		   (rh_event){
		       .type = RH_EVENT_PROGRESS, .licenses_done = 7, .bytes_done = 7000});
}

static int licenses(const rh_listener *listener, const struct script *now)
{
	static const int reasons[] = {RH_E_RESTRICTED, RH_E_RIGHTS_UNKNOWN,
	    RH_E_LICENSE_EXPIRED, RH_E_SERVICE_KEYS, RH_E_NO_SECRET};

	for (unsigned i = 0; i < now->restricted + now->licenses; i++) {
		bool restricted = i < now->restricted;
		char id[32], key_id[32];
		rh_license license = {.id = id,
		    .key_id = key_id,
		    .format = "opaque",
		    .issuer = "",
		    .title = "T\xc3\xa9l\xc3\xa9",
		    .service = "",
		    .reason = ""};

		snprintf(id, sizeof id, "id-%u", i);
		snprintf(key_id, sizeof key_id, "key-%u", i);
		if (send(listener,
			(rh_event){.type = restricted ? RH_EVENT_RESTRICTED : RH_EVENT_LICENSE,
			    .code = restricted ? reasons[i % 5] : RH_S_OLDER,
			    .license = &license,
			    .text = "why"}) != 0)
			return 1;
	}
	return 0;
}

static int individualize(const rh_listener *listener, const struct script *now)
{
	static const struct {
		int state, http;
		uint64_t bytes, total;
	} steps[] = {
	    {RH_INDIVIDUALIZE_BEGIN, 0, 0, 0},
	    {RH_INDIVIDUALIZE_DOWNLOAD, 1, 0, 0},
	    {RH_INDIVIDUALIZE_DOWNLOAD, 3, UINT64_MAX - 1, UINT64_MAX},
	    {RH_INDIVIDUALIZE_INSTALL, 4, 700, 700},
	};
	rh_individualize facts = {.service = "https://lms.example/\xc3\xa9",
	    .privacy = "https://lms.example/v1/privacy"};
	int code = now->result, stop = 0;

	for (size_t i = 0; i < sizeof steps / sizeof *steps && !stop; i++) {
		facts.state = steps[i].state;
		facts.http = steps[i].http;
		facts.requests = (uint32_t)i;
		facts.bytes = steps[i].bytes;
		facts.bytes_total = steps[i].total;
		stop = send(listener, (rh_event){.type = RH_EVENT_INDIVIDUALIZE,
					  .individualize = &facts}) ||
		       listener->should_stop(listener->context);
	}
	code = stop ? RH_E_CANCELED : code == RH_OK ? RH_OK : RH_E_INDIVIDUALIZE_FAILED;
	facts.state = stop            ? RH_INDIVIDUALIZE_CANCEL
		      : code == RH_OK ? RH_INDIVIDUALIZE_SUCCEED
				      : RH_INDIVIDUALIZE_FAIL;
	send(listener,
	    (rh_event){.type = RH_EVENT_INDIVIDUALIZE, .code = code, .individualize = &facts});
	return stop;
}

static int services(const rh_listener *listener, const struct script *now)
{
	static const rh_license license = {.id = "id-limit",
	    .key_id = "key",
	    .format = "signed",
	    .issuer = "",
	    .title = "",
	    .service = "",
	    .reason = ""};
	int stop = 0;

	if (now->needs)
		stop = send(listener, (rh_event){.type = RH_EVENT_NEEDS_INDIVIDUALIZATION,
					  .code = RH_E_INDIVIDUALIZE,
					  .text = "https://lms.example/v1/privacy",
					  .next_step = "allow it"});
	if (now->individualize)
		stop = stop || individualize(listener, now);
	for (int i = 0; now->limit && i < 2; i++)
		stop =
		    stop || send(listener, (rh_event){.type = RH_EVENT_LIMIT,
					       .code = RH_E_LIMIT_REACHED,
					       .license = i == 0 ? &license : NULL,
					       .text = "https://lms.example/cases/t\xc3\xb6ken",
					       .next_step = "open it"});
	return stop;
}

/* An operation as rehost.h promises it: BEGIN first, END last, whatever happens. */
static int operate(
    const rh_listener *listener, int operation, rh_summary *summary, rh_error *error)
{
	const struct script now = script_now();
	bool stop = false;
	int code = now.result;

	if (operation != RH_OPERATION_BACKUP) {
		stop = send(listener, (rh_event){.type = RH_EVENT_CONNECTING}) ||
		       send(listener, (rh_event){.type = RH_EVENT_DISCONNECTING});
	}
	stop = stop || services(listener, &now);
	stop = stop || send(listener, (rh_event){.type = RH_EVENT_BEGIN});
	stop = stop || (now.chatter && chatter(listener, operation));
	stop = stop || licenses(listener, &now);
	stop = stopped(listener, &now) || stop;
	if (stop && !now.committed)
		code = error_set(error, RH_E_CANCELED, "canceled");
	else if (code != RH_OK)
		error_set(error, code, "the script said so");
	summary->licenses = 7;
	summary->done = 5;
	summary->restricted = now.restricted;
	send(listener, (rh_event){.type = RH_EVENT_END, .code = code});
	return code;
}

int rh_backup(rh_store *store, const char *directory, const rh_backup_options *options,
    const rh_listener *listener, rh_summary *summary, rh_error *error)
{
	(void)store;
	pthread_mutex_lock(&lock);
	asked.backups++;
	note(asked.directory, sizeof asked.directory, directory, "(none)");
	note(asked.passphrase, sizeof asked.passphrase, options->passphrase, "(none)");
	asked.overwrite = options->overwrite;
	pthread_mutex_unlock(&lock);
	return operate(listener, RH_OPERATION_BACKUP, summary, error);
}

int rh_restore(rh_store *store, const char *directory, const rh_open_options *options,
    const rh_listener *listener, rh_summary *summary, rh_error *error)
{
	(void)store;
	pthread_mutex_lock(&lock);
	asked.restores++;
	note(asked.directory, sizeof asked.directory, directory, "(none)");
	note(asked.passphrase, sizeof asked.passphrase, options->passphrase, "(none)");
	note(asked.recovery_key, sizeof asked.recovery_key, options->recovery_key, "(none)");
	note(asked.filter, sizeof asked.filter, options->filter, "(none)");
	note(asked.service_url, sizeof asked.service_url, options->service_url, "(none)");
	asked.plan = options->plan;
	asked.individualize = options->individualize;
	pthread_mutex_unlock(&lock);
	return operate(
	    listener, options->plan ? RH_OPERATION_PLAN : RH_OPERATION_RESTORE, summary, error);
}
