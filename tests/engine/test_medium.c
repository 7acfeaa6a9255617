#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/medium.h"

#include "kit.h"
#include "media_scene.h"

/* Backups on media of all kinds, and whether they fit. */

struct stage {
	struct kit kit;
	struct scene *scene; /* its medium is the kit's */
	rh_store *store;
	void (*on_totals)(struct stage *stage);
	char order[16]; /* M, N, B, T, E: events */
	size_t events;
	rh_medium medium;
	char kind[16];
	char words[256];
	char notices[2][300];
	size_t notice_count;
	bool stop; /* at MEDIUM */
};

static int stage_open(void **state)
{
	struct stage *stage = calloc(1, sizeof *stage);
	void *scene;

	assert_non_null(stage);
	scene_open(&scene);
	stage->scene = scene;
	kit_open(&stage->kit);
	assert_int_equal(rmdir(stage->scene->media), 0);
	snprintf(stage->scene->media, sizeof stage->scene->media, "%s", stage->kit.media);
	stage->store = kit_store(stage->kit.store, RH_STORE_CREATE);
	*state = stage;
	return 0;
}

static int stage_close(void **state)
{
	struct stage *stage = *state;
	void *scene = stage->scene;

	rh_store_close(stage->store);
	kit_close(&stage->kit);
	scene_close(&scene);
	free(stage);
	return 0;
}

static int on_event(void *context, const rh_event *event)
{
	static const char letters[] = {[RH_EVENT_MEDIUM] = 'M',
	    [RH_EVENT_NOTICE] = 'N',
	    [RH_EVENT_BEGIN] = 'B',
	    [RH_EVENT_TOTALS] = 'T',
	    [RH_EVENT_END] = 'E'};
	struct stage *stage = context;

	if ((size_t)event->type < sizeof letters && letters[event->type] != 0 &&
	    stage->events + 1 < sizeof stage->order)
		stage->order[stage->events++] = letters[event->type];
	if (event->type == RH_EVENT_MEDIUM) {
		stage->medium = *event->medium;
		snprintf(stage->kind, sizeof stage->kind, "%s", event->medium->kind);
		snprintf(stage->words, sizeof stage->words, "%s", event->text);
	}
	if (event->type == RH_EVENT_NOTICE && stage->notice_count < 2)
		snprintf(stage->notices[stage->notice_count++], 300, "%s", event->text);
	if (event->type == RH_EVENT_TOTALS && stage->on_totals != NULL)
		stage->on_totals(stage);
	return stage->stop && event->type == RH_EVENT_MEDIUM;
}

static int run(struct stage *stage, rh_error *error)
{
	rh_listener listener = {on_event, NULL, stage};
	rh_backup_options options = RH_BACKUP_OPTIONS_INIT;

	options.overwrite = 1;
	memset(stage->order, 0, sizeof stage->order);
	stage->events = stage->notice_count = 0;
	return backup_run(stage->store, stage->kit.media, &options, &listener,
	    stage->scene->top, NULL, error);
}

#define DISK "sys/devices/pci0000:00/ata1/block/sda"

/* The store lies on sda, the medium on a stick. */
static void put_both(struct stage *stage)
{
	struct scene *scene = stage->scene;
	char line[512];

	put_stick(scene);
	put_device(scene, "8:0", "sda", DISK);
	put_attribute(scene, DISK, "device/model", "Disk");
	snprintf(line, sizeof line,
	    "80 22 8:0 / %s rw - ext4 /dev/sda rw\n90 22 8:17 / %%s rw - vfat /dev/sdb1 rw\n",
	    stage->kit.root);
	put_mounts(scene, line);
}

static void told_first(void **state)
{
	struct stage *stage = *state;
	rh_error error;

	put_both(stage);
	kit_add(stage->store, 0, 10, 0);
	assert_int_equal(run(stage, &error), RH_OK);
	assert_memory_equal(stage->order, "M", 1);
	assert_string_equal(stage->kind, "usb");
	assert_int_equal(stage->medium.removable, 1);
	assert_int_equal(stage->medium.file_max, 0xFFFFFFFF);
	assert_true(stage->medium.bytes_total > 0);
	assert_memory_equal(stage->words, "USB stick SANDISK Cruzer Blade, FAT, ", 37);
	/* Before it is pulled: the last word but the result. */
	assert_true(stage->events >= 4);
	assert_memory_equal(stage->order + stage->events - 2, "NE", 2);
	assert_non_null(strstr(stage->notices[stage->notice_count - 1],
	    "USB stick SANDISK Cruzer Blade; unmount"));
	assert_non_null(strstr(stage->notices[stage->notice_count - 1], stage->kit.media));
}

