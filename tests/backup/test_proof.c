#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "sample.h"

/* The first frame: services, issuers, and the proof; and the proof of the other frames. */

static const uint8_t signing_key[KEY_SIZE] = "a signature that is not for real";
static char long_text[BACKUP_ISSUERS_MAX + 2];

static struct backup_header plain_header(void)
{
	return (struct backup_header){.format_version = 1,
	    .id = "0123456789abcdef",
	    .created = 1795360200,
	    .generator = "a test",
	    .computer_id = "00"};
}

static void make_key(uint8_t key[KEY_SIZE])
{
	expect_ok(backup_proof_key(sample_identity(), key, &error));
}

/* HMAC-SHA-256 by hand over what FORMAT.md says, made with Python. */
static void vectors(void **state)
{
	static const char key_hex[] =
	    "bfcc7880df520e62207b8e977d436263f635287273473b6f4be1207997e4346a";
	static const char header_hex[] =
	    "dc5239a89781a88f29208a97af7e2d5bc5d407a96674bcad526cf485e5b9cffb";
	static const char frame_hex[] =
	    "1ac502bf07fbc1d2792da90f2943f88d3418b96757d38619470b4aa94bcc90b7";
	struct backup_header header = {.has_proof = true};
	struct frame_prover prover = {0};
	struct digest *digest = NULL;
	uint8_t key[KEY_SIZE], expected[KEY_SIZE], proof[DIGEST_SIZE];
	bool proven;

	(void)state;
	make_key(key);
	assert_true(text_unhex(key_hex, expected, sizeof expected));
	assert_memory_equal(key, expected, sizeof key);

	assert_true(text_unhex(header_hex, header.proof, DIGEST_SIZE));
	expect_ok(proof_of_header(header.proven, "{}", 2, "{\"issuers\":[]}", 14, &error));
	expect_ok(backup_header_proven(&header, key, &proven, &error));
	assert_true(proven);
	expect_ok(proof_of_header(header.proven, "{}", 2, NULL, 0, &error));
	expect_ok(backup_header_proven(&header, key, &proven, &error));
	assert_false(proven);

	expect_ok(digest_new(&digest, &error));
	frame_prover_set(&prover, key, "0123456789abcdef");
	expect_ok(frame_prover_make(
	    &prover, digest, "manifest/000001.sha256", "M\n", 2, "F\n", 2, proof, &error));
	assert_true(text_unhex(frame_hex, expected, sizeof expected));
	assert_memory_equal(proof, expected, sizeof proof);
	digest_free(digest);
}

static void services_travel(void **state)
{
	struct backup_service services[] = {
	    {(char *)"https://one.example/", (char *)"a.b..c.d", NULL},
	    {(char *)"https://two.example/\"x\"", (char *)"e", (char *)"f.g.h"}};
	struct backup_header header = plain_header(), found = {0};
	struct buffer tar = {0};

	(void)state;
	header.managed = 7;
	header.services = services;
	header.service_count = 2;
	expect_ok(backup_header_write(&header, signing_key, NULL, &tar, &error));
	expect_ok(backup_header_read(tar.data, tar.size, &found, &error));
	assert_int_equal(found.managed, 7);
	assert_int_equal(found.service_count, 2);
	assert_string_equal(found.services[0].service, services[0].service);
	assert_string_equal(found.services[0].key, services[0].key);
	assert_string_equal(found.services[1].service, services[1].service);
	assert_string_equal(found.services[1].key, services[1].key);
	assert_null(found.services[0].owner);
	assert_string_equal(found.services[1].owner, "f.g.h");
	assert_null(found.issuers);
	assert_false(found.has_proof);
	backup_header_free(&found);
	assert_int_equal(found.service_count, 0);
	buffer_free(&tar);
}

