#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/text.h"

#include "seen.h"

#define SECRET_MAX 64

static struct buffer seen; /* every byte that somebody with the recovery key gets */

static int see_file(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
	(void)status;
	(void)ftw;
	if (type == FTW_F)
		assert_int_equal(
		    file_read_whole(AT_FDCWD, path, 1 << 24, &seen, path, NULL), RH_OK);
	return 0;
}

bool seen_bytes(const void *bytes, size_t size)
{
	return memmem(seen.data, seen.size, bytes, size) != NULL;
}

/* Base64 of the bytes as they may lie in some longer run: without the first and last group. */
static bool base64_is_seen(const char *bytes, size_t size, const char *last_two)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789";

	for (size_t shift = 0; shift < 3; shift++) {
		char text[2 * SECRET_MAX];
		size_t n = 0;

		for (size_t i = shift; i + 3 <= size; i += 3) {
			uint32_t three = (uint32_t)(uint8_t)bytes[i] << 16 |
					 (uint32_t)(uint8_t)bytes[i + 1] << 8 |
					 (uint8_t)bytes[i + 2];

			for (int bits = 18; bits >= 0; bits -= 6) {
				unsigned value = three >> bits & 63;

				text[n++] = value < 62 ? letters[value] : last_two[value - 62];
			}
		}
		if (seen_bytes(text, n))
			return true;
	}
	return false;
}

bool seen_secret(const char *secret, size_t size)
{
	char hex[2 * SECRET_MAX + 1];

	text_hex(hex, secret, size);
	if (seen_bytes(secret, size) || seen_bytes(hex, strlen(hex)))
		return true;
	for (char *p = hex; *p != '\0'; p++)
		if (*p >= 'a')
			*p = (char)(*p - 'a' + 'A');
	return seen_bytes(hex, strlen(hex)) || base64_is_seen(secret, size, "+/") ||
	       base64_is_seen(secret, size, "-_");
}

void seen_tree(const char *path)
{
	assert_int_equal(nftw(path, see_file, 16, FTW_PHYS), 0);
}

void seen_text(const char *text)
{
	assert_int_equal(buffer_append_text(&seen, text, NULL), RH_OK);
}

void seen_clear(void)
{
	buffer_free(&seen);
}
