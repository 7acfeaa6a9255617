/*
 * A whole backup, of which some chunks are lost, read as far as it goes.  First byte: which
 * chunks; second: how often what follows is repeated.  Then pieces of the plaintext: a byte,
 * two bytes with the length, and the piece: as it is if the byte is odd, else a tar that is
 * packed into a frame, with its checksums put right.  Bit 1: without a header.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "backup/internal.h"

#define FILE_NAME "licenses-20260102T030405Z-0123456789abcdef.age"
#define PLAIN_MAX ((size_t)400 << 10)
#define CHUNK_SEALED 65552

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool right)
{
	if (!right)
		abort();
}

/* ---- The file ---- */

static struct backup_directory *directory;
static struct age_identity identity;
static ZSTD_CCtx *compressor;
static struct buffer header; /* its frame */

static void clean_up(void)
{
	unlinkat(directory->fd, FILE_NAME, 0);
	rmdir(directory->path);
	backup_directory_close(directory);
	ZSTD_freeCCtx(compressor);
	buffer_free(&header);
}

static void set_up(void)
{
	static const uint8_t secret[AGE_KEY_SIZE] = "a key that is always the same...";
	struct backup_header content = {.format_version = 3,
	    .id = "0123456789abcdef",
	    .created = 1767323045,
	    .generator = "a fuzzer",
	    .computer_id = "00"};
	struct buffer tar = {0};
	char path[] = "/tmp/rehost-fuzz-XXXXXX";

	must(mkdtemp(path) != NULL);
	must(backup_directory_open(path, false, &directory, NULL) == RH_OK);
	must(age_identity_from_secret(&identity, secret, NULL) == RH_OK);
	must(zframe_compressor(&compressor, NULL) == RH_OK);
	must(backup_header_write(&content, secret, NULL, &tar, NULL) == RH_OK);
	must(zframe_pack(compressor, tar.data, tar.size, &header, NULL) == RH_OK);
	buffer_free(&tar);
	atexit(clean_up);
}

/* Puts the checksum of each block right that has the magic of a header. */
static void mend(uint8_t *tar, size_t size)
{
	for (size_t at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK) {
		uint8_t *block = tar + at;
		unsigned sum = 8 * ' ';

		if (memcmp(block + 257, "ustar", 5) != 0)
			continue;
		for (size_t i = 0; i < TAR_BLOCK; i++)
			sum += i < 148 || i >= 156 ? block[i] : 0;
		for (int i = 5; i >= 0; i--, sum >>= 3)
			block[148 + i] = (uint8_t)('0' + (sum & 7));
		block[154] = '\0';
		block[155] = ' ';
	}
}

static void put_pieces(struct buffer *plain, const uint8_t *data, size_t size)
{
	struct buffer frame = {0}, tar = {0};

	while (size > 3 && plain->size < PLAIN_MAX) {
		size_t length = (size_t)data[1] << 8 | data[2];
		bool raw = (data[0] & 1) != 0;

		data += 3;
		size -= 3;
		length = length < size ? length : size;
		buffer_clear(&tar);
		must(buffer_append(&tar, data, length, NULL) == RH_OK);
		if (!raw) {
			mend(tar.data, tar.size);
			must(
			    zframe_pack(compressor, tar.data, tar.size, &frame, NULL) == RH_OK);
		}
		must(buffer_append(plain, raw ? tar.data : frame.data,
			 raw ? tar.size : frame.size, NULL) == RH_OK);
		data += length;
		size -= length;
	}
	buffer_free(&frame);
	buffer_free(&tar);
}

static int sink(void *context, const void *bytes, size_t size, rh_error *error)
{
	return buffer_append(context, bytes, size, error);
}

