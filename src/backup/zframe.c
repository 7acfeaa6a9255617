#include <zstd_errors.h>

#include "backup/internal.h"

#define LEVEL 1

static int failed(size_t result, const char *what, int code, rh_error *error)
{
	if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation)
		return error_memory(error);
	return error_set(error, code, "%s: %s", what, ZSTD_getErrorName(result));
}

int zframe_compressor(ZSTD_CCtx **ret, rh_error *error)
{
	ZSTD_CCtx *compressor = ZSTD_createCCtx();
	size_t result;

	if (compressor == NULL)
		return error_memory(error);
	result = ZSTD_CCtx_setParameter(compressor, ZSTD_c_compressionLevel, LEVEL);
	if (ZSTD_isError(result)) {
		ZSTD_freeCCtx(compressor);
		return failed(result, "cannot set up zstd", RH_E_INTERNAL, error);
	}
	*ret = compressor;
	return RH_OK;
}

int zframe_pack(ZSTD_CCtx *compressor, const void *bytes, size_t size, struct buffer *frame,
    rh_error *error)
{
	size_t result;
	int code;

	buffer_clear(frame);
	code = buffer_reserve(frame, ZSTD_compressBound(size), error);
	if (code != RH_OK)
		return code;
	result = ZSTD_compress2(compressor, frame->data, frame->capacity, bytes, size);
	if (ZSTD_isError(result))
		return failed(result, "cannot compress a frame", RH_E_INTERNAL, error);
	frame->size = result;
	return RH_OK;
}

/* The size of the content as the frame's header says it. */
static int content_size(
    const void *frame, size_t size, size_t limit, size_t *ret, rh_error *error)
{
	unsigned long long content = ZSTD_getFrameContentSize(frame, size);

	if (content == ZSTD_CONTENTSIZE_ERROR || content == ZSTD_CONTENTSIZE_UNKNOWN ||
	    content == 0 || content > limit)
		return error_set(error, RH_E_BACKUP_CORRUPT,
		    "a frame that does not say its size, or too large a one");
	*ret = (size_t)content;
	return RH_OK;
}

int zframe_append(ZSTD_DCtx *decompressor, const void *frame, size_t size, size_t limit,
    struct buffer *bytes, rh_error *error)
{
	size_t content = 0, result;
	int code;

	code = content_size(frame, size, limit, &content, error);
	if (code != RH_OK)
		return code;
	if (ZSTD_findFrameCompressedSize(frame, size) != size)
		return error_set(error, RH_E_BACKUP_CORRUPT, "not exactly one frame");
	code = buffer_reserve(bytes, content, error);
	if (code != RH_OK)
		return code;
	result =
	    ZSTD_decompressDCtx(decompressor, bytes->data + bytes->size, content, frame, size);
	if (ZSTD_isError(result))
		return failed(
		    result, "a frame does not decompress", RH_E_BACKUP_CORRUPT, error);
	if (result != content)
		return error_set(
		    error, RH_E_BACKUP_CORRUPT, "a frame is not as long as it says");
	bytes->size += result;
	return RH_OK;
}

int zframe_unpack(ZSTD_DCtx *decompressor, const void *frame, size_t size, size_t limit,
    struct buffer *bytes, rh_error *error)
{
	buffer_clear(bytes);
	return zframe_append(decompressor, frame, size, limit, bytes, error);
}

/* As far as it goes, at most ${size} bytes. */
static int unpack_start(ZSTD_DCtx *decompressor, const void *frame, size_t frame_size,
    void *bytes, size_t size, size_t *ret, rh_error *error)
{
	ZSTD_inBuffer in = {frame, frame_size, 0};
	ZSTD_outBuffer out = {bytes, size, 0};
	size_t result = ZSTD_DCtx_reset(decompressor, ZSTD_reset_session_only);

	while (!ZSTD_isError(result) && out.pos < out.size) {
		size_t before = in.pos + out.pos;

		result = ZSTD_decompressStream(decompressor, &out, &in);
		if (result == 0 || in.pos + out.pos == before)
			break;
	}
	ZSTD_DCtx_reset(decompressor, ZSTD_reset_session_only);
	if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation)
		return error_memory(error);
	*ret = out.pos;
	return RH_OK;
}

int zframe_append_cut(ZSTD_DCtx *decompressor, const void *frame, size_t size, size_t limit,
    struct buffer *bytes, rh_error *error)
{
	size_t content = 0, got = 0;
	int code = content_size(frame, size, limit, &content, NULL);

	/* Not even its header is there. */
	if (code != RH_OK)
		return RH_OK;
	code = buffer_reserve(bytes, content, error);
	if (code == RH_OK)
		code = unpack_start(
		    decompressor, frame, size, bytes->data + bytes->size, content, &got, error);
	bytes->size += got;
	return code;
}

int zframe_peek(ZSTD_DCtx *decompressor, const void *frame, size_t size, size_t limit,
    uint8_t ret[TAR_BLOCK], bool *ret_there, rh_error *error)
{
	size_t content = 0, got = 0;
	int code = RH_OK;

	if (content_size(frame, size, limit, &content, NULL) == RH_OK)
		code = unpack_start(decompressor, frame, size, ret, TAR_BLOCK, &got, error);
	if (code == RH_OK)
		*ret_there = got == TAR_BLOCK;
	return code;
}

int zframe_measure(const void *bytes, size_t size, size_t limit, size_t *ret, rh_error *error)
{
	size_t length = ZSTD_findFrameCompressedSize(bytes, size), content = 0;
	int code;

	if (ZSTD_isError(length)) {
		/* The word for "there is not enough of it yet". */
		if (ZSTD_getErrorCode(length) != ZSTD_error_srcSize_wrong ||
		    size > ZSTD_compressBound(limit))
			return failed(length, "no frame where one should start",
			    RH_E_BACKUP_CORRUPT, error);
		*ret = 0;
		return RH_OK;
	}
	code = content_size(bytes, length, limit, &content, error);
	if (code == RH_OK)
		*ret = length;
	return code;
}
