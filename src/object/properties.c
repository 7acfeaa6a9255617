#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "rehost/nserror.h"
#include "base/bytes.h"
#include "base/text.h"
#include "object/properties.h"

/* Lengths come back as WORD, a value's in bytes with its terminator. */
#define VALUE_MAX ((UINT16_MAX - 1) / sizeof(WCHAR) - 1 /* terminator */)
#define NAME_MAX_LENGTH (UINT16_MAX - 1 /* terminator */)
#define COUNT_MAX UINT16_MAX

enum known_flag {
	KNOWN_PATH = 1,
	KNOWN_SECRET = 2,
	KNOWN_MODE = 4,
};

static const struct known {
	const WCHAR *name;
	unsigned flags;
	size_t setting; /* offset in struct settings */
} known_properties[] = {
    {RH_PROPERTY_BACKUP_PATH, KNOWN_PATH, offsetof(struct settings, backup_path)},
    {RH_PROPERTY_RESTORE_PATH, KNOWN_PATH, offsetof(struct settings, restore_path)},
    {RH_PROPERTY_STORE_PATH, KNOWN_PATH, offsetof(struct settings, store_path)},
    {RH_PROPERTY_RECOVERY_KEY, KNOWN_SECRET, offsetof(struct settings, recovery_key)},
    {RH_PROPERTY_PASSPHRASE, KNOWN_SECRET, offsetof(struct settings, passphrase)},
    {RH_PROPERTY_SERVICE_URL, 0, offsetof(struct settings, service_url)},
    {RH_PROPERTY_RESTORE_MODE, KNOWN_MODE, offsetof(struct settings, restore_mode)},
    {RH_PROPERTY_RESTORE_FILTER, 0, offsetof(struct settings, restore_filter)},
};
#define KNOWN_COUNT (sizeof known_properties / sizeof known_properties[0])

/* Lengths count characters without the terminator, which is there. */
struct property {
	WCHAR *name;
	size_t name_length;
	WCHAR *value;
	size_t value_length;
	const struct known *known; /* NULL for a property of somebody else's */
};

struct properties {
	pthread_mutex_t lock; /* guards what follows */
	struct property *items;
	size_t count;
	size_t capacity;
};

static size_t wide_length(const WCHAR *text)
{
	size_t length = 0;

	while (text[length] != 0)
		length++;
	return length;
}

static bool wide_equal(const WCHAR *a, size_t a_length, const WCHAR *b, size_t b_length)
{
	return a_length == b_length && memcmp(a, b, a_length * sizeof *a) == 0;
}

static bool wide_is(const WCHAR *text, size_t length, const WCHAR *word)
{
	return wide_equal(text, length, word, wide_length(word));
}

static bool is_pair(const WCHAR *text, size_t length)
{
	return length >= 2 && text[0] >= 0xd800 && text[0] < 0xdc00 && text[1] >= 0xdc00 &&
	       text[1] < 0xe000;
}

/* The lone surrogate that stands for a byte which is not UTF-8. */
static bool is_byte(WCHAR unit)
{
	return unit >= 0xdc80 && unit <= 0xdcff;
}

/* Whether ${text} is UTF-16 without NUL; bytes as above pass if ${bytes}. */
static bool wide_valid(const WCHAR *text, size_t length, bool bytes)
{
	for (size_t i = 0; i < length; i++) {
		if (is_pair(text + i, length - i))
			i++;
		else if (text[i] == 0)
			return false;
		else if (text[i] >= 0xd800 && text[i] < 0xe000 && !(bytes && is_byte(text[i])))
			return false;
	}
	return true;
}

static const struct known *known_find(const WCHAR *name, size_t length)
{
	for (size_t i = 0; i < KNOWN_COUNT; i++)
		if (wide_is(name, length, known_properties[i].name))
			return &known_properties[i];
	return NULL;
}

static bool is_secret(const struct property *property)
{
	return property->known != NULL && (property->known->flags & KNOWN_SECRET) != 0;
}

static void value_free(WCHAR *value, size_t length)
{
	if (value == NULL)
		return;
	bytes_wipe(value, length * sizeof *value);
	free(value);
}

static void property_free(struct property *property)
{
	value_free(property->value, property->value_length);
	free(property->name);
}

struct properties *properties_new(void)
{
	struct properties *properties = calloc(1, sizeof *properties);

	if (properties == NULL)
		return NULL;
	if (pthread_mutex_init(&properties->lock, NULL) != 0) {
		free(properties);
		return NULL;
	}
	return properties;
}

void properties_free(struct properties *properties)
{
	if (properties == NULL)
		return;
	properties_clear(properties);
	free(properties->items);
	pthread_mutex_destroy(&properties->lock);
	free(properties);
}

static struct property *find(struct properties *properties, const WCHAR *name, size_t length)
{
	for (size_t i = 0; i < properties->count; i++) {
		struct property *property = &properties->items[i];

		if (wide_equal(property->name, property->name_length, name, length))
			return property;
	}
	return NULL;
}

