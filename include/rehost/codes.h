/*
 * rehost/codes.h: result codes, shared by every function of rehost.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every code has a number that never changes, a name, an HRESULT, an exit
 * status of the command line, a sentence and a next step.  The one table that
 * holds them is src/base/codes.c.
 */
#ifndef REHOST_CODES_H
#define REHOST_CODES_H

#include <stdint.h>

#if defined(__GNUC__)
#define RH_API __attribute__((visibility("default")))
#else
#define RH_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum rh_code {
	RH_OK = 0,

	/* The call and the machine. */
	RH_E_ARGUMENT = 1, /* an argument has no meaning here */
	RH_E_MEMORY = 2, /* no memory */
	RH_E_INTERNAL = 3, /* a library that Rehost stands on failed */
	RH_E_CANCELED = 4, /* the caller asked to stop */
	RH_E_PROPERTY = 5, /* a needed property is not set */
	RH_E_OPERATION_RUNNING = 6, /* this object is at work already */

	/* Files and media. */
	RH_E_ACCESS = 20, /* permission denied, or read-only medium */
	RH_E_NO_DIRECTORY = 21, /* the directory does not exist */
	RH_E_NOT_DIRECTORY = 22, /* the path is not a directory */
	RH_E_OPEN = 23, /* a file cannot be opened */
	RH_E_READ = 24, /* the medium does not read */
	RH_E_WRITE = 25, /* the medium does not write */
	RH_E_FULL = 26, /* no space left on the medium */
	RH_E_READ_BACK = 27, /* the medium gives back other bytes than were written */
	RH_E_FILE_TOO_BIG = 28, /* the file system takes no file of that size */
	RH_E_MEDIUM_GONE = 29, /* the medium was taken away in the middle */

	/* The backup. */
	RH_E_BACKUP_EXISTS = 40, /* a backup is there, overwriting was not asked for */
	RH_E_BACKUP_MISSING = 41, /* no complete backup in the directory */
	RH_E_BACKUP_CORRUPT = 42, /* the backup is damaged */
	RH_E_BACKUP_NEWER = 43, /* written by a later version */
	RH_E_BACKUP_BUSY = 44, /* another run writes to the same directory */
	RH_E_NOT_ALL_STORED = 45, /* some licences were not restored */
	RH_E_BACKUP_MENDABLE = 46, /* the backup is damaged, and its parity file can mend it */
	RH_E_PARITY = 47, /* there is no parity file that is of use */

	/* Secrets of the owner. */
	RH_E_SECRET_NEEDED = 60, /* the backup opens with a recovery key, none was given */
	RH_E_SECRET_WRONG = 61, /* the secret given does not open the backup */
	RH_E_SECRET_TYPED = 62, /* the recovery code has a typing error */
	RH_E_SECRET_FORGOTTEN = 63, /* this computer keeps only the public half */
	RH_E_RECIPIENT = 64, /* not an age recipient */

	/* The licence store and the computer. */
	RH_E_STORE_MISSING = 80, /* there is no licence store */
	RH_E_STORE_BUSY = 81, /* another process holds the store */
	RH_E_STORE_DAMAGED = 82, /* the store was changed or damaged */
	RH_E_STORE_NEWER = 83, /* made by a later version */
	RH_E_STORE_OTHER_COMPUTER = 84, /* the store belongs to another computer */
	RH_E_STORE_READ = 85, /* the store does not read */
	RH_E_STORE_WRITE = 86, /* the store does not write */
	RH_E_STORE_CREATE = 87, /* the store cannot be made */
	RH_E_COMPUTER_ID = 88, /* the computer has no machine id */

	/* One licence. */
	RH_E_LICENSE_FORMAT = 100, /* no reader knows this file */
	RH_E_LICENSE_INVALID = 101, /* the format is known, the content is not valid */
	RH_E_LICENSE_XML = 102, /* the XML is broken */
	RH_E_LICENSE_TOO_BIG = 103, /* over RH_LICENSE_MAX bytes */
	RH_E_LICENSE_KEY_ID = 104, /* the key id is malformed */
	RH_E_LICENSE_CONFLICT = 105, /* another licence has this id */
	RH_E_LICENSE_UNKNOWN = 106, /* no such licence in the store */
	RH_E_RESTRICTED = 107, /* the licence does not allow backup */
	RH_E_LICENSE_DAMAGED = 108, /* a licence in the backup is not what its manifest says */
	RH_E_LICENSE_ISSUER = 109, /* signed by an issuer, or a key, that is not trusted here */
	RH_E_LICENSE_SIGNATURE = 110, /* the issuer's signature does not fit */
	RH_E_LICENSE_COMPUTER = 111, /* issued to another computer */
	RH_E_LICENSE_EXPIRED = 112, /* its time is over */
	RH_E_LICENSE_NOT_YET = 113, /* its time has not begun */
	RH_E_LICENSE_CRITICAL = 114, /* it demands something that this version does not know */
	RH_E_LICENSE_CONTENT_KEY = 115, /* its content key does not open */
	RH_E_RIGHTS_UNKNOWN = 116, /* it does not tell whether it may be backed up */

	/* Rights in use. */
	RH_E_NO_RIGHT = 120, /* no licence grants the action */
	RH_E_RIGHT_SPENT = 121, /* its count is used up, or stays on another computer */
	RH_E_RIGHT_OVER = 122, /* the time after its first use is over */
	RH_E_CLOCK_SET_BACK = 123, /* the clock was set back, so no time can be told */
	RH_E_NO_ROOT =
	    124, /* the root of a chained licence is not here, or does not allow it */
	RH_E_CHAIN = 125, /* a root that is chained itself */
	RH_E_NO_SECRET = 126, /* the licence brings no content key, or it does not open */

	/* Issuers and services that the owner trusts. */
	RH_E_PIN_KEYS = 140, /* not a usable JWK set */
	RH_E_PIN_UNKNOWN = 141, /* no issuer or service of this name */
	RH_E_NETWORK = 142, /* an address cannot be fetched */
	RH_E_SERVICE_KEYS = 143, /* managed, and its service's public key is not here */
	RH_E_SERVICE_UNAVAILABLE = 144, /* managed, and its service cannot be reached */

	/* A License Management Service. */
	RH_E_INDIVIDUALIZE = 150, /* this computer must be individualized first */
	RH_E_INDIVIDUALIZE_FAILED = 151, /* the service gave it no certificate */
	RH_E_LIMIT_REACHED = 152, /* the licence is on as many computers as it may be */
	RH_E_SERVICE_REFUSED = 153, /* refused for another reason, which the text tells */
	RH_E_SERVICE_REPLY = 154, /* an answer that cannot be used or is not the service's */
	RH_E_SERVICE_CERTIFICATE = 155, /* TLS: it is not who it says it is */
	RH_E_SERVICE_ROLLED_BACK = 156, /* its ledger was put back to an old copy */
	RH_E_GRANT = 157, /* no grant, or one that does not prove itself */
	RH_E_SERVICE_UNKNOWN = 158, /* nothing here names such a service */

	/* Inside rehostd. */
	RH_E_DATABASE = 170, /* the database does not answer, or fails */
	RH_E_DATABASE_CONFLICT = 171, /* somebody else was first: do it again */

	/* Results of one licence that are no failure. */
	RH_S_ADDED = 200, /* new in the store */
	RH_S_ALREADY_HERE = 201, /* the same licence is in the store */
	RH_S_UPDATED = 202, /* a later issue replaced an earlier one */
	RH_S_STATE_MERGED = 203, /* was here; the more spent state was taken over */
	RH_S_OLDER = 204, /* was here in a later issue, which was kept */
	RH_S_COUNTS_STAY =
	    205, /* restored; its counts stay with the computer it was issued to */
	RH_S_GRANTED = 206, /* managed: restored, and this computer was counted */
	RH_S_FREE = 207, /* managed: this computer was counted before */
	RH_S_COSTS = 208 /* plan: a restore would count this computer */
};

/*
 * What went wrong, by value: it may be copied and handed to another thread.
 * ${text} is UTF-8, one sentence without a full stop, naming the file or
 * place; it never holds a secret or the content of a licence.
 */
typedef struct rh_error {
	int32_t code; /* enum rh_code */
	char text[1020]; /* empty if code is RH_OK */
} rh_error;

/* The constant's name without RH_, as in "E_BACKUP_EXISTS"; never NULL. */
RH_API const char *rh_code_name(int code);

/* The HRESULT that the SDK interfaces give for this code. */
RH_API int32_t rh_code_hresult(int code);

/* The exit status that the command line ends with. */
RH_API int rh_code_exit_status(int code);

/* What happened, in one English sentence; never NULL. */
RH_API const char *rh_code_sentence(int code);

/* What to do next, in one English sentence; "" where there is nothing to do. */
RH_API const char *rh_code_next_step(int code);

#ifdef __cplusplus
}
#endif

#endif /* REHOST_CODES_H */
