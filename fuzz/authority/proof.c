#include "statement.h"

static int check(const char *text)
{
	struct jws jws = {0};
	struct proof proof;
	int code = proof_read(&jws, &proof, text, strlen(text), "", 0, NULL);

	if (code == RH_OK &&
	    (jws.key == NULL || proof.method[0] == '\0' || proof.address[0] == '\0' ||
		proof.time < 0 || strlen(proof.nonce) > MESSAGE_NONCE_MAX))
		abort();
	jws_free(&jws);
	return code == RH_E_LICENSE_DAMAGED ? RH_OK : code;
}

FUZZ_STATEMENT(TYPE_PROOF, false, check)
