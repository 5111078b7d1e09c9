/** When the machine's certificates are read: once, by the first request that speaks TLS. Redirects and guards have tests of their own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { streamOf } from '../../../src/core/async/byte-stream.ts';
import { HawserError } from '../../../src/core/errors.ts';
import type { HttpRequest, TransportOptions } from '../../../src/core/ports/transport.ts';
import { ALL_CAPABILITIES, type Host } from '../../../src/core/registry/hosts.ts';
import { type ReadRoots, TransportPool } from '../../../src/core/registry/transport-pool.ts';

const NO_HEADERS = { get: () => null, [Symbol.iterator]: () => [][Symbol.iterator]() };

/** A pool whose transports answer nothing, with a list of the options of each request's transport. */
function pool(common: TransportOptions, readRoots?: ReadRoots) {
  const used: TransportOptions[] = [];
  const open = (options: TransportOptions = {}) => ({
    send: async ({ url }: HttpRequest) => {
      used.push(options);
      return { status: 200, statusText: '', url, headers: NO_HEADERS, body: streamOf(new Uint8Array()) };
    },
    [Symbol.asyncDispose]: async () => {},
  });
  return { used, pool: new TransportPool({ open }, common, { roots: readRoots }) };
}

const host = (base: string, more: Partial<Host> = {}): Host => ({
  name: new URL(base).host,
  base: new URL(base),
  capabilities: ALL_CAPABILITIES,
  ...more,
});

const get = (url: string, signal?: AbortSignal): HttpRequest => ({
  method: 'GET',
  url: new URL(url),
  headers: {},
  signal,
});

function counted(roots: Awaited<ReturnType<ReadRoots>>) {
  const count = { times: 0 };
  const read: ReadRoots = async () => {
    count.times++;
    await Promise.resolve();
    return roots;
  };
  return { count, read };
}

test('requests without TLS read no roots; those with TLS read them once, also at the same time', async () => {
  const { count, read } = counted({ ca: 'machine', extraCa: 'more' });
  const { pool: one, used } = pool({ extraCa: 'flag', cert: 'c' }, read);
  await one.forHost(host('http://a.test/v2'))(get('http://a.test/v2/'));
  assert.equal(count.times, 0);
  const secure = one.forHost(host('https://b.test/v2'));
  await Promise.all([secure(get('https://b.test/v2/')), secure(get('https://b.test/v2/x'))]);
  await one.forHost(host('https://c.test/v2', { tls: { ca: 'own' } }))(get('https://c.test/v2/'));
  assert.equal(count.times, 1);
  const trusted = used.map(({ ca, extraCa, cert }) => [ca, extraCa, cert]);
  assert.deepEqual(trusted, [
    [undefined, 'flag', 'c'],
    ['machine', 'more', 'c'],
    ['machine', 'more', 'c'],
    ['own', 'more', 'c'],
  ]);
});

test('a proxy that speaks TLS needs roots for requests without', async () => {
  const { count, read } = counted({ ca: 'machine' });
  const { pool: one, used } = pool({ proxy: () => new URL('https://proxy.test') }, read);
  await one.forHost(host('http://a.test/v2'))(get('http://a.test/v2/'));
  assert.deepEqual([count.times, used[0]?.ca], [1, 'machine']);
});

test('roots whose reading was aborted are read again', async () => {
  let times = 0;
  const { pool: one } = pool({}, async ({ signal }) => {
    times++;
    signal?.throwIfAborted();
    await Promise.resolve();
    signal?.throwIfAborted();
    return {};
  });
  const send = one.forHost(host('https://a.test/v2'));
  const aborter = new AbortController();
  const first = send(get('https://a.test/v2/', aborter.signal));
  aborter.abort(new HawserError('Canceled', 'stop'));
  await assert.rejects(first, { message: 'stop' });
  await send(get('https://a.test/v2/'));
  assert.equal(times, 2);
});
