#ifndef ISSUE_CMD_H
#define ISSUE_CMD_H

#include "rehost/rehost.h"

#include "cli/options.h"

/* One function a command: does it, says what happened, returns the exit status. */
int cmd_help(const struct arguments *arguments);
int cmd_inspect(const struct arguments *arguments);
int cmd_issue(const struct arguments *arguments);
int cmd_key_list(const struct arguments *arguments);
int cmd_key_make(const struct arguments *arguments);
int cmd_key_public(const struct arguments *arguments);
int cmd_key_remove(const struct arguments *arguments);
int cmd_key_rotate(const struct arguments *arguments);
int cmd_verify(const struct arguments *arguments);

/* Says that ${command} needs the option; EXIT_USAGE. */
int cmd_needs(const char *command, const char *option);

/*
 * Says what failed, on stderr and with --json on stdout; returns its exit status.  Next steps
 * are an issuer's, where rehost's would not help.
 */
int issue_fail(const rh_error *error);

/* The time that --issued says, else now; EXIT_USAGE if it is none. */
int cmd_time(const struct arguments *arguments, int64_t *ret);

#endif
