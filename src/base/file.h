#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Durable files.  ${name} is relative to the open directory ${directory}, which
 * may be AT_FDCWD.  ${path} names the file in messages.
 */

/* Writes all of it, over interruptions and short writes. */
int file_write(int fd, const void *bytes, size_t size, const char *path, rh_error *error);

/* Reads until ${size} bytes or the end of the file; ${*ret} says how many. */
int file_read(int fd, void *bytes, size_t size, size_t *ret, const char *path, rh_error *error);
int file_read_at(int fd, uint64_t offset, void *bytes, size_t size, size_t *ret,
    const char *path, rh_error *error);

/* Appends the whole file to ${buffer}; RH_E_ARGUMENT if it is over ${limit} bytes. */
int file_read_whole(int directory, const char *name, size_t limit, struct buffer *buffer,
    const char *path, rh_error *error);

/* Flushes the file to the medium. */
int file_sync(int fd, const char *path, rh_error *error);

/* Flushes the directory; media that cannot (EINVAL, ENOTSUP) are no error. */
int file_sync_directory(int fd, const char *path, rh_error *error);

/*
 * Puts ${size} bytes under ${name}: written beside it under ${name}.part, flushed,
 * renamed into place, directory flushed.  After a failure or a crash the
 * old file is there, and perhaps a .part.
 */
int file_replace(int directory, const char *name, unsigned mode, const void *bytes, size_t size,
    const char *path, rh_error *error);

/* Makes ${path} and its missing parents, each with ${mode}. */
int file_make_directories(const char *path, unsigned mode, rh_error *error);

#endif
