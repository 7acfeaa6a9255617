#ifndef CLI_SECRET_H
#define CLI_SECRET_H

#include <stdbool.h>

#include "rehost/rehost.h"

/* Text that only its owner should see; wipe it with secret_wipe on every path. */
struct secret {
	char text[2048];
	bool given;
};

void secret_wipe(struct secret *secret);

/*
 * A recovery key or code from a file: lines that are blank or start with # do not
 * count; an age identity is one line, a code may take several.  "-" is standard
 * input, and asks if that is a terminal.
 */
int secret_read_key(const char *path, struct secret *ret, rh_error *error);

/*
 * A passphrase: the first line of the file.  "-" is standard input, and asks if
 * that is a terminal, twice if ${new_one}.
 */
int secret_read_passphrase(const char *path, bool new_one, struct secret *ret, rh_error *error);

/* Whether somebody is there to be asked. */
bool secret_can_ask(void);

/*
 * Asks on the terminal for a recovery code or key until it has no typing error; says where
 * they are.  RH_OK with "" if only Enter was typed.
 */
int secret_ask_key(const char *prompt, struct secret *ret, rh_error *error);
int secret_ask_passphrase(const char *prompt, struct secret *ret, rh_error *error);

/* A question that "yes" answers; false too if nobody can be asked. */
bool secret_confirm(const char *question);

#endif
