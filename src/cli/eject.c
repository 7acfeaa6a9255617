#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/error.h"
#include "cli/talk.h"
#include "cli/eject.h"

bool eject_medium(struct eject *eject, const rh_event *event)
{
	const rh_medium *medium = event->medium;
	bool loop = strcmp(medium->kind, "loop") == 0;

	eject->known = true;
	eject->possible = strncmp(medium->device, "/dev/", 5) == 0 && medium->mount[0] == '/' &&
			  medium->mount[1] != '\0' && (medium->removable || loop);
	eject->power = medium->removable && !loop;
	snprintf(eject->what, sizeof eject->what, "%s", event->text);
	snprintf(eject->device, sizeof eject->device, "%s", medium->device);
	snprintf(eject->mount, sizeof eject->mount, "%s", medium->mount);
	return !eject->wanted || eject->possible;
}

/* Runs a program of $PATH; whether it ended well.  What it says on stdout is no data of ours.
 */
static bool run(const char *const *words, bool silent)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int status = 0, result;

	if (posix_spawn_file_actions_init(&actions) != 0)
		return false;
	result =
	    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (result == 0)
		result = posix_spawn_file_actions_addopen(
		    &actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	if (result == 0 && silent)
		result = posix_spawn_file_actions_addopen(
		    &actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	/* posix_spawnp does not write to the words. */
	if (result == 0)
		result = posix_spawnp(
		    &pid, words[0], &actions, NULL, (char *const *)(uintptr_t)words, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (result != 0)
		return false;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int flush(const char *mount, rh_error *error)
{
	int fd = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC), result, cause;

	if (fd < 0)
		return error_errno(error, RH_E_WRITE, errno, "cannot flush %s", mount);
	result = syncfs(fd);
	cause = errno;
	close(fd);
	return result == 0 ? RH_OK
			   : error_errno(error, RH_E_WRITE, cause, "cannot flush %s", mount);
}

int eject_run(const struct eject *eject, rh_error *error)
{
	const char *const unmount[] = {
	    "udisksctl", "unmount", "--no-user-interaction", "-b", eject->device, NULL};
	const char *const power_off[] = {
	    "udisksctl", "power-off", "--no-user-interaction", "-b", eject->device, NULL};
	const char *const umount[] = {"umount", "--", eject->mount, NULL};
	int code = flush(eject->mount, error);
	bool off = false;

	if (code != RH_OK)
		return code;
	/* No daemon may answer; then it is tried without. */
	if (run(unmount, true))
		off = eject->power && run(power_off, true);
	else if (!run(umount, false))
		return error_set(error, RH_E_WRITE,
		    "the backup is complete, but %s cannot be unmounted", eject->mount);
	talk("unmounted %s%s", eject->mount,
	    off            ? " and switched it off: you can take it away"
	    : eject->power ? ": you can take it away"
			   : "");
	return RH_OK;
}
