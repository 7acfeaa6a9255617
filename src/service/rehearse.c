#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"

#include "service/keys.h"
#include "service/log.h"
#include "service/rehearse.h"

#define SCRIPT_MAX (1024 * 1024) /* bytes */
#define STEPS_MAX 4096
#define SLOW_MAX 3600 /* seconds */
#define NANOSECONDS 1000000000u

enum action {
	ACTION_LIMIT,
	ACTION_OUTAGE,
	ACTION_BUSY,
	ACTION_SLOW,
	ACTION_CUT,
	ACTION_RUBBISH,
	ACTION_ROLLBACK,
	ACTION_RESOLVE,
	ACTION_ROTATE,
	ACTION_CLOCK
};
static const char *const action_names[] = {"limit", "outage", "busy", "slow", "cut", "rubbish",
    "rollback", "resolve", "rotate", "clock"};
#define ACTION_COUNT (sizeof action_names / sizeof *action_names)

/* In the order of enum message_path, but for the privacy page; then "any". */
static const char *const resources[] = {
    "keys", "nonce", "computers", "plan", "commit", "licenses", "release", "any"};
static const enum message_path paths[] = {MESSAGE_KEYS, MESSAGE_NONCE, MESSAGE_COMPUTERS,
    MESSAGE_PLAN, MESSAGE_COMMIT, MESSAGE_LICENSES, MESSAGE_RELEASE};
#define RESOURCE_COUNT (sizeof resources / sizeof *resources)
#define RESOURCE_ANY (RESOURCE_COUNT - 1)

struct step {
	size_t resource;
	uint64_t first, last;
	enum action action;
	int64_t argument; /* seconds */
};

struct rehearsal {
	struct step steps[STEPS_MAX];
	size_t count;
	char *directory;
	int64_t begins; /* the time at the start */
	uint64_t started; /* clock_monotonic then */
	int64_t passed; /* by "clock" */
	uint64_t asked[RESOURCE_COUNT]; /* requests so far */
	/* Of the request that is being answered. */
	bool limit, cut, rubbish;
	/* What rotations replaced; others may still look at it. */
	struct service_keys *keys[STEPS_MAX];
	struct ledger *ledgers[STEPS_MAX];
	size_t replaced;
};

/* ---- Reading the script ---- */

static bool read_seconds(const char *text, int64_t *ret)
{
	static const char units[] = "smhd";
	static const int64_t seconds[] = {1, 60, 3600, 86400};
	char *end;
	const char *unit;

	if (*text < '0' || *text > '9')
		return false;
	*ret = strtol(text, &end, 10);
	if (*end == '\0')
		return *ret < INT64_C(100000000);
	unit = strchr(units, *end);
	if (unit == NULL || end[1] != '\0' || *ret >= INT64_C(1000000))
		return false;
	*ret *= seconds[unit - units];
	return true;
}

static bool read_numbers(const char *text, struct step *step)
{
	char *end;

	if (*text < '1' || *text > '9')
		return false;
	step->first = step->last = strtoul(text, &end, 10);
	if (*end == '-' && end[1] >= '1' && end[1] <= '9')
		step->last = strtoul(end + 1, &end, 10);
	return *end == '\0' && step->first <= step->last;
}

static bool read_name(const char *const *names, size_t count, const char *text, size_t *ret)
{
	for (*ret = 0; *ret < count; (*ret)++)
		if (strcmp(names[*ret], text) == 0)
			return true;
	return false;
}

static bool read_argument(struct step *step, const char *text)
{
	switch (step->action) {
	case ACTION_SLOW:
		return text != NULL && read_seconds(text, &step->argument) &&
		       step->argument <= SLOW_MAX;
	case ACTION_CLOCK:
		return text != NULL && *text == '+' && read_seconds(text + 1, &step->argument);
	default:
		return text == NULL;
	}
}

