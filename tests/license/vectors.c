#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

#include "vectors.h"

char *vectors_load(const char *name, size_t *ret_size)
{
	char path[4096], *text = malloc(64 * 1024);
	FILE *file;
	size_t size;

	snprintf(path, sizeof path, "%s/%s", VECTORS, name);
	file = fopen(path, "rb");
	if (file == NULL)
		fail_msg("%s: cannot be opened", path);
	assert_non_null(text);
	size = fread(text, 1, 64 * 1024 - 1, file);
	assert_true(size > 0 && feof(file));
	fclose(file);
	text[size] = '\0';
	if (ret_size != NULL)
		*ret_size = size;
	return text;
}

void vectors_open(struct vectors *vectors)
{
	uint8_t scalar[KEY_SIZE];
	rh_error error;
	size_t size;
	char *text;

	memset(vectors, 0, sizeof *vectors);
	text = vectors_load("issuer.jwks", &size);
	assert_int_equal(jose_set_read(&vectors->keys, text, size, "issuer", &error), RH_OK);
	free(text);
	text = vectors_load("computer.jwk", &size);
	assert_non_null(strstr(text, "\"d\": \""));
	assert_int_equal(base64_decode(scalar, sizeof scalar, strstr(text, "\"d\": \"") + 6, 43,
			     BASE64_URL | BASE64_NO_PAD),
	    KEY_SIZE);
	free(text);
	assert_int_equal(jose_key_private(scalar, &vectors->computer, &error), RH_OK);
	vectors->issuer = (struct license_issuer){vectors->keys.name, &vectors->keys};
	vectors->trust =
	    (struct license_trust){&vectors->issuer, 1, vectors->computer, VECTORS_NOW, false};
}

void vectors_close(struct vectors *vectors)
{
	jose_key_free(vectors->computer);
	jose_set_free(&vectors->keys);
}

static void check_text(const char *text, size_t capacity)
{
	size_t length = strnlen(text, capacity);

	assert_true(length < capacity && utf8_valid(text, length));
	for (size_t i = 0; i < length; i++)
		assert_true((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
}

static int collect(void *context, const struct license *license,
    const struct license_rights *rights, rh_error *error)
{
	struct reading *reading = context;

	(void)error;
	check_text(license->id, sizeof license->id);
	check_text(license->key_id, sizeof license->key_id);
	check_text(license->issuer, sizeof license->issuer);
	check_text(license->title, sizeof license->title);
	check_text(license->service, sizeof license->service);
	assert_true(license->id[0] != '\0');
	assert_true((license->reason[0] == '\0') == (license->backup == LICENSE_YES));
	reading->count++;
	reading->license = *license;
	reading->has_rights = rights != NULL;
	if (rights != NULL)
		reading->rights = *rights;
	return RH_OK;
}

void reading_make(struct reading *reading, const void *data, size_t size, const char *format,
    const struct license_trust *trust)
{
	uint8_t *copy = malloc(size > 0 ? size : 1);
	struct license_document document = {.data = copy,
	    .size = size,
	    .name = "dir/file",
	    .format = format,
	    .trust = trust,
	    .secret = &reading->secret};

	assert_non_null(copy);
	memcpy(copy, data, size);
	memset(reading, 0, sizeof *reading);
	reading->code = license_read(&document, collect, reading, &reading->error);
	free(copy);
	if (reading->code == RH_OK) {
		assert_int_equal(reading->count, 1);
		return;
	}
	assert_int_equal(reading->error.code, reading->code);
	assert_int_equal(reading->count, 0);
	assert_int_equal(reading->secret.size, 0);
	assert_true(utf8_valid(reading->error.text, strlen(reading->error.text)));
	if (reading->code != RH_E_MEMORY)
		assert_memory_equal(reading->error.text, "dir/file: ", 10);
}
