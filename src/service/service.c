#include "base/clock.h"
#include "service/rehearse.h"
#include "service/service.h"

int64_t service_now(const struct service *service)
{
	return service->rehearsal != NULL ? rehearsal_now(service->rehearsal) : clock_now();
}
