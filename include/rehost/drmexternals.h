/*
 * rehost/drmexternals.h: the individualization status of the Windows Media
 * Format SDK.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef REHOST_DRMEXTERNALS_H
#define REHOST_DRMEXTERNALS_H

#include "rehostcom.h"

#ifndef __WM_INDIVIDUALIZE_STATUS_DEFINED__
#define __WM_INDIVIDUALIZE_STATUS_DEFINED__

typedef enum DRM_HTTP_STATUS {
	HTTP_NOTINITIATED = 0,
	HTTP_CONNECTING = 1,
	HTTP_REQUESTING = 2,
	HTTP_RECEIVING = 3,
	HTTP_COMPLETED = 4
} DRM_HTTP_STATUS;

typedef enum DRM_INDIVIDUALIZATION_STATUS {
	INDI_UNDEFINED = 0x00,
	INDI_BEGIN = 0x01,
	INDI_SUCCEED = 0x02,
	INDI_FAIL = 0x04,
	INDI_CANCEL = 0x08,
	INDI_DOWNLOAD = 0x10,
	INDI_INSTALL = 0x20
} DRM_INDIVIDUALIZATION_STATUS;

/* What pValue points at with WMT_INDIVIDUALIZE; valid during that call only. */
typedef struct _WMIndividualizeStatus {
	HRESULT hr;
	DRM_INDIVIDUALIZATION_STATUS enIndiStatus;
	LPSTR pszIndiRespUrl; /* 8-bit characters */
	DWORD dwHTTPRequest;
	DRM_HTTP_STATUS enHTTPStatus;
	DWORD dwHTTPReadProgress;
	DWORD dwHTTPReadTotal;
} WM_INDIVIDUALIZE_STATUS;

#endif /* __WM_INDIVIDUALIZE_STATUS_DEFINED__ */

#endif /* REHOST_DRMEXTERNALS_H */
