#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/text.h"

#include "records.h"

static void check_text(const char *text, size_t capacity)
{
	size_t length = strnlen(text, capacity);

	assert_true(length < capacity);
	assert_true(utf8_valid(text, length));
	for (size_t i = 0; i < length; i++)
		assert_true((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
}

static void check_record(const struct license *license)
{
	check_text(license->id, sizeof license->id);
	assert_true(license->id[0] != '\0');
	check_text(license->key_id, sizeof license->key_id);
	check_text(license->issuer, sizeof license->issuer);
	check_text(license->title, sizeof license->title);
	assert_string_equal(license->service, "");
	assert_true(license->count_count <= LICENSE_COUNTS_MAX);
	for (size_t i = 0; i < license->count_count; i++)
		check_text(license->counts[i].action, sizeof license->counts[i].action);
	assert_non_null(license->reason);
	assert_true((license->reason[0] == '\0') == (license->backup == LICENSE_YES));
	assert_non_null(license->format);
}

static void check_rights(const struct license_rights *rights)
{
	assert_true(rights->action_count <= LICENSE_ACTIONS_MAX);
	for (size_t i = 0; i < rights->action_count; i++) {
		const struct license_action *action = &rights->actions[i];

		check_text(action->name, sizeof action->name);
		assert_true(action->name[0] != '\0' && action->period >= 0);
		for (const char *p = action->name; *p != '\0'; p++)
			assert_false(*p >= 'A' && *p <= 'Z');
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(rights->actions[j].name, action->name);
	}
	check_text(rights->root, sizeof rights->root);
}

static int collect(void *context, const struct license *license,
    const struct license_rights *rights, rh_error *error)
{
	struct records *records = context;

	(void)error;
	check_record(license);
	assert_true(records->count < LICENSE_PER_DOCUMENT_MAX);
	records->has_rights[records->count] = rights != NULL;
	if (rights != NULL) {
		check_rights(rights);
		records->rights[records->count] = *rights;
	}
	records->items[records->count++] = *license;
	return RH_OK;
}

void records_read(struct records *records, const void *data, size_t size, const char *name,
    const char *format)
{
	uint8_t *copy = malloc(size > 0 ? size : 1);
	const struct license_document document = {
	    .data = copy, .size = size, .name = name, .format = format};

	assert_non_null(copy);
	memcpy(copy, data, size);
	memset(records, 0, sizeof *records);
	records->code = license_read(&document, collect, records, &records->error);
	free(copy);
	if (records->code == RH_OK) {
		assert_true(records->count > 0);
		return;
	}
	assert_int_equal(records->error.code, records->code);
	assert_int_equal(records->count, 0);
	assert_true(utf8_valid(records->error.text, strlen(records->error.text)));
	if (name != NULL && records->code != RH_E_MEMORY)
		assert_non_null(strstr(records->error.text, name));
	/* The sentence is there for those who do not ask for it, too. */
	assert_int_not_equal(records->error.text[0], '\0');
}

static const char *right_text(enum license_right right)
{
	return right == LICENSE_YES ? "yes" : right == LICENSE_NO ? "no" : "unknown";
}

void record_text(char text[RECORD_TEXT_SIZE], const struct license *license)
{
	char issued[TIME_TEXT_SIZE], from[TIME_TEXT_SIZE], to[TIME_TEXT_SIZE];
	char counts[512] = "";

	for (size_t i = 0; i < license->count_count; i++)
		snprintf(counts + strlen(counts), sizeof counts - strlen(counts), "%s%s:%llu",
		    i > 0 ? "," : "", license->counts[i].action,
		    (unsigned long long)license->counts[i].remaining);
	time_format(issued, license->issued);
	time_format(from, license->not_before);
	time_format(to, license->not_after);
	snprintf(text, RECORD_TEXT_SIZE, "%s|%s|%s|%s|%s|%s|%s|%s|%s", license->id,
	    license->key_id, license->issuer, license->title, issued, from, to, counts,
	    right_text(license->backup));
}

void record_rights(char text[RECORD_TEXT_SIZE], const struct records *records, size_t index)
{
	const struct license_rights *rights = &records->rights[index];
	char *at = text;

	text[0] = '\0';
	if (!records->has_rights[index]) {
		strcpy(text, "none");
		return;
	}
	for (size_t i = 0; i < rights->action_count; i++) {
		const struct license_action *action = &rights->actions[i];

		at += sprintf(at, "%s%s", i > 0 ? "," : "", action->name);
		if (action->count != LICENSE_UNLIMITED)
			at += sprintf(at, ":%llu", (unsigned long long)action->count);
		if (action->period != 0)
			at += sprintf(at, "+%lld", (long long)action->period);
	}
	if (rights->priority != 0)
		at += sprintf(at, " priority=%d", rights->priority);
	if (rights->root[0] != '\0')
		at += sprintf(at, " root=%s", rights->root);
	if (rights->vague)
		strcpy(at, " vague");
}

size_t records_utf16(uint8_t *target, const char *text, bool little, bool mark)
{
	char16_t *units;
	size_t length, size = 0;

	assert_int_equal(utf16_from_utf8(text, &units, &length, NULL), RH_OK);
	for (size_t i = 0; i < length + mark; i++) {
		char16_t unit = mark ? (i == 0 ? 0xfeff : units[i - 1]) : units[i];
		target[size++] = (uint8_t)(little ? unit : unit >> 8);
		target[size++] = (uint8_t)(little ? unit >> 8 : unit);
	}
	free(units);
	return size;
}
