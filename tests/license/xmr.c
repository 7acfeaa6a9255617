#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/text.h"

#include "records.h"

#define ID "00112233-4455-6677-8899-aabbccddeeff"
#define KEY "04030201-0605-0807-090a-0b0c0d0e0f10"
#define ROOT "f3f2f1f0-f5f4-f7f6-f8f9-fafbfcfdfeff"
#define UNSURE "whether an XMR licence may be backed up cannot be told for certain"

/* ---- a licence from the table of its objects ---- */

enum { MUST = 1, CONTAINER = 2, BOTH = 3 };

struct builder {
	uint8_t bytes[65536];
	size_t size;
	size_t open[64]; /* where the containers begin */
	size_t depth;
};

static void put_u16(struct builder *b, unsigned value)
{
	put_u16be(b->bytes + b->size, (uint16_t)value);
	b->size += 2;
}

static void put_u32(struct builder *b, uint32_t value)
{
	put_u32be(b->bytes + b->size, value);
	b->size += 4;
}

static void put_counted(struct builder *b, uint8_t first, size_t count)
{
	for (size_t i = 0; i < count; i++)
		b->bytes[b->size++] = (uint8_t)(first + i);
}

static void begin(struct builder *b)
{
	static const uint8_t id[] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99,
	    0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

	b->size = b->depth = 0;
	memcpy(b->bytes, "XMR", 4);
	b->size = 4;
	put_u32(b, 1);
	memcpy(b->bytes + b->size, id, sizeof id);
	b->size += sizeof id;
}

/* Begins an object whose length end_object() fills in. */
static void object(struct builder *b, unsigned flags, unsigned type)
{
	b->open[b->depth++] = b->size;
	put_u16(b, flags);
	put_u16(b, type);
	put_u32(b, 0);
}

static void end_object(struct builder *b)
{
	size_t start = b->open[--b->depth];

	put_u32be(b->bytes + start + 4, (uint32_t)(b->size - start));
}

static void empty(struct builder *b, unsigned flags, unsigned type)
{
	object(b, flags, type);
	end_object(b);
}

static void number(struct builder *b, unsigned type, uint32_t value)
{
	object(b, MUST, type);
	put_u32(b, value);
	end_object(b);
}

static void settings(struct builder *b, unsigned bits)
{
	object(b, MUST, 0x0d);
	put_u16(b, bits);
	end_object(b);
}

static void key(struct builder *b)
{
	object(b, MUST, 0x0a);
	put_counted(b, 1, 16);
	put_u16(b, 1);
	put_u16(b, 3);
	put_u16(b, 128);
	put_counted(b, 0x80, 128); /* the encrypted key */
	end_object(b);
}

static void expiration(struct builder *b, uint32_t from, uint32_t to)
{
	object(b, MUST, 0x12);
	put_u32(b, from);
	put_u32(b, to);
	end_object(b);
}

/* Everything that is read, as a licence server would lay it out. */
static void build_whole(struct builder *b)
{
	begin(b);
	object(b, BOTH, 0x01);
	object(b, BOTH, 0x02);
	settings(b, 0x4);
	number(b, 0x11, 7);
	expiration(b, 1000000000, 1200000000);
	number(b, 0x13, 900000000);
	number(b, 0x14, 3600);
	number(b, 0x50, 1100000000);
	empty(b, MUST, 0x22);
	end_object(b);
	object(b, CONTAINER, 0x04);
	number(b, 0x17, 5);
	number(b, 0x30, 60);
	empty(b, MUST, 0x05);
	end_object(b);
	object(b, CONTAINER, 0x0e);
	number(b, 0x1b, 2);
	end_object(b);
	object(b, CONTAINER, 0x0f);
	number(b, 0x1f, 1);
	end_object(b);
	object(b, BOTH, 0x09);
	key(b);
	object(b, 0, 0x06);
	put_counted(b, 0xf0, 16);
	put_u32(b, 0);
	end_object(b);
	empty(b, 0, 0x2a);
	end_object(b);
	object(b, MUST, 0x0b);
	put_u16(b, 1);
	put_u16(b, 16);
	put_counted(b, 0, 16);
	end_object(b);
	end_object(b);
}

#define WHOLE                                                                                  \
	ID "|" KEY "|||1998-07-09T16:00:00Z|2001-09-09T01:46:40Z|2004-11-09T11:33:20Z|"        \
	   "play:5,copy:2,burn:1|unknown play:5+60,copy:2+3600,burn:1+3600 priority=7 "        \
	   "root=" ROOT

static struct records records;
static struct builder built;

