import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HawserError, isKind, toRecord } from '../../../src/core/errors.ts';
import { polledSignal } from '../../../src/core/layers/polled-signal.ts';
import { parseReply, parseRequest } from '../../../src/core/layers/worker-protocol.ts';

const job = {
  blob: '/b',
  blobSize: 5,
  mediaType: 'm',
  codec: 'auto',
  root: '/r',
  lowers: ['/l'],
  mode: 'overlay',
  growing: null,
  maxBytes: 10,
  maxRatio: 1000,
};

test('requests of every verb pass as they are', () => {
  const good = [
    { call: 1, verb: 'apply', input: job },
    { call: 1, verb: 'apply', input: { ...job, growing: { path: '/g', gauge: new SharedArrayBuffer(16) } } },
    { call: 2, verb: 'copyTree', input: { from: '/a', to: '/b' } },
    {
      call: 2,
      verb: 'rebase',
      input: { root: '/r', lowers: ['/l'], mode: 'flat', record: { nodes: [], guesses: [] } },
    },
    { call: 3, verb: 'usage', input: '/a' },
    { call: 4, verb: 'removeTree', input: '/a' },
    { call: 5, verb: 'syncfs', input: ['/a', '/b'] },
    { abort: 5 },
  ];
  for (const one of good) assert.deepEqual(parseRequest(structuredClone(one)), one);
});

test('anything else is Internal', () => {
  const bad = [
    undefined,
    null,
    5,
    {},
    { verb: 'usage', input: '/a' },
    { call: 1, verb: 'toString', input: '/a' },
    { call: 1, verb: 'usage', input: 5 },
    { call: -1, verb: 'usage', input: '/a' },
    { call: 1, verb: 'syncfs', input: ['/a', 5] },
    { call: 1, verb: 'copyTree', input: { from: '/a' } },
    { call: 1, verb: 'copyTree', input: { from: '/a', to: '/b', more: 1 } },
    { call: 1, verb: 'apply', input: { ...job, mode: 'other' } },
    { call: 1, verb: 'apply', input: { ...job, growing: { path: '/g', gauge: new ArrayBuffer(16) } } },
    {
      call: 1,
      verb: 'rebase',
      input: { root: '/r', lowers: [], mode: 'blind', record: { nodes: [], guesses: [] } },
    },
    { call: 1, verb: 'rebase', input: { root: '/r', lowers: [], mode: 'flat', record: null } },
    { call: 1, verb: 'apply', input: { ...job, maxBytes: Number.NaN } },
    { abort: '5' },
  ];
  for (const one of bad)
    assert.throws(
      () => parseRequest(one),
      (err) => isKind(err, 'Internal'),
      JSON.stringify(one),
    );
});

test('replies are those of the verb', () => {
  const record = { nodes: [], guesses: ['a'] };
  const times = { wait: 0, inflate: 1.5, verify: 2, apply: 3 };
  const result = { diffId: 'sha256:x', size: 1, entries: 2, times, warnings: ['w'], record };
  const rebased = { type: 'done', output: 'a link' };
  assert.deepEqual(parseReply('rebase', rebased), rebased);
  assert.deepEqual(parseReply('apply', { type: 'done', output: result }), { type: 'done', output: result });
  assert.deepEqual(parseReply('usage', { type: 'progress', bytes: 5 }), { type: 'progress', bytes: 5 });
  assert.deepEqual(parseReply('removeTree', { type: 'done', output: null }), { type: 'done', output: null });
  const error = structuredClone(
    toRecord(new HawserError('DataLoss', 'm', { hint: 'h', reason: { type: 'errno', errno: 'E' } })),
  );
  assert.deepEqual(parseReply('usage', { type: 'failed', error }), { type: 'failed', error });
  for (const [verb, reply] of [
    ['usage', { type: 'done', output: result }],
    ['apply', { type: 'done', output: null }],
    ['apply', { type: 'done', output: { ...result, record: [] } }],
    ['apply', { type: 'done', output: { ...result, times: { ...times, wait: Number.NaN } } }],
    ['rebase', { type: 'done', output: undefined }],
    ['usage', { type: 'done', output: { size: 1.5, inodes: 1 } }],
    ['usage', { type: 'progress', bytes: '5' }],
    ['usage', { type: 'failed', error: { message: 5 } }],
    ['usage', undefined],
  ] as const)
    assert.throws(
      () => parseReply(verb, reply),
      (err) => isKind(err, 'Internal'),
    );
});

test('a polled signal tells synchronous work, and those who wait for the event', () => {
  let flag = false;
  const reason = new Error('why');
  const { signal, abort } = polledSignal(
    () => flag,
    () => reason,
  );
  let events = 0;
  signal.addEventListener('abort', () => events++);
  signal.throwIfAborted();
  assert.equal(signal.aborted, false);
  flag = true;
  assert.throws(
    () => signal.throwIfAborted(),
    (err) => err === reason,
  );
  assert.equal(signal.aborted, true);
  abort();
  assert.equal(events, 1);
  assert.equal(AbortSignal.any([signal]).reason, reason);
});
