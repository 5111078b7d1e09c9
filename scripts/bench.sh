#!/bin/sh
# npm run bench: hawser beside the tools that do the same, on this machine. npm run bench -- --help says what there is.
set -eu
. "$(dirname "$0")/setup.sh"
exec "$node" "$quiet" scripts/bench/main.ts "$@"
