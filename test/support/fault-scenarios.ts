/** The commands whose calls are made to fail, with what has to be there before, and what must hold afterwards. */
import fs from 'node:fs';
import type { FaultWorld, Place as PlaceOf, Ran } from './fault-world.ts';
import { readStore, type StoreFacts, treeLines } from './store-reader.ts';

type World = Pick<FaultWorld<unknown>, 'refs' | 'images'>;
type Place = Pick<PlaceOf<unknown>, 'dir' | 'root' | 'target' | 'ok'>;

export interface Scenario {
  readonly name: string;
  /** Whether the store, with image A, is there before. */
  readonly store: boolean;
  /** Before the command. */
  prepare?(place: Place, world: World): Promise<void>;
  command(place: Place, world: World): readonly string[];
  /** What is wrong after a success. */
  done(place: Place, world: World, facts: StoreFacts): readonly string[] | Promise<readonly string[]>;
  /** What old data are not whole, after the failure. Of the store itself, A always has to be. */
  old?(place: Place, world: World, failure: Ran): readonly string[];
  /** Run at the end, for what only the next command of its kind takes away. */
  later?(place: Place, world: World): readonly string[];
  /** What is left after that. */
  left?(place: Place): readonly string[];
  /** Undoes mounts before the command is tried again. */
  readonly mounts?: true;
  /** A may go. */
  readonly removesA?: true;
}

const USER = 'precious';

const recorded = (facts: StoreFacts, ref: string): string[] =>
  facts.images.includes(ref) ? [] : [`${ref} is not recorded`];

/** The tree of image A or B as `unpack --rootfs` makes it. */
const A_NAMES = ['etc', 'etc/gone', 'etc/name', 'only-a'];

function names(dir: string): string[] {
  return treeLines(dir).map((line) => line.split(' ')[0] ?? '');
}

function hasTree(dir: string, want: readonly string[]): string[] {
  const got = fs.existsSync(dir) ? names(dir) : ['nothing'];
  return got.join() === want.join() ? [] : [`${dir} has ${got.join()}`];
}

/** Nothing lies beside the output directory, but a tree that may be the user's old one (`trade`): it stays, with a warning. */
function nothingBeside(place: Place): string[] {
  const beside = fs
    .readdirSync(place.dir)
    .filter((name) => name !== 'store' && name !== 'target')
    .filter((name) => !fs.existsSync(`${place.dir}/${name}/trade`));
  return beside.length === 0 ? [] : [`left beside: ${beside.join()}`];
}

/**
 * In its place; or, where the disk takes no change from the failed call on, not even the undoing, where the error says: two names
 * cannot be swapped by this runtime.
 */
function whereOldTreeIs({ target }: Place, { first, err }: Ran): string {
  const [, aside] = /look into (\S+):/.exec(err) ?? [];
  return first.length > 1 && !fs.existsSync(target) && aside !== undefined ? aside : target;
}

const archive = ({ target }: Pick<Place, 'target'>): string => `${target}.tar`;

/** A whole archive: its end is there, and so is what it holds. */
function hasArchive(place: Place): string[] {
  if (!fs.existsSync(archive(place))) return [`${archive(place)} is not there`];
  const bytes = fs.readFileSync(archive(place));
  const isWhole = bytes.length > 3000 && bytes.subarray(-1024).every((byte) => byte === 0);
  return isWhole && bytes.includes('index.json')
    ? []
    : [`${archive(place)} is not whole: ${bytes.length} bytes`];
}

/** Nothing lies beside the store, the archive and the layout. */
function onlyExports({ dir }: Place): string[] {
  const left = fs.readdirSync(dir).filter((name) => !['store', 'target', 'target.tar'].includes(name));
  return left.length === 0 ? [] : [`left beside: ${left.join()}`];
}

