#ifndef CRYPTO_RECOVERY_CODE_H
#define CRYPTO_RECOVERY_CODE_H

#include "crypto/age.h"

/*
 * The recovery code: the 32 secret bytes of an age identity, for paper.
 *
 * 256 bits and 4 zero bits are 52 characters of the alphabet
 * 0123456789ABCDEFGHJKMNPQRSTVWXYZ (Crockford; O reads as 0, I and L as 1, case
 * does not matter), in 13 groups of 4, each followed by a check character
 * over GF(32): sum of alpha^(i+1) * character i, plus alpha^(8 + group).  One
 * wrong character in a group, two exchanged ones, and two exchanged groups
 * are always found, and the group is named.
 */
#define RECOVERY_CODE_GROUPS 13
#define RECOVERY_CODE_SIZE (RECOVERY_CODE_GROUPS * 6) /* with dashes, and NUL */

void recovery_code_format(char text[RECOVERY_CODE_SIZE], const struct age_identity *identity);

/*
 * Reads a code with any spaces, dashes and case.  RH_E_SECRET_TYPED names the
 * group that is wrong, counted from 1, without repeating what was typed.
 */
int recovery_code_parse(struct age_identity *identity, const char *text, rh_error *error);

/*
 * Reads what an owner typed, or the text of his key file: an age identity or a
 * recovery code, with lines beginning with "#" around it.  RH_E_SECRET_TYPED.
 */
int recovery_key_parse(struct age_identity *identity, const char *text, rh_error *error);

#endif
