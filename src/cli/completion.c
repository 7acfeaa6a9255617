#include <stdio.h>
#include <string.h>

#include "cli/program.h"
#include "cli/completion.h"

/* What the words before the current one say. */
struct place {
	const struct command *command; /* NULL: not known yet */
	char name[64]; /* words of a command so far */
	const struct option_row *open; /* the option whose argument is being typed */
	struct arguments arguments; /* of the options before the command */
};

static const struct option_row *find_option(const struct place *place, const char *word)
{
	const struct option_row *rows = global_options;
	size_t count = global_option_count;

	for (int turn = 0; turn < 2 && word[0] == '-'; turn++) {
		for (size_t i = 0; i < count; i++)
			if ((word[1] == '-' && strcmp(word + 2, rows[i].name) == 0) ||
			    (rows[i].letter != 0 && word[1] == rows[i].letter &&
				word[2] == '\0'))
				return &rows[i];
		if (place->command == NULL)
			break;
		rows = place->command->options;
		count = place->command->option_count;
	}
	return NULL;
}

static void take_word(struct place *place, const char *word)
{
	const struct option_row *option = find_option(place, word);
	size_t used = strlen(place->name);

	if (place->open != NULL) {
		place->arguments.values[place->open->id] = word;
		place->open = NULL;
	} else if (option != NULL) {
		place->open = option->argument == NULL ? NULL : option;
	} else if (word[0] != '-' && place->command == NULL) {
		snprintf(place->name + used, sizeof place->name - used, "%s%s",
		    used == 0 ? "" : " ", word);
		place->command = command_find(place->name);
	}
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

void completion_offer(FILE *out, const char *word, const char *typed, const char *meaning)
{
	if (begins(word, typed))
		fprintf(out, "%s\t%s\n", word, meaning);
}

static void offer_options(
    FILE *out, const struct option_row *rows, size_t count, const char *typed)
{
	for (size_t i = 0; i < count; i++) {
		char word[64];

		snprintf(word, sizeof word, "--%s", rows[i].name);
		if (rows[i].help != NULL)
			completion_offer(out, word, typed, rows[i].help);
	}
}

/* The commands, or the words that may follow the first word of a group. */
static void offer_commands(FILE *out, const char *group, const char *typed)
{
	size_t length = strlen(group);
	char last[64] = "", words[160];

	for (size_t i = 0; i < command_count; i++) {
		const char *name = commands[i].name;
		char word[64];

		if (length > 0) {
			if (begins(name, group) && name[length] == ' ')
				completion_offer(
				    out, name + length + 1, typed, commands[i].summary);
			continue;
		}
		snprintf(word, sizeof word, "%.*s", (int)strcspn(name, " "), name);
		if (strcmp(word, last) == 0)
			continue;
		strcpy(last, word);
		if (command_is_group(word))
			command_group_words(word, words, sizeof words);
		completion_offer(
		    out, word, typed, command_is_group(word) ? words : commands[i].summary);
	}
}

static void offer_argument(
    FILE *out, const struct place *place, enum argument_kind kind, const char *typed)
{
	switch (kind) {
	case ARGUMENT_FILE:
		fputs(":files\n", out);
		break;
	case ARGUMENT_DIRECTORY:
		fputs(":directories\n", out);
		break;
	case ARGUMENT_COMMAND:
		offer_commands(out, "", typed);
		break;
	default:
		program.offer(out, &place->arguments, kind, typed);
		break;
	}
}

void completion_write(FILE *out, char **words, int count)
{
	struct place place = {.command = NULL};
	const char *typed = count > 0 ? words[count - 1] : "";

	for (int i = 0; i + 1 < count; i++)
		take_word(&place, words[i]);
	if (place.open != NULL) {
		offer_argument(out, &place, place.open->kind, typed);
	} else if (typed[0] == '-') {
		if (place.command != NULL)
			offer_options(
			    out, place.command->options, place.command->option_count, typed);
		offer_options(out, global_options, global_option_count, typed);
	} else if (place.command == NULL) {
		offer_commands(out, place.name, typed);
	} else {
		offer_argument(out, &place, place.command->operand_kind, typed);
	}
}
