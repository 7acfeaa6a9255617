/*
 * Our age reader and writer as a program, for the test against the age tool.
 *
 *	age-tool keygen                                  identity and recipient, a line each
 *	age-tool encrypt RECIPIENT... < plain > file
 *	age-tool encrypt -p PASSPHRASE WORK < plain > file
 *	age-tool decrypt IDENTITY FILE > plain
 *	age-tool decrypt -p PASSPHRASE FILE > plain
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "crypto/age.h"

#define RECIPIENTS_MAX 16

static int sink(void *context, const void *bytes, size_t size, rh_error *error)
{
	(void)context;
	return file_write(STDOUT_FILENO, bytes, size, "standard output", error);
}

static int read_at(
    void *context, uint64_t offset, void *bytes, size_t size, size_t *ret, rh_error *error)
{
	return file_read_at(*(int *)context, offset, bytes, size, ret, "file", error);
}

static int keygen(rh_error *error)
{
	struct age_identity identity;
	char secret[AGE_TEXT_SIZE], recipient[AGE_TEXT_SIZE];
	int code = age_identity_generate(&identity, error);

	if (code != RH_OK)
		return code;
	age_identity_format(secret, &identity);
	age_recipient_format(recipient, &identity.recipient);
	printf("%s\n%s\n", secret, recipient);
	return RH_OK;
}

static int encrypt(char **arguments, int count, rh_error *error)
{
	static unsigned char bytes[100000];
	struct age_recipient recipients[RECIPIENTS_MAX];
	struct age_writer *writer = NULL;
	const char *passphrase = NULL;
	unsigned work = 0;
	size_t got = 1, recipient_count = 0;
	int code = RH_OK;

	if (count == 3 && strcmp(arguments[0], "-p") == 0) {
		passphrase = arguments[1];
		work = (unsigned)atoi(arguments[2]);
		count = 0;
	}
	for (int i = 0; i < count && i < RECIPIENTS_MAX && code == RH_OK; i++)
		code = age_recipient_parse(&recipients[recipient_count++], arguments[i], error);
	if (code == RH_OK)
		code = age_writer_new(
		    recipients, recipient_count, passphrase, work, sink, NULL, &writer, error);
	while (code == RH_OK && got > 0) {
		code =
		    file_read(STDIN_FILENO, bytes, sizeof bytes, &got, "standard input", error);
		if (code == RH_OK)
			code = age_writer_write(writer, bytes, got, error);
	}
	if (code == RH_OK)
		code = age_writer_finish(writer, error);
	age_writer_free(writer);
	return code;
}

static int decrypt(char **arguments, int count, rh_error *error)
{
	static unsigned char bytes[100000];
	struct age_identity identity;
	struct age_keys keys = {0};
	struct age_reader *reader = NULL;
	struct stat status;
	size_t got = 1;
	int fd, code = RH_OK;

	if (count == 3 && strcmp(arguments[0], "-p") == 0) {
		keys.passphrase = *++arguments;
	} else {
		code = age_identity_parse(&identity, arguments[0], error);
		keys.identities = &identity;
		keys.identity_count = 1;
	}
	if (code != RH_OK)
		return code;
	fd = open(arguments[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) != 0)
		return error_set(error, RH_E_OPEN, "cannot open the file");

	struct age_source source = {
	    .read_at = read_at, .context = &fd, .size = (uint64_t)status.st_size};
	code = age_reader_new(&source, &keys, &reader, error);
	while (code == RH_OK && got > 0) {
		code = age_reader_read(reader, bytes, sizeof bytes, &got, error);
		if (code == RH_OK)
			code = file_write(STDOUT_FILENO, bytes, got, "standard output", error);
	}
	age_reader_free(reader);
	close(fd);
	return code;
}

int main(int argc, char **argv)
{
	rh_error error = {0};
	int code;

	if (argc == 2 && strcmp(argv[1], "keygen") == 0) {
		code = keygen(&error);
	} else if (argc >= 3 && strcmp(argv[1], "encrypt") == 0) {
		code = encrypt(argv + 2, argc - 2, &error);
	} else if (argc >= 4 && strcmp(argv[1], "decrypt") == 0) {
		code = decrypt(argv + 2, argc - 2, &error);
	} else {
		fprintf(stderr, "usage: age-tool keygen | encrypt ... | decrypt ...\n");
		return 2;
	}
	if (code != RH_OK)
		fprintf(stderr, "age-tool: %s\n", error.text);
	return code != RH_OK;
}
