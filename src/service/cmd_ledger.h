#ifndef SERVICE_CMD_LEDGER_H
#define SERVICE_CMD_LEDGER_H

#include "cli/options.h"
#include "service/keys.h"
#include "service/ledger.h"

/*
 * The ledger for commands that do not serve: --data names its directory, --database another
 * place than DIR/ledger.db.
 */
struct cmd_ledger {
	struct service_keys *keys;
	struct database *database;
	struct ledger *ledger;
};
/* RH_E_NO_DIRECTORY, RH_E_STORE_MISSING if nothing was ever served there. */
int cmd_ledger_open(const struct arguments *arguments, struct cmd_ledger *ret, rh_error *error);
void cmd_ledger_close(struct cmd_ledger *open);

/* Every operation of admin.h, by the command's name. */
int cmd_admin(const struct arguments *arguments);
/* A copy of a SQLite ledger while it is used. */
int cmd_backup(const struct arguments *arguments);
/* Says what failed, as programs do for owners; returns its exit status.  cli/main.c */
int cmd_fail(const rh_error *error);

#endif
