#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "backup/internal.h"

/* Files of one licence, at most. */
#define PART_COUNT_MAX 3

struct frame_builder {
	ZSTD_CCtx *compressor;
	struct digest *digest;
	struct buffer tar;
	struct buffer manifest;
	struct buffer facts;
	struct backup_frame frame;
	struct frame_prover prover;
	uint32_t number;
	int64_t time;
};

int frame_builder_new(struct frame_builder **ret, rh_error *error)
{
	struct frame_builder *builder = calloc(1, sizeof *builder);
	int code;

	if (builder == NULL)
		return error_memory(error);
	code = zframe_compressor(&builder->compressor, error);
	if (code == RH_OK)
		code = digest_new(&builder->digest, error);
	if (code != RH_OK) {
		frame_builder_free(builder);
		return code;
	}
	*ret = builder;
	return RH_OK;
}

void frame_builder_free(struct frame_builder *builder)
{
	if (builder == NULL)
		return;
	ZSTD_freeCCtx(builder->compressor);
	digest_free(builder->digest);
	buffer_free_secret(&builder->tar);
	buffer_free_secret(&builder->manifest);
	buffer_free_secret(&builder->facts);
	backup_frame_free(&builder->frame);
	bytes_wipe(&builder->prover, sizeof builder->prover);
	free(builder);
}

void frame_builder_prove(
    struct frame_builder *builder, const uint8_t key[KEY_SIZE], const char *id)
{
	frame_prover_set(&builder->prover, key, id);
}

int frame_begin(struct frame_builder *builder, uint32_t number, int64_t time, rh_error *error)
{
	if (time < 0 || time > TAR_TIME_MAX)
		return error_set(error, RH_E_ARGUMENT, "a time that no tar can say");
	buffer_clear(&builder->tar);
	buffer_clear(&builder->manifest);
	buffer_clear(&builder->facts);
	backup_frame_clear(&builder->frame);
	builder->number = number;
	builder->time = time;
	return RH_OK;
}

size_t frame_license_size(size_t document, size_t secret, size_t state)
{
	size_t size = tar_member_size(document) + FRAME_LINE_MAX + 1;

	if (secret > 0)
		size += tar_member_size(secret) + FRAME_LINE_MAX + 1;
	if (state > 0)
		size += tar_member_size(state) + FRAME_LINE_MAX + 1;
	return size;
}

bool frame_component_valid(const char *component)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-%";
	size_t length = strspn(component, allowed);

	return length > 0 && length <= FRAME_COMPONENT_MAX && component[length] == '\0' &&
	       component[0] != '.';
}

/*
 * A member and its line in the manifest; ${digest} NULL makes it here.  Once or more for
 * every licence: text is put together without printf.
 */
static int add_part(struct frame_builder *builder, const char *component, const char *name,
    const void *bytes, size_t size, const uint8_t *digest, rh_error *error)
{
	char line[FRAME_LINE_MAX + 2], *path = line + 2 * DIGEST_SIZE + 2, *end;
	uint8_t own[DIGEST_SIZE];
	int code;

	end = stpcpy(stpcpy(stpcpy(stpcpy(path, "licenses/"), component), "/"), name);
	code = tar_append(&builder->tar, path, bytes, size, builder->time, error);
	if (code != RH_OK)
		return code;
	if (digest == NULL) {
		code = digest_update(builder->digest, bytes, size, error);
		if (code == RH_OK)
			code = digest_finish(builder->digest, own, error);
		if (code != RH_OK)
			return code;
		digest = own;
	}
	text_hex(line, digest, DIGEST_SIZE);
	memset(line + 2 * DIGEST_SIZE, ' ', 2);
	*end++ = '\n';
	return buffer_append(&builder->manifest, line, (size_t)(end - line), error);
}

/* COMPONENT, a TAB, and the line. */
static int add_facts(
    struct frame_builder *builder, const struct frame_license *license, rh_error *error)
{
	int code;

	if (license->facts_size == 0)
		return RH_OK;
	code = buffer_append_text(&builder->facts, license->component, error);
	if (code == RH_OK)
		code = buffer_append(&builder->facts, "\t", 1, error);
	if (code == RH_OK)
		code =
		    buffer_append(&builder->facts, license->facts, license->facts_size, error);
	return code == RH_OK ? buffer_append(&builder->facts, "\n", 1, error) : code;
}

int frame_reserve(struct frame_builder *builder, size_t size, uint8_t **ret, rh_error *error)
{
	int code;

	if (size > FRAME_DOCUMENT_MAX)
		return error_set(error, RH_E_LICENSE_TOO_BIG, "a document of over %u bytes",
		    FRAME_DOCUMENT_MAX);
	code = buffer_reserve(&builder->tar, tar_member_size(size), error);
	if (code == RH_OK)
		*ret = builder->tar.data + builder->tar.size + TAR_BLOCK;
	return code;
}

