/** How long a registry that cannot be reached is asked to take a blob. No time passes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HawserError } from '../../../src/core/errors.ts';
import { uploadBlob } from '../../../src/core/push/upload-blob.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { descriptor, fakeClock, scripted, withClient } from '../../registry/client.ts';
import { rejectsWith } from '../../support/bench.ts';

const desc = descriptor('application/octet-stream', `sha256:${'a'.repeat(64)}`, 0);
const content = { open: () => Promise.reject(new Error('there is nothing to read')) };

/** Uploads to a registry that cannot be reached from the `from`th request on, for `times`; how many requests came. */
async function upload(from: number, times: number, contact = { isMade: false }): Promise<number> {
  const hosts = scripted(({ method }) => {
    const nth = hosts.requests.length;
    if (nth >= from && nth < from + times)
      throw new HawserError('Unavailable', 'refused', { reason: { type: 'exchange', code: 'ECONNREFUSED' } });
    if (method === 'POST') return { status: 202, headers: { location: '/v2/a/b/blobs/uploads/1' } };
    return { status: method === 'PUT' ? 201 : 404 };
  });
  await withClient({ transports: hosts }, async (client) => {
    const writer = await client.writer(parseReference('reg.test/a/b:x'), {});
    const deps = { writer, content, clock: fakeClock(), report: () => {}, retry: {}, chunkSize: undefined };
    await uploadBlob({ ...deps, contact }, desc, undefined, {});
  });
  return hosts.requests.length;
}

test('a registry that was never reached is tried three times, and one that has answered for as long as patience lasts', async () => {
  await rejectsWith('Unavailable', /given up after 3 tries/, upload(1, 100));
  // HEAD was answered; or another blob of the push was.
  assert.ok((await upload(2, 8)) > 10);
  assert.ok((await upload(1, 8, { isMade: true })) > 10);
  await rejectsWith('Unavailable', /given up after \d\d tries/, upload(2, 1000));
});
