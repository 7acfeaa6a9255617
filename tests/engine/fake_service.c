#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "authority/message.h"
#include "base/clock.h"
#include "base/text.h"
#include "crypto/managed.h"
#include "license/license.h"

#include "fake_service.h"

#define REQUEST_MAX (2 * 1024 * 1024)

static const uint8_t secret_of_key[KEY_SIZE] = "the key of a service for tests!";

/* This process can only end: nothing here fails but for a mistake in the test. */
#define MUST(condition)                                                                        \
	do {                                                                                   \
		if (!(condition)) {                                                            \
			fprintf(stderr, "fake service, line %d\n", __LINE__);                  \
			abort();                                                               \
		}                                                                              \
	} while (0)

struct request {
	struct fake *fake;
	struct jose_key *key; /* the service's */
	char path[64];
	char proof[MESSAGE_PROOF_MAX + 1];
	const uint8_t *body;
	size_t size;
	struct jws jws;
	const char *computer;
};

struct answer {
	int status;
	struct buffer body;
	size_t cut; /* bytes of the body that are not sent */
};

/* ---- Answers ---- */

static void problem(struct answer *answer, int status, const char *code, const char *detail)
{
	struct problem_reply reply = {
	    .status = status, .code = code, .title = code, .detail = detail};

	answer->status = status;
	MUST(problem_reply_write(&reply, &answer->body, NULL) == RH_OK);
}

static char *head(struct request *request)
{
	struct head head = {.seq = request->fake->requests, .time = clock_now()};
	char *text;

	MUST(head_sign(request->key, request->fake->name, &head, &text, NULL) == RH_OK);
	return text;
}

static void keys_text(const struct fake *fake, const struct jose_key *key, struct buffer *ret)
{
	char text[1024];

	snprintf(text, sizeof text, "{\"service\":\"%s\",\"keys\":[%s]}", fake->name,
	    jose_key_jwk(key));
	MUST(buffer_append_text(ret, text, NULL) == RH_OK);
}

static void individualize(struct request *request, struct answer *answer)
{
	char *certificate, *signed_head = head(request);
	struct computers_reply reply;

	request->fake->computers++;
	MUST(certificate_sign(request->key, request->fake->name, request->computer, clock_now(),
		 &certificate, NULL) == RH_OK);
	reply = (struct computers_reply){.certificate = certificate, .head = signed_head};
	MUST(computers_reply_write(&reply, &answer->body, NULL) == RH_OK);
	free(certificate);
	free(signed_head);
}

/* ---- Plans and commits ---- */

struct facts {
	char id[256], issuer[256], service[512];
};

static int take_facts(void *context, const struct license *license,
    const struct license_rights *rights, rh_error *error)
{
	struct facts *facts = context;

	(void)rights;
	(void)error;
	memcpy(facts->id, license->id, sizeof facts->id);
	memcpy(facts->issuer, license->issuer, sizeof facts->issuer);
	memcpy(facts->service, license->service, sizeof facts->service);
	return RH_OK;
}

/* Number k of the computer; 0 if it has none. */
static unsigned known(struct fake *fake, size_t entry, const char *computer)
{
	for (unsigned i = 0; i < fake->ledger[entry].computers; i++)
		if (strcmp(fake->ledger[entry].names[i], computer) == 0)
			return i + 2;
	return 0;
}

static size_t find(struct fake *fake, const char *id)
{
	size_t entry = 0;

	while (entry < fake->count && strcmp(fake->ledger[entry].id, id) != 0)
		entry++;
	if (entry == fake->count) {
		MUST(entry < FAKE_LEDGER_MAX);
		snprintf(fake->ledger[entry].id, sizeof fake->ledger[entry].id, "%s", id);
		fake->ledger[entry].computers = 0;
		fake->count++;
	}
	return entry;
}

static bool holds(const char *id, const char *text)
{
	return text[0] != '\0' && strstr(id, text) != NULL;
}

