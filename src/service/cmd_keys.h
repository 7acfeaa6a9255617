#ifndef SERVICE_CMD_KEYS_H
#define SERVICE_CMD_KEYS_H

#include "cli/options.h"
#include "rehost/codes.h"

/* Each key, public half: when it was made and what it is for. */
int cmd_keys_show(const struct arguments *arguments);
int cmd_keys_rotate(const struct arguments *arguments);

/* Says what failed; returns its exit status.  cli/main.c */
int cmd_fail(const rh_error *error);

#endif
