#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "backup/internal.h"

#define RECOVERY_PLAIN_MAX 4096

static const char comment[] =
    "# The recovery key of a Rehost backup. It opens the licenses-*.age files beside it.\n";

static int sink_append(void *context, const void *bytes, size_t size, rh_error *error)
{
	return buffer_append(context, bytes, size, error);
}

int backup_recovery_write(struct backup_directory *directory, const char *passphrase,
    const struct age_identity *identity, rh_error *error)
{
	char plain[sizeof comment + AGE_TEXT_SIZE + 1], text[AGE_TEXT_SIZE];
	char display[DISPLAY_SIZE];
	struct age_writer *writer = NULL;
	struct buffer sealed = {0};
	int code;

	age_identity_format(text, identity);
	strcpy(plain, comment);
	strcat(plain, text);
	strcat(plain, "\n");
	code = age_writer_new(
	    NULL, 0, passphrase, AGE_SCRYPT_WORK, sink_append, &sealed, &writer, error);
	if (code == RH_OK)
		code = age_writer_write(writer, plain, strlen(plain), error);
	if (code == RH_OK)
		code = age_writer_finish(writer, error);
	age_writer_free(writer);
	bytes_wipe(text, sizeof text);
	bytes_wipe(plain, sizeof plain);
	if (code == RH_OK)
		code =
		    file_replace(directory->fd, RECOVERY_FILE, 0600, sealed.data, sealed.size,
			backup_directory_display(display, directory, RECOVERY_FILE), error);
	buffer_free(&sealed);
	return code;
}

/* The first identity of an age identity file: a key a line, '#' starts a comment line. */
static int first_identity(char *plain, struct age_identity *ret, rh_error *error)
{
	char *rest = plain, *line;
	int code;

	while ((line = strsep(&rest, "\n")) != NULL) {
		size_t length = strlen(line);

		if (length > 0 && line[length - 1] == '\r')
			line[length - 1] = '\0';
		if (line[0] == '\0' || line[0] == '#')
			continue;
		code = age_identity_parse(ret, line, error);
		if (code == RH_OK || code == RH_E_MEMORY)
			return code;
		break;
	}
	return error_set(error, RH_E_BACKUP_CORRUPT, RECOVERY_FILE " does not hold a key");
}

static int read_identity(struct age_reader *reader, struct age_identity *ret, rh_error *error)
{
	char plain[RECOVERY_PLAIN_MAX + 1];
	size_t size = 0, got;
	int code;

	do {
		code = age_reader_read(
		    reader, plain + size, RECOVERY_PLAIN_MAX - size, &got, error);
		if (code == RH_OK)
			size += got;
	} while (code == RH_OK && got > 0 && size < RECOVERY_PLAIN_MAX);
	if (code == RH_OK) {
		plain[size] = '\0';
		code = first_identity(plain, ret, error);
	}
	bytes_wipe(plain, sizeof plain);
	return code;
}

int backup_recovery_read(struct backup_directory *directory, const char *passphrase,
    struct age_identity *ret, rh_error *error)
{
	char display[DISPLAY_SIZE];
	struct file_source file = {.path = display};
	struct age_source source = {.read_at = file_source_read, .context = &file};
	struct age_keys keys = {.passphrase = passphrase};
	struct age_reader *reader = NULL;
	rh_error why;
	int code;

	backup_directory_display(display, directory, RECOVERY_FILE);
	code = backup_directory_file(
	    directory, RECOVERY_FILE, false, &file.fd, &source.size, &why);
	if (code == RH_E_BACKUP_MISSING)
		return error_set(error, RH_E_SECRET_NEEDED,
		    "there is no %s that the passphrase could open", display);
	if (code != RH_OK) {
		if (error != NULL)
			*error = why;
		return code;
	}
	code = age_reader_new(&source, &keys, &reader, error);
	if (code == RH_OK)
		code = read_identity(reader, ret, error);
	age_reader_free(reader);
	close(file.fd);
	return code;
}
