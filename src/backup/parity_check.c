#include <unistd.h>

#include "backup/parity.h"

int backup_check(struct backup_directory *directory, const char *file,
    const struct backup_watch *watch, struct backup_state *ret, rh_error *error)
{
	char display[DISPLAY_SIZE];
	struct parity *parity = NULL;
	struct parity_map map = {0};
	struct backup_state state = {.condition = BACKUP_UNKNOWN};
	uint64_t size;
	rh_error why = {0};
	int fd, code;

	backup_directory_display(display, directory, file);
	code = backup_directory_file(directory, file, false, &fd, &size, error);
	if (code != RH_OK)
		return code;
	code = parity_open(directory, file, false, &parity, &why);
	if (code == RH_OK)
		code = parity_map_make(parity, fd, display, watch, &map, &why);
	if (code == RH_OK) {
		parity_map_tell(&map, parity, watch, &state);
	} else if (code == RH_E_PARITY) {
		state.bytes = size;
		state.why = why;
		code = RH_OK;
	} else if (error != NULL) {
		*error = why;
	}
	parity_map_free(&map);
	parity_free(parity);
	close(fd);
	if (code == RH_OK)
		*ret = state;
	return code;
}
