#ifndef SERVICE_DOCUMENTS_H
#define SERVICE_DOCUMENTS_H

#include "service/service.h"

/*
 * The licences of a request as the ledger takes them: those whose documents it has seen as it
 * knows them, the others as their issuers signed them.  What is wrong with one is in its
 * ${problem}; ${*ret} is freed with free().
 */
int documents_read(struct service *service, const struct request_license *licenses,
    size_t count, struct ledger_license **ret, rh_error *error);

/* The licence's title for people in the language; "" if it has none. */
void documents_title(
    char title[512], const struct ledger_license *license, enum language language);

#endif
