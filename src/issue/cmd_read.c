#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "cli/exit.h"
#include "cli/input.h"
#include "cli/record.h"
#include "cli/talk.h"
#include "cli/text.h"
#include "issue/cmd.h"
#include "issue/issuer.h"
#include "issue/reading.h"

/* What inspect and verify share: the licences that the command line names, one by one. */
struct tour {
	int (*visit)(struct tour *tour, const rh_document *document);
	const json_t *keys;
	int64_t now;
	int status;
	uint64_t good, bad;
};

/* The worse of two: damage goes before what is refused. */
static void worsen(struct tour *tour, int status)
{
	static const int order[] = {
	    EXIT_DONE, EXIT_PARTIAL, EXIT_DAMAGED, EXIT_ENVIRONMENT, EXIT_CANCELED};
	size_t old = 0, new = 0;

	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
		old = order[i] == tour->status ? i : old;
		new = order[i] == status ? i : new;
	}
	tour->status = new > old ? status : tour->status;
}

static void skipped(void *context, const rh_error *error)
{
	worsen(context, issue_fail(error));
}

static int take_tour(struct tour *tour, const struct arguments *arguments)
{
	struct input *input = NULL;
	rh_document document = {0};
	rh_error error = {0};
	int code, got = 0;

	code = input_new(
	    arguments->operands, arguments->operand_count, NULL, skipped, tour, &input, &error);
	while (code == RH_OK && (got = input_next(input, &document, &error)) > 0)
		worsen(tour, tour->visit(tour, &document));
	if (code != RH_OK || got < 0)
		worsen(tour, issue_fail(&error));
	input_free(input);
	return tour->status;
}

/* ---- inspect ---- */

/* Its algorithms in place of the sealed key. */
static json_t *shown_claims(const json_t *claims)
{
	json_t *shown = json_copy((json_t *)claims);

	if (json_object_get(shown, "content_key") != NULL)
		json_object_set_new(shown, "content_key", json_string("sealed"));
	return shown;
}

static void print_field(const char *name, const char *text)
{
	char *safe = text_safe(text);

	printf("%-12s  %s\n", name, safe == NULL ? "" : safe);
	free(safe);
}

static void print_text(const char *name, const json_t *object, const char *member)
{
	const json_t *value = json_object_get(object, member);
	char number[32];

	if (json_is_string(value))
		print_field(name, json_string_value(value));
	if (json_is_integer(value)) {
		snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
		print_field(name, number);
	}
}

static void print_time(const char *name, const json_t *claims, const char *member)
{
	const json_t *value = json_object_get(claims, member);
	char text[TEXT_SIZE];

	if (json_is_integer(value))
		print_field(name, text_minute(text, json_integer_value(value)));
}

static void print_titles(const json_t *claims)
{
	const json_t *titles = json_object_get(claims, "title");
	const char *tag;
	json_t *text;
	char *line;

	if (json_is_string(titles))
		print_field("Title", json_string_value(titles));
	json_object_foreach((json_t *)titles, tag, text)
	{
		if (!json_is_string(text) ||
		    asprintf(&line, "%s (%s)", json_string_value(text), tag) < 0)
			continue;
		print_field("Title", line);
		free(line);
	}
}

static void print_actions(const json_t *claims)
{
	const char *name;
	json_t *action;

	json_object_foreach(json_object_get(claims, "actions"), name, action)
	{
		const json_t *count = json_object_get(action, "count");
		const json_t *period = json_object_get(action, "period");
		char often[64] = "as often as wanted", after[64] = "", *line;

		if (json_is_integer(count))
			snprintf(often, sizeof often, "%lld times",
			    (long long)json_integer_value(count));
		if (json_is_integer(period))
			snprintf(after, sizeof after, ", for %lld seconds from the first use",
			    (long long)json_integer_value(period));
		if (asprintf(&line, "%s: %s%s", name, often, after) < 0)
			continue;
		print_field("Allows", line);
		free(line);
	}
}

static void print_license(const struct parts *parts)
{
	const json_t *claims = parts->claims;

	print_text("Id", claims, "jti");
	print_text("Issuer", claims, "iss");
	print_text("Signed by", parts->header, "kid");
	print_text("For", claims, "sub");
	print_titles(claims);
	print_text("Key id", claims, "key_id");
	print_text("Root key id", claims, "root_key_id");
	print_time("Issued", claims, "iat");
	print_time("Valid from", claims, "nbf");
	print_time("Valid until", claims, "exp");
	print_text("Computer", json_object_get(claims, "cnf"), "jkt");
	print_actions(claims);
	print_field("Backup",
	    json_is_true(json_object_get(claims, "backup")) ? "allowed" : "not allowed");
	print_text("Service", claims, "service");
	print_text("Computers", claims, "computers");
	print_text("Priority", claims, "priority");
	if (json_object_get(claims, "content_key") != NULL)
		print_field("Content key", "sealed for the computer");
}

