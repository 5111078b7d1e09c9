/** Random layers, as nasty as a tar can say it, over few names so that they collide. */
import { InvalidLayer, ReferenceImage } from '../../support/reference-model.ts';
import type { LayerEntry } from '../../support/reference-tree.ts';
import { random } from './random.ts';

export type Stack = readonly (readonly LayerEntry[])[];
type Next = (n: number) => number;

/** Names that most entries have. */
const NAMES = ['a', 'b', 'c'];
/** Not UTF-8; the longest; those that look like something else; those that tools quote. */
const ODD_NAMES = [
  '\xff\xfe',
  '\xc3\xa9',
  'n'.repeat(255),
  '...',
  '.wh',
  '.wh.d/e',
  ' ',
  'new\nline',
  '\\134"%s\'',
  '-rf',
];
const TARGETS = [
  'a',
  'b',
  'c',
  '/a',
  '/b/c',
  '../c',
  'a/b',
  './b/../c',
  '.',
  '/',
  '..',
  'none/x',
  '../../../..',
];
const MODES = [0o644, 0o755, 0o700, 0o4755, 0o2755, 0o6711, 0o1777, 0o7777, 0o000, 0o555, 0o077];
const IDS = [0, 0, 1, 1000, 65_534, 4_294_967_294];
const TIMES = [
  0n,
  1n,
  -1n,
  -1_250_000_000n,
  1_700_000_000_123_456_789n,
  4_102_444_800_000_000_001n,
  999_999_999n,
];
const CAPABILITY = `\x01\0\0\x02\x80\xff${'\0'.repeat(14)}`;
const XATTRS: readonly (readonly [string, string])[] = [
  ['user.a', 'v'],
  ['user.b', '\0\xff\n='],
  ['user.empty', ''],
  ['trusted.t', 'x'],
  ['trusted.overlay.opaque', 'y'],
  ['user.overlay.opaque', 'y'],
  ['user.overlay.whiteout', 'y'],
];

function pick<T>(next: Next, from: readonly T[]): T {
  return from[next(from.length)] as T;
}

function plainPath(next: Next): string {
  const part = (): string => pick(next, next(25) === 0 ? ODD_NAMES : NAMES);
  // The shorter, the more is lost when something else takes its place.
  return Array.from({ length: pick(next, [1, 2, 2, 3, 3, 3]) }, part).join('/');
}

/** A path as an archive may spell it. */
function spelled(next: Next, path: string): string {
  if (next(3) > 0) return path;
  const spellings = [
    `./${path}`,
    `/${path}`,
    `../${path}`,
    `x/../${path}`,
    path.replaceAll('/', '//./'),
    `${path}/.`,
  ];
  return pick(next, spellings);
}

function attributes(next: Next): Omit<LayerEntry, 'type' | 'name'> {
  const xattrs = next(4) > 0 ? [] : Array.from({ length: 1 + next(2) }, () => pick(next, XATTRS));
  return {
    link: '',
    content: '',
    mode: pick(next, MODES),
    uid: pick(next, IDS),
    gid: pick(next, IDS),
    mtime: next(2) === 0 ? pick(next, TIMES) : BigInt(next(1_000_000_000)) * 1_000_000_007n,
    xattrs: Object.fromEntries(xattrs),
    major: 0,
    minor: 0,
  };
}

function whiteoutOf(path: string): string {
  const cut = path.lastIndexOf('/') + 1;
  return `${path.slice(0, cut)}.wh.${path.slice(cut)}`;
}

type Maker = (next: Next, path: string) => Partial<LayerEntry>;

const file: Maker = (next) => ({
  type: 'file',
  content: next(4) === 0 ? '' : `${next(1000)}`,
  ...(next(12) === 0 ? { xattrs: { 'security.capability': CAPABILITY } } : {}),
});
const device: Maker = (next) => ({
  type: pick(next, ['char', 'block'] as const),
  major: pick(next, [1, 8, 0xfff]),
  minor: pick(next, [0, 3, 0xfffff]),
});
const dir: Maker = (next, path) => ({ type: 'dir', name: spelled(next, path) + pick(next, ['', '/']) });

/** How often what comes. */
const KINDS: readonly (readonly [number, Maker])[] = [
  [30, file],
  [22, dir],
  [12, (next) => ({ type: 'symlink', link: pick(next, TARGETS) })],
  [12, (next) => ({ type: 'hardlink', link: spelled(next, plainPath(next)) })],
  [3, () => ({ type: 'fifo' })],
  [4, device],
  [10, (next, path) => ({ type: 'file', name: spelled(next, whiteoutOf(path)) })],
  [4, (next, path) => ({ type: 'file', name: `${spelled(next, path)}/.wh..wh..opq` })],
  [1, (next) => ({ type: 'file', name: pick(next, ['.wh..wh..opq', './.wh..wh..opq']) })],
  [2, (next) => ({ type: 'dir', name: pick(next, ['./', '.', '/', '', 'a/..']) })],
  [1, odd],
];
const TOTAL = KINDS.reduce((sum, [weight]) => sum + weight, 0);

/** Mostly what no layer may hold. */
function odd(next: Next, path: string): Partial<LayerEntry> {
  const name = path;
  return pick<Partial<LayerEntry>>(next, [
    { type: 'char' },
    { type: 'block', major: 0x1000 },
    { type: 'block' },
    { type: 'file', name: `${name}/.wh.` },
    { type: 'dir', name: `${name}/.wh...` },
    { type: 'file', name: `${name}/.wh..wh.plnk` },
    { type: 'file', name: `${name}/${'n'.repeat(256)}` },
    { type: 'file', name: `${name}/.wh.${'n'.repeat(256)}` },
    { type: 'file', name: `${name}/.wh.${'n'.repeat(255)}` },
    { type: 'symlink', link: 'n'.repeat(256) },
    { type: 'symlink', link: 'n/'.repeat(2048) },
    { type: 'symlink', link: '' },
    { type: 'hardlink', link: '' },
    { type: 'file', uid: 4_294_967_295 },
    { type: 'file', gid: -1 },
  ]);
}

function randomEntry(next: Next): LayerEntry {
  let at = next(TOTAL);
  const kind = KINDS.find(([weight]) => {
    at -= weight;
    return at < 0;
  });
  const path = plainPath(next);
  return {
    type: 'file',
    name: spelled(next, path),
    ...attributes(next),
    ...kind?.[1](next, path),
  };
}

/**
 * Five to seven layers. Most entries that would make a layer invalid are taken out again, for a stack shows nothing beyond
 * the first invalid layer; a few stacks end in one.
 */
export function randomStack(seed: number): Stack {
  const next = random(seed);
  const image = new ReferenceImage();
  const layers: (readonly LayerEntry[])[] = [];
  for (let left = 5 + next(3); left > 0; left--) {
    const layer = Array.from({ length: 1 + next(14) }, () => randomEntry(next));
    layers.push(layer);
    for (let done = false; !done; ) {
      try {
        image.apply(layer);
        done = true;
      } catch (err) {
        if (!(err instanceof InvalidLayer)) throw err;
        if (left === 1 && next(8) === 0) return layers;
        layer.splice(err.entry, 1);
      }
    }
  }
  return layers;
}
