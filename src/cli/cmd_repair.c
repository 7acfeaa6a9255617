#include "cli/cmd.h"
#include "cli/events.h"
#include "cli/exit.h"
#include "cli/talk.h"
#include "cli/text.h"

static void say_repaired(const rh_condition *all, const char *directory, const char *target)
{
	char size[TEXT_SIZE];

	if (target != NULL)
		talk("a copy of the backup in %s is in %s, whole (%s)", directory, target,
		    text_bytes(size, all->bytes));
	else if (all->state == RH_STATE_WHOLE)
		talk("every backup in %s is whole", directory);
}

int cmd_repair(const struct arguments *arguments)
{
	const char *directory = arguments->operands[0], *target = arguments->values[OPTION_TO];
	rh_condition all = {.state = RH_STATE_WHOLE};
	rh_error error = {0};
	struct report report;
	int status;

	report_start(&report, RH_OPERATION_REPAIR, arguments);
	rh_repair(directory, target, &report.listener, &all, &error);
	status = report_finish(&report, NULL, &error);
	if (status == EXIT_DONE)
		say_repaired(&all, directory, target);
	return status;
}
