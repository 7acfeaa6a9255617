#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "backup/parity.h"

/* ---- What is there ---- */

struct list {
	struct backup_generation *items;
	size_t count;
	size_t capacity;
};

/*
 * Looks for a parity file; ${whole} stays only if the backup is as long as that says.  A cut
 * that leaves whole chunks shows nowhere else.
 */
static int examine_parity(
    struct backup_directory *directory, struct backup_generation *generation, rh_error *error)
{
	char name[BACKUP_NAME_SIZE], display[DISPLAY_SIZE];
	uint8_t page[PARITY_BLOCK];
	struct parity_head head;
	struct digest *digest = NULL;
	uint64_t size;
	bool good = false;
	int fd, code;

	generation->parity =
	    parity_name(name, generation->file) &&
	    backup_directory_file(directory, name, false, &fd, &size, NULL) == RH_OK;
	if (!generation->parity)
		return RH_OK;
	backup_directory_display(display, directory, name);
	code = digest_new(&digest, error);
	if (code == RH_OK && parity_read_at(fd, 0, page, sizeof page, display, NULL) == RH_OK)
		code = parity_head_read(digest, page, &head, &good, error);
	if (code == RH_OK && good && strcmp(head.file, generation->file) == 0 &&
	    head.size != generation->bytes)
		generation->whole = false;
	digest_free(digest);
	close(fd);
	return code;
}

/* Whether the structure is right, and the end there, as far as the parity can mend it. */
static int examine_mended(
    struct backup_directory *directory, struct backup_generation *generation, rh_error *error)
{
	struct age_source source;
	struct mended *mended = NULL;
	size_t recipients, got;
	uint8_t last;
	rh_error why = {0};
	int code = mended_open(directory, generation->file, &mended, &source, &why);

	if (code == RH_OK && source.doubt(source.context, &source.size)) {
		code = age_check_structure(&source, &recipients, &why);
		if (code == RH_OK || code == RH_E_BACKUP_NEWER)
			code = source.read_at(
			    source.context, source.size - 1, &last, 1, &got, &why);
		generation->mendable = code == RH_OK && mended_lost(mended) == UINT64_MAX;
	}
	mended_free(mended);
	if (code == RH_E_MEMORY || code == RH_E_OPEN) {
		if (error != NULL)
			*error = why;
		return code;
	}
	return RH_OK;
}

/*
 * Fills ${generation->bytes} and ${whole}; false if the file went away.  A
 * file from a later version is whole: whoever opens it hears so.
 */
static int examine(struct backup_directory *directory, struct backup_generation *generation,
    bool *ret_there, rh_error *error)
{
	char display[DISPLAY_SIZE];
	struct file_source file = {.path = display};
	struct age_source source = {.read_at = file_source_read, .context = &file};
	size_t recipients;
	rh_error why = {0};
	int code;

	backup_directory_display(display, directory, generation->file);
	*ret_there = true;
	code = backup_directory_file(
	    directory, generation->file, false, &file.fd, &source.size, &why);
	if (code == RH_E_BACKUP_MISSING) {
		*ret_there = false;
		return RH_OK;
	}
	if (code == RH_OK) {
		generation->bytes = source.size;
		code = age_check_structure(&source, &recipients, &why);
		close(file.fd);
	}
	/* Nothing is wrong with the file if this process cannot open one more. */
	if (code == RH_E_MEMORY || code == RH_E_OPEN) {
		if (error != NULL)
			*error = why;
		return code;
	}
	generation->whole = code == RH_OK || code == RH_E_BACKUP_NEWER;
	code = examine_parity(directory, generation, error);
	if (code != RH_OK || generation->whole || !generation->parity)
		return code;
	return examine_mended(directory, generation, error);
}

static int visit_generation(
    struct backup_directory *directory, const char *name, void *context, rh_error *error)
{
	struct list *list = context;
	struct backup_generation generation = {0};
	bool there;
	int code;

