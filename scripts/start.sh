#!/bin/sh
# npm start: installs what is missing, then runs hawser from source; without arguments, the demonstration.
set -eu
. "$(dirname "$0")/setup.sh"
if [ $# -eq 0 ]; then
  exec "$node" "$quiet" scripts/demo.ts
fi
exec "$node" "$quiet" src/entry/hawser.ts "$@"
