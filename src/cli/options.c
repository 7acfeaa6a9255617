#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/program.h"
#include "cli/talk.h"
#include "cli/options.h"

#define ROWS_MAX 64
#define VALUE_BASE 256 /* values of long options, apart from every letter */
#define NUMBER_MAX 999
#define PERCENT_MAX 100
#define NAME_LENGTH 43 /* of a computer: a thumbprint in base64url, RFC 7638 */
#define NAMES_MAX 8

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < command_count; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static bool is_in_group(const struct command *command, const char *group)
{
	size_t length = strlen(group);

	return strncmp(command->name, group, length) == 0 && command->name[length] == ' ';
}

bool command_is_group(const char *word)
{
	for (size_t i = 0; i < command_count; i++)
		if (is_in_group(&commands[i], word))
			return true;
	return false;
}

const struct command *command_group_words(const char *group, char *text, size_t size)
{
	const struct command *last = NULL;
	size_t used, count = 0;

	text[0] = '\0';
	for (size_t i = 0; i < command_count; i++) {
		if (!is_in_group(&commands[i], group))
			continue;
		used = strlen(text);
		snprintf(text + used, size - used, "%s%s", count == 0 ? "" : ", ",
		    commands[i].name + strlen(group) + 1);
		last = &commands[i];
		count++;
	}
	return count == 1 ? last : NULL;
}

/* The rows that hold at one place of the command line, ready for getopt_long. */
struct rows {
	const struct option_row *row[ROWS_MAX];
	size_t count;
	struct option long_options[ROWS_MAX + 1];
	char letters[2 * ROWS_MAX + 3];
};

static void rows_add(struct rows *rows, const struct option_row *row, size_t count)
{
	for (size_t i = 0; i < count && rows->count < ROWS_MAX; i++)
		rows->row[rows->count++] = &row[i];
}

/* ${first}: "+" stops at the first operand, "" lets options follow operands. */
static void rows_compile(struct rows *rows, const char *first)
{
	char *letter = rows->letters + sprintf(rows->letters, "%s:", first);

	for (size_t i = 0; i < rows->count; i++) {
		const struct option_row *row = rows->row[i];

		rows->long_options[i] = (struct option){row->name,
		    row->argument == NULL ? no_argument : required_argument, NULL,
		    VALUE_BASE + (int)row->id};
		if (row->letter != 0) {
			*letter++ = row->letter;
			if (row->argument != NULL)
				*letter++ = ':';
		}
	}
	*letter = '\0';
	rows->long_options[rows->count] = (struct option){NULL, 0, NULL, 0};
}

/* The row of a value that getopt_long gave, NULL if it is none. */
static const struct option_row *rows_find(const struct rows *rows, int value)
{
	for (size_t i = 0; i < rows->count; i++) {
		const struct option_row *row = rows->row[i];

		if (value == VALUE_BASE + (int)row->id ||
		    (row->letter != 0 && value == row->letter))
			return row;
	}
	return NULL;
}

/* How many letters must be typed, left out or changed to come from one to the other. */
static size_t distance(const char *from, const char *to)
{
	size_t line[64], width = strlen(to);

	if (width >= sizeof line / sizeof line[0])
		return width;
	for (size_t i = 0; i <= width; i++)
		line[i] = i;
	for (; *from != '\0'; from++) {
		size_t corner = line[0]++;

		for (size_t i = 1; i <= width; i++) {
			size_t best = corner + (*from != to[i - 1]);

			corner = line[i];
			if (line[i] + 1 < best)
				best = line[i] + 1;
			if (line[i - 1] + 1 < best)
				best = line[i - 1] + 1;
			line[i] = best;
		}
	}
	return line[width];
}

struct nearest {
	const char *name;
	size_t distance;
};

static void nearest_offer(struct nearest *nearest, const char *typed, const char *name)
{
	size_t here = distance(typed, name);

	/* Half a word away is another word. */
	if (here <= 3 && here < nearest->distance && 2 * here < strlen(name) + 1)
		*nearest = (struct nearest){name, here};
}

static void hint_help(const struct command *command)
{
	if (command == NULL)
		talk_hint("'%s --help' lists commands and options", program.name);
	else
		talk_hint("'%s %s --help' lists its options", program.name, command->name);
}

static int unknown_option(
    const struct rows *rows, const struct command *command, const char *typed)
{
	struct nearest nearest = {NULL, SIZE_MAX};
	char name[64];

	snprintf(name, sizeof name, "%s", typed + strspn(typed, "-"));
	name[strcspn(name, "=")] = '\0';
	for (size_t i = 0; i < rows->count; i++)
		if (rows->row[i]->help != NULL)
			nearest_offer(&nearest, name, rows->row[i]->name);
	talk_error("unknown option%s%s: %s", command == NULL ? "" : " of ",
	    command == NULL ? "" : command->name, typed);
	if (nearest.name != NULL)
		talk_hint("did you mean --%s?", nearest.name);
	else
		hint_help(command);
	return EXIT_USAGE;
}

