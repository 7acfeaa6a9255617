#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The command line as tables.  Parsing, help, shell completion and the dump that
 * tests compare with the man page all come from the rows in commands.c.
 */

enum option_id {
	OPTION_STORE,
	OPTION_JSON,
	OPTION_QUIET,
	OPTION_HELP,
	OPTION_VERSION,
	/* of rehost-issue */
	OPTION_ACTION,
	OPTION_BACKUP,
	OPTION_COMPUTER,
	OPTION_COMPUTERS,
	OPTION_CONTENT_KEY,
	OPTION_CONTENT_KEYS,
	OPTION_EXPIRES,
	OPTION_ID,
	OPTION_ISSUED,
	OPTION_ISSUER,
	OPTION_KEY,
	OPTION_KEY_ID,
	OPTION_KEYS,
	OPTION_NOT_BEFORE,
	OPTION_PRIORITY,
	OPTION_ROOT,
	OPTION_SERVICE,
	OPTION_TITLE,
	/* of rehostd, its administration */
	OPTION_CONTACT,
	OPTION_COOLDOWN,
	OPTION_DATA,
	OPTION_DATABASE,
	OPTION_EXTRA,
	OPTION_FROM,
	OPTION_LICENCE,
	OPTION_LIMIT,
	OPTION_PERIOD,
	OPTION_PERIOD_COMPUTERS,
	OPTION_REASON,
	OPTION_RELEASE_WAIT,
	OPTION_SCOPE,
	OPTION_UNTIL,
	/* of rehostd serve */
	OPTION_ADDRESS,
	OPTION_BEHIND_PROXY,
	OPTION_CONNECTIONS,
	OPTION_FORWARDED,
	OPTION_LISTEN,
	OPTION_OPERATOR,
	OPTION_PER_ADDRESS,
	OPTION_PRIVACY_CONTACT,
	OPTION_RATE,
	OPTION_REHEARSE,
	OPTION_TIMEOUT,
	OPTION_TLS_CERTIFICATE,
	OPTION_TLS_KEY,
	/* of rehost */
	OPTION_VERBOSE,
	OPTION_FORMAT,
	OPTION_FILTER,
	OPTION_OVERWRITE,
	OPTION_KEEP,
	OPTION_PARITY,
	OPTION_EJECT,
	OPTION_RECIPIENT,
	OPTION_RECOVERY_KEY_FILE,
	OPTION_PASSPHRASE_FILE,
	OPTION_PLAN,
	OPTION_INDIVIDUALIZE,
	OPTION_DEEP,
	OPTION_LICENSES,
	OPTION_TO,
	OPTION_OUTPUT,
	OPTION_TEXT,
	OPTION_YES,
	OPTION_NAME,
	OPTION_PUBLIC,
	OPTION_SERVICE_URL,
	OPTION_CANCEL,
	OPTION_DUMP,
	OPTION_COUNT
};

/* What an option's argument or an operand is: for checks and for completion. */
enum argument_kind {
	ARGUMENT_NONE,
	ARGUMENT_WORD,
	ARGUMENT_NUMBER, /* 1 to 999 */
	ARGUMENT_PERCENT, /* 0 to 100 */
	ARGUMENT_FORMAT, /* a licence format's name */
	ARGUMENT_LICENSE, /* a licence's id, or its beginning */
	ARGUMENT_FILE,
	ARGUMENT_DIRECTORY,
	ARGUMENT_COMMAND
};

struct option_row {
	enum option_id id;
	char letter; /* 0: none */
	const char *name;
	enum argument_kind kind;
	const char *argument; /* its name in help; NULL: takes none */
	const char *help; /* NULL: not shown */
};

struct arguments;

struct command {
	const char *name; /* one word, or a group and a word: "recovery show" */
	const char *operands; /* as help shows them */
	int operands_min;
	int operands_max; /* -1: any number */
	enum argument_kind operand_kind;
	const char *summary;
	const char *description;
	const struct option_row *options;
	size_t option_count;
	int (*run)(const struct arguments *arguments);
};

#define RECIPIENTS_MAX 64
#define GIVEN_MAX 256

struct arguments {
	const struct command *command; /* NULL: none was named */
	const char *values[OPTION_COUNT]; /* NULL: not given; "" if it takes no argument */
	const char *recipients[RECIPIENTS_MAX]; /* every --recipient */
	size_t recipient_count;
	/* Every option, for those that may be repeated. */
	struct given {
		enum option_id id;
		const char *value;
	} given[GIVEN_MAX];
	size_t given_count;
	char **operands;
	int operand_count;
};

/* commands.c of each program */
extern const struct command commands[];
extern const size_t command_count;
extern const struct option_row global_options[];
extern const size_t global_option_count;

/* The command of this name, NULL if there is none. */
const struct command *command_find(const char *name);

/* Whether ${word} is the first of two words of some command. */
bool command_is_group(const char *word);

/*
 * Puts the words that may follow ${group} into ${text}, with commas between them.
 * Returns the command if there is only one, else NULL.
 */
const struct command *command_group_words(const char *group, char *text, size_t size);

/*
 * Reads the command line.  Returns EXIT_DONE, or EXIT_USAGE having said on
 * stderr what has no meaning.  With --help or --version operands are not
 * checked.  ${arguments} points into ${argv}, which is permuted.
 */
int options_parse(int argc, char **argv, struct arguments *arguments);

bool option_given(const struct arguments *arguments, enum option_id id);

/* The argument of an ARGUMENT_NUMBER or ARGUMENT_PERCENT, ${otherwise} if the option was not
 * given. */
unsigned option_number(
    const struct arguments *arguments, enum option_id id, unsigned otherwise);

#endif
