/** Applies stacks of layers in every way there is, and shows what came out: overlay trees through real overlay mounts. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { Mounter } from '../../../src/core/ports/mounter.ts';
import type { Syscalls } from '../../../src/core/ports/syscalls.ts';
import type { LinkRule } from '../../support/reference-model.ts';
import { openMounter } from '../../support/this-runtime.ts';
import { readTree, subtrees, type Tree } from '../../support/tree.ts';
import { directoriesBelow, ownDirectory, type Spot, WAY_NAMES, WAYS, type WayName } from './ways.ts';

export { apply, applyBlind, syscallsHere, WAY_NAMES, type WayName } from './ways.ts';

/** What a way made of a stack. */
export interface View {
  readonly way: WayName;
  /** What becomes of hard links to files of lower layers. */
  readonly links: LinkRule;
  /** Says nothing when there is a failure. */
  readonly tree: Tree;
  readonly failure: Failure | undefined;
  readonly warnings: readonly string[];
  /** Layers that were applied blind, and rebased. */
  readonly rebased: number;
}

export interface Failure {
  readonly layer: number;
  readonly error: unknown;
}

interface Added extends Omit<View, 'tree' | 'links'> {
  readonly name: string;
  readonly layers: number;
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
    this.#mounter = openMounter();
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
      let rebased = 0;
      for (const [i, tar] of layers.entries()) {
        try {
          const applied = WAYS[way].layer(this.#sys, spot, i, tar);
          warnings.push(...applied.warnings);
          if (applied.rebased) rebased++;
        } catch (error) {
          failure = { layer: i, error };
          break;
        }
      }
      this.#added.push({ name, way, layers: layers.length, failure, warnings, rebased });
    }
  }

  /** The directory that took a layer: what overlayfs hides shows there. */
  upper(name: string, index: number, way: WayName = 'overlay'): string {
    return ownDirectory(this.#spot(way, name), index);
  }

  /** By stack. One process reads the trees of all. */
  async outcomes(): Promise<ReadonlyMap<string, readonly View[]>> {
    await this.#mount();
    const trees = subtrees(await readTree(join(this.#path, 'views')), 2);
    const out = new Map<string, View[]>();
    for (const { name, ...rest } of this.#added) {
      const views = out.get(name) ?? [];
      out.set(name, views);
      const links = WAYS[rest.way].mounts ? 'overlay' : 'posix';
      views.push({ ...rest, links, tree: trees.get(`${rest.way}/${name}`) ?? new Map() });
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