/* As many as there may be, each as long as it may be, still fit into the first frame. */
static void most_services(void **state)
{
	static char addresses[BACKUP_SERVICES_MAX + 1][512], key[600];
	struct backup_service services[BACKUP_SERVICES_MAX + 1];
	struct backup_header header = plain_header(), found = {0};
	struct buffer tar = {0};

	(void)state;
	memset(key, 'k', sizeof key - 1);
	for (size_t i = 0; i <= BACKUP_SERVICES_MAX; i++) {
		memset(addresses[i], '"', 511);
		snprintf(addresses[i], 16, "https://%05zu/", i);
		addresses[i][strlen(addresses[i])] = '"';
		services[i] = (struct backup_service){addresses[i], key, NULL};
	}
	memset(long_text, 'i', BACKUP_ISSUERS_MAX);
	header.issuers = long_text;
	header.services = services;
	header.service_count = BACKUP_SERVICES_MAX;
	expect_ok(backup_header_write(&header, signing_key, signing_key, &tar, &error));
	assert_true(tar.size <= HEADER_FRAME_MAX);
	expect_ok(backup_header_read(tar.data, tar.size, &found, &error));
	assert_int_equal(found.service_count, BACKUP_SERVICES_MAX);
	assert_string_equal(found.services[511].service, addresses[511]);
	assert_int_equal(strlen(found.issuers), BACKUP_ISSUERS_MAX);
	backup_header_free(&found);

	header.service_count++;
	buffer_clear(&tar);
	expect_ok(backup_header_write(&header, signing_key, NULL, &tar, &error));
	expect_code(
	    backup_header_read(tar.data, tar.size, &found, &error), RH_E_BACKUP_CORRUPT);
	long_text[BACKUP_ISSUERS_MAX] = 'i';
	buffer_clear(&tar);
	expect_code(
	    backup_header_write(&header, signing_key, NULL, &tar, &error), RH_E_ARGUMENT);
	long_text[BACKUP_ISSUERS_MAX] = '\0';
	buffer_free(&tar);
}

static bool read_proven(const struct buffer *tar, const uint8_t *key)
{
	struct backup_header found = {0};
	bool proven;

	expect_ok(backup_header_read(tar->data, tar->size, &found, &error));
	expect_ok(backup_header_proven(&found, key, &proven, &error));
	backup_header_free(&found);
	return proven;
}

/* Finds a member; its bytes lie in the tar. */
static struct tar_member find(const struct buffer *tar, const char *path)
{
	struct tar_cursor cursor = {tar->data, tar->size, 0};
	struct tar_member member = {.bytes = NULL};
	bool end = false;

	while (!end) {
		expect_ok(tar_next(&cursor, &member, &end, &error));
		if (!end && strcmp(member.path, path) == 0)
			return member;
	}
	return (struct tar_member){.bytes = NULL};
}

static void proof(void **state)
{
	struct backup_header header = plain_header();
	struct buffer tar = {0}, other = {0};
	struct tar_member member;
	uint8_t key[KEY_SIZE], wrong[KEY_SIZE];

	(void)state;
	make_key(key);
	memcpy(wrong, key, sizeof wrong);
	wrong[0] ^= 1;
	header.issuers = (char *)"{\"a\":1}";
	expect_ok(backup_header_write(&header, signing_key, key, &tar, &error));
	assert_true(read_proven(&tar, key));
	assert_false(read_proven(&tar, wrong));

	/* Another header, rightly signed, with the proof of this one; and without any. */
	header.owned = 1;
	expect_ok(backup_header_write(&header, signing_key, NULL, &other, &error));
	assert_false(read_proven(&other, key));
	member = find(&tar, "rehost.json.mac");
	assert_int_equal(member.size, 64);
	expect_ok(tar_append(&other, "rehost.json.mac", member.bytes, member.size, 0, &error));
	assert_false(read_proven(&other, key));

	/* Every byte of the issuers counts, and so does that there are any. */
	member = find(&tar, "issuers.json");
	for (size_t i = 0; i < member.size; i++) {
		uint8_t *byte = tar.data + (member.bytes - tar.data) + i;

		*byte ^= 1;
		assert_false(read_proven(&tar, key));
		*byte ^= 1;
	}
	buffer_clear(&other);
	header.owned = 0;
	header.issuers = NULL;
	expect_ok(backup_header_write(&header, signing_key, key, &other, &error));
	assert_true(read_proven(&other, key));
	expect_ok(tar_append(&other, "issuers.json", "{}", 2, 0, &error));
	assert_false(read_proven(&other, key));
	buffer_free(&tar);
	buffer_free(&other);
}

