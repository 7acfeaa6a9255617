#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include <cmocka.h>

#include "base/errand.h"

struct sum {
	long number;
	long sum; /* written by the work, read by the owner */
	pthread_t thread;
	atomic_bool go;
};

static void add(void *context)
{
	struct sum *sum = context;

	sum->sum += sum->number;
	sum->thread = pthread_self();
}

static void add_later(void *context)
{
	struct sum *sum = context;
	const struct timespec pause = {0, 1000000};

	while (!atomic_load(&sum->go))
		nanosleep(&pause, NULL);
	add(context);
}

static void one_after_the_other(void **state)
{
	struct errand *errand = NULL;
	struct sum sum = {0};

	(void)state;
	assert_int_equal(errand_new(&errand, NULL), RH_OK);
	assert_true(errand_wait(errand)); /* for nothing */
	for (sum.number = 1; sum.number <= 1000; sum.number++) {
		errand_start(errand, add, &sum);
		while (!errand_wait(errand))
			;
	}
	assert_int_equal(sum.sum, 500500);
	assert_false(pthread_equal(sum.thread, pthread_self()));
	errand_free(errand);
}

static void the_owner_goes_on(void **state)
{
	struct errand *errand = NULL;
	struct sum sum = {.number = 7};

	(void)state;
	assert_int_equal(errand_new(&errand, NULL), RH_OK);
	errand_start(errand, add_later, &sum);
	assert_false(errand_wait(errand));
	assert_false(errand_wait(errand));
	atomic_store(&sum.go, true);
	while (!errand_wait(errand))
		;
	assert_int_equal(sum.sum, 7);
	errand_free(errand);
}

static void freeing_waits(void **state)
{
	struct errand *errand = NULL;
	struct sum sum = {.number = 7};

	(void)state;
	assert_int_equal(errand_new(&errand, NULL), RH_OK);
	atomic_store(&sum.go, true);
	errand_start(errand, add_later, &sum);
	errand_free(errand);
	assert_int_equal(sum.sum, 7);
	errand_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_after_the_other),
	    cmocka_unit_test(the_owner_goes_on),
	    cmocka_unit_test(freeing_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
