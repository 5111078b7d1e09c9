/** What is made of answers that refuse (spec/remote.md 3.4), and what registries say beside an answer (3.5). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findError } from '../../../src/core/errors.ts';
import { bodyOf } from '../../../src/core/registry/body.ts';
import { statusError } from '../../../src/core/registry/status.ts';

const URL_400 = 'GET request to https://r.test/v2/a/manifests/x: 400 Bad Request';

async function refusal(body: string, headers: Record<string, string> = {}) {
  const response = {
    status: 400,
    statusText: '',
    url: new URL('https://u:p@r.test/v2/a/manifests/x'),
    headers: new Headers(headers),
    body: bodyOf(new TextEncoder().encode(body)),
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
  [['x'], ''],
  ['x', ''],
];
for (const [errors, text] of SAID) {
  test(`refusal: ${JSON.stringify(errors).slice(0, 100)}`, async () => {
    const err = await refusal(JSON.stringify({ errors }));
    assert.equal(err.message, `unexpected status from ${URL_400}${text}`);
    const first = Array.isArray(errors) ? errors[0]?.code : undefined;
    assert.equal(findError(err)?.data?.code, first);
  });
}

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