static void decide(
    struct request *request, const char *id, bool commit, struct reply_license *reply)
{
	struct fake *fake = request->fake;
	size_t entry = find(fake, id);
	unsigned number = known(fake, entry, request->computer);
	bool full = fake->ledger[entry].computers + 1 >= FAKE_LIMIT || holds(id, fake->limited);

	reply->limit = FAKE_LIMIT;
	reply->since = 1700000000;
	reply->next = MESSAGE_TIME_NONE;
	if (fake->claimed || number != 0) {
		reply->result = MESSAGE_FREE;
		reply->computers = fake->claimed ? 1 : number;
	} else if (full || holds(id, fake->refused)) {
		reply->result = MESSAGE_REFUSED;
		reply->computers = full ? FAKE_LIMIT : 1;
		reply->code = full ? "limit-reached" : "license-blocked";
		reply->detail = full ? "It is on four computers." : "It was blocked.";
		reply->page = full ? fake->page : NULL;
	} else {
		reply->result = commit ? MESSAGE_GRANTED : MESSAGE_COSTS;
		reply->computers = fake->ledger[entry].computers + 2;
		if (!commit) {
			reply->since = MESSAGE_TIME_NONE;
			return;
		}
		snprintf(fake->ledger[entry].names[fake->ledger[entry].computers++], 44, "%s",
		    request->computer);
	}
}

/* From the backup's batch key to the reply's. */
static void reseal(const struct facts *facts, const uint8_t from[KEY_SIZE],
    const uint8_t to[KEY_SIZE], const char *text, size_t size, char **ret)
{
	struct buffer sealed = {0}, secret = {0}, again = {0};
	ptrdiff_t bytes;

	MUST(buffer_reserve(&sealed, size + 1, NULL) == RH_OK);
	bytes =
	    base64_decode(sealed.data, sealed.capacity, text, size, BASE64_URL | BASE64_NO_PAD);
	MUST(bytes > 0);
	MUST(managed_open(from, facts->service, facts->id, sealed.data, (size_t)bytes, &secret,
		 NULL) == RH_OK);
	MUST(managed_seal(to, facts->service, facts->id, secret.data, secret.size, &again,
		 NULL) == RH_OK);
	*ret = malloc(BASE64_SIZE(again.size));
	MUST(*ret != NULL);
	base64_encode(*ret, again.data, again.size, BASE64_URL | BASE64_NO_PAD);
	buffer_free(&sealed);
	buffer_free(&secret);
	buffer_free(&again);
}

struct work {
	struct restore_request message;
	struct restore_reply reply;
	struct facts facts[MESSAGE_LICENSES_MAX];
	char *secrets[MESSAGE_LICENSES_MAX];
	struct reply_license licenses[MESSAGE_LICENSES_MAX];
	uint8_t leaves[MESSAGE_LICENSES_MAX][DIGEST_SIZE];
	size_t leaf_count;
	char *key, *grants, *head;
};

static void add_leaf(struct request *request, struct work *work, size_t i)
{
	const struct reply_license *license = &work->licenses[i];
	const struct grant grant = {.issuer = license->issuer,
	    .license = license->id,
	    .computer = request->computer,
	    .number = license->computers,
	    .limit = license->limit,
	    .since = license->since};

	MUST(grant_leaf(&grant, work->leaves[work->leaf_count++], NULL) == RH_OK);
}

