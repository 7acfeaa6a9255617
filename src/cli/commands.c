#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/options.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define ROW_FILTER                                                                             \
	{                                                                                      \
		OPTION_FILTER, 0, "filter", ARGUMENT_WORD, "TERMS",                            \
		    "only licences that match, as in 'title=*river*,class=owned'"              \
	}
#define ROW_KEY                                                                                \
	{                                                                                      \
		OPTION_RECOVERY_KEY_FILE, 0, "recovery-key-file", ARGUMENT_FILE, "FILE",       \
		    "open with the recovery key or code in FILE ('-': standard input)"         \
	}
#define ROW_PASSPHRASE                                                                         \
	{                                                                                      \
		OPTION_PASSPHRASE_FILE, 0, "passphrase-file", ARGUMENT_FILE, "FILE",           \
		    "open recovery.age of the backup with the passphrase in FILE ('-': "       \
		    "standard input)"                                                          \
	}
#define ROW_VERBOSE                                                                            \
	{                                                                                      \
		OPTION_VERBOSE, 'v', "verbose", ARGUMENT_NONE, NULL,                           \
		    "name every licence that was not plainly copied"                           \
	}

const struct option_row global_options[] = {
    {OPTION_STORE, 0, "store", ARGUMENT_DIRECTORY, "DIR",
	"use the licence store in DIR (default: $REHOST_STORE, or a folder of your own)"},
    {OPTION_JSON, 0, "json", ARGUMENT_NONE, NULL, "write one JSON object a line"},
    {OPTION_QUIET, 'q', "quiet", ARGUMENT_NONE, NULL, "say nothing but errors"},
    {OPTION_HELP, 'h', "help", ARGUMENT_NONE, NULL, "show help and exit"},
    {OPTION_VERSION, 0, "version", ARGUMENT_NONE, NULL, "show the version and exit"},
};
const size_t global_option_count = COUNT(global_options);

static const struct option_row add_options[] = {
    {OPTION_FORMAT, 0, "format", ARGUMENT_FORMAT, "NAME",
	"read every file as this format: wmdrm, xmr, drmv1, clearkey, lcp, "
	"signed or opaque"},
    ROW_VERBOSE,
};

static const struct option_row list_options[] = {ROW_FILTER};

static const struct option_row backup_options[] = {
    {OPTION_OVERWRITE, 0, "overwrite", ARGUMENT_NONE, NULL,
	"put the new backup in place of the one in DIR"},
    {OPTION_KEEP, 0, "keep", ARGUMENT_NUMBER, "N",
	"with --overwrite: keep the N newest backups, the new one included (default 1)"},
    {OPTION_PARITY, 0, "parity", ARGUMENT_PERCENT, "PERCENT",
	"mend damage of up to PERCENT of the backup by a parity file beside it (default 10, 0: "
	"none)"},
    {OPTION_EJECT, 0, "eject", ARGUMENT_NONE, NULL,
	"unmount the medium when the backup is on it"},
    {OPTION_RECIPIENT, 0, "recipient", ARGUMENT_WORD, "age1...",
	"let this age recipient open the backup too (may be repeated)"},
    {OPTION_PASSPHRASE_FILE, 0, "passphrase-file", ARGUMENT_FILE, "FILE",
	"also write recovery.age: your recovery key under the passphrase in FILE "
	"('-': standard input)"},
    ROW_VERBOSE,
};

static const struct option_row restore_options[] = {
    {OPTION_PLAN, 0, "plan", ARGUMENT_NONE, NULL,
	"say what would happen to each licence, and change nothing"},
    ROW_FILTER,
    ROW_KEY,
    ROW_PASSPHRASE,
    {OPTION_INDIVIDUALIZE, 0, "individualize", ARGUMENT_NONE, NULL,
	"agree that a License Management Service learns this computer's identity"},
    {OPTION_SERVICE_URL, 0, "service-url", ARGUMENT_WORD, "URL",
	"ask this address in place of the one that the licences name"},
    ROW_VERBOSE,
};

static const struct option_row verify_options[] = {
    {OPTION_DEEP, 0, "deep", ARGUMENT_NONE, NULL,
	"insist on a key: read and compare every licence, or fail"},
    ROW_KEY,
    ROW_PASSPHRASE,
    ROW_VERBOSE,
};

static const struct option_row repair_options[] = {
    {OPTION_TO, 0, "to", ARGUMENT_DIRECTORY, "TARGET",
	"leave DIR as it is, and put a mended copy of the newest backup into TARGET"},
    {OPTION_VERBOSE, 'v', "verbose", ARGUMENT_NONE, NULL,
	"name every run of bad bytes, not only the first ones"},
};

static const struct option_row inspect_options[] = {
    {OPTION_LICENSES, 0, "licenses", ARGUMENT_NONE, NULL, "list the licences too"},
    ROW_FILTER,
    ROW_KEY,
    ROW_PASSPHRASE,
};

static const struct option_row export_options[] = {
    {OPTION_TO, 0, "to", ARGUMENT_DIRECTORY, "TARGET",
	"the new or empty directory to write to"},
    ROW_FILTER,
    ROW_KEY,
    ROW_PASSPHRASE,
    ROW_VERBOSE,
};

