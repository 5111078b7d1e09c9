/** The signed images through the command line: all by the executable, some of each form by every other way to run hawser; and those of cosign and skopeo. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { exec, describe as explain } from '../support/exec.ts';
import { type Flavour, flavours, quickest } from '../support/hawser.ts';
import { findTool, needs } from '../support/needs.ts';
import { startDockerRegistry } from '../support/real-registry.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import {
  keyFile,
  policyOf,
  pushRealImage,
  realKey,
  serveTrustFixtures,
  type TrustCase,
  trustCases,
} from '../support/trust-fixtures.ts';

/** What needs each of the libraries, and what is refused. */
const FEW = ['k01-valid', 'k02-other-key', 'f01-valid', 'b20-keyless', 'b23-no-sct'];
/** Its certificate ends in September 2027. */
const BY_THE_CLOCK = 'p01-valid';
const AT_ONCE = 4;

describe('signed images through the command line', () => {
  let registry: TestRegistry;
  let temp: Scratch;

  before(async () => {
    temp = scratch();
    registry = await startRegistry({ lists: { referrers: { filters: true } } });
    serveTrustFixtures(registry);
  });
  after(async () => {
    await registry.close();
    await temp[Symbol.asyncDispose]();
  });

  async function verdictOf({ command: [program, ...args] }: Flavour, one: TrustCase): Promise<string> {
    const policy = join(temp.path, `${one.id}.json`);
    writeFileSync(policy, policyOf(one, registry.host));
    const fetch = ['content', 'fetch', '--progress=none', '--platform', 'linux/amd64', '--policy', policy];
    const ref = `${registry.host}/${one.ref}`;
    const { code, stderr } = await exec(program, [
      ...args,
      '--root',
      join(temp.path, 'store'),
      ...fetch,
      ref,
    ]);
    if (code === 0) return 'accept';
    return /\(policy \S+, scope 127\.0\.0\.1:\d+\)$/m.test(stderr) ? 'reject' : stderr;
  }

  for (const flavour of flavours) {
    test(`${flavour.name}: the verdicts are those of the fixtures`, { skip: flavour.skip }, async () => {
      const isWanted = ({ id }: TrustCase) =>
        flavour.name === 'binary' ? id !== BY_THE_CLOCK : FEW.includes(id);
      const left = trustCases.filter(isWanted);
      const wrong: string[] = [];
      const work = async () => {
        for (let one = left.pop(); one !== undefined; one = left.pop()) {
          const verdict = await verdictOf(flavour, one);
          if (verdict !== one.verdict) wrong.push(`${one.id}: ${verdict}, not ${one.verdict}`);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
      assert.deepEqual(wrong, []);
    });
  }
});

/** Image, requests after the one for the image, and the most bytes that those may bring (section 4 of the facts about trust). */
const REAL: readonly (readonly [string, number, number])[] = [
  ['cosign2', 2, 1000],
  ['cosign3-attachment', 2, 1000],
  ['skopeo', 2, 1100],
  ['skopeo-index', 2, 1100],
  // Nothing at the tag of signatures, no referrers API, the list under the tag, the bundle.
  ['cosign3', 5, 2800],
];
describe('images that cosign and skopeo have signed, at a docker-registry', {
  skip: needs({ tools: ['docker-registry'] }),
}, () => {
  test('accepted by their key for the requests that it takes; refused by another, and without a signature', async () => {
    await using temp = scratch();
    await using registry = await startDockerRegistry();
    const fetched = async (name: string, key: string) => {
      const rule = { type: 'exactRepository', dockerRepository: `registry.test/real/${name}` };
      const requirement = { type: 'sigstore', keyPath: realKey(key), signedIdentity: rule };
      const policy = join(temp.path, 'policy.json');
      writeFileSync(policy, JSON.stringify({ default: [requirement] }));
      const [program, ...args] = quickest.command;
      const how = ['--json', '--platform', 'linux/amd64', '--policy', policy];
      const ref = `${registry.host}/real/${name}:1`;
      return await exec(program, [
        ...args,
        '--root',
        join(temp.path, 'store'),
        'content',
        'fetch',
        ...how,
        ref,
      ]);
    };
    for (const [name, requests, most] of REAL) {
      await pushRealImage(registry.host, name, `real/${name}`);
      const good = await fetched(name, 'signer.pub');
      assert.equal(good.code, 0, explain(good));
      const [voucher] = JSON.parse(good.stdout).done[0].verified;
      assert.equal(voucher.requests, requests, name);
      assert.ok(voucher.bytes > 0 && voucher.bytes < most, `${name}: ${voucher.bytes} bytes`);
    }
    for (const name of ['skopeo', 'cosign3']) {
      const other = await fetched(name, 'other.pub');
      assert.equal(other.code, 1, explain(other));
      assert.match(JSON.parse(other.stderr).message, /none good: 1 is by another key/);
    }
    await pushRealImage(registry.host, 'skopeo', 'real/unsigned', '1');
    const unsigned = await fetched('unsigned', 'signer.pub');
    assert.equal(unsigned.code, 1, explain(unsigned));
    assert.match(JSON.parse(unsigned.stderr).message, /it is not signed: no signature at/);
  });
});

/**
 * Where peers are known to answer otherwise than the fixtures: cosign asks neither the name nor the form of the payload and knows no instances;
 * skopeo asks no index, believes sizes, and reads any number of signatures.
 */
const DIFFERS = {
  'cosign 3': 'k04 k12 k13 k14 k15 k19 k25 f09 b06 b06b',
  'cosign 2': 'k04 k12 k13 k14 k15 k19 k25 f09 b06 b06b b26',
  skopeo: 'k17 k20 k24',
} as const;

/** Arguments for `cosign verify`. */
function cosignArguments({ cosign = {}, format }: TrustCase, isOld: boolean): string[] {
  const { key, trustedRoot = 'trusted_root.json', identity = '', issuer = '' } = cosign;
  const by =
    key === undefined
      ? ['--certificate-identity', identity, '--certificate-oidc-issuer', issuer]
      : ['--key', keyFile(key), '--insecure-ignore-tlog=true'];
  const form = isOld && format === 'bundle' ? ['--new-bundle-format'] : [];
  return ['verify', '--allow-http-registry', '--trusted-root', keyFile(trustedRoot), ...by, ...form];
}

/**
 * The minor version 1.N that the fixtures were compared with: all their requirements have a meaning to it (`pki` came in 2025). The 1.9 of
 * Debian 12 is built without sigstore.
 */
const SKOPEO_MINOR = 22;

const COSIGN3 = process.env.COSIGN3 ?? findTool('cosign');
const { COSIGN2 } = process.env;
const PEERS: readonly (readonly [keyof typeof DIFFERS, string | undefined, string | false])[] = [
  ['cosign 3', COSIGN3, COSIGN3 === undefined && 'needs cosign 3: COSIGN3'],
  ['cosign 2', COSIGN2, COSIGN2 === undefined && 'needs cosign 2: COSIGN2'],
  ['skopeo', 'skopeo', needs({ tools: ['skopeo'] }) || (await tooOld())],
];

/** Why skopeo is not asked. Throws for a version that cannot be read. */
async function tooOld(): Promise<string | false> {
  const { stdout } = await exec('skopeo', ['--version']);
  const [, major, minor] = /^skopeo version (\d+)\.(\d+)/.exec(stdout) ?? [];
  assert.ok(major !== undefined && minor !== undefined, stdout);
  const isKnown = Number(major) > 1 || Number(minor) >= SKOPEO_MINOR;
  return isKnown ? false : `needs skopeo 1.${SKOPEO_MINOR} or newer, not ${major}.${minor}`;
}

describe('the verdicts of cosign and skopeo on the signed images', () => {
  for (const [name, program, skip] of PEERS)
    test(`${name} agrees, but where it is known not to`, { skip }, async (t) => {
      const differs = DIFFERS[name].split(' ');
      await using temp = scratch();
      const registry = await startRegistry({ lists: { referrers: { filters: true } } });
      try {
        serveTrustFixtures(registry);
        // Nobody may ask anybody else.
        const env = { ...process.env, HOME: temp.path, HTTPS_PROXY: 'http://127.0.0.1:9' };
        const policy = join(temp.path, 'policy.json');
        const attachments = { docker: { [registry.host]: { 'use-sigstore-attachments': true } } };
        writeFileSync(join(temp.path, 'registries.yaml'), JSON.stringify(attachments));
        const argumentsFor = (one: TrustCase, to: string): string[] | undefined => {
          const ref = `${registry.host}/${one.ref}`;
          if (name !== 'skopeo') return one.cosign && [...cosignArguments(one, name === 'cosign 2'), ref];
          if (one.policy === null) return undefined;
          writeFileSync(policy, policyOf(one, registry.host));
          const how = ['--policy', policy, '--registries.d', temp.path];
          const wanted =
            one.platform === undefined ? [] : ['--override-os', 'linux', '--override-arch', 'amd64'];
          return [...how, ...wanted, 'copy', '--src-tls-verify=false', `docker://${ref}`, `dir:${to}`];
        };
        const said = async (one: TrustCase): Promise<string | undefined> => {
          const args = argumentsFor(one, join(temp.path, one.id));
          const { code } = args === undefined ? {} : await exec(program ?? '', args, { env });
          return code === undefined ? undefined : code === 0 ? 'accept' : 'reject';
        };
        const odd: string[] = [];
        let agreed = 0;
        for (const one of trustCases) {
          const verdict = await said(one);
          if (verdict === undefined) continue;
          if (verdict === one.verdict) agreed++;
          else odd.push(one.id.split('-')[0] ?? '');
        }
        t.diagnostic(`${name}: agrees on ${agreed}, differs on ${odd.length} (${odd.join(', ')})`);
        assert.deepEqual(
          odd,
          odd.filter((id) => differs.includes(id)),
        );
      } finally {
        await registry.close();
      }
    });
});
