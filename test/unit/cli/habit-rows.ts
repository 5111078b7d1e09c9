/**
 * What users of other tools type with hawser in the place of their tool, and what comes of it: `= COMMAND` runs, `? COMMAND` runs and says there what
 * takes its place (an artifact has no files to unpack: `content fetch`), and all else is the hint.
 */
export const HABITS: readonly (readonly [line: string, comes: string])[] = [
  // ctr
  ['images pull r.io/app:1', '= images pull'],
  ['image pull r.io/app:1', '= images pull'],
  ['-n k8s.io images ls -q', '= images list'],
  ['images tag r.io/app:1 r.io/app:2', '= images tag'],
  ['images export app.tar r.io/app:1', '= images export'],
  ['images export app.tar r.io/app:1 --lacks old.tar', '= images export'],
  ['export app.tar r.io/app:1 --lacks old.tar', '= images export'],
  ['export app.tar --platform linux/amd64 r.io/app:1 --lacks old.tar', '= images export'],
  ['export r.io/app:1 app.tar --lacks old.tar', 'In hawser: hawser export app.tar r.io/app:1'],
  ['images import app.tar', '= images import'],
  [
    'images push r.io/app:1',
    'hawser does not push: skopeo copy oci:ROOT/content:REF docker://REF does, from the store of hawser',
  ],
  ['images rm r.io/app:1', '= images delete'],
  ['images mount r.io/app:1 mnt', '= images mount'],
  ['images unmount mnt', '= images unmount'],
  ['images label r.io/app:1 key=value', '= images label'],
  ['images check', '= images check'],
  ['images ls name==r.io/app:1', '= images list'],
  ['images pull --all-platforms r.io/app:1', '= images pull'],
  ['images prune --all', '= images prune'],
  [
    'images convert --oci r.io/app:1 r.io/app:oci',
    'hawser converts nothing: ctr images convert and nerdctl image convert do, inside a containerd',
  ],
  ['content ls -q', '= content list'],
  ['content fetch r.io/app:1', '= content fetch'],
  ['content rm sha256:DIGEST', '= content delete'],
  ['content prune references', '= content prune'],
  ['content active', '= content active'],
  ['snapshots rm KEY', '= snapshots delete'],
  ['snapshots --snapshotter overlayfs ls', '= snapshots list'],
  ['snapshots diff A B', '= snapshots diff'],
  ['leases ls', '= leases list'],
  ['ns ls', '= namespaces list'],
  ['plugins ls', 'hawser has no plugins: hawser version says what this build is'],
  ['info', 'In hawser: hawser version'],
  [
    'run --rm r.io/app:1 NAME',
    'hawser runs nothing: hawser bundle REF DIR makes a bundle, and runc run --bundle DIR NAME runs it',
  ],
  [
    'c ls',
    'hawser runs nothing: hawser bundle REF DIR makes a bundle, and runc run --bundle DIR NAME runs it',
  ],
  // docker
  ['pull r.io/app:1', '= images pull'],
  ['pull -q r.io/app:1', 'In hawser: hawser pull --progress none r.io/app:1'],
  ['pull --quiet=true r.io/app:1', 'In hawser: hawser pull --progress none r.io/app:1'],
  ['pull --platform linux/amd64 r.io/app:1', '= images pull'],
  ['pull -a r.io/app', "To pull every tag: hawser tags REPO | sed 's|^|REPO:|' | hawser pull -f -"],
  ['images', '= help images'],
  ['images -q', 'In hawser: hawser images ls -q'],
  ['image ls --format json', 'In hawser: hawser images ls --json'],
  ['image ls --digests', 'In hawser: hawser images ls'],
  ['rmi r.io/app:1', '= images delete'],
  ['rmi -f r.io/app:1', 'In hawser: hawser rmi r.io/app:1'],
  ['tag r.io/app:1 app:2', '= images tag'],
  ['save -o app.tar r.io/app:1', 'In hawser: hawser export app.tar r.io/app:1'],
  ['save r.io/app:1', 'In hawser: hawser export - r.io/app:1'],
  ['load -i app.tar', 'In hawser: hawser import app.tar'],
  ['image inspect r.io/app:1', '= images inspect'],
  ['inspect r.io/app:1', '= images inspect'],
  [
    "image inspect --format '{{.Config.Cmd}}' r.io/app:1",
    'hawser has no templates: hawser config REF prints the config as JSON, for jq .config.Cmd and the like',
  ],
  ['history r.io/app:1', 'In hawser: hawser images inspect --content r.io/app:1'],
  ['image prune -a -f', 'In hawser: hawser images prune --all'],
  ['system df', 'In hawser: hawser df'],
  ['system prune', 'In hawser: hawser gc'],
  [
    'login -u USER -p PASSWORD r.io',
    'hawser reads the credentials that docker login and podman login store; or use --user NAME with each command',
  ],
  [
    'login r.io',
    'hawser reads the credentials that docker login and podman login store; or use --user NAME with each command',
  ],
  [
    'logout r.io',
    'hawser reads the credentials that docker login and podman login store; or use --user NAME with each command',
  ],
  [
    'push r.io/app:1',
    'hawser does not push: skopeo copy oci:ROOT/content:REF docker://REF does, from the store of hawser',
  ],
  [
    'export CONTAINER',
    'hawser export OUT REF writes images, of which OUT - is standard output; there are no containers: hawser unpack REF --rootfs DIR writes the files of an image, --tar FILE as one archive',
  ],
  ['cp r.io/app:1:/etc .', '= files copy'],
  [
    'run --rm r.io/app:1 true',
    'hawser runs nothing: hawser bundle REF DIR makes a bundle, and runc run --bundle DIR NAME runs it',
  ],
  [
    'search alpine',
    'hawser has no search: hawser catalog HOST lists the repositories of a registry that tells them',
  ],
  ['manifest inspect r.io/app:1', 'In hawser: hawser manifest r.io/app:1'],
  ['buildx imagetools inspect r.io/app:1', 'In hawser: hawser manifest r.io/app:1'],
  // nerdctl
  ['-n k8s.io images', 'In hawser: hawser -n k8s.io images ls'],
  [
    'image convert --oci --zstd r.io/app:1 r.io/app:zstd',
    'hawser converts nothing: ctr images convert and nerdctl image convert do, inside a containerd',
  ],
  // podman
  ['image mount r.io/app:1', 'hawser images mount REF DIR mounts the image at a directory that you name'],
  ['image exists r.io/app:1', 'In hawser: hawser images inspect r.io/app:1'],
  ['pull docker://r.io/app:1', 'In hawser: hawser pull r.io/app:1'],
  ['save --format oci-archive -o app.tar r.io/app:1', 'In hawser: hawser export app.tar r.io/app:1'],
  // crane
  ['digest r.io/app:1', '= digest'],
  ['manifest r.io/app:1', '= manifest'],
  ['config r.io/app:1', '= config'],
  ['ls r.io/app', 'In hawser: hawser tags r.io/app'],
  ['catalog r.io', '= catalog'],
  ['export r.io/app:1 -', 'In hawser: hawser unpack r.io/app:1 --tar -'],
  [
    'pull r.io/app:1 app.tar',
    'In hawser: hawser content fetch r.io/app:1 && hawser export --format docker app.tar r.io/app:1',
  ],
  [
    'pull --format oci r.io/app:1 folder',
    'In hawser: hawser content fetch r.io/app:1 && hawser export folder/ r.io/app:1',
  ],
  [
    'copy r.io/app:1 o.io/app:1',
    'hawser does not write to a registry: skopeo copy and crane copy do; hawser export DIR/ REF writes an OCI layout',
  ],
  ['validate --remote r.io/app:1', 'In hawser: hawser content fetch r.io/app:1'],
  [
    'auth login r.io -u USER -p PASSWORD',
    'hawser reads the credentials that docker login and podman login store; or use --user NAME with each command',
  ],
  ['--insecure pull r.io/app:1', 'In hawser: hawser --plain-http pull r.io/app:1'],
  ['--platform linux/arm64 digest r.io/app:1', '= digest'],
  ['blob r.io/app@sha256:DIGEST', 'In hawser: hawser content fetch-blob r.io/app sha256:DIGEST'],
  // skopeo
  [
    'copy docker://r.io/app:1 oci:folder:1',
    'In hawser: hawser content fetch r.io/app:1 && hawser export folder/ r.io/app:1',
  ],
  [
    'copy docker://r.io/app:1 docker-archive:app.tar',
    'In hawser: hawser content fetch r.io/app:1 && hawser export --format docker app.tar r.io/app:1',
  ],
  [
    'copy docker://r.io/app:1 docker://o.io/app:1',
    'hawser does not write to a registry: skopeo copy and crane copy do; hawser export DIR/ REF writes an OCI layout',
  ],
  [
    'copy --all docker://r.io/app:1 oci:folder:1',
    'In hawser: hawser content fetch --all-platforms r.io/app:1 && hawser export --all-platforms folder/ r.io/app:1',
  ],
  [
    'inspect docker://r.io/app:1',
    'In hawser: hawser manifest r.io/app:1 && hawser config r.io/app:1 && hawser tags r.io/app:1',
  ],
  ['inspect --raw docker://r.io/app:1', 'In hawser: hawser manifest r.io/app:1'],
  ['inspect --config docker://r.io/app:1', 'In hawser: hawser config r.io/app:1'],
  ['list-tags docker://r.io/app', 'In hawser: hawser tags r.io/app'],
  [
    'sync --src docker --dest dir r.io/app folder',
    "hawser content fetch -f FILE fetches what a list of skopeo sync names, and hawser serve gives it to others. To pull every tag: hawser tags REPO | sed 's|^|REPO:|' | hawser pull -f -",
  ],
  [
    'delete docker://r.io/app:1',
    'hawser images rm REF removes an image here, skopeo delete one at a registry',
  ],
  [
    'login r.io',
    'hawser reads the credentials that docker login and podman login store; or use --user NAME with each command',
  ],
  // regctl
  [
    'image copy r.io/app:1 ocidir://folder',
    'In hawser: hawser content fetch r.io/app:1 && hawser export folder/ r.io/app:1',
  ],
  ['image get-file r.io/app:1 /etc/os-release', 'In hawser: hawser cat r.io/app:1 /etc/os-release'],
  ['image export r.io/app:1 app.tar', 'In hawser: hawser export app.tar r.io/app:1'],
  ['image digest r.io/app:1', 'In hawser: hawser digest r.io/app:1'],
  ['tag ls r.io/app', 'In hawser: hawser tags r.io/app'],
  ['manifest get r.io/app:1', 'In hawser: hawser manifest r.io/app:1'],
  ['blob get r.io/app sha256:DIGEST', 'In hawser: hawser content fetch-blob r.io/app sha256:DIGEST'],
  ['repo ls r.io', 'In hawser: hawser catalog r.io'],
  [
    'registry login r.io',
    'hawser reads the credentials that docker login and podman login store; or use --user NAME with each command',
  ],
  // oras
  ['pull r.io/artifact:1', '? images pull'],
  ['manifest fetch r.io/app:1', 'In hawser: hawser manifest r.io/app:1'],
  [
    'cp r.io/app:1 --to-oci-layout folder:1',
    'In hawser: hawser content fetch r.io/app:1 && hawser export folder/ r.io/app:1',
  ],
  ['discover r.io/app:1', 'In hawser: hawser referrers r.io/app:1'],
  [
    'blob fetch r.io/app@sha256:DIGEST --output file',
    'In hawser: hawser content fetch-blob r.io/app sha256:DIGEST',
  ],
  ['repo tags r.io/app', 'In hawser: hawser tags r.io/app'],
  ['resolve r.io/app:1', '= images resolve'],
  // umoci
  ['unpack --image folder:1 bundle', 'In hawser: hawser import folder/ && hawser bundle REF bundle'],
  [
    'unpack --rootless --image folder:1 bundle',
    'In hawser: hawser import folder/ && hawser bundle REF bundle',
  ],
  [
    'raw unpack --image folder:1 rootfs',
    'In hawser: hawser import folder/ && hawser unpack REF --rootfs rootfs',
  ],
  ['stat --image folder:1', 'In hawser: hawser import folder/ && hawser images inspect REF'],
  ['gc --layout folder', 'hawser gc collects its own store only: umoci gc does it in a layout'],
  ['ls --layout folder', 'In hawser: hawser import folder/ && hawser images ls'],
];
