/** Applies stacks of layers in both modes, and shows what came out: overlay trees through real overlay mounts. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { type ApplyTarget, LayerApplier } from '../../../src/core/archive/apply.ts';
import { TarReader } from '../../../src/core/archive/tar-reader.ts';
import type { Syscalls } from '../../../src/core/ports/syscalls.ts';
import { openSyscalls as openDeno } from '../../../src/platform/deno/syscalls.ts';
import { openSyscalls as openNode } from '../../../src/platform/node/syscalls.ts';
import { isDeno } from '../../support/needs.ts';
import { tempDir } from '../../support/tmp.ts';
import { readTree, type Tree } from '../../support/tree.ts';

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

export interface Outcome {
  readonly overlay: Tree;
  readonly flat: Tree;
  /** The error of the last layer in either mode. */
  readonly errors: { readonly overlay?: unknown; readonly flat?: unknown };
  readonly warnings: readonly string[];
}

type Mode = 'overlay' | 'flat';

export class Stacks {
  readonly #tmp = tempDir('hawser-stacks-');
  readonly #mounts: string[] = [];
  readonly #states = new Map<string, { errors: { overlay?: unknown; flat?: unknown }; warnings: string[] }>();
  readonly #sys: Syscalls;

  constructor(sys: Syscalls) {
    this.#sys = sys;
    for (const name of ['views/overlay', 'views/flat', 'uppers', 'empty']) {
      mkdirSync(join(this.#tmp.path, name), { recursive: true });
    }
  }

  get path(): string {
    return this.#tmp.path;
  }

  /** Errors are kept, and show in the outcome. */
  add(name: string, layers: readonly Uint8Array[]): void {
    const state = { errors: {} as { overlay?: unknown; flat?: unknown }, warnings: [] as string[] };
    this.#states.set(name, state);
    for (const mode of ['overlay', 'flat'] as const) {
      try {
        state.warnings.push(...(mode === 'flat' ? this.#flat(name, layers) : this.#overlay(name, layers)));
      } catch (err) {
        state.errors[mode] = err;
      }
    }
  }

  #flat(name: string, layers: readonly Uint8Array[]): string[] {
    const root = join(this.#tmp.path, 'views/flat', name);
    mkdirSync(root, { mode: 0o755 });
    utimesSync(root, 0, 0);
    return layers.flatMap((tar) => apply(this.#sys, { root, lowers: [], mode: 'flat' }, tar));
  }

  #overlay(name: string, layers: readonly Uint8Array[]): string[] {
    const lowers: string[] = [];
    const warnings: string[] = [];
    try {
      layers.forEach((tar, i) => {
        const root = join(this.#tmp.path, 'uppers', `${name}.${i}`);
        mkdirSync(root);
        const below = [...lowers];
        lowers.unshift(root);
        warnings.push(...apply(this.#sys, { root, lowers: below, mode: 'overlay' }, tar));
      });
    } finally {
      const view = join(this.#tmp.path, 'views/overlay', name);
      mkdirSync(view);
      const dirs = [...lowers, join(this.#tmp.path, 'empty')].join(':');
      execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', `ro,lowerdir=${dirs}`, view]);
      this.#mounts.push(view);
    }
    return warnings;
  }

  /** The names in the directory that took a layer: what overlayfs hides shows here. */
  upper(name: string, index: number): string {
    return join(this.#tmp.path, 'uppers', `${name}.${index}`);
  }

  async outcomes(): Promise<ReadonlyMap<string, Outcome>> {
    const both: Record<Mode, Tree> = {
      overlay: await readTree(join(this.#tmp.path, 'views/overlay')),
      flat: await readTree(join(this.#tmp.path, 'views/flat')),
    };
    const out = new Map<string, Outcome>();
    for (const [name, state] of this.#states) {
      out.set(name, { ...state, overlay: below(both.overlay, name), flat: below(both.flat, name) });
    }
    return out;
  }

  close(): void {
    for (const view of this.#mounts) execFileSync('umount', [view]);
    this.#tmp[Symbol.dispose]();
  }
}

function below(tree: Tree, name: string): Tree {
  const out = new Map(tree.entries());
  for (const path of tree.keys()) out.delete(path);
  for (const [path, entry] of tree) {
    const inside = (p: string): string => (p === name ? '.' : p.slice(name.length + 1));
    if (path !== name && !path.startsWith(`${name}/`)) continue;
    out.set(inside(path), { ...entry, group: entry.group === '' ? '' : inside(entry.group) });
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
