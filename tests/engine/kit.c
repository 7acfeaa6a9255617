#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "kit.h"

void kit_open(struct kit *kit)
{
	snprintf(kit->root, sizeof kit->root, "/tmp/rehost-engine-XXXXXX");
	assert_non_null(mkdtemp(kit->root));
	snprintf(kit->media, sizeof kit->media, "%s/media", kit->root);
	snprintf(kit->store, sizeof kit->store, "%s/old", kit->root);
	snprintf(kit->other, sizeof kit->other, "%s/new", kit->root);
	snprintf(kit->machine_id, sizeof kit->machine_id, "%s/machine-id", kit->root);
	assert_int_equal(mkdir(kit->media, 0700), 0);
	kit_be(kit, "a");
}

void kit_close(struct kit *kit)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf %s", kit->root);
	assert_int_equal(system(command), 0);
}

void kit_be(struct kit *kit, const char *computer)
{
	FILE *file = fopen(kit->machine_id, "w");

	assert_non_null(file);
	fprintf(file, "%s123456789abcdef0123456789abcdef\n", computer);
	fclose(file);
	setenv("REHOST_MACHINE_ID_FILE", kit->machine_id, 1);
}

rh_store *kit_store(const char *directory, unsigned flags)
{
	rh_store *store = NULL;
	rh_error error;

	if (rh_store_open(directory, flags, &store, &error) != RH_OK)
		fail_msg("%s: %s", directory, error.text);
	return store;
}

char *kit_license(int number, int restricted)
{
	static const char *const shops[] = {"Tidewater Music", "Harmonia", "Kiosk"};
	char *text;

	assert_true(
	    asprintf(&text,
		"<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA>"
		"<LID>{%08X-0000-4000-8000-000000000000}</LID><KID>AAAAAAAAAAAAAAAA%08xA==</"
		"KID>"
		"<ISSUEDATE>20060623 07:08:06Z</ISSUEDATE>"
		"<META name=\"title\">Track %d</META><META name=\"distributor\">%s</META>"
		"<ONACTION type=\"Play\"><CONDITION>1</CONDITION></ONACTION>%s"
		"</DATA></LICENSORINFO></LICENSE>",
		(unsigned)number, (unsigned)number & 0xffffff, number, shops[number % 3],
		restricted
		    ? ""
		    : "<ONACTION type=\"Backup\"><CONDITION>1</CONDITION></ONACTION>") > 0);
	return text;
}

struct range {
	int next;
	int last;
	int restricted;
	char *text;
};

static int next_license(void *context, rh_document *ret, rh_error *error)
{
	struct range *range = context;
	int number = range->next++;

	(void)error;
	free(range->text);
	range->text = NULL;
	if (number >= range->last)
		return 0;
	range->text = kit_license(number, range->restricted && number % range->restricted == 0);
	*ret =
	    (rh_document){.data = range->text, .size = strlen(range->text), .name = "made up"};
	return 1;
}

void kit_add(rh_store *store, int first, int last, int restricted)
{
	struct range range = {first, last, restricted, NULL};
	rh_summary summary;
	rh_error error;

	if (rh_add(store, next_license, &range, NULL, &summary, &error) != RH_OK)
		fail_msg("%s", error.text);
	free(range.text);
	assert_int_equal(summary.failed, 0);
	assert_int_equal(summary.licenses, last - first);
}

static int one_document(void *context, rh_document *ret, rh_error *error)
{
	rh_document **next = context;

	(void)error;
	if (*next == NULL)
		return 0;
	*ret = **next;
	*next = NULL;
	return 1;
}

int kit_add_document(rh_store *store, const char *text, size_t size, const char *name,
    const char *format, rh_summary *summary)
{
	rh_document document = {text, size, name, format}, *next = &document;

	return rh_add(store, one_document, &next, NULL, summary, NULL);
}

