/** Only a command that brings something makes a store where there is none; every other one answers truly of an empty one. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Command } from '../../src/cli/commands/command.ts';
import { GRAMMAR } from '../../src/cli/commands/index.ts';
import type { Runtime } from '../../src/core/runtime.ts';
import { workerUrl } from '../../src/entry/worker-url.ts';
import { composeRuntime } from '../../src/platform/compose.ts';
import { buildImage } from '../registry/image.ts';
import { runHere } from '../support/command-line.ts';
import { parts } from '../support/this-runtime.ts';
import { tempDir } from '../support/tmp.ts';

/** They bring content or records, or make the store that they serve. */
const MAKERS = [
  ...['images pull', 'images import', 'content fetch', 'content fetch-object', 'content fetch-blob'],
  ...['leases create', 'namespaces create', 'bootstrap', 'serve', 'lock'],
  // Without a parent; with one: ROWS.
  ...['snapshots prepare', 'snapshots view'],
];
/** They would ask over a network, or write a file of the user's. */
const ELSEWHERE = [
  ...['images resolve', 'tags', 'catalog', 'manifest', 'config', 'digest', 'referrers', 'verify', 'copy'],
  ...['login', 'logout'],
];

/** What stands for an argument. DIR: an empty directory, OUT: a path that is free. */
const ARGUMENTS: Readonly<Record<string, string>> = {
  '<ref>': 'alpine',
  '<ref...>': 'alpine',
  '<ref:path>': 'alpine:/etc/passwd',
  '<path>': '/etc/passwd',
  '<target>': 'DIR',
  '<dir>': 'OUT',
  '<out>': 'OUT',
  '[remote]': 'registry.test/app:1',
  '[local...]': 'alpine',
  '<new-ref>': 'base',
  '[key=value...]': 'a=b',
  '<digest>': `sha256:${'0'.repeat(64)}`,
  '<digest|ref...>': `sha256:${'0'.repeat(64)}`,
  '<references>': 'references',
  '<id...>': 'lease',
  '<name>': 'name',
  '<name...>': 'name',
  '<key>': 'key',
  '<key...>': 'key',
  '<bash|zsh|fish>': 'bash',
};

interface Row {
  readonly args: readonly string[];
  readonly code: number;
  readonly out: RegExp;
  readonly err: RegExp;
}

const FINE: Omit<Row, 'args'> = { code: 0, out: /(?:)/, err: /^$/ };
/** Nothing is found. */
const MISSING: Omit<Row, 'args'> = { code: 1, out: /^$/, err: /not found|is not in the store/ };
/** With arguments that the grammar calls optional, and what answers otherwise than with nothing, or that nothing was found. */
const ROWS: readonly Row[] = [
  { args: ['gc'], ...FINE, out: /\b0 blobs/ },
  { args: ['gc', '--json'], ...FINE, out: /"blobs": ?0/ },
  { args: ['gc', '--dry-run'], ...FINE, out: /would remove nothing/ },
  { args: ['gc', '--explain', `sha256:${'0'.repeat(64)}`], ...MISSING, err: /nothing in the store/ },
  { args: ['images', 'unmount', 'DIR'], ...MISSING, err: /not a mount point/ },
  { args: ['images', 'unmount', '--rm', 'DIR'], ...FINE, out: /^$/, err: /nothing was removed/ },
  { args: ['images', 'unmount', '--rm', '--json', 'DIR'], ...FINE, out: /"found": ?false/, err: /warning/ },
  { args: ['images', 'delete', 'alpine'], ...FINE, out: /^$/, err: /alpine: image not found/ },
  { args: ['images', 'delete', '--dry-run', 'alpine'], ...FINE, err: /alpine: image not found/ },
  { args: ['images', 'prune', '--all', '--dry-run'], ...FINE, out: /would remove nothing/ },
  { args: ['images', 'repair', 'alpine'], ...MISSING },
  { args: ['images', 'verify', 'alpine'], ...MISSING },
  { args: ['images', 'unpack', '--rootfs', 'OUT', '--pull', 'never', 'alpine'], ...MISSING },
  { args: ['content', 'prune', 'references', '--dry-run'], ...FINE, out: /would remove nothing/ },
  { args: ['leases', 'delete', '--dry-run', 'lease'], ...FINE, out: /would remove nothing/ },
  { args: ['snapshots', 'prepare', 'key', 'parent'], ...MISSING },
  { args: ['snapshots', 'view', 'key', 'parent'], ...MISSING },
  { args: ['snapshots', 'delete', '--dry-run', 'key'], ...MISSING },
  { args: ['recover'], ...MISSING, err: /There is no store/ },
];

