#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

#include "computer/computer.h"

/* The file, see README.md: big-endian, the digest closes every version. */
#define MAGIC "rehost computer\n"
#define MAGIC_SIZE 16
#define VERSION 1
#define SECRET_AT (MAGIC_SIZE + 4 /* version */)
#define BINDING_AT (SECRET_AT + KEY_SIZE)
#define DIGEST_AT (BINDING_AT + DIGEST_SIZE)
#define FILE_SIZE (DIGEST_AT + DIGEST_SIZE)
#define FILE_MAX 4096 /* bytes of a file of any version */

#define MACHINE_ID_MAX 256
#define LOCK_WAIT_MS 5000
#define NAME_MAX_SHOWN 1024 /* bytes of a path in a message */

struct computer {
	char id[COMPUTER_ID_SIZE];
	uint8_t sealing[KEY_SIZE];
	struct age_identity age;
	uint8_t signing[KEY_SIZE];
	uint8_t licenses[KEY_SIZE]; /* P-256 scalar */
	struct jose_key *license_key; /* of it; NULL until it is asked for */
};

struct machine_id {
	char text[MACHINE_ID_MAX + 1];
	size_t size;
};

/* The order of the P-256 group (SEC 2, section 2.4.2). */
static const uint8_t p256_order[KEY_SIZE] = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e,
    0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};

/* What base says of any file, said of a file of the store. */
static int of_store(int code, rh_error *error)
{
	if (code == RH_E_READ || code == RH_E_OPEN)
		code = RH_E_STORE_READ;
	else if (code == RH_E_WRITE)
		code = RH_E_STORE_CREATE;
	if (error != NULL)
		error->code = code;
	return code;
}

/* Trims and lowers; false if nothing is left. */
static bool machine_id_clean(struct machine_id *id)
{
	size_t start = 0, end = id->size;

	while (end > 0 && isspace((unsigned char)id->text[end - 1]))
		end--;
	while (start < end && isspace((unsigned char)id->text[start]))
		start++;
	id->size = end - start;
	for (size_t i = 0; i < id->size; i++) {
		unsigned char c = (unsigned char)id->text[start + i];

		id->text[i] = (char)(c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c);
	}
	return id->size > 0;
}