	if (!generation_parse(name, &generation.created, generation.id))
		return RH_OK;
	memcpy(generation.file, name, strlen(name));
	code = examine(directory, &generation, &there, error);
	if (code != RH_OK || !there)
		return code;
	if (list->count == list->capacity) {
		size_t capacity = list->capacity > 0 ? 2 * list->capacity : 8;
		void *items = realloc(list->items, capacity * sizeof *list->items);

		if (items == NULL)
			return error_memory(error);
		list->items = items;
		list->capacity = capacity;
	}
	list->items[list->count++] = generation;
	return RH_OK;
}

/* Names of one length with the time first: the order of names is that of time. */
static int newest_first(const void *a, const void *b)
{
	const struct backup_generation *left = a, *right = b;

	return strcmp(right->file, left->file);
}

int backup_list(struct backup_directory *directory, struct backup_generation **ret,
    size_t *ret_count, rh_error *error)
{
	struct list list = {0};
	int code = backup_directory_each(directory, visit_generation, &list, error);

	if (code != RH_OK) {
		free(list.items);
		return code;
	}
	if (list.count > 1)
		qsort(list.items, list.count, sizeof *list.items, newest_first);
	*ret = list.items;
	*ret_count = list.count;
	return RH_OK;
}

/* ---- Older ones ---- */

struct pruning {
	struct backup_generation *generations; /* newest first */
	size_t count;
	const char
	    *oldest; /* of those that stay and are whole; NULL: fewer than were asked for */
	bool removed;
};

static int remove_file(struct backup_directory *directory, const char *name,
    struct pruning *pruning, rh_error *error)
{
	char display[DISPLAY_SIZE];

	if (unlinkat(directory->fd, name, 0) == 0)
		pruning->removed = true;
	else if (errno != ENOENT)
		return error_errno(error, RH_E_WRITE, errno, "cannot remove %s",
		    backup_directory_display(display, directory, name));
	return RH_OK;
}

/* The backup before its parity: what is there has its parity as long as it is there. */
static int remove_generation(struct backup_directory *directory, const char *file,
    struct pruning *pruning, rh_error *error)
{
	char parity[BACKUP_NAME_SIZE];
	int code = remove_file(directory, file, pruning, error);

	if (code == RH_OK && parity_name(parity, file))
		code = remove_file(directory, parity, pruning, error);
	return code;
}

/* A parity file that has outlived its backup. */
static int visit_orphan(
    struct backup_directory *directory, const char *name, void *context, rh_error *error)
{
	struct pruning *pruning = context;
	char file[BACKUP_NAME_SIZE];

	if (!parity_parse(name, file) || strcmp(file, pruning->oldest) >= 0)
		return RH_OK;
	for (size_t i = 0; i < pruning->count; i++)
		if (strcmp(pruning->generations[i].file, file) == 0)
			return RH_OK;
	return remove_file(directory, name, pruning, error);
}

int backup_prune(struct backup_directory *directory, unsigned keep, rh_error *error)
{
	struct pruning pruning = {.oldest = NULL};
	unsigned kept = 0;
	int code;

	if (!directory->writing || keep == 0)
		return error_set(error, RH_E_ARGUMENT, "nothing to remove backups with");
	code = backup_list(directory, &pruning.generations, &pruning.count, error);
	if (code != RH_OK)
		return code;
	for (size_t i = 0; i < pruning.count; i++) {
		const struct backup_generation *generation = &pruning.generations[i];
		int removed;

		if (kept < keep || strcmp(generation->file, directory->committed) == 0) {
			kept += generation->whole ? 1 : 0;
			if (generation->whole && kept >= keep)
				pruning.oldest = generation->file;
			continue;
		}
		removed = remove_generation(
		    directory, generation->file, &pruning, code == RH_OK ? error : NULL);
		code = code == RH_OK ? removed : code;
	}
	if (code == RH_OK && pruning.oldest != NULL)
		code = backup_directory_each(directory, visit_orphan, &pruning, error);
	if (pruning.removed && code == RH_OK)
		code = file_sync_directory(directory->fd, directory->path, error);
	free(pruning.generations);
	return code;
}
