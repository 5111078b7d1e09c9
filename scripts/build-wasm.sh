#!/bin/sh
# Makes wasm/inflate.wasm of wasm/inflate.c and ISA-L, and notes in wasm/inflate.sums what it was made of: a unit test fails when a source,
# or this script, changes without a new note. Needs clang and lld (Debian 12: 14.0). Then: node scripts/embed-wasm.ts.
set -eu
cd "$(dirname "$0")/.."
isal=scripts/static/isa-l
clang --target=wasm32 -O3 -ffreestanding -nostdlib -mbulk-memory -Wall -Wextra -Wno-unused -Wno-unused-parameter -Wno-sign-compare \
  -Iwasm/libc -Iscripts/static -I"$isal/include/" -I"$isal/igzip/" wasm/inflate.c "$isal/igzip/igzip_inflate.c" \
  -Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=65536 -o wasm/inflate.wasm
sha256sum wasm/inflate.wasm wasm/inflate.c wasm/libc/*.h scripts/static/inflate-needs.h "$isal/igzip/igzip_inflate.c" \
  "$isal"/igzip/*.h "$isal"/include/*.h scripts/build-wasm.sh > wasm/inflate.sums
