#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/managed.h"
#include "sample.h"

/* Managed secrets: sealed for the service, alone and in frames. */

#define SERVICE "https://licences.example/lms"
#define ID "river-songs-1"

static void make_key(uint8_t key[KEY_SIZE])
{
	for (size_t i = 0; i < KEY_SIZE; i++)
		key[i] = (uint8_t)i;
}

/* The vector of FORMAT.md, made with another library. */
static void vector(void **state)
{
	static const char hex[] =
	    "a0a1a2a3a4a5a6a7a8a9aaab98817ceda735bafc5fa2d75dde8a91d7d970120f09cc08db8a6b880e2"
	    "b4f4d71";
	uint8_t key[KEY_SIZE], sealed[sizeof hex / 2];
	struct buffer secret = {0};

	(void)state;
	make_key(key);
	assert_true(text_unhex(hex, sealed, sizeof sealed));
	expect_ok(managed_open(key, SERVICE, ID, sealed, sizeof sealed, &secret, &error));
	assert_int_equal(secret.size, 16);
	assert_memory_equal(secret.data, "a content key of", 16);
	buffer_free_secret(&secret);
}

static void round_trip(void **state)
{
	static uint8_t long_secret[FRAME_PART_MAX];
	static const size_t sizes[] = {0, 1, 32, FRAME_PART_MAX - SEAL_OVERHEAD};
	uint8_t key[KEY_SIZE];
	struct buffer sealed = {0}, again = {0}, secret = {0};

	(void)state;
	make_key(key);
	memset(long_secret, 's', sizeof long_secret);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		buffer_clear(&sealed);
		buffer_clear(&secret);
		expect_ok(buffer_append(&sealed, "before", 6, &error));
		expect_ok(buffer_append(&secret, "here", 4, &error));
		expect_ok(
		    managed_seal(key, SERVICE, ID, long_secret, sizes[i], &sealed, &error));
		assert_int_equal(sealed.size, 6 + sizes[i] + SEAL_OVERHEAD);
		assert_memory_equal(sealed.data, "before", 6);
		assert_null(memmem(sealed.data, sealed.size, "sssssss", 7));
		expect_ok(managed_open(
		    key, SERVICE, ID, sealed.data + 6, sealed.size - 6, &secret, &error));
		assert_int_equal(secret.size, 4 + sizes[i]);
		assert_memory_equal(secret.data + 4, long_secret, sizes[i]);
	}
	expect_code(managed_seal(key, SERVICE, ID, long_secret,
			FRAME_PART_MAX - SEAL_OVERHEAD + 1, &sealed, &error),
	    RH_E_LICENSE_TOO_BIG);
	/* Never twice the same. */
	buffer_clear(&sealed);
	expect_ok(managed_seal(key, SERVICE, ID, "secret", 6, &sealed, &error));
	expect_ok(managed_seal(key, SERVICE, ID, "secret", 6, &again, &error));
	assert_memory_not_equal(sealed.data, again.data, sealed.size);
	buffer_free(&sealed);
	buffer_free(&again);
	buffer_free_secret(&secret);
}

/* Bound to the key, the service, the licence, and where the one ends and the other starts. */
static void bound(void **state)
{
	static const struct {
		const char *service, *id;
	} others[] = {{SERVICE "x", ID}, {SERVICE, ID "x"}, {SERVICE, ""}, {"", ID},
	    {"https://licences.example/lm", "s" ID}, {ID, SERVICE}};
	uint8_t key[KEY_SIZE];
	struct buffer sealed = {0}, secret = {0};

	(void)state;
	make_key(key);
	expect_ok(managed_seal(key, SERVICE, ID, "secret", 6, &sealed, &error));
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		expect_code(managed_open(key, others[i].service, others[i].id, sealed.data,
				sealed.size, &secret, &error),
		    RH_E_LICENSE_DAMAGED);
	for (size_t i = 0; i < sealed.size; i++) {
		sealed.data[i] ^= 1;
		expect_code(
		    managed_open(key, SERVICE, ID, sealed.data, sealed.size, &secret, &error),
		    RH_E_LICENSE_DAMAGED);
		sealed.data[i] ^= 1;
		expect_code(managed_open(key, SERVICE, ID, sealed.data, i, &secret, &error),
		    RH_E_LICENSE_DAMAGED);
	}
	key[31] ^= 1;
	expect_code(managed_open(key, SERVICE, ID, sealed.data, sealed.size, &secret, &error),
	    RH_E_LICENSE_DAMAGED);
	assert_int_equal(secret.size, 0);
	buffer_free(&sealed);
	buffer_free(&secret);
}

/* ---- In frames ---- */

struct found {
	unsigned count;
	bool sealed[4];
	char secrets[4][16];
};

