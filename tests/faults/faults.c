/*
 * Makes every call to the system fail, one at a time, while licences are added,
 * backed up, restored and verified: each run must end in the right code, with one
 * END event, lose nothing, leak nothing, and leave the next run to succeed.
 *
 * usage: faults [SCENARIO [FAULT [FIRST [LAST]]]]
 *        Where one of several allocations fails, $REHOST_FAULTS_SEED says which, and with
 *        $REHOST_FAULTS_ALL each does.
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
#include "folders.h"
#include "inject.h"
#include "signed.h"

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

/* ---- Between the process that counts and those that run ---- */

struct shared {
	long number; /* of the call that is failing now */
	long failed_calls; /* calls that were made to fail, in this scenario and fault */
	long bad;
	bool done;
	char site[512]; /* where it crashed */
	char recovery_key[128];
};
static struct shared *shared;

static char top[PATH_MAX], place[PATH_MAX + 16];
/* What runs start with: ${pristine} of the scenarios that are running. */
static char plain[PATH_MAX + 16], sworn[PATH_MAX + 16], notes[PATH_MAX + 16];
static const char *pristine;
static char machine[PATH_MAX + 64];

void faults_be(char computer)
{
	/* The environment has this very text: nothing is allocated. */
	machine[strlen(machine) - 1] = computer;
}

/* ---- Folders ---- */

static void start_over(void)
{
	remove_tree(place);
	copy_tree(pristine, place);
	signed_forget();
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

	if (outcome->leaks > 0 || signed_leaks(outcome->error.text))
		complain(scenario, fault, threads, "a secret is told: %s", outcome->error.text);

	if (!code_is_right(fault, outcome)) {
		if (outcome->is_hresult)
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

static long stride_of(const struct scenario *scenario, const struct fault *fault, bool threads)
{
	long stride = threads ? STRIDE_WITH_THREADS : 1;

	return fault->call == CALL_ALLOCATE && getenv("REHOST_FAULTS_ALL") == NULL
		   ? stride * (long)scenario->stride
		   : stride;
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
		shared->number += stride_of(scenario, fault, threads);
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
		shared->number += stride_of(scenario, fault, threads);
		if (shared->bad > 10 * FAILURES_SHOWN)
			break;
	}
}

/* ---- All of it ---- */

static bool make_computer(char computer)
{
	FILE *file;

	snprintf(
	    machine, sizeof machine, "REHOST_MACHINE_ID_FILE=%s/machine-%c", top, computer);
	putenv(machine);
	file = fopen(strchr(machine, '=') + 1, "w");
	if (file == NULL)
		return false;
	fprintf(file, "%c123456789abcdef0123456789abcdef\n", computer);
	return fclose(file) == 0;
}

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
	snprintf(plain, sizeof plain, "%s/plain", top);
	snprintf(sworn, sizeof sworn, "%s/sworn", top);
	snprintf(notes, sizeof notes, "%s/notes", top);
	snprintf(place, sizeof place, "%s/place", top);
	for (char computer = 'a'; computer <= 'b'; computer++)
		if (!make_computer(computer))
			return false;
	faults_be('a');

	/* In a process of its own: no library may be at work before the runs fork. */
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		inject_init();
		alarm(SECONDS_A_RUN);
		mkdir(plain, 0700);
		_exit(scenario_prepare(
			  plain, shared->recovery_key, sizeof shared->recovery_key) &&
			      signed_prepare(sworn, notes)
			  ? 0
			  : 1);
	}
	int ended;
	waitpid(child, &ended, 0);
	scenario_recovery_key(shared->recovery_key);
	return ended == 0 && signed_load(notes);
}

/* What the command line asks for, and what came of it. */
struct whole {
	const char *scenario, *fault; /* "": all */
	long first, last; /* ${first} 0: any */
	long seed; /* which one of several fails first */
	long totals[FAULT_COUNT], all, bad;
};

static void run_way(const struct scenario *scenario, const struct fault *fault, bool threads,
    const struct whole *whole)
{
	long first = 1 + whole->seed % stride_of(scenario, fault, false);

	run_fault(
	    scenario, fault, threads, whole->first > 0 ? whole->first : first, whole->last);
}

static void run_scenario(const struct scenario *scenario, struct whole *whole)
{
	printf("%s:", scenario->name);
	for (size_t i = 0; i < FAULT_COUNT; i++) {
		if (*whole->fault != '\0' && strcmp(whole->fault, faults[i].name) != 0)
			continue;
		shared->failed_calls = shared->bad = 0;
		if (!scenario->always_threads && faults[i].call != CALL_THREAD)
			run_way(scenario, &faults[i], false, whole);
		if (scenario->always_threads || faults[i].call == CALL_THREAD ||
		    faults[i].call == CALL_ALLOCATE)
			run_way(scenario, &faults[i], true, whole);
		if (shared->bad > FAILURES_SHOWN)
			printf("... and %ld more\n", shared->bad - FAILURES_SHOWN);
		printf(" %s %ld", faults[i].name, shared->failed_calls);
		fflush(stdout);
		whole->totals[i] += shared->failed_calls;
		whole->all += shared->failed_calls;
		whole->bad += shared->bad;
	}
	printf("\n");
}

static void run_scenarios(
    const struct scenario *list, const char *starts_with, struct whole *whole)
{
	pristine = starts_with;
	for (const struct scenario *scenario = list; scenario->name != NULL; scenario++)
		if (*whole->scenario == '\0' || strcmp(whole->scenario, scenario->name) == 0)
			run_scenario(scenario, whole);
}

int main(int argc, char **argv)
{
	struct whole whole = {.scenario = argc > 1 ? argv[1] : "",
	    .fault = argc > 2 ? argv[2] : "",
	    .first = argc > 3 ? atol(argv[3]) : 0,
	    .last = argc > 4 ? atol(argv[4]) : LONG_MAX};
	const char *seed = getenv("REHOST_FAULTS_SEED");
	struct timespec started, ended;

	clock_gettime(CLOCK_MONOTONIC, &started);
	whole.seed = seed != NULL ? labs(atol(seed)) : (long)(time(NULL) % 1000);
	printf("seed %ld\n", whole.seed);
	shared = mmap(
	    NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || !make_places()) {
		fprintf(stderr, "cannot prepare in %s\n", top);
		return 1;
	}
	run_scenarios(scenarios, plain, &whole);
	run_scenarios(signed_scenarios, sworn, &whole);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	remove_tree(top);
	printf("all:");
	for (size_t i = 0; i < FAULT_COUNT; i++)
		printf(" %s %ld", faults[i].name, whole.totals[i]);
	printf("\n%ld calls failed one by one, %ld findings, %ld s\n", whole.all, whole.bad,
	    (long)(ended.tv_sec - started.tv_sec));
	return whole.bad > 0 || whole.all == 0;
}
