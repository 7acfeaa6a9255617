#include <stdarg.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>
#include <unistd.h>

#include <cmocka.h>
#include <libxml/parser.h>

#include "vectors.h"

#define THREADS 4
#define ROUNDS 400

/* Documents good and bad, and what each must give on every thread. */
static const struct sample {
	const char *document;
	int code;
	const char *id; /* or the sentence's end */
} samples[] = {
    {"<LICENSE><DATA><LID>one</LID><META name='title'>\xc3\xa9</META></DATA></LICENSE>", RH_OK,
	"one"},
    {"<LICENSERESPONSE><LICENSE "
     "version='2.0.0.0'>PExJQ0VOU0U+PERBVEE+PExJRD50d288L0xJRD48L0RBVEE+PC9MSUNFTlNFPg==</"
     "LICENSE></LICENSERESPONSE>",
	RH_OK, "two"},
    {"<LICENSE><DATA/></LICENSE>", RH_OK, "sha256-a40098df5acb323c1fa1c508e94e3b17"},
    {"<LICENSE><DATA>", RH_E_LICENSE_XML, "or a tag is not closed"},
    {"<LICENSE><DATA>\xff", RH_E_LICENSE_XML, "no UTF-8 text"},
    {"<!DOCTYPE a><LICENSE/>", RH_E_LICENSE_XML, "which no licence has"},
    {"<LICENSE><DATA><KID> </KID></DATA></LICENSE>", RH_E_LICENSE_KEY_ID, "malformed KID"},
    {"{\"id\":", RH_E_LICENSE_INVALID, "the text is cut off"},
    {"{\"id\":1}", RH_E_LICENSE_FORMAT, "member encryption is missing"},
};

static int collect(void *context, const struct license *license,
    const struct license_rights *rights, rh_error *error)
{
	(void)rights;
	(void)error;
	*(struct license *)context = *license;
	return RH_OK;
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), size = strlen(end);

	return length >= size && strcmp(text + length - size, end) == 0;
}

static bool sample_holds(const struct sample *sample)
{
	const struct license_document document = {.data = (const uint8_t *)sample->document,
	    .size = strlen(sample->document),
	    .name = "x"};
	struct license license;
	rh_error error;
	int code = license_read(&document, collect, &license, &error);

	if (code != sample->code)
		return false;
	return code == RH_OK ? strcmp(license.id, sample->id) == 0
			     : ends_with(error.text, sample->id);
}

static atomic_int wrong;

static void *work(void *argument)
{
	size_t first = (size_t)argument;

	for (size_t i = 0; i < ROUNDS; i++)
		if (!sample_holds(&samples[(first + i) % (sizeof samples / sizeof samples[0])]))
			atomic_fetch_add(&wrong, 1);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, (void *)i), 0);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&wrong), 0);
}

/* ---- Signed licences, under one trust ---- */

static struct vectors vectors;

static const struct {
	const char *name;
	int code;
	bool secret;
} signed_samples[] = {
    {"owned.jws", RH_OK, true},
    {"counted.jws", RH_OK, false},
    {"title.jws", RH_OK, false},
    {"edited.jws", RH_E_LICENSE_SIGNATURE, false},
    {"content-key-edited.jws", RH_E_LICENSE_CONTENT_KEY, false},
    {"crit-claim.jws", RH_E_LICENSE_CRITICAL, false},
};
enum { SIGNED_COUNT = sizeof signed_samples / sizeof signed_samples[0] };

static char *signed_texts[SIGNED_COUNT];

static void *work_signed(void *argument)
{
	size_t first = (size_t)argument;

	for (size_t i = 0; i < ROUNDS / 4; i++) {
		size_t at = (first + i) % SIGNED_COUNT;
		struct buffer secret = {0};
		const struct license_document document = {
		    .data = (const uint8_t *)signed_texts[at],
		    .size = strlen(signed_texts[at]),
		    .name = "x",
		    .trust = &vectors.trust,
		    .secret = &secret};
		struct license license;

		if (license_read(&document, collect, &license, NULL) !=
			signed_samples[at].code ||
		    (secret.size > 0) != signed_samples[at].secret)
			atomic_fetch_add(&wrong, 1);
		buffer_free_secret(&secret);
	}
	return NULL;
}

static void test_signed(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	vectors_open(&vectors);
	for (size_t i = 0; i < SIGNED_COUNT; i++)
		signed_texts[i] = vectors_load(signed_samples[i].name, NULL);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work_signed, (void *)i), 0);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&wrong), 0);
	for (size_t i = 0; i < SIGNED_COUNT; i++)
		free(signed_texts[i]);
	vectors_close(&vectors);
}

static void on_application_error(void *context, xmlErrorPtr error)
{
	(void)error;
	++*(int *)context;
}

/* An application may use libxml2, too: its handler stays its own. */
static void test_application_keeps_its_handler(void **state)
{
	int calls = 0;

	(void)state;
	xmlSetStructuredErrorFunc(&calls, on_application_error);
	for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
		assert_true(sample_holds(&samples[i]));
	assert_int_equal(calls, 0);
	assert_null(xmlReadMemory("<a", 2, NULL, NULL, 0));
	assert_int_not_equal(calls, 0);
	xmlSetStructuredErrorFunc(NULL, NULL);
}

/* libxml2 keeps an error, which may quote the document, until its thread ends. */
static void test_nothing_is_kept(void **state)
{
	(void)state;
	xmlResetLastError();
	for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
		assert_true(sample_holds(&samples[i]));
		assert_null(xmlGetLastError());
	}
	xmlSetStructuredErrorFunc(&(int){0}, on_application_error);
	assert_null(xmlReadMemory("<a", 2, NULL, NULL, 0));
	xmlSetStructuredErrorFunc(NULL, NULL);
	assert_true(sample_holds(&samples[0]));
	assert_non_null(xmlGetLastError());
	xmlResetLastError();
}

static void test_silence(void **state)
{
	FILE *file = tmpfile();
	int before = dup(STDERR_FILENO);
	bool hold = true;

	(void)state;
	assert_non_null(file);
	assert_true(before >= 0);
	fflush(stderr);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
		hold = hold && sample_holds(&samples[i]);
	fflush(stderr);
	dup2(before, STDERR_FILENO);
	close(before);
	assert_true(hold);
	assert_int_equal(lseek(fileno(file), 0, SEEK_END), 0);
	fclose(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    /* First, so that the threads race for what is prepared once. */
	    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_signed),
	    cmocka_unit_test(test_application_keeps_its_handler),
	    cmocka_unit_test(test_nothing_is_kept),
	    cmocka_unit_test(test_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
