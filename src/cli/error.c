#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/error.h"

int error_set(rh_error *error, int code, const char *format, ...)
{
	va_list arguments;

	error->code = code;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof error->text, format, arguments);
	va_end(arguments);
	return code;
}

int error_errno(rh_error *error, int code, int errnum, const char *format, ...)
{
	va_list arguments;
	size_t used;

	if (errnum == EACCES || errnum == EPERM || errnum == EROFS)
		code = RH_E_ACCESS;
	if (errnum == ENOSPC || errnum == EDQUOT)
		code = RH_E_FULL;
	error->code = code;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof error->text, format, arguments);
	va_end(arguments);
	used = strlen(error->text);
	snprintf(error->text + used, sizeof error->text - used, ": %s", strerror(errnum));
	return code;
}

int error_memory(rh_error *error)
{
	return error_set(error, RH_E_MEMORY, "no memory left");
}
