/** HA18: a registry that is pushed to answers what it should not. Credentials and bytes go nowhere else, and every push ends. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { defaultRuntime } from '../../src/entry/library.ts';
import { makeCerts } from '../registry/certs.ts';
import type { Fault } from '../registry/faults.ts';
import { buildImage, noise } from '../registry/image.ts';
import { type RegistryOptions, startRegistry, type TestRegistry } from '../registry/registry.ts';
import { runHere } from '../support/command-line.ts';
import { tempDir } from '../support/tmp.ts';

const image = await buildImage({ layers: [{ entries: [{ name: 'a', data: noise(300_000) }] }] });
const BASIC = { mode: 'basic', user: 'me', pass: 'secret' } as const;

interface Hostile {
  readonly to: TestRegistry;
  /** Another server, which keeps what it is asked. */
  readonly other: TestRegistry;
  push(...flags: readonly string[]): Promise<{ code: number; err: string }>;
}

async function withHostile(
  options: (other: TestRegistry) => RegistryOptions,
  body: (world: Hostile) => Promise<void>,
): Promise<void> {
  const dir = tempDir();
  const [from, other] = [await startRegistry(), await startRegistry({ uploads: {} })];
  const to = await startRegistry({ uploads: { checks: true }, auth: BASIC, ...options(other) });
  const runtime = await defaultRuntime();
  const go = (...args: readonly string[]) => runHere(runtime, join(dir.path, 'root'), args);
  try {
    mkdirSync(join(dir.path, 'root'));
    const local = from.push('t/src', '1', image);
    assert.equal((await go('content', 'fetch', '--progress', 'none', local)).code, 0);
    const push: Hostile['push'] = (...flags) =>
      go('push', '--progress', 'none', '--user', 'me:secret', ...flags, `${to.host}/x/app:1`, local);
    await body({ to, other, push });
  } finally {
    for (const registry of [from, to, other]) await registry.close();
    dir[Symbol.dispose]();
  }
}

/** What follows a Location (POST) or a redirect (POST, PUT of a blob, of a manifest). `{other}`: a server at another port. */
const PLACES: readonly (readonly [title: string, place: string, says: RegExp])[] = [
  ['link-local addresses', 'http://169.254.169.254/latest/', /refused|not allowed|may not/i],
  ['another scheme', 'file:///etc/passwd', /file:/],
  ['a socket', 'unix:///run/containerd/containerd.sock', /unix:/],
  ['no URL', 'http://[', /./],
  ['a name and a password', 'http://root:pw@{other}/v2/x/app/blobs/uploads/1', /./],
];

for (const [title, place, says] of PLACES)
  for (const how of ['Location', 'redirect', 'redirect of the body'] as const)
    test(`HA18: ${title}, by ${how}: nothing is sent there, and no credentials`, async () => {
      const fault = (other: TestRegistry): Fault => {
        const there = place.replace('{other}', other.host);
        if (how === 'Location') return { method: 'POST', headers: { Location: there } };
        return { method: how === 'redirect' ? 'POST' : 'PUT', redirect: there, redirectStatus: 307 };
      };
      await withHostile(
        (other) => ({ faults: [fault(other)] }),
        async ({ other, push }) => {
          const { code, err } = await push('--retry', '0');
          assert.equal(code, 1, err);
          assert.match(err, says);
          assert.ok(!/me:secret|root:pw/.test(err), err);
          for (const { authorization } of other.requests) assert.equal(authorization, undefined);
          assert.equal(await other.content('x/app', '1'), undefined);
        },
      );
    });

test('HA18: redirects without an end end, of the beginning, of a blob, of a manifest', async () => {
  for (const [method, match] of [
    ['POST', '/uploads/'],
    ['PUT', '/uploads/'],
    ['PUT', '/manifests/'],
  ] as const)
    await withHostile(
      () => ({ faults: [{ method, match, redirect: '{target}', redirectStatus: 307 }] }),
      async ({ to, push }) => {
        const { code, err } = await push('--retry', '0');
        assert.equal(code, 1, err);
        assert.match(err, /redirect/i);
        assert.ok(to.requests.length < 100, `${to.requests.length} requests`);
      },
    );
});

