#!/bin/sh
# npm test: everything, on Node 26, Node 22 and Deno. Tests that need root or a tool say so when they are skipped;
# with CI=true nothing may be skipped. Arguments are test files (default: all).
set -eu
. "$(dirname "$0")/setup.sh"
node22=node_modules/runtime-node-22/bin/node

if [ $# -gt 0 ]; then
  exec "$node" "$quiet" --test "$@"
fi

# Files side by side: three keep two cores busy, as many tests wait for a clock or a disk.
jobs=3
# $1: a Node; then files.
side_by_side() {
  runner=$1
  shift
  # Each file is a process that loads the same sources: the code is compiled once.
  NODE_COMPILE_CACHE="$PWD/node_modules/.cache/tests" \
    "$runner" "$quiet" --test --test-concurrency=$jobs --test-reporter=dot --test-timeout=300000 "$@"
}
modules() { side_by_side "$1" 'test/unit/**/*.test.ts' 'test/conformance/*.test.ts'; }

echo "== build"
if [ "${CI:-}" = true ]; then "$node" "$quiet" scripts/release/main.ts; else "$node" scripts/build.ts; fi
echo "== Node $("$node" --version): unit and conformance"
modules "$node"
if [ "${CI:-}" = true ]; then
  echo "== Node $("$node" --version) made static, as the executable is: what touches the system"
  "$node" "$quiet" scripts/static/node.ts build/node
  system='applier,codecs,database,ends,file-system,formats,hashers,host,leaks,linked-decoder,make-files,mounter,programs,pull,snapshotter,space,syscalls'
  side_by_side build/node "test/conformance/{$system,transport,tree,tree-mounts,unpack,workers,write-back}.test.ts" \
    'test/unit/archive/**/*.test.ts'
fi
# Bits flipped at random are most on the first runtime.
export HAWSER_FLIPS="${HAWSER_FLIPS:-10}"
echo "== Node $("$node22" --version): unit and conformance"
modules "$node22"
echo "== $("$bin/deno" --version | head -n 1): unit and conformance"
# deno test takes one file after another: some of them, a dozen files each, make use of both cores. Only what fails is printed.
find test/unit test/conformance -name '*.test.ts' | sort | xargs -n 12 -P $jobs sh -c '
  deno=$1
  shift
  out=$("$deno" test --quiet -A --no-check "$@" 2>&1) || { echo "$out"; exit 1; }
' deno "$bin/deno"
echo "== integration, driving every flavour"
# Longest first would be best; the long ones begin with d and f, and node takes files by name.
"$node" "$quiet" --test --test-concurrency=$jobs --test-timeout=1200000 'test/integration/*.test.ts'
