/** What cosign 2 and 3 write is accepted by their key, and refused by another. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parsePlatform } from '../../../src/core/platforms/parse.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { parsePolicy } from '../../../src/core/trust/policy.ts';
import { policyJudge } from '../../../src/core/trust/policy-judge.ts';
import type { Verdict } from '../../../src/core/trust/verdict.ts';
import { createFileSystem } from '../../../src/platform/files/file-system.ts';
import { createClock } from '../../../src/platform/process/clock.ts';
import { createSignatureChecks } from '../../../src/platform/trust/checks.ts';
import { withClient } from '../../registry/client.ts';
import { startRegistry, type TestRegistry } from '../../registry/registry.ts';
import { realImages, realKey, serveRealImages } from '../../support/trust-fixtures.ts';

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
  describe(`images that cosign has signed, ${api ? 'with' : 'without'} the referrers API`, () => {
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
