// For ISA-L's inflate in WebAssembly, where there is no C library: inflate.c has these functions.
#include <stddef.h>
void *memcpy(void *restrict, const void *restrict, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
int memcmp(const void *, const void *, size_t);
size_t strnlen(const char *, size_t);
