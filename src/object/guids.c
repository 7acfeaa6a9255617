/* The only file that defines the interface identifiers. */
#define INITGUID
#include "rehost/rehostidl.h"
