#include <stdio.h>

#include "cli/program.h"
#include "service/cmd.h"
#include "service/cmd_keys.h"
#include "service/cmd_ledger.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define ROW_DATA                                                                               \
	{                                                                                      \
		OPTION_DATA, 'd', "data", ARGUMENT_DIRECTORY, "DIR",                           \
		    "the directory of keys and ledger"                                         \
	}
#define ROW_DATABASE                                                                           \
	{                                                                                      \
		OPTION_DATABASE, 0, "database", ARGUMENT_WORD, "ADDRESS",                      \
		    "the ledger: sqlite:PATH or postgresql://... (default: DIR/ledger.db)"     \
	}

const struct option_row global_options[] = {
    {OPTION_JSON, 0, "json", ARGUMENT_NONE, NULL, "write one JSON object a line"},
    {OPTION_QUIET, 'q', "quiet", ARGUMENT_NONE, NULL, "say nothing but errors"},
    {OPTION_HELP, 'h', "help", ARGUMENT_NONE, NULL, "show help and exit"},
    {OPTION_VERSION, 0, "version", ARGUMENT_NONE, NULL, "show the version and exit"},
};
const size_t global_option_count = COUNT(global_options);

static const struct option_row serve_options[] = {
    ROW_DATA,
    ROW_DATABASE,
    {OPTION_ADDRESS, 0, "address", ARGUMENT_WORD, "URL",
	"the service's address, as licences name it (default: where it listens)"},
    {OPTION_LISTEN, 0, "listen", ARGUMENT_WORD, "HOST:PORT",
	"where to listen (default 127.0.0.1:8443); port 0: a free one"},
    {OPTION_TLS_CERTIFICATE, 0, "tls-certificate", ARGUMENT_FILE, "FILE",
	"the certificate and its chain, PEM; SIGHUP reads it again"},
    {OPTION_TLS_KEY, 0, "tls-key", ARGUMENT_FILE, "FILE", "its private key, PEM"},
    {OPTION_BEHIND_PROXY, 0, "behind-proxy", ARGUMENT_NONE, NULL,
	"a proxy in front does TLS, and tells the clients' addresses in X-Forwarded-For"},
    {OPTION_FORWARDED, 0, "forwarded", ARGUMENT_NONE, NULL,
	"with --behind-proxy: it tells them in Forwarded instead"},
    {OPTION_OPERATOR, 0, "operator", ARGUMENT_WORD, "NAME", "who runs it, for its pages"},
    {OPTION_PRIVACY_CONTACT, 0, "privacy-contact", ARGUMENT_WORD, "TEXT",
	"whom to ask about privacy, for its pages"},
    {OPTION_CONNECTIONS, 0, "connections", ARGUMENT_NUMBER, "N",
	"at most N connections at once (default 512)"},
    {OPTION_PER_ADDRESS, 0, "per-address", ARGUMENT_NUMBER, "N",
	"of which N from one address (default 64; any number on loopback and behind a proxy)"},
    {OPTION_TIMEOUT, 0, "timeout", ARGUMENT_NUMBER, "SECONDS",
	"end connections that idle, or take longer to send a request (default 30)"},
    {OPTION_RATE, 0, "rate", ARGUMENT_NUMBER, "N",
	"N requests a second from one address, and of one computer (default 50; any number on "
	"loopback)"},
    {OPTION_REHEARSE, 0, "rehearse", ARGUMENT_FILE, "FILE",
	"fail as the script in FILE says, for tests of applications"},
};

#define ROW_ISSUER                                                                             \
	{                                                                                      \
		OPTION_ISSUER, 0, "issuer", ARGUMENT_WORD, "NAME", "of this issuer"            \
	}
#define ROW_REASON                                                                             \
	{                                                                                      \
		OPTION_REASON, 0, "reason", ARGUMENT_WORD, "TEXT", "why, for the audit log"    \
	}

/* Of every command that reads or changes the ledger without serving. */
#define ROWS_LEDGER ROW_DATA, ROW_DATABASE

static const struct option_row ledger_options[] = {ROWS_LEDGER};

static const struct option_row issuer_add_options[] = {
    ROWS_LEDGER,
    {OPTION_NAME, 0, "name", ARGUMENT_WORD, "NAME",
	"the issuer as licences name it, if the keys do not say"},
    {OPTION_TITLE, 0, "title", ARGUMENT_WORD, "TEXT", "the issuer's name for people"},
    {OPTION_CONTACT, 0, "contact", ARGUMENT_WORD, "ADDRESS",
	"where owners ask: a web or mail address"},
};

