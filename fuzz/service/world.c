#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "service/issuers.h"
#include "service/keys.h"
#include "service/log.h"
#include "service/nonces.h"
#include "world.h"

/* What corpora are signed by and sealed for. */
static const char service_keys[] =
    "{\"keys\":["
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"sig\",\"iat\":1,"
    "\"x\":\"fPJ7GI0DT36KUjgDBLUaw8CJaeJ38hs1pgtI_EdmmXg\",\"y\":"
    "\"B3dVENuO0EApPZrGn3Qw27p9reY86YIpngS3nSJ4c9E\",\"d\":"
    "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI\"},"
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"enc\",\"iat\":1,"
    "\"x\":\"Xsvk0aYzCkTI9--VHUvxZebGtyHvramF-0FmG8bn_Ww\",\"y\":\"hzRkDEmY_"
    "343SwbOGmSi7NgqsDY4T7g9mnmxJ6J9UDI\",\"d\":"
    "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAM\"}]}";
static const char issuer_keys[] =
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"sig\",\"kid\":\"2026-01\",\"x\":"
    "\"UVkLelFRQNLXhMhWCGaP3--Mgv0fW-UkIVVKDcPQM-0\",\"y\":"
    "\"4MF9qJBKcn2K4b82v4p5Jg0BLwDU2AiI0dC7RP2hbaQ\"}";

static struct service service = {
    .address = WORLD_ADDRESS, .path = "/lms", .operator_name = "", .privacy_contact = ""};
static char directory[64], database[128];

static void must(int code)
{
	if (code != RH_OK)
		abort();
}

static void leave(void)
{
	static const char *const files[] = {
	    SERVICE_KEYS_FILE, "ledger.db", "ledger.db-wal", "ledger.db-shm"};
	char path[128];

	issuers_free(service.issuers);
	ledger_close(service.ledger);
	database_close(service.database);
	nonces_free(service.nonces);
	log_free(service.log);
	service_keys_close(service.keys);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "%s/%s", directory, files[i]);
		unlink(path);
	}
	rmdir(directory);
}

static void open_all(void)
{
	const struct ledger_issuer issuer = {
	    .name = "Example Songs", .title = "", .contact = "", .keys = issuer_keys};
	const uint8_t nonces[KEY_SIZE] = {1};

	/* In memory where there is such a place: durable writes are not what is tested. */
	strcpy(directory, access("/dev/shm", W_OK) == 0 ? "/dev/shm/rehost-fuzz-XXXXXX"
							: "/tmp/rehost-fuzz-XXXXXX");
	if (mkdtemp(directory) == NULL)
		abort();
	atexit(leave);
	snprintf(database, sizeof database, "%s/%s", directory, SERVICE_KEYS_FILE);
	must(file_replace(
	    AT_FDCWD, database, 0600, service_keys, strlen(service_keys), database, NULL));
	snprintf(database, sizeof database, "sqlite:%s/ledger.db", directory);
	must(service_keys_open(directory, WORLD_ADDRESS, false, 1, &service.keys, NULL));
	must(database_open(database, 2, &service.database, NULL));
	must(ledger_open(service.database, WORLD_ADDRESS, service_keys_signing(service.keys),
	    service_keys_set(service.keys), &service.ledger, NULL));
	must(ledger_issuer_put(service.ledger, 1, "local:fuzz", &issuer, NULL));
	must(issuers_new(service.ledger, &service.issuers, NULL));
	must(nonces_new(nonces, &service.nonces, NULL));
	must(log_new(-1, &service.log, NULL));
}

struct service *world_service(void)
{
	if (service.keys == NULL)
		open_all();
	return &service;
}
