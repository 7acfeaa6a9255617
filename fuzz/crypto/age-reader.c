/* An age file, read with the first identity of tests/crypto/make_vectors.py. */
#include <stdlib.h>
#include <string.h>

#include "crypto/age.h"
#include "crypto/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct memory {
	const uint8_t *data;
	size_t size;
};

static int read_memory(
    void *context, uint64_t offset, void *bytes, size_t size, size_t *ret, rh_error *error)
{
	const struct memory *memory = context;

	(void)error;
	/* The reader stays inside the file. */
	if (offset > memory->size || size > memory->size - offset)
		abort();
	memcpy(bytes, memory->data + offset, size);
	*ret = size;
	return RH_OK;
}

/* The size that is promised is the size that comes, and a seek finds the same end. */
static void read_all(struct age_reader *reader)
{
	static uint8_t bytes[5000];
	uint64_t promised = 0, total = 0;
	int sized = age_reader_size(reader, &promised, NULL), code;
	size_t got;

	do {
		got = 0;
		code = age_reader_read(reader, bytes, sizeof bytes, &got, NULL);
		total += got;
	} while (code == RH_OK && got > 0);
	if (code == RH_OK && (sized != RH_OK || total != promised))
		abort();
	if (code != RH_OK && code != RH_E_BACKUP_CORRUPT)
		abort();
	age_reader_seek(reader, promised / 2, NULL);
	if (age_reader_read(reader, bytes, 1, &got, NULL) == RH_OK && got == 0 && promised > 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory memory = {data, size};
	struct age_source source = {.read_at = read_memory, .context = &memory, .size = size};
	static struct age_identity identity;
	static int ready;
	struct age_keys keys = {.identities = &identity, .identity_count = 1};
	struct age_reader *reader = NULL;
	size_t recipients;
	int structure, code;

	if (!ready) {
		uint8_t secret[DIGEST_SIZE];

		if (sha256(secret, "first identity", 14, NULL) != RH_OK ||
		    age_identity_from_secret(&identity, secret, NULL) != RH_OK)
			abort();
		ready = 1;
	}
	structure = age_check_structure(&source, &recipients, NULL);
	code = age_reader_new(&source, &keys, &reader, NULL);
	if (structure == RH_E_BACKUP_NEWER && code != RH_E_BACKUP_NEWER)
		abort();
	if (code == RH_OK)
		read_all(reader);
	age_reader_free(reader);
	return 0;
}
