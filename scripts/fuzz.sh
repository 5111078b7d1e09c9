#!/bin/sh
# npm run fuzz -- [--seconds N] [--target T[,T]] [--seed S]: the fuzz targets of test/fuzz for as long as wanted.
set -eu
. "$(dirname "$0")/setup.sh"
exec "$node" "$quiet" test/fuzz/main.ts "$@"