/* Says what is wrong with one; the others are looked at all the same. */
static int refuse(struct tour *tour, const rh_document *document, const rh_error *error)
{
	json_t *object;

	tour->bad++;
	talk_error("%s: %s", document->name, error->text);
	if (record_wanted()) {
		object = json_pack("{s:o,s:s}", "name", record_text(document->name), "result",
		    rh_code_name(error->code));
		json_object_set_new(object, "text", record_text(error->text));
		record_write_many(object);
	}
	return error->code == RH_E_LICENSE_INVALID || error->code == RH_E_LICENSE_SIGNATURE
		   ? EXIT_DAMAGED
		   : EXIT_PARTIAL;
}

static int inspect(struct tour *tour, const rh_document *document)
{
	struct parts parts = {.header = NULL};
	rh_error error = {0};

	if (parts_read(document->data, document->size, &parts, &error) != RH_OK)
		return refuse(tour, document, &error);
	if (record_wanted()) {
		record_write_many(
		    json_pack("{s:o,s:O,s:o}", "name", record_text(document->name), "header",
			parts.header, "claims", shown_claims(parts.claims)));
	} else {
		if (tour->good > 0)
			putchar('\n');
		print_license(&parts);
	}
	tour->good++;
	parts_clear(&parts);
	return EXIT_DONE;
}

int cmd_inspect(const struct arguments *arguments)
{
	struct tour tour = {.visit = inspect};

	return take_tour(&tour, arguments);
}

/* ---- verify ---- */

static int check_signature(const struct tour *tour, const struct parts *parts, rh_error *error)
{
	const char *issuer = json_string_value(json_object_get(parts->claims, "iss"));
	const json_t *key = issuer_find(tour->keys, issuer_kid(parts->header));

	if (strcmp(issuer, issuer_name(tour->keys)) != 0)
		return error_set(error, RH_E_LICENSE_ISSUER,
		    "it is of another issuer than the keys, %.200s", issuer);
	if (key == NULL)
		return error_set(error, RH_E_LICENSE_ISSUER,
		    "the key that signed it is not in the set: %.64s",
		    issuer_kid(parts->header));
	if (!parts_verify(parts, key))
		return error_set(error, RH_E_LICENSE_SIGNATURE, "its signature does not fit");
	return RH_OK;
}

static int check_times(const struct tour *tour, const json_t *claims, rh_error *error)
{
	const json_t *nbf = json_object_get(claims, "nbf"),
		     *exp = json_object_get(claims, "exp");
	char text[TEXT_SIZE];

	if (exp != NULL && json_integer_value(exp) <= tour->now)
		return error_set(error, RH_E_LICENSE_EXPIRED, "it expired at %s",
		    text_time(text, json_integer_value(exp)));
	if (nbf != NULL && json_integer_value(nbf) > tour->now)
		return error_set(error, RH_E_LICENSE_NOT_YET, "it is not valid before %s",
		    text_time(text, json_integer_value(nbf)));
	return RH_OK;
}

static int verify(struct tour *tour, const rh_document *document)
{
	struct parts parts = {.header = NULL};
	rh_error error = {0};
	int code, status = EXIT_DONE;

	code = parts_read(document->data, document->size, &parts, &error);
	if (code == RH_OK)
		code = parts_check(&parts, &error);
	if (code == RH_OK)
		code = check_signature(tour, &parts, &error);
	if (code == RH_OK)
		code = check_times(tour, parts.claims, &error);
	if (code != RH_OK) {
		status = refuse(tour, document, &error);
	} else {
		tour->good++;
		if (record_wanted())
			record_write_many(
			    json_pack("{s:o,s:O,s:s}", "name", record_text(document->name),
				"id", json_object_get(parts.claims, "jti"), "result", "valid"));
	}
	parts_clear(&parts);
	return status;
}

int cmd_verify(const struct arguments *arguments)
{
	struct tour tour = {.visit = verify, .now = clock_now()};
	char good[TEXT_SIZE], bad[TEXT_SIZE];
	json_t *keys = NULL;
	rh_error error = {0};

	if (!option_given(arguments, OPTION_KEYS))
		return cmd_needs("verify", "--keys FILE");
	if (issuer_read_public(arguments->values[OPTION_KEYS], &keys, &error) != RH_OK)
		return issue_fail(&error);
	tour.keys = keys;
	take_tour(&tour, arguments);
	json_decref(keys);
	talk("%s valid, %s not", text_number(good, tour.good), text_number(bad, tour.bad));
	return tour.status;
}