test('HA18: 307 to another server: no credentials go there; from https to http nothing goes', async () => {
  await withHostile(
    (other) => ({
      faults: [{ method: 'PUT', redirect: `http://${other.host}{target}`, redirectStatus: 307 }],
    }),
    async ({ other, push }) => {
      await push('--retry', '0');
      for (const { authorization } of other.requests) assert.equal(authorization, undefined);
    },
  );
  const { ca: root, cert, key } = makeCerts();
  const ca = tempDir();
  try {
    writeFileSync(join(ca.path, 'ca.pem'), root);
    for (const fault of [
      (other: TestRegistry): Fault => ({
        method: 'POST',
        headers: { Location: `http://${other.host}/v2/x/app/blobs/uploads/1` },
      }),
      (other: TestRegistry): Fault => ({
        method: 'PUT',
        redirect: `http://${other.host}{target}`,
        redirectStatus: 307,
      }),
    ])
      await withHostile(
        (other) => ({ tls: { cert, key }, faults: [fault(other)] }),
        async ({ other, push }) => {
          const { code, err } = await push('--retry', '0', '--tlscacert', join(ca.path, 'ca.pem'));
          assert.equal(code, 1, err);
          assert.match(err, /http/);
          assert.deepEqual(other.log(), []);
        },
      );
  } finally {
    ca[Symbol.dispose]();
  }
});

const NOTHING = 'Content-Length: 0\r\nConnection: close\r\n\r\n';
const OTHER_DIGEST = `Docker-Content-Digest: sha256:${'0'.repeat(64)}\r\n`;
const ACCEPTED = `HTTP/1.1 202 Accepted\r\nLocation: /v2/x/app/blobs/uploads/1\r\nRange: 0-0\r\n${NOTHING}`;

/** Answers in the place of the registry's. `times` is not given: the registry goes on so. */
const ANSWERS: readonly (readonly [title: string, fault: Fault, flags: readonly string[]])[] = [
  ['no Location', { method: 'POST', raw: `HTTP/1.1 202 Accepted\r\n${NOTHING}` }, []],
  [
    '201 to the beginning, though no mount was asked for',
    { method: 'POST', raw: `HTTP/1.1 201 Created\r\n${NOTHING}` },
    [],
  ],
  [
    'another digest for a blob',
    { method: 'PUT', match: '/uploads/', raw: `HTTP/1.1 201 Created\r\n${OTHER_DIGEST}${NOTHING}` },
    [],
  ],
  [
    'another digest for a manifest',
    { method: 'PUT', match: '/manifests/', raw: `HTTP/1.1 201 Created\r\n${OTHER_DIGEST}${NOTHING}` },
    [],
  ],
  ['202 to the whole, again and again', { method: 'PUT', match: '/uploads/', raw: ACCEPTED }, []],
  ['202 to each part, and nothing taken', { method: 'PATCH', raw: ACCEPTED }, ['--chunk-size', '100k']],
  [
    'a position far behind the end',
    { method: 'PATCH', raw: ACCEPTED.replace('0-0', '0-999999999999') },
    ['--chunk-size', '100k'],
  ],
  [
    'an answer that has no end',
    { method: 'POST', raw: `HTTP/1.1 202 Accepted\r\nX: ${'y'.repeat(2_000_000)}` },
    [],
  ],
];

for (const [title, fault, flags] of ANSWERS)
  test(`HA18: ${title}: the push fails, the tag does not move`, async () => {
    await withHostile(
      () => ({ faults: [fault] }),
      async ({ to, push }) => {
        const { code, err } = await push('--retry', '1', '--retry-time', '3s', ...flags);
        assert.equal(code, 1, err);
        assert.equal(await to.content('x/app', '1'), undefined);
        assert.ok(to.requests.length < 200, `${to.requests.length} requests`);
      },
    );
  });
