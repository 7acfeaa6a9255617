#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "service/nonces.h"

/* 42 bytes of a nonce; the code is over what stands before it. */
#define TIME_SIZE 8
#define RANDOM_SIZE 12
#define CODE_SIZE 22
#define SIGNED_SIZE (TIME_SIZE + RANDOM_SIZE)
#define RAW_SIZE (SIGNED_SIZE + CODE_SIZE)
_Static_assert(RAW_SIZE * 4 / 3 + 1 == NONCE_SIZE, "base64url without padding");

#define CLOCKS_APART 60 /* seconds that another rehostd's clock may be ahead */
#define SLOTS_MIN 1024
#define SLOTS_MAX (512 * 1024)

/*
 * Those that were used and made within one span of NONCE_LIFE seconds: 64 bits of the code,
 * which nobody can choose; 0 is an empty slot.  At any time three spans matter: the one before,
 * the present one, and that of clocks ahead.
 */
struct span {
	int64_t number; /* time / NONCE_LIFE */
	uint64_t *slots;
	size_t capacity; /* a power of two, or 0 */
	size_t used;
};
#define SPANS 3

struct nonces {
	uint8_t key[KEY_SIZE];
	pthread_mutex_t lock;
	struct span spans[SPANS];
};

int nonces_new(const uint8_t key[KEY_SIZE], struct nonces **ret, rh_error *error)
{
	struct nonces *nonces = calloc(1, sizeof *nonces);

	if (nonces == NULL)
		return error_memory(error);
	if (pthread_mutex_init(&nonces->lock, NULL) != 0) {
		free(nonces);
		return error_memory(error);
	}
	memcpy(nonces->key, key, KEY_SIZE);
	*ret = nonces;
	return RH_OK;
}

void nonces_free(struct nonces *nonces)
{
	if (nonces == NULL)
		return;
	for (size_t i = 0; i < SPANS; i++)
		free(nonces->spans[i].slots);
	pthread_mutex_destroy(&nonces->lock);
	bytes_wipe(nonces->key, sizeof nonces->key);
	free(nonces);
}

static int code_of(
    const struct nonces *nonces, const uint8_t *raw, uint8_t ret[DIGEST_SIZE], rh_error *error)
{
	return hmac_sha256(ret, nonces->key, KEY_SIZE, raw, SIGNED_SIZE, error);
}

int nonces_make(struct nonces *nonces, int64_t now, char ret[NONCE_SIZE], rh_error *error)
{
	uint8_t raw[RAW_SIZE], code[DIGEST_SIZE];
	char text[BASE64_SIZE(RAW_SIZE)];
	int result;

	put_u64be(raw, (uint64_t)now);
	result = random_bytes(raw + TIME_SIZE, RANDOM_SIZE, error);
	if (result == RH_OK)
		result = code_of(nonces, raw, code, error);
	if (result != RH_OK)
		return result;
	memcpy(raw + SIGNED_SIZE, code, CODE_SIZE);
	base64_encode(text, raw, sizeof raw, BASE64_URL | BASE64_NO_PAD);
	memcpy(ret, text, NONCE_SIZE);
	return RH_OK;
}

static bool span_insert(struct span *span, uint64_t mark)
{
	size_t at = (size_t)mark & (span->capacity - 1);

	for (; span->slots[at] != 0; at = (at + 1) & (span->capacity - 1))
		if (span->slots[at] == mark)
			return false;
	span->slots[at] = mark;
	span->used++;
	return true;
}

/* Keeps a quarter free. */
static bool span_grow(struct span *span)
{
	struct span larger = {.number = span->number};

	if (span->capacity > 0 && span->used < span->capacity / 4 * 3)
		return true;
	if (span->capacity >= SLOTS_MAX)
		return false;
	larger.capacity = span->capacity == 0 ? SLOTS_MIN : 2 * span->capacity;
	larger.slots = calloc(larger.capacity, sizeof *larger.slots);
	if (larger.slots == NULL)
		return false;
	for (size_t i = 0; i < span->capacity; i++)
		if (span->slots[i] != 0)
			span_insert(&larger, span->slots[i]);
	free(span->slots);
	*span = larger;
	return true;
}

static enum nonce_verdict use(struct nonces *nonces, int64_t time, uint64_t mark)
{
	const int64_t number = time / NONCE_LIFE;
	struct span *span = &nonces->spans[number % SPANS];

	if (span->number != number) {
		free(span->slots);
		*span = (struct span){.number = number};
	}
	if (!span_grow(span))
		return NONCE_FULL;
	return span_insert(span, mark == 0 ? 1 : mark) ? NONCE_GOOD : NONCE_USED;
}

enum nonce_verdict nonces_use(struct nonces *nonces, int64_t now, const char *nonce)
{
	uint8_t raw[RAW_SIZE], code[DIGEST_SIZE];
	enum nonce_verdict verdict;
	int64_t time;

	if (base64_decode(raw, sizeof raw, nonce, strnlen(nonce, NONCE_SIZE),
		BASE64_URL | BASE64_NO_PAD) != RAW_SIZE)
		return NONCE_UNKNOWN;
	if (code_of(nonces, raw, code, NULL) != RH_OK ||
	    !bytes_equal(code, raw + SIGNED_SIZE, CODE_SIZE))
		return NONCE_UNKNOWN;
	time = (int64_t)get_u64be(raw);
	if (time < 0 || time > now + CLOCKS_APART || time < now - NONCE_LIFE)
		return NONCE_UNKNOWN;
	pthread_mutex_lock(&nonces->lock);
	verdict = use(nonces, time, get_u64be(raw + SIGNED_SIZE));
	pthread_mutex_unlock(&nonces->lock);
	return verdict;
}
