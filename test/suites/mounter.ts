/** What every Mounter must do. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { errnoOf, type Kind, kindOf } from '../../src/core/errors.ts';
import type { Mount, Mounter } from '../../src/core/ports/mounter.ts';
import { isNameless, overlayPaths } from '../../src/core/snapshots/overlay-paths.ts';
import { needs } from '../support/needs.ts';
import { escapeOverlayPath } from '../support/overlay-path.ts';
import { tempDir } from '../support/tmp.ts';

async function fails(work: Promise<unknown>, ...kinds: Kind[]): Promise<void> {
  const err = await work.then(
    () => undefined,
    (reason: unknown) => reason ?? new Error('undefined'),
  );
  assert.ok(err !== undefined, `did not fail with ${kinds.join(' or ')}`);
  assert.ok(kinds.includes(kindOf(err)), String(err));
}

const bind = (source: string, ...options: string[]): Mount => ({
  type: 'bind',
  source,
  options: ['rbind', ...options],
});
const overlay = (...options: string[]): Mount => ({ type: 'overlay', source: 'overlay', options });

type Check = (title: string, body: (mounter: Mounter, dir: string, target: string) => Promise<void>) => void;

export function mounterSuite(name: string, make: () => Mounter): void {
  const check: Check = (title, body) => {
    test(`mounter ${name}: ${title}`, {
      skip: needs({ root: true, tools: ['mount', 'umount'] }),
    }, async () => {
      const tmp = tempDir();
      const target = join(tmp.path, 'target');
      fs.mkdirSync(target);
      try {
        await body(make(), tmp.path, target);
      } finally {
        while (spawnSync('umount', ['-l', target]).status === 0);
        tmp[Symbol.dispose]();
      }
    });
  };
  bindTests(check);
  overlayTests(check);
  stackTests(check);
}

function bindTests(check: Check): void {
  check('a read-only bind mount shows the files and refuses writes', async (mounter, dir, target) => {
    const source = join(dir, 'source');
    fs.mkdirSync(source);
    fs.writeFileSync(join(source, 'f'), 'x');
    await mounter.mount([bind(source, 'ro', 'nosuid')], target);
    assert.equal(fs.readFileSync(join(target, 'f'), 'utf8'), 'x');
    assert.throws(() => fs.writeFileSync(join(target, 'g'), ''), { code: 'EROFS' });
    const line = fs
      .readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .find((l) => l.includes(` ${target} `));
    assert.match(line ?? '', / ro,nosuid/);
    fs.writeFileSync(join(source, 'g'), '');
    await mounter.unmount(target);
    assert.deepEqual(fs.readdirSync(target), []);
  });

  check('a writable bind mount takes writes', async (mounter, dir, target) => {
    const source = join(dir, 'source');
    fs.mkdirSync(source);
    await mounter.mount([bind(source, 'rw')], target);
    fs.writeFileSync(join(target, 'g'), '');
    assert.deepEqual(fs.readdirSync(source), ['g']);
    await mounter.unmount(target);
  });

  check('mounts a file system with flags and data', async (mounter, _dir, target) => {
    await mounter.mount(
      [{ type: 'tmpfs', source: 'tmpfs', options: ['nodev', 'size=64k', 'mode=711'] }],
      target,
    );
    assert.equal(fs.statSync(target).mode & 0o777, 0o711);
    assert.ok(fs.statfsSync(target).blocks * 4096 <= 65536);
    await mounter.unmount(target);
  });
}

function layers(dir: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    const path = join(dir, `a-layer-directory-with-a-long-name-${i}`, 'fs');
    fs.mkdirSync(path, { recursive: true });
    fs.writeFileSync(join(path, `f${i}`), String(i));
    fs.writeFileSync(join(path, 'same'), String(i));
    return path;
  });
}

function overlayTests(check: Check): void {
  check('an overlay with upper and work directories', async (mounter, dir, target) => {
    const lowers = layers(dir, 2);
    for (const name of ['upper', 'work']) fs.mkdirSync(join(dir, name));
    await mounter.mount(
      [overlay(`workdir=${dir}/work`, `upperdir=${dir}/upper`, `lowerdir=${lowers.join(':')}`)],
      target,
    );
    assert.equal(fs.readFileSync(join(target, 'same'), 'utf8'), '0', 'the first lower is the top one');
    fs.writeFileSync(join(target, 'new'), '');
    assert.deepEqual(fs.readdirSync(join(dir, 'upper')), ['new']);
    await mounter.unmount(target);
  });

  check(
    'an overlay of 130 lower directories, whose options are over one page',
    async (mounter, dir, target) => {
      const lowers = layers(dir, 130);
      for (const name of ['upper', 'work']) fs.mkdirSync(join(dir, name));
      assert.ok(lowers.join(':').length > 4096);
      const options = [`workdir=${dir}/work`, `upperdir=${dir}/upper`, `lowerdir=${lowers.join(':')}`];
      await mounter.mount([overlay('nodev', ...options)], target);
      assert.equal(fs.readdirSync(target).length, 131);
      assert.equal(fs.readFileSync(join(target, 'same'), 'utf8'), '0');
      fs.writeFileSync(join(target, 'new'), '');
      await mounter.unmount(target);
      await mounter.mount([overlay('ro', `lowerdir=${lowers.join(':')}`)], target);
      assert.equal(fs.readdirSync(target).length, 131);
      const [shown] = await mounter.stack(target);
      const [nearest = ''] = overlayPaths(shown?.options ?? [], 'lowerdir', 'lowerdir+');
      assert.equal(
        isNameless(nearest) ? shown?.source : nearest,
        lowers[0],
        'the mount tells its nearest layer',
      );
      assert.deepEqual(
        (await mounter.mounts()).filter(({ point }) => point === target),
        [{ ...shown, point: target }],
      );
      assert.throws(() => fs.writeFileSync(join(target, 'g'), ''), { code: 'EROFS' });
      await mounter.unmount(target);
    },
  );

  check(
    'overlay directories with escaped commas, colons, backslashes and spaces',
    async (mounter, dir, target) => {
      const odd = join(dir, 'a,b:c\\d e');
      const escaped = escapeOverlayPath(odd);
      for (const name of ['upper', 'work', 'l1', 'l2']) fs.mkdirSync(join(odd, name), { recursive: true });
      fs.writeFileSync(join(odd, 'l1', 'f1'), '');
      fs.writeFileSync(join(odd, 'l2', 'f2'), '');
      const lowerdir = `lowerdir=${escaped}/l1:${escaped}/l2`;
      await mounter.mount(
        [overlay(`workdir=${escaped}/work`, `upperdir=${escaped}/upper`, lowerdir)],
        target,
      );
      assert.deepEqual(fs.readdirSync(target), ['f1', 'f2']);
      fs.writeFileSync(join(target, 'new'), '');
      assert.deepEqual(fs.readdirSync(join(odd, 'upper')), ['new']);
      await mounter.unmount(target);
    },
  );

  check(
    'options over one page that nothing can shorten are InvalidArgument',
    async (mounter, dir, target) => {
      const long = `lowerdir=${Array.from({ length: 400 }, () => dir).join(':')}`;
      await fails(
        mounter.mount([{ type: 'tmpfs', source: 'x', options: [long] }], target),
        'InvalidArgument',
      );
      await fails(mounter.unmount(target), 'FailedPrecondition');
    },
  );
}

function stackTests(check: Check): void {
  check('what was mounted is unmounted when a later mount fails', async (mounter, dir, target) => {
    const mounts = [bind(dir), { type: 'tmpfs', source: 'x', options: [] }, bind(join(dir, 'absent'))];
    await fails(mounter.mount(mounts, target), 'NotFound');
    assert.deepEqual(await mounter.mountpoints(target), []);
    await fails(mounter.mount([bind(dir)], join(dir, 'absent')), 'NotFound');
    // mount(8) looks for a device first.
    await fails(
      mounter.mount([{ type: 'nosuchfs', source: 'none', options: [] }], target),
      'NotImplemented',
      'NotFound',
    );
    await fails(mounter.mount([overlay(`lowerdir=${dir}/absent`)], target), 'NotFound', 'InvalidArgument');
  });

  check('unmounts all that is stacked, and says when there is nothing', async (mounter, _dir, target) => {
    const tmpfs: Mount = { type: 'tmpfs', source: 'tmpfs', options: [] };
    await mounter.mount([tmpfs, tmpfs, tmpfs], target);
    assert.deepEqual(await mounter.mountpoints(target), [target]);
    await mounter.unmount(target);
    assert.deepEqual(await mounter.mountpoints(target), []);
    await fails(mounter.unmount(target), 'FailedPrecondition');
    await fails(mounter.unmount(join(target, 'absent')), 'NotFound', 'FailedPrecondition');
  });

  check(
    'tells what is stacked at a directory, and unmounts the topmost alone',
    async (mounter, dir, target) => {
      const lower = join(dir, 'lower');
      const source = join(dir, 'a source');
      for (const path of [lower, source]) fs.mkdirSync(path);
      assert.deepEqual(await mounter.stack(target), []);
      assert.deepEqual(await mounter.stack(join(dir, 'absent')), []);
      await mounter.mount([{ type: 'tmpfs', source: 'first', options: ['size=64k'] }], target);
      await mounter.mount([overlay(`lowerdir=${lower}:${source}`)], target);
      await mounter.mount([bind(source)], target);
      const stack = await mounter.stack(`${target}/`);
      assert.deepEqual(
        stack.slice(0, 2).map(({ type, source, root }) => [type, source, root]),
        [
          ['tmpfs', 'first', '/'],
          ['overlay', 'overlay', '/'],
        ],
      );
      assert.ok(stack[0]?.options.includes('size=64k'));
      assert.ok(stack[2]?.root.endsWith('/a source'), String(stack[2]?.root));
      assert.equal(stack.length, 3);
      await mounter.unmount(target, { topmost: true });
      assert.deepEqual(await mounter.stack(target), stack.slice(0, 2));
      await mounter.unmount(target);
      await fails(mounter.unmount(target, { topmost: true }), 'FailedPrecondition');
    },
  );

  check('a busy mount is FailedPrecondition, and lazy takes it away', async (mounter, _dir, target) => {
    await mounter.mount([{ type: 'tmpfs', source: 'tmpfs', options: [] }], target);
    const fd = fs.openSync(join(target, 'f'), 'w');
    try {
      const busy = await mounter.unmount(target).then(
        () => undefined,
        (err: unknown) => err,
      );
      assert.equal(errnoOf(busy), 'EBUSY');
      assert.equal(kindOf(busy), 'FailedPrecondition');
      await mounter.unmount(target, { lazy: true });
      assert.deepEqual(await mounter.mountpoints(target), []);
    } finally {
      fs.closeSync(fd);
    }
  });

  check('finds mount points at and below a path, with odd names', async (mounter, dir, target) => {
    await mounter.mount([{ type: 'tmpfs', source: 'tmpfs', options: [] }], target);
    const inner = join(target, 'a b\\c');
    fs.mkdirSync(inner);
    await mounter.mount([{ type: 'tmpfs', source: 'tmpfs', options: [] }], inner);
    assert.deepEqual(await mounter.mountpoints(target), [target, inner]);
    assert.deepEqual(await mounter.mountpoints(dir), [target, inner]);
    assert.deepEqual(await mounter.mountpoints(`${dir}/`), [target, inner]);
    assert.deepEqual(await mounter.mountpoints(join(dir, 'targ')), []);
    fs.symlinkSync('target', join(dir, 'l'));
    assert.deepEqual(await mounter.mountpoints(join(dir, 'l')), [join(dir, 'l'), join(dir, 'l', 'a b\\c')]);
    assert.ok((await mounter.mountpoints('/')).includes(inner));
    await mounter.unmount(inner);
    await mounter.unmount(target);
  });

  check('an aborted signal stops it before it starts', async (mounter, dir, target) => {
    const reason = new Error('stop');
    const call = { signal: AbortSignal.abort(reason) };
    await assert.rejects(mounter.mount([bind(dir)], target, call), reason);
    await assert.rejects(mounter.unmount(target, call), reason);
    await assert.rejects(mounter.mountpoints(target, call), reason);
    assert.deepEqual(await mounter.mountpoints(target), []);
  });
}
