#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "records.h"
#include "wmdrm.h"

/* ---- documents and the records they make ---- */

struct good {
	const char *document;
	const char *record; /* behind the ids, if it begins with '|' */
};

static void check_good(const struct good *good)
{
	static struct records records;
	char text[RECORD_TEXT_SIZE], expected[RECORD_TEXT_SIZE];

	records_read(&records, good->document, strlen(good->document), "good.xml", NULL);
	if (records.code != RH_OK)
		fail_msg("%s\n%s", records.error.text, good->document);
	assert_int_equal(records.count, 1);
	assert_string_equal(records.items[0].format, "wmdrm");
	record_text(text, &records.items[0]);
	snprintf(expected, sizeof expected, "%s%s",
	    good->record[0] == '|' ? LID_TEXT "|" KID_TEXT : "", good->record);
	if (strcmp(text, expected) != 0)
		fail_msg("%s\nis      %s\nand not %s", good->document, text, expected);
}

#define CHECK_ALL(table)                                                                       \
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)                            \
	check_good(&table[i])

static void test_shapes(void **state)
{
	static const struct good table[] = {
	    {PLAIN(IDS BACKUP), "|||||||yes"},
	    {ENVELOPE(PLAIN(IDS BACKUP)), "|||||||yes"},
	    {"\n <LICENSE>" DATA(IDS BACKUP) "<LICENSORINFO/></LICENSE>\n", "|||||||yes"},
	    {"\xef\xbb\xbf<?xml version='1.0' encoding='utf-8'?>" PLAIN(IDS BACKUP),
		"|||||||yes"},
	    /* The bytes are UTF-8, whatever the declaration says. */
	    {"<?xml version='1.0' encoding='UTF-16'?>" PLAIN(
		 IDS "<META name='title'>\xc3\xa9</META>"),
		"||\xc3\xa9|||||no"},
	    {"<?xml version='1.0' encoding='ISO-8859-1'?>" PLAIN(
		 IDS "<META name='title'>\xe9</META>"),
		"||\xc3\xa9|||||no"},
	    {"<?xml version='1.0' encoding=\"windows-1252\" ?>" PLAIN(
		 IDS "<META name='title'>\x93\x80\x94</META>"),
		"||\xe2\x80\x9c\xe2\x82\xac\xe2\x80\x9d|||||no"},
	    {ENVELOPE("<REVOCATION type='x'>AAAA</REVOCATION><OTHER><LICENSE/></OTHER>" PLAIN(
		 IDS BACKUP)),
		"|||||||yes"},
	    /* A DATA deeper down is another one. */
	    {"<LICENSE><DATA>" IDS "<X><DATA><LID>other</LID></DATA></X></DATA></LICENSE>",
		"|||||||no"},
	    {"<d:LICENSE xmlns:d='urn:d'><d:DATA>" IDS BACKUP "</d:DATA></d:LICENSE>",
		"|||||||yes"},
	    /* With DATA in it, it is XML whatever its version says. */
	    {"<LICENSE version='3.0.0.0'>" DATA(IDS BACKUP) "</LICENSE>", "|||||||yes"},
	};

	(void)state;
	CHECK_ALL(table);
}

static void test_identifiers(void **state)
{
	static const struct good table[] = {
	    {PLAIN("<LID>00112233-4455-6677-8899-aabbccddeeff</LID>"), LID_TEXT "||||||||no"},
	    {PLAIN("<LID> \n{00112233-4455-6677-8899-AAbbCCddEEff}\t</LID>"),
		LID_TEXT "||||||||no"},
	    {PLAIN("<LID>MyIRAFVEd2aImaq7zN3u/w==</LID>"), LID_TEXT "||||||||no"},
	    {PLAIN("<LID>MyIRAFVEd2aImaq7zN3u*w==</LID>"), LID_TEXT "||||||||no"},
	    {PLAIN("<LID>MyIRAFVEd2a\n  Imaq7zN3u/w==</LID>"), LID_TEXT "||||||||no"},
	    {PLAIN("<LID>Shop-17/4711</LID><KID>song:4711</KID>"),
		"Shop-17/4711|song:4711|||||||no"},
	    {PLAIN("<LID>a</LID><KID>{01020304-0506-0708-090A-0B0C0D0E0F10}</KID>"),
		"a|01020304-0506-0708-090a-0b0c0d0e0f10|||||||no"},
	    {PLAIN("<LID>a</LID><KID>!*!*!*!*!*!*!*!*!*!*!w==</KID>"),
		"a|fbbffffb-bfff-fffb-bffb-ffbffbffbffb|||||||no"},
	    {PLAIN("<LID>a</LID><KID>AQID</KID>"), "a|AQID|||||||no"},
	    {PLAIN("<LID>a<!-- no --><![CDATA[b]]>&#99;</LID>"), "abc||||||||no"},
	};

	(void)state;
	CHECK_ALL(table);
}

