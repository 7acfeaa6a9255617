#include <string.h>

#include "base/file.h"
#include "backup/internal.h"

#define HOW_TO_MAX 65536

static const char how_to[] =
    "HOW TO OPEN THIS BACKUP\n"
    "=======================\n"
    "\n"
    "The files licenses-TIME-ID.age beside this text are backups of the licences of\n"
    "a computer, made by Rehost. TIME is when (in UTC); the latest is the newest.\n"
    "They are encrypted. Keep them; without a key they tell nothing but size and date.\n"
    "licenses-TIME-ID.parity belongs to the backup of the same name: with it, damage\n"
    "to the backup is found and mended. That takes no key:\n"
    "\n"
    "    rehost verify .\n"
    "    rehost repair .\n"
    "\n"
    "Without it the backup opens as well, as long as it is whole.\n"
    "\n"
    "\n"
    "With Rehost, on the new computer\n"
    "--------------------------------\n"
    "\n"
    "    rehost restore .\n"
    "\n"
    "run in this directory, asks for nothing on the computer that made the backup.\n"
    "On another one, give it the recovery key, which was shown when the first backup\n"
    "was made, as AGE-SECRET-KEY-1... or as a recovery code of 13 groups:\n"
    "\n"
    "    rehost restore . --recovery-key-file KEY\n"
    "\n"
    "KEY is a file with that one line in it. If the file recovery.age is here, the\n"
    "passphrase that was chosen then opens the backup as well:\n"
    "\n"
    "    rehost restore . --passphrase-file FILE\n"
    "\n"
    "As long as the old computer runs, 'rehost recovery show' shows the key again there.\n"
    "\n"
    "\n"
    "Without Rehost\n"
    "--------------\n"
    "\n"
    "A backup is an age file (age-encryption.org) of zstd frames over a tar archive.\n"
    "With the tools age, zstd and tar, and the key (AGE-SECRET-KEY-1...) in the file KEY:\n"
    "\n"
    "    age -d -i KEY licenses-TIME-ID.age | zstd -d | tar x\n"
    "\n"
    "With recovery.age and its passphrase instead of the key:\n"
    "\n"
    "    age -d -i recovery.age licenses-TIME-ID.age | zstd -d | tar x\n"
    "\n"
    "Each licence is then licenses/NAME/document, byte for byte the file that was once\n"
    "given to Rehost. What Rehost knows of it besides is in state.json beside it. To\n"
    "check that all of it is what was backed up:\n"
    "\n"
    "    cat manifest/*.sha256 | sha256sum -c --quiet\n"
    "\n"
    "rehost.json says when and by what the backup was made, and what should be in it.\n";

int howto_write(struct backup_directory *directory, rh_error *error)
{
	char display[DISPLAY_SIZE];
	struct buffer present = {0};
	bool same;
	int code;

	backup_directory_display(display, directory, HOW_TO_FILE);
	code = file_read_whole(directory->fd, HOW_TO_FILE, HOW_TO_MAX, &present, display, NULL);
	same = code == RH_OK && present.size == sizeof how_to - 1 &&
	       memcmp(present.data, how_to, present.size) == 0;
	buffer_free(&present);
	if (same)
		return RH_OK;
	return file_replace(
	    directory->fd, HOW_TO_FILE, 0644, how_to, sizeof how_to - 1, display, error);
}
