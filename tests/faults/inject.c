/* Both names of each function are defined below, so neither may stand for the other. */
#undef _FILE_OFFSET_BITS

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <jansson.h>

#include "inject.h"

/* The libraries must find these. */
#pragma GCC visibility push(default)

/* glibc's own names for its allocator. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

#define FRAMES 12

static struct {
	atomic_bool armed;
	atomic_bool fired;
	atomic_long countdown;
	enum call call;
	enum manner manner;
	int errnum;
	bool threads;
} injection = {.threads = true};

static struct {
	void *frames[FRAMES];
	int count;
	char text[512];
} site;

/* ---- Live blocks ---- */

#define SLOTS (1u << 18)

static struct {
	void *block;
	void *caller;
	uint32_t age;
	bool counted;
} blocks[SLOTS];
static atomic_flag blocks_lock = ATOMIC_FLAG_INIT;
static long live;
static uint32_t age;
static uintptr_t loader_start, loader_end;
static void (*openssl_thread_stop)(void);

static void lock(void)
{
	while (atomic_flag_test_and_set_explicit(&blocks_lock, memory_order_acquire))
		;
}

static void unlock(void)
{
	atomic_flag_clear_explicit(&blocks_lock, memory_order_release);
}

static size_t slot_of(const void *block)
{
	return (((uintptr_t)block >> 4) * 0x9e3779b97f4a7c15u >> 40) % SLOTS;
}

static void block_add(void *block, void *caller)
{
	if (block == NULL)
		return;
	lock();
	size_t i = slot_of(block);
	while (blocks[i].block != NULL)
		i = (i + 1) % SLOTS;
	blocks[i].block = block;
	blocks[i].caller = caller;
	blocks[i].age = age;
	/* The dynamic linker's blocks are threads' storage, which glibc keeps for reuse. */
	blocks[i].counted = (uintptr_t)caller < loader_start || (uintptr_t)caller >= loader_end;
	live += blocks[i].counted;
	unlock();
}

static void block_remove(void *block)
{
	if (block == NULL)
		return;
	lock();
	size_t i = slot_of(block);
	while (blocks[i].block != NULL && blocks[i].block != block)
		i = (i + 1) % SLOTS;
	if (blocks[i].block == block) {
		live -= blocks[i].counted;
		/* Open addressing: what follows moves up into the gap. */
		for (size_t j = (i + 1) % SLOTS; blocks[j].block != NULL; j = (j + 1) % SLOTS) {
			size_t home = slot_of(blocks[j].block);
			if ((j - home) % SLOTS >= (j - i) % SLOTS) {
				blocks[i] = blocks[j];
				i = j;
			}
		}
		blocks[i].block = NULL;
	}
	unlock();
}

long inject_live(void)
{
	if (openssl_thread_stop != NULL)
		openssl_thread_stop();
	lock();
	long count = live;
	unlock();
	return count;
}

void inject_mark(void)
{
	lock();
	age++;
	unlock();
}

void inject_print_new(FILE *file)
{
	for (size_t i = 0; i < SLOTS; i++) {
		if (blocks[i].block == NULL || blocks[i].age != age || !blocks[i].counted)
			continue;
		Dl_info info = {0};
		dladdr(blocks[i].caller, &info);
		fprintf(file, "    lost: %zu bytes of %s:%s+%#lx\n",
		    malloc_usable_size(blocks[i].block),
		    info.dli_fname != NULL ? info.dli_fname : "?",
		    info.dli_sname != NULL ? info.dli_sname : "?",
		    (unsigned long)((char *)blocks[i].caller - (char *)info.dli_fbase));
	}
	fflush(file);
}

/* ---- Whether this call fails ---- */

/* Within a parser that cannot do without memory. */
static _Thread_local bool parsing;

static bool strike(enum call call)
{
	if (!atomic_load(&injection.armed) || injection.call != call ||
	    (call == CALL_ALLOCATE && parsing))
		return false;
	long left = atomic_fetch_sub(&injection.countdown, 1);
	if (left > 1 || (left < 1 && injection.manner != FAIL_FROM_THERE_ON))
		return false;
	if (!atomic_exchange(&injection.fired, true))
		site.count = backtrace(site.frames, FRAMES);
	errno = injection.errnum;
	return true;
}