static void test_synthesized_id(void **state)
{
	static const char one[] = "<LICENSE><DATA/></LICENSE>";
	static const char three[] =
	    ENVELOPE("<LICENSE><DATA/></LICENSE><LICENSE><DATA/></LICENSE>" PLAIN(IDS));
	static struct records records;

	(void)state;
	/* echo -n '...' | sha256sum */
	records_read(&records, one, strlen(one), "x", NULL);
	assert_int_equal(records.code, RH_OK);
	assert_string_equal(records.items[0].id, "sha256-a40098df5acb323c1fa1c508e94e3b17");
	records_read(&records, three, strlen(three), "x", NULL);
	assert_int_equal(records.code, RH_OK);
	assert_int_equal(records.count, 3);
	assert_string_equal(records.items[0].id, "sha256-384fb78b4445ae8c3385d5d1c25c388c");
	assert_string_equal(records.items[1].id, "sha256-384fb78b4445ae8c3385d5d1c25c388c-2");
	assert_string_equal(records.items[2].id, LID_TEXT);
}

static void test_meta(void **state)
{
	static const struct good table[] = {
	    {PLAIN(
		 IDS "<META name='title'>A &amp; B</META><META name='distributor'>Shop</META>"),
		"|Shop|A & B|||||no"},
	    {PLAIN(IDS "<META NAME='Title' value='A'/><META name='title'>B</META>"),
		"||A|||||no"},
	    {PLAIN(IDS "<META><title> A\n</title><DISTRIBUTOR>Shop</DISTRIBUTOR></META>"),
		"|Shop|A|||||no"},
	    {PLAIN(IDS "<META><NAME>A</NAME></META>"), "||A|||||no"},
	    {PLAIN(IDS "<META><NAME>A</NAME><TITLE>B</TITLE></META>"), "||B|||||no"},
	    {PLAIN(IDS "<META><ITEM name='title'>A</ITEM></META>"), "||A|||||no"},
	    {PLAIN(IDS "<META><title>A<b>C</b></title><x><title>D</title></x></META>"),
		"|||||||no"},
	    {PLAIN(IDS "<META name='url'>https://me@Shop.Example:8080/a?b</META>"),
		"|shop.example||||||no"},
	    {PLAIN(IDS "<META name='url'>http://shop.example</META>"), "|shop.example||||||no"},
	    {PLAIN(IDS "<META name='url'>http://a b/</META>"), "|||||||no"},
	    {PLAIN(IDS "<META name='url'>shop.example</META>"), "|||||||no"},
	    {PLAIN(IDS "<META name='url'>http://</META>"), "|||||||no"},
	    /* Control characters that XML allows become spaces. */
	    {PLAIN(IDS "<META name='title'>A\tB&#10;C&#127;D&#133;E</META>"),
		"||A B C D E|||||no"},
	    {PLAIN(IDS "<META name='artist'>A</META><META/><META name='title'></META>"),
		"|||||||no"},
	};

	(void)state;
	CHECK_ALL(table);
}

static void test_long_title(void **state)
{
	static struct records records;
	static char document[8192];
	size_t length;

	(void)state;
	strcpy(document, "<LICENSE><DATA>" IDS "<META name='title'>x");
	for (int i = 0; i < 600; i++)
		strcat(document, "\xc3\xa9");
	strcat(document, "</META></DATA></LICENSE>");
	records_read(&records, document, strlen(document), "x", NULL);
	assert_int_equal(records.code, RH_OK);
	/* 511 bytes are an x and 255 whole characters. */
	length = strlen(records.items[0].title);
	assert_int_equal(length, 511);
	assert_memory_equal(records.items[0].title + length - 2, "\xc3\xa9", 2);
}

static void test_dates(void **state)
{
	static const struct good table[] = {
#define ISSUED(text, record) {PLAIN(IDS "<ISSUEDATE>" text "</ISSUEDATE>"), record}
	    ISSUED("20070119 21:15:40Z", "|||2007-01-19T21:15:40Z||||no"),
	    ISSUED("#20070119 21:15:40Z#", "|||2007-01-19T21:15:40Z||||no"),
	    ISSUED(" # 20070119 21:15:40Z #\n", "|||2007-01-19T21:15:40Z||||no"),
	    ISSUED("20070119Z", "|||2007-01-19T00:00:00Z||||no"),
	    ISSUED("20070119 Z", "|||2007-01-19T00:00:00Z||||no"),
	    ISSUED("20070119 21Z", "|||2007-01-19T21:00:00Z||||no"),
	    ISSUED("20070119 21:15Z", "|||2007-01-19T21:15:00Z||||no"),
	    ISSUED("20080229Z", "|||2008-02-29T00:00:00Z||||no"),
	    /* Not understood is unknown, and no error. */
	    ISSUED("20070229Z", "|||||||no"),
	    ISSUED("20070119 21:15:40", "|||||||no"),
	    ISSUED("20070119", "|||||||no"),
	    ISSUED("#20070119Z", "|||||||no"),
	    ISSUED("20070119 25Z", "|||||||no"),
	    ISSUED("20070119 2Z", "|||||||no"),
	    ISSUED("20070119 21:15:40:00Z", "|||||||no"),
	    ISSUED("20070119 21:Z", "|||||||no"),
	    ISSUED("2007011Z", "|||||||no"),
	    ISSUED("2007-01-19Z", "|||||||no"),
	    ISSUED("yesterday", "|||||||no"),
	    ISSUED("#", "|||||||no"),
	    ISSUED("##", "|||||||no"),
	    ISSUED("", "|||||||no"),
	};

	(void)state;
	CHECK_ALL(table);
}