static void one_disk(void **state)
{
	struct stage *stage = *state;
	rh_error error;
	char line[512];

	put_both(stage);
	snprintf(line, sizeof line, "80 22 8:0 / %s rw - ext4 /dev/sda rw\n", stage->kit.root);
	put_mounts(stage->scene, line);
	assert_int_equal(run(stage, &error), RH_OK);
	assert_memory_equal(stage->order, "MNB", 3);
	assert_int_equal(stage->medium.holds_store, 1);
	assert_int_equal(stage->notice_count, 1);
	assert_non_null(strstr(stage->notices[0], "same disk as the licences"));
	/* Files and memory go in other ways. */
	snprintf(line, sizeof line, "80 22 0:44 / %s rw - tmpfs tmpfs rw\n", stage->kit.root);
	put_mounts(stage->scene, line);
	assert_int_equal(run(stage, &error), RH_OK);
	assert_int_equal(stage->medium.holds_store, 1);
	assert_int_equal(stage->notice_count, 0);
	assert_memory_equal(stage->order, "MB", 2);
}

static void unknown_medium(void **state)
{
	struct stage *stage = *state;
	rh_error error;

	assert_int_equal(run(stage, &error), RH_OK);
	assert_string_equal(stage->kind, "other");
}

/* Who does not like the medium stops before anything begins. */
static void stopped_first(void **state)
{
	struct stage *stage = *state;
	rh_error error;

	stage->stop = true;
	put_both(stage);
	assert_int_equal(run(stage, &error), RH_E_CANCELED);
	assert_null(strchr(stage->order, 'B'));
	assert_int_equal(rmdir(stage->kit.media), 0); /* nothing is there */
}

/* From now on the kernel does not know the stick, and what is written goes nowhere. */
static void pull(struct stage *stage)
{
	char command[200];

	remove_path(stage->scene, "sys/class/block/sdb");
	remove_path(stage->scene, USB);
	snprintf(command, sizeof command, "rm -r '%s'", stage->kit.media);
	assert_int_equal(system(command), 0);
}

static void lose(struct stage *stage)
{
	char command[200];

	snprintf(command, sizeof command, "rm -r '%s'", stage->kit.media);
	assert_int_equal(system(command), 0);
}

static void pulled(void **state)
{
	struct stage *stage = *state;
	rh_error error;

	put_both(stage);
	kit_add(stage->store, 0, 10, 0);
	stage->on_totals = pull;
	assert_int_equal(run(stage, &error), RH_E_MEDIUM_GONE);
	assert_int_equal(error.code, RH_E_MEDIUM_GONE);
	assert_non_null(
	    strstr(error.text, "the USB stick SANDISK Cruzer Blade was taken away: "));
	/* What failed is still told. */
	assert_non_null(strstr(error.text, stage->kit.media));
	assert_int_equal(kit_count(stage->store, NULL), 10);
}

/* The same failure of a medium that is there keeps its name. */
static void not_pulled(void **state)
{
	struct stage *stage = *state;
	rh_error error;
	int code;

	put_both(stage);
	kit_add(stage->store, 0, 10, 0);
	stage->on_totals = lose;
	code = run(stage, &error);
	assert_true(code == RH_E_WRITE || code == RH_E_NO_DIRECTORY);
	assert_null(strstr(error.text, "taken away"));
}

static void explained(void **state)
{
	static const int gone[] = {RH_E_ACCESS, RH_E_NO_DIRECTORY, RH_E_NOT_DIRECTORY,
	    RH_E_OPEN, RH_E_READ, RH_E_WRITE, RH_E_READ_BACK, RH_E_BACKUP_MISSING,
	    RH_E_BACKUP_CORRUPT};
	static const int kept[] = {RH_OK, RH_E_CANCELED, RH_E_FULL, RH_E_MEMORY,
	    RH_E_STORE_READ, RH_E_BACKUP_EXISTS, RH_E_SECRET_WRONG};
	struct stage *stage = *state;
	struct workplace place = {.known = false};
	struct report report;
	rh_error error = {RH_E_READ, "words"};

	assert_int_equal(medium_explain(&place, RH_E_READ, &error), RH_E_READ);
	put_both(stage);
	report_init(&report, NULL, RH_OPERATION_RESTORE);
	medium_begin(&place, &report, stage->kit.media, NULL, stage->scene->top);
	assert_true(place.known);
	put_mounts(stage->scene, "90 22 8:17 / %s rw - exfat /dev/sdb1 ro\n");
	error = (rh_error){RH_E_ACCESS, "words"};
	assert_int_equal(medium_explain(&place, RH_E_ACCESS, &error), RH_E_WRITE);
	assert_non_null(strstr(error.text, "takes no writes any more"));
	assert_non_null(strstr(error.text, ": words"));
	assert_int_equal(medium_explain(&place, RH_E_READ, &error), RH_E_READ);
	remove_path(stage->scene, "sys/class/block/sdb");
	for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
		error = (rh_error){gone[i], "words"};
		assert_int_equal(medium_explain(&place, gone[i], &error), RH_E_MEDIUM_GONE);
		assert_non_null(strstr(error.text, "taken away: words"));
	}
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
		error = (rh_error){kept[i], "words"};
		assert_int_equal(medium_explain(&place, kept[i], &error), kept[i]);
		assert_string_equal(error.text, "words");
	}
	assert_int_equal(medium_explain(&place, RH_E_READ, NULL), RH_E_MEDIUM_GONE);
}

