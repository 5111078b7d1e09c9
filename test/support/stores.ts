/** Local stores in fresh directories. */
import { createHash, randomBytes } from 'node:crypto';
import { type LocalBackend, openLocalBackend } from '../../src/backends/local/open.ts';
import type { Backend } from '../../src/core/backend.ts';
import type { Ingest } from '../../src/core/content/content-store.ts';
import { type Digest, parseDigest } from '../../src/core/oci/digest.ts';
import type { Runtime } from '../../src/core/runtime.ts';
import { bareRuntime } from './bare-runtime.ts';
import { tempDir } from './tmp.ts';

export interface TestStore {
  readonly root: string;
  readonly runtime: Runtime;
  readonly backend: LocalBackend;
  /** Another opening of the same store, closed at the end like the first. `as`: by another runtime. */
  open(namespace?: string, readOnly?: boolean, as?: Runtime): Promise<LocalBackend>;
}

/** Runs `body` with a store (namespace `testing`), and closes and removes everything afterwards. */
export async function withStore(
  body: (store: TestStore) => Promise<void>,
  opts: { runtime?: Runtime; root?: (dir: string) => string } = {},
): Promise<void> {
  const dir = tempDir();
  const opened: LocalBackend[] = [];
  const runtime = opts.runtime ?? bareRuntime();
  const root = opts.root?.(dir.path) ?? `${dir.path}/store`;
  const open = async (namespace = 'testing', readOnly = false, as = runtime): Promise<LocalBackend> => {
    const backend = await openLocalBackend(as, { root, namespace, readOnly });
    opened.push(backend);
    return backend;
  };
  try {
    await body({ root, runtime, backend: await open(), open });
  } finally {
    try {
      for (const backend of opened.reverse()) await backend[Symbol.asyncDispose]();
    } finally {
      dir[Symbol.dispose]();
    }
  }
}

export function digestOf(bytes: Uint8Array, algorithm: 'sha256' | 'sha384' | 'sha512' = 'sha256'): Digest {
  return parseDigest(`${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`);
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function someBytes(length: number): Uint8Array {
  return new Uint8Array(randomBytes(length));
}

/** Puts a blob into the backend's namespace. */
export async function addBlob(
  backend: Pick<Backend, 'content'>,
  bytes: Uint8Array,
  opts: { lease?: string; labels?: Readonly<Record<string, string>> } = {},
): Promise<Digest> {
  const digest = digestOf(bytes);
  const ingest = await backend.content.ingest(`blob-${digest}`, { digest, size: bytes.length }, opts);
  try {
    await ingest.write(bytes);
    return await ingest.commit({ labels: opts.labels ?? {} });
  } finally {
    await close(ingest);
  }
}

export async function close(one: Ingest): Promise<void> {
  await one[Symbol.asyncDispose]();
}

export async function collectStream(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer());
}
