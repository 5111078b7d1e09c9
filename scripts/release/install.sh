#!/bin/sh
# Installs hawser: downloads the executable for this machine's processor, checks it against SHA256SUMS, and puts it into a directory.
#   sh install.sh [--from URL|DIR] [--to DIR]
# --from: where the files of a release are (default: the directory of this script). --to: default /usr/local/bin as root,
# ~/.local/bin otherwise. Needs gzip, sha256sum, and for a URL curl or wget.
set -eu
from=$(cd "$(dirname "$0")" && pwd)
to=
while [ $# -gt 0 ]; do
  case $1 in
    --from) from=${2:?--from takes a URL or a directory}; shift 2 ;;
    --to) to=${2:?--to takes a directory}; shift 2 ;;
    *) echo "install.sh: unknown argument $1" >&2; exit 2 ;;
  esac
done
if [ -z "$to" ]; then
  if [ "$(id -u)" = 0 ]; then to=/usr/local/bin; else to=$HOME/.local/bin; fi
fi
case $(uname -s)/$(uname -m) in
  Linux/x86_64) file=hawser-linux-x64.gz ;;
  Linux/aarch64 | Linux/arm64) file=hawser-linux-arm64.gz ;;
  *) echo "install.sh: there is no executable for $(uname -s) on $(uname -m); hawser.mjs runs with Node or Deno" >&2; exit 1 ;;
esac
scratch=$(mktemp -d)
new=
trap 'rm -rf "$scratch" ${new:+"$new"}' EXIT
trap 'exit 1' HUP INT TERM
take() {
  case $from in
    http://* | https://*)
      if command -v curl > /dev/null; then curl -fsSL -o "$scratch/$1" "$from/$1"
      elif command -v wget > /dev/null; then wget -q -O "$scratch/$1" "$from/$1"
      else
        echo "install.sh: a download needs curl or wget; with the files of the release in a directory: --from DIR" >&2
        exit 1
      fi ;;
    *) cp "$from/$1" "$scratch/$1" ;;
  esac
}
take SHA256SUMS
take "$file"
(cd "$scratch" && grep "  $file\$" SHA256SUMS > sum && sha256sum -c sum > /dev/null) || {
  echo "install.sh: $file is not what SHA256SUMS says: nothing was installed" >&2
  exit 1
}
gzip -d "$scratch/$file"
mkdir -p "$to"
# A file that is being run can be replaced, not written to; the rename is one step. What does not start here replaces nothing.
new=$(mktemp "$to/.hawser.XXXXXX")
cp "$scratch/${file%.gz}" "$new"
chmod 755 "$new"
"$new" --version || {
  echo "install.sh: $file does not run here: nothing was installed" >&2
  exit 1
}
mv -f "$new" "$to/hawser"
new=
case :$PATH: in *":$to:"*) ;; *) echo "$to is not in PATH" ;; esac
