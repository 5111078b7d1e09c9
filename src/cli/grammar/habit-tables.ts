/** Words and flags of other tools (ctr, docker, podman, crane, skopeo, regctl, oras, umoci), and what they are here. */

/**
 * What is typed, and the command line of ours. A key is words, and then a shape (`shapesOf`) that another argument has: a flag, a
 * transport (`oci:`), an archive (`*.tar`), `...` before the last one. The group is named as ours is. In a line, `$1` and `$2` are the first arguments,
 * `$to` the second one and a space, if there is one, `$@` all of them, `$digest` the digest after the first one's `@` or the second one, `$platform` the flag --platform where it was typed, `$all`
 * the same for --all, `$output` and `$input` the values of -o and -i, `$file` the archive, `$target` the first that is none, `$layout` the directory of a layout. A test checks that each can be typed.
 */
export const COMMANDS: Readonly<Record<string, string>> = {
  'inspect --raw': 'manifest $1',
  'inspect --config': 'config $1',
  'auth login': 'login $1',
  'auth logout': 'logout $1',
  'registry login': 'login $1',
  'registry logout': 'logout $1',
  'inspect docker://': 'manifest $1 && hawser config $1 && hawser tags $1',
  'images inspect docker://': 'manifest $1 && hawser config $1 && hawser tags $1',
  'manifest inspect': 'manifest $platform$1',
  'manifest fetch': 'manifest $platform$1',
  'manifest get': 'manifest $platform$1',
  'manifest head': 'digest $platform$1',
  'manifest digest': 'digest $platform$1',
  'manifest fetch-config': 'config $platform$1',
  'buildx imagetools inspect': 'manifest $1',
  'images digest': 'digest $platform$1',
  'images manifest': 'manifest $platform$1',
  'images config': 'config $platform$1',
  ls: 'tags $1',
  'list-tags': 'tags $1',
  'tag ls': 'tags $1',
  'tag list': 'tags $1',
  'repo tags': 'tags $1',
  'repo show-tags': 'tags $1',
  'repo ls': 'catalog $1',
  'repo list': 'catalog $1',
  discover: 'referrers $1',
  'artifact list': 'referrers $1',
  'artifact tree': 'referrers $1',
  blob: 'content fetch-blob $1 $digest',
  'blob get': 'content fetch-blob $1 $digest',
  'blob fetch': 'content fetch-blob $1 $digest',
  history: 'images inspect --content $1',
  'images history': 'images inspect --content $1',
  stat: 'images inspect $1',
  validate: 'content fetch $1',
  save: 'export $output $@',
  load: 'import $input',
  'images save --output': 'export $output $@',
  'images save -o': 'export $output $@',
  'images load --input': 'import $input',
  'images load -i': 'import $input',
  'export --output': 'export $output $@',
  'export -o': 'export $output $@',
  'export ...-': 'unpack $1 --tar -',
  'export ...*.tar': 'export $file $1',
  'images export ...*.tar': 'export $file $1',
  'pull *.tar': 'content fetch $1 && hawser export --format docker $file $1',
  'pull --format': 'content fetch $1 && hawser export $layout $1',
  'copy ...oci:': 'content fetch $all$1 && hawser export $all$layout $1',
  'copy ...ocidir://': 'content fetch $all$1 && hawser export $all$layout $1',
  'copy ...oci-archive:': 'content fetch $all$1 && hawser export $all$file $1',
  'copy ...docker-archive:': 'content fetch $all$1 && hawser export $all--format docker $file $1',
  'images copy ocidir://': 'content fetch $all$1 && hawser export $all$layout $1',
  'cp --to-oci-layout': 'content fetch $all$1 && hawser export $all$layout $1',
  'unpack --image': 'import $layout && hawser bundle REF $1',
  'unpack --rootless': 'import $layout && hawser bundle REF $1',
  'raw unpack': 'import $layout && hawser unpack REF --rootfs $1',
  'stat --image': 'import $layout && hawser images inspect REF',
  'ls --layout': 'import $layout && hawser images ls',
  'images get-file': 'cat $1 $2',
  'images exists': 'images inspect $1',
  'images ls --format': 'images ls --json',
  'images list --format': 'images ls --json',
  'images ls --digests': 'images ls',
  'images list --digests': 'images ls',
  'images prune -a': 'images prune --all',
  'images copy': 'copy $1 $2',
  'push ...docker://': 'push $to$1',
  'push *.tar': 'import $file && hawser push $target REF',
  umount: 'images unmount $1',
  info: 'version',
  'registry serve': 'serve',
  'store serve': 'serve',
  'system df': 'df',
  'system prune': 'gc',
};

