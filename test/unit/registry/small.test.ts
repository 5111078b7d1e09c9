/** Schemes, retries, redaction, ranges, single flight. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SingleFlight } from '../../../src/core/async/single-flight.ts';
import { type ExchangeCode, HawserError } from '../../../src/core/errors.ts';
import type { TlsOptions } from '../../../src/core/ports/transport.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { discard, readCapped, readSome } from '../../../src/core/registry/body.ts';
import { parseContentRange } from '../../../src/core/registry/content-range.ts';
import { isRetryable } from '../../../src/core/registry/failures.ts';
import { defaultHosts, objectUrl } from '../../../src/core/registry/hosts.ts';
import { safeHeaders, safeText, safeUrl } from '../../../src/core/registry/redact.ts';
import { backoff } from '../../../src/core/registry/retry.ts';

/**
 * spec/remote.md 2.3. Where containerd asks by TLS first and falls back to HTTP, ours takes one and stays with it: HTTP for a port of
 * this machine, unless TLS is asked for. A fallback is a downgrade that whoever is in between can force (H9), and https without
 * verification, which containerd uses for `localhost` and `localhost:443`, is only had by --skip-verify.
 */
const SCHEMES: readonly (readonly [string, { plainHttp?: boolean; tls?: TlsOptions }, string])[] = [
  ['docker.io', {}, 'https://registry-1.docker.io/v2'],
  ['docker.io', { plainHttp: true }, 'https://registry-1.docker.io/v2'],
  ['localhost:8080', {}, 'http://localhost:8080/v2'],
  ['localhost:80', {}, 'http://localhost/v2'],
  ['localhost:443', {}, 'https://localhost/v2'],
  ['localhost', {}, 'https://localhost/v2'],
  ['localhost', { plainHttp: true }, 'http://localhost/v2'],
  ['localhost', { tls: { skipVerify: true } }, 'https://localhost/v2'],
  ['localhost:8080', { tls: { skipVerify: true } }, 'https://localhost:8080/v2'],
  ['localhost:8080', { tls: { skipVerify: false, ca: undefined } }, 'http://localhost:8080/v2'],
  ['localhost:8080', { plainHttp: true, tls: { ca: 'x' } }, 'http://localhost:8080/v2'],
  ['example.com', {}, 'https://example.com/v2'],
  ['example.com', { plainHttp: true }, 'http://example.com/v2'],
  ['example.com:5000', {}, 'https://example.com:5000/v2'],
  ['127.0.0.254:5000', {}, 'http://127.0.0.254:5000/v2'],
  ['127.0.0.254', {}, 'https://127.0.0.254/v2'],
  ['[::1]:5000', {}, 'http://[::1]:5000/v2'],
  // containerd asks these by TLS first, and falls back.
  ['localhost', { plainHttp: true, tls: { skipVerify: true } }, 'http://localhost/v2'],
  ['example.com', { plainHttp: true, tls: { skipVerify: true } }, 'http://example.com/v2'],
  ['example.com:5000', { plainHttp: true, tls: { skipVerify: true } }, 'http://example.com:5000/v2'],
  ['127.0.1.1:5000', {}, 'http://127.0.1.1:5000/v2'],
  ['127.0.0.1:80', {}, 'http://127.0.0.1/v2'],
  ['127.0.0.1:443', {}, 'https://127.0.0.1/v2'],
  ['[0:0:0:0:0:0:0:1]:5000', {}, 'http://[::1]:5000/v2'],
  ['128.0.0.1:5000', {}, 'https://128.0.0.1:5000/v2'],
  ['[::2]:5000', {}, 'https://[::2]:5000/v2'],
  ['[::1]', {}, 'https://[::1]/v2'],
  ['127.example.com:5000', {}, 'https://127.example.com:5000/v2'],
  ['x.localhost:5000', {}, 'https://x.localhost:5000/v2'],
];
for (const [host, options, expected] of SCHEMES) {
  test(`scheme: ${host} ${JSON.stringify(options)}`, async () => {
    const { hosts } = await defaultHosts(options)(parseReference(`${host}/a/b:c`), {});
    assert.equal(hosts[0]?.base.href, expected);
    assert.equal(hosts[0]?.tls, undefined, 'certificates are checked unless --skip-verify says otherwise');
  });
}