static const struct option_row check_options[] = {ROW_VERBOSE};

static const struct option_row sheet_options[] = {
    {OPTION_OUTPUT, 'o', "output", ARGUMENT_FILE, "FILE",
	"write the page to the new file FILE, readable by you alone"},
    {OPTION_TEXT, 0, "text", ARGUMENT_NONE, NULL, "plain text in place of HTML"},
};

static const struct option_row forget_options[] = {
    {OPTION_YES, 'y', "yes", ARGUMENT_NONE, NULL, "do not ask"},
};

static const struct option_row issuer_add_options[] = {
    {OPTION_NAME, 0, "name", ARGUMENT_WORD, "NAME",
	"the issuer as its licences name it, if the keys do not say"},
};

static const struct option_row service_add_options[] = {
    {OPTION_NAME, 0, "name", ARGUMENT_WORD, "URL",
	"the service as licences name it, if the keys do not say"},
};

static const struct option_row computer_options[] = {
    {OPTION_PUBLIC, 0, "public", ARGUMENT_NONE, NULL,
	"write the public key (JWK) that an issuer needs, and nothing else"},
};

static const struct option_row individualize_options[] = {
    {OPTION_NAME, 0, "name", ARGUMENT_WORD, "NAME",
	"what you call this computer, to tell yours apart there"},
    {OPTION_YES, 'y', "yes", ARGUMENT_NONE, NULL, "do not ask"},
};

static const struct option_row status_options[] = {ROW_FILTER};

static const struct option_row release_options[] = {
    {OPTION_SERVICE, 0, "service", ARGUMENT_WORD, "URL",
	"the service that is asked, if the store knows several"},
    ROW_KEY,
    {OPTION_BACKUP, 0, "backup", ARGUMENT_DIRECTORY, "DIR",
	"a backup of that computer, if it never asked the service itself"},
    {OPTION_CANCEL, 0, "cancel", ARGUMENT_NONE, NULL, "take it back"},
};

static const struct option_row help_options[] = {
    {OPTION_DUMP, 0, "dump-options", ARGUMENT_NONE, NULL, NULL},
};

