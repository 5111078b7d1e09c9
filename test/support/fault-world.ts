/** Places to run commands in, one of whose calls fails: a registry with two images, and copies of a store. */
import fs from 'node:fs';
import { join } from 'node:path';
import { buildImage, noise, type TestImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { execOk } from './exec.ts';
import { type Scratch, scratch, unmountBelow } from './scratch.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** The messages of the first errors that calls were made to fail with, or words of them; empty when none was. */
  readonly first: readonly string[];
}

/** A way to run a command line of hawser, and to make one of its calls fail. `P` names a call. */
export interface Engine<P> {
  run(root: string, args: readonly string[], point?: P): Promise<Ran>;
  /** Runs the command line, and returns its calls that can be made to fail; with `few`, a selection. */
  points(dir: string, root: string, args: readonly string[], few: boolean): Promise<P[]>;
  show(point: P): string;
  /** Drops the data below `dir` that failed syncs have lost. */
  dropLost(dir: string): void;
}

export interface Images {
  readonly a: TestImage;
  readonly b: TestImage;
}

/** Two images that share their lowest layer; `b` has a whiteout, a hard link and a layer for a worker (small-layer.ts). */
async function makeImages(): Promise<Images> {
  const base = {
    entries: [
      { name: 'etc/', type: 'directory' as const },
      { name: 'etc/name', data: 'base' },
      { name: 'etc/gone', data: 'x' },
    ],
  };
  return {
    a: await buildImage({ layers: [base, { entries: [{ name: 'only-a', data: noise(3000) }] }] }),
    b: await buildImage({
      layers: [
        base,
        {
          entries: [
            { name: 'etc/.wh.gone', data: '' },
            { name: 'only-b', data: noise(300_000, 7) },
            { name: 'link', type: 'link', linkname: 'only-b' },
            { name: 'sym', type: 'symlink', linkname: 'only-b' },
          ],
          compression: 'zstd',
        },
      ],
    }),
  };
}

/** A registry with both images, and a store that has A. Copies of that store are what commands run on. */
export class FaultWorld<P> implements AsyncDisposable {
  readonly engine: Engine<P>;
  readonly images: Images;
  readonly registry: TestRegistry;
  readonly refs: { readonly a: string; readonly b: string };
  readonly #temp: Scratch;
  #runs = 0;

  private constructor(engine: Engine<P>, temp: Scratch, registry: TestRegistry, images: Images) {
    this.engine = engine;
    this.#temp = temp;
    this.registry = registry;
    this.images = images;
    this.refs = { a: registry.push('t/a', '1', images.a), b: registry.push('t/b', '1', images.b) };
  }

  static async open<P>(engine: Engine<P>): Promise<FaultWorld<P>> {
    const temp = scratch('hawser-faults-');
    const world = new FaultWorld(engine, temp, await startRegistry(), await makeImages());
    must(await engine.run(world.template, ['pull', world.refs.a]));
    return world;
  }

  get template(): string {
    return join(this.#temp.path, 'template');
  }

  /** Work in a directory of its own: with a copy of the store, unless the store is not to be there yet. */
  async inPlace<T>(withStore: boolean, work: (place: Place<P>) => Promise<T>): Promise<T> {
    const dir = join(this.#temp.path, `place-${++this.#runs}`);
    fs.mkdirSync(dir);
    const place = new Place(this.engine, dir);
    try {
      if (withStore) await execOk('cp', ['-a', this.template, place.root]);
      return await work(place);
    } finally {
      await unmountBelow(dir);
      fs.rmSync(dir, { recursive: true, force: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.registry.close();
    await this.#temp[Symbol.asyncDispose]();
  }
}

/** A store and an output directory of one point. */
export class Place<P> {
  readonly dir: string;
  readonly #engine: Engine<P>;

  constructor(engine: Engine<P>, dir: string) {
    this.#engine = engine;
    this.dir = dir;
  }

  get root(): string {
    return join(this.dir, 'store');
  }

  /** Where trees and mounts go. */
  get target(): string {
    return join(this.dir, 'target');
  }

  async run(args: readonly string[], point?: P): Promise<Ran> {
    return await this.#engine.run(this.root, args, point);
  }

  async ok(...args: readonly string[]): Promise<Ran> {
    return must(await this.run(args));
  }
}

export function must(ran: Ran): Ran {
  if (ran.code !== 0) throw new Error(`exit ${ran.code}: ${ran.out}${ran.err}`);
  return ran;
}
