#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COBJMACROS
#include "rehost/wmsdk.h"

#include "rehost/rehost.h"

#include "holds.h"

/*
 * Six licences, the last of them of Readium LCP, and a restricted one.  In the pristine folder:
 *   store  0 to 3 and the restricted one
 *   stick  a backup of 0 and 1
 *   bare   a store with licence 0 and without a recovery key
 */
#define LCP 5
#define RESTRICTED 6
#define LICENSES 7
#define BIT(number) (1u << (number))
#define STORE_BEFORE (BIT(0) | BIT(1) | BIT(2) | BIT(3) | BIT(RESTRICTED))
#define STICK_BEFORE 2

static char recovery[128];

void scenario_recovery_key(const char *recovery_key)
{
	snprintf(recovery, sizeof recovery, "%s", recovery_key);
}

/* ---- Licences ---- */

static size_t make_document(char *text, size_t size, unsigned number)
{
	if (number == LCP)
		return (size_t)snprintf(text, size,
		    "{\"id\": \"urn:uuid:00000005-0000-4000-8000-000000000000\","
		    " \"issued\": \"2026-03-01T08:00:00Z\", \"provider\": "
		    "\"https://shop.example\","
		    " \"encryption\": {\"profile\": \"http://readium.org/lcp/basic-profile\","
		    " \"content_key\": {\"encrypted_value\": \"AAAA\","
		    " \"algorithm\": \"http://www.w3.org/2001/04/xmlenc#aes256-cbc\"},"
		    " \"user_key\": {\"text_hint\": \"card\", \"key_check\": \"AAAA\","
		    " \"algorithm\": \"http://www.w3.org/2001/04/xmlenc#sha256\"}},"
		    " \"links\": [{\"rel\": \"hint\", \"href\": "
		    "\"https://shop.example/hint\"}, {\"rel\": \"publication\", \"href\": "
		    "\"https://shop.example/5\","
		    " \"type\": \"application/epub+zip\", \"title\": \"Title 5\"}],"
		    " \"rights\": {\"print\": 10}, \"signature\": {\"algorithm\": \"x\", "
		    "\"certificate\": \"AAAA\", \"value\": \"AAAA\"}}");
	return (size_t)snprintf(text, size,
	    "<LICENSERESPONSE><LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA>"
	    "<LID>{0000000%u-0000-4000-8000-000000000000}</LID><KID>AAAAAAAAAAAAAAAAAAAA%uA==</"
	    "KID>"
	    "<ISSUEDATE>20050102 03:04:05Z</ISSUEDATE><META name=\"title\">Title %u</META>"
	    "<ONACTION type=\"Play\"><CONDITION><![CDATA[secstate.playcount > 0]]></CONDITION>"
	    "</ONACTION>%s</DATA></LICENSORINFO></LICENSE></LICENSERESPONSE>",
	    number, number, number,
	    number == RESTRICTED
		? ""
		: "<ONACTION type=\"Backup\"><CONDITION><![CDATA[1]]></CONDITION></ONACTION>");
}

struct source {
	unsigned next, end;
	char text[2048];
};

static int next_document(void *context, rh_document *ret, rh_error *error)
{
	struct source *source = context;

	(void)error;
	if (source->next >= source->end)
		return 0;
	*ret = (rh_document){.data = source->text, .name = "made here"};
	ret->size = make_document(source->text, sizeof source->text, source->next++);
	return 1;
}

/* ---- Events ---- */

static int on_event(void *context, const rh_event *event)
{
	count_event(context, event->type == RH_EVENT_END, event->code);
	return 0;
}

/* ---- What is where ---- */

struct inventory {
	char ids[LICENSES + 1][64];
	size_t count;
};

static int note_id(void *context, const rh_license *license)
{
	struct inventory *inventory = context;

	if (inventory->count > LICENSES)
		return 1;
	snprintf(
	    inventory->ids[inventory->count++], sizeof inventory->ids[0], "%s", license->id);
	return 0;
}

/* Which licences a store holds, byte for byte; no store is an empty one. */
static int store_contents(
    const char *place, const char *name, unsigned *ret_mask, rh_error *error)
{
	struct inventory inventory = {.count = 0};
	char path[PATH_SIZE], text[2048];
	rh_store *store = NULL;
	int code;

	join(path, place, name);
	*ret_mask = 0;
	code = rh_store_open(path, 0, &store, error);
	if (code == RH_E_STORE_MISSING)
		return RH_OK;
	if (code == RH_OK)
		code = rh_store_check(store, NULL, NULL, error);
	if (code == RH_OK)
		code = rh_enumerate(store, NULL, note_id, &inventory, error);
	for (size_t i = 0; code == RH_OK && i < inventory.count; i++) {
		void *data;
		size_t size;

		code = rh_get_document(store, inventory.ids[i], &data, &size, error);
		if (code != RH_OK)
			break;
		unsigned number = 0;
		while (number < LICENSES && (make_document(text, sizeof text, number) != size ||
						memcmp(text, data, size) != 0))
			number++;
		*ret_mask |= BIT(number);
		rh_free(data);
	}
	rh_store_close(store);
	return code;
}

