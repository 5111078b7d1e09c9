/** `--json` of every command: which have it, and what they print, against the schemas of the package. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GRAMMAR } from '../../src/cli/commands/index.ts';
import { workerUrl } from '../../src/entry/worker-url.ts';
import { composeRuntime } from '../../src/platform/compose.ts';
import { buildImage, type TestImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { type RanHere, runHere } from '../support/command-line.ts';
import { seen, typesOf } from '../support/json-schema.ts';
import { needs } from '../support/needs.ts';
import { repository } from '../support/runtimes.ts';
import { parts } from '../support/this-runtime.ts';
import { tempDir } from '../support/tmp.ts';

let registry: TestRegistry;
let dir: ReturnType<typeof tempDir>;
let image: TestImage;
let ref: string;
const at = (name: string): string => join(dir.path, name);

before(async () => {
  registry = await startRegistry({ lists: { referrers: { filters: true } }, uploads: {} });
  dir = tempDir();
  image = await buildImage({ layers: [{ entries: [{ name: 'a', data: 'x' }] }] });
  ref = registry.push('a/b', 'v1', image);
});
after(async () => {
  await registry.close();
  dir[Symbol.dispose]();
});

async function hawser(...args: readonly string[]): Promise<RanHere> {
  const base = composeRuntime(parts, { workerUrl: workerUrl() });
  const ran = await runHere(base, at('root'), args);
  await base.workers[Symbol.asyncDispose]();
  return ran;
}

/** One document of this type. */
async function prints(type: string, ...args: readonly string[]): Promise<Record<string, unknown>> {
  const { out, err, code } = await hawser(...args);
  assert.equal(code, 0, `${args.join(' ')}: ${err}`);
  const document = JSON.parse(out);
  assert.equal(document.type, type, args.join(' '));
  return document;
}

/** What they print are bytes of an image, or a script; or they print nothing. */
const WITHOUT = [
  'completion',
  'content fetch-blob',
  'content fetch-object',
  'content get',
  'files cat',
  'namespaces create',
  'namespaces label',
  'snapshots commit',
  'snapshots diff',
];

test('every command that prints data has --json', () => {
  const without = GRAMMAR.commands.filter(({ flags }) => !flags.some(({ name }) => name === 'json'));
  assert.deepEqual(without.map(({ path }) => path.join(' ')).sort(), WITHOUT);
});

test('a registry is asked', async () => {
  const { digest } = image.root;
  const resolved = await prints('resolved', 'resolve', '--json', '--explain', ref);
  assert.equal((resolved.root as { digest: string }).digest, digest);
  await prints('resolved', 'resolve', '--json', '--platform', 'linux/amd64', ref);
  await prints('resolved', 'digest', '--json', ref);
  await prints('tags', 'tags', '--json', ref);
  await prints('repositories', 'catalog', '--json', registry.host);
  await prints('manifest', 'manifest', '--json', ref);
  await prints('config', 'config', '--json', ref);
  await prints('referrers', 'referrers', '--json', ref);
  await prints('plan', 'pull', '--plan', '--json', ref);
  writeFileSync(at('list'), `${ref}\n`);
  await prints('lock', 'lock', '--json', at('list'));
});

