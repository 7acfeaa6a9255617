#include <string.h>

#include "backup/internal.h"

/*
 * The header block of ustar: IEEE Std 1003.1, pax, "ustar Interchange Format".
 * Numbers are octal digits with NUL or a space behind them.
 */
enum tar_field {
	FIELD_NAME = 0,
	FIELD_MODE = 100,
	FIELD_UID = 108,
	FIELD_GID = 116,
	FIELD_SIZE = 124,
	FIELD_MTIME = 136,
	FIELD_CHECKSUM = 148,
	FIELD_TYPE = 156,
	FIELD_MAGIC = 257,
	FIELD_PREFIX = 345
};
#define MAGIC "ustar\0" /* and the version, */ "00"
#define MAGIC_SIZE 8
#define FIELD_CHECKSUM_SIZE 8

size_t tar_member_size(size_t size)
{
	return TAR_BLOCK + (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
}

/* ${digits} octal digits, and NUL. */
static void put_octal(uint8_t *field, int digits, uint64_t value)
{
	for (int i = digits - 1; i >= 0; i--) {
		field[i] = (uint8_t)('0' + (value & 7));
		value >>= 3;
	}
	field[digits] = '\0';
}

static bool get_octal(const uint8_t *field, size_t size, uint64_t *ret)
{
	uint64_t value = 0;
	size_t i = 0;

	while (i < size && field[i] >= '0' && field[i] <= '7')
		value = value << 3 | (uint64_t)(field[i++] - '0');
	if (i == 0 || i == size || (field[i] != '\0' && field[i] != ' '))
		return false;
	*ret = value;
	return true;
}

/* The sum of the header's bytes, its own field taken as spaces. */
static uint64_t header_sum(const uint8_t *header)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += header[i];
	for (size_t i = 0; i < FIELD_CHECKSUM_SIZE; i++)
		sum = sum - header[FIELD_CHECKSUM + i] + ' ';
	return sum;
}

int tar_append(struct buffer *tar, const char *path, const void *bytes, size_t size,
    int64_t time, rh_error *error)
{
	size_t total = tar_member_size(size);
	uint8_t *p;
	int code;

	if (strlen(path) > TAR_PATH_MAX || time < 0 || time > TAR_TIME_MAX)
		return error_set(error, RH_E_ARGUMENT, "not a name or time for a tar");
	code = buffer_reserve(tar, total, error);
	if (code != RH_OK)
		return code;
	p = tar->data + tar->size;
	memset(p, 0, TAR_BLOCK);
	memcpy(p + FIELD_NAME, path, strlen(path));
	put_octal(p + FIELD_MODE, 7, 0600);
	put_octal(p + FIELD_UID, 7, 0);
	put_octal(p + FIELD_GID, 7, 0);
	put_octal(p + FIELD_SIZE, 11, size);
	put_octal(p + FIELD_MTIME, 11, (uint64_t)time);
	p[FIELD_TYPE] = '0';
	memcpy(p + FIELD_MAGIC, MAGIC, MAGIC_SIZE);
	put_octal(p + FIELD_CHECKSUM, 6, header_sum(p));
	p[FIELD_CHECKSUM + 7] = ' ';
	if (size > 0 && bytes != p + TAR_BLOCK)
		memcpy(p + TAR_BLOCK, bytes, size);
	memset(p + TAR_BLOCK + size, 0, total - TAR_BLOCK - size);
	tar->size += total;
	return RH_OK;
}

/* Whether a header of ours starts there; ${*ret_length} is that of the name. */
static bool header_valid(const uint8_t *p, size_t size, size_t *ret_length)
{
	uint64_t sum;

	if (size < TAR_BLOCK || memcmp(p + FIELD_MAGIC, MAGIC, MAGIC_SIZE) != 0 ||
	    !get_octal(p + FIELD_CHECKSUM, FIELD_CHECKSUM_SIZE, &sum) || sum != header_sum(p))
		return false;
	*ret_length = strnlen((const char *)p + FIELD_NAME, TAR_PATH_MAX + 1);
	return true;
}

bool tar_path(const void *bytes, size_t size, char ret[TAR_PATH_MAX + 1])
{
	size_t length;

	if (!header_valid(bytes, size, &length) || length == 0 || length > TAR_PATH_MAX)
		return false;
	memcpy(ret, (const uint8_t *)bytes + FIELD_NAME, length);
	ret[length] = '\0';
	return true;
}

int tar_next(
    struct tar_cursor *cursor, struct tar_member *member, bool *ret_end, rh_error *error)
{
	size_t left = cursor->size - cursor->offset;
	const uint8_t *p;
	uint64_t size;
	size_t length;

	if (left == 0) {
		*ret_end = true;
		return RH_OK;
	}
	p = cursor->bytes + cursor->offset;
	if (!header_valid(p, left, &length))
		return error_set(error, RH_E_BACKUP_CORRUPT,
		    "no tar header at offset %zu of a frame", cursor->offset);
	if (p[FIELD_TYPE] != '0' || p[FIELD_PREFIX] != '\0' || length == 0 ||
	    length > TAR_PATH_MAX || !get_octal(p + FIELD_SIZE, 12, &size) ||
	    size > left - TAR_BLOCK || tar_member_size((size_t)size) > left)
		return error_set(error, RH_E_BACKUP_CORRUPT,
		    "a tar header that does not belong at offset %zu of a frame",
		    cursor->offset);
	memcpy(member->path, p + FIELD_NAME, length);
	member->path[length] = '\0';
	member->bytes = p + TAR_BLOCK;
	member->size = (size_t)size;
	cursor->offset += tar_member_size((size_t)size);
	*ret_end = false;
	return RH_OK;
}
