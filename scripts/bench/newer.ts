/** Tools of a newer Debian than the machine's, in a chroot below HAWSER_BENCH_DIR: `npm run bench -- newer` makes it. */
import { execFileSync } from 'node:child_process';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { benchDir } from './images.ts';

const SUITE = 'forky';
const PACKAGES = 'podman,skopeo,ca-certificates';
/** In a mount namespace of its own, with the directory of the stores at the same path. */
const ENTER =
  'mkdir -p "$1$2"; mount --rbind "$2" "$1$2"; mount -t proc proc "$1/proc"; mount --rbind /sys "$1/sys"; mount --rbind /dev "$1/dev"; ' +
  'root=$1; shift 2; exec chroot "$root" "$@"';

const root = join(benchDir(), `debian-${SUITE}`);

interface Newer {
  /** There when the chroot is whole. */
  readonly marker: string;
  /** What comes before a command that runs inside; `base`: a directory that the command sees under the same name. */
  readonly enter: (base: string) => readonly string[];
}

export const newer: Newer = {
  marker: join(root, 'usr/bin/podman'),
  enter: (base) => ['unshare', '--mount', 'sh', '-ec', ENTER, 'sh', root, base],
};

/** Needs root, mmdebstrap and Debian's mirror; some minutes. */
export function makeNewer(log: (line: string) => void): void {
  if (existsSync(newer.marker)) {
    log(`${root} is there`);
    return;
  }
  log(`making ${root}`);
  rmSync(`${root}.new`, { recursive: true, force: true });
  // A mirror may be a copy of an earlier day.
  const aged = '--aptopt=Acquire::Check-Valid-Until "false"';
  execFileSync('mmdebstrap', ['--variant=apt', aged, `--include=${PACKAGES}`, SUITE, `${root}.new`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  rmSync(root, { recursive: true, force: true });
  renameSync(`${root}.new`, root);
}
