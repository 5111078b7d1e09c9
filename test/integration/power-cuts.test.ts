/**
 * Power cuts at random moments of a pull, every other one with the portable decoders: afterwards `images check` tells the truth, the next pull completes, and nothing is left
 * over. HAWSER_POWER_CUTS says how many (default 4), HAWSER_SEED repeats a run.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { seeded } from '../registry/chaos.ts';
import { buildImage, noise, type TestImage } from '../registry/image.ts';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { exec } from '../support/exec.ts';
import { flavour } from '../support/hawser.ts';
import { needs } from '../support/needs.ts';
import { CuttableDisk, MODES, writeBackAtRandom } from '../support/power-cut.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { chosenSeed } from '../support/seed.ts';
import { readStore } from '../support/store-reader.ts';

const CUTS = Number(process.env.HAWSER_POWER_CUTS ?? 4);
const binary = flavour('binary');
const TOOLS = ['mkfs.ext4', 'tune2fs', 'e2fsck', 'mount', 'unshare', 'truncate', 'cmp'];
const seed = chosenSeed();

function layers(first: number): Promise<TestImage> {
  return buildImage({
    layers: [0, 1, 2, 3, 4].map((n) => ({
      entries: [
        { name: `d${n}/`, type: 'directory' as const },
        { name: `d${n}/noise`, data: noise(400_000, first + n) },
        ...Array.from({ length: 40 }, (_, i) => ({ name: `d${n}/f${i}`, data: `${first} ${n} ${i}` })),
      ],
    })),
  });
}

describe('a power cut', { skip: binary.skip || needs({ root: true, tools: TOOLS }) }, () => {
  const random = seeded(seed);
  let temp: Scratch;
  let registry: TestRegistry;
  let refs: { readonly a: string; readonly b: string };
  let known: ReadonlyMap<string, string>;
  /** Chain IDs. */
  const snapshotsOf = new Map<string, readonly string[]>();
  let whole = 0;

  before(async () => {
    console.log(`seed: HAWSER_SEED=${seed}`);
    temp = scratch('hawser-cut-', '/dev/shm');
    registry = await startRegistry();
    refs = { a: registry.push('t/a', '1', await layers(1)), b: registry.push('t/b', '1', await layers(4)) };
    const root = join(temp.path, 'undisturbed');
    for (const ref of [refs.a, refs.b]) {
      const began = performance.now();
      const { code, stderr } = await exec(binary.command[0], ['--root', root, 'pull', ref]);
      assert.equal(code, 0, stderr);
      whole = performance.now() - began;
      known = readStore(root, new Map()).snapshots;
      snapshotsOf.set(
        ref,
        [...known.keys()].map((name) => name.split(' ')[1] ?? ''),
      );
    }
  });
  after(async () => {
    await registry.close();
    await temp[Symbol.asyncDispose]();
  });

  /** One cut. Says what was wrong, and whether there was one. */
  const cutOnce = async (n: number): Promise<{ readonly wrong: string[]; readonly cut: boolean }> => {
    const mode = MODES[n % MODES.length] ?? '';
    const codec = n % 2 === 0 ? 'native' : 'portable';
    const dir = join(temp.path, `cut-${n}`);
    const disk = new CuttableDisk(dir);
    const root = join(disk.path, 'store');
    const hawser = async (...args: string[]) => {
      const [file, ...before] = disk.command([...binary.command, '--root', root, ...args]);
      return await exec(file, before);
    };
    await disk.format();
    await disk.start(mode);
    try {
      const had = random() < 0.5;
      if (had) assert.equal((await hawser('pull', refs.a)).code, 0);
      const [file, ...before] = disk.command([
        ...binary.command,
        '--root',
        root,
        'pull',
        '--codec',
        codec,
        refs.b,
      ]);
      const stop = new AbortController();
      const churn = writeBackAtRandom(root, random, stop.signal);
      const child = spawn(file, before, { stdio: 'ignore' });
      const ended = new Promise((resolve) => child.on('close', resolve));
      await sleep(random() * whole * 1.6);
      stop.abort();
      await churn;
      const cut = await disk.cut(child.pid ?? 0);
      await ended;
      await disk.start(mode);
      if (!cut) return { wrong: [], cut };
      return { wrong: await afterwards(root, hawser, had), cut };
    } finally {
      await disk.stop();
      rmSync(dir, { recursive: true });
    }
  };

  const afterwards = async (
    root: string,
    hawser: (...args: string[]) => ReturnType<typeof exec>,
    had: boolean,
  ): Promise<string[]> => {
    const wrong: string[] = [];
    const checked = await hawser('images', 'check');
    if (had && checked.code !== 0) wrong.push(`images check: ${checked.stderr}`);
    const facts = readStore(root, known);
    const complete = [refs.a, refs.b].filter((ref) =>
      new RegExp(`^${ref} .*complete \\(6/6\\).* true`, 'm').test(checked.stdout),
    );
    if (had && !complete.includes(refs.a)) wrong.push(`A is not complete: ${checked.stdout}`);
    // A snapshot that was not synced before the cut is there until the next writer forgets it.
    const vouched = new Set(complete.flatMap((ref) => snapshotsOf.get(ref) ?? []));
    wrong.push(
      ...facts.lies.filter((lie) => !/^snapshot /.test(lie) || vouched.has(lie.split(' ')[2] ?? '')),
    );
    const again = await hawser('pull', refs.b);
    if (again.code !== 0) return [...wrong, `the next pull: ${again.stderr}`];
    await hawser('images', 'rm', 'absent');
    const { lies, images, leftovers } = readStore(root, known);
    if (!images.includes(refs.b) || (had && !images.includes(refs.a))) wrong.push(`recorded: ${images}`);
    // A cut right after a lease was made leaves the lease, which ends by itself within a day.
    const left = leftovers.filter((one) => !one.startsWith('empty lease '));
    return [...wrong, ...lies, ...left.map((one) => `left: ${one}`)];
  };

  test(`${CUTS} random moments of a pull: the check is true, the next pull completes, nothing is left over`, async () => {
    const found: string[] = [];
    let cuts = 0;
    for (let n = 0; cuts < CUTS && n < 2 * CUTS; n++) {
      const { wrong, cut } = await cutOnce(n);
      if (cut) cuts++;
      found.push(...wrong.map((one) => `cut ${n}: ${one}`));
    }
    console.log(`${cuts} power cuts`);
    assert.deepEqual(found, []);
    assert.equal(cuts, CUTS);
  });
});
