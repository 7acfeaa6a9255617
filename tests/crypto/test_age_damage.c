#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/age_stream.h"
#include "crypto/age.h"

/* Sources that get better when they are doubted, and reading on behind what is damaged. */

#define CHUNK AGE_CHUNK_SIZE
#define SIZE ((size_t)5 * CHUNK + 777)
#define CHUNKS 6

/* Gives ${now}, and from the first doubt on ${better}, if there is one. */
struct medium {
	struct buffer *now;
	struct buffer *better;
	unsigned doubts;
};

static int read_medium(
    void *context, uint64_t offset, void *bytes, size_t size, size_t *ret, rh_error *error)
{
	const struct medium *medium = context;
	const struct buffer *file = medium->now;

	(void)error;
	if (offset > file->size)
		offset = file->size;
	if (size > file->size - offset)
		size = file->size - (size_t)offset;
	memcpy(bytes, file->data + offset, size);
	*ret = size;
	return RH_OK;
}

static bool doubt_medium(void *context, uint64_t *ret_size)
{
	struct medium *medium = context;

	medium->doubts++;
	if (medium->better == NULL || medium->now == medium->better)
		return false;
	medium->now = medium->better;
	*ret_size = medium->now->size;
	return true;
}

static int sink(void *context, const void *bytes, size_t size, rh_error *error)
{
	return buffer_append(context, bytes, size, error);
}

/* ---- One file for all tests ---- */

static struct age_identity identity;
static uint8_t plain[SIZE];
static struct buffer whole, damaged;
static size_t payload;

static int setup(void **state)
{
	struct age_writer *writer = NULL;

	(void)state;
	for (size_t i = 0; i < SIZE; i++)
		plain[i] = (uint8_t)(i * 2654435761u >> 13);
	assert_int_equal(age_identity_generate(&identity, NULL), RH_OK);
	assert_int_equal(
	    age_writer_new(&identity.recipient, 1, NULL, 0, sink, &whole, &writer, NULL),
	    RH_OK);
	assert_int_equal(age_writer_write(writer, plain, SIZE, NULL), RH_OK);
	assert_int_equal(age_writer_finish(writer, NULL), RH_OK);
	age_writer_free(writer);
	payload = whole.size - SIZE - (size_t)CHUNKS * AEAD_TAG_SIZE;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buffer_free(&whole);
	buffer_free(&damaged);
	return 0;
}

static void copy(void)
{
	buffer_clear(&damaged);
	assert_int_equal(buffer_append(&damaged, whole.data, whole.size, NULL), RH_OK);
}

static size_t place(size_t chunk)
{
	return payload + chunk * AGE_CHUNK_SEALED;
}

static int open_medium(struct medium *medium, struct age_reader **reader)
{
	struct age_source source = {read_medium, medium, medium->now->size, doubt_medium};
	struct age_keys keys = {&identity, 1, NULL};

	return age_reader_new(&source, &keys, reader, NULL);
}

/* ---- Doubt ---- */

/* All of the plaintext comes, and one doubt was enough; none if nothing is damaged. */
static void expect_better(unsigned doubts)
{
	static uint8_t bytes[SIZE + 1];
	struct medium medium = {&damaged, &whole, 0};
	struct age_reader *reader = NULL;
	size_t at = 0, got = 1;
	uint64_t size;

	assert_int_equal(open_medium(&medium, &reader), RH_OK);
	while (got > 0) {
		assert_int_equal(
		    age_reader_read(reader, bytes + at, sizeof bytes - at, &got, NULL), RH_OK);
		at += got;
	}
	assert_int_equal(at, SIZE);
	assert_memory_equal(bytes, plain, SIZE);
	assert_int_equal(medium.doubts, doubts);
	assert_int_equal(age_reader_size(reader, &size, NULL), RH_OK);
	assert_int_equal(size, SIZE);
	age_reader_free(reader);

	/* The size alone is doubted, too. */
	medium = (struct medium){&damaged, &whole, 0};
	assert_int_equal(open_medium(&medium, &reader), RH_OK);
	assert_int_equal(age_reader_size(reader, &size, NULL), RH_OK);
	assert_int_equal(size, SIZE);
	age_reader_free(reader);
}

static void better_bytes(void **state)
{
	static const size_t ends[] = {1, 15, 16, 700, 793, 794, CHUNK, 2 * CHUNK};

	(void)state;
	copy();
	expect_better(0);
	for (size_t chunk = 0; chunk < CHUNKS; chunk++) {
		copy();
		damaged.data[place(chunk) + chunk * 100] ^= 1;
		expect_better(1);
	}
	/* The header: the version, a stanza, the MAC, the nonce. */
	for (size_t i = 0; i < payload; i += 7) {
		copy();
		damaged.data[i] ^= 1;
		expect_better(1);
	}
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		copy();
		damaged.size -= ends[i];
		expect_better(1);
		copy();
		assert_int_equal(buffer_append(&damaged, plain, ends[i], NULL), RH_OK);
		expect_better(1);
	}
	for (size_t size = 0; size <= payload; size += 10) {
		copy();
		damaged.size = size;
		expect_better(1);
	}
	/* Cut behind a whole chunk. */
	copy();
	damaged.size = place(3);
	expect_better(1);
}