const SHOWN: readonly (readonly [text: string, shown: string])[] = [
  ['see https://me:pw@x.test/a?sig=secret, then', 'see https://x.test/a?REDACTED then'],
  ['https://me:p@w@x.test:5000/a', 'https://x.test:5000/a'],
  ['https://me@x.test, https://[::1]:5000/v2/a@sha256:1', 'https://x.test, https://[::1]:5000/v2/a@sha256:1'],
  ['(https://x.test:5000) and https://x.test:443.', '(https://x.test:5000) and https://x.test:443.'],
  ['https://x.test/#access_token=secret', 'https://x.test/#REDACTED'],
  ['https://a.test/http://me:pw@x.test/', 'https://a.test/http://x.test/'],
  ['x://a://me:pw@x.test', 'x://a://x.test'],
  // Where a text ends nobody knows whether an @ would have followed.
  ['https://me:secr', 'https://REDACTED'],
  [`https://me:pa/ss@x.test`, 'https://REDACTED/ss@x.test'],
  ['a user:pw@x.test', 'a user:pw@x.test'],
  ['Basic abcdefghij0123456789==', 'Basic REDACTED'],
];
test('words from outside are shown without what may be a secret', () => {
  for (const [text, shown] of SHOWN) assert.equal(safeText(text, 500), shown);
});

test('words from outside take time in proportion to their length, whatever they are', () => {
  const parts = [
    'a://',
    'a://@',
    'a://u:p',
    'https://h/',
    'a',
    'a:',
    ' ',
    '@',
    '?',
    '//',
    'Bearer ',
    'Basic',
    ' Basic a',
  ];
  // Where the time is of the square of the length, each takes minutes, and the runner's limit ends the test.
  for (const part of parts)
    assert.ok(safeText(part.repeat((1 << 20) / part.length), 500).length <= 510, part);
});

test('URLs of objects, with ns for mirrors', () => {
  const base = new URL('http://m:5001/v2/cache');
  const url = objectUrl({ base, namespace: '127.0.0.1:15000' }, 'library/alpine', 'manifests', 'x');
  assert.equal(url.href, 'http://m:5001/v2/cache/library/alpine/manifests/x?ns=127.0.0.1%3A15000');
});

const failed = (
  why: { status: number } | { code: ExchangeCode },
  kind: 'Unavailable' | 'DeadlineExceeded' = 'Unavailable',
) =>
  new HawserError(kind, 'x', {
    reason: 'status' in why ? { type: 'status', ...why } : { type: 'exchange', ...why },
  });

test('retry: overload and lost connections, nothing else', () => {
  for (const status of [408, 429, 500, 502, 503, 504, 522])
    assert.equal(isRetryable(failed({ status })), true);
  for (const code of ['ECONNRESET', 'UNEXPECTED_END'] as const)
    assert.equal(isRetryable(failed({ code })), true);
  for (const code of ['HEADERS_TIMEOUT', 'STALLED', 'CONNECT_TIMEOUT'] as const) {
    assert.equal(isRetryable(failed({ code }, 'DeadlineExceeded')), true);
  }
  for (const status of [400, 401, 403, 404, 501]) assert.equal(isRetryable(failed({ status })), false);
  for (const code of ['TLS', 'CONTENT_ENCODING', 'HTTP_PROTOCOL'] as const)
    assert.equal(isRetryable(failed({ code })), false);
  assert.equal(
    isRetryable(new HawserError('DataLoss', 'digest', { reason: { type: 'status', status: 500 } })),
    false,
  );
  assert.equal(isRetryable(new DOMException('x', 'AbortError')), false);
  assert.equal(isRetryable(new DOMException('x', 'TimeoutError')), false);
  assert.equal(isRetryable(new Error('wrapped', { cause: failed({ status: 503 }) })), true);
});

test('backoff doubles and is bounded', () => {
  assert.deepEqual(
    [0, 1, 2].map((n) => backoff(n, 1)),
    [250, 500, 1000],
  );
  assert.equal(backoff(1, 0), 250);
  assert.equal(backoff(1000, 1), 30_000);
});

