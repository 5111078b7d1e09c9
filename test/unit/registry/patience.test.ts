/** How long what fails is tried again, what Retry-After does to everyone, and how fast bodies may be. No time passes. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ExchangeCode, HawserError, kindOf } from '../../../src/core/errors.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { Cooldowns } from '../../../src/core/registry/cooldown.ts';
import { codeOf, statusOf } from '../../../src/core/registry/failures.ts';
import { flow, RateLimit } from '../../../src/core/registry/flow.ts';
import { ALL_CAPABILITIES } from '../../../src/core/registry/hosts.ts';
import type { RegistryEvent } from '../../../src/core/registry/observe.ts';
import { Patience, type RetryOptions } from '../../../src/core/registry/patience.ts';
import { fakeClock, resolveText, scripted, withClient } from '../../registry/client.ts';
import { buildImage } from '../../registry/image.ts';
import { startRegistry } from '../../registry/registry.ts';

const failure = (why: { status: number; retryAfter?: number } | { code: ExchangeCode }) =>
  new HawserError('Unavailable', 'down', {
    reason: 'status' in why ? { type: 'status', ...why } : { type: 'exchange', ...why },
  });
const reset = failure({ code: 'ECONNRESET' });

/** Fails until patience ends; `gained` and the time each try takes may depend on its number. */
function endure(
  options: RetryOptions,
  err: unknown,
  each: (nth: number) => { gained?: number; takes?: number } = () => ({}),
  known = false,
): { tries: number; ms: number; message: string } {
  const clock = fakeClock();
  const began = clock.now();
  const patience = new Patience(clock, options, known);
  for (let tries = 1; ; tries++) {
    const { gained = 0, takes = 0 } = each(tries);
    clock.advance(takes);
    try {
      clock.advance(patience.next(err, gained));
    } catch (last) {
      return { tries, ms: clock.now() - began, message: (last as Error).message };
    }
    assert.ok(tries < 1000, 'patience must end');
  }
}

test('retry: so many tries in a row, or so long, without progress', () => {
  assert.equal(endure({ tries: 0 }, reset).tries, 1);
  const { tries, message } = endure({ tries: 3 }, reset);
  assert.equal(tries, 4);
  assert.match(message, /^down \(given up after 4 tries without progress in \d s\)$/);
  const timed = endure({ tries: 1000, time: 60_000 }, reset);
  assert.ok(timed.ms <= 60_000 && timed.ms > 20_000, String(timed.ms));
  const usual = endure({}, reset);
  assert.ok(usual.ms > 270_000 && usual.ms <= 300_000, `${usual.ms} ms`);
  assert.ok(endure({ time: 600_000 }, reset).ms > 570_000);
  assert.ok(endure({ tries: 30, time: 3_600_000 }, reset).tries === 31);
});

test('retry: what does not pass is not tried again', () => {
  for (const err of [
    failure({ status: 403 }),
    failure({ status: 404 }),
    new HawserError('DataLoss', 'digest'),
  ]) {
    assert.equal(endure({}, err).tries, 1);
  }
});

test('retry: what was never reached is given up soon, and what only a mirror may have', () => {
  const absent = new HawserError('Unavailable', 'mirror down', {
    reason: { type: 'status', status: 503, absent: true },
  });
  for (const err of [
    failure({ code: 'ECONNREFUSED' }),
    failure({ code: 'ENOTFOUND' }),
    failure({ code: 'EAI_AGAIN' }),
    absent,
  ]) {
    const { tries, ms } = endure({}, err);
    assert.equal(tries, 3);
    assert.ok(ms < 1000);
    assert.ok(endure({}, err, () => ({}), true).ms > 270_000);
    assert.equal(endure({ tries: 5 }, err).tries, 6, 'a number that was asked for');
    assert.ok(endure({ time: 60_000 }, err).ms > 30_000, 'a time that was asked for');
  }
});