void kit_pin(struct kit *kit, rh_store *store, const char *set)
{
	char path[128];
	rh_error error;
	FILE *file;

	snprintf(path, sizeof path, "%s/issuer.jwks", kit->root);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(set, file) >= 0);
	assert_int_equal(fclose(file), 0);
	if (rh_pin_add(store, RH_PIN_ISSUER, path, NULL, NULL, NULL, &error) != RH_OK)
		fail_msg("%s", error.text);
}

static int take_code(void *context, const rh_event *event)
{
	if (event->type == RH_EVENT_LICENSE || event->type == RH_EVENT_RESTRICTED)
		*(int *)context = event->code;
	return 0;
}

int kit_add_signed(rh_store *store, const char *license)
{
	int became = RH_OK;
	rh_listener listener = {take_code, NULL, &became};
	rh_document document = {license, strlen(license), "signed", NULL}, *next = &document;
	rh_error error;

	if (rh_add(store, one_document, &next, &listener, NULL, &error) != RH_OK)
		fail_msg("%s", error.text);
	return became;
}

static int on_event(void *context, const rh_event *event)
{
	struct heard *heard = context;

	assert_non_null(event->text);
	assert_non_null(event->next_step);
	assert_int_equal(heard->ends, 0);
	if (event->type == RH_EVENT_END)
		heard->ends++;
	if (heard->count < sizeof heard->types / sizeof *heard->types) {
		heard->types[heard->count] = event->type;
		heard->codes[heard->count] = event->code;
		heard->count++;
	}
	snprintf(heard->last_text, sizeof heard->last_text, "%s", event->text);
	return event->type == heard->stop_at_type;
}

static int should_stop(void *context)
{
	struct heard *heard = context;

	if (heard->polls_left < 0)
		return 0;
	if (heard->polls_left == 0)
		return 1;
	heard->polls_left--;
	return 0;
}

rh_listener kit_listener(struct heard *heard)
{
	memset(heard, 0, sizeof *heard);
	heard->stop_at_type = -1;
	heard->polls_left = -1;
	return (rh_listener){on_event, should_stop, heard};
}

size_t kit_heard(const struct heard *heard, int type)
{
	size_t count = 0;

	for (size_t i = 0; i < heard->count; i++)
		count += heard->types[i] == type;
	return count;
}

static int count_license(void *context, const rh_license *license)
{
	(void)license;
	(*(size_t *)context)++;
	return 0;
}

size_t kit_count(rh_store *store, const char *filter)
{
	size_t count = 0;
	rh_error error;

	if (rh_enumerate(store, filter, count_license, &count, &error) != RH_OK)
		fail_msg("%s", error.text);
	return count;
}

struct comparison {
	rh_store *a;
	rh_store *b;
	char (*ids)[64];
	size_t count;
};

static int take_id(void *context, const rh_license *license)
{
	struct comparison *comparison = context;

	if (license->license_class != RH_CLASS_OWNED)
		return 0;
	comparison->ids =
	    realloc(comparison->ids, (comparison->count + 1) * sizeof *comparison->ids);
	assert_non_null(comparison->ids);
	snprintf(
	    comparison->ids[comparison->count++], sizeof *comparison->ids, "%s", license->id);
	return 0;
}

int kit_same(rh_store *a, rh_store *b)
{
	struct comparison comparison = {.a = a, .b = b};
	int same = 1;

	assert_int_equal(rh_enumerate(a, NULL, take_id, &comparison, NULL), RH_OK);
	for (size_t i = 0; i < comparison.count && same; i++) {
		void *left = NULL, *right = NULL;
		size_t left_size, right_size;

		assert_int_equal(
		    rh_get_document(a, comparison.ids[i], &left, &left_size, NULL), RH_OK);
		same =
		    rh_get_document(b, comparison.ids[i], &right, &right_size, NULL) == RH_OK &&
		    left_size == right_size && memcmp(left, right, left_size) == 0;
		rh_free(left);
		rh_free(right);
	}
	free(comparison.ids);
	return same && kit_count(b, NULL) == comparison.count;
}
