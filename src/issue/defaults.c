#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "cli/exit.h"
#include "cli/talk.h"
#include "issue/cmd.h"
#include "issue/fields.h"
#include "issue/defaults.h"

/* Which options say what of a licence. */
static const struct {
	enum option_id id;
	const char *field;
} rows[] = {
    {OPTION_ACTION, "actions"},
    {OPTION_BACKUP, "backup"},
    {OPTION_COMPUTERS, "computers"},
    {OPTION_CONTENT_KEY, "content_key"},
    {OPTION_EXPIRES, "exp"},
    {OPTION_ID, "jti"},
    {OPTION_KEY_ID, "key_id"},
    {OPTION_NOT_BEFORE, "nbf"},
    {OPTION_PRIORITY, "priority"},
    {OPTION_ROOT, "root_key_id"},
    {OPTION_SERVICE, "service"},
    {OPTION_TITLE, "title"},
};

#define KEY_TEXT_MAX 8192

/* A file with a content key in base64url, and perhaps a line end. */
static int read_key(json_t *row, const struct field *field, const char *path, rh_error *error)
{
	char text[KEY_TEXT_MAX];
	struct buffer buffer = {0};
	size_t size;
	int code;

	/* At once as large as it may get: no copy stays behind. */
	code = buffer_reserve(&buffer, sizeof text + 1, error);
	if (code == RH_OK)
		code = file_read_whole(AT_FDCWD, path, sizeof text - 1, &buffer, path, error);
	if (code == RH_OK) {
		size = buffer.size;
		memcpy(text, buffer.data, size);
		while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
			size--;
		text[size] = '\0';
		code = field_add_text(row, field, NULL, text, error);
		bytes_wipe(text, sizeof text);
	}
	buffer_free_secret(&buffer);
	return code;
}

/* "en=River songs", "=A = B", or a text alone. */
static int add_title(json_t *row, const struct field *field, const char *value, rh_error *error)
{
	size_t length = strcspn(value, "=");
	char tag[64];

	if (value[length] == '\0')
		return field_add_text(row, field, NULL, value, error);
	if (length == 0)
		return field_add_text(row, field, NULL, value + 1, error);
	if (length >= sizeof tag || !field_is_tag(value, length))
		return field_add_text(row, field, NULL, value, error);
	snprintf(tag, sizeof tag, "%.*s", (int)length, value);
	return field_add_text(row, field, tag, value + length + 1, error);
}

static int add(json_t *row, const struct given *given, rh_error *error)
{
	const struct field *field = NULL;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].id == given->id)
			field = field_find(rows[i].field);
	if (field == NULL)
		return RH_OK;
	if (field->kind == FIELD_TITLE)
		return add_title(row, field, given->value, error);
	if (field->kind == FIELD_BOOLEAN)
		return field_add_text(row, field, NULL, "true", error);
	if (field->kind == FIELD_KEY && strcmp(given->value, "random") != 0)
		return read_key(row, field, given->value, error);
	return field_add_text(row, field, NULL, given->value, error);
}

int defaults_read(const struct arguments *arguments, json_t **ret)
{
	json_t *row = json_object();
	rh_error error = {0};

	for (size_t i = 0; i < arguments->given_count; i++) {
		int code = add(row, &arguments->given[i], &error);

		if (code == RH_OK)
			continue;
		json_decref(row);
		if (code != RH_E_LICENSE_INVALID)
			return issue_fail(&error);
		talk_error("%s", error.text);
		talk_hint("'rehost-issue issue --help' lists its options");
		return EXIT_USAGE;
	}
	*ret = row;
	return EXIT_DONE;
}
