/**
 * Where containerd 1.6.20 (overlayfs) and umoci 0.4.7 (one directory) depart from the image-spec in unpacking the small stacks
 * of layer-cases-*.ts, and why. The one place where that is explained; integration/peers-unpack.test.ts keeps it true.
 */

export type Peer = 'containerd' | 'umoci';

export interface Defect {
  /** What is other than it should be: paths and attributes; or the error. */
  readonly outcome: string;
  readonly reason: string;
}

const REASONS = {
  leak: 'overlayfs: the directory that takes the place of the whiteout (or file) is not opaque, and what was below shows again',
  taken:
    'a whiteout becomes a device of that name, and the name is taken: by what the layer wrote, or by the same whiteout',
  rootOpaque: 'the kernel does not heed an opaque mark on the root of a layer',
  lowerLink: 'the layer is applied to its own directory only, which does not have the target',
  symlinkParent:
    'the symbolic link below is not seen; a directory is made in its place, which hides it and what it leads to',
  notDirectory:
    'what is there and no directory (a file, or the device of a whiteout) is not replaced by the parent that an entry needs',
  ghost:
    'a whiteout that hides nothing, in a directory that is not merged or is opaque, shows as a broken name; parents are made for whiteouts too',
  ownHidden: 'in the first layer, which is not an overlay, a whiteout removes what the layer itself wrote',
  goneDirectory: 'the times of directories are set at the end, also of one that the layer itself replaced',
  implicitTime: 'a directory that no entry describes gets the time of unpacking',
  hiddenAttributes: 'a directory that the layer made anew gets attributes of the one that it hides',
  linkMetadata: "a hard link's own metadata overwrites that of the file (see LayerApplier)",
  keptXattrs:
    'a directory entry adds to the extended attributes that are there, where the specification says replace',
  root: 'entries for the root are skipped: it is 0755 root:root',
  rootRefused: 'a root that is no directory is refused; we ignore such an entry, as containerd does (H91)',
} as const;

/** By reason, then by stack. */
type Listed = Readonly<Partial<Record<keyof typeof REASONS, Readonly<Record<string, string>>>>>;