/* What is wrong with the line, or NULL. */
static const char *read_line(struct rehearsal *rehearsal, char *line)
{
	char *rest = NULL, *word;
	struct step *step = &rehearsal->steps[rehearsal->count];
	size_t action;

	line[strcspn(line, "#")] = '\0';
	word = strtok_r(line, " \t\r", &rest);
	if (word == NULL)
		return NULL;
	if (strcmp(word, "clock") == 0) {
		word = strtok_r(NULL, " \t\r", &rest);
		return word != NULL && time_parse(word, strlen(word), &rehearsal->begins)
			   ? NULL
			   : "clock needs a time, as in 2026-11-22T12:00:00Z";
	}
	if (rehearsal->count == STEPS_MAX)
		return "there are too many lines";
	*step = (struct step){0};
	if (!read_name(resources, RESOURCE_COUNT, word, &step->resource))
		return "there is no such resource";
	word = strtok_r(NULL, " \t\r", &rest);
	if (word == NULL || !read_numbers(word, step))
		return "the numbers of the requests must be N or N-M";
	word = strtok_r(NULL, " \t\r", &rest);
	if (word == NULL || !read_name(action_names, ACTION_COUNT, word, &action))
		return "there is no such action";
	step->action = (enum action)action;
	if (!read_argument(step, strtok_r(NULL, " \t\r", &rest)) ||
	    strtok_r(NULL, " \t\r", &rest) != NULL)
		return "the action's argument is wrong";
	rehearsal->count++;
	return NULL;
}

static int read_script(
    struct rehearsal *rehearsal, char *text, const char *path, rh_error *error)
{
	unsigned number = 0;
	char *line, *next = text;
	const char *wrong;

	while ((line = strsep(&next, "\n")) != NULL) {
		number++;
		wrong = read_line(rehearsal, line);
		if (wrong != NULL)
			return error_set(
			    error, RH_E_ARGUMENT, "%s, line %u: %s", path, number, wrong);
	}
	return RH_OK;
}

int rehearsal_read(
    const char *path, const char *directory, struct rehearsal **ret, rh_error *error)
{
	struct rehearsal *rehearsal = calloc(1, sizeof *rehearsal);
	struct buffer text = {0};
	int code = RH_OK;

	if (rehearsal != NULL)
		rehearsal->directory = strdup(directory);
	if (rehearsal == NULL || rehearsal->directory == NULL) {
		rehearsal_free(rehearsal);
		return error_memory(error);
	}
	rehearsal->begins = clock_now();
	rehearsal->started = clock_monotonic();
	code = file_read_whole(AT_FDCWD, path, SCRIPT_MAX, &text, path, error);
	if (code == RH_OK)
		code = buffer_append(&text, "", 1, error);
	if (code == RH_OK)
		code = read_script(rehearsal, (char *)text.data, path, error);
	buffer_free(&text);
	if (code == RH_OK)
		*ret = rehearsal;
	else
		rehearsal_free(rehearsal);
	return code;
}

void rehearsal_free(struct rehearsal *rehearsal)
{
	if (rehearsal == NULL)
		return;
	for (size_t i = 0; i < rehearsal->replaced; i++) {
		ledger_close(rehearsal->ledgers[i]);
		service_keys_close(rehearsal->keys[i]);
	}
	free(rehearsal->directory);
	free(rehearsal);
}

int64_t rehearsal_now(const struct rehearsal *rehearsal)
{
	return rehearsal->begins + rehearsal->passed +
	       (int64_t)((clock_monotonic() - rehearsal->started) / NANOSECONDS);
}

/* ---- Playing it ---- */

/* The keys of the file, with new ones in it, and a ledger that signs with them. */
static int rotate(struct service *service, rh_error *error)
{
	struct rehearsal *rehearsal = service->rehearsal;
	struct service_keys *keys;
	struct ledger *ledger;
	int code = service_keys_rotate(rehearsal->directory, clock_now(), error);

	if (code == RH_OK)
		code = service_keys_open(
		    rehearsal->directory, service->address, false, clock_now(), &keys, error);
	if (code != RH_OK)
		return code;
	code = ledger_open(service->database, service->address, service_keys_signing(keys),
	    service_keys_set(keys), &ledger, error);
	if (code != RH_OK) {
		service_keys_close(keys);
		return code;
	}
	rehearsal->keys[rehearsal->replaced] = service->keys;
	rehearsal->ledgers[rehearsal->replaced++] = service->ledger;
	service->keys = keys;
	service->ledger = ledger;
	return RH_OK;
}