/** A lock that could not be removed after a success is nobody's: the next run takes it. */
function hasLayout({ target }: Place): string[] {
  const files = names(target).filter((name) => !name.startsWith('blobs/') && name !== '.hawser-lock');
  const blobs = fs.existsSync(`${target}/blobs/sha256`) ? fs.readdirSync(`${target}/blobs/sha256`) : [];
  const isRight = files.join() === 'blobs,index.json,oci-layout' && blobs.length === 4;
  return isRight ? [] : [`${target} has ${files.join()} and ${blobs.join()}`];
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'pull into a store',
    store: true,
    command: (_, { refs }) => ['pull', refs.b],
    done: (_, { refs }, facts) => recorded(facts, refs.b),
  },
  {
    name: 'pull into nothing',
    store: false,
    command: (_, { refs }) => ['pull', refs.a],
    done: (_, { refs }, facts) => recorded(facts, refs.a),
  },
  {
    name: 'pull by the native snapshotter',
    store: true,
    command: (_, { refs }) => ['pull', '--snapshotter', 'native', refs.a],
    done: (_, { refs }, facts) => recorded(facts, refs.a),
  },
  {
    name: 'unpack --rootfs',
    store: true,
    command: (place, { refs }) => ['unpack', refs.a, '--rootfs', place.target],
    done: (place) => hasTree(place.target, A_NAMES),
    later: (place, { refs }) => ['unpack', refs.a, '--force', '--rootfs', place.target],
    left: nothingBeside,
    old: (place) => (fs.existsSync(place.target) ? hasTree(place.target, A_NAMES) : []),
  },
  {
    name: 'unpack --rootfs --force over a directory',
    store: true,
    prepare: async ({ target }) => {
      fs.mkdirSync(target);
      fs.writeFileSync(`${target}/${USER}`, 'x');
    },
    command: (place, { refs }) => ['unpack', refs.a, '--force', '--rootfs', place.target],
    done: (place) => hasTree(place.target, A_NAMES),
    later: (place, { refs }) => ['unpack', refs.a, '--force', '--rootfs', place.target],
    left: nothingBeside,
    old: (place, _, failure) =>
      hasTree(place.target, A_NAMES).length === 0 ? [] : hasTree(whereOldTreeIs(place, failure), [USER]),
  },
  {
    name: 'bundle',
    store: true,
    command: (place, { refs }) => ['bundle', refs.a, place.target],
    done: (place) => hasTree(`${place.target}/rootfs`, A_NAMES),
    later: (place, { refs }) => ['bundle', refs.a, '--force', place.target],
    left: nothingBeside,
    old: (place) => (fs.existsSync(place.target) ? hasTree(`${place.target}/rootfs`, A_NAMES) : []),
  },
  {
    name: 'images mount',
    store: true,
    mounts: true,
    prepare: async ({ target }) => fs.mkdirSync(target),
    command: (place, { refs }) => ['images', 'mount', refs.a, place.target],
    done: async (place) => {
      const wrong = hasTree(place.target, A_NAMES);
      await place.ok('images', 'unmount', '--rm', place.target);
      return [...wrong, ...hasTree(place.target, [])];
    },
  },
  {
    name: 'images mount --rw over a snapshot with data',
    store: true,
    mounts: true,
    prepare: async (place, { refs }) => {
      fs.mkdirSync(place.target);
      await place.ok('images', 'mount', '--rw', refs.a, place.target);
      fs.writeFileSync(`${place.target}/${USER}`, 'x');
      await place.ok('images', 'unmount', place.target);
    },
    command: (place, { refs }) => ['images', 'mount', '--rw', refs.a, place.target],
    done: async (place) => {
      const wrong = hasTree(place.target, [...A_NAMES, USER].sort());
      await place.ok('images', 'unmount', '--rm', place.target);
      return wrong;
    },
  },
  {
    name: 'images unmount --rm',
    store: true,
    mounts: true,
    prepare: async (place, { refs }) => {
      fs.mkdirSync(place.target);
      await place.ok('images', 'mount', refs.a, place.target);
    },
    command: (place) => ['images', 'unmount', '--rm', place.target],
    done: (place) => hasTree(place.target, []),
  },
  {
    name: 'export to a file',
    store: true,
    command: (place, { refs }) => ['export', archive(place), refs.a],
    done: hasArchive,
    old: (place) => (fs.existsSync(archive(place)) ? hasArchive(place) : []),
    later: (place, { refs }) => ['export', archive(place), refs.a],
    left: onlyExports,
  },
  {
    name: 'export to a directory',
    store: true,
    command: (place, { refs }) => ['export', '--format', 'oci-dir', place.target, refs.a],
    done: hasLayout,
    later: (place, { refs }) => ['export', '--format', 'oci-dir', place.target, refs.a],
    left: (place) => [
      ...hasLayout(place),
      ...onlyExports(place),
      ...names(place.target).filter((name) => name === '.hawser-lock'),
    ],
  },
  {
    name: 'import',
    store: true,
    prepare: async (place, { refs }) => {
      await place.ok('pull', refs.b);
      await place.ok('export', archive(place), refs.b);
      await place.ok('images', 'rm', refs.b);
    },
    command: (place) => ['import', archive(place)],
    done: (_, { refs }, facts) => recorded(facts, refs.b),
  },
  {
    name: 'images rm',
    store: true,
    removesA: true,
    prepare: async (place, { refs }) => {
      await place.ok('pull', refs.b);
    },
    command: (_, { refs }) => ['images', 'rm', refs.a],
    done: (place, { refs, images }, facts) => [
      ...recorded(facts, refs.b),
      ...(facts.images.includes(refs.a) ? [`${refs.a} is recorded`] : []),
      ...(fs.existsSync(`${place.root}/content/blobs/${images.a.root.digest.replace(':', '/')}`)
        ? ['the manifest of A is still on disk']
        : []),
    ],
    old: (place, { refs }) => recorded(readStore(place.root, new Map()), refs.b),
  },
];
