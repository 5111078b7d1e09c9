/** A little of every fuzz target; `npm run fuzz` does more. HAWSER_SEED is the seed of each target's first execution. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fuzz } from '../fuzz/driver.ts';
import { type AnyTarget, bytesTarget, Finding } from '../fuzz/target.ts';
import { openTargets } from '../fuzz/targets.ts';
import { chosenSeed } from '../support/seed.ts';

const SECONDS_EACH = 0.2;

const seed = chosenSeed();
const targets = openTargets();
after(() => {
  for (const target of targets) target.close?.();
});

for (const target of targets) {
  test(`fuzz ${target.name}, from seed ${seed}`, async () => {
    const { executions, found } = await fuzz([target], { seed, seconds: SECONDS_EACH });
    assert.deepEqual(found, []);
    assert.ok((executions[0] ?? 0) > 0);
  });
}

test('what is found is made small, and comes again from its seed', async () => {
  let runs = 0;
  const target: AnyTarget = bytesTarget({
    name: 'planted',
    generate: (next) => Uint8Array.from({ length: 2000 }, () => 1 + next(250)),
    execute(input) {
      runs++;
      if (input.includes(7)) throw new Finding(`a seven among ${input.length}`);
      if (input.includes(8)) throw new Error('another');
    },
  });
  const { found } = await fuzz([target], { seed: 5, seconds: 5 });
  assert.equal(found.length, 1);
  assert.equal(found[0]?.input, 'base64 Bw==');
  assert.equal(found[0].seed, 5);
  assert.match(found[0].error, /a seven among 1/);
  assert.ok(runs < 5000, `${runs} runs`);
});

test('an execution beyond its limit of processor time is a finding', async () => {
  const target: AnyTarget = bytesTarget({
    name: 'slow',
    generate: () => Uint8Array.of(1),
    execute() {
      for (const until = performance.now() + 30; performance.now() < until; );
    },
  });
  const { found } = await fuzz([target], { seed: 1, seconds: 5, limitMs: 1 });
  assert.match(found[0]?.error ?? '', /took too long: [0-9]+ ms/);
});
