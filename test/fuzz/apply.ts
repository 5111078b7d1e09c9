/**
 * Hostile layers (whiteouts, links, names that lead outside) applied to a scratch directory, in every way, beside a
 * canary: whatever happens, nothing outside changes, and no handle stays open.
 */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { isNeedsBelow } from '../../src/core/archive/guesses.ts';
import type { LayerRecord } from '../../src/core/archive/layer-record.ts';
import { isKind, type Kind } from '../../src/core/errors.ts';
import { rebaseLayer } from '../../src/core/layers/rebase-layer.ts';
import type { Syscalls } from '../../src/core/ports/syscalls.ts';
import { removeEntry } from '../../src/core/trees/remove-tree.ts';
import {
  type Attributes,
  device,
  dir,
  fifo,
  file,
  hard,
  layer,
  opq,
  sym,
  wh,
} from '../support/layer-builder.ts';
import { tempDir } from '../support/tmp.ts';
import { apply, applyBlind, syscallsHere } from '../unit/archive/stacks.ts';
import { many, type Next, pick, rarely } from './random.ts';
import { type AnyTarget, Finding, outcome, shrinkList } from './target.ts';

const ERRORS: readonly Kind[] = [
  'InvalidArgument',
  'NotImplemented',
  'FailedPrecondition',
  'PermissionDenied',
];

/** Stands for the canary's directory, which is elsewhere each time. */
const OUT = '@OUT@';
const PLAIN = ['a', 'b', 'c'];
const ODD = [
  '.',
  '..',
  '',
  'canary',
  '.wh.a',
  '.wh..wh..opq',
  '.wh.',
  '.wh..',
  '.wh..wh.aufs',
  'é',
  '\\',
  'A',
];
const WAYS = [
  OUT,
  `${OUT}/canary`,
  '../outside',
  '../../outside',
  '../../../outside/canary',
  '/',
  '..',
  '/proc/self/root',
];

interface Entry {
  readonly kind: keyof typeof MAKE;
  readonly name: string;
  readonly target: string;
  readonly attrs: Attributes;
}

const MAKE = {
  dir: ({ name, attrs }: Entry) => dir(name, attrs),
  file: ({ name, attrs }: Entry) => file(name, 'content', attrs),
  sym: ({ name, target, attrs }: Entry) => sym(name, target, attrs),
  hard: ({ name, target, attrs }: Entry) => hard(name, target, attrs),
  fifo: ({ name, attrs }: Entry) => fifo(name, attrs),
  char: ({ name, target }: Entry) => device(name, 'c', target.length % 3, 0),
  wh: ({ name }: Entry) => wh(name),
  opq: ({ name }: Entry) => opq(name),
};

function path(next: Next): string {
  if (rarely(next, 12)) return `${pick(next, WAYS)}/x`;
  if (rarely(next, 80)) return `${'d/'.repeat(next(1100))}x`;
  const part = (): string => pick(next, rarely(next, 5) ? ODD : PLAIN);
  return Array.from({ length: 1 + next(3) }, part).join('/');
}

function entry(next: Next): Entry {
  const common = [
    'dir',
    'dir',
    'sym',
    'sym',
    'hard',
    'wh',
    'opq',
    'file',
    'file',
    'file',
    'fifo',
    'char',
  ] as const;
  const xattrs = ['user.a', 'user.overlay.opaque', 'trusted.overlay.redirect', 'nonsense', 'user.\x1b[2J'];
  return {
    kind: pick(next, common),
    name: path(next),
    target: rarely(next, 3) ? pick(next, WAYS) : path(next),
    attrs: {
      mode: next(0o10000),
      mtime: pick(next, ['0', '-1.5', '99999999999', `${next(2 ** 31)}.${next(10)}`]),
      ...(rarely(next, 5) ? { xattrs: { [pick(next, xattrs)]: 'y' } } : {}),
    },
  };
}

type Layers = readonly (readonly Entry[])[];

function tryBlind(sys: Syscalls, root: string, tar: Uint8Array): LayerRecord | undefined {
  try {
    return applyBlind(sys, root, tar).record;
  } catch (err) {
    if (isNeedsBelow(err) || isKind(err, 'InvalidArgument')) return undefined;
    throw err;
  }
}

class Scratch {
  readonly #sys: Syscalls = syscallsHere();
  readonly #tmp = tempDir('hawser-fuzz-');
  readonly #outside: string = join(this.#tmp.path, 'outside');
  readonly #home: string = join(this.#tmp.path, 'home');
  readonly #before: string;