HRESULT properties_count(struct properties *properties, WORD *count)
{
	if (count == NULL)
		return E_INVALIDARG;
	pthread_mutex_lock(&properties->lock);
	*count = (WORD)properties->count;
	pthread_mutex_unlock(&properties->lock);
	return S_OK;
}

/* Tells how much room ${size} bytes need; whether ${buffer} is given and too small. */
static bool too_small(const void *buffer, size_t room, size_t size)
{
	return buffer != NULL && room < size;
}

static HRESULT get_value(const struct property *property, BYTE *value, WORD *value_size)
{
	size_t size = (property->value_length + 1) * sizeof(WCHAR);
	bool small = too_small(value, *value_size, size);

	*value_size = (WORD)size;
	if (small)
		return NS_E_DRM_BUFFER_TOO_SMALL;
	if (value != NULL)
		memcpy(value, property->value, size);
	return S_OK;
}

/* Name and value together: neither is written unless there is room for both. */
static HRESULT get_both(const struct property *property, WCHAR *name, WORD *name_length,
    BYTE *value, WORD *value_size)
{
	bool secret = is_secret(property);
	size_t length = property->name_length + 1;
	size_t size = (property->value_length + 1) * sizeof(WCHAR);
	bool name_small = too_small(name, *name_length, length);
	bool value_small = !secret && too_small(value, *value_size, size);

	*name_length = (WORD)length;
	*value_size = (WORD)(secret ? 0 : size);
	if (name_small || value_small)
		return NS_E_DRM_BUFFER_TOO_SMALL;
	if (name != NULL)
		memcpy(name, property->name, length * sizeof *name);
	if (value == NULL)
		return S_OK;
	if (secret)
		return NS_E_DRM_NO_RIGHTS;
	memcpy(value, property->value, size);
	return S_OK;
}

HRESULT properties_get_by_index(struct properties *properties, WORD index, WCHAR *name,
    WORD *name_length, WMT_ATTR_DATATYPE *type, BYTE *value, WORD *value_size)
{
	HRESULT hr = E_INVALIDARG;

	if (name_length == NULL || type == NULL || value_size == NULL)
		return E_INVALIDARG;
	pthread_mutex_lock(&properties->lock);
	if (index < properties->count) {
		*type = WMT_TYPE_STRING;
		hr = get_both(&properties->items[index], name, name_length, value, value_size);
	}
	pthread_mutex_unlock(&properties->lock);
	return hr;
}

HRESULT properties_get_by_name(struct properties *properties, LPCWSTR name,
    WMT_ATTR_DATATYPE *type, BYTE *value, WORD *value_size)
{
	const struct property *property;
	HRESULT hr;

	if (name == NULL || name[0] == 0 || type == NULL || value_size == NULL)
		return E_INVALIDARG;
	pthread_mutex_lock(&properties->lock);
	property = find(properties, name, wide_length(name));
	if (property == NULL) {
		hr = NS_E_DRM_UNSUPPORTED_PROPERTY;
	} else if (is_secret(property)) {
		*type = WMT_TYPE_STRING;
		*value_size = 0;
		hr = NS_E_DRM_NO_RIGHTS;
	} else {
		*type = WMT_TYPE_STRING;
		hr = get_value(property, value, value_size);
	}
	pthread_mutex_unlock(&properties->lock);
	return hr;
}

static bool value_valid(const struct known *known, const WCHAR *value, size_t length)
{
	unsigned flags = known != NULL ? known->flags : 0;

	if (length > VALUE_MAX || !wide_valid(value, length, (flags & KNOWN_PATH) != 0))
		return false;
	return (flags & KNOWN_MODE) == 0 || length == 0 || wide_is(value, length, u"restore") ||
	       wide_is(value, length, u"plan");
}

/* Appends a property without a value; NULL if there is no memory or too many. */
static struct property *append(
    struct properties *properties, const WCHAR *name, size_t length, const struct known *known)
{
	struct property *property;
	WCHAR *copy;

	if (properties->count == COUNT_MAX)
		return NULL;
	if (properties->count == properties->capacity) {
		size_t capacity = properties->capacity > 0 ? 2 * properties->capacity : 8;
		struct property *items =
		    realloc(properties->items, capacity * sizeof *properties->items);
		if (items == NULL)
			return NULL;
		properties->items = items;
		properties->capacity = capacity;
	}
	copy = malloc((length + 1) * sizeof *copy);
	if (copy == NULL)
		return NULL;
	memcpy(copy, name, (length + 1) * sizeof *copy);
	property = &properties->items[properties->count++];
	*property = (struct property){copy, length, NULL, 0, known};
	return property;
}

