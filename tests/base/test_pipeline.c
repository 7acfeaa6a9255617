#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/pipeline.h"

/* Numbers go in, their squares come out in order; failures at chosen items. */
struct job {
	long count;
	long produce_fails;
	long transform_fails;
	long consume_fails;
	long idle_fails;
	long next;
	long consumed;
	long items;
	pthread_t caller;
};

struct item {
	long number;
	long square;
};

static void *item_new(void *context)
{
	((struct job *)context)->items++;
	return calloc(1, sizeof(struct item));
}

static void item_free(void *context, void *item)
{
	((struct job *)context)->items--;
	free(item);
}

static int produce(void *context, void *item, bool *ret_end, rh_error *error)
{
	struct job *job = context;

	if (job->next == job->count) {
		*ret_end = true;
		return RH_OK;
	}
	((struct item *)item)->number = job->next++;
	if (((struct item *)item)->number == job->produce_fails)
		return error_set(error, RH_E_READ, "produce");
	return RH_OK;
}

static int transform(void *context, void *item, rh_error *error)
{
	struct item *number = item;
	struct job *job = context;

	if (number->number % 7 == 0)
		usleep(200);
	number->square = number->number * number->number;
	if (number->number == job->transform_fails)
		return error_set(error, RH_E_INTERNAL, "transform");
	return RH_OK;
}

static int consume(void *context, void *item, rh_error *error)
{
	struct item *number = item;
	struct job *job = context;

	assert_true(pthread_equal(job->caller, pthread_self()));
	assert_int_equal(number->number, job->consumed);
	assert_int_equal(number->square, job->consumed * job->consumed);
	if (job->consumed == job->consume_fails)
		return error_set(error, RH_E_WRITE, "consume");
	job->consumed++;
	return RH_OK;
}

static int idle(void *context, rh_error *error)
{
	struct job *job = context;

	return job->idle_fails >= 0 ? error_set(error, RH_E_CANCELED, "idle") : RH_OK;
}

static int run(struct job *job, rh_error *error)
{
	struct pipeline pipeline = {
	    item_new, item_free, produce, transform, consume, idle, job};

	job->caller = pthread_self();
	error_clear(error);
	int code = pipeline_run(&pipeline, error);
	assert_int_equal(error->code, code);
	assert_int_equal(job->items, 0);
	return code;
}

#define NONE .produce_fails = -1, .transform_fails = -1, .consume_fails = -1, .idle_fails = -1

static void keeps_order(void **state)
{
	rh_error error;

	(void)state;
	for (long count = 0; count < 200; count += 37) {
		struct job job = {NONE, .count = count};
		assert_int_equal(run(&job, &error), RH_OK);
		assert_int_equal(job.consumed, count);
	}
}

static void first_failure_wins(void **state)
{
	rh_error error;

	(void)state;
	for (long at = 0; at < 50; at++) {
		struct job read = {NONE, .count = 50};
		read.produce_fails = at;
		assert_int_equal(run(&read, &error), RH_E_READ);
		assert_int_equal(read.consumed, at);

		struct job work = {NONE, .count = 50};
		work.transform_fails = at;
		work.produce_fails = at + 1;
		assert_int_equal(run(&work, &error), RH_E_INTERNAL);
		assert_int_equal(work.consumed, at);

		struct job write = {NONE, .count = 50};
		write.consume_fails = at;
		write.transform_fails = at + 1;
		assert_int_equal(run(&write, &error), RH_E_WRITE);
	}
}

static int slow(void *context, void *item, rh_error *error)
{
	usleep(60000);
	return transform(context, item, error);
}

static void idle_can_stop(void **state)
{
	struct job job = {NONE, .count = 5};
	struct pipeline pipeline = {item_new, item_free, produce, slow, consume, idle, &job};
	rh_error error;

	(void)state;
	job.idle_fails = 0;
	job.caller = pthread_self();
	assert_int_equal(pipeline_run(&pipeline, &error), RH_E_CANCELED);
	assert_int_equal(job.consumed, 0);
	assert_int_equal(job.items, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keeps_order),
	    cmocka_unit_test(first_failure_wins),
	    cmocka_unit_test(idle_can_stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
