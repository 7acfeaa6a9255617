#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/jsontext.h"
#include "authority/message_json.h"

/* ---- Reading ---- */

void message_in_fail(struct message_in *in, const char *member, const char *what)
{
	char place[96] = "";

	if (in->code != RH_OK)
		return;
	if (in->inner != NULL)
		snprintf(place, sizeof place, "%s[%zu].%s[%zu]: ", in->list, in->index,
		    in->inner, in->inner_index);
	else if (in->list != NULL)
		snprintf(place, sizeof place, "%s[%zu]: ", in->list, in->index);
	in->code = error_set(in->error, RH_E_LICENSE_INVALID, "%s: %smember %s %s", in->message,
	    place, member, what);
}

void message_in_open(
    struct message_in *in, const void *json, size_t size, size_t most, json_t **ret)
{
	json_t *root = NULL;
	rh_error why;

	if (size > most) {
		in->code = error_set(in->error, RH_E_LICENSE_INVALID, "%s: more than %zu bytes",
		    in->message, most);
		return;
	}
	in->code = jsontext_read(json, size, &root, &why);
	if (in->code == RH_E_LICENSE_INVALID)
		error_set(in->error, in->code, "%s: %s", in->message, why.text);
	else if (in->code != RH_OK)
		error_memory(in->error);
	else if (!json_is_object(root))
		in->code = error_set(
		    in->error, RH_E_LICENSE_INVALID, "%s: no JSON object", in->message);
	if (in->code != RH_OK) {
		json_decref(root);
		return;
	}
	in->object = root;
	*ret = root;
}

/* The member, or NULL: after a failure, or if it is absent and may be. */
static const json_t *member(struct message_in *in, const char *name, enum message_need need)
{
	const json_t *value;

	if (in->code != RH_OK)
		return NULL;
	value = json_object_get(in->object, name);
	if (value == NULL && need == MESSAGE_NEEDED)
		message_in_fail(in, name, "is missing");
	return value;
}

const char *message_in_raw(struct message_in *in, const char *name, enum message_need need,
    size_t most, size_t *ret_size)
{
	const json_t *value = member(in, name, need);
	size_t size = json_string_length(value);

	if (value == NULL)
		return NULL;
	if (!json_is_string(value)) {
		message_in_fail(in, name, "is no text");
		return NULL;
	}
	if (size < 1 || size > most) {
		message_in_fail(in, name, size < 1 ? "is empty" : "is too long");
		return NULL;
	}
	if (ret_size != NULL)
		*ret_size = size;
	return json_string_value(value);
}

const char *message_in_text(
    struct message_in *in, const char *name, enum message_need need, size_t most)
{
	size_t size;
	const char *text = message_in_raw(in, name, need, most, &size);

	if (text == NULL || utf8_clean(text, size))
		return text;
	message_in_fail(in, name, "holds control characters");
	return NULL;
}

/* Whether nothing hangs over in the last character (RFC 4648, section 3.5). */
static bool canonical(const char *text, size_t size)
{
	static const char rest_1[] = "AQgw", rest_2[] = "AEIMQUYcgkosw048";

	if (strspn(text, MESSAGE_BASE64) != size || size % 4 == 1)
		return false;
	return size % 4 == 0 || strchr(size % 4 == 2 ? rest_1 : rest_2, text[size - 1]) != NULL;
}

const char *message_in_base64(struct message_in *in, const char *name, enum message_need need,
    size_t most, size_t *ret_size)
{
	size_t size;
	const char *text = message_in_raw(in, name, need, most, &size);

	if (text == NULL)
		return NULL;
	if (!canonical(text, size)) {
		message_in_fail(in, name, "is no canonical base64url");
		return NULL;
	}
	if (ret_size != NULL)
		*ret_size = size;
	return text;
}

const char *message_in_thumbprint(
    struct message_in *in, const char *name, enum message_need need)
{
	size_t size;
	const char *text = message_in_raw(in, name, need, MESSAGE_MAX, &size);

	if (text == NULL || (size == JOSE_THUMBPRINT_SIZE - 1 && canonical(text, size)))
		return text;
	message_in_fail(in, name, "is no thumbprint of a key");
	return NULL;
}

/* base64url with ${dots} dots; what is in its parts is looked at when it is opened. */
static const char *compact(struct message_in *in, const char *name, enum message_need need,
    size_t most, size_t dots, const char *what)
{
	size_t size;
	const char *text = message_in_raw(in, name, need, most, &size), *p = text;

	if (text == NULL)
		return NULL;
	for (;; dots--) {
		p += strspn(p, MESSAGE_BASE64);
		if (*p != '.' || dots == 0)
			break;
		p++;
	}
	if (*p == '\0' && dots == 0)
		return text;
	message_in_fail(in, name, what);
	return NULL;
}

const char *message_in_jws(struct message_in *in, const char *name, enum message_need need)
{
	return compact(in, name, need, JWS_MAX, 2, "is no compact JWS");
}

const char *message_in_jwe(struct message_in *in, const char *name, enum message_need need)
{
	return compact(in, name, need, JOSE_JWE_MAX, 4, "is no compact JWE");
}

static int64_t integer(
    struct message_in *in, const char *name, const json_t *value, int64_t most)
{
	if (!json_is_integer(value))
		message_in_fail(in, name, "is no whole number");
	else if (json_integer_value(value) < 0 || json_integer_value(value) > most)
		message_in_fail(in, name, "is out of range");
	else
		return json_integer_value(value);
	return 0;
}

