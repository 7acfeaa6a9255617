/*
 * Writes a backup that test_frozen.c opens, as this revision writes them.  What is under
 * frozen/ was made by it once, and is never made anew: see there.
 *
 *   freeze DIR plain     licences, and nothing besides
 *   freeze DIR all       with facts, proof, issuers, and secrets that are sealed for a service
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frozen.h"

static rh_error error;

static void must(int code)
{
	if (code == RH_OK)
		return;
	fprintf(stderr, "freeze: %s: %s\n", rh_code_name(code), error.text);
	exit(1);
}

static void add(struct frame_builder *builder, unsigned i, bool all)
{
	struct sample sample;
	struct frame_license license;
	char facts[FROZEN_FACTS_SIZE];

	sample_make(&sample, i, FROZEN_DOCUMENT);
	license = sample_license(&sample);
	if (all) {
		license.facts = facts;
		license.facts_size = frozen_facts(facts, i);
		license.sealed = frozen_sealed(i);
	}
	must(frame_add(builder, &license, &error));
	sample_free(&sample);
}

static void append(
    struct backup_writer *writer, const struct backup_header *header, const uint8_t *proof_key)
{
	struct frame_builder *builder = NULL;
	const struct backup_frame *frame = NULL;

	must(frame_builder_new(&builder, &error));
	if (proof_key != NULL)
		frame_builder_prove(builder, proof_key, header->id);
	for (unsigned i = 0; i < FROZEN_COUNT; i += FROZEN_FRAME) {
		must(frame_begin(builder, i / FROZEN_FRAME, header->created, &error));
		for (unsigned k = i; k < i + FROZEN_FRAME; k++)
			add(builder, k, proof_key != NULL);
		must(frame_finish(builder, &frame, &error));
		must(backup_writer_append(writer, frame, &error));
	}
	frame_builder_free(builder);
}

int main(int argc, char **argv)
{
	static const uint8_t signing_key[KEY_SIZE] = "a signature that is not for real";
	struct backup_service service = {
	    (char *)FROZEN_SERVICE, (char *)FROZEN_KEY, (char *)FROZEN_OWNER};
	bool all = argc == 3 && strcmp(argv[2], "all") == 0;
	struct backup_header header = {.computer_id = FROZEN_COMPUTER,
	    .owned = FROZEN_COUNT,
	    .services = all ? &service : NULL,
	    .service_count = all ? 1 : 0,
	    .issuers = all ? (char *)FROZEN_ISSUERS : NULL};
	struct backup_directory *directory = NULL;
	struct backup_writer *writer = NULL;
	uint8_t proof_key[KEY_SIZE];

	if (argc != 3)
		return 2;
	must(backup_directory_open(argv[1], true, &directory, &error));
	must(backup_proof_key(sample_identity(), proof_key, &error));
	must(backup_writer_new(directory, &header, signing_key, all ? proof_key : NULL,
	    &sample_identity()->recipient, 1, 10, &writer, &error));
	append(writer, &header, all ? proof_key : NULL);
	must(backup_writer_finish(writer, NULL, NULL, &error));
	must(backup_writer_commit(writer, &error));
	backup_writer_free(writer);
	backup_directory_close(directory);
	return 0;
}
