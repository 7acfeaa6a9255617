#include <string.h>

#include "base/text.h"
#include "authority/message_json.h"
#include "authority/message.h"

const char *const message_paths[] = {
    [MESSAGE_KEYS] = "/v1/keys",
    [MESSAGE_NONCE] = "/v1/nonce",
    [MESSAGE_PRIVACY] = "/v1/privacy",
    [MESSAGE_COMPUTERS] = "/v1/computers",
    [MESSAGE_PLAN] = "/v1/plan",
    [MESSAGE_COMMIT] = "/v1/commit",
    [MESSAGE_LICENSES] = "/v1/licenses",
    [MESSAGE_RELEASE] = "/v1/release",
};

static const char *const states[] = {
    [RELEASE_WAITING] = "waiting",
    [RELEASE_RELEASED] = "released",
    [RELEASE_CANCELLED] = "cancelled",
};

/* ---- /v1/computers ---- */

/* What an owner calls a computer; he counts characters, not bytes. */
static const char *read_name(struct message_in *in)
{
	const char *name = message_in_text(in, "name", MESSAGE_OPTIONAL, 4 * MESSAGE_NAME_MAX);
	size_t characters = 0;

	for (const char *p = name; p != NULL && *p != '\0'; p++)
		characters += (*p & 0xc0) != 0x80;
	if (characters > MESSAGE_NAME_MAX)
		message_in_fail(in, "name", "is too long");
	return name;
}

int computers_request_read(
    struct computers_request *message, const void *json, size_t size, rh_error *error)
{
	struct message_in in = {.message = "request for a certificate", .error = error};
	struct computers_request read = {0};

	message_in_open(&in, json, size, MESSAGE_MAX, &read.root);
	read.name = read_name(&in);
	read.release = message_in_thumbprint(&in, "release", MESSAGE_OPTIONAL);
	if (in.code == RH_OK)
		*message = read;
	else
		computers_request_free(&read);
	return in.code;
}

int computers_request_write(
    const struct computers_request *message, struct buffer *ret, rh_error *error)
{
	struct message_out out;

	message_out_begin(&out, ret, error);
	message_out_text(&out, "name", message->name);
	message_out_text(&out, "release", message->release);
	return message_out_finish(&out, MESSAGE_MAX);
}

void computers_request_free(struct computers_request *message)
{
	json_decref(message->root);
	*message = (struct computers_request){0};
}

int computers_reply_read(
    struct computers_reply *message, const void *json, size_t size, rh_error *error)
{
	struct message_in in = {.message = "reply with a certificate", .error = error};
	struct computers_reply read = {0};

	message_in_open(&in, json, size, MESSAGE_REPLY_MAX, &read.root);
	read.certificate = message_in_jws(&in, "certificate", MESSAGE_NEEDED);
	read.head = message_in_jws(&in, "head", MESSAGE_NEEDED);
	if (in.code == RH_OK)
		*message = read;
	else
		computers_reply_free(&read);
	return in.code;
}

int computers_reply_write(
    const struct computers_reply *message, struct buffer *ret, rh_error *error)
{
	struct message_out out;

	message_out_begin(&out, ret, error);
	message_out_text(&out, "certificate", message->certificate);
	message_out_text(&out, "head", message->head);
	return message_out_finish(&out, MESSAGE_REPLY_MAX);
}

void computers_reply_free(struct computers_reply *message)
{
	json_decref(message->root);
	*message = (struct computers_reply){0};
}

/* ---- /v1/release ---- */

int release_request_read(
    struct release_request *message, const void *json, size_t size, rh_error *error)
{
	struct message_in in = {.message = "request for a release", .error = error};
	struct release_request read = {0};

	message_in_open(&in, json, size, MESSAGE_MAX, &read.root);
	read.computer = message_in_thumbprint(&in, "computer", MESSAGE_NEEDED);
	read.proof = message_in_jws(&in, "proof", MESSAGE_NEEDED);
	read.owner = message_in_jws(&in, "owner", MESSAGE_OPTIONAL);
	read.cancel = message_in_bool(&in, "cancel");
	if (in.code == RH_OK)
		*message = read;
	else
		release_request_free(&read);
	return in.code;
}

