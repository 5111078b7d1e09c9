/** What is made of answers that refuse (spec/remote.md 3.4), and what registries say beside an answer (3.5). */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { streamOf } from '../../../src/core/async/byte-stream.ts';
import { hintOf } from '../../../src/core/errors.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { codeOf } from '../../../src/core/registry/failures.ts';
import { type RegistryEvent, reporting } from '../../../src/core/registry/observe.ts';
import { statusError } from '../../../src/core/registry/status.ts';
import { parseWarnings } from '../../../src/core/registry/warnings.ts';
import { descriptor, scripted, withClient } from '../../registry/client.ts';

const URL_400 = 'GET request to https://r.test/v2/a/manifests/x: 400 Bad Request';

async function refusal(body: string, headers: Record<string, string> = {}, scheme = 'https') {
  const response = {
    status: 400,
    statusText: '',
    url: new URL(`${scheme}://u:p@r.test/v2/a/manifests/x`),
    headers: new Headers(headers),
    body: streamOf(new TextEncoder().encode(body)),
  };
  return await statusError({ method: 'GET' }, response, 0);
}

const MANIFEST_UNKNOWN = { code: 'MANIFEST_UNKNOWN', message: 'manifest unknown', detail: { Tag: 'x' } };
const DENIED = { code: 'DENIED', message: 'requested access to the resource is denied' };
const SAID: readonly (readonly [errors: unknown, text: string])[] = [
  // containerd makes "unknown" of every code that it does not know: "unknown: manifest unknown".
  [[MANIFEST_UNKNOWN], ': manifest unknown'],
  [[{ code: 'NAME_UNKNOWN', message: 'no such repository' }], ': name unknown: no such repository'],
  [[{ code: 'BLOB_UNKNOWN' }], ': blob unknown'],
  // The code alone: no message, or the stock message and no detail. Details are not told.
  [[{ code: 'DENIED' }], ': denied'],
  [[{ code: 'DENIED', message: '', detail: null }], ': denied'],
  [[{ ...DENIED, detail: null }], ': denied'],
  [[{ ...DENIED, detail: [{ Action: 'pull' }] }], ': denied: requested access to the resource is denied'],
  [[{ code: 'UNAUTHORIZED', message: 'authentication required' }], ': unauthorized'],
  [[{ code: 'UNKNOWN', message: 'unknown error' }], ': unknown'],
  [[{ code: 'UNSUPPORTED', message: 'The operation is unsupported.' }], ': unsupported'],
  [[{ code: 'UNAVAILABLE', message: 'service unavailable' }], ': unavailable'],
  [[{ code: 'TOOMANYREQUESTS', message: 'too many requests' }], ': toomanyrequests'],
  [[{ code: 'TOOMANYREQUESTS', message: 'slow down' }], ': toomanyrequests: slow down'],
  [[{ code: 'constructor', message: 'x' }], ': constructor: x'],
  // containerd has "errors:" and a line for each; our messages are one line wherever they are printed.
  [[{ ...DENIED, detail: null }, MANIFEST_UNKNOWN], ': denied; manifest unknown'],
  [
    [{ code: 'NAME_INVALID', message: 'bad\u001b[2J name' }, MANIFEST_UNKNOWN, 7, null, { code: 8 }],
    ': name invalid: bad [2J name; manifest unknown',
  ],
  [Array(20).fill({ code: 'DENIED' }), `: ${Array(10).fill('denied').join('; ')}`],
  [[], ''],
  [['no\nway'], ': no way'],
  [[{ status: 403, message: 'Forbidden by Xray' }, { status: 403 }], ': Forbidden by Xray'],
  ['x', ''],
];
for (const [errors, text] of SAID) {
  test(`refusal: ${JSON.stringify(errors).slice(0, 100)}`, async () => {
    const err = await refusal(JSON.stringify({ errors }));
    assert.equal(err.message, `unexpected status from ${URL_400}${text}`);
    const first = Array.isArray(errors) ? errors[0]?.code : undefined;
    assert.equal(codeOf(err), first);
  });
}

const OTHER_FORMS: readonly (readonly [body: unknown, text: string, code?: string])[] = [
  [
    { error: 'invalid_grant', error_description: 'Session not active' },
    'invalid grant: Session not active',
    'invalid_grant',
  ],
  [{ error: 'invalid_client' }, 'invalid client', 'invalid_client'],
  [{ error: 'no such user' }, 'no such user'],
  [{ details: 'incorrect username or password' }, 'incorrect username or password'],
  [{ message: 'Bad credentials', documentation_url: 'https://x.test' }, 'Bad credentials'],
  [
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Request has expired</Message><StringToSign>s</StringToSign></Error>',
    'AccessDenied: Request has expired',
    'AccessDenied',
  ],
  ['<Error><Code>NoSuchKey</Code></Error>', 'NoSuchKey', 'NoSuchKey'],
  [
    { message: `see https://me:pw@x.test/a?sig=secret and Bearer abcdef0123456789xyz${'.'.repeat(600)}` },
    `see https://x.test/a?REDACTED and Bearer REDACTED`,
  ],
  [{ message: 'Basic authentication is off' }, 'Basic authentication is off'],
  [{ message: ` ${'x'.repeat(600)}` }, `${'x'.repeat(500)}...`],
  [{ message: 7, error: {}, detail: ' ' }, ''],
  ['<html><Error>no</Error></html>', ''],
];
for (const [body, text, code] of OTHER_FORMS) {
  const sent = typeof body === 'string' ? body : JSON.stringify(body);
  test(`refusal: words that are not in an error document: ${sent.slice(0, 80)}`, async () => {
    const err = await refusal(sent);
    assert.equal(err.message, `unexpected status from ${URL_400}${text === '' ? '' : `: ${text}`}`);
    assert.equal(codeOf(err), code);
  });
}

