/*
 * rehost/wmsdk.h: what a program written for the Windows Media Format SDK includes,
 * as far as the backup restorer object goes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef REHOST_WMSDK_H
#define REHOST_WMSDK_H

#include "nserror.h"
#include "wmsdkidl.h"

#endif /* REHOST_WMSDK_H */