/* ---- Whether it fits ---- */

#define MIB ((uint64_t)1 << 20)

/* A hundred licences of 1 MiB, ${done} of them written. */
static struct space space_of(const struct medium *medium, unsigned parity, uint64_t done)
{
	return (struct space){.medium = medium,
	    .path = "/media/stick",
	    .parity = parity,
	    .licenses = 100,
	    .bytes = 100 * MIB,
	    .licenses_done = done,
	    .bytes_done = done * MIB};
}

static void floor_of_all(void **state)
{
	struct medium medium = {.bytes_total = MIB, .bytes_usable = 4095};
	struct space space = space_of(&medium, 0, 0);
	rh_error error;

	(void)state;
	assert_int_equal(space_floor(&space, &error), RH_E_FULL);
	assert_string_equal(error.text,
	    "/media/stick has 4.0 KiB free; the smallest backup needs about 1 byte more");
	medium.bytes_usable = 4096;
	assert_int_equal(space_floor(&space, &error), RH_OK);
	space.parity = 10;
	assert_int_equal(space_floor(&space, &error), RH_E_FULL);
	/* Of some nothing is known. */
	medium.bytes_total = 0;
	assert_int_equal(space_floor(&space, &error), RH_OK);
	space.medium = NULL;
	assert_int_equal(space_floor(&space, &error), RH_OK);
}

static void judged(void **state)
{
	struct space space = space_of(NULL, 0, 12);
	rh_error error;
	uint64_t rest = 1;

	(void)state;
	/* Less than an eighth is too little to go by, however many bytes it is. */
	assert_int_equal(space_judge(&space, MIB, 0, &rest, &error), RH_OK);
	assert_int_equal(rest, 0);
	assert_int_equal(space_judge(&space, 12 * MIB, 14 * MIB, &rest, &error), RH_OK);
	assert_int_equal(rest, 0);
	space = space_of(NULL, 0, 0);
	assert_int_equal(space_judge(&space, 5 * MIB, 0, &rest, &error), RH_OK);
	space = space_of(NULL, 0, 13);
	assert_int_equal(space_judge(&space, 13 * MIB, 14 * MIB, &rest, &error), RH_E_FULL);
	space = space_of(NULL, 0, 20);
	assert_int_equal(space_judge(&space, 4 * MIB, 8 * MIB, &rest, &error), RH_E_FULL);
	assert_string_equal(error.text,
	    "a backup of about 20.0 MiB does not go on /media/stick: it needs about 12.0 MiB "
	    "more");
	assert_int_equal(rest, 0);
	assert_int_equal(space_judge(&space, 4 * MIB, 30 * MIB, &rest, &error), RH_OK);
	assert_true(rest > 9 * MIB && rest < 16 * MIB);
	assert_int_equal(space_judge(&space, 4 * MIB, UINT64_MAX, &rest, &error), RH_OK);
}

/* The more was written the less is allowed for the rest to be smaller; at the end nothing is.
 */
static void surer(void **state)
{
	rh_error error;
	uint64_t before = 0, rest;

	(void)state;
	for (uint64_t done = 20; done <= 100; done += 10) {
		struct space space = space_of(NULL, 0, done);
		uint64_t least = 0;

		while (space_judge(&space, done * MIB, least, &rest, &error) != RH_OK)
			least += MIB / 16;
		assert_true(least >= before && least <= 100 * MIB);
		before = least;
	}
	assert_int_equal(before, 100 * MIB);
}

