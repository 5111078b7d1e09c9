/** Status codes and failures to connect, as people are told them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromStatus } from '../../../src/backends/containerd/errors.ts';
import type { Kind } from '../../../src/core/errors.ts';

const told = (code: number, details: string, reached = false) =>
  fromStatus(Object.assign(new Error(`${code}: ${details}`), { code, details }), { address: '/s', reached });

test('containerd errors: every code has its kind, and containerd’s own words', () => {
  const kinds: readonly [number, Kind][] = [
    [1, 'Canceled'],
    [2, 'Internal'],
    [3, 'InvalidArgument'],
    [4, 'DeadlineExceeded'],
    [5, 'NotFound'],
    [6, 'AlreadyExists'],
    [7, 'PermissionDenied'],
    [8, 'ResourceExhausted'],
    [9, 'FailedPrecondition'],
    [10, 'Aborted'],
    [11, 'OutOfRange'],
    [12, 'NotImplemented'],
    [13, 'Internal'],
    [15, 'DataLoss'],
    [16, 'Unauthenticated'],
    [99, 'Internal'],
  ];
  for (const [code, kind] of kinds) {
    const err = told(code, 'image "a": not found');
    assert.deepEqual([err.kind, err.message], [kind, 'image "a": not found'], String(code));
    assert.equal(err.hint !== undefined, kind === 'Internal', String(code));
  }
  assert.equal(told(5, '').message, 'status 5');
});

test('containerd errors: why there is no connection', () => {
  const none = (last: string) =>
    told(14, `No connection established. Last error: ${last}. Resolution note: `);
  const cases: readonly [string, Kind, RegExp][] = [
    ['Error: connect ENOENT /s', 'Unavailable', /there is no such socket$/],
    ['Error: connect ECONNREFUSED /s', 'Unavailable', /nothing listens there$/],
    ['Error: connect EACCES /s', 'PermissionDenied', /permission denied$/],
    ['NotCapable: Requires net access', 'PermissionDenied', /permission denied$/],
    ['Protocol error (2026-11-25T23:33:01.714Z)', 'Unavailable', /what is there does not speak gRPC$/],
  ];
  for (const [last, kind, message] of cases) {
    const err = none(last);
    assert.equal(err.kind, kind, last);
    assert.ok(err.message.startsWith('Cannot reach containerd at /s: '), err.message);
    assert.match(err.message, message);
    assert.ok(err.hint);
  }
});

test('containerd errors: one that has answered before was lost; a locked ref is neither', () => {
  const gone = 'Received RST_STREAM with code 2 triggered by internal client error: write EPIPE';
  assert.match(told(13, gone, true).message, /^Lost the connection to containerd at \/s$/);
  for (const details of ['Connection dropped', 'No connection established. Last error: connect ENOENT /s']) {
    assert.match(told(14, details, true).message, /^Lost the connection to containerd at \/s$/);
  }
  for (const reached of [true, false]) {
    const err = told(14, 'ref default/1/layer locked for 2s (since x): unavailable', reached);
    assert.deepEqual([err.kind, err.reason], ['Unavailable', { type: 'busy' }]);
    const own = told(14, 'shim is gone: unavailable', reached);
    assert.deepEqual(
      [own.kind, own.message, own.reason],
      ['Unavailable', 'shim is gone: unavailable', undefined],
    );
  }
});

test('containerd errors: what is no status is passed on as what it is', () => {
  const err = fromStatus(new Error('torn'), { address: '/s', reached: true });
  assert.deepEqual([err.kind, err.message], ['Internal', 'Cannot talk to containerd: torn']);
});
