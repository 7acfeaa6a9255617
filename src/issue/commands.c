#include <stdio.h>

#include "cli/program.h"
#include "issue/cmd.h"
#include "issue/memory.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define ROW_OUTPUT(help)                                                                       \
	{                                                                                      \
		OPTION_OUTPUT, 'o', "output", ARGUMENT_FILE, "FILE", help                      \
	}
#define ROW_ISSUED(help)                                                                       \
	{                                                                                      \
		OPTION_ISSUED, 0, "issued", ARGUMENT_WORD, "TIME", help                        \
	}

const struct option_row global_options[] = {
    {OPTION_JSON, 0, "json", ARGUMENT_NONE, NULL, "write one JSON object a line"},
    {OPTION_QUIET, 'q', "quiet", ARGUMENT_NONE, NULL, "say nothing but errors"},
    {OPTION_HELP, 'h', "help", ARGUMENT_NONE, NULL, "show help and exit"},
    {OPTION_VERSION, 0, "version", ARGUMENT_NONE, NULL, "show the version and exit"},
};
const size_t global_option_count = COUNT(global_options);

static const struct option_row make_options[] = {
    {OPTION_ISSUER, 0, "issuer", ARGUMENT_WORD, "NAME",
	"the issuer, as licences and those who trust it name it"},
    ROW_ISSUED("when the key was made (default: now)"),
};

static const struct option_row rotate_options[] = {
    ROW_ISSUED("when the key was made (default: now)"),
};

static const struct option_row public_options[] = {
    ROW_OUTPUT("write to FILE, in place of what is there"),
};

static const struct option_row issue_options[] = {
    {OPTION_KEY, 0, "key", ARGUMENT_FILE, "FILE", "sign with the issuer's keys in FILE"},
    {OPTION_COMPUTER, 0, "computer", ARGUMENT_FILE, "FILE",
	"issue to the computer whose public key is in FILE (may be repeated)"},
    {OPTION_TO, 0, "to", ARGUMENT_DIRECTORY, "DIR", "write a file for each licence into DIR"},
    ROW_OUTPUT("write all licences to the new file FILE, one a line ('-': standard output)"),
    {OPTION_CONTENT_KEYS, 0, "content-keys", ARGUMENT_FILE, "FILE",
	"write the content keys to the new file FILE, readable by you alone"},
    {OPTION_ID, 0, "id", ARGUMENT_WORD, "ID", "the licence's id (default: a random UUID)"},
    {OPTION_KEY_ID, 0, "key-id", ARGUMENT_WORD, "ID", "the key id of the content"},
    {OPTION_TITLE, 0, "title", ARGUMENT_WORD, "[LANGUAGE=]TEXT",
	"what the owner reads, as in 'en=River songs' (may be repeated)"},
    {OPTION_ACTION, 0, "action", ARGUMENT_WORD, "NAME[:count=N][,period=SECONDS]",
	"allow this, so often, and so long after the first use (may be repeated)"},
    {OPTION_BACKUP, 0, "backup", ARGUMENT_NONE, NULL, "allow that it is backed up"},
    {OPTION_SERVICE, 0, "service", ARGUMENT_WORD, "ADDRESS",
	"the License Management Service that manages it"},
    {OPTION_COMPUTERS, 0, "computers", ARGUMENT_WORD, "N",
	"with --service: on how many computers it may be, the first included"},
    {OPTION_NOT_BEFORE, 0, "not-before", ARGUMENT_WORD, "TIME", "valid from then on"},
    {OPTION_EXPIRES, 0, "expires", ARGUMENT_WORD, "TIME", "expired from then on"},
    {OPTION_CONTENT_KEY, 0, "content-key", ARGUMENT_FILE, "FILE",
	"seal the content key in FILE (base64url) for the computer; 'random': a new one"},
    {OPTION_PRIORITY, 0, "priority", ARGUMENT_WORD, "N",
	"of several licences of a key id the highest goes first (default 0)"},
    {OPTION_ROOT, 0, "root", ARGUMENT_WORD, "ID",
	"the key id of the root licence that must allow each action too"},
    ROW_ISSUED("when it was issued (default: now)"),
};

static const struct option_row verify_options[] = {
    {OPTION_KEYS, 0, "keys", ARGUMENT_FILE, "FILE", "the issuer's public keys (a JWK set)"},
};

static const struct option_row help_options[] = {
    {OPTION_DUMP, 0, "dump-options", ARGUMENT_NONE, NULL, NULL},
};

const struct command commands[] = {
    {"key make", "FILE", 1, 1, ARGUMENT_FILE, "make the keys of an issuer",
	"Makes the new file FILE, readable by you alone, with a key that signs licences.  "
	"Keep it secret.",
	make_options, COUNT(make_options), cmd_key_make},
    {"key rotate", "FILE", 1, 1, ARGUMENT_FILE, "add a key that signs from now on",
	"The keys that are in FILE verify what they signed, and sign no more: their private "
	"halves are removed.",
	rotate_options, COUNT(rotate_options), cmd_key_rotate},
    {"key remove", "FILE KID", 2, 2, ARGUMENT_FILE, "remove a key that does not sign any more",
	"What it signed does not verify any more with the public keys that you write from "
	"then on.",
	NULL, 0, cmd_key_remove},
    {"key public", "FILE", 1, 1, ARGUMENT_FILE, "write the public keys, to publish",
	"Writes the JWK set that 'rehost issuer add' takes, without a private key, to "
	"standard output.",
	public_options, COUNT(public_options), cmd_key_public},
    {"key list", "FILE", 1, 1, ARGUMENT_FILE, "list the keys of an issuer",
	"Each with when it was made, and whether it signs or verifies only.", NULL, 0,
	cmd_key_list},
    {"issue", "[INPUT]", 0, 1, ARGUMENT_FILE, "issue licences",
	"Issues one licence that the options describe, or, with INPUT ('-': standard input), "
	"one for each row: CSV with a line of names first, or a JSON object a line.  What a "
	"row does not say, the options do.  A licence is issued to each --computer, or to the "
	"one that its row names.  Without --to and --output the licences go to standard "
	"output, as 'rehost add -' reads them.",
	issue_options, COUNT(issue_options), cmd_issue},
    {"inspect", "FILE...", 1, -1, ARGUMENT_FILE, "tell what licences say",
	"Tells header and claims of each licence ('-': those on standard input), without "
	"checking the signature.",
	NULL, 0, cmd_inspect},
    {"verify", "FILE...", 1, -1, ARGUMENT_FILE, "check licences",
	"Checks form, signature and times of each licence ('-': those on standard input).",
	verify_options, COUNT(verify_options), cmd_verify},
    {"help", "[COMMAND]", 0, 2, ARGUMENT_COMMAND, "show help, of one command or of all",
	"The same as rehost-issue --help, or rehost-issue COMMAND --help.", help_options,
	COUNT(help_options), cmd_help},
};
const size_t command_count = COUNT(commands);

static const char *version(void)
{
	return REHOST_VERSION;
}

static void offer(
    FILE *out, const struct arguments *arguments, enum argument_kind kind, const char *typed)
{
	(void)out;
	(void)arguments;
	(void)kind;
	(void)typed;
}

const struct program program = {
    .name = "rehost-issue",
    .version = version,
    .purpose = "Issue signed licences, which Rehost backs up and restores.",
    .beginning = "  rehost-issue key make FILE       make the keys of an issuer\n"
		 "  rehost-issue key public FILE     write what to publish of them\n"
		 "  rehost-issue issue --key FILE    issue licences\n",
    .start = memory_start,
    .offer = offer,
};
