/** The signed images through the command line: all by the executable, some of each form by every other way to run hawser. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startRegistry, type TestRegistry } from '../registry/registry.ts';
import { exec } from '../support/exec.ts';
import { type Flavour, flavours } from '../support/hawser.ts';
import { type Scratch, scratch } from '../support/scratch.ts';
import { policyOf, serveTrustFixtures, type TrustCase, trustCases } from '../support/trust-fixtures.ts';

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
