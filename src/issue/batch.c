#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "issue/fields.h"
#include "issue/batch.h"

void ticket_clear(struct ticket *ticket)
{
	json_decref(ticket->row);
	computer_clear(&ticket->computer);
	*ticket = (struct ticket){.row = NULL};
}

static void drop_row(struct batch *batch)
{
	json_decref(batch->row);
	batch->row = NULL;
	computer_clear(&batch->own);
}

void batch_clear(struct batch *batch)
{
	drop_row(batch);
	json_decref(batch->defaults);
	computers_free(&batch->computers);
	rows_close(batch->rows);
	batch->defaults = NULL;
	batch->rows = NULL;
}

void batch_blame(const struct batch *batch, uint64_t line, rh_error *error)
{
	if (batch->rows != NULL)
		rows_blame(rows_name(batch->rows), line, error);
}

static int blame(const struct batch *batch, int code, rh_error *error)
{
	if (code != RH_OK && batch->rows != NULL)
		batch_blame(batch, rows_line(batch->rows), error);
	return code;
}

/* To whom the row is issued. */
static int find_targets(struct batch *batch, rh_error *error)
{
	const json_t *named = json_object_get(batch->row, "computer");
	int code = RH_OK;

	batch->targets = batch->computers.list;
	batch->target_count = batch->computers.count;
	if (json_is_string(named)) {
		code = computers_find(
		    &batch->computers, json_string_value(named), &batch->targets, error);
		batch->target_count = 1;
	} else if (named != NULL) {
		code = computer_read(&batch->own, named, "computer", error);
		/* A fault of the row, not of a file of keys. */
		if (code == RH_E_PIN_KEYS)
			code = error->code = RH_E_LICENSE_INVALID;
		batch->targets = &batch->own;
		batch->target_count = 1;
	}
	return code;
}

/* What the row does not say, the options and the issuer do. */
static int complete_row(struct batch *batch, rh_error *error)
{
	const char *key, *issuer = json_string_value(json_object_get(batch->row, "iss"));
	char random[RANDOM_KEY_SIZE];
	int code;

	if (json_object_get(batch->row, "iss") != NULL &&
	    (issuer == NULL || strcmp(issuer, batch->issuer) != 0))
		return error_set(error, RH_E_LICENSE_INVALID,
		    "iss: is not the issuer whose key signs, %s", batch->issuer);
	json_object_update_missing(batch->row, batch->defaults);
	if (json_object_get(batch->row, "iat") == NULL)
		json_object_set_new(batch->row, "iat", json_integer(batch->now));
	code = find_targets(batch, error);
	if (code == RH_OK)
		code = fields_check_whole(batch->row, batch->target_count > 0, true, error);
	key = json_string_value(json_object_get(batch->row, "content_key"));
	if (code != RH_OK || batch->dry || key == NULL || strcmp(key, "random") != 0)
		return code;
	code = license_random_key(random, error);
	if (code == RH_OK)
		json_object_set_new(batch->row, "content_key", json_string(random));
	bytes_wipe(random, sizeof random);
	return code;
}

/* The next row, NULL at the end. */
static int next_row(struct batch *batch, rh_error *error)
{
	int code = RH_OK;

	drop_row(batch);
	batch->next = 0;
	if (batch->rows != NULL)
		code = rows_next(batch->rows, &batch->row, error);
	else if (!batch->given)
		batch->row = json_object();
	batch->given = true;
	if (code == RH_OK && batch->row != NULL)
		code = blame(batch, complete_row(batch, error), error);
	return code;
}

/* The row's id; with a number behind it where it has several computers. */
static int choose_id(
    const struct batch *batch, size_t place, char id[LICENSE_ID_SIZE], rh_error *error)
{
	const char *given = json_string_value(json_object_get(batch->row, "jti"));
	int length;

	if (given == NULL)
		return license_random_id(id, error);
	if (batch->target_count < 2)
		length = snprintf(id, LICENSE_ID_SIZE, "%s", given);
	else
		length = snprintf(id, LICENSE_ID_SIZE, "%s-%zu", given, place + 1);
	if (length >= LICENSE_ID_SIZE)
		return blame(batch,
		    error_set(error, RH_E_LICENSE_INVALID,
			"jti: too long with the computer's number behind it"),
		    error);
	return RH_OK;
}

int batch_next(struct batch *batch, struct ticket *ticket, bool *ret_end, rh_error *error)
{
	char id[LICENSE_ID_SIZE];
	size_t place;
	int code = RH_OK;

	if (batch->row == NULL ||
	    batch->next >= (batch->target_count == 0 ? 1 : batch->target_count))
		code = next_row(batch, error);
	if (code != RH_OK)
		return code;
	if (batch->row == NULL) {
		*ret_end = true;
		return RH_OK;
	}
	place = batch->next++;
	code = choose_id(batch, place, id, error);
	if (code != RH_OK)
		return code;
	ticket->row = json_copy(batch->row);
	json_object_set_new(ticket->row, "jti", json_string(id));
	ticket->line = batch->rows == NULL ? 0 : rows_line(batch->rows);
	if (batch->target_count > 0) {
		memcpy(ticket->computer.thumbprint, batch->targets[place].thumbprint,
		    THUMBPRINT_SIZE);
		ticket->computer.jwk = json_incref(batch->targets[place].jwk);
	}
	return RH_OK;
}

int batch_check(struct batch *batch, rh_error *error)
{
	int code = RH_OK;

	if (batch->rows == NULL || !rows_can_rewind(batch->rows))
		return RH_OK;
	batch->dry = true;
	do {
		code = next_row(batch, error);
	} while (code == RH_OK && batch->row != NULL);
	batch->dry = false;
	return code == RH_OK ? rows_rewind(batch->rows, error) : code;
}
