#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

#include "records.h"

#define BLOCK 165
#define WHOLE (BLOCK + 2 * 104)
#define KID_TEXT "04030201-0605-0807-090a-0b0c0d0e0f10"

/* ---- a licence from the tables of [MS-DRM] 2.2.2.3 ---- */

struct layout {
	const char *kid;
	uint8_t rights[4];
	uint8_t expiry[4];
	uint8_t version;
	uint32_t issuer; /* of the second certificate */
};

static const struct layout usual = {
    "AQIDBAUGBwgJCgsMDQ4PEA==", {0x01, 0, 0, 0}, {20, 2, 12, 30}, 0, 4711};

static uint8_t *put_bytes(uint8_t *p, uint8_t byte, size_t count)
{
	memset(p, byte, count);
	return p + count;
}

static uint8_t *put_u32le(uint8_t *p, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		*p++ = (uint8_t)(value >> (8 * i));
	return p;
}

/* Version, length of the data, signature. */
static uint8_t *put_head(uint8_t *p, uint8_t version, uint32_t length)
{
	*p++ = 0;
	*p++ = 1;
	*p++ = 0;
	*p++ = version;
	p = put_u32le(p, length);
	return put_bytes(p, 0x5a, 40);
}

static uint8_t *put_certificate(uint8_t *p, uint32_t issuer)
{
	p = put_head(p, 0, 56);
	p = put_bytes(p, 0xc3, 40); /* public key */
	p = put_bytes(p, 0xff, 4); /* expiry */
	p = put_u32le(p, 99); /* serial number */
	p = put_u32le(p, issuer);
	return put_u32le(p, 100); /* subject */
}

static void build(uint8_t bytes[WHOLE], const struct layout *layout)
{
	uint8_t *p = put_head(bytes, layout->version, 117);

	p = put_bytes(p, 0, 25);
	memcpy(p - 25, layout->kid, strlen(layout->kid));
	p = put_bytes(p, 0xee, 80); /* the encrypted key */
	memcpy(p, layout->rights, 4);
	p = put_u32le(p + 4, 150); /* application security */
	memcpy(p, layout->expiry, 4);
	p += 4;
	assert_ptr_equal(p, bytes + BLOCK);
	p = put_certificate(p, 1);
	p = put_certificate(p, layout->issuer);
	assert_ptr_equal(p, bytes + WHOLE);
}

static struct records records;

static const char *shown(void)
{
	static char text[2 * RECORD_TEXT_SIZE];
	char record[RECORD_TEXT_SIZE], rights[RECORD_TEXT_SIZE];

	if (records.code != RH_OK)
		fail_msg("%s", records.error.text);
	assert_int_equal(records.count, 1);
	assert_string_equal(records.items[0].format, "drmv1");
	assert_int_equal(strlen(records.items[0].id), 7 + 32);
	assert_memory_equal(records.items[0].id, "sha256-", 7);
	record_text(record, &records.items[0]);
	record_rights(rights, &records, 0);
	snprintf(text, sizeof text, "%s %s", record + 7 + 32, rights);
	return text;
}

static void read_bytes(const uint8_t *bytes, size_t size)
{
	records_read(&records, bytes, size, "a/b.lic", NULL);
}

static void check_error(int code, const char *text)
{
	assert_int_equal(records.code, code);
	if (strstr(records.error.text, text) == NULL)
		fail_msg("%s", records.error.text);
}

/* ---- what is read ---- */