/* Doubt is asked for, and does not help. */
static void no_better_bytes(void **state)
{
	struct medium medium = {&damaged, NULL, 0};
	struct age_reader *reader = NULL;
	uint8_t bytes[10];
	size_t got;

	(void)state;
	copy();
	damaged.data[place(0)] ^= 1;
	assert_int_equal(open_medium(&medium, &reader), RH_OK);
	assert_int_equal(medium.doubts, 0);
	assert_int_equal(
	    age_reader_read(reader, bytes, sizeof bytes, &got, NULL), RH_E_BACKUP_CORRUPT);
	assert_true(medium.doubts > 0);
	age_reader_free(reader);

	copy();
	damaged.data[0] ^= 1;
	assert_int_equal(open_medium(&medium, &reader), RH_E_BACKUP_CORRUPT);

	/* Better bytes of another's file. */
	copy();
	medium = (struct medium){&damaged, &whole, 0};
	struct age_source source = {read_medium, &medium, damaged.size, doubt_medium};
	struct age_identity stranger;
	struct age_keys keys = {&stranger, 1, NULL};

	assert_int_equal(age_identity_generate(&stranger, NULL), RH_OK);
	assert_int_equal(age_reader_new(&source, &keys, &reader, NULL), RH_E_SECRET_WRONG);
	keys = (struct age_keys){0};
	medium = (struct medium){&damaged, &whole, 0};
	assert_int_equal(age_reader_new(&source, &keys, &reader, NULL), RH_E_SECRET_NEEDED);
	assert_int_equal(medium.doubts, 0);
}

/* ---- Reading on ---- */

/* Reads ${damaged} to its end over everything that is bad; ${bad}: by chunk. */
static void expect_rest(const bool *bad, uint64_t lost, bool end)
{
	struct medium medium = {&damaged, NULL, 0};
	struct age_reader *reader = NULL;
	uint8_t bytes[1000];
	uint64_t skipped = 0;
	size_t at = 0, got = 1;
	int code = RH_OK;

	assert_int_equal(open_medium(&medium, &reader), RH_OK);
	for (;;) {
		uint64_t more = 0;
		bool goes_on;

		code = age_reader_read(reader, bytes, sizeof bytes, &got, NULL);
		if (code == RH_OK && got == 0)
			break;
		if (code == RH_OK) {
			assert_false(bad[at / CHUNK]);
			assert_memory_equal(bytes, plain + at, got);
			at += got;
			continue;
		}
		assert_int_equal(code, RH_E_BACKUP_CORRUPT);
		assert_int_equal(at % CHUNK, 0);
		goes_on = age_reader_skip(reader, &more);
		assert_true(more > 0);
		skipped += more;
		at += CHUNK;
		if (!goes_on)
			break;
	}
	assert_int_equal(code, end ? RH_OK : RH_E_BACKUP_CORRUPT);
	assert_int_equal(skipped, lost);
	/* An end that was not authentic does not become so. */
	if (!end)
		assert_int_equal(age_reader_read(reader, bytes, sizeof bytes, &got, NULL),
		    RH_E_BACKUP_CORRUPT);
	age_reader_free(reader);
}

static void skipping(void **state)
{
	bool bad[CHUNKS + 2];

	(void)state;
	for (unsigned set = 0; set < 1u << CHUNKS; set++) {
		uint64_t lost = 0;

		copy();
		memset(bad, 0, sizeof bad);
		for (size_t i = 0; i < CHUNKS; i++) {
			if ((set >> i & 1) == 0)
				continue;
			bad[i] = true;
			damaged.data[place(i)] ^= 1;
			lost += i < CHUNKS - 1 ? CHUNK : SIZE % CHUNK;
		}
		expect_rest(bad, lost, !bad[CHUNKS - 1]);
	}
}

static void skipping_cut_ends(void **state)
{
	bool bad[CHUNKS + 2] = {false};

	(void)state;
	bad[3] = true;
	copy();
	damaged.size = place(3);
	expect_rest(bad, 1, false);
	damaged.size = place(3) + 5;
	expect_rest(bad, 1, false);
	damaged.size = place(3) + 5000;
	expect_rest(bad, 5000 - AEAD_TAG_SIZE, false);
	damaged.size = payload;
	bad[0] = true;
	expect_rest(bad, 1, false);

	/* What was added: the last chunk is not alone with itself any more. */
	copy();
	assert_int_equal(buffer_append(&damaged, plain, 100, NULL), RH_OK);
	memset(bad, 0, sizeof bad);
	bad[CHUNKS - 1] = true;
	expect_rest(bad, SIZE % CHUNK + 100, false);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(better_bytes),
	    cmocka_unit_test(no_better_bytes),
	    cmocka_unit_test(skipping),
	    cmocka_unit_test(skipping_cut_ends),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
