#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/text.h"
#include "crypto/crypto.h"

static size_t unhex(uint8_t *bytes, const char *text)
{
	size_t size = strlen(text) / 2;

	assert_true(text_unhex(text, bytes, size));
	return size;
}

static void assert_hex(const void *bytes, size_t size, const char *expected)
{
	char text[2 * 256 + 1];

	assert_in_range(size, 0, 256);
	text_hex(text, bytes, size);
	assert_string_equal(text, expected);
}

static void test_random(void **state)
{
	static uint8_t a[100000], b[100000];
	static const uint8_t zero[64];

	(void)state;
	assert_int_equal(random_bytes(a, sizeof a, NULL), RH_OK);
	assert_int_equal(random_bytes(b, sizeof b, NULL), RH_OK);
	for (size_t i = 0; i + sizeof zero <= sizeof a; i += sizeof zero) {
		assert_memory_not_equal(a + i, zero, sizeof zero);
		assert_memory_not_equal(a + i, b + i, sizeof zero);
	}
	assert_int_equal(random_bytes(a, 0, NULL), RH_OK);
}

/* RFC 5869, appendix A.1 to A.3. */
static void test_hkdf(void **state)
{
	uint8_t key[80], salt[80], out[82];
	size_t key_size, salt_size;

	(void)state;
	/* "info" is text in our interface; the RFC's has bytes over 0x7f, but no 0. */
	key_size = unhex(key, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
	salt_size = unhex(salt, "000102030405060708090a0b0c");
	assert_int_equal(hkdf_sha256(out, 42, key, key_size, salt, salt_size,
			     "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9", NULL),
	    RH_OK);
	assert_hex(out, 42,
	    "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
	    "34007208d5b887185865");

	assert_int_equal(hkdf_sha256(out, 42, key, key_size, NULL, 0, "", NULL), RH_OK);
	assert_hex(out, 42,
	    "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
	    "9d201395faa4b61a96c8");
}

/* RFC 4231, sections 4.2, 4.3, 4.4, 4.7. */
static void test_hmac(void **state)
{
	uint8_t key[131], bytes[50], out[DIGEST_SIZE];

	(void)state;
	memset(key, 0x0b, 20);
	assert_int_equal(hmac_sha256(out, key, 20, "Hi There", 8, NULL), RH_OK);
	assert_hex(out, sizeof out,
	    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	assert_int_equal(
	    hmac_sha256(out, "Jefe", 4, "what do ya want for nothing?", 28, NULL), RH_OK);
	assert_hex(out, sizeof out,
	    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof key);
	memset(bytes, 0xdd, sizeof bytes);
	assert_int_equal(hmac_sha256(out, key, 20, bytes, sizeof bytes, NULL), RH_OK);
	assert_hex(out, sizeof out,
	    "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
	assert_int_equal(
	    hmac_sha256(out, key, sizeof key,
		"Test Using Larger Than Block-Size Key - Hash Key First", 54, NULL),
	    RH_OK);
	assert_hex(out, sizeof out,
	    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");

	/* An empty key does not mean the one before. */
	assert_int_equal(hmac_sha256(out, NULL, 0, "", 0, NULL), RH_OK);
	assert_hex(out, sizeof out,
	    "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

/* FIPS 180-4 examples. */
static void test_sha256(void **state)
{
	static const char abc[] =
	    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	static const char none[] =
	    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	uint8_t out[DIGEST_SIZE];
	struct digest *digest;

	(void)state;
	assert_int_equal(sha256(out, "abc", 3, NULL), RH_OK);
	assert_hex(out, sizeof out, abc);
	assert_int_equal(sha256(out, NULL, 0, NULL), RH_OK);
	assert_hex(out, sizeof out, none);

	assert_int_equal(digest_new(&digest, NULL), RH_OK);
	assert_int_equal(digest_update(digest, "a", 1, NULL), RH_OK);
	assert_int_equal(digest_update(digest, "", 0, NULL), RH_OK);
	assert_int_equal(digest_update(digest, "bc", 2, NULL), RH_OK);
	assert_int_equal(digest_finish(digest, out, NULL), RH_OK);
	assert_hex(out, sizeof out, abc);
	assert_int_equal(digest_finish(digest, out, NULL), RH_OK);
	assert_hex(out, sizeof out, none);
	assert_int_equal(digest_update(digest, "abc", 3, NULL), RH_OK);
	assert_int_equal(digest_finish(digest, out, NULL), RH_OK);
	assert_hex(out, sizeof out, abc);
	digest_free(digest);
	digest_free(NULL);
}

/* McGrew and Viega, "The Galois/Counter Mode of Operation", test case 16. */
static void test_sealer_known(void **state)
{
	uint8_t key[KEY_SIZE], associated[20], plain[60], sealed[88], out[60];
	struct sealer *sealer;

	(void)state;
	unhex(key, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
	unhex(associated, "feedfacedeadbeeffeedfacedeadbeefabaddad2");
	unhex(plain, "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
		     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
	unhex(sealed, "cafebabefacedbaddecaf888"
		      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
		      "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
		      "76fc6ece0f4e1768cddf8853bb2d551b");
	assert_int_equal(sealer_new(key, &sealer, NULL), RH_OK);
	assert_int_equal(sealer_open(sealer, associated, sizeof associated, sealed,
			     sizeof sealed, out, NULL),
	    RH_OK);
	assert_memory_equal(out, plain, sizeof plain);
	sealer_free(sealer);
	sealer_free(NULL);
}

static void assert_damaged(struct sealer *sealer, const char *associated,
    size_t associated_size, const uint8_t *sealed, size_t size)
{
	static const uint8_t zero[256];
	uint8_t out[256];
	rh_error error = {0};

	memset(out, 0xee, sizeof out);
	assert_int_equal(
	    sealer_open(sealer, associated, associated_size, sealed, size, out, &error),
	    RH_E_STORE_DAMAGED);
	assert_int_equal(error.code, RH_E_STORE_DAMAGED);
	assert_string_not_equal(error.text, "");
	if (size > SEAL_OVERHEAD)
		assert_memory_equal(out, zero, size - SEAL_OVERHEAD);
}

static void test_sealer_tampered(void **state)
{
	uint8_t key[KEY_SIZE], other[KEY_SIZE], sealed[100 + SEAL_OVERHEAD], out[100];
	char plain[100], associated[] = "licence 17, version 3";
	struct sealer *sealer, *stranger;

	(void)state;
	random_bytes(key, sizeof key, NULL);
	memcpy(other, key, sizeof key);
	other[31] ^= 1;
	memset(plain, 'p', sizeof plain);
	assert_int_equal(sealer_new(key, &sealer, NULL), RH_OK);
	assert_int_equal(sealer_new(other, &stranger, NULL), RH_OK);
	assert_int_equal(sealer_seal(sealer, associated, sizeof associated, plain, sizeof plain,
			     sealed, NULL),
	    RH_OK);

	for (size_t i = 0; i < sizeof sealed; i++) {
		sealed[i] ^= 0x10;
		assert_damaged(sealer, associated, sizeof associated, sealed, sizeof sealed);
		sealed[i] ^= 0x10;
	}
	for (size_t i = 0; i < sizeof associated; i++) {
		associated[i] ^= 1;
		assert_damaged(sealer, associated, sizeof associated, sealed, sizeof sealed);
		associated[i] ^= 1;
	}
	for (size_t size = 0; size < sizeof sealed; size++)
		assert_damaged(sealer, associated, sizeof associated, sealed, size);
	assert_damaged(sealer, associated, sizeof associated - 1, sealed, sizeof sealed);
	assert_damaged(sealer, NULL, 0, sealed, sizeof sealed);
	assert_damaged(stranger, associated, sizeof associated, sealed, sizeof sealed);

	/* After all these refusals it still opens what is whole. */
	assert_int_equal(sealer_open(sealer, associated, sizeof associated, sealed,
			     sizeof sealed, out, NULL),
	    RH_OK);
	assert_memory_equal(out, plain, sizeof plain);
	sealer_free(sealer);
	sealer_free(stranger);
}

static int compare_nonces(const void *a, const void *b)
{
	return memcmp(a, b, 12);
}

static void test_sealer_nonces(void **state)
{
	enum { COUNT = 2000 };
	static uint8_t sealed[COUNT][SEAL_OVERHEAD + 1];
	uint8_t key[KEY_SIZE] = {1}, out;
	struct sealer *sealer;

	(void)state;
	assert_int_equal(sealer_new(key, &sealer, NULL), RH_OK);
	for (size_t i = 0; i < COUNT; i++) {
		uint8_t plain = (uint8_t)i;

		assert_int_equal(
		    sealer_seal(sealer, NULL, 0, &plain, 1, sealed[i], NULL), RH_OK);
		assert_int_equal(
		    sealer_open(sealer, NULL, 0, sealed[i], sizeof sealed[i], &out, NULL),
		    RH_OK);
		assert_int_equal(out, plain);
	}
	qsort(sealed, COUNT, sizeof sealed[0], compare_nonces);
	for (size_t i = 1; i < COUNT; i++)
		assert_int_not_equal(compare_nonces(sealed[i - 1], sealed[i]), 0);

	/* Nothing at all is sealed too. */
	assert_int_equal(sealer_seal(sealer, "a", 1, NULL, 0, sealed[0], NULL), RH_OK);
	assert_int_equal(
	    sealer_open(sealer, "a", 1, sealed[0], SEAL_OVERHEAD, &out, NULL), RH_OK);
	assert_damaged(sealer, "b", 1, sealed[0], SEAL_OVERHEAD);
	sealer_free(sealer);
}

/* A child process must not use the nonces that its parent is going to use. */
static void test_sealer_fork(void **state)
{
	uint8_t key[KEY_SIZE] = {2}, mine[SEAL_OVERHEAD], theirs[SEAL_OVERHEAD];
	struct sealer *sealer;
	int ends[2], status;
	pid_t child;

	(void)state;
	assert_int_equal(sealer_new(key, &sealer, NULL), RH_OK);
	assert_int_equal(sealer_seal(sealer, NULL, 0, NULL, 0, mine, NULL), RH_OK);
	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_int_not_equal(child, -1);
	if (child == 0) {
		sealer_seal(sealer, NULL, 0, NULL, 0, theirs, NULL);
		_exit(write(ends[1], theirs, sizeof theirs) != sizeof theirs);
	}
	assert_int_equal(read(ends[0], theirs, sizeof theirs), sizeof theirs);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(sealer_seal(sealer, NULL, 0, NULL, 0, mine, NULL), RH_OK);
	assert_int_not_equal(compare_nonces(mine, theirs), 0);
	sealer_free(sealer);
}

static void checksums_tell_difference(void **state)
{
	uint8_t bytes[100000], one[CHECKSUM_SIZE], two[CHECKSUM_SIZE];
	struct checksum *checksum;

	(void)state;
	memset(bytes, 7, sizeof bytes);
	assert_int_equal(checksum_new(&checksum, NULL), RH_OK);
	assert_int_equal(checksum_update(checksum, bytes, sizeof bytes, NULL), RH_OK);
	assert_int_equal(checksum_finish(checksum, one, NULL), RH_OK);
	/* The same bytes in other pieces. */
	assert_int_equal(checksum_update(checksum, bytes, 33333, NULL), RH_OK);
	assert_int_equal(checksum_update(checksum, bytes, 0, NULL), RH_OK);
	assert_int_equal(checksum_update(checksum, bytes + 33333, 66667, NULL), RH_OK);
	assert_int_equal(checksum_finish(checksum, two, NULL), RH_OK);
	assert_memory_equal(one, two, CHECKSUM_SIZE);
	for (size_t i = 0; i < sizeof bytes; i += 9999) {
		bytes[i] ^= 1;
		assert_int_equal(checksum_update(checksum, bytes, sizeof bytes, NULL), RH_OK);
		assert_int_equal(checksum_finish(checksum, two, NULL), RH_OK);
		assert_memory_not_equal(one, two, CHECKSUM_SIZE);
		bytes[i] ^= 1;
	}
	assert_int_equal(checksum_update(checksum, bytes, sizeof bytes - 1, NULL), RH_OK);
	assert_int_equal(checksum_finish(checksum, two, NULL), RH_OK);
	assert_memory_not_equal(one, two, CHECKSUM_SIZE);
	checksum_free(checksum);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(checksums_tell_difference),
	    cmocka_unit_test(test_random),
	    cmocka_unit_test(test_hkdf),
	    cmocka_unit_test(test_hmac),
	    cmocka_unit_test(test_sha256),
	    cmocka_unit_test(test_sealer_known),
	    cmocka_unit_test(test_sealer_tampered),
	    cmocka_unit_test(test_sealer_nonces),
	    cmocka_unit_test(test_sealer_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