int release_request_write(
    const struct release_request *message, struct buffer *ret, rh_error *error)
{
	struct message_out out;

	message_out_begin(&out, ret, error);
	message_out_text(&out, "computer", message->computer);
	message_out_text(&out, "proof", message->proof);
	message_out_text(&out, "owner", message->owner);
	if (message->cancel)
		message_out_true(&out, "cancel");
	return message_out_finish(&out, MESSAGE_MAX);
}

void release_request_free(struct release_request *message)
{
	json_decref(message->root);
	*message = (struct release_request){0};
}

int release_reply_read(
    struct release_reply *message, const void *json, size_t size, rh_error *error)
{
	struct message_in in = {.message = "reply about a release", .error = error};
	struct release_reply read = {0};

	message_in_open(&in, json, size, MESSAGE_REPLY_MAX, &read.root);
	read.computer = message_in_thumbprint(&in, "computer", MESSAGE_NEEDED);
	read.state = (enum release_state)message_in_word(
	    &in, "state", states, sizeof states / sizeof *states);
	read.effective = message_in_time(&in, "effective", MESSAGE_OPTIONAL);
	read.head = message_in_jws(&in, "head", MESSAGE_NEEDED);
	if (read.state == RELEASE_WAITING && read.effective == MESSAGE_TIME_NONE)
		message_in_fail(&in, "effective", "is missing");
	if (in.code == RH_OK)
		*message = read;
	else
		release_reply_free(&read);
	return in.code;
}

int release_reply_write(
    const struct release_reply *message, struct buffer *ret, rh_error *error)
{
	struct message_out out;

	message_out_begin(&out, ret, error);
	message_out_text(&out, "computer", message->computer);
	message_out_text(&out, "state", states[message->state]);
	message_out_time(&out, "effective", message->effective);
	message_out_text(&out, "head", message->head);
	return message_out_finish(&out, MESSAGE_REPLY_MAX);
}

void release_reply_free(struct release_reply *message)
{
	json_decref(message->root);
	*message = (struct release_reply){0};
}

/* ---- Problems ---- */

#define PROBLEM_TYPE "urn:rehost:problem:"
#define STATUS_FIRST 100
#define STATUS_LAST 599

/* Small letters, digits and dashes: it also stands in an address. */
const char *message_in_problem(struct message_in *in, enum message_need need)
{
	const char *code = message_in_text(in, "code", need, MESSAGE_CODE_MAX);

	if (code != NULL && code[strspn(code, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0')
		message_in_fail(in, "code", "is no code");
	return code;
}

int problem_reply_read(
    struct problem_reply *message, const void *json, size_t size, rh_error *error)
{
	struct message_in in = {.message = "problem document", .error = error};
	struct problem_reply read = {0};
	uint32_t status;

	message_in_open(&in, json, size, MESSAGE_REPLY_MAX, &read.root);
	status = message_in_count(&in, "status", MESSAGE_NEEDED);
	if (status < STATUS_FIRST || status > STATUS_LAST)
		message_in_fail(&in, "status", "is out of range");
	read.status = (int)status;
	read.code = message_in_problem(&in, MESSAGE_NEEDED);
	read.title = message_in_text(&in, "title", MESSAGE_OPTIONAL, MESSAGE_DETAIL_MAX);
	read.detail = message_in_text(&in, "detail", MESSAGE_OPTIONAL, MESSAGE_DETAIL_MAX);
	if (in.code == RH_OK)
		*message = read;
	else
		problem_reply_free(&read);
	return in.code;
}

int problem_reply_write(
    const struct problem_reply *message, struct buffer *ret, rh_error *error)
{
	struct message_out out;
	char type[sizeof PROBLEM_TYPE + MESSAGE_CODE_MAX] = "";

	message_out_begin(&out, ret, error);
	if (strlen(message->code) > MESSAGE_CODE_MAX)
		out.code =
		    error_set(error, RH_E_ARGUMENT, "a message: member code is too long");
	if (out.code == RH_OK)
		strcpy(stpcpy(type, PROBLEM_TYPE), message->code);
	message_out_text(&out, "type", type);
	message_out_text(&out, "title", message->title);
	message_out_number(&out, "status", message->status);
	message_out_text(&out, "detail", message->detail);
	message_out_text(&out, "code", message->code);
	return message_out_finish(&out, MESSAGE_REPLY_MAX);
}

void problem_reply_free(struct problem_reply *message)
{
	json_decref(message->root);
	*message = (struct problem_reply){0};
}
