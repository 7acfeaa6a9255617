#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "service/http.h"
#include "service/issuers.h"
#include "service/keys.h"
#include "service/listen.h"
#include "service/log.h"
#include "service/metrics.h"
#include "service/nonces.h"
#include "service/rates.h"
#include "service/rehearse.h"
#include "service/serve.h"

#define BURST 4 /* seconds' worth of requests at once */
#define DATABASE_CONNECTIONS 16

struct serving {
	struct service service;
	struct listening listening;
	struct tls *tls;
	struct http *http;
	char url[LISTEN_TEXT + 16]; /* where it listens */
	char address[TEXT_SERVICE_MAX + 1];
};

/* ---- What it is told ---- */

static int check(const struct serve_setup *setup, rh_error *error)
{
	if (setup->data == NULL)
		return error_set(error, RH_E_ARGUMENT, "serve needs --data DIR");
	if ((setup->tls_certificate == NULL) != (setup->tls_key == NULL))
		return error_set(
		    error, RH_E_ARGUMENT, "--tls-certificate and --tls-key belong together");
	if (setup->address != NULL && !text_is_service(setup->address))
		return error_set(error, RH_E_ARGUMENT,
		    "no address of a service, as in https://licences.example/lms: %.200s",
		    setup->address);
	if (setup->address != NULL && !text_is_asked(setup->address))
		return error_set(error, RH_E_ARGUMENT,
		    "no computer asks a service on another one without encryption: give its "
		    "address of https, and TLS or --behind-proxy: %.200s",
		    setup->address);
	return RH_OK;
}

/*
 * What strangers reach is encrypted, and has a name.  An address of https without TLS is a
 * proxy's: who is not told would take everybody for one who sits at this computer.
 */
static int check_place(
    const struct serve_setup *setup, const struct listening *listening, rh_error *error)
{
	const bool open = setup->tls_certificate == NULL && setup->proxy_header == NULL;

	if (open && setup->address != NULL && strncmp(setup->address, "https://", 8) == 0)
		return error_set(error, RH_E_ARGUMENT,
		    "%s is an address of https: give --tls-certificate and --tls-key, or "
		    "--behind-proxy",
		    setup->address);
	if (listening->loopback)
		return RH_OK;
	if (open)
		return error_set(error, RH_E_ARGUMENT,
		    "%s is reached from other computers: give --tls-certificate and --tls-key, "
		    "or "
		    "--behind-proxy",
		    listening->name);
	if (setup->address == NULL)
		return error_set(error, RH_E_ARGUMENT,
		    "%s is reached from other computers: give --address, as licences name it",
		    listening->name);
	return RH_OK;
}

static void name_it(struct serving *serving, const struct serve_setup *setup)
{
	const char *host;

	snprintf(serving->url, sizeof serving->url, "%s://%s",
	    setup->tls_certificate == NULL ? "http" : "https", serving->listening.name);
	snprintf(serving->address, sizeof serving->address, "%s",
	    setup->address == NULL ? serving->url : setup->address);
	host = strstr(serving->address, "://") + 3;
	serving->service.address = serving->address;
	serving->service.path = host + strcspn(host, "/");
	serving->service.operator_name =
	    setup->operator_name == NULL ? "" : setup->operator_name;
	serving->service.privacy_contact =
	    setup->privacy_contact == NULL ? "" : setup->privacy_contact;
	serving->service.proxy_header = setup->proxy_header;
}

/* ---- What it stands on ---- */

static int open_database(
    const struct serve_setup *setup, struct database **ret, rh_error *error)
{
	char *address = NULL;
	int code;

	if (setup->database != NULL)
		return database_open(setup->database, DATABASE_CONNECTIONS, ret, error);
	if (asprintf(&address, "sqlite:%s/ledger.db", setup->data) < 0)
		return error_memory(error);
	code = database_open(address, DATABASE_CONNECTIONS, ret, error);
	free(address);
	return code;
}

static int make_nonces(struct service *service, rh_error *error)
{
	uint8_t key[KEY_SIZE];
	int code = service_keys_derive(service->keys, "nonces", key, error);

	if (code == RH_OK)
		code = nonces_new(key, &service->nonces, error);
	bytes_wipe(key, sizeof key);
	return code;
}

/* New keys are for a new ledger: what computers have is worth nothing without the old ones. */
static int open_keys(struct service *service, const char *directory, rh_error *error)
{
	struct ledger_counts counts = {0};
	struct ledger *ledger = NULL;
	int code = ledger_open(service->database, "", NULL, NULL, &ledger, error);

	if (code == RH_OK)
		code = ledger_counts(ledger, &counts, error);
	ledger_close(ledger);
	if (code != RH_OK)
		return code;
	return service_keys_open(directory, service->address,
	    counts.entries == 0 && counts.computers == 0, clock_now(), &service->keys, error);
}

static int open_service(
    struct service *service, const struct serve_setup *setup, rh_error *error)
{
	int code = file_make_directories(setup->data, 0700, error);

