/*
 * A backup and its parity file: looked at, mended, looked at again.  First byte: bit 0: the
 * hashes of the table's pages are put right, so that their heads are believed; bit 1: then
 * come two bytes with the backup's length, the backup, and the parity file.  Otherwise both
 * are made: two bytes with a quarter of the backup's size, one with the percentage, and then
 * what happens to them, seven bytes each: what and to which file, where (3), how long (2), and
 * a value.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "backup/parity.h"

#define FILE_NAME "licenses-20260102T030405Z-0123456789abcdef.age"
#define PARITY_NAME "licenses-20260102T030405Z-0123456789abcdef.parity"
#define SIZE_MAX_EACH ((size_t)4 << 20)
#define EDIT 7

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct backup_directory *directory;

static void must(bool right)
{
	if (!right)
		abort();
}

static void clean_up(void)
{
	unlinkat(directory->fd, FILE_NAME, 0);
	unlinkat(directory->fd, PARITY_NAME, 0);
	rmdir(directory->path);
	backup_directory_close(directory);
}

static void set_up(void)
{
	char path[32];

	strcpy(path, access("/dev/shm", W_OK) == 0 ? "/dev/shm/rehost-fuzz-XXXXXX"
						   : "/tmp/rehost-fuzz-XXXXXX");
	must(mkdtemp(path) != NULL);
	must(backup_directory_open(path, true, &directory, NULL) == RH_OK);
	atexit(clean_up);
}

/* ---- Files ---- */

static int open_file(const char *name, int flags)
{
	int fd = openat(directory->fd, name, flags | O_RDWR | O_CLOEXEC, 0600);

	must(fd >= 0);
	return fd;
}

static void write_file(const char *name, const struct buffer *bytes)
{
	int fd = open_file(name, O_CREAT | O_TRUNC);

	must(file_write(fd, bytes->data, bytes->size, name, NULL) == RH_OK);
	close(fd);
}

static void read_file(const char *name, struct buffer *bytes)
{
	buffer_clear(bytes);
	must(file_read_whole(directory->fd, name, (size_t)1 << 30, bytes, name, NULL) == RH_OK);
}

