#include <stdio.h>

#include "cli/program.h"
#include "service/cmd.h"

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
    {OPTION_ALIAS, 0, "alias", ARGUMENT_WORD, "URL",
	"another address that licences may name (may be repeated)"},
    {OPTION_LISTEN, 0, "listen", ARGUMENT_WORD, "HOST:PORT",
	"where to listen (default 127.0.0.1:8443); port 0: a free one"},
    {OPTION_TLS_CERTIFICATE, 0, "tls-certificate", ARGUMENT_FILE, "FILE",
	"the certificate and its chain, PEM; SIGHUP reads it again"},
    {OPTION_TLS_KEY, 0, "tls-key", ARGUMENT_FILE, "FILE", "its private key, PEM"},
    {OPTION_BEHIND_PROXY, 0, "behind-proxy", ARGUMENT_NONE, NULL,
	"a proxy in front does TLS, and tells the clients' addresses"},
    {OPTION_OPERATOR, 0, "operator", ARGUMENT_WORD, "NAME", "who runs it, for its pages"},
    {OPTION_PRIVACY_CONTACT, 0, "privacy-contact", ARGUMENT_WORD, "TEXT",
	"whom to ask about privacy, for its pages"},
    {OPTION_CONNECTIONS, 0, "connections", ARGUMENT_NUMBER, "N",
	"at most N connections at once (default 512)"},
    {OPTION_PER_ADDRESS, 0, "per-address", ARGUMENT_NUMBER, "N",
	"of which N from one address (default 64; any number on loopback and behind a proxy)"},
    {OPTION_RATE, 0, "rate", ARGUMENT_NUMBER, "N",
	"N requests a second from one address, and of one computer (default 50; any number on "
	"loopback)"},
};

static const struct option_row help_options[] = {
    {OPTION_DUMP, 0, "dump-options", ARGUMENT_NONE, NULL, NULL},
};

const struct command commands[] = {
    {"serve", "", 0, 0, ARGUMENT_NONE, "serve until it is told to stop",
	"Makes what is missing in DIR, prints where it listens, and serves.  SIGTERM and "
	"SIGINT "
	"let it finish what it accepted.",
	serve_options, COUNT(serve_options), cmd_serve},
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