static bool store_holds(const char *place, const char *name, unsigned before, unsigned after,
    enum ending ending, char *why, size_t size)
{
	unsigned mask;
	rh_error error = {0};

	if (store_contents(place, name, &mask, &error) != RH_OK) {
		snprintf(why, size, "%s: %.300s", name, error.text);
		return false;
	}
	if (mask == after || (ending == FAILED && mask == before))
		return true;
	snprintf(why, size, "%s holds %#x, neither %#x nor %#x", name, mask, before, after);
	return false;
}

/* ---- Adding ---- */

static void add(const char *place, const char *name, unsigned flags, unsigned first,
    unsigned end, struct outcome *outcome)
{
	rh_listener listener = {on_event, NULL, outcome};
	struct source source = {.next = first, .end = end};
	rh_summary summary = {0};
	char path[PATH_SIZE];
	rh_store *store = NULL;

	join(path, place, name);
	outcome->code = rh_store_open(path, flags, &store, &outcome->error);
	if (outcome->code != RH_OK)
		return;
	outcome->calls++;
	outcome->code =
	    rh_add(store, next_document, &source, &listener, &summary, &outcome->error);
	rh_store_close(store);
}

static void run_create(const char *place, struct outcome *outcome)
{
	add(place, "new", RH_STORE_CREATE, 0, 1, outcome);
}

static bool holds_create(const char *place, enum ending ending, char *why, size_t size)
{
	return store_holds(place, "new", 0, BIT(0), ending, why, size);
}

static void run_add(const char *place, struct outcome *outcome)
{
	add(place, "store", 0, 3, 6, outcome);
}

static bool holds_add(const char *place, enum ending ending, char *why, size_t size)
{
	return store_holds(
	    place, "store", STORE_BEFORE, STORE_BEFORE | BIT(4) | BIT(5), ending, why, size);
}

/* ---- Backing up ---- */

static void backup(const char *place, const char *store_name, const char *stick, int overwrite,
    struct outcome *outcome)
{
	rh_backup_options options = RH_BACKUP_OPTIONS_INIT;
	rh_listener listener = {on_event, NULL, outcome};
	char store_path[PATH_SIZE], path[PATH_SIZE];
	rh_store *store = NULL;

	join(store_path, place, store_name);
	join(path, place, stick);
	options.overwrite = overwrite;
	outcome->code = rh_store_open(store_path, 0, &store, &outcome->error);
	if (outcome->code != RH_OK)
		return;
	outcome->calls++;
	outcome->code = rh_backup(store, path, &options, &listener, NULL, &outcome->error);
	rh_store_close(store);
}

static void run_backup(const char *place, struct outcome *outcome)
{
	backup(place, "store", "stick", 1, outcome);
}

static bool holds_backup(const char *place, enum ending ending, char *why, size_t size)
{
	return store_holds(place, "store", STORE_BEFORE, STORE_BEFORE, ending, why, size) &&
	       stick_holds(place, "stick", recovery, STICK_BEFORE, 4, ending, why, size);
}

static void run_first_backup(const char *place, struct outcome *outcome)
{
	backup(place, "bare", "empty", 1, outcome);
}

/* The recovery key that the store keeps must open the backup, if there is one. */
static bool holds_first_backup(const char *place, enum ending ending, char *why, size_t size)
{
	char path[PATH_SIZE], given[sizeof recovery];
	rh_recovery_key key = {0};
	rh_store *store = NULL;
	rh_error error = {0};
	bool result;

	join(path, place, "bare");
	int code = rh_store_open(path, 0, &store, &error);
	if (code == RH_OK)
		code = rh_recovery_show(store, &key, &error);
	rh_store_close(store);
	if (code != RH_OK && (ending != FAILED || code != RH_E_SECRET_NEEDED)) {
		snprintf(why, size, "the recovery key: %.300s", error.text);
		return false;
	}
	snprintf(given, sizeof given, "%s", recovery);
	if (key.identity != NULL)
		scenario_recovery_key(key.identity);
	result = store_holds(place, "bare", BIT(0), BIT(0), ending, why, size) &&
		 stick_holds(place, "empty", recovery, 0, 1, ending, why, size);
	scenario_recovery_key(given);
	rh_recovery_free(&key);
	return result;
}

