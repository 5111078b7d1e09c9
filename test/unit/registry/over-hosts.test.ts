/** The order in which hosts are asked, what is remembered of them, and which error is told in the end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HawserError, kindOf } from '../../../src/core/errors.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { HostHealth } from '../../../src/core/registry/host-health.ts';
import { ALL_CAPABILITIES, type Capability, type Host } from '../../../src/core/registry/hosts.ts';
import type { RegistryEvent } from '../../../src/core/registry/observe.ts';
import { overHosts } from '../../../src/core/registry/over-hosts.ts';
import { fakeClock } from '../../registry/client.ts';

const host = (name: string, capabilities: readonly Capability[] = ALL_CAPABILITIES): Host => ({
  name,
  base: new URL(`https://${name}/v2`),
  capabilities,
});
const TAG = parseReference('reg.test/a:1');
const BY_DIGEST = parseReference(`reg.test/a@sha256:${'a'.repeat(64)}`);
const refused = new HawserError('Unavailable', 'refused', { data: { code: 'ECONNREFUSED' } });
const absent = new HawserError('NotFound', 'not found', { data: { status: 404, code: 'MANIFEST_UNKNOWN' } });

function ground(hosts: readonly Host[], fails: Readonly<Record<string, Error>> = {}) {
  const asked: string[] = [];
  const events: RegistryEvent[] = [];
  const deps = {
    clock: fakeClock(),
    health: new HostHealth(),
    hosts: async () => ({ source: 'test', hosts }),
    observe: (event: RegistryEvent) => void events.push(event),
  };
  const ask = async (one: Host): Promise<string> => {
    asked.push(one.name);
    const error = fails[one.name];
    if (error !== undefined) throw error;
    return one.name;
  };
  const run = (operation: 'resolve' | 'fetch', reference = TAG, last?: (host: Host) => boolean) =>
    overHosts(deps, reference, { operation, object: 'x', ask, last }, {});
  return { asked, events, health: deps.health, run };
}

test('the first that answers, in order', async () => {
  const { run, asked } = ground([host('m1'), host('m2'), host('reg.test')], { m1: absent });
  assert.equal(await run('resolve'), 'm2');
  assert.deepEqual(asked, ['m1', 'm2']);
});

const CAPABLE: readonly (readonly [readonly Capability[], boolean, boolean, boolean])[] = [
  [['pull', 'resolve'], true, true, true],
  [['pull'], false, true, true],
  [['resolve'], false, false, false],
  [['push'], false, false, false],
  [['referrers'], false, false, false],
  [ALL_CAPABILITIES, true, true, true],
];
for (const [capabilities, byTag, byDigest, fetches] of CAPABLE) {
  test(`capabilities ${capabilities.join()} are respected for every request`, async () => {
    for (const [operation, reference, expected] of [
      ['resolve', TAG, byTag],
      ['resolve', BY_DIGEST, byDigest],
      ['fetch', TAG, fetches],
    ] as const) {
      const { run, asked } = ground([host('m1', capabilities), host('reg.test')]);
      await run(operation, reference);
      assert.deepEqual(asked, [expected ? 'm1' : 'reg.test'], `${operation} ${reference.name}`);
    }
  });
}

test('no host with the capability: an error that names the list', async () => {
  const { run, asked } = ground([host('m1', ['pull'])]);
  await assert.rejects(
    run('resolve'),
    /no host for reg\.test\/a:1: none in test has the capabilities pull and/,
  );
  assert.deepEqual(asked, []);
});

test('one dial failure puts a host behind the others for all that follows', async () => {
  const { run, asked, events, health } = ground([host('m1'), host('reg.test')], { m1: refused });
  await run('resolve');
  for (let blob = 0; blob < 3; blob++) await run('fetch');
  assert.deepEqual(asked, ['m1', 'reg.test', 'reg.test', 'reg.test', 'reg.test']);
  assert.equal(health.demotedFor(host('m1')), 'ECONNREFUSED');
  const passed = events.filter(({ type }) => type === 'passed');
  assert.equal(passed.length, 3);
});

test('a demoted host is still asked when no other has an answer', async () => {
  const fails: Record<string, Error> = { 'reg.test': absent };
  const { run, asked, health } = ground([host('m1'), host('reg.test')], fails);
  health.demote(host('m1'), 'damage');
  assert.equal(await run('fetch'), 'm1');
  assert.deepEqual(asked, ['reg.test', 'm1']);
});

test('a status is no reason to demote', async () => {
  const busy = new HawserError('Unavailable', 'busy', { data: { status: 503 } });
  const { run, asked } = ground([host('m1'), host('reg.test')], { m1: busy });
  await run('fetch');
  await run('fetch');
  assert.deepEqual(asked, ['m1', 'reg.test', 'm1', 'reg.test']);
});

test('a host may be put last for one object', async () => {
  const { run, asked } = ground([host('m1'), host('reg.test')]);
  await run('fetch', TAG, ({ name }) => name === 'm1');
  await run('fetch');
  assert.deepEqual(asked, ['reg.test', 'm1']);
});

test('the last error is the registry’s, with what the mirrors said', async () => {
  const fails = { m1: refused, 'reg.test': absent };
  const { run, events } = ground([host('m1'), host('reg.test')], fails);
  const err = await run('resolve').then(
    () => assert.fail(),
    (reason: Error) => reason,
  );
  assert.equal(kindOf(err), 'NotFound');
  assert.equal(err.message, 'not found (also tried: https://m1/v2: refused)');
  const attempts = events.filter((event) => event.type === 'attempt');
  assert.deepEqual(
    attempts.map(({ url, reason, status, code }) => [url, reason, status, code]),
    [
      ['https://m1/v2', 'refused', undefined, 'ECONNREFUSED'],
      ['https://reg.test/v2', 'not found', 404, 'MANIFEST_UNKNOWN'],
    ],
  );
  const other = ground([host('m1'), host('reg.test')], { m1: absent, 'reg.test': refused });
  assert.equal(kindOf(await other.run('resolve').catch((reason: unknown) => reason)), 'Unavailable');
});

test('the caller’s abort is not an answer', async () => {
  const stop = new AbortController();
  const { asked } = ground([]);
  const deps = {
    clock: fakeClock(),
    health: new HostHealth(),
    hosts: async () => ({ source: 'test', hosts: [host('m1'), host('reg.test')] }),
    observe: () => {},
  };
  const ask = async (one: Host): Promise<string> => {
    asked.push(one.name);
    stop.abort();
    throw refused;
  };
  const question = { operation: 'fetch', object: 'x', ask } as const;
  await assert.rejects(overHosts(deps, TAG, question, { signal: stop.signal }), { name: 'AbortError' });
  assert.deepEqual(asked, ['m1']);
});
