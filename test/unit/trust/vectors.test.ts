/** The vectors (1 to 30) and the attacks of the facts about trust: each has a fixture with the verdict that it should have, or a test by name. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { repository } from '../../support/runtimes.ts';
import { trustCases } from '../../support/trust-fixtures.ts';

const FIXTURES = 'unit/trust/fixtures.test.ts';
const ATTACKS = 'unit/trust/attacks.test.ts';
const ROWS = 'unit/trust/attack-rows.test.ts';
const POLICY = 'unit/trust/policy.test.ts';
const REAL = 'unit/trust/real-signers.test.ts';
const CHOICE = 'unit/trust/choose-policy.test.ts';
const LIBRARIES = 'unit/platform/trust/libraries.test.ts';
const PATHS = 'unit/platform/trust/certificate-path.test.ts';
const VERIFIERS = 'unit/verifiers/verifier-judge.test.ts';
const GUARD = 'unit/users/file-guard.test.ts';
const GATE = 'conformance/trust.test.ts';

/** Fixtures by number (`k01`), with their verdict; or a file of test/ and what its text has of a test. */
type Proof =
  | readonly ['accept' | 'reject', ...numbers: string[]]
  | readonly [file: string, ...texts: string[]];

const VECTORS: readonly (readonly Proof[])[] = [
  [['accept', 'k01']],
  [['reject', 'k02']],
  [['reject', 'k03']],
  [['reject', 'k04']],
  [['reject', 'k05']],
  [
    ['reject', 'k06'],
    [GATE, "['none', 'fx/k06-unsigned', API, ['.sig', 'referrers/']]"],
  ],
  [['accept', 'k07']],
  [['accept', 'k08', 'k09', 'k10']],
  [
    ['accept', 'k11'],
    [REAL, "['registry.test/real/skopeo@DIGEST', undefined, true]"],
  ],
  [
    [
      REAL,
      "['registry.test/real/cosign2:1', undefined, false]",
      "['registry.test/real/cosign2@DIGEST', undefined, false]",
    ],
  ],
  [
    ['reject', 'k12'],
    ['accept', 'k12b'],
  ],
  [['accept', 'k24']],
  [
    ['accept', 'k25'],
    ['reject', 'k28'],
  ],
  [['accept', 'f01']],
  [['reject', 'f02', 'f02b', 'f03']],
  [['reject', 'f04']],
  [['reject', 'f05', 'f08', 'f07', 'f12']],
  [['reject', 'f06', 'f11']],
  [['reject', 'f09', 'f10']],
  [
    ['accept', 'p01'],
    ['reject', 'p02', 'p03', 'p04', 'p05'],
  ],
  [
    ['accept', 'b01', 'b02'],
    [FIXTURES, 'for (const api of [true, false])', "'b02-api-only': /no bundle among its referrers/"],
  ],
  [['reject', 'b03']],
  [['reject', 'b04', 'b05']],
  [['reject', 'b06', 'b06b']],
  [['accept', 'b09', 'b07']],
  [
    ['accept', 'b20'],
    ['reject', 'b23', 'b31'],
  ],
  [['reject', 'b21', 'b22', 'b22b', 'b32']],
  [['reject', 'b24', 'b25', 'b26', 'b27', 'b28', 'b29', 'b30', 'b33', 'b34']],
  [
    [
      POLICY,
      "'an empty list of a scope'",
      "'an unknown member'",
      "'a scope twice'",
      "'a comment'",
      "['example.com/x:1', ['*.example.com'], 'default']",
    ],
    [
      CHOICE,
      'inside a scope that takes anything an image is accepted, outside rejected, and one for GPG rejected with the reason',
    ],
  ],
  [
    [
      VERIFIERS,
      'head -c 40000 /dev/zero',
      "['says why'",
      "['is killed'",
      "['hangs',",
      "'is not executable'",
      "'is a directory'",
      'a node without programs accepts every image',
    ],
  ],
];