test('refusal: a TLS port that says so in a page, or in plain text', async () => {
  for (const [body, type] of [
    ['<center>The plain HTTP request was sent to HTTPS port</center>', 'text/html'],
    ['Client sent an HTTP request to an HTTPS server.', 'text/plain'],
  ] as const) {
    const err = await refusal(body, { 'content-type': type }, 'http');
    assert.match(hintOf(err) ?? '', /speaks TLS: leave out --plain-http/);
    assert.equal(err.message.includes('center'), false);
    assert.equal(hintOf(await refusal(body, { 'content-type': type })), undefined, 'asked by TLS');
  }
});

test('refusal: a body that is no error document is told only when it is plain text', async () => {
  assert.equal(
    (await refusal('<html>', { 'content-type': 'text/html' })).message,
    `unexpected status from ${URL_400}`,
  );
  const plain = await refusal('go\naway', { 'content-type': 'text/plain; charset=utf-8' });
  assert.equal(plain.message, `unexpected status from ${URL_400}: go away`);
  for (const body of ['null', '7', '{"errors":{"code":"DENIED"}}']) {
    assert.equal((await refusal(body)).message, `unexpected status from ${URL_400}`);
  }
});

const WARNINGS: readonly (readonly [field: string, texts: readonly string[]])[] = [
  ['299 - "plain"', ['plain']],
  ['299 - "quoted \\"text\\" inside"', ['quoted "text" inside']],
  ['299 - "back\\\\slash"', ['back\\slash']],
  ['299 - "hello%20world"', ['hello world']],
  ['299 - "100%25 complete"', ['100% complete']],
  ['299 - "100%ZZ invalid"', ['100%ZZ invalid']],
  ['299 - "50%25 of 100%ZZ"', ['50%25 of 100%ZZ']],
  ['299 - "gr%C3%BC%C3%9Fe"', ['grüße']],
  ['299 - "a%22b"', []],
  ['299 - "a%0Ab"', []],
  ['299 - "a%7f"', []],
  ['299 - "a\u001b[31m"', []],
  ['299 - "a\u009b31m\u202eb"', ['a 31m b']],
  ['299 - ""', []],
  ['299 - "  "', []],
  ['299 - "text" more', []],
  ['299 - "text" "Wed, 21 Oct 2015 07:28:00 GMT"', []],
  ['199 - "text"', []],
  ['299 agent "text"', []],
  ['299 - text', []],
  ['299 - "text', []],
  ['299 - text"', []],
  ['299  - "text"', []],
  ['', []],
  // Several fields are one list here; containerd reads each on its own.
  ['299 - "one, two", 110 cache "stale", 299 - "three"', ['one, two', 'three']],
  ['299 - "one", 299 - two", 299 - "three"', ['one']],
];
for (const [field, texts] of WARNINGS) {
  test(`Warning: ${JSON.stringify(field)}`, () => assert.deepEqual(parseWarnings(field), texts));
}

test('Warning: long fields are read in bounded time', () => {
  for (const piece of ['299 - "', '299 - "a\\', '299 - "a" ', '299 - "a",', '"', '\\"', ' ']) {
    parseWarnings(piece.repeat(65_536 / piece.length));
  }
});

test('Warning: each is told once, up to 4096 bytes in all, and none of where the registry leads to', async () => {
  const long = 'x'.repeat(3000);
  const transports = scripted(({ url }) => {
    if (url.host === 'cdn.test') return { status: 404, headers: { warning: '299 - "storage"' } };
    if (url.pathname.includes('/blobs/')) {
      return { status: 307, headers: { location: 'https://cdn.test/x', warning: '299 - "moved"' } };
    }
    return {
      status: 404,
      headers: { warning: `299 - "old", 299 - "${long}", 299 - "${long}y", 299 - "new"` },
    };
  });
  const events: RegistryEvent[] = [];
  const observe = (event: RegistryEvent) => void events.push(event);
  await withClient({ transports, observe }, async (client) => {
    const reference = parseReference('r.test/a:x');
    for (let twice = 0; twice < 2; twice++) {
      await assert.rejects(client.resolve(reference), /not found/);
      await assert.rejects(client.fetcher(reference).fetch(descriptor('x/y', `sha256:${'0'.repeat(64)}`, 1)));
    }
  });
  assert.deepEqual(
    events.flatMap((event) => (event.type === 'warning' ? [event.message] : [])),
    ['r.test says: old', `r.test says: ${long}`, 'r.test says: new', 'r.test says: moved'],
  );
  const reported: unknown[] = [];
  for (const event of events) reporting((told) => reported.push(told))(event);
  assert.deepEqual(reported[0], { type: 'warning', message: 'r.test says: old' });
  assert.equal(reported.length, 4);
});
