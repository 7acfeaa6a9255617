#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "found.h"

static int on_license(void *context, const struct frame_license *license, rh_error *error)
{
	struct found *found = context;
	unsigned number = sample_number(license->component);

	(void)error;
	assert_true(number < found->book->licenses);
	assert_true(found->unseen || sample_equal(license, number, found->book->document_size));
	found->given[number]++;
	found->all++;
	return RH_OK;
}

static int on_damaged(void *context, const struct frame_license *damaged, const rh_error *why)
{
	struct found *found = context;
	unsigned number = sample_number(damaged->component);
	char facts[32];

	assert_int_equal(why->code, RH_E_LICENSE_DAMAGED);
	assert_true(number < found->book->licenses);
	snprintf(facts, sizeof facts, "facts %u", number);
	found->told[number]++;
	if (number % 7 == 0 ? damaged->facts_size == 0
			    : damaged->facts_size == strlen(facts) &&
				  memcmp(damaged->facts, facts, strlen(facts)) == 0)
		found->facts[number] += damaged->proven ? 1 : 0;
	found->all++;
	return RH_OK;
}

static int stop(void *context)
{
	struct found *found = context;

	return ++found->holes == found->stop_at;
}

static int read_frames(struct backup_reader *reader, struct found *found, rh_error *error)
{
	struct backup_frame frame = {0};
	struct frame_parser *parser = NULL;
	int code = frame_parser_new(&parser, error);

	if (code == RH_OK)
		frame_parser_prove(parser, book_key, backup_reader_header(reader)->id);
	backup_reader_heed(reader, stop, found);
	while (code == RH_OK) {
		code = backup_reader_next(reader, &frame, error);
		if (code != RH_OK || (frame.licenses.size == 0 && frame.manifest.size == 0))
			break;
		code = frame_parse(parser, &frame, on_license, on_damaged, found, error);
	}
	backup_reader_wear(reader, &found->wear);
	backup_frame_free(&frame);
	frame_parser_free(parser);
	return code;
}

int found_read(
    const char *path, const char *file, bool salvage, struct found *found, rh_error *error)
{
	struct age_keys keys = {sample_identity(), 1, NULL};
	struct backup_directory *directory = NULL;
	struct backup_reader *reader = NULL;
	int code = backup_directory_open(path, false, &directory, error);

	if (code == RH_OK)
		code = backup_reader_new(directory, file, &keys, salvage, &reader, error);
	if (code == RH_OK) {
		assert_string_equal(backup_reader_header(reader)->id, BOOK_ID);
		assert_int_equal(backup_reader_header(reader)->created, BOOK_CREATED);
		code = read_frames(reader, found, error);
	}
	backup_reader_free(reader);
	backup_directory_close(directory);
	return code;
}

void found_new(struct found *found, const struct book *book)
{
	*found = (struct found){.book = book,
	    .given = calloc(book->licenses, sizeof *found->given),
	    .told = calloc(book->licenses, sizeof *found->told),
	    .facts = calloc(book->licenses, sizeof *found->facts)};
	assert_true(found->given != NULL && found->told != NULL && found->facts != NULL);
}

void found_free(struct found *found)
{
	free(found->given);
	free(found->told);
	free(found->facts);
}

void found_compare(const struct book *book, const bool *bad, const struct found *found,
    const char *what, size_t where)
{
	enum book_fate *fates = calloc(book->licenses, sizeof *fates);

	assert_non_null(fates);
	book_foretell(book, bad, fates);
	for (unsigned i = 0; i < book->licenses; i++) {
		bool right = found->given[i] + found->told[i] <= 1;

		if (fates[i] == BOOK_GIVEN)
			right = right && found->given[i] == 1;
		else
			right = right && found->given[i] == 0;
		if (fates[i] == BOOK_TOLD)
			right = right && found->told[i] == 1 && found->facts[i] == 1;
		if (!right)
			fail_msg("version %d, %s %zu: licence %u: given %u, told %u, facts %u "
				 "instead of %d",
			    book->version, what, where, i, found->given[i], found->told[i],
			    found->facts[i], (int)fates[i]);
	}
	free(fates);
}
