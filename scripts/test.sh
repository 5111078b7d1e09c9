#!/bin/sh
# npm test: everything, on Node 26, Node 22 and Deno. Tests that need root or a tool say so when they are skipped;
# with CI=true nothing may be skipped. Arguments are test files (default: all).
set -eu
cd "$(dirname "$0")/.."
[ -x node_modules/.bin/node ] && [ -d node_modules/undici ] || npm ci --no-audit --no-fund >&2
if [ -z "${HAWSER_TEST_TMP:-}" ] && [ -w /dev/shm ]; then HAWSER_TEST_TMP=/dev/shm; export HAWSER_TEST_TMP; fi
node=node_modules/.bin/node
node22=node_modules/runtime-node-22/bin/node
deno=node_modules/.bin/deno
quiet=--disable-warning=ExperimentalWarning

if [ $# -gt 0 ]; then
  exec "$node" "$quiet" --test "$@"
fi

echo "== build"
"$node" scripts/build.ts
echo "== Node $("$node" --version): unit and conformance"
"$node" "$quiet" --test --test-concurrency=2 --test-reporter=dot --test-timeout=300000 'test/unit/**/*.test.ts' 'test/conformance/*.test.ts'
echo "== Node $("$node22" --version): unit and conformance"
"$node22" "$quiet" --test --test-concurrency=2 --test-reporter=dot --test-timeout=300000 'test/unit/**/*.test.ts' 'test/conformance/*.test.ts'
echo "== $("$deno" --version | head -n 1): unit and conformance"
"$deno" test --quiet -A --no-check test/unit test/conformance
echo "== integration, driving every flavour"
"$node" "$quiet" --test --test-concurrency=1 --test-timeout=1200000 'test/integration/*.test.ts'
