#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "service/tls.h"

#define FILE_MAX (256 * 1024)
#define CHAIN_MAX 16

/* A certificate with its chain; never changes, and lives as long as the service. */
struct pair {
	struct pair *before;
	gnutls_pcert_st chain[CHAIN_MAX];
	unsigned length;
	gnutls_privkey_t key;
};

struct tls {
	char *certificate;
	char *key;
	struct pair *newest;
};

/* libmicrohttpd gives the callback no context. */
static _Atomic(struct pair *) current;

static int failed(int result, const char *path, rh_error *error)
{
	if (result == GNUTLS_E_MEMORY_ERROR)
		return error_memory(error);
	return error_set(error, RH_E_ARGUMENT, "%s: %s", path, gnutls_strerror(result));
}

static void pair_free(struct pair *pair)
{
	if (pair == NULL)
		return;
	for (unsigned i = 0; i < pair->length; i++)
		gnutls_pcert_deinit(&pair->chain[i]);
	if (pair->key != NULL)
		gnutls_privkey_deinit(pair->key);
	free(pair);
}

/* Reads the chain; ${ret_id} is what its key must have too. */
static int read_chain(struct pair *pair, const char *path, uint8_t *ret_id, rh_error *error)
{
	gnutls_x509_crt_t *list = NULL;
	struct buffer text = {0};
	unsigned count = 0, length = CHAIN_MAX;
	size_t id_size = 32;
	int code, result;

	code = file_read_whole(AT_FDCWD, path, FILE_MAX, &text, path, error);
	if (code != RH_OK)
		return code;
	result = gnutls_x509_crt_list_import2(&list, &count,
	    &(gnutls_datum_t){text.data, (unsigned)text.size}, GNUTLS_X509_FMT_PEM,
	    GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
	buffer_free(&text);
	if (result < 0)
		return failed(result, path, error);
	if (count > CHAIN_MAX)
		result = GNUTLS_E_SHORT_MEMORY_BUFFER;
	length = count;
	if (result >= 0)
		result = gnutls_x509_crt_get_key_id(
		    list[0], GNUTLS_KEYID_USE_SHA256, ret_id, &id_size);
	if (result >= 0)
		result = gnutls_pcert_import_x509_list(pair->chain, list, &length, 0);
	if (result >= 0)
		pair->length = length;
	for (unsigned i = 0; i < count; i++)
		gnutls_x509_crt_deinit(list[i]);
	gnutls_free(list);
	return result >= 0 ? RH_OK : failed(result, path, error);
}

static int read_key(struct pair *pair, const char *path, uint8_t *ret_id, rh_error *error)
{
	struct buffer text = {0};
	gnutls_pubkey_t public = NULL;
	size_t id_size = 32;
	int code, result;

	code = file_read_whole(AT_FDCWD, path, FILE_MAX, &text, path, error);
	if (code != RH_OK) {
		buffer_free_secret(&text);
		return code;
	}
	result = gnutls_privkey_init(&pair->key);
	if (result >= 0)
		result = gnutls_privkey_import_x509_raw(pair->key,
		    &(gnutls_datum_t){text.data, (unsigned)text.size}, GNUTLS_X509_FMT_PEM,
		    NULL, 0);
	buffer_free_secret(&text);
	if (result >= 0)
		result = gnutls_pubkey_init(&public);
	if (result >= 0)
		result = gnutls_pubkey_import_privkey(public, pair->key, 0, 0);
	if (result >= 0)
		result =
		    gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, ret_id, &id_size);
	if (public != NULL)
		gnutls_pubkey_deinit(public);
	return result >= 0 ? RH_OK : failed(result, path, error);
}

int tls_reload(struct tls *tls, rh_error *error)
{
	struct pair *pair = calloc(1, sizeof *pair);
	uint8_t certified[32], held[32];
	int code;

	if (pair == NULL)
		return error_memory(error);
	code = read_chain(pair, tls->certificate, certified, error);
	if (code == RH_OK)
		code = read_key(pair, tls->key, held, error);
	if (code == RH_OK && !bytes_equal(certified, held, sizeof held))
		code = error_set(error, RH_E_ARGUMENT, "%s is not the key of %s", tls->key,
		    tls->certificate);
	if (code != RH_OK) {
		pair_free(pair);
		return code;
	}
	pair->before = tls->newest;
	tls->newest = pair;
	atomic_store(&current, pair);
	return RH_OK;
}

int tls_open(const char *certificate, const char *key, struct tls **ret, rh_error *error)
{
	struct tls *tls = calloc(1, sizeof *tls);
	int code = RH_OK;

	if (tls == NULL)
		return error_memory(error);
	tls->certificate = strdup(certificate);
	tls->key = strdup(key);
	if (tls->certificate == NULL || tls->key == NULL)
		code = error_memory(error);
	if (code == RH_OK)
		code = tls_reload(tls, error);
	if (code != RH_OK) {
		tls_close(tls);
		return code;
	}
	*ret = tls;
	return RH_OK;
}

void tls_close(struct tls *tls)
{
	struct pair *pair;

	if (tls == NULL)
		return;
	atomic_store(&current, NULL);
	while ((pair = tls->newest) != NULL) {
		tls->newest = pair->before;
		pair_free(pair);
	}
	free(tls->certificate);
	free(tls->key);
	free(tls);
}

static int retrieve(gnutls_session_t session, const gnutls_datum_t *authorities, int count,
    const gnutls_pk_algorithm_t *algorithms, int algorithm_count, gnutls_pcert_st **ret_chain,
    unsigned *ret_length, gnutls_privkey_t *ret_key)
{
	struct pair *pair = atomic_load(&current);

	(void)session;
	(void)authorities;
	(void)count;
	(void)algorithms;
	(void)algorithm_count;
	if (pair == NULL)
		return -1;
	*ret_chain = pair->chain;
	*ret_length = pair->length;
	*ret_key = pair->key;
	return 0;
}

gnutls_certificate_retrieve_function2 *tls_callback(const struct tls *tls)
{
	(void)tls;
	return retrieve;
}