/* ---- Restoring and verifying ---- */

static void run_restore(const char *place, struct outcome *outcome)
{
	rh_open_options options = RH_OPEN_OPTIONS_INIT;
	rh_listener listener = {on_event, NULL, outcome};
	char store_path[PATH_SIZE], path[PATH_SIZE];
	rh_store *store = NULL;

	join(store_path, place, "new");
	join(path, place, "stick");
	options.recovery_key = recovery;
	outcome->code = rh_store_open(store_path, RH_STORE_CREATE, &store, &outcome->error);
	if (outcome->code != RH_OK)
		return;
	outcome->calls++;
	outcome->code = rh_restore(store, path, &options, &listener, NULL, &outcome->error);
	rh_store_close(store);
}

static bool holds_restore(const char *place, enum ending ending, char *why, size_t size)
{
	return store_holds(place, "new", 0, BIT(0) | BIT(1), ending, why, size) &&
	       stick_holds(
		   place, "stick", recovery, STICK_BEFORE, STICK_BEFORE, ending, why, size);
}

static void run_read(const char *place, struct outcome *outcome)
{
	rh_open_options options = RH_OPEN_OPTIONS_INIT;
	rh_listener listener = {on_event, NULL, outcome};
	struct inventory inventory = {.count = 0};
	char store_path[PATH_SIZE], path[PATH_SIZE];
	rh_store *store = NULL;
	rh_summary summary = {0};
	void *data = NULL;
	size_t size;

	join(store_path, place, "store");
	join(path, place, "stick");
	outcome->calls++;
	outcome->code = rh_store_open(store_path, RH_STORE_READ_ONLY, &store, &outcome->error);
	if (outcome->code == RH_OK)
		outcome->code = rh_enumerate(store, "", note_id, &inventory, &outcome->error);
	if (outcome->code == RH_OK && inventory.count != 5)
		outcome->code = RH_E_INTERNAL;
	if (outcome->code == RH_OK)
		outcome->code =
		    rh_get_document(store, inventory.ids[0], &data, &size, &outcome->error);
	rh_free(data);
	if (outcome->code == RH_OK) {
		outcome->code =
		    rh_verify(store, path, &options, &listener, &summary, &outcome->error);
		if (outcome->code == RH_OK && summary.done != STICK_BEFORE)
			outcome->code = RH_E_INTERNAL;
	} else {
		outcome->calls--;
	}
	rh_store_close(store);
}

static bool holds_read(const char *place, enum ending ending, char *why, size_t size)
{
	return store_holds(place, "store", STORE_BEFORE, STORE_BEFORE, ending, why, size) &&
	       stick_holds(
		   place, "stick", recovery, STICK_BEFORE, STICK_BEFORE, ending, why, size);
}

/* ---- The SDK's object ---- */

struct callback {
	IWMStatusCallback face;
	atomic_int references;
	struct outcome *outcome;
	pthread_mutex_t lock;
	pthread_cond_t changed;
};

static struct callback *callback_of(IWMStatusCallback *face)
{
	return (struct callback *)face;
}

static HRESULT STDMETHODCALLTYPE callback_query(IWMStatusCallback *self, REFIID id, void **ret)
{
	*ret = NULL;
	if (memcmp(id, &IID_IUnknown, sizeof(IID)) != 0 &&
	    memcmp(id, &IID_IWMStatusCallback, sizeof(IID)) != 0)
		return E_NOINTERFACE;
	IWMStatusCallback_AddRef(self);
	*ret = self;
	return S_OK;
}

static ULONG STDMETHODCALLTYPE callback_add_ref(IWMStatusCallback *self)
{
	return (ULONG)atomic_fetch_add(&callback_of(self)->references, 1) + 1;
}

static ULONG STDMETHODCALLTYPE callback_release(IWMStatusCallback *self)
{
	return (ULONG)atomic_fetch_sub(&callback_of(self)->references, 1) - 1;
}

static HRESULT STDMETHODCALLTYPE callback_on_status(IWMStatusCallback *self, WMT_STATUS status,
    HRESULT result, WMT_ATTR_DATATYPE type, BYTE *value, void *context)
{
	struct callback *callback = callback_of(self);

	(void)type;
	(void)value;
	(void)context;
	pthread_mutex_lock(&callback->lock);
	count_event(callback->outcome, status == WMT_BACKUPRESTORE_END, result);
	pthread_cond_signal(&callback->changed);
	pthread_mutex_unlock(&callback->lock);
	return S_OK;
}

