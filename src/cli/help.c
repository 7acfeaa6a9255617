#include <string.h>

#include "cli/exit.h"
#include "cli/program.h"
#include "cli/help.h"

#define WIDTH 80
#define COMMAND_COLUMN 25
#define OPTION_COLUMN 28

/*
 * Writes ${text} in words from column ${at}, further lines indented by ${indent}, and
 * a line end.
 */
static void wrap(FILE *out, const char *text, size_t at, size_t indent)
{
	bool first = true;

	while (*text != '\0') {
		size_t length = strcspn(text, " ");

		if (!first && at + 1 + length > WIDTH - 1) {
			fprintf(out, "\n%*s", (int)indent, "");
			at = indent;
		} else if (!first) {
			fputc(' ', out);
			at++;
		}
		fprintf(out, "%.*s", (int)length, text);
		at += length;
		text += length;
		text += strspn(text, " ");
		first = false;
	}
	fputc('\n', out);
}

/* A name in the left column, what it is in the right one. */
static void entry(FILE *out, const char *name, const char *text, size_t column)
{
	size_t at = strlen(name) + 2;

	fprintf(out, "  %s", name);
	if (at + 2 > column) {
		fputc('\n', out);
		at = 0;
	}
	fprintf(out, "%*s", (int)(column - at), "");
	wrap(out, text, column, column);
}

static void option_entries(FILE *out, const struct option_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct option_row *row = &rows[i];
		char letter[8] = "    ", name[80];

		if (row->help == NULL)
			continue;
		if (row->letter != 0)
			snprintf(letter, sizeof letter, "-%c, ", row->letter);
		snprintf(name, sizeof name, "%s--%s%s%s", letter, row->name,
		    row->argument == NULL ? "" : " ",
		    row->argument == NULL ? "" : row->argument);
		entry(out, name, row->help, OPTION_COLUMN);
	}
}

void help_all(FILE *out)
{
	fprintf(out, "Usage: %s [OPTION...] COMMAND [ARGUMENT...]\n\n%s\n\nCommands:\n",
	    program.name, program.purpose);
	for (size_t i = 0; i < command_count; i++) {
		char name[80];

		snprintf(name, sizeof name, "%s %s", commands[i].name, commands[i].operands);
		entry(out, name, commands[i].summary, COMMAND_COLUMN);
	}
	fputs("\nOptions, before or after the command:\n", out);
	option_entries(out, global_options, global_option_count);
	fprintf(out, "\n'%s COMMAND --help' tells more of a command, %s(1) all.\n",
	    program.name, program.name);
}

void help_command(FILE *out, const struct command *command)
{
	bool shown = false;

	for (size_t i = 0; i < command->option_count; i++)
		shown = shown || command->options[i].help != NULL;
	fprintf(out, "Usage: %s %s%s%s%s\n\n", program.name, command->name,
	    shown ? " [OPTION...]" : "", command->operands[0] == '\0' ? "" : " ",
	    command->operands);
	wrap(out, command->description, 0, 0);
	if (shown) {
		fputs("\nOptions:\n", out);
		option_entries(out, command->options, command->option_count);
	}
	fputs("\nOptions of every command:\n", out);
	option_entries(out, global_options, global_option_count);
}

void help_short(FILE *out)
{
	fprintf(out, "usage: %s COMMAND [ARGUMENT...]\n\n%s\n'%s --help' lists everything.\n",
	    program.name, program.beginning, program.name);
}

static void dump_options(
    FILE *out, const char *command, const struct option_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct option_row *row = &rows[i];
		char letter[3] = {'-', row->letter, '\0'};

		if (row->help == NULL)
			continue;
		fprintf(out, "option\t%s\t--%s\t%s\t%s\t%s\n", command, row->name,
		    row->letter == 0 ? "" : letter, row->argument == NULL ? "" : row->argument,
		    row->help);
	}
}

void help_dump(FILE *out)
{
	dump_options(out, "", global_options, global_option_count);
	for (size_t i = 0; i < command_count; i++) {
		fprintf(out, "command\t%s\t%s\t%s\n", commands[i].name, commands[i].operands,
		    commands[i].summary);
		dump_options(
		    out, commands[i].name, commands[i].options, commands[i].option_count);
	}
#define EXIT_LINE(number, name, words) fprintf(out, "exit\t%d\t%s\n", number, words);
	EXIT_LIST(EXIT_LINE)
#undef EXIT_LINE
}
