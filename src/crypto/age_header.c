#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "crypto/age_header.h"

/*
 * The grammar of C2SP age.md, "ABNF definition of file header".  It has one form
 * only: what is not byte for byte what a writer must write is refused.
 */

#define VERSION_PREFIX "age-encryption.org/"
#define VERSION_LINE VERSION_PREFIX "v1"
#define COLUMNS 64
#define ARGUMENTS_MAX 4 /* one more than any stanza that we know */
/* Characters of unpadded base64. */
#define RAW_LENGTH(size) (((size)*4 + 2) / 3)

struct text {
	const char *data;
	size_t size;
};

static int corrupt(rh_error *error, const char *what)
{
	return error_set(error, RH_E_BACKUP_CORRUPT,
	    "the header of the encrypted file is damaged: %s", what);
}

static bool text_is(struct text text, const char *literal)
{
	return text.size == strlen(literal) && memcmp(text.data, literal, text.size) == 0;
}

/* Takes a line off ${rest}, without its line feed; false if there is no whole line. */
static bool take_line(struct text *rest, struct text *line)
{
	const char *end = memchr(rest->data, '\n', rest->size);

	if (end == NULL)
		return false;
	line->data = rest->data;
	line->size = (size_t)(end - rest->data);
	rest->data += line->size + 1;
	rest->size -= line->size + 1;
	return true;
}

static bool visible(struct text text)
{
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] < 0x21 || text.data[i] > 0x7e)
			return false;
	return text.size > 0;
}

/* Exactly ${size} bytes in canonical, unpadded base64. */
static bool decode_exactly(void *bytes, size_t size, struct text text)
{
	return text.size == RAW_LENGTH(size) && base64_decode(bytes, size, text.data, text.size,
						    BASE64_NO_PAD) == (ptrdiff_t)size;
}

/*
 * Splits an argument line behind "-> ".  ${*ret_count} counts all arguments; the
 * first ARGUMENTS_MAX are stored.
 */
static bool split_arguments(
    struct text line, struct text arguments[ARGUMENTS_MAX], size_t *ret_count)
{
	size_t count = 0;

	for (;;) {
		struct text argument = line;
		const char *space = memchr(line.data, ' ', line.size);

		if (space != NULL)
			argument.size = (size_t)(space - line.data);
		if (!visible(argument))
			return false;
		if (count < ARGUMENTS_MAX)
			arguments[count] = argument;
		count++;
		if (space == NULL)
			break;
		line.data += argument.size + 1;
		line.size -= argument.size + 1;
	}
	*ret_count = count;
	return true;
}

/* ^[1-9][0-9]*$ and not over the limit. */
static bool read_work(unsigned *work, struct text text)
{
	unsigned value = 0;

	if (text.size == 0 || text.data[0] == '0')
		return false;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		value = value * 10 + (unsigned)(text.data[i] - '0');
		if (value > AGE_SCRYPT_WORK_MAX)
			return false;
	}
	*work = value;
	return true;
}

/*
 * Reads the lines of a body up to the first that is shorter than 64 columns.  The
 * first AGE_WRAPPED_SIZE bytes are stored; ${*ret_size} counts all.
 */
static bool take_body(struct text *rest, uint8_t stored[AGE_WRAPPED_SIZE], size_t *ret_size)
{
	uint8_t bytes[COLUMNS / 4 * 3];
	size_t size = 0;
	struct text line;

	do {
		ptrdiff_t got;

		if (!take_line(rest, &line) || line.size > COLUMNS)
			return false;
		got = base64_decode(bytes, sizeof bytes, line.data, line.size, BASE64_NO_PAD);
		if (got < 0)
			return false;
		if (size == 0)
			memcpy(stored, bytes,
			    (size_t)got < AGE_WRAPPED_SIZE ? (size_t)got : AGE_WRAPPED_SIZE);
		size += (size_t)got;
	} while (line.size == COLUMNS);
	*ret_size = size;
	return true;
}

static int take_stanza(
    struct text line, struct text *rest, struct age_stanza *stanza, rh_error *error)
{
	struct text arguments[ARGUMENTS_MAX];
	size_t count, body_size;

	line.data += 3;
	line.size -= 3;
	if (!split_arguments(line, arguments, &count))
		return corrupt(error, "the first line of a stanza is malformed");
	memset(stanza, 0, sizeof *stanza);
	if (!take_body(rest, stanza->wrapped, &body_size))
		return corrupt(error, "the body of a stanza is malformed");

