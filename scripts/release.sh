#!/bin/sh
# npm run release: builds what is published into dist/release/. Needs g++, nasm and g++-aarch64-linux-gnu.
set -eu
. "$(dirname "$0")/setup.sh"
exec "$node" "$quiet" scripts/release/main.ts "$@"
