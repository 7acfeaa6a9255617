#ifndef FUZZ_SERVICE_WORLD_H
#define FUZZ_SERVICE_WORLD_H

#include "service/service.h"

/*
 * A service with an empty ledger, always the same keys, and one issuer.  Made at the first
 * call, gone with the process.
 */
struct service *world_service(void);

#define WORLD_ADDRESS "http://licences.example/lms"

#endif