static void one_license(struct request *request, struct work *work, size_t i,
    const uint8_t *from, const uint8_t to[KEY_SIZE], enum fake_mode mode)
{
	const struct request_license *asked = &work->message.licenses[i];
	struct license_document document = {.data = (const uint8_t *)asked->document,
	    .size = asked->document_size,
	    .format = "signed"};
	struct reply_license *license = &work->licenses[i];
	struct facts *facts = &work->facts[i];
	bool commit = work->message.path == MESSAGE_COMMIT;

	MUST(license_read(&document, take_facts, facts, NULL) == RH_OK);
	license->id = mode == FAKE_OTHER_LICENSE ? "another" : facts->id;
	license->issuer = facts->issuer;
	decide(request, facts->id, commit, license);
	if (license->result != MESSAGE_FREE && license->result != MESSAGE_GRANTED)
		return;
	if (!commit)
		return;
	add_leaf(request, work, i);
	if (asked->secret == NULL)
		return;
	MUST(from != NULL);
	reseal(facts, from, to, asked->secret, asked->secret_size, &work->secrets[i]);
	if (mode == FAKE_OTHER_SECRET)
		work->secrets[i][20] = work->secrets[i][20] == 'A' ? 'B' : 'A';
	license->secret = work->secrets[i];
}

static void check_words(struct request *request, const struct work *work)
{
	struct fake *fake = request->fake;
	char who[JOSE_THUMBPRINT_SIZE], release[JOSE_THUMBPRINT_SIZE];

	fake->claimed = work->message.claim != NULL;
	fake->owned = work->message.owner != NULL;
	if (fake->claimed)
		MUST(claim_check(work->message.claim, fake->name, request->computer, who,
			 NULL) == RH_OK);
	if (fake->owned)
		MUST(owner_check(work->message.owner, work->facts[0].service, who, release,
			 NULL) == RH_OK);
}

static void answer_restore(
    struct request *request, struct work *work, enum fake_mode mode, struct answer *answer)
{
	struct restore_request *message = &work->message;
	bool commit = message->path == MESSAGE_COMMIT;
	uint8_t to[KEY_SIZE];
	struct buffer from = {0};

	if (message->key != NULL)
		MUST(jose_open(request->key, message->key, strlen(message->key), &from, NULL) ==
			 RH_OK &&
		     from.size == KEY_SIZE);
	MUST(random_bytes(to, sizeof to, NULL) == RH_OK);
	request->fake->claimed = message->claim != NULL;
	for (size_t i = 0; i < message->license_count; i++)
		one_license(request, work, i, from.size > 0 ? from.data : NULL, to, mode);
	check_words(request, work);
	work->head = head(request);
	work->reply = (struct restore_reply){.licenses = work->licenses,
	    .license_count = message->license_count - (mode == FAKE_FEWER),
	    .head = work->head};
	if (commit && work->leaf_count > 0) {
		MUST(grants_sign(request->key, request->fake->name,
			 mode == FAKE_OTHER_GRANTS ? jose_key_thumbprint(request->key)
						   : request->computer,
			 clock_now(), (const uint8_t(*)[DIGEST_SIZE])work->leaves,
			 work->leaf_count, &work->grants, NULL) == RH_OK);
		MUST(jose_seal(request->jws.key, NULL, to, sizeof to, &work->key, NULL) ==
		     RH_OK);
		work->reply.grants = work->grants;
		work->reply.key = from.size > 0 ? work->key : NULL;
	}
	MUST(restore_reply_write(&work->reply, &answer->body, NULL) == RH_OK);
	buffer_free(&from);
}

static void restore(struct request *request, enum message_path path, struct answer *answer)
{
	struct fake *fake = request->fake;
	struct work *work = calloc(1, sizeof *work);
	enum fake_mode mode = fake->after > 0 ? FAKE_WORKS : fake->mode;
	rh_error error;

	MUST(work != NULL);
	fake->after -= fake->after > 0;
	fake->plans += path == MESSAGE_PLAN;
	fake->commits += path == MESSAGE_COMMIT;
	work->message.path = path;
	if (restore_request_read(&work->message, request->body, request->size, &error) !=
	    RH_OK) {
		fprintf(stderr, "fake service: %s\n", error.text);
		abort();
	}
	if (fake->commits == 1 && path == MESSAGE_COMMIT)
		fake->first = (unsigned)work->message.license_count;
	answer_restore(request, work, mode, answer);
	if (mode == FAKE_HALF)
		answer->cut = answer->body.size / 2;
	if (mode == FAKE_HANGS) {
		fake->hanging = true;
		sleep(60);
	}
	if (mode == FAKE_KILLS) {
		kill(fake->victim, SIGKILL);
		answer->cut = answer->body.size;
	}
	restore_request_free(&work->message);
	for (size_t i = 0; i < MESSAGE_LICENSES_MAX; i++)
		free(work->secrets[i]);
	free(work->key);
	free(work->grants);
	free(work->head);
	free(work);
}

