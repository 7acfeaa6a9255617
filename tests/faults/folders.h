#ifndef FAULTS_FOLDERS_H
#define FAULTS_FOLDERS_H

void remove_tree(const char *path);

/* Ends the process if it cannot. */
void copy_tree(const char *from, const char *to);

#endif
