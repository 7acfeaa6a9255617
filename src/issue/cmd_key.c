#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "cli/exit.h"
#include "cli/record.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "issue/cmd.h"
#include "issue/fields.h"
#include "issue/issuer.h"

int cmd_needs(const char *command, const char *option)
{
	talk_error("%s needs %s", command, option);
	talk_hint("'rehost-issue %s --help' lists its options", command);
	return EXIT_USAGE;
}

static const char *next_step(int code)
{
	switch (code) {
	case RH_E_ARGUMENT:
	case RH_E_PIN_KEYS:
	case RH_E_OPEN:
	case RH_E_NO_DIRECTORY:
	case RH_E_CANCELED:
		return "";
	case RH_E_LICENSE_INVALID:
	case RH_E_LICENSE_TOO_BIG:
		return "correct it and start again";
	case RH_E_WRITE:
	case RH_E_FULL:
		return "check the disk and its free space, then start again";
	default:
		return rh_code_next_step(code);
	}
}

int issue_fail(const rh_error *error)
{
	const char *next = next_step(error->code);
	char phrase[1024];
	json_t *inner;

	if (record_wanted()) {
		inner = json_object();
		record_code(inner, error->code, next);
		json_object_set_new(inner, "next_step", record_text(next));
		json_object_set_new(inner, "text", record_text(error->text));
		record_write(json_pack("{s:o}", "error", inner));
	}
	talk_error("%s", talk_phrase(phrase, sizeof phrase, error->text));
	if (next[0] != '\0')
		talk_hint("%s", next);
	return rh_code_exit_status(error->code);
}

int cmd_time(const struct arguments *arguments, int64_t *ret)
{
	const char *text = arguments->values[OPTION_ISSUED];

	*ret = clock_now();
	if (text == NULL || field_time(text, ret))
		return EXIT_DONE;
	talk_error("option --issued needs a time, as in 2027-01-31T12:00:00Z: %s", text);
	return EXIT_USAGE;
}

static void say_key(const char *what, const json_t *set)
{
	if (record_wanted())
		record_write(json_pack("{s:s,s:s}", "issuer", issuer_name(set), "kid",
		    issuer_kid(issuer_key(set))));
	talk("%s: %s", what, issuer_kid(issuer_key(set)));
}

int cmd_key_make(const struct arguments *arguments)
{
	const char *name = arguments->values[OPTION_ISSUER];
	json_t *set = NULL;
	rh_error error = {0};
	int64_t now;
	int code, status;

	if (name == NULL)
		return cmd_needs("key make", "--issuer NAME");
	status = cmd_time(arguments, &now);
	if (status != EXIT_DONE)
		return status;
	code = issuer_make(name, now, &set, &error);
	if (code == RH_OK)
		code = issuer_write(set, arguments->operands[0], false, &error);
	if (code == RH_OK) {
		say_key("made a key that signs", set);
		talk("keep %s secret, and a copy of it in a safe place; 'rehost-issue key "
		     "public' writes what to publish",
		    arguments->operands[0]);
	}
	json_decref(set);
	return code == RH_OK ? EXIT_DONE : issue_fail(&error);
}

int cmd_key_rotate(const struct arguments *arguments)
{
	json_t *set = NULL;
	rh_error error = {0};
	int64_t now;
	int code, status;

	status = cmd_time(arguments, &now);
	if (status != EXIT_DONE)
		return status;
	code = issuer_read(arguments->operands[0], &set, &error);
	if (code == RH_OK)
		code = issuer_rotate(set, now, &error);
	if (code == RH_OK)
		code = issuer_write(set, arguments->operands[0], true, &error);
	if (code == RH_OK) {
		say_key("made a key that signs from now on", set);
		talk("publish the new set before you issue with it: 'rehost-issue key public'");
	}
	json_decref(set);
	return code == RH_OK ? EXIT_DONE : issue_fail(&error);
}

int cmd_key_remove(const struct arguments *arguments)
{
	json_t *set = NULL;
	rh_error error = {0};
	int code;

	code = issuer_read(arguments->operands[0], &set, &error);
	if (code == RH_OK)
		code = issuer_remove(set, arguments->operands[1], &error);
	if (code == RH_OK)
		code = issuer_write(set, arguments->operands[0], true, &error);
	if (code == RH_OK) {
		if (record_wanted())
			record_write(json_pack("{s:s,s:s}", "issuer", issuer_name(set),
			    "removed", arguments->operands[1]));
		talk("removed %s: what it signed does not verify with the set that you publish "
		     "from now on",
		    arguments->operands[1]);
	}
	json_decref(set);
	return code == RH_OK ? EXIT_DONE : issue_fail(&error);
}

/* The whole text, in place of the file that is there. */
static int write_public(const char *path, const char *text, rh_error *error)
{
	if (path == NULL || strcmp(path, "-") == 0) {
		fputs(text, stdout);
		return RH_OK;
	}
	return file_replace(AT_FDCWD, path, 0644, text, strlen(text), path, error);
}

int cmd_key_public(const struct arguments *arguments)
{
	json_t *set = NULL, *public = NULL;
	char *text = NULL, *line = NULL;
	rh_error error = {0};
	int code;

	code = issuer_read(arguments->operands[0], &set, &error);
	if (code == RH_OK)
		code = issuer_public(set, &public, &error);
	if (code == RH_OK) {
		text = json_dumps(public, record_wanted() ? JSON_COMPACT : JSON_INDENT(1));
		if (text == NULL || asprintf(&line, "%s\n", text) < 0)
			code = error_memory(&error);
	}
	if (code == RH_OK)
		code = write_public(arguments->values[OPTION_OUTPUT], line, &error);
	free(line);
	free(text);
	json_decref(public);
	json_decref(set);
	return code == RH_OK ? EXIT_DONE : issue_fail(&error);
}

static void list_key(const json_t *set, const json_t *key)
{
	const json_t *made = json_object_get(key, "iat");
	const bool signs = key == issuer_key(set);
	char text[TEXT_SIZE] = "unknown";

	if (json_is_integer(made))
		text_minute(text, json_integer_value(made));
	if (record_wanted())
		record_write(json_pack("{s:s,s:o,s:b,s:b}", "kid", issuer_kid(key), "made",
		    record_time(
			json_is_integer(made) ? json_integer_value(made) : RH_TIME_NONE),
		    "signs", signs, "verifies", 1));
	else
		printf(
		    "%s  %s  %s\n", issuer_kid(key), text, signs ? "signs" : "verifies only");
}

int cmd_key_list(const struct arguments *arguments)
{
	json_t *set = NULL;
	const json_t *key;
	rh_error error = {0};
	size_t i;
	int code;

	code = issuer_read(arguments->operands[0], &set, &error);
	if (code != RH_OK)
		return issue_fail(&error);
	json_array_foreach(json_object_get(set, "keys"), i, key) list_key(set, key);
	json_decref(set);
	return EXIT_DONE;
}
