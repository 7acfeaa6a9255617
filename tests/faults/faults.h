#ifndef FAULTS_FAULTS_H
#define FAULTS_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

#include "rehost/rehost.h"

/* What one run of a scenario came to. */
struct outcome {
	int code; /* enum rh_code, or an HRESULT: RH_OK is S_OK */
	bool is_hresult;
	rh_error error;
	unsigned calls; /* that must end in one END event each */
	unsigned ends; /* END events */
	unsigned late; /* events after END */
	int end_code; /* of the last END */
	unsigned leaks; /* events with a secret in them */
	rh_error refused; /* the first licence that should not have been refused */
};

enum ending {
	FAILED, /* everything is as before, or as after a success */
	SUCCEEDED, /* though a call failed: what the run makes is there, and perhaps leftovers
		    */
	UNHARMED /* no call failed */
};

/* A small piece of work in a folder that scenario_prepare made. */
struct scenario {
	const char *name;
	bool always_threads; /* cannot run on one thread */
	void (*run)(const char *place, struct outcome *outcome);
	/* Whether nothing is lost; says in ${why} what is missing. */
	bool (*holds)(const char *place, enum ending ending, char *why, size_t size);
	/* Of allocations every so manieth fails, and of the other calls each. */
	unsigned stride;
};

/* Ends with a NULL name. */
extern const struct scenario scenarios[];

/* Makes the folder that every run starts with, and tells the owner's recovery key. */
bool scenario_prepare(const char *place, char *recovery_key, size_t size);
void scenario_recovery_key(const char *recovery_key);

/* From now on this is computer a or b. */
void faults_be(char computer);

#endif
