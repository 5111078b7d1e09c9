/** The signed images: each comes to the verdict that its fixture says, with and without the referrers API. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parsePlatform } from '../../../src/core/platforms/parse.ts';
import type { Clock } from '../../../src/core/ports/clock.ts';
import { parseReference } from '../../../src/core/reference/parse.ts';
import { parsePolicy } from '../../../src/core/trust/policy.ts';
import { policyJudge } from '../../../src/core/trust/policy-judge.ts';
import type { Verdict } from '../../../src/core/trust/verdict.ts';
import { createFileSystem } from '../../../src/platform/files/file-system.ts';
import { createClock } from '../../../src/platform/process/clock.ts';
import { createSignatureChecks } from '../../../src/platform/trust/checks.ts';
import { withClient } from '../../registry/client.ts';
import { startRegistry, type TestRegistry } from '../../registry/registry.ts';
import {
  keyFile,
  MADE,
  policyOf,
  serveTrustFixtures,
  type TrustCase,
  trustCases,
} from '../../support/trust-fixtures.ts';

/** Why each is refused: a refusal for another reason would be luck. */
const REASONS: Readonly<Record<string, RegExp>> = {
  'k02-other-key': /1 is by another key/,
  'k03-other-digest': /is of another image/,
  'k04-other-repository': /names registry\.test\/fx\/somebody, where/,
  'k05-tampered-payload': /is by another key/,
  'k06-unsigned': /it is not signed: no signature at sha256-[0-9a-f]{64}\.sig/,
  'k12-rollback-other-tag': /names .*:0, where .*:1 is needed/,
  'k13-duplicate-keys': /duplicate key "image"/,
  'k14-unknown-critical': /payload of another form/,
  'k15-wrong-type': /is of another type/,
  'k17-size-lies': /not what its descriptor says/,
  'k18-blob-differs': /not what its descriptor says/,
  'k19-other-media-type': /another media type/,
  'k20-many': /rejecting more than 1048576 byte/,
  'k22-bad-base64': /no signature in base64/,
  'k23-der-trailer': /is by another key/,
  'k26-payload-trailer': /trailing data/,
  'k27-upper-digest': /is of another image/,
  'k28-other-instance-signed': /of its manifest sha256:[0-9a-f]{64}: it is not signed/,
  'f02-other-email': /is by b@example\.test/,
  'f02b-email-dot': /is by a@exampleXtest/,
  'f03-other-issuer': /issuer https:\/\/issuer\.test\.evil/,
  'f04-other-ca': /no authority of the policy has signed/,
  'f05-other-rekor': /inclusion promise could not be verified/,
  'f06-logged-late': /a certificate was valid from .* not at/,
  'f07-set-of-other-payload': /digest mismatch/,
  'f08-no-set': /no entry of a transparency log/,
  'f09-issuers-differ': /names two issuers/,
  'f10-no-code-signing': /not for signing code/,
  'f11-root-expired': /a certificate was valid from .* not at/,
  'f12-entry-of-other-cert': /log entry is of another certificate/,
  'p02-expired': /a certificate was valid from .* not at/,
  'p03-other-email': /is by b@example\.test, not a@example\.test/,
  'p04-other-ca': /no authority of the policy has signed/,
  'p05-no-code-signing': /not for signing code/,
  'b03-other-key': /is by another key/,
  'b04-other-subject': /is of another image/,
  'b05-other-payload-type': /no in-toto statement/,
  'b06-only-attestation': /is an attestation, not a signature/,
  'b06b-lying-annotation': /is an attestation, not a signature/,
  'b08-statement-duplicate': /duplicate key "subject"/,
  'b21-other-email': /is by b@example\.test/,
  'b22-email-dot': /is by a@exampleXtest/,
  'b22b-email-longer': /is by evil-a@example\.test\.evil/,
  'b23-no-sct': /expected 1 SCTs, got 0/,
  'b24-other-ca': /Failed to verify certificate chain/,
  'b25-other-log': /inclusion promise could not be verified/,
  'b26-entry-of-other': /payload hash mismatch/,
  'b27-late': /not valid or expired at the specified date/,
  'b28-no-tlog': /expected 1 timestamps, got 0/,
  'b29-no-set': /expected 1 timestamps, got 0/,
  'b30-proof-of-other': /root hash does not match/,
  'b31-other-ctlog': /SCT verification failed/,
  'b32-other-issuer': /names two issuers/,
  'b33-no-code-signing': /not for signing code/,
  'b34-entry-of-other-cert': /log entry is of another certificate/,
  // Only without the API.
  'b02-api-only': /no bundle among its referrers/,
};

const clock: Clock = { ...createClock(), now: () => MADE };
const deps = {
  fs: createFileSystem(),
  guard: async () => {},
  clock,
  signatures: async () => createSignatureChecks(),
};
const platform = parsePlatform('linux/amd64', { os: 'linux', architecture: 'amd64' });

async function judged(one: TrustCase, registry: TestRegistry, own = deps): Promise<Verdict> {
  const reference = parseReference(`${registry.host}/${one.ref}`);
  const policy = parsePolicy(new TextEncoder().encode(policyOf(one, registry.host)), 'of the fixture', true);
  return await withClient({}, async (client) => {
    const { root } = await client.resolve(reference);
    const evidence = client.evidence(reference);
    return await policyJudge(own, policy).judge({ reference, root, platforms: [platform], evidence }, {});
  });
}

for (const api of [true, false]) {
  describe(`signed images, ${api ? 'with' : 'without'} the referrers API`, () => {
    let registry: TestRegistry;
    before(async () => {
      registry = await startRegistry(api ? { lists: { referrers: { filters: true } } } : {});
      serveTrustFixtures(registry);
    });
    after(() => registry.close());

    const cases = trustCases.filter((one) => api || one.format === 'bundle');
    for (const one of cases) {
      const verdict = api || one.referrers !== 'api' ? one.verdict : 'reject';
      test(`${one.id}: ${verdict}: ${one.why}`, async () => {
        const found = await judged(one, registry);
        assert.equal(found.accepted ? 'accept' : 'reject', verdict, JSON.stringify(found));
        if (found.accepted) assert.equal(found.vouchers.length, 1);
        else assert.match(found.reason, REASONS[one.id] ?? /^$/);
      });
    }
  });
}

test('the files of a policy are read once for an image, however many of its manifests are looked at', async () => {
  const one = trustCases.find(({ id }) => id === 'k25-instance-signed');
  assert.ok(one);
  const registry = await startRegistry({});
  try {
    serveTrustFixtures(registry);
    const read: string[] = [];
    const { fs } = deps;
    const counting: typeof fs = Object.create(fs, {
      readFile: {
        value: (...args: Parameters<typeof fs.readFile>) => {
          read.push(args[0]);
          return fs.readFile(...args);
        },
      },
    });
    assert.ok((await judged(one, registry, { ...deps, fs: counting })).accepted);
    assert.deepEqual(read, [keyFile('k1.pub')]);
  } finally {
    await registry.close();
  }
});

test('there are 72 of them', () => assert.equal(trustCases.length, 72));
