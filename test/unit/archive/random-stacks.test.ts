/** Random stacks of layers: every way of unpacking gives what the reference model says, in every attribute, errors too. */
import assert from 'node:assert/strict';
import process from 'node:process';
import { test } from 'node:test';
import { needs } from '../../support/needs.ts';
import { compare, listing, shrink } from './oracle.ts';
import { randomStack } from './random-layers.ts';
import { syscallsHere } from './stacks.ts';

const BATCH = 100;

/** HAWSER_STACKS sets it. Without FFI each call costs milliseconds. */
function howMany(): number {
  if (process.env.HAWSER_STACKS !== undefined) return Number(process.env.HAWSER_STACKS);
  return syscallsHere().provider === 'ffi' ? 200 : 10;
}

test('random stacks', { skip: needs({ root: true, tools: ['mount', 'umount', 'getfattr'] }) }, async (t) => {
  const seed = Number(process.env.HAWSER_SEED ?? Date.now() % 1e9);
  const count = howMany();
  t.diagnostic(`HAWSER_SEED=${seed} HAWSER_STACKS=${count}`);
  for (let done = 0; done < count; done += BATCH) {
    // A seed each, so that any can be run alone.
    const seeds = Array.from({ length: Math.min(BATCH, count - done) }, (_, i) => seed + done + i);
    const [first] = await compare(seeds.map(randomStack));
    if (first === undefined) continue;
    const [index, found] = first;
    const bad = seeds[index] ?? 0;
    const small = await shrink(randomStack(bad));
    const left = (await compare([small])).get(0) ?? [];
    const report = [
      `HAWSER_SEED=${bad} HAWSER_STACKS=1 shows it. Shrunk:`,
      listing(small),
      ...left,
      'Whole:',
      ...found,
    ];
    assert.fail(report.join('\n'));
  }
});