int frame_add(
    struct frame_builder *builder, const struct frame_license *license, rh_error *error)
{
	size_t lists =
	    tar_member_size(builder->manifest.size + PART_COUNT_MAX * FRAME_LINE_MAX) +
	    tar_member_size(builder->facts.size + license->facts_size + TAR_PATH_MAX) +
	    tar_member_size(2 * DIGEST_SIZE);
	int code;

	if (!frame_component_valid(license->component))
		return error_set(error, RH_E_ARGUMENT, "not a name for a licence in a backup");
	if (license->document_size > FRAME_DOCUMENT_MAX)
		return error_set(error, RH_E_LICENSE_TOO_BIG,
		    "licence %s has a document of over %u bytes", license->component,
		    FRAME_DOCUMENT_MAX);
	if (license->secret_size > FRAME_PART_MAX || license->state_size > FRAME_PART_MAX)
		return error_set(error, RH_E_LICENSE_TOO_BIG,
		    "licence %s has a secret or a state of over %u bytes", license->component,
		    FRAME_PART_MAX);
	if (license->facts_size > FRAME_FACTS_MAX ||
	    (license->facts_size > 0 &&
		memchr(license->facts, '\n', license->facts_size) != NULL))
		return error_set(error, RH_E_ARGUMENT, "facts that are no line");
	if (builder->tar.size + frame_license_size(license->document_size, license->secret_size,
				    license->state_size) >
		FRAME_MAX - TAR_BLOCK ||
	    lists > FRAME_MAX - TAR_BLOCK)
		return error_set(error, RH_E_ARGUMENT, "a frame of over %u bytes", FRAME_MAX);

	code = add_part(builder, license->component, "document", license->document,
	    license->document_size, license->digest, error);
	if (code == RH_OK && license->secret_size > 0)
		code = add_part(builder, license->component,
		    license->sealed ? "secret.sealed" : "secret", license->secret,
		    license->secret_size, NULL, error);
	if (code == RH_OK && license->state_size > 0)
		code = add_part(builder, license->component, "state.json", license->state,
		    license->state_size, NULL, error);
	return code == RH_OK ? add_facts(builder, license, error) : code;
}

/* A member that is of no licence: "manifest/NUMBER" and the suffix. */
static int add_list(struct frame_builder *builder, const char *suffix, const void *bytes,
    size_t size, rh_error *error)
{
	char path[TAR_PATH_MAX + 1];

	snprintf(path, sizeof path, "manifest/%06u%s", builder->number, suffix);
	return tar_append(&builder->tar, path, bytes, size, builder->time, error);
}

static int add_proof(struct frame_builder *builder, rh_error *error)
{
	char path[TAR_PATH_MAX + 1], hex[2 * DIGEST_SIZE + 1];
	uint8_t proof[DIGEST_SIZE];
	int code;

	snprintf(path, sizeof path, "manifest/%06u.sha256", builder->number);
	code =
	    frame_prover_make(&builder->prover, builder->digest, path, builder->manifest.data,
		builder->manifest.size, builder->facts.data, builder->facts.size, proof, error);
	if (code != RH_OK)
		return code;
	text_hex(hex, proof, sizeof proof);
	return add_list(builder, ".mac", hex, strlen(hex), error);
}

/* The licences, then what is told of them; without a licence there is neither. */
static int end_frame(struct frame_builder *builder, rh_error *error)
{
	int code;

	if (builder->manifest.size == 0)
		return RH_OK;
	code = zframe_pack(builder->compressor, builder->tar.data, builder->tar.size,
	    &builder->frame.licenses, error);
	buffer_clear(&builder->tar);
	if (code == RH_OK && builder->facts.size > 0)
		code = add_list(
		    builder, ".facts", builder->facts.data, builder->facts.size, error);
	if (code == RH_OK && builder->prover.set)
		code = add_proof(builder, error);
	if (code == RH_OK)
		code = add_list(
		    builder, ".sha256", builder->manifest.data, builder->manifest.size, error);
	if (code == RH_OK)
		code = zframe_pack(builder->compressor, builder->tar.data, builder->tar.size,
		    &builder->frame.manifest, error);
	return code;
}

int frame_finish(
    struct frame_builder *builder, const struct backup_frame **ret, rh_error *error)
{
	int code = end_frame(builder, error);

	if (code == RH_OK)
		*ret = &builder->frame;
	return code;
}

void backup_frame_clear(struct backup_frame *frame)
{
	buffer_clear(&frame->licenses);
	buffer_clear(&frame->manifest);
	frame->cut = frame->alone = false;
}

void backup_frame_free(struct backup_frame *frame)
{
	buffer_free_secret(&frame->licenses);
	buffer_free_secret(&frame->manifest);
	backup_frame_clear(frame);
}
