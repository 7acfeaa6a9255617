#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <glob.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kit.h"

/* A medium that does not read everywhere, and has more than one backup. */

/* ---- The medium: built with --wrap=pread64 ---- */

/* Where each bad file does not read: in the first chunk, which has the header, or behind it. */
#define HEADER_AT 30000
#define BEHIND_AT 100000
#define BAD_SIZE 1000

static ino_t bad[2]; /* files; 0: none */
static off_t bad_at = BEHIND_AT, bad_end = BEHIND_AT + BAD_SIZE;
static off_t told_at, told_end; /* reading between these is told of in ${told} */
static atomic_uint told;

ssize_t __real_pread64(int fd, void *bytes, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *bytes, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *bytes, size_t size, off_t offset)
{
	struct stat status;

	if (offset >= told_at && offset < told_end)
		atomic_fetch_add(&told, 1);
	if ((bad[0] == 0 && bad[1] == 0) || offset >= bad_end ||
	    offset + (off_t)size <= bad_at || fstat(fd, &status) != 0 ||
	    (status.st_ino != bad[0] && status.st_ino != bad[1]))
		return __real_pread64(fd, bytes, size, offset);
	if (offset < bad_at)
		return __real_pread64(fd, bytes, (size_t)(bad_at - offset), offset);
	errno = EIO;
	return -1;
}

/* ---- Two backups without parity ---- */

#define FEWER 3000 /* licences of the older one */
#define ALL 4000

struct scene {
	struct kit kit;
	rh_store *old, *new;
	ino_t files[2]; /* the older one first */
	char newest[128];
	char key[128];
};

static void make_backups(struct scene *scene)
{
	rh_backup_options options = RH_BACKUP_OPTIONS_INIT;
	char pattern[128];
	struct stat status;
	rh_recovery_key key;
	glob_t found;

	options.parity = 0;
	kit_add(scene->old, 0, FEWER, 0);
	assert_int_equal(
	    rh_backup(scene->old, scene->kit.media, &options, NULL, NULL, NULL), RH_OK);
	kit_add(scene->old, FEWER, ALL, 0);
	options.overwrite = 1;
	options.keep = 2;
	assert_int_equal(
	    rh_backup(scene->old, scene->kit.media, &options, NULL, NULL, NULL), RH_OK);
	snprintf(pattern, sizeof pattern, "%s/licenses-*.age", scene->kit.media);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(stat(found.gl_pathv[i], &status), 0);
		assert_true(status.st_size > BEHIND_AT + BAD_SIZE);
		scene->files[i] = status.st_ino;
		snprintf(scene->newest, sizeof scene->newest, "%s", found.gl_pathv[i]);
	}
	globfree(&found);
	assert_int_equal(rh_recovery_show(scene->old, &key, NULL), RH_OK);
	snprintf(scene->key, sizeof scene->key, "%s", key.code);
	rh_recovery_free(&key);
}

static int setup(void **state)
{
	static struct scene scene;

	kit_open(&scene.kit);
	scene.old = kit_store(scene.kit.store, RH_STORE_CREATE);
	scene.new = kit_store(scene.kit.other, RH_STORE_CREATE);
	make_backups(&scene);
	*state = &scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	bad[0] = bad[1] = 0;
	bad_at = BEHIND_AT;
	bad_end = BEHIND_AT + BAD_SIZE;
	told_at = told_end = 0;
	atomic_store(&told, 0);
	rh_store_close(scene->old);
	rh_store_close(scene->new);
	kit_close(&scene->kit);
	return 0;
}

static int restore(struct scene *scene, rh_summary *summary)
{
	rh_open_options options = RH_OPEN_OPTIONS_INIT;

	options.recovery_key = scene->key;
	return rh_restore(scene->new, scene->kit.media, &options, NULL, summary, NULL);
}

/* ---- What becomes of it ---- */

static void the_older_one_is_used(void **state)
{
	struct scene *scene = *state;
	rh_summary summary;

	bad[0] = scene->files[1];
	assert_int_equal(restore(scene, &summary), RH_OK);
	assert_int_equal(summary.done, FEWER);
	assert_int_equal(kit_count(scene->new, NULL), FEWER);
}

static void what_is_left_of_the_newest(void **state)
{
	struct scene *scene = *state;
	rh_summary summary;
	int code;

	bad[0] = scene->files[0];
	bad[1] = scene->files[1];
	code = restore(scene, &summary);
	assert_int_equal(code, summary.failed > 0 ? RH_E_NOT_ALL_STORED : RH_OK);
	assert_true(summary.done > FEWER);
	assert_int_equal(summary.done + summary.failed, ALL);
	assert_int_equal(kit_count(scene->new, NULL), summary.done);
}

static unsigned damaged[2]; /* licences that were told of, those without a name first */

static int count_damaged(void *context, const rh_event *event)
{
	(void)context;
	if (event->type == RH_EVENT_LICENSE && event->code == RH_E_LICENSE_DAMAGED)
		damaged[event->license != NULL]++;
	return 0;
}

/*
 * How many licences there were is lost with the header.  That more may be missing than is known
 * counts as a licence only where nothing else would be missing.
 */
static void the_header_is_lost(void **state)
{
	struct scene *scene = *state;
	rh_listener listener = {.on_event = count_damaged};
	rh_open_options options = RH_OPEN_OPTIONS_INIT;
	rh_summary summary;

	options.recovery_key = scene->key;
	options.plan = 1;
	bad[0] = scene->files[0];
	bad[1] = scene->files[1];
	bad_at = HEADER_AT;
	for (int more = 0; more <= 1; more++) {
		bad_end = more ? BEHIND_AT + BAD_SIZE : HEADER_AT + BAD_SIZE;
		damaged[0] = damaged[1] = 0;
		assert_int_equal(rh_restore(scene->new, scene->kit.media, &options, &listener,
				     &summary, NULL),
		    RH_E_NOT_ALL_STORED);
		assert_int_equal(damaged[0], damaged[1] == 0 ? 1 : 0);
		assert_int_equal(summary.failed, damaged[0] + damaged[1]);
	}
}

#define CHUNK (65536 + 16)
#define MORE 400 /* chunks that are none */

static int once_told(void *context)
{
	(void)context;
	return atomic_load(&told) > 0;
}

/* Before there is anything to restore, and although all of the file is to be looked at. */
static void a_stop_is_heard_among_holes(void **state)
{
	struct scene *scene = *state;
	rh_listener listener = {.should_stop = once_told};
	rh_open_options options = RH_OPEN_OPTIONS_INIT;
	struct stat status;

	assert_int_equal(stat(scene->newest, &status), 0);
	assert_int_equal(truncate(scene->newest, status.st_size + (off_t)MORE * CHUNK), 0);
	told_at = status.st_size + CHUNK;
	told_end = status.st_size + (off_t)(MORE - 2) * CHUNK;
	bad[0] = scene->files[0];
	bad[1] = scene->files[1];
	options.recovery_key = scene->key;
	assert_int_equal(
	    rh_restore(scene->new, scene->kit.media, &options, &listener, NULL, NULL),
	    RH_E_CANCELED);
	assert_in_range(atomic_load(&told), 1, MORE / 10);
}

#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_SCENE(the_older_one_is_used),
	    WITH_SCENE(what_is_left_of_the_newest),
	    WITH_SCENE(the_header_is_lost),
	    WITH_SCENE(a_stop_is_heard_among_holes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
