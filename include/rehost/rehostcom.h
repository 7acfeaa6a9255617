/*
 * rehost/rehostcom.h: the few base types of Windows and COM that the interfaces
 * of the Windows Media Format SDK are written in, with the widths that they
 * have there: LONG, DWORD, BOOL and HRESULT are 32 bits, WCHAR is 16 bits
 * (char16_t, so text is written u"..." and not L"...").
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A program that has these types from elsewhere (the Windows headers of Wine or of
 * a porting library) includes those first; if none of the guards below is
 * theirs, it defines REHOST_HAVE_WINDOWS_TYPES.  The widths are checked either way.
 */
#ifndef REHOST_REHOSTCOM_H
#define REHOST_REHOSTCOM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifndef __cplusplus
#include <assert.h>
#include <uchar.h>
#endif

#if defined(__GNUC__)
#define REHOST_SDK_API __attribute__((visibility("default")))
#else
#define REHOST_SDK_API
#endif

#if defined(_WINDEF_) || defined(_WINDEF_H) || defined(__WINE_WINDEF_H) ||                     \
    defined(__WINDEF_H__) || defined(__VKD3D_WINDOWS_H)
#ifndef REHOST_HAVE_WINDOWS_TYPES
#define REHOST_HAVE_WINDOWS_TYPES
#endif
#endif

#ifndef REHOST_HAVE_WINDOWS_TYPES

typedef uint8_t BYTE;
typedef uint16_t WORD;
typedef uint32_t DWORD;
typedef int32_t LONG;
typedef uint32_t ULONG;
typedef int32_t BOOL;
typedef int32_t HRESULT;
typedef char *LPSTR;
typedef const char *LPCSTR;
typedef char16_t WCHAR;
typedef WCHAR *LPWSTR;
typedef const WCHAR *LPCWSTR;

#ifndef TRUE
#define TRUE 1
#endif
#ifndef FALSE
#define FALSE 0
#endif

typedef struct _GUID {
	uint32_t Data1;
	uint16_t Data2;
	uint16_t Data3;
	uint8_t Data4[8];
} GUID;
typedef GUID IID;

#ifdef __cplusplus
#define REFGUID const GUID &
#define REFIID const IID &
#else
#define REFGUID const GUID *
#define REFIID const IID *
#endif

#endif /* REHOST_HAVE_WINDOWS_TYPES */

/* Each of these may have come with the types. */

#ifndef STDMETHODCALLTYPE
#define STDMETHODCALLTYPE
#endif

#ifndef EXTERN_C
#ifdef __cplusplus
#define EXTERN_C extern "C"
#else
#define EXTERN_C extern
#endif
#endif

#ifndef interface
#define interface struct
#endif
#ifndef BEGIN_INTERFACE
#define BEGIN_INTERFACE
#endif
#ifndef END_INTERFACE
#define END_INTERFACE
#endif
#ifndef CONST_VTBL
#ifdef CONST_VTABLE
#define CONST_VTBL const
#else
#define CONST_VTBL
#endif
#endif

/*
 * Declares a GUID; in a file that defines INITGUID before its first include,
 * defines it.  librehost has all of its own, so a program need not.
 */
#ifndef DEFINE_GUID
#ifdef __cplusplus
#define REHOST_EXTERN_GUID(name) extern "C" REHOST_SDK_API const GUID name
#else
#define REHOST_EXTERN_GUID(name) extern REHOST_SDK_API const GUID name
#endif
#ifdef INITGUID
#define DEFINE_GUID(name, l, w1, w2, b1, b2, b3, b4, b5, b6, b7, b8)                           \
	REHOST_EXTERN_GUID(name) __attribute__((weak));                                        \
	const GUID name = {l, w1, w2, {b1, b2, b3, b4, b5, b6, b7, b8}}
#else
#define DEFINE_GUID(name, l, w1, w2, b1, b2, b3, b4, b5, b6, b7, b8) REHOST_EXTERN_GUID(name)
#endif
#endif

#ifdef __cplusplus
#ifndef IsEqualGUID
static inline bool IsEqualGUID(REFGUID a, REFGUID b)
{
	return memcmp(&a, &b, sizeof(GUID)) == 0;
}
#endif
#ifndef REHOST_HAVE_WINDOWS_TYPES
static inline bool operator==(REFGUID a, REFGUID b)
{
	return memcmp(&a, &b, sizeof(GUID)) == 0;
}
static inline bool operator!=(REFGUID a, REFGUID b)
{
	return memcmp(&a, &b, sizeof(GUID)) != 0;
}
#endif
#else
#ifndef IsEqualGUID
#define IsEqualGUID(a, b) (memcmp(a, b, sizeof(GUID)) == 0)
#endif
#endif
#ifndef IsEqualIID
#define IsEqualIID(a, b) IsEqualGUID(a, b)
#endif

