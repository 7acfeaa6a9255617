/*
 * The bare pipeline: a limit to measure against.  It scans the rows of an
 * SQLite table, compresses them with zstd -1 on two threads, encrypts with
 * ChaCha20-Poly1305, writes, and flushes once.  No format, no seal, no parsing,
 * no read-back, no error recovery.
 *
 *	bare DATABASE OUTPUT
 */
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#define THREADS 2
#define ROWS 1024

static const char *database_path;
static int output;
static int64_t last_row;
static atomic_llong next_chunk, next_offset;

static void die(const char *what)
{
	fprintf(stderr, "bare: %s\n", what);
	exit(1);
}

static void *need(void *pointer)
{
	if (pointer == NULL)
		die("no memory");
	return pointer;
}

static sqlite3 *open_database(sqlite3_stmt **ret, const char *sql)
{
	sqlite3 *database;

	if (sqlite3_open_v2(database_path, &database,
		SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
	    sqlite3_exec(database, "PRAGMA mmap_size=8589934592", NULL, NULL, NULL) !=
		SQLITE_OK ||
	    sqlite3_prepare_v2(database, sql, -1, ret, NULL) != SQLITE_OK)
		die("cannot open the database");
	return database;
}

/* Appends the rows of a chunk to ${*bytes}, returns their size. */
static size_t scan(sqlite3_stmt *rows, int64_t chunk, unsigned char **bytes, size_t *capacity)
{
	size_t size = 0;

	sqlite3_bind_int64(rows, 1, chunk * ROWS + 1);
	sqlite3_bind_int64(rows, 2, (chunk + 1) * ROWS);
	while (sqlite3_step(rows) == SQLITE_ROW) {
		size_t row = (size_t)sqlite3_column_bytes(rows, 0);

		if (size + row > *capacity) {
			*capacity = 2 * (size + row);
			*bytes = need(realloc(*bytes, *capacity));
		}
		memcpy(*bytes + size, sqlite3_column_blob(rows, 0), row);
		size += row;
	}
	sqlite3_reset(rows);
	return size;
}

static void *work(void *unused)
{
	static const unsigned char key[32] = "not a secret: for the speed only";
	unsigned char *raw = NULL, *packed = NULL, *sealed = NULL, nonce[12] = {0};
	size_t raw_capacity = 0, bound = 0;
	EVP_CIPHER_CTX *cipher = need(EVP_CIPHER_CTX_new());
	ZSTD_CCtx *zstd = need(ZSTD_createCCtx());
	sqlite3_stmt *rows;
	sqlite3 *database =
	    open_database(&rows, "SELECT body FROM licenses WHERE rowid BETWEEN ? AND ?");
	int64_t chunk;

	while ((chunk = atomic_fetch_add(&next_chunk, 1)) * ROWS < last_row) {
		size_t size = scan(rows, chunk, &raw, &raw_capacity), packed_size;
		int sealed_size, tail;

		if (ZSTD_compressBound(size) > bound) {
			bound = ZSTD_compressBound(size);
			packed = need(realloc(packed, bound));
			sealed = need(realloc(sealed, bound + 16));
		}
		packed_size = ZSTD_compressCCtx(zstd, packed, bound, raw, size, 1);
		if (ZSTD_isError(packed_size))
			die("zstd");
		memcpy(nonce, &chunk, sizeof chunk);
		EVP_EncryptInit_ex(cipher, EVP_chacha20_poly1305(), NULL, key, nonce);
		EVP_EncryptUpdate(cipher, sealed, &sealed_size, packed, (int)packed_size);
		EVP_EncryptFinal_ex(cipher, sealed + sealed_size, &tail);
		EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, 16, sealed + packed_size);
		packed_size += 16;
		if (pwrite(output, sealed, packed_size,
			atomic_fetch_add(&next_offset, (long long)packed_size)) !=
		    (ssize_t)packed_size)
			die("cannot write");
	}
	sqlite3_finalize(rows);
	sqlite3_close(database);
	ZSTD_freeCCtx(zstd);
	EVP_CIPHER_CTX_free(cipher);
	free(raw);
	free(packed);
	free(sealed);
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	sqlite3_stmt *count;
	sqlite3 *database;

	if (argc != 3)
		die("usage: bare DATABASE OUTPUT");
	database_path = argv[1];
	output = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0600);
	database = open_database(&count, "SELECT max(rowid) FROM licenses");
	if (output < 0 || sqlite3_step(count) != SQLITE_ROW)
		die("cannot begin");
	last_row = sqlite3_column_int64(count, 0);
	sqlite3_finalize(count);
	sqlite3_close(database);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, NULL) != 0)
			die("no thread");
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	if (fsync(output) != 0 || close(output) != 0)
		die("cannot flush");
	return 0;
}
