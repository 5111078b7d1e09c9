// For ISA-L's inflate in WebAssembly, where there is no C library.
#define bswap_16 __builtin_bswap16
#define bswap_32 __builtin_bswap32
#define bswap_64 __builtin_bswap64
