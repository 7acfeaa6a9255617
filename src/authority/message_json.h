#ifndef AUTHORITY_MESSAGE_JSON_H
#define AUTHORITY_MESSAGE_JSON_H

#include "authority/message.h"

/*
 * Members of messages.  Private to the files of messages.
 *
 * Both directions keep the first failure: after it every call does nothing (texts are NULL,
 * numbers 0), so that a message is read or built to its end and looked at once.
 */

#define MESSAGE_TIME_LAST INT64_C(253402300799) /* the end of 9999 */
#define MESSAGE_TEXT_MAX 511 /* bytes of a title */
#define MESSAGE_CODE_MAX 63 /* characters of a problem's code */
#define MESSAGE_PAGE_MAX 2047 /* bytes of an address */
#define MESSAGE_DETAIL_MAX 2047 /* bytes of words for people */

#define MESSAGE_BASE64 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

enum message_need { MESSAGE_OPTIONAL, MESSAGE_NEEDED };

/* ---- Reading ---- */

struct message_in {
	const char *message; /* its name in sentences */
	const char *list; /* of which an object is read: "licenses"; NULL: the message itself */
	size_t index;
	const char *inner; /* a list within that object: "computers"; NULL */
	size_t inner_index;
	const json_t *object; /* whose members are read */
	int code;
	rh_error *error;
};

/* ${*ret} is the message's object, and what members are read from. */
void message_in_open(
    struct message_in *in, const void *json, size_t size, size_t most, json_t **ret);

/* Fails: "${message}: ${member} ${what}", with the place in a list. */
void message_in_fail(struct message_in *in, const char *member, const char *what);

/* Text of 1 to ${most} bytes without control characters. */
const char *message_in_text(
    struct message_in *in, const char *name, enum message_need need, size_t most);
/* Any text of 1 to ${most} bytes. */
const char *message_in_raw(struct message_in *in, const char *name, enum message_need need,
    size_t most, size_t *ret_size);
const char *message_in_thumbprint(
    struct message_in *in, const char *name, enum message_need need);
/* Canonical base64url of at most ${most} characters. */
const char *message_in_base64(struct message_in *in, const char *name, enum message_need need,
    size_t most, size_t *ret_size);
/* A compact JWS of at most JWS_MAX characters; a compact JWE of at most JOSE_JWE_MAX. */
const char *message_in_jws(struct message_in *in, const char *name, enum message_need need);
const char *message_in_jwe(struct message_in *in, const char *name, enum message_need need);
uint32_t message_in_count(struct message_in *in, const char *name, enum message_need need);
int64_t message_in_time(struct message_in *in, const char *name, enum message_need need);
bool message_in_bool(struct message_in *in, const char *name); /* absent: false */
/* The place of the text in ${words}; it must be there. */
int message_in_word(
    struct message_in *in, const char *name, const char *const *words, int count);
/* An array of ${least} to ${most}; NULL after a failure. */
const json_t *message_in_array(
    struct message_in *in, const char *name, size_t least, size_t most);

/* "code" of a problem. */
const char *message_in_problem(struct message_in *in, enum message_need need);

/* Memory for what was read, zeroed; NULL after a failure, or for none. */
void *message_in_new(struct message_in *in, size_t count, size_t size);

/*
 * ---- Writing ----
 *
 * Straight into the buffer, since a message is half a megabyte and a tree of it costs ten times
 * as much.
 */

struct message_out {
	struct buffer *ret;
	size_t start; /* where the message begins in it */
	bool follows; /* something stands before in the same object or array */
	int code;
	rh_error *error;
};

/* The message is an object, appended to ${ret}. */
void message_out_begin(struct message_out *out, struct buffer *ret, rh_error *error);
/* RH_E_ARGUMENT for more than ${most} bytes.  After a failure ${ret} is as it was. */
int message_out_finish(struct message_out *out, size_t most);

/* Between these stand elements of an array; */
void message_out_array(struct message_out *out, const char *name);
void message_out_array_end(struct message_out *out);
void message_out_object(struct message_out *out);
void message_out_object_end(struct message_out *out);

/* Absent texts (NULL) and times are left out. */
void message_out_text(struct message_out *out, const char *name, const char *text);
void message_out_sized(
    struct message_out *out, const char *name, const char *text, size_t size);
void message_out_number(struct message_out *out, const char *name, int64_t number);
void message_out_time(struct message_out *out, const char *name, int64_t time);
void message_out_true(struct message_out *out, const char *name);
/* Fails with RH_E_ARGUMENT unless ${count} is of ${least} to ${most}. */
void message_out_bounds(struct message_out *out, size_t count, size_t least, size_t most);

#endif
