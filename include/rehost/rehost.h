/*
 * rehost/rehost.h: back up the licences of a computer and restore them on a
 * new one.  This is the plain C face of the engine; the interfaces of the
 * Windows Media Format SDK (rehost/wmsdk.h) are a face of the same engine.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Conventions, for every function below:
 *
 * - Text is UTF-8 and ends with NUL.  Sizes are bytes.  Times are seconds since
 *   1970-01-01T00:00:00Z; RH_TIME_NONE stands for "none" or "unknown".
 * - Paths are the platform's: any bytes but NUL, a relative one starts at the
 *   current directory.
 * - A function that can fail returns RH_OK or an enum rh_code, and, if ${error}
 *   is not NULL, puts the same code and a sentence into ${*error}.  On failure
 *   outputs named ret_... are left untouched.
 * - A handle is used by one thread at a time; several handles, threads and
 *   processes may use one store or one directory at once.  Long calls run
 *   on the calling thread, and every callback comes on that thread, with
 *   no lock held: it may call anything but a function on the same handle.
 * - Structures that the caller fills start with a ${size} member: set it with
 *   the RH_..._INIT macro, so that a later version knows what you knew.
 */
#ifndef REHOST_REHOST_H
#define REHOST_REHOST_H

#include <stddef.h>
#include <stdint.h>

#include "codes.h"

