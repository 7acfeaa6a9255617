#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

static void base64_known_answers(void **state)
{
	/* RFC 4648, section 10. */
	static const char *const rows[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="},
	    {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
	    {"foobar", "Zm9vYmFy"}};
	char text[32], bytes[32];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t size = strlen(rows[i][0]);

		assert_int_equal(base64_encode(text, rows[i][0], size, 0), strlen(rows[i][1]));
		assert_string_equal(text, rows[i][1]);
		assert_int_equal(
		    base64_decode(bytes, sizeof bytes, text, strlen(text), 0), size);
		assert_memory_equal(bytes, rows[i][0], size);
		base64_encode(text, rows[i][0], size, BASE64_NO_PAD);
		assert_int_equal(
		    base64_decode(bytes, sizeof bytes, text, strlen(text), BASE64_NO_PAD),
		    size);
	}
	base64_encode(text, "\xfb\xff\xfe", 3, BASE64_URL);
	assert_string_equal(text, "-__-");
}

static void base64_refuses(void **state)
{
	static const struct {
		const char *text;
		unsigned flags;
	} bad[] = {{"Zg", 0}, {"Zg=", 0}, {"Zg===", 0}, {"Z", BASE64_NO_PAD}, {"Zh==", 0},
	    {"Zm9=", 0}, {"Zg==", BASE64_NO_PAD}, {"Zg==Zg==", 0}, {"Zm 9v", 0}, {"Zm9!", 0},
	    {"-__-", 0}, {"+//+", BASE64_URL}, {"Z\xc3\xa9==", 0}};
	char bytes[32];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(base64_decode(bytes, sizeof bytes, bad[i].text,
				     strlen(bad[i].text), bad[i].flags),
		    -1);
	assert_int_equal(base64_decode(bytes, 2, "Zm9v", 4, 0), -1);
	assert_int_equal(base64_decode(bytes, sizeof bytes, " Z!*v\r\n", 7, BASE64_LENIENT), 3);
	assert_memory_equal(bytes, "\x67\xef\xef", 3);
}

static void hex_round_trip(void **state)
{
	uint8_t bytes[3];
	char text[7];

	(void)state;
	text_hex(text, "\x00\xab\xff", 3);
	assert_string_equal(text, "00abff");
	assert_true(text_unhex("00ABff", bytes, 3));
	assert_memory_equal(bytes, "\x00\xab\xff", 3);
	assert_false(text_unhex("00abf", bytes, 3));
	assert_false(text_unhex("00abfg", bytes, 3));
}

static void utf16_round_trip(void **state)
{
	static const char text[] = "a\xc3\xa9\xe6\x97\xa5\xf0\x9f\x92\xbe";
	char16_t *wide;
	size_t length;
	char *back;
	rh_error error;

	(void)state;
	assert_int_equal(utf16_from_utf8(text, &wide, &length, &error), RH_OK);
	assert_int_equal(length, 5);
	assert_int_equal(utf8_from_utf16(wide, length, &back, &error), RH_OK);
	assert_string_equal(back, text);
	free(back);
	wide[4] = 'x';
	assert_int_equal(utf8_from_utf16(wide, length, &back, &error), RH_E_ARGUMENT);
	wide[0] = 0;
	assert_int_equal(utf8_from_utf16(wide, 1, &back, &error), RH_E_ARGUMENT);
	free(wide);
	assert_int_equal(utf16_from_utf8("\xff", &wide, &length, &error), RH_OK);
	assert_int_equal(wide[0], 0xfffd);
	free(wide);
}

