/**
 * What `deno run` must allow for each command, and no more: with the flags of a row the command succeeds, and without any one of them
 * it fails, on a terminal, with an error that names the flag; Deno asks nothing and no stack is shown.
 */
import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { buildImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { type ExecResult, exec, execOk, describe as explain } from '../support/exec.ts';
import { oneFile } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { deno } from '../support/runtimes.ts';
import { diffTrees, readTree } from '../support/tree.ts';

interface Row {
  readonly name: string;
  /** DIR, HOST and REF stand for the test's directory, its registry and an image that is in the store, OUT for a new name and HERE for an empty directory in DIR, LAYOUT for a layout there. */
  readonly flags: readonly string[];
  readonly args: readonly string[];
  /** Only root makes devices and overlayfs's marks. */
  readonly root?: boolean;
}

const STORE = ['--allow-read=DIR', '--allow-write=DIR', '--allow-env', '--allow-sys=uid'];
/** Deno makes symlinks only for programs that may read and write everywhere. */
const EVERYWHERE = ['--allow-read', '--allow-write', '--allow-env', '--allow-sys=uid'];
const QUIET = ['--progress', 'none'];

const ROWS: readonly Row[] = [
  { name: 'version', flags: ['--allow-env'], args: ['version'] },
  { name: 'resolve', flags: ['--allow-net=HOST', '--allow-env'], args: ['resolve', 'REF'] },
  ...[
    ['tags', 'REF'],
    ['catalog', 'HOST'],
    ['manifest', 'REF'],
    ['config', 'REF'],
    ['digest', 'REF'],
    ['referrers', 'REF'],
  ].map((args) => ({ name: args.join(' '), flags: ['--allow-net=HOST', '--allow-env'], args })),
  ...[
    ['files', 'ls', 'REF', '/etc'],
    ['cat', 'REF', '/etc/motd'],
  ].map((args) => ({
    name: args.join(' '),
    flags: ['--allow-read=DIR', '--allow-env', '--allow-sys=uid'],
    args,
  })),
  { name: 'unpack --tar', flags: STORE, args: ['unpack', 'REF', '--tar', 'OUT'] },
  {
    name: 'content fetch-object',
    flags: ['--allow-net=HOST', '--allow-env'],
    args: ['content', 'fetch-object', 'REF'],
  },
  {
    name: 'content fetch',
    flags: [...STORE, '--allow-net=HOST'],
    args: ['content', 'fetch', ...QUIET, 'REF'],
  },
  {
    name: 'images ls',
    flags: ['--allow-read=DIR', '--allow-env', '--allow-sys=uid'],
    args: ['images', 'ls', '-q'],
  },
  { name: 'images check', flags: STORE.filter((flag) => !/write/.test(flag)), args: ['images', 'check'] },
  { name: 'export', flags: STORE, args: ['export', 'OUT', 'REF'] },
  {
    name: 'copy',
    flags: ['--allow-net=HOST', '--allow-env'],
    args: ['copy', ...QUIET, 'REF', 'HOST/copied/image:1'],
  },
  {
    name: 'push',
    flags: [...STORE, '--allow-net=HOST'],
    args: ['push', ...QUIET, 'HOST/pushed/image:1', 'REF'],
  },
  { name: 'import', flags: STORE, args: ['import', '--no-unpack', ...QUIET, 'LAYOUT'] },
  ...[['df'], ['leases', 'ls'], ['gc', '--dry-run'], ['content', 'verify'], ['images', 'verify']].map(
    (args) => ({
      name: args.join(' '),
      flags: STORE.filter((flag) => !/write/.test(flag)),
      args,
    }),
  ),
  ...[
    ['images', 'rm', 'REF'],
    ['images', 'prune', '--keep', '0'],
    ['images', 'tag', 'REF', 'least/image:2'],
    ['images', 'label', 'REF', 'a=b'],
    ['leases', 'create'],
    ['namespaces', 'create', 'other'],
    ['content', 'prune', 'references'],
    ['gc'],
    ['recover'],
  ].map((args) => ({ name: args.join(' '), flags: STORE, args })),
  ...(['ffi', 'tools'] as const).flatMap((how): Row[] => {
    const name = (verb: string): string => `${verb} (${how})`;
    const flags = (...tools: readonly string[]): string[] =>
      how === 'ffi'
        ? [...STORE, '--allow-ffi']
        : [...EVERYWHERE, ...tools.map((tool) => `--allow-run=${tool}`)];
    const pull = (snapshotter: string): string[] => ['unpack', ...QUIET, '--snapshotter', snapshotter, 'REF'];
    return [
      {
        name: name('unpack --rootfs'),
        flags: flags('sync', 'getfattr'),
        args: ['unpack', ...QUIET, 'REF', '--rootfs', 'OUT'],
      },
      {
        name: name('cp'),
        flags: flags('sync', 'getfattr'),
        args: ['cp', 'REF:/etc', 'HERE'],
      },
      { name: name('bundle'), flags: flags('sync', 'getfattr'), args: ['bundle', ...QUIET, 'REF', 'OUT'] },
      {
        name: name('unpack into native snapshots'),
        flags: flags('sync', 'getfattr', 'cp'),
        args: pull('native'),
      },
      {
        name: name('unpack into overlayfs snapshots'),
        flags: flags('sync', 'mknod', 'setfattr', 'getfattr'),
        args: pull('overlayfs'),
        root: true,
      },
    ];
  }),
];

describe('least permissions under Deno', {
  skip: oneFile.skip || needs({ tools: ['script'] }),
}, () => {
  let registry: TestRegistry;
  let dir: string;
  let reference: string;
  let runs = 0;

  before(async () => {
    registry = await startRegistry({ uploads: {} });
    // Not in HAWSER_TEST_TMP: below /dev, Deno grants nothing less than everything.
    dir = mkdtempSync(join(realpathSync(tmpdir()), 'hawser-permissions-'));
    cpSync(oneFile.file ?? '', join(dir, 'hawser.mjs'));
    const file = (name: string) => ({ name, data: `${name}\n`, mode: 0o640 });
    // Each layer lists its directories: what they get otherwise is up to the order in which layers come, and takes more tools.
    const listed = ['./', 'etc/', 'opt/'].map((name) => ({
      name,
      type: 'directory' as const,
      mode: 0o755,
      mtime: new Date(1_700_000_000_000),
    }));
    const lower = [
      ...listed,
      file('etc/motd'),
      file('etc/gone'),
      { name: 'etc/link', type: 'symlink' as const, linkname: 'motd' },
      { name: 'etc/hard', type: 'link' as const, linkname: 'etc/motd' },
      file('opt/below'),
    ];
    const upper = [
      ...listed,
      file('etc/.wh.gone'),
      file('etc/issue'),
      file('opt/.wh..wh..opq'),
      file('opt/above'),
    ];
    const image = await buildImage({ layers: [{ entries: lower }, { entries: upper, compression: 'zstd' }] });
    reference = registry.push('least/image', '1', image);
    await execOk(
      deno,
      ['run', '-A', join(dir, 'hawser.mjs'), ...words(['content', 'fetch', 'REF'], 'store')],
      {
        env: env(),
      },
    );
    await execOk(
      deno,
      ['run', '-A', join(dir, 'hawser.mjs'), ...words(['export', `${join(dir, 'layout')}/`, 'REF'], 'store')],
      { env: env() },
    );
  });
  after(async () => {
    await registry[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true, force: true });
  });

  function env(): NodeJS.ProcessEnv {
    return { PATH: process.env.PATH ?? '', HOME: dir, NO_COLOR: '1', DENO_NO_UPDATE_CHECK: '1' };
  }

  function words(texts: readonly string[], store: string): string[] {
    const out = join(dir, `out-${runs}`);
    const fill = (text: string): string =>
      text
        .replace('DIR', dir)
        .replace('HOST', registry.host)
        .replace('REF', reference)
        .replace('LAYOUT', join(dir, 'layout'))
        .replace(/^OUT$/, out)
        .replace(/^HERE$/, `${out}-here`);
    return ['--root', join(dir, store), ...texts].map(fill);
  }

  /** Over a copy of the store. */
  async function run(row: Row, flags: readonly string[], terminal: boolean): Promise<ExecResult> {
    const store = `store-${++runs}`;
    cpSync(join(dir, 'store'), join(dir, store), { recursive: true });
    if (row.args.includes('HERE')) mkdirSync(join(dir, `out-${runs}-here`));
    const allowed = words(flags, store).slice(2);
    const command = ['run', '--quiet', ...allowed, join(dir, 'hawser.mjs'), ...words(row.args, store)];
    if (!terminal) return await exec(deno, ['run', '--no-prompt', ...command.slice(1)], { env: env() });
    const line = [deno, ...command].map((word) => `'${word}'`).join(' ');
    const shown = await exec('script', ['-qec', line, '/dev/null'], { env: env(), timeout: 60_000 });
    return { ...shown, stdout: shown.stdout.replaceAll('\r', '') };
  }

  for (const row of ROWS) {
    const skip = row.root === true ? needs({ root: true }) : false;
    test(`${row.name}: ${row.flags.join(' ')}`, { skip }, async () => {
      const done = await run(row, row.flags, false);
      assert.equal(done.code, 0, explain(done));
      for (const flag of row.flags) {
        const without = await run(
          row,
          row.flags.filter((one) => one !== flag),
          true,
        );
        const what = `${row.name} without ${flag}: ${explain(without)}`;
        assert.doesNotMatch(without.stdout, /Deno requests|Allow\?/, what);
        assert.doesNotMatch(without.stdout, /^\s+at /m, what);
        assert.equal(without.code, 1, what);
        assert.match(
          without.stdout,
          new RegExp(`^hawser: .*\\n(?:.*\\n)*?hint: .*${named(flag)}`, 'm'),
          what,
        );
      }
    });
  }

  for (const args of [
    ['unpack', ...QUIET, 'REF', '--force', '--rootfs', 'there'],
    ['images', 'mount', 'REF', 'there'],
  ]) {
    test(`${args[0]} ${args[1]} looks at /proc, and says that this takes --allow-all`, async () => {
      const there = join(dir, 'there');
      mkdirSync(there, { recursive: true });
      writeFileSync(join(there, 'mine'), '');
      const row = { name: 'x', flags: [], args: args.map((word) => (word === 'there' ? there : word)) };
      const refused = await run(row, [...EVERYWHERE, '--allow-ffi', '--allow-run'], true);
      assert.equal(refused.code, 1, explain(refused));
      assert.match(refused.stdout, /^hawser: .*--allow-all/m, explain(refused));
      assert.doesNotMatch(refused.stdout, /Deno requests/);
      assert.deepEqual(readdirSync(there), ['mine']);
    });
  }

  test('the tree is the same with FFI, with tools, and on Node', {
    skip: needs({ root: true }),
  }, async () => {
    const rows = ROWS.filter(({ name }) => name.startsWith('unpack --rootfs'));
    const trees = [];
    for (const row of rows) {
      const done = await run(row, row.flags, false);
      assert.equal(done.code, 0, explain(done));
      trees.push(await readTree(join(dir, `out-${runs}`)));
    }
    const [file = '', ...args] = oneFile.command;
    const out = join(dir, 'out-node');
    await execOk(file, [...args, ...words(['unpack', ...QUIET, 'REF', '--rootfs', out], 'store')]);
    const want = await readTree(out);
    assert.equal(trees.length, 2);
    assert.ok(existsSync(join(out, 'opt/above')) && !existsSync(join(out, 'opt/below')));
    for (const tree of trees) assert.deepEqual(diffTrees(tree, want), []);
  });
});

/** As the error has to name the flag: of paths and hosts, it knows better ones. */
function named(flag: string): string {
  return flag.replace(/=(?:DIR|HOST)$/, '');
}