static void test_times(void **state)
{
	static const struct good table[] = {
#define PLAY(condition, record) {PLAIN(IDS RULE("Play", condition)), record}
	    PLAY("machine.datetime < #20080701 00:00:00Z#", "|||||2008-07-01T00:00:00Z||no"),
	    PLAY("Machine.DateTime <= #20080701Z#", "|||||2008-07-01T00:00:00Z||no"),
	    PLAY("machine.datetime > #20080701Z#", "||||2008-07-01T00:00:00Z|||no"),
	    PLAY("machine.datetime>=#20080701Z#", "||||2008-07-01T00:00:00Z|||no"),
	    PLAY("#20080701Z# > machine.datetime", "|||||2008-07-01T00:00:00Z||no"),
	    PLAY("#20080701Z# <= machine.datetime", "||||2008-07-01T00:00:00Z|||no"),
	    PLAY("app.x == 7 && machine.datetime >= #20080601Z# && machine.datetime < "
		 "#20080701Z# "
		 "&& player.y",
		"||||2008-06-01T00:00:00Z|2008-07-01T00:00:00Z||no"),
	    /* The narrowest. */
	    PLAY("machine.datetime < #20080701Z# && machine.datetime < #20070701Z# && "
		 "machine.datetime < #20090701Z#",
		"|||||2007-07-01T00:00:00Z||no"),
	    PLAY("machine.datetime > #20080701Z# && machine.datetime > #20090701Z# && "
		 "machine.datetime > #20070701Z#",
		"||||2009-07-01T00:00:00Z|||no"),
	    /* Anything but a flat conjunction says nothing. */
	    PLAY("machine.datetime < #20080701Z# || app.x == 1", "|||||||no"),
	    PLAY("(machine.datetime < #20080701Z#)", "|||||||no"),
	    PLAY("!machine.datetime < #20080701Z#", "|||||||no"),
	    PLAY("machine.datetime < #20080701Z# &&", "|||||||no"),
	    PLAY("&& machine.datetime < #20080701Z#", "|||||||no"),
	    PLAY("machine.datetime < #20080701Z# app.x", "|||||||no"),
	    PLAY("machine.datetime < #20080701#", "|||||||no"),
	    PLAY("machine.datetime < #20080701Z", "|||||||no"),
	    PLAY("machine.datetime = #20080701Z#", "|||||||no"),
	    PLAY("machine.datetime != #20080701Z#", "|||||||no"),
	    PLAY("machine.datetime < secstate.end", "|||||||no"),
	    PLAY("machine.datetimes < #20080701Z#", "|||||||no"),
	    PLAY("machine.datetime <", "|||||||no"),
	    PLAY("machine.datetime < 20080701", "|||||||no"),
	    /* Other actions do not limit the licence; two for one action are a riddle. */
	    {PLAIN(IDS RULE("Copy", "machine.datetime < #20080701Z#")), "|||||||no"},
	    {PLAIN(IDS RULE("Play", "machine.datetime < #20080701Z#") RULE("PLAY", "true")),
		"|||||||no"},
	    {PLAIN(IDS "<ONACTION type='Play'><CONDITION>machine.datetime &lt; "
		       "#20080701Z#</CONDITION></ONACTION>"),
		"|||||2008-07-01T00:00:00Z||no"},
	};

	(void)state;
	CHECK_ALL(table);
}

