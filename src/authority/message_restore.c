#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/managed.h"
#include "authority/message_json.h"

#define SECRET_TEXT_MAX (BASE64_SIZE(MANAGED_SECRET_MAX) - 1)

static const char *const results[] = {
    [MESSAGE_FREE] = "free",
    [MESSAGE_COSTS] = "costs",
    [MESSAGE_GRANTED] = "granted",
    [MESSAGE_REFUSED] = "refused",
};

/* ---- Requests ---- */

static void read_key(struct message_in *in, struct restore_request *message)
{
	size_t size = 0;

	message->idempotency_key =
	    message_in_raw(in, "idempotency_key", MESSAGE_NEEDED, MESSAGE_MAX, &size);
	if (in->code == RH_OK &&
	    (size < MESSAGE_IDEMPOTENCY_MIN || size > MESSAGE_IDEMPOTENCY_MAX ||
		strspn(message->idempotency_key, MESSAGE_BASE64) != size))
		message_in_fail(
		    in, "idempotency_key", "is not 16 to 64 characters of base64url");
	message->key = message_in_jwe(in, "key", MESSAGE_OPTIONAL);
}

static void read_licenses(struct message_in *in, struct restore_request *message)
{
	const json_t *array = message_in_array(in, "licenses", 1, MESSAGE_LICENSES_MAX);
	size_t count = json_array_size(array);

	message->licenses = message_in_new(in, count, sizeof *message->licenses);
	in->list = "licenses";
	for (size_t i = 0; i < count && in->code == RH_OK; i++) {
		struct request_license *license = &message->licenses[i];

		in->index = i;
		in->object = json_array_get(array, i);
		license->document = message_in_raw(
		    in, "document", MESSAGE_NEEDED, MESSAGE_MAX, &license->document_size);
		if (message->path == MESSAGE_COMMIT)
			license->secret = message_in_base64(in, "secret", MESSAGE_OPTIONAL,
			    SECRET_TEXT_MAX, &license->secret_size);
		if (license->secret != NULL && message->key == NULL)
			message_in_fail(in, "secret", "stands in a message without key");
	}
	message->license_count = count;
}

int restore_request_read(
    struct restore_request *message, const void *json, size_t size, rh_error *error)
{
	struct message_in in = {.message = "request for licences", .error = error};
	struct restore_request read = {.path = message->path};

	message_in_open(&in, json, size, MESSAGE_MAX, &read.root);
	if (read.path == MESSAGE_COMMIT)
		read_key(&in, &read);
	if (read.path != MESSAGE_LICENSES)
		read.owner = message_in_jws(&in, "owner", MESSAGE_OPTIONAL);
	read.claim = message_in_jws(&in, "claim", MESSAGE_OPTIONAL);
	read.head = message_in_jws(&in, "head", MESSAGE_OPTIONAL);
	read_licenses(&in, &read);
	if (in.code == RH_OK)
		*message = read;
	else
		restore_request_free(&read);
	return in.code;
}

static void write_request_licenses(
    struct message_out *out, const struct restore_request *message)
{
	message_out_array(out, "licenses");
	for (size_t i = 0; i < message->license_count && out->code == RH_OK; i++) {
		const struct request_license *license = &message->licenses[i];

		message_out_object(out);
		message_out_sized(out, "document", license->document, license->document_size);
		if (message->path == MESSAGE_COMMIT)
			message_out_sized(out, "secret", license->secret, license->secret_size);
		message_out_object_end(out);
	}
	message_out_array_end(out);
}

int restore_request_write(
    const struct restore_request *message, struct buffer *ret, rh_error *error)
{
	struct message_out out;

	message_out_begin(&out, ret, error);
	message_out_bounds(&out, message->license_count, 1, MESSAGE_LICENSES_MAX);
	if (message->path == MESSAGE_COMMIT) {
		message_out_text(&out, "idempotency_key", message->idempotency_key);
		message_out_text(&out, "key", message->key);
	}
	if (message->path != MESSAGE_LICENSES)
		message_out_text(&out, "owner", message->owner);
	message_out_text(&out, "claim", message->claim);
	message_out_text(&out, "head", message->head);
	write_request_licenses(&out, message);
	return message_out_finish(&out, MESSAGE_MAX);
}

void restore_request_free(struct restore_request *message)
{
	/* Only a message that was read has a root, and owns its list. */
	if (message->root != NULL)
		free(message->licenses);
	json_decref(message->root);
	*message = (struct restore_request){.path = message->path};
}

/* ---- Replies ---- */

