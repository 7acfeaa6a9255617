/*
 * Writes and reads backups for opened.sh, which compares with what age, zstd, tar
 * and sha256sum make of them.
 *
 *   backup_tool key FILE                          makes an identity file
 *   backup_tool write DIR KEY ORIGINALS COUNT     writes a backup, and what is in it as plain
 * files backup_tool passphrase DIR KEY PASSPHRASE     writes recovery.age backup_tool read DIR
 * KEY TARGET               writes what is in the newest backup as plain files backup_tool
 * unlock DIR PASSPHRASE             prints the recipient of the key in recovery.age
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "backup/backup.h"

static rh_error error;

static void must(int code)
{
	if (code == RH_OK)
		return;
	fprintf(stderr, "backup_tool: %s: %s\n", rh_code_name(code), error.text);
	exit(1);
}

/* ---- Licences that are always the same ---- */

static uint32_t seed = 7;

static uint32_t next_random(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

/* Text and noise in turn; some sizes just about a block of tar. */
static size_t invent(uint8_t *bytes, size_t most, unsigned i)
{
	static const size_t sizes[] = {0, 1, 511, 512, 513, 1024};
	size_t size = i < 6 ? sizes[i] : next_random() % most;

	for (size_t k = 0; k < size; k++)
		bytes[k] = i % 2 ? (uint8_t)next_random() : (uint8_t)("licence "[k % 8]);
	return size;
}

static void save(const char *directory, const char *component, const char *name,
    const void *bytes, size_t size)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof path, "%s/licenses/%s", directory, component);
	must(file_make_directories(path, 0700, &error));
	snprintf(path, sizeof path, "%s/licenses/%s/%s", directory, component, name);
	file = fopen(path, "wb");
	if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
		perror(path);
		exit(1);
	}
}

static void save_license(const char *directory, const struct frame_license *license)
{
	save(directory, license->component, "document", license->document,
	    license->document_size);
	if (license->secret_size > 0)
		save(directory, license->component,
		    license->sealed ? "secret.sealed" : "secret", license->secret,
		    license->secret_size);
	if (license->state_size > 0)
		save(directory, license->component, "state.json", license->state,
		    license->state_size);
}

/* ---- Commands ---- */

static struct age_identity read_key(const char *path)
{
	struct age_identity identity;
	struct buffer text = {0};
	char *start;

	must(file_read_whole(AT_FDCWD, path, 4096, &text, path, &error));
	must(buffer_append(&text, "", 1, &error));
	start = strstr((char *)text.data, "AGE-SECRET-KEY-1");
	if (start == NULL)
		exit(1);
	start[strcspn(start, "\n")] = '\0';
	must(age_identity_parse(&identity, start, &error));
	buffer_free_secret(&text);
	return identity;
}

static void make_key(const char *path)
{
	struct age_identity identity;
	char text[AGE_TEXT_SIZE + 1];

	must(age_identity_generate(&identity, &error));
	age_identity_format(text, &identity);
	strcat(text, "\n");
	must(file_replace(AT_FDCWD, path, 0600, text, strlen(text), path, &error));
}

/*
 * One licence of any size up to 1 MiB in 16, the rest up to 8 KiB; every sixth has a secret
 * that is sealed, whatever with.
 */
static void append_licenses(struct backup_writer *writer, const struct backup_header *header,
    const uint8_t *proof_key, const char *originals, unsigned count)
{
	static uint8_t document[FRAME_DOCUMENT_MAX], secret[256];
	struct frame_builder *builder;
	const struct backup_frame *frame;
	uint32_t number = 1;
	size_t size = 0;

	must(frame_builder_new(&builder, &error));
	frame_builder_prove(builder, proof_key, header->id);
	for (unsigned i = 0; i < count; i++) {
		char component[32], state[64];
		uint8_t digest[DIGEST_SIZE];
		struct frame_license license = {
		    .component = component, .document = document, .digest = digest};

		snprintf(component, sizeof component, "Licence_%u-%%7B.x", i);
		snprintf(state, sizeof state, "{\"play\":%u}\n", i);
		license.document_size = invent(document, i % 16 ? 8192 : sizeof document, i);
		must(sha256(digest, document, license.document_size, &error));
		if (i % 3 == 0) {
			license.secret = secret;
			license.secret_size = 1 + invent(secret, sizeof secret - 1, i + 6);
			license.sealed = i % 6 == 0;
		}
		if (i % 5 == 0) {
			license.state = state;
			license.state_size = strlen(state);
		}
		save_license(originals, &license);
		if (size == 0)
			must(frame_begin(builder, number++, header->created, &error));
		must(frame_add(builder, &license, &error));
		size += frame_license_size(
		    license.document_size, license.secret_size, license.state_size);
		if (size < FRAME_TARGET && i + 1 < count)
			continue;
		must(frame_finish(builder, &frame, &error));
		must(backup_writer_append(writer, frame, &error));
		size = 0;
	}
	frame_builder_free(builder);
}