/* ---- HTTP ---- */

static bool fails_first(const struct fake *fake, struct answer *answer)
{
	if (fake->after > 0)
		return false;
	if (fake->mode == FAKE_BUSY)
		problem(answer, 503, "unavailable", "It is closed.");
	else if (fake->mode == FAKE_REFUSES)
		problem(answer, 422, "key-invalid", "The key does not open.");
	else if (fake->mode == FAKE_ROLLED_BACK)
		problem(answer, 503, "ledger-rolled-back", "The ledger was put back.");
	else if (fake->mode == FAKE_RUBBISH)
		MUST(buffer_append_text(&answer->body, "<html>Welcome!", NULL) == RH_OK);
	else
		return false;
	return true;
}

static void dispatch(struct request *request, struct answer *answer)
{
	struct fake *fake = request->fake;
	struct proof proof;

	answer->status = 200;
	fake->requests++;
	if (strcmp(request->path, message_paths[MESSAGE_KEYS]) == 0) {
		keys_text(fake, request->key, &answer->body);
		return;
	}
	if (strcmp(request->path, message_paths[MESSAGE_NONCE]) == 0) {
		answer->status = 204;
		return;
	}
	MUST(proof_read(&request->jws, &proof, request->proof, strlen(request->proof),
		 request->body, request->size, NULL) == RH_OK);
	request->computer = jose_key_thumbprint(request->jws.key);
	if (strcmp(request->path, message_paths[MESSAGE_COMPUTERS]) == 0)
		individualize(request, answer);
	else if (!fails_first(fake, answer))
		restore(request,
		    strcmp(request->path, message_paths[MESSAGE_PLAN]) == 0 ? MESSAGE_PLAN
									    : MESSAGE_COMMIT,
		    answer);
	jws_free(&request->jws);
}

/* Reads one request; false if there is none. */
static bool receive(int fd, struct buffer *in, struct request *request)
{
	char *end = NULL, *field;
	size_t size = 0;

	buffer_clear(in);
	while (end == NULL || in->size < (size_t)(end + 4 - (char *)in->data) + size) {
		ptrdiff_t at = end != NULL ? end - (char *)in->data : -1;
		ssize_t got;

		MUST(in->size < REQUEST_MAX && buffer_reserve(in, 65536, NULL) == RH_OK);
		got = read(fd, in->data + in->size, 65535);
		if (got <= 0)
			return false;
		in->size += (size_t)got;
		in->data[in->size] = '\0';
		end = at >= 0 ? (char *)in->data + at : strstr((char *)in->data, "\r\n\r\n");
		if (at >= 0 || end == NULL)
			continue;
		field = strcasestr((char *)in->data, "\r\nContent-Length:");
		size = field != NULL && field < end ? strtoul(field + 17, NULL, 10) : 0;
		if (strcasestr((char *)in->data, "\r\nExpect:") != NULL)
			MUST(write(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25) == 25);
	}
	*end = '\0';
	request->path[0] = request->proof[0] = '\0';
	MUST(sscanf((char *)in->data, "%*s %63s", request->path) == 1);
	field = strcasestr((char *)in->data, "\r\nRehost-Proof:");
	if (field != NULL)
		MUST(sscanf(field + 15, " %4096[^\r]", request->proof) == 1);
	request->body = (uint8_t *)end + 4;
	request->size = size;
	return true;
}