static const char *shown(void)
{
	static char text[2 * RECORD_TEXT_SIZE];
	char record[RECORD_TEXT_SIZE], rights[RECORD_TEXT_SIZE];

	if (records.code != RH_OK)
		fail_msg("%s", records.error.text);
	assert_int_equal(records.count, 1);
	assert_string_equal(records.items[0].format, "xmr");
	assert_int_equal(license_class(&records.items[0]), LICENSE_RESTRICTED);
	record_text(record, &records.items[0]);
	record_rights(rights, &records, 0);
	snprintf(text, sizeof text, "%s %s", record, rights);
	return text;
}

static void read_built(void)
{
	assert_int_equal(built.depth, 0);
	records_read(&records, built.bytes, built.size, "a/b.xmr", NULL);
}

static void check_error(int code, const char *text)
{
	assert_int_equal(records.code, code);
	if (strstr(records.error.text, text) == NULL)
		fail_msg("%s", records.error.text);
}

/* ---- what is read ---- */

static void test_whole(void **state)
{
	static char base64[BASE64_SIZE(sizeof built.bytes)], text[2 * sizeof base64 + 200];

	(void)state;
	build_whole(&built);
	read_built();
	assert_string_equal(shown(), WHOLE);
	assert_string_equal(records.items[0].reason, UNSURE);

	base64_encode(base64, built.bytes, built.size, 0);
	for (int i = 0; i < 3; i++) {
		sprintf(text, "<LICENSERESPONSE><LICENSE%s>%s</LICENSE></LICENSERESPONSE>",
		    i == 0   ? " version='3.0.0.0'"
		    : i == 1 ? ""
			     : " version='2.0.0.0'",
		    base64);
		records_read(&records, text, strlen(text), "x", NULL);
		assert_string_equal(shown(), WHOLE);
		records_read(&records, text, strlen(text), "x", "xmr");
		assert_string_equal(shown(), WHOLE);
	}
	/* One of its kind in a document. */
	sprintf(text,
	    "<LICENSERESPONSE><LICENSE version='3.0.0.0'>%s</LICENSE><LICENSE>%s</LICENSE>"
	    "</LICENSERESPONSE>",
	    base64, base64);
	records_read(&records, text, strlen(text), "x", NULL);
	check_error(RH_E_LICENSE_INVALID, "x: LICENSE 2: two licences have the same id");
}

static void test_small(void **state)
{
	(void)state;
	begin(&built);
	empty(&built, 0, 0x7f);
	read_built();
	assert_string_equal(shown(), ID "||||||||no ");
	/* No id of its own. */
	memset(built.bytes + 8, 0, 16);
	read_built();
	assert_int_equal(records.code, RH_OK);
	assert_memory_equal(records.items[0].id, "sha256-", 7);
	/* The highest numbers, and those that mean none. */
	begin(&built);
	empty(&built, CONTAINER, 0x04);
	expiration(&built, 0, UINT32_MAX);
	number(&built, 0x50, UINT32_MAX);
	number(&built, 0x11, UINT32_MAX);
	number(&built, 0x17, UINT32_MAX);
	number(&built, 0x30, UINT32_MAX);
	read_built();
	assert_string_equal(shown(), ID "|||||||play:4294967295|no play:4294967295+4294967295 "
					"priority=2147483647");
}

/* Of several the narrower holds; no period is the shortest. */
static void test_several(void **state)
{
	(void)state;
	begin(&built);
	empty(&built, CONTAINER, 0x04);
	empty(&built, CONTAINER, 0x3c);
	empty(&built, CONTAINER, 0x3d);
	number(&built, 0x17, 3);
	number(&built, 0x17, 2);
	number(&built, 0x17, 4);
	expiration(&built, 100, 5000);
	expiration(&built, 200, 4000);
	expiration(&built, 50, 6000);
	number(&built, 0x14, 10);
	number(&built, 0x14, 20);
	number(&built, 0x30, 0);
	number(&built, 0x30, 30);
	key(&built);
	object(&built, MUST, 0x0a);
	put_counted(&built, 0x40, 16);
	end_object(&built);
	read_built();
	assert_string_equal(shown(),
	    ID "|" KEY "||||1970-01-01T00:03:20Z|1970-01-01T01:06:40Z|play:2|no "
	       "play:2+1,copy+10");
}