void inject_arm(enum call call, enum manner manner, int errnum, long number, bool threads)
{
	injection.call = call;
	injection.manner = manner;
	injection.errnum = errnum;
	injection.threads = threads;
	site.count = 0;
	atomic_store(&injection.fired, false);
	atomic_store(&injection.countdown, number);
	atomic_store(&injection.armed, true);
}

bool inject_disarm(void)
{
	atomic_store(&injection.armed, false);
	injection.threads = true;
	return atomic_load(&injection.fired);
}

bool inject_fired(void)
{
	return atomic_load(&injection.fired);
}

const char *inject_site(void)
{
	size_t used = 0;
	bool started = false;

	site.text[0] = '\0';
	for (int i = 2; i < site.count && used < sizeof site.text; i++) {
		Dl_info info = {0};
		dladdr(site.frames[i], &info);
		const char *file = info.dli_fname != NULL ? info.dli_fname : "?";
		const char *name = strrchr(file, '/') != NULL ? strrchr(file, '/') + 1 : file;
		if (!started && strncmp(name, "libc.so", 7) == 0)
			continue;
		char offset[32];
		snprintf(offset, sizeof offset, "%#lx",
		    (unsigned long)((char *)site.frames[i] - (char *)info.dli_fbase));
		used += (size_t)snprintf(site.text + used, sizeof site.text - used, "%s%s:%s",
		    started ? " < " : "", name,
		    info.dli_sname != NULL ? info.dli_sname : offset);
		started = true;
	}
	return site.text;
}

/* ---- The allocator ---- */

void *malloc(size_t size)
{
	if (strike(CALL_ALLOCATE))
		return NULL;
	void *block = __libc_malloc(size);
	block_add(block, __builtin_return_address(0));
	return block;
}

void *calloc(size_t count, size_t size)
{
	if (strike(CALL_ALLOCATE))
		return NULL;
	void *block = __libc_calloc(count, size);
	block_add(block, __builtin_return_address(0));
	return block;
}

void *realloc(void *old, size_t size)
{
	if (strike(CALL_ALLOCATE))
		return NULL;
	block_remove(old);
	void *block = __libc_realloc(old, size);
	block_add(block != NULL || size == 0 ? block : old, __builtin_return_address(0));
	return block;
}

void *memalign(size_t alignment, size_t size)
{
	if (strike(CALL_ALLOCATE))
		return NULL;
	void *block = __libc_memalign(alignment, size);
	block_add(block, __builtin_return_address(0));
	return block;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
	void *block = memalign(alignment, size);
	if (block == NULL)
		return ENOMEM;
	*ret = block;
	return 0;
}

void free(void *block)
{
	block_remove(block);
	__libc_free(block);
}

/* ---- Files ---- */