/* Somebody shows a head that the ledger does not know. */
static int roll_back(struct service *service, rh_error *error)
{
	struct head head, seen = {.seq = INT64_C(1) << 40, .time = service_now(service)};
	const struct ledger_visitor visitor = {.computer = "", .head = &seen};
	enum problem problem;

	return ledger_head(
	    service->ledger, service_now(service), &visitor, &problem, &head, error);
}

static int play(struct service *service, const struct step *step, rh_error *error)
{
	struct rehearsal *rehearsal = service->rehearsal;
	struct timespec pause = {.tv_sec = step->argument};

	switch (step->action) {
	case ACTION_LIMIT:
		rehearsal->limit = true;
		return RH_OK;
	case ACTION_CUT:
		rehearsal->cut = true;
		return RH_OK;
	case ACTION_RUBBISH:
		rehearsal->rubbish = true;
		return RH_OK;
	case ACTION_SLOW:
		nanosleep(&pause, NULL);
		return RH_OK;
	case ACTION_CLOCK:
		rehearsal->passed += step->argument;
		return RH_OK;
	case ACTION_ROLLBACK:
		return roll_back(service, error);
	case ACTION_RESOLVE:
		return ledger_resolve(service->ledger, service_now(service), "rehearsal",
		    "the script says so", error);
	case ACTION_ROTATE:
		return rotate(service, error);
	default:
		return RH_OK;
	}
}

static size_t resource_of(const struct request *request)
{
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		if (strcmp(message_paths[paths[i]], request->path) == 0)
			return i;
	return RESOURCE_ANY;
}

static bool is_due(const struct rehearsal *rehearsal, const struct step *step, size_t resource)
{
	uint64_t number = rehearsal->asked[step->resource];

	return (step->resource == resource || step->resource == RESOURCE_ANY) &&
	       step->first <= number && number <= step->last;
}

bool rehearsal_before(
    struct service *service, const struct request *request, struct reply *reply)
{
	struct rehearsal *rehearsal = service->rehearsal;
	size_t resource = resource_of(request);
	enum problem problem = PROBLEM_NONE;
	rh_error error;

	rehearsal->limit = rehearsal->cut = rehearsal->rubbish = false;
	if (resource == RESOURCE_ANY) /* a page, or an administrator */
		return false;
	rehearsal->asked[resource]++;
	rehearsal->asked[RESOURCE_ANY]++;
	for (size_t i = 0; i < rehearsal->count; i++) {
		const struct step *step = &rehearsal->steps[i];

		if (!is_due(rehearsal, step, resource))
			continue;
		log_line(service->log, LOG_LEVEL_INFO, "rehearsing", "action",
		    action_names[step->action], "resource", resources[resource], NULL);
		if (step->action == ACTION_OUTAGE)
			problem = PROBLEM_UNAVAILABLE;
		else if (step->action == ACTION_BUSY)
			problem = PROBLEM_TOO_MANY;
		else if (play(service, step, &error) != RH_OK)
			log_line(service->log, LOG_LEVEL_ERROR, "rehearsal failed", "why",
			    error.text, NULL);
	}
	if (problem != PROBLEM_NONE)
		reply_problem(reply, request, problem, NULL);
	return problem != PROBLEM_NONE;
}

void rehearsal_after(struct service *service, struct reply *reply)
{
	static const char rubbish[] = "<p>Welcome to our network. Please log in.</p>\n";

	if (service->rehearsal->rubbish) {
		buffer_clear(&reply->body);
		if (buffer_append_text(&reply->body, rubbish, NULL) == RH_OK)
			reply->content_type = "text/html; charset=utf-8";
		reply->status = 200;
	}
	reply->cut = service->rehearsal->cut;
}

int rehearsal_licenses(struct service *service, const struct ledger_license *licenses,
    size_t count, rh_error *error)
{
	const struct policy one = {1, POLICY_UNSET, POLICY_UNSET, POLICY_UNSET, POLICY_UNSET};
	int code = RH_OK;

	for (size_t i = 0; i < count && code == RH_OK && service->rehearsal->limit; i++)
		if (licenses[i].problem == PROBLEM_NONE)
			code = ledger_policy_set(service->ledger, service_now(service),
			    "rehearsal", POLICY_LICENSE, licenses[i].issuer, licenses[i].id,
			    &one, error);
	return code;
}
