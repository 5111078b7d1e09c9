import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HawserError, ifFound, isKind } from '../../src/core/errors.ts';

const fails = (kind: 'NotFound' | 'Unavailable' | 'DataLoss') =>
  Promise.reject(new HawserError(kind, 'it failed'));

test('ifFound gives the result, undefined for NotFound and the kinds that are named, and throws the rest', async () => {
  assert.equal(await ifFound(Promise.resolve(5)), 5);
  assert.equal(await ifFound(fails('NotFound')), undefined);
  assert.equal(await ifFound(fails('Unavailable'), 'Unavailable'), undefined);
  await assert.rejects(ifFound(fails('Unavailable')), (err) => isKind(err, 'Unavailable'));
  await assert.rejects(ifFound(fails('DataLoss'), 'Unavailable'), (err) => isKind(err, 'DataLoss'));
});