static void test_counts(void **state)
{
	static const struct good table[] = {
#define COUNTED(store, condition, action, counts)                                              \
	{PLAIN(IDS ON_STORE(store) RULE_DOING("Play", condition, action)),                     \
	    "||||||" counts "|no"}
	    COUNTED("secstate.n = 5", "secstate.n > 0", "secstate.n--", "play:5"),
	    COUNTED(
		"secstate.n=0;", "secstate.n >= 1", "secstate.n = secstate.n - 1", "play:0"),
	    COUNTED("x = 1; SecState.N = 5; y = #20080701Z#", "0 < secstate.n",
		"a = b; secstate.N--", "play:5"),
	    COUNTED("secstate.n = 9223372036854775807", "secstate.n > 0", "secstate.n--",
		"play:9223372036854775807"),
	    COUNTED("secstate.n = 5; secstate.m = 3",
		"secstate.n > 0 && app.minsec >= 1 && secstate.m > 0",
		"secstate.n--; secstate.m--", "play:3"),
	    /* Not counted down, not set, set to what is no number, set twice, or more than
	       that. */
	    COUNTED("secstate.n = 5", "secstate.n > 0", "", ""),
	    COUNTED("secstate.n = 5", "secstate.n > 0", "secstate.m--", ""),
	    COUNTED("secstate.m = 5", "secstate.n > 0", "secstate.n--", ""),
	    COUNTED("secstate.n = secstate.m", "secstate.n > 0", "secstate.n--", ""),
	    COUNTED("secstate.n = 5; secstate.n = 6", "secstate.n > 0", "secstate.n--", ""),
	    COUNTED("secstate.n = 5; secstate.m = secstate.n", "secstate.n > 0", "secstate.n--",
		""),
	    COUNTED("secstate.n = 5", "secstate.n > 0", "secstate.n--; secstate.n--", ""),
	    COUNTED("secstate.n = 5", "secstate.n > 0", "secstate.n = secstate.n - 2", ""),
	    COUNTED("secstate.n = 5", "secstate.n > 0", "secstate.n = secstate.n - 1 - 1", ""),
	    COUNTED("secstate.n = 5", "secstate.n > 1", "secstate.n--", ""),
	    COUNTED("secstate.n = 5", "secstate.n < 9", "secstate.n--", ""),
	    COUNTED("secstate.n = 5", "secstate.n > 0 || app.x", "secstate.n--", ""),
	    COUNTED("secstate.n = -5", "secstate.n > 0", "secstate.n--", ""),
	    COUNTED("secstate.n = 5x", "secstate.n > 0", "secstate.n--", ""),
	    COUNTED("secstate.n = 9223372036854775808", "secstate.n > 0", "secstate.n--", ""),
	    COUNTED(
		"secstate.n = 99999999999999999999999", "secstate.n > 0", "secstate.n--", ""),
	    COUNTED("other.n = 5", "other.n > 0", "other.n--", ""),
	    /* What is stored under a condition may not have been stored. */
	    {PLAIN(IDS
		 "<ONSTORE><CONDITION>app.x > 1</CONDITION><ACTION>secstate.n = "
		 "5</ACTION></ONSTORE>" RULE_DOING("Play", "secstate.n > 0", "secstate.n--")),
		"|||||||no"},
	    {PLAIN(IDS
		 "<ONSTORE><CONDITION>true</CONDITION><ACTION>secstate.n = "
		 "5</ACTION></ONSTORE>" RULE_DOING("Play", "secstate.n > 0", "secstate.n--")),
		"||||||play:5|no"},
	    {PLAIN(IDS ON_STORE("secstate.n = 5") ON_STORE("secstate.n = 6")
		     RULE_DOING("Play", "secstate.n > 0", "secstate.n--")),
		"|||||||no"},
	    /* ONSTORE may stand behind; every action has its own count. */
	    {PLAIN(IDS RULE_DOING("CopyToCD", "secstate.b > 0", "secstate.b--")
		     RULE_DOING("Play", "secstate.p > 0", "secstate.p--")
			 ON_STORE("secstate.p = 9; secstate.b = 7")),
		"||||||copytocd:7,play:9|no"},
	    {PLAIN(IDS ON_STORE("secstate.n = 5") RULE_DOING("Play", "secstate.n > 0",
		 "secstate.n--") RULE_DOING("play", "secstate.n > 0", "secstate.n--")),
		"|||||||no"},
	};

	(void)state;
	CHECK_ALL(table);
}

