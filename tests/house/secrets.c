/*
 * What the tests of secrets need: to take content keys out of a store as an application does,
 * and to look for them in files.
 *
 *   secrets dump STORE ACTION     a line "ID HEX" for each licence that gives its content key
 *   secrets scan NEEDLES FILE...  NEEDLES: pieces of 16 bytes, one after another; names each
 * file that holds one of them, and ends with 1 if there is any
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rehost/rehost.h"

static _Noreturn void fail(const char *what, const char *why)
{
	fprintf(stderr, "secrets: %s: %s\n", what, why);
	exit(2);
}

/* ---- dump ---- */

struct ids {
	char **list;
	size_t count;
};

static int keep_id(void *context, const rh_license *license)
{
	struct ids *ids = context;

	if (ids->count % 1024 == 0)
		ids->list = realloc(ids->list, (ids->count + 1024) * sizeof *ids->list);
	if (ids->list == NULL || (ids->list[ids->count] = strdup(license->id)) == NULL)
		fail("ids", "no memory");
	ids->count++;
	return 0;
}

static void dump_one(rh_store *store, const char *id, const char *action)
{
	void *secret = NULL;
	size_t size = 0;
	rh_error error = {0};

	if (rh_license_secret(store, id, action, &secret, &size, &error) != RH_OK) {
		printf("%s %s\n", id, rh_code_name(error.code));
		return;
	}
	printf("%s ", id);
	for (size_t i = 0; i < size; i++)
		printf("%02x", ((const uint8_t *)secret)[i]);
	putchar('\n');
	rh_free_secret_bytes(secret, size);
}

static int dump(const char *directory, const char *action)
{
	rh_store *store = NULL;
	struct ids ids = {0};
	rh_error error = {0};

	if (rh_store_open(directory, RH_STORE_READ_ONLY, &store, &error) != RH_OK ||
	    rh_enumerate(store, NULL, keep_id, &ids, &error) != RH_OK)
		fail(directory, error.text);
	for (size_t i = 0; i < ids.count; i++) {
		dump_one(store, ids.list[i], action);
		free(ids.list[i]);
	}
	free(ids.list);
	rh_store_close(store);
	return 0;
}

/* ---- scan ---- */

#define NEEDLE 16

/* Needles in a hash table with open addressing; a bitmap of their first bytes before it. */
struct needles {
	uint8_t *table; /* NEEDLE bytes a place */
	uint8_t *used;
	size_t mask;
	uint8_t *bitmap; /* of the first 3 bytes */
};

static size_t place_of(const struct needles *needles, const uint8_t *bytes)
{
	uint64_t a, b;
	size_t place;

	memcpy(&a, bytes, 8);
	memcpy(&b, bytes + 8, 8);
	place = (size_t)((a ^ (b * 0x9e3779b97f4a7c15u)) >> 7) & needles->mask;
	while (
	    needles->used[place] && memcmp(needles->table + place * NEEDLE, bytes, NEEDLE) != 0)
		place = (place + 1) & needles->mask;
	return place;
}

static uint32_t start_of(const uint8_t *bytes)
{
	return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16;
}

static uint8_t *read_file(const char *path, size_t *ret)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes;
	long size;

	if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0)
		fail(path, "cannot be read");
	rewind(file);
	bytes = malloc((size_t)size + 1);
	if (bytes == NULL || fread(bytes, 1, (size_t)size, file) != (size_t)size)
		fail(path, "cannot be read");
	fclose(file);
	*ret = (size_t)size;
	return bytes;
}

static void read_needles(struct needles *needles, const char *path)
{
	size_t size, capacity = 1024;
	uint8_t *bytes = read_file(path, &size);

	if (size == 0 || size % NEEDLE != 0)
		fail(path, "holds no needles");
	while (capacity < size / NEEDLE * 2)
		capacity *= 2;
	needles->mask = capacity - 1;
	needles->table = calloc(capacity, NEEDLE);
	needles->used = calloc(capacity, 1);
	needles->bitmap = calloc(1u << 21, 1);
	if (needles->table == NULL || needles->used == NULL || needles->bitmap == NULL)
		fail(path, "no memory");
	for (size_t i = 0; i < size; i += NEEDLE) {
		size_t place = place_of(needles, bytes + i);
		uint32_t start = start_of(bytes + i);

		memcpy(needles->table + place * NEEDLE, bytes + i, NEEDLE);
		needles->used[place] = 1;
		needles->bitmap[start >> 3] |= (uint8_t)(1u << (start & 7));
	}
	free(bytes);
}

static size_t scan_file(const struct needles *needles, const char *path)
{
	size_t size, found = 0;
	uint8_t *bytes = read_file(path, &size);

	for (size_t i = 0; i + NEEDLE <= size; i++) {
		uint32_t start = start_of(bytes + i);

		if ((needles->bitmap[start >> 3] >> (start & 7) & 1) != 0 &&
		    needles->used[place_of(needles, bytes + i)])
			found++;
	}
	free(bytes);
	return found;
}

static int scan(const char *path, char **files, int count)
{
	struct needles needles;
	int status = 0;

	read_needles(&needles, path);
	for (int i = 0; i < count; i++) {
		size_t found = scan_file(&needles, files[i]);

		if (found > 0) {
			printf("%s: %zu secrets\n", files[i], found);
			status = 1;
		}
	}
	free(needles.table);
	free(needles.used);
	free(needles.bitmap);
	return status;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "dump") == 0)
		return dump(argv[2], argv[3]);
	if (argc >= 4 && strcmp(argv[1], "scan") == 0)
		return scan(argv[2], argv + 3, argc - 3);
	fprintf(stderr, "usage: secrets dump STORE ACTION | scan NEEDLES FILE...\n");
	return 2;
}
