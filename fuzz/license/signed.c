#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "license/license.h"

#include "record.h"

/*
 * Any bytes as a signed licence, with and without a trust, and as the claims of one: an
 * error, or a record that holds what license.h promises, gives titles, and goes through a line
 * of facts.
 */

#define NOW 1795360200

static const char issuer_keys[] =
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"2025\","
    "\"x\":\"zGHyS--mM5OqQJiZ5u2Q2ZaBMahEnMpM0CzSd8ESNiY\","
    "\"y\":\"xpTFheovtlKFHEirPqcuhg0wpmzfr0r56W7aiSRZnnA\"},"
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"2026\","
    "\"x\":\"z_T26UmyQjPMSdX7tynSY3E02ygUFPudTotKNPesXEE\","
    "\"y\":\"ea7Mb6x5uHkRHb78WfSa2yRm6UQoucmhDLNuqJMW3bY\"}]}";
static const char computer_scalar[] = "XP4htGzicmGhKPBG5-bmcjF4O8Jd6cqFTapCwZDXa9M";

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* The trust of the vectors in src/license/vectors; made once. */
static const struct license_trust *trust(void)
{
	static struct jose_set set;
	static const struct license_issuer issuer = {"Tidewater Music", &set};
	static struct license_trust trust = {&issuer, 1, NULL, NOW, false};
	struct jose_key *key;
	uint8_t scalar[KEY_SIZE];

	if (trust.computer != NULL)
		return &trust;
	require(jose_set_read(&set, issuer_keys, strlen(issuer_keys), NULL, NULL) == RH_OK);
	require(base64_decode(scalar, sizeof scalar, computer_scalar, strlen(computer_scalar),
		    BASE64_URL | BASE64_NO_PAD) == KEY_SIZE);
	require(jose_key_private(scalar, &key, NULL) == RH_OK);
	trust.computer = key;
	return &trust;
}

static void check_text(const char *text, size_t capacity)
{
	size_t length = strnlen(text, capacity);

	require(length < capacity && utf8_valid(text, length));
	for (size_t i = 0; i < length; i++)
		require((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
}

static void check_titles(const struct license *license)
{
	static const char *const languages[] = {"", "en", "de-AT", "zh-Hant-x-a", "-", "*"};
	char text[sizeof license->title], small[5];

	check_text(license->title, sizeof license->title);
	for (size_t i = 0; i < sizeof languages / sizeof languages[0]; i++) {
		license_title(license, languages[i], text, sizeof text);
		check_text(text, sizeof text);
		require((text[0] != '\0') == (license->title[0] != '\0'));
		license_title(license, languages[i], small, sizeof small);
		check_text(small, sizeof small);
	}
}

static void check_facts(const struct license *license)
{
	struct buffer line = {0};
	struct license again;

	require(license_facts_format(license, &line, NULL) == RH_OK);
	if (license_class(license) == LICENSE_RESTRICTED) {
		require(line.size == 0);
		return;
	}
	require(license_facts_parse(&again, line.data, line.size));
	require(strcmp(license->title, again.title) == 0 && strcmp(license->id, again.id) == 0);
	require(license_class(license) == license_class(&again));
	require(license->count_count == again.count_count);
	buffer_free(&line);
}

/* Uses everything up that is counted, one by one as far as a loop may go. */
static void check_rights(const struct license *license, const struct license_rights *rights)
{
	struct license_state state;
	const struct license_holding holding = {license, rights, &state};
	const struct license_moment moment = {NOW, false, rights->computer};

	license_state_init(&state);
	require(rights->action_count <= LICENSE_ACTIONS_MAX && !rights->vague);
	check_text(rights->root, sizeof rights->root);
	for (size_t i = 0; i < rights->action_count; i++) {
		const struct license_action *action = &rights->actions[i];
		uint64_t left = license_remaining(&holding, &moment, action->name);

		check_text(action->name, sizeof action->name);
		require(action->period >= 0 && left == action->count && left > 0);
		for (int uses = 0; uses < 4 && left > 0; uses++) {
			license_spend(&state, &holding, &moment, action->name);
			left -= left != LICENSE_UNLIMITED;
			require(license_remaining(&holding, &moment, action->name) == left);
		}
		require(!(license_denied(&holding, &moment, action->name) &
			    LICENSE_DENIED_SPENT) == (left > 0));
	}
	require(state.count_count == license->count_count);
}

static int check_record(void *context, const struct license *license,
    const struct license_rights *rights, rh_error *error)
{
	(void)error;
	++*(size_t *)context;
	check_text(license->id, sizeof license->id);
	check_text(license->key_id, sizeof license->key_id);
	check_text(license->issuer, sizeof license->issuer);
	check_text(license->service, sizeof license->service);
	require(license->id[0] != '\0' && license->issuer[0] != '\0');
	require((license->reason[0] == '\0') == (license->backup == LICENSE_YES));
	check_titles(license);
	check_facts(license);
	check_rights(license, rights);
	return RH_OK;
}

static int read_with(
    const uint8_t *data, size_t size, const char *format, const struct license_trust *with)
{
	struct buffer secret = {0};
	const struct license_document document = {.data = data,
	    .size = size,
	    .name = "dir/name",
	    .format = format,
	    .trust = with,
	    .secret = &secret};
	size_t count = 0;
	rh_error error = {0};
	int code = license_read(&document, check_record, &count, &error);

	require(code == RH_OK ? count == 1 : count == 0 && error.code == code);
	require(code == RH_OK || license_code(code));
	require(secret.size == 0 || (code == RH_OK && with != NULL && !with->moved));
	buffer_free_secret(&secret);
	return code;
}

static void read_document(const uint8_t *data, size_t size)
{
	struct license_trust moved = *trust();
	int bare = read_with(data, size, "signed", NULL), here, there;

	moved.moved = true;
	here = read_with(data, size, "signed", trust());
	there = read_with(data, size, "signed", &moved);
	/* Each look is harder than the one before. */
	require(bare == RH_OK ? here != RH_E_LICENSE_INVALID : here == bare && there == bare);
	require(here != RH_OK || there == RH_OK);
}

/* The bytes as claims under a good header and a signature of zeros. */
static void read_claims(const uint8_t *data, size_t size)
{
	static const char header[] = "{\"alg\":\"ES256\",\"typ\":\"rehost-license+jwt\","
				     "\"kid\":\"2026\"}";
	static const uint8_t zeros[64];
	char *text =
	    malloc(BASE64_SIZE(sizeof header) + BASE64_SIZE(size) + BASE64_SIZE(sizeof zeros));
	size_t n;

	require(text != NULL);
	n = base64_encode(text, header, sizeof header - 1, BASE64_URL | BASE64_NO_PAD);
	text[n++] = '.';
	n += base64_encode(text + n, data, size, BASE64_URL | BASE64_NO_PAD);
	text[n++] = '.';
	n += base64_encode(text + n, zeros, sizeof zeros, BASE64_URL | BASE64_NO_PAD);
	if (read_with((const uint8_t *)text, n, NULL, NULL) == RH_OK)
		require(
		    read_with((const uint8_t *)text, n, NULL, trust()) >= RH_E_LICENSE_ISSUER);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_document(data, size);
	if (size < 64 * 1024)
		read_claims(data, size);
	return 0;
}