const struct command commands[] = {
    {"add", "FILE...", 1, -1, ARGUMENT_FILE, "put licences into this computer's store",
	"Adds licence files, every file under the directories named, and for '-' the "
	"licences that standard input brings, one after another, as a file NAME.ndjson "
	"does.  The format is detected.  A licence that is in the store already is not added "
	"twice.",
	add_options, COUNT(add_options), cmd_add},
    {"list", "", 0, 0, ARGUMENT_NONE, "list the licences in the store",
	"On a terminal the columns fit its width; elsewhere every value is whole, "
	"with tabs between them: title, issuer, class, last day, id.",
	list_options, COUNT(list_options), cmd_list},
    {"show", "ID", 1, 1, ARGUMENT_LICENSE, "explain one licence",
	"Tells in plain words what it is for, how long, what is left, and where it may go.  "
	"ID may be the beginning of a licence id, as long as only one begins so.",
	NULL, 0, cmd_show},
    {"remove", "ID...", 1, -1, ARGUMENT_LICENSE, "remove licences from the store",
	"Each ID may be the beginning of a licence id, as long as only one begins so.  "
	"Backups keep what they hold.",
	NULL, 0, cmd_remove},
    {"check", "", 0, 0, ARGUMENT_NONE, "check this computer's store",
	"Reads every page, row and seal of the licence store.", check_options,
	COUNT(check_options), cmd_check},
    {"backup", "DIR", 1, 1, ARGUMENT_DIRECTORY, "back up the licences to a directory",
	"Backs up every licence that allows it into DIR, typically a removable medium.  "
	"Nothing is visible there before it is complete and has been read back.  The "
	"first backup makes your recovery key: write it down.",
	backup_options, COUNT(backup_options), cmd_backup},
    {"restore", "DIR", 1, 1, ARGUMENT_DIRECTORY, "restore licences from a backup",
	"Restores the newest complete backup in DIR into this computer's store: all of "
	"it, or the store stays as it was.  On the computer that made the backup no key "
	"is needed; elsewhere give your recovery key, or type it when asked.",
	restore_options, COUNT(restore_options), cmd_restore},
    {"verify", "DIR", 1, 1, ARGUMENT_DIRECTORY, "check a backup",
	"Looks at every byte of the newest backup in DIR, which needs no key: whole, damaged "
	"but mendable, or beyond repair.  With a key, or on the computer that made the "
	"backup, every licence is authenticated and compared besides.",
	verify_options, COUNT(verify_options), cmd_verify},
    {"repair", "DIR", 1, 1, ARGUMENT_DIRECTORY, "mend a damaged backup",
	"Makes what is damaged of the backups in DIR anew from their parity files; needs no "
	"key.  Bad blocks alone are written, in their place, so nothing gets worse whatever "
	"happens in between.",
	repair_options, COUNT(repair_options), cmd_repair},
    {"inspect", "DIR", 1, 1, ARGUMENT_DIRECTORY, "tell what a backup holds",
	"Lists the backups in DIR, newest first, and, if the newest one can be opened, "
	"what is in it.",
	inspect_options, COUNT(inspect_options), cmd_inspect},
    {"export", "DIR", 1, 1, ARGUMENT_DIRECTORY, "write a backup's licences as plain files",
	"Writes each licence of the newest backup in DIR as licenses/ID/document under "
	"TARGET, byte for byte as it was added, in the clear.",
	export_options, COUNT(export_options), cmd_export},
    {"recovery make", "", 0, 0, ARGUMENT_NONE, "make your recovery key before the first backup",
	"Does nothing if the store has one.", NULL, 0, cmd_recovery_make},
    {"recovery show", "", 0, 0, ARGUMENT_NONE, "show your recovery key",
	"Shows it as an age identity and as a recovery code.  Whoever reads it can open "
	"your backups.",
	NULL, 0, cmd_recovery_show},
    {"recovery check", "[FILE]", 0, 1, ARGUMENT_FILE, "check a recovery key that you noted",
	"Says whether the recovery code or key in FILE ('-': standard input; none: asked "
	"for) is free of typing errors, and is this store's.",
	NULL, 0, cmd_recovery_check},
    {"recovery sheet", "", 0, 0, ARGUMENT_NONE, "make a page of it to print and put away",
	"Writes a page with your recovery key as text and QR code, and what to do with "
	"it: HTML on standard output, to print from any browser.",
	sheet_options, COUNT(sheet_options), cmd_recovery_sheet},
    {"recovery forget", "", 0, 0, ARGUMENT_NONE, "keep only its public half on this computer",
	"Backups go on, but this computer cannot show your recovery key again.", forget_options,
	COUNT(forget_options), cmd_recovery_forget},
    {"computer show", "", 0, 0, ARGUMENT_NONE, "show this computer's identity",
	"Shows the identity of this computer, as far as its licence store has one, and "
	"the age recipient that stands for it in backups.  With --public the key of this "
	"computer is made if it is missing.",
	computer_options, COUNT(computer_options), cmd_computer_show},
    {"computer individualize", "[URL]", 0, 1, ARGUMENT_WORD,
	"make this computer known to a License Management Service",
	"A service that manages licences counts on how many computers they are.  It learns a "
	"key that is made for it alone, and your name for this computer if you give one; it "
	"is asked for before anything is sent.  URL may be left out if the licences here name "
	"one service only.",
	individualize_options, COUNT(individualize_options), cmd_computer_individualize},
    {"computer status", "[URL]", 0, 1, ARGUMENT_WORD,
	"tell on which computers managed licences are",
	"For each service, or the one at URL: who this computer is there, and, if it is known "
	"there, for each licence which computers hold it, and when a place comes free.",
	status_options, COUNT(status_options), cmd_computer_status},
    {"computer release", "COMPUTER", 1, 1, ARGUMENT_WORD,
	"give up the places of a computer that you lost",
	"COMPUTER is its name at the service, as 'rehost computer status' and the page of a "
	"reached limit tell it.  Your recovery key proves that it was yours.  Its places come "
	"free after a waiting time, unless that computer shows up meanwhile.",
	release_options, COUNT(release_options), cmd_computer_release},
    {"issuer add", "SOURCE", 1, 1, ARGUMENT_FILE, "trust an issuer of signed licences",
	"SOURCE is a file or an https address with the issuer's public keys (a JWK set).  "
	"Licences that they signed can be added from then on.  The same issuer again: its "
	"keys are replaced, as after a rotation.",
	issuer_add_options, COUNT(issuer_add_options), cmd_issuer_add},
    {"issuer list", "", 0, 0, ARGUMENT_NONE, "list the issuers that are trusted",
	"Each with where its keys came from, and their thumbprints (RFC 7638).", NULL, 0,
	cmd_issuer_list},
    {"issuer remove", "NAME", 1, 1, ARGUMENT_WORD, "trust an issuer no more",
	"Its licences stay in the store, but cannot be used, until it is added again.", NULL, 0,
	cmd_issuer_remove},
    {"service add", "SOURCE", 1, 1, ARGUMENT_FILE, "trust a License Management Service",
	"SOURCE is a file or an https address with the service's public keys (a JWK set).  "
	"The licences that it manages are backed up from then on, in a form that only the "
	"service can open.",
	service_add_options, COUNT(service_add_options), cmd_service_add},
    {"service list", "", 0, 0, ARGUMENT_NONE, "list the services that are trusted",
	"Each with where its keys came from, and their thumbprints (RFC 7638).", NULL, 0,
	cmd_service_list},
    {"service remove", "URL", 1, 1, ARGUMENT_WORD, "trust a service no more",
	"Licences that it manages are not backed up any more.", NULL, 0, cmd_service_remove},
    {"help", "[COMMAND]", 0, 2, ARGUMENT_COMMAND, "show help, of one command or of all",
	"The same as rehost --help, or rehost COMMAND --help.", help_options,
	COUNT(help_options), cmd_help},
};
const size_t command_count = COUNT(commands);
