#include <string.h>

#include "base/bytes.h"
#include "crypto/bech32.h"

#define DATA_LENGTH 52
#define CHECK_LENGTH 6

static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/* BIP 173, "Checksum": one step of the BCH code over GF(32). */
static uint32_t polymod(uint32_t state, unsigned value)
{
	static const uint32_t generator[] = {
	    0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
	uint32_t top = state >> 25;

	state = (state & 0x1ffffff) << 5 ^ value;
	for (unsigned i = 0; i < 5; i++)
		if (top >> i & 1)
			state ^= generator[i];
	return state;
}

static uint32_t polymod_prefix(const char *prefix)
{
	uint32_t state = 1;

	for (const char *p = prefix; *p != '\0'; p++)
		state = polymod(state, (unsigned char)*p >> 5);
	state = polymod(state, 0);
	for (const char *p = prefix; *p != '\0'; p++)
		state = polymod(state, (unsigned char)*p & 31);
	return state;
}

static char to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static char to_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

void bech32_encode(
    char *text, const char *prefix, const uint8_t data[BECH32_DATA_SIZE], bool upper)
{
	uint32_t state = polymod_prefix(prefix);
	size_t prefix_length = strlen(prefix);
	char *p = text + prefix_length;

	memcpy(text, prefix, prefix_length);
	*p++ = '1';
	for (unsigned i = 0; i < DATA_LENGTH; i++) {
		unsigned byte = i * 5 / 8, bit = i * 5 % 8;
		unsigned two = (unsigned)data[byte] << 8;

		if (byte + 1 < BECH32_DATA_SIZE)
			two |= data[byte + 1];
		unsigned value = two >> (11 - bit) & 31;
		state = polymod(state, value);
		*p++ = alphabet[value];
	}
	for (unsigned i = 0; i < CHECK_LENGTH; i++)
		state = polymod(state, 0);
	state ^= 1;
	for (unsigned i = 0; i < CHECK_LENGTH; i++)
		*p++ = alphabet[state >> 5 * (CHECK_LENGTH - 1 - i) & 31];
	*p = '\0';
	for (p = text; upper && *p != '\0'; p++)
		*p = to_upper(*p);
}

/* The values of all characters behind the "1"; false if any is not of the alphabet. */
static bool read_values(uint8_t values[DATA_LENGTH + CHECK_LENGTH], const char *text)
{
	for (size_t i = 0; i < DATA_LENGTH + CHECK_LENGTH; i++) {
		const char *found = strchr(alphabet, to_lower(text[i]));

		if (found == NULL)
			return false;
		values[i] = (uint8_t)(found - alphabet);
	}
	return true;
}

static bool one_case(const char *text)
{
	bool lower = false, upper = false;

	for (; *text != '\0'; text++) {
		lower |= to_upper(*text) != *text;
		upper |= to_lower(*text) != *text;
	}
	return !(lower && upper);
}

bool bech32_decode(const char *text, const char *prefix, uint8_t data[BECH32_DATA_SIZE])
{
	uint8_t values[DATA_LENGTH + CHECK_LENGTH];
	size_t prefix_length = strlen(prefix), length = prefix_length + BECH32_TAIL_LENGTH;
	uint32_t state = polymod_prefix(prefix), pending = 0;
	bool good = false;

	if (strnlen(text, length + 1) != length || !one_case(text) ||
	    text[prefix_length] != '1')
		return false;
	for (size_t i = 0; i < prefix_length; i++)
		if (to_lower(text[i]) != prefix[i])
			return false;
	if (!read_values(values, text + prefix_length + 1))
		goto out;
	for (size_t i = 0; i < sizeof values; i++)
		state = polymod(state, values[i]);
	/* Four bits are left over behind 32 bytes, and must be 0. */
	if (state != 1 || (values[DATA_LENGTH - 1] & 15) != 0)
		goto out;

	uint8_t *out = data;
	unsigned bits = 0;
	for (size_t i = 0; i < DATA_LENGTH; i++) {
		pending = (pending << 5 | values[i]) & 0xfff;
		bits += 5;
		if (bits >= 8) {
			bits -= 8;
			*out++ = (uint8_t)(pending >> bits);
		}
	}
	good = true;
out:
	bytes_wipe(values, sizeof values);
	bytes_wipe(&pending, sizeof pending);
	return good;
}