static void read_numbers(struct message_in *in, struct reply_license *license)
{
	bool held = license->result == MESSAGE_FREE || license->result == MESSAGE_GRANTED;
	enum message_need numbers =
	    license->result == MESSAGE_REFUSED ? MESSAGE_OPTIONAL : MESSAGE_NEEDED;

	license->computers = message_in_count(in, "computers", numbers);
	license->limit = message_in_count(in, "limit", numbers);
	license->since = message_in_time(in, "since", held ? MESSAGE_NEEDED : MESSAGE_OPTIONAL);
	license->next = message_in_time(in, "next", MESSAGE_OPTIONAL);
}

static void read_reply_license(struct message_in *in, struct reply_license *license)
{
	enum message_need names;

	license->result = (enum message_result)message_in_word(
	    in, "result", results, sizeof results / sizeof *results);
	names = license->result == MESSAGE_REFUSED ? MESSAGE_OPTIONAL : MESSAGE_NEEDED;
	license->id = message_in_text(in, "id", names, MESSAGE_ID_MAX);
	license->issuer = message_in_text(in, "issuer", names, MESSAGE_ID_MAX);
	read_numbers(in, license);
	if (license->result == MESSAGE_REFUSED) {
		license->code = message_in_problem(in, MESSAGE_NEEDED);
		license->detail =
		    message_in_text(in, "detail", MESSAGE_OPTIONAL, MESSAGE_DETAIL_MAX);
		license->page = message_in_text(in, "page", MESSAGE_OPTIONAL, MESSAGE_PAGE_MAX);
	} else {
		license->secret =
		    message_in_base64(in, "secret", MESSAGE_OPTIONAL, SECRET_TEXT_MAX, NULL);
	}
}

static void read_reply_licenses(struct message_in *in, struct restore_reply *message)
{
	const json_t *array = message_in_array(in, "licenses", 1, MESSAGE_LICENSES_MAX);
	size_t count = json_array_size(array);

	message->licenses = message_in_new(in, count, sizeof *message->licenses);
	in->list = "licenses";
	for (size_t i = 0; i < count && in->code == RH_OK; i++) {
		in->index = i;
		in->object = json_array_get(array, i);
		read_reply_license(in, &message->licenses[i]);
		if (message->licenses[i].secret != NULL && message->key == NULL)
			message_in_fail(in, "secret", "stands in a message without key");
	}
	message->license_count = count;
}

int restore_reply_read(
    struct restore_reply *message, const void *json, size_t size, rh_error *error)
{
	struct message_in in = {.message = "reply about licences", .error = error};
	struct restore_reply read = {0};

	message_in_open(&in, json, size, MESSAGE_REPLY_MAX, &read.root);
	read.grants = message_in_jws(&in, "grants", MESSAGE_OPTIONAL);
	read.key = message_in_jwe(&in, "key", MESSAGE_OPTIONAL);
	read.head = message_in_jws(&in, "head", MESSAGE_NEEDED);
	read_reply_licenses(&in, &read);
	if (in.code == RH_OK)
		*message = read;
	else
		restore_reply_free(&read);
	return in.code;
}

static void write_reply_license(struct message_out *out, const struct reply_license *license)
{
	bool refused = license->result == MESSAGE_REFUSED;

	message_out_object(out);
	message_out_text(out, "id", license->id);
	message_out_text(out, "issuer", license->issuer);
	message_out_text(out, "result", results[license->result]);
	message_out_number(out, "computers", license->computers);
	message_out_number(out, "limit", license->limit);
	message_out_time(out, "since", license->since);
	message_out_time(out, "next", license->next);
	message_out_text(out, "code", refused ? license->code : NULL);
	message_out_text(out, "detail", refused ? license->detail : NULL);
	message_out_text(out, "page", refused ? license->page : NULL);
	message_out_text(out, "secret", refused ? NULL : license->secret);
	message_out_object_end(out);
}

int restore_reply_write(
    const struct restore_reply *message, struct buffer *ret, rh_error *error)
{
	struct message_out out;

	message_out_begin(&out, ret, error);
	message_out_bounds(&out, message->license_count, 1, MESSAGE_LICENSES_MAX);
	message_out_text(&out, "grants", message->grants);
	message_out_text(&out, "key", message->key);
	message_out_text(&out, "head", message->head);
	message_out_array(&out, "licenses");
	for (size_t i = 0; i < message->license_count && out.code == RH_OK; i++)
		write_reply_license(&out, &message->licenses[i]);
	message_out_array_end(&out);
	return message_out_finish(&out, MESSAGE_REPLY_MAX);
}

void restore_reply_free(struct restore_reply *message)
{
	if (message->root != NULL)
		free(message->licenses);
	json_decref(message->root);
	*message = (struct restore_reply){0};
}
