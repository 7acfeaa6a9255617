/*
 * Makes every call to the system fail, one at a time, while licences are added,
 * backed up, restored and verified: each run must end in the right code, with one
 * END event, lose nothing, leak nothing, and leave the next run to succeed.
 *
 * usage: faults [SCENARIO [FAULT [FIRST [LAST]]]]
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "faults.h"
#include "inject.h"

#define SECONDS_A_RUN 20
#define FAILURES_SHOWN 40
/* With threads the order differs from run to run, so every call need not have its turn. */
#define STRIDE_WITH_THREADS 11

/* ---- What fails, and what may come of it ---- */

static const int memory_codes[] = {RH_E_MEMORY, -1};
/* A library that ran out of memory and tells only that it failed. */
static const int memory_library_codes[] = {RH_E_MEMORY, RH_E_INTERNAL, -1};
static const int full_codes[] = {RH_E_FULL, -1};
/* SQLite writes a little also to read: the index of its log. */
static const int write_codes[] = {
    RH_E_WRITE, RH_E_STORE_WRITE, RH_E_STORE_CREATE, RH_E_STORE_READ, -1};
/* A sector that does not read is damage too. */
static const int read_codes[] = {RH_E_READ, RH_E_BACKUP_CORRUPT, RH_E_STORE_READ,
    RH_E_STORE_WRITE, RH_E_STORE_CREATE, RH_E_COMPUTER_ID, -1};
/* SQLite takes EIO for a damaged file system, and that for a damaged file (unixRead,
 * SQLITE_IOERR_CORRUPTFS). */
static const int read_sqlite_codes[] = {
    RH_E_STORE_READ, RH_E_STORE_WRITE, RH_E_STORE_CREATE, RH_E_STORE_DAMAGED, -1};
static const int open_codes[] = {RH_E_OPEN, RH_E_READ, RH_E_WRITE, RH_E_STORE_READ,
    RH_E_STORE_WRITE, RH_E_STORE_CREATE, RH_E_COMPUTER_ID, -1};
static const int no_codes[] = {-1};

static const struct fault {
	const char *name;
	enum call call;
	enum manner manner;
	int errnum;
	const int *codes; /* besides success with everything done */
} faults[] = {
    {"no-memory", CALL_ALLOCATE, FAIL_ONCE, ENOMEM, memory_codes},
    {"medium-full", CALL_WRITE, FAIL_FROM_THERE_ON, ENOSPC, full_codes},
    {"write-error", CALL_WRITE, FAIL_ONCE, EIO, write_codes},
    {"short-write", CALL_WRITE, HALF, 0, no_codes},
    {"write-interrupted", CALL_WRITE, FAIL_ONCE, EINTR, no_codes},
    {"sync-error", CALL_SYNC, FAIL_ONCE, EIO, write_codes},
    {"rename-error", CALL_RENAME, FAIL_ONCE, EIO, write_codes},
    {"read-error", CALL_READ, FAIL_ONCE, EIO, read_codes},
    {"short-read", CALL_READ, HALF, 0, no_codes},
    {"read-interrupted", CALL_READ, FAIL_ONCE, EINTR, no_codes},
    {"open-error", CALL_OPEN, FAIL_FROM_THERE_ON, EMFILE, open_codes},
    {"truncate-error", CALL_TRUNCATE, FAIL_ONCE, EIO, write_codes},
    {"unlink-error", CALL_UNLINK, FAIL_ONCE, EIO, write_codes},
    {"no-thread", CALL_THREAD, FAIL_ONCE, EAGAIN, memory_codes},
};
#define FAULT_COUNT (sizeof faults / sizeof *faults)

/*
 * Faults of libraries, found by this test, that no caller can mend: what a run may
 * end in besides, if want of memory struck there.  ${site} is the beginning of inject_site.
 */
static const struct exemption {
	const char *site;
	int code;
	const char *reason;
} exemptions[] = {
    {"libjansson.so.4:", RH_E_BACKUP_CORRUPT,
	"its parser drops characters for which it has no memory (lex_save ignores the failure),"
	" and then calls the text invalid"},
    {NULL, RH_OK, NULL},
};

/* ---- Between the process that counts and those that run ---- */