	if (text_is(arguments[0], "X25519")) {
		stanza->type = AGE_STANZA_X25519;
		if (count != 2 || !decode_exactly(stanza->share, AGE_KEY_SIZE, arguments[1]) ||
		    body_size != AGE_WRAPPED_SIZE)
			return corrupt(error, "an X25519 stanza is malformed");
	} else if (text_is(arguments[0], "scrypt")) {
		stanza->type = AGE_STANZA_SCRYPT;
		if (count != 3 || !decode_exactly(stanza->salt, AGE_SALT_SIZE, arguments[1]) ||
		    body_size != AGE_WRAPPED_SIZE)
			return corrupt(error, "a scrypt stanza is malformed");
		if (!read_work(&stanza->work, arguments[2]))
			return corrupt(
			    error, "the cost of a scrypt stanza is malformed or too high");
	} else {
		stanza->type = AGE_STANZA_OTHER;
	}
	return RH_OK;
}

static int take_version(struct text *rest, rh_error *error)
{
	static const size_t prefix_length = sizeof VERSION_PREFIX - 1;
	struct text line;

	if (rest->size < prefix_length ||
	    memcmp(rest->data, VERSION_PREFIX, prefix_length) != 0)
		return error_set(error, RH_E_BACKUP_CORRUPT,
		    "the encrypted file does not begin as an age file");
	if (!take_line(rest, &line))
		return corrupt(error, "it ends in the version line");
	if (text_is(line, VERSION_LINE))
		return RH_OK;
	line.data += prefix_length;
	line.size -= prefix_length;
	if (!visible(line))
		return corrupt(error, "the version line is malformed");
	return error_set(error, RH_E_BACKUP_NEWER,
	    "the encrypted file is of another version of age than v1");
}

int age_header_parse(struct age_header *header, const char *text, size_t size, rh_error *error)
{
	struct text rest = {text, size}, line;
	bool scrypt = false;
	size_t count = 0;
	int code;

	code = take_version(&rest, error);
	if (code != RH_OK)
		return code;
	for (;;) {
		if (!take_line(&rest, &line))
			return corrupt(error,
			    size >= AGE_HEADER_MAX ? "it is too long" : "it is incomplete");
		if (line.size < 3 || memcmp(line.data, "-> ", 3) != 0)
			break;
		if (count == AGE_STANZAS_MAX)
			return corrupt(error, "it has too many stanzas");
		code = take_stanza(line, &rest, &header->stanzas[count], error);
		if (code != RH_OK)
			return code;
		scrypt |= header->stanzas[count++].type == AGE_STANZA_SCRYPT;
	}
	if (line.size < 4 || memcmp(line.data, "--- ", 4) != 0)
		return corrupt(error, "a line is neither stanza nor MAC");
	header->mac_size = (size_t)(line.data - text) + 3;
	line.data += 4;
	line.size -= 4;
	if (!decode_exactly(header->mac, DIGEST_SIZE, line))
		return corrupt(error, "the MAC is malformed");
	if (count == 0)
		return corrupt(error, "it has no stanza");
	if (scrypt && count != 1)
		return corrupt(error, "a scrypt stanza is not alone");
	header->count = count;
	header->size = (size_t)(rest.data - text);
	return RH_OK;
}

static int format_stanza(
    struct buffer *buffer, const struct age_stanza *stanza, rh_error *error)
{
	char value[BASE64_SIZE(AGE_KEY_SIZE)], body[BASE64_SIZE(AGE_WRAPPED_SIZE)];
	char text[sizeof "-> X25519  4294967295\n\n" + sizeof value + sizeof body];

	base64_encode(body, stanza->wrapped, AGE_WRAPPED_SIZE, BASE64_NO_PAD);
	if (stanza->type == AGE_STANZA_SCRYPT) {
		base64_encode(value, stanza->salt, AGE_SALT_SIZE, BASE64_NO_PAD);
		snprintf(text, sizeof text, "-> scrypt %s %u\n%s\n", value, stanza->work, body);
	} else {
		base64_encode(value, stanza->share, AGE_KEY_SIZE, BASE64_NO_PAD);
		snprintf(text, sizeof text, "-> X25519 %s\n%s\n", value, body);
	}
	return buffer_append_text(buffer, text, error);
}

int age_header_format(struct buffer *buffer, const struct age_header *header, rh_error *error)
{
	int code = buffer_append_text(buffer, VERSION_LINE "\n", error);

	for (size_t i = 0; code == RH_OK && i < header->count; i++)
		code = format_stanza(buffer, &header->stanzas[i], error);
	if (code == RH_OK)
		code = buffer_append_text(buffer, "---", error);
	return code;
}

int age_header_mac(uint8_t mac[DIGEST_SIZE], const uint8_t file_key[AGE_FILE_KEY_SIZE],
    const void *text, size_t size, rh_error *error)
{
	uint8_t key[KEY_SIZE];
	int code;

	code =
	    hkdf_sha256(key, sizeof key, file_key, AGE_FILE_KEY_SIZE, NULL, 0, "header", error);
	if (code == RH_OK)
		code = hmac_sha256(mac, key, sizeof key, text, size, error);
	bytes_wipe(key, sizeof key);
	return code;
}
