#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../sample.h"
#include "patient.h"

int patient_setup(void **state)
{
	struct patient *patient = calloc(1, sizeof *patient);

	assert_non_null(patient);
	sample_directory(patient->damage.path);
	sample_directory(patient->to);
	damage_protect(&patient->damage, SIZE, 10);
	expect_ok(buffer_append(&patient->backup, patient->damage.backup.data, SIZE, &error));
	expect_ok(buffer_append(&patient->parity, patient->damage.parity.data,
	    patient->damage.parity.size, &error));
	*state = patient;
	return 0;
}

int patient_teardown(void **state)
{
	struct patient *patient = *state;

	sample_directory_remove(patient->damage.path);
	sample_directory_remove(patient->to);
	buffer_free(&patient->damage.backup);
	buffer_free(&patient->damage.parity);
	buffer_free(&patient->backup);
	buffer_free(&patient->parity);
	free(patient);
	return 0;
}

static void replace(struct buffer *bytes, const struct buffer *with)
{
	buffer_clear(bytes);
	expect_ok(buffer_append(bytes, with->data, with->size, &error));
}

void patient_fall_ill(struct patient *patient, bool longer)
{
	struct damage *damage = &patient->damage;
	const struct parity_shape *shape = &damage->shape;
	static const uint8_t more[6000] = {1};

	replace(&damage->backup, &patient->backup);
	replace(&damage->parity, &patient->parity);
	for (unsigned i = 5; i < 8; i++)
		damage_block(&damage->backup, i);
	damage_block(&damage->backup, 300);
	damage_block(&damage->parity, parity_place(shape, 0));
	damage_block(&damage->parity, parity_place(shape, shape->parity_pages - 1));
	damage_block(&damage->parity, parity_table_place(shape, 1));
	if (longer) {
		expect_ok(buffer_append(&damage->backup, more, sizeof more, &error));
		expect_ok(buffer_append(&damage->parity, more, sizeof more, &error));
	} else {
		damage->backup.size -= 9000;
		damage->parity.size -= 5000;
	}
	damage_put(damage);
}

int patient_repair(struct patient *patient, const char *to, const struct backup_watch *watch,
    struct backup_state *ret, rh_error *error)
{
	static const struct backup_watch nobody;
	struct backup_directory *directory = NULL, *target = NULL;
	rh_error why = {0};
	int code = backup_directory_open(patient->damage.path, to == NULL, &directory, &why);

	if (code == RH_OK && to != NULL)
		code = backup_directory_open(to, true, &target, &why);
	if (code == RH_OK)
		code = backup_repair(
		    directory, KIT_FILE, target, watch != NULL ? watch : &nobody, ret, &why);
	backup_directory_close(target);
	backup_directory_close(directory);
	assert_int_equal(why.code, code);
	if (error != NULL)
		*error = why;
	return code;
}

static void expect_file(const char *path, const char *name, const struct buffer *expected)
{
	struct buffer bytes = {0};

	sample_read(path, name, &bytes);
	assert_int_equal(bytes.size, expected->size);
	assert_memory_equal(bytes.data, expected->data, bytes.size);
	buffer_free(&bytes);
}

void patient_expect_whole(const struct patient *patient, const char *path)
{
	expect_file(path, KIT_FILE, &patient->backup);
	expect_file(path, KIT_PARITY, &patient->parity);
}

void patient_expect_untouched(const struct patient *patient)
{
	expect_file(patient->damage.path, KIT_FILE, &patient->damage.backup);
	expect_file(patient->damage.path, KIT_PARITY, &patient->damage.parity);
}

static bool is_good(const struct buffer *was, const struct buffer *is, size_t at)
{
	size_t size = was->size - at < BLOCK ? was->size - at : BLOCK;

	return is->size >= at + size && memcmp(was->data + at, is->data + at, size) == 0;
}

static void expect_no_worse(
    const char *path, const char *name, const struct buffer *was, const struct buffer *given)
{
	struct buffer is = {0};

	sample_read(path, name, &is);
	for (size_t at = 0; at < was->size; at += BLOCK)
		assert_true(is_good(was, &is, at) || !is_good(was, given, at));
	buffer_free(&is);
}

void patient_expect_no_worse(const struct patient *patient)
{
	const struct damage *damage = &patient->damage;

	expect_no_worse(damage->path, KIT_FILE, &patient->backup, &damage->backup);
	expect_no_worse(damage->path, KIT_PARITY, &patient->parity, &damage->parity);
}
