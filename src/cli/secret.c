#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/error.h"
#include "cli/interrupt.h"
#include "cli/talk.h"
#include "cli/secret.h"

#define TRIES 5
#define FILE_MAX (64 * 1024)

void secret_wipe(struct secret *secret)
{
	explicit_bzero(secret, sizeof *secret);
}

bool secret_can_ask(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

/* Reads up to ${size} - 1 bytes, until the file ends or, with ${line}, a line does. */
static int read_text(
    int fd, bool line, const char *name, char *text, size_t size, rh_error *error)
{
	size_t used = 0;
	ssize_t got;

	for (;;) {
		if (!interrupt_wait_readable(fd))
			return error_set(error, RH_E_CANCELED, "stopped on request");
		got = read(fd, text + used, size - 1 - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		used += (size_t)got;
		if (line && memchr(text, '\n', used) != NULL)
			break;
		if (used == size - 1)
			return error_set(
			    error, RH_E_ARGUMENT, "%s is too long for a secret", name);
	}
	if (got < 0)
		return error_errno(error, RH_E_READ, errno, "%s", name);
	text[used] = '\0';
	if (strlen(text) != used)
		return error_set(error, RH_E_ARGUMENT, "%s is not text", name);
	return RH_OK;
}

/* One line from the terminal, without showing it unless ${shown}. */
static int ask(const char *prompt, bool shown, struct secret *ret, rh_error *error)
{
	struct termios before, silent;
	bool changed = false;
	int code;

	/* Silent before anything is asked: who answers early is not seen either. */
	if (!shown && tcgetattr(STDIN_FILENO, &before) == 0) {
		silent = before;
		silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
		changed = tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
	}
	fputs(prompt, stderr);
	fflush(stderr);
	code =
	    read_text(STDIN_FILENO, true, "standard input", ret->text, sizeof ret->text, error);
	if (changed)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	if (!shown || code != RH_OK)
		fputc('\n', stderr);
	ret->text[strcspn(ret->text, "\r\n")] = '\0';
	ret->given = code == RH_OK;
	return code;
}

int secret_ask_key(const char *prompt, struct secret *ret, rh_error *error)
{
	char *recipient;
	int code;

	for (int i = 0; i < TRIES; i++) {
		code = ask(prompt, false, ret, error);
		if (code != RH_OK || ret->text[strspn(ret->text, " \t")] == '\0')
			return code;
		recipient = NULL;
		code = rh_recovery_check(NULL, ret->text, &recipient, error);
		rh_free(recipient);
		if (code != RH_E_SECRET_TYPED)
			return code;
		if (i + 1 < TRIES)
			talk_error("%s; try again", error->text);
	}
	return code;
}

int secret_ask_passphrase(const char *prompt, struct secret *ret, rh_error *error)
{
	return ask(prompt, false, ret, error);
}

bool secret_confirm(const char *question)
{
	struct secret answer;
	rh_error error;

	return secret_can_ask() && ask(question, true, &answer, &error) == RH_OK &&
	       (strcmp(answer.text, "yes") == 0 || strcmp(answer.text, "y") == 0);
}

/* The whole file, or standard input for "-". */
static int read_whole(const char *path, char *text, size_t size, rh_error *error)
{
	const char *name = path;
	int fd = STDIN_FILENO, code;

	if (strcmp(path, "-") == 0) {
		name = "standard input";
	} else {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fd < 0)
			return error_errno(error, RH_E_OPEN, errno, "%s", path);
	}
	code = read_text(fd, false, name, text, size, error);
	if (fd != STDIN_FILENO)
		close(fd);
	return code;
}

static bool asks(const char *path)
{
	return strcmp(path, "-") == 0 && secret_can_ask();
}

/* Keeps the lines that count, with spaces between them. */
static int pick_key(char *text, const char *path, struct secret *ret, rh_error *error)
{
	char *rest = text, *line;
	size_t used = 0;

	ret->text[0] = '\0';
	while ((line = strsep(&rest, "\r\n")) != NULL) {
		size_t length;

		line += strspn(line, " \t");
		length = strlen(line);
		while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t'))
			length--;
		if (length == 0 || line[0] == '#')
			continue;
		if (used + length + 2 > sizeof ret->text)
			return error_set(
			    error, RH_E_ARGUMENT, "%s is too long for a recovery key", path);
		if (used > 0)
			ret->text[used++] = ' ';
		memcpy(ret->text + used, line, length);
		used += length;
		ret->text[used] = '\0';
		if (strncasecmp(line, "AGE-SECRET-KEY-", 15) == 0)
			break;
	}
	if (used == 0)
		return error_set(
		    error, RH_E_SECRET_TYPED, "no recovery key or code in %s", path);
	ret->given = true;
	return RH_OK;
}

int secret_read_key(const char *path, struct secret *ret, rh_error *error)
{
	char text[FILE_MAX];
	int code;

	if (asks(path))
		return secret_ask_key("Recovery code or key (not shown): ", ret, error);
	code = read_whole(path, text, sizeof text, error);
	if (code == RH_OK)
		code = pick_key(
		    text, strcmp(path, "-") == 0 ? "standard input" : path, ret, error);
	explicit_bzero(text, sizeof text);
	return code;
}

static int ask_new_passphrase(struct secret *ret, rh_error *error)
{
	struct secret again;
	int code = ask("New passphrase (not shown): ", false, ret, error);

	if (code == RH_OK)
		code = ask("The same again: ", false, &again, error);
	if (code == RH_OK && strcmp(ret->text, again.text) != 0)
		code = error_set(error, RH_E_ARGUMENT, "the two passphrases differ");
	secret_wipe(&again);
	return code;
}

int secret_read_passphrase(const char *path, bool new_one, struct secret *ret, rh_error *error)
{
	const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
	char text[FILE_MAX];
	int code;

	if (asks(path)) {
		code = new_one ? ask_new_passphrase(ret, error)
			       : ask("Passphrase (not shown): ", false, ret, error);
	} else {
		code = read_whole(path, text, sizeof text, error);
		if (code == RH_OK) {
			text[strcspn(text, "\r\n")] = '\0';
			if (strlen(text) >= sizeof ret->text)
				code = error_set(error, RH_E_ARGUMENT,
				    "the passphrase in %s is too long", name);
			else
				strcpy(ret->text, text);
		}
		explicit_bzero(text, sizeof text);
	}
	if (code == RH_OK && ret->text[0] == '\0')
		code = error_set(error, RH_E_ARGUMENT, "an empty passphrase");
	ret->given = code == RH_OK;
	return code;
}