/** Writes an image with the file `a` as an OCI image layout. */
async function layoutIn(path: string): Promise<string> {
  const image = await buildImage({ layers: [{ entries: [{ name: 'a', data: 'text' }] }] });
  const { mediaType, digest, bytes } = image.root;
  const index = { schemaVersion: 2, manifests: [{ mediaType, digest, size: bytes.length }] };
  mkdirSync(join(path, 'blobs/sha256'), { recursive: true });
  writeFileSync(join(path, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(join(path, 'index.json'), JSON.stringify(index));
  for (const [name, content] of [...image.blobs, [digest, bytes] as const])
    writeFileSync(join(path, 'blobs', name.replace(':', '/')), content);
  return path;
}

function rowOf({ path, args, flags }: Command): Row {
  const words = args.flatMap((arg) => {
    const word = ARGUMENTS[arg];
    assert.ok(word !== undefined || arg.startsWith('['), `${path.join(' ')}: a word for ${arg}`);
    return word === undefined ? [] : [word];
  });
  const more = flags.some(({ name }) => name === 'pull') ? ['--pull', 'never'] : [];
  const finds = words.length > 0 && !['prune', 'completion'].includes(path.at(-1) ?? '');
  return { args: [...path, ...more, ...words], ...(finds ? MISSING : FINE) };
}

function rows(): Row[] {
  const apart = new Set([...MAKERS, ...ELSEWHERE, ...ROWS.map(({ args }) => args.slice(0, 2).join(' '))]);
  const own = GRAMMAR.commands.filter(({ path }) => !apart.has(path.join(' ')));
  return [...ROWS, ...own.map(rowOf)];
}

describe('where there is no store', () => {
  let runtime: Runtime;
  before(() => {
    runtime = composeRuntime(parts, { workerUrl: workerUrl() });
  });
  after(async () => await runtime.workers[Symbol.asyncDispose]());

  for (const { args, code, out, err } of rows()) {
    test(args.join(' '), async (t) => {
      const dir = tempDir();
      t.after(() => dir[Symbol.dispose]());
      const place = (name: string): string => join(dir.path, name);
      mkdirSync(place('DIR'));
      const given = args.map((arg) => (arg === 'DIR' || arg === 'OUT' ? place(arg) : arg));
      const ran = await runHere(runtime, place('root'), given);
      assert.equal(ran.code, code, ran.err);
      assert.match(ran.out, out);
      assert.match(ran.err, err);
      assert.deepEqual([existsSync(place('root')), existsSync(place('OUT'))], [false, false]);
    });
  }

  for (const command of [
    ['unpack', '--rootfs', 'OUT', 'LAYOUT'],
    ['bundle', 'LAYOUT', 'OUT'],
  ]) {
    test(`${command[0]} --pull never of a layout makes a whole store`, async (t) => {
      const dir = tempDir();
      t.after(() => dir[Symbol.dispose]());
      const [root, out] = [join(dir.path, 'root'), join(dir.path, 'out')];
      const source = `oci:${await layoutIn(join(dir.path, 'layout'))}`;
      const words = command.map((word) => ({ OUT: out, LAYOUT: source })[word] ?? word);
      const made = await runHere(runtime, root, [
        ...words,
        ...['--pull', 'never', '--owner', 'ours', '--progress', 'none'],
      ]);
      assert.equal(made.code, 0, made.err);
      assert.equal(readFileSync(join(out, command[0] === 'bundle' ? 'rootfs/a' : 'a'), 'utf8'), 'text');
      assert.ok(existsSync(join(root, 'hawser.db')), `${readdirSync(root)}`);
      const listed = await runHere(runtime, root, ['images', 'ls', '-q']);
      assert.deepEqual([listed.code, listed.err], [0, '']);
      assert.equal(listed.out.trim().split('\n').length, 1);
    });
  }

  test('a root that is a symbolic link to an empty directory is none, and one to nothing is refused', async (t) => {
    const dir = tempDir();
    t.after(() => dir[Symbol.dispose]());
    const [root, real] = [join(dir.path, 'root'), join(dir.path, 'real')];
    symlinkSync('real', root);
    for (const command of [
      ['images', 'rm', 'alpine'],
      ['images', 'ls'],
      ['namespaces', 'create', 'ci'],
    ])
      assert.match((await runHere(runtime, root, command)).err, /it is a symbolic link to nothing\nhint: /);
    assert.equal(existsSync(real), false);
    mkdirSync(real, { mode: 0o755 });
    const ran = await runHere(runtime, root, ['images', 'rm', 'alpine']);
    assert.deepEqual([ran.code, ran.out, readdirSync(real)], [0, '', []]);
    assert.match(ran.err, /alpine: image not found/);
    const made = await runHere(runtime, root, ['namespaces', 'create', 'ci']);
    assert.equal(made.code, 0, made.err);
    assert.ok(readdirSync(real).includes('hawser.db'));
  });

  test('each word of the lists names a command', () => {
    const all = new Set(GRAMMAR.commands.map(({ path }) => path.join(' ')));
    for (const name of [...MAKERS, ...ELSEWHERE]) assert.ok(all.has(name), name);
  });

  test('a root with a policy only is none; what is not hawser’s is refused', async (t) => {
    const dir = tempDir();
    t.after(() => dir[Symbol.dispose]());
    writeFileSync(join(dir.path, 'policy.toml'), '', { mode: 0o600 });
    assert.equal((await runHere(runtime, dir.path, ['images', 'prune', '--all'])).code, 0);
    assert.deepEqual(readdirSync(dir.path), ['policy.toml']);
    writeFileSync(join(dir.path, 'mine'), '');
    const refused = await runHere(runtime, dir.path, ['images', 'prune', '--all']);
    assert.match(refused.err, /"mine".*not a hawser store/);
    assert.deepEqual(readdirSync(dir.path).sort(), ['mine', 'policy.toml']);
  });
});