static void test_records(void **state)
{
	static const struct {
		struct layout layout;
		const char *text;
	} table[] = {
	    {{"AQIDBAUGBwgJCgsMDQ4PEA==", {1, 0, 0, 0}, {20, 2, 12, 30}, 0, 4711},
		"|" KID_TEXT "|4711||||2002-12-30T00:00:00Z||yes play"},
	    /* The other form of the version; no end; restoring is not allowed. */
	    {{"AQIDBAUGBwgJCgsMDQ4PEA==", {7, 0, 0, 0}, {255, 255, 255, 255}, 1, UINT32_MAX},
		"|" KID_TEXT "|4294967295||||||no play,copy"},
	    {{"!*!*!*!*!*!*!*!*!*!*!w==", {2, 0, 0, 0}, {20, 0, 2, 29}, 0, 0},
		"|fbbffffb-bfff-fffb-bffb-ffbffbffbffb|0||||2000-02-29T00:00:00Z||yes copy"},
	    {{"song-4711", {0, 0, 0, 0}, {255, 255, 255, 255}, 0, 1}, "|song-4711|1||||||yes "},
	    /* Rights that are known by analogy only, and days that are none. */
	    {{"k", {0x09, 0, 0, 0}, {255, 255, 255, 255}, 0, 1}, "|k|1||||||yes play vague"},
	    {{"k", {0x11, 0, 0, 0}, {255, 255, 255, 255}, 0, 1}, "|k|1||||||yes play vague"},
	    {{"k", {0x25, 0, 0, 0}, {255, 255, 255, 255}, 0, 1}, "|k|1||||||no  vague"},
	    {{"k", {1, 0, 0, 0x80}, {255, 255, 255, 255}, 0, 1}, "|k|1||||||yes  vague"},
	    {{"k", {3, 4, 0, 0}, {255, 255, 255, 255}, 0, 1}, "|k|1||||||yes  vague"},
	    {{"k", {1, 0, 0, 0}, {20, 1, 2, 29}, 0, 1}, "|k|1||||||yes play vague"},
	    {{"k", {1, 0, 0, 0}, {20, 1, 13, 1}, 0, 1}, "|k|1||||||yes play vague"},
	    {{"k", {1, 0, 0, 0}, {19, 101, 1, 1}, 0, 1}, "|k|1||||||yes play vague"},
	    {{"k", {1, 0, 0, 0}, {255, 0, 1, 1}, 0, 1}, "|k|1||||||yes play vague"},
	    {{"k", {1, 0, 0, 0}, {0, 0, 0, 0}, 0, 1}, "|k|1||||||yes play vague"},
	};
	uint8_t bytes[WHOLE];

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		build(bytes, &table[i].layout);
		read_bytes(bytes, sizeof bytes);
		assert_string_equal(shown(), table[i].text);
	}
	build(bytes, &table[1].layout);
	read_bytes(bytes, sizeof bytes);
	assert_string_equal(
	    records.items[0].reason, "the licence does not grant the right to restore");
}

/* Bytes, base64, base64 in lines with the other alphabet, and in an envelope. */
static void test_forms(void **state)
{
	static const char usual_text[] = "|" KID_TEXT "|4711||||2002-12-30T00:00:00Z||yes play";
	char base64[BASE64_SIZE(WHOLE)], text[4096], *at;
	uint8_t bytes[WHOLE];
	size_t length;

	(void)state;
	build(bytes, &usual);
	length = base64_encode(base64, bytes, sizeof bytes, 0);
	read_bytes((const uint8_t *)base64, length);
	assert_string_equal(shown(), usual_text);

	/* As mail breaks it; the other alphabet; a byte order mark. */
	at = stpcpy(text, "\xef\xbb\xbf\r\n ");
	for (size_t i = 0; i < length; i++) {
		*at++ = base64[i] == '+' ? '!' : base64[i] == '/' ? '*' : base64[i];
		if (i % 5 == 4)
			at = stpcpy(at, "\r\n");
	}
	read_bytes((const uint8_t *)text, (size_t)(at - text));
	assert_string_equal(shown(), usual_text);

	for (int i = 0; i < 2; i++) {
		sprintf(text, "<LICENSERESPONSE><LICENSE%s>%s</LICENSE></LICENSERESPONSE>",
		    i == 0 ? " version='0.1.0.0'" : "", base64);
		read_bytes((const uint8_t *)text, strlen(text));
		assert_string_equal(shown(), usual_text);
		records_read(&records, text, strlen(text), "x", "drmv1");
		assert_string_equal(shown(), usual_text);
	}
}

/* Certificates may be missing, or be of another length: then the issuer is unknown. */
static void test_behind(void **state)
{
	static uint8_t bytes[BLOCK + 4097];

	(void)state;
	for (size_t size = 0; size < sizeof bytes; size++)
		bytes[size] = (uint8_t)size;
	build(bytes, &usual);
	for (size_t size = BLOCK; size <= BLOCK + 4097; size += size < WHOLE + 3 ? 1 : 97) {
		read_bytes(bytes, size);
		assert_int_equal(records.code, RH_OK);
		assert_string_equal(records.items[0].issuer, size == WHOLE ? "4711" : "");
		assert_string_equal(records.items[0].key_id, KID_TEXT);
	}
	read_bytes(bytes, BLOCK + 4096);
	assert_int_equal(records.code, RH_OK);
	read_bytes(bytes, BLOCK + 4097);
	check_error(RH_E_LICENSE_INVALID, "a/b.lic: version 1 licence: too much follows");
	for (size_t certificate = 0; certificate < 2; certificate++) {
		build(bytes, &usual);
		bytes[BLOCK + certificate * 104 + 4]++;
		read_bytes(bytes, WHOLE);
		assert_int_equal(records.code, RH_OK);
		assert_string_equal(records.items[0].issuer, "");
	}
}

/* ---- what is refused ---- */