static const struct option_row policy_show_options[] = {
    ROWS_LEDGER,
    ROW_ISSUER,
    {OPTION_LICENCE, 0, "licence", ARGUMENT_WORD, "ID", "of this licence of the issuer"},
};

static const struct option_row policy_set_options[] = {
    ROWS_LEDGER,
    ROW_ISSUER,
    {OPTION_LICENCE, 0, "licence", ARGUMENT_WORD, "ID", "of this licence of the issuer"},
    {OPTION_COMPUTERS, 0, "computers", ARGUMENT_WORD, "N",
	"computers that may hold a licence, the one that it was issued to counted"},
    {OPTION_PERIOD, 0, "period", ARGUMENT_WORD, "TIME",
	"the time in which --period-computers counts, as in 365d"},
    {OPTION_PERIOD_COMPUTERS, 0, "period-computers", ARGUMENT_WORD, "N",
	"new computers within a period"},
    {OPTION_COOLDOWN, 0, "cooldown", ARGUMENT_WORD, "TIME",
	"between two new computers, as in 12h"},
    {OPTION_RELEASE_WAIT, 0, "release-wait", ARGUMENT_WORD, "TIME",
	"how long a release waits for the computer to show up, as in 7d"},
};

static const struct option_row licence_list_options[] = {
    ROWS_LEDGER,
    {OPTION_LIMIT, 0, "limit", ARGUMENT_WORD, "N", "at most N (default 100)"},
};

static const struct option_row licence_options[] = {ROWS_LEDGER, ROW_ISSUER};

static const struct option_row block_options[] = {ROWS_LEDGER, ROW_ISSUER, ROW_REASON};

static const struct option_row allow_options[] = {
    ROWS_LEDGER,
    ROW_ISSUER,
    ROW_REASON,
    {OPTION_EXTRA, 0, "extra", ARGUMENT_WORD, "N", "computers more (default 1)"},
    {OPTION_UNTIL, 0, "until", ARGUMENT_WORD, "TIME",
	"until then, as in 2027-06-30 (default: for ever)"},
};

static const struct option_row token_make_options[] = {
    ROWS_LEDGER,
    {OPTION_SCOPE, 0, "scope", ARGUMENT_WORD, "SCOPE", "read (default), or write"},
    {OPTION_EXPIRES, 0, "expires", ARGUMENT_WORD, "TIME", "it is worth nothing from then on"},
};

static const struct option_row audit_list_options[] = {
    ROWS_LEDGER,
    {OPTION_FROM, 0, "from", ARGUMENT_WORD, "N", "from entry N (default: the last ones)"},
    {OPTION_LIMIT, 0, "limit", ARGUMENT_WORD, "N", "at most N (default 100)"},
};

static const struct option_row resolve_options[] = {ROWS_LEDGER, ROW_REASON};

static const struct option_row help_options[] = {
    {OPTION_DUMP, 0, "dump-options", ARGUMENT_NONE, NULL, NULL},
};

