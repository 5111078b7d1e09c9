// For ISA-L's inflate in WebAssembly, where there is no C library.
#define assert(what) ((void)0)
