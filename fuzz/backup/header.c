/* rehost.json, with a signature that is right for it. */
#include <stdlib.h>
#include <string.h>

#include "backup/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The private key of the public one in the corpus. */
static const uint8_t key[KEY_SIZE] = "a signature that is not for real";

/* A proof that is nobody's. */
static const char mac[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static void read_header(const struct buffer *tar)
{
	struct backup_header header = {0};
	char name[BACKUP_NAME_SIZE];
	bool proven;
	int code = backup_header_read(tar->data, tar->size, &header, NULL);

	if (code != RH_OK && code != RH_E_BACKUP_CORRUPT && code != RH_E_BACKUP_NEWER)
		abort();
	if (code != RH_OK)
		return;
	/* What comes out is fit to be a name, and to be read by people. */
	if (header.format_version < 1 || header.format_version > BACKUP_FORMAT_VERSION ||
	    header.computer_key == NULL || !generation_name(name, header.created, header.id) ||
	    !generation_parse(name, NULL, NULL))
		abort();
	for (const char *p = header.generator; *p != '\0'; p++)
		if ((unsigned char)*p < ' ')
			abort();
	for (size_t i = 0; i < header.service_count; i++)
		if (header.services[i].service[0] == '\0' ||
		    header.services[i].key[0] == '\0' ||
		    (header.services[i].owner != NULL && header.services[i].owner[0] == '\0'))
			abort();
	if (header.service_count > BACKUP_SERVICES_MAX)
		abort();
	if (backup_header_proven(&header, key, &proven, NULL) == RH_OK && proven)
		abort();
	backup_header_free(&header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer tar = {0};
	char *signature = NULL;

	if (size > 100000)
		return 0;
	if (es256_sign_detached(key, data, size, &signature, NULL) != RH_OK ||
	    tar_append(&tar, "rehost.json", data, size, 0, NULL) != RH_OK ||
	    tar_append(&tar, "rehost.json.jws", signature, strlen(signature), 0, NULL) !=
		RH_OK ||
	    tar_append(&tar, "rehost.json.mac", mac, sizeof mac - 1, 0, NULL) != RH_OK)
		abort();
	read_header(&tar);
	free(signature);
	buffer_free(&tar);
	return 0;
}
