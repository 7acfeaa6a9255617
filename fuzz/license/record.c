#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "license/license.h"

#include "record.h"

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_text(const char *text, size_t capacity)
{
	size_t length = strnlen(text, capacity);

	require(length < capacity && utf8_valid(text, length));
	for (size_t i = 0; i < length; i++)
		require((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
}

static void check_rights(const struct license_rights *rights)
{
	require(rights->action_count <= LICENSE_ACTIONS_MAX);
	for (size_t i = 0; i < rights->action_count; i++) {
		check_text(rights->actions[i].name, sizeof rights->actions[i].name);
		require(rights->actions[i].name[0] != '\0' && rights->actions[i].period >= 0);
	}
	check_text(rights->root, sizeof rights->root);
}

static int check_record(void *context, const struct license *license,
    const struct license_rights *rights, rh_error *error)
{
	char component[LICENSE_COMPONENT_SIZE];

	if (rights != NULL)
		check_rights(rights);
	++*(size_t *)context;
	check_text(license->id, sizeof license->id);
	check_text(license->key_id, sizeof license->key_id);
	check_text(license->issuer, sizeof license->issuer);
	check_text(license->title, sizeof license->title);
	require(license->id[0] != '\0' && license->service[0] == '\0');
	require(license->count_count <= LICENSE_COUNTS_MAX);
	for (size_t i = 0; i < license->count_count; i++) {
		check_text(license->counts[i].action, sizeof license->counts[i].action);
		require(license->counts[i].remaining <= INT64_MAX);
	}
	require((license->reason[0] == '\0') == (license->backup == LICENSE_YES));
	require(license_path_component(component, license->id, error) == RH_OK);
	require(component[0] != '.' && strchr(component, '/') == NULL);
	return RH_OK;
}

void record_read(const uint8_t *data, size_t size, const char *format)
{
	struct license_document document = {
	    .data = data, .size = size, .name = "dir/name", .format = format};
	size_t count = 0, again = 0;
	rh_error error = {0};
	int code = license_read(&document, check_record, &count, &error);

	require(code == RH_OK ? count > 0 : count == 0 && error.code == code);
	require(license_read(&document, check_record, &again, NULL) == code && again == count);
	document.format = NULL;
	again = 0;
	if (license_read(&document, check_record, &again, NULL) == RH_OK)
		require(code != RH_OK || again == count);
}