static void test_backup(void **state)
{
	static const struct {
		unsigned bits[2];
		size_t count;
		enum license_right right;
		const char *reason;
	} table[] = {
	    {{0}, 0, LICENSE_NO, "does not grant"},
	    {{0}, 1, LICENSE_NO, "does not grant"},
	    {{0xfffb}, 1, LICENSE_NO, "does not grant"},
	    {{0x5}, 1, LICENSE_NO, "may not be kept"},
	    {{0x4}, 1, LICENSE_UNKNOWN, "cannot be told"},
	    {{0x1c}, 1, LICENSE_UNKNOWN, "cannot be told"},
	    {{0x4, 0x0}, 2, LICENSE_NO, "does not grant"},
	    {{0x0, 0x4}, 2, LICENSE_NO, "does not grant"},
	    {{0x4, 0x5}, 2, LICENSE_NO, "may not be kept"},
	    {{0x4, 0x4}, 2, LICENSE_UNKNOWN, "cannot be told"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		begin(&built);
		empty(&built, BOTH, 0x04);
		for (size_t j = 0; j < table[i].count; j++)
			settings(&built, table[i].bits[j]);
		read_built();
		assert_int_equal(records.code, RH_OK);
		assert_int_equal(records.items[0].backup, table[i].right);
		assert_non_null(strstr(records.items[0].reason, table[i].reason));
	}
}

static void test_conditions(void **state)
{
	static const unsigned vague[] = {0x15, 0x29, 0x1a};
	static const unsigned silent[] = {0x03, 0x05, 0x07, 0x08, 0x0c, 0x10, 0x16, 0x20, 0x22,
	    0x2c, 0x32, 0x33, 0x34, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x51, 0x52, 0x5a};

	(void)state;
	for (size_t i = 0; i < sizeof vague / sizeof vague[0]; i++) {
		begin(&built);
		empty(&built, CONTAINER, 0x04);
		number(&built, vague[i], 60);
		read_built();
		assert_string_equal(shown(),
		    vague[i] == 0x1a ? ID "||||||||no play vague" : ID "||||||||no  vague");
	}
	for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++) {
		begin(&built);
		empty(&built, CONTAINER, 0x04);
		number(&built, silent[i], 60);
		read_built();
		assert_string_equal(shown(), ID "||||||||no play");
	}
	/* A policy whose conditions cannot be seen. */
	begin(&built);
	number(&built, 0x04, 0);
	empty(&built, 0, 0x0e);
	read_built();
	assert_string_equal(shown(), ID "||||||||no copy vague");
}

/* An object that is not known: passed over, unless it must be understood. */
static void test_unknown(void **state)
{
	(void)state;
	for (unsigned flags = 0; flags < 4; flags++) {
		begin(&built);
		object(&built, BOTH, 0x01);
		settings(&built, 4);
		empty(&built, BOTH, 0x04);
		object(&built, flags, 0x7fff);
		if ((flags & CONTAINER) != 0)
			number(&built, 0x17, 9);
		else
			put_counted(&built, 0, 3);
		end_object(&built);
		number(&built, 0x13, 0);
		end_object(&built);
		read_built();
		if ((flags & MUST) != 0) {
			assert_string_equal(
			    shown(), (flags & CONTAINER) != 0
					 ? ID "||||1970-01-01T00:00:00Z|||play:9|unknown  vague"
					 : ID "||||1970-01-01T00:00:00Z||||unknown  vague");
			assert_non_null(strstr(records.items[0].reason, "must be understood"));
		} else {
			assert_string_equal(
			    shown(), (flags & CONTAINER) != 0
					 ? ID "||||1970-01-01T00:00:00Z|||play:9|unknown play:9"
					 : ID "||||1970-01-01T00:00:00Z||||unknown play");
			assert_string_equal(records.items[0].reason, UNSURE);
		}
	}
}

/* ---- what is refused ---- */

static void test_truncated(void **state)
{
	(void)state;
	build_whole(&built);
	for (size_t size = 1; size < built.size; size++) {
		records_read(&records, built.bytes, size, "x", "xmr");
		assert_int_equal(records.code, RH_E_LICENSE_INVALID);
		records_read(&records, built.bytes, size, "x", NULL);
		assert_int_equal(
		    records.code, size < 4 ? RH_E_LICENSE_FORMAT : RH_E_LICENSE_INVALID);
	}
	built.bytes[built.size] = 0;
	records_read(&records, built.bytes, built.size + 1, "x", NULL);
	check_error(RH_E_LICENSE_INVALID, "is cut off");
}