/* Results; the codes of the SDK itself stand in nserror.h. */

#ifndef SUCCEEDED
#define SUCCEEDED(hr) ((HRESULT)(hr) >= 0)
#endif
#ifndef FAILED
#define FAILED(hr) ((HRESULT)(hr) < 0)
#endif
#ifndef MAKE_HRESULT
#define MAKE_HRESULT(severity, facility, code)                                                 \
	((HRESULT)(((uint32_t)(severity) << 31) | ((uint32_t)(facility) << 16) |               \
		   (uint32_t)(code)))
#endif
#ifndef HRESULT_FROM_WIN32
#define HRESULT_FROM_WIN32(code)                                                               \
	((HRESULT)(code) <= 0 ? (HRESULT)(code) : MAKE_HRESULT(1, 7, (code)&0xFFFF))
#endif
#ifndef _HRESULT_TYPEDEF_
#define _HRESULT_TYPEDEF_(code) ((HRESULT)code)
#endif

#ifndef S_OK
#define S_OK ((HRESULT)0)
#define S_FALSE ((HRESULT)1)
#endif
#ifndef E_NOTIMPL
#define E_NOTIMPL _HRESULT_TYPEDEF_(0x80004001)
#define E_NOINTERFACE _HRESULT_TYPEDEF_(0x80004002)
#define E_POINTER _HRESULT_TYPEDEF_(0x80004003)
#define E_ABORT _HRESULT_TYPEDEF_(0x80004004)
#define E_FAIL _HRESULT_TYPEDEF_(0x80004005)
#define E_UNEXPECTED _HRESULT_TYPEDEF_(0x8000FFFF)
#define E_ACCESSDENIED _HRESULT_TYPEDEF_(0x80070005)
#define E_OUTOFMEMORY _HRESULT_TYPEDEF_(0x8007000E)
#define E_INVALIDARG _HRESULT_TYPEDEF_(0x80070057)
#endif

static_assert(sizeof(WCHAR) == 2, "WCHAR must have 16 bits");
static_assert(sizeof(LONG) == 4 && sizeof(DWORD) == 4 && sizeof(ULONG) == 4,
    "LONG, DWORD and ULONG must have 32 bits");
static_assert(sizeof(HRESULT) == 4 && sizeof(BOOL) == 4, "HRESULT and BOOL must have 32 bits");
static_assert(sizeof(WORD) == 2 && sizeof(BYTE) == 1, "WORD must have 16 bits, BYTE 8");
static_assert(sizeof(GUID) == 16, "a GUID must have 16 bytes");

#if !defined(__IUnknown_INTERFACE_DEFINED__)
#define __IUnknown_INTERFACE_DEFINED__
typedef interface IUnknown IUnknown;

/* IID 00000000-0000-0000-C000-000000000046 */
DEFINE_GUID(
    IID_IUnknown, 0x00000000, 0x0000, 0x0000, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x46);

#if defined(__cplusplus) && !defined(CINTERFACE)

struct IUnknown {
      public:
	virtual HRESULT STDMETHODCALLTYPE QueryInterface(REFIID riid, void **ppvObject) = 0;
	virtual ULONG STDMETHODCALLTYPE AddRef(void) = 0;
	virtual ULONG STDMETHODCALLTYPE Release(void) = 0;
};

#else

typedef struct IUnknownVtbl {
	BEGIN_INTERFACE
	HRESULT(STDMETHODCALLTYPE *QueryInterface)
	(IUnknown *This, REFIID riid, void **ppvObject);
	ULONG(STDMETHODCALLTYPE *AddRef)(IUnknown *This);
	ULONG(STDMETHODCALLTYPE *Release)(IUnknown *This);
	END_INTERFACE
} IUnknownVtbl;

interface IUnknown
{
	CONST_VTBL IUnknownVtbl *lpVtbl;
};

#ifdef COBJMACROS
#define IUnknown_QueryInterface(This, riid, ppvObject)                                         \
	(This)->lpVtbl->QueryInterface(This, riid, ppvObject)
#define IUnknown_AddRef(This) (This)->lpVtbl->AddRef(This)
#define IUnknown_Release(This) (This)->lpVtbl->Release(This)
#endif

#endif
#endif /* __IUnknown_INTERFACE_DEFINED__ */

#endif /* REHOST_REHOSTCOM_H */