static void test_backup_right(void **state)
{
	static const struct good table[] = {
	    {PLAIN(IDS), "|||||||no"},
	    {PLAIN(IDS RULE("Play", "true")), "|||||||no"},
	    {PLAIN(IDS "<ONACTION type='backup'/>"), "|||||||yes"},
	    {PLAIN(IDS RULE(" BACKUP ", " \n")), "|||||||yes"},
	    {PLAIN(IDS RULE("Backup", "true")), "|||||||yes"},
	    {PLAIN(IDS RULE("Backup", "TRUE")), "|||||||yes"},
	    {PLAIN(IDS RULE("Backup", "1")), "|||||||yes"},
	    {PLAIN(IDS RULE("Backup", "app.minsec >= 150")), "|||||||yes"},
	    {PLAIN(IDS RULE("Backup", "150 <= APP.minsec")), "|||||||yes"},
	    {PLAIN(IDS RULE("Backup", "machine.drmlevel >= 1000 && app.minsec>=1&&1")),
		"|||||||yes"},
	    {PLAIN(IDS RULE("Backup", "false")), "|||||||no"},
	    {PLAIN(IDS RULE("Backup", "0")), "|||||||no"},
	    {PLAIN(IDS RULE("Backup", "app.minsec >= 150 && False")), "|||||||no"},
	    {PLAIN(IDS RULE("Backup", "app.mystery && false")), "|||||||no"},
	    {PLAIN(IDS RULE("Backup", "2")), "|||||||unknown"},
	    {PLAIN(IDS RULE("Backup", "app.minsec > 150")), "|||||||unknown"},
	    {PLAIN(IDS RULE("Backup", "app.minsec < 150")), "|||||||unknown"},
	    {PLAIN(IDS RULE("Backup", "app.minsec >= app.minsec")), "|||||||unknown"},
	    {PLAIN(IDS RULE("Backup", "app.minsec >= 99999999999999999999")), "|||||||unknown"},
	    {PLAIN(IDS RULE("Backup", "app.minsec")), "|||||||unknown"},
	    {PLAIN(IDS RULE("Backup", "!false")), "|||||||unknown"},
	    {PLAIN(IDS RULE("Backup", "true || false")), "|||||||unknown"},
	    {PLAIN(IDS RULE("Backup", "(true)")), "|||||||unknown"},
	    {PLAIN(IDS RULE("Backup", "true &")), "|||||||unknown"},
	    {PLAIN(IDS RULE("Backup", "true true")), "|||||||unknown"},
	    {PLAIN(IDS RULE("Backup", "machine.datetime < #20300101Z#")), "|||||||unknown"},
	    {PLAIN(IDS RULE("Backup", "secstate.n > 0")), "|||||||unknown"},
	    {PLAIN(IDS RULE("Backups", "")), "|||||||no"},
	    {PLAIN(IDS RULE("Back up", "")), "|||||||no"},
	    {PLAIN(IDS RULE("CREATE_SOMETHING_WITH_A_LONG_NAME_BACKUP", "")), "|||||||no"},
	    /* Several must agree. */
	    {PLAIN(IDS RULE("Backup", "") RULE("BACKUP", "1")), "|||||||yes"},
	    {PLAIN(IDS RULE("Backup", "") RULE("BACKUP", "0")), "|||||||no"},
	    {PLAIN(IDS RULE("Backup", "0") RULE("BACKUP", "")), "|||||||no"},
	    {PLAIN(IDS RULE("Backup", "app.x") RULE("BACKUP", "1")), "|||||||unknown"},
	    {PLAIN(IDS RULE("Backup", "") RULE("BACKUP", "app.x")), "|||||||unknown"},
	    /* One condition an action; no action without a name. */
	    {PLAIN(IDS "<ONACTION type='Backup'><CONDITION/><CONDITION/></ONACTION>"),
		"|||||||unknown"},
	    {PLAIN(IDS BACKUP "<ONACTION><CONDITION>1</CONDITION></ONACTION>"),
		"|||||||unknown"},
	    /* A backup that may not be restored is none. */
	    {PLAIN(IDS BACKUP RULE("Restore", "true")), "|||||||yes"},
	    {PLAIN(IDS BACKUP RULE("RESTORE", "false")), "|||||||no"},
	    {PLAIN(IDS BACKUP RULE("Restore", "app.x")), "|||||||unknown"},
	    {PLAIN(IDS RULE("Restore", "")), "|||||||no"},
	    /* In ONSTORE, META or elsewhere it is no action of the licence. */
	    {PLAIN(IDS "<ONSTORE>" BACKUP "</ONSTORE>"), "|||||||no"},
	    {PLAIN(IDS "<META>" BACKUP "</META>"), "|||||||no"},
	    {"<LICENSE><DATA>" IDS "</DATA>" BACKUP "</LICENSE>", "|||||||no"},
	};

	(void)state;
	CHECK_ALL(table);
}

static void test_reasons(void **state)
{
	static const struct {
		const char *document, *reason;
	} table[] = {
	    {PLAIN(IDS BACKUP), ""},
	    {PLAIN(IDS), "the licence does not grant the right to back up"},
	    {PLAIN(IDS RULE("Backup", "false")),
		"the licence does not grant the right to back up"},
	    {PLAIN(IDS RULE("Backup", "app.x")),
		"the licence's rule for backup is not understood"},
	    {PLAIN(IDS BACKUP RULE("Restore", "0")),
		"the licence does not grant the right to restore"},
	    {PLAIN(IDS BACKUP RULE("Restore", "app.x")),
		"the licence's rule for restore is not understood"},
	};
	static struct records records;

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		records_read(&records, table[i].document, strlen(table[i].document), "x", NULL);
		assert_int_equal(records.code, RH_OK);
		assert_string_equal(records.items[0].reason, table[i].reason);
	}
}

static void test_many_rules(void **state)
{
	static struct records records;
	static char document[65536];

	(void)state;
	for (int count = 31; count <= 33; count++) {
		strcpy(document, "<LICENSE><DATA>" IDS BACKUP);
		for (int i = 1; i < count; i++)
			strcat(document, RULE("X", "true"));
		strcat(document, "</DATA></LICENSE>");
		records_read(&records, document, strlen(document), "x", NULL);
		assert_int_equal(records.code, RH_OK);
		assert_int_equal(
		    records.items[0].backup, count <= 32 ? LICENSE_YES : LICENSE_UNKNOWN);
	}
}

static void test_long_condition(void **state)
{
	static struct records records;
	static char document[65536];

	(void)state;
	strcpy(document, "<LICENSE><DATA>" IDS "<ONACTION type='Backup'><CONDITION>");
	memset(document + strlen(document), ' ', 20000);
	strcat(document, "</CONDITION></ONACTION></DATA></LICENSE>");
	records_read(&records, document, strlen(document), "x", NULL);
	assert_int_equal(records.code, RH_OK);
	assert_int_equal(records.items[0].backup, LICENSE_UNKNOWN);
}