uint32_t message_in_count(struct message_in *in, const char *name, enum message_need need)
{
	const json_t *value = member(in, name, need);

	return value != NULL ? (uint32_t)integer(in, name, value, UINT32_MAX) : 0;
}

int64_t message_in_time(struct message_in *in, const char *name, enum message_need need)
{
	const json_t *value = member(in, name, need);

	return value != NULL ? integer(in, name, value, MESSAGE_TIME_LAST) : MESSAGE_TIME_NONE;
}

bool message_in_bool(struct message_in *in, const char *name)
{
	const json_t *value = member(in, name, MESSAGE_OPTIONAL);

	if (value != NULL && !json_is_boolean(value))
		message_in_fail(in, name, "is neither true nor false");
	return json_is_true(value);
}

int message_in_word(
    struct message_in *in, const char *name, const char *const *words, int count)
{
	const json_t *value = member(in, name, MESSAGE_NEEDED);
	const char *text = json_string_value(value);

	if (value == NULL)
		return 0;
	for (int i = 0; i < count && text != NULL; i++)
		if (strcmp(words[i], text) == 0)
			return i;
	message_in_fail(in, name, "is none of the known words");
	return 0;
}

const json_t *message_in_array(
    struct message_in *in, const char *name, size_t least, size_t most)
{
	const json_t *value = member(in, name, MESSAGE_NEEDED);
	size_t count = json_array_size(value);

	if (value == NULL)
		return NULL;
	if (!json_is_array(value))
		message_in_fail(in, name, "is no array");
	else if (count < least || count > most)
		message_in_fail(in, name, count < least ? "is empty" : "has too many elements");
	else
		return value;
	return NULL;
}

void *message_in_new(struct message_in *in, size_t count, size_t size)
{
	void *room;

	if (in->code != RH_OK || count == 0)
		return NULL;
	room = calloc(count, size);
	if (room == NULL)
		in->code = error_memory(in->error);
	return room;
}

/* ---- Writing ---- */

static void put(struct message_out *out, const char *bytes, size_t size)
{
	if (out->code == RH_OK)
		out->code = buffer_append(out->ret, bytes, size, out->error);
}

static void put_text(struct message_out *out, const char *text)
{
	put(out, text, strlen(text));
}

void message_out_begin(struct message_out *out, struct buffer *ret, rh_error *error)
{
	*out = (struct message_out){.ret = ret, .start = ret->size, .error = error};
	put(out, "{", 1);
}

int message_out_finish(struct message_out *out, size_t most)
{
	put(out, "}", 1);
	if (out->code == RH_OK && out->ret->size - out->start > most)
		out->code = error_set(
		    out->error, RH_E_ARGUMENT, "a message: more than %zu bytes", most);
	if (out->code != RH_OK)
		out->ret->size = out->start;
	return out->code;
}

/* The name of a member, which needs no escape, and what stands around it. */
static void put_name(struct message_out *out, const char *name)
{
	put_text(out, out->follows ? ",\"" : "\"");
	put_text(out, name);
	put_text(out, "\":");
	out->follows = true;
}

void message_out_array(struct message_out *out, const char *name)
{
	put_name(out, name);
	put(out, "[", 1);
	out->follows = false;
}

void message_out_array_end(struct message_out *out)
{
	put(out, "]", 1);
	out->follows = true;
}

void message_out_object(struct message_out *out)
{
	put_text(out, out->follows ? ",{" : "{");
	out->follows = false;
}

void message_out_object_end(struct message_out *out)
{
	put(out, "}", 1);
	out->follows = true;
}

/* ASCII that stands in JSON as it is. */
static bool plain(const char *text, size_t size)
{
	unsigned other = 0;

	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		other |= (unsigned)(c < 0x20) | (c > 0x7e) | (c == '"') | (c == '\\');
	}
	return other == 0;
}

void message_out_sized(struct message_out *out, const char *name, const char *text, size_t size)
{
	json_t *value;

	if (text == NULL)
		return;
	put_name(out, name);
	if (plain(text, size)) {
		put(out, "\"", 1);
		put(out, text, size);
		put(out, "\"", 1);
	} else if (!utf8_valid(text, size)) {
		if (out->code == RH_OK)
			out->code = error_set(out->error, RH_E_ARGUMENT,
			    "a message: member %s is no UTF-8 text", name);
	} else if (out->code == RH_OK) {
		value = json_stringn_nocheck(text, size);
		out->code = jsontext_write(value, out->ret, out->error);
		json_decref(value);
	}
}

void message_out_text(struct message_out *out, const char *name, const char *text)
{
	if (text != NULL)
		message_out_sized(out, name, text, strlen(text));
}

void message_out_number(struct message_out *out, const char *name, int64_t number)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRId64, number);
	put_name(out, name);
	put_text(out, text);
}

void message_out_time(struct message_out *out, const char *name, int64_t time)
{
	if (time != MESSAGE_TIME_NONE)
		message_out_number(out, name, time);
}

void message_out_true(struct message_out *out, const char *name)
{
	put_name(out, name);
	put_text(out, "true");
}

void message_out_bounds(struct message_out *out, size_t count, size_t least, size_t most)
{
	if (out->code == RH_OK && (count < least || count > most))
		out->code = error_set(out->error, RH_E_ARGUMENT,
		    "a message: a list of %zu in the place of %zu to %zu", count, least, most);
}
