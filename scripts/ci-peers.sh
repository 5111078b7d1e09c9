#!/bin/sh
# Peers for the tests that Debian does not have: containerd 2 with its ctr and shim in DIR/containerd2, Bun and crane in DIR/bin.
# Usage: scripts/ci-peers.sh DIR. What is in DIR stays. Go: the one in PATH when it is new enough, else Go's toolchain from the module proxy (needs curl, unzip).
set -eu
dir=${1:?scripts/ci-peers.sh takes a directory}
containerd=v2.4.2
bun=1.4.5
crane=v0.22.1
go=1.26.8
mkdir -p "$dir/bin" "$dir/containerd2"
dir=$(cd "$dir" && pwd)

if [ ! -x "$dir/bin/bun" ]; then
  npm install --silent --no-audit --no-fund --prefix "$dir/npm" "@oven/bun-linux-x64-baseline@$bun"
  ln -sf ../npm/node_modules/@oven/bun-linux-x64-baseline/bin/bun "$dir/bin/bun"
fi

# The toolchain as a module: github.com/golang/go, src/cmd/go/internal/toolchain.
toolchain() {
  name=v0.0.1-go$go.linux-amd64
  proxy=$(printf %s "${GOPROXY:-https://proxy.golang.org}" | cut -d, -f1 | cut -d'|' -f1)
  curl -fsSL --retry 3 -o "$dir/go.zip" "$proxy/golang.org/toolchain/@v/$name.zip"
  unzip -q -o "$dir/go.zip" -d "$dir/go"
  rm "$dir/go.zip"
  root=$dir/go/golang.org/toolchain@$name
  chmod -R +x "$root/bin" "$root/pkg/tool"
  PATH=$root/bin:$PATH
}

if [ ! -x "$dir/containerd2/ctr" ] || [ ! -x "$dir/bin/crane" ]; then
  case $(go env GOVERSION 2> /dev/null) in go1.2[4-9]* | go1.[3-9][0-9]*) ;; *) toolchain ;; esac
fi
if [ ! -x "$dir/bin/crane" ]; then
  GOBIN=$dir/bin CGO_ENABLED=0 go install -ldflags '-s -w' "github.com/google/go-containerregistry/cmd/crane@$crane"
fi
if [ ! -x "$dir/containerd2/ctr" ]; then
  for program in containerd containerd-shim-runc-v2 ctr; do
    GOBIN=$dir/containerd2 GOFLAGS=-buildvcs=false CGO_ENABLED=0 go install -ldflags '-s -w' \
      "github.com/containerd/containerd/v2/cmd/$program@$containerd"
  done
fi
