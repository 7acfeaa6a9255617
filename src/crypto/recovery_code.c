#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "crypto/recovery_code.h"

#define GROUP_LENGTH 5 /* four characters and their check */
#define DATA_IN_GROUP 4
#define CODE_LENGTH (RECOVERY_CODE_GROUPS * GROUP_LENGTH)

#define SEPARATOR -1
#define UNKNOWN -2

_Static_assert(RECOVERY_CODE_GROUPS *DATA_IN_GROUP * 5 == AGE_KEY_SIZE * 8 + 4, "bits");

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* Times alpha in GF(32) = GF(2)[x] / (x^5 + x^2 + 1), alpha = x, which is primitive. */
static unsigned times_alpha(unsigned value, unsigned power)
{
	for (; power > 0; power--)
		value = value << 1 ^ (value & 16 ? 0x25 : 0);
	return value;
}

static unsigned check_of(const uint8_t values[DATA_IN_GROUP], unsigned group)
{
	unsigned check = times_alpha(1, 8 + group);

	for (unsigned i = 0; i < DATA_IN_GROUP; i++)
		check ^= times_alpha(values[i], i + 1);
	return check;
}

void recovery_code_format(char text[RECOVERY_CODE_SIZE], const struct age_identity *identity)
{
	char *p = text;
	uint8_t values[DATA_IN_GROUP];

	for (unsigned group = 0; group < RECOVERY_CODE_GROUPS; group++) {
		if (group > 0)
			*p++ = '-';
		for (unsigned i = 0; i < DATA_IN_GROUP; i++) {
			unsigned bit = (group * DATA_IN_GROUP + i) * 5, byte = bit / 8;
			unsigned two = (unsigned)identity->secret[byte] << 8;

			if (byte + 1 < AGE_KEY_SIZE)
				two |= identity->secret[byte + 1];
			values[i] = two >> (11 - bit % 8) & 31;
			*p++ = alphabet[values[i]];
		}
		*p++ = alphabet[check_of(values, group)];
	}
	*p = '\0';
	bytes_wipe(values, sizeof values);
}

/* Dashes and spaces that word processors make of "-" and " " (UTF-8); their length or 0. */
static size_t foreign_separator(const char *text)
{
	static const char *const separators[] = {
	    "\xc2\xa0", /* U+00A0 no-break space */
	    "\xe2\x80\x90", /* U+2010 hyphen */
	    "\xe2\x80\x91", /* U+2011 non-breaking hyphen */
	    "\xe2\x80\x92", /* U+2012 figure dash */
	    "\xe2\x80\x93", /* U+2013 en dash */
	    "\xe2\x80\x94", /* U+2014 em dash */
	    "\xe2\x88\x92", /* U+2212 minus sign */
	};

	for (size_t i = 0; i < sizeof separators / sizeof *separators; i++)
		if (strncmp(text, separators[i], strlen(separators[i])) == 0)
			return strlen(separators[i]);
	return 0;
}

/* Value of the character at ${*text}, which is passed over; or SEPARATOR, UNKNOWN. */
static int take_character(const char **text)
{
	size_t skip = foreign_separator(*text);
	char c = **text;
	const char *found;

	*text += skip > 0 ? skip : 1;
	if (skip > 0 || strchr(" \t\r\n-", c) != NULL)
		return SEPARATOR;
	/* Other bytes of one UTF-8 character do not count. */
	if ((c & 0xc0) == 0x80)
		return SEPARATOR;
	if (c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 'A');
	if (c == 'O')
		c = '0';
	if (c == 'I' || c == 'L')
		c = '1';
	found = strchr(alphabet, c);
	return found != NULL ? (int)(found - alphabet) : UNKNOWN;
}

/* Values of the first CODE_LENGTH characters; returns how many there are in all. */
static size_t read_values(int values[CODE_LENGTH], const char *text)
{
	size_t count = 0;

	while (*text != '\0') {
		int value = take_character(&text);

		if (value == SEPARATOR)
			continue;
		if (count < CODE_LENGTH)
			values[count] = value;
		count++;
	}
	return count;
}

