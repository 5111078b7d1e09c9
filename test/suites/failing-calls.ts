/**
 * Every call of a command fails once, with every error that it can have: the command fails or does all of its work, nothing old
 * is lost, the next command tells the truth, and the same command again completes and leaves nothing behind.
 *
 * HAWSER_FAULTS=all runs every point (through the ports some ten minutes, with strace hours); HAWSER_FAULTS=pull runs every point
 * of the scenarios with `pull` in their name. Otherwise one call of each kind with one of its errors; of all scenarios on Node 26. Node 22
 * and Deno are slower: there a few scenarios run. Node 22 has no FFI, so that two names cannot be swapped and marks are others.
 */
import assert from 'node:assert/strict';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { checkPoint, pointsIn, rightSnapshots } from '../support/fault-check.ts';
import { SCENARIOS, type Scenario } from '../support/fault-scenarios.ts';
import { type Engine, FaultWorld } from '../support/fault-world.ts';
import { isDeno } from '../support/needs.ts';

const which = process.env.HAWSER_FAULTS ?? '';
const PULL = 'pull into a store';
const OF_NODE_22 = [
  PULL,
  'unpack --rootfs --force over a directory',
  'images mount --rw over a snapshot with data',
];
const scenarios = which === '' ? chosen() : SCENARIOS;

function chosen(): readonly Scenario[] {
  if (isDeno) return named([PULL]);
  return process.version.startsWith('v22.') ? named(OF_NODE_22) : SCENARIOS;
}

function named(names: readonly string[]): readonly Scenario[] {
  const found = SCENARIOS.filter(({ name }) => names.includes(name));
  assert.equal(found.length, names.length, `not every one of ${names.join(', ')} is a scenario`);
  return found;
}

/** `name`: for example `a call that fails`. Prints how many points there were. */
export function failingCallsSuite<P>(name: string, skip: string | false, engine: () => Engine<P>): void {
  describe(name, { skip }, () => {
    let world: FaultWorld<P>;
    let known: ReadonlyMap<string, string>;
    let [points, failed] = [0, 0];

    before(async () => {
      world = await FaultWorld.open(engine());
      known = await rightSnapshots(world);
    });
    after(async () => {
      console.log(`${name}: ${points} points, ${failed} calls failed`);
      await world[Symbol.asyncDispose]();
    });

    for (const scenario of scenarios) {
      test(`${scenario.name}: fails or is done, keeps what was there, and the next one completes`, async () => {
        const all = which === 'all' || (which !== '' && scenario.name.includes(which));
        const found: string[] = [];
        const before = failed;
        for (const point of await pointsIn(world, scenario, !all)) {
          points++;
          const { wrong, hit } = await checkPoint(world, scenario, point, known);
          if (hit) failed++;
          found.push(...wrong);
        }
        assert.deepEqual(found, []);
        assert.ok(failed > before, 'no call was made to fail');
      });
    }
  });
}
