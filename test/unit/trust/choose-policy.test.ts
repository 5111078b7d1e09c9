/** Which policy holds, and what is said where none does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HawserError, isKind } from '../../../src/core/errors.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import {
  choosePolicy,
  missedPolicy,
  OWN_POLICY,
  type PolicyChoice,
} from '../../../src/core/trust/choose-policy.ts';
import { chosenJudge } from '../../../src/core/trust/chosen-judge.ts';
import { createClock } from '../../../src/platform/process/clock.ts';
import { createSignatureChecks } from '../../../src/platform/trust/checks.ts';

const ANY = '{"default":[{"type":"insecureAcceptAnything"}]}';
const REJECT = '{"default":[{"type":"reject"}]}';
const KEY = '{"default":[{"type":"sigstoreSigned","keyPath":"/k"}]}';

/** `files`: paths to contents, or to the error of reading them. */
function partsOf(
  files: Readonly<Record<string, string | HawserError>>,
  env: Readonly<Record<string, string>> = {},
) {
  const fs = {
    readFile: async (path: string) => {
      const found = files[path] ?? new HawserError('NotFound', `${path}: not found`);
      if (typeof found !== 'string') throw found;
      return new TextEncoder().encode(found);
    },
  };
  return {
    fs,
    guard: async () => {},
    host: { cwd: () => '/here', env: (name: string) => env[name], uid: 0 },
  };
}

const nameOf = async (parts: ReturnType<typeof partsOf>, choice: PolicyChoice = {}) =>
  (await choosePolicy(parts, choice)).policy?.name;

test('the policy that is named holds, else HAWSER_POLICY, else hawser’s own file, else none', async () => {
  const files = { '/here/p.json': ANY, '/env.json': ANY, [OWN_POLICY]: REJECT };
  const env = { HAWSER_POLICY: '/env.json' };
  assert.equal(await nameOf(partsOf(files, env), { policy: 'p.json' }), '/here/p.json');
  assert.equal(await nameOf(partsOf(files, env)), '/env.json');
  assert.equal(await nameOf(partsOf(files)), OWN_POLICY);
  assert.equal(await nameOf(partsOf({})), undefined);
  assert.equal(await nameOf(partsOf(files, env), { policy: 'none' }), undefined);
  assert.equal(await nameOf(partsOf(files, { HAWSER_POLICY: 'none' })), undefined);
});

test('the system’s policy is looked for as podman does', async () => {
  const files = {
    '/c/containers/policy.json': ANY,
    '/etc/containers/policy.json': ANY,
    '/usr/share/containers/policy.json': ANY,
    '/named.json': ANY,
  };
  const choice = { policy: 'system' };
  const env = { HOME: '/home/a', XDG_CONFIG_HOME: '/c' };
  assert.equal(
    await nameOf(partsOf(files, { ...env, CONTAINERS_POLICY_JSON: '/named.json' }), choice),
    '/named.json',
  );
  assert.equal(await nameOf(partsOf(files, env), choice), '/c/containers/policy.json');
  assert.equal(await nameOf(partsOf(files), choice), '/etc/containers/policy.json');
  const { '/etc/containers/policy.json': _, ...left } = files;
  assert.equal(await nameOf(partsOf(left), choice), '/usr/share/containers/policy.json');
  await assert.rejects(choosePolicy(partsOf({}), choice), (err) => isKind(err, 'NotFound'));
});

test('a policy that is there and cannot be used is an error, and never no policy', async () => {
  const denied = new HawserError('PermissionDenied', 'EACCES');
  for (const [files, choice] of [
    [{ [OWN_POLICY]: denied }, {}],
    [{ [OWN_POLICY]: '{' }, {}],
    [{ [OWN_POLICY]: '{"default":[]}' }, {}],
    [{}, { policy: '/absent.json' }],
    [{ '/etc/containers/policy.json': '{' }, { policy: 'system' }],
  ] as const)
    await assert.rejects(choosePolicy(partsOf(files), choice));
});

test('a sandbox that hides the file is told of', async () => {
  const hidden = new HawserError('PermissionDenied', 'x', {
    hint: `Run Deno with --allow-read=${OWN_POLICY}`,
    reason: { type: 'errno', errno: 'EACCES', sandbox: true },
  });
  const { policy, note } = await choosePolicy(partsOf({ [OWN_POLICY]: hidden }), {});
  assert.equal(policy, undefined);
  assert.match(note ?? '', /Cannot see whether there is a policy .*--allow-read.*or say --policy none/);
});

