import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HttpRequest, HttpResponse, Transports } from '../../../../src/core/ports/transport.ts';
import { lazyCodecs, lazyTransports } from '../../../../src/platform/process/lazy.ts';

const request: HttpRequest = { method: 'GET', url: new URL('http://localhost/'), headers: {} };

function fake(): { transports: Transports; log: string[] } {
  const log: string[] = [];
  const transports: Transports = {
    open(options) {
      log.push(`open ${options?.connections ?? 0}`);
      return {
        send: async ({ method }) => {
          log.push(method);
          return {} as HttpResponse;
        },
        [Symbol.asyncDispose]: async () => void log.push('closed'),
      };
    },
  };
  return { transports, log };
}

test('a transport is loaded and opened at its first request, once', async () => {
  const { transports, log } = fake();
  let loads = 0;
  const lazy = lazyTransports(async () => {
    loads++;
    return transports;
  });
  const one = lazy.open({ connections: 3 });
  const two = lazy.open();
  assert.equal(loads, 0);
  await Promise.all([one.send(request), one.send(request)]);
  await two.send(request);
  assert.equal(loads, 1);
  await one[Symbol.asyncDispose]();
  assert.deepEqual(log, ['open 3', 'GET', 'GET', 'open 0', 'GET', 'closed']);
});

test('closing a transport that was never used loads nothing', async () => {
  const lazy = lazyTransports(() => assert.fail('loaded'));
  await lazy.open()[Symbol.asyncDispose]();
});

test('lazy codecs are the real ones', async () => {
  const codec = await lazyCodecs().get('zstd', 'portable');
  assert.deepEqual([codec.compression, codec.implementation], ['zstd', 'portable']);
});
