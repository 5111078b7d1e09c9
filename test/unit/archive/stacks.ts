/** Applies stacks of layers in every way there is, and shows what came out: overlay trees through real overlay mounts. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { type ApplyTarget, LayerApplier } from '../../../src/core/archive/apply.ts';
import { isNeedsBelow } from '../../../src/core/archive/guesses.ts';
import { TarReader } from '../../../src/core/archive/tar-reader.ts';
import { isKind } from '../../../src/core/errors.ts';
import type { LayerRecord } from '../../../src/core/ports/layer-record.ts';
import type { Mounter } from '../../../src/core/ports/mounter.ts';
import type { Syscalls } from '../../../src/core/ports/syscalls.ts';
import { rebaseLayer } from '../../../src/core/unpack/rebase-layer.ts';
import { openMounter as denoMounter, openSyscalls as openDeno } from '../../../src/platform/deno/syscalls.ts';
import { openMounter as nodeMounter, openSyscalls as openNode } from '../../../src/platform/node/syscalls.ts';
import { isDeno } from '../../support/needs.ts';
import type { LinkRule } from '../../support/reference-model.ts';
import { readTree, type Tree, type TreeEntry } from '../../support/tree.ts';

export function syscallsHere(prefer?: 'tools'): Syscalls {
  return isDeno ? openDeno(prefer) : openNode(prefer);
}

export function apply(
  sys: Syscalls,
  target: Omit<ApplyTarget, 'maxBytes'> & { maxBytes?: number },
  tar: Uint8Array,
): readonly string[] {
  const applier = new LayerApplier(sys, { maxBytes: 1 << 30, ...target });
  try {
    const reader = new TarReader(applier);
    reader.push(tar);
    reader.end();
    applier.finish();
    return applier.warnings;
  } finally {
    applier.close();
  }
}

/** The same calls, with `hook` run before each: what it throws is what the call throws. */
export function intercept(sys: Syscalls, hook: (call: keyof Syscalls) => void): Syscalls {
  return new Proxy(sys, {
    get(target, key: keyof Syscalls) {
      const value = target[key];
      if (typeof value !== 'function') return value;
      return (...args: never[]): unknown => {
        hook(key);
        return (value as (...all: never[]) => unknown).apply(target, args);
      };
    },
  });
}

/** One way to apply a stack. Each has for each stack a directory for its layers and one where the merged tree is seen. */
interface Way {
  /** Applies the next layer; gives its warnings. */
  layer(sys: Syscalls, spot: Spot, index: number, tar: Uint8Array): readonly string[];
  /** The tree is that of an overlay over the layers' own directories; else it is in the view already. */
  readonly mounts: boolean;
}

interface Spot {
  readonly layers: string;
  /** At first empty, 0755, of 1970. */
  readonly view: string;
}

const ownDirectory = (spot: Spot, index: number): string => join(spot.layers, String(index));

/** The layers' directories below one, nearest first. */
const directoriesBelow = (spot: Spot, index: number): string[] =>
  Array.from({ length: index }, (_, i) => ownDirectory(spot, index - 1 - i));

const overlay: Way = {
  mounts: true,
  layer(sys, spot, index, tar) {
    const root = ownDirectory(spot, index);
    mkdirSync(root);
    return apply(sys, { root, lowers: directoriesBelow(spot, index), mode: 'overlay' }, tar);
  },
};

const flat: Way = {
  mounts: false,
  layer: (sys, spot, _, tar) => apply(sys, { root: spot.view, lowers: [], mode: 'flat' }, tar),
};

/** Into a directory of its own without sight of those below; undefined when it cannot be done or is refused. */
function applyBlind(sys: Syscalls, root: string, tar: Uint8Array): Blind | undefined {
  const applier = new LayerApplier(sys, { root, lowers: [], mode: 'blind', maxBytes: 1 << 30 });
  try {
    const reader = new TarReader(applier);
    reader.push(tar);
    reader.end();
    const record = applier.finish();
    // As it crosses to the thread that rebases.
    return record && { record: structuredClone(record), warnings: applier.warnings };
  } catch (err) {
    if (isNeedsBelow(err) || isKind(err, 'InvalidArgument')) return undefined;
    throw err;
  } finally {
    applier.close();
  }
}

interface Blind {
  readonly record: LayerRecord;
  readonly warnings: readonly string[];
}

/** As core/unpack/extract.ts has it: blind and rebased, or applied again in order. */
const overlayBlind: Way = {
  mounts: true,
  layer(sys, spot, index, tar) {
    const root = ownDirectory(spot, index);
    mkdirSync(root);
    const blind = applyBlind(sys, root, tar);
    const lowers = directoriesBelow(spot, index);
    if (blind && rebaseLayer(sys, { root, lowers, mode: 'overlay', record: blind.record }) === undefined) {
      return blind.warnings;
    }
    rmSync(root, { recursive: true });
    mkdirSync(root);
    return apply(sys, { root, lowers, mode: 'overlay' }, tar);
  },
};

/** The view is the tree below until the layer is rebased over it, and then makes way. */
const flatBlind: Way = {
  mounts: false,
  layer(sys, spot, index, tar) {
    const root = ownDirectory(spot, index);
    mkdirSync(root);
    const blind = applyBlind(sys, root, tar);
    const lowers = index === 0 ? [] : [spot.view];
    if (blind && rebaseLayer(sys, { root, lowers, mode: 'flat', record: blind.record }) === undefined) {
      rmSync(spot.view, { recursive: true });
      renameSync(root, spot.view);
      return blind.warnings;
    }
    return apply(sys, { root: spot.view, lowers: [], mode: 'flat' }, tar);
  },
};

