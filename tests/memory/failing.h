#ifndef TESTS_MEMORY_FAILING_H
#define TESTS_MEMORY_FAILING_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Allocations that fail when a test wants them to.  With failing_dep among the dependencies of
 * a test, the linker (--wrap) sends every call in our objects of malloc(), calloc(), realloc(),
 * aligned_alloc(), strdup() and strndup() to the functions below; shared libraries have their
 *own hooks, to which a test gives the same functions.  Threads share one counter.
 *
 *	failing_nth(0);
 *	assert_int_equal(work(&error), RH_OK);
 *	count = failing_stop();
 *	for (size_t i = 1; i <= count; i++) {
 *		failing_nth(i);
 *		code = work(&error);
 *		failing_stop();
 *		assert_int_equal(code, RH_E_MEMORY);
 *	}
 */

/* Counts from one again; the ${n}th allocation fails, and no other. 0: none. */
void failing_nth(size_t n);

/* The same, but all behind the ${n}th fail as well. */
void failing_from(size_t n);

/* From here on none fails. Returns how many there were since the start, failed or not. */
size_t failing_stop(void);

/* Whether one failed since the start; still told after failing_stop(). */
bool failing_happened(void);

/* What is allocated between these two neither counts nor fails. */
void failing_pause(void);
void failing_resume(void);

/* For the hooks of libraries, and for memory that must not fail. */
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);

#endif
