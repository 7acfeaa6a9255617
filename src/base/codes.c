#include <stddef.h>

#include "rehost/codes.h"

/*
 * The one translation of codes.  HRESULTs: wmsdk and nserror of the Windows
 * Media Format SDK, and Win32 errors 3 (path not found) and 267 (not a
 * directory) as HRESULT_FROM_WIN32.  Exit statuses: rehost(1).
 */
#define S_OK_ 0x00000000u
#define S_FALSE_ 0x00000001u
#define E_ACCESSDENIED_ 0x80070005u
#define E_OUTOFMEMORY_ 0x8007000eu
#define E_INVALIDARG_ 0x80070057u
#define WIN32_PATH_NOT_FOUND_ 0x80070003u
#define WIN32_DIRECTORY_ 0x8007010bu
#define NS_E_FILE_WRITE_ 0xc00d0018u
#define NS_E_FILE_READ_ 0xc00d0019u
#define NS_E_FILE_OPEN_FAILED_ 0xc00d001du
#define NS_E_DRM_LICENSE_STORE_ERROR_ 0xc00d2712u
#define NS_E_DRM_LICENSE_STORE_SAVE_ERROR_ 0xc00d2714u
#define NS_E_DRM_SECURE_STORE_UNLOCK_ERROR_ 0xc00d2715u
#define NS_E_DRM_UNABLE_TO_OPEN_LICENSE_ 0xc00d2717u
#define NS_E_DRM_INVALID_LICENSE_ 0xc00d2718u
#define NS_E_DRM_INVALID_MACHINE_ 0xc00d2719u
#define NS_E_DRM_UNABLE_TO_INITIALIZE_ 0xc00d271du
#define NS_E_DRM_NO_RIGHTS_ 0xc00d2720u
#define NS_E_DRM_LICENSE_INVALID_XML_ 0xc00d2725u
#define NS_E_BACKUP_RESTORE_FAILURE_ 0xc00d272du
#define NS_E_DRM_BACKUP_EXISTS_ 0xc00d2742u
#define NS_E_DRM_BACKUP_CORRUPT_ 0xc00d2743u
#define NS_E_DRM_BACKUPRESTORE_BUSY_ 0xc00d2744u
#define NS_E_DRM_LICENSE_UNUSABLE_ 0xc00d2748u
#define NS_E_DRM_NEEDS_INDIVIDUALIZATION_ 0xc00d2728u
#define NS_E_DRM_INDIVIDUALIZE_ERROR_ 0xc00d2736u
#define NS_E_DRM_RESTORE_FRAUD_ 0xc00d2753u
#define NS_E_DRM_STORE_NOTALLOWED_ 0xc00d27dcu
#define NS_E_DRM_INVALID_PROPERTY_ 0xc00d2749u
#define NS_E_DRM_SECURE_STORE_NOT_FOUND_ 0xc00d274au
#define NS_E_DRM_ERROR_BAD_NET_RESP_ 0xc00d275eu
#define NS_E_DRM_STORE_NOTALLSTORED_ 0xc00d275fu
#define NS_E_DRM_INVALID_DATA_ 0xc00d2761u
#define NS_E_DRM_NOT_CONFIGURED_ 0xc00d2764u
#define NS_E_DRM_OPERATION_CANCELED_ 0xc00d2768u
#define NS_E_DRM_UNABLE_TO_LOAD_HARDWARE_ID_ 0xc00d2781u
#define NS_E_DRM_UNABLE_TO_OPEN_DATA_STORE_ 0xc00d2782u
#define NS_E_DRM_DATASTORE_CORRUPT_ 0xc00d2783u
#define NS_E_DRM_HARDWAREID_MISMATCH_ 0xc00d278fu
#define NS_E_DRM_CHECKPOINT_MISMATCH_ 0xc00d2796u
#define NS_E_DRM_LICENSE_EXPIRED_ 0xc00d27d8u
#define NS_E_DRM_LICENSE_NOTENABLED_ 0xc00d27d9u
#define NS_E_DRM_SIGNATURE_FAILURE_ 0xc00d283fu
#define NS_E_DRM_LICENSE_SERVER_INFO_MISSING_ 0xc00d2840u
#define NS_E_DRM_BUSY_ 0xc00d2841u
#define NS_E_DRM_RESTORE_SERVICE_UNAVAILABLE_ 0xc00d2846u
#define NS_E_DRM_CLIENT_CODE_EXPIRED_ 0xc00d2847u
#define NS_E_DRM_NO_UPLINK_LICENSE_ 0xc00d2848u
#define NS_E_DRM_INVALID_KID_ 0xc00d2849u
#define NS_E_DRM_CHAIN_TOO_LONG_ 0xc00d284cu
#define NS_E_DRM_LICENSE_UNAVAILABLE_ 0xc00d28a2u

