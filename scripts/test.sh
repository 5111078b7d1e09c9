#!/bin/sh
# npm test: everything, on Node 26, Node 22 and Deno. Tests that need root or a tool say so when they are skipped;
# with CI=true nothing may be skipped. Arguments are test files (default: all).
set -eu
. "$(dirname "$0")/setup.sh"
node22=node_modules/runtime-node-22/bin/node

if [ $# -gt 0 ]; then
  exec "$node" "$quiet" --test "$@"
fi

# $1: a Node; then files. Side by side, as there are two cores.
side_by_side() {
  runner=$1
  shift
  # Each file is a process that loads the same sources: the code is compiled once.
  NODE_COMPILE_CACHE="$PWD/node_modules/.cache/tests" \
    "$runner" "$quiet" --test --test-concurrency=2 --test-reporter=dot --test-timeout=300000 "$@"
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
# deno test takes one file after another: two of them make use of both cores.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$bin/deno" test --quiet -A --no-check test/conformance/[d-z]* > "$log" 2>&1 &
conformance=$!
"$bin/deno" test --quiet -A --no-check test/unit test/conformance/[a-c]* || { kill "$conformance" 2> /dev/null || :; exit 1; }
wait "$conformance" || { cat "$log"; exit 1; }
tail -n 3 "$log"
echo "== integration, driving every flavour"
# In each half one file after another; the first half has the long ones.
driving() { "$node" "$quiet" --test --test-concurrency=1 --test-timeout=1200000 "$@"; }
long=
rest=
for file in test/integration/*.test.ts; do
  case ${file##*/} in
    differential.* | errors.* | examples.* | guides.* | failing-syscalls.* | kill.* | kills.* | power-cuts.* | serve.* | store.* | verify.*) long="$long $file" ;;
    *) rest="$rest $file" ;;
  esac
done
driving $long > "$log" 2>&1 &
first=$!
# Neither half ends the other: tests that are killed leave mounts and daemons.
failed=
driving $rest || failed=yes
wait "$first" || failed=yes
if [ -n "$failed" ]; then
  cat "$log"
  exit 1
fi
tail -n 9 "$log"
