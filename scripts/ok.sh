#!/bin/sh
# npm run ok: what must hold before each commit. Format, lint, types, architecture, unit and conformance on Node 26.
set -eu
. "$(dirname "$0")/setup.sh"
"$bin/biome" check --error-on-warnings .
"$bin/tsc" -p tsconfig.json --noEmit
"$bin/tsc" -p tsconfig.core.json --noEmit
NODE_COMPILE_CACHE="$PWD/node_modules/.cache/tests" "$node" "$quiet" --test --test-concurrency=2 --test-reporter=dot --test-timeout=300000 \
  'test/unit/**/*.test.ts' 'test/conformance/*.test.ts'