test('an image comes, is listed, goes out and goes', async () => {
  const { digest } = image.root;
  const ended = await prints('ended', 'pull', '--snapshotter', 'native', '--json', ref);
  assert.deepEqual(
    (ended.done as { name: string }[]).map(({ name }) => name),
    [ref],
  );
  assert.match(JSON.stringify(ended.done), /"unpacked":\[\{"platform":"linux/);
  await prints('ended', 'pull', '--snapshotter', 'native', '--json', ref, ref);
  const lines = (await hawser('pull', '--snapshotter', 'native', '--progress=json', ref)).out
    .trim()
    .split('\n');
  assert.equal(JSON.parse(lines.at(-1) ?? '').type, 'done');
  await prints('ended', 'content', 'fetch', '--json', ref);
  await prints('ended', 'unpack', '--snapshotter', 'native', '--json', ref);
  await prints('images', 'images', 'ls', '--json');
  await prints('checks', 'images', 'check', '--json');
  await prints('image', 'images', 'inspect', '--json', '--content', ref);
  await prints('usage', 'images', 'usage', '--snapshotter', 'native', '--json', ref);
  await prints('content', 'content', 'ls', '--json');
  await prints('blob', 'content', 'info', '--json', digest);
  await prints('ingests', 'content', 'active', '--json');
  await prints('labels', 'images', 'label', '--json', ref, 'a=b');
  await prints('files', 'files', 'ls', '--json', '-R', ref);
  await prints('df', 'df', '--json');
  await prints('verify', 'images', 'verify', '--json');
  writeFileSync(at('policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
  await prints('signatures', 'images', 'verify', '--signatures', '--policy', at('policy.json'), '--json');
  await prints('repair', 'images', 'repair', '--json');
  await prints('recover', 'recover', '--json');
  await prints('inventory', 'inventory', '--json');
  await prints('exported', 'export', '--json', at('out.tar'), ref);
  await prints('ended', 'import', '--json', '--no-unpack', at('out.tar'));
  await prints('ended', 'push', '--json', `${registry.host}/a/c:v2`, ref);
  await prints('ended', 'copy', '--json', ref, `${registry.host}/a/d:v3`);
  await prints('copied', 'cp', '--json', `${ref}:/a`, dir.path);
  await prints('tagged', 'images', 'tag', '--json', ref, 'r.test/new:1');
  await prints('gc-explanation', 'gc', '--explain', digest, '--json');
  await prints('gc-plan', 'gc', '--dry-run', '--json');
  await prints('prune', 'images', 'prune', '--all', '--dry-run', '--json');
  const removed = await prints('removed', 'images', 'rm', '--json', ref, 'r.test/new:1');
  assert.deepEqual(removed.names, [ref, 'r.test/new:1']);
  await prints('gc', 'gc', '--json');
});

test('records are made, listed and removed', async () => {
  await prints('leases', 'leases', 'create', '--id', 'mine', '--json', 'k=v');
  await prints('leases', 'leases', 'ls', '--json');
  await prints('removed', 'leases', 'rm', '--json', 'mine');
  await prints('namespaces', 'namespaces', 'ls', '--json');
  assert.equal((await hawser('namespaces', 'create', 'other')).code, 0);
  await prints('removed', 'namespaces', 'rm', '--json', 'other');
  const native = ['--snapshotter', 'native'];
  await prints('mounts', 'snapshots', 'prepare', ...native, '--json', '--target', '/mnt', 'work');
  await prints('mounts', 'snapshots', 'mounts', ...native, '--json', '/mnt', 'work');
  await prints('snapshots', 'snapshots', 'ls', ...native, '--json');
  await prints('snapshots', 'snapshots', 'tree', ...native, '--json');
  await prints('snapshot', 'snapshots', 'info', ...native, '--json', 'work');
  await prints('usage', 'snapshots', 'usage', ...native, '--json');
  await prints('labels', 'snapshots', 'label', ...native, '--json', 'work', 'a=b');
  await prints('removed', 'snapshots', 'rm', ...native, '--json', 'work');
  await prints('version', 'version', '--json');
  await prints('settings', 'settings', '--json');
});

test('an error is one JSON line on standard error, with what the registry said', async () => {
  const absent = `${registry.host}/a/b:none`;
  for (const args of [
    ['pull', '--json', absent],
    ['manifest', '--json', absent],
    ['images', 'inspect', '--json', absent],
  ]) {
    const { code, out, err } = await hawser(...args);
    assert.deepEqual([code, out], [1, ''], args.join(' '));
    const lines = err
      .trim()
      .split('\n')
      .filter((line) => line.startsWith('{'));
    assert.equal(lines.length, 1, err);
    const error = JSON.parse(lines[0] ?? '');
    assert.deepEqual([error.type, error.kind], ['error', 'NotFound']);
    if (args[0] !== 'images') assert.equal(error.registry.status, 404, err);
  }
  const events = (await hawser('pull', '--progress=json', absent)).out.trim().split('\n');
  assert.equal(JSON.parse(events.at(-1) ?? '').registry.status, 404);
  const usage = await hawser('images', 'ls', '--json', '--nonsense');
  assert.deepEqual([usage.code, JSON.parse(usage.err).kind], [2, 'InvalidArgument']);
  const many = await hawser('pull', '--json', absent, ref);
  assert.equal(many.code, 1);
  assert.equal(JSON.parse(many.out).failed[0].registry.status, 404);
});

/** Of what needs a containerd, root, a registry with users, or signatures: other tests see these. */
const ELSEWHERE = ['bootstrap', 'mounted', 'unmounted', 'serving', 'login', 'logout', 'judged'];

test('all documents of the schema were seen', () => {
  const missing = typesOf('documents').filter((type) => !seen.documents.has(type));
  assert.deepEqual(
    missing.filter((type) => !ELSEWHERE.includes(type)),
    [],
  );
});

test('docs/json.md names every document and every event', () => {
  const guide = readFileSync(join(repository, 'docs/json.md'), 'utf8');
  const [documents = '', events = ''] = guide.split('## Progress');
  const named = (text: string): string[] =>
    [...text.matchAll(/^\| (.*?) \|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`([^`]+)`/g)].map(([, type = '']) => type),
    );
  const absent = (types: readonly string[], text: string): string[] =>
    types.filter((type) => !named(text).includes(type));
  assert.deepEqual(
    absent(
      typesOf('documents').filter((type) => type !== 'error'),
      documents,
    ),
    [],
  );
  assert.deepEqual(absent(typesOf('progress'), events), []);
});

test('mount, unmount and serve', { skip: needs({ root: true }) }, async () => {
  const native = ['--snapshotter', 'native'];
  assert.equal((await hawser('pull', ...native, ref)).code, 0);
  const target = at('mnt');
  mkdirSync(target);
  assert.deepEqual((await prints('mounted', 'mount', ...native, '--json', ref, target)).target, target);
  await prints('unmounted', 'unmount', ...native, '--rm', '--json', target);
  const served = await hawser('serve', '--json', '--listen', '127.0.0.1:0', '--timeout', '200ms');
  assert.match(JSON.parse(served.out).url, /^http:\/\/127/);
  assert.equal(JSON.parse(served.err).kind, 'DeadlineExceeded');
});

/** Members that are told once, above the tables. */
const EVERYWHERE = ['v', 'type', 'image'];

/** Words in rows that are no members and that no schema lists: kinds of what is collected, and a row that another refers to. */
const TOLD: Readonly<Record<string, readonly string[]>> = {
  'gc-plan': ['content', 'images', 'ingests', 'leases'],
  prune: ['gc-plan'],
};

interface Row {
  readonly types: readonly string[];
  /** In the last column. */
  readonly words: ReadonlySet<string>;
}

/** The rows of the tables of a page that have a type in their first column. */
function rowsOf(text: string): readonly Row[] {
  const words = (cell: string): string[] =>
    [...cell.matchAll(/`(\w[\w-]*)(?:\[\])?`/g)].map(([, word = '']) => word);
  return text.split('\n').flatMap((line) => {
    if (!line.startsWith('| ')) return [];
    const [first = '', ...cells] = line.replace(/^\| | \|$/g, '').split(' | ');
    return [{ types: words(first), words: new Set(words(cells.at(-1) ?? '')) }];
  });
}

interface Names {
  readonly members: Set<string>;
  /** Texts that a member may be. */
  readonly values: Set<string>;
  /** Definitions that are referred to. */
  readonly refs: Set<string>;
}

/** What is named in a schema itself. */
function namesIn(schema: unknown, found: Names = emptyNames()): Names {
  if (typeof schema !== 'object' || schema === null) return found;
  for (const [key, value] of Object.entries(schema)) {
    if (key === 'properties') for (const name of Object.keys(value)) found.members.add(name);
    if (key === 'const') found.values.add(String(value));
    if (key === 'enum') for (const one of value) found.values.add(String(one));
    if (key === '$ref') found.refs.add(String(value).replace('#/$defs/', ''));
    namesIn(value, found);
  }
  return found;
}

function emptyNames(): Names {
  return { members: new Set(), values: new Set(), refs: new Set() };
}

/** What the definitions of these names have, with all that they refer to. */
function reachable($defs: Readonly<Record<string, unknown>>, types: readonly string[]): Set<string> {
  const known = new Set(types);
  const words = new Set<string>();
  for (const type of known) {
    const { members, values, refs } = namesIn($defs[type]);
    for (const word of [...members, ...values]) words.add(word);
    for (const ref of refs) known.add(ref);
  }
  return words;
}

test('docs/json.md has in the row of each type its members, and no other', () => {
  const page = readFileSync(join(repository, 'docs/json.md'), 'utf8');
  const [before = '', after = ''] = page.split('\n## Progress\n');
  const documents = rowsOf(before.slice(before.indexOf('## Documents')));
  const events = rowsOf(after);
  for (const [name, own, shared] of [
    ['documents', documents, []],
    ['progress', events, documents],
  ] as const) {
    const { $defs } = JSON.parse(readFileSync(join(repository, `schema/${name}.v1.json`), 'utf8'));
    const lacks = Object.entries($defs).flatMap(([type, definition]) => {
      const ofType = (rows: readonly Row[]) => rows.filter(({ types }) => types.includes(type));
      // The end of a pull is told among the documents.
      const rows = ofType(own).some(({ words }) => words.size > 0) ? ofType(own) : ofType(shared);
      const members = [...namesIn(definition).members].filter((member) => !EVERYWHERE.includes(member));
      return members
        .filter((member) => !rows.some(({ words }) => words.has(member)))
        .map((member) => `${type}: ${member}`);
    });
    assert.deepEqual(lacks, [], `members that docs/json.md lacks (${name})`);
    const wrong = own.flatMap(({ types, words }) => {
      const known = reachable($defs, types);
      for (const type of types) for (const word of [type, ...(TOLD[type] ?? [])]) known.add(word);
      const strange = [...words].filter((word) => !known.has(word));
      return strange.map((word) => `${types.join(', ')}: ${word}`);
    });
    assert.deepEqual(wrong, [], `words in rows of docs/json.md whose types have no such member (${name})`);
  }
});