/* ---- other encodings of the whole document ---- */

static void test_utf16(void **state)
{
	static const char document[] = "<?xml version='1.0' encoding='UTF-16'?>" PLAIN(
	    IDS BACKUP "<META name='title'>\xc3\x89tude \xf0\x9d\x84\x9e</META>");
	static struct records records;
	uint8_t bytes[2048];
	size_t size;

	(void)state;
	for (int i = 0; i < 4; i++) {
		size = records_utf16(bytes, document, i & 1, i & 2);
		records_read(&records, bytes, size, "wide.xml", NULL);
		assert_int_equal(records.code, RH_OK);
		assert_string_equal(records.items[0].id, LID_TEXT);
		assert_string_equal(records.items[0].title, "\xc3\x89tude \xf0\x9d\x84\x9e");
		/* Half a unit, half a surrogate pair. */
		records_read(&records, bytes, size - 1, "wide.xml", NULL);
		assert_int_equal(records.code, RH_E_LICENSE_XML);
	}
	size = records_utf16(bytes, document, true, true);
	for (size_t at = 0; at + 1 < size; at += 2)
		if (bytes[at + 1] == 0xd8)
			bytes[at + 1] = 0xdc;
	records_read(&records, bytes, size, "wide.xml", NULL);
	assert_int_equal(records.code, RH_E_LICENSE_XML);
	assert_non_null(strstr(records.error.text, "surrogate"));
}

static void test_rights(void **state)
{
	static const struct {
		const char *document, *rights;
	} table[] = {
	    {PLAIN(IDS), ""},
	    {PLAIN(IDS BACKUP RULE("Restore", "")), ""},
	    {PLAIN(IDS RULE("Play", "") RULE("COPYTOCD", "true")), "play,copytocd"},
	    {PLAIN(IDS RULE("Play", "app.minsec >= 150 && machine.datetime < "
				    "#20080701 00:00:00Z#")),
		"play"},
	    {PLAIN(IDS ON_STORE("secstate.n = 5")
		     RULE_DOING("Play", "secstate.n > 0", "secstate.n--")),
		"play:5"},
	    {PLAIN(IDS ON_STORE("secstate.n = 5; secstate.m = 3") RULE_DOING(
		 "Play", "secstate.n > 0 && secstate.m >= 1", "secstate.n--; secstate.m--")
		     RULE("Copy", "1")),
		"play:3,copy"},
	    {PLAIN(IDS RULE("Play", "0") RULE("Copy", "")), "copy"},
	    {PLAIN(IDS RULE("Play", "0 && secstate.x == 2")), ""},
	    /* Not understood, so not granted. */
	    {PLAIN(IDS RULE("Play", "secstate.n > 0") RULE("Copy", "")), "copy vague"},
	    {PLAIN(IDS RULE_DOING("Play", "secstate.n > 0", "secstate.n--")), " vague"},
	    {PLAIN(IDS ON_STORE("secstate.n = 5") RULE("Play", "secstate.n > 0")), " vague"},
	    {PLAIN(IDS RULE("Play", "a || b")), " vague"},
	    {PLAIN(IDS RULE("Play", "machine.datetime != #20080701 00:00:00Z#")), " vague"},
	    {PLAIN(IDS RULE("Play", "") RULE("Play", "")), " vague"},
	    {PLAIN(IDS RULE("", "") RULE("Copy", "")), "copy vague"},
	    {PLAIN(IDS RULE("a&#10;b", "") RULE("Copy", "")), "copy vague"},
	    {PLAIN(IDS "<ONACTION type='Play'><CONDITION/><CONDITION/></ONACTION>"), " vague"},
	    /* The record has the times of Play alone. */
	    {PLAIN(IDS RULE("Play", "machine.datetime < #20080701Z#")
		     RULE("Copy", "machine.datetime <= #20080801Z#")),
		"play,copy"},
	    {PLAIN(IDS RULE("Play", "machine.datetime < #20080701Z#")
		     RULE("Copy", "machine.datetime <= #20080601Z#")),
		"play vague"},
	    {PLAIN(IDS RULE("Play", "") RULE("Copy", "machine.datetime > #20080601Z#")),
		"play vague"},
	};
	static struct records records;
	char text[RECORD_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		records_read(&records, table[i].document, strlen(table[i].document), "x", NULL);
		if (records.code != RH_OK)
			fail_msg("%s\n%s", records.error.text, table[i].document);
		record_rights(text, &records, 0);
		if (strcmp(text, table[i].rights) != 0)
			fail_msg("%s\nis      %s\nand not %s", table[i].document, text,
			    table[i].rights);
	}
}

static void test_many_rights(void **state)
{
	static struct records records;
	static char document[16384];
	char *at;

	(void)state;
	for (size_t count = 15; count <= 33; count++) {
		at = stpcpy(document, "<LICENSE><DATA>" IDS);
		for (size_t i = 0; i < count; i++)
			at += sprintf(at, "<ONACTION type='a%zu'/>", i);
		strcpy(at, "</DATA></LICENSE>");
		records_read(&records, document, strlen(document), "x", NULL);
		assert_int_equal(records.code, RH_OK);
		assert_int_equal(records.rights[0].action_count, count > 32   ? 0
								 : count > 16 ? 16
									      : count);
		assert_int_equal(records.rights[0].vague, count > 16);
	}
}

