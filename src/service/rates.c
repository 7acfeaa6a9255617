#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "service/rates.h"

#define NANOSECONDS UINT64_C(1000000000)
#define SETS 1024 /* a power of two */
#define WAYS 8 /* in each set the one that was not seen for the longest time goes */

/* The time at which it is full again stands for how full it is. */
struct bucket {
	uint64_t name; /* keyed hash; 0: free */
	uint64_t full; /* clock_monotonic() */
};

struct rates {
	uint64_t step; /* nanoseconds that a request costs; 0: no limit */
	uint64_t room; /* ... and that a full bucket holds */
	uint8_t key[KEY_SIZE];
	pthread_mutex_t lock;
	struct bucket buckets[SETS][WAYS];
};

int rates_new(unsigned per_second, unsigned burst, struct rates **ret, rh_error *error)
{
	struct rates *rates = calloc(1, sizeof *rates);
	int code;

	if (rates == NULL)
		return error_memory(error);
	code = random_bytes(rates->key, sizeof rates->key, error);
	if (code == RH_OK && pthread_mutex_init(&rates->lock, NULL) != 0)
		code = error_memory(error);
	if (code != RH_OK) {
		free(rates);
		return code;
	}
	rates->step = per_second == 0 ? 0 : NANOSECONDS / per_second;
	rates->room = rates->step * (burst == 0 ? 1 : burst);
	*ret = rates;
	return RH_OK;
}

void rates_free(struct rates *rates)
{
	if (rates == NULL)
		return;
	pthread_mutex_destroy(&rates->lock);
	free(rates);
}

/* Nobody can choose names that meet in one set. */
static uint64_t name_of(const struct rates *rates, enum rate_kind kind, const char *who)
{
	uint8_t digest[DIGEST_SIZE];
	char text[128];
	size_t size = strnlen(who, sizeof text - 1);

	text[0] = kind == RATE_ADDRESS ? 'a' : 'c';
	memcpy(text + 1, who, size);
	if (hmac_sha256(digest, rates->key, sizeof rates->key, text, size + 1, NULL) != RH_OK)
		return 1;
	return get_u64be(digest) | 1;
}

static struct bucket *find(struct rates *rates, uint64_t name)
{
	struct bucket *set = rates->buckets[(name >> 32) & (SETS - 1)];
	struct bucket *oldest = &set[0];

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].name == name)
			return &set[i];
		if (set[i].full < oldest->full)
			oldest = &set[i];
	}
	*oldest = (struct bucket){.name = name};
	return oldest;
}

bool rates_take(struct rates *rates, enum rate_kind kind, const char *who, uint64_t now,
    unsigned *ret_seconds)
{
	struct bucket *bucket;
	uint64_t name, missing = 0;

	if (rates->step == 0)
		return true;
	name = name_of(rates, kind, who);
	pthread_mutex_lock(&rates->lock);
	bucket = find(rates, name);
	if (bucket->full < now)
		bucket->full = now;
	if (bucket->full + rates->step > now + rates->room)
		missing = bucket->full + rates->step - now - rates->room;
	else
		bucket->full += rates->step;
	pthread_mutex_unlock(&rates->lock);
	if (missing > 0)
		*ret_seconds = (unsigned)((missing + NANOSECONDS - 1) / NANOSECONDS);
	return missing == 0;
}