/* What is no proof, and what are no issuers, whoever signed. */
static void malformed(void **state)
{
	static const struct {
		const char *path, *text;
		size_t size;
	} cases[] = {
	    {"rehost.json.mac", "", 0},
	    {"rehost.json.mac",
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdex", 64},
	    {"rehost.json.mac",
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0", 65},
	    {"issuers.json", "", 0},
	    {"issuers.json", "a\0b", 3},
	    {"issuers.json", long_text, BACKUP_ISSUERS_MAX + 1},
	};
	struct backup_header header = plain_header(), found = {0};
	struct buffer tar = {0};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		buffer_clear(&tar);
		expect_ok(backup_header_write(&header, signing_key, NULL, &tar, &error));
		expect_ok(
		    tar_append(&tar, cases[i].path, cases[i].text, cases[i].size, 0, &error));
		expect_code(backup_header_read(tar.data, tar.size, &found, &error),
		    RH_E_BACKUP_CORRUPT);
	}
	header.issuers = (char *)"{}";
	buffer_clear(&tar);
	expect_ok(backup_header_write(&header, signing_key, signing_key, &tar, &error));
	expect_ok(tar_append(&tar, "issuers.json", "{}", 2, 0, &error));
	expect_code(
	    backup_header_read(tar.data, tar.size, &found, &error), RH_E_BACKUP_CORRUPT);
	assert_null(found.computer_key);
	buffer_free(&tar);
}

/* ---- Frames ---- */

static int take_proven(void *context, const struct frame_license *license, rh_error *error)
{
	(void)error;
	*(int *)context = license->proven;
	return RH_OK;
}

/* Whether a frame with one licence, parsed with this key and id, is proven. */
static bool parse_proven(const struct backup_frame *frame, const uint8_t *key, const char *id)
{
	struct frame_parser *parser = NULL;
	int proven = -1;

	expect_ok(frame_parser_new(&parser, &error));
	if (key != NULL)
		frame_parser_prove(parser, key, id);
	expect_ok(frame_parse(parser, frame, take_proven, NULL, &proven, &error));
	frame_parser_free(parser);
	assert_true(proven == 0 || proven == 1);
	return proven == 1;
}

static void build(
    struct backup_frame *frame, const uint8_t *key, const char *id, const char *facts)
{
	struct frame_builder *builder = NULL;
	const struct backup_frame *built = NULL;
	struct frame_license license = {.component = "a",
	    .document = "d",
	    .document_size = 1,
	    .facts = facts,
	    .facts_size = strlen(facts)};

	expect_ok(frame_builder_new(&builder, &error));
	if (key != NULL)
		frame_builder_prove(builder, key, id);
	expect_ok(frame_begin(builder, 3, 0, &error));
	expect_ok(frame_add(builder, &license, &error));
	expect_ok(frame_finish(builder, &built, &error));
	sample_keep(frame, built);
	frame_builder_free(builder);
}

static void frames(void **state)
{
	struct backup_frame frame = {0};
	uint8_t key[KEY_SIZE], wrong[KEY_SIZE];

	(void)state;
	make_key(key);
	memcpy(wrong, key, sizeof wrong);
	wrong[31] ^= 1;
	build(&frame, key, "0123456789abcdef", "facts");
	assert_true(parse_proven(&frame, key, "0123456789abcdef"));
	assert_false(parse_proven(&frame, wrong, "0123456789abcdef"));
	assert_false(parse_proven(&frame, key, "0123456789abcdee"));
	assert_false(parse_proven(&frame, NULL, NULL));
	build(&frame, key, "0123456789abcdef", "");
	assert_true(parse_proven(&frame, key, "0123456789abcdef"));
	build(&frame, NULL, NULL, "facts");
	assert_false(parse_proven(&frame, key, "0123456789abcdef"));
	backup_frame_free(&frame);
}

/* Neither facts nor the number can be exchanged under the proof. */
static void frames_exchanged(void **state)
{
	static const struct {
		const char *from, *to;
	} changes[] = {{"a\tfacts", "a\tfaces"},
	    {"manifest/000003.sha256", "manifest/000004.sha256"},
	    {"manifest/000003.mac", "manifest/000004.mac"}};
	ZSTD_DCtx *decompressor = ZSTD_createDCtx();
	ZSTD_CCtx *compressor = NULL;
	struct backup_frame frame = {0};
	struct buffer tar = {0};
	uint8_t key[KEY_SIZE];

	(void)state;
	make_key(key);
	expect_ok(zframe_compressor(&compressor, &error));
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		size_t size = strlen(changes[i].from);
		uint8_t *at;

		build(&frame, key, "0123456789abcdef", "facts");
		expect_ok(zframe_unpack(decompressor, frame.manifest.data, frame.manifest.size,
		    FRAME_MAX, &tar, &error));
		at = memmem(tar.data, tar.size, changes[i].from, size);
		assert_non_null(at);
		memcpy(at, changes[i].to, size);
		if (i > 0)
			at[152 + 1]++; /* the last digit of the header's checksum */
		expect_ok(zframe_pack(compressor, tar.data, tar.size, &frame.manifest, &error));
		/* The name of the proof itself says nothing. */
		assert_int_equal(parse_proven(&frame, key, "0123456789abcdef"), i == 2);
	}
	ZSTD_freeCCtx(compressor);
	ZSTD_freeDCtx(decompressor);
	buffer_free(&tar);
	backup_frame_free(&frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(vectors),
	    cmocka_unit_test(services_travel),
	    cmocka_unit_test(most_services),
	    cmocka_unit_test(proof),
	    cmocka_unit_test(malformed),
	    cmocka_unit_test(frames),
	    cmocka_unit_test(frames_exchanged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
