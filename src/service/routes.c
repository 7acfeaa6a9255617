#include "service/service.h"

const struct route routes[] = {
    {"GET", "/healthz", handle_healthz, 0, true, true},
    {"GET", "/readyz", handle_readyz, 0, true, false},
    {"GET", "/metrics", handle_metrics, 0, true, false},
    {"GET", "/v1/keys", handle_keys, 0, false, true},
    {"GET", "/v1/privacy", handle_privacy, 0, false, true},
    {"GET", "/cases/*", handle_case, 0, false, false},
    {"POST", "/admin/v1/*", handle_admin, MESSAGE_MAX, false, false},
    {"GET", "/v1/nonce", handle_nonce, 0, false, true},
    {"POST", "/v1/computers", handle_computers, MESSAGE_MAX, false, false},
    {"POST", "/v1/plan", handle_restore, MESSAGE_MAX, false, false},
    {"POST", "/v1/commit", handle_restore, MESSAGE_MAX, false, false},
    {"POST", "/v1/licenses", handle_licenses, MESSAGE_MAX, false, false},
    {"POST", "/v1/release", handle_release, MESSAGE_MAX, false, false},
    {NULL, NULL, NULL, 0, false, false},
};
