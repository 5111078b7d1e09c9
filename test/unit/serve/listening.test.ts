import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isAddress, isLoopback, serverUrl } from '../../../src/core/serve/listening.ts';

const HERE = ['127.0.0.1', '127.1.2.3', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', '::ffff:7f00:1'];
/** Of all interfaces, of a network, and what only looks like this machine's. */
const OTHERS = [
  '::',
  '0.0.0.0',
  '10.0.0.1',
  '::ffff:10.0.0.1',
  'fe80::1',
  '64:ff9b::7f00:1',
  '2002:7f00:1::',
];
const NONE = ['', 'localhost', '127.1', '127.0.0.1.5', '0x7f000001', '127.0.0.256', '::1::', 'host.example'];

test('an address that only this machine reaches', () => {
  for (const address of HERE)
    assert.deepEqual([isAddress(address), isLoopback(address)], [true, true], address);
  for (const address of OTHERS)
    assert.deepEqual([isAddress(address), isLoopback(address)], [true, false], address);
  for (const text of NONE) assert.deepEqual([isAddress(text), isLoopback(text)], [false, false], text);
});

test('the URL of a server', () => {
  assert.equal(serverUrl({ address: '::1', port: 1 }, false), 'http://[::1]:1');
  assert.equal(serverUrl({ address: '10.0.0.1', port: 443 }, true), 'https://10.0.0.1:443');
});
