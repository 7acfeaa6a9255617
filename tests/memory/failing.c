#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "failing.h"

static atomic_size_t allocations; /* since the start */
static atomic_size_t first; /* the one that fails; 0: none */
static atomic_bool all_behind, happened, paused;

static void start(size_t n, bool all)
{
	atomic_store(&first, 0);
	atomic_store(&all_behind, all);
	atomic_store(&happened, false);
	atomic_store(&paused, false);
	atomic_store(&allocations, 0);
	atomic_store(&first, n);
}

void failing_nth(size_t n)
{
	start(n, false);
}

void failing_from(size_t n)
{
	start(n, true);
}

size_t failing_stop(void)
{
	atomic_store(&first, 0);
	return atomic_load(&allocations);
}

bool failing_happened(void)
{
	return atomic_load(&happened);
}

void failing_pause(void)
{
	atomic_store(&paused, true);
}

void failing_resume(void)
{
	atomic_store(&paused, false);
}

static bool fails(void)
{
	size_t n, wanted;

	if (atomic_load(&paused))
		return false;
	n = atomic_fetch_add(&allocations, 1) + 1;
	wanted = atomic_load(&first);
	if (wanted == 0 || n < wanted || (n > wanted && !atomic_load(&all_behind)))
		return false;
	atomic_store(&happened, true);
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strndup(const char *text, size_t size)
{
	size_t length = strnlen(text, size);
	char *copy = __wrap_malloc(length + 1);

	if (copy == NULL)
		return NULL;
	memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

char *__wrap_strdup(const char *text)
{
	return __wrap_strndup(text, strlen(text));
}
