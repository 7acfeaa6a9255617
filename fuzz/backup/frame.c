/*
 * A frame of licences.  First byte odd: the rest is a frame as in a file; even: it is the
 * tar that is packed into one, so that the fuzzer need not guess a checksum of zstd; then
 * the checksums of tar are put right as well.  With bit 1 two bytes say how much of it is of
 * the licences, and what follows is their manifest; bit 2: cut, at a place that the last byte
 * says; bit 3: alone.
 */
#include <stdlib.h>
#include <string.h>

#include "backup/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whose proof no corpus holds. */
static const uint8_t prover[KEY_SIZE] = "a proof that nobody ever made...";

/* What is given obeys the limits, and all of it can be read. */
static int on_license(void *context, const struct frame_license *license, rh_error *error)
{
	uint8_t digest[DIGEST_SIZE];
	volatile uint8_t sum = 0;

	(void)context;
	(void)error;
	if (!frame_component_valid(license->component) || license->proven ||
	    (license->sealed && license->secret == NULL) ||
	    license->document_size > FRAME_DOCUMENT_MAX ||
	    license->secret_size > FRAME_PART_MAX || license->state_size > FRAME_PART_MAX)
		abort();
	if (sha256(digest, license->document, license->document_size, NULL) != RH_OK ||
	    memcmp(digest, license->digest, sizeof digest) != 0)
		abort();
	for (size_t i = 0; i < license->secret_size; i++)
		sum = (uint8_t)(sum + ((const uint8_t *)license->secret)[i]);
	for (size_t i = 0; i < license->state_size; i++)
		sum = (uint8_t)(sum + ((const uint8_t *)license->state)[i]);
	return RH_OK;
}

static int on_damaged(void *context, const struct frame_license *damaged, const rh_error *why)
{
	(void)context;
	if (!frame_component_valid(damaged->component) || why->code != RH_E_LICENSE_DAMAGED ||
	    why->text[0] == '\0')
		abort();
	return RH_OK;
}

/* Puts the checksum of each block right that has the magic of a header. */
static void mend(uint8_t *tar, size_t size)
{
	for (size_t at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK) {
		uint8_t *header = tar + at;
		unsigned sum = 8 * ' ';

		if (memcmp(header + 257, "ustar", 5) != 0)
			continue;
		for (size_t i = 0; i < TAR_BLOCK; i++)
			sum += i < 148 || i >= 156 ? header[i] : 0;
		for (int i = 5; i >= 0; i--, sum >>= 3)
			header[148 + i] = (uint8_t)('0' + (sum & 7));
		header[154] = '\0';
		header[155] = ' ';
	}
}

static void parse(const struct backup_frame *frame)
{
	struct frame_parser *parser = NULL;
	int code;

	if (frame_parser_new(&parser, NULL) != RH_OK)
		abort();
	frame_parser_prove(parser, prover, "0123456789abcdef");
	code = frame_parse(parser, frame, on_license, on_damaged, NULL, NULL);
	if (code != RH_OK && code != RH_E_BACKUP_CORRUPT)
		abort();
	frame_parser_free(parser);
}

/* Puts a part of the input into the frame. */
static void put(struct buffer *part, bool packed, const uint8_t *data, size_t size)
{
	static ZSTD_CCtx *compressor;
	struct buffer tar = {0};

	if (compressor == NULL && zframe_compressor(&compressor, NULL) != RH_OK)
		abort();
	if (packed) {
		if (buffer_append(part, data, size, NULL) != RH_OK)
			abort();
		return;
	}
	if (buffer_append(&tar, data, size, NULL) != RH_OK)
		abort();
	mend(tar.data, tar.size);
	if (zframe_pack(compressor, tar.data, tar.size, part, NULL) != RH_OK)
		abort();
	buffer_free(&tar);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct backup_frame frame = {0};
	bool packed;
	size_t first;

	if (size < 4)
		return 0;
	packed = (data[0] & 1) != 0;
	frame.cut = (data[0] & 4) != 0;
	frame.alone = (data[0] & 8) != 0;
	if ((data[0] & 2) != 0) {
		first = (size_t)data[1] << 8 | data[2];
		if (first > size - 3)
			first = size - 3;
		if (first > 0)
			put(&frame.licenses, packed, data + 3, first);
		put(&frame.manifest, packed, data + 3 + first, size - 3 - first);
	} else {
		put(&frame.licenses, packed, data + 1, size - 1);
	}
	if (frame.cut)
		frame.licenses.size = frame.licenses.size * data[size - 1] / UINT8_MAX;
	parse(&frame);
	backup_frame_free(&frame);
	return 0;
}
