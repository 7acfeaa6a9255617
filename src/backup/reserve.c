#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "backup/parity.h"
#include "backup/sink.h"

int sink_reserve(struct sink *sink, uint64_t bytes, rh_error *error)
{
	uint64_t end = sink->size + bytes;
	int result;

	if (bytes == 0 || end > INT64_MAX)
		return RH_OK;
	do
		result =
		    fallocate(sink->fd, FALLOC_FL_KEEP_SIZE, (off_t)sink->size, (off_t)bytes);
	while (result != 0 && errno == EINTR);
	/* What was held before a failure is given back with the file. */
	if (result != 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO))
		return error_errno(
		    error, RH_E_WRITE, errno, "cannot hold room for %s", sink->display);
	if (result == 0 && end > sink->reserved)
		sink->reserved = end;
	return RH_OK;
}

void sink_release(struct sink *sink)
{
	if (sink->reserved <= sink->size)
		return;
	/*
	 * Most drop what lies behind the end of a file when it gets the size that it has;
	 * tmpfs wants a hole there.
	 */
	if (ftruncate(sink->fd, (off_t)sink->size) != 0)
		return;
	fallocate(sink->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)sink->size,
	    (off_t)(sink->reserved - sink->size));
}

static uint64_t taken(int fd)
{
	struct stat status;

	/* POSIX leaves the unit open; Linux counts in 512 bytes. */
	return fd >= 0 && fstat(fd, &status) == 0 ? (uint64_t)status.st_blocks * 512 : 0;
}

uint64_t room_of_files(int fd, int other)
{
	struct statvfs space;
	fsblkcnt_t blocks;

	if (fstatvfs(fd, &space) != 0 || space.f_blocks == 0)
		return UINT64_MAX;
	/* What is reserved for root, root may take. */
	blocks = geteuid() == 0 ? space.f_bfree : space.f_bavail;
	return (uint64_t)blocks * space.f_frsize + taken(fd) + taken(other);
}

uint64_t backup_parity_size(uint64_t size, unsigned percent)
{
	struct parity_shape shape;

	if (parity_shape(&shape, size, percent, NULL) != RH_OK)
		return 0;
	return (uint64_t)shape.pages * PARITY_BLOCK;
}
