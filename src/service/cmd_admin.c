#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/exit.h"
#include "cli/record.h"
#include "cli/talk.h"
#include "crypto/jsontext.h"
#include "service/admin.h"
#include "service/cmd_print.h"
#include "service/cmd.h"

/* The operations of admin.h as commands: on the ledger itself, whether rehostd runs or not. */

/* What options and operands are called in an operation. */
static const struct {
	enum option_id option;
	const char *argument;
} named[] = {{OPTION_COMPUTERS, "computers"}, {OPTION_CONTACT, "contact"},
    {OPTION_COOLDOWN, "cooldown"}, {OPTION_EXPIRES, "expires"}, {OPTION_EXTRA, "extra"},
    {OPTION_FROM, "from"}, {OPTION_ISSUER, "issuer"}, {OPTION_LICENCE, "id"},
    {OPTION_LIMIT, "limit"}, {OPTION_NAME, "name"}, {OPTION_PERIOD, "period"},
    {OPTION_PERIOD_COMPUTERS, "period_computers"}, {OPTION_REASON, "reason"},
    {OPTION_RELEASE_WAIT, "release_wait"}, {OPTION_SCOPE, "scope"}, {OPTION_TITLE, "title"},
    {OPTION_UNTIL, "until"}};

static const char *operand_name(const char *command)
{
	static const struct {
		const char *group;
		const char *argument;
	} groups[] = {{"issuer remove", "name"}, {"licence list", "prefix"}, {"licence", "id"},
	    {"computer list", "prefix"}, {"computer", "computer"}, {"token", "name"},
	    {"case", "number"}};

	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
		if (strncmp(command, groups[i].group, strlen(groups[i].group)) == 0)
			return groups[i].argument;
	return NULL;
}

/* The issuer's public keys in a file, as rehost-issue writes them. */
static int read_keys(const char *path, json_t *arguments, rh_error *error)
{
	struct buffer text = {0};
	json_t *keys = NULL;
	rh_error why;
	int code = file_read_whole(AT_FDCWD, path, JOSE_SET_MAX, &text, path, error);

	if (code == RH_OK && jsontext_read(text.data, text.size, &keys, &why) != RH_OK)
		code = error_set(error, RH_E_PIN_KEYS, "%s: %.900s", path, why.text);
	if (code == RH_OK && json_object_set_new(arguments, "keys", keys) != 0)
		code = error_memory(error);
	buffer_free(&text);
	return code;
}

static int make_arguments(const struct arguments *given, json_t *arguments, rh_error *error)
{
	const char *command = given->command->name;
	const char *operand = given->operand_count > 0 ? given->operands[0] : NULL;

	for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
		const char *value = given->values[named[i].option];

		if (value != NULL &&
		    json_object_set_new(arguments, named[i].argument, json_string(value)) != 0)
			return error_set(error, RH_E_ARGUMENT, "%s is no valid UTF-8 text",
			    named[i].argument);
	}
	if (operand == NULL)
		return RH_OK;
	if (strcmp(command, "issuer add") == 0)
		return read_keys(operand, arguments, error);
	if (json_object_set_new(arguments, operand_name(command), json_string(operand)) != 0)
		return error_set(error, RH_E_ARGUMENT, "the operand is no valid UTF-8 text");
	return RH_OK;
}

/* ---- What came out ---- */

static int keep_result(void *context, const json_t *result, rh_error *error)
{
	if (record_wanted()) {
		record_write_many(json_incref((json_t *)result));
		return RH_OK;
	}
	return json_array_append(context, (json_t *)result) != 0 ? error_memory(error) : RH_OK;
}

static bool ends_with(const char *text, const char *end)
{
	size_t size = strlen(text), end_size = strlen(end);

	return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

static void print_results(const char *command, const json_t *results)
{
	const json_t *first = json_array_get(results, 0);

	if (record_wanted())
		return;
	if (ends_with(command, " list") && first != NULL)
		print_table(results);
	else if (ends_with(command, " list"))
		talk("there are none");
	else if (strncmp(command, "policy", 6) == 0)
		print_policy(first);
	else
		print_record(first);
	if (strcmp(command, "token make") == 0)
		talk("it is shown this once: keep it in a safe place");
}

/* ---- The command ---- */

/* Who is at the keyboard, for the log. */
static void actor_name(char ret[80])
{
	const struct passwd *entry = getpwuid(getuid());

	if (entry != NULL && utf8_valid(entry->pw_name, strlen(entry->pw_name)))
		snprintf(ret, 80, "local:%.60s", entry->pw_name);
	else
		snprintf(ret, 80, "local:%lu", (unsigned long)getuid());
}

static int operate(const struct arguments *given, struct ledger *ledger, rh_error *error)
{
	const struct admin_operation *operation = admin_find(given->command->name);
	char actor[80];
	json_t *arguments = json_object(), *results = json_array();
	struct admin admin = {ledger, clock_now(), actor, keep_result, results};
	int code = arguments != NULL && results != NULL ? RH_OK : error_memory(error);

	actor_name(actor);
	if (code == RH_OK)
		code = make_arguments(given, arguments, error);
	if (code == RH_OK)
		code = admin_run(&admin, operation, arguments, error);
	if (code == RH_OK)
		print_results(operation->name, results);
	json_decref(arguments);
	json_decref(results);
	return code;
}

int cmd_admin(const struct arguments *arguments)
{
	struct cmd_ledger open = {0};
	rh_error error = {0};
	int code = cmd_ledger_open(arguments, &open, &error);

	if (code == RH_OK)
		code = operate(arguments, open.ledger, &error);
	cmd_ledger_close(&open);
	return code == RH_OK ? EXIT_DONE : cmd_refuse(&error);
}

int cmd_backup(const struct arguments *arguments)
{
	struct cmd_ledger open = {0};
	rh_error error = {0};
	int code = cmd_ledger_open(arguments, &open, &error);

	if (code == RH_OK)
		code = database_backup(open.database, arguments->operands[0], &error);
	cmd_ledger_close(&open);
	if (code != RH_OK)
		return cmd_refuse(&error);
	talk("the ledger was copied to %s", arguments->operands[0]);
	return EXIT_DONE;
}
