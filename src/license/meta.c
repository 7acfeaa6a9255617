#include <string.h>

#include "base/text.h"
#include "license/reader.h"
#include "license/meta.h"

void meta_reset(struct meta *meta)
{
	meta->title[0] = meta->name[0] = meta->distributor[0] = meta->host[0] = '\0';
	meta->key[0] = '\0';
}

/* The host of "scheme://user@host:port/..."; "" if there is none in plain characters. */
static void host_of(char *host, size_t capacity, const char *text, size_t size)
{
	const char *at = memmem(text, size, "://", 3);
	const char *end = text + size, *user, *colon;
	size_t length;

	host[0] = '\0';
	if (at == NULL)
		return;
	at += 3;
	length = 0;
	while (at + length < end && strchr("/?#", at[length]) == NULL)
		length++;
	user = memrchr(at, '@', length);
	if (user != NULL) {
		length -= (size_t)(user + 1 - at);
		at = user + 1;
	}
	colon = memchr(at, ':', length);
	if (colon != NULL)
		length = (size_t)(colon - at);
	if (length == 0 || length >= capacity)
		return;
	for (size_t i = 0; i < length; i++) {
		char c = at[i] >= 'A' && at[i] <= 'Z' ? (char)(at[i] + 32) : at[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
			c == '-')) {
			host[0] = '\0';
			return;
		}
		host[i] = c;
	}
	host[length] = '\0';
}

static void take(struct meta *meta, const char *text, size_t size)
{
	reader_trim(&text, &size);
	if (size == 0)
		return;
	if (reader_same_name(meta->key, "title") && meta->title[0] == '\0')
		text_copy(meta->title, sizeof meta->title, text, size);
	else if (reader_same_name(meta->key, "name") && meta->name[0] == '\0')
		text_copy(meta->name, sizeof meta->name, text, size);
	else if (reader_same_name(meta->key, "distributor") && meta->distributor[0] == '\0')
		text_copy(meta->distributor, sizeof meta->distributor, text, size);
	else if (reader_same_name(meta->key, "url") && meta->host[0] == '\0')
		host_of(meta->host, sizeof meta->host, text, size);
}

void meta_start(struct meta *meta, const char *name, const struct xml_attributes *attributes)
{
	const char *attribute, *value, *text = NULL;
	size_t size, text_size = 0;

	text_copy(meta->key, sizeof meta->key, name, strlen(name));
	for (size_t i = 0; xml_attribute(attributes, i, &attribute, &value, &size); i++) {
		if (reader_same_name(attribute, "name")) {
			text_copy(meta->key, sizeof meta->key, value, size);
		} else if (reader_same_name(attribute, "value")) {
			text = value;
			text_size = size;
		}
	}
	if (text != NULL)
		take(meta, text, text_size);
}

void meta_end(struct meta *meta, const char *text, size_t size)
{
	take(meta, text, size);
}

void meta_finish(const struct meta *meta, struct license *license)
{
	const char *title = meta->title[0] != '\0' ? meta->title : meta->name;
	const char *issuer = meta->distributor[0] != '\0' ? meta->distributor : meta->host;

	strcpy(license->title, title);
	strcpy(license->issuer, issuer);
}
