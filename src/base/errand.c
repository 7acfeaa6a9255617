#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/errand.h"

#define WAIT_NANOSECONDS 20000000

struct errand {
	pthread_t thread;
	bool started; /* there is a thread */
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	void (*work)(void *context); /* under way; NULL */
	void *context;
	bool stopped; /* the owner has no more */
};

static void *run(void *context)
{
	struct errand *errand = context;

	pthread_mutex_lock(&errand->lock);
	while (errand->work != NULL || !errand->stopped) {
		if (errand->work == NULL) {
			pthread_cond_wait(&errand->changed, &errand->lock);
			continue;
		}
		pthread_mutex_unlock(&errand->lock);
		errand->work(errand->context);
		pthread_mutex_lock(&errand->lock);
		errand->work = NULL;
		pthread_cond_broadcast(&errand->changed);
	}
	pthread_mutex_unlock(&errand->lock);
	return NULL;
}

int errand_new(struct errand **ret, rh_error *error)
{
	struct errand *errand = calloc(1, sizeof *errand);
	pthread_condattr_t attributes;
	int failed;

	if (errand == NULL)
		return error_memory(error);
	failed = pthread_condattr_init(&attributes);
	if (failed == 0) {
		pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
		failed = pthread_cond_init(&errand->changed, &attributes);
		pthread_condattr_destroy(&attributes);
	}
	if (failed != 0) {
		free(errand);
		return error_memory(error);
	}
	pthread_mutex_init(&errand->lock, NULL);
	errand->started = pthread_create(&errand->thread, NULL, run, errand) == 0;
	*ret = errand;
	return RH_OK;
}

void errand_free(struct errand *errand)
{
	if (errand == NULL)
		return;
	if (errand->started) {
		pthread_mutex_lock(&errand->lock);
		errand->stopped = true;
		pthread_cond_broadcast(&errand->changed);
		pthread_mutex_unlock(&errand->lock);
		pthread_join(errand->thread, NULL);
	}
	pthread_mutex_destroy(&errand->lock);
	pthread_cond_destroy(&errand->changed);
	free(errand);
}

void errand_start(struct errand *errand, void (*work)(void *context), void *context)
{
	if (!errand->started) {
		work(context);
		return;
	}
	pthread_mutex_lock(&errand->lock);
	errand->work = work;
	errand->context = context;
	pthread_cond_broadcast(&errand->changed);
	pthread_mutex_unlock(&errand->lock);
}

bool errand_wait(struct errand *errand)
{
	struct timespec until;
	bool done;

	pthread_mutex_lock(&errand->lock);
	if (errand->work != NULL) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += WAIT_NANOSECONDS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&errand->changed, &errand->lock, &until);
	}
	done = errand->work == NULL;
	pthread_mutex_unlock(&errand->lock);
	return done;
}