static bool group_good(const int values[GROUP_LENGTH], unsigned group)
{
	uint8_t data[DATA_IN_GROUP];
	bool good;

	for (unsigned i = 0; i < GROUP_LENGTH; i++)
		if (values[i] == UNKNOWN)
			return false;
	for (unsigned i = 0; i < DATA_IN_GROUP; i++)
		data[i] = (uint8_t)values[i];
	good = check_of(data, group) == (unsigned)values[DATA_IN_GROUP];
	/* The last four bits belong to no byte. */
	if (group == RECOVERY_CODE_GROUPS - 1 && (data[DATA_IN_GROUP - 1] & 15) != 0)
		good = false;
	bytes_wipe(data, sizeof data);
	return good;
}

/* RH_E_SECRET_TYPED with the numbers of the bad groups, if there are any. */
static int check_groups(const int values[CODE_LENGTH], rh_error *error)
{
	char list[RECOVERY_CODE_GROUPS * sizeof ", 13"] = "";
	size_t length = 0, bad = 0;

	for (unsigned group = 0; group < RECOVERY_CODE_GROUPS; group++) {
		if (group_good(values + group * GROUP_LENGTH, group))
			continue;
		length += (size_t)snprintf(list + length, sizeof list - length, "%s%u",
		    bad > 0 ? ", " : "", group + 1);
		bad++;
	}
	if (bad == 0)
		return RH_OK;
	return error_set(error, RH_E_SECRET_TYPED,
	    "the recovery code has a typing error in %s %s", bad == 1 ? "group" : "groups",
	    list);
}

int recovery_code_parse(struct age_identity *identity, const char *text, rh_error *error)
{
	int values[CODE_LENGTH];
	uint8_t secret[AGE_KEY_SIZE] = {0};
	size_t count = read_values(values, text);
	int code;

	if (count != CODE_LENGTH) {
		code = error_set(error, RH_E_SECRET_TYPED,
		    "the recovery code has %zu characters rather than %d", count, CODE_LENGTH);
		goto out;
	}
	code = check_groups(values, error);
	if (code != RH_OK)
		goto out;
	for (unsigned i = 0; i < RECOVERY_CODE_GROUPS * DATA_IN_GROUP; i++) {
		unsigned value =
		    (unsigned)values[i / DATA_IN_GROUP * GROUP_LENGTH + i % DATA_IN_GROUP];
		unsigned bit = i * 5, byte = bit / 8, two = value << (11 - bit % 8);

		secret[byte] |= (uint8_t)(two >> 8);
		if (byte + 1 < AGE_KEY_SIZE)
			secret[byte + 1] |= (uint8_t)two;
	}
	code = age_identity_from_secret(identity, secret, error);
out:
	bytes_wipe(secret, sizeof secret);
	bytes_wipe(values, sizeof values);
	return code;
}

#define KEY_TEXT_PREFIX "AGE-SECRET-KEY-"

/* Past white space and the "#" lines that age-keygen writes above a key. */
static const char *skip_comments(const char *text)
{
	for (;;) {
		text += strspn(text, " \t\r\n");
		if (*text != '#')
			return text;
		text += strcspn(text, "\n");
	}
}

int recovery_key_parse(struct age_identity *identity, const char *text, rh_error *error)
{
	char key[AGE_TEXT_SIZE] = "";
	size_t length;
	int code;

	text = skip_comments(text);
	if (strncasecmp(text, KEY_TEXT_PREFIX, sizeof KEY_TEXT_PREFIX - 1) != 0)
		return recovery_code_parse(identity, text, error);
	length = strcspn(text, " \t\r\n");
	/* A longer word stays cut, and so is refused; nothing may follow it. */
	if (length < sizeof key && *skip_comments(text + length) == '\0')
		memcpy(key, text, length);
	code = age_identity_parse(identity, key, error);
	bytes_wipe(key, sizeof key);
	return code;
}
