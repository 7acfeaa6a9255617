#ifndef SERVICE_CMD_H
#define SERVICE_CMD_H

#include "service/cmd_ledger.h"

/* One function a command: does it, says what happened, returns the exit status. */
int cmd_help(const struct arguments *arguments);
int cmd_serve(const struct arguments *arguments);

/* As cmd_fail, with next steps that are an operator's. */
int cmd_refuse(const rh_error *error);

#endif