  constructor() {
    mkdirSync(this.#outside);
    writeFileSync(join(this.#outside, 'canary'), 'alive');
    chmodSync(join(this.#outside, 'canary'), 0o400);
    this.#before = this.#look();
  }

  /** Whatever a change would change: the change time is that of attributes too. */
  #look(): string {
    const state = [this.#outside, join(this.#outside, 'canary')].map((name) => {
      const { mode, uid, gid, nlink, mtimeNs, ctimeNs } = lstatSync(name, { bigint: true });
      return [mode.toString(8), uid, gid, nlink, mtimeNs, ctimeNs].join(' ');
    });
    const content = readFileSync(join(this.#outside, 'canary'), 'utf8');
    return `${state.join('; ')}; ${readdirSync(this.#outside)}; ${readdirSync(this.#tmp.path)}; ${content}`;
  }

  run(layers: Layers): void {
    mkdirSync(this.#home);
    try {
      this.#apply(layers);
    } finally {
      const tmp = this.#sys.openRoot(this.#tmp.path);
      removeEntry(this.#sys, tmp, 'home');
      this.#sys.closeDir(tmp);
    }
    const now = this.#look();
    if (now !== this.#before) throw new Finding(`something outside changed:\n${this.#before}\n${now}`);
    const left = this.#handles();
    if (left.length > 0) throw new Finding(`handles stay open: ${left}`);
  }

  /** What is open in the scratch directory; other threads have files of their own. */
  #handles(): string[] {
    const paths = readdirSync('/proc/self/fd').map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return '';
      }
    });
    return paths.filter((path) => path.startsWith(this.#tmp.path));
  }

  #apply(layers: Layers): void {
    const flat = join(this.#home, 'flat');
    mkdirSync(flat);
    const lowers: string[] = [];
    const blind: string[] = [];
    for (const [i, entries] of layers.entries()) {
      const tar = layer(...entries.map((one) => MAKE[one.kind](this.#placed(one))));
      const [root, other] = [`upper${i}`, `blind${i}`].map((name) => join(this.#home, name)) as [
        string,
        string,
      ];
      mkdirSync(root);
      mkdirSync(other);
      const ways = [
        () => apply(this.#sys, { root, lowers: [...lowers], mode: 'overlay' }, tar),
        () => apply(this.#sys, { root: flat, lowers: [], mode: 'flat' }, tar),
        () => this.#blind(other, [...blind], tar),
      ].map((way) => outcome(ERRORS, way));
      const refused = ways.filter((way) => 'error' in way);
      if (refused.length === ways.length) return;
      if (refused.length > 0) throw new Finding(`refused in some ways only: ${JSON.stringify(ways)}`);
      lowers.unshift(root);
      blind.unshift(other);
    }
  }

  /** Without sight of the layers below, then rebased; in order where that cannot be (core/layers/extract.ts). */
  #blind(root: string, lowers: readonly string[], tar: Uint8Array): unknown {
    const record = tryBlind(this.#sys, root, tar);
    if (record && rebaseLayer(this.#sys, { root, lowers, mode: 'overlay', record }) === undefined)
      return undefined;
    const home = this.#sys.openRoot(this.#home);
    removeEntry(this.#sys, home, basename(root));
    this.#sys.closeDir(home);
    mkdirSync(root);
    return apply(this.#sys, { root, lowers, mode: 'overlay' }, tar);
  }

  #placed(one: Entry): Entry {
    const put = (text: string): string => text.replace(OUT, this.#outside);
    return { ...one, name: put(one.name), target: put(one.target) };
  }

  close(): void {
    this.#tmp[Symbol.dispose]();
  }
}

/** Needs root: layers set owners and make devices. */
export function applyTarget(): AnyTarget {
  let scratch: Scratch | undefined;
  return {
    name: 'apply',
    generate: (next: Next): Layers =>
      Array.from({ length: 1 + next(3) }, () => many(next, 8, () => entry(next))),
    execute(layers: Layers) {
      scratch ??= new Scratch();
      scratch.run(layers);
    },
    *shrink(layers: Layers): Generator<Layers> {
      yield* shrinkList(layers);
      for (const [i, entries] of layers.entries())
        for (const fewer of shrinkList(entries)) yield layers.with(i, fewer);
    },
    show: (layers: Layers) => JSON.stringify(layers),
    close() {
      scratch?.close();
      scratch = undefined;
    },
  } as AnyTarget;
}
