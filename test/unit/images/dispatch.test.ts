import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKind } from '../../../src/core/errors.ts';
import { dispatch, MAX_DEPTH } from '../../../src/core/images/dispatch.ts';
import type { Descriptor } from '../../../src/core/oci/descriptor.ts';
import { makeDigest } from '../../../src/core/oci/digest.ts';

const node = (n: number, size = 1): Descriptor => ({
  mediaType: 'x/y',
  digest: makeDigest('sha256', n.toString(16).padStart(64, '0')),
  size,
});
const number = (desc: Descriptor): number => Number.parseInt(desc.digest.slice(-8), 16);
const tick = (): Promise<void> => new Promise((done) => setTimeout(done, 1));

test('parents before children, each digest once, never more than the limit at work', async () => {
  const seen: number[] = [];
  let running = 0;
  let peak = 0;
  await dispatch(
    node(1),
    async (desc) => {
      const n = number(desc);
      seen.push(n);
      peak = Math.max(peak, ++running);
      await tick();
      running--;
      return n < 32 ? [node(2 * n), node(2 * n + 1), node(40)] : [];
    },
    { limit: 2 },
  );
  assert.equal(peak, 2);
  assert.equal(new Set(seen).size, seen.length);
  assert.equal(seen.length, 63);
  for (const n of seen) if (n !== 40 && n > 1) assert.ok(seen.indexOf(n >> 1) < seen.indexOf(n));
});

test('a limit of 1 is strictly one after another', async () => {
  let running = 0;
  await dispatch(
    node(1),
    async (desc) => {
      assert.equal(++running, 1);
      await tick();
      running--;
      return number(desc) < 4 ? [node(2 * number(desc)), node(2 * number(desc) + 1)] : [];
    },
    { limit: 1 },
  );
});

test('the first failure is the one thrown, and siblings are aborted and awaited', async () => {
  let ended = false;
  const run = dispatch(
    node(1),
    async (desc, { signal }) => {
      if (number(desc) === 1) return [node(2), node(3)];
      if (number(desc) === 2) throw new Error('boom');
      while (!signal.aborted) await tick();
      ended = true;
      throw new Error('later');
    },
    { limit: 4 },
  );
  await assert.rejects(run, /boom/);
  assert.ok(ended);
});

test('an index that lists itself is visited once; too deep a nest and two sizes of one digest are refused (H26)', async () => {
  let visits = 0;
  await dispatch(
    node(1),
    async () => {
      visits++;
      return [node(1)];
    },
    { limit: 1 },
  );
  assert.equal(visits, 1);
  await assert.rejects(
    dispatch(node(1), async (d) => [node(number(d) + 1)], { limit: 1 }),
    (err) => isKind(err, 'InvalidArgument') && /nested more than/.test((err as Error).message),
  );
  assert.equal(MAX_DEPTH, 8);
  await assert.rejects(
    dispatch(node(1), async (d) => (number(d) === 1 ? [node(2, 5), node(2, 6)] : []), { limit: 1 }),
    (err) => isKind(err, 'InvalidArgument') && /5 and with 6 bytes/.test((err as Error).message),
  );
});

test('an abort from outside stops the walk with its reason', async () => {
  const stop = new AbortController();
  const run = dispatch(
    node(1),
    async (_desc, { signal }) => {
      stop.abort(new Error('outside'));
      signal.throwIfAborted();
      return [];
    },
    { limit: 1, signal: stop.signal },
  );
  await assert.rejects(run, /outside/);
});
