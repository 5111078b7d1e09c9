/** A store and a test registry for one test of the library's verbs. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { LocalBackend } from '../../src/backends/local/open.ts';
import { type Kind, kindOf } from '../../src/core/errors.ts';
import type { Runtime } from '../../src/core/runtime.ts';
import { asStore, partsOf } from '../../src/entry/stores.ts';
import { type AnyStore, openStore, type ProgressEvent, type Store } from '../../src/mod.ts';
import { buildImage, type ImageDescription, type TestImage } from '../registry/image.ts';
import { type RegistryOptions, startRegistry, type TestRegistry } from '../registry/registry.ts';
import { tempDir } from './tmp.ts';

export interface Bench {
  readonly store: Store;
  readonly registry: TestRegistry;
  readonly events: ProgressEvent[];
}

export async function withBench(
  body: (bench: Bench) => Promise<void>,
  options: RegistryOptions = {},
): Promise<void> {
  const dir = tempDir();
  const registry = await startRegistry(options);
  const store = await openStore({ root: join(dir.path, 'root') });
  try {
    await body({ store, registry, events: [] });
  } finally {
    await store[Symbol.asyncDispose]();
    await registry.close();
    dir[Symbol.dispose]();
  }
}

/** The runtime that the verbs use with a store. */
export function runtimeOf(store: Store): Runtime {
  return partsOf(store).runtime;
}

/** The same store with some of its parts, or its runtime, replaced. The store itself is to be disposed. */
export function altered<S extends AnyStore>(store: S, changes: Partial<LocalBackend>, runtime?: Runtime): S {
  const parts = partsOf(store);
  return asStore({ ...parts.backend, ...changes }, runtime ?? parts.runtime) as unknown as S;
}

export async function rejectsWith(kind: Kind, message: RegExp, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (err) => {
    assert.equal(kindOf(err), kind, String(err));
    assert.match((err as Error).message, message);
    return true;
  });
}

/** An image of two layers, the second with a whiteout; `name` is in a file, and names one. */
export const image = (name: string, more: Partial<ImageDescription> = {}): Promise<TestImage> =>
  buildImage({
    layers: [
      {
        entries: [
          { name: 'etc/', type: 'directory' },
          { name: 'etc/name', data: name },
          { name: 'etc/gone', data: 'x' },
        ],
      },
      {
        entries: [
          { name: 'etc/.wh.gone', data: '' },
          { name: `only-${name}`, data: 'y' },
        ],
        compression: 'zstd',
      },
    ],
    ...more,
  });
