#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "service/keys.h"
#include "service/nonces.h"
#include "world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * The body of a request whose signature is good, from a computer that is certified.  The first
 * byte says which resource.
 */

static const char *proof;

/* In place of http.c's. */
const char *request_header(const struct request *request, const char *name)
{
	(void)request;
	return strcmp(name, "Rehost-Proof") == 0 ? proof : NULL;
}

static struct jose_key *computer;
static char *certificate;

static void leave(void)
{
	jose_key_free(computer);
	free(certificate);
}

static void individualize(const struct service *service)
{
	const uint8_t secret[KEY_SIZE] = {[KEY_SIZE - 1] = 7};

	if (jose_key_private(secret, &computer, NULL) != RH_OK ||
	    certificate_sign(service_keys_signing(service->keys), WORLD_ADDRESS,
		jose_key_thumbprint(computer), clock_now(), &certificate, NULL) != RH_OK)
		abort();
	atexit(leave);
}

/* Nonces that were used are remembered for minutes, and not without end. */
static void renew_nonces(struct service *service)
{
	const uint8_t key[KEY_SIZE] = {1};
	static unsigned runs;

	if (++runs % 1024 != 0)
		return;
	nonces_free(service->nonces);
	if (nonces_new(key, &service->nonces, NULL) != RH_OK)
		abort();
}

static char *sign(struct service *service, const char *path, const void *body, size_t size)
{
	char nonce[NONCE_SIZE], address[128], *text;

	if (nonces_make(service->nonces, clock_now(), nonce, NULL) != RH_OK)
		abort();
	strcat(strcpy(address, WORLD_ADDRESS), path);
	if (proof_sign(computer,
		&(struct proof){"POST", address, clock_now(), nonce, certificate}, body, size,
		&text, NULL) != RH_OK)
		abort();
	return text;
}

/* Only a refusal or a reply: no failure of the service. */
static void check(const struct reply *reply)
{
	if (reply->status >= 500 || reply->status < 200)
		abort();
	if (reply->body.size == 0 || reply->body.data[0] != '{')
		abort();
	if ((reply->status == 200) != (reply->problem == PROBLEM_NONE))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct {
		char letter;
		enum message_path path;
		handler handler;
	} rows[] = {
	    {'c', MESSAGE_COMMIT, handle_restore},
	    {'p', MESSAGE_PLAN, handle_restore},
	    {'l', MESSAGE_LICENSES, handle_licenses},
	    {'r', MESSAGE_RELEASE, handle_release},
	    {'i', MESSAGE_COMPUTERS, handle_computers},
	};
	struct service *service = world_service();
	size_t i = 0;

	if (computer == NULL)
		individualize(service);
	renew_nonces(service);
	if (size == 0)
		return 0;
	while (i + 1 < sizeof rows / sizeof *rows && rows[i].letter != data[0])
		i++;
	{
		const char *path = message_paths[rows[i].path];
		char *text = sign(service, path, data + 1, size - 1);
		struct request request = {.method = "POST",
		    .path = path,
		    .client = "",
		    .body = data + 1,
		    .body_size = size - 1,
		    .rest = ""};
		struct reply reply = {0};

		proof = text;
		rows[i].handler(service, &request, &reply);
		check(&reply);
		buffer_free(&reply.body);
		free(text);
	}
	return 0;
}
