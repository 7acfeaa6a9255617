#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

int error_set(rh_error *error, int code, const char *format, ...)
{
	va_list arguments;

	if (error == NULL)
		return code;
	error->code = code;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof error->text, format, arguments);
	va_end(arguments);
	return code;
}

/* The code that an errno stands for, whatever was being done. */
static int code_of_errno(int errnum, int otherwise)
{
	switch (errnum) {
	case ENOMEM:
		return RH_E_MEMORY;
	case ENOSPC:
	case EDQUOT:
		return RH_E_FULL;
	case EFBIG:
		return RH_E_FILE_TOO_BIG;
	case ENODEV:
	case ENXIO:
		/* To be opened: a socket, or a pipe that nobody reads. */
		return otherwise == RH_E_OPEN ? RH_E_OPEN : RH_E_MEDIUM_GONE;
	case EIO:
	case EBADMSG:
	case EUCLEAN:
		/* What the file system keeps of a file is damaged. */
		return otherwise == RH_E_OPEN ? RH_E_READ : otherwise;
	case EACCES:
	case EPERM:
	case EROFS:
		return RH_E_ACCESS;
	default:
		return otherwise;
	}
}

int error_errno(rh_error *error, int code, int errnum, const char *format, ...)
{
	va_list arguments;
	char words[96];
	size_t used;

	code = code_of_errno(errnum, code);
	if (error == NULL)
		return code;
	error->code = code;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof error->text, format, arguments);
	va_end(arguments);
	used = strlen(error->text);
	snprintf(error->text + used, sizeof error->text - used, ": %s",
	    strerror_r(errnum, words, sizeof words));
	return code;
}

int error_memory(rh_error *error)
{
	return error_set(error, RH_E_MEMORY, "no memory left");
}

void error_clear(rh_error *error)
{
	if (error == NULL)
		return;
	error->code = RH_OK;
	error->text[0] = '\0';
}