/** The time of the root aside, which is always that of unpacking with containerd. */
const CONTAINERD: Listed = {
  leak: {
    'whiteout, then the directory again': 'a/old is there',
    'file over directory over file': 'a/old is there',
  },
  taken: {
    'the directory, then its whiteout': 'fails: failed to convert whiteout file ".wh.a": file exists',
    'a file below, then whiteout, no directory entry':
      'fails: failed to convert whiteout file ".wh.d": file exists',
    'the same whiteout twice': 'fails: failed to convert whiteout file ".wh.a": file exists',
    'a file and its whiteout': 'fails: failed to convert whiteout file ".wh.f": file exists',
  },
  rootOpaque: {
    'root opaque': 'dir: mtime, dir/f is there, old is there',
    'root opaque last, over explicit directories': 'dir/f is there',
  },
  lowerLink: {
    'hard link to a file below': 'fails: link a b: no such file or directory',
    'hard link to a file below, which is then hidden': 'fails: link d/a b: no such file or directory',
    'hard link to a file below, whose directory is then hidden':
      'fails: link d/a b: no such file or directory',
    'hard link to a file below, whose directory becomes opaque':
      'fails: link d/a b: no such file or directory',
    'hard link below the hidden directory stays': 'fails: link d/a d/b: no such file or directory',
    'nested: opaque above, whiteouts and files below': 'fails: link d/x d/l: no such file or directory',
    'links: to a symlink below': 'fails: link s h: no such file or directory',
    'links: through symlinked parents': 'fails: link l/f l/h: no such file or directory',
    'links: to a device and a fifo below': 'fails: link p q: no such file or directory',
  },
  symlinkParent: {
    'a parent that is a symlink below':
      'lib: type mode mtime target group, lib/new is there, usr/lib/new is not there',
    'chains of symlinks, absolute and upwards':
      'one: type mode mtime target group, one/new is there, one/none is there, x: mtime, x/y/new is not there',
    'a dangling symlink as parent':
      'l: type mode mtime target group, l/f is there, no is not there, no/where is not there, no/where/f is not there',
    'a whiteout in a symlinked directory':
      'etc/w is there, localetc: type mode mtime target group, localetc/w is there',
    'symlink over directory': 'a: type mode mtime target group, a/x is there, x is not there',
  },
  notDirectory: {
    'whiteout, then a file below, no directory entry': 'fails: mkparent a: not a directory',
    'a file of the layer becomes a parent': 'fails: mkparent a: not a directory',
  },
  ghost: {
    'opaque where nothing is': 'd: mtime, d/x: type mode mtime size group sha256, n is there',
    'whiteouts that hide nothing':
      'd: mtime, d/e: mtime, d/e/foo is there, m is there, m/s is there, n/s is there',
    'opaque and a whiteout of the same': 'd/e is there, d/x is there',
  },
  ownHidden: {
    'a whiteout of what only this layer has':
      'fails: mount callback failed on : failed call to UtimesNanoAt for d: no such file or directory',
  },
  goneDirectory: {
    'a directory that is later removed': 'fails: mount callback failed on : lstat p/q: not a directory',
  },
  implicitTime: {
    'a file below becomes a parent': 'a: mtime',
    'opaque in the middle layer': 'd: mtime',
    'whiteout of an empty implicit chain': 'p: mtime, p/q: mtime, p/q/r: mtime',
    'implicit parents look as below': 'd: mtime, d/e: mtime',
    'implicit parents through three layers': 'd: mtime, d/e: mtime',
    'implicit parents from nothing': 'p: mtime, p/q: mtime',
  },
  hiddenAttributes: {
    'opaque over an implicit directory': 'd: mtime, d/e: mode mtime',
    'opaque first': 'd: mtime, d/e: mode mtime',
  },
  linkMetadata: {
    'links: their metadata is not applied': 'f: mode uid mtime xattrs, h: mode uid mtime xattrs',
  },
  keptXattrs: {
    'the same path many times (H78)': 'p: xattrs',
  },
  root: {
    'the root entry': '.: mode uid mtime xattrs',
    'the root stays when not described': '.: mode uid mtime',
  },
};

const UMOCI: Listed = {
  notDirectory: {
    'a file below becomes a parent': 'fails: a/x: mkdir parent: mkdir a: not a directory',
    'a file of the layer becomes a parent': 'fails: a/x: mkdir parent: mkdir a: not a directory',
  },
  implicitTime: {
    'the directory, then its whiteout': 'a: mtime',
    'whiteout, then a file below, no directory entry': 'a: mtime',
    'root opaque': 'dir: mtime',
    'root opaque last, over explicit directories': 'dir: mtime',
    'opaque first': 'd: mtime, d/e: mtime',
    'hard link below the hidden directory stays': 'd: mtime',
    'chains of symlinks, absolute and upwards': 'x: mtime',
    'a dangling symlink as parent': 'no: mtime, no/where: mtime',
    'whiteout of an empty implicit chain': 'p: mtime, p/q: mtime, p/q/r: mtime',
    'implicit parents from nothing': 'p: mtime, p/q: mtime',
  },
  hiddenAttributes: {
    'a file below, then whiteout, no directory entry': 'd: mode uid gid mtime xattrs',
    'opaque over an implicit directory': 'd/e: mode mtime',
    'nested: opaque above, whiteouts and files below': 'd/e: mode mtime',
  },
  rootRefused: {
    'the root cannot be replaced (H91)':
      'fails: .: malicious tar entry -- refusing to change type of root directory',
  },
};

function byStack(listed: Listed): Record<string, Defect> {
  const out: Record<string, Defect> = {};
  for (const [reason, outcomes] of Object.entries(listed)) {
    for (const [stack, outcome] of Object.entries(outcomes)) {
      out[stack] = { outcome, reason: REASONS[reason as keyof typeof REASONS] };
    }
  }
  return out;
}

/** By stack. */
export const DEFECTS: Readonly<Record<Peer, Readonly<Record<string, Defect>>>> = {
  containerd: byStack(CONTAINERD),
  umoci: byStack(UMOCI),
};
