/*
 * Calls of IWMBackupRestoreProps as the input says, checked against what the
 * interface promises whatever was called before.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define COBJMACROS
#include "rehost/nserror.h"
#include "object/properties.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
};

#define REQUIRE(condition)                                                                     \
	do {                                                                                   \
		if (!(condition))                                                              \
			abort();                                                               \
	} while (0)

static uint8_t take(struct input *input)
{
	if (input->size == 0)
		return 0;
	input->size--;
	return *input->data++;
}

/* A known name, or up to 7 units of the input. */
static const WCHAR *take_name(struct input *input, WCHAR name[8])
{
	static const WCHAR *const known[] = {RH_PROPERTY_BACKUP_PATH, RH_PROPERTY_RESTORE_PATH,
	    RH_PROPERTY_STORE_PATH, RH_PROPERTY_RECOVERY_KEY, RH_PROPERTY_PASSPHRASE,
	    RH_PROPERTY_SERVICE_URL, RH_PROPERTY_RESTORE_MODE, RH_PROPERTY_RESTORE_FILTER};
	uint8_t choice = take(input);

	if (choice < 0x80)
		return known[choice % (sizeof known / sizeof known[0])];
	for (size_t i = 0; i < (choice & 7u); i++)
		name[i] = (WCHAR)(take(input) | take(input) << 8);
	name[choice & 7u] = 0;
	return name;
}

static void set(struct properties *properties, struct input *input)
{
	WCHAR name[8];
	const WCHAR *chosen = take_name(input, name);
	WMT_ATTR_DATATYPE type = take(input) > 250 ? WMT_TYPE_BINARY : WMT_TYPE_STRING;
	uint8_t wish = take(input);
	size_t length = wish < input->size ? wish : input->size;
	uint8_t *exact = malloc(length > 0 ? length : 1);
	WMT_ATTR_DATATYPE got_type;
	WORD got = 0;
	HRESULT hr;

	if (exact == NULL)
		return;
	memcpy(exact, input->data, length);
	input->data += length;
	input->size -= length;
	hr = properties_set(properties, chosen, type, exact, (WORD)length);
	if (hr == S_OK) {
		REQUIRE(length % 2 == 0 && type == WMT_TYPE_STRING);
		hr = properties_get_by_name(properties, chosen, &got_type, NULL, &got);
		REQUIRE(hr == NS_E_DRM_NO_RIGHTS ||
			(hr == S_OK && got >= length && got <= length + 2));
	} else {
		REQUIRE(hr == E_INVALIDARG || hr == E_OUTOFMEMORY);
	}
	free(exact);
}

static void get(struct properties *properties, struct input *input)
{
	WMT_ATTR_DATATYPE type;
	WORD index = take(input), room = take(input), need = 0, name_need = 0;
	WCHAR name[64];
	BYTE *value = malloc(room > 0 ? room : 1);
	HRESULT hr =
	    properties_get_by_index(properties, index, NULL, &name_need, &type, NULL, &need);
	WORD name_room = 64, size = room;

	if (value != NULL && hr == S_OK) {
		REQUIRE(name_need > 1 && need != 1);
		hr = properties_get_by_index(
		    properties, index, name, &name_room, &type, value, &size);
		REQUIRE(size == need && name_room == name_need);
		REQUIRE((hr == NS_E_DRM_BUFFER_TOO_SMALL) == (room < need || name_need > 64));
		if (hr == S_OK)
			REQUIRE(value[size - 1] == 0 && value[size - 2] == 0);
		else
			REQUIRE(hr == NS_E_DRM_BUFFER_TOO_SMALL || need == 0);
	} else {
		REQUIRE(hr == S_OK || hr == E_INVALIDARG);
	}
	free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct properties *properties = properties_new();
	struct input input = {data, size};
	struct settings settings;
	WCHAR name[8];
	WORD count;

	if (properties == NULL)
		return 0;
	while (input.size > 0) {
		switch (take(&input) % 8) {
		case 0:
			properties_remove(properties, take_name(&input, name));
			break;
		case 1:
			get(properties, &input);
			break;
		case 2:
			if (take(&input) > 0xf0)
				properties_clear(properties);
			break;
		default:
			set(properties, &input);
		}
	}
	REQUIRE(properties_count(properties, &count) == S_OK);
	/* Everything that was let in can be handed on. */
	if (properties_settings(properties, &settings) == S_OK)
		settings_free(&settings);
	properties_free(properties);
	return 0;
}