static IWMStatusCallbackVtbl callback_table = {
    callback_query, callback_add_ref, callback_release, callback_on_status};

static HRESULT set_text(IWMBackupRestoreProps *properties, const WCHAR *name, const char *text)
{
	WCHAR wide[PATH_SIZE];
	size_t length = 0;

	for (; text[length] != '\0'; length++)
		wide[length] = (WCHAR)text[length];
	wide[length] = 0;
	return IWMBackupRestoreProps_SetProp(
	    properties, name, WMT_TYPE_STRING, (BYTE *)wide, (WORD)(2 * (length + 1)));
}

/* Until the object has let go of the callback and its thread is gone. */
static void wait_until_quiet(struct callback *callback)
{
	for (int i = 0; i < 5000; i++) {
		struct stat status;
		if (atomic_load(&callback->references) == 1 &&
		    stat("/proc/self/task", &status) == 0 && status.st_nlink == 3)
			return;
		usleep(1000);
	}
}

static void run_object(const char *place, struct outcome *outcome)
{
	struct callback callback = {.face = {&callback_table},
	    .references = 1,
	    .outcome = outcome,
	    .lock = PTHREAD_MUTEX_INITIALIZER,
	    .changed = PTHREAD_COND_INITIALIZER};
	IWMBackupRestoreProps *properties = NULL;
	IWMLicenseBackup *object = NULL;
	char path[PATH_SIZE];

	outcome->is_hresult = true;
	outcome->code = WMCreateBackupRestorer((IUnknown *)&callback.face, &object);
	if (outcome->code == S_OK)
		outcome->code = IWMLicenseBackup_QueryInterface(
		    object, &IID_IWMBackupRestoreProps, (void **)&properties);
	join(path, place, "stick");
	if (outcome->code == S_OK)
		outcome->code = set_text(properties, u"BackupPath", path);
	join(path, place, "store");
	if (outcome->code == S_OK)
		outcome->code = set_text(properties, u"StorePath", path);
	if (outcome->code == S_OK) {
		outcome->calls = 1;
		outcome->code = IWMLicenseBackup_BackupLicenses(
		    object, WM_BACKUP_OVERWRITE, &callback.face);
		pthread_mutex_lock(&callback.lock);
		if (outcome->code != S_OK)
			outcome->calls = 0;
		while (outcome->code == S_OK && outcome->ends == 0)
			pthread_cond_wait(&callback.changed, &callback.lock);
		if (outcome->code == S_OK)
			outcome->code = outcome->end_code;
		pthread_mutex_unlock(&callback.lock);
	}
	if (properties != NULL)
		IWMBackupRestoreProps_Release(properties);
	if (object != NULL)
		IWMLicenseBackup_Release(object);
	wait_until_quiet(&callback);
}

/* ---- The list ---- */

const struct scenario scenarios[] = {
    {"create", false, run_create, holds_create, 1},
    {"add", false, run_add, holds_add, 1},
    {"backup", false, run_backup, holds_backup, 1},
    {"first-backup", false, run_first_backup, holds_first_backup, 1},
    {"restore", false, run_restore, holds_restore, 1},
    {"read", false, run_read, holds_read, 1},
    {"object", true, run_object, holds_backup, 1},
    {NULL, false, NULL, NULL, 0},
};

bool scenario_prepare(const char *place, char *recovery_key, size_t size)
{
	struct outcome outcome = {0};
	rh_recovery_key key = {0};
	rh_store *store = NULL;
	char path[PATH_SIZE];

	join(path, place, "stick");
	mkdir(path, 0700);
	join(path, place, "empty");
	mkdir(path, 0700);
	add(place, "bare", RH_STORE_CREATE, 0, 1, &outcome);
	if (outcome.code == RH_OK)
		add(place, "store", RH_STORE_CREATE, 0, 2, &outcome);
	if (outcome.code == RH_OK)
		backup(place, "store", "stick", 0, &outcome);
	if (outcome.code == RH_OK)
		add(place, "store", 0, 2, 4, &outcome);
	if (outcome.code == RH_OK)
		add(place, "store", 0, RESTRICTED, RESTRICTED + 1, &outcome);
	join(path, place, "store");
	if (outcome.code == RH_OK)
		outcome.code = rh_store_open(path, 0, &store, &outcome.error);
	if (outcome.code == RH_OK)
		outcome.code = rh_recovery_show(store, &key, &outcome.error);
	rh_store_close(store);
	if (outcome.code != RH_OK) {
		fprintf(stderr, "preparing: %s\n", outcome.error.text);
		return false;
	}
	snprintf(recovery_key, size, "%s", key.identity);
	rh_recovery_free(&key);
	return true;
}
