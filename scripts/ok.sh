#!/bin/sh
# npm run ok: what must hold before each commit. Format, lint, types, architecture, unit and conformance on Node 26.
set -eu
cd "$(dirname "$0")/.."
bin=node_modules/.bin
if [ -z "${HAWSER_TEST_TMP:-}" ] && [ -w /dev/shm ]; then HAWSER_TEST_TMP=/dev/shm; export HAWSER_TEST_TMP; fi
"$bin/biome" check --error-on-warnings .
"$bin/tsc" -p tsconfig.json --noEmit
"$bin/tsc" -p tsconfig.core.json --noEmit
"$bin/node" --disable-warning=ExperimentalWarning --test --test-reporter=dot --test-timeout=300000 \
  'test/unit/**/*.test.ts' 'test/conformance/*.test.ts'