test('URLs are shown without secrets (H13)', () => {
  const url = new URL('https://u:p@h.example/a?X-Amz-Signature=s3cret&ns=docker.io&token=t#f');
  assert.equal(safeUrl(url), 'https://h.example/a?X-Amz-Signature=REDACTED&ns=docker.io&token=REDACTED');
  for (const other of ['file:///etc/passwd', 'unix://host/run/a.sock', 'data:text/plain,x'])
    assert.equal(safeUrl(new URL(other)), other);
});

test('headers are shown without secrets (H13)', () => {
  const shown = safeHeaders([
    ['Authorization', 'Bearer s3cret'],
    ['Set-Cookie', 's3cret'],
    ['X-Amz-Security-Token', 's3cret'],
    ['Location', 'https://u:s3cret@h/x?sig=s3cret'],
    ['WWW-Authenticate', 'Bearer realm="r"'],
    ['Accept', 'a/b\u001b[31m'],
  ]);
  assert.ok(!JSON.stringify(shown).includes('s3cret'));
  assert.deepEqual(shown[3], ['location', 'https://h/x?REDACTED']);
  assert.deepEqual(shown[4], ['www-authenticate', 'Bearer realm="r"']);
  assert.deepEqual(shown[5], ['accept', 'a/b [31m']);
});

test('Content-Range', () => {
  assert.deepEqual(parseContentRange('bytes 1-2/3'), { start: 1, end: 2, total: 3 });
  assert.deepEqual(parseContentRange('bytes 1-2/*'), { start: 1, end: 2, total: undefined });
  for (const bad of [
    undefined,
    '',
    'bytes */3',
    'bytes 2-1/3',
    'bytes 1-3/3',
    'items 1-2/3',
    'bytes 1-2',
    'bytes -1-2/3',
  ]) {
    assert.equal(parseContentRange(bad), undefined, String(bad));
  }
});

test('a body in tiny chunks takes little more than its length', async () => {
  const size = 1 << 20;
  let sent = 0;
  const body = new ReadableStream<Uint8Array>(
    { pull: (out) => (sent++ < size ? out.enqueue(Uint8Array.of(sent & 0xff)) : out.close()) },
    { highWaterMark: 0 },
  );
  const bytes = await readCapped(body, size);
  assert.deepEqual([bytes?.length, bytes?.[size - 1]], [size, size & 0xff]);
  assert.ok((bytes?.buffer.byteLength ?? 0) <= 2 * size);
});

test('bodies are read up to a cap (H22)', async () => {
  let given = 0;
  const endless = (): ReadableStream<Uint8Array> =>
    new ReadableStream({
      pull(stream) {
        given += 1000;
        stream.enqueue(new Uint8Array(1000));
      },
    });
  assert.equal(await readCapped(endless(), 10_000), undefined);
  assert.equal((await readSome(endless(), 10_000)).bytes.length, 10_000);
  await discard(endless());
  assert.ok(given < 200_000, `${given} bytes were read`);
});

test('single flight: shared, taken over when the first leaves, stopped when all have left', async () => {
  const flights = new SingleFlight<string>();
  let runs = 0;
  let finish: (value: string) => void = () => {};
  let seen: AbortSignal | undefined;
  const work = (signal: AbortSignal): Promise<string> => {
    runs++;
    seen = signal;
    return new Promise((resolve) => {
      finish = resolve;
    });
  };
  const first = new AbortController();
  const a = flights.run('k', first.signal, work);
  const b = flights.run('k', undefined, work);
  first.abort();
  await assert.rejects(a, { name: 'AbortError' });
  assert.equal(seen?.aborted, false);
  finish('value');
  assert.equal(await b, 'value');
  assert.equal(runs, 1);
  const last = new AbortController();
  const c = flights.run('k', last.signal, work);
  last.abort();
  await assert.rejects(c, { name: 'AbortError' });
  assert.equal(runs, 2);
  assert.equal(seen?.aborted, true);
  const failing = flights.run('k', undefined, async () => assert.fail('no'));
  await assert.rejects(failing);
  assert.equal(await flights.run('k', undefined, async () => 'again'), 'again');
});
