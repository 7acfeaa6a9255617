#ifndef CLI_KEYS_H
#define CLI_KEYS_H

#include "cli/options.h"
#include "cli/secret.h"

/* What opens a backup: from files, or asked for when it turns out to be needed. */
struct keys {
	struct secret recovery_key;
	struct secret passphrase;
	bool asked;
};

/* Reads --recovery-key-file and --passphrase-file. */
int keys_read(const struct arguments *arguments, struct keys *ret, rh_error *error);
void keys_wipe(struct keys *keys);

/* Filter and secrets as the library takes them; they point into ${keys} and ${arguments}. */
rh_open_options keys_options(const struct arguments *arguments, const struct keys *keys);

/*
 * After RH_E_SECRET_NEEDED or RH_E_SECRET_WRONG in ${error}: asks on the terminal, if somebody
 * is there and nothing was given on the command line.  true if there is something new to try.
 */
bool keys_ask(struct keys *keys, const char *directory, rh_error *error);

#endif
