#ifndef SERVICE_SERVE_H
#define SERVICE_SERVE_H

#include "service/service.h"

/* What `rehostd serve` is told; texts are the caller's, NULL where nothing was said. */
struct serve_setup {
	const char *data; /* directory; made if it is missing */
	const char *database; /* NULL: SQLite in the directory */
	const char *address; /* NULL: where it listens */
	const char *listen; /* HOST:PORT */
	const char *tls_certificate;
	const char *tls_key;
	const char *operator_name;
	const char *privacy_contact;
	const char *rehearse; /* a script: rehearse.h */
	const char *proxy_header; /* in which a proxy tells addresses; NULL: no proxy */
	unsigned connections;
	unsigned per_address; /* 0: as many as there may be */
	unsigned timeout; /* seconds: http.h */
	unsigned rate; /* requests a second and client; 0: any number */
};

#define SERVE_STOP_SECONDS 20

/*
 * Serves until SIGTERM or SIGINT, then answers what was accepted for at most
 * SERVE_STOP_SECONDS. SIGHUP reads the TLS files again.  ${started} is called once, when it
 * listens.  RH_E_ARGUMENT for a setup without meaning.
 */
int serve(const struct serve_setup *setup,
    void (*started)(const char *url, const char *address), rh_error *error);

#endif
