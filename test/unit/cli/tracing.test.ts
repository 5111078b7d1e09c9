/** `--trace` and `--report` around a transfer that is not there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from '../../../src/cli/run.ts';
import type { Services } from '../../../src/cli/session/services.ts';
import { HawserError } from '../../../src/core/errors.ts';
import { parseDigest } from '../../../src/core/oci/digest.ts';
import type { FetchOptions } from '../../../src/core/verbs/options.ts';
import { fakeRuntime } from './fake-runtime.ts';

const digest = parseDigest(`sha256:${'a'.repeat(64)}`);
const target = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 10 };

async function go(line: string, failure?: unknown) {
  const fake = fakeRuntime();
  let worked = false;
  const transfer = async ({ reference, report }: FetchOptions) => {
    worked = true;
    report?.({ type: 'resolving', name: reference.name });
    if (failure !== undefined) throw failure;
    report?.({ type: 'resolved', name: reference.name, root: target });
    return { name: reference.name, target, unpacked: [] };
  };
  const closing = { lostIndexes: [], [Symbol.asyncDispose]: async () => {} };
  const services = {
    backends: { local: async () => ({ ...closing, lostIndexes: [] }) },
    openRegistry: () => closing,
    pull: (_: unknown, options: FetchOptions) => transfer(options),
    fetchImage: (_: unknown, options: FetchOptions) => transfer(options),
  } as unknown as Services;
  const code = await run(fake.runtime, line.split(' '), services);
  return { code, err: fake.err(), written: fake.written, worked };
}

test('tracing: pull and content fetch write the trace and the report that are asked for', async () => {
  for (const verb of ['pull', 'content fetch']) {
    const { code, written } = await go(`${verb} localhost:5000/a:b --trace t.json --report /tmp/r.html`);
    assert.equal(code, 0);
    assert.deepEqual([...written.keys()].sort(), ['/home/me/t.json', '/tmp/r.html']);
    const { otherData } = JSON.parse(written.get('/home/me/t.json') ?? '');
    assert.deepEqual([otherData.image, otherData.target], ['localhost:5000/a:b', digest]);
    assert.match(written.get('/tmp/r.html') ?? '', /^<!doctype html>/);
  }
  assert.equal((await go('pull localhost:5000/a:b')).written.size, 0);
});

test('tracing: a failure is in the trace, without secrets, and is still the failure', async () => {
  const failure = new HawserError('Unavailable', 'GET https://u:pw@h/?sig=x failed');
  const { code, err, written } = await go('pull localhost:5000/a:b --trace /t', failure);
  assert.equal(code, 1);
  assert.match(err, /^hawser: GET https:\/\/\*\*\*@h/);
  const { otherData } = JSON.parse(written.get('/t') ?? '');
  assert.equal(otherData.failure, 'GET https://***@h/?*** failed');
});

test('tracing: a file that cannot be written is told before any work', async () => {
  const { code, err, worked, written } = await go(
    'pull localhost:5000/a:b --trace /t --report /closed/r.html',
  );
  assert.equal(code, 1);
  assert.match(err, /^hawser: Cannot write the report to "\/closed\/r\.html": open/);
  assert.equal(worked, false);
  assert.deepEqual([...written], [['/t', '']]);
});
