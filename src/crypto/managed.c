#include <string.h>

#include "crypto/managed.h"

/* "rehost managed secret 1", the service's address and the licence's id, a NUL between them. */
static const char purpose[] = "rehost managed secret 1";

struct binding {
	struct buffer text;
	struct sealer *sealer;
};

static void binding_free(struct binding *binding)
{
	sealer_free(binding->sealer);
	buffer_free(&binding->text);
}

/* What the key is derived with, and behind the purpose what the secret is bound to. */
static int binding_make(struct binding *binding, const uint8_t batch_key[KEY_SIZE],
    const char *service, const char *id, rh_error *error)
{
	uint8_t key[KEY_SIZE];
	int code = buffer_append(&binding->text, purpose, sizeof purpose, error);

	if (code == RH_OK)
		code = buffer_append(&binding->text, service, strlen(service) + 1, error);
	if (code == RH_OK)
		code = buffer_append(&binding->text, id, strlen(id), error);
	if (code == RH_OK)
		code = hkdf_sha256_bytes(key, sizeof key, batch_key, KEY_SIZE, NULL, 0,
		    binding->text.data, binding->text.size, error);
	if (code == RH_OK)
		code = sealer_new(key, &binding->sealer, error);
	bytes_wipe(key, sizeof key);
	return code;
}

static const uint8_t *associated(const struct binding *binding, size_t *ret_size)
{
	*ret_size = binding->text.size - sizeof purpose;
	return binding->text.data + sizeof purpose;
}

int managed_seal(const uint8_t batch_key[KEY_SIZE], const char *service, const char *id,
    const void *secret, size_t size, struct buffer *ret, rh_error *error)
{
	struct binding binding = {{0}, NULL};
	const uint8_t *bound;
	size_t bound_size;
	int code;

	if (size > MANAGED_SECRET_MAX - SEAL_OVERHEAD)
		return error_set(
		    error, RH_E_LICENSE_TOO_BIG, "licence %s has too long a secret", id);
	code = binding_make(&binding, batch_key, service, id, error);
	if (code == RH_OK)
		code = buffer_reserve(ret, size + SEAL_OVERHEAD, error);
	if (code == RH_OK) {
		bound = associated(&binding, &bound_size);
		code = sealer_seal(binding.sealer, bound, bound_size, secret, size,
		    ret->data + ret->size, error);
	}
	if (code == RH_OK)
		ret->size += size + SEAL_OVERHEAD;
	binding_free(&binding);
	return code;
}

int managed_open(const uint8_t batch_key[KEY_SIZE], const char *service, const char *id,
    const void *sealed, size_t size, struct buffer *ret, rh_error *error)
{
	struct binding binding = {{0}, NULL};
	const uint8_t *bound;
	size_t bound_size;
	rh_error why;
	int code;

	if (size < SEAL_OVERHEAD || size > MANAGED_SECRET_MAX)
		return error_set(
		    error, RH_E_LICENSE_DAMAGED, "the sealed secret of %s has no size", id);
	code = binding_make(&binding, batch_key, service, id, error);
	if (code == RH_OK)
		code = buffer_reserve(ret, size - SEAL_OVERHEAD + 1, error);
	if (code == RH_OK) {
		bound = associated(&binding, &bound_size);
		code = sealer_open(binding.sealer, bound, bound_size, sealed, size,
		    ret->data + ret->size, &why);
		if (code == RH_E_STORE_DAMAGED)
			code = error_set(error, RH_E_LICENSE_DAMAGED,
			    "the sealed secret of %s does not open with this key", id);
		else if (code != RH_OK && error != NULL)
			*error = why;
	}
	if (code == RH_OK)
		ret->size += size - SEAL_OVERHEAD;
	binding_free(&binding);
	return code;
}
