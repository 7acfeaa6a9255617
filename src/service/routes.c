#include "service/service.h"

const struct route routes[] = {
    {"GET", "/healthz", handle_healthz, 0, true, true},
    {"GET", "/readyz", handle_readyz, 0, true, false},
    {"GET", "/metrics", handle_metrics, 0, true, false},
    {NULL, NULL, NULL, 0, false, false},
};