/* Large licences first are no reason to end: what was counted says the least wins. */
static void unlike_licences(void **state)
{
	struct space space = space_of(NULL, 0, 10);
	rh_error error;
	uint64_t rest;

	(void)state;
	space.bytes_done = 90 * MIB;
	assert_int_equal(space_judge(&space, 45 * MIB, 51 * MIB, &rest, &error), RH_OK);
	space = space_of(NULL, 0, 90);
	space.bytes_done = 10 * MIB;
	assert_int_equal(space_judge(&space, 45 * MIB, 51 * MIB, &rest, &error), RH_OK);
	/* What stands before the licences comes once. */
	space = space_of(NULL, 0, 20);
	space.start = MIB;
	assert_int_equal(space_judge(&space, 3 * MIB, 11 * MIB, &rest, &error), RH_OK);
}

/* ${done} are ${written} bytes: those after the first ${hard} compress to a hundredth. */
static int judge_at(
    struct space *space, uint64_t done, uint64_t hard, uint64_t room, rh_error *error)
{
	uint64_t written = done < hard ? done * MIB : hard * MIB + (done - hard) * MIB / 100;
	uint64_t rest;

	space->licenses_done = done;
	space->bytes_done = done * MIB;
	return space_judge(space, written, room, &rest, error);
}

/* Licences that do not compress come first: the others are seen before anything is refused. */
static void cheaper_ones_follow(void **state)
{
	struct space space = space_of(NULL, 0, 0);
	rh_error error;

	(void)state;
	for (uint64_t done = 1; done <= 100; done++)
		assert_int_equal(judge_at(&space, done, 6, 7 * MIB, &error), RH_OK);
	/* If there are none it ends early. */
	space = space_of(NULL, 0, 0);
	for (uint64_t done = 1; done < 13; done++)
		assert_int_equal(judge_at(&space, done, 100, 50 * MIB, &error), RH_OK);
	assert_int_equal(judge_at(&space, 13, 100, 50 * MIB, &error), RH_E_FULL);
}

static void parity_counts(void **state)
{
	struct space space = space_of(NULL, 100, 100);
	uint64_t both = 10 * MIB + backup_parity_size(10 * MIB, 100), rest;
	rh_error error;

	(void)state;
	assert_true(both > 20 * MIB && both < 21 * MIB);
	assert_int_equal(space_judge(&space, 10 * MIB, both - 1, &rest, &error), RH_E_FULL);
	assert_int_equal(space_judge(&space, 10 * MIB, both, &rest, &error), RH_OK);
	assert_int_equal(backup_parity_size(10 * MIB, 0), 0);
	assert_int_equal(backup_parity_size(0, 10), 0);
}

static void largest_file(void **state)
{
	struct medium medium = {
	    .bytes_total = 100 * MIB, .file_max = 8 * MIB - 1, .file_system = "vfat"};
	struct space space = space_of(&medium, 10, 20);
	rh_error error;
	uint64_t rest;

	(void)state;
	assert_int_equal(
	    space_judge(&space, 4 * MIB, UINT64_MAX, &rest, &error), RH_E_FILE_TOO_BIG);
	assert_string_equal(error.text,
	    "a backup of about 20.0 MiB does not go on /media/stick: FAT takes files of up to "
	    "8.0 MiB");
	assert_int_equal(space_judge(&space, MIB, UINT64_MAX, &rest, &error), RH_OK);
}

/* Other operations hear less. */
static void other_operations(void **state)
{
	struct stage *stage = *state;
	struct heard heard;
	rh_listener listener = kit_listener(&heard);
	struct workplace place = {.known = false};
	struct report report;

	put_both(stage);
	report_init(&report, &listener, RH_OPERATION_REPAIR);
	medium_begin(&place, &report, stage->kit.media, stage->store, stage->scene->top);
	assert_int_equal(kit_heard(&heard, RH_EVENT_MEDIUM), 1);
	assert_int_equal(kit_heard(&heard, RH_EVENT_NOTICE), 0);
	medium_end(&place, &report);
	assert_int_equal(kit_heard(&heard, RH_EVENT_NOTICE), 1);
	place.medium.removable = false;
	medium_end(&place, &report);
	assert_int_equal(kit_heard(&heard, RH_EVENT_NOTICE), 1);
}

#define STAGE(test) cmocka_unit_test_setup_teardown(test, stage_open, stage_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    STAGE(told_first),
	    STAGE(one_disk),
	    STAGE(unknown_medium),
	    STAGE(stopped_first),
	    STAGE(pulled),
	    STAGE(not_pulled),
	    STAGE(explained),
	    STAGE(other_operations),
	    cmocka_unit_test(floor_of_all),
	    cmocka_unit_test(judged),
	    cmocka_unit_test(surer),
	    cmocka_unit_test(unlike_licences),
	    cmocka_unit_test(cheaper_ones_follow),
	    cmocka_unit_test(parity_counts),
	    cmocka_unit_test(largest_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
