#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "rehost/codes.h"

/*
 * Errors travel by value.  A function that fails sets ${error} once, where it
 * fails, and returns the code; callers pass it on and do not overwrite it.
 * ${error} may be NULL everywhere.
 */

/* Sets ${error} to ${code} and the formatted sentence; returns ${code}. */
int error_set(rh_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * The same, with ": " and the words for ${errnum} behind the sentence.  ENOMEM,
 * ENOSPC, EDQUOT, EFBIG, EACCES, EPERM, EROFS, and, unless ${code} is RH_E_OPEN, ENODEV
 * and ENXIO choose their own code.  EIO makes RH_E_READ of RH_E_OPEN: the medium fails, not
 * the name.  Every other errno gives ${code}.
 */
int error_errno(rh_error *error, int code, int errnum, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* RH_E_MEMORY; needs no memory itself. */
int error_memory(rh_error *error);

/* Sets ${error} to RH_OK and no text. */
void error_clear(rh_error *error);

#endif