static void services(void **state)
{
	static const char *const good[] = {"https://licences.example", "http://127.0.0.1:8443",
	    "https://[2001:db8::1]:443/lms", "https://a_b.example/~l/v1.0/...", "http://x"};
	static const char *const bad[] = {"", "licences.example", "ftp://x", "HTTPS://x",
	    "https://", "https:///x", "https://:80", "https://x:", "https://x:0",
	    "https://x:65536", "https://x:1x", "https://x/", "https://x/lms/", "https://x//lms",
	    "https://x/a/../b", "https://x/.", "https://x/./b", "https://x/%6Cms",
	    "https://x/a b", "https://x?y", "https://x/y?", "https://x#y", "https://u@x",
	    "https://[::1", "https://[]", "https://x/\xc3\xa4", "https://x\\y"};
	char text[TEXT_SERVICE_MAX + 2] = "https://";

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(text_is_service(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(text_is_service(bad[i]));
	memset(text + 8, 'x', TEXT_SERVICE_MAX - 8);
	assert_true(text_is_service(text));
	text[TEXT_SERVICE_MAX] = 'x';
	assert_false(text_is_service(text));
}

static void asked_services(void **state)
{
	static const char *const good[] = {"https://licences.example", "https://127.1/lms",
	    "http://127.0.0.1:8443", "http://127.9.9.9/lms", "http://localhost",
	    "http://LocalHost:1/lms", "http://[::1]", "http://[::1]:8443/lms"};
	static const char *const bad[] = {"http://licences.example/lms", "http://127.1:80",
	    "http://127.0.0.1.evil.com", "http://127.0.0.1.", "http://127.0.0.256",
	    "http://127.", "http://128.0.0.1", "http://localhost.evil.com", "http://[::2]",
	    "http://[::1", "http://x/127.0.0.1"};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(text_is_asked(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(text_is_asked(bad[i]));
}

static void utf8_validity(void **state)
{
	static const char *const bad[] = {"\x80", "\xc0\x80", "\xc3", "\xe0\x9f\xbf",
	    "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80"};
	char text[8];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(utf8_valid(bad[i], strlen(bad[i])));
	assert_true(utf8_valid("\xf4\x8f\xbf\xbf", 4));
	assert_false(utf8_valid("a\0b", 3));
	text_copy(text, sizeof text, "abcde\xe6\x97\xa5", 8);
	assert_string_equal(text, "abcde");
	text_copy(text, sizeof text, "a\x1b\xc2\x9b\xff.", 6);
	assert_string_equal(text, "a  ?.");
}

static void times(void **state)
{
	static const struct {
		const char *text;
		int64_t time;
	} good[] = {{"1970-01-01T00:00:00Z", 0}, {"2000-02-29", 951782400},
	    {"2026-11-22T15:10:00.123+01:00", 1795356600}, {"2026-11-22T15:10Z", 1795360200}};
	static const char *const bad[] = {"", "2026", "2026-13-01", "2025-02-29", "2026-11-22T",
	    "2026-11-22T24:00:00Z", "2026-11-22T15:10:00X", "2026-11-22T15:10:00+25:00",
	    "0000-01-01", "2026-11-22 15:10:00Z "};
	char text[TIME_TEXT_SIZE];
	int64_t time;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_true(time_parse(good[i].text, strlen(good[i].text), &time));
		assert_int_equal(time, good[i].time);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(time_parse(bad[i], strlen(bad[i]), &time));
	time_format(text, 1795360200);
	assert_string_equal(text, "2026-11-22T15:10:00Z");
	time_format(text, time_parse("0208-01-02", 10, &time) ? time : 0);
	assert_string_equal(text, "0208-01-02T00:00:00Z");
	time_format(text, INT64_MIN);
	assert_string_equal(text, "");
	time_format(text, INT64_MAX);
	assert_string_equal(text, "");
}

static void buffers(void **state)
{
	struct buffer buffer = {0};
	rh_error error;

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(buffer_append(&buffer, "0123456789", 10, &error), RH_OK);
	assert_int_equal(buffer.size, 10000);
	buffer_consume(&buffer, 9995);
	assert_memory_equal(buffer.data, "56789", 5);
	assert_int_equal(buffer_reserve(&buffer, SIZE_MAX, &error), RH_E_MEMORY);
	assert_int_equal(buffer.size, 5);
	buffer_free(&buffer);
	assert_true(bytes_equal("abc", "abc", 3));
	assert_false(bytes_equal("abc", "abd", 3));
}

static void errors_by_errno(void **state)
{
	rh_error error;

	(void)state;
	assert_int_equal(
	    error_errno(&error, RH_E_WRITE, ENOSPC, "cannot write %s", "x"), RH_E_FULL);
	assert_string_equal(error.text, "cannot write x: No space left on device");
	assert_int_equal(error_errno(NULL, RH_E_WRITE, EROFS, "x"), RH_E_ACCESS);
	assert_int_equal(error_errno(NULL, RH_E_WRITE, EIO, "x"), RH_E_WRITE);
	assert_int_equal(error_errno(NULL, RH_E_WRITE, EDQUOT, "x"), RH_E_FULL);
	assert_int_equal(error_errno(NULL, RH_E_WRITE, EFBIG, "x"), RH_E_FILE_TOO_BIG);
	assert_int_equal(error_errno(NULL, RH_E_WRITE, ENODEV, "x"), RH_E_MEDIUM_GONE);
	assert_int_equal(error_errno(NULL, RH_E_READ, ENXIO, "x"), RH_E_MEDIUM_GONE);
	assert_int_equal(error_errno(NULL, RH_E_OPEN, ENXIO, "x"), RH_E_OPEN);
	assert_int_equal(error_errno(NULL, RH_E_OPEN, EIO, "x"), RH_E_READ);
	assert_int_equal(error_errno(NULL, RH_E_OPEN, EBADMSG, "x"), RH_E_READ);
	assert_int_equal(error_errno(NULL, RH_E_OPEN, EUCLEAN, "x"), RH_E_READ);
	assert_int_equal(error_errno(NULL, RH_E_OPEN, EMFILE, "x"), RH_E_OPEN);
}

static void codes_are_one_table(void **state)
{
	static const int codes[] = {RH_OK, RH_E_ARGUMENT, RH_E_BACKUP_EXISTS, RH_E_SECRET_WRONG,
	    RH_E_STORE_OTHER_COMPUTER, RH_E_RESTRICTED, RH_E_CANCELED};
	static const int exits[] = {0, 1, 10, 4, 9, 3, 7};

	(void)state;
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		assert_int_equal(rh_code_exit_status(codes[i]), exits[i]);
	assert_string_equal(rh_code_name(RH_E_BACKUP_EXISTS), "E_BACKUP_EXISTS");
	assert_int_equal((uint32_t)rh_code_hresult(RH_E_CANCELED), 0xc00d2768u);
	/* A number that is no code is a failure, never a success. */
	assert_true(rh_code_hresult(9999) < 0);
	assert_int_equal(rh_code_exit_status(9999), 2);
}

static void files(void **state)
{
	char directory[] = "/tmp/rehost-base-XXXXXX", path[128];
	struct buffer buffer = {0};
	rh_error error;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(directory));
	fd = open(directory, O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	assert_int_equal(file_replace(fd, "a", 0600, "one", 3, "a", &error), RH_OK);
	assert_int_equal(file_replace(fd, "a", 0600, "three", 5, "a", &error), RH_OK);
	assert_int_equal(file_read_whole(fd, "a", 100, &buffer, "a", &error), RH_OK);
	assert_int_equal(buffer.size, 5);
	assert_memory_equal(buffer.data, "three", 5);
	assert_int_equal(faccessat(fd, "a.part", F_OK, 0), -1);
	buffer_clear(&buffer);
	assert_int_equal(file_read_whole(fd, "a", 4, &buffer, "a", &error), RH_E_ARGUMENT);
	assert_int_equal(file_read_whole(fd, "b", 4, &buffer, "b", &error), RH_E_OPEN);
	assert_int_equal(file_replace(fd, "no/a", 0600, "one", 3, "no/a", &error), RH_E_WRITE);
	snprintf(path, sizeof path, "%s/d/e/f", directory);
	assert_int_equal(file_make_directories(path, 0700, &error), RH_OK);
	assert_int_equal(file_make_directories(path, 0700, &error), RH_OK);
	snprintf(path, sizeof path, "%s/a/e", directory);
	assert_int_equal(file_make_directories(path, 0700, &error), RH_E_WRITE);
	assert_int_equal(file_make_directories("", 0700, &error), RH_E_ARGUMENT);
	buffer_free(&buffer);
	close(fd);
	snprintf(path, sizeof path, "rm -r %s", directory);
	assert_int_equal(system(path), 0);
}

static void amounts(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {{0, "0 bytes"}, {1, "1 byte"}, {1023, "1023 bytes"}, {1024, "1.0 KiB"},
	    {1048524, "1023.9 KiB"}, {1048525, "1.0 MiB"}, {UINT64_MAX, "16.0 EiB"}};
	char text[TEXT_AMOUNT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(text_amount(text, cases[i].bytes), cases[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(amounts),
	    cmocka_unit_test(base64_known_answers),
	    cmocka_unit_test(base64_refuses),
	    cmocka_unit_test(hex_round_trip),
	    cmocka_unit_test(utf16_round_trip),
	    cmocka_unit_test(utf8_validity),
	    cmocka_unit_test(services),
	    cmocka_unit_test(asked_services),
	    cmocka_unit_test(times),
	    cmocka_unit_test(buffers),
	    cmocka_unit_test(errors_by_errno),
	    cmocka_unit_test(codes_are_one_table),
	    cmocka_unit_test(files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
