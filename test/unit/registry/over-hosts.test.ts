/** The order in which hosts are asked, what is remembered of them, and which error is told in the end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findError, HawserError, kindOf, reasonOf } from '../../../src/core/errors.ts';
import { OCI_MANIFEST } from '../../../src/core/oci/media-types.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { HostHealth } from '../../../src/core/registry/host-health.ts';
import { ALL_CAPABILITIES, type Capability, type Host } from '../../../src/core/registry/hosts.ts';
import type { RegistryEvent } from '../../../src/core/registry/observe.ts';
import { overHosts } from '../../../src/core/registry/over-hosts.ts';
import { rememberedHosts } from '../../../src/core/registry/remembered-hosts.ts';
import { fakeClock, scripted, withClient } from '../../registry/client.ts';

const host = (name: string, capabilities: readonly Capability[] = ALL_CAPABILITIES): Host => ({
  name,
  base: new URL(`https://${name}/v2`),
  capabilities,
});
const TAG = parseReference('reg.test/a:1');
const BY_DIGEST = parseReference(`reg.test/a@sha256:${'a'.repeat(64)}`);
const refused = new HawserError('Unavailable', 'refused', {
  reason: { type: 'exchange', code: 'ECONNREFUSED' },
});
const absent = new HawserError('NotFound', 'not found', {
  reason: { type: 'status', status: 404, code: 'MANIFEST_UNKNOWN' },
});

function ground(hosts: readonly Host[], fails: Readonly<Record<string, Error>> = {}) {
  const asked: string[] = [];
  const events: RegistryEvent[] = [];
  const deps = {
    clock: fakeClock(),
    health: new HostHealth(fakeClock()),
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
  const busy = new HawserError('Unavailable', 'busy', { reason: { type: 'status', status: 503 } });
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

test('the error is the one that says most, with what the others said', async () => {
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
});

const status = (code: number): HawserError =>
  new HawserError(code < 500 ? 'PermissionDenied' : 'Unavailable', `status ${code}`, {
    reason: { type: 'status', status: code },
  });
const broken = new HawserError('Unavailable', 'no TLS', { reason: { type: 'exchange', code: 'TLS' } });
const tooLarge = new HawserError('ResourceExhausted', 'too large');
const damage = new HawserError('DataLoss', 'damage');
/** What each host says, in order, the registry last, and the place of the one that is told (spec/remote.md 3.1). */
const RANKED: readonly (readonly [title: string, said: readonly Error[], told: number])[] = [
  ['too large (4) before a status (3)', [tooLarge, status(500)], 0],
  ['damage as what is too large', [damage, status(500)], 0],
  ['too large before absence (2)', [tooLarge, absent], 0],
  ['a status before absence', [status(403), absent], 0],
  ['a status before no answer (1)', [status(500), refused], 0],
  ['absence before no answer', [refused, absent], 1],
  ['of absences, the registry’s', [absent, absent], 1],
  // containerd: absence. A mirror's 404 does not hide that the registry itself was not reached, nor anything else.
  ['no answer of the registry before a mirror’s absence', [absent, refused], 1],
  ['no answer of a mirror before another’s absence', [refused, absent, refused], 2],
  // containerd: the first of equals.
  ['of equals, the registry’s', [status(401), status(403)], 1],
  ['of equals, one that may pass', [status(503), status(403)], 0],
  ['of equals that may pass, the registry’s', [status(503), status(502)], 1],
  ['of equals that may pass, the registry’s: connections', [broken, refused, refused], 2],
  ['else the first', [status(503), status(502), absent], 0],
];
for (const [title, said, told] of RANKED) {
  test(`which error is told: ${title}`, async () => {
    const hosts = said.map((_, at) => host(at === said.length - 1 ? 'reg.test' : `m${at + 1}`));
    const fails = Object.fromEntries(hosts.map(({ name }, at) => [name, said[at] ?? assert.fail()]));
    const err = await ground(hosts, fails)
      .run('resolve')
      .then(
        () => assert.fail(),
        (reason: Error) => reason,
      );
    const others = hosts.flatMap(({ base }, at) => (at === told ? [] : [`${base}: ${said[at]?.message}`]));
    assert.equal(err.message, `${said[told]?.message} (also tried: ${others.join('; ')})`);
    assert.equal(kindOf(err), kindOf(said[told]));
    const lacks = said.at(-1) === absent && told !== said.length - 1;
    // Without a reason nothing is retried, so nothing is marked.
    if (findError(err)?.reason === undefined) return;
    const marked = reasonOf(err, 'status')?.absent ?? reasonOf(err, 'exchange')?.absent;
    assert.equal(marked, lacks ? true : undefined, 'the registry itself lacks it');
  });
}