test('a line says where the policy of podman would not have let an image in', async () => {
  const reference = parseReference('a.test/x:1');
  const told = (text: string) =>
    missedPolicy(partsOf({ '/etc/containers/policy.json': text }), reference, {});
  assert.match(
    (await told(REJECT)) ?? '',
    /^\/etc\/containers\/policy\.json \(scope default\) refuses it, but .*--policy system/,
  );
  assert.match((await told(KEY)) ?? '', /asks for a signature/);
  assert.equal(await told(ANY), undefined);
  assert.equal(await told('{'), undefined);
  assert.equal(await missedPolicy(partsOf({}), reference, {}), undefined);
});

test('without a policy every image comes in, nobody vouches, and the line is the verdict’s note; --policy none is silent', async () => {
  const parts = partsOf({ '/etc/containers/policy.json': REJECT });
  const deps = { ...parts, clock: createClock(), signatures: async () => createSignatureChecks() };
  const unread = async (): Promise<never> => assert.fail('nothing is asked');
  const subject = {
    reference: parseReference('a.test/x:1'),
    root: {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: `sha256:${'a'.repeat(64)}`,
      size: 1,
    },
    platforms: [],
    evidence: { tagged: unread, referrers: unread, read: unread },
  } as unknown as Parameters<ReturnType<typeof chosenJudge>['judge']>[0];
  const verdict = await chosenJudge(deps, {}).judge(subject, {});
  assert.ok(verdict.accepted);
  assert.deepEqual(verdict.vouchers, []);
  assert.match(verdict.note ?? '', /refuses it/);
  const silent = await chosenJudge(deps, { policy: 'none' }).judge(subject, {});
  assert.ok(silent.accepted && silent.note === undefined);
});

test('a policy is read for each image: a failure passes, a change holds, and a policy that is gone lets nothing in', async () => {
  const files: Record<string, string | HawserError> = { [OWN_POLICY]: '{' };
  const deps = { ...partsOf(files), clock: createClock(), signatures: async () => createSignatureChecks() };
  const judge = chosenJudge(deps, {});
  const subject = {
    reference: parseReference('h.io/a:1'),
    root: { digest: `sha256:${'0'.repeat(64)}` },
    evidence: {},
  };
  const ask = async () => (await judge.judge(subject as never, {})).accepted;
  await assert.rejects(ask(), /policy\.json/);
  files[OWN_POLICY] = ANY;
  assert.equal(await ask(), true);
  files[OWN_POLICY] = REJECT;
  assert.equal(await ask(), false);
  delete files[OWN_POLICY];
  await assert.rejects(ask(), (err) => isKind(err, 'FailedPrecondition'));
  files[OWN_POLICY] = ANY;
  assert.equal(await ask(), true);
});

test('a policy that was chosen judges the first image, whatever the file says by then', async () => {
  const files: Record<string, string | HawserError> = { [OWN_POLICY]: REJECT };
  const deps = { ...partsOf(files), clock: createClock(), signatures: async () => createSignatureChecks() };
  const chosen = await choosePolicy(deps, {});
  delete files[OWN_POLICY];
  const judge = chosenJudge(deps, {}, { chosen });
  const subject = {
    reference: parseReference('h.io/a:1'),
    root: { digest: `sha256:${'0'.repeat(64)}` },
    evidence: {},
  };
  assert.equal((await judge.judge(subject as never, {})).accepted, false);
  await assert.rejects(judge.judge(subject as never, {}), /is gone/);
});

