#ifndef CLI_EXIT_H
#define CLI_EXIT_H

/*
 * Every exit status of the programs, once: the number, its constant, and the words
 * that the man page uses.  rh_code_exit_status says which code ends with which.
 */
#define EXIT_LIST(X)                                                                           \
	X(0, EXIT_DONE, "done")                                                                \
	X(1, EXIT_USAGE, "the command line has no meaning")                                    \
	X(2, EXIT_ENVIRONMENT, "a file, a medium, the store or this computer failed")          \
	X(3, EXIT_PARTIAL, "nothing lost, but not all done: restricted or refused licences")   \
	X(4, EXIT_SECRET, "the recovery key or passphrase is missing or wrong")                \
	X(5, EXIT_DAMAGED, "a backup or the store is damaged")                                 \
	X(6, EXIT_LIMIT, "the restore limit of a licence is reached")                          \
	X(7, EXIT_CANCELED, "stopped on request")                                              \
	X(8, EXIT_SERVICE, "a License Management Service is not available")                    \
	X(9, EXIT_OTHER_COMPUTER,                                                              \
	    "the store is another computer's, or this one needs "                              \
	    "individualization")                                                               \
	X(10, EXIT_BACKUP_EXISTS, "a backup is there already")

#define EXIT_CONSTANT(number, name, words) name = number,
enum exit_status { EXIT_LIST(EXIT_CONSTANT) };
#undef EXIT_CONSTANT

#endif