enum exit_status {
	EXIT_DONE = 0,
	EXIT_USAGE = 1,
	EXIT_ENVIRONMENT = 2,
	EXIT_NOT_ALL = 3,
	EXIT_SECRET = 4,
	EXIT_DAMAGED = 5,
	EXIT_LIMIT = 6,
	EXIT_CANCELED = 7,
	EXIT_SERVICE = 8,
	EXIT_OTHER_COMPUTER = 9,
	EXIT_EXISTS = 10
};

static const struct code_row {
	int code;
	const char *name;
	uint32_t hresult;
	enum exit_status exit_status;
	const char *sentence;
	const char *next_step;
} rows[] = {
#define ROW(name, hresult, exit, sentence, next)                                               \
	{                                                                                      \
		RH_##name, #name, hresult, exit, sentence, next                                \
	}
    ROW(OK, S_OK_, EXIT_DONE, "done", ""),

    ROW(E_ARGUMENT, E_INVALIDARG_, EXIT_USAGE, "an argument is not valid", "see rehost help"),
    ROW(E_MEMORY, E_OUTOFMEMORY_, EXIT_ENVIRONMENT, "there is not enough memory",
	"close other programs and try again; nothing was changed"),
    ROW(E_INTERNAL, NS_E_BACKUP_RESTORE_FAILURE_, EXIT_ENVIRONMENT,
	"a library that Rehost needs failed", "report this with the message above"),
    ROW(E_CANCELED, NS_E_DRM_OPERATION_CANCELED_, EXIT_CANCELED, "the operation was canceled",
	"nothing was changed; start it again at any time"),
    ROW(E_PROPERTY, NS_E_DRM_INVALID_PROPERTY_, EXIT_USAGE, "a needed property is not set",
	"set BackupPath before a backup, RestorePath before a restore"),
    ROW(E_OPERATION_RUNNING, NS_E_DRM_BACKUPRESTORE_BUSY_, EXIT_ENVIRONMENT,
	"this object is at work already", "wait for its WMT_BACKUPRESTORE_END, or cancel it"),

    ROW(E_ACCESS, E_ACCESSDENIED_, EXIT_ENVIRONMENT, "permission denied",
	"check the permissions of the path, and that the medium is not write-protected"),
    ROW(E_NO_DIRECTORY, WIN32_PATH_NOT_FOUND_, EXIT_ENVIRONMENT, "the directory does not exist",
	"check that the medium is mounted, or make the directory"),
    ROW(E_NOT_DIRECTORY, WIN32_DIRECTORY_, EXIT_ENVIRONMENT, "the path is not a directory",
	"name the directory that holds, or shall hold, the backup"),
    ROW(E_OPEN, NS_E_FILE_OPEN_FAILED_, EXIT_ENVIRONMENT, "a file cannot be opened",
	"check that it exists and may be read"),
    ROW(E_READ, NS_E_FILE_READ_, EXIT_ENVIRONMENT, "reading failed",
	"check the medium and its connection, then try again"),
    ROW(E_WRITE, NS_E_FILE_WRITE_, EXIT_ENVIRONMENT, "writing failed",
	"check the medium and its connection, then try again; an earlier backup is unharmed"),
    ROW(E_FULL, NS_E_FILE_WRITE_, EXIT_ENVIRONMENT, "the medium is full",
	"make room or use another medium; an earlier backup is unharmed"),
    ROW(E_READ_BACK, NS_E_FILE_WRITE_, EXIT_ENVIRONMENT,
	"the medium gives back other bytes than were written",
	"do not trust this medium; use another one"),
    ROW(E_FILE_TOO_BIG, NS_E_FILE_WRITE_, EXIT_ENVIRONMENT,
	"the file system of the medium takes no file of that size",
	"use a medium with another file system, such as exFAT; an earlier backup is unharmed"),
    ROW(E_MEDIUM_GONE, NS_E_FILE_WRITE_, EXIT_ENVIRONMENT,
	"the medium was taken away in the middle",
	"put it in again and start anew; an earlier backup on it is unharmed"),

    ROW(E_BACKUP_EXISTS, NS_E_DRM_BACKUP_EXISTS_, EXIT_EXISTS, "a backup exists there",
	"allow overwriting (--overwrite, WM_BACKUP_OVERWRITE), or choose another directory"),
    ROW(E_BACKUP_MISSING, NS_E_DRM_BACKUP_CORRUPT_, EXIT_ENVIRONMENT,
	"there is no complete backup", "name the directory that holds the licenses-*.age file"),
    ROW(E_BACKUP_CORRUPT, NS_E_DRM_BACKUP_CORRUPT_, EXIT_DAMAGED, "the backup is damaged",
	"try another copy of the backup; if the old computer works, back up again"),
    ROW(E_BACKUP_NEWER, NS_E_DRM_CLIENT_CODE_EXPIRED_, EXIT_ENVIRONMENT,
	"a later version of Rehost wrote the backup", "install that version, or a later one"),
    ROW(E_BACKUP_BUSY, NS_E_DRM_BUSY_, EXIT_ENVIRONMENT,
	"another run is writing to the same directory", "wait until it has finished"),
    ROW(E_NOT_ALL_STORED, NS_E_DRM_STORE_NOTALLSTORED_, EXIT_NOT_ALL,
	"some licences were not restored", "see the results of the single licences"),
    ROW(E_BACKUP_MENDABLE, NS_E_DRM_BACKUP_CORRUPT_, EXIT_NOT_ALL,
	"the backup is damaged, and its parity file can mend it",
	"mend it now, before more goes bad: rehost repair; a restore mends as it reads"),
    ROW(E_PARITY, NS_E_DRM_BACKUP_CORRUPT_, EXIT_DAMAGED,
	"there is no parity file that could mend the backup",
	"try another copy of the backup; if the old computer works, back up again"),

    ROW(E_SECRET_NEEDED, NS_E_DRM_NOT_CONFIGURED_, EXIT_SECRET,
	"the backup was made on another computer and needs the recovery key",
	"give the recovery key or the recovery code (--recovery-key-file, property "
	"RecoveryKey)"),
    ROW(E_SECRET_WRONG, NS_E_DRM_SECURE_STORE_UNLOCK_ERROR_, EXIT_SECRET,
	"the key does not open this backup",
	"use the recovery key of the computer that made the backup"),
    ROW(E_SECRET_TYPED, NS_E_DRM_SECURE_STORE_UNLOCK_ERROR_, EXIT_SECRET,
	"the recovery key has a typing error", "compare it with the recovery sheet"),
    ROW(E_SECRET_FORGOTTEN, NS_E_DRM_SECURE_STORE_NOT_FOUND_, EXIT_SECRET,
	"this computer keeps only the public half of the recovery key",
	"use the recovery sheet or the copy that you made"),
    ROW(E_RECIPIENT, E_INVALIDARG_, EXIT_USAGE, "this is no age recipient",
	"a recipient starts with age1 and has 62 characters"),

    ROW(E_STORE_MISSING, NS_E_DRM_UNABLE_TO_OPEN_DATA_STORE_, EXIT_ENVIRONMENT,
	"there is no licence store", "add a licence first, or name the store with --store"),
    ROW(E_STORE_BUSY, NS_E_DRM_BUSY_, EXIT_ENVIRONMENT,
	"another program is writing to the licence store", "try again when it has finished"),
    ROW(E_STORE_DAMAGED, NS_E_DRM_DATASTORE_CORRUPT_, EXIT_DAMAGED,
	"the licence store is damaged or was edited",
	"put the store directory aside and restore from a backup"),
    ROW(E_STORE_NEWER, NS_E_DRM_CLIENT_CODE_EXPIRED_, EXIT_ENVIRONMENT,
	"a later version of Rehost made the licence store",
	"install that version, or a later one"),
    ROW(E_STORE_OTHER_COMPUTER, NS_E_DRM_HARDWAREID_MISMATCH_, EXIT_OTHER_COMPUTER,
	"the licence store belongs to another computer",
	"put the store directory aside and restore from a backup"),
    ROW(E_STORE_READ, NS_E_DRM_LICENSE_STORE_ERROR_, EXIT_ENVIRONMENT,
	"the licence store cannot be read", "check the disk, then try again"),
    ROW(E_STORE_WRITE, NS_E_DRM_LICENSE_STORE_SAVE_ERROR_, EXIT_ENVIRONMENT,
	"the licence store cannot be written",
	"check the disk and its free space, then try again"),
    ROW(E_STORE_CREATE, NS_E_DRM_UNABLE_TO_INITIALIZE_, EXIT_ENVIRONMENT,
	"the licence store cannot be made", "check the directory and its permissions"),
    ROW(E_COMPUTER_ID, NS_E_DRM_UNABLE_TO_LOAD_HARDWARE_ID_, EXIT_ENVIRONMENT,
	"this computer has no machine id",
	"run systemd-machine-id-setup, or name a file with REHOST_MACHINE_ID_FILE"),

    ROW(E_LICENSE_FORMAT, NS_E_DRM_INVALID_LICENSE_, EXIT_NOT_ALL,
	"no licence format that is known", "--format opaque keeps any file as it is"),
    ROW(E_LICENSE_INVALID, NS_E_DRM_INVALID_LICENSE_, EXIT_NOT_ALL, "the licence is not valid",
	"get the licence anew from its issuer"),
    ROW(E_LICENSE_XML, NS_E_DRM_LICENSE_INVALID_XML_, EXIT_NOT_ALL,
	"the XML of the licence is broken", "get the licence anew from its issuer"),
    ROW(E_LICENSE_TOO_BIG, NS_E_DRM_INVALID_LICENSE_, EXIT_NOT_ALL,
	"the file is too large for a licence", "a licence has at most 1 MiB"),
    ROW(E_LICENSE_KEY_ID, NS_E_DRM_INVALID_KID_, EXIT_NOT_ALL,
	"the key id of the licence is malformed", "get the licence anew from its issuer"),
    ROW(E_LICENSE_CONFLICT, NS_E_DRM_INVALID_LICENSE_, EXIT_NOT_ALL,
	"another licence with the same id is in the store",
	"the one in the store was kept; remove it first if the other one is right"),
    ROW(E_LICENSE_UNKNOWN, NS_E_DRM_LICENSE_UNAVAILABLE_, EXIT_ENVIRONMENT,
	"there is no such licence in the store", "rehost list shows the ids"),
    ROW(E_RESTRICTED, NS_E_DRM_NO_RIGHTS_, EXIT_NOT_ALL, "the licence may not be backed up",
	"ask its issuer how to get it on a new computer"),
    ROW(E_LICENSE_DAMAGED, NS_E_DRM_BACKUP_CORRUPT_, EXIT_DAMAGED,
	"a licence in the backup is damaged", "try another copy of the backup"),
    ROW(E_LICENSE_ISSUER, NS_E_DRM_INVALID_LICENSE_, EXIT_NOT_ALL,
	"the licence is of an issuer that is not trusted here",
	"if you trust its issuer, add the issuer's keys first: rehost issuer add"),
    ROW(E_LICENSE_SIGNATURE, NS_E_DRM_SIGNATURE_FAILURE_, EXIT_NOT_ALL,
	"the signature of the licence is wrong: it was edited or damaged",
	"get the licence anew from its issuer"),
    ROW(E_LICENSE_COMPUTER, NS_E_DRM_INVALID_MACHINE_, EXIT_NOT_ALL,
	"the licence was issued to another computer",
	"restore it from a backup of that computer, or give the issuer this computer's key "
	"(rehost computer show --public)"),
    ROW(E_LICENSE_EXPIRED, NS_E_DRM_LICENSE_EXPIRED_, EXIT_NOT_ALL, "the licence has expired",
	"ask its issuer for a new one; if the date of this computer is wrong, correct it"),
    ROW(E_LICENSE_NOT_YET, NS_E_DRM_LICENSE_NOTENABLED_, EXIT_NOT_ALL,
	"the licence is not valid yet",
	"wait until its time begins; if the date of this computer is wrong, correct it"),
    ROW(E_LICENSE_CRITICAL, NS_E_DRM_LICENSE_UNUSABLE_, EXIT_NOT_ALL,
	"the licence demands something that this version does not know",
	"install a later version of Rehost"),
    ROW(E_LICENSE_CONTENT_KEY, NS_E_DRM_UNABLE_TO_OPEN_LICENSE_, EXIT_NOT_ALL,
	"the content key of the licence does not open",
	"get the licence anew from its issuer, for this computer"),
    ROW(E_RIGHTS_UNKNOWN, NS_E_DRM_NO_RIGHTS_, EXIT_NOT_ALL,
	"the licence does not tell whether it may be backed up",
	"ask its issuer how to get it on a new computer"),

    ROW(E_NO_RIGHT, NS_E_DRM_NO_RIGHTS_, EXIT_NOT_ALL, "no licence grants this action",
	"ask the issuer for a licence that grants it"),
    ROW(E_RIGHT_SPENT, NS_E_DRM_NO_RIGHTS_, EXIT_NOT_ALL,
	"nothing is left of the count of this action",
	"ask the issuer for a new licence; counts stay with the computer that they were issued "
	"to"),
    ROW(E_RIGHT_OVER, NS_E_DRM_LICENSE_EXPIRED_, EXIT_NOT_ALL,
	"the time that the licence grants after its first use is over",
	"ask the issuer for a new licence"),
    ROW(E_CLOCK_SET_BACK, NS_E_DRM_CHECKPOINT_MISMATCH_, EXIT_NOT_ALL,
	"the clock of this computer was set back",
	"set the clock right; rights without a time limit go on meanwhile"),
    ROW(E_NO_ROOT, NS_E_DRM_NO_UPLINK_LICENSE_, EXIT_NOT_ALL,
	"the root licence that this one hangs on is not here, or does not allow it",
	"get the root licence from the issuer too"),
    ROW(E_CHAIN, NS_E_DRM_CHAIN_TOO_LONG_, EXIT_NOT_ALL,
	"the root licence hangs on another one", "get the licence anew from its issuer"),
    ROW(E_NO_SECRET, NS_E_DRM_UNABLE_TO_OPEN_LICENSE_, EXIT_NOT_ALL,
	"the licence has no content key that opens here",
	"get the licence anew from its issuer"),

    ROW(E_PIN_KEYS, NS_E_DRM_INVALID_DATA_, EXIT_ENVIRONMENT,
	"this is no set of public keys that can be used",
	"get the JWK set with the public P-256 keys from the issuer or the service"),
    ROW(E_PIN_UNKNOWN, E_INVALIDARG_, EXIT_ENVIRONMENT, "nobody of this name is trusted here",
	"rehost issuer list and rehost service list show the names"),
    ROW(E_NETWORK, NS_E_DRM_ERROR_BAD_NET_RESP_, EXIT_ENVIRONMENT,
	"the address cannot be fetched",
	"check the address and the connection, or name a file that holds the keys"),
    ROW(E_SERVICE_KEYS, NS_E_DRM_LICENSE_SERVER_INFO_MISSING_, EXIT_NOT_ALL,
	"the licence is managed by a service whose public key is not here",
	"add the service's keys, then back up again: rehost service add"),
    ROW(E_SERVICE_UNAVAILABLE, NS_E_DRM_RESTORE_SERVICE_UNAVAILABLE_, EXIT_SERVICE,
	"the licence is managed by a service that cannot be reached",
	"keep the backup, and restore again when the service can be reached"),

    ROW(E_INDIVIDUALIZE, NS_E_DRM_NEEDS_INDIVIDUALIZATION_, EXIT_OTHER_COMPUTER,
	"this computer is not known to the service that manages the licence",
	"allow it to be made known there (--individualize, WM_RESTORE_INDIVIDUALIZE)"),
    ROW(E_INDIVIDUALIZE_FAILED, NS_E_DRM_INDIVIDUALIZE_ERROR_, EXIT_SERVICE,
	"the service did not make this computer known", "try again later, or ask the issuer"),
    ROW(E_LIMIT_REACHED, NS_E_DRM_RESTORE_FRAUD_, EXIT_LIMIT,
	"the licence is on as many computers as it may be",
	"open the address that came with it; it tells when one comes free, and whom to ask"),
    ROW(E_SERVICE_REFUSED, NS_E_DRM_STORE_NOTALLOWED_, EXIT_NOT_ALL,
	"the service refused the licence", "see the reason, and ask the licence's issuer"),
    ROW(E_SERVICE_REPLY, NS_E_DRM_ERROR_BAD_NET_RESP_, EXIT_SERVICE,
	"the service answers in a way that cannot be used",
	"try again later; what it counted is not counted again"),
    ROW(E_SERVICE_CERTIFICATE, NS_E_DRM_RESTORE_SERVICE_UNAVAILABLE_, EXIT_SERVICE,
	"the service does not prove who it is",
	"check the clock and the network; do not go on through a network that you do not "
	"trust"),
    ROW(E_SERVICE_ROLLED_BACK, NS_E_DRM_CHECKPOINT_MISMATCH_, EXIT_SERVICE,
	"the service has lost what it knew before",
	"tell whoever runs it; restore again when that is mended"),
    ROW(E_GRANT, NS_E_DRM_SIGNATURE_FAILURE_, EXIT_DAMAGED,
	"there is no valid grant of the licence for this computer",
	"restore the licence again, or ask its issuer"),
    ROW(E_SERVICE_UNKNOWN, NS_E_DRM_LICENSE_SERVER_INFO_MISSING_, EXIT_ENVIRONMENT,
	"no such License Management Service is known here",
	"see the licences' services with rehost list --json, or give the address"),

    ROW(E_DATABASE, NS_E_DRM_RESTORE_SERVICE_UNAVAILABLE_, EXIT_ENVIRONMENT,
	"the ledger's database fails", "check that it runs, and has room"),
    ROW(E_DATABASE_CONFLICT, NS_E_DRM_BUSY_, EXIT_ENVIRONMENT,
	"somebody else changes the ledger", "try again"),

    ROW(S_ADDED, S_OK_, EXIT_DONE, "added", ""),
    ROW(S_ALREADY_HERE, S_FALSE_, EXIT_DONE, "already here", ""),
    ROW(S_UPDATED, S_OK_, EXIT_DONE, "replaced by a later issue", ""),
    ROW(S_STATE_MERGED, S_OK_, EXIT_DONE, "already here; the more spent state was taken over",
	""),
    ROW(S_OLDER, S_FALSE_, EXIT_DONE, "already here in a later issue", ""),
    ROW(S_COUNTS_STAY, S_OK_, EXIT_DONE,
	"restored; its counts stay with the computer that it was issued to",
	"ask the issuer for a licence for this computer if you need them"),
    ROW(S_GRANTED, S_OK_, EXIT_DONE, "restored; this computer was counted", ""),
    ROW(S_FREE, S_OK_, EXIT_DONE, "this computer is counted already", ""),
    ROW(S_COSTS, S_OK_, EXIT_DONE, "a restore would count this computer", ""),
#undef ROW
};

static const struct code_row *row_of(int code)
{
	static const struct code_row unknown = {RH_E_INTERNAL, "E_INTERNAL",
	    NS_E_BACKUP_RESTORE_FAILURE_, EXIT_ENVIRONMENT, "unknown result", ""};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].code == code)
			return &rows[i];
	return &unknown;
}

const char *rh_code_name(int code)
{
	return row_of(code)->name;
}

int32_t rh_code_hresult(int code)
{
	return (int32_t)row_of(code)->hresult;
}

int rh_code_exit_status(int code)
{
	return (int)row_of(code)->exit_status;
}

const char *rh_code_sentence(int code)
{
	return row_of(code)->sentence;
}

const char *rh_code_next_step(int code)
{
	return row_of(code)->next_step;
}
