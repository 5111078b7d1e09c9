#!/bin/sh
# npm run fuzz -- [--seconds N] [--target T[,T]] [--seed S]: the fuzz targets of test/fuzz for as long as wanted.
# HAWSER_FUZZ_NODE: another Node, as the one that scripts/static/node.ts makes, whose decoders are those of the executable.
set -eu
. "$(dirname "$0")/setup.sh"
exec "${HAWSER_FUZZ_NODE:-$node}" "$quiet" test/fuzz/main.ts "$@"