/* getopt_long gave ':' or '?': says why. */
static int refuse(
    const struct rows *rows, const struct command *command, int value, const char *typed)
{
	const struct option_row *row = optopt == 0 ? NULL : rows_find(rows, optopt);
	size_t length, fits = 0;
	char letter[3] = {'-', (char)optopt, '\0'};

	if (row != NULL && value == ':') {
		talk_error("option --%s needs an argument: %s", row->name, row->argument);
		hint_help(command);
		return EXIT_USAGE;
	}
	if (row != NULL) {
		talk_error("option --%s takes no argument: %s", row->name, typed);
		return EXIT_USAGE;
	}
	if (optopt != 0)
		return unknown_option(rows, command, letter);
	length = strcspn(typed, "=");
	for (size_t i = 0; i < rows->count; i++)
		fits += length > 2 && strncmp(rows->row[i]->name, typed + 2, length - 2) == 0;
	if (fits < 2)
		return unknown_option(rows, command, typed);
	talk_error("option %s may be one of %zu options", typed, fits);
	hint_help(command);
	return EXIT_USAGE;
}

/* Whether it is one of the numbers that the option takes; says so if it is not. */
static bool check_number(const struct option_row *row, const char *value)
{
	unsigned long least = row->kind == ARGUMENT_PERCENT ? 0 : 1;
	unsigned long most = row->kind == ARGUMENT_PERCENT ? PERCENT_MAX : NUMBER_MAX;
	char *end;
	unsigned long number = strtoul(value, &end, 10);

	if (value[0] >= '0' && value[0] <= '9' && *end == '\0' && number >= least &&
	    number <= most)
		return true;
	talk_error(
	    "option --%s needs a number from %lu to %lu: %s", row->name, least, most, value);
	return false;
}

static int take(struct arguments *arguments, const struct option_row *row, const char *value)
{
	bool number = row->kind == ARGUMENT_NUMBER || row->kind == ARGUMENT_PERCENT;

	if (number && !check_number(row, value))
		return EXIT_USAGE;
	if (row->id == OPTION_RECIPIENT) {
		if (arguments->recipient_count == RECIPIENTS_MAX) {
			talk_error("too many recipients: at most %d", RECIPIENTS_MAX);
			return EXIT_USAGE;
		}
		arguments->recipients[arguments->recipient_count++] = value;
	}
	if (arguments->given_count == GIVEN_MAX) {
		talk_error("too many options: at most %d", GIVEN_MAX);
		return EXIT_USAGE;
	}
	value = row->argument == NULL ? "" : value;
	arguments->given[arguments->given_count++] = (struct given){row->id, value};
	arguments->values[row->id] = value;
	return EXIT_DONE;
}

/* Reads the options of argv[1] and so on; ${*ret} is where the operands start. */
static int read_options(int argc, char **argv, struct rows *rows, const struct command *command,
    struct arguments *arguments, int *ret)
{
	int value;

	opterr = 0;
	optind = 0; /* glibc: start afresh with these arguments */
	while (
	    (value = getopt_long(argc, argv, rows->letters, rows->long_options, NULL)) != -1) {
		const struct option_row *row = rows_find(rows, value);
		int status = row == NULL ? refuse(rows, command, value, argv[optind - 1])
					 : take(arguments, row, optarg);

		if (status != EXIT_DONE)
			return status;
	}
	*ret = optind;
	return EXIT_DONE;
}

/* Names of computers that start with "-", which is none of an option's. */
struct names {
	struct {
		char *whole, *shown; /* to getopt: without dashes */
	} all[NAMES_MAX];
	size_t count;
};

static size_t dashes_of_name(const char *word)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789-_";

	return strlen(word) == NAME_LENGTH && strspn(word, letters) == NAME_LENGTH
		   ? strspn(word, "-")
		   : 0;
}

static void names_hide(struct names *names, int argc, char **argv)
{
	for (int i = 1; i < argc && names->count < NAMES_MAX; i++) {
		size_t dashes = dashes_of_name(argv[i]);

		if (dashes == 0)
			continue;
		names->all[names->count].whole = argv[i];
		argv[i] += dashes;
		names->all[names->count++].shown = argv[i];
	}
}

static const char *name_whole(const struct names *names, const char *word)
{
	for (size_t i = 0; i < names->count; i++)
		if (names->all[i].shown == word)
			return names->all[i].whole;
	return word;
}

static void names_show(
    const struct names *names, int argc, char **argv, struct arguments *arguments)
{
	for (size_t n = 0; n < names->count; n++)
		for (int i = 1; i < argc; i++)
			if (argv[i] == names->all[n].shown)
				argv[i] = names->all[n].whole;
	for (size_t i = 0; i < arguments->given_count; i++) {
		struct given *given = &arguments->given[i];

		given->value = name_whole(names, given->value);
		arguments->values[given->id] = name_whole(names, arguments->values[given->id]);
	}
	for (size_t i = 0; i < arguments->recipient_count; i++)
		arguments->recipients[i] = name_whole(names, arguments->recipients[i]);
}

static bool wants_help(const struct arguments *arguments)
{
	return option_given(arguments, OPTION_HELP) || option_given(arguments, OPTION_VERSION);
}

