/** The flags that say how long and how fast, and what a wait looks like. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Input } from '../../../src/cli/grammar/input.ts';
import { frame } from '../../../src/cli/render/frame.ts';
import { eventLine } from '../../../src/cli/render/json.ts';
import { plainLines } from '../../../src/cli/render/plain.ts';
import { advance, newState } from '../../../src/cli/render/progress-state.ts';
import { type NetworkOptions, networkOptions } from '../../../src/cli/session/network-options.ts';
import type { ProgressEvent } from '../../../src/core/progress/events.ts';
import { parseSize } from '../../../src/core/size.ts';

function options(given: Readonly<Record<string, string>>): NetworkOptions {
  const values = new Map(Object.entries(given).map(([name, value]) => [name, [value]] as const));
  return networkOptions(new Input([], values, []));
}

test('network flags: durations, sizes and counts', () => {
  const all = options({
    retry: '3',
    'retry-time': '90s',
    'timeout-connect': '2s',
    'timeout-response': '1m',
    'timeout-stall': '1500ms',
    'min-speed': '1k',
    'limit-rate': '1.5M',
  });
  assert.deepEqual(all, {
    limits: { connect: 2000, headers: 60_000, stall: 1500, minSpeed: 1024 },
    retry: { tries: 3, time: 90_000, stall: 1500, minSpeed: 0 },
    limitRate: 1_572_864,
  });
  const none = options({});
  assert.equal(none.limitRate, undefined);
  assert.deepEqual(
    [...Object.values(none.limits ?? {}), ...Object.values(none.retry ?? {})].filter(Boolean),
    [],
  );
});

for (const [flag, value, says] of [
  ['retry', '-1', /whole number/],
  ['retry', '2s', /whole number/],
  ['retry-time', '90', /missing unit/],
  ['timeout-stall', '0s', /longer than nothing/],
  ['timeout-connect', '-5s', /negative/],
  ['limit-rate', 'fast', /invalid size/],
  ['limit-rate', '0', /nothing would ever come/],
] as const) {
  test(`network flags: --${flag} ${value} is wrong usage`, () => {
    assert.throws(() => options({ [flag]: value }), says);
  });
}

test('sizes in steps of 1024', () => {
  const sizes = {
    '0': 0,
    '100': 100,
    '500k': 512_000,
    '1.5M': 1_572_864,
    '10MiB': 10 << 20,
    '1G': 1 << 30,
    '2T': 2 ** 41,
    '2kb': 2048,
  };
  for (const [text, bytes] of Object.entries(sizes)) assert.equal(parseSize(text), bytes, text);
  for (const text of ['', 'k', '-1', '1P', '9999999T', '1e3', '1 2', '0x10'])
    assert.throws(() => parseSize(text), /invalid size/);
});

test('a wait is shown in every form of progress, and goes when something comes', () => {
  const asked: ProgressEvent = {
    type: 'waiting',
    reason: 'asked by registry.example',
    milliseconds: 36_700,
    askedBy: 'registry.example',
  };
  const failed: ProgressEvent = {
    type: 'waiting',
    reason: 'GET https://r/x?sig=s3cret: 503',
    milliseconds: 250,
  };
  assert.deepEqual(plainLines(asked), ['waiting 37 s, asked by registry.example']);
  assert.match(plainLines(failed)[0] ?? '', /^waiting 250 ms: GET https:/);
  assert.doesNotMatch(plainLines(failed)[0] ?? '', /s3cret/);
  assert.match(
    eventLine(asked),
    /"type":"waiting","reason":"asked by registry.example","milliseconds":36700/,
  );
  const state = newState();
  const last = () => frame(state, { elapsed: 0, colour: false }).at(-1);
  advance(state, { type: 'resolving', name: 'r/a:x' });
  advance(state, asked);
  assert.equal(last(), 'waiting 37 s, asked by registry.example');
  const root = { mediaType: 'x', digest: `sha256:${'0'.repeat(64)}` as never, size: 1 };
  advance(state, { type: 'resolved', name: 'r/a:x', root });
  assert.doesNotMatch(last() ?? '', /waiting/);
});
