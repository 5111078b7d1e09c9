/**
 * Serves an OCI image layout over HTTP, or without one a sample image, with faults on wish:
 *   node test/registry/main.ts [--layout DIR] [--port N] [--repo NAME] [--tls] [--auth MODE] [--fault FAULT]... [--chaos SEED]
 * FAULT is a Fault of faults.ts as JSON, `match` as text: '{"match":"/blobs/","cutAfter":1000,"times":2}'.
 * MODE is basic:USER:PASSWORD, bearer, bearer:USER:PASSWORD, denied, or an AuthMode of auth.ts as JSON.
 * --chaos adds faults by chance, that heal. --tls prints where the CA's certificate is. The tags are the layout's
 * `org.opencontainers.image.ref.name` (the part after the last colon), else `latest`. Each answer is a line on standard
 * error.
 */
import { createReadStream, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import type { AuthMode } from './auth.ts';
import { makeCerts } from './certs.ts';
import { randomFaults, seeded } from './chaos.ts';
import type { Content, Fault } from './faults.ts';
import type { ServerTls } from './http-server.ts';
import { buildImage, noise } from './image.ts';
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

async function pushSample(registry: TestRegistry, repo: string): Promise<string[]> {
  const entries = [{ name: 'noise.bin', data: noise(4 << 20) }];
  const image = await buildImage({
    layers: [{ entries }, { entries: [{ name: 'hello', data: 'hello\n' }] }],
  });
  return [registry.push(repo, 'latest', image)];
}

function authMode(text: string): AuthMode {
  if (text.startsWith('{')) return JSON.parse(text) as AuthMode;
  const [mode, user, ...rest] = text.split(':');
  const pass = rest.join(':');
  if (mode === 'denied' || mode === 'none') return { mode };
  if (mode === 'basic' && user !== undefined) return { mode, user, pass };
  if (mode === 'bearer') return user === undefined ? { mode } : { mode, user, pass };
  throw new Error(`--auth ${text}: want basic:USER:PASSWORD, bearer[:USER:PASSWORD], denied or JSON`);
}

function serverTls(): ServerTls {
  const certs = makeCerts();
  const path = join(tmpdir(), `hawser-test-ca-${process.pid}.pem`);
  writeFileSync(path, certs.ca);
  console.log(`--tlscacert ${path}`);
  return certs;
}

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    layout: { type: 'string' },
    repo: { type: 'string', default: 'test/image' },
    tls: { type: 'boolean', default: false },
    auth: { type: 'string', default: 'none' },
    fault: { type: 'string', multiple: true, default: [] },
    chaos: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  const [, about = ''] = /^\/\*\*\n(.*?) \*\/$/ms.exec(readFileSync(import.meta.filename, 'utf8')) ?? [];
  process.stdout.write(about.replaceAll(/^ \* ?/gm, ''));
  process.exit();
}
const chaos: Fault[] =
  values.chaos === undefined ? [] : randomFaults(seeded(Number(values.chaos)), { size: 4 << 20, heal: true });
const registry = await startRegistry({
  port: Number(values.port),
  auth: authMode(values.auth),
  faults: [...values.fault.map((text) => JSON.parse(text) as Fault), ...chaos],
  ...(values.tls ? { tls: serverTls() } : {}),
  onAnswer: ({ method, path, range, status, sent }) =>
    console.error(`${method} ${path}${range === undefined ? '' : ` (${range})`}: ${status}, ${sent} bytes`),
});
for (const fault of chaos) console.error(`fault ${JSON.stringify(fault)}`);
const references =
  values.layout === undefined
    ? await pushSample(registry, values.repo)
    : loadLayout(registry, values.layout, values.repo);
for (const reference of references) console.log(reference);
