/**
 * SIGKILL at random moments of every command that changes something: what was there is whole, the check is true, the same command
 * again completes, and nothing is left over. HAWSER_KILLS says how many (default 20), HAWSER_SEED repeats a run.
 */
import assert from 'node:assert/strict';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { seeded } from '../registry/chaos.ts';
import { checkPoint, pointsIn, rightSnapshots } from '../support/fault-check.ts';
import { SCENARIOS } from '../support/fault-scenarios.ts';
import { FaultWorld } from '../support/fault-world.ts';
import { flavour } from '../support/hawser.ts';
import { killEngine, type Moment } from '../support/kill-engine.ts';
import { needs } from '../support/needs.ts';
import { chosenSeed } from '../support/seed.ts';

const KILLS = Number(process.env.HAWSER_KILLS ?? 20);
const binary = flavour('binary');
const seed = chosenSeed();

describe('a command that is killed', {
  skip: binary.skip || needs({ root: true, tools: ['mount', 'cp'] }),
}, () => {
  let world: FaultWorld<Moment>;
  let known: ReadonlyMap<string, string>;
  let kills = 0;

  before(async () => {
    console.log(`seed: HAWSER_SEED=${seed}`);
    const each = Math.ceil(KILLS / SCENARIOS.length);
    world = await FaultWorld.open(killEngine(binary, seeded(seed), each));
    known = await rightSnapshots(world);
  });
  after(async () => {
    console.log(`${kills} kills`);
    await world[Symbol.asyncDispose]();
  });

  for (const scenario of SCENARIOS) {
    test(`${scenario.name}: keeps what was there, and the next one completes`, async () => {
      const found: string[] = [];
      for (const moment of await pointsIn(world, scenario, false)) {
        kills++;
        found.push(...(await checkPoint(world, scenario, moment, known)).wrong);
      }
      assert.deepEqual(found, []);
    });
  }
});