static void test_truncated(void **state)
{
	char base64[BASE64_SIZE(WHOLE)];
	uint8_t bytes[WHOLE];

	(void)state;
	build(bytes, &usual);
	for (size_t size = 1; size < BLOCK; size++) {
		read_bytes(bytes, size);
		assert_int_equal(
		    records.code, size < 8 ? RH_E_LICENSE_FORMAT : RH_E_LICENSE_INVALID);
		records_read(&records, bytes, size, "x", "drmv1");
		check_error(RH_E_LICENSE_INVALID, "it is cut off");
		base64_encode(base64, bytes, size, 0);
		records_read(&records, base64, strlen(base64), "x", "drmv1");
		check_error(RH_E_LICENSE_INVALID, "it is cut off");
	}
	/* A byte of base64 less, or one that is none. */
	base64_encode(base64, bytes, sizeof bytes, 0);
	for (size_t size = 12; size < strlen(base64); size++) {
		read_bytes((const uint8_t *)base64, size);
		if (size % 4 == 1)
			check_error(RH_E_LICENSE_INVALID, "not base64 to its end");
		else if (size < BLOCK / 3 * 4)
			assert_int_equal(records.code, RH_E_LICENSE_INVALID);
	}
	base64[400] = '?';
	read_bytes((const uint8_t *)base64, strlen(base64));
	check_error(RH_E_LICENSE_INVALID, "not base64 to its end");
}

/* Every byte of the head with every value. */
static void test_head(void **state)
{
	uint8_t bytes[WHOLE];

	(void)state;
	for (size_t at = 0; at < 8; at++) {
		for (unsigned value = 0; value < 256; value++) {
			bool good;

			build(bytes, &usual);
			good = bytes[at] == value || (at == 3 && value == 1);
			bytes[at] = (uint8_t)value;
			read_bytes(bytes, sizeof bytes);
			assert_int_equal(records.code == RH_OK, good);
			/* "\0<" is how XML in UTF-16 begins. */
			if (at == 0 || good || (at == 1 && value == '<'))
				continue;
			records_read(&records, bytes, sizeof bytes, "x", "drmv1");
			check_error(RH_E_LICENSE_INVALID,
			    at < 4 ? "version is not known" : "not that of a licence");
		}
	}
}

static void test_key_id(void **state)
{
	static const char *const bad[] = {"", " ", "a b",
	    "AQIDBAUGBwgJCgsMDQ4PE?==", "AQIDBAUGBwgJCgsMDQ4PEB==", "\xff", "a\x1b"};
	struct layout layout = usual;
	uint8_t bytes[WHOLE];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		layout.kid = bad[i];
		build(bytes, &layout);
		read_bytes(bytes, sizeof bytes);
		check_error(RH_E_LICENSE_KEY_ID, "malformed key identifier");
		if (bad[i][0] > ' ')
			assert_null(strstr(records.error.text, bad[i]));
	}
	/* Without its NUL. */
	build(bytes, &usual);
	bytes[48 + 24] = 'A';
	read_bytes(bytes, sizeof bytes);
	check_error(RH_E_LICENSE_KEY_ID, "malformed key identifier");
}

/* Another binary file, and text, are no licences of this kind. */
static void test_detection(void **state)
{
	static const char *const other[] = {"AAEAAHUAAAE=", "AAEAAHUAAA", "AAEAAnUAAAA",
	    "hello, world", "AAEAAHUAAA?AAAAAAAAA"};

	(void)state;
	for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
		records_read(&records, other[i], strlen(other[i]), "x", NULL);
		check_error(RH_E_LICENSE_FORMAT, "--format opaque");
	}
	records_read(&records, "hello, world", 12, "x", "drmv1");
	check_error(RH_E_LICENSE_INVALID, "not base64");
	records_read(&records, "\0", 1, "x", "drmv1");
	check_error(RH_E_LICENSE_INVALID, "cut off");
}

/* Any one byte changed: an error or a valid record. */
static void test_changed(void **state)
{
	uint8_t bytes[WHOLE];

	(void)state;
	for (size_t at = 0; at < WHOLE; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			build(bytes, &usual);
			bytes[at] ^= (uint8_t)(1U << bit);
			read_bytes(bytes, sizeof bytes);
			/* The key, the signatures and application security are not read. */
			if ((at >= 8 && at < 48) || (at >= 73 && at < 153) ||
			    (at >= 157 && at < 161))
				assert_string_equal(shown(),
				    "|" KID_TEXT "|4711||||2002-12-30T00:00:00Z||yes play");
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_records),
	    cmocka_unit_test(test_forms),
	    cmocka_unit_test(test_behind),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_head),
	    cmocka_unit_test(test_key_id),
	    cmocka_unit_test(test_detection),
	    cmocka_unit_test(test_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
