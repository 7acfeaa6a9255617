#include <string.h>

#include "authority/statement.h"

#define RELEASE_INFO "rehost release key 1"

/* ---- Who the licences were issued to ---- */

int claim_sign(const struct jose_key *license_key, const char *service, const char *computer,
    char **ret, rh_error *error)
{
	return statement_sign(license_key, TYPE_CLAIM, false,
	    json_pack("{s:s,s:s}", "aud", service, "sub", computer), ret, error);
}

int claim_check(const char *text, const char *service, const char *computer,
    char ret_license_key[JOSE_THUMBPRINT_SIZE], rh_error *error)
{
	struct jws jws = {0};
	int code = statement_of_key(&jws, text, strlen(text), TYPE_CLAIM, error);

	if (code == RH_OK)
		code = statement_text(&jws, "aud", service, error);
	if (code == RH_OK)
		code = statement_text(&jws, "sub", computer, error);
	if (code == RH_OK)
		memcpy(ret_license_key, jose_key_thumbprint(jws.key), JOSE_THUMBPRINT_SIZE);
	jws_free(&jws);
	return code;
}

int owner_sign(const struct jose_key *license_key, const char *service, const char *release,
    char **ret, rh_error *error)
{
	return statement_sign(license_key, TYPE_OWNER, false,
	    json_pack("{s:s,s:s}", "aud", service, "release", release), ret, error);
}

int owner_check(const char *text, const char *service,
    char ret_license_key[JOSE_THUMBPRINT_SIZE], char ret_release[JOSE_THUMBPRINT_SIZE],
    rh_error *error)
{
	struct jws jws = {0};
	int code = statement_of_key(&jws, text, strlen(text), TYPE_OWNER, error);

	if (code == RH_OK)
		code = statement_text(&jws, "aud", service, error);
	if (code == RH_OK)
		code = statement_thumbprint(&jws, "release", ret_release, error);
	if (code == RH_OK)
		memcpy(ret_license_key, jose_key_thumbprint(jws.key), JOSE_THUMBPRINT_SIZE);
	jws_free(&jws);
	return code;
}

/* ---- The owner's release key ---- */

/* The key that one value of the counter, the last byte of ${info}, gives. */
static int derive(const uint8_t recovery[KEY_SIZE], const struct buffer *info,
    struct jose_key **ret, rh_error *error)
{
	uint8_t secret[KEY_SIZE];
	int code = hkdf_sha256_bytes(
	    secret, sizeof secret, recovery, KEY_SIZE, NULL, 0, info->data, info->size, error);

	if (code == RH_OK)
		code = jose_key_private(secret, ret, error);
	bytes_wipe(secret, sizeof secret);
	return code;
}

int release_key(const uint8_t recovery[KEY_SIZE], const char *service, struct jose_key **ret,
    rh_error *error)
{
	struct buffer info = {0};
	int code = buffer_append(&info, RELEASE_INFO, sizeof RELEASE_INFO, error);

	if (code == RH_OK)
		code = buffer_append(&info, service, strlen(service) + 1, error);
	if (code == RH_OK)
		code = buffer_append(&info, "", 1, error);
	if (code == RH_OK)
		do
			code = derive(recovery, &info, ret, error);
		while (code == RH_E_ARGUMENT && ++info.data[info.size - 1] != 0);
	buffer_free(&info);
	return code;
}

/* ---- The release of a computer ---- */

int release_sign(const struct jose_key *release_key, const char *service, const char *computer,
    const char *nonce, char **ret, rh_error *error)
{
	return statement_sign(release_key, TYPE_RELEASE, false,
	    json_pack("{s:s,s:s,s:s}", "aud", service, "computer", computer, "nonce", nonce),
	    ret, error);
}

int release_check(const char *text, const char *service, const char *computer,
    const char *nonce, char ret_release[JOSE_THUMBPRINT_SIZE], rh_error *error)
{
	struct jws jws = {0};
	int code = statement_of_key(&jws, text, strlen(text), TYPE_RELEASE, error);

	if (code == RH_OK)
		code = statement_text(&jws, "aud", service, error);
	if (code == RH_OK)
		code = statement_text(&jws, "computer", computer, error);
	if (code == RH_OK)
		code = statement_text(&jws, "nonce", nonce, error);
	if (code == RH_OK)
		memcpy(ret_release, jose_key_thumbprint(jws.key), JOSE_THUMBPRINT_SIZE);
	jws_free(&jws);
	return code;
}
