#include "service/database_internal.h"

/*
 * One text for both dialects.  TEXT compares by bytes in both; COUNTED is a number that
 * the database gives; KEYED ends a table that lives in its primary key, PLAIN another.
 * Columns are explained in SCHEMA.md.
 */
/* clang-format off */
#define STEP_1(TEXT, BIGINT, COUNTED, KEYED, PLAIN)                                            \
	"CREATE TABLE meta ("                                                                  \
	"  name " TEXT " NOT NULL PRIMARY KEY,"                                                \
	"  value " TEXT " NOT NULL"                                                            \
	")" KEYED                                                                              \
	"CREATE TABLE head ("                                                                  \
	"  id " BIGINT " NOT NULL PRIMARY KEY CHECK (id = 1),"                                 \
	"  seq " BIGINT " NOT NULL,"                                                           \
	"  hash " TEXT " NOT NULL,"                                                            \
	"  rolled_back " TEXT ","                                                              \
	"  resolved " BIGINT ","                                                               \
	"  issuers_version " BIGINT " NOT NULL"                                                \
	")" PLAIN                                                                              \
	"INSERT INTO head (id, seq, hash, issuers_version) VALUES (1, 0,"                      \
	"  '0000000000000000000000000000000000000000000000000000000000000000', 0);"            \
	"CREATE TABLE issuers ("                                                               \
	"  name " TEXT " NOT NULL PRIMARY KEY,"                                                \
	"  title " TEXT " NOT NULL,"                                                           \
	"  contact " TEXT " NOT NULL,"                                                         \
	"  keys " TEXT " NOT NULL,"                                                            \
	"  added " BIGINT " NOT NULL"                                                          \
	")" PLAIN                                                                              \
	"CREATE TABLE policies ("                                                              \
	"  scope " BIGINT " NOT NULL,"                                                         \
	"  subject " TEXT " NOT NULL,"                                                         \
	"  computers " BIGINT ","                                                              \
	"  period " BIGINT ","                                                                 \
	"  period_computers " BIGINT ","                                                       \
	"  cooldown " BIGINT ","                                                               \
	"  release_wait " BIGINT ","                                                           \
	"  PRIMARY KEY (scope, subject)"                                                       \
	")" KEYED                                                                              \
	"CREATE TABLE exceptions ("                                                            \
	"  license " TEXT " NOT NULL,"                                                         \
	"  number " BIGINT " NOT NULL,"                                                        \
	"  extra " BIGINT " NOT NULL,"                                                         \
	"  until " BIGINT ","                                                                  \
	"  reason " TEXT " NOT NULL,"                                                          \
	"  created " BIGINT " NOT NULL,"                                                       \
	"  PRIMARY KEY (license, number)"                                                      \
	")" KEYED                                                                              \
	"CREATE TABLE licenses ("                                                              \
	"  number " COUNTED ","                                                                \
	"  license " TEXT " NOT NULL UNIQUE,"                                                  \
	"  issuer " TEXT " NOT NULL,"                                                          \
	"  id " TEXT " NOT NULL,"                                                              \
	"  title " TEXT " NOT NULL,"                                                           \
	"  service " TEXT " NOT NULL,"                                                         \
	"  original " TEXT " NOT NULL,"                                                        \
	"  computers " BIGINT " NOT NULL,"                                                     \
	"  issued " BIGINT ","                                                                 \
	"  digest " TEXT " NOT NULL,"                                                          \
	"  first_seen " BIGINT " NOT NULL,"                                                    \
	"  blocked " BIGINT " NOT NULL DEFAULT 0,"                                             \
	"  block_reason " TEXT " NOT NULL DEFAULT ''"                                          \
	")" PLAIN                                                                              \
	"CREATE INDEX licenses_digest ON licenses (digest);"                                   \
	"CREATE INDEX licenses_original ON licenses (original);"                               \
	"CREATE TABLE computers ("                                                             \
	"  computer " TEXT " NOT NULL PRIMARY KEY,"                                            \
	"  name " TEXT " NOT NULL DEFAULT '',"                                                 \
	"  release " TEXT " NOT NULL DEFAULT '',"                                              \
	"  enrolled " BIGINT " NOT NULL,"                                                      \
	"  last_seen " BIGINT " NOT NULL"                                                      \
	")" KEYED                                                                              \
	"CREATE TABLE originals ("                                                             \
	"  license_key " TEXT " NOT NULL PRIMARY KEY,"                                         \
	"  release " TEXT " NOT NULL DEFAULT '',"                                              \
	"  computer " TEXT " NOT NULL DEFAULT '',"                                             \
	"  released " BIGINT                                                                   \
	")" KEYED                                                                              \
	"CREATE INDEX originals_computer ON originals (computer);"                             \
	"CREATE TABLE slots ("                                                                 \
	"  license_number " BIGINT " NOT NULL,"                                                \
	"  computer " TEXT " NOT NULL,"                                                        \
	"  number " BIGINT " NOT NULL,"                                                        \
	"  since " BIGINT " NOT NULL,"                                                         \
	"  released " BIGINT ","                                                               \
	"  PRIMARY KEY (license_number, computer, since)"                                      \
	")" KEYED                                                                              \
	"CREATE INDEX slots_computer ON slots (computer);"                                     \
	"CREATE UNIQUE INDEX slots_number ON slots (license_number, number)"                   \
	"  WHERE released IS NULL;"                                                            \
	"CREATE TABLE releases ("                                                              \
	"  computer " TEXT " NOT NULL,"                                                        \
	"  requested " BIGINT " NOT NULL,"                                                     \
	"  effective " BIGINT " NOT NULL,"                                                     \
	"  state " BIGINT " NOT NULL,"                                                         \
	"  actor " TEXT " NOT NULL,"                                                           \
	"  PRIMARY KEY (computer, requested)"                                                  \
	")" KEYED                                                                              \
	"CREATE INDEX releases_effective ON releases (state, effective);"                      \
	"CREATE UNIQUE INDEX releases_waiting ON releases (computer) WHERE state = 0;"         \
	"CREATE TABLE requests ("                                                              \
	"  idempotency_key " TEXT " NOT NULL PRIMARY KEY,"                                     \
	"  computer " TEXT " NOT NULL,"                                                        \
	"  body " TEXT " NOT NULL,"                                                            \
	"  time " BIGINT " NOT NULL,"                                                          \
	"  results " TEXT " NOT NULL,"                                                         \
	"  grants " TEXT " NOT NULL"                                                           \
	")" PLAIN                                                                              \
	"CREATE INDEX requests_time ON requests (time);"                                       \
	"CREATE TABLE nonces ("                                                                \
	"  nonce " TEXT " NOT NULL PRIMARY KEY,"                                               \
	"  expires " BIGINT " NOT NULL"                                                        \
	")" KEYED                                                                              \
	"CREATE INDEX nonces_expires ON nonces (expires);"                                     \
	"CREATE TABLE cases ("                                                                 \
	"  number " COUNTED ","                                                                \
	"  token_hash " TEXT " NOT NULL UNIQUE,"                                               \
	"  license " TEXT " NOT NULL,"                                                         \
	"  computer " TEXT " NOT NULL,"                                                        \
	"  problem " TEXT " NOT NULL,"                                                         \
	"  created " BIGINT " NOT NULL,"                                                       \
	"  UNIQUE (license, computer)"                                                         \
	")" PLAIN                                                                              \
	"CREATE INDEX cases_created ON cases (created);"                                       \
	"CREATE TABLE tokens ("                                                                \
	"  name " TEXT " NOT NULL PRIMARY KEY,"                                                \
	"  hash " TEXT " NOT NULL UNIQUE,"                                                     \
	"  scope " BIGINT " NOT NULL,"                                                         \
	"  created " BIGINT " NOT NULL,"                                                       \
	"  expires " BIGINT                                                                    \
	")" KEYED                                                                              \
	"CREATE TABLE audit ("                                                                 \
	"  seq " BIGINT " NOT NULL PRIMARY KEY,"                                               \
	"  time " BIGINT " NOT NULL,"                                                          \
	"  kind " TEXT " NOT NULL,"                                                            \
	"  actor " TEXT " NOT NULL,"                                                           \
	"  body " TEXT " NOT NULL,"                                                            \
	"  hash " TEXT " NOT NULL"                                                             \
	")" PLAIN

#define STEP(step)                                                                             \
	{                                                                                      \
		step("TEXT", "INTEGER", "INTEGER PRIMARY KEY AUTOINCREMENT",                   \
		    " STRICT, WITHOUT ROWID;", " STRICT;"),                                    \
		step("TEXT COLLATE \"C\"", "BIGINT", "BIGSERIAL PRIMARY KEY", ";", ";")        \
	}
/* clang-format on */

const struct database_step database_steps[] = {STEP(STEP_1)};

const size_t database_step_count = sizeof database_steps / sizeof *database_steps;

int database_version_check(int64_t version, rh_error *error)
{
	if (version >= 0 && (uint64_t)version <= database_step_count)
		return RH_OK;
	return error_set(error, RH_E_STORE_NEWER,
	    "the ledger has version %lld, this program knows %zu", (long long)version,
	    database_step_count);
}
