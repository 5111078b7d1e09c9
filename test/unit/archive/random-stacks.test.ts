/** Random stacks of layers: every way of unpacking gives what the reference model says, in every attribute, errors too. */
import assert from 'node:assert/strict';
import process from 'node:process';
import { test } from 'node:test';
import { needs } from '../../support/needs.ts';
import { chosenSeed } from '../../support/seed.ts';
import { compare, listing, shrink } from './oracle.ts';
import { randomStack } from './random-layers.ts';
import { syscallsHere } from './stacks.ts';

const BATCH = 100;

/** HAWSER_STACKS sets the number. Two hundred take ten seconds; without FFI, where each call costs milliseconds, ten do. */
function howMany(): number {
  if (process.env.HAWSER_STACKS !== undefined) return Number(process.env.HAWSER_STACKS);
  if (syscallsHere().provider !== 'ffi') return 10;
  return 200;
}

test('random stacks', { skip: needs({ root: true, tools: ['mount', 'umount', 'getfattr'] }) }, async (t) => {
  const seed = chosenSeed();
  const count = howMany();
  t.diagnostic(`HAWSER_SEED=${seed} HAWSER_STACKS=${count}`);
  let rebased = 0;
  for (let done = 0; done < count; done += BATCH) {
    // A seed each, so that any can be run alone.
    const seeds = Array.from({ length: Math.min(BATCH, count - done) }, (_, i) => seed + done + i);
    const result = await compare(seeds.map(randomStack));
    for (const [index, lines] of result.found) assert.fail(await report(seeds[index] ?? 0, lines));
    rebased += result.rebased;
  }
  t.diagnostic(`${rebased} layers were applied blind and rebased`);
  if (count >= 10) assert.ok(rebased > 2 * count, 'blind application gives up too often to be tested');
});

async function report(seed: number, lines: readonly string[]): Promise<string> {
  const small = await shrink(randomStack(seed));
  const { found } = await compare([small]);
  return [
    `HAWSER_SEED=${seed} HAWSER_STACKS=1 shows it. Shrunk:`,
    listing(small),
    ...(found.get(0) ?? []),
    'Whole:',
    ...lines,
  ].join('\n');
}
