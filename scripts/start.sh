#!/bin/sh
# npm start: installs what is missing, then runs hawser from source; without arguments, the demonstration.
set -eu
cd "$(dirname "$0")/.."
[ -x node_modules/.bin/node ] && [ -d node_modules/undici ] || npm ci --no-audit --no-fund >&2
node=node_modules/.bin/node
if [ $# -eq 0 ]; then
  exec "$node" --disable-warning=ExperimentalWarning scripts/demo.ts
fi
exec "$node" --disable-warning=ExperimentalWarning src/entry/hawser.ts "$@"