static bool same(const struct buffer *a, const struct buffer *b)
{
	return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

/* ---- What is given ---- */

struct pair {
	struct buffer backup, parity;
	struct buffer first; /* the backup as it was protected; empty: it never was */
};

static void protect(struct pair *pair, size_t size, unsigned percent)
{
	struct parity_target target = {
	    .size = size, .file = FILE_NAME, .display = "in", .out_display = "out"};
	uint32_t state = (uint32_t)size;

	must(buffer_reserve(&pair->backup, size, NULL) == RH_OK);
	for (size_t i = 0; i < size; i++) {
		state = state * 1664525 + 1013904223;
		pair->backup.data[i] = (uint8_t)(state >> 24);
	}
	pair->backup.size = size;
	must(buffer_append(&pair->first, pair->backup.data, size, NULL) == RH_OK);
	write_file(FILE_NAME, &pair->backup);
	target.fd = open_file(FILE_NAME, 0);
	target.out = open_file(PARITY_NAME, O_CREAT | O_TRUNC);
	must(parity_write(&target, percent, NULL, NULL, NULL, NULL) == RH_OK);
	close(target.fd);
	close(target.out);
	read_file(PARITY_NAME, &pair->parity);
}

static void edit(struct buffer *bytes, const uint8_t *data)
{
	size_t at =
	    ((size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3]) % (bytes->size + 1);
	size_t length = (size_t)data[4] << 8 | data[5];
	unsigned kind = data[0] >> 1 & 3;

	if (kind == 2) {
		bytes->size = at;
	} else if (kind == 3 && bytes->size + length < SIZE_MAX_EACH) {
		must(buffer_reserve(bytes, length + 1, NULL) == RH_OK);
		memset(bytes->data + bytes->size, data[6], length);
		bytes->size += length;
	} else if (kind < 2) {
		for (size_t i = at; i < at + length && i < bytes->size; i++)
			bytes->data[i] = kind == 0 ? bytes->data[i] ^ data[6] : data[6];
	}
}

/* FORMAT.md: the hash of each page that looks like one of the table. */
static void put_right(struct buffer *parity)
{
	static const char magic[] = "rehost parity 1\n";
	struct digest *digest = NULL;

	must(digest_new(&digest, NULL) == RH_OK);
	for (size_t at = 0; at + PARITY_BLOCK <= parity->size; at += PARITY_BLOCK) {
		uint8_t *page = parity->data + at, whole[DIGEST_SIZE];

		if (memcmp(page, magic, sizeof magic - 1) != 0)
			continue;
		must(digest_update(digest, page, 240, NULL) == RH_OK);
		must(digest_update(digest, page + 256, PARITY_BLOCK - 256, NULL) == RH_OK);
		must(digest_finish(digest, whole, NULL) == RH_OK);
		memcpy(page + 240, whole, PARITY_HASH_SIZE);
	}
	digest_free(digest);
}

static void make(struct pair *pair, const uint8_t *data, size_t size)
{
	size_t length = (size_t)data[1] << 8 | data[2];

	if ((data[0] & 2) != 0) {
		length = length < size - 3 ? length : size - 3;
		must(buffer_append(&pair->backup, data + 3, length, NULL) == RH_OK);
		must(buffer_append(&pair->parity, data + 3 + length, size - 3 - length, NULL) ==
		     RH_OK);
	} else {
		protect(pair, length * 4 + 1, data[3] % PARITY_PERCENT_MAX + 1);
		for (size_t i = 4; i + EDIT <= size; i += EDIT)
			edit((data[i] & 1) != 0 ? &pair->parity : &pair->backup, data + i);
	}
	if ((data[0] & 1) != 0)
		put_right(&pair->parity);
	write_file(FILE_NAME, &pair->backup);
	write_file(PARITY_NAME, &pair->parity);
}

/* ---- What comes of it ---- */

struct told {
	bool parity;
	uint64_t end, bytes, lost;
};

static void on_damage(
    void *context, const char *file, uint64_t offset, uint64_t bytes, bool lost)
{
	struct told *told = context;
	bool parity = strcmp(file, PARITY_NAME) == 0;

	must(parity || strcmp(file, FILE_NAME) == 0);
	if (parity && !told->parity)
		told->end = 0;
	must(bytes > 0 && offset >= told->end && (parity || !told->parity));
	told->parity = parity;
	told->end = offset + bytes;
	told->bytes += bytes;
	told->lost += lost && !parity ? bytes : 0;
}

static struct backup_state check(void)
{
	struct told told = {0};
	const struct backup_watch watch = {.on_damage = on_damage, .context = &told};
	struct backup_state state;

	must(backup_check(directory, FILE_NAME, &watch, &state, NULL) == RH_OK);
	must(state.reserve <= 100 && told.bytes <= state.bytes_bad &&
	     told.lost <= state.bytes_lost);
	must((told.bytes > 0) ==
	     (state.condition == BACKUP_MENDABLE || state.condition == BACKUP_LOST));
	must((told.lost > 0) == (state.condition == BACKUP_LOST));
	return state;
}

/* Blocks of ${now} that are neither as they were protected nor as they were given. */
static void expect_no_other(const struct pair *pair, const struct buffer *now)
{
	for (size_t at = 0; at < now->size; at++) {
		bool first = at < pair->first.size && now->data[at] == pair->first.data[at];
		bool given = at < pair->backup.size && now->data[at] == pair->backup.data[at];

		must(first || given || (at >= pair->backup.size && now->data[at] == 0));
	}
}

static void mend(const struct pair *pair, bool forged)
{
	const struct backup_watch watch = {.context = NULL};
	struct backup_state before = check(), state;
	struct buffer backup = {0}, parity = {0};
	int code = backup_repair(directory, FILE_NAME, NULL, &watch, &state, NULL);

	read_file(FILE_NAME, &backup);
	read_file(PARITY_NAME, &parity);
	/* Check bytes that were forged do not read back as they should be. */
	must(code == RH_OK || code == RH_E_PARITY || code == RH_E_BACKUP_CORRUPT ||
	     (code == RH_E_READ_BACK && forged));
	must((code == RH_E_PARITY) == (before.condition == BACKUP_UNKNOWN));
	must((code == RH_OK) == (state.condition == BACKUP_WHOLE));
	if (code == RH_OK)
		must(before.condition != BACKUP_LOST && check().condition == BACKUP_WHOLE);
	/* Zeros that were missing at an end can be there now, so less may be lost. */
	if (code == RH_E_BACKUP_CORRUPT)
		must((before.condition == BACKUP_LOST || forged) &&
		     check().condition != BACKUP_WHOLE);
	if (code == RH_E_PARITY || before.condition == BACKUP_WHOLE)
		must(same(&backup, &pair->backup) && same(&parity, &pair->parity));
	if (!forged && code == RH_OK)
		must(same(&backup, &pair->first));
	if (!forged)
		expect_no_other(pair, &backup);
	buffer_free(&backup);
	buffer_free(&parity);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pair pair = {0};

	if (directory == NULL)
		set_up();
	if (size < 4 || size > SIZE_MAX_EACH)
		return 0;
	make(&pair, data, size);
	mend(&pair, (data[0] & 3) != 0);
	buffer_free(&pair.backup);
	buffer_free(&pair.parity);
	buffer_free(&pair.first);
	return 0;
}