/* How much of ${size} is done: all, half, or -1 for a failure. */
static ssize_t measure(enum call call, size_t size)
{
	if (!strike(call))
		return (ssize_t)size;
	if (injection.manner == HALF)
		return (ssize_t)(size > 1 ? size / 2 : size);
	return -1;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
	ssize_t part = measure(CALL_WRITE, size);
	return part < 0 ? -1 : syscall(SYS_write, fd, bytes, (size_t)part);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
	ssize_t part = measure(CALL_WRITE, size);
	return part < 0 ? -1 : syscall(SYS_pwrite64, fd, bytes, (size_t)part, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	if (strike(CALL_WRITE) && injection.manner != HALF)
		return -1;
	return syscall(SYS_writev, fd, parts, count);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
	if (strike(CALL_WRITE) && injection.manner != HALF)
		return -1;
	return syscall(SYS_pwritev, fd, parts, count, offset, 0);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t size)
{
	return strike(CALL_WRITE) ? -1 : (int)syscall(SYS_fallocate, fd, mode, offset, size);
}

int posix_fallocate64(int fd, off64_t offset, off64_t size)
{
	return fallocate64(fd, 0, offset, size) == 0 ? 0 : errno;
}

ssize_t read(int fd, void *bytes, size_t size)
{
	ssize_t part = measure(CALL_READ, size);
	return part < 0 ? -1 : syscall(SYS_read, fd, bytes, (size_t)part);
}

ssize_t pread64(int fd, void *bytes, size_t size, off64_t offset)
{
	ssize_t part = measure(CALL_READ, size);
	return part < 0 ? -1 : syscall(SYS_pread64, fd, bytes, (size_t)part, offset);
}

int fsync(int fd)
{
	return strike(CALL_SYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return strike(CALL_SYNC) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int rename(const char *from, const char *to)
{
	return strike(CALL_RENAME)
		   ? -1
		   : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	return strike(CALL_RENAME)
		   ? -1
		   : (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return renameat2(from_fd, from, to_fd, to, 0);
}

int ftruncate64(int fd, off64_t size)
{
	return strike(CALL_TRUNCATE) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int unlinkat(int fd, const char *path, int flags)
{
	return strike(CALL_UNLINK) ? -1 : (int)syscall(SYS_unlinkat, fd, path, flags);
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

static int open_any(int fd, const char *path, int flags, va_list arguments)
{
	mode_t mode = 0;

	if (flags & (O_CREAT | __O_TMPFILE))
		mode = va_arg(arguments, mode_t);
	return strike(CALL_OPEN) ? -1 : (int)syscall(SYS_openat, fd, path, flags, mode);
}

#define OPEN(name)                                                                             \
	int name(const char *path, int flags, ...)                                             \
	{                                                                                      \
		va_list arguments;                                                             \
		va_start(arguments, flags);                                                    \
		int fd = open_any(AT_FDCWD, path, flags, arguments);                           \
		va_end(arguments);                                                             \
		return fd;                                                                     \
	}
#define OPENAT(name)                                                                           \
	int name(int directory, const char *path, int flags, ...)                              \
	{                                                                                      \
		va_list arguments;                                                             \
		va_start(arguments, flags);                                                    \
		int fd = open_any(directory, path, flags, arguments);                          \
		va_end(arguments);                                                             \
		return fd;                                                                     \
	}
OPEN(open64)
OPENAT(openat64)

OPEN(open)
OPENAT(openat)

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
	return pwrite64(fd, bytes, size, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
	return pwritev64(fd, parts, count, offset);
}

ssize_t pread(int fd, void *bytes, size_t size, off_t offset)
{
	return pread64(fd, bytes, size, offset);
}

int ftruncate(int fd, off_t size)
{
	return ftruncate64(fd, size);
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
	return fallocate64(fd, mode, offset, size);
}

int posix_fallocate(int fd, off_t offset, off_t size)
{
	return posix_fallocate64(fd, offset, size);
}

/* ---- JSON ---- */

typedef json_t *json_loadb_function(const char *, size_t, size_t, json_error_t *);
static json_loadb_function *real_json_loadb;

/*
 * jansson 2.14 drops characters of a text for which it has no memory (lex_save() in its
 * load.c ignores the failure), and then takes the text for another one, or writes behind
 * the end of its own.  crypto/jsontext.c asks for memory before.
 */
json_t *json_loadb(const char *text, size_t size, size_t flags, json_error_t *error)
{
	parsing = true;
	json_t *value = real_json_loadb(text, size, flags, error);
	parsing = false;
	return value;
}

/* ---- Threads ---- */

typedef int pthread_create_function(
    pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
static pthread_create_function *real_pthread_create;

int pthread_create(
    pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
	if (strike(CALL_THREAD) || !injection.threads)
		return EAGAIN;
	return real_pthread_create(thread, attributes, start, argument);
}

static int find_loader(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size;
	(void)context;
	if (strstr(info->dlpi_name, "/ld-linux") == NULL &&
	    strstr(info->dlpi_name, "/ld.so") == NULL)
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + part->p_vaddr;
		if (part->p_type != PT_LOAD)
			continue;
		if (loader_start == 0)
			loader_start = start;
		loader_end = start + part->p_memsz;
	}
	return 1;
}

void inject_init(void)
{
	void *frames[FRAMES];

	dl_iterate_phdr(find_loader, NULL);
	real_pthread_create =
	    (pthread_create_function *)(uintptr_t)dlsym(RTLD_NEXT, "pthread_create");
	real_json_loadb = (json_loadb_function *)(uintptr_t)dlsym(RTLD_NEXT, "json_loadb");
	openssl_thread_stop =
	    (void (*)(void))(uintptr_t)dlsym(RTLD_DEFAULT, "OPENSSL_thread_stop");
	/* The first backtrace loads libgcc. */
	backtrace(frames, FRAMES);
}