	if (code == RH_OK && setup->rehearse != NULL)
		code = rehearsal_read(setup->rehearse, setup->data, &service->rehearsal, error);
	if (code == RH_OK)
		code = open_database(setup, &service->database, error);
	if (code == RH_OK)
		code = open_keys(service, setup->data, error);
	if (code == RH_OK)
		code = ledger_open(service->database, service->address,
		    service_keys_signing(service->keys), service_keys_set(service->keys),
		    &service->ledger, error);
	if (code == RH_OK)
		code = issuers_new(service->ledger, &service->issuers, error);
	if (code == RH_OK)
		code = log_new(STDERR_FILENO, &service->log, error);
	if (code == RH_OK)
		code = metrics_new(routes, &service->metrics, error);
	if (code == RH_OK)
		code = rates_new(setup->rate, BURST * setup->rate, &service->rates, error);
	if (code == RH_OK)
		code = make_nonces(service, error);
	return code;
}

static void close_service(struct service *service)
{
	nonces_free(service->nonces);
	rates_free(service->rates);
	metrics_free(service->metrics);
	log_free(service->log);
	issuers_free(service->issuers);
	ledger_close(service->ledger);
	database_close(service->database);
	service_keys_close(service->keys);
	rehearsal_free(service->rehearsal);
}

/* ---- Running ---- */

/* Tells systemd (sd_notify(3)), if it started us. */
static void notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const size_t length = path == NULL ? 0 : strlen(path);
	int fd;

	if (length < 2 || length >= sizeof address.sun_path || (*path != '/' && *path != '@'))
		return;
	memcpy(address.sun_path, path, length);
	if (*path == '@')
		address.sun_path[0] = '\0'; /* an abstract name */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
	close(fd);
}

static void reload(struct serving *serving)
{
	struct log *log = serving->service.log;
	rh_error error;

	if (serving->tls == NULL)
		return;
	if (tls_reload(serving->tls, &error) == RH_OK)
		log_line(log, LOG_LEVEL_INFO, "certificate-read", NULL);
	else
		log_line(log, LOG_LEVEL_ERROR, "certificate-refused", "text", error.text, NULL);
}

static void wait_for_stop(struct serving *serving, const sigset_t *signals)
{
	int number = 0;

	while (number != SIGTERM && number != SIGINT) {
		number = sigwaitinfo(signals, NULL);
		if (number == SIGHUP)
			reload(serving);
	}
}

/* Who asks a second time does not wait. */
static void let_signals_kill(const sigset_t *signals)
{
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	pthread_sigmask(SIG_UNBLOCK, signals, NULL);
}

static int start_http(struct serving *serving, const struct serve_setup *setup, rh_error *error)
{
	const struct http_setup http = {.service = &serving->service,
	    .fd = serving->listening.fd,
	    .tls = serving->tls,
	    .connections = setup->connections,
	    .per_address = setup->per_address,
	    .timeout = setup->timeout};

	serving->listening.fd = -1;
	return http_start(&http, &serving->http, error);
}

static int run(struct serving *serving, const struct serve_setup *setup,
    void (*started)(const char *url, const char *address), rh_error *error)
{
	struct log *log = serving->service.log;
	sigset_t signals;
	int code;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	/* Before there are threads, which inherit it. */
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	code = start_http(serving, setup, error);
	if (code != RH_OK)
		return code;
	log_line(log, LOG_LEVEL_INFO, "started", "listens", serving->url, "address",
	    serving->address, "database", database_kind(serving->service.database), "version",
	    REHOST_VERSION, NULL);
	started(serving->url, serving->address);
	notify("READY=1");
	wait_for_stop(serving, &signals);
	notify("STOPPING=1");
	serving->service.stopping = true;
	log_line(log, LOG_LEVEL_INFO, "stopping", NULL);
	let_signals_kill(&signals);
	if (!http_stop(serving->http, SERVE_STOP_SECONDS)) {
		/* Nothing is half done: what the ledger did not commit never was. */
		log_line(log, LOG_LEVEL_WARNING, "stopped", "text",
		    "some requests were not answered in time", NULL);
		_exit(EXIT_SUCCESS);
	}
	log_line(log, LOG_LEVEL_INFO, "stopped", NULL);
	return RH_OK;
}

int serve(const struct serve_setup *setup,
    void (*started)(const char *url, const char *address), rh_error *error)
{
	struct serving serving = {.listening = {.fd = -1}};
	int code = check(setup, error);

	/* Memory that is not needed goes back, whichever thread frees it. */
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	mallopt(M_TRIM_THRESHOLD, 256 * 1024);
	if (code == RH_OK)
		code = listen_at(setup->listen, &serving.listening, error);
	if (code == RH_OK)
		code = check_place(setup, &serving.listening, error);
	if (code == RH_OK && setup->tls_certificate != NULL)
		code = tls_open(setup->tls_certificate, setup->tls_key, &serving.tls, error);
	if (code == RH_OK) {
		name_it(&serving, setup);
		code = open_service(&serving.service, setup, error);
	}
	if (code == RH_OK)
		code = run(&serving, setup, started, error);
	close_service(&serving.service);
	tls_close(serving.tls);
	if (serving.listening.fd >= 0)
		close(serving.listening.fd);
	return code;
}
