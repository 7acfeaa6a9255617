#ifndef CLI_ERROR_H
#define CLI_ERROR_H

#include "rehost/rehost.h"

/*
 * Errors of the command line's own, in the library's shape; return ${code}.  The same
 * functions as in base/error.h: a program that links that room leaves error.c out.
 */
int error_set(rh_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * With the words for ${errnum} behind; EACCES and EPERM give RH_E_ACCESS, ENOSPC
 * RH_E_FULL.
 */
int error_errno(rh_error *error, int code, int errnum, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

int error_memory(rh_error *error);

#endif
