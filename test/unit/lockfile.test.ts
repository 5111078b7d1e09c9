/** What `npm ci` on another machine needs of the lockfile. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

interface Locked {
  readonly version?: string;
  readonly resolved?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const lock = JSON.parse(readFileSync(join(import.meta.dirname, '../../package-lock.json'), 'utf8')) as {
  packages: Record<string, Locked>;
};

test('packages for other platforms are listed too: npm ci refuses a lockfile without them', () => {
  const missing: string[] = [];
  for (const [path, { optionalDependencies }] of Object.entries(lock.packages)) {
    for (const [name, version] of Object.entries(optionalDependencies ?? {})) {
      const locked = lock.packages[`${path}/node_modules/${name}`] ?? lock.packages[`node_modules/${name}`];
      if (locked?.version !== version) missing.push(`${name}@${version} (of ${path})`);
    }
  }
  assert.deepEqual(missing, []);
});

test('no registry address is in the lockfile', () => {
  assert.ok(Object.keys(lock.packages).length > 20);
  const named = Object.entries(lock.packages).filter(([, one]) => one.resolved !== undefined);
  assert.deepEqual(named, []);
});
