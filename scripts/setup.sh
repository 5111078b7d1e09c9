# Sourced by the other scripts: goes to the top, installs what is missing, and sees that the Node they use starts.
cd "$(dirname "$0")/.."
[ -x node_modules/.bin/node ] && [ -d node_modules/undici ] || npm ci --no-audit --no-fund >&2
bin=node_modules/.bin
node=$bin/node
quiet=--disable-warning=ExperimentalWarning
if ! "$node" --version > /dev/null; then
  echo "The Node in node_modules does not start here. It needs x86-64 Linux with glibc 2.28, libstdc++6 and libatomic1" >&2
  echo "(Debian: apt-get install libstdc++6 libatomic1)." >&2
  exit 1
fi
if [ -z "${HAWSER_TEST_TMP:-}" ] && [ -w /dev/shm ]; then
  HAWSER_TEST_TMP=/dev/shm
  export HAWSER_TEST_TMP
fi
