#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scene.h"

void scene_open(struct scene *scene)
{
	kit_open(&scene->kit);
	scene->store = kit_store(scene->kit.store, RH_STORE_CREATE);
	scene->issuer = issue_keys_new("2026", "ES256");
	assert_int_equal(rh_store_computer_jwk(scene->store, &scene->computer, NULL), RH_OK);
	assert_int_equal(rh_recovery_make(scene->store, NULL), RH_OK);
	assert_int_equal(rh_recovery_show(scene->store, &scene->recovery, NULL), RH_OK);
	scene_pin(scene, scene->store, RH_PIN_ISSUER, scene->issuer, SCENE_ISSUER);
}

void scene_close(struct scene *scene)
{
	rh_recovery_free(&scene->recovery);
	issue_keys_free(scene->issuer);
	rh_store_close(scene->store);
	kit_close(&scene->kit);
}

void scene_pin(
    struct scene *scene, rh_store *store, int kind, struct issue_keys *keys, const char *name)
{
	char path[128], *text = issue_set(&keys, 1, name);
	FILE *file;
	rh_error error = {0};

	snprintf(path, sizeof path, "%s/set.json", scene->kit.root);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	free(text);
	if (rh_pin_add(store, kind, path, name, NULL, NULL, &error) != RH_OK)
		fail_msg("%s", error.text);
}

void scene_add(struct scene *scene, struct issue issue)
{
	char *license;
	int code;

	if (issue.issuer == NULL)
		issue.issuer = SCENE_ISSUER;
	if (issue.computer == NULL)
		issue.computer = scene->computer;
	license = issue_license(scene->issuer, &issue);
	code = kit_add_signed(scene->store, license);
	free(license);
	if (code != RH_OK)
		fail_msg("%s: %s", issue.id, rh_code_name(code));
}

static int on_event(void *context, const rh_event *event)
{
	struct told *told = context;
	struct told_one *one = &told->list[told->count];

	if (event->type == RH_EVENT_NOTICE) {
		told->notices++;
		snprintf(told->notice, sizeof told->notice, "%s", event->text);
	}
	if (event->type == RH_EVENT_NEEDS_INDIVIDUALIZATION) {
		told->needs++;
		snprintf(told->privacy, sizeof told->privacy, "%s", event->text);
	}
	if (event->type != RH_EVENT_LICENSE && event->type != RH_EVENT_RESTRICTED)
		return 0;
	assert_true(told->count++ < sizeof told->list / sizeof *told->list);
	one->type = event->type;
	one->code = event->code;
	snprintf(one->text, sizeof one->text, "%s", event->text);
	snprintf(one->next_step, sizeof one->next_step, "%s", event->next_step);
	if (event->license == NULL)
		return 0;
	snprintf(one->id, sizeof one->id, "%s", event->license->id);
	snprintf(one->key_id, sizeof one->key_id, "%s", event->license->key_id);
	snprintf(one->title, sizeof one->title, "%s", event->license->title);
	return 0;
}

rh_listener scene_listener(struct told *told)
{
	memset(told, 0, sizeof *told);
	return (rh_listener){on_event, NULL, told};
}

const struct told_one *scene_told(const struct told *told, const char *id)
{
	const struct told_one *found = NULL;

	for (size_t i = 0; i < told->count; i++) {
		if (strcmp(told->list[i].id, id) != 0)
			continue;
		if (found != NULL)
			fail_msg("%s was told twice", id);
		found = &told->list[i];
	}
	if (found == NULL)
		fail_msg("nothing was told of %s", id);
	return found;
}