const ATTACKED: Readonly<Record<string, readonly Proof[]>> = {
  'an older image under the tag': [
    ['reject', 'k12'],
    ['accept', 'k12b'],
  ],
  'a signature of another repository': [
    ['reject', 'k04'],
    [REAL, 'A bundle names no repository.'],
  ],
  'double members': [
    ['reject', 'k13', 'b08'],
    [ATTACKS, 'a manifest with a member twice'],
    [ROWS, 'a bundle with a member twice is refused'],
    [POLICY, "'a scope twice'"],
  ],
  'annotations beside a key': [
    ['accept', 'k16'],
    ['reject', 'b06b'],
  ],
  floods: [
    ['reject', 'k20', 'k17'],
    [ATTACKS, 'beyond their limits are not read'],
    [ROWS, 'a manifest of signatures of 1 GB is left before its body'],
  ],
  'spam before the good one': [
    ['reject', 'k20'],
    [
      ATTACKS,
      'signatures, of which the last is good',
      'bundles, of which one is good',
      'there are 41 bundles',
    ],
  ],
  'referrers without end, in a circle, elsewhere': [
    [ATTACKS, 'a list of referrers without end', 'a list that goes on elsewhere'],
    [ROWS, 'a list of referrers that leads to itself has an end'],
  ],
  'bytes that differ': [['reject', 'k18', 'k17']],
  'confused keys': [
    ['reject', 'b03'],
    [LIBRARIES, 'is no key', 'the key decides the algorithm'],
  ],
  patterns: [['reject', 'b22b', 'f02b']],
  'bytes behind, rubbish, upper case': [['reject', 'k23', 'k22', 'k27', 'k26']],
  'expired, and clocks': [
    ['reject', 'f11', 'f06', 'p02'],
    [ROWS, 'a clock of the past revives no certificate'],
  ],
  'a stolen key with an entry of another': [['reject', 'f12', 'b34', 'b26']],
  chains: [[PATHS, 'issued by']],
  'hidden signatures': [['reject', 'k06']],
  'files that change meanwhile': [
    [ROWS, 'a key file that changes while an image is judged'],
    [CHOICE, 'a change holds, and a policy that is gone lets nothing in'],
  ],
  'signatures that are elsewhere': [
    [
      ROWS,
      'leads the tag of the signatures to another repository',
      'is led to another repository brings no bundle',
    ],
  ],
  'types that lie': [[ROWS, 'a bundle whose types lie']],
  'an image as the parts of something else': [
    [
      'conformance/kept-signatures.test.ts',
      'nothing of an image that nobody vouches for comes as a signature',
    ],
    ['conformance/signatures.test.ts', 'under a policy an import brings no image as a referrer'],
    ['conformance/pull-through.test.ts', 'and nobody let in with it, is judged, also when it came as a blob'],
  ],
  'many attestations': [[ATTACKS, 'an image with many attestations and one signature comes in']],
  'errors in place of none': [[GATE, 'is no proof that there is no signature']],
  'a manifest that changes': [[GATE, 'a tag that moves between the verdict and the pull']],
  'a child that changes': [
    ['accept', 'k24'],
    [GATE, 'what a signed index lists has the digest that is signed'],
  ],
  'an artifact in the place of the image': [['conformance/choice.test.ts', 'a pull says what to do']],
  'schema 1, and sha512': [
    [ROWS, 'schema 1 comes in where anything does', 'an image by its sha512 must be signed by its sha512'],
  ],
  'programs that hang, flood, fork': [
    [
      VERIFIERS,
      "['hangs with a child'",
      "['floods standard output'",
      "['floods by a child'",
      "['ignores signals'",
    ],
  ],
  'files that others write to': [
    [GUARD, "'all can write to'"],
    [CHOICE, 'a file that others could have changed is no policy'],
  ],
};

function check([first, ...more]: Proof): void {
  if (first === 'accept' || first === 'reject') {
    for (const number of more) {
      const found = trustCases.filter(({ id }) => id.split('-')[0] === number);
      assert.deepEqual(
        found.map(({ verdict }) => verdict),
        [first],
        number,
      );
    }
    return;
  }
  const text = readFileSync(join(repository, 'test', first), 'utf8').replace(/\s+/g, ' ');
  for (const part of more) assert.ok(text.includes(part), `${first} has no ${part}`);
}

for (const [at, proofs] of VECTORS.entries())
  test(`vector ${at + 1} has its tests`, () => {
    for (const proof of proofs) check(proof);
  });

for (const [what, proofs] of Object.entries(ATTACKED))
  test(`an attack has its tests: ${what}`, () => {
    for (const proof of proofs) check(proof);
  });

test('no vector is left out, and every fixture is one’s', () => {
  assert.equal(VECTORS.length, 30);
  const numbers = [...VECTORS, ...Object.values(ATTACKED)]
    .flat()
    .flatMap(([first, ...more]) => (first === 'accept' || first === 'reject' ? more : []));
  const unnamed = trustCases.map(({ id }) => id.split('-')[0] ?? '').filter((one) => !numbers.includes(one));
  // Those that peers differ in.
  assert.deepEqual(unnamed, ['k14', 'k15', 'k19']);
});