static int machine_id_read(struct machine_id *id, rh_error *error)
{
	const char *own = getenv("REHOST_MACHINE_ID_FILE");
	const char *paths[] = {"/etc/machine-id", "/var/lib/dbus/machine-id"};
	size_t count = sizeof paths / sizeof *paths;

	if (own != NULL && *own != '\0') {
		paths[0] = own;
		count = 1;
	}
	for (size_t i = 0; i < count; i++) {
		int fd = open(paths[i], O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		int code;

		if (fd < 0)
			continue;
		code = file_read(fd, id->text, MACHINE_ID_MAX, &id->size, paths[i], NULL);
		close(fd);
		/* systemd writes "uninitialized" until the first boot is done. */
		if (code == RH_OK && machine_id_clean(id) &&
		    !(id->size == 13 && memcmp(id->text, "uninitialized", 13) == 0))
			return RH_OK;
	}
	return error_set(error, RH_E_COMPUTER_ID, "this computer has no machine id in %s%s%s",
	    paths[0], count > 1 ? " or " : "", count > 1 ? paths[1] : "");
}

static int derive(uint8_t *out, size_t size, const uint8_t secret[KEY_SIZE],
    const struct machine_id *id, const char *info, rh_error *error)
{
	return hkdf_sha256(out, size, secret, KEY_SIZE, id->text, id->size, info, error);
}

/* A P-256 scalar for ${what}. */
static int derive_scalar(uint8_t out[KEY_SIZE], const uint8_t secret[KEY_SIZE],
    const struct machine_id *id, const char *what, rh_error *error)
{
	static const uint8_t zero[KEY_SIZE];
	char info[64];
	int code;

	/* One in 2^32 candidates is over the order of the group. */
	for (unsigned i = 0; i < 16; i++) {
		snprintf(info, sizeof info, "rehost computer 1: %s %u", what, i);
		code = derive(out, KEY_SIZE, secret, id, info, error);
		if (code != RH_OK)
			return code;
		if (memcmp(out, p256_order, KEY_SIZE) < 0 && memcmp(out, zero, KEY_SIZE) != 0)
			return RH_OK;
	}
	return error_set(error, RH_E_INTERNAL, "the computer key gives no key for %s", what);
}

static int derive_binding(uint8_t out[DIGEST_SIZE], const uint8_t secret[KEY_SIZE],
    const struct machine_id *id, rh_error *error)
{
	uint8_t key[KEY_SIZE];
	int code;

	code = hkdf_sha256(
	    key, sizeof key, secret, KEY_SIZE, NULL, 0, "rehost computer 1: binding", error);
	if (code == RH_OK)
		code = hmac_sha256(out, key, sizeof key, id->text, id->size, error);
	bytes_wipe(key, sizeof key);
	return code;
}

static int derive_all(struct computer *computer, const uint8_t secret[KEY_SIZE],
    const struct machine_id *id, rh_error *error)
{
	uint8_t bytes[KEY_SIZE];
	int code;

	code = derive(bytes, 16, secret, id, "rehost computer 1: id", error);
	if (code != RH_OK)
		goto done;
	text_hex(computer->id, bytes, 16);
	code = derive(
	    computer->sealing, KEY_SIZE, secret, id, "rehost computer 1: sealing", error);
	if (code == RH_OK)
		code = derive_scalar(computer->signing, secret, id, "signing", error);
	if (code == RH_OK)
		code = derive_scalar(computer->licenses, secret, id, "licences", error);
	if (code == RH_OK)
		code = derive(bytes, KEY_SIZE, secret, id, "rehost computer 1: age", error);
	if (code == RH_OK)
		code = age_identity_from_secret(&computer->age, bytes, error);
done:
	bytes_wipe(bytes, sizeof bytes);
	return code;
}

/* Reads the file into ${file}; RH_E_STORE_MISSING sets no ${error}. */
static int key_file_read(
    int directory, const char *name, uint8_t file[FILE_MAX + 1], size_t *ret, rh_error *error)
{
	struct stat st;
	int fd, code;

	fd = openat(directory, COMPUTER_KEY_FILE, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return RH_E_STORE_MISSING;
	if (fd < 0)
		return error_errno(error, RH_E_STORE_READ, errno, "cannot open %s", name);
	if (fstat(fd, &st) != 0)
		code = error_errno(error, RH_E_STORE_READ, errno, "cannot read %s", name);
	else if (!S_ISREG(st.st_mode))
		code = error_set(error, RH_E_STORE_DAMAGED, "%s is no regular file", name);
	else {
		code = file_read(fd, file, FILE_MAX + 1, ret, name, error);
		if (code != RH_OK)
			code = of_store(code, error);
	}
	close(fd);
	return code;
}

/* Whether the bytes are a key of this version, bound to this machine. */
static int key_file_check(const uint8_t *file, size_t size, const struct machine_id *id,
    const char *name, rh_error *error)
{
	uint8_t digest[DIGEST_SIZE];
	int code;

	if (size < SECRET_AT + DIGEST_SIZE || size > FILE_MAX ||
	    memcmp(file, MAGIC, MAGIC_SIZE) != 0)
		return error_set(error, RH_E_STORE_DAMAGED, "%s is no computer key", name);
	code = sha256(digest, file, size - DIGEST_SIZE, error);
	if (code != RH_OK)
		return code;
	if (memcmp(digest, file + size - DIGEST_SIZE, DIGEST_SIZE) != 0)
		return error_set(
		    error, RH_E_STORE_DAMAGED, "%s is damaged: wrong checksum", name);
	if (get_u32be(file + MAGIC_SIZE) > VERSION)
		return error_set(error, RH_E_STORE_NEWER,
		    "%s has version %u, this program knows %u", name,
		    get_u32be(file + MAGIC_SIZE), VERSION);
	if (get_u32be(file + MAGIC_SIZE) != VERSION || size != FILE_SIZE)
		return error_set(error, RH_E_STORE_DAMAGED, "%s is no computer key", name);
	code = derive_binding(digest, file + SECRET_AT, id, error);
	if (code != RH_OK)
		return code;
	if (!bytes_equal(digest, file + BINDING_AT, DIGEST_SIZE))
		return error_set(error, RH_E_STORE_OTHER_COMPUTER,
		    "%s is bound to the machine id of another computer", name);
	return RH_OK;
}

/* One creator at a time: a lock on the directory, which leaves no file behind. */
static int directory_lock(int directory, const char *path, int *ret, rh_error *error)
{
	const struct timespec pause = {0, 10 * 1000 * 1000};
	int fd;

	fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(error, RH_E_STORE_CREATE, errno, "cannot open %s", path);
	for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited += 10) {
		int errnum = errno;

		if (errnum == EINTR)
			continue;
		if (errnum != EWOULDBLOCK || waited >= LOCK_WAIT_MS) {
			close(fd);
			if (errnum == EWOULDBLOCK)
				return error_set(error, RH_E_STORE_BUSY,
				    "another process holds the directory %s", path);
			return error_errno(
			    error, RH_E_STORE_CREATE, errnum, "cannot lock %s", path);
		}
		nanosleep(&pause, NULL);
	}
	*ret = fd;
	return RH_OK;
}

static int key_file_create(int directory, const char *path, const char *name,
    const struct machine_id *id, rh_error *error)
{
	uint8_t file[FILE_SIZE];
	int code, lock = -1;

	code = directory_lock(directory, path, &lock, error);
	if (code != RH_OK)
		return code;
	/* Whoever was here first has made it. */
	if (faccessat(directory, COMPUTER_KEY_FILE, F_OK, 0) == 0)
		goto done;

	memcpy(file, MAGIC, MAGIC_SIZE);
	put_u32be(file + MAGIC_SIZE, VERSION);
	code = random_bytes(file + SECRET_AT, KEY_SIZE, error);
	if (code == RH_OK)
		code = derive_binding(file + BINDING_AT, file + SECRET_AT, id, error);
	if (code == RH_OK)
		code = sha256(file + DIGEST_AT, file, DIGEST_AT, error);
	if (code != RH_OK)
		goto done;
	code = file_replace(directory, COMPUTER_KEY_FILE, 0600, file, sizeof file, name, error);
	if (code != RH_OK)
		code = of_store(code, error);
done:
	bytes_wipe(file, sizeof file);
	close(lock);
	return code;
}

int computer_open(
    int directory, const char *path, bool create, struct computer **ret, rh_error *error)
{
	struct computer *computer = NULL;
	struct machine_id id;
	char name[NAME_MAX_SHOWN];
	uint8_t file[FILE_MAX + 1];
	size_t size = 0;
	bool missing;
	int code;

	snprintf(name, sizeof name, "%s/%s", path, COMPUTER_KEY_FILE);
	code = key_file_read(directory, name, file, &size, error);
	if (code != RH_OK && (code != RH_E_STORE_MISSING || !create))
		goto fail;
	missing = code == RH_E_STORE_MISSING;
	code = machine_id_read(&id, error);
	if (code == RH_OK && missing)
		code = key_file_create(directory, path, name, &id, error);
	if (code == RH_OK && missing)
		code = key_file_read(directory, name, file, &size, error);
	if (code == RH_OK)
		code = key_file_check(file, size, &id, name, error);
	if (code != RH_OK)
		goto fail;

	computer = calloc(1, sizeof *computer);
	if (computer == NULL) {
		code = error_memory(error);
		goto fail;
	}
	code = derive_all(computer, file + SECRET_AT, &id, error);
	if (code != RH_OK)
		goto fail;
	bytes_wipe(file, sizeof file);
	*ret = computer;
	return RH_OK;

fail:
	if (code == RH_E_STORE_MISSING)
		error_set(error, code, "there is no %s in %s", COMPUTER_KEY_FILE, path);
	bytes_wipe(file, sizeof file);
	computer_close(computer);
	return code;
}

void computer_close(struct computer *computer)
{
	if (computer == NULL)
		return;
	jose_key_free(computer->license_key);
	bytes_wipe(computer, sizeof *computer);
	free(computer);
}

const char *computer_id(const struct computer *computer)
{
	return computer->id;
}

const uint8_t *computer_sealing_key(const struct computer *computer)
{
	return computer->sealing;
}

const struct age_identity *computer_age_identity(const struct computer *computer)
{
	return &computer->age;
}

const uint8_t *computer_signing_key(const struct computer *computer)
{
	return computer->signing;
}

int computer_license_key(
    struct computer *computer, const struct jose_key **ret, rh_error *error)
{
	int code = RH_OK;

	if (computer->license_key == NULL)
		code = jose_key_private(computer->licenses, &computer->license_key, error);
	if (code == RH_OK)
		*ret = computer->license_key;
	return code;
}