test('retry: progress makes the budget new; a trickle is none', () => {
  const often = endure({ tries: 3 }, reset, (nth) => ({ gained: nth <= 20 ? 1 << 20 : 0, takes: 60_000 }));
  assert.equal(often.tries, 20 + 3);
  const trickle = endure({ tries: 3, minSpeed: 100 }, reset, () => ({ gained: 500, takes: 60_000 }));
  assert.equal(trickle.tries, 4);
  const slow = endure({ tries: 3 }, failure({ code: 'TOO_SLOW' }), () => ({ gained: 1 << 20 }));
  assert.equal(slow.tries, 4);
});

test('retry: a wait that is asked for and beyond the patience ends it at once', () => {
  assert.equal(endure({ time: 60_000 }, failure({ status: 429, retryAfter: 61_000 })).tries, 1);
  assert.equal(endure({ time: 600_000 }, failure({ status: 429, retryAfter: 61_000 })).tries > 1, true);
});

test('the manifest is asked for again after each failure that passes (H12)', async () => {
  const registry = await startRegistry();
  try {
    const image = await buildImage({ layers: [] });
    const ref = registry.push('t/a', 'x', image);
    registry.faults.push(
      { status: 502, times: 1 },
      { reset: true, times: 1 },
      { status: 429, times: 1 },
      { status: 522, times: 1 },
      { raw: 'HTTP/1.1 200 OK\r\nContent-Le', times: 1 },
    );
    const root = await resolveText(ref, { retry: {} });
    assert.equal(root.digest, image.root.digest);
    assert.equal(registry.requests.length, 6);
    registry.requests.length = 0;
    registry.faults.push({ status: 503 });
    const err = await resolveText(ref, { retry: { tries: 2 } }).catch((reason: unknown) => reason);
    assert.equal(statusOf(err), 503);
    assert.equal(registry.requests.length, 6, 'each try asks with HEAD and, refused, with GET');
  } finally {
    await registry.close();
  }
});

test('a token server that fails for a moment is asked again', async () => {
  const registry = await startRegistry({
    auth: { mode: 'bearer' },
    faults: [{ match: '/token', status: 503, times: 2 }],
  });
  try {
    const image = await buildImage({ layers: [] });
    const root = await resolveText(registry.push('t/a', 'x', image), { retry: {} });
    assert.equal(root.digest, image.root.digest);
    assert.equal(registry.requests.filter(({ path }) => path.startsWith('/token')).length, 3);
  } finally {
    await registry.close();
  }
});

const at = (clock: { now(): number }, seconds: number) =>
  new Date(clock.now() + seconds * 1000).toUTCString();

for (const form of ['seconds', 'a date']) {
  test(`Retry-After as ${form}: all requests to the host wait, the user is told once, others do not`, async () => {
    const clock = fakeClock();
    const began = clock.now();
    const events: RegistryEvent[] = [];
    const times: [string, number][] = [];
    let refusals = 1;
    const transports = scripted((request) => {
      times.push([request.url.host, clock.now() - began]);
      if (request.url.host !== 'busy.test' || refusals-- <= 0) return { status: 404 };
      const value = form === 'seconds' ? '37' : at(clock, 37);
      return { status: 429, headers: { 'retry-after': value } };
    });
    const options = {
      clock,
      transports,
      retry: {},
      observe: (event: RegistryEvent) => void events.push(event),
    };
    await withClient(options, async (client) => {
      const ask = (text: string) => client.resolve(parseReference(text)).catch((err) => kindOf(err));
      assert.equal(await ask('busy.test/a:x'), 'NotFound');
      assert.equal(await ask('idle.test/a:x'), 'NotFound');
    });
    const waits = events.filter((event) => event.type === 'wait');
    assert.equal(waits.filter(({ reason }) => reason === 'asked by busy.test').length, 1);
    const [first, second] = times.filter(([host]) => host === 'busy.test');
    assert.equal(first?.[1], 0);
    assert.ok((second?.[1] ?? 0) >= 36_000, String(second));
  });
}

