#!/bin/sh
# Peers for the tests that Debian does not have: containerd 2 with its ctr and shim, crane, oras, regctl, the
# distribution-spec's conformance suite, Bun. Usage: scripts/ci-peers.sh DIR.
# What is in DIR, under its version, stays. DIR/env then sets the variables of the tests. Go: the one in PATH when it is new enough, else
# Go's toolchain from the module proxy (needs curl, unzip). Exit 75: the module proxy or npm cannot be reached.
set -eu
dir=${1:?scripts/ci-peers.sh takes a directory}
containerd=v2.4.2
bun=1.4.5
crane=v0.22.1
oras=v1.3.0
regctl=v0.11.7
suite=v0.0.0-20260831232431-97274622c111
go=1.26.8
go_sum=30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
export GOMODCACHE="$dir/mod"
proxy=$(go env GOPROXY 2> /dev/null || printf %s "${GOPROXY:-https://proxy.golang.org}")
proxy=$(printf %s "$proxy" | cut -d, -f1 | cut -d'|' -f1)

reach() {
  "$@" > /dev/null && return
  echo "scripts/ci-peers.sh: cannot be reached: $*" >&2
  exit 75
}

# The toolchain as a module: github.com/golang/go, src/cmd/go/internal/toolchain.
toolchain() {
  name=v0.0.1-go$go.linux-amd64
  curl -fsSL --retry 3 -o "$dir/go.zip" "$proxy/golang.org/toolchain/@v/$name.zip"
  echo "$go_sum  $dir/go.zip" | sha256sum -c --quiet
  unzip -q -o "$dir/go.zip" -d "$dir/go"
  rm "$dir/go.zip"
  root=$dir/go/golang.org/toolchain@$name
  chmod -R +x "$root/bin" "$root/pkg/tool"
  PATH=$root/bin:$PATH
}

# $1: where the program goes; $2: its package.
install_go() {
  GOBIN=$1 GOFLAGS='-buildvcs=false -modcacherw' CGO_ENABLED=0 go install -ldflags '-s -w' "$2"
}

bun_home=$dir/bun-$bun
if [ ! -x "$bun_home/bun" ]; then
  reach npm view "@oven/bun-linux-x64-baseline@$bun" version
  npm install --silent --no-audit --no-fund --prefix "$bun_home" "@oven/bun-linux-x64-baseline@$bun"
  ln -sf node_modules/@oven/bun-linux-x64-baseline/bin/bun "$bun_home/bun"
fi
# The tests read containerd's .proto files in the module cache, too.
suite_home=$dir/oci-conformance-${suite##*-}
if [ ! -x "$dir/containerd-$containerd/ctr" ] || [ ! -x "$dir/crane-$crane/crane" ] ||
  [ ! -x "$dir/oras-$oras/oras" ] || [ ! -x "$dir/regctl-$regctl/regctl" ] ||
  [ ! -x "$suite_home/conformance" ] || [ ! -d "$GOMODCACHE/github.com/containerd" ]; then
  reach curl -fsS --max-time 60 "$proxy/github.com/containerd/containerd/v2/@v/$containerd.info"
  case $(go env GOVERSION 2> /dev/null) in go1.2[4-9]* | go1.[3-9][0-9]*) ;; *) toolchain ;; esac
  install_go "$dir/crane-$crane" "github.com/google/go-containerregistry/cmd/crane@$crane"
  install_go "$dir/oras-$oras" "oras.land/oras/cmd/oras@$oras"
  install_go "$dir/regctl-$regctl" "github.com/regclient/regclient/cmd/regctl@$regctl"
  install_go "$suite_home" "github.com/opencontainers/distribution-spec/conformance@$suite"
  for program in containerd containerd-shim-runc-v2 ctr; do
    install_go "$dir/containerd-$containerd" "github.com/containerd/containerd/v2/cmd/$program@$containerd"
  done
fi
cat > "$dir/env" << END
export GOMODCACHE='$GOMODCACHE' CONTAINERD2='$dir/containerd-$containerd/containerd'
export OCI_CONFORMANCE='$suite_home/conformance'
export PATH="\$PATH:$bun_home:$dir/crane-$crane:$dir/oras-$oras:$dir/regctl-$regctl"
END
