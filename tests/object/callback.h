#ifndef TESTS_OBJECT_CALLBACK_H
#define TESTS_OBJECT_CALLBACK_H

#include <pthread.h>
#include <stdbool.h>

#include "rehost/drmexternals.h"
#include "rehost/rehostidl.h"

#define RECORDS_MAX 512
#define TEXT_MAX_ 256

/* What stands in a record in place of a WMT_STATUS for a call of IRehostProgress. */
enum { ON_TOTALS = 1000, ON_PROGRESS, ON_LICENSE, ON_RECOVERY_KEY, ON_NOTICE, ON_RESULT };

/* One call that arrived. */
struct record {
	int status;
	HRESULT hr;
	LONG code; /* of IRehostProgress */
	WMT_ATTR_DATATYPE type;
	bool value_given;
	DWORD number; /* a DWORD's value; the operation of OnTotals */
	char text[TEXT_MAX_]; /* a string's value; the licence id of OnLicense */
	char more[TEXT_MAX_]; /* text of OnLicense, OnNotice, OnResult */
	WM_INDIVIDUALIZE_STATUS individualize; /* its text is in ${text} */
	QWORD licenses, bytes;
	REHOST_SUMMARY summary;
	void *context;
	pthread_t thread;
};

/* An application's callback object, which remembers everything. */
struct callback {
	IWMStatusCallback IWMStatusCallback_iface;
	IRehostProgress IRehostProgress_iface;
	bool has_progress;

	/* Called inside OnStatus, with nothing locked; may be NULL. */
	void (*hook)(struct callback *callback, WMT_STATUS status, HRESULT hr);
	void *hook_context;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	LONG references;
	int inside; /* calls under way */
	bool overlapped;
	size_t ends;
	size_t count;
	struct record records[RECORDS_MAX];
};

/* With one reference. */
void callback_init(struct callback *callback, bool has_progress);
/* Gives it back and checks that it was the last. */
void callback_check_gone(struct callback *callback);

IUnknown *callback_unknown(struct callback *callback);
IWMStatusCallback *callback_status(struct callback *callback);

LONG callback_references(struct callback *callback);
/* Both fail the test after some seconds. */
void callback_wait_references(struct callback *callback, LONG references);
void callback_wait_ends(struct callback *callback, size_t ends);
void callback_wait_status(struct callback *callback, int status);

/* Checks that nothing but exactly these statuses came in; the list ends with -1. */
void callback_check_statuses(struct callback *callback, const int *statuses);
/* The last record, which must be an END. */
const struct record *callback_end(struct callback *callback);
/* The first record with this status, NULL if there is none. */
const struct record *callback_find(struct callback *callback, int status);
/* Forgets what was recorded. */
void callback_clear(struct callback *callback);

#endif
