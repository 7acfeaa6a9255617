#ifndef CLI_CMD_H
#define CLI_CMD_H

#include "rehost/rehost.h"

#include "cli/options.h"

/* One function a command: does it, says what happened, returns the exit status. */
int cmd_add(const struct arguments *arguments);
int cmd_backup(const struct arguments *arguments);
int cmd_check(const struct arguments *arguments);
int cmd_computer_individualize(const struct arguments *arguments);
int cmd_computer_release(const struct arguments *arguments);
int cmd_computer_show(const struct arguments *arguments);
int cmd_computer_status(const struct arguments *arguments);
int cmd_export(const struct arguments *arguments);
int cmd_help(const struct arguments *arguments);
int cmd_inspect(const struct arguments *arguments);
int cmd_issuer_add(const struct arguments *arguments);
int cmd_issuer_list(const struct arguments *arguments);
int cmd_issuer_remove(const struct arguments *arguments);
int cmd_list(const struct arguments *arguments);
int cmd_recovery_check(const struct arguments *arguments);
int cmd_recovery_forget(const struct arguments *arguments);
int cmd_recovery_make(const struct arguments *arguments);
int cmd_recovery_sheet(const struct arguments *arguments);
int cmd_recovery_show(const struct arguments *arguments);
int cmd_remove(const struct arguments *arguments);
int cmd_repair(const struct arguments *arguments);
int cmd_restore(const struct arguments *arguments);
int cmd_service_add(const struct arguments *arguments);
int cmd_service_list(const struct arguments *arguments);
int cmd_service_remove(const struct arguments *arguments);
int cmd_show(const struct arguments *arguments);
int cmd_verify(const struct arguments *arguments);

/* Opens the store that the command line names; says so if it cannot. */
int cmd_open_store(
    const struct arguments *arguments, unsigned flags, rh_store **ret, rh_error *error);

/*
 * Opens the store to read, for its keys only: RH_OK with ${*ret} NULL if there
 * is none, or none that this computer can use; the latter is mentioned.
 */
void cmd_open_keys(const struct arguments *arguments, rh_store **ret);

/* Says what failed, on stderr and with --json on stdout; returns its exit status. */
int cmd_fail(const rh_error *error);

#endif