static int take(void *context, const struct frame_license *license, rh_error *error)
{
	struct found *found = context;

	(void)error;
	assert_true(found->count < 4 && license->secret_size < 16);
	found->sealed[found->count] = license->sealed;
	if (license->secret_size > 0)
		memcpy(found->secrets[found->count], license->secret, license->secret_size);
	found->count++;
	return RH_OK;
}

static void parse(const struct backup_frame *frame, struct found *found, int expected)
{
	struct frame_parser *parser = NULL;

	expect_ok(frame_parser_new(&parser, &error));
	expect_code(frame_parse(parser, frame, take, NULL, found, &error), expected);
	frame_parser_free(parser);
}

static void frames(void **state)
{
	struct frame_builder *builder = NULL;
	const struct backup_frame *frame = NULL;
	struct found found = {0};
	struct frame_license license = {.document = "d", .document_size = 1};
	ZSTD_DCtx *decompressor = ZSTD_createDCtx();
	struct buffer tar = {0};

	(void)state;
	expect_ok(frame_builder_new(&builder, &error));
	expect_ok(frame_begin(builder, 1, 0, &error));
	license.component = "clear";
	license.secret = "one";
	license.secret_size = 3;
	expect_ok(frame_add(builder, &license, &error));
	license.component = "sealed";
	license.sealed = true;
	license.secret = "two";
	expect_ok(frame_add(builder, &license, &error));
	/* Without a secret there is no member of either name. */
	license.component = "none";
	license.secret_size = 0;
	expect_ok(frame_add(builder, &license, &error));
	expect_ok(frame_finish(builder, &frame, &error));
	parse(frame, &found, RH_OK);
	assert_int_equal(found.count, 3);
	assert_false(found.sealed[0]);
	assert_true(found.sealed[1]);
	assert_false(found.sealed[2]);
	assert_string_equal(found.secrets[0], "one");
	assert_string_equal(found.secrets[1], "two");
	expect_ok(zframe_unpack(
	    decompressor, frame->licenses.data, frame->licenses.size, FRAME_MAX, &tar, &error));
	assert_non_null(memmem(tar.data, tar.size, "licenses/clear/secret\0", 22));
	assert_non_null(memmem(tar.data, tar.size, "licenses/sealed/secret.sealed\0", 30));
	assert_null(memmem(tar.data, tar.size, "licenses/none/secret", 20));
	buffer_free(&tar);
	ZSTD_freeDCtx(decompressor);
	frame_builder_free(builder);
}

/* A frame put together by hand; every member is in the manifest. */
static void raw_frame(const char *const *paths, struct backup_frame *frame)
{
	struct buffer tar = {0}, manifest = {0};
	uint8_t digest[DIGEST_SIZE];
	char hex[2 * DIGEST_SIZE + 1];
	ZSTD_CCtx *compressor = NULL;

	expect_ok(sha256(digest, "x", 1, &error));
	text_hex(hex, digest, sizeof digest);
	for (; *paths != NULL; paths++) {
		expect_ok(tar_append(&tar, *paths, "x", 1, 0, &error));
		expect_ok(buffer_append_text(&manifest, hex, &error));
		expect_ok(buffer_append_text(&manifest, "  ", &error));
		expect_ok(buffer_append_text(&manifest, *paths, &error));
		expect_ok(buffer_append_text(&manifest, "\n", &error));
	}
	expect_ok(tar_append(
	    &tar, "manifest/000001.sha256", manifest.data, manifest.size, 0, &error));
	expect_ok(zframe_compressor(&compressor, &error));
	expect_ok(zframe_pack(compressor, tar.data, tar.size, &frame->licenses, &error));
	ZSTD_freeCCtx(compressor);
	buffer_free(&tar);
	buffer_free(&manifest);
}

static void not_both(void **state)
{
	static const char *const cases[][4] = {
	    {"licenses/a/document", "licenses/a/secret", NULL},
	    {"licenses/a/document", "licenses/a/secret.sealed", NULL},
	    {"licenses/a/document", "licenses/a/secret", "licenses/a/secret.sealed", NULL},
	    {"licenses/a/document", "licenses/a/secret.sealed", "licenses/a/secret", NULL},
	    {"licenses/a/document", "licenses/a/secret.seale", NULL},
	};
	struct backup_frame frame = {0};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct found found = {0};

		raw_frame(cases[i], &frame);
		parse(&frame, &found, i < 2 ? RH_OK : RH_E_BACKUP_CORRUPT);
		assert_int_equal(found.count, i < 2 ? 1 : 0);
	}
	backup_frame_free(&frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(vector),
	    cmocka_unit_test(round_trip),
	    cmocka_unit_test(bound),
	    cmocka_unit_test(frames),
	    cmocka_unit_test(not_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