#ifdef __cplusplus
extern "C" {
#endif

#define RH_TIME_NONE INT64_MIN

/* The largest licence document, in bytes. */
#define RH_LICENSE_MAX (1024 * 1024)

/* The version of the library, as in "0.1.0". */
RH_API const char *rh_version(void);

/* Gives back memory that a function of this header handed out; NULL is fine. */
RH_API void rh_free(void *memory);

/*
 * rh_free for text that is secret (recovery keys): wipes it first.
 * NULL is fine.
 */
RH_API void rh_free_secret(char *text);

/* The same for ${size} bytes (content keys). */
RH_API void rh_free_secret_bytes(void *memory, size_t size);

/* ---- Licences ---------------------------------------------------------- */

/* Who decides about a restore: the licence does (see README, "Classes"). */
enum rh_class {
	RH_CLASS_OWNED = 0, /* the owner's recovery key is enough */
	RH_CLASS_MANAGED = 1, /* a License Management Service counts restores */
	RH_CLASS_RESTRICTED = 2 /* may not be backed up */
};

enum rh_right {
	RH_RIGHT_NO = 0,
	RH_RIGHT_YES = 1,
	RH_RIGHT_UNKNOWN = 2 /* treated as no */
};

/* How often an action may still be done. */
typedef struct rh_count {
	const char *action; /* as the licence names it: "Play", "print" */
	uint64_t remaining;
} rh_count;

/*
 * What is known of a licence.  Text members are never NULL, "" is unknown.
 * Everything belongs to the library and lives as long as the callback that
 * brings it.
 */
typedef struct rh_license {
	const char *id; /* unique in a store */
	const char *key_id; /* lower-case GUID where it has 16 bytes */
	const char *format; /* "signed", "wmdrm", "lcp": see rh_format_name */
	const char *issuer;
	const char *title;
	const char *service; /* its License Management Service, or "" */
	const char *reason; /* why it is restricted, a sentence; else "" */
	int64_t issued;
	int64_t not_before;
	int64_t not_after;
	const rh_count *counts; /* of counted actions only; others are unlimited */
	size_t count_count;
	int32_t backup; /* enum rh_right */
	int32_t license_class; /* enum rh_class */
	uint64_t bytes; /* size of the document */
	int64_t added; /* when it came into this store */
} rh_license;

/* The name of format number ${index}, NULL past the last one. */
RH_API const char *rh_format_name(size_t index);

/* The format in words, for people; NULL past the last one. */
RH_API const char *rh_format_title(size_t index);

/* ---- Events ------------------------------------------------------------ */

enum rh_operation {
	RH_OPERATION_ADD = 0,
	RH_OPERATION_BACKUP = 1,
	RH_OPERATION_RESTORE = 2,
	RH_OPERATION_PLAN = 3, /* a restore that only says what it would do */
	RH_OPERATION_VERIFY = 4,
	RH_OPERATION_EXPORT = 5,
	RH_OPERATION_CHECK = 6, /* of a store */
	RH_OPERATION_INSPECT = 7,
	RH_OPERATION_INDIVIDUALIZE = 8,
	RH_OPERATION_REPAIR = 9
};

enum rh_event_type {
	RH_EVENT_BEGIN = 0, /* the work itself starts */
	RH_EVENT_END = 1, /* always the last one; ${code} is the result */
	RH_EVENT_CONNECTING = 2, /* credentials are being checked */
	RH_EVENT_DISCONNECTING = 3, /* credentials were accepted */
	RH_EVENT_TOTALS = 4, /* totals are known; before the first licence */
	RH_EVENT_PROGRESS = 5, /* at most 20 times a second */
	RH_EVENT_RESTRICTED = 6, /* a licence that was left out of a backup; the code says why */
	RH_EVENT_LICENSE = 7, /* a licence that was not plainly copied */
	RH_EVENT_RECOVERY_KEY = 8, /* a recovery key was made: show it to the owner */
	RH_EVENT_NOTICE = 9, /* something the owner should know */
	RH_EVENT_LIMIT = 10, /* the limit stopped a licence: ${text} is an address to open */
	RH_EVENT_NEEDS_INDIVIDUALIZATION = 11, /* and was not allowed: ${text} is the privacy address */
	RH_EVENT_INDIVIDUALIZE = 12, /* individualization goes on: ${individualize} */
	RH_EVENT_MEDIUM = 13, /* what the directory lies on: ${medium} */
	RH_EVENT_DAMAGE = 14, /* a run of bad bytes on the medium: ${damage} */
	RH_EVENT_CONDITION = 15 /* how a backup has lasted, after all of it was looked at: ${condition} */
};

/* What a path lies on, as far as the system tells: texts may be "". */
typedef struct rh_medium {
	const char *kind; /* "usb", "card", "disk", "loop", "memory", "network", "other" */
	const char *name; /* vendor and model */
	const char *device; /* as it is mounted: "/dev/sdb1" */
	const char *mount; /* where */
	const char *file_system; /* "exfat" */
	int32_t removable;
	int32_t read_only;
	int32_t holds_store; /* the licence store lies on the same disk */
	int32_t reserved;
	uint64_t bytes_total;
	uint64_t bytes_free;
	uint64_t file_max; /* largest file that it takes; 0: no limit that matters */
} rh_medium;

typedef struct rh_damage {
	const char *file; /* name within the directory */
	uint64_t offset; /* of the first bad byte, by blocks of 4,096 */
	uint64_t bytes; /* how many */
	int32_t lost; /* they cannot be made anew from the parity file */
	int32_t reserved;
} rh_damage;

enum rh_state {
	RH_STATE_WHOLE = 0, /* every byte is as it was written */
	RH_STATE_MENDABLE = 1, /* some are not, and rh_repair makes them anew */
	RH_STATE_LOST = 2, /* some are lost */
	RH_STATE_UNKNOWN = 3 /* there is no parity file that could tell */
};
/* The state's name as in JSON ("mendable"), NULL past the last one. */
RH_API const char *rh_state_name(int state);

typedef struct rh_condition {
	const char *file; /* of the backup */
	int32_t state; /* enum rh_state */
	uint32_t reserve; /* percent of the parity's reserve that is used where most is */
	uint64_t bytes; /* of the backup and its parity file */
	uint64_t bytes_bad; /* in blocks of 4,096 */
	uint64_t bytes_lost; /* of these: cannot be made anew */
	uint64_t bytes_mended; /* by rh_repair, or by a restore in memory */
} rh_condition;

/* How far an individualization is; WM_INDIVIDUALIZE_STATUS of the SDK. */
enum rh_individualize_state { /* DRM_INDIVIDUALIZATION_STATUS */
	RH_INDIVIDUALIZE_BEGIN = 0x01,
	RH_INDIVIDUALIZE_SUCCEED = 0x02,
	RH_INDIVIDUALIZE_FAIL = 0x04,
	RH_INDIVIDUALIZE_CANCEL = 0x08,
	RH_INDIVIDUALIZE_DOWNLOAD = 0x10,
	RH_INDIVIDUALIZE_INSTALL = 0x20
};
typedef struct rh_individualize {
	int32_t state; /* enum rh_individualize_state */
	int32_t http; /* DRM_HTTP_STATUS: 0 not begun, 1 connecting, 2 requesting, 3 receiving, 4 done */
	uint32_t requests; /* HTTP exchanges that are complete */
	uint32_t reserved;
	uint64_t bytes; /* read so far */
	uint64_t bytes_total; /* 0: not known */
	const char *service; /* its address */
	const char *privacy; /* address of its privacy notice */
} rh_individualize;

/* Members of rh_event that an event type fills, as bits. */
enum rh_event_field {
	RH_FIELD_CODE = 1, /* code, code's name, sentence and next step */
	RH_FIELD_TOTALS = 2, /* licenses_total, bytes_total */
	RH_FIELD_DONE = 4, /* licenses_done, bytes_done */
	RH_FIELD_LICENSE = 8, /* license */
	RH_FIELD_TEXT = 16, /* text */
	RH_FIELD_INDIVIDUALIZE = 32, /* individualize */
	RH_FIELD_MEDIUM = 64, /* medium */
	RH_FIELD_DAMAGE = 128, /* damage */
	RH_FIELD_CONDITION = 256 /* condition */
};

typedef struct rh_event {
	int32_t type; /* enum rh_event_type */
	int32_t operation; /* enum rh_operation */
	int32_t code; /* enum rh_code */
	int32_t reserved;
	uint64_t licenses_total;
	uint64_t licenses_done;
	uint64_t bytes_total; /* of licence documents */
	uint64_t bytes_done;
	const rh_license
	    *license; /* NULL unless RH_FIELD_LICENSE, or if nothing is known of it */
	const char *text; /* what was wrong with what, or ""; never NULL */
	const char *next_step; /* what the owner can do, or ""; never NULL */
	const rh_individualize *individualize; /* NULL unless RH_FIELD_INDIVIDUALIZE */
	const rh_medium *medium; /* NULL unless RH_FIELD_MEDIUM */
	const rh_damage *damage; /* NULL unless RH_FIELD_DAMAGE */
	const rh_condition *condition; /* NULL unless RH_FIELD_CONDITION */
} rh_event;

/* The event type's name as in JSON ("begin"), NULL past the last type. */
RH_API const char *rh_event_name(int type);

/* The WMT_STATUS that the SDK object sends for it, -1 if it sends none. */
RH_API int32_t rh_event_status(int type);

/* The bits of enum rh_event_field that it fills. */
RH_API unsigned rh_event_fields(int type);

/* When it is sent, in one sentence; NULL past the last type. */
RH_API const char *rh_event_meaning(int type);

/* The operation's name as in JSON ("backup"), NULL past the last one. */
RH_API const char *rh_operation_name(int operation);

/*
 * Who listens to an operation.  Both functions may be NULL.  A return other
 * than 0 from either one asks the operation to stop; it then ends with
 * RH_E_CANCELED and has changed nothing, unless the change was complete
 * already, in which case it ends as if nothing had been asked (managed licences:
 * see rh_restore).
 * ${should_stop} is polled often, between licences and before the last step.
 */
typedef struct rh_listener {
	int (*on_event)(void *context, const rh_event *event);
	int (*should_stop)(void *context);
	void *context;
} rh_listener;

/* What an operation did; every licence that it met is counted once. */
typedef struct rh_summary {
	uint64_t licenses; /* met in all */
	uint64_t bytes; /* of their documents */
	uint64_t done; /* added, backed up, restored, found whole */
	uint64_t already_here; /* were in the store, left as they were */
	uint64_t updated; /* replaced by a later issue, or state merged */
	uint64_t restricted; /* may not be backed up */
	uint64_t failed; /* refused, unreadable or damaged */
} rh_summary;

/* ---- The licence store ------------------------------------------------- */

typedef struct rh_store rh_store;

enum rh_store_flag {
	RH_STORE_CREATE = 1, /* make it, and this computer's key, if missing */
	RH_STORE_READ_ONLY = 2 /* never write; works beside a writer */
};

/*
 * Opens the store in ${directory}: NULL stands for $REHOST_STORE, else
 * $XDG_DATA_HOME/rehost, else $HOME/.local/share/rehost.  ${flags} is a sum of
 * enum rh_store_flag.  The handle is the caller's, see rh_store_close.
 * RH_E_STORE_MISSING, RH_E_STORE_OTHER_COMPUTER, RH_E_STORE_DAMAGED,
 * RH_E_STORE_NEWER, RH_E_STORE_BUSY, RH_E_COMPUTER_ID, RH_E_ACCESS.
 */
RH_API int rh_store_open(
    const char *directory, unsigned flags, rh_store **ret_store, rh_error *error);

/* Closes the store and wipes its keys; NULL is fine. */
RH_API void rh_store_close(rh_store *store);

/* The directory that the store lies in; lives as long as the handle. */
RH_API const char *rh_store_directory(const rh_store *store);

/* This computer's public identity: 32 hex digits; lives as long as the handle. */
RH_API const char *rh_store_computer_id(const rh_store *store);

/*
 * This computer's public key for licences, as a JWK (RFC 7517): what an issuer needs to
 * issue a licence to this computer.  Lives as long as the handle.
 */
RH_API int rh_store_computer_jwk(rh_store *store, const char **ret_jwk, rh_error *error);

/* This computer's own age recipient; lives as long as the handle. */
RH_API const char *rh_store_computer_recipient(const rh_store *store);

/*
 * Reads every page, row and seal of the store.  RH_E_STORE_DAMAGED with the
 * first bad place; a LICENSE event names each bad licence.
 */
RH_API int rh_store_check(
    rh_store *store, const rh_listener *listener, rh_summary *summary, rh_error *error);

/* One licence file on its way into a store. */
typedef struct rh_document {
	const void *data; /* read until the next call of the source */
	size_t size; /* 0 is a valid size, and no valid licence */
	const char *name; /* where it comes from, for messages and titles */
	const char *format; /* a format's name, or NULL to detect it */
} rh_document;

/*
 * Gives the next document.  Returns 1 with ${*ret_document} filled, 0 at the
 * end, or -1 to give up: then ${error} says why, and nothing of the current
 * batch is kept.
 */
typedef int (*rh_document_source)(void *context, rh_document *ret_document, rh_error *error);

/*
 * Adds every document that ${source} gives, in batches of one transaction
 * each.  A file that holds several licences adds each of them.  What is not
 * added is reported by a LICENSE event (RH_S_ALREADY_HERE, RH_S_UPDATED,
 * RH_S_OLDER, RH_E_LICENSE_...; ${text} names the file and the place) and counted.
 * RH_OK also if some were refused: see ${summary}, which may be NULL.
 * ${source} is called from one thread at a time, which need not be the
 * calling one.
 */
RH_API int rh_add(rh_store *store, rh_document_source source, void *context,
    const rh_listener *listener, rh_summary *summary, rh_error *error);

/* Receives one licence; a return other than 0 ends the enumeration early. */
typedef int (*rh_license_function)(void *context, const rh_license *license);

/*
 * Calls ${function} for every licence that ${filter} lets through, in the order
 * in which they were added.  ${filter} NULL or "": all.
 *
 * A filter is FIELD=PATTERN terms with commas between them, all of which must
 * hold; FIELD is id, key-id, title, issuer, format or class, PATTERN a
 * shell pattern (* ? [...]), compared without case; "\," stands for a comma.
 * RH_E_ARGUMENT for a filter that is none.
 */
RH_API int rh_enumerate(rh_store *store, const char *filter, rh_license_function function,
    void *context, rh_error *error);

/*
 * Calls ${function} with the licence ${id}, or with the only one whose id starts
 * with ${id}.  RH_E_LICENSE_UNKNOWN; RH_E_ARGUMENT if several start with it.
 */
RH_API int rh_get(rh_store *store, const char *id, rh_license_function function, void *context,
    rh_error *error);

/*
 * Gives the document of the licence ${id} as the bytes that were added; rh_free
 * the result.
 */
RH_API int rh_get_document(
    rh_store *store, const char *id, void **ret_data, size_t *ret_size, rh_error *error);

/* Removes the licence with exactly this id.  RH_E_LICENSE_UNKNOWN. */
RH_API int rh_remove(rh_store *store, const char *id, rh_error *error);

/* ---- Rights in use ----------------------------------------------------- */

/*
 * A licence says what may be done with the content of its key id, how often, and
 * until when.  Several licences may stand for one key id: the one with the
 * highest priority that allows an action is used first, among equals the one that
 * was added first; those with a content key go before all others, and signed ones before
 * what anybody can write.  A licence that hangs on a root (chained) allows only what some
 * licence of the root's key id allows too, for a signed one a signed one of the same
 * issuer; a root may not hang on another one.
 * Signed licences are proven anew each time they are asked.  Names of actions
 * are compared without case.
 */

/* Why an action is denied; the values of IWMDRMLicenseQuery::QueryActionAllowed. */
enum rh_denied {
	RH_DENIED_NOT_ENABLED = 0x1, /* never given here */
	RH_DENIED_NO_LICENSE = 0x2, /* no licence has the key id */
	RH_DENIED_NO_RIGHT = 0x4, /* no licence grants the action */
	RH_DENIED_SPENT = 0x8, /* its count is used up, or stays on another computer */
	RH_DENIED_EXPIRED = 0x10, /* its end, or the time after the first use, is over */
	RH_DENIED_NOT_STARTED = 0x20, /* its time has not begun */
	RH_DENIED_CLOCK =
	    0x400, /* the clock was set back: nothing limited in time is allowed */
	RH_DENIED_CHAIN = 0x1000 /* the root is missing, denies it, or hangs on another one */
};

/*
 * Whether ${action} is allowed for the content of ${key_id}: ${*ret_denied} is 0, or the
 * sum of the reasons of all its licences.  RH_OK in both cases.
 */
RH_API int rh_query_action_allowed(rh_store *store, const char *key_id, const char *action,
    unsigned *ret_denied, rh_error *error);

/* What kind of limit there is; the values of DRM_LICENSE_STATE_DATA. */
enum rh_category {
	RH_CATEGORY_NO_RIGHT = 0,
	RH_CATEGORY_UNLIMITED = 1,
	RH_CATEGORY_COUNT = 2,
	RH_CATEGORY_FROM = 3,
	RH_CATEGORY_UNTIL = 4,
	RH_CATEGORY_FROM_UNTIL = 5,
	RH_CATEGORY_COUNT_FROM = 6,
	RH_CATEGORY_COUNT_UNTIL = 7,
	RH_CATEGORY_COUNT_FROM_UNTIL = 8,
	RH_CATEGORY_AFTER_FIRST_USE = 9 /* not used yet; afterwards it is ..._UNTIL */
};

enum rh_vague { RH_VAGUE_MORE_LICENSES = 1 /* others may apply too, or unknown conditions */ };

/* The state of the licence that would be used next; as DRM_LICENSE_STATE_DATA. */
typedef struct rh_license_state {
	int32_t category; /* enum rh_category */
	uint32_t vague; /* enum rh_vague */
	uint32_t count_count; /* of counts: 0 or 1 */
	uint32_t date_count; /* of dates: 0 to 2, a beginning before an end; before the first use
				of a period only an end */
	uint64_t counts[4]; /* what is left */
	int64_t dates[4];
	int64_t period; /* seconds from the first use; 0: none */
} rh_license_state;

/*
 * What is left of ${action} for the content of ${key_id}: of the licence that would be
 * used next, or, if none allows it now, of one whose time has not begun;
 * RH_CATEGORY_NO_RIGHT if there is neither.  RH_OK in all cases.
 */
RH_API int rh_query_license_state(rh_store *store, const char *key_id, const char *action,
    rh_license_state *ret, rh_error *error);

/* What rh_license_use spent. */
typedef struct rh_use {
	char id[256]; /* of the licence */
	uint64_t remaining; /* UINT64_MAX: not counted */
	int64_t ends; /* RH_TIME_NONE: never */
} rh_use;

/*
 * Spends one use of ${action}: lowers its count, starts the period after the first use.
 * ${license} is a licence id, or else a key id.  One durable transaction: after a crash
 * the use was spent or was not; after a return with RH_OK it was.  ${ret} may be NULL.
 * RH_E_LICENSE_UNKNOWN, RH_E_NO_RIGHT, RH_E_RIGHT_SPENT, RH_E_RIGHT_OVER,
 * RH_E_LICENSE_EXPIRED, RH_E_LICENSE_NOT_YET, RH_E_CLOCK_SET_BACK, RH_E_NO_ROOT, RH_E_CHAIN,
 * RH_E_LICENSE_ISSUER, RH_E_LICENSE_SIGNATURE, RH_E_STORE_...
 */
RH_API int rh_license_use(
    rh_store *store, const char *license, const char *action, rh_use *ret, rh_error *error);

/*
 * The content key of a licence that allows ${action} at this moment; nothing is spent, so get
 * it before the use: after the last one it is denied.
 * ${license} as for rh_license_use, and the same failures; RH_E_NO_SECRET if it has none.  Give
 * it back with rh_free_secret_bytes.
 */
RH_API int rh_license_secret(rh_store *store, const char *license, const char *action,
    void **ret, size_t *ret_size, rh_error *error);

/* One action of a licence, at this moment, on this computer. */
typedef struct rh_action {
	const char *name;
	uint64_t granted; /* UINT64_MAX: not counted */
	uint64_t remaining;
	int64_t period; /* seconds from the first use; 0: none */
	int64_t ends; /* RH_TIME_NONE: never, or not begun */
	uint32_t denied; /* 0, or bits of enum rh_denied */
} rh_action;

typedef struct rh_rights {
	const rh_action *actions;
	size_t action_count;
	int32_t known; /* 0: the format does not tell; no member below is set then */
	int32_t vague; /* there are conditions that Rehost does not know */
	int32_t priority;
	uint32_t computers; /* how many may hold it; 0: not said */
	const char *root; /* key id of its root, or "" */
	const char *computer; /* thumbprint that it was issued to, or "" */
	int32_t here; /* whether that is this computer, or none is named */
	int64_t first_use; /* RH_TIME_NONE: not used yet */
} rh_rights;

typedef int (*rh_rights_function)(
    void *context, const rh_license *license, const rh_rights *rights);

/* All that a licence lets this computer do; ${id} as for rh_get, with its failures. */
RH_API int rh_license_rights(rh_store *store, const char *id, rh_rights_function function,
    void *context, rh_error *error);

/* ---- Issuers and services that are trusted ----------------------------- */

/*
 * Signed licences are taken of issuers whose public keys the owner has pinned; a managed
 * secret is backed up only for a License Management Service whose public key is
 * pinned.  Both come as a JWK set (RFC 7517).
 */
enum rh_pin_kind { RH_PIN_ISSUER = 0, RH_PIN_SERVICE = 1 };

typedef struct rh_pin_key {
	const char *id; /* "kid" */
	const char *thumbprint; /* RFC 7638, SHA-256: to compare with what the issuer says */
} rh_pin_key;

typedef struct rh_pin {
	int32_t kind; /* enum rh_pin_kind */
	const char *name; /* an issuer as licences name it, the address of a service */
	const char *source; /* the file or address that the keys came from */
	int64_t added;
	const rh_pin_key *keys;
	size_t key_count;
} rh_pin;

typedef int (*rh_pin_function)(void *context, const rh_pin *pin);

/*
 * Pins the keys in ${source}, a file or an https address, for ${name}; NULL stands for what the
 * set says of itself in its member "issuer" or "service".  Keys that were pinned for
 * this name before are replaced (RH_S_UPDATED, or RH_S_ALREADY_HERE if they are the same).
 * ${function}, if not NULL, is called with what is pinned now.
 * RH_E_PIN_KEYS, RH_E_NETWORK, RH_E_OPEN, RH_E_READ, RH_E_STORE_...; RH_E_ARGUMENT if there are
 * more pins of the kind than 256, or than 128 KiB of them.
 */
RH_API int rh_pin_add(rh_store *store, int kind, const char *source, const char *name,
    rh_pin_function function, void *context, rh_error *error);

/* Every pin of the kind, in the order of names. */
RH_API int rh_pin_list(
    rh_store *store, int kind, rh_pin_function function, void *context, rh_error *error);

/* RH_E_PIN_UNKNOWN. */
RH_API int rh_pin_remove(rh_store *store, int kind, const char *name, rh_error *error);

/* ---- Backup and restore ------------------------------------------------ */

typedef struct rh_backup_options {
	size_t size; /* RH_BACKUP_OPTIONS_INIT sets it */
	int overwrite; /* replace the backup that is there */
	unsigned keep; /* generations to keep, this one included; 0 is 1 */
	const char *const *recipients; /* further age recipients: "age1..." */
	size_t recipient_count;
	const char *passphrase; /* also write recovery.age, or NULL */
	unsigned parity; /* percent of the backup that its parity file can make anew, at most 100; 0: none */
} rh_backup_options;
#define RH_BACKUP_OPTIONS_INIT                                                                 \
	{                                                                                      \
		sizeof(rh_backup_options), 0, 1, NULL, 0, NULL, 10                             \
	}

/*
 * Backs up every licence that allows it into ${directory}, which must exist.
 * Makes the owner's recovery key if there is none (event RECOVERY_KEY).
 * Nothing is visible before it is complete, and earlier generations
 * go only after that.  RH_OK also if restricted licences were left out: each
 * is a RESTRICTED event, and counted in ${summary}, which may be NULL.
 * RH_E_BACKUP_EXISTS, RH_E_BACKUP_BUSY, RH_E_NO_DIRECTORY, RH_E_NOT_DIRECTORY,
 * RH_E_ACCESS, RH_E_FULL, RH_E_FILE_TOO_BIG, RH_E_WRITE, RH_E_MEDIUM_GONE, RH_E_READ_BACK, RH_E_RECIPIENT,
 * RH_E_STORE_..., RH_E_CANCELED.  ${options} NULL: as RH_BACKUP_OPTIONS_INIT.
 */
RH_API int rh_backup(rh_store *store, const char *directory, const rh_backup_options *options,
    const rh_listener *listener, rh_summary *summary, rh_error *error);

/*
 * RH_OK if ${directory} holds no complete backup and could take one,
 * RH_E_BACKUP_EXISTS if it holds one, else why it cannot take one.
 */
RH_API int rh_backup_exists(const char *directory, rh_error *error);

/* How a backup is opened; every member may be NULL or 0. */
typedef struct rh_open_options {
	size_t size; /* RH_OPEN_OPTIONS_INIT sets it */
	const char *recovery_key; /* an age identity or a recovery code, as typed */
	const char *passphrase; /* of the recovery.age beside the backup */
	const char *filter; /* as in rh_enumerate: which licences */
	int plan; /* rh_restore: say what would happen, change nothing */
	int individualize; /* rh_restore: the user agreed to individualize */
	int deep; /* rh_verify: insist on a key */
	const char *service_url; /* rh_restore: ask this address in place of the licences' own */
} rh_open_options;
#define RH_OPEN_OPTIONS_INIT                                                                   \
	{                                                                                      \
		sizeof(rh_open_options), NULL, NULL, NULL, 0, 0, 0, NULL                       \
	}

/*
 * Restores the newest complete backup of ${directory} into ${store}: what needs no service
 * in one transaction.  Damage is mended in memory where the parity file can (CONDITION event).
 * If no backup there is complete even so, every licence of the newest that is whole is
 * restored, and each other one is a LICENSE event with RH_E_LICENSE_DAMAGED.  ${store} may be NULL for a plan: a computer without a store.
 * Without a recovery key and a passphrase it opens with
 * this computer's own key, or with the recovery key that the store keeps.
 * Licences that are there are left as they are, but for the more
 * spent state of the two.  With ${options->plan} the store is not changed, and
 * a LICENSE event tells what would happen to each licence.
 * RH_E_BACKUP_MISSING, RH_E_BACKUP_CORRUPT, RH_E_BACKUP_NEWER,
 * RH_E_SECRET_NEEDED, RH_E_SECRET_WRONG, RH_E_SECRET_TYPED,
 * RH_E_NOT_ALL_STORED, RH_E_STORE_..., RH_E_CANCELED.
 * Managed licences that are not in the store are asked for at their service, in batches that
 * are stored as they come; their results are RH_S_GRANTED, RH_S_FREE (in a plan also
 * RH_S_COSTS), RH_E_LIMIT_REACHED with a LIMIT event, RH_E_SERVICE_..., RH_E_INDIVIDUALIZE.
 * They come after everything else; what was restored by then stays, and batches that were
 * granted stay too, whatever ends the run: a failure, or RH_E_CANCELED.  Run again, it goes on
 * where it ended, and nothing is counted twice.  At the end RH_E_LIMIT_REACHED if a limit
 * stopped any, else RH_E_INDIVIDUALIZE if that is missing, else RH_E_NOT_ALL_STORED.
 */
RH_API int rh_restore(rh_store *store, const char *directory, const rh_open_options *options,
    const rh_listener *listener, rh_summary *summary, rh_error *error);

/* ---- This computer at License Management Services ---------------------- */

/*
 * A managed licence names a service by its address.  A computer has a key of its own for each,
 * made when it is individualized there; its thumbprint is the computer's name at
 * that service and nowhere else.
 */
typedef struct rh_service {
	const char *address;
	const char *computer; /* this computer's name there, or "" if it is not individualized */
	const char *name; /* what the owner called it there, or "" */
	const char *privacy; /* address of the privacy notice */
	int64_t since; /* of the individualization */
	int64_t head; /* number of the last entry of its ledger that was seen; 0: none */
	uint64_t licenses; /* of this store that it manages */
} rh_service;
typedef int (*rh_service_function)(void *context, const rh_service *service);

/* Every service that a licence of the store names, or this computer was individualized at. */
RH_API int rh_service_list(
    rh_store *store, rh_service_function function, void *context, rh_error *error);

/*
 * Makes this computer known to the service at ${address}: only call it if the user agreed,
 * after seeing the privacy notice.  Its keys are fetched and pinned if they are not.  ${name} (NULL: none) is what
 * the owner calls this computer.  INDIVIDUALIZE events.  RH_OK, RH_S_ALREADY_HERE;
 * RH_E_INDIVIDUALIZE_FAILED, RH_E_SERVICE_..., RH_E_CANCELED.
 */
RH_API int rh_service_individualize(rh_store *store, const char *address, const char *name,
    const rh_listener *listener, rh_error *error);

/* A computer that a licence is on, as its service says. */
typedef struct rh_holder {
	const char *computer; /* its name there */
	const char *name; /* what its owner called it, or "" */
	int64_t since;
	int64_t releasing; /* when it will be released; RH_TIME_NONE */
	int32_t original; /* that the licence was issued to */
	int32_t here; /* it is this one */
} rh_holder;
typedef struct rh_license_status {
	int32_t code; /* RH_OK, or why the service tells nothing */
	const char *text; /* of that, or "" */
	uint32_t limit; /* computers that may hold it */
	uint32_t free; /* slots left */
	int64_t next; /* when one comes free; RH_TIME_NONE */
	const rh_holder *holders;
	size_t holder_count;
} rh_license_status;
typedef int (*rh_license_status_function)(
    void *context, const rh_license *license, const rh_license_status *status);

/*
 * Asks the service for every licence of the store that it manages and ${filter} lets through
 * (NULL: all).  RH_E_INDIVIDUALIZE, RH_E_SERVICE_..., RH_E_CANCELED.
 */
RH_API int rh_service_status(rh_store *store, const char *address, const char *filter,
    rh_license_status_function function, void *context, const rh_listener *listener,
    rh_error *error);

/*
 * Asks the service to release a lost computer of this owner: ${computer} is its name there, as
 * rh_service_status tells it.  ${recovery_key} (identity or code) proves the
 * owner; NULL: the one that the store keeps.  ${directory}, a backup of that computer,
 * is needed if it never asked the service itself; else NULL.  ${cancel}: takes the request back.
 * ${*ret_effective}: when its slots come free.
 * RH_E_SECRET_NEEDED, RH_E_SECRET_TYPED, RH_E_INDIVIDUALIZE, RH_E_SERVICE_..., RH_E_CANCELED.
 */
RH_API int rh_service_release(rh_store *store, const char *address, const char *computer,
    const char *recovery_key, const char *directory, int cancel, int64_t *ret_effective,
    const rh_listener *listener, rh_error *error);

/* A service's signed word that a licence is on this computer. */
typedef struct rh_grant {
	char service[512];
	char computer[64]; /* this computer's name there */
	uint32_t number; /* it is number k */
	uint32_t limit; /* of n that may hold it */
	int64_t since;
} rh_grant;

/*
 * Checks the grant that is kept with the managed licence ${id}, without any network: that the
 * service signed it with a key that is pinned here, for this licence and this computer.
 * RH_E_GRANT, RH_E_LICENSE_UNKNOWN, RH_E_STORE_...
 */
RH_API int rh_license_verify_grant(
    rh_store *store, const char *id, rh_grant *ret, rh_error *error);

/* ---- Looking into a backup --------------------------------------------- */

/*
 * Checks the newest backup of ${directory}.  First, without any key, every byte of it and its
 * parity file: DAMAGE events and one CONDITION.  Then, with a key (options, or those of
 * ${store}, which may be NULL): authenticates, parses and compares every licence
 * with the manifest, and each signature, as far as its issuer is trusted by ${store} or by a
 * backup that is proven (RH_E_LICENSE_ISSUER if nothing else is wrong but that some
 * are not); licences that are lost are LICENSE events.  Without one ${summary->done} is 0,
 * and with ${options->deep} it is RH_E_SECRET_NEEDED, unless RH_E_BACKUP_CORRUPT.
 * RH_OK; RH_E_BACKUP_MENDABLE if rh_repair can make it whole; RH_E_BACKUP_CORRUPT if it cannot.
 */
RH_API int rh_verify(rh_store *store, const char *directory, const rh_open_options *options,
    const rh_listener *listener, rh_summary *summary, rh_error *error);

/*
 * Mends every backup of ${directory} that its parity file can mend; needs no key.  With
 * ${target}, another directory, the newest one is copied there, mended, and ${directory} left as it is;
 * else bad blocks alone are written, in their place: whatever happens in between, no
 * byte that was good is worse than before.  DAMAGE events, and a CONDITION for each backup.  ${*ret} (may be NULL):
 * of all together.  RH_OK: all are whole now, or have no parity file that could tell
 * (RH_STATE_UNKNOWN, and a NOTICE).  RH_E_BACKUP_CORRUPT: something is lost; what could
 * be mended was.  RH_E_PARITY: damaged, and nothing to mend with.  RH_E_BACKUP_MISSING, RH_E_BACKUP_EXISTS,
 * RH_E_BACKUP_BUSY, RH_E_ACCESS, RH_E_WRITE, RH_E_FULL, RH_E_MEDIUM_GONE, RH_E_READ_BACK, RH_E_CANCELED.
 */
RH_API int rh_repair(const char *directory, const char *target, const rh_listener *listener,
    rh_condition *ret, rh_error *error);

/* One complete backup in a directory. */
typedef struct rh_generation {
	const char *file; /* name within the directory */
	const char *id; /* 16 hex digits */
	int64_t created;
	uint64_t bytes; /* size of the file */
	int whole; /* its structure is complete, as far as seen without a key */
	int parity; /* a parity file lies beside it */
	int mendable; /* not whole, but the parity file makes its structure whole */
} rh_generation;

/* What the first member of an opened backup says. */
typedef struct rh_backup_header {
	const char *id;
	int64_t created;
	const char *generator; /* the program and version that wrote it */
	const char *computer_id; /* of the source */
	int32_t format_version;
	uint64_t owned; /* licences in it */
	uint64_t managed;
	uint64_t restricted; /* left out */
	uint64_t bytes; /* of the documents in it */
} rh_backup_header;

/* What rh_inspect tells; each member may be NULL.  Called in this order. */
typedef struct rh_inspector {
	void (*on_generation)(void *context, const rh_generation *generation);
	void (*on_header)(void *context, const rh_backup_header *header);
	rh_license_function on_license;
	void *context;
} rh_inspector;

/*
 * Tells what ${directory} holds: every generation, newest first, and of the
 * newest one, if it can be opened (as rh_verify), the header, and if
 * ${on_license} is set each licence that the filter lets through.
 */
RH_API int rh_inspect(rh_store *store, const char *directory, const rh_open_options *options,
    const rh_inspector *inspector, rh_error *error);

/*
 * Writes each licence of the newest backup that the filter lets through as
 * ${target}/licenses/ID/document, as tar would.  ${target} is made if
 * missing and must be empty.
 */
RH_API int rh_export(rh_store *store, const char *directory, const char *target,
    const rh_open_options *options, const rh_listener *listener, rh_summary *summary,
    rh_error *error);

/* ---- The owner's recovery key ------------------------------------------ */

/* One key in its written forms; free each member, see rh_recovery_free. */
typedef struct rh_recovery_key {
	char *recipient; /* "age1...": public */
	char *identity; /* "AGE-SECRET-KEY-1...": secret, NULL if forgotten */
	char *code; /* the recovery code: secret, NULL if forgotten */
} rh_recovery_key;

/* Wipes and frees the members and sets them NULL. */
RH_API void rh_recovery_free(rh_recovery_key *key);

/* Makes the store's recovery key if it has none; RH_S_ALREADY_HERE if it has. */
RH_API int rh_recovery_make(rh_store *store, rh_error *error);

/*
 * The recovery key that ${store} keeps.  RH_E_SECRET_NEEDED if none was made;
 * with the secret half forgotten only ${ret->recipient} is set.
 */
RH_API int rh_recovery_show(rh_store *store, rh_recovery_key *ret, rh_error *error);

/*
 * Checks what an owner typed: an age identity or a recovery code.  RH_OK with
 * its recipient in ${*ret_recipient} (rh_free), RH_E_SECRET_TYPED saying
 * which group is wrong, or, if ${store} is not NULL, RH_E_SECRET_WRONG
 * if it is a well-formed key but not the store's.
 */
RH_API int rh_recovery_check(
    rh_store *store, const char *typed, char **ret_recipient, rh_error *error);

/* Keeps the public half only; backups go on, this computer cannot show it again. */
RH_API int rh_recovery_forget(rh_store *store, rh_error *error);

#ifdef __cplusplus
}
#endif

#endif /* REHOST_REHOST_H */
