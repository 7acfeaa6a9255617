#include <stdlib.h>

#include "authority/message_json.h"

/* ---- Reading ---- */

/* How many computers stand in all licences, so that they get room at once. */
static size_t all_computers(struct message_in *in, const json_t *licenses)
{
	size_t count = 0;

	in->list = "licenses";
	for (size_t i = 0; i < json_array_size(licenses) && in->code == RH_OK; i++) {
		in->index = i;
		in->object = json_array_get(licenses, i);
		if (json_object_get(in->object, "code") == NULL)
			count += json_array_size(
			    message_in_array(in, "computers", 0, MESSAGE_COMPUTERS_MAX));
	}
	return count;
}

static void read_computer(struct message_in *in, struct status_computer *computer)
{
	computer->computer = message_in_thumbprint(in, "computer", MESSAGE_NEEDED);
	computer->name = message_in_text(in, "name", MESSAGE_OPTIONAL, 4 * MESSAGE_NAME_MAX);
	computer->since = message_in_time(in, "since", MESSAGE_OPTIONAL);
	computer->releasing = message_in_time(in, "releasing", MESSAGE_OPTIONAL);
	computer->original = message_in_bool(in, "original");
	computer->you = message_in_bool(in, "you");
}

/* ${computers} has room for those of this licence. */
static void read_license(
    struct message_in *in, struct status_license *license, struct status_computer *computers)
{
	const json_t *array = json_object_get(in->object, "computers");
	enum message_need need;

	license->next = MESSAGE_TIME_NONE;
	license->code = message_in_problem(in, MESSAGE_OPTIONAL);
	need = license->code != NULL ? MESSAGE_OPTIONAL : MESSAGE_NEEDED;
	license->id = message_in_text(in, "id", need, MESSAGE_ID_MAX);
	license->issuer = message_in_text(in, "issuer", need, MESSAGE_ID_MAX);
	if (license->code != NULL) {
		license->detail =
		    message_in_text(in, "detail", MESSAGE_OPTIONAL, MESSAGE_DETAIL_MAX);
		return;
	}
	license->title = message_in_text(in, "title", MESSAGE_OPTIONAL, MESSAGE_TEXT_MAX);
	license->limit = message_in_count(in, "limit", MESSAGE_NEEDED);
	license->free = message_in_count(in, "free", MESSAGE_NEEDED);
	license->next = message_in_time(in, "next", MESSAGE_OPTIONAL);
	license->computers = computers;
	license->computer_count = json_array_size(array);
	in->inner = "computers";
	for (size_t i = 0; i < license->computer_count && in->code == RH_OK; i++) {
		in->inner_index = i;
		in->object = json_array_get(array, i);
		read_computer(in, &computers[i]);
	}
	in->inner = NULL;
}

/* The licences, and behind them in the same memory all their computers. */
static void read_licenses(struct message_in *in, struct status_reply *message)
{
	const json_t *array = message_in_array(in, "licenses", 1, MESSAGE_LICENSES_MAX);
	size_t count = json_array_size(array), more = all_computers(in, array);
	struct status_computer *computers;

	message->licenses =
	    message_in_new(in, 1, count * sizeof *message->licenses + more * sizeof *computers);
	if (in->code != RH_OK)
		return;
	computers = (struct status_computer *)(message->licenses + count);
	for (size_t i = 0; i < count && in->code == RH_OK; i++) {
		in->index = i;
		in->object = json_array_get(array, i);
		read_license(in, &message->licenses[i], computers);
		computers += message->licenses[i].computer_count;
	}
	message->license_count = count;
}

int status_reply_read(
    struct status_reply *message, const void *json, size_t size, rh_error *error)
{
	struct message_in in = {.message = "reply about computers", .error = error};
	struct status_reply read = {0};

	message_in_open(&in, json, size, MESSAGE_REPLY_MAX, &read.root);
	read.head = message_in_jws(&in, "head", MESSAGE_NEEDED);
	read_licenses(&in, &read);
	if (in.code == RH_OK)
		*message = read;
	else
		status_reply_free(&read);
	return in.code;
}

/* ---- Writing ---- */

/* Nothing failed, and the brace that ends the message has its place. */
static bool fits(const struct message_out *out)
{
	return out->code == RH_OK && out->ret->size - out->start < MESSAGE_REPLY_MAX;
}

static void write_computer(struct message_out *out, const struct status_computer *computer)
{
	message_out_object(out);
	message_out_text(out, "computer", computer->computer);
	message_out_text(out, "name", computer->name);
	message_out_time(out, "since", computer->since);
	message_out_time(out, "releasing", computer->releasing);
	if (computer->original)
		message_out_true(out, "original");
	if (computer->you)
		message_out_true(out, "you");
	message_out_object_end(out);
}

/* Of a list that is longer than ${most}: the first, and the computer that asks. */
static bool is_listed(const struct status_license *license, size_t i, size_t most)
{
	return license->computer_count <= most || i + 1 < most ||
	       (most > 0 && license->computers[i].you);
}

static void write_license(
    struct message_out *out, const struct status_license *license, size_t most)
{
	message_out_object(out);
	message_out_text(out, "id", license->id);
	message_out_text(out, "issuer", license->issuer);
	if (license->code != NULL) {
		message_out_text(out, "code", license->code);
		message_out_text(out, "detail", license->detail);
	} else {
		message_out_text(out, "title", license->title);
		message_out_number(out, "limit", license->limit);
		message_out_number(out, "free", license->free);
		message_out_time(out, "next", license->next);
		message_out_array(out, "computers");
		for (size_t i = 0; i < license->computer_count && fits(out); i++)
			if (is_listed(license, i, most))
				write_computer(out, &license->computers[i]);
		message_out_array_end(out);
	}
	message_out_object_end(out);
}

static void write_reply(
    struct message_out *out, const struct status_reply *message, size_t most)
{
	message_out_bounds(out, message->license_count, 1, MESSAGE_LICENSES_MAX);
	message_out_text(out, "head", message->head);
	message_out_array(out, "licenses");
	for (size_t i = 0; i < message->license_count && fits(out); i++)
		write_license(out, &message->licenses[i], most);
	message_out_array_end(out);
}

int status_reply_write(const struct status_reply *message, struct buffer *ret, rh_error *error)
{
	struct message_out out;

	for (size_t most = MESSAGE_COMPUTERS_MAX;; most /= 2) {
		message_out_begin(&out, ret, error);
		write_reply(&out, message, most);
		if (most == 0 || out.code != RH_OK || fits(&out))
			return message_out_finish(&out, MESSAGE_REPLY_MAX);
		ret->size = out.start;
	}
}

void status_reply_free(struct status_reply *message)
{
	if (message->root != NULL)
		free(message->licenses);
	json_decref(message->root);
	*message = (struct status_reply){0};
}