static void respond(int fd, const struct answer *answer)
{
	struct buffer out = {0};
	char headers[512], date[64];
	time_t now = time(NULL);
	struct tm tm;
	size_t sent = 0, size = answer->body.size - answer->cut;

	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
	snprintf(headers, sizeof headers,
	    "HTTP/1.1 %d Answer\r\nDate: %s\r\nRehost-Nonce: nonce-%ld\r\nContent-Type: %s\r\n"
	    "Connection: close\r\n",
	    answer->status, date, random(),
	    answer->status >= 400 ? "application/problem+json" : "application/json");
	MUST(buffer_append_text(&out, headers, NULL) == RH_OK);
	if (answer->status != 204) {
		snprintf(headers, sizeof headers, "Content-Length: %zu\r\n", answer->body.size);
		MUST(buffer_append_text(&out, headers, NULL) == RH_OK);
	}
	MUST(buffer_append_text(&out, "\r\n", NULL) == RH_OK);
	MUST(buffer_append(&out, answer->body.data, size, NULL) == RH_OK);
	while (sent < out.size) {
		ssize_t put = send(fd, out.data + sent, out.size - sent, MSG_NOSIGNAL);

		if (put <= 0)
			break;
		sent += (size_t)put;
	}
	buffer_free(&out);
}

static void serve(struct fake *fake, int listener)
{
	struct jose_key *key;
	struct buffer in = {0};

	MUST(jose_key_private(secret_of_key, &key, NULL) == RH_OK);
	for (;;) {
		struct request request = {.fake = fake, .key = key};
		struct answer answer = {0};
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			continue;
		if (receive(fd, &in, &request)) {
			dispatch(&request, &answer);
			respond(fd, &answer);
		}
		buffer_free(&answer.body);
		close(fd);
	}
}

/* ---- The process ---- */

struct fake *fake_open(void)
{
	struct fake *fake =
	    mmap(NULL, sizeof *fake, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t parent = getpid(), child;

	MUST(fake != MAP_FAILED && listener >= 0);
	MUST(bind(listener, (struct sockaddr *)&address, size) == 0);
	MUST(listen(listener, 16) == 0);
	MUST(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
	snprintf(fake->address, sizeof fake->address, "http://127.0.0.1:%d",
	    ntohs(address.sin_port));
	fake_forget(fake);
	child = fork();
	MUST(child >= 0);
	if (child == 0) {
		/* It does not outlive the test. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			serve(fake, listener);
		_exit(1);
	}
	close(listener);
	fake->pid = child;
	return fake;
}

void fake_close(struct fake *fake)
{
	if (fake == NULL)
		return;
	kill(fake->pid, SIGKILL);
	waitpid(fake->pid, NULL, 0);
	munmap(fake, sizeof *fake);
}

void fake_forget(struct fake *fake)
{
	fake->mode = FAKE_WORKS;
	strcpy(fake->page, "https://licences.example/cases/one");
	fake->after = 0;
	fake->limited[0] = fake->refused[0] = '\0';
	fake->requests = fake->computers = fake->plans = fake->commits = 0;
	fake->claimed = fake->owned = fake->hanging = false;
	fake->first = 0;
	fake->count = 0;
	memcpy(fake->name, fake->address, sizeof fake->name);
}

void fake_keys(const struct fake *fake, const char *path)
{
	struct buffer text = {0};
	struct jose_key *key;
	FILE *file = fopen(path, "w");

	MUST(file != NULL && jose_key_private(secret_of_key, &key, NULL) == RH_OK);
	keys_text(fake, key, &text);
	MUST(fwrite(text.data, text.size, 1, file) == 1 && fclose(file) == 0);
	jose_key_free(key);
	buffer_free(&text);
}

unsigned fake_charged(const struct fake *fake)
{
	unsigned charged = 0;

	for (size_t i = 0; i < fake->count; i++)
		charged += fake->ledger[i].computers;
	return charged;
}
