// For ISA-L's inflate in WebAssembly, where there is no C library: nothing of this header is used.
