#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "cli/cmd.h"
#include "cli/completion.h"
#include "cli/exit.h"
#include "cli/help.h"
#include "cli/interrupt.h"
#include "cli/program.h"
#include "cli/record.h"
#include "cli/talk.h"

int cmd_help(const struct arguments *arguments)
{
	const struct command *command;
	char name[64];
	bool found = false;

	if (option_given(arguments, OPTION_DUMP)) {
		help_dump(stdout);
		return EXIT_DONE;
	}
	if (arguments->operand_count == 0) {
		help_all(stdout);
		return EXIT_DONE;
	}
	snprintf(name, sizeof name, "%s%s%s", arguments->operands[0],
	    arguments->operand_count > 1 ? " " : "",
	    arguments->operand_count > 1 ? arguments->operands[1] : "");
	command = command_find(name);
	if (command != NULL) {
		help_command(stdout, command);
		return EXIT_DONE;
	}
	/* A group: every command in it. */
	for (size_t i = 0; i < command_count && command_is_group(name); i++) {
		size_t length = strlen(name);

		if (strncmp(commands[i].name, name, length) != 0 ||
		    commands[i].name[length] != ' ')
			continue;
		if (found)
			fputs("\n\n", stdout);
		help_command(stdout, &commands[i]);
		found = true;
	}
	if (found)
		return EXIT_DONE;
	talk_error("unknown command: %s", name);
	talk_hint("'%s --help' lists the commands", program.name);
	return EXIT_USAGE;
}

int cmd_fail(const rh_error *error)
{
	record_error(error);
	talk_failure(error);
	return rh_code_exit_status(error->code);
}

static int run(int argc, char **argv)
{
	struct arguments arguments;
	int status;

	if (argc > 1 && strcmp(argv[1], "--complete") == 0) {
		completion_write(stdout, argv + 2, argc - 2);
		return EXIT_DONE;
	}
	status = options_parse(argc, argv, &arguments);
	if (status != EXIT_DONE)
		return status;
	/* Who reads JSON reads what was done there. */
	talk_start(
	    option_given(&arguments, OPTION_QUIET) || option_given(&arguments, OPTION_JSON));
	record_start(option_given(&arguments, OPTION_JSON));
	if (option_given(&arguments, OPTION_VERSION)) {
		printf("%s %s\n", program.name, program.version());
		return EXIT_DONE;
	}
	if (option_given(&arguments, OPTION_HELP) && arguments.command == NULL) {
		help_all(stdout);
		return EXIT_DONE;
	}
	if (arguments.command == NULL) {
		help_short(stderr);
		return EXIT_USAGE;
	}
	if (option_given(&arguments, OPTION_HELP) && arguments.command->run != cmd_help) {
		help_command(stdout, arguments.command);
		return EXIT_DONE;
	}
	interrupt_start();
	return arguments.command->run(&arguments);
}

int main(int argc, char **argv)
{
	int status;

	/* Content and recovery keys pass through memory: none of it goes into a core dump. */
	prctl(PR_SET_DUMPABLE, 0);
	/* Only for the widths of characters: output is UTF-8 and English. */
	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
		setlocale(LC_CTYPE, "");
	status = run(argc, argv);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		talk_error("standard output cannot be written: %s", strerror(errno));
		return EXIT_ENVIRONMENT;
	}
	return status;
}
