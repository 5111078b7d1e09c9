/** What cosign 2 and 3 and skopeo write is accepted by their key, and refused by another. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parsePlatform } from '../../../src/core/platforms/parse.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { ALL_CAPABILITIES } from '../../../src/core/registry/hosts.ts';
import { parsePolicy } from '../../../src/core/trust/policy.ts';
import { policyJudge } from '../../../src/core/trust/policy-judge.ts';
import type { Verdict } from '../../../src/core/trust/verdict.ts';
import { createFileSystem } from '../../../src/platform/files/file-system.ts';
import { createClock } from '../../../src/platform/process/clock.ts';
import { createSignatureChecks } from '../../../src/platform/trust/checks.ts';
import { withClient } from '../../registry/client.ts';
import { startRegistry, type TestRegistry } from '../../registry/registry.ts';
import { realImages, realKey, serveRealImages, realTags as tagsOf } from '../../support/trust-fixtures.ts';

const deps = {
  fs: createFileSystem(),
  guard: async () => {},
  clock: createClock(),
  signatures: async () => createSignatureChecks(),
};
const platform = parsePlatform('linux/amd64', { os: 'linux', architecture: 'amd64' });

/** No signature that is sought: an old one as a referrer, which cosign 2 makes as an experiment. */
const UNSEEN = ['cosign2-referrer'];

for (const api of [true, false]) {
  describe(`images that cosign and skopeo have signed, ${api ? 'with' : 'without'} the referrers API`, () => {
    let registry: TestRegistry;
    before(async () => {
      registry = await startRegistry(api ? { lists: { referrers: { filters: true } } } : {});
      serveRealImages(registry);
    });
    after(() => registry.close());

    const judged = async (name: string, key: string, dockerRepository: string): Promise<Verdict> => {
      const signedIdentity = { type: 'exactRepository', dockerRepository };
      const requirement = { type: 'sigstore', keyPath: key, signedIdentity };
      const policy = parsePolicy(
        new TextEncoder().encode(JSON.stringify({ default: [requirement] })),
        'of the test',
        true,
      );
      const reference = parseReference(`${registry.host}/real/${name}:1`);
      return await withClient({}, async (client) => {
        const { root } = await client.resolve(reference);
        const evidence = client.evidence(reference);
        return await policyJudge(deps, policy).judge(
          { reference, root, platforms: [platform], evidence },
          {},
        );
      });
    };

    for (const name of realImages) {
      test(`${name}: by its key, not by another`, async () => {
        const repository = `registry.test/real/${name}`;
        const good = await judged(name, realKey('signer.pub'), repository);
        assert.equal(good.accepted, !UNSEEN.includes(name), JSON.stringify(good));
        assert.equal((await judged(name, realKey('other.pub'), repository)).accepted, false);
        // A bundle names no repository.
        const elsewhere = await judged(name, realKey('signer.pub'), 'registry.test/real/elsewhere');
        assert.equal(elsewhere.accepted, name === 'cosign3');
      });
    }
  });
}

/** What is asked for, the rule for the signed name (skopeo signs a tag, podman's default asks for the tag), and whether that will do. */
const SKOPEO: readonly (readonly [string, object | undefined, boolean])[] = [
  ['registry.test/real/skopeo:1', undefined, true],
  ['registry.test/real/skopeo:2', undefined, false],
  ['registry.test/real/skopeo@DIGEST', undefined, true],
  ['registry.test/real/cosign2:1', undefined, false],
  ['registry.test/real/cosign2@DIGEST', undefined, false],
  ['registry.test/real/cosign2:1', { type: 'matchRepository' }, true],
  ['registry.test/real/skopeo:2', { type: 'matchRepository' }, true],
  ['registry.test/real/skopeo:1', { type: 'matchExact' }, true],
  [
    'registry.test/real/skopeo:2',
    { type: 'exactReference', dockerReference: 'registry.test/real/skopeo:1' },
    true,
  ],
  ['mirror.test/real/skopeo:1', undefined, false],
  [
    'mirror.test/real/skopeo:1',
    { type: 'remapIdentity', prefix: 'mirror.test', signedPrefix: 'registry.test' },
    true,
  ],
  ['registry.test/real/skopeo-index:1', undefined, true],
  ['registry.test/real/skopeo-index@ENTRY', undefined, true],
];
test('9 to 11 of trust: a policy of podman takes the tag that skopeo has signed, and nothing of cosign, which signs none', async () => {
  const registry = await startRegistry();
  try {
    serveRealImages(registry);
    for (const name of ['skopeo', 'cosign2']) {
      const bytes = await registry.content(`real/${name}`, tagsOf(name)['1'] ?? '');
      registry.putManifest(
        `real/${name}`,
        '2',
        'application/vnd.oci.image.manifest.v1+json',
        bytes ?? new Uint8Array(),
      );
    }
    const host = {
      name: 'x',
      base: new URL(`${registry.url}/v2`),
      capabilities: ALL_CAPABILITIES,
      namespace: 'x',
    };
    const hosts = async () => ({ source: 'hosts.toml', hosts: [host] });
    for (const [asked, signedIdentity, isGood] of SKOPEO) {
      const requirement = { type: 'sigstoreSigned', keyPath: realKey('signer.pub'), signedIdentity };
      const text = JSON.stringify({ default: [requirement] });
      const policy = parsePolicy(new TextEncoder().encode(text), 'of the test', false);
      const name = asked.replace(/^[^/]+\/real\/|[:@].*$/g, '');
      const image = tagsOf(name)['1'] ?? '';
      const [entry = ''] = Object.keys(tagsOf(name)).filter(
        (tag) => tag.endsWith('.sig') && !tag.includes(image.slice(7)),
      );
      const reference = parseReference(
        asked.replace('DIGEST', image).replace('ENTRY', entry.replace('-', ':').replace('.sig', '')),
      );
      await withClient({ hosts }, async (client) => {
        const { root } = await client.resolve(reference);
        const subject = { reference, root, platforms: [platform], evidence: client.evidence(reference) };
        const verdict = await policyJudge(deps, policy).judge(subject, {});
        assert.equal(
          verdict.accepted,
          isGood,
          `${asked} ${JSON.stringify(signedIdentity)} ${JSON.stringify(verdict)}`,
        );
        if (!verdict.accepted) assert.match(verdict.reason, /1 names registry\.test\/real\//);
      });
    }
  } finally {
    await registry.close();
  }
});