/* Takes ${value} over if it gives S_OK. */
static HRESULT put(struct properties *properties, const WCHAR *name, size_t name_length,
    WCHAR *value, size_t length)
{
	const struct known *known = known_find(name, name_length);
	struct property *property;

	if (!value_valid(known, value, length))
		return E_INVALIDARG;
	property = find(properties, name, name_length);
	if (property == NULL)
		property = append(properties, name, name_length, known);
	if (property == NULL)
		return E_OUTOFMEMORY;
	value_free(property->value, property->value_length);
	property->value = value;
	property->value_length = length;
	return S_OK;
}

HRESULT properties_set(struct properties *properties, LPCWSTR name, WMT_ATTR_DATATYPE type,
    const BYTE *value, WORD value_size)
{
	size_t name_length, length = value_size / sizeof(WCHAR);
	WCHAR *copy;
	HRESULT hr;

	if (name == NULL || type != WMT_TYPE_STRING || (value == NULL && value_size > 0) ||
	    value_size % sizeof(WCHAR) != 0)
		return E_INVALIDARG;
	name_length = wide_length(name);
	if (name_length == 0 || name_length > NAME_MAX_LENGTH ||
	    !wide_valid(name, name_length, false))
		return E_INVALIDARG;
	copy = calloc(length + 1, sizeof *copy);
	if (copy == NULL)
		return E_OUTOFMEMORY;
	if (length > 0)
		memcpy(copy, value, value_size);
	if (length > 0 && copy[length - 1] == 0)
		length--;
	pthread_mutex_lock(&properties->lock);
	hr = put(properties, name, name_length, copy, length);
	pthread_mutex_unlock(&properties->lock);
	if (FAILED(hr))
		value_free(copy, length);
	return hr;
}

HRESULT properties_remove(struct properties *properties, LPCWSTR name)
{
	struct property *property;

	if (name == NULL || name[0] == 0)
		return E_INVALIDARG;
	pthread_mutex_lock(&properties->lock);
	property = find(properties, name, wide_length(name));
	if (property != NULL) {
		property_free(property);
		properties->count--;
		memmove(property, property + 1,
		    (size_t)(properties->items + properties->count - property) *
			sizeof *property);
	}
	pthread_mutex_unlock(&properties->lock);
	return S_OK;
}

HRESULT properties_clear(struct properties *properties)
{
	pthread_mutex_lock(&properties->lock);
	while (properties->count > 0)
		property_free(&properties->items[--properties->count]);
	pthread_mutex_unlock(&properties->lock);
	return S_OK;
}

static int append_run(struct buffer *buffer, const WCHAR *text, size_t length, rh_error *error)
{
	char *utf8;
	int code = utf8_from_utf16(text, length, &utf8, error);

	if (code != RH_OK)
		return code;
	code = buffer_append_text(buffer, utf8, error);
	free(utf8);
	return code;
}

/* UTF-16 to the bytes of a path; ${text} has passed wide_valid. */
static int path_bytes(const WCHAR *text, size_t length, char **ret, rh_error *error)
{
	struct buffer buffer = {0};
	size_t start = 0;
	int code = RH_OK;

	for (size_t i = 0; i < length && code == RH_OK; i++) {
		uint8_t byte = (uint8_t)text[i];

		if (is_pair(text + i, length - i)) {
			i++;
			continue;
		}
		if (!is_byte(text[i]))
			continue;
		code = append_run(&buffer, text + start, i - start, error);
		if (code == RH_OK)
			code = buffer_append(&buffer, &byte, 1, error);
		start = i + 1;
	}
	if (code == RH_OK)
		code = append_run(&buffer, text + start, length - start, error);
	if (code == RH_OK)
		code = buffer_append(&buffer, "", 1, error);
	if (code != RH_OK) {
		buffer_free(&buffer);
		return code;
	}
	*ret = (char *)buffer.data;
	return RH_OK;
}

HRESULT properties_settings(struct properties *properties, struct settings *ret)
{
	int code = RH_OK;

	memset(ret, 0, sizeof *ret);
	pthread_mutex_lock(&properties->lock);
	for (size_t i = 0; i < properties->count && code == RH_OK; i++) {
		const struct property *property = &properties->items[i];
		char **setting;

		if (property->known == NULL || property->value_length == 0)
			continue;
		setting = (char **)(void *)((char *)ret + property->known->setting);
		if ((property->known->flags & KNOWN_PATH) != 0)
			code =
			    path_bytes(property->value, property->value_length, setting, NULL);
		else
			code = utf8_from_utf16(
			    property->value, property->value_length, setting, NULL);
	}
	pthread_mutex_unlock(&properties->lock);
	if (code == RH_OK)
		return S_OK;
	settings_free(ret);
	return rh_code_hresult(code);
}

void settings_free(struct settings *settings)
{
	for (size_t i = 0; i < KNOWN_COUNT; i++) {
		char **setting =
		    (char **)(void *)((char *)settings + known_properties[i].setting);

		if (*setting == NULL)
			continue;
		bytes_wipe(*setting, strlen(*setting));
		free(*setting);
		*setting = NULL;
	}
}