test('the caller’s abort is not an answer', async () => {
  const stop = new AbortController();
  const { asked } = ground([]);
  const deps = {
    clock: fakeClock(),
    health: new HostHealth(fakeClock()),
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

test('whatever a host says, the next is asked', async () => {
  // containerd ends at a redirect without Location, and asks whoever is next for all else.
  const redirect = new HawserError('FailedPrecondition', 'status 302', {
    reason: { type: 'status', status: 302 },
  });
  for (const said of [redirect, status(401), status(403), status(500), broken, tooLarge, damage]) {
    const { run, asked } = ground([host('m1'), host('reg.test')], { m1: said });
    assert.equal(await run('resolve'), 'reg.test', said.message);
    assert.deepEqual(asked, ['m1', 'reg.test']);
  }
});

test('a mirror that fails, and a registry that never had it: twice more, then what the mirror said', async () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const found = { 'docker-content-digest': digest, 'content-length': '5', 'content-type': OCI_MANIFEST };
  const hosts = async () => ({ source: 'test', hosts: [host('m1'), host('reg.test')] });
  for (const [failures, asked] of [
    [1, ['m1', 'reg.test', 'm1']],
    [9, ['m1', 'reg.test', 'm1', 'reg.test', 'm1', 'reg.test']],
  ] as const) {
    let left: number = failures;
    // Each try is a HEAD, and a GET where HEAD is refused.
    const fails = (method: string): boolean => (method === 'HEAD' ? left > 0 : left-- > 0);
    const transports = scripted(({ url, method }) =>
      url.host === 'reg.test' ? { status: 404 } : fails(method) ? { status: 503 } : { headers: found },
    );
    const work = withClient({ transports, hosts, retry: {} }, (client) => client.resolve(TAG));
    if (failures === 1) assert.equal((await work).root.digest, digest);
    else
      await assert.rejects(
        work,
        /503 .*\(also tried: https:\/\/reg\.test\/v2: .*not found\) \(given up after 3 tries/,
      );
    assert.deepEqual(
      transports.requests.filter(({ method }) => method === 'HEAD').map(({ url }) => url.host),
      asked,
    );
  }
});

test('over hosts: a demotion, and a list of hosts, last as long as the client remembers', async () => {
  const clock = fakeClock();
  const health = new HostHealth(clock, 60_000);
  health.demote(host('m1'), 'damage');
  clock.advance(59_999);
  health.demote(host('m1'), 'damage again');
  assert.equal(health.demotedFor(host('m1')), 'damage');
  clock.advance(1);
  assert.equal(health.demotedFor(host('m1')), undefined);
  assert.deepEqual(health.order([host('m1'), host('m2')]), [host('m1'), host('m2')]);
  let looks = 0;
  const hosts = async () => ({ source: 'test', hosts: looks++ === 0 ? [host('m1')] : [host('m2')] });
  const known = rememberedHosts({ hosts, memory: 60_000 }, clock, () => {});
  const first = async () => (await known(parseReference('r.test/a:1'), {})).hosts[0]?.base.href;
  assert.equal(await first(), host('m1').base.href);
  clock.advance(59_999);
  assert.equal(await first(), host('m1').base.href);
  clock.advance(1);
  assert.equal(await first(), host('m2').base.href);
});
