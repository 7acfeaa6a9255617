#include <string.h>
#include <strings.h>

#include "base/text.h"

#include "authority/address.h"

void address_free(struct address *address)
{
	curl_free(address->host);
	curl_url_cleanup(address->url);
	*address = (struct address){0};
}

static bool has(const struct address *address, CURLUPart part)
{
	char *text = NULL;
	bool there = curl_url_get(address->url, part, &text, 0) == CURLUE_OK;

	curl_free(text);
	return there;
}

int address_read(struct address *ret, const char *text, rh_error *error)
{
	struct address address = {.url = curl_url()};
	char *scheme = NULL;
	CURLUcode result = CURLUE_OUT_OF_MEMORY;
	int code = RH_OK;

	if (address.url != NULL)
		result =
		    curl_url_set(address.url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
	if (result == CURLUE_OK)
		result = curl_url_get(address.url, CURLUPART_SCHEME, &scheme, 0);
	if (result == CURLUE_OK)
		result = curl_url_get(address.url, CURLUPART_HOST, &address.host, 0);
	if (result == CURLUE_OUT_OF_MEMORY) {
		code = error_memory(error);
	} else if (result != CURLUE_OK || !utf8_valid(address.host, strlen(address.host))) {
		code = error_set(error, RH_E_NETWORK, "this is no address that can be fetched");
	} else if (has(&address, CURLUPART_USER) || has(&address, CURLUPART_PASSWORD)) {
		code = error_set(error, RH_E_NETWORK,
		    "the address at %.200s holds a user name or a password, which none may",
		    address.host);
	} else {
		address.secure = strcasecmp(scheme, "https") == 0;
		address.here = text_is_loopback(address.host);
		if (!address.secure && (strcasecmp(scheme, "http") != 0 || !address.here))
			code = error_set(error, RH_E_NETWORK,
			    "the address at %.200s is not an https one", address.host);
	}
	curl_free(scheme);
	if (code == RH_OK)
		*ret = address;
	else
		address_free(&address);
	return code;
}