test('Retry-After: whoever wants to be left alone is asked after the other hosts', async () => {
  const clock = fakeClock();
  const asked: string[] = [];
  const transports = scripted(({ url }) => {
    asked.push(url.host);
    if (url.host === 'mirror.test') return { status: 429, headers: { 'retry-after': '60' } };
    return {
      headers: {
        'content-type': 'application/vnd.oci.image.manifest.v1+json',
        'content-length': '5',
        'docker-content-digest': `sha256:${'a'.repeat(64)}`,
      },
    };
  });
  const host = (name: string) => ({
    name,
    base: new URL(`https://${name}/v2`),
    capabilities: ALL_CAPABILITIES,
  });
  const hosts = async () => ({ source: 'test', hosts: [host('mirror.test'), host('up.test')] });
  const began = clock.now();
  await withClient({ clock, transports, hosts }, async (client) => {
    for (let n = 0; n < 3; n++) await client.resolve(parseReference('up.test/a:x'));
  });
  assert.deepEqual(asked, ['mirror.test', 'up.test', 'up.test', 'up.test']);
  assert.ok(clock.now() - began < 1000, 'nobody had to wait');
});

test('a cool-down holds for token servers too, and an absurd one is not waited for', async () => {
  const clock = fakeClock();
  const cooldowns = new Cooldowns({ clock, longest: 60_000, onWait: () => {} });
  const answer = (after: string) =>
    cooldowns.layer(async ({ url }) => ({
      status: 503,
      statusText: '',
      url,
      headers: new Headers({ 'retry-after': after }),
      body: new ReadableStream(),
    }));
  const url = new URL('https://auth.test/token');
  await answer('30')({ method: 'POST', url, headers: {} });
  assert.equal(cooldowns.left(url), 30_000);
  assert.equal(cooldowns.left(new URL('https://auth.test:444/')), 0);
  const other = new URL('https://greedy.test/');
  await answer('86400')({ method: 'GET', url: other, headers: {} });
  assert.equal(cooldowns.left(other), 0);
});

/** A body whose every chunk takes `ms` to come. */
function trickling(clock: { advance(ms: number): void }, chunks: number, size: number, ms: number) {
  let left = chunks;
  return new ReadableStream<Uint8Array>(
    {
      pull(out) {
        clock.advance(ms);
        if (left-- > 0) out.enqueue(new Uint8Array(size));
        else out.close();
      },
    },
    { highWaterMark: 0 },
  );
}

test('a body that dribbles is ended once a whole window was too slow (H12)', async () => {
  const clock = fakeClock();
  const request = { method: 'GET' as const, url: new URL('https://r.test/x?sig=s3cret'), headers: {} };
  const read = async (size: number): Promise<number> => {
    const layer = flow({ minSpeed: 100, window: 30_000 }, clock);
    const send = layer(async ({ url }) => ({
      status: 200,
      statusText: '',
      url,
      headers: new Headers(),
      body: trickling(clock, 100, size, 1000),
    }));
    let bytes = 0;
    for await (const chunk of (await send(request)).body) bytes += chunk.length;
    return bytes;
  };
  assert.equal(await read(100), 10_000);
  const err = await read(99).catch((reason: unknown) => reason);
  assert.equal(codeOf(err), 'TOO_SLOW');
  assert.equal(kindOf(err), 'DeadlineExceeded');
  assert.match(String(err), /99 bytes a second/);
  assert.doesNotMatch(String(err), /s3cret/);
});

test('limit-rate bounds all streams together', async () => {
  const clock = fakeClock();
  const began = clock.now();
  const layer = flow({ minSpeed: 0, window: 1, limit: new RateLimit(clock, 1000) }, clock);
  const drain = async (): Promise<void> => {
    const send = layer(async ({ url }) => ({
      status: 200,
      statusText: '',
      url,
      headers: new Headers(),
      body: trickling(clock, 10, 500, 0),
    }));
    const { body } = await send({ method: 'GET', url: new URL('https://r.test/'), headers: {} });
    for await (const _ of body);
  };
  for (let n = 0; n < 3; n++) await drain();
  assert.equal(Math.round((clock.now() - began) / 1000), 15);
});

test('limit-rate: an abort ends the wait', async () => {
  const stop = new AbortController();
  const clock = {
    ...fakeClock(),
    sleep: async (_: number, signal?: AbortSignal) =>
      await new Promise<void>((_resolve, reject) =>
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true }),
      ),
  };
  const waiting = new RateLimit(clock, 1).take(1000, stop.signal);
  stop.abort(new DOMException('stop', 'AbortError'));
  assert.equal(await waiting.catch(kindOf), 'Canceled');
});
