#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/error.h"
#include "cli/exit.h"
#include "cli/record.h"
#include "cli/secret.h"
#include "cli/sheet.h"
#include "cli/talk.h"

int cmd_recovery_make(const struct arguments *arguments)
{
	rh_recovery_key key = {NULL, NULL, NULL};
	rh_store *store = NULL;
	rh_error error = {0};
	int made, code;

	if (cmd_open_store(arguments, RH_STORE_CREATE, &store, &error) != RH_OK)
		return cmd_fail(&error);
	made = rh_recovery_make(store, &error);
	code = made == RH_S_ALREADY_HERE ? RH_OK : made;
	if (code == RH_OK)
		code = rh_recovery_show(store, &key, &error);
	if (code == RH_OK && record_wanted())
		record_write(json_pack("{s:b,s:o}", "made", made == RH_OK, "recipient",
		    record_text(key.recipient)));
	else if (code == RH_OK)
		talk("%s: %s",
		    made == RH_OK ? "your recovery key was made"
				  : "this store has a recovery key already",
		    key.recipient);
	if (code == RH_OK && made == RH_OK)
		talk_hint(
		    "'rehost recovery show' shows it, 'rehost recovery sheet' makes a page "
		    "to print");
	rh_recovery_free(&key);
	rh_store_close(store);
	return code == RH_OK ? EXIT_DONE : cmd_fail(&error);
}

/* ---- show and sheet: the secret half ---- */

/* Opens the store and takes its key; both are the caller's also after a failure. */
static int take_key(const struct arguments *arguments, rh_store **ret_store,
    rh_recovery_key *ret_key, rh_error *error)
{
	int code = cmd_open_store(arguments, RH_STORE_READ_ONLY, ret_store, error);

	if (code == RH_OK)
		code = rh_recovery_show(*ret_store, ret_key, error);
	if (code == RH_OK && ret_key->identity == NULL)
		code = error_set(error, RH_E_SECRET_FORGOTTEN,
		    "this computer keeps only the public half: %s", ret_key->recipient);
	return code;
}

int cmd_recovery_show(const struct arguments *arguments)
{
	rh_recovery_key key = {NULL, NULL, NULL};
	rh_store *store = NULL;
	rh_error error = {0};
	int code = take_key(arguments, &store, &key, &error);

	if (code == RH_OK && record_wanted()) {
		record_write(json_pack("{s:o,s:o,s:o}", "recipient", record_text(key.recipient),
		    "identity", record_text(key.identity), "code", record_text(key.code)));
	} else if (code == RH_OK) {
		fputs("Recovery code\n\n", stdout);
		sheet_code(stdout, key.code, "  ");
		printf("\nAge identity\n\n  %s\n\nRecipient (public)\n\n  %s\n", key.identity,
		    key.recipient);
	}
	rh_recovery_free(&key);
	rh_store_close(store);
	return code == RH_OK ? EXIT_DONE : cmd_fail(&error);
}

/* A new file that its owner alone can read. */
static int open_output(const char *path, FILE **ret, rh_error *error)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	if (file == NULL) {
		if (fd >= 0)
			close(fd);
		return error_errno(error, RH_E_WRITE, errno, "%s", path);
	}
	*ret = file;
	return RH_OK;
}

static int write_sheet(
    const struct arguments *arguments, const struct sheet *sheet, rh_error *error)
{
	const char *path = arguments->values[OPTION_OUTPUT];
	bool text = option_given(arguments, OPTION_TEXT), failed;
	FILE *out = stdout;
	int code;

	if (path != NULL) {
		code = open_output(path, &out, error);
		if (code != RH_OK)
			return code;
	}
	code = text ? sheet_text(out, sheet, path == NULL && isatty(STDOUT_FILENO), error)
		    : sheet_html(out, sheet, error);
	if (path == NULL)
		return code;
	errno = 0;
	failed = fflush(out) != 0 || fsync(fileno(out)) != 0;
	failed = fclose(out) != 0 || failed;
	if (code == RH_OK && failed)
		code = error_errno(error, RH_E_WRITE, errno, "%s", path);
	if (code != RH_OK)
		unlink(path);
	else
		talk("wrote %s: print it, check the paper, and delete the file", path);
	return code;
}

int cmd_recovery_sheet(const struct arguments *arguments)
{
	rh_recovery_key key = {NULL, NULL, NULL};
	rh_store *store = NULL;
	rh_error error = {0};
	int code;

	if (!option_given(arguments, OPTION_OUTPUT) && !option_given(arguments, OPTION_TEXT) &&
	    isatty(STDOUT_FILENO)) {
		talk_error("the sheet is a page of HTML, and standard output is a terminal");
		talk_hint("--output FILE writes a page to print, --text shows it here");
		return EXIT_USAGE;
	}
	code = take_key(arguments, &store, &key, &error);
	if (code == RH_OK)
		code = write_sheet(arguments,
		    &(struct sheet){&key, rh_store_computer_id(store), time(NULL)}, &error);
	rh_recovery_free(&key);
	rh_store_close(store);
	return code == RH_OK ? EXIT_DONE : cmd_fail(&error);
}

/* ---- check ---- */

int cmd_recovery_check(const struct arguments *arguments)
{
	const char *path = arguments->operand_count > 0 ? arguments->operands[0] : "-";
	struct secret typed = {.given = false};
	char *recipient = NULL;
	rh_store *store = NULL;
	rh_error error = {0};
	int code;

	cmd_open_keys(arguments, &store);
	code = secret_read_key(path, &typed, &error);
	if (code == RH_OK)
		code = rh_recovery_check(store, typed.text, &recipient, &error);
	secret_wipe(&typed);
	if (code == RH_OK && record_wanted())
		record_write(json_pack("{s:o,s:o}", "recipient", record_text(recipient),
		    "this_store", store == NULL ? json_null() : json_true()));
	else if (code == RH_OK)
		printf("%s: %s\n",
		    store == NULL ? "a recovery key without typing errors (no store to compare "
				    "it with)"
				  : "this store's recovery key, without typing errors",
		    recipient);
	rh_free(recipient);
	rh_store_close(store);
	return code == RH_OK ? EXIT_DONE : cmd_fail(&error);
}

/* ---- forget ---- */

int cmd_recovery_forget(const struct arguments *arguments)
{
	rh_store *store = NULL;
	rh_error error = {0};
	int code;

	if (!option_given(arguments, OPTION_YES)) {
		talk("This computer will not be able to show your recovery key again.");
		if (!secret_can_ask()) {
			talk_error("not confirmed");
			talk_hint(
			    "check that you have it with 'rehost recovery check', then add "
			    "--yes");
			return EXIT_USAGE;
		}
		if (!secret_confirm("Do you have it on paper, or elsewhere? (yes/no) ")) {
			talk_error("not confirmed; nothing was changed");
			return EXIT_CANCELED;
		}
	}
	code = cmd_open_store(arguments, 0, &store, &error);
	if (code == RH_OK)
		code = rh_recovery_forget(store, &error);
	rh_store_close(store);
	if (code != RH_OK)
		return cmd_fail(&error);
	talk("forgotten; this computer keeps the public half for further backups");
	return EXIT_DONE;
}