static void test_envelope_of_many(void **state)
{
	static struct records records;
	static char document[65536];

	(void)state;
	for (int count = 255; count <= 257; count++) {
		strcpy(document, "<LICENSERESPONSE>");
		for (int i = 0; i < count; i++)
			sprintf(document + strlen(document),
			    "<LICENSE><DATA><LID>id-%d</LID></DATA></LICENSE>", i);
		strcat(document, "</LICENSERESPONSE>");
		records_read(&records, document, strlen(document), "x", NULL);
		assert_int_equal(records.code, count <= 256 ? RH_OK : RH_E_LICENSE_INVALID);
		if (count > 256)
			continue;
		assert_int_equal(records.count, count);
		assert_string_equal(
		    records.items[count - 1].id, count == 255 ? "id-254" : "id-255");
		/* Nothing of one licence is left in the next. */
		assert_string_equal(records.items[1].title, "");
	}
}

/* ---- errors ---- */

static void test_errors(void **state)
{
	static const struct {
		const char *document;
		int code;
		const char *text;
	} table[] = {
	    {"<html><body/></html>", RH_E_LICENSE_FORMAT, "its root element is html"},
	    {"<license/>", RH_E_LICENSE_FORMAT, "its root element is license"},
	    {"<LICENSERESPONSE/>", RH_E_LICENSE_INVALID, "the envelope holds no LICENSE"},
	    {"<LICENSE/>", RH_E_LICENSE_INVALID, "LICENSE 1 is empty"},
	    {"<LICENSE><LICENSORINFO/></LICENSE>", RH_E_LICENSE_INVALID,
		"LICENSE 1 has no DATA"},
	    {"<LICENSE>*?</LICENSE>", RH_E_LICENSE_INVALID,
		"neither a DATA element nor base64"},
	    {ENVELOPE(PLAIN(IDS) "<LICENSE/>"), RH_E_LICENSE_INVALID, "LICENSE 2 is empty"},
	    {ENVELOPE(PLAIN(IDS) PLAIN(IDS)), RH_E_LICENSE_INVALID, "have the same id"},
	    {"<LICENSE><DATA/><DATA/></LICENSE>", RH_E_LICENSE_INVALID, "two DATA"},
	    {PLAIN("<LID>a</LID><LID>a</LID>"), RH_E_LICENSE_INVALID, "two LID"},
	    {PLAIN("<LID/>"), RH_E_LICENSE_INVALID, "malformed LID"},
	    {PLAIN("<LID>a b</LID>"), RH_E_LICENSE_INVALID, "malformed LID"},
	    {PLAIN("<LID>a&#127;b</LID>"), RH_E_LICENSE_INVALID, "malformed LID"},
	    {PLAIN("<LID>a&#133;b</LID>"), RH_E_LICENSE_INVALID, "malformed LID"},
	    {PLAIN("<LID>a<b/></LID>"), RH_E_LICENSE_INVALID, "only text belongs"},
	    {PLAIN("<KID>a</KID><KID>a</KID>"), RH_E_LICENSE_KEY_ID, "two KID"},
	    {PLAIN("<KID> </KID>"), RH_E_LICENSE_KEY_ID, "malformed KID"},
	    {PLAIN("<KID>AQIDBAUGBwgJCgsMDQ4PE?==</KID>"), RH_E_LICENSE_KEY_ID,
		"malformed KID"},
	    {PLAIN("<KID>AQIDBAUGBwgJCgsMDQ4PEB==</KID>"), RH_E_LICENSE_KEY_ID,
		"malformed KID"},
	    {PLAIN("<KID>a\nb</KID>"), RH_E_LICENSE_KEY_ID, "malformed KID"},
	    {PLAIN("<KID><a/></KID>"), RH_E_LICENSE_KEY_ID, "only text belongs"},
	    {PLAIN("<ONACTION type='Backup'><CONDITION>0<b/></CONDITION></ONACTION>"),
		RH_E_LICENSE_INVALID, "only text belongs"},
	    {"<LICENSE>\n <DATA>\n</LICENSE>", RH_E_LICENSE_XML, "line 3, column "},
	    {"<LICENSE", RH_E_LICENSE_XML, "line 1, column "},
	    {"<", RH_E_LICENSE_XML, "line 1"},
	    {PLAIN(IDS) "<b/>", RH_E_LICENSE_XML, "something follows the root element"},
	    {PLAIN("<LID>a&b;</LID>"), RH_E_LICENSE_XML, "entity"},
	    {PLAIN("<LID>a&#1;</LID>"), RH_E_LICENSE_XML, "character"},
	    {PLAIN("<LID x='1' x='2'/>"), RH_E_LICENSE_XML, "attribute"},
	    {"<!DOCTYPE LICENSE>" PLAIN(IDS), RH_E_LICENSE_XML, "document type"},
	    {"<!DOCTYPE LICENSE SYSTEM 'http://x.example/y'>" PLAIN(IDS), RH_E_LICENSE_XML,
		"document type"},
	    {"<!DOCTYPE l [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>"
	     "<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>]>" PLAIN("<LID>&c;</LID>"),
		RH_E_LICENSE_XML, "document type"},
	    {"<!DOCTYPE l [<!ENTITY f SYSTEM 'file:///etc/passwd'>]>" PLAIN("<LID>&f;</LID>"),
		RH_E_LICENSE_XML, "document type"},
	    {"<?xml version='1.0' encoding='KOI8-R'?>\n<LICENSE>\xe9</LICENSE>",
		RH_E_LICENSE_XML, "encoding \"KOI8-R\" is not read"},
	    {"<LICENSE>\n\xc3\xa9 \xff</LICENSE>", RH_E_LICENSE_XML,
		"line 2, column 3: no UTF-8"},
	    {"<LICENSE>\n\xed\xa0\x80</LICENSE>", RH_E_LICENSE_XML,
		"line 2, column 1: no UTF-8"},
	    {"<?xml version='1.0' encoding='windows-1252'?><LICENSE>\x81</LICENSE>",
		RH_E_LICENSE_XML, "windows-1252"},
	};
	static struct records records;

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		records_read(
		    &records, table[i].document, strlen(table[i].document), "a/b.xml", NULL);
		if (records.code != table[i].code ||
		    strstr(records.error.text, table[i].text) == NULL)
			fail_msg(
			    "%s\n%d %s", table[i].document, records.code, records.error.text);
		assert_memory_equal(records.error.text, "a/b.xml: ", 9);
	}
}