struct shared {
	long number; /* of the call that is failing now */
	long failed_calls; /* calls that were made to fail, in this scenario and fault */
	long exempted;
	long bad;
	bool done;
	char site[512]; /* where it crashed */
	char recovery_key[128];
};
static struct shared *shared;

static char top[PATH_MAX], pristine[PATH_MAX + 16], place[PATH_MAX + 16];

/* ---- Folders ---- */

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *ftw)
{
	(void)status;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void copy_file(const char *from, const char *to)
{
	char bytes[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t size;

	while ((size = read(in, bytes, sizeof bytes)) > 0)
		if (write(out, bytes, (size_t)size) != size)
			size = -1;
	if (in < 0 || out < 0 || size < 0) {
		perror(to);
		_exit(1);
	}
	close(in);
	close(out);
}

static void copy_tree(const char *from, const char *to)
{
	DIR *directory = opendir(from);
	struct dirent *entry;

	mkdir(to, 0700);
	while ((entry = readdir(directory)) != NULL) {
		char source[PATH_MAX + 300], target[PATH_MAX + 300];
		struct stat status;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(source, sizeof source, "%s/%s", from, entry->d_name);
		snprintf(target, sizeof target, "%s/%s", to, entry->d_name);
		if (stat(source, &status) == 0 && S_ISDIR(status.st_mode))
			copy_tree(source, target);
		else
			copy_file(source, target);
	}
	closedir(directory);
}

static void start_over(void)
{
	remove_tree(place);
	copy_tree(pristine, place);
}

static long count_entries(const char *path)
{
	DIR *directory = opendir(path);
	long count = 0;

	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

/* ---- One run ---- */

static void complain(const struct scenario *scenario, const struct fault *fault, bool threads,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

static void complain(const struct scenario *scenario, const struct fault *fault, bool threads,
    const char *format, ...)
{
	va_list arguments;

	if (shared->bad++ >= FAILURES_SHOWN)
		return;
	printf("%s, %s %ld%s: ", scenario->name, fault->name, shared->number,
	    threads ? ", with threads" : "");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n    at %s\n", inject_site());
	fflush(stdout);
}

static bool exempt(const struct fault *fault, const char *site, int code)
{
	for (const struct exemption *row = exemptions; row->site != NULL; row++)
		if (fault->call == CALL_ALLOCATE && code == row->code &&
		    strncmp(site, row->site, strlen(row->site)) == 0)
			return true;
	return false;
}

static bool code_is_right(const struct fault *fault, const struct outcome *outcome)
{
	const int *codes = fault->codes;

	if (codes == memory_codes && strncmp(inject_site(), "librehost", 9) != 0)
		codes = memory_library_codes;
	if (codes == read_codes && strncmp(inject_site(), "libsqlite3", 10) == 0)
		codes = read_sqlite_codes;
	for (; *codes != -1; codes++)
		if (outcome->is_hresult ? outcome->code == rh_code_hresult(*codes)
					: outcome->code == *codes)
			return true;
	return outcome->code == RH_OK;
}

static void check_outcome(const struct scenario *scenario, const struct fault *fault,
    bool threads, const struct outcome *outcome)
{
	char why[512] = "";
	bool done = outcome->code == RH_OK;
	struct outcome again = {0};

	if (!code_is_right(fault, outcome)) {
		if (exempt(fault, inject_site(), outcome->code))
			shared->exempted++;
		else if (outcome->is_hresult)
			complain(
			    scenario, fault, threads, "ended in %#x", (unsigned)outcome->code);
		else
			complain(scenario, fault, threads, "ended in %s: %s",
			    rh_code_name(outcome->code), outcome->error.text);
	}
	if (!done && !outcome->is_hresult && outcome->error.code != outcome->code)
		complain(scenario, fault, threads, "returned %s, but the error says %s",
		    rh_code_name(outcome->code), rh_code_name(outcome->error.code));
	if (outcome->ends != outcome->calls || outcome->late > 0)
		complain(scenario, fault, threads,
		    "%u END events of %u calls, %u events after END", outcome->ends,
		    outcome->calls, outcome->late);
	if (outcome->ends > 0 && outcome->end_code != outcome->code)
		complain(scenario, fault, threads, "END says %#x, the call %#x",
		    (unsigned)outcome->end_code, (unsigned)outcome->code);
	if (!scenario->holds(place, done ? SUCCEEDED : FAILED, why, sizeof why))
		complain(scenario, fault, threads, "%s; it ended in %s", why,
		    outcome->is_hresult ? "an HRESULT" : rh_code_name(outcome->code));
	scenario->run(place, &again);
	if (again.code != RH_OK)
		complain(scenario, fault, threads, "the next run fails: %#x %s",
		    (unsigned)again.code, again.error.text);
	else if (!scenario->holds(place, UNHARMED, why, sizeof why))
		complain(scenario, fault, threads, "after the next run: %s", why);
}

/* Runs with the ${number}th call failing.  false if it was never reached. */
static bool run_one(
    const struct scenario *scenario, const struct fault *fault, bool threads, bool last_chance)
{
	struct outcome outcome = {0};

	start_over();
	alarm(SECONDS_A_RUN);
	long files = count_entries("/proc/self/fd");
	long live = inject_live();
	inject_mark();
	inject_arm(fault->call, fault->manner, fault->errnum, shared->number, threads);
	scenario->run(place, &outcome);
	bool fired = inject_disarm();
	long live_after = inject_live();
	long files_after = count_entries("/proc/self/fd");
	if (!fired)
		return false;

	/* What is made once and kept is made only once: it must not grow a second time. */
	if (live_after != live && !last_chance)
		return run_one(scenario, fault, threads, true);
	shared->failed_calls++;
	if (live_after != live) {
		complain(scenario, fault, threads, "%ld blocks lost; it ended in %#x %s",
		    live_after - live, (unsigned)outcome.code, outcome.error.text);
		if (shared->bad <= FAILURES_SHOWN)
			inject_print_new(stdout);
	}
	if (files_after != files)
		complain(scenario, fault, threads, "%ld files left open", files_after - files);
	check_outcome(scenario, fault, threads, &outcome);
	return true;
}

static void on_crash(int signal_number)
{
	inject_disarm();
	snprintf(shared->site, sizeof shared->site, "%s", inject_site());
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

/* Fails call after call, from shared->number on, until none is reached any more. */
static void run_all(
    const struct scenario *scenario, const struct fault *fault, bool threads, long last)
{
	struct outcome outcome = {0};
	char why[512];

	signal(SIGSEGV, on_crash);
	signal(SIGABRT, on_crash);
	signal(SIGBUS, on_crash);
	signal(SIGALRM, on_crash);
	inject_init();
	for (int i = 0; i < 3; i++) {
		start_over();
		/* Also on one thread: libraries keep memory for each thread that they see. */
		inject_arm(CALL_THREAD, FAIL_ONCE, EAGAIN, LONG_MAX, threads || i == 0);
		outcome = (struct outcome){0};
		scenario->run(place, &outcome);
		inject_disarm();
		if (outcome.code != RH_OK ||
		    !scenario->holds(place, UNHARMED, why, sizeof why)) {
			complain(scenario, fault, threads,
			    "fails when nothing fails: %#x %s %s", (unsigned)outcome.code,
			    outcome.error.text, why);
			shared->done = true;
			_exit(0);
		}
	}
	while (shared->number <= last && run_one(scenario, fault, threads, false))
		shared->number += threads ? STRIDE_WITH_THREADS : 1;
	shared->done = true;
	_exit(0);
}

/* The same in processes of their own, since a failure may crash one. */
static void run_fault(const struct scenario *scenario, const struct fault *fault, bool threads,
    long first, long last)
{
	shared->number = first;
	shared->done = false;
	while (!shared->done) {
		int status;
		shared->site[0] = '\0';
		fflush(stdout);
		pid_t child = fork();
		if (child == 0)
			run_all(scenario, fault, threads, last);
		waitpid(child, &status, 0);
		if (shared->done)
			break;
		shared->failed_calls++;
		if (shared->bad++ < FAILURES_SHOWN) {
			printf("%s, %s %ld%s: %s\n    at %s\n", scenario->name, fault->name,
			    shared->number, threads ? ", with threads" : "",
			    WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exited",
			    shared->site);
		}
		shared->number += threads ? STRIDE_WITH_THREADS : 1;
		if (shared->bad > 10 * FAILURES_SHOWN)
			break;
	}
}

/* ---- All of it ---- */

static bool make_places(void)
{
	const char *parent = getenv("TMPDIR");
	struct stat status;

	if (parent == NULL)
		parent = stat("/dev/shm", &status) == 0 && access("/dev/shm", W_OK) == 0
			     ? "/dev/shm"
			     : "/tmp";
	snprintf(top, sizeof top, "%s/rehost-faults-XXXXXX", parent);
	if (mkdtemp(top) == NULL) {
		perror(top);
		return false;
	}
	snprintf(pristine, sizeof pristine, "%s/pristine", top);
	snprintf(place, sizeof place, "%s/place", top);

	char machine_id[PATH_MAX + 16];
	snprintf(machine_id, sizeof machine_id, "%s/machine-id", top);
	FILE *file = fopen(machine_id, "w");
	if (file == NULL)
		return false;
	fputs("0123456789abcdef0123456789abcdef\n", file);
	fclose(file);
	setenv("REHOST_MACHINE_ID_FILE", machine_id, 1);

	/* In a process of its own: no library may be at work before the runs fork. */
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		inject_init();
		alarm(SECONDS_A_RUN);
		mkdir(pristine, 0700);
		_exit(scenario_prepare(
			  pristine, shared->recovery_key, sizeof shared->recovery_key)
			  ? 0
			  : 1);
	}
	int ended;
	waitpid(child, &ended, 0);
	scenario_recovery_key(shared->recovery_key);
	return ended == 0;
}

int main(int argc, char **argv)
{
	const char *only_scenario = argc > 1 ? argv[1] : "",
		   *only_fault = argc > 2 ? argv[2] : "";
	long first = argc > 3 ? atol(argv[3]) : 1, last = argc > 4 ? atol(argv[4]) : LONG_MAX;
	long totals[FAULT_COUNT] = {0}, all = 0, exempted = 0, bad = 0;
	struct timespec started, ended;

	clock_gettime(CLOCK_MONOTONIC, &started);
	shared = mmap(
	    NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || !make_places()) {
		fprintf(stderr, "cannot prepare in %s\n", top);
		return 1;
	}
	for (const struct scenario *scenario = scenarios; scenario->name != NULL; scenario++) {
		if (*only_scenario != '\0' && strcmp(only_scenario, scenario->name) != 0)
			continue;
		printf("%s:", scenario->name);
		for (size_t i = 0; i < FAULT_COUNT; i++) {
			if (*only_fault != '\0' && strcmp(only_fault, faults[i].name) != 0)
				continue;
			shared->failed_calls = shared->exempted = shared->bad = 0;
			if (!scenario->always_threads && faults[i].call != CALL_THREAD)
				run_fault(scenario, &faults[i], false, first, last);
			if (scenario->always_threads || faults[i].call == CALL_THREAD ||
			    faults[i].call == CALL_ALLOCATE)
				run_fault(scenario, &faults[i], true, first, last);
			if (shared->bad > FAILURES_SHOWN)
				printf("... and %ld more\n", shared->bad - FAILURES_SHOWN);
			printf(" %s %ld", faults[i].name, shared->failed_calls);
			fflush(stdout);
			totals[i] += shared->failed_calls;
			all += shared->failed_calls;
			exempted += shared->exempted;
			bad += shared->bad;
		}
		printf("\n");
	}
	clock_gettime(CLOCK_MONOTONIC, &ended);
	remove_tree(top);
	printf("all:");
	for (size_t i = 0; i < FAULT_COUNT; i++)
		printf(" %s %ld", faults[i].name, totals[i]);
	printf("\n%ld calls failed one by one, %ld of them exempt, %ld findings, %ld s\n", all,
	    exempted, bad, (long)(ended.tv_sec - started.tv_sec));
	for (const struct exemption *row = exemptions; row->site != NULL; row++)
		printf("exempt: %s: %s\n", row->site, row->reason);
	return bad > 0 || all == 0;
}