export type WayName = 'overlay' | 'flat' | 'overlayBlind' | 'flatBlind';
/** The merged tree must be the same whichever it is. */
const WAYS: Readonly<Record<WayName, Way>> = { overlay, flat, overlayBlind, flatBlind };
export const WAY_NAMES: readonly WayName[] = Object.keys(WAYS) as WayName[];

/** What a way made of a stack. */
export interface View {
  readonly way: WayName;
  /** What becomes of hard links to files of lower layers. */
  readonly links: LinkRule;
  /** Says nothing when there is a failure. */
  readonly tree: Tree;
  readonly failure: Failure | undefined;
  readonly warnings: readonly string[];
}

export interface Failure {
  readonly layer: number;
  readonly error: unknown;
}

interface Added {
  readonly name: string;
  readonly way: WayName;
  readonly layers: number;
  readonly failure: Failure | undefined;
  readonly warnings: readonly string[];
}

/** `close` it in any case. */
export class Stacks {
  readonly #sys: Syscalls;
  readonly #mounter: Mounter;
  readonly #path: string;
  readonly #added: Added[] = [];
  #mounted = false;

  constructor(sys: Syscalls) {
    this.#sys = sys;
    this.#mounter = isDeno ? denoMounter() : nodeMounter();
    this.#path = mkdtempSync(join(process.env.HAWSER_TEST_TMP ?? tmpdir(), 'hawser-stacks-'));
    mkdirSync(join(this.#path, 'empty'));
    for (const way of WAY_NAMES) {
      for (const what of ['layers', 'views']) mkdirSync(join(this.#path, what, way), { recursive: true });
    }
  }

  get path(): string {
    return this.#path;
  }

  #spot(way: WayName, name: string): Spot {
    return { layers: join(this.#path, 'layers', way, name), view: join(this.#path, 'views', way, name) };
  }

  /** Applies a stack in every way. Errors are kept, and show in the views. */
  add(name: string, layers: readonly Uint8Array[]): void {
    for (const way of WAY_NAMES) {
      const spot = this.#spot(way, name);
      for (const dir of Object.values(spot)) mkdirSync(dir, { mode: 0o755 });
      utimesSync(spot.view, 0, 0);
      const warnings: string[] = [];
      let failure: Failure | undefined;
      for (const [i, tar] of layers.entries()) {
        try {
          warnings.push(...WAYS[way].layer(this.#sys, spot, i, tar));
        } catch (error) {
          failure = { layer: i, error };
          break;
        }
      }
      this.#added.push({ name, way, layers: layers.length, failure, warnings });
    }
  }

  /** The directory that took a layer: what overlayfs hides shows there. */
  upper(name: string, index: number, way: WayName = 'overlay'): string {
    return ownDirectory(this.#spot(way, name), index);
  }

  /** By stack. One process reads the trees of all. */
  async outcomes(): Promise<ReadonlyMap<string, readonly View[]>> {
    await this.#mount();
    const trees = splitTree(await readTree(join(this.#path, 'views')));
    const out = new Map<string, View[]>();
    for (const { name, way, failure, warnings } of this.#added) {
      const views = out.get(name) ?? [];
      out.set(name, views);
      const links = WAYS[way].mounts ? 'overlay' : 'posix';
      views.push({ way, links, failure, warnings, tree: trees.get(`${way}/${name}`) ?? new Map() });
    }
    return out;
  }

  async #mount(): Promise<void> {
    // All mounts below a mount of the parent: they go with it.
    const views = join(this.#path, 'views');
    await this.#mounter.mount([{ type: 'bind', source: views, options: ['rbind'] }], views);
    this.#mounted = true;
    for (const { name, way, layers, failure } of this.#added) {
      if (!WAYS[way].mounts || failure !== undefined) continue;
      const spot = this.#spot(way, name);
      const lowers = [...directoriesBelow(spot, layers), join(this.#path, 'empty')].join(':');
      await this.#mounter.mount(
        [{ type: 'overlay', source: 'overlay', options: ['ro', `lowerdir=${lowers}`] }],
        spot.view,
      );
    }
  }

  async close(): Promise<void> {
    if (this.#mounted) await this.#mounter.unmount(join(this.#path, 'views'), { lazy: true });
    // rm, not fs.rm: names that are not UTF-8 are lost on Deno.
    execFileSync('rm', ['-rf', '--one-file-system', this.#path]);
  }
}

/** The trees two levels down, by path. */
function splitTree(all: Tree): Map<string, Tree> {
  const out = new Map<string, Map<string, TreeEntry>>();
  for (const [path, entry] of all) {
    const [way, name, ...rest] = path.split('/');
    if (name === undefined) continue;
    const key = `${way}/${name}`;
    const tree = out.get(key) ?? new Map<string, TreeEntry>();
    out.set(key, tree);
    const group = entry.group === '' ? '' : entry.group.slice(key.length + 1);
    tree.set(rest.length === 0 ? '.' : rest.join('/'), { ...entry, group });
  }
  return out;
}

/** One line a path, without the root: `d/`, `f=content`, `l->target`, `p|`. */
export function brief(tree: Tree, contents: readonly string[] = []): string[] {
  const known = new Map(contents.map((text) => [createHash('sha256').update(text).digest('hex'), text]));
  const out: string[] = [];
  for (const [path, entry] of tree) {
    if (path === '.') continue;
    const content = known.get(tree.get(entry.group)?.sha256 ?? '');
    if (entry.type === 'dir') out.push(`${path}/`);
    else if (entry.type === 'symlink') out.push(`${path}->${entry.target}`);
    else if (entry.type === 'file') out.push(`${path}=${content ?? '?'}`);
    else out.push(`${path}|${entry.type}`);
  }
  return out.sort();
}
