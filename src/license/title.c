#include <string.h>

#include "base/text.h"
#include "license/signed.h"

/*
 * Titles in several languages: in the record one line of compact JSON, {"en":"a","de":"b"},
 * as signed.c writes it.  Nothing is allocated here.
 */

#define TAG_MAX 35 /* RFC 5646, section 4.4.1 */

/* ---- Tags ---- */

bool title_tag(const char *tag)
{
	size_t length = 0, part = 0;

	for (; tag[length] != '\0'; length++) {
		char c = tag[length];

		if (c == '-' && part > 0)
			part = 0;
		else if (part < 8 && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
					 (c >= '0' && c <= '9')))
			part++;
		else
			return false;
	}
	return part > 0 && length <= TAG_MAX;
}

static bool is_english(const char *tag)
{
	char first[4] = {0};

	memcpy(first, tag, strnlen(tag, 3));
	if (first[2] == '-')
		first[2] = '\0';
	return reader_same_name(first, "en");
}

/* ---- Into the record ---- */

/*
 * Writes clean text as the inside of a JSON string; whole characters, as many as fit in
 * ${capacity}.  Returns whether all of it did.
 */
static bool escape(char *target, size_t capacity, size_t *ret_size, const char *text)
{
	size_t n = 0;

	while (*text != '\0') {
		size_t length = 1, mark = *text == '"' || *text == '\\';

		while (((unsigned char)text[length] & 0xc0) == 0x80)
			length++;
		if (n + mark + length > capacity)
			break;
		if (mark > 0)
			target[n++] = '\\';
		memcpy(target + n, text, length);
		n += length;
		text += length;
	}
	*ret_size = n;
	return *text == '\0';
}

/* Adds a member, whole or not at all; the first one is cut to fit. */
static void add(struct license *license, const char *tag, const char *text, size_t size)
{
	char clean[sizeof license->title];
	size_t length = strlen(license->title), tag_size = strlen(tag), room, used;
	bool first = length == 0, whole;
	/* From the second member on, over the brace at the end. */
	char *p = license->title + (first ? 0 : length - 1);
	char *value = p + tag_size + 5;
	size_t before = (size_t)(value - license->title);

	if (before + 3 > sizeof clean || (!first && size >= sizeof clean))
		return;
	room = sizeof clean - before - 3;
	text_copy(clean, sizeof clean, text, size);
	whole = escape(value, room, &used, clean);
	if (whole || first) {
		*p++ = first ? '{' : ',';
		*p++ = '"';
		memcpy(p, tag, tag_size);
		memcpy(p + tag_size, "\":\"", 3);
		p = stpcpy(value + used, "\"");
	}
	strcpy(p, "}");
}

void title_from_text(struct license *license, const char *text, size_t size)
{
	if (text[0] == '{')
		add(license, "", text, size);
	else
		text_copy(license->title, sizeof license->title, text, size);
}

void title_from_object(struct license *license, json_t *object)
{
	const char *tag, *first = NULL;
	json_t *text;

	/* "en" goes before "en-GB", and that before others. */
	json_object_foreach(object, tag, text)
	{
		if (!is_english(tag) || (first != NULL && strlen(tag) > 2))
			continue;
		first = tag;
	}
	if (first != NULL) {
		text = json_object_get(object, first);
		add(license, first, json_string_value(text), json_string_length(text));
	}
	json_object_foreach(object, tag, text)
	{
		if (first == NULL || strcmp(tag, first) != 0)
			add(license, tag, json_string_value(text), json_string_length(text));
	}
}

/* ---- And out of it ---- */

struct member {
	const char *tag, *text; /* the text as JSON has it */
	size_t tag_size, text_size;
};

/* Reads what add() wrote; false at the end, and for anything else. */
static bool next_member(const char **at, struct member *member)
{
	const char *p = *at;

	if ((*p != '{' && *p != ',') || p[1] != '"')
		return false;
	member->tag = p + 2;
	member->tag_size = strcspn(member->tag, "\"");
	p = member->tag + member->tag_size;
	if (strncmp(p, "\":\"", 3) != 0)
		return false;
	member->text = p += 3;
	while (*p != '\0' && *p != '"')
		p += *p == '\\' && p[1] != '\0' ? 2 : 1;
	if (*p == '\0')
		return false;
	member->text_size = (size_t)(p - member->text);
	*at = p + 1;
	return true;
}

static bool find(const char *title, const char *tag, struct member *ret)
{
	char name[TAG_MAX + 1];
	struct member member;

	while (next_member(&title, &member)) {
		if (member.tag_size > TAG_MAX)
			continue;
		memcpy(name, member.tag, member.tag_size);
		name[member.tag_size] = '\0';
		if (tag != NULL ? reader_same_name(name, tag) : is_english(name)) {
			*ret = member;
			return true;
		}
	}
	return false;
}

/* RFC 4647, section 3.4: the range loses its last part, until a tag is the same. */
static bool look_up(const char *title, const char *language, struct member *ret)
{
	char range[128];
	size_t length = strlen(language);

	if (length >= sizeof range)
		return false;
	memcpy(range, language, length + 1);
	while (length > 0) {
		if (find(title, range, ret))
			return true;
		while (length > 0 && range[length - 1] != '-')
			length--;
		length -= length > 0;
		/* With a part goes the single letter before it, which only introduced it. */
		if (length >= 2 && range[length - 2] == '-')
			length -= 2;
		range[length] = '\0';
	}
	return false;
}

void license_title(const struct license *license, const char *language, char *text, size_t size)
{
	const char *title = license->title, *rest = title;
	char plain[sizeof license->title];
	struct member member;
	size_t n = 0;

	if (title[0] != '{' || !license_format_signed(license->format) ||
	    !next_member(&rest, &member)) {
		text_copy(text, size, title, strlen(title));
		return;
	}
	if (!look_up(title, language, &member))
		(void)find(title, NULL, &member);
	for (size_t i = 0; i < member.text_size; i++) {
		i += member.text[i] == '\\';
		plain[n++] = member.text[i];
	}
	text_copy(text, size, plain, n);
}
