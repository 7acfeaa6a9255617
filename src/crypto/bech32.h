#ifndef CRYPTO_BECH32_H
#define CRYPTO_BECH32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Bech32 (BIP 173; not the later Bech32m) of 32 bytes, without its limit on
 * the whole length, as age keys use it.
 */
#define BECH32_DATA_SIZE 32
/* Characters behind the prefix: "1", 52 of data, 6 of checksum. */
#define BECH32_TAIL_LENGTH (1 + 52 + 6)

/*
 * ${prefix} is lower case; the result is lower case or, with ${upper}, upper case.
 * ${text} takes the prefix, BECH32_TAIL_LENGTH characters and NUL.
 */
void bech32_encode(
    char *text, const char *prefix, const uint8_t data[BECH32_DATA_SIZE], bool upper);

/* Text of either case, but not of both; false, with ${data} untouched, if it is none. */
bool bech32_decode(const char *text, const char *prefix, uint8_t data[BECH32_DATA_SIZE]);

#endif