test('a policy is guarded as the system’s where it is one, else as a file that somebody has named; what a policy names, as the policy', async () => {
  const key = '{"default":[{"type":"sigstoreSigned","keyPath":"/k.pub"}]}';
  const SYSTEMS = ['/etc/containers/policy.json', '/usr/share/containers/policy.json'];
  const files = Object.fromEntries(
    [...SYSTEMS, '/c/containers/policy.json', '/p.json', OWN_POLICY].map((path) => [path, key]),
  );
  const env = { XDG_CONFIG_HOME: '/c' };
  const ROWS: readonly (readonly [PolicyChoice, Readonly<Record<string, string>>, string, boolean])[] = [
    [{}, {}, OWN_POLICY, true],
    [{ policy: OWN_POLICY }, {}, OWN_POLICY, true],
    [{ policy: '/p.json' }, {}, '/p.json', false],
    [{}, { HAWSER_POLICY: '/p.json' }, '/p.json', false],
    [{ policy: 'system' }, env, '/c/containers/policy.json', false],
    [{ policy: 'system' }, { CONTAINERS_POLICY_JSON: '/p.json' }, '/p.json', false],
    [{ policy: 'system' }, {}, SYSTEMS[0] ?? '', true],
    [{ keys: ['/k.pub'] }, {}, '/k.pub', false],
  ];
  for (const [choice, variables, path, ofSystem] of ROWS) {
    const guarded: (readonly [string, boolean])[] = [];
    const guard = async (...[one, isSystems]: readonly [string, boolean, object]) =>
      void guarded.push([one, isSystems]);
    const parts = { ...partsOf({ ...files, '/k.pub': 'no key' }, variables), guard };
    const deps = { ...parts, clock: createClock(), signatures: async () => createSignatureChecks() };
    const subject = {
      reference: parseReference('h.io/a:1'),
      root: { digest: `sha256:${'0'.repeat(64)}` },
      evidence: {},
    };
    await assert.rejects(
      chosenJudge(deps, choice).judge(subject as never, {}),
      /Cannot use the key \/k\.pub/,
    );
    const whole = [
      [path, ofSystem],
      ['/k.pub', ofSystem],
    ] as const;
    assert.deepEqual(guarded, choice.keys === undefined ? whole : whole.slice(1), path);
  }
});

test('inside a scope that takes anything an image is accepted, outside rejected, and one for GPG rejected with the reason', async () => {
  const any = [{ type: 'insecureAcceptAnything' }];
  const gpg = [{ type: 'signedBy', keyType: 'GPGKeys', keyPath: '/k' }];
  const policy = {
    default: [{ type: 'reject' }],
    transports: { docker: { 'free.test': any, '*.example.com': any, 'gpg.test': gpg } },
  };
  const deps = {
    ...partsOf({ '/p.json': JSON.stringify(policy) }),
    clock: createClock(),
    signatures: async () => createSignatureChecks(),
  };
  const judge = chosenJudge(deps, { policy: '/p.json' });
  for (const [name, reason] of [
    ['free.test/a:1', undefined],
    ['sub.example.com/a:1', undefined],
    ['example.com/a:1', /the policy rejects it/],
    ['other.test/a:1', /the policy rejects it/],
    ['gpg.test/a:1', /the policy asks for a GPG signature, which hawser cannot check/],
  ] as const) {
    const subject = {
      reference: parseReference(name),
      root: { digest: `sha256:${'0'.repeat(64)}` },
      evidence: {},
    };
    const verdict = await judge.judge(subject as never, {});
    assert.equal(verdict.accepted, reason === undefined, name);
    if (!verdict.accepted) assert.match(verdict.reason, reason ?? /^$/);
  }
});

test('what a policy asks for and nobody can check has a hint that is true for it', async () => {
  const scopes = {
    'gpg.test': [{ type: 'signedBy', keyType: 'GPGKeys', keyPath: '/k' }],
    'typo.test': [{ type: 'rejct' }],
  };
  const policy = JSON.stringify({ default: [{ type: 'reject' }], transports: { docker: scopes } });
  const deps = {
    ...partsOf({ [OWN_POLICY]: policy, '/etc/containers/policy.json': policy }),
    clock: createClock(),
    signatures: async () => createSignatureChecks(),
  };
  const root = { digest: `sha256:${'0'.repeat(64)}` };
  for (const [choice, name, hint] of [
    [{}, 'gpg.test/a:1', /^Sign with cosign, and ask for that in the policy \(sigstore\)$/],
    [{}, 'typo.test/a:1', /^Mend the policy: the types .* are sigstore, sigstoreSigned, reject, insecure/],
    [{ policy: 'system' }, 'gpg.test/a:1', /\(sigstoreSigned\)$/],
    [
      { policy: 'system' },
      'typo.test/a:1',
      /^Mend the policy: the types .* are sigstoreSigned, reject, insecure/,
    ],
  ] as const) {
    const subject = { reference: parseReference(name), root, evidence: {} };
    const verdict = await chosenJudge(deps, choice).judge(subject as never, {});
    assert.equal(verdict.accepted, false);
    assert.match((!verdict.accepted && verdict.hint) || '', hint, name);
  }
});

test('a file that others could have changed is no policy', async () => {
  const guard = async () => {
    throw new HawserError('PermissionDenied', 'x can be written to by other users');
  };
  for (const choice of [{}, { policy: OWN_POLICY }])
    await assert.rejects(
      choosePolicy({ ...partsOf({ [OWN_POLICY]: ANY }), guard }, choice),
      /Cannot use the policy \/etc\/hawser\/policy\.json: x can be written to by other users/,
    );
});