/* Encrypts, and spoils the chunks that ${lost} says. */
static void write_file(const struct buffer *plain, unsigned lost)
{
	struct age_writer *writer = NULL;
	struct buffer file = {0};
	size_t chunks = (plain->size + 65535) / 65536, payload;
	int fd;

	must(age_writer_new(&identity.recipient, 1, NULL, 0, sink, &file, &writer, NULL) ==
	     RH_OK);
	must(age_writer_write(writer, plain->data, plain->size, NULL) == RH_OK);
	must(age_writer_finish(writer, NULL) == RH_OK);
	age_writer_free(writer);
	chunks = chunks > 0 ? chunks : 1;
	payload = file.size - plain->size - chunks * 16;
	for (size_t i = 0; i < chunks; i++)
		if ((lost >> i % 8 & 1) != 0)
			file.data[payload + i * CHUNK_SEALED] ^= 1;
	fd = openat(directory->fd, FILE_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(fd >= 0 && file_write(fd, file.data, file.size, FILE_NAME, NULL) == RH_OK);
	close(fd);
	buffer_free(&file);
}

/* ---- Reading ---- */

/* What came, so that two readings can be compared. */
struct outcome {
	int code;
	uint64_t given;
	uint64_t damaged;
	struct backup_wear wear;
};

static int on_license(void *context, const struct frame_license *license, rh_error *error)
{
	struct outcome *outcome = context;
	uint8_t digest[DIGEST_SIZE];

	(void)error;
	must(frame_component_valid(license->component) && !license->proven);
	must(sha256(digest, license->document, license->document_size, NULL) == RH_OK);
	must(memcmp(digest, license->digest, sizeof digest) == 0);
	outcome->given++;
	return RH_OK;
}

static int on_damaged(void *context, const struct frame_license *damaged, const rh_error *why)
{
	struct outcome *outcome = context;

	must(frame_component_valid(damaged->component) && why->code == RH_E_LICENSE_DAMAGED);
	outcome->damaged++;
	return RH_OK;
}

static int read_frames(struct backup_reader *reader, struct outcome *outcome)
{
	struct frame_parser *parser = NULL;
	struct backup_frame frame = {0};
	uint64_t frames = 0;
	int code = RH_OK;

	must(frame_parser_new(&parser, NULL) == RH_OK);
	while (code == RH_OK) {
		code = backup_reader_next(reader, &frame, NULL);
		if (code != RH_OK || (frame.licenses.size == 0 && frame.manifest.size == 0))
			break;
		must(++frames <= PLAIN_MAX);
		code = frame_parse(parser, &frame, on_license, on_damaged, outcome, NULL);
	}
	backup_frame_free(&frame);
	frame_parser_free(parser);
	return code;
}

static struct outcome read_file(bool salvage)
{
	const struct age_keys keys = {&identity, 1, NULL};
	struct backup_reader *reader = NULL;
	struct outcome outcome = {0};

	outcome.code = backup_reader_new(directory, FILE_NAME, &keys, salvage, &reader, NULL);
	if (outcome.code == RH_OK) {
		outcome.code = read_frames(reader, &outcome);
		backup_reader_wear(reader, &outcome.wear);
	}
	must(outcome.code == RH_OK || outcome.code == RH_E_BACKUP_CORRUPT);
	backup_reader_free(reader);
	return outcome;
}

static bool same(const struct outcome *a, const struct outcome *b)
{
	return a->code == b->code && a->given == b->given && a->damaged == b->damaged &&
	       a->wear.bytes_lost == b->wear.bytes_lost &&
	       a->wear.header_lost == b->wear.header_lost;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer plain = {0}, pieces = {0};
	struct outcome strict, first, second;

	if (directory == NULL)
		set_up();
	if (size < 3)
		return 0;
	if ((data[2] & 2) == 0)
		must(buffer_append(&plain, header.data, header.size, NULL) == RH_OK);
	put_pieces(&pieces, data + 2, size - 2);
	for (unsigned i = 0; i <= data[1] && plain.size < PLAIN_MAX; i++)
		must(buffer_append(&plain, pieces.data, pieces.size, NULL) == RH_OK);
	write_file(&plain, data[0]);
	strict = read_file(false);
	first = read_file(true);
	second = read_file(true);
	/* Both the same; and where nothing is lost, the same as without salvage. */
	must(same(&first, &second));
	if (strict.code == RH_OK || first.wear.bytes_lost == 0)
		must(first.code == strict.code && first.given == strict.given &&
		     first.damaged == strict.damaged);
	must(strict.code != RH_OK || strict.wear.bytes_lost == 0);
	buffer_free(&pieces);
	buffer_free(&plain);
	return 0;
}
