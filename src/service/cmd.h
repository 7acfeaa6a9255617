#ifndef SERVICE_CMD_H
#define SERVICE_CMD_H

#include "service/cmd_ledger.h"

/* One function a command: does it, says what happened, returns the exit status. */
int cmd_help(const struct arguments *arguments);
int cmd_serve(const struct arguments *arguments);

#endif
