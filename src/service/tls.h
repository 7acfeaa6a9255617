#ifndef SERVICE_TLS_H
#define SERVICE_TLS_H

#include <gnutls/abstract.h>

#include "base/error.h"

/*
 * Certificate and key in PEM files, which can be read anew while connections are made: those
 * that are under way keep theirs.  TLS 1.3 alone (RFC 8446).
 */
struct tls;

#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3"

/* RH_E_OPEN, RH_E_ACCESS; RH_E_ARGUMENT for files that do not belong together.  At most one at
 * a time: libmicrohttpd asks for certificates without saying for whom. */
int tls_open(const char *certificate, const char *key, struct tls **ret, rh_error *error);
/* Reads the files again; what was there stays if that fails. */
int tls_reload(struct tls *tls, rh_error *error);
void tls_close(struct tls *tls);

/* For MHD_OPTION_HTTPS_CERT_CALLBACK. */
gnutls_certificate_retrieve_function2 *tls_callback(const struct tls *tls);

#endif
