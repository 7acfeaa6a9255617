#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

/*
 * Ctrl-C and SIGTERM: the first one asks the library to stop, the second one
 * kills as usual.
 */
void interrupt_start(void);

/* Other than 0 once somebody asked; the should_stop of a listener. */
int interrupt_asked(void *context);

/*
 * Waits until ${fd} can be read (1) or an interrupt came (0), whichever thread
 * the signal went to.
 */
int interrupt_wait_readable(int fd);

#endif