const CONVERTS =
  'hawser converts nothing: ctr images convert and nerdctl image convert do, inside a containerd';
const CONTAINERS =
  'hawser runs nothing: hawser bundle REF DIR makes a bundle, and runc run --bundle DIR NAME runs it';
const UNUSED = 'hawser images rm REF removes an image and, at once, all that only it used';
const PUSHES =
  'hawser writes whole images to a registry: hawser push REMOTE LOCAL sends the image LOCAL of the store under the name REMOTE';
const BUILDS = 'hawser builds nothing: hawser pull REF takes what others have built';
const EVERY_TAG = "To pull every tag: hawser tags REPO | sed 's|^|REPO:|' | hawser pull -f -";

/** The words typed, and a sentence where no command of ours does the same. */
export const SENTENCES: Readonly<Record<string, string>> = {
  'images convert': CONVERTS,
  convert: CONVERTS,
  sync: `hawser content fetch -f FILE fetches what a list of skopeo sync names, and hawser serve gives it to others. ${EVERY_TAG}`,
  'pull --pull':
    'hawser pull asks the registry each time, and fetches nothing that is here already: leave --pull away',
  'images repair --dry-run': 'hawser images verify says what is damaged, and changes nothing',
  'pull -a': EVERY_TAG,
  'pull --all-tags': EVERY_TAG,
  'manifest put': PUSHES,
  'manifest push': PUSHES,
  put: PUSHES,
  upload: PUSHES,
  append: BUILDS,
  mutate: BUILDS,
  build: BUILDS,
  buildx: BUILDS,
  commit: BUILDS,
  search: 'hawser has no search: hawser catalog HOST lists the repositories of a registry that tells them',
  run: CONTAINERS,
  create: CONTAINERS,
  exec: CONTAINERS,
  start: CONTAINERS,
  stop: CONTAINERS,
  kill: CONTAINERS,
  rm: `${CONTAINERS}; hawser images rm REF removes an image`,
  ps: CONTAINERS,
  logs: CONTAINERS,
  attach: CONTAINERS,
  c: CONTAINERS,
  container: CONTAINERS,
  containers: CONTAINERS,
  task: CONTAINERS,
  tasks: CONTAINERS,
  system: UNUSED,
  delete: 'hawser images rm REF removes an image here, skopeo delete one at a registry',
  'gc --layout': 'hawser gc collects its own store only: umoci gc does it in a layout',
  plugins: 'hawser has no plugins: hawser version says what this build is',
};

/** A flag of another tool. */
export interface FlagHabit {
  /** What it is here; '' where hawser does so anyway, or another of its flags says the same. */
  readonly ours: string;
  /** Of a flag without a value: whether it asks for `ours` when on or when off. The other is what hawser does anyway. */
  readonly asks?: 'on' | 'off';
}

/** Flags of other tools that no command of ours has. */
export const FLAGS: Readonly<Record<string, FlagHabit>> = {
  insecure: { ours: '--plain-http', asks: 'on' },
  'insecure-registry': { ours: '--plain-http', asks: 'on' },
  'tls-verify': { ours: '--skip-verify', asks: 'off' },
  creds: { ours: '--user' },
  username: { ours: '--user' },
};

/** After a user's name, and of `login`: hawser asks for the password. */
export const BESIDE_USERNAME: Readonly<Record<string, FlagHabit>> = {
  password: { ours: '' },
  p: { ours: '' },
};

/** Flags that some of our commands have, but not this one, and what this one has. `-f` is docker's `force`, and our `file`. */
export const FLAGS_OF: Readonly<Record<string, FlagHabit>> = {
  'images delete --file': { ours: '', asks: 'on' },
  'images delete --force': { ours: '', asks: 'on' },
  'images prune --file': { ours: '', asks: 'on' },
  'images prune --force': { ours: '', asks: 'on' },
  'copy --all': { ours: '', asks: 'on' },
  'snapshots diff --keep': { ours: '--store', asks: 'on' },
};

/** Hints for commands of which an argument is missing that other tools do without. */
export const INCOMPLETE: Readonly<Record<string, string>> = {
  'images export':
    'hawser export OUT REF writes images, of which OUT - is standard output; there are no containers: hawser unpack REF --rootfs DIR writes the files of an image, --tar FILE as one archive',
  'images mount': 'hawser images mount REF DIR mounts the image at a directory that you name',
};
