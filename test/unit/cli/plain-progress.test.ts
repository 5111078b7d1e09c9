/** Plain progress says what goes on while nothing is done: bytes, speed, time left. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Display } from '../../../src/cli/render/display.ts';
import { PlainProgress, progressLine } from '../../../src/cli/render/plain-progress.ts';
import { advance, newState, type ProgressState } from '../../../src/cli/render/progress-state.ts';
import { parseDigest } from '../../../src/core/oci/digest.ts';
import type { ProgressEvent } from '../../../src/core/progress/events.ts';
import { fakeRuntime } from './fake-runtime.ts';

const MIB = 1 << 20;
const desc = (digit: string, size: number) => ({
  mediaType: 'x',
  digest: parseDigest(`sha256:${digit.repeat(64)}`),
  size,
});
const [root, layer, other] = [desc('a', 100), desc('b', 12 * MIB), desc('c', 4 * MIB)];
const NAME = 'r.io/a:1';
const RESOLVED: readonly ProgressEvent[] = [
  { type: 'resolving', name: NAME },
  { type: 'resolved', name: NAME, root },
];

function stateOf(events: readonly ProgressEvent[]): ProgressState {
  const state = newState();
  for (const event of events) advance(state, event);
  return state;
}

const at = (offset: number, status: 'downloading' | 'following' | 'done' = 'downloading'): ProgressEvent => ({
  type: 'blob',
  key: 'layer',
  desc: layer,
  status,
  offset,
});

test('plain progress: bytes of all that is wanted, speed and time left', () => {
  const waiting: ProgressEvent = { type: 'blob', key: 'o', desc: other, status: 'waiting', offset: 0 };
  const there: ProgressEvent = { type: 'blob', key: 'e', desc: other, status: 'exists', offset: 0 };
  const state = stateOf([...RESOLVED, at(0), waiting, there, at(4 * MIB)]);
  assert.equal(progressLine(state, 2 * MIB, 3000), 'downloading: 4.0 MiB of 16.0 MiB, 2.0 MiB/s, 6 s left');
  assert.match(progressLine(state, 0.05 * MIB, 3000), /, 51\.2 KiB\/s, 4 min left$/);
  assert.match(progressLine(state, 1000, 3000), /, 3 h left$/);
  assert.equal(progressLine(state, 0, 20_400), 'downloading: 4.0 MiB of 16.0 MiB, nothing for 20 s');
});

test('plain progress: each state has its words', () => {
  assert.equal(progressLine(stateOf(RESOLVED.slice(0, 1)), 0, 1), `resolving ${NAME}`);
  assert.equal(progressLine(stateOf(RESOLVED), 0, 1), 'checking what is in the store');
  assert.equal(progressLine(newState(), 0, 1), 'checking what is in the store');
  assert.equal(progressLine(newState(true), 0, 1), 'asking what the registry has');
  const following = stateOf([...RESOLVED, at(MIB, 'following')]);
  assert.match(
    progressLine(following, 0, 2000),
    /of 12\.0 MiB \(1 fetched by another process\), nothing for 2 s$/,
  );
  const extracting: ProgressEvent = {
    type: 'layer',
    index: 1,
    count: 6,
    chainId: 'x',
    desc: layer,
    status: 'extracting',
    offset: 3,
  };
  const unpacking: ProgressEvent = { type: 'unpacking', platform: 'linux/amd64', target: layer.digest };
  const stored = stateOf([unpacking, extracting]);
  assert.equal(progressLine(stored, 0, 1), 'unpacking linux/amd64: 0 of 6 layers');
  const both = stateOf([
    ...RESOLVED,
    at(MIB),
    unpacking,
    { ...extracting, index: 0, status: 'extracted' },
    extracting,
  ]);
  assert.match(
    progressLine(both, MIB, 1000),
    /^downloading: .* left; unpacking linux\/amd64: 1 of 6 layers$/,
  );
  const unpacked = stateOf([...RESOLVED, at(12 * MIB, 'done'), unpacking, extracting]);
  assert.equal(progressLine(unpacked, 0, 1), 'unpacking linux/amd64: 0 of 6 layers');
  assert.equal(progressLine(stateOf([...RESOLVED, { type: 'syncing' }]), 0, 1), 'making the data durable');
});

test('plain progress: the speed is that since the last line; pauses grow to a minute', () => {
  const state = stateOf([...RESOLVED, at(0)]);
  const progress = new PlainProgress(0);
  assert.deepEqual(
    Array.from({ length: 9 }, () => progress.pause() / 1000),
    [2, 3, 5, 10, 20, 30, 60, 60, 60],
  );
  advance(state, at(4 * MIB));
  assert.match(progress.line(state, 2000), /, 2\.0 MiB\/s, 4 s left$/);
  advance(state, at(5 * MIB));
  assert.match(progress.line(state, 4000), /, 512\.0 KiB\/s, 14 s left$/);
  assert.match(progress.line(state, 5000), /, nothing for 1 s$/);
});

test('plain progress: the display writes a line after each pause, and none after the end', async () => {
  let now = 0;
  const fake = fakeRuntime({ monotonic: () => now });
  const { stdout, stderr } = fake.runtime.host;
  const { clock } = fake.runtime;
  const display = new Display({
    mode: 'plain',
    clock,
    stdout,
    stderr,
    colour: false,
    printChainId: false,
    unpacks: false,
  });
  for (const event of [...RESOLVED, at(0), at(4 * MIB)]) display.report(event);
  now = 2000;
  fake.wake(2000);
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.match(fake.out(), /\ndownloading: 4\.0 MiB of 12\.0 MiB, 2\.0 MiB\/s, 4 s left\n$/);
  await display.finish({ name: NAME, target: root });
  assert.equal(fake.left(), 0);
});