/* ${group} is the word before it, NULL for the first word. */
static int unknown_command(const char *group, const char *typed)
{
	size_t length = group == NULL ? 0 : strlen(group) + 1;
	struct nearest nearest = {NULL, SIZE_MAX};

	for (size_t i = 0; i < command_count; i++) {
		const char *name = commands[i].name;
		char first[32];

		if (group != NULL &&
		    (strncmp(name, group, length - 1) != 0 || name[length - 1] != ' '))
			continue;
		nearest_offer(&nearest, typed, name + length);
		snprintf(first, sizeof first, "%.*s", (int)strcspn(name, " "), name);
		if (group == NULL && name[strlen(first)] == ' ' && distance(typed, first) <= 2)
			nearest = (struct nearest){name, 0};
	}
	if (group == NULL)
		talk_error("unknown command: %s", typed);
	else
		talk_error("unknown command: %s %s", group, typed);
	if (nearest.name != NULL)
		talk_hint("did you mean '%s %s%s%s'?", program.name, group == NULL ? "" : group,
		    group == NULL ? "" : " ", nearest.name);
	else
		talk_hint("'%s --help' lists the commands", program.name);
	return EXIT_USAGE;
}

/* ${group} alone: the only command in it, the one that stands for it, or a list of the words.
 */
static int find_alone(const char *group, struct arguments *arguments)
{
	char words[160];

	arguments->command = command_group_words(group, words, sizeof words);
	if (arguments->command == NULL && program.alone != NULL &&
	    strncmp(program.alone, group, strlen(group)) == 0 &&
	    program.alone[strlen(group)] == ' ')
		arguments->command = command_find(program.alone);
	if (arguments->command != NULL)
		return EXIT_DONE;
	talk_error("%s needs one of these after it: %s", group, words);
	talk_hint("'%s help %s' tells what they do", program.name, group);
	return EXIT_USAGE;
}

/* "recovery" and a word, or NULL: the command of both. */
static int find_in_group(const char *group, const char *word, struct arguments *arguments)
{
	char name[64];

	if (word == NULL)
		return find_alone(group, arguments);
	snprintf(name, sizeof name, "%s %s", group, word);
	arguments->command = command_find(name);
	return arguments->command == NULL ? unknown_command(group, word) : EXIT_DONE;
}

static int check_operands(const struct arguments *arguments)
{
	const struct command *command = arguments->command;

	if (arguments->operand_count < command->operands_min) {
		talk_error("%s needs %s", command->name, command->operands);
		hint_help(command);
		return EXIT_USAGE;
	}
	if (command->operands_max >= 0 && arguments->operand_count > command->operands_max) {
		talk_error("%s does not take so many arguments: %s", command->name,
		    arguments->operands[command->operands_max]);
		hint_help(command);
		return EXIT_USAGE;
	}
	return EXIT_DONE;
}

int options_parse(int argc, char **argv, struct arguments *arguments)
{
	struct rows global = {.count = 0}, all = {.count = 0};
	struct names names = {.count = 0};
	const char *group;
	int at, status;

	memset(arguments, 0, sizeof *arguments);
	rows_add(&global, global_options, global_option_count);
	rows_compile(&global, "+");
	status = read_options(argc, argv, &global, NULL, arguments, &at);
	if (status != EXIT_DONE || at >= argc)
		return status;
	if (command_is_group(argv[at])) {
		group = argv[at];
		argc -= at;
		argv += at;
		status = read_options(argc, argv, &global, NULL, arguments, &at);
		if (status != EXIT_DONE)
			return status;
		if (at >= argc && wants_help(arguments)) {
			/* "recovery --help" is "help recovery". */
			arguments->command = command_find("help");
			arguments->operands = argv;
			arguments->operand_count = 1;
			return EXIT_DONE;
		}
		status = find_in_group(group, at < argc ? argv[at] : NULL, arguments);
		at = at < argc ? at : argc - 1;
	} else {
		arguments->command = command_find(argv[at]);
		status =
		    arguments->command == NULL ? unknown_command(NULL, argv[at]) : EXIT_DONE;
	}
	if (status != EXIT_DONE)
		return status;
	argc -= at;
	argv += at;
	rows_add(&all, arguments->command->options, arguments->command->option_count);
	rows_add(&all, global_options, global_option_count);
	rows_compile(&all, "");
	names_hide(&names, argc, argv);
	status = read_options(argc, argv, &all, arguments->command, arguments, &at);
	names_show(&names, argc, argv, arguments);
	if (status != EXIT_DONE)
		return status;
	arguments->operands = argv + at;
	arguments->operand_count = argc - at;
	return wants_help(arguments) ? EXIT_DONE : check_operands(arguments);
}

bool option_given(const struct arguments *arguments, enum option_id id)
{
	return arguments->values[id] != NULL;
}

unsigned option_number(const struct arguments *arguments, enum option_id id, unsigned otherwise)
{
	return option_given(arguments, id) ? (unsigned)strtoul(arguments->values[id], NULL, 10)
					   : otherwise;
}