static void write_backup(
    const char *path, const char *key, const char *originals, unsigned count)
{
	struct age_identity identity = read_key(key);
	struct backup_header header = {.computer_id = "0123456789abcdef0123456789abcdef",
	    .owned = count,
	    .issuers = (char *)"[\"an issuer\"]"};
	struct backup_directory *directory;
	struct backup_writer *writer;
	uint8_t signing_key[KEY_SIZE], proof_key[KEY_SIZE];

	must(backup_directory_open(path, true, &directory, &error));
	must(es256_key_generate(signing_key, &error));
	must(backup_proof_key(&identity, proof_key, &error));
	must(backup_writer_new(directory, &header, signing_key, proof_key, &identity.recipient,
	    1, 10, &writer, &error));
	append_licenses(writer, &header, proof_key, originals, count);
	must(backup_writer_finish(writer, NULL, NULL, &error));
	must(backup_writer_commit(writer, &error));
	backup_writer_free(writer);
	must(backup_prune(directory, 1, &error));
	backup_directory_close(directory);
}

static int on_license(void *target, const struct frame_license *license, rh_error *why)
{
	(void)why;
	save_license(target, license);
	return RH_OK;
}

static void read_backup(const char *path, const char *key, char *target)
{
	struct age_identity identity = read_key(key);
	struct age_keys keys = {&identity, 1, NULL};
	struct backup_directory *directory;
	struct backup_generation *generations;
	struct backup_reader *reader;
	struct frame_parser *parser;
	struct backup_frame frame = {0};
	size_t count;

	must(backup_directory_open(path, false, &directory, &error));
	must(backup_list(directory, &generations, &count, &error));
	if (count == 0)
		exit(1);
	must(backup_reader_new(directory, generations[0].file, &keys, false, &reader, &error));
	must(frame_parser_new(&parser, &error));
	for (;;) {
		must(backup_reader_next(reader, &frame, &error));
		if (frame.licenses.size == 0)
			break;
		must(frame_parse(parser, &frame, on_license, NULL, target, &error));
	}
	backup_frame_free(&frame);
	frame_parser_free(parser);
	backup_reader_free(reader);
	free(generations);
	backup_directory_close(directory);
}

static void write_recovery(const char *path, const char *key, const char *passphrase)
{
	struct age_identity identity = read_key(key);
	struct backup_directory *directory;

	must(backup_directory_open(path, true, &directory, &error));
	must(backup_recovery_write(directory, passphrase, &identity, &error));
	backup_directory_close(directory);
}

static void unlock(const char *path, const char *passphrase)
{
	struct backup_directory *directory;
	struct age_identity identity;
	char text[AGE_TEXT_SIZE];

	must(backup_directory_open(path, false, &directory, &error));
	must(backup_recovery_read(directory, passphrase, &identity, &error));
	backup_directory_close(directory);
	age_recipient_format(text, &identity.recipient);
	puts(text);
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";

	if (strcmp(command, "key") == 0 && argc == 3)
		make_key(argv[2]);
	else if (strcmp(command, "write") == 0 && argc == 6)
		write_backup(argv[2], argv[3], argv[4], (unsigned)atoi(argv[5]));
	else if (strcmp(command, "passphrase") == 0 && argc == 5)
		write_recovery(argv[2], argv[3], argv[4]);
	else if (strcmp(command, "read") == 0 && argc == 5)
		read_backup(argv[2], argv[3], argv[4]);
	else if (strcmp(command, "unlock") == 0 && argc == 4)
		unlock(argv[2], argv[3]);
	else
		return 2;
	return 0;
}
