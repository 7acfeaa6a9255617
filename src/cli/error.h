#ifndef CLI_ERROR_H
#define CLI_ERROR_H

#include "rehost/rehost.h"

/* Errors of the command line's own, in the library's shape; return ${code}. */
int error_set(rh_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* With the words for errno behind; EACCES and EPERM give RH_E_ACCESS, ENOSPC RH_E_FULL. */
int error_errno(rh_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

int error_memory(rh_error *error);

#endif
