/**
 * Serves an OCI image layout over HTTP, with faults on wish:
 *   node test/registry/main.ts --layout DIR [--port N] [--repo NAME] [--fault JSON]...
 * A fault is a Fault as JSON, `match` as text: '{"match":"/blobs/","cutAfter":1000,"times":2}'. The tags are the layout's
 * `org.opencontainers.image.ref.name` (the part after the last colon), else `latest`.
 */
import { createReadStream, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import type { Content, Fault } from './faults.ts';
import { startRegistry, type TestRegistry } from './registry.ts';

const MANIFEST_TYPE = /manifest|image\.index/;

interface Pointer {
  readonly mediaType: string;
  readonly digest: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

function fileContent(path: string): Content {
  return {
    size: statSync(path).size,
    read: (start, end) =>
      end <= start
        ? (async function* () {})()
        : (createReadStream(path, {
            start,
            end: end - 1,
            highWaterMark: 1 << 18,
          }) as AsyncIterable<Uint8Array>),
  };
}

function loadLayout(registry: TestRegistry, dir: string, repo: string): string[] {
  const blobPath = (digest: string): string => join(dir, 'blobs', ...digest.split(':'));
  for (const algorithm of readdirSync(join(dir, 'blobs'))) {
    for (const hex of readdirSync(join(dir, 'blobs', algorithm))) {
      const digest = `${algorithm}:${hex}`;
      registry.putBlob(repo, digest, fileContent(blobPath(digest)));
    }
  }
  const seen = new Set<string>();
  const addManifest = (pointer: Pointer, tag: string): void => {
    const bytes = readFileSync(blobPath(pointer.digest));
    registry.putManifest(repo, tag, pointer.mediaType, bytes);
    if (seen.has(pointer.digest)) return;
    seen.add(pointer.digest);
    const { manifests = [] } = JSON.parse(bytes.toString()) as { manifests?: Pointer[] };
    for (const child of manifests) {
      const present = statSync(blobPath(child.digest), { throwIfNoEntry: false }) !== undefined;
      if (present && MANIFEST_TYPE.test(child.mediaType)) addManifest(child, child.digest);
    }
  };
  const index = JSON.parse(readFileSync(join(dir, 'index.json'), 'utf8')) as { manifests: Pointer[] };
  return index.manifests.map((pointer) => {
    const name = pointer.annotations?.['org.opencontainers.image.ref.name'] ?? 'latest';
    const tag = name.slice(name.lastIndexOf(':') + 1);
    addManifest(pointer, tag);
    return `${registry.host}/${repo}:${tag}`;
  });
}

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    layout: { type: 'string' },
    repo: { type: 'string', default: 'test/image' },
    fault: { type: 'string', multiple: true, default: [] },
  },
});
if (values.layout === undefined) {
  console.error('usage: main.ts --layout DIR [--port N] [--repo NAME] [--fault JSON]...');
  process.exit(2);
}
const registry = await startRegistry({
  port: Number(values.port),
  faults: values.fault.map((text) => JSON.parse(text) as Fault),
});
for (const reference of loadLayout(registry, values.layout, values.repo)) console.log(reference);