static void test_long_identifiers(void **state)
{
	static struct records records;
	char document[1024];

	(void)state;
	for (int length = 254; length <= 256; length++) {
		sprintf(document, "<LICENSE><DATA><LID>%0*d</LID></DATA></LICENSE>", length, 7);
		records_read(&records, document, strlen(document), "x", NULL);
		assert_int_equal(records.code, length <= 255 ? RH_OK : RH_E_LICENSE_INVALID);
	}
	for (int length = 126; length <= 128; length++) {
		sprintf(document, "<LICENSE><DATA><KID>%0*d</KID></DATA></LICENSE>", length, 7);
		records_read(&records, document, strlen(document), "x", NULL);
		assert_int_equal(records.code, length <= 127 ? RH_OK : RH_E_LICENSE_KEY_ID);
	}
}

static void test_nul_bytes(void **state)
{
	static const char document[] = "<LICENSE><DATA><LID>a\0b</LID></DATA></LICENSE>";
	static struct records records;

	(void)state;
	records_read(&records, document, sizeof document - 1, "x", NULL);
	assert_int_equal(records.code, RH_E_LICENSE_XML);
	assert_non_null(strstr(records.error.text, "line 1, column 22"));
	records_read(&records, document, sizeof document, "x", NULL);
	assert_int_equal(records.code, RH_E_LICENSE_XML);
}

static void test_depth(void **state)
{
	static struct records records;
	static char document[LICENSE_MAX];
	char *at;

	(void)state;
	for (int depth = 63; depth <= 65; depth++) {
		at = stpcpy(document, "<LICENSE><DATA>" IDS);
		for (int i = 2; i < depth; i++)
			at = stpcpy(at, "<a>");
		for (int i = 2; i < depth; i++)
			at = stpcpy(at, "</a>");
		strcpy(at, "</DATA></LICENSE>");
		records_read(&records, document, strlen(document), "x", NULL);
		assert_int_equal(records.code, depth <= 64 ? RH_OK : RH_E_LICENSE_XML);
	}
	for (size_t i = 0; i + 3 <= sizeof document; i += 3)
		memcpy(document + i, "<a>", 3);
	memcpy(document, "<LICENSE>", 9);
	records_read(&records, document, sizeof document - 1, "x", NULL);
	assert_int_equal(records.code, RH_E_LICENSE_XML);
	assert_non_null(strstr(records.error.text, "nested too deep"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_shapes),
	    cmocka_unit_test(test_identifiers),
	    cmocka_unit_test(test_synthesized_id),
	    cmocka_unit_test(test_meta),
	    cmocka_unit_test(test_long_title),
	    cmocka_unit_test(test_dates),
	    cmocka_unit_test(test_times),
	    cmocka_unit_test(test_counts),
	    cmocka_unit_test(test_backup_right),
	    cmocka_unit_test(test_reasons),
	    cmocka_unit_test(test_many_rules),
	    cmocka_unit_test(test_long_condition),
	    cmocka_unit_test(test_utf16),
	    cmocka_unit_test(test_rights),
	    cmocka_unit_test(test_many_rights),
	    cmocka_unit_test(test_envelope_of_many),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_long_identifiers),
	    cmocka_unit_test(test_nul_bytes),
	    cmocka_unit_test(test_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
