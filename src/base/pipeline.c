#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/pipeline.h"

/* Each has an item of a few MiB: more threads would be faster, and take more memory. */
#define THREADS_MAX 4
#define IDLE_NANOSECONDS 20000000

/*
 * A slot goes round: free -> (worker produces, transforms) -> ready -> (caller
 * consumes) -> free.  Everything below is guarded by ${lock}, but for a slot's
 * item, which belongs to whoever the state names.
 */
enum slot_state { SLOT_FREE, SLOT_WORKING, SLOT_READY };

struct slot {
	void *item;
	enum slot_state state;
	uint64_t number; /* of the item in it, in order of production */
	int code; /* of produce and transform */
	rh_error error;
};

struct run {
	const struct pipeline *pipeline;
	pthread_mutex_t lock;
	pthread_mutex_t producing; /* held over produce; taken before ${lock} */
	pthread_cond_t changed;
	struct slot *slots;
	size_t slot_count;
	uint64_t produced;
	bool ended; /* produce has nothing left, or failed */
	bool stopped; /* the caller wants no more */
};

static struct slot *free_slot(struct run *run)
{
	for (size_t i = 0; i < run->slot_count; i++)
		if (run->slots[i].state == SLOT_FREE)
			return &run->slots[i];
	return NULL;
}

/* Waits for a free slot and fills it with the next item; NULL at the end. */
static struct slot *take_item(struct run *run)
{
	const struct pipeline *pipeline = run->pipeline;
	struct slot *slot;
	bool end = false;

	pthread_mutex_lock(&run->producing);
	pthread_mutex_lock(&run->lock);
	while ((slot = free_slot(run)) == NULL && !run->stopped)
		pthread_cond_wait(&run->changed, &run->lock);
	if (run->stopped || run->ended) {
		pthread_mutex_unlock(&run->lock);
		pthread_mutex_unlock(&run->producing);
		return NULL;
	}
	slot->state = SLOT_WORKING;
	slot->number = run->produced;
	error_clear(&slot->error);
	pthread_mutex_unlock(&run->lock);

	slot->code = pipeline->produce(pipeline->context, slot->item, &end, &slot->error);

	pthread_mutex_lock(&run->lock);
	if (slot->code == RH_OK && end)
		slot->state = SLOT_FREE;
	else
		run->produced++;
	if (slot->code != RH_OK || end) {
		run->ended = true;
		pthread_cond_broadcast(&run->changed);
	}
	pthread_mutex_unlock(&run->lock);
	pthread_mutex_unlock(&run->producing);
	return slot->code == RH_OK && end ? NULL : slot;
}

/* One round of a worker; false if there is nothing left to do. */
static bool work(struct run *run)
{
	const struct pipeline *pipeline = run->pipeline;
	struct slot *slot = take_item(run);

	if (slot == NULL)
		return false;
	if (slot->code == RH_OK)
		slot->code = pipeline->transform(pipeline->context, slot->item, &slot->error);
	pthread_mutex_lock(&run->lock);
	slot->state = SLOT_READY;
	pthread_cond_broadcast(&run->changed);
	pthread_mutex_unlock(&run->lock);
	return true;
}

static void *worker(void *context)
{
	while (work(context))
		;
	return NULL;
}

/* The slot that holds item ${number}, if it is ready; called with the lock held. */
static struct slot *ready_slot(struct run *run, uint64_t number)
{
	for (size_t i = 0; i < run->slot_count; i++)
		if (run->slots[i].state == SLOT_READY && run->slots[i].number == number)
			return &run->slots[i];
	return NULL;
}

static void wait_a_little(struct run *run)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += IDLE_NANOSECONDS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&run->changed, &run->lock, &until);
}

/*
 * Waits for item ${number} and stores its slot, NULL at the end.  ${alone}: no worker
 * runs, the calling thread does their work.
 */
static int next_slot(
    struct run *run, uint64_t number, bool alone, struct slot **ret, rh_error *error)
{
	const struct pipeline *pipeline = run->pipeline;
	struct slot *slot;
	int code = RH_OK;

	if (alone)
		work(run);
	pthread_mutex_lock(&run->lock);
	while ((slot = ready_slot(run, number)) == NULL) {
		if (run->ended && run->produced == number)
			break;
		wait_a_little(run);
		if (pipeline->idle == NULL)
			continue;
		pthread_mutex_unlock(&run->lock);
		code = pipeline->idle(pipeline->context, error);
		pthread_mutex_lock(&run->lock);
		if (code != RH_OK)
			break;
	}
	pthread_mutex_unlock(&run->lock);
	*ret = code == RH_OK ? slot : NULL;
	return code;
}

static int consume_all(struct run *run, bool alone, rh_error *error)
{
	const struct pipeline *pipeline = run->pipeline;
	struct slot *slot;
	int code;

	for (uint64_t number = 0;; number++) {
		code = next_slot(run, number, alone, &slot, error);
		if (code != RH_OK || slot == NULL)
			return code;
		if (slot->code != RH_OK) {
			if (error != NULL)
				*error = slot->error;
			return slot->code;
		}
		code = pipeline->consume(pipeline->context, slot->item, error);
		if (code != RH_OK)
			return code;
		pthread_mutex_lock(&run->lock);
		slot->state = SLOT_FREE;
		pthread_cond_broadcast(&run->changed);
		pthread_mutex_unlock(&run->lock);
	}
}

static int make_slots(struct run *run, size_t count, rh_error *error)
{
	run->slots = calloc(count, sizeof *run->slots);
	if (run->slots == NULL)
		return error_memory(error);
	for (; run->slot_count < count; run->slot_count++) {
		void *item = run->pipeline->item_new(run->pipeline->context);
		/* With one slot less it is slower, not wrong. */
		if (item == NULL && run->slot_count == 0)
			return error_memory(error);
		if (item == NULL)
			break;
		run->slots[run->slot_count].item = item;
	}
	return RH_OK;
}

static int init(struct run *run, rh_error *error)
{
	pthread_condattr_t attributes;
	int failed;

	if (pthread_condattr_init(&attributes) != 0)
		return error_memory(error);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	failed = pthread_cond_init(&run->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	if (failed != 0)
		return error_memory(error);
	pthread_mutex_init(&run->lock, NULL);
	pthread_mutex_init(&run->producing, NULL);
	return RH_OK;
}

int pipeline_run(const struct pipeline *pipeline, rh_error *error)
{
	struct run run = {.pipeline = pipeline};
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	size_t wanted = processors < 1             ? 1
			: processors > THREADS_MAX ? THREADS_MAX
						   : (size_t)processors;
	pthread_t threads[THREADS_MAX];
	size_t started = 0;
	int code;

	code = init(&run, error);
	if (code != RH_OK)
		return code;
	/* One item more than workers: one is being consumed while the others are made. */
	code = make_slots(&run, wanted + 1, error);
	if (code == RH_OK) {
		while (started < wanted &&
		       pthread_create(&threads[started], NULL, worker, &run) == 0)
			started++;
		code = consume_all(&run, started == 0, error);
	}

	pthread_mutex_lock(&run.lock);
	run.stopped = true;
	pthread_cond_broadcast(&run.changed);
	pthread_mutex_unlock(&run.lock);
	while (started > 0)
		pthread_join(threads[--started], NULL);
	for (size_t i = 0; i < run.slot_count; i++)
		pipeline->item_free(pipeline->context, run.slots[i].item);
	free(run.slots);
	pthread_mutex_destroy(&run.producing);
	pthread_mutex_destroy(&run.lock);
	pthread_cond_destroy(&run.changed);
	return code;
}