/* The length of the object at ${at}, every smaller and larger one, then of those within it. */
static size_t edit_lengths(size_t at, size_t end)
{
	size_t count = 0;

	while (at < end) {
		uint8_t *p = built.bytes + at;
		uint32_t length = get_u32be(p + 4);
		const uint32_t others[] = {0, 1, 7, length - 1, length + 1, length + 7,
		    (uint32_t)(end - at + 1), (uint32_t)(built.size - at + 1), 0x7fffffff,
		    0x80000000, UINT32_MAX};

		for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
			put_u32be(p + 4, others[i]);
			read_built();
			if (others[i] < 8 || others[i] > end - at)
				assert_int_equal(records.code, RH_E_LICENSE_INVALID);
			else if (records.code == RH_OK)
				assert_string_not_equal(shown(), "");
		}
		put_u32be(p + 4, length);
		count++;
		if ((p[1] & CONTAINER) != 0)
			count += edit_lengths(at + 8, at + length);
		at += length;
	}
	return count;
}

static void test_lengths(void **state)
{
	(void)state;
	build_whole(&built);
	assert_int_equal(edit_lengths(24, built.size), 22);
	read_built();
	assert_string_equal(shown(), WHOLE);
}

static void test_too_short(void **state)
{
	static const struct {
		unsigned type;
		size_t size;
	} table[] = {{0x06, 16}, {0x0a, 16}, {0x0d, 2}, {0x11, 4}, {0x12, 8}, {0x13, 4},
	    {0x14, 4}, {0x17, 4}, {0x1b, 4}, {0x1f, 4}, {0x30, 4}, {0x3b, 16}, {0x50, 4}};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		for (size_t size = 0; size <= table[i].size + 1; size++) {
			begin(&built);
			object(&built, MUST, table[i].type);
			put_counted(&built, 1, size);
			end_object(&built);
			read_built();
			if (size >= table[i].size) {
				assert_int_equal(records.code, RH_OK);
				continue;
			}
			check_error(
			    table[i].type == 0x0a ? RH_E_LICENSE_KEY_ID : RH_E_LICENSE_INVALID,
			    "a/b.xmr: XMR licence: the object at byte 24 is too short");
		}
		begin(&built);
		empty(&built, CONTAINER, table[i].type);
		read_built();
		check_error(RH_E_LICENSE_INVALID, "is a container where a value belongs");
	}
}

static void test_nesting(void **state)
{
	(void)state;
	for (size_t depth = 1; depth <= 40; depth++) {
		begin(&built);
		for (size_t i = 0; i < depth; i++)
			object(&built, CONTAINER, i % 2 == 0 ? 0x01 : 0x7777);
		number(&built, 0x13, 60);
		for (size_t i = 0; i < depth; i++)
			end_object(&built);
		read_built();
		if (depth < 16)
			assert_string_equal(shown(), ID "||||1970-01-01T00:01:00Z||||no ");
		else
			check_error(RH_E_LICENSE_INVALID, "byte 144 is nested too deep");
	}
}

/* As many of the smallest objects as there may be. */
static void test_many(void **state)
{
	static uint8_t bytes[LICENSE_MAX];
	size_t size = 24;

	(void)state;
	begin(&built);
	memcpy(bytes, built.bytes, size);
	for (; size + 8 <= sizeof bytes; size += 8)
		bytes[size + 7] = 8;
	records_read(&records, bytes, size, "x", NULL);
	assert_string_equal(shown(), ID "||||||||no ");
}

static void test_header(void **state)
{
	(void)state;
	begin(&built);
	read_built();
	check_error(RH_E_LICENSE_INVALID, "cut off in its header");
	records_read(&records, "XMRX", 4, "x", "xmr");
	check_error(RH_E_LICENSE_INVALID, "does not begin like one");
	/* Any version. */
	begin(&built);
	empty(&built, 0, 0x01);
	put_u32be(built.bytes + 4, UINT32_MAX);
	read_built();
	assert_string_equal(shown(), ID "||||||||no ");
}

static void test_changed(void **state)
{
	(void)state;
	build_whole(&built);
	for (size_t at = 0; at < built.size; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			built.bytes[at] ^= (uint8_t)(1U << bit);
			read_built();
			/* Nothing makes it a licence that may be backed up. */
			if (records.code == RH_OK)
				assert_string_not_equal(shown(), "");
			built.bytes[at] ^= (uint8_t)(1U << bit);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_whole),
	    cmocka_unit_test(test_small),
	    cmocka_unit_test(test_several),
	    cmocka_unit_test(test_backup),
	    cmocka_unit_test(test_conditions),
	    cmocka_unit_test(test_unknown),
	    cmocka_unit_test(test_truncated),
	    cmocka_unit_test(test_lengths),
	    cmocka_unit_test(test_too_short),
	    cmocka_unit_test(test_nesting),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_header),
	    cmocka_unit_test(test_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
