#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "service/keys.h"
#include "service/nonces.h"
#include "service/rates.h"
#include "service/guard.h"

/* ---- Statements ---- */

/* What a check failed with: a refusal, or a failure of this computer. */
static int verdict(int code, enum problem problem, const rh_error *why,
    enum problem *ret_problem, rh_error *error)
{
	*ret_problem = PROBLEM_NONE;
	if (code == RH_OK)
		return RH_OK;
	if (code == RH_E_LICENSE_INVALID || code == RH_E_LICENSE_SIGNATURE ||
	    code == RH_E_LICENSE_ISSUER) {
		*ret_problem = problem;
		return RH_OK;
	}
	if (error != NULL)
		*error = *why;
	return code;
}

int guard_claim(const struct service *service, const char *text, const char *computer,
    char ret_license_key[JOSE_THUMBPRINT_SIZE], enum problem *ret_problem, rh_error *error)
{
	int code = RH_OK;
	rh_error why;

	ret_license_key[0] = '\0';
	if (text != NULL)
		code = claim_check(text, service->address, computer, ret_license_key, &why);
	return verdict(code, PROBLEM_CLAIM, &why, ret_problem, error);
}

int guard_owner(const struct service *service, const char *text,
    char ret_license_key[JOSE_THUMBPRINT_SIZE], char ret_release[JOSE_THUMBPRINT_SIZE],
    enum problem *ret_problem, rh_error *error)
{
	int code = RH_OK;
	rh_error why;

	ret_license_key[0] = ret_release[0] = '\0';
	if (text != NULL)
		code = owner_check(text, service->address, ret_license_key, ret_release, &why);
	return verdict(code, PROBLEM_CLAIM, &why, ret_problem, error);
}

int guard_head(const struct service *service, const char *text, struct head *ret,
    bool *ret_there, enum problem *ret_problem, rh_error *error)
{
	int code = RH_OK;
	rh_error why;

	*ret_there = text != NULL;
	if (text != NULL)
		code = head_check(
		    text, service_keys_set(service->keys), service->address, ret, &why);
	return verdict(code, PROBLEM_MALFORMED, &why, ret_problem, error);
}

int guard_release(const struct service *service, const char *text, const char *computer,
    const char *nonce, char ret_release[JOSE_THUMBPRINT_SIZE], enum problem *ret_problem,
    rh_error *error)
{
	rh_error why;
	int code = release_check(text, service->address, computer, nonce, ret_release, &why);

	return verdict(code, PROBLEM_RELEASE_PROOF, &why, ret_problem, error);
}

/* ---- The proof ---- */

static enum problem proof_problem(int code)
{
	switch (code) {
	case RH_E_LICENSE_INVALID:
		return PROBLEM_PROOF_MALFORMED;
	case RH_E_LICENSE_DAMAGED:
		return PROBLEM_PROOF_BODY;
	case RH_E_LICENSE_SIGNATURE:
		return PROBLEM_PROOF_SIGNATURE;
	default:
		return PROBLEM_NONE;
	}
}

/* Whether ${text} is the service's address and the path of the resource behind it. */
static bool is_resource(
    const struct service *service, const struct request *request, const char *text)
{
	const size_t length = strlen(service->address);

	return strncmp(text, service->address, length) == 0 &&
	       strcmp(text + length, request->path) == 0;
}

static enum problem check_nonce(struct service *service, const char *nonce, int64_t now)
{
	switch (nonces_use(service->nonces, now, nonce)) {
	case NONCE_GOOD:
		return PROBLEM_NONE;
	case NONCE_USED:
		return PROBLEM_NONCE_USED;
	case NONCE_FULL:
		return PROBLEM_BUSY;
	case NONCE_UNKNOWN:
	default:
		return PROBLEM_NONCE_UNKNOWN;
	}
}

static int check_certificate(const struct service *service, const struct guard *guard,
    enum problem *ret_problem, rh_error *error)
{
	const char *text = guard->proof.certificate;
	rh_error why;
	int code;

	if (text == NULL) {
		*ret_problem = PROBLEM_CERTIFICATE_MISSING;
		return RH_OK;
	}
	code = certificate_check(
	    text, service_keys_set(service->keys), service->address, guard->computer, &why);
	return verdict(code, PROBLEM_CERTIFICATE_INVALID, &why, ret_problem, error);
}

/* What is in a proof whose signature is right. */
static int check_proof(struct service *service, const struct request *request, bool certified,
    const struct guard *guard, enum problem *ret_problem, rh_error *error)
{
	const struct proof *proof = &guard->proof;
	int64_t now = service_now(service);

	if (strcmp(proof->method, request->method) != 0 ||
	    !is_resource(service, request, proof->address))
		*ret_problem = PROBLEM_PROOF_AUDIENCE;
	else if (proof->time < now - GUARD_CLOCKS || proof->time > now + GUARD_CLOCKS)
		*ret_problem = PROBLEM_PROOF_STALE;
	else
		*ret_problem = check_nonce(service, proof->nonce, now);
	if (*ret_problem != PROBLEM_NONE || !certified)
		return RH_OK;
	return check_certificate(service, guard, ret_problem, error);
}

/* Last, so that nobody uses up what is another's. */
static bool comes_too_often(
    struct service *service, const struct guard *guard, struct reply *reply)
{
	unsigned seconds;

	if (service->rates == NULL || rates_take(service->rates, RATE_COMPUTER, guard->computer,
					  clock_monotonic(), &seconds))
		return false;
	snprintf(reply->retry_after, sizeof reply->retry_after, "%u", seconds);
	return true;
}

bool guard_request(struct service *service, const struct request *request, bool certified,
    struct guard *ret, struct reply *reply)
{
	const char *text = request_header(request, "Rehost-Proof");
	enum problem problem = PROBLEM_PROOF_MISSING;
	struct guard guard = {0};
	int code = RH_OK;
	rh_error error;

	if (text != NULL) {
		code = proof_read(&guard.jws, &guard.proof, text, strlen(text), request->body,
		    request->body_size, &error);
		problem = proof_problem(code);
		if (problem != PROBLEM_NONE)
			code = RH_OK;
	}
	if (code == RH_OK && problem == PROBLEM_NONE) {
		guard.key = guard.jws.key;
		guard.computer = jose_key_thumbprint(guard.key);
		strcpy(reply->computer, guard.computer);
		code = check_proof(service, request, certified, &guard, &problem, &error);
	}
	if (code == RH_OK && problem == PROBLEM_NONE && comes_too_often(service, &guard, reply))
		problem = PROBLEM_TOO_MANY;
	if (code == RH_OK && problem == PROBLEM_NONE) {
		*ret = guard;
		return true;
	}
	if (code != RH_OK)
		reply_failure(service, reply, request, &error);
	else
		reply_problem(reply, request, problem, NULL);
	guard_free(&guard);
	return false;
}

void guard_free(struct guard *guard)
{
	jws_free(&guard->jws);
	*guard = (struct guard){0};
}
