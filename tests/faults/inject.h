#ifndef FAULTS_INJECT_H
#define FAULTS_INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Makes one call to the system fail, by standing in front of the C library: the
 * functions of inject.c are found before libc's by every library of the process.
 */
enum call {
	CALL_ALLOCATE, /* malloc and its kin */
	CALL_WRITE, /* write, pwrite, writev, ... */
	CALL_READ,
	CALL_SYNC, /* fsync, fdatasync */
	CALL_RENAME,
	CALL_OPEN,
	CALL_TRUNCATE,
	CALL_UNLINK,
	CALL_THREAD, /* pthread_create */
};

enum manner {
	FAIL_ONCE,
	FAIL_FROM_THERE_ON, /* this one and all that follow */
	HALF, /* a short read or write: no failure, and must cost nothing */
};

/*
 * From now on the ${number}th call (from 1) fails with ${errnum}.  Without
 * ${threads} pthread_create always fails, so that everything runs in one
 * order on one thread.
 */
void inject_arm(enum call call, enum manner manner, int errnum, long number, bool threads);

/* Nothing fails any more.  Returns whether the call was reached. */
bool inject_disarm(void);

/* Whether a call of this process was made to fail since inject_arm; for a signal handler. */
bool inject_fired(void);

/*
 * Who made the failed call: "libcrypto.so.3:EVP_MD_CTX_new < librehost.so.0:digest_new < ...".
 * The first library is the first one that is not the C library.
 */
const char *inject_site(void);

/*
 * Blocks that are allocated now, without those of the dynamic linker and of threads,
 * and without the calling thread's queue of OpenSSL errors, which is emptied.
 */
long inject_live(void);

/* Marks the present; inject_print_new prints the sites of blocks that were allocated since and
 * live. */
void inject_mark(void);
void inject_print_new(FILE *file);

/* Resolves what it needs, while nothing fails. */
void inject_init(void);

#endif
