/** Credentials of logins side by side: none is lost, and a lock that was left is told. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hintOf } from '../../../src/core/errors.ts';
import {
  dropCredential,
  type KeepDeps,
  keepCredential,
} from '../../../src/core/registry/credentials/keep.ts';
import { createFileSystem } from '../../../src/platform/files/file-system.ts';
import { tempDir } from '../../support/tmp.ts';

let count = 0;

/** `onHelper` runs while a helper is at work. */
function depsOf(onHelper: () => Promise<unknown>, pause: (ms: number) => Promise<void>): KeepDeps {
  const run = async () => {
    await onHelper();
    return { code: 0, stdout: '', stderr: '' };
  };
  const random = (length: number): Uint8Array => new Uint8Array(length).fill(++count);
  return {
    fs: createFileSystem(),
    programs: { run },
    clock: { sleep: pause },
    random,
  } as unknown as KeepDeps;
}

const entryOf = (host: string, helper?: string) => ({ host, username: 'me', secret: 'secret', helper });

test('login: what others keep while a helper is at work, or at the same time, stays', async (t) => {
  const dir = tempDir();
  t.after(() => dir[Symbol.dispose]());
  const path = join(dir.path, 'config.json');
  const read = (): { auths: object; credHelpers: object } => JSON.parse(readFileSync(path, 'utf8'));
  const plain = depsOf(async () => {}, sleep);
  const other = depsOf(() => keepCredential(plain, path, entryOf('b.test'), {}), sleep);
  await keepCredential(other, path, entryOf('a.test', 'x'), {});
  assert.deepEqual([Object.keys(read().auths), read().credHelpers], [['b.test'], { 'a.test': 'x' }]);
  const hosts = Array.from({ length: 12 }, (_, n) => `h${n}.test`);
  await Promise.all(hosts.map((host) => keepCredential(plain, path, entryOf(host), {})));
  assert.deepEqual(Object.keys(read().auths).sort(), ['b.test', ...hosts].sort());
  await Promise.all(hosts.map((host) => dropCredential(plain, path, host, {})));
  assert.deepEqual(Object.keys(read().auths), ['b.test']);
  assert.deepEqual(readdirSync(dir.path), ['config.json']);
});

test('login: a lock that somebody left is told after a time, and the file stays as it was', async (t) => {
  const dir = tempDir();
  t.after(() => dir[Symbol.dispose]());
  const path = join(dir.path, 'config.json');
  writeFileSync(`${path}.lock`, '');
  let slept = 0;
  const deps = depsOf(
    async () => {},
    async (ms) => {
      slept += ms;
    },
  );
  await assert.rejects(keepCredential(deps, path, entryOf('a.test'), {}), (err) => {
    assert.match(String(err), /config\.json\.lock is there/);
    assert.match(hintOf(err) ?? '', /remove .*config\.json\.lock$/);
    return true;
  });
  assert.ok(slept > 1000 && slept < 10_000, `${slept}`);
  assert.deepEqual(readdirSync(dir.path), ['config.json.lock']);
});