const struct command commands[] = {
    {"serve", "", 0, 0, ARGUMENT_NONE, "serve until it is told to stop",
	"Makes what is missing in DIR, prints where it listens, and serves.  SIGTERM and "
	"SIGINT "
	"let it finish what it accepted.",
	serve_options, COUNT(serve_options), cmd_serve},
    {"keys show", "", 0, 0, ARGUMENT_NONE, "show the service's public keys",
	"Each with when it was made, and what it is for.", ledger_options,
	COUNT(ledger_options), cmd_keys_show},
    {"keys rotate", "", 0, 0, ARGUMENT_NONE, "make new keys",
	"The old ones stay, to verify what they signed.  Restart rehostd, and copy the file "
	"to each that shares the ledger.",
	ledger_options, COUNT(ledger_options), cmd_keys_rotate},
    {"issuer add", "FILE", 1, 1, ARGUMENT_FILE, "serve an issuer's licences",
	"FILE has the issuer's public keys (a JWK set), as 'rehost-issue key public' writes "
	"them.  The same issuer again: what was said of it before is replaced.",
	issuer_add_options, COUNT(issuer_add_options), cmd_admin},
    {"issuer list", "", 0, 0, ARGUMENT_NONE, "list the issuers that are served",
	"Each with its keys.", ledger_options, COUNT(ledger_options), cmd_admin},
    {"issuer remove", "NAME", 1, 1, ARGUMENT_WORD, "serve an issuer no more",
	"What was counted stays in the ledger.", ledger_options, COUNT(ledger_options),
	cmd_admin},
    {"policy show", "", 0, 0, ARGUMENT_NONE, "tell how many computers are allowed",
	"Of the service, or of --issuer, or of a --licence of it.", policy_show_options,
	COUNT(policy_show_options), cmd_admin},
    {"policy set", "", 0, 0, ARGUMENT_NONE, "set how many computers are allowed",
	"Of the service, or of --issuer, or of a --licence of it: in place of what was set "
	"there.  What is not given is taken from the next wider policy.",
	policy_set_options, COUNT(policy_set_options), cmd_admin},
    {"licence list", "[ID]", 0, 1, ARGUMENT_WORD, "list the licences that were seen",
	"Those whose id begins with ID, or all.", licence_list_options,
	COUNT(licence_list_options), cmd_admin},
    {"licence show", "ID", 1, 1, ARGUMENT_WORD, "tell on which computers a licence is",
	"With --issuer, if licences of several issuers have this id.", licence_options,
	COUNT(licence_options), cmd_admin},
    {"licence allow", "ID", 1, 1, ARGUMENT_WORD, "allow a licence on more computers",
	"An exception from the policy, with its reason.", allow_options, COUNT(allow_options),
	cmd_admin},
    {"licence block", "ID", 1, 1, ARGUMENT_WORD, "restore a licence no more",
	"Computers that have it keep it.", block_options, COUNT(block_options), cmd_admin},
    {"licence unblock", "ID", 1, 1, ARGUMENT_WORD, "restore it again", "Takes a block back.",
	block_options, COUNT(block_options), cmd_admin},
    {"computer list", "[NAME]", 0, 1, ARGUMENT_WORD, "list the computers that came here",
	"Those whose name begins with NAME, or all.", ledger_options, COUNT(ledger_options),
	cmd_admin},
    {"computer release", "NAME", 1, 1, ARGUMENT_WORD, "give up the places of a computer",
	"Without its owner's proof; after the same waiting time, and not if it shows up.",
	ledger_options, COUNT(ledger_options), cmd_admin},
    {"computer keep", "NAME", 1, 1, ARGUMENT_WORD, "take a release back",
	"As long as it waits.", ledger_options, COUNT(ledger_options), cmd_admin},
    {"case show", "NUMBER", 1, 1, ARGUMENT_WORD, "tell what an owner asks about",
	"NUMBER is the case number on the page of a limit.", ledger_options,
	COUNT(ledger_options), cmd_admin},
    {"token make", "NAME", 1, 1, ARGUMENT_WORD, "make a token for administration over HTTP",
	"Shown once; the ledger keeps a hash of it.", token_make_options,
	COUNT(token_make_options), cmd_admin},
    {"token list", "", 0, 0, ARGUMENT_NONE, "list the tokens", "Names and scopes alone.",
	ledger_options, COUNT(ledger_options), cmd_admin},
    {"token remove", "NAME", 1, 1, ARGUMENT_WORD, "make a token worth nothing", "At once.",
	ledger_options, COUNT(ledger_options), cmd_admin},
    {"audit list", "", 0, 0, ARGUMENT_NONE, "show the log of every change",
	"Each with who made it, and its hash.", audit_list_options, COUNT(audit_list_options),
	cmd_admin},
    {"audit verify", "", 0, 0, ARGUMENT_NONE, "make every hash of the log anew",
	"Also tells whether a computer has seen more than the log knows.", ledger_options,
	COUNT(ledger_options), cmd_admin},
    {"audit resolve", "", 0, 0, ARGUMENT_NONE, "go on with a ledger that was put back",
	"Takes an old copy of the ledger for the true one.", resolve_options,
	COUNT(resolve_options), cmd_admin},
    {"backup", "FILE", 1, 1, ARGUMENT_FILE, "copy a SQLite ledger while it is used",
	"FILE is whole when it is there.", ledger_options, COUNT(ledger_options), cmd_backup},
    {"help", "[COMMAND]", 0, 2, ARGUMENT_COMMAND, "show help, of one command or of all",
	"The same as rehostd --help, or rehostd COMMAND --help.", help_options,
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
    .name = "rehostd",
    .version = version,
    .purpose = "Serve restores of managed licences, and count the computers that they are on.",
    .beginning = "  rehostd serve --data DIR         serve\n",
    .offer = offer,
};
